# The boundary of training: one mini-batch, whole or in slices.

@cython.final
cdef class Optimizer:
    """What training changes, and how; held from step to step.

    loss and alpha are what is minimised. `gradient` is that of the last mini-batch; slices of one have `gradient_of_slice`, or
    None. `settings` are those of the solver, or None where there are only losses and gradients to be asked for; Adam alone has a
    second moment."""
    cdef real[::1] parameters, statistics, gradient, gradient_of_slice, first_moment, second_moment
    cdef int64_t loss
    cdef double alpha
    cdef Solver solver
    cdef bint has_solver

    def __cinit__(self, real[::1] parameters, real[::1] statistics, real[::1] gradient, real[::1] gradient_of_slice,
                  real[::1] first_moment, real[::1] second_moment, int64_t loss, double alpha, dict settings):
        cdef Py_ssize_t n = parameters.shape[0]
        if gradient.shape[0] != n or gradient_of_slice is not None and gradient_of_slice.shape[0] != n:
            raise ValueError(f"gradients need {n} numbers, as many as there are parameters")
        self.parameters, self.statistics, self.gradient = parameters, statistics, gradient
        self.gradient_of_slice, self.loss, self.alpha = gradient_of_slice, loss, alpha
        self.has_solver = settings is not None
        if not self.has_solver:
            return
        self.solver.kind = settings["kind"]
        self.solver.momentum = settings["momentum"]
        self.solver.beta_2 = settings["beta_2"]
        self.solver.epsilon = settings["epsilon"]
        self.solver.weight_decay = settings["weight_decay"]
        self.solver.nesterov = settings["nesterov"]
        if first_moment.shape[0] != n or self.solver.kind == ADAM and second_moment.shape[0] != n:
            raise ValueError(f"the solver's moments need {n} numbers, as many as there are parameters")
        self.first_moment, self.second_moment = first_moment, second_moment
        self.solver.first_moment = &first_moment[0] if n > 0 else NULL
        self.solver.second_moment = &second_moment[0] if n > 0 and self.solver.kind == ADAM else NULL

    cdef Solver* begin_update(self, double learning_rate, int64_t t) except NULL:
        """The solver, for update number t + 1."""
        if not self.has_solver:
            raise ValueError("without a solver there are no updates")
        self.solver.learning_rate, self.solver.t = learning_rate, t + 1
        return &self.solver


@cython.final
cdef class Examples:
    """Rows of X, how they are scaled, and their targets; held from step to step.

    The target of a row is the row of `targets` that its code names, or that of its own number where codes are None."""
    cdef Rows X
    cdef const real[::1] shift, factor, sample_weight
    cdef const real[:, ::1] targets
    cdef const int32_t[::1] codes

    def __cinit__(self, Rows X not None, const real[::1] shift, const real[::1] factor, const real[:, ::1] targets,
                  const int32_t[::1] codes, const real[::1] sample_weight):
        if (targets.shape[0] if codes is None else codes.shape[0]) != X.n_rows:
            raise ValueError("targets, or their codes, need one row per row of X")
        if sample_weight is not None and sample_weight.shape[0] != X.n_rows:
            raise ValueError("sample_weight needs one number per row of X")
        self.X, self.shift, self.factor = X, shift, factor
        self.targets, self.codes, self.sample_weight = targets, codes, sample_weight


# A mini-batch, or a slice of one, as its kernels see it.
ctypedef struct Call:
    Network network
    Batch batch
    Augmentation augmentation
    Interruption interruption
    int64_t loss
    const real* targets
    const int32_t* codes


cdef int describe_call(Call* call, Session session, Optimizer optimizer, Examples examples, const int64_t[::1] order,
                       uint64_t seed, int64_t t, dict augmentation_settings, int n_threads) except -1:
    """Check what a call brings against the plan, and take the addresses."""
    cdef const int32_t[::1] codes = examples.codes
    cdef Py_ssize_t i
    connect(&call.network, &call.interruption, session, optimizer.parameters, optimizer.statistics, order.shape[0], n_threads)
    describe_batch(&call.batch, &call.network, examples.X, order, examples.shift, examples.factor)
    require_training(&call.network)
    if augmentation_settings is not None:
        describe_augmentation(&call.augmentation, call.network.layers, call.network.n_samples, augmentation_settings)
        call.batch.augmentation = &call.augmentation
    if examples.targets.shape[1] != call.network.arena.n_outputs:
        raise ValueError(f"targets have {examples.targets.shape[1]} numbers, the network has {call.network.arena.n_outputs}")
    call.loss, call.targets, call.codes = optimizer.loss, &examples.targets[0, 0], NULL
    if codes is not None:
        for i in range(order.shape[0]):
            if not 0 <= codes[order[i]] < examples.targets.shape[0]:
                raise ValueError(f"code {codes[order[i]]} names none of {examples.targets.shape[0]} rows of targets")
        call.codes = &codes[0]
    if examples.sample_weight is not None:
        call.network.sample_weight = &examples.sample_weight[0]
    if order.shape[0] > 0:
        call.network.order = &order[0]
    call.network.seed, call.network.step, call.network.is_training = seed, <uint32_t> t, True
    return 0


cdef double loss_and_gradient(Call* call, real* gradient) noexcept nogil:
    """The weighted mean loss, without any penalty, and its gradient."""
    cdef double value
    forward(&call.network, &call.batch)
    value = loss_of_batch(&call.network, call.loss, call.targets, call.codes)
    backward(&call.network, gradient)
    return value


def sum_of_weights(const real[::1] sample_weight, const int64_t[::1] order):
    """What `train` divides by: the sum of the weights of these rows."""
    cdef uint64_t mode
    cdef double total = 0.0
    check_rows(order, sample_weight.shape[0])
    if order.shape[0] > 0:
        mode = enter_float_mode()
        total = sum_weights(&sample_weight[0], &order[0], order.shape[0])
        leave_float_mode(mode)
    return total


def train(Session session not None, Optimizer optimizer not None, Examples examples not None, const int64_t[::1] order not None,
          learning_rate, int64_t statistics_steps, uint64_t seed, int64_t t, dict augmentation_settings, int n_threads):
    """One mini-batch: forward, loss, backward and (unless learning_rate is None) update.

    It is augmented unless those settings are None. t updates have been made before. Masks of dropout are those of this step, t,
    that the seed gives. Statistics go 1 / statistics_steps of the way to the mini-batch's moments, or stay where it is 0.
    Returns the loss, or None where the sample weights sum to zero and nothing was done."""
    cdef Call call
    cdef Solver* solver = NULL if learning_rate is None else optimizer.begin_update(learning_rate, t)
    cdef double value = 0.0, began, seconds
    cdef bint could_share
    describe_call(&call, session, optimizer, examples, order, seed, t, augmentation_settings, n_threads)
    could_share = choose_threads(&call.network, session.pace, n_threads)
    call.network.statistics_steps = statistics_steps
    with nogil:
        began = seconds_now()
        begin_call(&call.interruption)
        call.network.weight_sum = sum_weights(call.network.sample_weight, call.network.order, call.network.n_samples)
        if call.network.weight_sum > 0.0:
            value = loss_and_gradient(&call, &optimizer.gradient[0])
            value = finish_step(&call.network, value, &optimizer.gradient[0], optimizer.alpha, solver)
        leave_float_mode(call.interruption.callers_mode)
        seconds = seconds_now() - began
    end_call(&call.interruption)
    if not call.network.weight_sum > 0.0:
        optimizer.gradient[:] = 0
        return None
    if could_share:
        session.pace.see(call.network.n_samples, step_work(&call.network), seconds)
    return value


def train_slice(Session session not None, Optimizer optimizer not None, Examples examples not None,
                const int64_t[::1] order not None, uint64_t seed, int64_t t, dict augmentation_settings, int n_threads,
                double weight_sum, Py_ssize_t first_place):
    """A part, which begins at first_place, of a mini-batch of this sum of weights.

    Its gradient is added, and the rest left to `update`. Returns its share of the loss, without any penalty."""
    cdef Call call
    cdef double value, began, seconds
    cdef bint could_share
    describe_call(&call, session, optimizer, examples, order, seed, t, augmentation_settings, n_threads)
    could_share = choose_threads(&call.network, session.pace, n_threads)
    if (optimizer.gradient_of_slice is None or call.network.arena.n_statistics > 0 or first_place < 0 or not weight_sum > 0.0):
        raise ValueError("a slice has a gradient of its own, a place and a weight, and its network no normalisation")
    call.network.weight_sum, call.network.first_place = weight_sum, first_place
    with nogil:
        began = seconds_now()
        begin_call(&call.interruption)
        value = loss_and_gradient(&call, &optimizer.gradient_of_slice[0])
        add_numbers(&optimizer.gradient_of_slice[0], &optimizer.gradient[0], optimizer.gradient.shape[0])
        leave_float_mode(call.interruption.callers_mode)
        seconds = seconds_now() - began
    end_call(&call.interruption)
    if could_share:
        session.pace.see(call.network.n_samples, step_work(&call.network), seconds)
    return value


def update(Session session not None, Optimizer optimizer not None, const double[::1] losses, double weight_sum, learning_rate,
           int64_t t, int n_threads):
    """What ends a mini-batch that came in slices: penalty and (unless learning_rate is None) update.

    Returns the loss: the sum of those of all slices, and the penalty."""
    cdef Network network
    cdef Interruption interruption
    cdef Solver* solver = NULL if learning_rate is None else optimizer.begin_update(learning_rate, t)
    cdef double value = 0.0
    cdef Py_ssize_t i
    connect(&network, &interruption, session, optimizer.parameters, optimizer.statistics, <Py_ssize_t> session.arena.capacity,
            n_threads)
    if not weight_sum > 0.0:
        raise ValueError(f"the weights of a mini-batch have a sum above zero, not {weight_sum}")
    network.weight_sum = weight_sum
    with nogil:
        begin_call(&interruption)
        for i in range(losses.shape[0]):
            value += losses[i]
        value = finish_step(&network, value, &optimizer.gradient[0], optimizer.alpha, solver)
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)
    return value
