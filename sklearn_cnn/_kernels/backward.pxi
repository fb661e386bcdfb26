# The walk back over the plan, in the stages and chunks of `forward.pxi`.

cdef void dense_backward_block(const void* job, Py_ssize_t block) noexcept nogil:
    """A block of the gradients of weights, to which some samples add, or of their inputs."""
    cdef const WholeLayer* whole = <const WholeLayer*> job
    cdef const Network* network = whole.network
    cdef const Layer* layer = whole.layer
    cdef Py_ssize_t weight_blocks = dense_weight_blocks(layer)
    cdef const real* d_outputs = gradients_of(network, layer.output_at, layer.filters, whole.first)
    if is_interrupted(network.interruption):
        return
    if block < weight_blocks:
        dense_weight_gradient_block(layer, values_of(network, layer.input_at, input_size(layer), whole.first), d_outputs,
                                    whole.gradient + layer.weights_at, whole.n_samples, block, whole.first > 0)
    else:
        dense_input_gradient_block(layer, network.parameters + layer.weights_at, d_outputs,
                                   gradients_of(network, layer.input_at, input_size(layer), whole.first), whole.n_samples,
                                   block - weight_blocks, scratch_of(network) + network.arena.band_at)


cdef void dense_backward(const Network* network, const Layer* layer, real* gradient) noexcept nogil:
    cdef real* d_outputs = gradients_of(network, layer.output_at, 0, 0)
    cdef Py_ssize_t n_blocks = dense_weight_blocks(layer) + dense_input_blocks(layer)
    cdef WholeLayer whole = whole_layer(network, layer, gradient)
    activate_backward(layer.activation, values_of(network, layer.output_at, 0, 0), d_outputs, d_outputs,
                      network.n_samples * layer.filters)
    memset(gradient + layer.bias_at, 0, <size_t> layer.n_bias * sizeof(real))
    if layer.n_bias > 0:
        bias_gradient_of_pixels(d_outputs, network.n_samples, layer.filters, gradient + layer.bias_at)
    while whole.first < network.n_samples and not is_interrupted(network.interruption):
        whole.n_samples = min(dense_backward_samples(layer), network.n_samples - whole.first)
        take_in_turn(DENSE_BACKWARD, threads_for(network, 2 * network.n_samples * layer.n_weights), n_blocks,
                     dense_backward_block, &whole)
        whole.first += whole.n_samples


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
            sparse_backward(layer, network.runs, flipped, &areas, i == group.chunk_begin, d_weights, d_bias)
            i += layer.group
        i = group.first
        while i < group.last and layer.gradient_side > 0:
            areas = areas_of(network, layer, group, i, min(layer.gradient_group, group.last - i))
            input_gradient_of_maxima(layer, network.runs, flipped, &areas)
            i += layer.gradient_group
        return
    if layer.kind == CONVOLUTION and layer.backward == WHOLE_MAP:
        while i < group.last:
            areas = areas_of(network, layer, group, i, min(layer.gradient_group, group.last - i))
            convolution_backward(layer, network.runs, flipped, &areas, i == group.chunk_begin, d_weights, d_bias)
            i += layer.gradient_group
        return
    for i in range(group.first, group.last):
        areas = areas_of(network, layer, group, i, 1)
        if layer.backward == SHALLOW:
            shallow_backward(layer, network.runs, &areas, d_weights, d_bias)
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
    if group.first == group.chunk_begin:
        begin_sums(layer, &sums)
    for i in range(group.first, group.last):
        areas = areas_of(network, layer, group, i, 1)
        sum_gradients(layer, inputs_of(network, layer, i), areas.outputs, areas.d_outputs, &factors, &sums)


cdef void backward_chunk(const void* job, Py_ssize_t piece) noexcept nogil:
    """A portion of one chunk of a stage, the last layer first."""
    cdef const Stage* stage = <const Stage*> job
    cdef const Network* network = stage.network
    cdef Py_ssize_t first_layer = stage.first_layer, last_layer = stage.last_layer
    cdef Py_ssize_t chunk = chunk_of(stage, piece)
    cdef Group group = first_group(network, chunk, stage.portion)
    cdef real* gradient = network.workspace + network.arena.chunk_gradients_at + chunk * network.arena.n_shared
    cdef const Layer* layer
    cdef Py_ssize_t k, n_begun      # weights whose sums begin without zeros
    clear_padding(network, group.scratch)
    for k in range(first_layer, last_layer):
        layer = &network.layers[k]
        memset(group.scratch + network.arena.frames_at + layer.frame_at, 0, <size_t> layer.n_frame * sizeof(real))
        if layer.kind == CONVOLUTION and stage.portion == 0:
            n_begun = layer.n_chunk_weights if layer.backward != SHALLOW else 0
            memset(gradient + layer.chunk_at + n_begun, 0,
                   <size_t> (layer.n_chunk_weights - n_begun + layer.filters) * sizeof(real))
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
    cdef Stage stage = next_stage(network, first_layer, last_layer)
    cdef Py_ssize_t portion
    cdef const Layer* layer
    cdef Factors factors
    cdef double weight
    for portion in range(n_portions(network)):
        if is_interrupted(network.interruption):
            return
        stage.portion = portion
        take_in_turn(BACKWARD_CHUNKS, threads_for_stage(network, last_layer), network.n_chunks, backward_chunk, &stage)
    if is_kind(network, first_layer - 1, NORMALISATION):
        layer = &network.layers[first_layer - 1]
        factors = factors_of(network, layer)
        weight = network.weight_sum * layer.rows * layer.columns if network.is_training else 0.0
        gradients_of_batch(layer, chunk_sums_of(network, 0), network.arena.n_sums, network.n_chunks, weight, gradient,
                           &factors)


cdef void local_weights_row(const void* job, Py_ssize_t map_row) noexcept nogil:
    cdef const WholeLayer* whole = <const WholeLayer*> job
    cdef const Network* network = whole.network
    cdef const Layer* layer = whole.layer
    cdef Py_ssize_t c
    for c in range(layer.map.columns):
        if is_interrupted(network.interruption):
            return
        local_weight_gradient(layer, map_row * layer.map.columns + c, local_inputs_of(network, layer, 0),
                              kept_gradients_of(network, layer.kept.gradient_at, 0, 0), whole.gradient + layer.weights_at,
                              whole.gradient + layer.bias_at, network.n_samples)


# Gradients of all chunks, whose sum threads share; it takes the place of the first.
ctypedef struct Gradients:
    const Network* network
    real* first
    Py_ssize_t n


cdef void sum_chunks(const void* job, Py_ssize_t piece) noexcept nogil:
    """SUMMED_NUMBERS of the gradients, added up in the order of the chunks."""
    cdef const Gradients* gradients = <const Gradients*> job
    cdef const Network* network = gradients.network
    cdef real* total = gradients.first + piece * SUMMED_NUMBERS
    cdef Py_ssize_t n = min(<Py_ssize_t> SUMMED_NUMBERS, gradients.n - piece * SUMMED_NUMBERS)
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
    cdef Gradients gradients
    gradients.network, gradients.first, gradients.n = network, total, n
    if 16 * network.n_chunks * n < SERIAL_WORK:
        for piece in range(n_pieces):
            sum_chunks(&gradients, piece)
    else:
        divide(CHUNK_SUMS, network.n_threads, n_pieces, sum_chunks, &gradients)
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
    cdef Py_ssize_t k = network.arena.n_layers, begin
    cdef const Layer* layer
    cdef WholeLayer whole
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
            whole = whole_layer(network, layer, gradient)
            take_in_turn(LOCAL_WEIGHTS, network.n_threads, layer.map.rows, local_weights_row, &whole)
