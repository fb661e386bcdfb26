# The input gradient after maximum pooling once more, for images of 4 x 4 pixels: what pooling has left of images of 8, 16 or 32
# pixels. All pixels of a vector of channels are registers where there are 32 of these. The gradients in one row of a window of
# 2 x 2 pixels make one list. They meet those kernel rows alone that lie inside the image, and of these as many taps as either of
# the row's two pixels needs. Before and behind the taps of a kernel row stands one of zeros, for the pixel that needs fewer:
#
#     map     0 1 2 3       gradients in row 0, columns 0 and 1, with a kernel of 3 x 3: rows 0 and 1, columns 0 to 2.
#             . . . .       Over all pixels that leaves 120 taps of 144 out of 3 x 3, and 224 of 400 out of 5 x 5.
#
# A list for each pixel would meet fewer taps, 100 and 196. But there would be twice as many, and the end of a list is where
# processors guess wrong.
#
# Each list is summed up on its own, in the order of the filters, and then added, window by window and row by row.

# Weights filter by filter, at one vector of their channels.
ctypedef struct Taps:
    const real* weights
    Py_ssize_t row              # numbers from one kernel row to the next
    Py_ssize_t tap              # and from one tap


cdef inline bint has_small_lists(const Layer* layer) noexcept nogil:
    return layer.has_small_map and pools_four(layer)


cdef inline void add_list(vector* kind, Py_ssize_t side, Py_ssize_t row, Py_ssize_t column, Py_ssize_t first_row,
                          Py_ssize_t beyond_row, const Lists* lists, const Taps* taps, vector* image) noexcept nogil:
    # These rows of the image += all gradients of the map in a window's row, which begins at (row, column). All of these numbers
    # and the kernel's side are constants at every call. Where the next gradient's weights begin is read one ahead, as in
    # `sum_tile`.
    cdef vector of_list[SMALL_SIDE][SMALL_SIDE]
    cdef Py_ssize_t border = side // 2
    cdef Py_ssize_t first_column = max(0, column - border)
    cdef Py_ssize_t beyond_column = min(<Py_ssize_t> SMALL_SIDE, column + border + 2)
    cdef Py_ssize_t window = row // 2 * (SMALL_SIDE // 2) + column // 2
    cdef Py_ssize_t k = 2 * window + row % 2
    cdef Py_ssize_t i, r, c
    cdef const real* weights = taps.weights + (first_row + border - row) * taps.row + (first_column + border - column) * taps.tap
    cdef const real* following = weights + lists.offsets[lists.begins[k]]
    cdef const real* kernel_row
    for r in range(first_row, beyond_row):
        for c in range(first_column, beyond_column):
            of_list[r][c] = (<const vector*> ZEROS)[0]
    for i in range(lists.begins[k], lists.ends[k]):
        kernel_row = following
        following = weights + lists.offsets[i + 1]
        FORGET_ORIGIN(following)
        for r in range(first_row, beyond_row):
            FORGET_ORIGIN(kernel_row)
            for c in range(first_column, beyond_column):
                MULTIPLY_ADD(of_list[r][c], lists.values[i], (<const vector*> (kernel_row + (c - first_column) * taps.tap))[0])
            kernel_row += taps.row
    for r in range(first_row, beyond_row):
        for c in range(first_column, beyond_column):
            ADD(image[SMALL_SIDE * r + c], of_list[r][c])


cdef inline void add_window_row(vector* kind, Py_ssize_t side, Py_ssize_t row, Py_ssize_t column, const Lists* lists,
                                const Taps* taps, vector* image) noexcept nogil:
    cdef Py_ssize_t first_row = max(0, row - side // 2)
    cdef Py_ssize_t beyond_row = min(<Py_ssize_t> SMALL_SIDE, row + side // 2 + 1)
    if beyond_row - first_row == SMALL_SIDE and VECTOR_REGISTERS < 32:     # which can't hold the sums of all rows
        add_list[vector](kind, side, row, column, 0, SMALL_SIDE // 2, lists, taps, image)
        add_list[vector](kind, side, row, column, SMALL_SIDE // 2, SMALL_SIDE, lists, taps, image)
    else:
        add_list[vector](kind, side, row, column, first_row, beyond_row, lists, taps, image)


cdef inline void add_window(vector* kind, Py_ssize_t side, Py_ssize_t row, Py_ssize_t column, const Lists* lists,
                            const Taps* taps, vector* image) noexcept nogil:
    add_window_row[vector](kind, side, row, column, lists, taps, image)
    add_window_row[vector](kind, side, row + 1, column, lists, taps, image)


cdef inline void small_image_of(vector* kind, Py_ssize_t side, const Lists* lists, const Taps* taps,
                                real* d_image) noexcept nogil:
    cdef vector image[SMALL_SIDE * SMALL_SIDE]
    cdef Py_ssize_t i
    for i in range(SMALL_SIDE * SMALL_SIDE):
        image[i] = (<const vector*> ZEROS)[0]
    add_window[vector](kind, side, 0, 0, lists, taps, image)
    add_window[vector](kind, side, 0, 2, lists, taps, image)
    add_window[vector](kind, side, 2, 0, lists, taps, image)
    add_window[vector](kind, side, 2, 2, lists, taps, image)
    for i in range(SMALL_SIDE * SMALL_SIDE):
        (<vector*> (d_image + i * taps.tap))[0] = image[i]


cdef void small_image(vector* kind, const Layer* layer, const Lists* lists, const Taps* taps, real* d_image) noexcept nogil:
    # A vector of channels.
    if layer.kernel.rows == 3:
        small_image_of[vector](kind, 3, lists, taps, d_image)
    else:
        small_image_of[vector](kind, 5, lists, taps, d_image)


cdef void list_by_row(const Layer* layer, const Maxima* maxima, Py_ssize_t first, Py_ssize_t last, Lists* lists) noexcept nogil:
    """Lists of both rows of the windows of the pooled pixels first to last - 1, in the order of the filters. Offsets are those of
    the taps that pixels in a window's first column meet."""
    cdef int32_t filter_size = <int32_t> (layer.kernel.rows * weights_stretch(layer))
    cdef Py_ssize_t i, k, q, at = 0
    cdef int32_t f, offset, upper, lower
    cdef bint is_upper
    for i in range(first, last):
        for q in range(2):
            lists.begins[at + q] = lists.ends[at + q] = <int32_t> ((at + q) * room_of(layer.filters))
        if LISTS_IN_VECTORS:
            list_rows(lists.values, lists.offsets, lists.ends + at, maxima, i, filter_size)
        else:
            k = i * layer.filters
            upper, lower = lists.ends[at], lists.ends[at + 1]
            for f in range(<int32_t> layer.filters):
                offset = f * filter_size + maxima.in_window[maxima.positions[k + f]]
                is_upper = maxima.positions[k + f] < 2
                lists.offsets[upper] = lists.offsets[lower] = offset
                lists.values[upper] = lists.values[lower] = maxima.gradient[k + f]
                upper += is_not_zero(maxima.gradient[k + f]) & is_upper     # without a branch
                lower += is_not_zero(maxima.gradient[k + f]) & (1 - is_upper)
            lists.ends[at], lists.ends[at + 1] = upper, lower
        at += 2


cdef void small_image_gradient(const Layer* layer, Maxima maxima, const real* weights, Lists* lists,
                               real* d_images) noexcept nogil:
    """d_images <- the gradient of every sample, one after another. weights: see `weights_by_filter`."""
    cdef Py_ssize_t windows = layer.out.rows * layer.out.columns
    cdef Py_ssize_t pixel = 0, channel
    cdef int32_t[4] columns
    cdef Taps taps
    taps.row, taps.tap = weights_stretch(layer), layer.channels
    columns[0] = columns[2] = 0
    columns[1] = columns[3] = -<int32_t> taps.tap
    maxima.in_window = columns
    while pixel < maxima.n_pixels:
        list_by_row(layer, &maxima, pixel, pixel + windows, lists)
        channel = 0
        while channel < layer.channels:
            taps.weights = weights + taps.tap + channel
            if layer.channels - channel >= LANES_WIDE:
                small_image[vector_wide](NULL, layer, lists, &taps, d_images + channel)
                channel += LANES_WIDE
            else:
                small_image[vector_half](NULL, layer, lists, &taps, d_images + channel)
                channel += LANES_HALF
        pixel += windows
        d_images += input_size(layer)
