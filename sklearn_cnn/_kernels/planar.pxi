# Where filters would leave lanes of their vectors empty, pixels fill them: the padded image is turned into one plane per channel,
# and the product has filters as rows and pixels as columns.
#
#     plane of a channel, rows one after another       the patch pixel (u, v) of all pixels of the map is the plane from
#     . . . . . | . x x x . | . x x x . | ...          u * columns + v on, one run of consecutive numbers
#
# The run passes over the ends of rows, where it computes pixels that the map does not have. Each pixel of the map is the same
# chain of multiply-adds over (kernel row, kernel column, channel) as by `product_of_map`, hence it has the same bits. Strides
# are 1. Whole vectors of filters may be computed as ever, and only the rest so. The gradient of the input is such a
# convolution too: of the map's gradient, with channels and filters exchanged.
#
# Maxima of 2 x 2 pixels are taken in the planes, of as many windows at once as a vector has lanes. Then a quarter of the pixels
# is left to be turned back.

ctypedef struct Planar:
    Size kernel
    Size map
    Planes planes               # filters before their first are computed elsewhere; planes of so many rows stay in the cache
    Py_ssize_t channels
    Py_ssize_t filters
    Py_ssize_t columns          # of the padded image


cdef inline bint leaves_lanes_empty(Py_ssize_t filters) noexcept nogil:
    # The plan reckons with the widest vectors; narrower ones may be full. Both ways give the same bits.
    return filters % LANES_WIDE != 0


cdef const real* planar_band(const Planar* planar, Py_ssize_t n_rows, const real* weights, const real* bias, const real* padded,
                             real* scratch) noexcept nogil:
    """The planes of n_rows rows of the map."""
    cdef Product shape
    cdef Py_ssize_t n_run = whole_lines((n_rows - 1) * planar.columns + planar.map.columns)
    cdef Py_ssize_t n_pixels = ((n_rows + planar.kernel.rows - 2) * planar.columns + planar.map.columns
                                + planar.kernel.columns - 1)
    cdef Py_ssize_t n_weights_row = planar.kernel.columns * planar.channels * planar.filters
    cdef real* planes = scratch
    cdef real* maps = scratch + planar.channels * planar.planes.size
    cdef Py_ssize_t n_filters = planar.filters - planar.planes.first
    cdef real start
    cdef Py_ssize_t u, f, i
    transpose(n_pixels, planar.channels, padded, planar.channels, planes, planar.planes.size)
    for f in range(n_filters):
        start = bias[planar.planes.first + f] if bias != NULL else 0.0
        for i in range(n_run):
            maps[f * planar.planes.size + i] = start
    shape.n_outer = planar.kernel.columns
    shape.n_inner = planar.channels
    shape.a_row = 1
    shape.a_outer = planar.channels * planar.filters
    shape.a_inner = planar.filters
    shape.b_outer = 1
    shape.b_inner = planar.planes.size
    shape.c_row = planar.planes.size
    shape.start_row = planar.planes.size
    if planar.channels == 1:    # one product takes all kernel rows, in the same order
        shape.n_outer, shape.n_inner = planar.kernel.rows, planar.kernel.columns
        shape.a_outer = n_weights_row
        shape.b_outer, shape.b_inner = planar.columns, 1
        product(n_filters, n_run, &shape, weights + planar.planes.first, planes, maps, maps)
    else:
        for u in range(planar.kernel.rows):
            product(n_filters, n_run, &shape, weights + u * n_weights_row + planar.planes.first,
                    planes + u * planar.columns, maps, maps)
    return maps


cdef void planar_convolution(const Planar* planar, const real* weights, const real* bias, const real* padded, real* map,
                             real* scratch) noexcept nogil:
    """The map of one sample, bias included. scratch: planes of the channels, then of the filters; bias may be NULL."""
    cdef Py_ssize_t row = 0, n_rows, r
    cdef const real* maps
    while row < planar.map.rows:
        n_rows = min(planar.planes.rows, planar.map.rows - row)
        maps = planar_band(planar, n_rows, weights, bias, padded + row * planar.columns * planar.channels, scratch)
        for r in range(n_rows):
            transpose(planar.filters - planar.planes.first, planar.map.columns, maps + r * planar.columns, planar.planes.size,
                      map + (row + r) * planar.map.columns * planar.filters + planar.planes.first, planar.filters)
        row += planar.planes.rows


cdef inline Planar planar_of(const Layer* layer) noexcept nogil:
    cdef Planar planar
    planar.kernel, planar.map, planar.planes = layer.kernel, layer.map, layer.planes
    planar.channels, planar.filters, planar.columns = layer.channels, layer.filters, layer.padded.columns
    return planar


cdef void planar_map(const Layer* layer, const real* parameters, const real* padded, real* map, real* band) noexcept nogil:
    cdef Planar planar = planar_of(layer)
    planar_convolution(&planar, parameters + layer.weights_at, parameters + layer.bias_at, padded, map, band)


cdef inline Py_ssize_t pooled_plane(const Layer* layer) noexcept nogil:
    """Numbers of a row of maxima of one filter, in whole vectors."""
    return (layer.out.columns + LANES_WIDE - 1) // LANES_WIDE * LANES_WIDE


cdef inline bint pools_in_planes(const Layer* layer) noexcept nogil:
    # Vectors may reach beyond the last row of a plane, into what a kernel of two rows and more leaves there or into what follows
    # the planes; nobody looks at those lanes. Rows of maxima and positions stand where the map would.
    return (layer.planes.first == 0 and layer.kernel.rows > 1 and layer.planes.rows > 1
            and layer.pooling == MAXIMUM and pools_four(layer)
            and (2 * pooled_plane(layer) + layer.out.columns) * layer.filters <= map_size(layer))


cdef void maxima_of_planes(const Layer* layer, const real* maps, real* scratch, real* output, uint8_t* positions) noexcept nogil:
    """A row of maxima from two rows of the map in planes; positions may be NULL."""
    cdef vector_wide[4] pixels
    cdef vector_wide position
    cdef Py_ssize_t plane = pooled_plane(layer)
    cdef Py_ssize_t n_windows = layer.out.columns
    cdef Py_ssize_t second_row = layer.padded.columns
    cdef Py_ssize_t n = output_row_size(layer)
    cdef real* maxima = scratch
    cdef real* places = maxima + plane * layer.filters
    cdef real* turned = places + plane * layer.filters
    cdef const real* row
    cdef Py_ssize_t f, w, i = 0
    for f in range(layer.filters):
        row = maps + f * layer.planes.size
        w = 0
        while w < n_windows:
            even_and_odd(&pixels[0], &pixels[1], row + 2 * w)
            even_and_odd(&pixels[2], &pixels[3], row + second_row + 2 * w)
            find_maximum[vector_wide](NULL, layer.activation, pixels, 1, <vector_wide*> (maxima + f * plane + w),
                                      <vector_wide*> (places + f * plane + w))
            w += LANES_WIDE
    transpose(layer.filters, n_windows, maxima, plane, output, layer.filters)
    if layer.activation != RELU:
        activate(layer.activation, output, n)
    if positions == NULL:
        return
    transpose(layer.filters, n_windows, places, plane, turned, layer.filters)
    while i + LANES_WIDE <= n:
        position = (<const vector_wide*> (turned + i))[0]
        STORE_POSITIONS(positions + i, position)
        i += LANES_WIDE
    while i < n:
        positions[i] = <uint8_t> turned[i]
        i += 1


cdef void planar_maxima(const Layer* layer, const real* parameters, const real* padded, real* band, real* outputs,
                        uint8_t* positions) noexcept nogil:
    """The maxima of one sample; rows of the map without a window are left out."""
    cdef Planar planar = planar_of(layer)
    cdef Py_ssize_t n_windows = layer.planes.rows // 2
    cdef Py_ssize_t first = 0, n, r, at
    cdef const real* maps
    while first < layer.out.rows:
        n = min(n_windows, layer.out.rows - first)
        maps = planar_band(&planar, 2 * n, parameters + layer.weights_at, parameters + layer.bias_at,
                           padded + 2 * first * padded_row_size(layer), band)
        for r in range(n):
            at = (first + r) * output_row_size(layer)
            maxima_of_planes(layer, maps + 2 * r * layer.padded.columns, band + layer.n_band, outputs + at,
                             positions + at if positions != NULL else NULL)
        first += n


cdef void planar_gradient(const Layer* layer, const real* flipped, const real* frame, real* d_target,
                          real* entries) noexcept nogil:
    cdef Planar planar
    planar.kernel, planar.planes = layer.kernel, layer.gradient_planes
    planar.map.rows, planar.map.columns = layer.crop.rows, layer.crop.columns
    planar.channels, planar.filters, planar.columns = layer.filters, layer.channels, layer.gradient.columns
    frame += (layer.crop.row * layer.gradient.columns + layer.crop.column) * layer.filters
    planar_convolution(&planar, flipped, NULL, frame, d_target, entries)
