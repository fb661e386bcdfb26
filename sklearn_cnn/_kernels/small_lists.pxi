# The input gradient after maximum pooling once more, for images of 4 x 4 pixels: what pooling has left of images of 8, 16 or 32
# pixels. All pixels of a vector of channels are registers where there are 32 of these, and the gradients of a pixel of the map
# meet those taps alone that lie inside the image, each at a place known when compiling:
#
#     map     0 1 2 3       a gradient at row 0, column 1, with a kernel of 3 x 3: rows 0 and 1, columns 0 to 2.
#             . . . .       Over all pixels that leaves 100 taps of 144 out of 3 x 3, and 196 of 400 out of 5 x 5.
#
# Each list is summed up on its own and then added, in the order of `list_by_pixel`: the bits are those of `sum_lists` where a
# patch is one slice.

# Weights filter by filter, at one vector of their channels.
ctypedef struct Taps:
    const real* weights
    Py_ssize_t row              # numbers from one kernel row to the next
    Py_ssize_t tap              # and from one tap


cdef inline bint has_small_lists(const Layer* layer) noexcept nogil:
    return layer.has_small_map and pools_four(layer)


cdef inline void add_place(vector* kind, Py_ssize_t side, Py_ssize_t row, Py_ssize_t column, const Lists* lists,
                           const Taps* taps, vector* image) noexcept nogil:
    # image += all gradients of the map at (row, column). That and the kernel's side are constants at every call. Where the next
    # gradient's weights begin is read one ahead, as in `sum_tile`.
    cdef vector of_list[SMALL_SIDE][SMALL_SIDE]
    cdef Py_ssize_t border = side // 2
    cdef Py_ssize_t first_row = max(0, row - border)
    cdef Py_ssize_t first_column = max(0, column - border)
    cdef Py_ssize_t beyond_row = min(<Py_ssize_t> SMALL_SIDE, row + border + 1)
    cdef Py_ssize_t beyond_column = min(<Py_ssize_t> SMALL_SIDE, column + border + 1)
    cdef Py_ssize_t window = row // 2 * (SMALL_SIDE // 2) + column // 2
    cdef Py_ssize_t k = 4 * window + row % 2 * 2 + column % 2
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


cdef inline void add_window(vector* kind, Py_ssize_t side, Py_ssize_t row, Py_ssize_t column, const Lists* lists,
                            const Taps* taps, vector* image) noexcept nogil:
    add_place[vector](kind, side, row, column, lists, taps, image)
    add_place[vector](kind, side, row, column + 1, lists, taps, image)
    add_place[vector](kind, side, row + 1, column, lists, taps, image)
    add_place[vector](kind, side, row + 1, column + 1, lists, taps, image)


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


cdef void small_image_gradient(const Layer* layer, const Maxima* maxima, const real* by_filter, Lists* lists,
                               real* d_images) noexcept nogil:
    """d_images <- the gradient of every sample, one after another."""
    cdef Py_ssize_t windows = layer.out.rows * layer.out.columns
    cdef Py_ssize_t pixel = 0, channel
    cdef Taps taps
    taps.row, taps.tap = stretch_of(layer), layer.channels
    while pixel < maxima.n_pixels:
        list_by_pixel(layer, maxima, pixel, pixel + windows, lists)
        channel = 0
        while channel < layer.channels:
            taps.weights = by_filter + channel
            if layer.channels - channel >= LANES_WIDE:
                small_image[vector_wide](NULL, layer, lists, &taps, d_images + channel)
                channel += LANES_WIDE
            else:
                small_image[vector_half](NULL, layer, lists, &taps, d_images + channel)
                channel += LANES_HALF
        pixel += windows
        d_images += input_size(layer)
