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


cdef Py_ssize_t list_gradients(const Layer* layer, Py_ssize_t f, const uint8_t* positions, const real* d_output,
                               const int32_t* offset_in_window, Py_ssize_t sample_at, int32_t* offsets, real* values,
                               Py_ssize_t n) noexcept nogil:
    """Append filter f's non-zero gradients of one sample to a list of n entries, without a branch; returns its new length."""
    cdef Py_ssize_t r, c, window, at = f
    cdef Py_ssize_t step = layer.pool_stride_columns * layer.stride_columns * layer.channels
    cdef Py_ssize_t row_step = layer.pool_stride_rows * layer.stride_rows * layer.padded_columns * layer.channels
    for r in range(layer.out_rows):
        window = sample_at + r * row_step
        for c in range(layer.out_columns):
            offsets[n] = <int32_t> window + offset_in_window[positions[at]]
            values[n] = d_output[at]
            n += is_not_zero(d_output[at])
            window += step
            at += layer.filters
    return n


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


cdef inline void sparse_filter(const Layer* layer, bint of_input, real* image, const int32_t* offsets, const real* values,
                               Py_ssize_t n, real* weights) noexcept nogil:
    """One filter's list against all of its patch, in slices that fit the registers."""
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t n_vectors = (layer.kernel_columns * layer.channels + LANES_WIDE - 1) // LANES_WIDE
    cdef Py_ssize_t rows, vectors, row = 0, vector_at
    cdef Py_ssize_t row_slices = (layer.kernel_rows + 2) // 3
    cdef Py_ssize_t largest_rows = (layer.kernel_rows + row_slices - 1) // row_slices
    cdef Py_ssize_t largest_vectors = min(8, SPARSE_VECTORS // largest_rows)
    cdef Py_ssize_t vector_slices = (n_vectors + largest_vectors - 1) // largest_vectors
    cdef real* image_slice
    cdef real* weights_slice
    largest_vectors = (n_vectors + vector_slices - 1) // vector_slices
    while row < layer.kernel_rows:
        rows = min(largest_rows, layer.kernel_rows - row)
        vector_at = 0
        while vector_at < n_vectors:
            vectors = min(largest_vectors, n_vectors - vector_at)
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


cdef void weights_of_filter(const Layer* layer, real* padded, const int32_t* offsets, const real* values, Py_ssize_t n,
                            real* d_weights) noexcept nogil:
    sparse_filter(layer, False, padded, offsets, values, n, d_weights)


cdef void input_of_filter(const Layer* layer, real* d_padded, const int32_t* offsets, const real* values, Py_ssize_t n,
                          real* weights) noexcept nogil:
    sparse_filter(layer, True, d_padded, offsets, values, n, weights)


cdef void sparse_backward(const Layer* layer, const Run* runs, real* by_filter, const real* images, const real* outputs,
                          const uint8_t* positions, real* d_outputs, real* d_images, real* d_by_filter, real* d_bias,
                          real* scratch, Py_ssize_t n_samples) noexcept nogil:
    """Like convolution_backward, for a group of samples: on small maps a filter's list is short, and what it costs to take it up
    is shared. by_filter, d_by_filter: weights and their gradients, filter by filter."""
    cdef int32_t[256] offset_in_window
    cdef const real* padded = images
    cdef real* d_padded = scratch + layer.padded_gradient_at
    cdef Py_ssize_t n_pooled = layer.out_rows * layer.out_columns
    cdef Py_ssize_t out_size = n_pooled * layer.filters
    cdef Py_ssize_t image_size = layer.rows * layer.columns * layer.channels
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * padded_row
    cdef Py_ssize_t filter_size = layer.kernel_rows * stretch_of(layer)
    cdef real* values = scratch + layer.entries_at
    cdef int32_t* offsets = <int32_t*> (values + n_samples * out_size)
    cdef int32_t* ends = offsets + n_samples * out_size     # of each filter's list; the first begins at 0
    cdef Py_ssize_t i, j, f, n
    for i in range(layer.pool_rows):
        for j in range(layer.pool_columns):
            offset_in_window[i * layer.pool_columns + j] = <int32_t> (
                i * layer.stride_rows * padded_row + j * layer.stride_columns * layer.channels)
    if is_padded(layer):
        for i in range(n_samples):
            pad(runs + layer.first_run, layer.n_runs, images + i * image_size, scratch + layer.padded_at + i * padded_size)
        padded = scratch + layer.padded_at
    activate_backward(layer.activation, outputs, d_outputs, d_outputs, n_samples * out_size)
    bias_gradient(d_outputs, 1, 0, n_samples * n_pooled, layer.filters, d_bias)
    ends[0] = 0
    # One image after the other, not in turns: each fills most of the first-level cache.
    for f in range(layer.filters):
        n = ends[f]
        for i in range(n_samples):
            n = list_gradients(layer, f, positions + i * out_size, d_outputs + i * out_size, offset_in_window, i * padded_size,
                               offsets, values, n)
        ends[f + 1] = <int32_t> n
        weights_of_filter(layer, <real*> padded, offsets + ends[f], values + ends[f], n - ends[f], d_by_filter + f * filter_size)
    if d_images == NULL:
        return
    memset(d_padded, 0, <size_t> (n_samples * padded_size) * sizeof(real))
    for f in range(layer.filters):
        input_of_filter(layer, d_padded, offsets + ends[f], values + ends[f], ends[f + 1] - ends[f], by_filter + f * filter_size)
    for i in range(n_samples):
        unpad(layer, runs, d_padded + i * padded_size, d_images + i * image_size)


cdef void weights_by_filter(const Layer* layer, const real* weights, real* by_filter) noexcept nogil:
    """[kernel row, column and channel, filter] -> [filter, kernel row, stretch]"""
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t f, r, k
    for f in range(layer.filters):
        for r in range(layer.kernel_rows):
            for k in range(kernel_row):
                by_filter[(f * layer.kernel_rows + r) * stretch + k] = weights[(r * kernel_row + k) * layer.filters + f]
            for k in range(kernel_row, stretch):
                by_filter[(f * layer.kernel_rows + r) * stretch + k] = 0.0


cdef void gradient_from_filters(const Layer* layer, const real* by_filter, real* gradient) noexcept nogil:
    """[filter, kernel row, stretch] -> [kernel row, column and channel, filter]"""
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t stretch = stretch_of(layer)
    cdef Py_ssize_t f, r, k
    for r in range(layer.kernel_rows):
        for k in range(kernel_row):
            for f in range(layer.filters):
                gradient[(r * kernel_row + k) * layer.filters + f] = by_filter[(f * layer.kernel_rows + r) * stretch + k]
