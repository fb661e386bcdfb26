# Winograd's algorithm (Winograd 1980; Lavin and Gray 2016), F(2x2, 3x3): four pixels of a 3x3 convolution from sixteen products
# instead of thirty-six. For every tile of 2 x 2 pixels of the map, with d the 4 x 4 pixels of the padded image it sees:
#
#     map tile = A^T [ sum over channels of (G w G^T) * (B^T d B) ] A            * is element by element
#
#     B^T = 1  0 -1  0      G = 1    0    0      A^T = 1  1  1  0
#           0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
#           0 -1  1  0          1/2 -1/2  1/2
#           0  1  0 -1          0    0    1
#
# The sum over channels is a matrix product for each of the sixteen places: rows are tiles, columns are filters. Transforms
# run on whole vectors of channels or filters, which is why both have to be multiples of the widest vector. All factors are
# powers of two, so integers stay exact; the rounding of real numbers has a bound of its own, see tests/test_kernels.py.

cdef inline bint is_winograd(const Layer* layer) noexcept nogil:
    return layer.transformed_at >= 0


cdef inline void combine_rows(vector* kind, const vector* d, vector* t) noexcept nogil:
    # t = B^T d for one column of four
    SUBTRACT(t[0], d[0], d[2])
    SUM(t[1], d[1], d[2])
    SUBTRACT(t[2], d[2], d[1])
    SUBTRACT(t[3], d[1], d[3])


cdef inline void transform_tile(vector* kind, const real* patch, Py_ssize_t row, Py_ssize_t channels, real* target,
                                Py_ssize_t place) noexcept nogil:
    # One vector of channels of B^T d B; `place` is the distance of the sixteen results.
    cdef vector d[4]
    cdef vector columns[4][4]
    cdef vector t[4]
    cdef Py_ssize_t i, j
    for j in range(4):
        for i in range(4):
            d[i] = (<const vector*> (patch + i * row + j * channels))[0]
        combine_rows[vector](kind, d, columns[j])
    for i in range(4):
        for j in range(4):
            d[j] = columns[j][i]
        combine_rows[vector](kind, d, t)
        for j in range(4):
            (<vector*> (target + (4 * i + j) * place))[0] = t[j]


cdef inline void restore_tile(vector* kind, const real* products, Py_ssize_t place, const real* bias,
                              vector* pixels) noexcept nogil:
    # One vector of filters of A^T m A, bias added: the four pixels of a tile, row by row.
    cdef vector m[4]
    cdef vector s[2][4]
    cdef Py_ssize_t i, j
    for j in range(4):
        for i in range(4):
            m[i] = (<const vector*> (products + (4 * i + j) * place))[0]
        SUM(s[0][j], m[0], m[1])
        ADD(s[0][j], m[2])
        SUBTRACT(s[1][j], m[1], m[2])
        SUBTRACT(s[1][j], s[1][j], m[3])
    for i in range(2):
        SUM(pixels[2 * i], s[i][0], s[i][1])
        ADD(pixels[2 * i], s[i][2])
        ADD(pixels[2 * i], (<const vector*> bias)[0])
        SUBTRACT(pixels[2 * i + 1], s[i][1], s[i][2])
        SUBTRACT(pixels[2 * i + 1], pixels[2 * i + 1], s[i][3])
        ADD(pixels[2 * i + 1], (<const vector*> bias)[0])


cdef inline void restore_tiles(int64_t pooling, const Layer* layer, const real* products, Py_ssize_t place, const real* bias,
                               Py_ssize_t first, Py_ssize_t last, real* maps, real* outputs, uint8_t* positions) noexcept nogil:
    # Tile rows first to last - 1 of maps that stand one after another, all with even sides. `pooling` is a constant at every
    # call: a tile is a window of the pooling, or the map itself is wanted.
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
                restore_tile[vector_wide](NULL, products + k, place, bias + k, pixels)
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
    # The distance of two places of transformed weights: a vector more than they need, because sixteen stores at a distance of
    # a power of two would fall into the same set of the cache.
    return layer.channels * layer.filters + 16


cdef inline void transform_kernels(vector* kind, const real* weights, Py_ssize_t n, real* transformed,
                                   Py_ssize_t place) noexcept nogil:
    # One vector of channels and filters of G w G^T; n is the distance of taps, `place` that of places.
    cdef vector rows[4][3]
    cdef vector outer
    cdef vector mixed
    cdef Py_ssize_t i, j
    for j in range(3):
        rows[0][j] = (<const vector*> (weights + j * n))[0]
        rows[3][j] = (<const vector*> (weights + (6 + j) * n))[0]
        SUM(outer, rows[0][j], rows[3][j])
        SUM(rows[1][j], outer, (<const vector*> (weights + (3 + j) * n))[0])
        SUBTRACT(rows[2][j], outer, (<const vector*> (weights + (3 + j) * n))[0])
        SCALE(rows[1][j], <real> 0.5)
        SCALE(rows[2][j], <real> 0.5)
    for i in range(4):
        (<vector*> (transformed + 4 * i * place))[0] = rows[i][0]
        SUM(outer, rows[i][0], rows[i][2])
        SUM(mixed, outer, rows[i][1])
        SCALE(mixed, <real> 0.5)
        (<vector*> (transformed + (4 * i + 1) * place))[0] = mixed
        SUBTRACT(mixed, outer, rows[i][1])
        SCALE(mixed, <real> 0.5)
        (<vector*> (transformed + (4 * i + 2) * place))[0] = mixed
        (<vector*> (transformed + (4 * i + 3) * place))[0] = rows[i][2]


cdef void transform_weights(const Layer* layer, const real* weights, real* transformed, Py_ssize_t share,
                            Py_ssize_t n_shares) noexcept nogil:
    """G w G^T of every channel and filter: [place, channel, filter]; one of n_shares shares of them."""
    cdef Py_ssize_t n = layer.channels * layer.filters
    cdef Py_ssize_t n_vectors = n // LANES_WIDE
    cdef Py_ssize_t k
    for k in range(share * n_vectors // n_shares, (share + 1) * n_vectors // n_shares):
        transform_kernels[vector_wide](NULL, weights + k * LANES_WIDE, n, transformed + k * LANES_WIDE, weights_place(layer))


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
    cdef real* products = areas.band + 16 * image_place
    cdef Py_ssize_t row, c, k
    cdef const real* source
    for row in range(first, last):
        source = padded + (row // tile_rows * layer.padded.rows + 2 * (row % tile_rows)) * padded_row
        for c in range(tile_columns):
            for k in range(layer.channels // LANES_WIDE):
                transform_tile[vector_wide](NULL, source + k * LANES_WIDE, padded_row, layer.channels, images + k * LANES_WIDE,
                                            image_place)
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
    for k in range(16):
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
