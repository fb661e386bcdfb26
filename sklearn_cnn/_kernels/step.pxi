# What ends a step, on either side of the way back: the loss of the mini-batch, penalty and update.

cdef double sum_weights(const real* sample_weight, const int64_t* order, Py_ssize_t n) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        total += sample_weight[order[i]] if sample_weight != NULL else 1.0
    return total


cdef void add_numbers(const real* numbers, real* sums, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        sums[i] += numbers[i]


cdef double penalise_piece(const real* parameters, real* gradient, Py_ssize_t at, Py_ssize_t n, bint are_weights, real strength,
                           const Solver* solver) noexcept nogil:
    """Penalty, decay and update of a piece of the parameters; only weights are penalised, and only they decay."""
    cdef double squares = 0.0
    cdef Py_ssize_t end = at + n
    while at < end:
        n = min(UPDATE_NUMBERS, end - at)
        if are_weights and strength != 0.0:
            squares += add_penalty(parameters + at, gradient + at, n, strength)
        if are_weights and solver != NULL and solver.decay != 0.0:
            decay_weights(<real*> parameters + at, n, solver.decay)
        if solver != NULL:
            update_parameters(solver, <real*> parameters, gradient, at, n)
        at += n
    return squares


# The weights of a layer, whose update threads share.
ctypedef struct Update:
    const real* parameters
    real* gradient
    const Layer* layer
    Py_ssize_t piece_size
    real strength               # of the penalty
    Solver* solver              # or NULL
    double* squares             # of the weights of each piece


cdef void penalise_weights(const void* job, Py_ssize_t piece) noexcept nogil:
    cdef const Update* update = <const Update*> job
    cdef Py_ssize_t begin = piece * update.piece_size
    cdef Py_ssize_t n = min(update.piece_size, update.layer.n_weights - begin)
    update.squares[piece] = penalise_piece(update.parameters, update.gradient, update.layer.weights_at + begin, n, True,
                                           update.strength, update.solver)


cdef double finish_step(const Network* network, double loss, real* gradient, double alpha, Solver* solver) noexcept nogil:
    """Add the penalty's gradient and, with a solver, update the parameters; returns the loss with the penalty."""
    cdef double squares[MAXIMUM_PIECES]
    cdef double total = 0.0
    cdef real strength = <real> (alpha / network.weight_sum)
    cdef Py_ssize_t k, piece, n_pieces
    cdef const Layer* layer
    cdef Update update
    if is_interrupted(network.interruption):
        return loss
    if solver != NULL:
        set_rates(solver)
    update.parameters, update.gradient, update.strength = network.parameters, gradient, strength
    update.solver, update.squares = solver, squares
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == POOLING:
            continue
        update.layer, update.piece_size = layer, update_size(layer)
        n_pieces = n_blocks(layer.n_weights, update.piece_size)
        divide(UPDATE_PIECES, threads_for(network, 16 * layer.n_weights), n_pieces, penalise_weights, &update)
        for piece in range(n_pieces):
            total += squares[piece]
        penalise_piece(network.parameters, gradient, layer.bias_at, layer.n_bias, False, 0.0, solver)
        if layer.kind == NORMALISATION:
            penalise_piece(network.parameters, gradient, layer.gamma_at, layer.filters, False, 0.0, solver)
    return loss + 0.5 * alpha / network.weight_sum * total


cdef double loss_of_batch(const Network* network, int64_t loss, const real* targets, const int32_t* codes) noexcept nogil:
    """Weighted mean loss, and the gradients of the scores. Codes say which row of targets a sample has, if it is not its own."""
    cdef Py_ssize_t n_outputs = network.arena.n_outputs
    cdef const Layer* last = &network.layers[network.arena.n_layers - 1]
    cdef double total = 0.0, weight
    cdef Py_ssize_t i, row
    for i in range(network.n_samples):
        if i % LOSS_SAMPLES == 0 and is_interrupted(network.interruption):
            break
        weight = weight_of(network, i) / network.weight_sum
        row = codes[network.order[i]] if codes != NULL else network.order[i]
        total += weight * loss_of_sample(
            loss, scores_of(network, i), targets + row * n_outputs,
            gradients_of(network, last.output_at, n_outputs, i), n_outputs, weight)
    return total
