# The backward pass behind maximum pooling, where at least three quarters of the map's gradient are zero (behind ReLU usually
# seven eighths): instead of writing it out and multiplying by its zeros, each filter's non-zero gradients are listed, and
# only they meet the patches they belong to.
#
#     entry = (offset of the patch in the padded image, gradient g)
#
#     d_weights[filter, :] += g * padded[patch]        the filter's weight gradient stays in registers along its list
#     d_padded[patch]      += g * weights[filter, :]   the filter's weights stay in registers along its list
#
# A patch is kernel_rows stretches of kernel_columns * channels consecutive numbers. Weights and their gradients are laid out
# the same way, filter by filter, each stretch rounded up to whole cache lines with zeros (`stretch` numbers); the lanes
# beyond a stretch add zeros to what follows it.
#
# Exact: what is left out are additions of zero. The order of a filter's list is that of the pooled map.

cdef inline Py_ssize_t stretch_of(const Layer* layer) noexcept nogil:
    return (layer.kernel_columns * layer.channels + 15) // 16 * 16


cdef Py_ssize_t list_gradients(Py_ssize_t n_pixels, Py_ssize_t filters, const int32_t* windows, const int32_t* offset_in_window,
                               const uint8_t* positions, const real* d_output, int32_t* offsets, real* values,
                               Py_ssize_t n) noexcept nogil:
    """Append one filter's non-zero gradients to a list of n entries, without a branch; returns its new length.

    windows: where each pooled pixel's window begins in the padded images. positions, d_output: of the filter's first pixel."""
    cdef Py_ssize_t i
    for i in range(n_pixels):
        offsets[n] = windows[i] + offset_in_window[positions[i * filters]]
        values[n] = d_output[i * filters]
        n += is_not_zero(d_output[i * filters])
    return n


# How a filter's patch is cut so that a slice of its weights fits the registers.
ctypedef struct Slices:
    Py_ssize_t rows             # of a slice, at most
    Py_ssize_t vectors
    Py_ssize_t n_vectors        # of a stretch that hold anything


cdef Slices slices_of(const Layer* layer) noexcept nogil:
    cdef Slices slices
    cdef Py_ssize_t n = (layer.kernel_rows + 2) // 3
    slices.n_vectors = (layer.kernel_columns * layer.channels + LANES_WIDE - 1) // LANES_WIDE
    slices.rows = (layer.kernel_rows + n - 1) // n
    slices.vectors = min(8, SPARSE_VECTORS // slices.rows)
    n = (slices.n_vectors + slices.vectors - 1) // slices.vectors
    slices.vectors = (slices.n_vectors + n - 1) // n
    return slices


cdef inline void sparse_tile(vector* kind, Py_ssize_t lanes, Py_ssize_t rows, Py_ssize_t vectors, bint of_input,
                             real* image, Py_ssize_t padded_row, const int32_t* offsets, const real* values, Py_ssize_t n,
                             real* weights, Py_ssize_t stretch) noexcept nogil:
    # image, weights: padded, d_weights or d_padded, weights; what is a gradient is written, the other read. `rows`, `vectors` and
    # `of_input` are constants at every call.
    cdef vector of_filter[3][8]
    cdef Py_ssize_t i, r, v
    cdef real* patch
    for r in range(rows):
        for v in range(vectors):
            of_filter[r][v] = (<const vector*> (weights + r * stretch + v * lanes))[0]
    for i in range(n):
        patch = image + offsets[i]
        for r in range(rows):
            for v in range(vectors):
                if of_input:
                    MULTIPLY_ADD((<vector*> (patch + r * padded_row + v * lanes))[0], values[i], of_filter[r][v])
                else:
                    MULTIPLY_ADD(of_filter[r][v], values[i], (<const vector*> (patch + r * padded_row + v * lanes))[0])
    if of_input:
        return
    for r in range(rows):
        for v in range(vectors):
            (<vector*> (weights + r * stretch + v * lanes))[0] = of_filter[r][v]


cdef inline void sparse_rows(vector* kind, Py_ssize_t lanes, Py_ssize_t rows, Py_ssize_t vectors, bint of_input,
                             real* image, Py_ssize_t padded_row, const int32_t* offsets, const real* values, Py_ssize_t n,
                             real* weights, Py_ssize_t stretch) noexcept nogil:
    # `rows` is a constant here; what does not fit the registers of a level is dropped by the C compiler
    if vectors == 1:
        sparse_tile[vector](kind, lanes, rows, 1, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif vectors == 2:
        sparse_tile[vector](kind, lanes, rows, 2, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif vectors == 3:
        sparse_tile[vector](kind, lanes, rows, 3, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif vectors == 4:
        sparse_tile[vector](kind, lanes, rows, 4, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif SPARSE_VECTORS >= 5 * rows and vectors == 5:
        sparse_tile[vector](kind, lanes, rows, 5, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif SPARSE_VECTORS >= 6 * rows and vectors == 6:
        sparse_tile[vector](kind, lanes, rows, 6, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif SPARSE_VECTORS >= 7 * rows and vectors == 7:
        sparse_tile[vector](kind, lanes, rows, 7, of_input, image, padded_row, offsets, values, n, weights, stretch)
    elif SPARSE_VECTORS >= 8 * rows and vectors == 8:
        sparse_tile[vector](kind, lanes, rows, 8, of_input, image, padded_row, offsets, values, n, weights, stretch)


cdef inline void sparse_filter(const Layer* layer, const Slices* slices, bint of_input, real* image, const int32_t* offsets,
                               const real* values, Py_ssize_t n, real* weights) noexcept nogil:
    """One filter's list against all of its patch, slice by slice."""
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t rows, vectors, row = 0, vector_at
    cdef real* image_slice
    cdef real* weights_slice
    while row < layer.kernel_rows:
        rows = min(slices.rows, layer.kernel_rows - row)
        vector_at = 0
        while vector_at < slices.n_vectors:
            vectors = min(slices.vectors, slices.n_vectors - vector_at)
            image_slice = image + row * padded_row + vector_at * LANES_WIDE
            weights_slice = weights + row * stretch + vector_at * LANES_WIDE
            if rows == 1:
                sparse_rows[vector_wide](NULL, LANES_WIDE, 1, vectors, of_input, image_slice, padded_row, offsets, values, n,
                                         weights_slice, stretch)
            elif rows == 2:
                sparse_rows[vector_wide](NULL, LANES_WIDE, 2, vectors, of_input, image_slice, padded_row, offsets, values, n,
                                         weights_slice, stretch)
            else:
                sparse_rows[vector_wide](NULL, LANES_WIDE, 3, vectors, of_input, image_slice, padded_row, offsets, values, n,
                                         weights_slice, stretch)
            vector_at += vectors
        row += rows


cdef void weights_of_filter(const Layer* layer, const Slices* slices, real* padded, const int32_t* offsets,
                            const real* values, Py_ssize_t n, real* d_weights) noexcept nogil:
    sparse_filter(layer, slices, False, padded, offsets, values, n, d_weights)


cdef void input_of_filter(const Layer* layer, const Slices* slices, real* d_padded, const int32_t* offsets,
                          const real* values, Py_ssize_t n, real* weights) noexcept nogil:
    sparse_filter(layer, slices, True, d_padded, offsets, values, n, weights)


cdef void place_windows(const Layer* layer, Py_ssize_t n_samples, int32_t* windows, int32_t* offset_in_window) noexcept nogil:
    """Where in the padded images each pooled pixel's window begins, and each position within a window."""
    cdef Py_ssize_t i, r, c, n = 0
    cdef Py_ssize_t column = layer.stride_columns * layer.channels
    cdef Py_ssize_t row = layer.stride_rows * layer.padded_columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * layer.padded_columns * layer.channels
    for r in range(layer.pool_rows):
        for c in range(layer.pool_columns):
            offset_in_window[r * layer.pool_columns + c] = <int32_t> (r * row + c * column)
    for i in range(n_samples):
        for r in range(layer.out_rows):
            for c in range(layer.out_columns):
                windows[n] = <int32_t> (
                    i * padded_size + r * layer.pool_stride_rows * row + c * layer.pool_stride_columns * column)
                n += 1


cdef void sparse_backward(const Layer* layer, const Run* runs, real* by_filter, const real* images, const real* outputs,
                          const uint8_t* positions, real* d_outputs, real* d_images, real* d_by_filter, real* d_bias,
                          real* scratch, Py_ssize_t n_samples) noexcept nogil:
    """Like convolution_backward, for a group of samples: on small maps a filter's list is short, and what it costs to take it up
    is shared. by_filter, d_by_filter: weights and their gradients, filter by filter."""
    cdef int32_t[256] offset_in_window
    cdef Slices slices = slices_of(layer)
    cdef const real* padded = padded_images(layer, runs, images, scratch, n_samples)
    cdef real* d_padded = scratch + layer.padded_gradient_at
    cdef Py_ssize_t n_pixels = n_samples * layer.out_rows * layer.out_columns
    cdef Py_ssize_t image_size = layer.rows * layer.columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * layer.padded_columns * layer.channels
    cdef Py_ssize_t filter_size = layer.kernel_rows * stretch_of(layer)
    cdef real* values = scratch + layer.entries_at
    cdef int32_t* offsets = <int32_t*> (values + n_pixels * layer.filters)
    cdef int32_t* windows = offsets + n_pixels * layer.filters
    cdef int32_t* ends = windows + n_pixels     # of each filter's list; the first begins at 0
    cdef Py_ssize_t i, f
    place_windows(layer, n_samples, windows, offset_in_window)
    activate_backward(layer.activation, outputs, d_outputs, d_outputs, n_pixels * layer.filters)
    bias_gradient(d_outputs, 1, 0, n_pixels, layer.filters, d_bias)
    # One image after the other, not in turns: each fills most of the first-level cache.
    ends[0] = 0
    for f in range(layer.filters):
        ends[f + 1] = <int32_t> list_gradients(n_pixels, layer.filters, windows, offset_in_window, positions + f, d_outputs + f,
                                               offsets, values, ends[f])
        weights_of_filter(layer, &slices, <real*> padded, offsets + ends[f], values + ends[f], ends[f + 1] - ends[f],
                          d_by_filter + f * filter_size)
    if d_images == NULL:
        return
    memset(d_padded, 0, <size_t> (n_samples * padded_size) * sizeof(real))
    for f in range(layer.filters):
        input_of_filter(layer, &slices, d_padded, offsets + ends[f], values + ends[f], ends[f + 1] - ends[f],
                        by_filter + f * filter_size)
    for i in range(n_samples):
        unpad(layer, runs, d_padded + i * padded_size, d_images + i * image_size)


cdef void weights_by_filter(const Layer* layer, const real* weights, real* by_filter) noexcept nogil:
    """[kernel row, column and channel, filter] -> [filter, kernel row, stretch]."""
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t f, r, k
    for r in range(layer.kernel_rows):
        transpose(kernel_row, layer.filters, weights + r * kernel_row * layer.filters, layer.filters, by_filter + r * stretch,
                  layer.kernel_rows * stretch)
        for f in range(layer.filters):
            for k in range(kernel_row, stretch):
                by_filter[(f * layer.kernel_rows + r) * stretch + k] = 0.0


cdef void gradient_from_filters(const Layer* layer, const real* by_filter, real* gradient) noexcept nogil:
    """[filter, kernel row, stretch] -> [kernel row, column and channel, filter]"""
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t r
    for r in range(layer.kernel_rows):
        transpose(layer.filters, kernel_row, by_filter + r * stretch, layer.kernel_rows * stretch,
                  gradient + r * kernel_row * layer.filters, layer.filters)
