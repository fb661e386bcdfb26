# Maximum and average over windows. Maps are rows x columns x channels with channels in the vector lanes; `map_row` is the
# distance between two rows of the map, which may lie inside a larger, zero-bordered frame.
#
#     map          windows of 2 x 2       positions in a window
#     a b | c d    max(a, b, e, f) ...    0 1      position_t is a byte; windows of more than 256
#     e f | g h                           2 3      pixels use 32-bit integers

cdef enum:
    SMALL_WINDOW = 16           # pixels up to which the whole window is written, in vectors, rather than the maxima one by one

ctypedef fused position_t:
    uint8_t
    int32_t


cdef inline void maximum_window(vector* kind, Py_ssize_t lanes, const Layer* layer, Py_ssize_t pool_rows,
                                Py_ssize_t pool_columns, const real* window, Py_ssize_t map_row, real* output,
                                position_t* positions) noexcept nogil:
    cdef vector best = (<const vector*> window)[0]
    cdef vector position = (<const vector*> ZEROS)[0]
    cdef vector value
    cdef Py_ssize_t i, j, lane
    for i in range(pool_rows):
        for j in range(pool_columns):
            if i + j > 0:
                value = (<const vector*> (window + i * map_row + j * layer.filters))[0]
                KEEP_MAXIMUM(best, position, value, <real> (i * pool_columns + j))
    if layer.activation == RELU:
        RECTIFY(best)
    (<vector*> output)[0] = best
    if positions != NULL:
        if position_t is uint8_t:
            STORE_POSITIONS(positions, position)
        else:
            for lane in range(lanes):
                positions[lane] = <position_t> (<real*> &position)[lane]


cdef inline void average_window(vector* kind, const Layer* layer, Py_ssize_t pool_rows, Py_ssize_t pool_columns,
                                const real* window, Py_ssize_t map_row, real* output) noexcept nogil:
    cdef vector total = (<const vector*> ZEROS)[0]
    cdef Py_ssize_t i, j
    for i in range(pool_rows):
        for j in range(pool_columns):
            ADD(total, (<const vector*> (window + i * map_row + j * layer.filters))[0])
    DIVIDE(total, <real> (pool_rows * pool_columns))
    (<vector*> output)[0] = total


cdef inline void pool_pixel(vector* kind, Py_ssize_t lanes, const Layer* layer, Py_ssize_t pool_rows, Py_ssize_t pool_columns,
                            const real* window, Py_ssize_t map_row, real* output, position_t* positions) noexcept nogil:
    # filters >= lanes; the last vector overlaps the one before it
    cdef Py_ssize_t i, f
    for i in range((layer.filters + lanes - 1) // lanes):
        f = min(i * lanes, layer.filters - lanes)
        if layer.pooling == MAXIMUM:
            maximum_window[vector, position_t](kind, lanes, layer, pool_rows, pool_columns, window + f, map_row, output + f,
                                               positions + f if positions != NULL else NULL)
        else:
            average_window[vector](kind, layer, pool_rows, pool_columns, window + f, map_row, output + f)


cdef void pool_row(const Layer* layer, const real* window, Py_ssize_t map_row, real* output,
                   position_t* positions) noexcept nogil:
    """One row of pooled pixels. window: the first map row it sees; positions may be NULL."""
    cdef Py_ssize_t step = layer.pool_stride_columns * layer.filters
    cdef Py_ssize_t c
    for c in range(layer.out_columns):
        if layer.filters >= LANES_WIDE and layer.pool_rows == 2 and layer.pool_columns == 2:    # as constants
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, 2, 2, window, map_row, output, positions)
        elif layer.filters >= LANES_WIDE and layer.pool_rows == 3 and layer.pool_columns == 3:
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, 3, 3, window, map_row, output, positions)
        elif layer.filters >= LANES_WIDE:
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, layer.pool_rows, layer.pool_columns, window, map_row,
                                                output, positions)
        elif layer.filters >= LANES_HALF:
            pool_pixel[vector_half, position_t](NULL, LANES_HALF, layer, layer.pool_rows, layer.pool_columns, window, map_row,
                                                output, positions)
        elif layer.filters >= LANES_QUARTER:
            pool_pixel[vector_quarter, position_t](NULL, LANES_QUARTER, layer, layer.pool_rows, layer.pool_columns, window,
                                                   map_row, output, positions)
        else:
            pool_pixel[vector_one, position_t](NULL, 1, layer, layer.pool_rows, layer.pool_columns, window, map_row, output,
                                               positions)
        window += step
        output += layer.filters
        positions = positions + layer.filters if positions != NULL else NULL


cdef inline bint fills_vectors(const Layer* layer) noexcept nogil:
    return layer.filters >= LANES_WIDE or layer.filters % LANES_QUARTER == 0


cdef inline bint spreads_vectors(const Layer* layer) noexcept nogil:
    # whole windows in vectors, rather than the maxima one by one
    return (layer.pooling == AVERAGE
            or layer.pooling == MAXIMUM and fills_vectors(layer) and layer.pool_rows * layer.pool_columns <= SMALL_WINDOW)


cdef inline bint writes_whole_map(const Layer* layer) noexcept nogil:
    """Whether the backward pass writes every pixel of the map once; else it adds to zeros."""
    return (spreads_vectors(layer) and layer.pool_stride_rows == layer.pool_rows
            and layer.pool_stride_columns == layer.pool_columns
            and layer.out_rows * layer.pool_rows == layer.map_rows
            and layer.out_columns * layer.pool_columns == layer.map_columns)


cdef inline void spread_vector(vector* kind, int64_t pooling, bint adds, const Layer* layer, const real* d_output, real share,
                               const uint8_t* positions, real* window, Py_ssize_t map_row) noexcept nogil:
    # One vector of filters of one window: each pixel gets its share of the gradient, or all of it where the maximum was.
    cdef vector g = (<const vector*> d_output)[0]
    cdef vector position
    cdef vector here
    cdef Py_ssize_t i, j
    if pooling == MAXIMUM:
        LOAD_POSITIONS(position, positions)
    else:
        SCALE(g, share)
    for i in range(layer.pool_rows):
        for j in range(layer.pool_columns):
            here = g
            if pooling == MAXIMUM:
                WHERE_POSITION(here, position, <real> (i * layer.pool_columns + j), g)
            if adds:
                ADD(here, (<const vector*> (window + i * map_row + j * layer.filters))[0])
            (<vector*> (window + i * map_row + j * layer.filters))[0] = here


cdef inline void spread_window(int64_t pooling, bint adds, const Layer* layer, const real* d_output, real share,
                               const uint8_t* positions, real* window, Py_ssize_t map_row) noexcept nogil:
    # All filters of one window; `pooling` and `adds` are constants. No vector overlaps another here: they may add.
    cdef const uint8_t* places
    cdef Py_ssize_t f = 0
    while f < layer.filters:
        places = positions + f if pooling == MAXIMUM else NULL
        if layer.filters - f >= LANES_WIDE:
            spread_vector[vector_wide](NULL, pooling, adds, layer, d_output + f, share, places, window + f, map_row)
            f += LANES_WIDE
        elif layer.filters - f >= LANES_QUARTER:
            spread_vector[vector_quarter](NULL, pooling, adds, layer, d_output + f, share, places, window + f, map_row)
            f += LANES_QUARTER
        else:
            spread_vector[vector_one](NULL, pooling, adds, layer, d_output + f, share, places, window + f, map_row)
            f += 1


cdef void add_maxima(const Layer* layer, const real* d_output, const position_t* positions, real* window,
                     Py_ssize_t map_row) noexcept nogil:
    """One window, filter by filter: large windows, and few filters."""
    cdef Py_ssize_t f, position
    for f in range(layer.filters):
        position = positions[f]
        window[position // layer.pool_columns * map_row + position % layer.pool_columns * layer.filters + f] += d_output[f]


cdef void maximum_backward(const Layer* layer, const real* d_output, const position_t* positions, real* d_map,
                           Py_ssize_t map_row) noexcept nogil:
    """Add each pooled gradient to the pixel its maximum came from. d_map starts at zero, unless all of it is written."""
    cdef Py_ssize_t r, c
    cdef Py_ssize_t at = 0
    cdef bint in_vectors = spreads_vectors(layer)
    cdef bint writes = writes_whole_map(layer)
    cdef real* window
    for r in range(layer.out_rows):
        for c in range(layer.out_columns):
            window = d_map + r * layer.pool_stride_rows * map_row + c * layer.pool_stride_columns * layer.filters
            if position_t is uint8_t:
                if writes:
                    spread_window(MAXIMUM, False, layer, d_output + at, 1.0, positions + at, window, map_row)
                elif in_vectors:
                    spread_window(MAXIMUM, True, layer, d_output + at, 1.0, positions + at, window, map_row)
                else:
                    add_maxima(layer, d_output + at, positions + at, window, map_row)
            else:
                add_maxima(layer, d_output + at, positions + at, window, map_row)
            at += layer.filters


cdef void average_backward(const Layer* layer, const real* d_output, real* d_map, Py_ssize_t map_row) noexcept nogil:
    """Spread each pooled gradient evenly over its window. d_map starts at zero, unless all of it is written."""
    cdef Py_ssize_t r, c
    cdef bint writes = writes_whole_map(layer)
    cdef real* window
    cdef real share = <real> 1.0 / <real> (layer.pool_rows * layer.pool_columns)
    for r in range(layer.out_rows):
        for c in range(layer.out_columns):
            window = d_map + r * layer.pool_stride_rows * map_row + c * layer.pool_stride_columns * layer.filters
            if writes:
                spread_window(AVERAGE, False, layer, d_output, share, NULL, window, map_row)
            else:
                spread_window(AVERAGE, True, layer, d_output, share, NULL, window, map_row)
            d_output += layer.filters
