# The walk over the plan. Convolution blocks run chunk by chunk: a chunk of samples goes through all of them in one thread,
# layer by layer, so that a layer's weights and the chunk's images stay in cache. Dense layers run over the whole batch.
# Chunks of training are cut by the size of the batch and never by the number of threads; their gradients are summed in the
# order of the chunks.
#
# A normalisation wants the moments of the whole batch before it changes a single value, so there the walk is cut into stages:
#
#     forward     gather  convolution | normalisation  convolution | normalisation  pooling          | = all chunks are done
#     backward    convolution | convolution  normalisation | pooling  normalisation                    (read from the right)
#
# Each stage leaves every chunk's sums for the normalisation after it (forward) or in front of it (backward).
#
# A stage over very many samples takes them up in portions, one of every chunk at a time, in the order of the chunk: so no thread
# is away for long when the calling one has been told to stop (`interruption.pxi`), and no sum has another order.

cdef void drop_sample(const Network* network, const Layer* layer, Py_ssize_t sample, const real* values,
                      real* results) noexcept nogil:
    """Values, or gradients, of one sample; outside training nothing is dropped."""
    if network.is_training:
        drop(layer, network.seed, network.step, <uint32_t> (layer - network.layers), network.first_place + sample, values,
             results)
    else:
        memcpy(results, values, <size_t> output_size(layer) * sizeof(real))


cdef void forward_layer(const Network* network, const Layer* layer, const Group* group) noexcept nogil:
    """A convolution, locally connected, pooling, normalised or dropout layer."""
    cdef Py_ssize_t i = group.first
    cdef Factors factors
    cdef Areas areas
    cdef real* padded
    if layer.kind == LOCAL:
        areas = areas_of(network, layer, group, i, group.last - i)
        padded = local_inputs_of(network, layer, i)
        if not layer.input_is_padded:
            pad_kept(layer, network.runs, areas.images, padded, areas.n_samples)
        local_forward(layer, network.parameters, padded, &areas)
    elif layer.kind == CONVOLUTION and is_winograd(layer):
        while i < group.last:
            areas = areas_of(network, layer, group, i, min(layer.group, group.last - i))
            winograd_convolution(layer, network.runs, network.parameters, transformed_of(network, layer), &areas)
            i += layer.group
    elif layer.kind == CONVOLUTION:
        for i in range(group.first, group.last):
            areas = areas_of(network, layer, group, i, 1)
            direct_convolution(layer, network.runs, network.parameters, &areas)
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
    if group.first == group.chunk_begin:
        begin_sums(layer, &sums)
    for i in range(group.first, group.last):
        sum_values(layer, inputs_of(network, layer, i), weight_of(network, i), &sums)


cdef inline Group first_group(const Network* network, Py_ssize_t chunk, Py_ssize_t portion) noexcept nogil:
    cdef Group group
    cdef Py_ssize_t size = portion_size(network)
    group.chunk_begin = chunk_begin(network, chunk)
    group.end = min(group.chunk_begin + (portion + 1) * size, chunk_begin(network, chunk + 1))
    group.first = min(group.chunk_begin + portion * size, group.end)
    group.last = min(group.first + network.arena.n_together, group.end)
    group.scratch = scratch_of(network)
    return group


cdef inline void next_group(const Network* network, Group* group) noexcept nogil:
    """Without samples where there are no more."""
    group.first = group.last
    group.last = min(group.first + network.arena.n_together, group.end)


cdef inline void gather_sample(const Network* network, const Batch* batch, Py_ssize_t sample, real* scratch) noexcept nogil:
    cdef real* image = inputs_of(network, network.layers, sample)
    if batch.augmentation == NULL:
        gather(batch, network.layers, network.runs, sample, image)
    else:  # the band belongs to nobody now
        gather_augmented(batch, network.layers, network.runs, sample, image, scratch + network.arena.band_at)


# A portion of a stage, which threads share chunk by chunk: layers first_layer to last_layer - 1. Without any there are only sums.
ctypedef struct Stage:
    const Network* network
    const Batch* batch          # of a pass forward
    real* gradient              # of a pass backward
    Py_ssize_t first_layer
    Py_ssize_t last_layer
    Py_ssize_t portion
    Py_ssize_t direction        # through the chunks, 1 or -1


cdef inline Stage next_stage(Network* network, Py_ssize_t first_layer, Py_ssize_t last_layer) noexcept nogil:
    # Stages take the chunks forwards and backwards in turn: each begins with what the one before has left in the cache.
    cdef Stage stage
    network.direction = -network.direction
    stage.network, stage.batch, stage.gradient = network, NULL, NULL
    stage.first_layer, stage.last_layer, stage.portion, stage.direction = first_layer, last_layer, 0, network.direction
    return stage


cdef inline Py_ssize_t chunk_of(const Stage* stage, Py_ssize_t piece) noexcept nogil:
    return piece if stage.direction > 0 else stage.network.n_chunks - 1 - piece


cdef void forward_chunk(const void* job, Py_ssize_t piece) noexcept nogil:
    """A portion of one chunk of a stage."""
    cdef const Stage* stage = <const Stage*> job
    cdef const Network* network = stage.network
    cdef Py_ssize_t chunk = chunk_of(stage, piece)
    cdef Group group = first_group(network, chunk, stage.portion)
    cdef Py_ssize_t i, k
    clear_padding(network, group.scratch)
    while group.first < group.last:
        if stage.first_layer == 0:
            fetch_rows(stage.batch, group.first, group.last)
            for i in range(group.first, group.last):
                gather_sample(network, stage.batch, i, group.scratch)
            # The next ones come while these are computed, be they of another chunk or mini-batch.
            fetch_rows(stage.batch, group.last, group.last + network.arena.n_together)
        for k in range(stage.first_layer, stage.last_layer):
            if is_interrupted(network.interruption):
                return
            forward_layer(network, &network.layers[k], &group)
        if wants_moments(network, stage.last_layer):
            sum_values_of(network, &network.layers[stage.last_layer], &group, chunk)
        next_group(network, &group)


cdef void forward_stage(Network* network, const Batch* batch, Py_ssize_t first_layer, Py_ssize_t last_layer) noexcept nogil:
    """Layers first_layer to last_layer - 1 of all chunks, and the moments for the normalisation after them."""
    cdef Stage stage = next_stage(network, first_layer, last_layer)
    cdef Py_ssize_t portion
    cdef Factors factors
    cdef double rate
    stage.batch = batch
    for portion in range(n_portions(network)):
        if is_interrupted(network.interruption):    # even regions without work take long where threads wait for a processor
            return
        stage.portion = portion
        take_in_turn(FORWARD_CHUNKS, threads_for_stage(network, last_layer), network.n_chunks, forward_chunk, &stage)
    if wants_moments(network, last_layer) and not is_interrupted(network.interruption):
        factors = factors_of(network, &network.layers[last_layer])
        rate = 1.0 / network.statistics_steps if network.statistics_steps > 0 else 0.0
        factors_of_batch(&network.layers[last_layer], network.parameters, chunk_sums_of(network, 0), network.arena.n_sums,
                         network.n_chunks, network.statistics, rate, &factors)


# A layer of all samples, or of some, that threads share.
ctypedef struct WholeLayer:
    const Network* network
    const Layer* layer
    real* gradient              # of all parameters, in a pass backward
    Py_ssize_t first            # sample
    Py_ssize_t n_samples


cdef inline WholeLayer whole_layer(const Network* network, const Layer* layer, real* gradient) noexcept nogil:
    cdef WholeLayer whole
    whole.network, whole.layer, whole.gradient, whole.first, whole.n_samples = network, layer, gradient, 0, network.n_samples
    return whole


cdef void dense_forward_piece(const void* job, Py_ssize_t block) noexcept nogil:
    cdef const WholeLayer* whole = <const WholeLayer*> job
    cdef const Network* network = whole.network
    if not is_interrupted(network.interruption):
        dense_forward_block(whole.layer, network.parameters, values_of(network, whole.layer.input_at, 0, 0),
                            values_of(network, whole.layer.output_at, 0, 0), network.n_samples, block)


cdef void dense_forward(const Network* network, const Layer* layer) noexcept nogil:
    cdef WholeLayer whole = whole_layer(network, layer, NULL)
    take_in_turn(DENSE_FORWARD, threads_for(network, network.n_samples * layer.n_weights),
                 dense_forward_blocks(layer, network.n_samples, forward_columns(network.n_samples)), dense_forward_piece, &whole)


cdef inline bint wants_transformed_weights(const Network* network, const Layer* layer) noexcept nogil:
    return layer.kind == CONVOLUTION and is_winograd(layer) and not network.knows_weights


cdef void prepare_layers(const Network* network, Py_ssize_t share, Py_ssize_t n_shares) noexcept nogil:
    """What layers derive from their parameters at the beginning of a call; one of n_shares shares of it."""
    cdef const Layer* layer
    cdef Factors factors
    cdef Py_ssize_t k
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        if wants_transformed_weights(network, layer):
            transform_weights(layer, network.parameters + layer.weights_at, transformed_of(network, layer),
                              remembered_of(network, layer), share, n_shares)
        elif share == 0 and layer.kind == NORMALISATION and not network.is_training:
            factors = factors_of(network, layer)
            factors_of_prediction(layer, network.parameters, network.statistics, &factors)


cdef void prepare_piece(const void* job, Py_ssize_t share) noexcept nogil:
    prepare_layers(<const Network*> job, share, PREPARED_SHARES)


cdef void prepare(const Network* network) noexcept nogil:
    """The same as a whole, by all threads where there is much of it."""
    cdef Py_ssize_t n_numbers = 0
    cdef Py_ssize_t k
    for k in range(network.arena.n_layers):
        if wants_transformed_weights(network, &network.layers[k]):
            n_numbers += network.layers[k].n_weights
    if 64 * n_numbers < SERIAL_WORK:
        prepare_layers(network, 0, 1)
        return
    divide(PREPARED_LAYERS, network.n_threads, PREPARED_SHARES, prepare_piece, network)


cdef inline Py_ssize_t end_of_stage(const Network* network, Py_ssize_t first_layer) noexcept nogil:
    cdef Py_ssize_t k = first_layer
    while k < network.arena.n_layers and network.layers[k].kind != DENSE and not (k > first_layer and wants_moments(network, k)):
        k += 1
    return k


cdef void forward(Network* network, const Batch* batch) noexcept nogil:
    cdef Py_ssize_t k, end
    if runs_in_bands(network):
        forward_in_bands(network, batch)
        return
    prepare(network)
    k = end_of_stage(network, 0)
    forward_stage(network, batch, 0, k)
    while k < network.arena.n_layers and not is_interrupted(network.interruption):
        if is_kind(network, k, DENSE):
            dense_forward(network, &network.layers[k])
            k += 1
            if wants_moments(network, k):
                forward_stage(network, batch, k, k)     # nothing but their sums
        else:
            end = end_of_stage(network, k)
            forward_stage(network, batch, k, end)
            k = end
