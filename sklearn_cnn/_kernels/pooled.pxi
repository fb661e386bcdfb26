# A convolution behind which 2 x 2 pixels are pooled to their maximum, the most common block there is: the four pixels of a
# window are accumulators of one tile, so that the map is never written. The chain of multiply-adds of each pixel is that of
# `product`, hence so are its bits.
#
#     map rows 2r     w0 w0 | w1 w1 | w2 w2        sums[w][0..1]      one tile: several windows side by side,
#              2r+1   w0 w0 | w1 w1 | w2 w2        sums[w][2..3]      each one or two vectors of filters

cdef inline bint pools_in_registers(const Layer* layer) noexcept nogil:
    return (layer.pooling == MAXIMUM and layer.pool_rows == 2 and layer.pool_columns == 2
            and layer.pool_stride_rows == 2 and layer.pool_stride_columns == 2)


cdef inline void keep_maximum_of_four(vector* kind, int64_t activation, const vector* pixels, Py_ssize_t step, real* output,
                                      uint8_t* positions) noexcept nogil:
    # pixels: those of a window, row by row, `step` vectors apart
    cdef vector best = pixels[0]
    cdef vector position = (<const vector*> ZEROS)[0]
    cdef Py_ssize_t i
    for i in range(1, 4):
        KEEP_MAXIMUM(best, position, pixels[i * step], <real> i)
    if activation == RELU:
        RECTIFY(best)
    (<vector*> output)[0] = best
    if positions != NULL:
        STORE_POSITIONS(positions, position)


cdef inline void pooled_tile(vector* kind, Py_ssize_t windows, Py_ssize_t vectors, int64_t activation, const Product* shape,
                             Py_ssize_t below, const real* a, const real* b, const real* bias, real* output,
                             uint8_t* positions, Py_ssize_t second) noexcept nogil:
    # `windows` and `vectors` are constants at every call. below: from a pixel's patch to that of the pixel below it. Every two
    # windows have pointers of their own: as offsets from one pointer their patches would not fit the registers.
    cdef vector sums[POOLED_WINDOWS][4][2]
    cdef vector b_first
    cdef vector b_second
    cdef const real* a_k[2][3]
    cdef const real* b_k
    cdef Py_ssize_t u, k, w, i, j
    for w in range(windows):
        for i in range(4):
            sums[w][i][0] = (<const vector*> bias)[0]
            if vectors == 2:
                sums[w][i][1] = (<const vector*> (bias + second))[0]
    for u in range(shape.n_outer):
        for i in range(2):
            for w in range((windows + 1) // 2):
                a_k[i][w] = a + u * shape.a_outer + i * below + 4 * w * shape.a_row
        b_k = b + u * shape.b_outer
        for k in range(shape.n_inner):
            b_first = (<const vector*> b_k)[0]
            if vectors == 2:
                b_second = (<const vector*> (b_k + second))[0]
            for i in range(2):
                for w in range(windows):
                    for j in range(2):
                        MULTIPLY_ADD(sums[w][2 * i + j][0], a_k[i][w // 2][(w % 2 * 2 + j) * shape.a_row], b_first)
                        if vectors == 2:
                            MULTIPLY_ADD(sums[w][2 * i + j][1], a_k[i][w // 2][(w % 2 * 2 + j) * shape.a_row], b_second)
            for i in range(2):
                for w in range((windows + 1) // 2):
                    a_k[i][w] += shape.a_inner
            b_k += shape.b_inner
    for w in range(windows):
        keep_maximum_of_four[vector](kind, activation, &sums[w][0][0], 2, output + w * shape.c_row,
                                     positions + w * shape.c_row if positions != NULL else NULL)
        if vectors == 2:
            keep_maximum_of_four[vector](kind, activation, &sums[w][0][1], 2, output + w * shape.c_row + second,
                                         positions + w * shape.c_row + second if positions != NULL else NULL)


cdef inline void pooled_panel(vector* kind, Py_ssize_t vectors, Py_ssize_t n_windows, int64_t activation,
                              const Product* shape, Py_ssize_t below, const real* a, const real* b, const real* bias,
                              real* output, uint8_t* positions, Py_ssize_t second) noexcept nogil:
    # A row of windows for one or two vectors of filters, split evenly.
    cdef Py_ssize_t limit = POOLED_WINDOWS_OF_TWO if vectors == 2 else POOLED_WINDOWS
    cdef Py_ssize_t n_tiles = (n_windows + limit - 1) // limit
    cdef Py_ssize_t size = n_windows // n_tiles
    cdef Py_ssize_t n_larger = n_windows - size * n_tiles
    cdef Py_ssize_t t, windows
    for t in range(n_tiles):
        windows = size + 1 if t < n_larger else size
        if windows == 1:
            pooled_tile[vector](kind, 1, vectors, activation, shape, below, a, b, bias, output, positions, second)
        elif limit >= 2 and windows == 2:
            pooled_tile[vector](kind, 2, vectors, activation, shape, below, a, b, bias, output, positions, second)
        elif limit >= 3 and windows == 3:
            pooled_tile[vector](kind, 3, vectors, activation, shape, below, a, b, bias, output, positions, second)
        elif limit >= 4 and windows == 4:
            pooled_tile[vector](kind, 4, vectors, activation, shape, below, a, b, bias, output, positions, second)
        elif limit >= 5 and windows == 5:
            pooled_tile[vector](kind, 5, vectors, activation, shape, below, a, b, bias, output, positions, second)
        elif limit >= 6 and windows == 6:
            pooled_tile[vector](kind, 6, vectors, activation, shape, below, a, b, bias, output, positions, second)
        a += 2 * windows * shape.a_row
        output += windows * shape.c_row
        positions = positions + windows * shape.c_row if positions != NULL else NULL


cdef inline void pooled_columns(vector* kind, Py_ssize_t lanes, const Layer* layer, const Product* shape, Py_ssize_t below,
                                const real* a, const real* b, const real* bias, real* output,
                                uint8_t* positions) noexcept nogil:
    # All filters of a row of windows, as `columns_of` takes them; the bias is never the output, so overlapping is harmless.
    cdef Py_ssize_t n = 0, second
    if ((layer.filters + lanes - 1) // lanes) % 2 == 1:
        pooled_panel[vector](kind, 1, layer.out_columns, layer.activation, shape, below, a, b, bias, output, positions, 0)
        n = lanes
    while n < layer.filters:
        second = min(lanes, layer.filters - n - lanes)
        pooled_panel[vector](kind, 2, layer.out_columns, layer.activation, shape, below, a, b + n, bias + n, output + n,
                             positions + n if positions != NULL else NULL, second)
        n += 2 * lanes


cdef void convolve_and_pool_in_registers(const Layer* layer, const real* parameters, const real* padded, real* output,
                                         uint8_t* positions) noexcept nogil:
    """One sample: padded -> output and positions (or NULL)."""
    cdef Product shape = convolution_product(layer)
    cdef Py_ssize_t below = layer.stride_rows * shape.a_outer
    cdef Py_ssize_t n = layer.out_columns * layer.filters
    cdef const real* weights = parameters + layer.weights_at
    cdef const real* bias = parameters + layer.bias_at
    cdef Py_ssize_t r
    for r in range(layer.out_rows):
        if layer.filters >= LANES_WIDE:
            pooled_columns[vector_wide](NULL, LANES_WIDE, layer, &shape, below, padded, weights, bias, output, positions)
        elif layer.filters >= LANES_HALF:
            pooled_columns[vector_half](NULL, LANES_HALF, layer, &shape, below, padded, weights, bias, output, positions)
        elif layer.filters >= LANES_QUARTER:
            pooled_columns[vector_quarter](NULL, LANES_QUARTER, layer, &shape, below, padded, weights, bias, output, positions)
        else:
            pooled_columns[vector_one](NULL, 1, layer, &shape, below, padded, weights, bias, output, positions)
        if layer.activation != RELU:
            activate(layer.activation, output, n)
        padded += 2 * below
        output += n
        positions = positions + n if positions != NULL else NULL
