# The boundary of training: mini-batches one after another, or slices of one.

cpdef enum:
    # Running means and variances go a tenth of the way to those of each mini-batch, which is 0.1 to PyTorch (Keras: a hundredth).
    STATISTICS_STEPS = 10


@cython.final
cdef class Optimizer:
    """What training changes, and how; held from step to step.

    loss and alpha are what is minimised. `gradient` is that of the last mini-batch; slices of one have `gradient_of_slice`, or
    None. `settings` are those of the solver, or None where there are only losses and gradients to be asked for; Adam alone has a
    second moment. `t` updates have been made. The running statistics come from `n_batches_tracked` mini-batches. Masks of dropout
    are a function of `seed` and `t`."""
    cdef public int64_t t, n_batches_tracked
    cdef public uint64_t seed
    cdef real[::1] parameters, statistics, gradient, gradient_of_slice, first_moment, second_moment
    cdef int64_t loss
    cdef double alpha
    cdef Solver solver
    cdef bint has_solver

    def __cinit__(self, real[::1] parameters, real[::1] statistics, real[::1] gradient, real[::1] gradient_of_slice,
                  real[::1] first_moment, real[::1] second_moment, int64_t loss, double alpha, dict settings, uint64_t seed):
        cdef Py_ssize_t n = parameters.shape[0]
        self.t = self.n_batches_tracked = 0
        self.seed = seed
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

    cdef int require_solver(self) except -1:
        if not self.has_solver:
            raise ValueError("without a solver there are no updates")
        return 0

    cdef Solver* begin_update(self, double learning_rate) noexcept:
        self.solver.learning_rate, self.solver.t = learning_rate, self.t + 1
        return &self.solver

    cdef void end_update(self) noexcept:
        self.t += 1
        self.n_batches_tracked += 1


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


# Mini-batches, or a slice of one, as their kernels see them.
ctypedef struct Call:
    Network network
    Batch batch
    Augmentation augmentation
    Interruption interruption
    int64_t loss
    const real* targets
    const int32_t* codes


cdef int describe_call(Call* call, Session session, Optimizer optimizer, Examples examples, const int64_t[::1] order,
                       Py_ssize_t batch_size, dict augmentation_settings, int n_threads) except -1:
    """Check what a call brings against the plan, and take the addresses."""
    cdef const int32_t[::1] codes = examples.codes
    cdef Py_ssize_t i
    connect(&call.network, &call.interruption, session, optimizer.parameters, optimizer.statistics, batch_size, n_threads)
    describe_batch(&call.batch, &call.network, examples.X, order, examples.shift, examples.factor)
    require_training(&call.network)
    if augmentation_settings is not None:
        describe_augmentation(&call.augmentation, call.network.layers, order.shape[0], augmentation_settings)
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
    call.network.order = call.batch.order
    call.network.seed, call.network.is_training = optimizer.seed, True
    return 0


cdef void take_samples(Call* call, Py_ssize_t n_samples) noexcept:
    """A mini-batch of so many samples comes next."""
    call.network.n_samples = n_samples
    call.network.n_chunks = cut_into_chunks(&call.network)
    call.network.direction = -1


cdef void skip_mini_batch(Call* call) noexcept:
    """What follows the samples of this mini-batch is the next."""
    skip_samples(&call.batch, call.network.n_samples)
    call.network.order = call.batch.order
    if call.batch.augmentation != NULL:
        call.augmentation.rows += call.network.n_samples


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


cdef int train_mini_batch(Call* call, Pace pace, Optimizer optimizer, Solver* solver, int n_threads, double* loss) except -1:
    """Loss and gradient and, with a solver, an update; a loss of 0 and no more where the sample weights sum to zero."""
    cdef double began, seconds
    cdef bint could_share = choose_threads(&call.network, pace, n_threads)
    loss[0] = 0.0
    with nogil:
        began = seconds_now()
        begin_call(&call.interruption)
        call.network.weight_sum = sum_weights(call.network.sample_weight, call.network.order, call.network.n_samples)
        if call.network.weight_sum > 0.0:
            loss[0] = loss_and_gradient(call, &optimizer.gradient[0])
            loss[0] = finish_step(&call.network, loss[0], &optimizer.gradient[0], optimizer.alpha, solver)
        leave_float_mode(call.interruption.callers_mode)
        seconds = seconds_now() - began
    end_call(&call.interruption)
    if not call.network.weight_sum > 0.0:
        optimizer.gradient[:] = 0
        return 0
    if could_share:
        pace.see(call.network.n_samples, step_work(&call.network), seconds)
    if solver != NULL:
        optimizer.end_update()
    return 0


def train(Session session not None, Optimizer optimizer not None, Examples examples not None, const int64_t[::1] order not None,
          Py_ssize_t batch_size, const double[::1] rates not None, dict augmentation_settings, int n_threads,
          double[::1] losses not None):
    """Mini-batches of batch_size rows, one after another, the last perhaps smaller: forward, loss, backward and update.

    Each has a learning rate, and leaves its loss. Images are augmented unless those settings are None. Statistics go a part of
    the way to each mini-batch's moments: of the first ones they are a plain mean, or the zeros and ones of the beginning would be
    in them for long. Where the sample weights of a mini-batch sum to zero, its loss is 0 and nothing else happens."""
    cdef Call call
    cdef Py_ssize_t n_rows = order.shape[0], k
    if batch_size < 1 or rates.shape[0] != losses.shape[0] or rates.shape[0] != max(1, (n_rows + batch_size - 1) // batch_size):
        raise ValueError(f"{n_rows} rows in mini-batches of {batch_size} need a rate for each and room for its loss, not "
                         f"{rates.shape[0]} rates and room for {losses.shape[0]}")
    optimizer.require_solver()
    describe_call(&call, session, optimizer, examples, order, min(batch_size, n_rows), augmentation_settings, n_threads)
    for k in range(rates.shape[0]):
        take_samples(&call, min(batch_size, n_rows - k * batch_size))
        call.network.step = <uint32_t> optimizer.t
        call.network.statistics_steps = min(<int64_t> STATISTICS_STEPS, optimizer.n_batches_tracked + 1)
        train_mini_batch(&call, session.pace, optimizer, optimizer.begin_update(rates[k]), n_threads, &losses[k])
        skip_mini_batch(&call)
        PyErr_CheckSignals()    # a mini-batch may take less time than there is between two questions of the kernels


def loss_gradient(Session session not None, Optimizer optimizer not None, Examples examples not None,
                  const int64_t[::1] order not None, int n_threads):
    """The loss of one mini-batch, and its gradient in the optimizer's; nothing else changes."""
    cdef Call call
    cdef double loss
    describe_call(&call, session, optimizer, examples, order, order.shape[0], None, n_threads)
    call.network.step = <uint32_t> optimizer.t
    train_mini_batch(&call, session.pace, optimizer, NULL, n_threads, &loss)
    return loss


def train_slice(Session session not None, Optimizer optimizer not None, Examples examples not None,
                const int64_t[::1] order not None, dict augmentation_settings, int n_threads, double weight_sum,
                Py_ssize_t first_place):
    """A part, which begins at first_place, of a mini-batch of this sum of weights.

    Its gradient is added, and the rest left to `update`. Returns its share of the loss, without any penalty."""
    cdef Call call
    cdef double value, began, seconds
    cdef bint could_share
    describe_call(&call, session, optimizer, examples, order, order.shape[0], augmentation_settings, n_threads)
    could_share = choose_threads(&call.network, session.pace, n_threads)
    if (optimizer.gradient_of_slice is None or call.network.arena.n_statistics > 0 or first_place < 0 or not weight_sum > 0.0):
        raise ValueError("a slice has a gradient of its own, a place and a weight, and its network no normalisation")
    call.network.step = <uint32_t> optimizer.t
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


def update(Session session not None, Optimizer optimizer not None, const double[::1] losses not None, double weight_sum,
           learning_rate, int n_threads):
    """What ends a mini-batch that came in slices: penalty and (unless learning_rate is None) update.

    Returns the loss: the sum of those of all slices, and the penalty."""
    cdef Network network
    cdef Interruption interruption
    cdef Solver* solver = NULL
    cdef double value = 0.0
    cdef Py_ssize_t i
    if learning_rate is not None:
        optimizer.require_solver()
        solver = optimizer.begin_update(learning_rate)
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
    if solver != NULL:
        optimizer.end_update()
    return value
