# Winograd's algorithm (Winograd 1980; Lavin and Gray 2016): four pixels of a convolution from fewer products than one for every
# pixel and tap. For every tile of 2 x 2 pixels of the map, with d the pixels of the padded image that it sees:
#
#     map tile = A^T [ sum over channels of (G w G^T) * (B^T d B) ] A            * is element by element
#
# F(2x2, 3x3) has 16 products instead of 36, from 4 x 4 pixels:
#
#     B^T = 1  0 -1  0      G = 1    0    0      A^T = 1  1  1  0
#           0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
#           0 -1  1  0          1/2 -1/2  1/2
#           0  1  0 -1          0    0    1
#
# Five taps are three and two more, which meet the pixels three places on. Two taps have an algorithm likewise, F(2, 2):
#
#     B^T = 1 -1  0         G = 1    0           A^T = 1  1  0
#           0  1  0             1    1                 0  1 -1
#           0  1 -1             0    1
#
# Side by side they make 4 + 3 products of a row, 49 of a tile instead of 100, from 6 x 6 pixels. F(2x2, 5x5) in one piece has 36,
# and factors such as 1/24, which round.
#
# The sum over channels is a matrix product for each of these places: rows are tiles, columns are filters. Transforms run on whole
# vectors of channels or filters. The last vector of channels may overlap the one before. All factors are powers of two, so
# integers stay exact; the rounding of real numbers has a bound of its own, see tests/test_winograd.py.
#
# `taps`, those of a kernel's row, is a constant at every call: 3 or 5.

cdef enum:
    MOST_SEEN = 6               # pixels of a row that a tile sees
    MOST_PLACES = 7             # products of a row


cdef inline Py_ssize_t places_of_row(Py_ssize_t taps) noexcept nogil:
    return 4 if taps == 3 else MOST_PLACES


cdef inline Py_ssize_t places_of_tile(const Layer* layer) noexcept nogil:
    return places_of_row(layer.kernel.rows) * places_of_row(layer.kernel.columns)


cdef inline bint is_winograd(const Layer* layer) noexcept nogil:
    return layer.transformed_at >= 0


cdef inline void combine_rows(vector* kind, Py_ssize_t taps, const vector* d, vector* t) noexcept nogil:
    # t = B^T d for one column
    SUBTRACT(t[0], d[0], d[2])
    SUM(t[1], d[1], d[2])
    SUBTRACT(t[2], d[2], d[1])
    SUBTRACT(t[3], d[1], d[3])
    if taps == 5:
        SUBTRACT(t[4], d[3], d[4])
        t[5] = d[4]
        SUBTRACT(t[6], d[4], d[5])


cdef inline void transform_tile(vector* kind, Py_ssize_t taps, const real* patch, Py_ssize_t row, Py_ssize_t channels,
                                real* target, Py_ssize_t place) noexcept nogil:
    # One vector of channels of B^T d B; `place` is the distance of the results.
    cdef vector d[MOST_SEEN]
    cdef vector columns[MOST_SEEN][MOST_PLACES]
    cdef vector t[MOST_PLACES]
    cdef Py_ssize_t n_places = places_of_row(taps)
    cdef Py_ssize_t i, j
    for j in range(taps + 1):
        for i in range(taps + 1):
            d[i] = (<const vector*> (patch + i * row + j * channels))[0]
        combine_rows[vector](kind, taps, d, columns[j])
    for i in range(n_places):
        for j in range(taps + 1):
            d[j] = columns[j][i]
        combine_rows[vector](kind, taps, d, t)
        for j in range(n_places):
            (<vector*> (target + (n_places * i + j) * place))[0] = t[j]


cdef inline void transform_channels(vector* kind, Py_ssize_t taps, Py_ssize_t lanes, const real* patch, Py_ssize_t row,
                                    Py_ssize_t channels, real* target, Py_ssize_t place) noexcept nogil:
    # All vectors of channels.
    cdef Py_ssize_t k = 0
    while k < channels:
        k = min(k, channels - lanes)
        transform_tile[vector](kind, taps, patch + k, row, channels, target + k, place)
        k += lanes


cdef inline void restore_pair(vector* kind, Py_ssize_t taps, const vector* m, vector* pair) noexcept nogil:
    # A^T m for one column
    SUM(pair[0], m[0], m[1])
    ADD(pair[0], m[2])
    SUBTRACT(pair[1], m[1], m[2])
    SUBTRACT(pair[1], pair[1], m[3])
    if taps == 5:
        ADD(pair[0], m[4])
        ADD(pair[0], m[5])
        ADD(pair[1], m[5])
        SUBTRACT(pair[1], pair[1], m[6])


cdef inline void restore_tile(vector* kind, Py_ssize_t taps, const real* products, Py_ssize_t place, const real* bias,
                              vector* pixels) noexcept nogil:
    # One vector of filters of A^T m A, bias added: the four pixels of a tile, row by row.
    cdef vector m[MOST_PLACES]
    cdef vector s[2][MOST_PLACES]
    cdef vector pair[2]
    cdef Py_ssize_t n_places = places_of_row(taps)
    cdef Py_ssize_t i, j
    for j in range(n_places):
        for i in range(n_places):
            m[i] = (<const vector*> (products + (n_places * i + j) * place))[0]
        restore_pair[vector](kind, taps, m, pair)
        s[0][j] = pair[0]
        s[1][j] = pair[1]
    for i in range(2):
        restore_pair[vector](kind, taps, s[i], pair)
        SUM(pixels[2 * i], pair[0], (<const vector*> bias)[0])
        SUM(pixels[2 * i + 1], pair[1], (<const vector*> bias)[0])


cdef inline void restore_tiles(int64_t pooling, const Layer* layer, const real* products, Py_ssize_t place, const real* bias,
                               Py_ssize_t first, Py_ssize_t last, real* maps, real* outputs, uint8_t* positions) noexcept nogil:
    # Tile rows first to last - 1 of maps that stand one after another. `pooling` is a constant at every call: a tile is a window
    # of the pooling, or the map itself is wanted, which then has even sides.
    cdef vector_wide[4] pixels
    cdef Py_ssize_t tile_columns = layer.map.columns // 2
    cdef Py_ssize_t row, c, k, i, at, window
    cdef real* map
    for row in range(first, last):
        for c in range(tile_columns):
            at = 2 * (row * layer.map.columns + c) * layer.filters
            window = (row * tile_columns + c) * layer.filters
            k = 0
            while k < layer.filters:
                if layer.kernel.rows == 3:
                    restore_tile[vector_wide](NULL, 3, products + k, place, bias + k, pixels)
                else:
                    restore_tile[vector_wide](NULL, 5, products + k, place, bias + k, pixels)
                map = maps + at + k if maps != NULL else NULL
                if pooling == NO_POOLING:
                    for i in range(4):
                        (<vector_wide*> (map + (i // 2 * layer.map.columns + i % 2) * layer.filters))[0] = pixels[i]
                else:
                    pool_four[vector_wide](NULL, pooling, layer, pixels, 1, map, outputs + window + k,
                                           positions + window + k if positions != NULL else NULL)
                k += LANES_WIDE
            products += layer.filters


cdef inline Py_ssize_t weights_place(const Layer* layer) noexcept nogil:
    # The distance of two places of transformed weights: a vector more than they need, because all stores at a distance of a
    # power of two would fall into the same set of the cache.
    return layer.channels * layer.filters + 16


cdef inline void spread_taps(vector* kind, Py_ssize_t taps, const vector* w, vector* g) noexcept nogil:
    # G w for one column
    cdef vector outer
    g[0] = w[0]
    g[3] = w[2]
    SUM(outer, w[0], w[2])
    SUM(g[1], outer, w[1])
    SUBTRACT(g[2], outer, w[1])
    SCALE(g[1], <real> 0.5)
    SCALE(g[2], <real> 0.5)
    if taps == 5:
        g[4] = w[3]
        SUM(g[5], w[3], w[4])
        g[6] = w[4]


cdef inline void transform_kernels(vector* kind, Py_ssize_t taps, const real* weights, Py_ssize_t n, real* transformed,
                                   Py_ssize_t place) noexcept nogil:
    # One vector of channels and filters of G w G^T; n is the distance of taps, `place` that of places.
    cdef vector w[5]
    cdef vector g[MOST_PLACES]
    cdef vector rows[MOST_PLACES][5]
    cdef Py_ssize_t n_places = places_of_row(taps)
    cdef Py_ssize_t i, j
    for j in range(taps):
        for i in range(taps):
            w[i] = (<const vector*> (weights + (taps * i + j) * n))[0]
        spread_taps[vector](kind, taps, w, g)
        for i in range(n_places):
            rows[i][j] = g[i]
    for i in range(n_places):
        spread_taps[vector](kind, taps, rows[i], g)
        for j in range(n_places):
            (<vector*> (transformed + (n_places * i + j) * place))[0] = g[j]


cdef void transform_weights(const Layer* layer, const real* weights, real* transformed, Py_ssize_t share,
                            Py_ssize_t n_shares) noexcept nogil:
    """G w G^T of every channel and filter: [place, channel, filter]; one of n_shares shares of them."""
    cdef Py_ssize_t n = layer.channels * layer.filters
    cdef Py_ssize_t n_vectors = n // LANES_WIDE
    cdef Py_ssize_t place = weights_place(layer)
    cdef Py_ssize_t k
    for k in range(share * n_vectors // n_shares, (share + 1) * n_vectors // n_shares):
        if layer.kernel.rows == 3:
            transform_kernels[vector_wide](NULL, 3, weights + k * LANES_WIDE, n, transformed + k * LANES_WIDE, place)
        else:
            transform_kernels[vector_wide](NULL, 5, weights + k * LANES_WIDE, n, transformed + k * LANES_WIDE, place)


cdef void winograd_tiles(const Layer* layer, const real* transformed, const real* bias, const real* padded, Py_ssize_t first,
                         Py_ssize_t last, real* maps, real* outputs, const Areas* areas) noexcept nogil:
    """Tile rows first to last - 1, counted through all images."""
    cdef uint8_t* positions = <uint8_t*> areas.positions
    cdef Product shape
    cdef Py_ssize_t tile_rows = layer.map.rows // 2
    cdef Py_ssize_t tile_columns = layer.map.columns // 2
    cdef Py_ssize_t n_tiles = (last - first) * tile_columns
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t image_place = n_tiles * layer.channels
    cdef Py_ssize_t product_place = n_tiles * layer.filters
    cdef real* images = areas.band
    cdef real* products = areas.band + places_of_tile(layer) * image_place
    cdef Py_ssize_t row, c, k
    cdef const real* source
    for row in range(first, last):
        source = padded + (row // tile_rows * layer.padded.rows + 2 * (row % tile_rows)) * padded_row
        for c in range(tile_columns):
            if layer.kernel.rows == 3:
                transform_channels[vector_wide](NULL, 3, LANES_WIDE, source, padded_row, layer.channels, images, image_place)
            else:
                transform_channels[vector_wide](NULL, 5, LANES_WIDE, source, padded_row, layer.channels, images, image_place)
            source += 2 * layer.channels
            images += layer.channels
    images = areas.band
    shape.n_outer = 1
    shape.n_inner = layer.channels
    shape.a_row = layer.channels
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    shape.start_row = 0
    for k in range(places_of_tile(layer)):
        product_from_zero(n_tiles, layer.filters, &shape, images + k * image_place,
                          transformed + k * weights_place(layer), products + k * product_place)
    if outputs == NULL:
        restore_tiles(NO_POOLING, layer, products, product_place, bias, first, last, maps, outputs, positions)
    elif layer.pooling == MAXIMUM:
        restore_tiles(MAXIMUM, layer, products, product_place, bias, first, last, maps, outputs, positions)
    else:
        restore_tiles(AVERAGE, layer, products, product_place, bias, first, last, maps, outputs, positions)


cdef inline Py_ssize_t tile_rows_together(const Layer* layer) noexcept nogil:
    """Rows of tiles that give the product enough rows."""
    return max(1, WINOGRAD_TILES // (layer.map.columns // 2))


cdef void winograd_maps(const Layer* layer, const real* transformed, const real* bias, const real* padded, real* maps,
                        real* outputs, const Areas* areas) noexcept nogil:
    """Whole maps, bias included, or with outputs what pooling in registers makes of them, in groups of tile rows."""
    cdef Py_ssize_t n_rows = areas.n_samples * (layer.map.rows // 2)
    cdef Py_ssize_t group = min(n_rows, tile_rows_together(layer))
    cdef Py_ssize_t first = 0
    while first < n_rows:
        winograd_tiles(layer, transformed, bias, padded, first, min(first + group, n_rows), maps, outputs, areas)
        first += group
