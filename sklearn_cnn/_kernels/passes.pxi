# The walk over the plan. Convolution blocks run chunk by chunk: a chunk of samples goes through all of them in one thread,
# layer by layer, so that a layer's weights and the chunk's images stay in cache. Dense layers run over the whole batch.
# Chunks are cut by the size of the batch and never by the number of threads; each has a gradient of its own, and these are
# summed in the order of the chunks.
#
# A normalisation wants the moments of the whole batch before it changes a single value, so there the walk is cut into stages:
#
#     forward     gather  convolution | normalisation  convolution | normalisation  pooling          | = all chunks are done
#     backward    convolution | convolution  normalisation | pooling  normalisation                    (read from the right)
#
# Each stage leaves every chunk's sums for the normalisation behind it (forward) or in front of it (backward).

cdef void drop_sample(const Network* network, const Layer* layer, Py_ssize_t sample, const real* values,
                      real* results) noexcept nogil:
    """Values, or gradients, of one sample; outside training nothing is dropped."""
    if network.is_training:
        drop(layer, network.seed, network.step, <uint32_t> (layer - network.layers), sample, values, results)
    else:
        memcpy(results, values, <size_t> output_size(layer) * sizeof(real))


cdef void forward_layer(const Network* network, const Layer* layer, const Group* group) noexcept nogil:
    """A convolution, locally connected, pooling, normalised or dropout layer."""
    cdef Py_ssize_t i = group.first
    cdef Factors factors
    cdef real* maps
    cdef real* padded
    cdef real* outputs
    if layer.kind == LOCAL:
        maps = map_of(network, layer, i)
        padded = local_inputs_of(network, layer, i)
        if not layer.input_is_padded:
            pad_kept(layer, network.runs, inputs_in(network, layer, group, i), padded, group.last - i)
        outputs = outputs_in(network, layer, group, i)
        local_forward(layer, network.parameters, padded, maps if maps != NULL else outputs, outputs,
                      positions_of(network, layer, i), group.last - i)
    elif layer.kind == CONVOLUTION and is_minimal(layer):
        while i < group.last:
            minimal_convolution(layer, network.runs, network.parameters,
                                network.numbers + network.arena.transformed_at + layer.transformed_at,
                                inputs_in(network, layer, group, i), map_of(network, layer, i),
                                outputs_in(network, layer, group, i), positions_of(network, layer, i), group.scratch,
                                min(layer.group, group.last - i))
            i += layer.group
    elif layer.kind == CONVOLUTION:
        for i in range(group.first, group.last):
            direct_convolution(layer, network.runs, network.parameters, inputs_in(network, layer, group, i),
                               map_of(network, layer, i), outputs_in(network, layer, group, i), positions_of(network, layer, i),
                               group.scratch)
    elif layer.kind == POOLING:
        for i in range(group.first, group.last):
            pool_map(layer, inputs_in(network, layer, group, i), outputs_in(network, layer, group, i),
                     positions_of(network, layer, i))
    elif layer.kind == NORMALISATION:
        factors = factors_of(network, layer)
        for i in range(group.first, group.last):
            normalise(layer, network.parameters, &factors, inputs_in(network, layer, group, i),
                      outputs_in(network, layer, group, i))
    elif layer.kind == DROPOUT:
        for i in range(group.first, group.last):
            drop_sample(network, layer, i, inputs_in(network, layer, group, i), outputs_in(network, layer, group, i))


cdef void sum_values_of(const Network* network, const Layer* layer, const Group* group, Py_ssize_t chunk) noexcept nogil:
    """Add the group to the chunk's sums over what a normalisation is about to take up."""
    cdef ChunkSums sums = sums_at(layer, chunk_sums_of(network, chunk))
    cdef Py_ssize_t i
    if group.first == chunk_begin(network, chunk):
        begin_sums(layer, &sums)
    for i in range(group.first, group.last):
        sum_values(layer, inputs_of(network, layer, i), weight_of(network, i), &sums)


cdef inline Group first_group(const Network* network, Py_ssize_t chunk) noexcept nogil:
    cdef Group group
    group.first = chunk_begin(network, chunk)
    group.last = min(group.first + network.arena.n_together, chunk_begin(network, chunk + 1))
    group.scratch = scratch_of(network)
    return group


cdef inline void next_group(const Network* network, Py_ssize_t chunk, Group* group) noexcept nogil:
    """Without samples where there are no more."""
    group.first = group.last
    group.last = min(group.first + network.arena.n_together, chunk_begin(network, chunk + 1))


cdef inline void gather_sample(const Network* network, const Batch* batch, Py_ssize_t sample, real* scratch) noexcept nogil:
    cdef real* image = inputs_of(network, network.layers, sample)
    if batch.augmentation == NULL:
        gather(batch, network.layers, network.runs, sample, image)
    else:  # the scratch behind the padded images belongs to nobody now
        gather_augmented(batch, network.layers, network.runs, sample, image, scratch + network.arena.n_padded)


cdef void forward_chunk(const Network* network, const Batch* batch, Py_ssize_t first_layer, Py_ssize_t last_layer,
                        Py_ssize_t chunk) noexcept nogil:
    """A stage, layers first_layer to last_layer - 1, of one chunk; without any, only the sums."""
    cdef uint64_t mode = enter_flush_to_zero()
    cdef Group group = first_group(network, chunk)
    cdef Py_ssize_t i, k
    memset(group.scratch, 0, <size_t> network.arena.n_padded * sizeof(real))
    while group.first < group.last:
        if first_layer == 0:
            for i in range(group.first, group.last):
                gather_sample(network, batch, i, group.scratch)
        for k in range(first_layer, last_layer):
            forward_layer(network, &network.layers[k], &group)
        if wants_moments(network, last_layer):
            sum_values_of(network, &network.layers[last_layer], &group, chunk)
        next_group(network, chunk, &group)
    leave_flush_to_zero(mode)


cdef inline Py_ssize_t next_direction(Network* network) noexcept nogil:
    # Stages take the chunks forwards and backwards in turn: each begins with what the one before has left in the cache.
    network.direction = -network.direction
    return network.direction


cdef void forward_stage(Network* network, const Batch* batch, Py_ssize_t first_layer, Py_ssize_t last_layer) noexcept nogil:
    """Layers first_layer to last_layer - 1 of all chunks, and the moments for the normalisation behind them."""
    cdef Py_ssize_t n_chunks = n_chunks_of(network)
    cdef Py_ssize_t direction = next_direction(network)
    cdef Py_ssize_t chunk
    cdef Factors factors
    with parallel(num_threads=threads_for_stage(network, last_layer)):
        record_region(FORWARD_CHUNKS, n_chunks)
        for chunk in prange(n_chunks, schedule="dynamic", chunksize=1):
            forward_chunk(network, batch, first_layer, last_layer, chunk if direction > 0 else n_chunks - 1 - chunk)
    if wants_moments(network, last_layer):
        factors = factors_of(network, &network.layers[last_layer])
        factors_of_batch(&network.layers[last_layer], network.parameters, chunk_sums_of(network, 0), network.arena.n_sums,
                         n_chunks, network.statistics, network.statistics_rate, &factors)


cdef void dense_forward(const Network* network, const Layer* layer, Py_ssize_t block) noexcept nogil:
    cdef uint64_t mode = enter_flush_to_zero()
    dense_forward_block(layer, network.parameters, values_of(network, layer.input_at, 0, 0),
                        values_of(network, layer.output_at, 0, 0), network.n_samples, block)
    leave_flush_to_zero(mode)


cdef void prepare_layers(const Network* network) noexcept nogil:
    """What layers derive from their parameters once per call."""
    cdef const Layer* layer
    cdef Factors factors
    cdef Py_ssize_t k
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION and is_minimal(layer):
            transform_weights(layer, network.parameters + layer.weights_at,
                              network.numbers + network.arena.transformed_at + layer.transformed_at)
        elif layer.kind == NORMALISATION and not network.is_training:
            factors = factors_of(network, layer)
            factors_of_prediction(layer, network.parameters, network.statistics, &factors)


cdef inline Py_ssize_t end_of_stage(const Network* network, Py_ssize_t first_layer) noexcept nogil:
    cdef Py_ssize_t k = first_layer
    while k < network.arena.n_layers and network.layers[k].kind != DENSE and not (k > first_layer and wants_moments(network, k)):
        k += 1
    return k


cdef void forward(Network* network, const Batch* batch) noexcept nogil:
    cdef Py_ssize_t k, n, block
    cdef const Layer* layer
    prepare_layers(network)
    k = end_of_stage(network, 0)
    forward_stage(network, batch, 0, k)
    while k < network.arena.n_layers:
        layer = &network.layers[k]
        if layer.kind == DENSE:
            n = dense_forward_blocks(layer, network.n_samples, forward_columns(network.n_samples))
            with parallel(num_threads=threads_for(network, network.n_samples * layer.n_weights)):
                record_region(DENSE_FORWARD, n)
                for block in prange(n, schedule="dynamic", chunksize=1):
                    dense_forward(network, layer, block)
            k += 1
            if wants_moments(network, k):
                forward_stage(network, batch, k, k)     # nothing but their sums
        else:
            n = end_of_stage(network, k)
            forward_stage(network, batch, k, n)
            k = n


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
    cdef Py_ssize_t weight_blocks = dense_weight_blocks(layer)
    cdef Py_ssize_t input_blocks = dense_input_blocks(layer)
    cdef Py_ssize_t block
    activate_backward(layer.activation, values_of(network, layer.output_at, 0, 0), d_outputs, d_outputs,
                      network.n_samples * layer.filters)
    memset(gradient + layer.bias_at, 0, <size_t> layer.n_bias * sizeof(real))
    if layer.n_bias > 0:
        bias_gradient(d_outputs, network.n_samples, layer.filters, 1, layer.filters, gradient + layer.bias_at)
    with parallel(num_threads=threads_for(network, 2 * network.n_samples * layer.n_weights)):
        record_region(DENSE_BACKWARD, weight_blocks + input_blocks)
        for block in prange(weight_blocks + input_blocks, schedule="dynamic", chunksize=1):
            dense_backward_block(network, layer, gradient, block, weight_blocks)


cdef void backward_layer(const Network* network, const Layer* layer, const Group* group, real* gradient) noexcept nogil:
    """gradient: the chunk's own, for convolutions."""
    cdef Py_ssize_t i = group.first
    cdef Factors factors
    cdef real* flipped = network.numbers + network.arena.flipped_at + layer.flipped_at
    cdef real* d_weights = gradient + layer.chunk_at
    cdef real* d_bias = d_weights + layer.n_chunk_weights
    cdef real* maps
    if layer.kind == LOCAL:
        maps = map_of(network, layer, i)
        local_map_gradient(layer, maps if maps != NULL else outputs_in(network, layer, group, i),
                           outputs_in(network, layer, group, i), positions_of(network, layer, i), d_outputs_of(network, layer, i),
                           kept_of(network, layer.kept_gradient_at, map_size(layer), i), group.last - i)
        if layer.input_gradient_wanted:
            local_input_gradient(layer, network.runs, flipped, kept_of(network, layer.kept_gradient_at, map_size(layer), i),
                                 kept_of(network, layer.kept_padded_gradient_at, padded_size(layer), i),
                                 d_inputs_of(network, layer, i), group.last - i)
        return
    if layer.backward == LISTED:
        while i < group.last:
            sparse_backward(layer, network.runs, flipped, inputs_in(network, layer, group, i),
                            outputs_in(network, layer, group, i), <const uint8_t*> positions_of(network, layer, i),
                            d_outputs_of(network, layer, i), d_inputs_of(network, layer, i), d_weights, d_bias, group.scratch,
                            min(layer.group, group.last - i))
            i += layer.group
        return
    for i in range(group.first, group.last):
        if layer.backward == SHALLOW:
            shallow_backward(layer, network.runs, inputs_in(network, layer, group, i), map_of(network, layer, i),
                             outputs_in(network, layer, group, i), <const uint8_t*> positions_of(network, layer, i),
                             d_outputs_of(network, layer, i), d_weights, d_bias, group.scratch)
        elif layer.kind == CONVOLUTION:
            convolution_backward(layer, network.runs, flipped, inputs_in(network, layer, group, i), map_of(network, layer, i),
                                 outputs_in(network, layer, group, i), positions_of(network, layer, i),
                                 d_outputs_of(network, layer, i), d_inputs_of(network, layer, i), d_weights, d_bias,
                                 group.scratch)
        elif layer.kind == POOLING and layer.input_gradient_wanted:
            if not writes_whole_map(layer):
                memset(d_inputs_of(network, layer, i), 0, <size_t> input_size(layer) * sizeof(real))
            map_gradient(layer, inputs_in(network, layer, group, i), outputs_in(network, layer, group, i),
                         positions_of(network, layer, i), d_outputs_of(network, layer, i), d_inputs_of(network, layer, i),
                         layer.columns * layer.channels)
        elif layer.kind == NORMALISATION:
            factors = factors_of(network, layer)
            normalise_backward(layer, &factors, inputs_of(network, layer, i), d_outputs_of(network, layer, i),
                               weight_of(network, i), d_inputs_of(network, layer, i))
        elif layer.kind == DROPOUT and layer.input_gradient_wanted:
            drop_sample(network, layer, i, d_outputs_of(network, layer, i), d_inputs_of(network, layer, i))


cdef void sum_gradients_of(const Network* network, const Layer* layer, const Group* group, Py_ssize_t chunk) noexcept nogil:
    """Add the group to the chunk's sums over the gradients that a normalisation is about to take up."""
    cdef ChunkSums sums = sums_at(layer, chunk_sums_of(network, chunk))
    cdef Factors factors = factors_of(network, layer)
    cdef Py_ssize_t i
    if group.first == chunk_begin(network, chunk):
        begin_sums(layer, &sums)
    for i in range(group.first, group.last):
        sum_gradients(layer, inputs_of(network, layer, i), outputs_in(network, layer, group, i), d_outputs_of(network, layer, i),
                      &factors, &sums)


cdef void backward_chunk(const Network* network, Py_ssize_t first_layer, Py_ssize_t last_layer, Py_ssize_t chunk) noexcept nogil:
    """A stage, layers last_layer - 1 down to first_layer, of one chunk; without any, only the sums."""
    cdef uint64_t mode = enter_flush_to_zero()
    cdef Group group = first_group(network, chunk)
    cdef real* gradient = network.numbers + network.arena.chunk_gradients_at + chunk * network.arena.n_shared
    cdef const Layer* layer
    cdef Py_ssize_t k
    memset(group.scratch, 0, <size_t> network.arena.n_zeroed * sizeof(real))
    for k in range(first_layer, last_layer):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION:
            memset(gradient + layer.chunk_at, 0, <size_t> (layer.n_chunk_weights + layer.filters) * sizeof(real))
    while group.first < group.last:
        if first_layer > 0 and network.layers[first_layer - 1].output_in_scratch:
            forward_layer(network, &network.layers[first_layer - 1], &group)
        for k in range(last_layer - 1, first_layer - 1, -1):
            backward_layer(network, &network.layers[k], &group, gradient)
        if is_kind(network, first_layer - 1, NORMALISATION):
            sum_gradients_of(network, &network.layers[first_layer - 1], &group, chunk)
        next_group(network, chunk, &group)
    leave_flush_to_zero(mode)


cdef void backward_stage(Network* network, Py_ssize_t first_layer, Py_ssize_t last_layer, real* gradient) noexcept nogil:
    """Layers last_layer - 1 down to first_layer of all chunks, and the sums for the normalisation in front of them."""
    cdef Py_ssize_t n_chunks = n_chunks_of(network)
    cdef Py_ssize_t direction = next_direction(network)
    cdef Py_ssize_t chunk
    cdef const Layer* layer
    cdef Factors factors
    cdef double weight
    with parallel(num_threads=threads_for_stage(network, last_layer)):
        record_region(BACKWARD_CHUNKS, n_chunks)
        for chunk in prange(n_chunks, schedule="dynamic", chunksize=1):
            backward_chunk(network, first_layer, last_layer, chunk if direction > 0 else n_chunks - 1 - chunk)
    if is_kind(network, first_layer - 1, NORMALISATION):
        layer = &network.layers[first_layer - 1]
        factors = factors_of(network, layer)
        weight = network.weight_sum * layer.rows * layer.columns if network.is_training else 0.0
        gradients_of_batch(layer, chunk_sums_of(network, 0), network.arena.n_sums, n_chunks, weight, gradient, &factors)


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


cdef inline Py_ssize_t begin_of_stage(const Network* network, Py_ssize_t last_layer) noexcept nogil:
    cdef Py_ssize_t k = last_layer
    while k > 0 and network.layers[k - 1].kind != DENSE and not (k < last_layer and is_kind(network, k - 1, NORMALISATION)):
        k -= 1
    return k


cdef void backward(Network* network, real* gradient) noexcept nogil:
    """From the gradients of the scores to that of all parameters."""
    cdef Py_ssize_t n_chunks = n_chunks_of(network)
    cdef Py_ssize_t k = network.arena.n_layers, begin, row
    cdef const Layer* layer
    flip_all_weights(network)
    while k > 0:
        if is_kind(network, k - 1, NORMALISATION) and (k == network.arena.n_layers or is_kind(network, k, DENSE)):
            backward_stage(network, k, k, gradient)     # nothing but its sums
        if is_kind(network, k - 1, DENSE):
            k -= 1
            dense_backward(network, &network.layers[k], gradient)
        else:
            begin = begin_of_stage(network, k)
            backward_stage(network, begin, k, gradient)
            k = begin
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION:
            sum_chunks(network, layer, n_chunks, gradient)
        elif layer.kind == LOCAL:
            with parallel(num_threads=network.n_threads):
                record_region(LOCAL_WEIGHTS, layer.map_rows)
                for row in prange(layer.map_rows, schedule="dynamic", chunksize=1):
                    local_weights_chunk(network, layer, gradient, row)
