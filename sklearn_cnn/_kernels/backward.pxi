# The walk back over the plan, in the stages and chunks of `forward.pxi`.

cdef void dense_backward_block(const Network* network, const Layer* layer, real* gradient, Py_ssize_t first, Py_ssize_t n,
                               Py_ssize_t block) noexcept nogil:
    """A block of the gradients of weights, to which n samples from the first on add, or of their inputs."""
    cdef Py_ssize_t weight_blocks = dense_weight_blocks(layer)
    cdef const real* d_outputs = gradients_of(network, layer.output_at, layer.filters, first)
    if is_interrupted(network.interruption):
        return
    if block < weight_blocks:
        dense_weight_gradient_block(layer, values_of(network, layer.input_at, input_size(layer), first), d_outputs,
                                    gradient + layer.weights_at, n, block, first > 0)
    else:
        dense_input_gradient_block(layer, network.parameters + layer.weights_at, d_outputs,
                                   gradients_of(network, layer.input_at, input_size(layer), first), n, block - weight_blocks,
                                   scratch_of(network))


cdef void dense_backward(const Network* network, const Layer* layer, real* gradient) noexcept nogil:
    cdef real* d_outputs = gradients_of(network, layer.output_at, 0, 0)
    cdef Py_ssize_t n_blocks = dense_weight_blocks(layer) + dense_input_blocks(layer)
    cdef Py_ssize_t first = 0, n, block
    cdef uint64_t mode = 0
    activate_backward(layer.activation, values_of(network, layer.output_at, 0, 0), d_outputs, d_outputs,
                      network.n_samples * layer.filters)
    memset(gradient + layer.bias_at, 0, <size_t> layer.n_bias * sizeof(real))
    if layer.n_bias > 0:
        bias_gradient_of_pixels(d_outputs, network.n_samples, layer.filters, gradient + layer.bias_at)
    while first < network.n_samples and not is_interrupted(network.interruption):
        n = min(dense_backward_samples(layer), network.n_samples - first)
        with parallel(num_threads=threads_for(network, 2 * network.n_samples * layer.n_weights)):
            mode = begin_region(DENSE_BACKWARD, n_blocks)
            for block in prange(n_blocks, schedule="dynamic", chunksize=1):
                dense_backward_block(network, layer, gradient, first, n, block)
            end_region(mode)
        first += n


cdef void backward_layer(const Network* network, const Layer* layer, const Group* group, real* gradient) noexcept nogil:
    """gradient: the chunk's own, for convolutions."""
    cdef Py_ssize_t i = group.first
    cdef Areas areas
    cdef Factors factors
    cdef real* flipped = flipped_of(network, layer)
    cdef real* d_weights = gradient + layer.chunk_at
    cdef real* d_bias = d_weights + layer.n_chunk_weights
    cdef real* d_maps
    if layer.kind == LOCAL:
        areas = areas_of(network, layer, group, i, group.last - i)
        d_maps = kept_gradients_of(network, layer.kept.gradient_at, map_size(layer), i)
        local_map_gradient(layer, &areas, d_maps)
        if areas.d_images != NULL:
            local_input_gradient(layer, network.runs, flipped, d_maps,
                                 kept_gradients_of(network, layer.kept.padded_gradient_at, padded_size(layer), i), &areas)
        return
    if layer.backward == LISTED:
        while i < group.last:
            areas = areas_of(network, layer, group, i, min(layer.group, group.last - i))
            sparse_backward(layer, network.runs, flipped, &areas, d_weights, d_bias)
            i += layer.group
        i = group.first
        while i < group.last and layer.gradient_side > 0:
            areas = areas_of(network, layer, group, i, min(layer.gradient_group, group.last - i))
            input_gradient_of_maxima(layer, network.runs, flipped, &areas)
            i += layer.gradient_group
        return
    for i in range(group.first, group.last):
        areas = areas_of(network, layer, group, i, 1)
        if layer.backward == SHALLOW:
            shallow_backward(layer, network.runs, &areas, d_weights, d_bias)
        elif layer.kind == CONVOLUTION:
            convolution_backward(layer, network.runs, flipped, &areas, d_weights, d_bias)
        elif layer.kind == POOLING and areas.d_images != NULL:
            if not writes_whole_map(layer):
                memset(areas.d_images, 0, <size_t> input_size(layer) * sizeof(real))
            map_gradient(layer, areas.images, areas.outputs, areas.positions, areas.d_outputs, areas.d_images,
                         map_row_size(layer))
        elif layer.kind == NORMALISATION:
            factors = factors_of(network, layer)
            normalise_backward(layer, &factors, inputs_of(network, layer, i), areas.d_outputs, weight_of(network, i),
                               areas.d_images)
        elif layer.kind == DROPOUT and areas.d_images != NULL:
            drop_sample(network, layer, i, areas.d_outputs, areas.d_images)


cdef void sum_gradients_of(const Network* network, const Layer* layer, const Group* group, Py_ssize_t chunk) noexcept nogil:
    """Add the group to the chunk's sums over the gradients that a normalisation is about to take up."""
    cdef ChunkSums sums = sums_at(layer, chunk_sums_of(network, chunk))
    cdef Factors factors = factors_of(network, layer)
    cdef Areas areas
    cdef Py_ssize_t i
    if group.first == chunk_begin(network, chunk):
        begin_sums(layer, &sums)
    for i in range(group.first, group.last):
        areas = areas_of(network, layer, group, i, 1)
        sum_gradients(layer, inputs_of(network, layer, i), areas.outputs, areas.d_outputs, &factors, &sums)


cdef void backward_chunk(const Network* network, Py_ssize_t first_layer, Py_ssize_t last_layer, Py_ssize_t chunk,
                         Py_ssize_t portion) noexcept nogil:
    """A stage, layers last_layer - 1 down to first_layer, of a portion of one chunk; without any, only the sums."""
    cdef Group group = first_group(network, chunk, portion)
    cdef real* gradient = network.workspace + network.arena.chunk_gradients_at + chunk * network.arena.n_shared
    cdef const Layer* layer
    cdef Py_ssize_t k
    clear_padding(network, first_layer, last_layer, group.scratch)
    for k in range(first_layer, last_layer):
        layer = &network.layers[k]
        memset(group.scratch + network.arena.frames_at + layer.frame_at, 0, <size_t> layer.n_frame * sizeof(real))
        if layer.kind == CONVOLUTION and portion == 0:
            memset(gradient + layer.chunk_at, 0, <size_t> (layer.n_chunk_weights + layer.filters) * sizeof(real))
    # An interrupted pass forward has left places of maxima that are none: nothing may follow them.
    while group.first < group.last and not is_interrupted(network.interruption):
        if first_layer > 0 and network.layers[first_layer - 1].output_in_scratch:
            forward_layer(network, &network.layers[first_layer - 1], &group)
        for k in range(last_layer - 1, first_layer - 1, -1):
            if is_interrupted(network.interruption):
                return
            backward_layer(network, &network.layers[k], &group, gradient)
        if is_kind(network, first_layer - 1, NORMALISATION):
            sum_gradients_of(network, &network.layers[first_layer - 1], &group, chunk)
        next_group(network, &group)


cdef void backward_stage(Network* network, Py_ssize_t first_layer, Py_ssize_t last_layer, real* gradient) noexcept nogil:
    """Layers last_layer - 1 down to first_layer of all chunks, and the sums for the normalisation in front of them."""
    cdef Py_ssize_t n_chunks = network.n_chunks
    cdef Py_ssize_t direction = next_direction(network)
    cdef Py_ssize_t chunk, portion
    cdef const Layer* layer
    cdef uint64_t mode = 0
    cdef Factors factors
    cdef double weight
    for portion in range(n_portions(network)):
        if is_interrupted(network.interruption):
            return
        with parallel(num_threads=threads_for_stage(network, last_layer)):
            mode = begin_region(BACKWARD_CHUNKS, n_chunks)
            for chunk in prange(n_chunks, schedule="dynamic", chunksize=1):
                backward_chunk(network, first_layer, last_layer, chunk if direction > 0 else n_chunks - 1 - chunk, portion)
            end_region(mode)
    if is_kind(network, first_layer - 1, NORMALISATION):
        layer = &network.layers[first_layer - 1]
        factors = factors_of(network, layer)
        weight = network.weight_sum * layer.rows * layer.columns if network.is_training else 0.0
        gradients_of_batch(layer, chunk_sums_of(network, 0), network.arena.n_sums, n_chunks, weight, gradient, &factors)


cdef void local_weights_chunk(const Network* network, const Layer* layer, real* gradient, Py_ssize_t map_row) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(layer.map.columns):
        if is_interrupted(network.interruption):
            return
        local_weight_gradient(layer, map_row * layer.map.columns + c, local_inputs_of(network, layer, 0),
                              kept_gradients_of(network, layer.kept.gradient_at, 0, 0), gradient + layer.weights_at,
                              gradient + layer.bias_at, network.n_samples)


cdef void sum_chunks(const Network* network, real* total, Py_ssize_t n) noexcept nogil:
    """n numbers of the gradients of all chunks, added up in their order in the first chunk's place."""
    cdef const real* of_chunk = total
    cdef Py_ssize_t chunk, i
    for chunk in range(1, network.n_chunks):
        of_chunk += network.arena.n_shared
        for i in range(n):
            total[i] += of_chunk[i]


cdef void gradient_of_chunks(const Network* network, const Layer* layer, real* gradient) noexcept nogil:
    """The gradient of a layer's weights and biases: the sum over chunks."""
    cdef real* total = network.workspace + network.arena.chunk_gradients_at + layer.chunk_at
    cdef Py_ssize_t n = layer.n_chunk_weights + layer.n_bias
    cdef Py_ssize_t n_pieces = n_blocks(n, SUMMED_NUMBERS)
    cdef Py_ssize_t piece
    cdef uint64_t mode = 0
    if 16 * network.n_chunks * n < SERIAL_WORK:
        sum_chunks(network, total, n)
    else:
        with parallel(num_threads=network.n_threads):
            mode = begin_region(CHUNK_SUMS, n_pieces)
            for piece in prange(n_pieces, schedule="static"):
                sum_chunks(network, total + piece * SUMMED_NUMBERS, min(<Py_ssize_t> SUMMED_NUMBERS, n - piece * SUMMED_NUMBERS))
            end_region(mode)
    if layer.backward == LISTED:
        gradient_from_filters(layer, total, gradient + layer.weights_at)
    elif layer.sums_places:
        gradient_from_places(layer, total, gradient + layer.weights_at)
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
        if layer.input_gradient_wanted and layer.backward == LISTED and layer.gradient_side == 0:
            weights_by_filter(layer, network.parameters + layer.weights_at, flipped_of(network, layer))
        elif layer.input_gradient_wanted and layer.kind == CONVOLUTION:
            flip_weights(layer, network.parameters + layer.weights_at, flipped_of(network, layer))
            if layer.gradient_side > 0:
                turn_weights(layer, flipped_of(network, layer))
        elif layer.input_gradient_wanted and layer.kind == LOCAL:
            local_flip_weights(layer, network.parameters + layer.weights_at, flipped_of(network, layer))


cdef inline Py_ssize_t begin_of_stage(const Network* network, Py_ssize_t last_layer) noexcept nogil:
    cdef Py_ssize_t k = last_layer
    while k > 0 and network.layers[k - 1].kind != DENSE and not (k < last_layer and is_kind(network, k - 1, NORMALISATION)):
        k -= 1
    return k


cdef void backward(Network* network, real* gradient) noexcept nogil:
    """From the gradients of the scores to that of all parameters."""
    cdef Py_ssize_t k = network.arena.n_layers, begin, row
    cdef const Layer* layer
    cdef uint64_t mode = 0
    if is_interrupted(network.interruption):
        return
    flip_all_weights(network)
    while k > 0 and not is_interrupted(network.interruption):
        if is_kind(network, k - 1, NORMALISATION) and (k == network.arena.n_layers or is_kind(network, k, DENSE)):
            backward_stage(network, k, k, gradient)     # nothing but its sums
        if is_kind(network, k - 1, DENSE):
            k -= 1
            dense_backward(network, &network.layers[k], gradient)
        else:
            begin = begin_of_stage(network, k)
            backward_stage(network, begin, k, gradient)
            k = begin
    if is_interrupted(network.interruption):
        return
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if layer.kind == CONVOLUTION:
            gradient_of_chunks(network, layer, gradient)
        elif layer.kind == LOCAL:
            with parallel(num_threads=network.n_threads):
                mode = begin_region(LOCAL_WEIGHTS, layer.map.rows)
                for row in prange(layer.map.rows, schedule="dynamic", chunksize=1):
                    local_weights_chunk(network, layer, gradient, row)
                end_region(mode)
