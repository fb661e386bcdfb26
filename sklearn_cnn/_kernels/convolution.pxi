# A convolution block of one sample, in one thread's cache: pad, product, activation, pooling.
#
#     image --pad--> padded --product with weights--> map --activation, pooling--> output (+ where each maximum was)

cdef void pool_one_row(const Layer* layer, Py_ssize_t out_row, const real* window, real* output, void* positions) noexcept nogil:
    """window: the first map row of the pooled row; output, positions: the whole pooled map."""
    cdef Py_ssize_t map_row = map_row_size(layer)
    cdef Py_ssize_t n = output_row_size(layer)
    if positions == NULL:
        pool_row[uint8_t](layer, window, map_row, output + out_row * n, NULL)
    elif has_wide_positions(layer):
        pool_row[int32_t](layer, window, map_row, output + out_row * n, <int32_t*> positions + out_row * n)
    else:
        pool_row[uint8_t](layer, window, map_row, output + out_row * n, <uint8_t*> positions + out_row * n)
    # All activations are monotone: the maximum of the activations is the activation of the maximum, on fewer pixels. ReLU is
    # there already.
    if layer.pooling == MAXIMUM and layer.activation != RELU:
        activate(layer.activation, output + out_row * n, n)


cdef Product convolution_product(const Layer* layer) noexcept nogil:
    """Pixels of a map row as rows of the product."""
    cdef Product shape
    shape.n_outer = layer.kernel.rows
    shape.n_inner = kernel_row_size(layer)
    shape.a_row = layer.stride.columns * layer.channels
    shape.a_outer = padded_row_size(layer)
    shape.a_inner = 1
    shape.b_outer = kernel_row_size(layer) * layer.filters
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    shape.start_row = 0
    shape.a_jump = layer.stride.rows * shape.a_outer
    shape.c_jump = map_row_size(layer)
    return shape


cdef Content content_of(const Layer* layer) noexcept nogil:
    # Padding that is not zero counts as content.
    cdef Content content
    content.first = layer.crop.row
    content.beyond = layer.crop.row + layer.crop.rows
    content.step = layer.stride.rows
    return content


cdef void convolve_filters(const Layer* layer, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t n_filters,
                           const real* parameters, const real* padded, real* target) noexcept nogil:
    """The first n_filters of the first n_columns of n_rows rows of the map, bias included."""
    cdef Product shape = convolution_product(layer)
    cdef Content content = content_of(layer)
    cdef Size map
    map.rows, map.columns = n_rows, n_columns
    content.first -= first * layer.stride.rows
    content.beyond -= first * layer.stride.rows
    product_of_map(&map, n_filters, &shape, &content, padded + first * shape.a_jump, parameters + layer.weights_at,
                   parameters + layer.bias_at, target)


cdef void convolve_rows(const Layer* layer, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t n_columns, const real* parameters,
                        const real* padded, real* target) noexcept nogil:
    """The first n_columns of n_rows rows of the map, bias and (unless maximum pooling follows) activation included."""
    cdef Py_ssize_t c_jump = map_row_size(layer)
    cdef Py_ssize_t r
    convolve_filters(layer, first, n_rows, n_columns, layer.filters, parameters, padded, target)
    if layer.pooling != MAXIMUM:
        for r in range(n_rows):
            activate(layer.activation, target + r * c_jump, n_columns * layer.filters)


cdef void pool_map(const Layer* layer, const real* map, real* output, void* positions) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(layer.out.rows):
        pool_one_row(layer, r, map + r * layer.pool.stride_rows * map_row_size(layer), output, positions)


cdef inline real* whole_maps(const Layer* layer, const Areas* areas) noexcept nogil:
    """Where whole maps are written: in the outputs if nothing is pooled, else where they are kept or else in the band."""
    if layer.pooling == NO_POOLING:
        return areas.outputs
    return areas.maps if areas.maps != NULL else areas.band + layer.n_band


cdef void finish_maps(const Layer* layer, real* maps, const Areas* areas) noexcept nogil:
    """Activation and pooling of whole maps."""
    cdef Py_ssize_t i
    if layer.pooling != MAXIMUM:
        activate(layer.activation, maps, areas.n_samples * map_size(layer))
    if layer.pooling != NO_POOLING:
        for i in range(areas.n_samples):
            pool_map(layer, maps + i * map_size(layer), areas.outputs + i * output_size(layer),
                     areas.positions + i * position_bytes(layer) if areas.positions != NULL else NULL)


cdef void small_convolution(const Layer* layer, const real* parameters, const Areas* areas) noexcept nogil:
    """The same for a small map, as a whole and without padding."""
    cdef SmallMap map
    map.image, map.image_row, map.channels = unpadded(layer, areas.images), unpadded_row(layer), layer.channels
    map.weights, map.start, map.filters = parameters + layer.weights_at, parameters + layer.bias_at, layer.filters
    map.target = whole_maps(layer, areas)
    small_product(layer.kernel.rows, &map)
    finish_maps(layer, map.target, areas)


cdef void direct_convolution(const Layer* layer, const Run* runs, const real* parameters, const Areas* areas) noexcept nogil:
    """images -> outputs, and where they are wanted maps and positions; of one sample."""
    cdef const real* padded
    cdef real* map = whole_maps(layer, areas)
    cdef bint is_planar = layer.planes.size > 0 and leaves_lanes_empty(layer.filters)
    if layer.has_small_map:
        small_convolution(layer, parameters, areas)
        return
    padded = padded_images(layer, runs, areas)
    if is_planar and areas.maps == NULL and pools_in_planes(layer):
        planar_maxima(layer, parameters, padded, areas.band, areas.outputs, <uint8_t*> areas.positions)
    elif is_planar:
        if layer.planes.first > 0:
            convolve_filters(layer, 0, layer.map.rows, layer.map.columns, layer.planes.first, parameters, padded, map)
        planar_map(layer, parameters, padded, map, areas.band)
        finish_maps(layer, map, areas)
    elif pools_in_registers(layer):
        convolve_and_pool_in_registers(layer, parameters, padded, areas)
    elif layer.pooling != NO_POOLING and areas.maps == NULL:
        convolve_and_pool(layer, parameters, padded, areas)
    else:
        convolve_rows(layer, 0, layer.map.rows, layer.map.columns, parameters, padded, map)
        if layer.pooling != NO_POOLING:
            pool_map(layer, map, areas.outputs, areas.positions)


cdef void winograd_convolution(const Layer* layer, const Run* runs, const real* parameters, const real* transformed,
                               const Areas* areas) noexcept nogil:
    """The same for a group of samples, by Winograd's algorithm: a small map alone would not fill the product's tiles."""
    cdef Tiling tiling
    if layer.tile_places == WHOLE_PLACES:
        tiling = tiling_of_whole(unpadded(layer, areas.images), unpadded_row(layer), unpadded_size(layer), areas.band)
    else:
        tiling = tiling_of(layer, padded_images(layer, runs, areas), areas.band)
    tiling.transformed, tiling.bias = transformed, parameters + layer.bias_at
    if pools_in_registers(layer):
        tiling.maps, tiling.outputs, tiling.positions = areas.maps, areas.outputs, <uint8_t*> areas.positions
        winograd_maps(layer, &tiling, areas.n_samples)
        if layer.pooling == MAXIMUM and layer.activation != RELU:
            activate(layer.activation, areas.outputs, areas.n_samples * output_size(layer))
    else:
        tiling.maps, tiling.outputs, tiling.positions = whole_maps(layer, areas), NULL, NULL
        winograd_maps(layer, &tiling, areas.n_samples)
        finish_maps(layer, tiling.maps, areas)


cdef void convolve_and_pool(const Layer* layer, const real* parameters, const real* padded, const Areas* areas) noexcept nogil:
    """Pool rows as soon as their window is complete; the band holds pool_rows rows of the map and stays in the first-level cache.

    Rows of overlapping windows move up in it; rows and columns that no window covers are not computed."""
    cdef real* band = areas.band
    cdef Py_ssize_t row_size = map_row_size(layer)
    cdef Py_ssize_t n_columns = (layer.out.columns - 1) * layer.pool.stride_columns + layer.pool.columns
    cdef Py_ssize_t n_kept = max(0, layer.pool.rows - layer.pool.stride_rows)
    cdef Py_ssize_t out_row, first = 0
    for out_row in range(layer.out.rows):
        convolve_rows(layer, out_row * layer.pool.stride_rows + first, layer.pool.rows - first, n_columns, parameters, padded,
                      band + first * row_size)
        pool_one_row(layer, out_row, band, areas.outputs, areas.positions)
        first = n_kept
        if n_kept > 0:
            memmove(band, band + layer.pool.stride_rows * row_size, <size_t> (n_kept * row_size) * sizeof(real))
