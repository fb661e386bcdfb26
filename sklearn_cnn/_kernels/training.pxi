# The boundary of training: one mini-batch, whole or in slices.

cdef int describe_solver(Solver* solver, dict settings, Py_ssize_t n_parameters, real[::1] first_moment,
                         real[::1] second_moment) except -1:
    """Check the moments against the network, and take over the settings."""
    solver.kind = settings["kind"]
    solver.learning_rate = settings["learning_rate"]
    solver.momentum = settings["momentum"]
    solver.beta_2 = settings["beta_2"]
    solver.epsilon = settings["epsilon"]
    solver.weight_decay = settings["weight_decay"]
    solver.nesterov = settings["nesterov"]
    solver.t = settings["t"]
    if first_moment.shape[0] != n_parameters or (solver.kind == ADAM and second_moment.shape[0] != n_parameters):
        raise ValueError("the solver's moments do not fit the network")
    solver.first_moment = &first_moment[0]
    solver.second_moment = &second_moment[0] if second_moment is not None and second_moment.shape[0] > 0 else NULL
    return 0


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


def train(Session session not None, real[::1] parameters, real[::1] statistics, Rows X not None,
          const int64_t[::1] order not None, const real[::1] shift, const real[::1] factor, const real[:, ::1] targets,
          const int32_t[::1] codes, const real[::1] sample_weight, int64_t loss, double alpha, real[::1] gradient,
          real[::1] first_moment, real[::1] second_moment, dict solver_settings, dict augmentation_settings,
          int64_t statistics_steps, uint64_t seed, uint32_t step, int n_threads, real[::1] total=None, double weight_sum=0.0,
          Py_ssize_t first_place=0):
    """One mini-batch: forward, loss, backward and (unless solver_settings is None) update; augmented unless those are None.

    The target of a row of X is the row of `targets` that its code names, or that of its own number where codes are None.
    Masks of dropout are those of the step that the seed gives. Statistics go the part 1 / statistics_steps of the way to the
    mini-batch's moments, or stay where that is 0.
    With `total` the samples are a slice, which begins at first_place, of a mini-batch with this sum of weights: its gradient is
    added to the total, the loss is its share without any penalty, and the rest is left to `update`.
    Returns the loss, or None where the sample weights sum to zero and nothing was done."""
    cdef Network network
    cdef Batch batch
    cdef Augmentation augmentation
    cdef Interruption interruption
    cdef Solver solver
    cdef Solver* chosen = NULL
    cdef const int32_t* first_code = NULL
    cdef real* sum_of_slices = NULL
    cdef double value = 0.0, began, seconds
    cdef Py_ssize_t i
    cdef bint could_share
    connect(&network, &interruption, session, parameters, statistics, order.shape[0], n_threads)
    could_share = choose_threads(&network, session.pace, n_threads)
    describe_batch(&batch, &network, X, order, shift, factor)
    require_training(&network)
    if augmentation_settings is not None:
        describe_augmentation(&augmentation, network.layers, network.n_samples, augmentation_settings)
        batch.augmentation = &augmentation
    if targets.shape[1] != network.arena.n_outputs or gradient.shape[0] != parameters.shape[0]:
        raise ValueError("targets or gradient do not fit the network")
    if (targets.shape[0] if codes is None else codes.shape[0]) != X.n_rows:
        raise ValueError("targets, or their codes, need one row per row of X")
    if codes is not None:
        for i in range(order.shape[0]):
            if not 0 <= codes[order[i]] < targets.shape[0]:
                raise ValueError(f"code {codes[order[i]]} names none of {targets.shape[0]} rows of targets")
        first_code = &codes[0]
    if sample_weight is not None:
        if sample_weight.shape[0] != X.n_rows:
            raise ValueError("sample_weight needs one number per row of X")
        network.sample_weight = &sample_weight[0]
    if solver_settings is not None:
        describe_solver(&solver, solver_settings, parameters.shape[0], first_moment, second_moment)
        chosen = &solver
    if total is not None:
        if (total.shape[0] != parameters.shape[0] or chosen != NULL or network.arena.n_statistics > 0 or first_place < 0
                or not weight_sum > 0.0):
            raise ValueError("a slice adds to one number per parameter, without normalisation and solver, and has a weight")
        sum_of_slices = &total[0]
    if order.shape[0] > 0:
        network.order = &order[0]
    network.statistics_steps, network.seed, network.step, network.first_place = statistics_steps, seed, step, first_place
    network.is_training = True
    with nogil:
        began = seconds_now()
        begin_call(&interruption)
        network.weight_sum = weight_sum
        if sum_of_slices == NULL:
            network.weight_sum = sum_weights(network.sample_weight, network.order, network.n_samples)
        if network.weight_sum > 0.0:
            forward(&network, &batch)
            value = loss_of_batch(&network, loss, &targets[0, 0], first_code)
            backward(&network, &gradient[0])
            if sum_of_slices == NULL:
                value = finish_step(&network, value, &gradient[0], alpha, chosen)
            else:
                add_numbers(&gradient[0], sum_of_slices, gradient.shape[0])
        leave_float_mode(interruption.callers_mode)
        seconds = seconds_now() - began
    end_call(&interruption)
    if not network.weight_sum > 0.0:
        gradient[:] = 0
        return None
    if could_share:
        session.pace.see(network.n_samples, step_work(&network), seconds)
    return value


def update(Session session not None, real[::1] parameters, real[::1] statistics, const double[::1] losses, double weight_sum,
           double alpha, real[::1] gradient, real[::1] first_moment, real[::1] second_moment, dict solver_settings,
           int n_threads):
    """What ends a mini-batch that came in slices: penalty and (unless solver_settings is None) update.

    Returns the loss: the sum of those of all slices, and the penalty."""
    cdef Network network
    cdef Interruption interruption
    cdef Solver solver
    cdef Solver* chosen = NULL
    cdef double value = 0.0
    cdef Py_ssize_t i
    connect(&network, &interruption, session, parameters, statistics, <Py_ssize_t> session.arena.capacity, n_threads)
    if gradient.shape[0] != parameters.shape[0] or not weight_sum > 0.0:
        raise ValueError("gradient needs as many numbers as parameters, and the weights a sum")
    if solver_settings is not None:
        describe_solver(&solver, solver_settings, parameters.shape[0], first_moment, second_moment)
        chosen = &solver
    network.weight_sum = weight_sum
    with nogil:
        begin_call(&interruption)
        for i in range(losses.shape[0]):
            value += losses[i]
        value = finish_step(&network, value, &gradient[0], alpha, chosen)
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)
    return value
