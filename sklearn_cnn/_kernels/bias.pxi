# The gradient of a bias: the map's gradient summed over all pixels, in their order. The sums stay in registers; in memory each
# addition would wait for the one before to be written.

cdef enum:
    BIAS_VECTORS = 4            # of filters, summed side by side: an addition takes some cycles until the next can use its result

ctypedef struct Pixels:
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t row_size         # from one row to the next
    Py_ssize_t filters


cdef inline void load_filters(vector* target, Py_ssize_t n, const real* source, const real* end) noexcept nogil:
    """n numbers, and in the other lanes what stands behind them, unless it is beyond the end."""
    cdef Py_ssize_t lanes = lanes_of[vector](NULL)
    if n == lanes or end - source >= lanes:
        target[0] = (<const vector*> source)[0]
        return
    target[0] = (<const vector*> ZEROS)[0]
    memcpy(target, source, <size_t> n * sizeof(real))


cdef inline void sum_pixels(vector* kind, Py_ssize_t vectors, Py_ssize_t n, const Pixels* pixels, const real* gradient,
                            const real* end, real* d_bias) noexcept nogil:
    # `vectors` is a constant at every call. Of the last one n lanes count, and no vector reaches beyond the end of the gradient.
    cdef vector[BIAS_VECTORS] sums
    cdef vector value
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t last_at = (vectors - 1) * lanes
    cdef const real* pixel
    cdef Py_ssize_t row, column, v
    for v in range(vectors - 1):
        sums[v] = (<const vector*> (d_bias + v * lanes))[0]
    load_filters[vector](&sums[vectors - 1], n, d_bias + last_at, d_bias + last_at + n)
    for row in range(pixels.rows):
        pixel = gradient + row * pixels.row_size
        for column in range(pixels.columns):
            for v in range(vectors - 1):
                ADD(sums[v], (<const vector*> (pixel + v * lanes))[0])
            load_filters[vector](&value, n, pixel + last_at, end)
            ADD(sums[vectors - 1], value)
            pixel += pixels.filters
    for v in range(vectors - 1):
        (<vector*> (d_bias + v * lanes))[0] = sums[v]
    memcpy(d_bias + last_at, &sums[vectors - 1], <size_t> n * sizeof(real))


cdef void bias_gradient(const Pixels* pixels, const real* gradient, real* d_bias) noexcept nogil:
    """d_bias += the sums of a gradient [rows, columns, filters] over rows and columns."""
    cdef const real* end = gradient + (pixels.rows - 1) * pixels.row_size + pixels.columns * pixels.filters
    cdef Py_ssize_t f = 0, vectors, n
    while f < pixels.filters:
        vectors = min(BIAS_VECTORS, (pixels.filters - f + LANES_WIDE - 1) // LANES_WIDE)
        n = min(<Py_ssize_t> LANES_WIDE, pixels.filters - f - (vectors - 1) * LANES_WIDE)
        if vectors == 1:
            sum_pixels[vector_wide](NULL, 1, n, pixels, gradient + f, end, d_bias + f)
        elif vectors == 2:
            sum_pixels[vector_wide](NULL, 2, n, pixels, gradient + f, end, d_bias + f)
        elif vectors == 3:
            sum_pixels[vector_wide](NULL, 3, n, pixels, gradient + f, end, d_bias + f)
        else:
            sum_pixels[vector_wide](NULL, BIAS_VECTORS, n, pixels, gradient + f, end, d_bias + f)
        f += BIAS_VECTORS * LANES_WIDE


cdef void bias_gradient_of_pixels(const real* gradient, Py_ssize_t n_pixels, Py_ssize_t filters, real* d_bias) noexcept nogil:
    """The same of [pixels, filters], or of [samples, outputs]."""
    cdef Pixels pixels
    pixels.rows, pixels.columns, pixels.row_size, pixels.filters = 1, n_pixels, 0, filters
    bias_gradient(&pixels, gradient, d_bias)
