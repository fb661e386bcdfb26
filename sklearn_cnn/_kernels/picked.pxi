# The weight gradient of a SHALLOW layer behind maximum pooling over 2 x 2 pixels, where the level picks pixels by a permutation:
# one product for every maximum and tap, instead of one for each of the four places. Bits are those of shallow.pxi, which adds
# zeros for the other three.

cdef extern from "maxima.h" nogil:
    enum:
        PICKS_IN_WIDE
        PICKS_IN_HALF

    ctypedef struct PickedMaxima:
        Py_ssize_t rows
        Py_ssize_t columns
        const real* patches
        Py_ssize_t image_row
        Py_ssize_t column_step
        Py_ssize_t row_step
        Py_ssize_t channels
        Py_ssize_t filters
        const real* gradient
        const uint8_t* positions
        real* d_weights
        Py_ssize_t kernel_row

    void picked_sums_wide(int rows, int taps, const PickedMaxima* maxima)
    void picked_sums_half(int rows, int taps, const PickedMaxima* maxima)


cdef inline bint picks_maxima(const Layer* layer) noexcept nogil:
    """Whether its filters fill vectors, or halves, which hold what the taps of a slice see of a row of the image."""
    cdef TapSlices slices = tap_slices_of(layer)
    cdef Py_ssize_t lanes = LANES_WIDE if layer.filters % LANES_WIDE == 0 else LANES_HALF
    return (PICKS_IN_WIDE and layer.pooling == MAXIMUM and layer.pool.rows == 2 and layer.pool.columns == 2
            and layer.stride.rows == 1 and layer.stride.columns == 1
            and (layer.filters % LANES_WIDE == 0 or PICKS_IN_HALF and layer.filters % LANES_HALF == 0)
            and slices.most_taps + layer.channels <= lanes)


cdef void pick_filters(const Layer* layer, const TapSlices* slices, bint are_half, const PickedMaxima* maxima) noexcept nogil:
    """All taps of a vector of filters, in slices that fit the registers."""
    cdef PickedMaxima part = maxima[0]
    cdef Py_ssize_t kernel_row = kernel_row_size(layer)
    cdef Py_ssize_t row = 0, tap
    cdef int rows, taps
    while row < layer.kernel.rows:
        rows = <int> min(slices.most_rows, layer.kernel.rows - row)
        tap = 0
        while tap < kernel_row:
            taps = <int> min(slices.most_taps, kernel_row - tap)
            part.patches = maxima.patches + row * maxima.image_row + tap
            part.d_weights = maxima.d_weights + (row * kernel_row + tap) * layer.filters
            if are_half:
                picked_sums_half(rows, taps, &part)
            else:
                picked_sums_wide(rows, taps, &part)
            tap += taps
        row += rows


cdef void picked_backward(const Layer* layer, const real* padded, const Areas* areas, real* d_weights,
                          real* d_bias) noexcept nogil:
    """d_weights, d_bias += gradients of one sample; d_outputs are used up."""
    cdef TapSlices slices = tap_slices_of(layer)
    cdef PickedMaxima maxima
    cdef Py_ssize_t f = 0
    cdef bint are_half
    activate_backward(layer.activation, areas.outputs, areas.d_outputs, areas.d_outputs, output_size(layer))
    bias_gradient_of_pixels(areas.d_outputs, layer.out.rows * layer.out.columns, layer.filters, d_bias)
    maxima.rows, maxima.columns = layer.out.rows, layer.out.columns
    maxima.patches, maxima.image_row = padded, padded_row_size(layer)
    maxima.column_step = layer.pool.stride_columns * layer.channels
    maxima.row_step = layer.pool.stride_rows * maxima.image_row
    maxima.channels, maxima.filters = layer.channels, layer.filters
    maxima.kernel_row = kernel_row_size(layer) * layer.filters
    while f < layer.filters:
        are_half = layer.filters - f < LANES_WIDE
        maxima.gradient, maxima.positions = areas.d_outputs + f, <const uint8_t*> areas.positions + f
        maxima.d_weights = d_weights + f
        pick_filters(layer, &slices, are_half, &maxima)
        f += LANES_HALF if are_half else LANES_WIDE
