# A convolution pooled over windows of 2 x 2 pixels, the most common block there is: the four pixels of a window are
# accumulators of one tile, so that the map is not written to be read again. The chain of multiply-adds of each pixel is that
# of `product`, hence so are its bits.
#
#     map rows 2r     w0 w0 | w1 w1 | w2 w2        sums[w][0..1]      one tile: several windows side by side,
#              2r+1   w0 w0 | w1 w1 | w2 w2        sums[w][2..3]      each one or two vectors of filters

cdef inline bint pools_four(const Layer* layer) noexcept nogil:
    """Whether windows are 2 x 2 pixels, side by side."""
    return (layer.pool.rows == 2 and layer.pool.columns == 2
            and layer.pool.stride_rows == 2 and layer.pool.stride_columns == 2)


cdef inline bint pools_in_registers(const Layer* layer) noexcept nogil:
    # An average is of activations, the cheap ones of which are taken in registers too. Fewer filters are not worth the code.
    return (layer.filters >= LANES_HALF and pools_four(layer)
            and (layer.pooling == MAXIMUM
                 or layer.pooling == AVERAGE and (layer.activation == RELU or layer.activation == IDENTITY)))


cdef inline void find_maximum(vector* kind, int64_t activation, const vector* pixels, Py_ssize_t step, vector* maximum,
                              vector* place) noexcept nogil:
    cdef vector best = pixels[0]
    cdef vector position = (<const vector*> ZEROS)[0]
    cdef Py_ssize_t i
    for i in range(1, 4):
        KEEP_MAXIMUM(best, position, pixels[i * step], <real> i)
    if activation == RELU:
        RECTIFY(best)
    maximum[0], place[0] = best, position


cdef inline void maximum_of_four(vector* kind, int64_t activation, const vector* pixels, Py_ssize_t step, real* output,
                                 uint8_t* positions) noexcept nogil:
    cdef vector position
    find_maximum[vector](kind, activation, pixels, step, <vector*> output, &position)
    if positions != NULL:
        STORE_POSITIONS(positions, position)


cdef inline void average_of_four(vector* kind, const Layer* layer, const vector* pixels, Py_ssize_t step, real* map,
                                 real* output) noexcept nogil:
    # map: where the window's first pixel is kept, or NULL
    cdef vector total = (<const vector*> ZEROS)[0]
    cdef vector pixel
    cdef Py_ssize_t i
    for i in range(4):
        pixel = pixels[i * step]
        if layer.activation == RELU:
            RECTIFY(pixel)
        if map != NULL:
            (<vector*> (map + (i // 2 * layer.map.columns + i % 2) * layer.filters))[0] = pixel
        ADD(total, pixel)
    DIVIDE(total, <real> 4.0)
    (<vector*> output)[0] = total


cdef inline void pool_four(vector* kind, int64_t pooling, const Layer* layer, const vector* pixels, Py_ssize_t step, real* map,
                           real* output, uint8_t* positions) noexcept nogil:
    # pixels: those of a window, row by row, `step` vectors apart. map, positions: what the backward pass needs, or NULL.
    # `pooling` is a constant at every call, like the sizes of a tile: with a branch here the pixels would not stay in registers.
    if pooling == MAXIMUM:
        maximum_of_four[vector](kind, layer.activation, pixels, step, output, positions)
    else:
        average_of_four[vector](kind, layer, pixels, step, map, output)


# What a row of windows begins with and leaves behind, at one of its windows and filters.
ctypedef struct Pooled:
    const real* bias
    real* output
    real* map                   # NULL where the backward pass does not need it
    uint8_t* positions


cdef inline Pooled pooled_at(const Pooled* row, Py_ssize_t window, Py_ssize_t filters, Py_ssize_t f) noexcept nogil:
    cdef Pooled pooled
    pooled.bias = row.bias + f
    pooled.output = row.output + window * filters + f
    pooled.map = row.map + 2 * window * filters + f if row.map != NULL else NULL
    pooled.positions = row.positions + window * filters + f if row.positions != NULL else NULL
    return pooled


cdef inline void pooled_tile(vector* kind, int64_t pooling, Py_ssize_t windows, Py_ssize_t vectors, const Layer* layer,
                             const Product* shape, const real* a, const real* b, const Pooled* row) noexcept nogil:
    # `windows` and `vectors` are constants at every call. Every two windows have pointers of their own: as offsets from one
    # pointer their patches would not fit the registers.
    cdef vector sums[POOLED_WINDOWS][4][2]
    cdef vector b_first
    cdef vector b_second
    cdef const real* a_k[2][3]
    cdef const real* b_k
    cdef Py_ssize_t second_at = shape.vector_at[1]
    cdef Py_ssize_t u, k, w, i, j
    cdef Pooled pooled
    for w in range(windows):
        for i in range(4):
            sums[w][i][0] = (<const vector*> row.bias)[0]
            if vectors == 2:
                sums[w][i][1] = (<const vector*> (row.bias + second_at))[0]
    for u in range(shape.n_outer):
        for i in range(2):
            for w in range((windows + 1) // 2):
                a_k[i][w] = a + u * shape.a_outer + i * shape.a_jump + 4 * w * shape.a_row
        b_k = b + u * shape.b_outer
        for k in range(shape.n_inner):
            b_first = (<const vector*> b_k)[0]
            if vectors == 2:
                b_second = (<const vector*> (b_k + second_at))[0]
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
        pooled = pooled_at(row, w, layer.filters, 0)
        pool_four[vector](kind, pooling, layer, &sums[w][0][0], 2, pooled.map, pooled.output, pooled.positions)
        if vectors == 2:
            pooled = pooled_at(row, w, layer.filters, second_at)
            pool_four[vector](kind, pooling, layer, &sums[w][0][1], 2, pooled.map, pooled.output, pooled.positions)


cdef inline void pooled_panel(vector* kind, int64_t pooling, Py_ssize_t vectors, const Layer* layer, const Product* shape,
                              const real* a, const real* b, const Pooled* row) noexcept nogil:
    # A row of windows for one or two vectors of filters, split evenly.
    cdef Py_ssize_t limit = POOLED_WINDOWS_OF_TWO if vectors == 2 else POOLED_WINDOWS
    cdef Cuts tiles = cut_evenly(layer.out.columns, limit)
    cdef Py_ssize_t t, windows, w = 0
    cdef Pooled rest
    for t in range(tiles.n):
        windows = tiles.size + 1 if t < tiles.n_larger else tiles.size
        rest = pooled_at(row, w, layer.filters, 0)
        if windows == 1:
            pooled_tile[vector](kind, pooling, 1, vectors, layer, shape, a, b, &rest)
        elif limit >= 2 and windows == 2:
            pooled_tile[vector](kind, pooling, 2, vectors, layer, shape, a, b, &rest)
        elif limit >= 3 and windows == 3:
            pooled_tile[vector](kind, pooling, 3, vectors, layer, shape, a, b, &rest)
        elif limit >= 4 and windows == 4:
            pooled_tile[vector](kind, pooling, 4, vectors, layer, shape, a, b, &rest)
        elif limit >= 5 and windows == 5:
            pooled_tile[vector](kind, pooling, 5, vectors, layer, shape, a, b, &rest)
        elif limit >= 6 and windows == 6:
            pooled_tile[vector](kind, pooling, 6, vectors, layer, shape, a, b, &rest)
        a += 2 * windows * shape.a_row
        w += windows


cdef inline void pooled_columns(vector* kind, int64_t pooling, Py_ssize_t lanes, const Layer* layer, const Product* shape,
                                const real* a, const real* b, const Pooled* row) noexcept nogil:
    # All filters of a row of windows, as `columns_of` takes them; the bias is never the output, so overlapping is harmless.
    cdef Py_ssize_t n = 0
    cdef Product of_columns = shape[0]
    cdef Pooled rest
    if ((layer.filters + lanes - 1) // lanes) % 2 == 1:
        pooled_panel[vector](kind, pooling, 1, layer, &of_columns, a, b, row)
        n = lanes
    while n < layer.filters:
        set_vectors(&of_columns, lanes, 2, layer.filters - n)
        rest = pooled_at(row, 0, layer.filters, n)
        pooled_panel[vector](kind, pooling, 2, layer, &of_columns, a, b + n, &rest)
        n += 2 * lanes


cdef inline void pooled_map(vector* kind, int64_t pooling, Py_ssize_t lanes, const Layer* layer, const real* parameters,
                            const real* padded, const Areas* areas) noexcept nogil:
    # Row by row of windows, in one function: to call one for each takes as long as a fifth of a short row.
    cdef Product shape = convolution_product(layer)
    cdef Py_ssize_t n = output_row_size(layer)
    cdef const real* weights = parameters + layer.weights_at
    cdef Content content = content_of(layer)
    cdef Product part = shape
    cdef Pooled row
    cdef Py_ssize_t r, first
    row.bias = parameters + layer.bias_at
    row.output, row.map, row.positions = areas.outputs, areas.maps, <uint8_t*> areas.positions
    for r in range(layer.out.rows):
        first = leave_padding_out(&part, &shape, &content, 2 * r, 2)
        pooled_columns[vector](kind, pooling, lanes, layer, &part, padded + 2 * r * shape.a_jump + first * shape.a_outer,
                               weights + first * shape.b_outer, &row)
        if pooling == MAXIMUM and layer.activation != RELU:
            activate(layer.activation, row.output, n)
        row.output += n
        row.map = row.map + 2 * map_row_size(layer) if row.map != NULL else NULL
        row.positions = row.positions + n if row.positions != NULL else NULL


cdef void pooled_maxima(vector* kind, Py_ssize_t lanes, const Layer* layer, const real* parameters, const real* padded,
                        const Areas* areas) noexcept nogil:
    pooled_map[vector](kind, MAXIMUM, lanes, layer, parameters, padded, areas)


cdef void pooled_averages(vector* kind, Py_ssize_t lanes, const Layer* layer, const real* parameters, const real* padded,
                          const Areas* areas) noexcept nogil:
    pooled_map[vector](kind, AVERAGE, lanes, layer, parameters, padded, areas)


cdef void convolve_and_pool_in_registers(const Layer* layer, const real* parameters, const real* padded,
                                         const Areas* areas) noexcept nogil:
    """One sample: padded -> outputs, and where they are wanted maps or positions."""
    # Four functions rather than one that holds all their tiles, which would take the compiler longer.
    if layer.pooling == MAXIMUM and layer.filters >= LANES_WIDE:
        pooled_maxima[vector_wide](NULL, LANES_WIDE, layer, parameters, padded, areas)
    elif USES_HALF and layer.pooling == MAXIMUM:
        pooled_maxima[vector_half](NULL, LANES_HALF, layer, parameters, padded, areas)
    elif layer.filters >= LANES_WIDE:
        pooled_averages[vector_wide](NULL, LANES_WIDE, layer, parameters, padded, areas)
    elif USES_HALF:
        pooled_averages[vector_half](NULL, LANES_HALF, layer, parameters, padded, areas)
