# A prediction of fewer samples than threads: layer by layer, by all threads together. The rows of a layer's outputs, those of all
# samples one after another, are cut into as many shares as there are threads; dense layers into the blocks that they always have.
# Threads take the shares of all layers in their order, and begin one when all of the layers before have ended. So nobody waits
# for a thread that has not come yet: what that would have done the others do.
#
#     rows of three samples   0 0 0 0 0 | 0 1 1 1 1 | 1 1 2 2 2 | 2 2 2          four shares: bands of one sample or of two
#
# The rows of a share that belong to one sample are a band, and a band is a layer: one of fewer rows, which takes a part of the
# padded image as it is. So the kernels know nothing of bands, and a sum has the same order in all of them.

cdef extern from "progress.h" nogil:
    ctypedef struct Progress:
        pass
    void begin_progress(Progress* progress)
    int64_t take_place(Progress* progress)
    void leave_place(Progress* progress)
    void wait_for_places(Progress* progress, int64_t n)

cpdef enum:
    SHARE_WORK = 100000         # multiply-adds below which a share is not worth the wait for it
    THREAD_WORK = 1000000       # multiplications of all layers together that are worth one thread more


cdef inline bint runs_in_bands(const Network* network) noexcept nogil:
    return network.arena.gradients_at < 0 and network.n_samples < network.n_threads


cdef inline bint stays_whole(const Layer* layer) noexcept nogil:
    """Whether the layer of a sample is one band."""
    return layer.kind == LOCAL or layer.kind == DROPOUT or (layer.has_small_map and not is_winograd(layer))


cdef inline Py_ssize_t rows_together(const Layer* layer) noexcept nogil:
    """Rows of the output that one thread has to compute: those of an image, or of half a group of tile rows.

    Winograd's weights are read once for a group, and half of one keeps a thread from waiting for the other. Tiles begin at
    multiples of their side."""
    cdef Py_ssize_t rows, tile_rows
    if stays_whole(layer):
        return layer.out.rows
    if not is_winograd(layer):
        return 1
    tile_rows = (tile_rows_together(layer) + 1) // 2
    rows = n_blocks(layer.tile_side * tile_rows, layer.pool.stride_rows)
    while rows * layer.pool.stride_rows % layer.tile_side != 0:
        rows += 1
    return rows


cdef inline Py_ssize_t bands_of_sample(const Layer* layer) noexcept nogil:
    """The most bands that the rows of one sample can be cut into."""
    return n_blocks(layer.out.rows, rows_together(layer))


cdef inline Py_ssize_t work_of(const Layer* layer) noexcept nogil:
    """Multiply-adds of one sample, forward; what has none counts by what it reads."""
    cdef Py_ssize_t taps = layer.kernel.rows * layer.kernel.columns * layer.channels
    if layer.kind == DENSE:
        return layer.n_weights
    return map_size(layer) * (taps if layer.kind == CONVOLUTION or layer.kind == LOCAL else 16)


cdef inline Py_ssize_t pieces_of_layer(const Network* network, const Layer* layer) noexcept nogil:
    """The most shares that a layer of all samples can be cut into."""
    if layer.kind == DENSE:
        return dense_forward_blocks(layer, network.n_samples, forward_columns(network.n_samples))
    return network.n_samples * bands_of_sample(layer)


cdef Py_ssize_t multiplications(const Network* network) noexcept nogil:
    """Of one sample: Winograd's algorithm has fewer, and weights to transform that threads would share."""
    cdef Py_ssize_t k, of_others, saved = 0
    cdef const Layer* layer
    for k in range(network.arena.n_layers):
        if network.layers[k].kind == CONVOLUTION and is_winograd(&network.layers[k]):
            layer = &network.layers[k]
            of_others = layer.tile_side * layer.tile_side * layer.kernel.rows * layer.kernel.columns    # for the pixels of a tile
            saved += work_of(layer) * (of_others - places_of_tile(layer)) // of_others
    return network.arena.work - saved


cdef int useful_threads(const Network* network) noexcept nogil:
    """As many threads, of those that may be, as are worth what they cost."""
    cdef Py_ssize_t n_threads = min(network.n_threads, most_pieces(network))
    if step_work(network) < SERIAL_WORK:
        return 1
    if runs_in_bands(network):
        n_threads = min(n_threads, max(network.n_samples, network.n_samples * multiplications(network) // THREAD_WORK))
    return <int> n_threads


cdef Layer layer_of_band(const Layer* layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Rows first to last - 1 of the output as a layer of their own. Its input is the part of the padded image that they see."""
    cdef Layer band = layer[0]
    band.out.rows = last - first
    band.map.rows = (band.out.rows - 1) * layer.pool.stride_rows + layer.pool.rows
    if is_winograd(layer):
        band.map.rows = min(n_blocks(band.map.rows, layer.tile_side) * layer.tile_side,
                            layer.map.rows - first * layer.pool.stride_rows)
    band.crop.row -= first * layer.pool.stride_rows * layer.stride.rows
    band.rows = band.padded.rows = (band.map.rows - 1) * layer.stride.rows + layer.kernel.rows
    band.columns = layer.padded.columns
    return band


cdef const real* padded_band(const Layer* layer, const Layer* band, const Run* runs, Py_ssize_t first,
                             const Areas* areas) noexcept nogil:
    """The input of a band that begins with row `first` of the output: where it stands, or padded in the scratch."""
    cdef Py_ssize_t begin = first * layer.pool.stride_rows * layer.stride.rows * padded_row_size(layer)
    cdef Py_ssize_t n = padded_size(band)
    if layer.input_is_padded or not is_padded(layer):
        return areas.images + begin
    memset(areas.padded, 0, <size_t> n * sizeof(real))
    pad_part(runs + layer.first_run, layer.n_runs, areas.images, begin, begin + n, areas.padded)
    return areas.padded


cdef void forward_band(const Network* network, const Layer* layer, Py_ssize_t sample, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    """Rows first to last - 1 of the output of one sample."""
    cdef Group group
    cdef Layer band = layer_of_band(layer, first, last)
    cdef Factors factors
    cdef Areas areas
    # What a normalisation leaves in a scratch is found there by all threads: there are more scratches than samples.
    group.first, group.last, group.scratch = sample, sample + 1, scratch_at(network, sample)
    if stays_whole(layer):
        forward_layer(network, layer, &group)
        return
    areas = areas_of(network, layer, &group, sample, 1)
    point_into_scratch(network, layer, scratch_of(network), &areas)
    areas.images = padded_band(layer, &band, network.runs, first, &areas)
    areas.outputs += first * output_row_size(layer)
    areas.maps, areas.positions = NULL, NULL
    if layer.kind == POOLING:
        pool_map(&band, areas.images, areas.outputs, NULL)
    elif layer.kind == NORMALISATION:
        factors = factors_of(network, layer)
        normalise(&band, network.parameters, &factors, areas.images, areas.outputs)
    elif is_winograd(layer):
        winograd_convolution(&band, network.runs, network.parameters, transformed_of(network, layer), &areas)
    else:
        direct_convolution(&band, network.runs, network.parameters, &areas)


cdef void forward_share(const Network* network, const Layer* layer, Py_ssize_t share, Py_ssize_t n_shares) noexcept nogil:
    """One of n_shares shares of a layer of all samples."""
    cdef Py_ssize_t n_pieces = pieces_of_layer(network, layer)
    cdef Py_ssize_t n_bands = bands_of_sample(layer)
    cdef Py_ssize_t rows = rows_together(layer)
    cdef Py_ssize_t piece = share * n_pieces // n_shares
    cdef Py_ssize_t end = (share + 1) * n_pieces // n_shares
    cdef Py_ssize_t sample, beyond
    while piece < end:
        if layer.kind == DENSE:
            beyond = piece + 1
            dense_forward_block(layer, network.parameters, values_of(network, layer.input_at, 0, 0),
                                values_of(network, layer.output_at, 0, 0), network.n_samples, piece)
        else:
            sample = piece // n_bands
            beyond = min(end, (sample + 1) * n_bands)
            forward_band(network, layer, sample, (piece - sample * n_bands) * rows,
                         min((beyond - sample * n_bands) * rows, layer.out.rows))
        piece = beyond


cdef inline Py_ssize_t shares_of(const Network* network, Py_ssize_t k) noexcept nogil:
    """How many shares layer k is cut into; -1 stands for what comes before the layers."""
    cdef const Layer* layer = &network.layers[k]
    if k < 0:
        return network.n_threads
    return min(pieces_of_layer(network, layer),
               max(1, min(network.n_threads, network.n_samples * work_of(layer) // SHARE_WORK)))


cdef void prepare_share(const Network* network, const Batch* batch, Py_ssize_t share, Py_ssize_t n_shares) noexcept nogil:
    """What comes before the layers: there is a share for every image at least."""
    prepare_layers(network, share, n_shares)
    if share < network.n_samples:
        gather_sample(network, batch, share, NULL)


cdef void take_shares(const Network* network, const Batch* batch, Progress* progress) noexcept nogil:
    """What each thread of a team does: it takes one share after another until there are none."""
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t k = -1
    cdef Py_ssize_t n_shares = shares_of(network, k)
    cdef Py_ssize_t place = take_place(progress)
    while True:
        while place >= begin + n_shares:
            k, begin = k + 1, begin + n_shares
            if k == network.arena.n_layers:
                record_region(FORWARD_BANDS, begin)
                return
            n_shares = shares_of(network, k)
        wait_for_places(progress, begin)
        if not is_interrupted(network.interruption):
            if k < 0:
                prepare_share(network, batch, place - begin, n_shares)
            else:
                forward_share(network, &network.layers[k], place - begin, n_shares)
        leave_place(progress)
        place = take_place(progress)


cdef void forward_in_bands(const Network* network, const Batch* batch) noexcept nogil:
    cdef uint64_t mode = 0
    cdef Progress progress
    begin_progress(&progress)
    with parallel(num_threads=network.n_threads):
        mode = enter_float_mode()
        take_shares(network, batch, &progress)
        leave_float_mode(mode)
