# A locally connected block: every position of the map has a kernel of its own. Rows of the product are the samples of a
# group, so that a position's weights are read once for all of them; padded images and map gradients of the whole mini-batch
# are kept, because the weight gradient is a sum over samples.

cdef void pad_kept(const Layer* layer, const Run* runs, const real* images, real* padded, Py_ssize_t n_samples) noexcept nogil:
    cdef Py_ssize_t i
    memset(padded, 0, <size_t> (n_samples * padded_size(layer)) * sizeof(real))
    for i in range(n_samples):
        pad(runs + layer.first_run, layer.n_runs, images + i * input_size(layer), padded + i * padded_size(layer))


cdef void local_forward(const Layer* layer, const real* parameters, const real* padded, const Areas* areas) noexcept nogil:
    """padded -> maps (which are the outputs where nothing is pooled) -> outputs and positions."""
    cdef Product shape
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t kernel_size = layer.kernel.rows * kernel_row * layer.filters
    cdef real* maps = whole_maps(layer, areas)
    cdef Py_ssize_t r, c, position
    shape.n_outer = layer.kernel.rows
    shape.n_inner = kernel_row
    shape.a_row = padded_size(layer)
    shape.a_outer = padded_row
    shape.a_inner = 1
    shape.b_outer = kernel_row * layer.filters
    shape.b_inner = layer.filters
    shape.c_row = map_size(layer)
    shape.start_row = 0
    for r in range(layer.map.rows):
        for c in range(layer.map.columns):
            position = r * layer.map.columns + c
            product(areas.n_samples, layer.filters, &shape,
                    padded + r * layer.stride.rows * padded_row + c * layer.stride.columns * layer.channels,
                    parameters + layer.weights_at + position * kernel_size,
                    parameters + layer.bias_at + position * layer.filters, maps + position * layer.filters)
    finish_maps(layer, maps, areas)


cdef void local_flip_weights(const Layer* layer, const real* weights, real* flipped) noexcept nogil:
    """[position, kernel row, taps, filter] -> [position, kernel row, filter, taps]"""
    cdef Py_ssize_t block
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t size = kernel_row * layer.filters
    for block in range(layer.map.rows * layer.map.columns * layer.kernel.rows):
        transpose(kernel_row, layer.filters, weights + block * size, layer.filters, flipped + block * size, kernel_row)


cdef void local_map_gradient(const Layer* layer, const Areas* areas, real* d_maps) noexcept nogil:
    """d_outputs -> d_maps; d_outputs are used up."""
    cdef const real* maps = whole_maps(layer, areas)
    cdef Py_ssize_t n_map = map_size(layer)
    cdef Py_ssize_t n_output = output_size(layer)
    cdef Py_ssize_t i
    if layer.pooling != NO_POOLING and not writes_whole_map(layer):
        memset(d_maps, 0, <size_t> (areas.n_samples * n_map) * sizeof(real))
    for i in range(areas.n_samples):
        map_gradient(layer, maps + i * n_map, areas.outputs + i * n_output,
                     areas.positions + i * position_bytes(layer) if areas.positions != NULL else NULL,
                     areas.d_outputs + i * n_output, d_maps + i * n_map, map_row_size(layer))


cdef void local_input_gradient(const Layer* layer, const Run* runs, const real* flipped, const real* d_maps, real* d_padded,
                               const Areas* areas) noexcept nogil:
    """d_maps -> d_images, by way of d_padded."""
    cdef Product shape
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t r, c, u, position
    cdef real* target
    shape.n_outer = 1
    shape.n_inner = layer.filters
    shape.a_row = map_size(layer)
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = kernel_row
    shape.c_row = padded_size(layer)
    shape.start_row = padded_size(layer)
    memset(d_padded, 0, <size_t> (areas.n_samples * padded_size(layer)) * sizeof(real))
    for r in range(layer.map.rows):
        for c in range(layer.map.columns):
            position = r * layer.map.columns + c
            for u in range(layer.kernel.rows):
                target = d_padded + (r * layer.stride.rows + u) * padded_row + c * layer.stride.columns * layer.channels
                product(areas.n_samples, kernel_row, &shape, d_maps + position * layer.filters,
                        flipped + (position * layer.kernel.rows + u) * kernel_row * layer.filters, target, target)
    for r in range(areas.n_samples):
        unpad(layer, runs, d_padded + r * padded_size(layer), areas.d_images + r * input_size(layer))


cdef void local_weight_gradient(const Layer* layer, Py_ssize_t position, const real* padded, const real* d_maps,
                                real* d_weights, real* d_bias, Py_ssize_t n_samples) noexcept nogil:
    """The gradient of one position's kernel and bias: a sum over all samples of the mini-batch, in their order."""
    cdef Product shape
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Pixels pixels
    cdef Py_ssize_t u
    padded += (position // layer.map.columns) * layer.stride.rows * padded_row
    padded += (position % layer.map.columns) * layer.stride.columns * layer.channels
    d_weights += position * layer.kernel.rows * kernel_row * layer.filters
    d_bias += position * layer.filters
    d_maps += position * layer.filters
    shape.n_outer = 1
    shape.n_inner = n_samples
    shape.a_row = 1
    shape.a_outer = 0
    shape.a_inner = padded_size(layer)
    shape.b_outer = 0
    shape.b_inner = map_size(layer)
    shape.c_row = layer.filters
    shape.start_row = 0
    for u in range(layer.kernel.rows):
        product_from_zero(kernel_row, layer.filters, &shape, padded + u * padded_row, d_maps,
                          d_weights + u * kernel_row * layer.filters)
    memset(d_bias, 0, <size_t> layer.filters * sizeof(real))
    pixels.rows, pixels.columns, pixels.row_size, pixels.filters = n_samples, 1, map_size(layer), layer.filters
    bias_gradient(&pixels, d_maps, d_bias)
