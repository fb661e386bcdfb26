# A locally connected block: every position of the map has a kernel of its own. Rows of the product are the samples of a
# group, so that a position's weights are read once for all of them; padded images and map gradients of the whole mini-batch
# are kept, because the weight gradient is a sum over samples.

cdef void pad_kept(const Layer* layer, const Run* runs, const real* images, real* padded, Py_ssize_t n_samples) noexcept nogil:
    cdef Py_ssize_t image_size = layer.rows * layer.columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * layer.padded_columns * layer.channels
    cdef Py_ssize_t i
    memset(padded, 0, <size_t> (n_samples * padded_size) * sizeof(real))
    for i in range(n_samples):
        pad(runs + layer.first_run, layer.n_runs, images + i * image_size, padded + i * padded_size)


cdef void local_forward(const Layer* layer, const real* parameters, const real* padded, real* maps, real* outputs,
                        void* positions, Py_ssize_t n_samples) noexcept nogil:
    """padded -> maps, outputs (and positions); maps is outputs where nothing is pooled."""
    cdef Product shape
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * padded_row
    cdef Py_ssize_t map_size = layer.map_rows * layer.map_columns * layer.filters
    cdef Py_ssize_t out_size = layer.out_rows * layer.out_columns * layer.filters
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t kernel_size = layer.kernel_rows * kernel_row * layer.filters
    cdef Py_ssize_t position_bytes = 4 if has_wide_positions(layer) else 1
    cdef Py_ssize_t i, r, c, position
    shape.n_outer = layer.kernel_rows
    shape.n_inner = kernel_row
    shape.a_row = padded_size
    shape.a_outer = padded_row
    shape.a_inner = 1
    shape.b_outer = kernel_row * layer.filters
    shape.b_inner = layer.filters
    shape.c_row = map_size
    shape.start_row = 0
    for r in range(layer.map_rows):
        for c in range(layer.map_columns):
            position = r * layer.map_columns + c
            product(n_samples, layer.filters, &shape,
                    padded + r * layer.stride_rows * padded_row + c * layer.stride_columns * layer.channels,
                    parameters + layer.weights_at + position * kernel_size,
                    parameters + layer.bias_at + position * layer.filters, maps + position * layer.filters)
    for i in range(n_samples):
        if layer.pooling != MAXIMUM:
            activate(layer.activation, maps + i * map_size, map_size)
        if layer.pooling != NO_POOLING:
            pool_map(layer, maps + i * map_size, outputs + i * out_size,
                     <char*> positions + i * out_size * position_bytes if positions != NULL else NULL)


cdef void local_flip_weights(const Layer* layer, const real* weights, real* flipped) noexcept nogil:
    """[position, kernel row, taps, filter] -> [position, kernel row, filter, taps]"""
    cdef Py_ssize_t block
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t size = kernel_row * layer.filters
    for block in range(layer.map_rows * layer.map_columns * layer.kernel_rows):
        transpose(kernel_row, layer.filters, weights + block * size, layer.filters, flipped + block * size, kernel_row)


cdef void local_map_gradient(const Layer* layer, const real* maps, const real* outputs, const void* positions,
                             real* d_outputs, real* d_maps, Py_ssize_t n_samples) noexcept nogil:
    cdef Py_ssize_t map_row = layer.map_columns * layer.filters
    cdef Py_ssize_t map_size = layer.map_rows * map_row
    cdef Py_ssize_t out_size = layer.out_rows * layer.out_columns * layer.filters
    cdef Py_ssize_t position_bytes = 4 if has_wide_positions(layer) else 1
    cdef Py_ssize_t i
    if layer.pooling != NO_POOLING and not writes_whole_map(layer):
        memset(d_maps, 0, <size_t> (n_samples * map_size) * sizeof(real))
    for i in range(n_samples):
        map_gradient(layer, maps + i * map_size, outputs + i * out_size, <const char*> positions + i * out_size * position_bytes,
                     d_outputs + i * out_size, d_maps + i * map_size, map_row)


cdef void local_input_gradient(const Layer* layer, const Run* runs, const real* flipped, const real* d_maps, real* d_padded,
                               real* d_images, Py_ssize_t n_samples) noexcept nogil:
    cdef Product shape
    cdef Py_ssize_t image_size = layer.rows * layer.columns * layer.channels
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t padded_size = layer.padded_rows * padded_row
    cdef Py_ssize_t map_size = layer.map_rows * layer.map_columns * layer.filters
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t r, c, u, position
    cdef real* target
    shape.n_outer = 1
    shape.n_inner = layer.filters
    shape.a_row = map_size
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = kernel_row
    shape.c_row = padded_size
    shape.start_row = padded_size
    memset(d_padded, 0, <size_t> (n_samples * padded_size) * sizeof(real))
    for r in range(layer.map_rows):
        for c in range(layer.map_columns):
            position = r * layer.map_columns + c
            for u in range(layer.kernel_rows):
                target = d_padded + (r * layer.stride_rows + u) * padded_row + c * layer.stride_columns * layer.channels
                product(n_samples, kernel_row, &shape, d_maps + position * layer.filters,
                        flipped + (position * layer.kernel_rows + u) * kernel_row * layer.filters, target, target)
    for r in range(n_samples):
        unpad(layer, runs, d_padded + r * padded_size, d_images + r * image_size)


cdef void local_weight_gradient(const Layer* layer, Py_ssize_t position, const real* padded, const real* d_maps,
                                real* d_weights, real* d_bias, Py_ssize_t n_samples) noexcept nogil:
    """The gradient of one position's kernel and bias: a sum over all samples of the mini-batch, in their order."""
    cdef Product shape
    cdef Py_ssize_t padded_row = layer.padded_columns * layer.channels
    cdef Py_ssize_t map_size = layer.map_rows * layer.map_columns * layer.filters
    cdef Py_ssize_t kernel_row = layer.kernel_columns * layer.channels
    cdef Py_ssize_t u
    padded += (position // layer.map_columns) * layer.stride_rows * padded_row
    padded += (position % layer.map_columns) * layer.stride_columns * layer.channels
    d_weights += position * layer.kernel_rows * kernel_row * layer.filters
    d_bias += position * layer.filters
    d_maps += position * layer.filters
    shape.n_outer = 1
    shape.n_inner = n_samples
    shape.a_row = 1
    shape.a_outer = 0
    shape.a_inner = layer.padded_rows * padded_row
    shape.b_outer = 0
    shape.b_inner = map_size
    shape.c_row = layer.filters
    shape.start_row = 0
    for u in range(layer.kernel_rows):
        product_from_zero(kernel_row, layer.filters, &shape, padded + u * padded_row, d_maps,
                          d_weights + u * kernel_row * layer.filters)
    memset(d_bias, 0, <size_t> layer.filters * sizeof(real))
    bias_gradient(d_maps, n_samples, map_size, 1, layer.filters, d_bias)
