# A network and one mini-batch, as the passes see them: where everything stands in the workspace, and what is asked of it.

ctypedef struct Network:
    const Layer* layers
    const Arena* arena
    const Run* runs
    const real* parameters
    real* workspace             # the block of numbers that `arena` divides
    char* positions
    Py_ssize_t n_samples
    Py_ssize_t first_place      # of the first sample in its mini-batch, of which the samples may be a slice
    Py_ssize_t n_chunks
    int n_threads
    Interruption* interruption
    Py_ssize_t first_dense      # layers up to there run chunk by chunk
    Py_ssize_t direction        # of the next stage through the chunks, 1 or -1
    int64_t call                # no other call has its number, which is never 0
    real* statistics            # running means and variances of normalisations
    bint knows_weights          # transformed weights are those of the call before
    bint is_training            # with moments of the batch, and dropout; what follows is used then only
    const int64_t* order        # row of `sample_weight` for each sample of the batch
    const real* sample_weight   # NULL: all are 1
    double weight_sum
    int64_t statistics_steps    # mini-batches that statistics are a mean of, this one included; 0: they stay
    uint64_t seed               # of dropout
    uint32_t step


cdef inline real* values_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.workspace + network.arena.values_at + at * network.arena.capacity + sample * size


cdef inline real* scores_of(const Network* network, Py_ssize_t sample) noexcept nogil:
    """What the last layer hands on."""
    return values_of(network, network.layers[network.arena.n_layers - 1].output_at, network.arena.n_outputs, sample)


cdef inline real* gradients_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.workspace + network.arena.gradients_at + at * network.arena.capacity + sample * size


cdef inline real* kept_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.workspace + network.arena.kept_at + at * network.arena.capacity + sample * size


cdef inline real* kept_gradients_of(const Network* network, int64_t at, int64_t size, Py_ssize_t sample) noexcept nogil:
    return network.workspace + network.arena.kept_gradients_at + at * network.arena.capacity + sample * size


cdef inline real* inputs_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    return values_of(network, layer.input_at, padded_size(layer) if layer.input_is_padded else input_size(layer), sample)


cdef inline real* local_inputs_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    # The padded images of a locally connected block, which its weight gradient reads again.
    if layer.input_is_padded:
        return inputs_of(network, layer, sample)
    return kept_of(network, layer.kept.padded_at, padded_size(layer), sample)


cdef inline char* positions_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    if network.positions == NULL or layer.pooling != MAXIMUM:
        return NULL
    return network.positions + layer.positions_at * network.arena.capacity + sample * position_bytes(layer)


cdef inline real* map_of(const Network* network, const Layer* layer, Py_ssize_t sample) noexcept nogil:
    if layer.map_at < 0:
        return NULL
    return kept_of(network, layer.map_at, map_size(layer), sample)


# Samples of a chunk that go through the layers together, in one thread.
ctypedef struct Group:
    Py_ssize_t first
    Py_ssize_t last             # the first that is not among them
    Py_ssize_t end              # of the portion of the chunk
    Py_ssize_t chunk_begin
    real* scratch


cdef inline real* inputs_in(const Network* network, const Layer* layer, const Group* group, Py_ssize_t sample) noexcept nogil:
    if layer.input_in_scratch:
        return group.scratch + network.arena.in_scratch_at + (sample - group.first) * input_size(layer)
    return inputs_of(network, layer, sample)


cdef inline real* outputs_in(const Network* network, const Layer* layer, const Group* group, Py_ssize_t sample) noexcept nogil:
    if layer.output_in_scratch:
        return group.scratch + network.arena.in_scratch_at + (sample - group.first) * output_size(layer)
    return values_of(network, layer.output_at, output_size(layer), sample)


cdef inline real* scratch_at(const Network* network, Py_ssize_t thread) noexcept nogil:
    return network.workspace + network.arena.scratch_at + thread * network.arena.n_scratch


cdef inline real* scratch_of(const Network* network) noexcept nogil:
    return scratch_at(network, threadid())


cdef inline void clear_padding(const Network* network, real* scratch) noexcept nogil:
    """Zeros for the borders of the padded images in a thread's scratch, where it has not put them there in this call."""
    cdef int64_t* last_call = <int64_t*> (scratch + network.arena.last_call_at)
    if last_call[0] != network.call:
        memset(scratch, 0, <size_t> network.arena.band_at * sizeof(real))
        last_call[0] = network.call


cdef inline void point_into_scratch(const Network* network, const Layer* layer, real* scratch, Areas* areas) noexcept nogil:
    areas.padded = scratch + layer.padded_at
    areas.band = scratch + network.arena.band_at
    areas.frame = areas.d_padded = areas.entries = NULL
    if network.arena.gradients_at >= 0:
        areas.frame = scratch + network.arena.frames_at + layer.frame_at
        areas.d_padded = scratch + network.arena.d_padded_at
        areas.entries = scratch + network.arena.entries_at


cdef inline Areas areas_of(const Network* network, const Layer* layer, const Group* group, Py_ssize_t first,
                           Py_ssize_t n_samples) noexcept nogil:
    """Where a layer computes samples first to first + n_samples - 1 of a group."""
    cdef Areas areas
    areas.n_samples = n_samples
    areas.images, areas.outputs = inputs_in(network, layer, group, first), outputs_in(network, layer, group, first)
    areas.maps, areas.positions = map_of(network, layer, first), positions_of(network, layer, first)
    areas.d_images = areas.d_outputs = NULL
    if network.arena.gradients_at >= 0:
        areas.d_outputs = gradients_of(network, layer.output_at, output_size(layer), first)
        if layer.input_gradient_wanted:
            areas.d_images = gradients_of(network, layer.input_at, input_size(layer), first)
    point_into_scratch(network, layer, group.scratch, &areas)
    return areas


cdef inline real* flipped_of(const Network* network, const Layer* layer) noexcept nogil:
    return network.workspace + network.arena.flipped_at + layer.flipped_at


cdef inline real* transformed_of(const Network* network, const Layer* layer) noexcept nogil:
    return network.workspace + network.arena.transformed_at + layer.transformed_at


cdef inline real* remembered_of(const Network* network, const Layer* layer) noexcept nogil:
    """The weights that the transformed ones were made of, NULL in training, where they change with every step."""
    if network.arena.remembered_at < 0:
        return NULL
    return network.workspace + network.arena.remembered_at + layer.remembered_at


cdef inline Factors factors_of(const Network* network, const Layer* layer) noexcept nogil:
    return factors_at(layer, network.workspace + network.arena.factors_at + layer.factors_at)


cdef inline double* chunk_sums_of(const Network* network, Py_ssize_t chunk) noexcept nogil:
    # An area of double-precision numbers, with room for two of the workspace's for each.
    return <double*> (network.workspace + network.arena.sums_at) + chunk * network.arena.n_sums


cdef inline double weight_of(const Network* network, Py_ssize_t sample) noexcept nogil:
    return network.sample_weight[network.order[sample]] if network.sample_weight != NULL else 1.0


cdef Py_ssize_t cut_into_chunks(const Network* network) noexcept nogil:
    """The number of chunks; where gradients are summed up chunk by chunk the mini-batch alone decides it.

    A prediction is the same in any chunk: there every thread is to have some of them, and as many as the others."""
    cdef Py_ssize_t n_chunks = min(network.arena.n_chunks, network.n_samples)
    if network.arena.gradients_at < 0:
        n_chunks = min(n_blocks(n_chunks, network.n_threads) * network.n_threads, network.n_samples)
    return n_chunks


cdef inline Py_ssize_t chunk_begin(const Network* network, Py_ssize_t chunk) noexcept nogil:
    return chunk * network.n_samples // network.n_chunks


cdef inline Py_ssize_t portion_size(const Network* network) noexcept nogil:
    """Samples of a portion: whole groups, so that samples go together as they would in the whole chunk."""
    cdef Py_ssize_t n_groups = PORTION_WORK // max(1, network.arena.n_together * network.arena.work)
    return max(1, n_groups) * network.arena.n_together


cdef inline Py_ssize_t n_portions(const Network* network) noexcept nogil:
    """Portions of the longest chunk, and so of all."""
    return n_blocks(n_blocks(network.n_samples, network.n_chunks), portion_size(network))


cdef inline bint is_kind(const Network* network, Py_ssize_t k, int64_t kind) noexcept nogil:
    return 0 <= k < network.arena.n_layers and network.layers[k].kind == kind


cdef inline bint wants_moments(const Network* network, Py_ssize_t k) noexcept nogil:
    return network.is_training and is_kind(network, k, NORMALISATION)


cdef inline Py_ssize_t update_size(const Layer* layer) noexcept nogil:
    """Weights of a piece of an update: at least 4096, and as many as leave no more than MAXIMUM_PIECES pieces."""
    return max(4096, whole_lines(n_blocks(layer.n_weights, MAXIMUM_PIECES)))


cdef Py_ssize_t most_pieces(const Network* network) noexcept nogil:
    """The most pieces that the work of any region can be cut into: more threads than that would have nothing to do.

    Of mini-batches of any size, not of this one: OpenMP would end threads and start them again from one to the next."""
    cdef Py_ssize_t k, pieces = network.arena.n_chunks if network.arena.gradients_at >= 0 else network.arena.capacity
    cdef const Layer* layer
    for k in range(network.arena.n_layers):
        layer = &network.layers[k]
        pieces = max(pieces, n_blocks(layer.n_weights, update_size(layer)))
        if layer.kind == DENSE:
            pieces = max(pieces, dense_forward_blocks(layer, network.arena.capacity, FORWARD_COLUMNS))
            pieces = max(pieces, dense_weight_blocks(layer) + dense_input_blocks(layer))
        elif layer.kind == LOCAL:
            pieces = max(pieces, layer.map.rows)
        elif network.arena.gradients_at < 0:
            pieces = max(pieces, network.arena.capacity * bands_of_sample(layer))
    return pieces


cdef inline Py_ssize_t step_work(const Network* network) noexcept nogil:
    """Multiply-adds of a pass forward."""
    return network.n_samples * network.arena.work


cdef inline int threads_for(const Network* network, Py_ssize_t work) noexcept nogil:
    # A parallel region costs some microseconds: below that much work it does not pay. Numbers do not change.
    return network.n_threads if work >= SERIAL_WORK else 1


cdef inline int threads_for_stage(const Network* network, Py_ssize_t last_layer) noexcept nogil:
    # After a dense layer a stage has no more than a few operations for each unit.
    if last_layer > network.first_dense:
        return threads_for(network, 16 * network.n_samples * network.layers[last_layer - 1].filters)
    return network.n_threads
