# Both gradients of a convolution by Winograd's algorithm, where the map's gradient is there as a whole.
#
# That of the input is a convolution itself: of the map's gradient, in its frame of zeros, with the kernels turned round. That of
# the weights turns the algorithm round, with tiles of 2 x 2 pixels:
#
#     d_w = G^T [ sum over tiles of (B^T d B) * (A d_map A^T) ] G              * is element by element
#
# The sum is a matrix product for each place: rows are channels, columns are filters. Chunks add up what stands in the brackets.

cdef inline Py_ssize_t places_of_pair(Py_ssize_t taps) noexcept nogil:
    # Products of a row of two pixels.
    return 7 if taps == 5 else 4


cdef inline void spread_pair(vector* kind, Py_ssize_t taps, const vector* pair, vector* m) noexcept nogil:
    # A d_map for one column
    m[0] = pair[0]
    SUM(m[1], pair[0], pair[1])
    SUBTRACT(m[2], pair[0], pair[1])
    m[3] = pair[1]
    SCALE(m[3], <real> -1.0)
    if taps == 5:
        m[4] = m[0]
        m[5] = m[1]
        m[6] = m[3]


cdef inline void spread_tile(vector* kind, Py_ssize_t taps, const real* d_map, Py_ssize_t row, Py_ssize_t filters, real* target,
                             Py_ssize_t place) noexcept nogil:
    # One vector of filters of A d_map A^T.
    cdef vector pair[2]
    cdef vector columns[2][MOST_PLACES]
    cdef vector m[MOST_PLACES]
    cdef Py_ssize_t n_places = places_of_pair(taps)
    cdef Py_ssize_t i, j
    for j in range(2):
        for i in range(2):
            pair[i] = (<const vector*> (d_map + i * row + j * filters))[0]
        spread_pair[vector](kind, taps, pair, columns[j])
    for i in range(n_places):
        for j in range(2):
            pair[j] = columns[j][i]
        spread_pair[vector](kind, taps, pair, m)
        for j in range(n_places):
            (<vector*> target)[0] = m[j]
            target += place
            FORGET_ORIGIN(target)


cdef inline void gather_taps(vector* kind, Py_ssize_t taps, const vector* g, vector* w) noexcept nogil:
    # G^T g for one column
    cdef vector half
    SUM(half, g[1], g[2])
    SCALE(half, <real> 0.5)
    SUM(w[0], g[0], half)
    SUM(w[2], g[3], half)
    SUBTRACT(w[1], g[1], g[2])
    SCALE(w[1], <real> 0.5)
    if taps == 5:
        SUM(w[3], g[4], g[5])
        SUM(w[4], g[5], g[6])


cdef inline void gather_kernels(vector* kind, Py_ssize_t taps, const real* sums, Py_ssize_t place, real* gradient,
                                Py_ssize_t n) noexcept nogil:
    # One vector of channels and filters of G^T g G; n is the distance of taps, `place` that of places.
    cdef vector g[MOST_PLACES]
    cdef vector w[MOST_TAPS]
    cdef vector rows[MOST_TAPS][MOST_PLACES]
    cdef Py_ssize_t n_places = places_of_pair(taps)
    cdef Py_ssize_t i, j
    for j in range(n_places):
        for i in range(n_places):
            g[i] = (<const vector*> (sums + (n_places * i + j) * place))[0]
        gather_taps[vector](kind, taps, g, w)
        for i in range(taps):
            rows[i][j] = w[i]
    for i in range(taps):
        gather_taps[vector](kind, taps, rows[i], w)
        for j in range(taps):
            (<vector*> (gradient + (taps * i + j) * n))[0] = w[j]


cdef void gradient_from_places(const Layer* layer, const real* sums, real* gradient) noexcept nogil:
    """[place, channel, filter] -> [tap, channel, filter]"""
    cdef Py_ssize_t n = layer.channels * layer.filters
    cdef Py_ssize_t place = weights_place(layer)
    cdef Py_ssize_t k = 0
    while k < n:
        if layer.kernel.rows == 3:
            gather_kernels[vector_wide](NULL, 3, sums + k, place, gradient + k, n)
        else:
            gather_kernels[vector_wide](NULL, 5, sums + k, place, gradient + k, n)
        k += LANES_WIDE


cdef inline void sum_tiles(Py_ssize_t taps, const Layer* layer, const Tiling* tiling, const real* d_map, Py_ssize_t d_map_row,
                           Py_ssize_t first, Py_ssize_t last, bint begins, real* sums) noexcept nogil:
    # Tile rows first to last - 1. `taps` is a constant at every call.
    cdef Product shape
    cdef Py_ssize_t n_tiles = (last - first) * tile_columns_of(layer)
    cdef Py_ssize_t n_places = places_of_tile(layer)
    cdef Py_ssize_t image_place = distance_of_places(n_tiles * layer.channels)
    cdef Py_ssize_t gradient_place = distance_of_places(n_tiles * layer.filters)
    cdef real* images = tiling.scratch
    cdef real* gradients = images + n_places * image_place
    cdef real* target = gradients
    cdef Series series
    cdef Py_ssize_t row, c, k
    transform_tiles(2, taps, places_of_pair(taps), layer, tiling, first, last, images, NULL)
    for row in range(first, last):
        for c in range(tile_columns_of(layer)):
            k = 0
            while k < layer.filters:
                spread_tile[vector_wide](NULL, taps, d_map + 2 * row * d_map_row + 2 * c * layer.filters + k, d_map_row,
                                         layer.filters, target + k, gradient_place)
                k += LANES_WIDE
            target += layer.filters
    shape.n_outer = 1
    shape.n_inner = n_tiles
    shape.a_row = 1
    shape.a_outer = 0
    shape.a_inner = layer.channels
    shape.b_outer = 0
    shape.b_inner = shape.c_row = layer.filters
    series.n, series.a, series.b, series.c = n_places, image_place, gradient_place, weights_place(layer)
    series.a_of = NULL
    add_product(layer.channels, layer.filters, &shape, series, images, gradients, begins, sums)


cdef void winograd_weight_gradient(const Layer* layer, const real* padded, const real* d_map, Py_ssize_t d_map_row, bint begins,
                                   real* sums, real* scratch) noexcept nogil:
    """sums += those of one sample, or = where they begin."""
    cdef Layer tiled = layer[0]
    cdef Tiling tiling = tiling_of(layer, padded, scratch)
    cdef Py_ssize_t n_rows, group, last, first = 0
    tiled.tile_side, tiled.tile_places, tiled.pooling = 2, places_of_pair(layer.kernel.rows), NO_POOLING
    n_rows = tile_rows_of(&tiled)
    group = max(1, SUMMED_TILES // tile_columns_of(&tiled))
    while first < n_rows:
        last = min(first + group, n_rows)
        if layer.kernel.rows == 3:
            sum_tiles(3, &tiled, &tiling, d_map, d_map_row, first, last, begins and first == 0, sums)
        else:
            sum_tiles(5, &tiled, &tiling, d_map, d_map_row, first, last, begins and first == 0, sums)
        first = last


cdef inline Layer turned_round(const Layer* layer) noexcept nogil:
    """The convolution that makes the input's gradient of the map's."""
    cdef Layer turned = layer[0]
    turned.tile_side, turned.tile_places, turned.pooling = layer.gradient_side, layer.gradient_places, NO_POOLING
    turned.channels, turned.filters = layer.filters, layer.channels
    turned.map.rows, turned.map.columns = layer.crop.rows, layer.crop.columns
    return turned


cdef void turn_weights(const Layer* layer, real* flipped) noexcept nogil:
    """Transform flipped weights; the result stands after them."""
    cdef Layer turned = turned_round(layer)
    transform_weights(&turned, flipped, flipped + whole_lines(layer.n_weights), NULL, 0, 1)


cdef inline void gradient_of_tiles(const Layer* layer, const real* flipped, Tiling* tiling, real* d_target,
                                   Py_ssize_t n_samples) noexcept nogil:
    cdef Layer turned = turned_round(layer)
    tiling.transformed, tiling.bias = flipped + whole_lines(layer.n_weights), ZEROS
    tiling.maps, tiling.outputs, tiling.positions = d_target, NULL, NULL
    winograd_maps(&turned, tiling, n_samples)


cdef void winograd_input_gradient(const Layer* layer, const real* flipped, const real* frame, real* d_target,
                                  Py_ssize_t n_samples, real* scratch) noexcept nogil:
    """frame -> d_target, the crop whose gradient is wanted; for some samples, one after another."""
    cdef Tiling tiling
    tiling.padded_row = layer.gradient.columns * layer.filters
    tiling.padded = frame + layer.crop.row * tiling.padded_row + layer.crop.column * layer.filters
    tiling.padded_rows = layer.gradient.rows - layer.crop.row
    tiling.padded_columns = layer.gradient.columns - layer.crop.column
    tiling.padded_image = frame_size(layer)
    tiling.scratch = scratch
    gradient_of_tiles(layer, flipped, &tiling, d_target, n_samples)


cdef void whole_input_gradient(const Layer* layer, const real* flipped, const real* d_maps, Py_ssize_t d_map_size,
                               real* d_images, Py_ssize_t n_samples, real* scratch) noexcept nogil:
    """The same of small maps, each of which is a tile; `d_map_size` is the distance of their gradients."""
    cdef Tiling tiling = tiling_of_whole(d_maps, map_row_size(layer), d_map_size, scratch)
    gradient_of_tiles(layer, flipped, &tiling, d_images, n_samples)
