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


cdef void planar_band(const Planar* planar, Py_ssize_t n_rows, const real* weights, const real* bias, const real* padded,
                      real* map, real* scratch) noexcept nogil:
    cdef Product shape
    cdef Py_ssize_t n_run = whole_lines((n_rows - 1) * planar.columns + planar.map.columns)
    cdef Py_ssize_t n_pixels = ((n_rows + planar.kernel.rows - 2) * planar.columns + planar.map.columns
                                + planar.kernel.columns - 1)
    cdef Py_ssize_t n_weights_row = planar.kernel.columns * planar.channels * planar.filters
    cdef real* planes = scratch
    cdef real* maps = scratch + planar.channels * planar.planes.size
    cdef Py_ssize_t n_filters = planar.filters - planar.planes.first
    cdef real start
    cdef Py_ssize_t u, f, i, r
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
    for r in range(n_rows):
        transpose(n_filters, planar.map.columns, maps + r * planar.columns, planar.planes.size,
                  map + r * planar.map.columns * planar.filters + planar.planes.first, planar.filters)


cdef void planar_convolution(const Planar* planar, const real* weights, const real* bias, const real* padded, real* map,
                             real* scratch) noexcept nogil:
    """The map of one sample, bias included. scratch: planes of the channels, then of the filters; bias may be NULL."""
    cdef Py_ssize_t row = 0
    while row < planar.map.rows:
        planar_band(planar, min(planar.planes.rows, planar.map.rows - row), weights, bias,
                    padded + row * planar.columns * planar.channels, map + row * planar.map.columns * planar.filters, scratch)
        row += planar.planes.rows


cdef void planar_map(const Layer* layer, const real* parameters, const real* padded, real* map, real* band) noexcept nogil:
    cdef Planar planar
    planar.kernel, planar.map, planar.planes = layer.kernel, layer.map, layer.planes
    planar.channels, planar.filters, planar.columns = layer.channels, layer.filters, layer.padded.columns
    planar_convolution(&planar, parameters + layer.weights_at, parameters + layer.bias_at, padded, map, band)


cdef void planar_gradient(const Layer* layer, const real* flipped, const real* frame, real* d_target,
                          real* entries) noexcept nogil:
    cdef Planar planar
    planar.kernel, planar.planes = layer.kernel, layer.gradient_planes
    planar.map.rows, planar.map.columns = layer.crop.rows, layer.crop.columns
    planar.channels, planar.filters, planar.columns = layer.filters, layer.channels, layer.gradient.columns
    frame += (layer.crop.row * layer.gradient.columns + layer.crop.column) * layer.filters
    planar_convolution(&planar, flipped, NULL, frame, d_target, entries)
