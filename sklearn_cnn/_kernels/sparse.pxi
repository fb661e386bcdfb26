# The backward pass after maximum pooling, where at least three quarters of the map's gradient are zero (after ReLU usually
# seven eighths): instead of writing it out and multiplying by its zeros, the gradients g that are not zero are listed, and
# only they meet the patches they belong to.
#
#     of each filter:            d_weights[filter, :] += sum of g * padded[patch]
#     of each pixel of the map:  d_padded[patch]      += sum of g * weights[filter, :]
#
# Both are sums over a list, held in registers along it. An entry is g and where its factors begin: a patch of the padded
# image, or the weights of a filter.
#
# A patch is kernel_rows stretches of kernel_columns * channels consecutive numbers. Weights and their gradients are laid out
# the same way, filter by filter, each stretch rounded up to whole cache lines with zeros (`stretch` numbers); the lanes
# beyond a stretch add zeros to what follows it.
#
# What is left out are additions of zero. The order of a filter's list is that of the pooled map, the order of a pixel's list that
# of the filters.

cdef extern from "lists.h" nogil:
    enum:
        LISTS_IN_VECTORS
        LIST_LANES
        MOST_POSITIONS_OF_PIXELS
    ctypedef struct Maxima:
        Py_ssize_t n_pixels
        Py_ssize_t n_filters
        const real* gradient
        const uint8_t* positions
        const int32_t* windows
        const int32_t* in_window
        Py_ssize_t n_positions
    void list_positions(real* values, int32_t* offsets, int32_t* ends, const Maxima* maxima, Py_ssize_t pixel,
                        int32_t filter_size)
    void list_rows(real* values, int32_t* offsets, int32_t* ends, const Maxima* maxima, Py_ssize_t pixel, int32_t filter_size)
    void list_filters(real* values, int32_t* offsets, const int32_t* begins, int32_t* ends, const Maxima* maxima,
                      Py_ssize_t first_filter, Py_ssize_t n_filters)

cdef enum:
    CACHED_BYTES = 40000        # of factors that stay in the first-level cache, with a list and its sums


cdef inline Py_ssize_t stretch_of(const Layer* layer) noexcept nogil:
    return whole_lines(kernel_row_size(layer))


cdef inline Py_ssize_t weights_stretch(const Layer* layer) noexcept nogil:
    # Of the weights alone, for the input gradient.
    return (layer.kernel.columns + 1) * layer.channels if has_small_lists(layer) else stretch_of(layer)


# How a patch is cut so that the sums of a slice fit the registers.
ctypedef struct Slices:
    Py_ssize_t rows             # of a slice, at most
    Py_ssize_t vectors
    Py_ssize_t n_vectors        # of a stretch that hold anything


cdef inline Py_ssize_t evenly(Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    # The size of the largest part where n are cut into parts of at most so many.
    cdef Py_ssize_t n_parts = (n + most - 1) // most
    return (n + n_parts - 1) // n_parts


cdef Slices slices_of(const Layer* layer, Py_ssize_t n_factors) noexcept nogil:
    """n_factors: patches that the factors of all lists come from, where their slice had better stay in the first-level cache; 0
    where it need not."""
    cdef Slices slices
    slices.n_vectors = (kernel_row_size(layer) + LANES_WIDE - 1) // LANES_WIDE
    slices.rows = evenly(layer.kernel.rows, 5 if 5 * slices.n_vectors <= SPARSE_VECTORS else 3)
    slices.vectors = evenly(slices.n_vectors, min(8, SPARSE_VECTORS // slices.rows))
    if n_factors * slices.rows * slices.vectors * VECTOR_BYTES > CACHED_BYTES:
        slices.rows = 1
        slices.vectors = evenly(slices.n_vectors, 8)
    return slices


ctypedef struct Lists:
    Py_ssize_t n
    int32_t[MOST_LISTS] begins  # each list has room for a multiple of LIST_MULTIPLE entries
    int32_t[MOST_LISTS] ends
    int32_t[MOST_LISTS] sums_at
    int32_t* offsets            # of the factors
    real* values
    bint begin_sums             # there is nothing yet to add to


cdef inline void sum_tile(vector* kind, Py_ssize_t lanes, Py_ssize_t rows, Py_ssize_t vectors, const Lists* lists,
                          const real* factors, Py_ssize_t factors_row, real* sums, Py_ssize_t sums_row) noexcept nogil:
    # `rows` and `vectors` are constants at every call. Where the next entry's factors begin is read one entry ahead: else all
    # loads of an entry wait for that one, which stands behind those of the entry before. Behind the last entry there is room,
    # and nobody follows what stands there.
    cdef vector of_list[5][8]
    cdef Py_ssize_t i, k, r, v
    cdef const real* factor
    cdef const real* following
    cdef real* target
    for k in range(lists.n):
        for r in range(rows):
            for v in range(vectors):
                of_list[r][v] = (<const vector*> ZEROS)[0]
        following = factors + lists.offsets[lists.begins[k]]
        for i in range(lists.begins[k], lists.ends[k]):
            factor = following
            following = factors + lists.offsets[i + 1]
            FORGET_ORIGIN(following)
            for r in range(rows):
                FORGET_ORIGIN(factor)
                for v in range(vectors):
                    MULTIPLY_ADD(of_list[r][v], lists.values[i], (<const vector*> (factor + v * lanes))[0])
                factor += factors_row
        target = sums + lists.sums_at[k]
        for r in range(rows):
            for v in range(vectors):
                if lists.begin_sums:
                    (<vector*> (target + r * sums_row + v * lanes))[0] = of_list[r][v]
                else:
                    ADD((<vector*> (target + r * sums_row + v * lanes))[0], of_list[r][v])


cdef inline void sum_rows(vector* kind, Py_ssize_t lanes, Py_ssize_t rows, Py_ssize_t vectors, const Lists* lists,
                          const real* factors, Py_ssize_t factors_row, real* sums, Py_ssize_t sums_row) noexcept nogil:
    # `rows` is a constant here; what does not fit the registers of a level is dropped by the C compiler
    if vectors == 1:
        sum_tile[vector](kind, lanes, rows, 1, lists, factors, factors_row, sums, sums_row)
    elif vectors == 2:
        sum_tile[vector](kind, lanes, rows, 2, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 3 * rows and vectors == 3:
        sum_tile[vector](kind, lanes, rows, 3, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 4 * rows and vectors == 4:
        sum_tile[vector](kind, lanes, rows, 4, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 5 * rows and vectors == 5:
        sum_tile[vector](kind, lanes, rows, 5, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 6 * rows and vectors == 6:
        sum_tile[vector](kind, lanes, rows, 6, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 7 * rows and vectors == 7:
        sum_tile[vector](kind, lanes, rows, 7, lists, factors, factors_row, sums, sums_row)
    elif SPARSE_VECTORS >= 8 * rows and vectors == 8:
        sum_tile[vector](kind, lanes, rows, 8, lists, factors, factors_row, sums, sums_row)


cdef void sum_slice(Py_ssize_t rows, Py_ssize_t vectors, const Lists* lists, const real* factors, Py_ssize_t factors_row,
                    real* sums, Py_ssize_t sums_row) noexcept nogil:
    if rows == 1:
        sum_rows[vector_wide](NULL, LANES_WIDE, 1, vectors, lists, factors, factors_row, sums, sums_row)
    elif rows == 2:
        sum_rows[vector_wide](NULL, LANES_WIDE, 2, vectors, lists, factors, factors_row, sums, sums_row)
    elif rows == 3:
        sum_rows[vector_wide](NULL, LANES_WIDE, 3, vectors, lists, factors, factors_row, sums, sums_row)
    elif rows == 4:
        sum_rows[vector_wide](NULL, LANES_WIDE, 4, vectors, lists, factors, factors_row, sums, sums_row)
    else:
        sum_rows[vector_wide](NULL, LANES_WIDE, 5, vectors, lists, factors, factors_row, sums, sums_row)


cdef void sum_narrow_slice(Py_ssize_t rows, const Lists* lists, const real* factors, Py_ssize_t factors_row, real* sums,
                           Py_ssize_t sums_row) noexcept nogil:
    # Stretches of half a vector lie across fewer cache lines.
    if rows == 1:
        sum_tile[vector_half](NULL, LANES_HALF, 1, 1, lists, factors, factors_row, sums, sums_row)
    elif rows == 2:
        sum_tile[vector_half](NULL, LANES_HALF, 2, 1, lists, factors, factors_row, sums, sums_row)
    elif rows == 3:
        sum_tile[vector_half](NULL, LANES_HALF, 3, 1, lists, factors, factors_row, sums, sums_row)
    elif rows == 4:
        sum_tile[vector_half](NULL, LANES_HALF, 4, 1, lists, factors, factors_row, sums, sums_row)
    else:
        sum_tile[vector_half](NULL, LANES_HALF, 5, 1, lists, factors, factors_row, sums, sums_row)


cdef void sum_lists(const Layer* layer, const Lists* lists, const real* factors, Py_ssize_t factors_row, Py_ssize_t n_factors,
                    real* sums, Py_ssize_t sums_row) noexcept nogil:
    """Each list's sums over a patch, slice by slice. n_factors: see `slices_of`."""
    cdef Slices slices = slices_of(layer, n_factors)
    cdef Py_ssize_t rows, vectors, row = 0, vector_at
    cdef const real* factors_slice
    cdef real* sums_slice
    while row < layer.kernel.rows:
        rows = min(slices.rows, layer.kernel.rows - row)
        vector_at = 0
        while vector_at < slices.n_vectors:
            vectors = min(slices.vectors, slices.n_vectors - vector_at)
            factors_slice = factors + row * factors_row + vector_at * LANES_WIDE
            sums_slice = sums + row * sums_row + vector_at * LANES_WIDE
            if USES_HALF and kernel_row_size(layer) <= LANES_HALF:
                sum_narrow_slice(rows, lists, factors_slice, factors_row, sums_slice, sums_row)
            else:
                sum_slice(rows, vectors, lists, factors_slice, factors_row, sums_slice, sums_row)
            vector_at += vectors
        row += rows


cdef void place_windows(const Layer* layer, Py_ssize_t n_samples, int32_t* windows, int32_t* in_window) noexcept nogil:
    """Where in the padded images each pooled pixel's window begins, and each position within a window."""
    cdef Py_ssize_t i, r, c, n = 0
    cdef Py_ssize_t column = layer.stride.columns * layer.channels
    cdef Py_ssize_t row = layer.stride.rows * padded_row_size(layer)
    for r in range(layer.pool.rows):
        for c in range(layer.pool.columns):
            in_window[r * layer.pool.columns + c] = <int32_t> (r * row + c * column)
    for i in range(n_samples):
        for r in range(layer.out.rows):
            for c in range(layer.out.columns):
                windows[n] = <int32_t> (
                    i * padded_size(layer) + r * layer.pool.stride_rows * row + c * layer.pool.stride_columns * column)
                n += 1


cdef inline Py_ssize_t room_of(Py_ssize_t n) noexcept nogil:
    return (n + LIST_MULTIPLE - 1) // LIST_MULTIPLE * LIST_MULTIPLE


cdef void list_by_filter(const Layer* layer, const Maxima* maxima, Py_ssize_t first, Py_ssize_t last,
                         Lists* lists) noexcept nogil:
    """Lists of filters first to last - 1, in the order of the pooled pixels."""
    cdef Py_ssize_t f, i, k
    cdef int32_t n
    lists.n = last - first
    for f in range(lists.n):
        lists.begins[f] = <int32_t> (f * room_of(maxima.n_pixels))
        lists.sums_at[f] = <int32_t> ((first + f) * layer.kernel.rows * stretch_of(layer))
    if LISTS_IN_VECTORS and maxima.n_positions <= LIST_LANES:
        f = 0
        while f < lists.n:
            list_filters(lists.values, lists.offsets, lists.begins + f, lists.ends + f, maxima, first + f,
                         min(<Py_ssize_t> LIST_LANES, lists.n - f))
            f += LIST_LANES
        return
    for f in range(lists.n):
        n = lists.begins[f]
        for i in range(maxima.n_pixels):
            k = i * layer.filters + first + f
            lists.offsets[n] = maxima.windows[i] + maxima.in_window[maxima.positions[k]]
            lists.values[n] = maxima.gradient[k]
            n += is_not_zero(maxima.gradient[k])    # without a branch
        lists.ends[f] = n


cdef void list_by_pixel(const Layer* layer, const Maxima* maxima, Py_ssize_t first, Py_ssize_t last,
                        Lists* lists) noexcept nogil:
    """Lists of each position in the windows of the pooled pixels first to last - 1, in the order of the filters."""
    cdef Py_ssize_t n_positions = maxima.n_positions
    cdef int32_t filter_size = <int32_t> (layer.kernel.rows * stretch_of(layer))
    cdef Py_ssize_t i, k, q, at = 0
    cdef int32_t f, n
    lists.n = (last - first) * n_positions
    for i in range(first, last):
        for q in range(n_positions):
            lists.begins[at + q] = lists.ends[at + q] = <int32_t> ((at + q) * room_of(layer.filters))
            lists.sums_at[at + q] = maxima.windows[i] + maxima.in_window[q]
        if LISTS_IN_VECTORS and n_positions <= MOST_POSITIONS_OF_PIXELS:
            list_positions(lists.values, lists.offsets, lists.ends + at, maxima, i, filter_size)
        else:
            k = i * layer.filters
            for f in range(<int32_t> layer.filters):
                q = at + maxima.positions[k + f]
                n = lists.ends[q]
                lists.offsets[n] = f * filter_size
                lists.values[n] = maxima.gradient[k + f]
                lists.ends[q] = n + is_not_zero(maxima.gradient[k + f])
        at += n_positions


cdef void input_gradient_of_maxima(const Layer* layer, const Run* runs, const real* flipped, const Areas* areas) noexcept nogil:
    """d_images <- gradient, from whole maps: Winograd's algorithm in large tiles takes as few products for all pixels."""
    cdef Py_ssize_t frame_row = layer.gradient.columns * layer.filters
    cdef Py_ssize_t d_map_at = layer.lead.rows * frame_row + layer.lead.columns * layer.filters
    cdef const uint8_t* positions = <const uint8_t*> areas.positions
    cdef real* frame
    cdef Py_ssize_t i
    for i in range(areas.n_samples):
        frame = areas.frame + i * frame_size(layer)
        if not writes_whole_map(layer):
            memset(frame, 0, <size_t> (layer.gradient.rows * frame_row) * sizeof(real))
        maximum_backward[uint8_t](layer, areas.d_outputs + i * output_size(layer), positions + i * output_size(layer),
                                  frame + d_map_at, frame_row)
    input_gradient(layer, runs, flipped, areas)


cdef void sparse_backward(const Layer* layer, const Run* runs, const real* by_filter, const Areas* areas, bint begin_sums,
                          real* d_by_filter, real* d_bias) noexcept nogil:
    """Like convolution_backward, for a group of samples: on small maps a filter's list is short, and what it costs to take it up
    is shared. by_filter, d_by_filter: weights and their gradients, filter by filter; these samples begin the sums of the latter,
    or add to them. The input gradient is left out where `input_gradient_of_maxima` computes it."""
    cdef int32_t[MOST_LISTS] in_window
    cdef const real* padded = padded_images(layer, runs, areas)
    cdef real* d_outputs = areas.d_outputs
    cdef Py_ssize_t n_pixels = areas.n_samples * layer.out.rows * layer.out.columns
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    # Slices of rows change the order in which patches that overlap are added: layers without normalisation keep theirs.
    cdef Py_ssize_t n_factors = layer.filters if layer.n_bias == 0 else 0
    cdef Py_ssize_t first = 0, last, i
    cdef Lists lists
    cdef Maxima maxima
    cdef int32_t* windows
    lists.values = areas.entries
    lists.offsets = <int32_t*> (lists.values + layer.n_entries)
    windows = lists.offsets + layer.n_entries
    place_windows(layer, areas.n_samples, windows, in_window)
    maxima.n_pixels, maxima.n_filters, maxima.n_positions = n_pixels, layer.filters, layer.pool.rows * layer.pool.columns
    maxima.gradient, maxima.positions = d_outputs, <const uint8_t*> areas.positions
    maxima.windows, maxima.in_window = windows, in_window
    activate_backward(layer.activation, areas.outputs, d_outputs, d_outputs, n_pixels * layer.filters)
    if layer.n_bias > 0:
        bias_gradient_of_pixels(d_outputs, n_pixels, layer.filters, d_bias)
    lists.begin_sums = begin_sums
    while first < layer.filters:
        last = min(first + MOST_LISTS, layer.filters)
        list_by_filter(layer, &maxima, first, last, &lists)
        sum_lists(layer, &lists, padded, padded_row, 0, d_by_filter, stretch_of(layer))
        first = last
    if areas.d_images == NULL or layer.gradient_side > 0:   # that comes later, for more samples at once
        return
    if has_small_lists(layer):
        small_image_gradient(layer, maxima, by_filter, &lists, areas.d_images)
        return
    lists.begin_sums = False
    memset(areas.d_padded, 0, <size_t> (areas.n_samples * padded_size(layer)) * sizeof(real))
    first = 0
    while first < n_pixels:
        last = min(first + MOST_LISTS // maxima.n_positions, n_pixels)
        list_by_pixel(layer, &maxima, first, last, &lists)
        sum_lists(layer, &lists, by_filter, stretch_of(layer), n_factors, areas.d_padded, padded_row)
        first = last
    for i in range(areas.n_samples):
        unpad(layer, runs, areas.d_padded + i * padded_size(layer), areas.d_images + i * input_size(layer))


cdef void weights_by_filter(const Layer* layer, const real* weights, real* by_filter) noexcept nogil:
    """[kernel row, column and channel, filter] -> [filter, kernel row, stretch]. For small lists a tap of zeros stands before the
    others, and behind the very last."""
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t stretch = weights_stretch(layer)
    cdef Py_ssize_t begin = layer.channels if has_small_lists(layer) else 0
    cdef Py_ssize_t f, r, k
    for r in range(layer.kernel.rows):
        transpose(kernel_row, layer.filters, weights + r * kernel_row * layer.filters, layer.filters,
                  by_filter + r * stretch + begin, layer.kernel.rows * stretch)
        for f in range(layer.filters):
            for k in range(begin):
                by_filter[(f * layer.kernel.rows + r) * stretch + k] = 0.0
            for k in range(begin + kernel_row, stretch):
                by_filter[(f * layer.kernel.rows + r) * stretch + k] = 0.0
    for k in range(begin):
        by_filter[layer.filters * layer.kernel.rows * stretch + k] = 0.0


cdef void gradient_from_filters(const Layer* layer, const real* by_filter, real* gradient) noexcept nogil:
    """[filter, kernel row, stretch] -> [kernel row, column and channel, filter]"""
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t r
    for r in range(layer.kernel.rows):
        transpose(layer.filters, kernel_row, by_filter + r * stretch, layer.kernel.rows * stretch,
                  gradient + r * kernel_row * layer.filters, layer.filters)
