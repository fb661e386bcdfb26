# Activations, forward in place and backward from their own output. To add one: a value here, a branch in each of the two
# functions at the end, a row in `_network/activations.py` and one in the tests' table.

cpdef enum:
    IDENTITY = 0
    RELU = 1
    LOGISTIC = 2
    TANH = 3


cdef inline real exponential(real x) noexcept nogil:
    # Single precision: exp(x) = 2**n exp(r), |r| <= ln(2) / 2, with a degree-6 polynomial for exp(r) (Taylor coefficients
    # but for the last two, which are fitted; error below 1.5 ulp). Plain arithmetic, so that loops over it become vectors
    # and the same x gives the same bits everywhere. Double precision: the C library.
    cdef float y, n, r, p
    if REAL_IS_DOUBLE:
        return exp(x)
    y = x
    y = 89.0 if y > 89.0 else y
    y = -104.0 if y < -104.0 else y
    n = floorf(y * <float> 1.44269504088896341 + <float> 0.5)
    r = y - n * <float> 0.693359375
    r = r + n * <float> 2.12194440e-4
    p = <float> 1.9875691500e-4
    p = p * r + <float> 1.3981999507e-3
    p = p * r + <float> 8.3334519073e-3
    p = p * r + <float> 4.1665795894e-2
    p = p * r + <float> 1.6666665459e-1
    p = p * r + <float> 5.0000001201e-1
    p = p * r * r + r + <float> 1.0
    # two factors, because 2**n itself leaves the range of normal numbers before the product does
    cdef int32_t whole = <int32_t> (n if n == n else <float> 0.0)
    cdef int32_t first = whole >> 1
    return p * power_of_two_float(first) * power_of_two_float(whole - first)


cdef inline real logistic(real x) noexcept nogil:
    return <real> 1.0 / (<real> 1.0 + exponential(-x))


cdef inline real hyperbolic_tangent(real x) noexcept nogil:
    # Near zero an odd polynomial keeps the relative accuracy that 1 - 2 / (exp(2x) + 1) loses.
    cdef real magnitude, square, small, large
    if REAL_IS_DOUBLE:
        return tanh(x)
    magnitude = x if x >= 0 else -x
    square = x * x
    small = <real> -5.70498872745e-3
    small = small * square + <real> 2.06390887954e-2
    small = small * square - <real> 5.37397155531e-2
    small = small * square + <real> 1.33314422036e-1
    small = small * square - <real> 3.33332819422e-1
    small = small * square * x + x
    large = <real> 1.0 - <real> 2.0 / (exponential(magnitude + magnitude) + <real> 1.0)
    large = large if x >= 0 else -large
    return small if magnitude < <real> 0.625 else large


cdef void activate(int64_t activation, real* values, Py_ssize_t n) noexcept nogil:
    """values <- activation(values); NaN stays NaN."""
    cdef Py_ssize_t i
    if activation == RELU:
        for i in range(n):
            values[i] = <real> 0.0 if values[i] < 0 else values[i]
    elif activation == LOGISTIC:
        for i in range(n):
            values[i] = logistic(values[i])
    elif activation == TANH:
        for i in range(n):
            values[i] = hyperbolic_tangent(values[i])


cdef void activate_backward(int64_t activation, const real* outputs, const real* d_outputs, real* d_values,
                            Py_ssize_t n) noexcept nogil:
    """d_values <- d_outputs * activation'(.), written in terms of the outputs; may be in place."""
    cdef Py_ssize_t i
    if activation == RELU:
        for i in range(n):
            d_values[i] = d_outputs[i] if outputs[i] > 0 else <real> 0.0
    elif activation == LOGISTIC:
        for i in range(n):
            d_values[i] = d_outputs[i] * outputs[i] * (<real> 1.0 - outputs[i])
    elif activation == TANH:
        for i in range(n):
            d_values[i] = d_outputs[i] * (<real> 1.0 - outputs[i] * outputs[i])
    elif d_values != d_outputs:
        memcpy(d_values, d_outputs, <size_t> n * sizeof(real))
