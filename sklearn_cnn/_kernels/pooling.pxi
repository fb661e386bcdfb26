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


cdef inline Py_ssize_t n_overrunning(const Layer* layer, Py_ssize_t lanes) noexcept nogil:
    # How many pixels of a pooled row may be computed in vectors of more lanes than there are filters: what is read beyond the
    # window's last pixel belongs to the same row of the map, and what is written beyond the pixel is written again by the next.
    cdef Py_ssize_t last_of_window = (lanes + layer.filters - 1) // layer.filters + layer.pool.columns - 1
    cdef Py_ssize_t n_read = (layer.map.columns - last_of_window) // layer.pool.stride_columns + 1
    cdef Py_ssize_t n_written = layer.out.columns - (lanes - 1) // layer.filters
    return max(0, min(n_read if layer.map.columns >= last_of_window else 0, n_written))


cdef inline void pool_few_filters(vector* kind, const Layer* layer, Py_ssize_t pool_rows, Py_ssize_t pool_columns,
                                  Py_ssize_t n_pixels, const real* window, Py_ssize_t map_row, real* output,
                                  position_t* positions) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t c
    for c in range(n_pixels):
        if layer.pooling == MAXIMUM:
            maximum_window[vector, position_t](kind, lanes, layer, pool_rows, pool_columns, window, map_row, output, positions)
        else:
            average_window[vector](kind, layer, pool_rows, pool_columns, window, map_row, output)
        window += layer.pool.stride_columns * layer.filters
        output += layer.filters
        positions = positions + layer.filters if positions != NULL else NULL


cdef inline Py_ssize_t pool_first_pixels(vector* kind, Py_ssize_t lanes, const Layer* layer, const real* window,
                                         Py_ssize_t map_row, real* output, position_t* positions) noexcept nogil:
    cdef Py_ssize_t n_pixels = n_overrunning(layer, lanes)
    if layer.pool.rows == 2 and layer.pool.columns == 2:    # as constants
        pool_few_filters[vector, position_t](kind, layer, 2, 2, n_pixels, window, map_row, output, positions)
    else:
        pool_few_filters[vector, position_t](kind, layer, layer.pool.rows, layer.pool.columns, n_pixels, window, map_row, output,
                                             positions)
    return n_pixels


cdef void pool_row(const Layer* layer, const real* window, Py_ssize_t map_row, real* output,
                   position_t* positions) noexcept nogil:
    """One row of pooled pixels. window: the first map row it sees; positions may be NULL."""
    cdef Py_ssize_t step = layer.pool.stride_columns * layer.filters
    cdef Py_ssize_t n_done = 0
    cdef Py_ssize_t c
    if LANES_HALF < layer.filters < LANES_WIDE:
        n_done = pool_first_pixels[vector_wide, position_t](NULL, LANES_WIDE, layer, window, map_row, output, positions)
    elif LANES_QUARTER < layer.filters < LANES_HALF:
        n_done = pool_first_pixels[vector_half, position_t](NULL, LANES_HALF, layer, window, map_row, output, positions)
    elif layer.filters < LANES_QUARTER:
        n_done = pool_first_pixels[vector_quarter, position_t](NULL, LANES_QUARTER, layer, window, map_row, output, positions)
    window += n_done * step
    output += n_done * layer.filters
    positions = positions + n_done * layer.filters if positions != NULL else NULL
    for c in range(layer.out.columns - n_done):
        if layer.filters >= LANES_WIDE and layer.pool.rows == 2 and layer.pool.columns == 2:    # as constants
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, 2, 2, window, map_row, output, positions)
        elif layer.filters >= LANES_WIDE and layer.pool.rows == 3 and layer.pool.columns == 3:
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, 3, 3, window, map_row, output, positions)
        elif layer.filters >= LANES_WIDE:
            pool_pixel[vector_wide, position_t](NULL, LANES_WIDE, layer, layer.pool.rows, layer.pool.columns, window, map_row,
                                                output, positions)
        elif layer.filters >= LANES_HALF:
            pool_pixel[vector_half, position_t](NULL, LANES_HALF, layer, layer.pool.rows, layer.pool.columns, window, map_row,
                                                output, positions)
        elif layer.filters >= LANES_QUARTER:
            pool_pixel[vector_quarter, position_t](NULL, LANES_QUARTER, layer, layer.pool.rows, layer.pool.columns, window,
                                                   map_row, output, positions)
        else:
            pool_pixel[vector_one, position_t](NULL, 1, layer, layer.pool.rows, layer.pool.columns, window, map_row, output,
                                               positions)
        window += step
        output += layer.filters
        positions = positions + layer.filters if positions != NULL else NULL


cdef inline bint has_small_windows(const Layer* layer) noexcept nogil:
    # of which all is written, in vectors, rather than the maxima one by one
    return layer.pooling == AVERAGE or layer.pooling == MAXIMUM and layer.pool.rows * layer.pool.columns <= SMALL_WINDOW


cdef inline bint adds_vectors(const Layer* layer) noexcept nogil:
    return has_small_windows(layer) and (
        layer.pooling == AVERAGE or layer.filters >= LANES_WIDE or layer.filters % LANES_QUARTER == 0)


cdef inline bint writes_whole_map(const Layer* layer) noexcept nogil:
    """Whether the backward pass writes every pixel of the map once; else it adds to zeros."""
    return (has_small_windows(layer) and layer.pool.stride_rows == layer.pool.rows
            and layer.pool.stride_columns == layer.pool.columns
            and layer.out.rows * layer.pool.rows == layer.map.rows
            and layer.out.columns * layer.pool.columns == layer.map.columns)


ctypedef struct Window:
    int64_t pooling
    bint adds                   # to a map of zeros, rather than write every pixel once
    Py_ssize_t rows
    Py_ssize_t columns


cdef inline void spread_vector(vector* kind, const Window* window, const Layer* layer, const real* d_output, real share,
                               const uint8_t* positions, real* d_map, Py_ssize_t map_row) noexcept nogil:
    # One vector of filters of one window: each pixel gets its share of the gradient, or all of it where the maximum was.
    cdef vector g = (<const vector*> d_output)[0]
    cdef vector position
    cdef vector here
    cdef Py_ssize_t i, j
    if window.pooling == MAXIMUM:
        LOAD_POSITIONS(position, positions)
    else:
        SCALE(g, share)
    for i in range(window.rows):
        for j in range(window.columns):
            here = g
            if window.pooling == MAXIMUM:
                WHERE_POSITION(here, position, <real> (i * window.columns + j), g)
            if window.adds:
                ADD(here, (<const vector*> (d_map + i * map_row + j * layer.filters))[0])
            (<vector*> (d_map + i * map_row + j * layer.filters))[0] = here


cdef inline void spread_window(const Window* window, const Layer* layer, const real* d_output, real share,
                               const uint8_t* positions, real* d_map, Py_ssize_t map_row) noexcept nogil:
    # All filters of one window. No vector overlaps another here: they may add.
    cdef const uint8_t* places
    cdef Py_ssize_t f = 0
    while f < layer.filters:
        places = positions + f if window.pooling == MAXIMUM else NULL
        if layer.filters - f >= LANES_WIDE:
            spread_vector[vector_wide](NULL, window, layer, d_output + f, share, places, d_map + f, map_row)
            f += LANES_WIDE
        elif layer.filters - f >= LANES_QUARTER:
            spread_vector[vector_quarter](NULL, window, layer, d_output + f, share, places, d_map + f, map_row)
            f += LANES_QUARTER
        else:
            spread_vector[vector_one](NULL, window, layer, d_output + f, share, places, d_map + f, map_row)
            f += 1


cdef inline Py_ssize_t spread_first_windows(vector* kind, Py_ssize_t lanes, const Window* window, const Layer* layer,
                                            const real* d_output, real share, const uint8_t* positions, real* d_map,
                                            Py_ssize_t map_row) noexcept nogil:
    # In vectors of more lanes than there are filters: see `n_overrunning`. Here windows do not overlap.
    cdef Py_ssize_t c
    cdef Py_ssize_t n_windows = n_overrunning(layer, lanes)
    for c in range(n_windows):
        spread_vector[vector](kind, window, layer, d_output, share, positions, d_map, map_row)
        d_output += layer.filters
        d_map += window.columns * layer.filters
        positions = positions + layer.filters if window.pooling == MAXIMUM else NULL
    return n_windows


cdef inline void spread_row(const Window* window, const Layer* layer, const real* d_output, real share,
                            const uint8_t* positions, real* d_map, Py_ssize_t map_row) noexcept nogil:
    # A row of windows.
    cdef Py_ssize_t c = 0
    if not window.adds and LANES_HALF < layer.filters < LANES_WIDE:
        c = spread_first_windows[vector_wide](NULL, LANES_WIDE, window, layer, d_output, share, positions, d_map, map_row)
    elif not window.adds and LANES_QUARTER < layer.filters < LANES_HALF:
        c = spread_first_windows[vector_half](NULL, LANES_HALF, window, layer, d_output, share, positions, d_map, map_row)
    elif not window.adds and layer.filters < LANES_QUARTER:
        c = spread_first_windows[vector_quarter](NULL, LANES_QUARTER, window, layer, d_output, share, positions, d_map, map_row)
    while c < layer.out.columns:
        spread_window(window, layer, d_output + c * layer.filters, share,
                      positions + c * layer.filters if window.pooling == MAXIMUM else NULL,
                      d_map + c * layer.pool.stride_columns * layer.filters, map_row)
        c += 1


cdef inline void spread_rows(int64_t pooling, const Layer* layer, const real* d_output, real share, const uint8_t* positions,
                             real* d_map, Py_ssize_t map_row) noexcept nogil:
    # All windows. What is the same in all of them is a constant where the compiler can see it.
    cdef bint is_two_by_two = layer.pool.rows == 2 and layer.pool.columns == 2
    cdef bint writes = writes_whole_map(layer)
    cdef Window window
    cdef Py_ssize_t r
    for r in range(layer.out.rows):
        window.pooling = pooling
        if writes and is_two_by_two:
            window.adds, window.rows, window.columns = False, 2, 2
            spread_row(&window, layer, d_output, share, positions, d_map, map_row)
        elif writes:
            window.adds, window.rows, window.columns = False, layer.pool.rows, layer.pool.columns
            spread_row(&window, layer, d_output, share, positions, d_map, map_row)
        else:
            window.adds, window.rows, window.columns = True, layer.pool.rows, layer.pool.columns
            spread_row(&window, layer, d_output, share, positions, d_map, map_row)
        d_output += output_row_size(layer)
        d_map += layer.pool.stride_rows * map_row
        positions = positions + output_row_size(layer) if pooling == MAXIMUM else NULL


cdef void add_maxima(const Layer* layer, const real* d_output, const position_t* positions, real* window,
                     Py_ssize_t map_row) noexcept nogil:
    """One window, filter by filter: large windows, and few filters."""
    cdef Py_ssize_t f, position
    for f in range(layer.filters):
        position = positions[f]
        window[position // layer.pool.columns * map_row + position % layer.pool.columns * layer.filters + f] += d_output[f]


cdef void maximum_backward(const Layer* layer, const real* d_output, const position_t* positions, real* d_map,
                           Py_ssize_t map_row) noexcept nogil:
    """Add each pooled gradient to the pixel its maximum came from. d_map starts at zero, unless all of it is written."""
    cdef Py_ssize_t r, c
    if position_t is uint8_t:
        if adds_vectors(layer) or writes_whole_map(layer):
            spread_rows(MAXIMUM, layer, d_output, 1.0, positions, d_map, map_row)
            return
    for r in range(layer.out.rows):
        for c in range(layer.out.columns):
            add_maxima(layer, d_output, positions,
                       d_map + r * layer.pool.stride_rows * map_row + c * layer.pool.stride_columns * layer.filters, map_row)
            d_output += layer.filters
            positions += layer.filters


cdef void average_backward(const Layer* layer, const real* d_output, real* d_map, Py_ssize_t map_row) noexcept nogil:
    """Spread each pooled gradient evenly over its window. d_map starts at zero, unless all of it is written."""
    cdef real share = <real> 1.0 / <real> (layer.pool.rows * layer.pool.columns)
    spread_rows(AVERAGE, layer, d_output, share, NULL, d_map, map_row)
