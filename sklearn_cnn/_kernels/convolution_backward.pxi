# The way back through a convolution block of one sample, by the chain rule and the duality of cross-correlation and convolution:
#
#     d_map   = the pooled gradient put back where the maxima were, times the activation's derivative
#     d_weights[i, j, c, f] = sum over positions of padded[position + (i, j), c] * d_map[position, f]
#     d_padded = d_map convolved with the kernels, that is: cross-correlated with the kernels turned by 180 degrees
#
# d_map stands in a frame of zeros (lead_rows above, lead_columns to the left) so that the last sum never leaves it.

cdef void map_gradient(const Layer* layer, const real* kept_map, const real* output, const void* positions,
                       real* d_output, real* d_map, Py_ssize_t d_map_row) noexcept nogil:
    """d_output -> d_map (rows d_map_row apart, zero on entry where pooling will not write all of it); d_output is used up."""
    cdef Py_ssize_t r
    cdef Py_ssize_t n = map_row_size(layer)
    if layer.pooling == MAXIMUM:
        activate_backward(layer.activation, output, d_output, d_output, output_size(layer))
        if has_wide_positions(layer):
            maximum_backward[int32_t](layer, d_output, <const int32_t*> positions, d_map, d_map_row)
        else:
            maximum_backward[uint8_t](layer, d_output, <const uint8_t*> positions, d_map, d_map_row)
    elif layer.pooling == AVERAGE:
        average_backward(layer, d_output, d_map, d_map_row)
        if layer.activation != IDENTITY:
            for r in range(layer.map.rows):
                activate_backward(layer.activation, kept_map + r * n, d_map + r * d_map_row, d_map + r * d_map_row, n)
    else:
        for r in range(layer.map.rows):
            activate_backward(layer.activation, output + r * n, d_output + r * n, d_map + r * d_map_row, n)


cdef inline void exchange_factors(Product* shape, Py_ssize_t n_columns) noexcept nogil:
    # The transposed product b^T a^T, in the same order of its sums.
    shape.a_row, shape.a_outer, shape.b_outer = 1, shape.b_outer, shape.a_outer
    shape.a_inner, shape.b_inner = shape.b_inner, shape.a_inner
    shape.c_row = n_columns


cdef void weight_gradient(const Layer* layer, const real* padded, const real* d_map, Py_ssize_t d_map_row, bint begins,
                          real* d_weights) noexcept nogil:
    """d_weights += gradient, or = where the sums begin; they run over map rows (u) and columns (k), a product per kernel row.

    Rows of it are taps and columns filters, or the other way round where that fills the vectors better."""
    cdef Product shape
    cdef real* d_kernel_row
    cdef const real* patches
    cdef const real* d_rows
    cdef Content content = content_of(layer)
    cdef Py_ssize_t i, first, beyond
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t padded_row = padded_row_size(layer)
    shape.n_inner = layer.map.columns
    shape.a_row = 1
    shape.a_outer = layer.stride.rows * padded_row
    shape.a_inner = layer.stride.columns * layer.channels
    shape.b_outer = d_map_row
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    if layer.filters_are_rows:
        exchange_factors(&shape, kernel_row)
    for i in range(layer.kernel.rows):
        # the rows of the map at which this kernel row meets more than padding
        first = (max(0, content.first - i) + content.step - 1) // content.step
        beyond = min(layer.map.rows, (content.beyond - i + content.step - 1) // content.step)
        shape.n_outer = beyond - first
        patches = padded + (first * content.step + i) * padded_row
        d_rows = d_map + first * d_map_row
        d_kernel_row = d_weights + i * kernel_row * layer.filters
        if layer.filters_are_rows:
            add_product(layer.filters, kernel_row, &shape, no_series(), d_rows, patches, begins, d_kernel_row)
        else:
            add_product(kernel_row, layer.filters, &shape, no_series(), patches, d_rows, begins, d_kernel_row)


cdef void gradient_from_rows(const Layer* layer, const real* by_row, real* gradient) noexcept nogil:
    """[kernel row, filter, column and channel] -> [kernel row, column and channel, filter]"""
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t i
    for i in range(layer.kernel.rows):
        transpose(layer.filters, kernel_row, by_row + i * layer.filters * kernel_row, kernel_row,
                  gradient + i * kernel_row * layer.filters, layer.filters)


cdef inline Py_ssize_t phase_taps(Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t phase) noexcept nogil:
    # kernel taps phase, phase + stride, ...
    return (kernel - phase + stride - 1) // stride if phase < kernel else 0


cdef void flip_weights(const Layer* layer, const real* weights, real* flipped) noexcept nogil:
    """weights [i, j, channel, filter] -> for each phase of the stride its taps in reverse order, [filter, channel]."""
    cdef Py_ssize_t row_phase, column_phase, u, v, i, j, n_u, n_v
    cdef const real* tap
    for row_phase in range(layer.stride.rows):
        n_u = phase_taps(layer.kernel.rows, layer.stride.rows, row_phase)
        for column_phase in range(layer.stride.columns):
            n_v = phase_taps(layer.kernel.columns, layer.stride.columns, column_phase)
            for u in range(n_u):
                i = row_phase + (n_u - 1 - u) * layer.stride.rows
                for v in range(n_v):
                    j = column_phase + (n_v - 1 - v) * layer.stride.columns
                    tap = weights + (i * layer.kernel.columns + j) * layer.channels * layer.filters
                    transpose(layer.channels, layer.filters, tap, layer.filters, flipped, layer.channels)
                    flipped += layer.filters * layer.channels


cdef void phase_gradient(const Layer* layer, Py_ssize_t row_phase, Py_ssize_t column_phase, Py_ssize_t n_channels,
                         const real* flipped, const real* frame, real* d_target) noexcept nogil:
    """The first n_channels of the pixels whose distance to the frame's origin leaves the given remainders by the stride."""
    cdef Product shape
    cdef Content content
    cdef Py_ssize_t n_u = phase_taps(layer.kernel.rows, layer.stride.rows, row_phase)
    cdef Py_ssize_t n_v = phase_taps(layer.kernel.columns, layer.stride.columns, column_phase)
    cdef Py_ssize_t frame_row = layer.gradient.columns * layer.filters
    cdef Py_ssize_t first_row, first_column, n = 0
    cdef Size map
    # first row and column of the crop with that remainder
    first_row = layer.crop.row + (row_phase - layer.crop.row % layer.stride.rows + layer.stride.rows) % layer.stride.rows
    first_column = layer.crop.column + (
        (column_phase - layer.crop.column % layer.stride.columns + layer.stride.columns) % layer.stride.columns)
    map.rows = (layer.crop.row + layer.crop.rows - first_row + layer.stride.rows - 1) // layer.stride.rows
    map.columns = (layer.crop.column + layer.crop.columns - first_column + layer.stride.columns - 1) // layer.stride.columns
    shape.n_outer = n_u
    shape.n_inner = n_v * layer.filters
    shape.a_row = layer.filters
    shape.a_outer = frame_row
    shape.a_inner = 1
    shape.b_outer = n_v * layer.filters * layer.channels
    shape.b_inner = layer.channels
    shape.c_row = layer.stride.columns * layer.channels
    shape.start_row = 0
    content.first = n_u - 1 - first_row // layer.stride.rows
    content.beyond = content.first + layer.map.rows
    content.step = 1
    frame += (first_column // layer.stride.columns + layer.lead.columns - (n_v - 1)) * layer.filters if n_v > 0 else 0
    frame += (first_row // layer.stride.rows + layer.lead.rows - (n_u - 1)) * frame_row if n_u > 0 else 0
    d_target += ((first_row - layer.crop.row) * layer.crop.columns + first_column - layer.crop.column) * layer.channels
    shape.a_jump = frame_row
    shape.c_jump = layer.stride.rows * layer.crop.columns * layer.channels
    while n < n_channels:
        product_of_map(&map, min(N_ZEROS, n_channels - n), &shape, &content, frame, flipped + n, ZEROS, d_target + n)
        n += N_ZEROS


cdef void input_gradient(const Layer* layer, const Run* runs, const real* flipped, const Areas* areas) noexcept nogil:
    """frame -> d_images, of one sample or of those that share products (`gradient_group`). Zero padding computes the crop that is
    the image; other modes fold the frame back."""
    cdef bint folds = copies_pixels(layer)
    cdef real* d_target = areas.d_padded if folds else areas.d_images
    cdef Py_ssize_t row_phase, column_phase
    if layer.gradient_side > 0:
        winograd_input_gradient(layer, flipped, areas.frame, d_target, areas.n_samples, areas.entries)
    elif layer.gradient_planes.size > 0 and leaves_lanes_empty(layer.channels):
        if layer.gradient_planes.first > 0:
            phase_gradient(layer, 0, 0, layer.gradient_planes.first, flipped, areas.frame, d_target)
        planar_gradient(layer, flipped, areas.frame, d_target, areas.entries)
    else:
        for row_phase in range(layer.stride.rows):
            for column_phase in range(layer.stride.columns):
                phase_gradient(layer, row_phase, column_phase, layer.channels, flipped, areas.frame, d_target)
                flipped += (phase_taps(layer.kernel.rows, layer.stride.rows, row_phase)
                            * phase_taps(layer.kernel.columns, layer.stride.columns, column_phase)
                            * layer.filters * layer.channels)
    if folds:
        unpad(layer, runs, d_target, areas.d_images)


cdef void whole_map_gradient(const Layer* layer, const Areas* areas, Py_ssize_t sample, real* frame, real* d_bias) noexcept nogil:
    """The gradient of one sample's map, in its frame; d_bias += its sum. d_outputs are used up."""
    cdef Py_ssize_t frame_row = layer.gradient.columns * layer.filters
    cdef real* d_map = frame + layer.lead.rows * frame_row + layer.lead.columns * layer.filters
    cdef real* d_outputs = areas.d_outputs + sample * output_size(layer)
    cdef Pixels pixels
    if layer.pooling != NO_POOLING and not writes_whole_map(layer):
        memset(frame, 0, <size_t> (layer.gradient.rows * frame_row) * sizeof(real))
    map_gradient(layer, areas.maps + sample * map_size(layer) if areas.maps != NULL else NULL,
                 areas.outputs + sample * output_size(layer),
                 areas.positions + sample * position_bytes(layer) if areas.positions != NULL else NULL, d_outputs, d_map,
                 frame_row)
    if layer.n_bias > 0 and layer.pooling == MAXIMUM:   # the same sum over fewer numbers
        bias_gradient_of_pixels(d_outputs, layer.out.rows * layer.out.columns, layer.filters, d_bias)
    elif layer.n_bias > 0:
        pixels.rows, pixels.columns, pixels.row_size, pixels.filters = layer.map.rows, layer.map.columns, frame_row, layer.filters
        bias_gradient(&pixels, d_map, d_bias)


cdef void small_map_backward(const Layer* layer, const real* flipped, const Areas* areas, bint begins, real* d_weights,
                             real* d_bias) noexcept nogil:
    """Like convolution_backward, for small maps of samples that share products."""
    cdef SmallImages images
    cdef SmallMap map
    cdef Py_ssize_t frame_row = layer.gradient.columns * layer.filters
    cdef real* d_maps = areas.frame + layer.lead.rows * frame_row + layer.lead.columns * layer.filters
    cdef Py_ssize_t i
    images.d_map_size = frame_size(layer)
    for i in range(areas.n_samples):
        whole_map_gradient(layer, areas, i, areas.frame + i * images.d_map_size, d_bias)
    images.n_samples, images.images, images.image_row = areas.n_samples, unpadded(layer, areas.images), unpadded_row(layer)
    images.image_size = unpadded_size(layer)
    images.channels, images.filters, images.d_maps, images.d_map_row = layer.channels, layer.filters, d_maps, frame_row
    images.begins = begins
    small_weight_gradient(layer.kernel.rows, images, d_weights)
    if areas.d_images == NULL:
        return
    if layer.gradient_places == WHOLE_PLACES:
        whole_input_gradient(layer, flipped, d_maps, images.d_map_size, areas.d_images, areas.n_samples, areas.entries)
        return
    if layer.gradient_side > 0:
        winograd_input_gradient(layer, flipped, areas.frame, areas.d_images, areas.n_samples, areas.entries)
        return
    map.image_row, map.channels, map.filters = frame_row, layer.filters, layer.channels
    map.weights, map.start = flipped, ZEROS
    for i in range(areas.n_samples):
        map.image, map.target = d_maps + i * images.d_map_size, areas.d_images + i * input_size(layer)
        small_product(layer.kernel.rows, &map)


cdef void convolution_backward(const Layer* layer, const Run* runs, const real* flipped, const Areas* areas, bint begins,
                               real* d_weights, real* d_bias) noexcept nogil:
    """d_weights, d_bias += gradients of one sample; d_images <- gradient, where it is wanted; d_outputs are used up.

    Where the sums of weights begin, there need not be anything yet."""
    cdef const real* padded
    cdef Py_ssize_t frame_row = layer.gradient.columns * layer.filters
    cdef real* d_map = areas.frame + layer.lead.rows * frame_row + layer.lead.columns * layer.filters
    if layer.has_small_map:
        small_map_backward(layer, flipped, areas, begins, d_weights, d_bias)
        return
    padded = padded_images(layer, runs, areas)
    whole_map_gradient(layer, areas, 0, areas.frame, d_bias)
    if layer.sums_places:
        winograd_weight_gradient(layer, padded, d_map, frame_row, begins, d_weights, areas.entries)
    else:
        weight_gradient(layer, padded, d_map, frame_row, begins, d_weights)
    if areas.d_images != NULL:
        input_gradient(layer, runs, flipped, areas)
