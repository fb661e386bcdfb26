# What ends a step, on either side of the way back: the loss of the mini-batch, penalty and update.

cdef double penalise_piece(const real* parameters, real* gradient, Py_ssize_t at, Py_ssize_t n, bint are_weights, real strength,
                           const Solver* solver, real* first_moment, real* second_moment) noexcept nogil:
    """Penalty, decay and update of a piece of the parameters; only weights are penalised, and only they decay."""
    cdef uint64_t mode = enter_flush_to_zero()
    cdef double squares = 0.0
    cdef Py_ssize_t end = at + n
    while at < end:
        n = min(UPDATE_NUMBERS, end - at)
        if are_weights and strength != 0.0:
            squares += add_penalty(parameters + at, gradient + at, n, strength)
        if are_weights and solver != NULL and solver.decay != 0.0:
            decay_weights(<real*> parameters + at, n, solver.decay)
        if solver != NULL:
            update(solver, <real*> parameters + at, gradient + at, first_moment + at,
                   second_moment + at if second_moment != NULL else NULL, n)
        at += n
    leave_flush_to_zero(mode)
    return squares


cdef double finish_step(const Network* network, real* gradient, real strength, const Solver* solver, real* first_moment,
                        real* second_moment) noexcept nogil:
    """Add the penalty's gradient and, with a solver, update the parameters; returns the sum of squared weights."""
    cdef double squares[MAXIMUM_PIECES]
    cdef double total = 0.0
    cdef Py_ssize_t k, piece, size, n_pieces
    cdef const Layer* layer
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == POOLING:
            continue
        size = update_size(layer)
        n_pieces = n_blocks(layer.n_weights, size)
        with parallel(num_threads=threads_for(network, 16 * layer.n_weights)):
            record_region(UPDATE_PIECES, n_pieces)
            for piece in prange(n_pieces, schedule="static"):
                squares[piece] = penalise_piece(network.parameters, gradient, layer.weights_at + piece * size,
                                                min(size, layer.n_weights - piece * size), True, strength, solver,
                                                first_moment, second_moment)
        for piece in range(n_pieces):
            total += squares[piece]
        penalise_piece(network.parameters, gradient, layer.bias_at, layer.n_bias, False, 0.0, solver, first_moment, second_moment)
        if layer.kind == NORMALISATION:
            penalise_piece(network.parameters, gradient, layer.gamma_at, layer.filters, False, 0.0, solver, first_moment,
                           second_moment)
    return total


cdef double loss_of_batch(const Network* network, int64_t loss, const real* targets, const int32_t* codes, const int64_t* order,
                          const real* sample_weight, double weight_sum, bint with_gradient) noexcept nogil:
    """Weighted mean loss; with_gradient: also the gradients of the scores. Codes say which row of targets a sample has, if it is
    not its own."""
    cdef Py_ssize_t n_outputs = network.arena.n_outputs
    cdef const Layer* last = &network.layers[network.arena.n_layers - 1]
    cdef uint64_t mode = enter_flush_to_zero()
    cdef double total = 0.0, weight
    cdef Py_ssize_t i, row
    for i in range(network.n_samples):
        weight = sample_weight[order[i]] if sample_weight != NULL else 1.0
        weight = weight / weight_sum
        row = codes[order[i]] if codes != NULL else order[i]
        total += weight * loss_of_sample(
            loss, values_of(network, last.output_at, n_outputs, i), targets + row * n_outputs,
            gradients_of(network, last.output_at, n_outputs, i) if with_gradient else NULL, n_outputs, weight)
    leave_flush_to_zero(mode)
    return total
