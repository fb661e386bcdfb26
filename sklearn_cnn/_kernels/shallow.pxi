# The weight gradient of a first layer (few taps, no input gradient). Filters are the vector lanes. The pooled gradient is spread
# over the places of its window, for one vector of filters and a few windows at a time, which stay in the first-level cache; the
# map's gradient is never written out. Then every place meets its patch. A layer without pooling has windows of one place.
#
#     for every pooled pixel, for every place w of its window:
#         g_w = g where position == w, else 0                  one vector of filters; maximum pooling
#         g_w = g / size of the window where map_w > 0         average pooling after ReLU
#     for every place, in the same order:
#         d_weights[tap, filters] += patch_w[tap] * g_w        all taps at once, sums in registers
#
# Filters that are no whole vector, the rest, share one: its other lanes compute with what stands behind their gradients, and
# nobody looks at the sums. A rest has gradients of its own, whole vectors for every tap, while a sample is taken up.

cpdef enum:
    LARGEST_SHALLOW = 64        # taps

cdef enum:
    SHALLOW_PLACES = 256        # spread at once; no window of maximum pooling has more

# Some rows and columns of windows, and some rows and columns of the places of each: all, unless one window is too large.
ctypedef struct Box:
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t window_rows
    Py_ssize_t window_columns


# What a box begins with: the patch of its first place in the padded image, and pixels, at the first filter of a vector.
ctypedef struct Corner:
    const real* padded
    const real* d_output
    const real* outputs         # of which ReLU's derivative is taken, or NULL; for average pooling they are the map
    const uint8_t* positions    # of maximum pooling, or NULL
    const real* d_output_end    # of the sample; no vector may reach beyond
    const real* outputs_end


# The places of a box, window by window.
ctypedef struct Places:
    Py_ssize_t n
    real* gradients             # one vector of filters each
    Py_ssize_t[SHALLOW_PLACES + 1] patches  # counted from that of the first; behind the last one a zero


# The filters that are no whole vector, and their gradients while a sample is taken up.
ctypedef struct Rest:
    Py_ssize_t n
    Py_ssize_t lanes            # of the vector that they share; 0: they don't
    real[LARGEST_SHALLOW * LANES_WIDE] d_weights
    real[LANES_WIDE] d_bias


cdef Box largest_box(const Layer* layer) noexcept nogil:
    """As many places as are spread at once."""
    cdef Box box
    box.window_columns = min(layer.pool.columns, SHALLOW_PLACES)
    box.window_rows = min(layer.pool.rows, SHALLOW_PLACES // box.window_columns)
    box.columns = min(layer.out.columns, SHALLOW_PLACES // (box.window_columns * box.window_rows))
    box.rows = min(layer.out.rows, SHALLOW_PLACES // (box.window_columns * box.window_rows * box.columns))
    return box


cdef inline void list_patches(Py_ssize_t window_rows, Py_ssize_t window_columns, const Layer* layer, const Box* box,
                              Places* places) noexcept nogil:
    cdef Py_ssize_t place_column = layer.stride.columns * layer.channels
    cdef Py_ssize_t place_row = layer.stride.rows * padded_row_size(layer)
    cdef Py_ssize_t row, column, i, j, window, n = 0
    for row in range(box.rows):
        for column in range(box.columns):
            window = row * layer.pool.stride_rows * place_row + column * layer.pool.stride_columns * place_column
            for i in range(window_rows):
                for j in range(window_columns):
                    places.patches[n] = window + i * place_row + j * place_column
                    n += 1
    places.n = n
    places.patches[n] = 0


cdef inline void spread_box(vector* kind, int64_t pooling, Py_ssize_t window_rows, Py_ssize_t window_columns, Py_ssize_t n,
                            const Layer* layer, const Box* box, const Corner* corner, real* gradients,
                            real* d_bias) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef vector bias_sum = (<const vector*> d_bias)[0]
    cdef vector position = (<const vector*> ZEROS)[0]
    cdef vector g
    cdef vector g_here
    cdef vector output
    cdef bint is_average = pooling == AVERAGE
    cdef bint is_pooled = window_rows * window_columns > 1
    cdef real share = <real> 1.0 / <real> (layer.pool.rows * layer.pool.columns)
    cdef Py_ssize_t map_row = map_row_size(layer)
    cdef Py_ssize_t row, column, i, j, at, map_at
    for row in range(box.rows):
        for column in range(box.columns):
            at = (row * layer.out.columns + column) * layer.filters
            map_at = row * layer.pool.stride_rows * map_row + column * layer.pool.stride_columns * layer.filters
            load_filters[vector](&g, n, corner.d_output + at, corner.d_output_end)
            if is_average:
                SCALE(g, share)
            else:
                if corner.outputs != NULL:
                    load_filters[vector](&output, n, corner.outputs + at, corner.outputs_end)
                    KEEP_WHERE_POSITIVE(g, output)
                ADD(bias_sum, g)
                if is_pooled:
                    LOAD_POSITIONS(position, corner.positions + at)
            for i in range(window_rows):
                for j in range(window_columns):
                    g_here = g
                    if is_average:
                        if corner.outputs != NULL:
                            load_filters[vector](&output, n, corner.outputs + map_at + i * map_row + j * layer.filters,
                                                 corner.outputs_end)
                            KEEP_WHERE_POSITIVE(g_here, output)
                        ADD(bias_sum, g_here)
                    elif is_pooled:
                        WHERE_POSITION(g_here, position, <real> (i * window_columns + j), g)
                    (<vector*> gradients)[0] = g_here
                    gradients += lanes
    (<vector*> d_bias)[0] = bias_sum


cdef void spread(vector* kind, Py_ssize_t n, const Layer* layer, const Box* box, const Corner* corner, real* gradients,
                 real* d_bias) noexcept nogil:
    """The gradients of all places of a box, for a vector of n filters; d_bias += their sum."""
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef bint is_two_by_two = box.window_rows == 2 and box.window_columns == 2
    if layer.pooling == MAXIMUM and is_two_by_two:      # as constants
        spread_box[vector](kind, MAXIMUM, 2, 2, lanes, layer, box, corner, gradients, d_bias)
    elif layer.pooling == MAXIMUM:
        spread_box[vector](kind, MAXIMUM, box.window_rows, box.window_columns, lanes, layer, box, corner, gradients, d_bias)
    elif layer.pooling == NO_POOLING and n == lanes:
        spread_box[vector](kind, NO_POOLING, 1, 1, lanes, layer, box, corner, gradients, d_bias)
    elif layer.pooling == NO_POOLING:
        spread_box[vector](kind, NO_POOLING, 1, 1, n, layer, box, corner, gradients, d_bias)
    elif is_two_by_two and n == lanes:
        spread_box[vector](kind, AVERAGE, 2, 2, lanes, layer, box, corner, gradients, d_bias)
    else:
        spread_box[vector](kind, AVERAGE, box.window_rows, box.window_columns, n, layer, box, corner, gradients, d_bias)


cdef inline void shallow_tile(vector* kind, Py_ssize_t rows, Py_ssize_t taps, const Layer* layer, const Places* places,
                              const real* padded, real* d_weights, Py_ssize_t tap_size) noexcept nogil:
    # `rows` and `taps` are constants at every call, so the sums are registers. padded and d_weights begin at the slice's first
    # row and tap. Where the next patch begins is read one place ahead, as in `sum_tile`.
    cdef vector sums[3][6]
    cdef vector g
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t weights_row = kernel_row_size(layer) * tap_size
    cdef Py_ssize_t r, k, n
    cdef const real* patch
    cdef const real* following = padded + places.patches[0]
    for r in range(rows):
        for k in range(taps):
            sums[r][k] = (<const vector*> (d_weights + r * weights_row + k * tap_size))[0]
    for n in range(places.n):
        patch = following
        following = padded + places.patches[n + 1]
        FORGET_ORIGIN(following)
        g = (<const vector*> (places.gradients + n * lanes))[0]
        for r in range(rows):
            FORGET_ORIGIN(patch)
            for k in range(taps):
                MULTIPLY_ADD(sums[r][k], patch[k], g)
            patch += padded_row
    for r in range(rows):
        for k in range(taps):
            (<vector*> (d_weights + r * weights_row + k * tap_size))[0] = sums[r][k]


cdef inline void shallow_rows(vector* kind, Py_ssize_t rows, Py_ssize_t taps, const Layer* layer, const Places* places,
                              const real* padded, real* d_weights, Py_ssize_t tap_size) noexcept nogil:
    # `rows` is a constant here; what a level has no registers for is dropped by the C compiler
    if taps == 1:
        shallow_tile[vector](kind, rows, 1, layer, places, padded, d_weights, tap_size)
    elif taps == 2:
        shallow_tile[vector](kind, rows, 2, layer, places, padded, d_weights, tap_size)
    elif taps == 3:
        shallow_tile[vector](kind, rows, 3, layer, places, padded, d_weights, tap_size)
    elif SHALLOW_TAPS >= 4 * rows and taps == 4:
        shallow_tile[vector](kind, rows, 4, layer, places, padded, d_weights, tap_size)
    elif SHALLOW_TAPS >= 5 * rows and taps == 5:
        shallow_tile[vector](kind, rows, 5, layer, places, padded, d_weights, tap_size)
    elif SHALLOW_TAPS >= 6 * rows and taps == 6:
        shallow_tile[vector](kind, rows, 6, layer, places, padded, d_weights, tap_size)


# Slices of a kernel that fit the registers: at most three of its rows, and so many numbers of each.
ctypedef struct TapSlices:
    Py_ssize_t most_rows
    Py_ssize_t most_taps


cdef inline TapSlices tap_slices_of(const Layer* layer) noexcept nogil:
    cdef TapSlices slices
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t n = (layer.kernel.rows + 2) // 3
    slices.most_rows = (layer.kernel.rows + n - 1) // n
    n = n_blocks(kernel_row, min(6, SHALLOW_TAPS // slices.most_rows))
    slices.most_taps = (kernel_row + n - 1) // n
    return slices


cdef void shallow_slices(vector* kind, const Layer* layer, const Places* places, const real* padded, real* d_weights,
                         Py_ssize_t tap_size) noexcept nogil:
    """All taps of one vector of filters. tap_size: numbers of d_weights from one tap to the next."""
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef TapSlices slices = tap_slices_of(layer)
    cdef Py_ssize_t row = 0, tap, rows, taps
    cdef const real* image
    cdef real* d_slice
    while row < layer.kernel.rows:
        rows = min(slices.most_rows, layer.kernel.rows - row)
        tap = 0
        while tap < kernel_row:
            taps = min(slices.most_taps, kernel_row - tap)
            image = padded + row * padded_row + tap
            d_slice = d_weights + (row * kernel_row + tap) * tap_size
            if rows == 1:
                shallow_rows[vector](kind, 1, taps, layer, places, image, d_slice, tap_size)
            elif rows == 2:
                shallow_rows[vector](kind, 2, taps, layer, places, image, d_slice, tap_size)
            else:
                shallow_rows[vector](kind, 3, taps, layer, places, image, d_slice, tap_size)
            tap += taps
        row += rows


cdef void shallow_vector(vector* kind, Py_ssize_t n, const Layer* layer, const Box* box, const Corner* corner, Places* places,
                         real* d_weights, Py_ssize_t tap_size, real* d_bias) noexcept nogil:
    """A vector of n filters."""
    spread[vector](kind, n, layer, box, corner, places.gradients, d_bias)
    shallow_slices[vector](kind, layer, places, corner.padded, d_weights, tap_size)


cdef void shallow_box(const Layer* layer, const Box* box, Corner corner, real* d_weights, real* d_bias,
                      Rest* rest) noexcept nogil:
    """All filters of some windows, a vector at a time."""
    cdef real[SHALLOW_PLACES * LANES_WIDE + CACHE_LINE] room
    cdef Places places
    cdef Py_ssize_t filters = layer.filters
    cdef Py_ssize_t lanes, f = 0
    places.gradients = <real*> ((<size_t> room + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE)
    if box.window_rows == 2 and box.window_columns == 2:    # as constants
        list_patches(2, 2, layer, box, &places)
    elif box.window_rows == 1 and box.window_columns == 1:
        list_patches(1, 1, layer, box, &places)
    else:
        list_patches(box.window_rows, box.window_columns, layer, box, &places)
    while f < filters:
        if filters - f >= LANES_WIDE:
            lanes = LANES_WIDE
            shallow_vector[vector_wide](NULL, lanes, layer, box, &corner, &places, d_weights + f, filters, d_bias + f)
        elif rest.lanes > 0:
            lanes = rest.n
            if USES_QUARTER and rest.lanes == LANES_QUARTER:
                shallow_vector[vector_quarter](NULL, lanes, layer, box, &corner, &places, rest.d_weights, rest.lanes, rest.d_bias)
            elif USES_HALF and rest.lanes == LANES_HALF:
                shallow_vector[vector_half](NULL, lanes, layer, box, &corner, &places, rest.d_weights, rest.lanes, rest.d_bias)
            else:
                shallow_vector[vector_wide](NULL, lanes, layer, box, &corner, &places, rest.d_weights, rest.lanes, rest.d_bias)
        elif USES_HALF and filters - f >= LANES_HALF:
            lanes = LANES_HALF
            shallow_vector[vector_half](NULL, lanes, layer, box, &corner, &places, d_weights + f, filters, d_bias + f)
        elif USES_QUARTER and filters - f >= LANES_QUARTER:
            lanes = LANES_QUARTER
            shallow_vector[vector_quarter](NULL, lanes, layer, box, &corner, &places, d_weights + f, filters, d_bias + f)
        else:
            lanes = 1
            shallow_vector[vector_one](NULL, lanes, layer, box, &corner, &places, d_weights + f, filters, d_bias + f)
        f, corner.d_output = f + lanes, corner.d_output + lanes
        corner.outputs = corner.outputs + lanes if corner.outputs != NULL else NULL
        corner.positions = corner.positions + lanes if corner.positions != NULL else NULL


cdef void take_rest(const Layer* layer, const real* d_weights, const real* d_bias, Rest* rest) noexcept nogil:
    """The gradients so far of the filters that share a vector; of maximum pooling, whose positions are bytes, none do."""
    cdef Py_ssize_t taps = layer.kernel.rows * kernel_row_size(layer)
    cdef Py_ssize_t tap, i
    rest.n = layer.filters % LANES_WIDE
    rest.lanes = 0
    if rest.n == 0 or layer.pooling == MAXIMUM or LANES_WIDE == 1:
        return
    rest.lanes = LANES_QUARTER if rest.n <= LANES_QUARTER else LANES_HALF if rest.n <= LANES_HALF else LANES_WIDE
    if rest.n == rest.lanes:    # they fill it
        rest.lanes = 0
        return
    d_weights += layer.filters - rest.n
    memset(rest.d_weights, 0, <size_t> (taps * rest.lanes) * sizeof(real))
    memset(rest.d_bias, 0, sizeof(rest.d_bias))
    for tap in range(taps):
        for i in range(rest.n):
            rest.d_weights[tap * rest.lanes + i] = d_weights[tap * layer.filters + i]
    memcpy(rest.d_bias, d_bias + layer.filters - rest.n, <size_t> rest.n * sizeof(real))


cdef void give_rest_back(const Layer* layer, const Rest* rest, real* d_weights, real* d_bias) noexcept nogil:
    cdef Py_ssize_t taps = layer.kernel.rows * kernel_row_size(layer)
    cdef Py_ssize_t tap, i
    if rest.lanes == 0:
        return
    d_weights += layer.filters - rest.n
    for tap in range(taps):
        for i in range(rest.n):
            d_weights[tap * layer.filters + i] = rest.d_weights[tap * rest.lanes + i]
    memcpy(d_bias + layer.filters - rest.n, rest.d_bias, <size_t> rest.n * sizeof(real))


cdef Corner corner_at(const Layer* layer, const Corner* first, Py_ssize_t row, Py_ssize_t column, Py_ssize_t i,
                      Py_ssize_t j) noexcept nogil:
    """The corner of a box that begins with place (i, j) of window (row, column)."""
    cdef Corner corner = first[0]
    cdef Py_ssize_t map_row = row * layer.pool.stride_rows + i
    cdef Py_ssize_t map_column = column * layer.pool.stride_columns + j
    cdef Py_ssize_t pixel = (row * layer.out.columns + column) * layer.filters
    corner.padded += (map_row * layer.stride.rows * layer.padded.columns + map_column * layer.stride.columns) * layer.channels
    corner.d_output += pixel
    if corner.positions != NULL:
        corner.positions += pixel
    if corner.outputs != NULL:
        corner.outputs += (map_row * layer.map.columns + map_column) * layer.filters if layer.pooling == AVERAGE else pixel
    return corner


include "picked.pxi"


cdef void shallow_backward(const Layer* layer, const Run* runs, const Areas* areas, real* d_weights,
                           real* d_bias) noexcept nogil:
    """d_weights, d_bias += gradients of one sample; d_outputs are used up. There are maps of average pooling after ReLU."""
    cdef Box largest = largest_box(layer)
    cdef Box box
    cdef Corner first
    cdef Rest rest
    cdef Py_ssize_t row = 0, column, i, j
    first.padded, first.d_output = padded_images(layer, runs, areas), areas.d_outputs
    if picks_maxima(layer):
        picked_backward(layer, first.padded, areas, d_weights, d_bias)
        return
    first.outputs, first.positions = areas.outputs, <const uint8_t*> areas.positions
    if layer.pooling == AVERAGE:
        first.outputs = areas.maps
    elif layer.activation != RELU:
        activate_backward(layer.activation, areas.outputs, areas.d_outputs, areas.d_outputs, output_size(layer))
        first.outputs = NULL
    first.d_output_end = areas.d_outputs + output_size(layer)
    first.outputs_end = NULL
    if first.outputs != NULL:
        first.outputs_end = first.outputs + (map_size(layer) if layer.pooling == AVERAGE else output_size(layer))
    take_rest(layer, d_weights, d_bias, &rest)
    while row < layer.out.rows:
        box.rows = min(largest.rows, layer.out.rows - row)
        column = 0
        while column < layer.out.columns:
            box.columns = min(largest.columns, layer.out.columns - column)
            i = 0
            while i < layer.pool.rows:
                box.window_rows = min(largest.window_rows, layer.pool.rows - i)
                j = 0
                while j < layer.pool.columns:
                    box.window_columns = min(largest.window_columns, layer.pool.columns - j)
                    shallow_box(layer, &box, corner_at(layer, &first, row, column, i, j), d_weights, d_bias, &rest)
                    j += box.window_columns
                i += box.window_rows
            column += box.columns
        row += box.rows
    give_rest_back(layer, &rest, d_weights, d_bias)
