# The walk over the plan. Convolution blocks run chunk by chunk: a chunk of samples goes through all of them in one thread,
# layer by layer, so that a layer's weights and the chunk's images stay in cache. Dense layers run over the whole batch.
# Chunks are cut by the size of the batch and never by the number of threads; each has a gradient of its own, and these are
# summed in the order of the chunks.

ctypedef struct Network:
    const Layer* layers
    const Arena* arena
    const Run* runs
    const real* parameters
    real* numbers               # the block that `arena` divides
    char* positions
    Py_ssize_t n_samples
    int n_threads


cdef inline real* values_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.numbers + network.arena.values_at + at * network.arena.capacity + sample * size


cdef inline real* gradients_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.numbers + network.arena.gradients_at + at * network.arena.capacity + sample * size


cdef inline real* kept_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.numbers + network.arena.kept_at + at * network.arena.capacity + sample * size


cdef inline Py_ssize_t input_size(const Layer* layer) noexcept nogil:
    return layer.rows * layer.columns * layer.channels


cdef inline Py_ssize_t map_size(const Layer* layer) noexcept nogil:
    return layer.map_rows * layer.map_columns * layer.filters


cdef inline Py_ssize_t output_size(const Layer* layer) noexcept nogil:
    return layer.out_rows * layer.out_columns * layer.filters


cdef inline Py_ssize_t padded_size(const Layer* layer) noexcept nogil:
    return layer.padded_rows * layer.padded_columns * layer.channels


cdef inline real* inputs_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    return values_of(network, layer.input_at, padded_size(layer) if layer.input_is_padded else input_size(layer), sample)


cdef inline real* local_inputs_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    # The padded images of a locally connected block, which its weight gradient reads again.
    if layer.input_is_padded:
        return inputs_of(network, layer, sample)
    return kept_of(network, layer.kept_padded_at, padded_size(layer), sample)


cdef inline char* positions_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    cdef Py_ssize_t width = 4 if has_wide_positions(layer) else 1
    if network.positions == NULL or layer.pooling != MAXIMUM:
        return NULL
    return network.positions + layer.positions_at * network.arena.capacity + sample * output_size(layer) * width


cdef inline real* map_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    if layer.map_at < 0:
        return NULL
    return kept_of(network, layer.map_at, map_size(layer), sample)


cdef inline real* scratch_of(const Network* network) noexcept nogil:
    return network.numbers + network.arena.scratch_at + threadid() * network.arena.n_scratch


cdef void forward_layer(const Network* network, const Layer* layer, Py_ssize_t first, Py_ssize_t last,
                        real* scratch) noexcept nogil:
    """A convolution block, locally connected block or pooling layer over samples first to last - 1."""
    cdef Py_ssize_t i
    cdef real* maps
    cdef real* padded
    cdef real* outputs
    if layer.kind == LOCAL:
        maps = map_of(network, layer, first)
        padded = local_inputs_of(network, layer, first)
        if not layer.input_is_padded:
            pad_kept(layer, network.runs, inputs_of(network, layer, first), padded, last - first)
        outputs = values_of(network, layer.output_at, output_size(layer), first)
        local_forward(layer, network.parameters, padded, maps if maps != NULL else outputs, outputs,
                      positions_of(network, layer, first), last - first)
    elif layer.kind == CONVOLUTION and is_minimal(layer):
        i = first
        while i < last:
            minimal_convolution(layer, network.runs, network.parameters,
                                network.numbers + network.arena.transformed_at + layer.transformed_at,
                                inputs_of(network, layer, i), map_of(network, layer, i),
                                values_of(network, layer.output_at, output_size(layer), i), positions_of(network, layer, i),
                                scratch, min(layer.group, last - i))
            i += layer.group
    elif layer.kind == CONVOLUTION:
        for i in range(first, last):
            direct_convolution(layer, network.runs, network.parameters, inputs_of(network, layer, i), map_of(network, layer, i),
                               values_of(network, layer.output_at, output_size(layer), i), positions_of(network, layer, i),
                               scratch)
    elif layer.kind == POOLING:
        for i in range(first, last):
            pool_map(layer, inputs_of(network, layer, i),
                     values_of(network, layer.output_at, output_size(layer), i), positions_of(network, layer, i))


cdef inline void gather_sample(const Network* network, const Batch* batch, Py_ssize_t sample, real* scratch) noexcept nogil:
    cdef real* image = inputs_of(network, network.layers, sample)
    if batch.augmentation == NULL:
        gather(batch, network.layers, network.runs, sample, image)
    else:  # the scratch behind the padded images belongs to nobody now
        gather_augmented(batch, network.layers, network.runs, sample, image, scratch + network.arena.n_padded)


cdef void forward_chunk(const Network* network, const Batch* batch, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef real* scratch = scratch_of(network)
    cdef uint64_t mode = enter_flush_to_zero()
    cdef Py_ssize_t i, k, end
    memset(scratch, 0, <size_t> network.arena.n_padded * sizeof(real))
    while first < last:
        end = min(last, first + network.arena.n_together)
        for i in range(first, end):
            gather_sample(network, batch, i, scratch)
        for k in range(network.arena.n_layers):
            forward_layer(network, &network.layers[k], first, end, scratch)
        first = end
    leave_flush_to_zero(mode)


cdef void dense_forward(const Network* network, const Layer* layer, Py_ssize_t block) noexcept nogil:
    cdef uint64_t mode = enter_flush_to_zero()
    dense_forward_block(layer, network.parameters, values_of(network, layer.input_at, 0, 0),
                        values_of(network, layer.output_at, 0, 0), network.n_samples, block)
    leave_flush_to_zero(mode)


cdef void forward(const Network* network, const Batch* batch) noexcept nogil:
    cdef Py_ssize_t n_chunks = min(network.arena.n_chunks, network.n_samples)
    cdef Py_ssize_t chunk, k, n
    cdef const Layer* layer
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION and is_minimal(layer):
            transform_weights(layer, network.parameters + layer.weights_at,
                              network.numbers + network.arena.transformed_at + layer.transformed_at)
    with parallel(num_threads=network.n_threads):
        record_region(FORWARD_CHUNKS, n_chunks)
        for chunk in prange(n_chunks, schedule="dynamic", chunksize=1):
            forward_chunk(network, batch, chunk * network.n_samples // n_chunks, (chunk + 1) * network.n_samples // n_chunks)
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == DENSE:
            n = n_blocks(network.n_samples, DENSE_ROWS) * n_blocks(layer.filters, forward_columns(network.n_samples))
            with parallel(num_threads=threads_for(network, network.n_samples * layer.n_weights)):
                record_region(DENSE_FORWARD, n)
                for chunk in prange(n, schedule="dynamic", chunksize=1):
                    dense_forward(network, layer, chunk)


cdef inline int threads_for(const Network* network, Py_ssize_t work) noexcept nogil:
    # A parallel region costs some microseconds: below that much work it does not pay. Numbers do not change.
    return network.n_threads if work >= SERIAL_WORK else 1


cdef void dense_backward_block(const Network* network, const Layer* layer, real* gradient, Py_ssize_t block,
                               Py_ssize_t weight_blocks) noexcept nogil:
    cdef uint64_t mode = enter_flush_to_zero()
    cdef const real* d_outputs = gradients_of(network, layer.output_at, 0, 0)
    if block < weight_blocks:
        dense_weight_gradient_block(layer, values_of(network, layer.input_at, 0, 0), d_outputs, gradient + layer.weights_at,
                                    network.n_samples, block)
    else:
        dense_input_gradient_block(layer, network.parameters + layer.weights_at, d_outputs,
                                   gradients_of(network, layer.input_at, 0, 0), network.n_samples, block - weight_blocks,
                                   scratch_of(network))
    leave_flush_to_zero(mode)


cdef void dense_backward(const Network* network, const Layer* layer, real* gradient) noexcept nogil:
    cdef real* d_outputs = gradients_of(network, layer.output_at, 0, 0)
    cdef Py_ssize_t n_inputs = input_size(layer)
    cdef Py_ssize_t weight_blocks = n_blocks(n_inputs, DENSE_ROWS)
    cdef Py_ssize_t input_blocks = n_blocks(n_inputs, DENSE_COLUMNS) if layer.input_gradient_wanted else 0
    cdef Py_ssize_t block
    activate_backward(layer.activation, values_of(network, layer.output_at, 0, 0), d_outputs, d_outputs,
                      network.n_samples * layer.filters)
    memset(gradient + layer.bias_at, 0, <size_t> layer.n_bias * sizeof(real))
    bias_gradient(d_outputs, network.n_samples, layer.filters, 1, layer.filters, gradient + layer.bias_at)
    with parallel(num_threads=threads_for(network, 2 * network.n_samples * layer.n_weights)):
        record_region(DENSE_BACKWARD, weight_blocks + input_blocks)
        for block in prange(weight_blocks + input_blocks, schedule="dynamic", chunksize=1):
            dense_backward_block(network, layer, gradient, block, weight_blocks)


cdef void backward_layer(const Network* network, const Layer* layer, Py_ssize_t first, Py_ssize_t last, real* gradient,
                         real* scratch) noexcept nogil:
    """gradient: the chunk's own, for convolutions."""
    cdef Py_ssize_t i
    cdef real* flipped = network.numbers + network.arena.flipped_at + layer.flipped_at
    cdef real* d_input = NULL
    cdef real* maps
    if layer.kind == LOCAL:
        maps = map_of(network, layer, first)
        local_map_gradient(layer, maps if maps != NULL else values_of(network, layer.output_at, output_size(layer), first),
                           values_of(network, layer.output_at, output_size(layer), first), positions_of(network, layer, first),
                           gradients_of(network, layer.output_at, output_size(layer), first),
                           kept_of(network, layer.kept_gradient_at, map_size(layer), first), last - first)
        if layer.input_gradient_wanted:
            local_input_gradient(layer, network.runs, flipped, kept_of(network, layer.kept_gradient_at, map_size(layer), first),
                                 kept_of(network, layer.kept_padded_gradient_at, padded_size(layer), first),
                                 gradients_of(network, layer.input_at, input_size(layer), first), last - first)
        return
    if layer.backward == LISTED:
        i = first
        while i < last:
            sparse_backward(layer, network.runs, flipped, inputs_of(network, layer, i),
                            values_of(network, layer.output_at, output_size(layer), i),
                            <const uint8_t*> positions_of(network, layer, i),
                            gradients_of(network, layer.output_at, output_size(layer), i),
                            gradients_of(network, layer.input_at, input_size(layer), i) if layer.input_gradient_wanted else NULL,
                            gradient + layer.chunk_at, gradient + layer.chunk_at + layer.n_chunk_weights, scratch,
                            min(layer.group, last - i))
            i += layer.group
        return
    for i in range(first, last):
        d_input = gradients_of(network, layer.input_at, input_size(layer), i) if layer.input_gradient_wanted else NULL
        if layer.backward == SHALLOW:
            shallow_backward(layer, network.runs, inputs_of(network, layer, i), map_of(network, layer, i),
                             values_of(network, layer.output_at, output_size(layer), i),
                             <const uint8_t*> positions_of(network, layer, i),
                             gradients_of(network, layer.output_at, output_size(layer), i), gradient + layer.chunk_at,
                             gradient + layer.chunk_at + layer.n_chunk_weights, scratch)
        elif layer.kind == CONVOLUTION:
            convolution_backward(layer, network.runs, flipped, inputs_of(network, layer, i), map_of(network, layer, i),
                                 values_of(network, layer.output_at, output_size(layer), i),
                                 positions_of(network, layer, i), gradients_of(network, layer.output_at, output_size(layer), i),
                                 d_input, gradient + layer.chunk_at,
                                 gradient + layer.chunk_at + layer.n_chunk_weights, scratch)
        elif layer.kind == POOLING and d_input != NULL:
            if not writes_whole_map(layer):
                memset(d_input, 0, <size_t> input_size(layer) * sizeof(real))
            map_gradient(layer, inputs_of(network, layer, i), values_of(network, layer.output_at, output_size(layer), i),
                         positions_of(network, layer, i), gradients_of(network, layer.output_at, output_size(layer), i), d_input,
                         layer.columns * layer.channels)


cdef void backward_chunk(const Network* network, Py_ssize_t chunk, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef uint64_t mode = enter_flush_to_zero()
    cdef real* scratch = scratch_of(network)
    cdef real* gradient = network.numbers + network.arena.chunk_gradients_at + chunk * network.arena.n_shared
    cdef Py_ssize_t k, end
    memset(scratch, 0, <size_t> network.arena.n_zeroed * sizeof(real))
    memset(gradient, 0, <size_t> network.arena.n_shared * sizeof(real))
    while first < last:
        end = min(last, first + network.arena.n_together)
        for k in range(network.arena.n_layers - 1, -1, -1):
            if network.layers[k].kind != DENSE:
                backward_layer(network, &network.layers[k], first, end, gradient, scratch)
        first = end
    leave_flush_to_zero(mode)


cdef void local_weights_chunk(const Network* network, const Layer* layer, real* gradient, Py_ssize_t map_row) noexcept nogil:
    cdef uint64_t mode = enter_flush_to_zero()
    cdef Py_ssize_t c
    for c in range(layer.map_columns):
        local_weight_gradient(layer, map_row * layer.map_columns + c, local_inputs_of(network, layer, 0),
                              kept_of(network, layer.kept_gradient_at, 0, 0), gradient + layer.weights_at,
                              gradient + layer.bias_at, network.n_samples)
    leave_flush_to_zero(mode)


cdef void sum_chunks(const Network* network, const Layer* layer, Py_ssize_t n_chunks, real* gradient) noexcept nogil:
    """The gradient of a layer's weights and biases: the sum over chunks, in their order, in the first chunk's place."""
    cdef real* total = network.numbers + network.arena.chunk_gradients_at + layer.chunk_at
    cdef const real* of_chunk = total
    cdef Py_ssize_t n = layer.n_chunk_weights + layer.n_bias
    cdef Py_ssize_t chunk, i
    for chunk in range(1, n_chunks):
        of_chunk += network.arena.n_shared
        for i in range(n):
            total[i] += of_chunk[i]
    if layer.backward == LISTED:
        gradient_from_filters(layer, total, gradient + layer.weights_at)
    elif layer.filters_are_rows:
        gradient_from_rows(layer, total, gradient + layer.weights_at)
    else:
        memcpy(gradient + layer.weights_at, total, <size_t> layer.n_weights * sizeof(real))
    memcpy(gradient + layer.bias_at, total + layer.n_chunk_weights, <size_t> layer.n_bias * sizeof(real))


cdef void flip_all_weights(const Network* network) noexcept nogil:
    cdef const Layer* layer
    cdef Py_ssize_t k
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.input_gradient_wanted and layer.backward == LISTED:
            weights_by_filter(layer, network.parameters + layer.weights_at,
                              network.numbers + network.arena.flipped_at + layer.flipped_at)
        elif layer.input_gradient_wanted and layer.kind == CONVOLUTION:
            flip_weights(layer, network.parameters + layer.weights_at,
                         network.numbers + network.arena.flipped_at + layer.flipped_at)
        elif layer.input_gradient_wanted and layer.kind == LOCAL:
            local_flip_weights(layer, network.parameters + layer.weights_at,
                               network.numbers + network.arena.flipped_at + layer.flipped_at)


cdef void backward(const Network* network, real* gradient) noexcept nogil:
    """From the gradients of the scores to that of all parameters."""
    cdef Py_ssize_t n_chunks = min(network.arena.n_chunks, network.n_samples)
    cdef Py_ssize_t k, chunk, n_layers = network.arena.n_layers
    cdef const Layer* layer
    for k in range(n_layers - 1, -1, -1):
        if network.layers[k].kind == DENSE:
            dense_backward(network, &network.layers[k], gradient)
    if network.layers[0].kind == DENSE:
        return
    flip_all_weights(network)
    with parallel(num_threads=network.n_threads):
        record_region(BACKWARD_CHUNKS, n_chunks)
        for chunk in prange(n_chunks, schedule="dynamic", chunksize=1):
            backward_chunk(network, chunk, chunk * network.n_samples // n_chunks, (chunk + 1) * network.n_samples // n_chunks)
    for k in range(n_layers):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION:
            sum_chunks(network, layer, n_chunks, gradient)
        elif layer.kind == LOCAL:
            with parallel(num_threads=network.n_threads):
                record_region(LOCAL_WEIGHTS, layer.map_rows)
                for chunk in prange(layer.map_rows, schedule="dynamic", chunksize=1):
                    local_weights_chunk(network, layer, gradient, chunk)


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
        # pieces of at least 4096 numbers, at most MAXIMUM_PIECES of them
        size = max(4096, ((layer.n_weights + MAXIMUM_PIECES - 1) // MAXIMUM_PIECES + 15) // 16 * 16)
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
    return total


cdef double loss_of_batch(const Network* network, int64_t loss, const real* targets, const int64_t* order,
                          const real* sample_weight, double weight_sum, bint with_gradient) noexcept nogil:
    """Weighted mean loss; with_gradient: also the gradients of the scores."""
    cdef Py_ssize_t n_outputs = network.arena.n_outputs
    cdef const Layer* last = &network.layers[network.arena.n_layers - 1]
    cdef uint64_t mode = enter_flush_to_zero()
    cdef double total = 0.0, weight
    cdef Py_ssize_t i
    for i in range(network.n_samples):
        weight = sample_weight[order[i]] if sample_weight != NULL else 1.0
        weight = weight / weight_sum
        total += weight * loss_of_sample(
            loss, values_of(network, last.output_at, n_outputs, i), targets + order[i] * n_outputs,
            gradients_of(network, last.output_at, n_outputs, i) if with_gradient else NULL, n_outputs, weight)
    leave_flush_to_zero(mode)
    return total
