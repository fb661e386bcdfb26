# The weight gradient of a first layer (few taps, no input gradient). Filters are the vector lanes. The pooled gradient is spread
# over its window in registers and meets the patch of each of its places at once; the map's gradient is never written out. A
# layer without pooling has windows of one pixel.
#
#     for every pooled pixel, for every place w of its window:
#         g_w = g where position == w, else 0                  one vector of filters; maximum pooling
#         g_w = g / size of the window where map_w > 0         average pooling behind ReLU
#         d_weights[tap, filters] += patch_w[tap] * g_w        all taps at once, sums in registers

cdef enum:
    SHALLOW_NUMBERS = 2048      # of a band of rows, which stays in the first-level cache while vectors of filters take turns


cdef inline void shallow_tile(vector* kind, Py_ssize_t rows, Py_ssize_t taps, int64_t pooling, Py_ssize_t pool_rows,
                              Py_ssize_t pool_columns, const Layer* layer, const real* padded, const uint8_t* positions,
                              const real* outputs, const real* d_output, real* d_weights, real* d_bias,
                              Py_ssize_t n_rows) noexcept nogil:
    # `rows` and `taps` are constants at every call, so the sums are registers.
    # padded and d_weights begin at the slice's first row and tap, the others at the first filter of the vector. outputs: NULL but
    # behind ReLU, whose derivative is taken here; for average pooling they are the map. d_bias: NULL but in the first slice.
    cdef vector sums[3][6]
    cdef vector bias_sum = (<const vector*> ZEROS)[0]
    cdef vector g
    cdef vector position
    cdef vector g_here
    cdef bint is_pooled = pool_rows * pool_columns > 1
    cdef bint is_average = pooling == AVERAGE
    cdef real share = <real> 1.0 / <real> (pool_rows * pool_columns)
    cdef Py_ssize_t map_at
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t weights_row = layer.kernel_columns * layer.channels * layer.filters
    cdef Py_ssize_t row_size = layer.out_columns * layer.filters
    cdef Py_ssize_t r, k, out_row, out_column, i, j, at = 0
    cdef const real* window
    cdef const real* patch
    for r in range(rows):
        for k in range(taps):
            sums[r][k] = (<const vector*> (d_weights + r * weights_row + k * layer.filters))[0]
    if d_bias != NULL:
        bias_sum = (<const vector*> d_bias)[0]
    for out_row in range(n_rows):
        for out_column in range(layer.out_columns):
            window = padded + (out_row * layer.pool_stride_rows * layer.stride_rows * padded_row
                               + out_column * layer.pool_stride_columns * layer.stride_columns * layer.channels)
            g = (<const vector*> (d_output + at))[0]
            PREFETCH(d_output + at + row_size)
            if is_average:
                SCALE(g, share)
            else:
                if outputs != NULL:
                    KEEP_WHERE_POSITIVE(g, (<const vector*> (outputs + at))[0])
                if d_bias != NULL:
                    ADD(bias_sum, g)
                if is_pooled:
                    LOAD_POSITIONS(position, positions + at)
            at += layer.filters
            for i in range(pool_rows):
                for j in range(pool_columns):
                    g_here = g
                    if is_average:
                        if outputs != NULL:
                            map_at = (out_row * layer.pool_stride_rows + i) * layer.map_columns
                            map_at = (map_at + out_column * layer.pool_stride_columns + j) * layer.filters
                            KEEP_WHERE_POSITIVE(g_here, (<const vector*> (outputs + map_at))[0])
                        if d_bias != NULL:
                            ADD(bias_sum, g_here)
                    elif is_pooled:
                        WHERE_POSITION(g_here, position, <real> (i * pool_columns + j), g)
                    patch = window + i * layer.stride_rows * padded_row + j * layer.stride_columns * layer.channels
                    for r in range(rows):
                        for k in range(taps):
                            MULTIPLY_ADD(sums[r][k], patch[r * padded_row + k], g_here)
    for r in range(rows):
        for k in range(taps):
            (<vector*> (d_weights + r * weights_row + k * layer.filters))[0] = sums[r][k]
    if d_bias != NULL:
        (<vector*> d_bias)[0] = bias_sum


cdef inline void shallow_rows(vector* kind, Py_ssize_t rows, Py_ssize_t taps, int64_t pooling, Py_ssize_t pool_rows,
                              Py_ssize_t pool_columns, const Layer* layer, const real* padded, const uint8_t* positions,
                              const real* outputs, const real* d_output, real* d_weights, real* d_bias,
                              Py_ssize_t n_rows) noexcept nogil:
    # `rows` is a constant here
    if taps == 1:
        shallow_tile[vector](kind, rows, 1, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)
    elif taps == 2:
        shallow_tile[vector](kind, rows, 2, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)
    elif taps == 3:
        shallow_tile[vector](kind, rows, 3, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)
    elif taps == 4:
        shallow_tile[vector](kind, rows, 4, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)
    elif SHALLOW_TAPS >= 5 * rows and taps == 5:
        shallow_tile[vector](kind, rows, 5, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)
    elif SHALLOW_TAPS >= 6 * rows and taps == 6:
        shallow_tile[vector](kind, rows, 6, pooling, pool_rows, pool_columns, layer, padded, positions, outputs, d_output,
                             d_weights, d_bias, n_rows)


cdef inline void shallow_filters(vector* kind, Py_ssize_t row_limit, int64_t pooling, Py_ssize_t pool_rows,
                                 Py_ssize_t pool_columns, const Layer* layer, const real* padded, const uint8_t* positions,
                                 const real* outputs, const real* d_output, real* d_weights, real* d_bias,
                                 Py_ssize_t n_rows) noexcept nogil:
    """All taps of one vector of filters, in slices that fit the registers; `row_limit`: kernel rows of a slice, 1 or 3."""
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t row_slices = (layer.kernel_rows + row_limit - 1) // row_limit
    cdef Py_ssize_t largest_rows = (layer.kernel_rows + row_slices - 1) // row_slices
    cdef Py_ssize_t largest_taps = min(6, SHALLOW_TAPS // largest_rows)
    cdef Py_ssize_t tap_slices = (kernel_row + largest_taps - 1) // largest_taps
    cdef Py_ssize_t row = 0, tap, rows, taps
    cdef const real* image
    cdef real* d_slice
    largest_taps = (kernel_row + tap_slices - 1) // tap_slices
    while row < layer.kernel_rows:
        rows = min(largest_rows, layer.kernel_rows - row)
        tap = 0
        while tap < kernel_row:
            taps = min(largest_taps, kernel_row - tap)
            image = padded + row * padded_row + tap
            d_slice = d_weights + (row * kernel_row + tap) * layer.filters
            if rows == 1:
                shallow_rows[vector](kind, 1, taps, pooling, pool_rows, pool_columns, layer, image, positions, outputs, d_output,
                                     d_slice, d_bias, n_rows)
            elif row_limit >= 2 and rows == 2:
                shallow_rows[vector](kind, 2, taps, pooling, pool_rows, pool_columns, layer, image, positions, outputs, d_output,
                                     d_slice, d_bias, n_rows)
            elif row_limit >= 3:
                shallow_rows[vector](kind, 3, taps, pooling, pool_rows, pool_columns, layer, image, positions, outputs, d_output,
                                     d_slice, d_bias, n_rows)
            tap += taps
            d_bias = NULL
        row += rows


cdef inline void shallow_windows(vector* kind, const Layer* layer, const real* padded, const uint8_t* positions,
                                 const real* outputs, const real* d_output, real* d_weights, real* d_bias,
                                 Py_ssize_t n_rows) noexcept nogil:
    # The usual poolings as constants: what is the same in all windows then costs nothing in them.
    cdef bint is_two_by_two = layer.pool_rows == 2 and layer.pool_columns == 2
    if layer.pooling == MAXIMUM and is_two_by_two:
        shallow_filters[vector](kind, 3, MAXIMUM, 2, 2, layer, padded, positions, outputs, d_output, d_weights, d_bias, n_rows)
    elif layer.pooling == AVERAGE and is_two_by_two:
        shallow_filters[vector](kind, 3, AVERAGE, 2, 2, layer, padded, positions, outputs, d_output, d_weights, d_bias, n_rows)
    elif layer.pooling == NO_POOLING:
        shallow_filters[vector](kind, 3, NO_POOLING, 1, 1, layer, padded, positions, outputs, d_output, d_weights, d_bias, n_rows)
    else:
        shallow_filters[vector](kind, 1, layer.pooling, layer.pool_rows, layer.pool_columns, layer, padded, positions, outputs,
                                d_output, d_weights, d_bias, n_rows)


cdef void shallow_band(const Layer* layer, const real* padded, const uint8_t* positions, const real* outputs,
                       const real* d_output, real* d_weights, real* d_bias, Py_ssize_t n_rows) noexcept nogil:
    """All filters of some rows."""
    cdef Py_ssize_t step, f = 0
    while f < layer.filters:
        if layer.filters - f >= LANES_WIDE:
            shallow_windows[vector_wide](NULL, layer, padded, positions, outputs, d_output, d_weights, d_bias, n_rows)
            step = LANES_WIDE
        elif layer.filters - f >= LANES_HALF:
            shallow_windows[vector_half](NULL, layer, padded, positions, outputs, d_output, d_weights, d_bias, n_rows)
            step = LANES_HALF
        elif layer.filters - f >= LANES_QUARTER:
            shallow_filters[vector_quarter](NULL, 3, layer.pooling, layer.pool_rows, layer.pool_columns, layer, padded, positions,
                                            outputs, d_output, d_weights, d_bias, n_rows)
            step = LANES_QUARTER
        else:
            shallow_filters[vector_one](NULL, 3, layer.pooling, layer.pool_rows, layer.pool_columns, layer, padded, positions,
                                        outputs, d_output, d_weights, d_bias, n_rows)
            step = 1
        f, d_output, d_weights, d_bias = f + step, d_output + step, d_weights + step, d_bias + step
        positions = positions + step if positions != NULL else NULL
        outputs = outputs + step if outputs != NULL else NULL


cdef void shallow_backward(const Layer* layer, const Run* runs, const real* image, const real* kept_map, const real* outputs,
                           const uint8_t* positions, real* d_output, real* d_weights, real* d_bias,
                           real* scratch) noexcept nogil:
    """d_weights, d_bias += gradients of one sample; d_output is used up. kept_map: of average pooling behind ReLU."""
    cdef const real* padded = padded_images(layer, runs, image, scratch, 1)
    cdef Py_ssize_t row_size = layer.out_columns * layer.filters
    cdef Py_ssize_t band = max(1, SHALLOW_NUMBERS // row_size)
    cdef Py_ssize_t padded_step = layer.pool_stride_rows * layer.stride_rows * layer.padded_columns * layer.channels
    cdef Py_ssize_t outputs_step = row_size
    cdef Py_ssize_t row = 0
    if layer.pooling == AVERAGE:
        outputs = kept_map
        outputs_step = layer.pool_stride_rows * layer.map_columns * layer.filters
    elif layer.activation != RELU:
        activate_backward(layer.activation, outputs, d_output, d_output, layer.out_rows * row_size)
        outputs = NULL
    while row < layer.out_rows:
        shallow_band(layer, padded + row * padded_step, positions + row * row_size if positions != NULL else NULL,
                     outputs + row * outputs_step if outputs != NULL else NULL, d_output + row * row_size, d_weights, d_bias,
                     min(band, layer.out_rows - row))
        row += band
