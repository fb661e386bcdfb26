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
    Py_ssize_t kernel_rows
    Py_ssize_t kernel_columns
    Py_ssize_t channels
    Py_ssize_t filters
    Py_ssize_t first            # filters before it are computed elsewhere
    Py_ssize_t columns          # of the padded image
    Py_ssize_t map_rows
    Py_ssize_t map_columns
    Py_ssize_t band_rows        # rows of the map taken up at once, so that planes stay in the cache
    Py_ssize_t plane            # numbers from one plane to the next


cdef inline bint leaves_lanes_empty(Py_ssize_t filters) noexcept nogil:
    # The plan reckons with the widest vectors; narrower ones may be full. Both ways give the same bits.
    return filters % LANES_WIDE != 0


cdef void planar_band(const Planar* planar, Py_ssize_t n_rows, const real* weights, const real* bias, const real* padded,
                      real* map, real* scratch) noexcept nogil:
    cdef Product shape
    cdef Py_ssize_t n_run = ((n_rows - 1) * planar.columns + planar.map_columns + 15) // 16 * 16
    cdef Py_ssize_t n_pixels = ((n_rows + planar.kernel_rows - 2) * planar.columns + planar.map_columns
                                + planar.kernel_columns - 1)
    cdef Py_ssize_t n_weights_row = planar.kernel_columns * planar.channels * planar.filters
    cdef real* planes = scratch
    cdef real* maps = scratch + planar.channels * planar.plane
    cdef Py_ssize_t n_filters = planar.filters - planar.first
    cdef real start
    cdef Py_ssize_t u, f, i, r
    transpose(n_pixels, planar.channels, padded, planar.channels, planes, planar.plane)
    for f in range(n_filters):
        start = bias[planar.first + f] if bias != NULL else 0.0
        for i in range(n_run):
            maps[f * planar.plane + i] = start
    shape.n_outer = planar.kernel_columns
    shape.n_inner = planar.channels
    shape.a_row = 1
    shape.a_outer = planar.channels * planar.filters
    shape.a_inner = planar.filters
    shape.b_outer = 1
    shape.b_inner = planar.plane
    shape.c_row = planar.plane
    shape.start_row = planar.plane
    for u in range(planar.kernel_rows):
        product(n_filters, n_run, &shape, weights + u * n_weights_row + planar.first, planes + u * planar.columns, maps, maps)
    for r in range(n_rows):
        transpose(n_filters, planar.map_columns, maps + r * planar.columns, planar.plane,
                  map + r * planar.map_columns * planar.filters + planar.first, planar.filters)


cdef void planar_convolution(const Planar* planar, const real* weights, const real* bias, const real* padded, real* map,
                             real* scratch) noexcept nogil:
    """The map of one sample, bias included. scratch: planes of the channels, then of the filters; bias may be NULL."""
    cdef Py_ssize_t row = 0
    while row < planar.map_rows:
        planar_band(planar, min(planar.band_rows, planar.map_rows - row), weights, bias,
                    padded + row * planar.columns * planar.channels, map + row * planar.map_columns * planar.filters, scratch)
        row += planar.band_rows


cdef void planar_map(const Layer* layer, const real* parameters, const real* padded, real* map, real* band) noexcept nogil:
    cdef Planar planar
    planar.kernel_rows, planar.kernel_columns = layer.kernel_rows, layer.kernel_columns
    planar.channels, planar.filters = layer.channels, layer.filters
    planar.columns, planar.map_rows, planar.map_columns = layer.padded_columns, layer.map_rows, layer.map_columns
    planar.band_rows, planar.plane, planar.first = layer.plane_rows, layer.plane, layer.plane_first
    planar_convolution(&planar, parameters + layer.weights_at, parameters + layer.bias_at, padded, map, band)


cdef void planar_gradient(const Layer* layer, const real* flipped, const real* frame, real* d_target,
                          real* entries) noexcept nogil:
    cdef Planar planar
    planar.kernel_rows, planar.kernel_columns = layer.kernel_rows, layer.kernel_columns
    planar.channels, planar.filters = layer.filters, layer.channels
    planar.columns, planar.map_rows, planar.map_columns = layer.gradient_columns, layer.crop_rows, layer.crop_columns
    planar.band_rows, planar.plane = layer.gradient_plane_rows, layer.gradient_plane
    planar.first = layer.gradient_plane_first
    frame += (layer.crop_row * layer.gradient_columns + layer.crop_column) * layer.filters
    planar_convolution(&planar, flipped, NULL, frame, d_target, entries)
