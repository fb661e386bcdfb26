# Batch normalisation (Ioffe and Szegedy 2015): one mean and one variance per filter, over all samples and pixels of the
# mini-batch, weighted by the sample weights w, whose sum over samples and pixels is W:
#
#     y = gamma * x_hat + beta          x_hat = (x - mean) / sqrt(variance + NORMALISATION_EPSILON)
#
#     d_beta = sum of d_y               d_gamma = sum of d_y * x_hat
#     d_x = gamma / sqrt(variance + NORMALISATION_EPSILON) * (d_y - w / W * (d_beta + x_hat * d_gamma))
#
# Every chunk of samples leaves sums of its own, in double precision; they are put together in the order of the chunks. A chunk
# sums the distances from its first value, so that a mean far from zero costs no digit of the variance, and a constant has none.
# Prediction, and the gradient of a prediction, take the running mean and variance, which are constants there.

cdef extern from "moments.h" nogil:
    const double NORMALISATION_EPSILON
    void add_moments(const real* values, Py_ssize_t n, Py_ssize_t n_filters, double weight, const real* shift, double* sums,
                     double* squares)
    void add_gradients(const real* values, const real* gradients, Py_ssize_t n, Py_ssize_t n_filters, const real* mean,
                       double* sums, double* products)
    void normalise_pixels(const real* values, real* results, Py_ssize_t n, Py_ssize_t n_filters, const real* mean,
                          const real* scale, const real* beta)
    void normalise_pixels_backward(const real* values, const real* gradients, real* d_values, Py_ssize_t n,
                                   Py_ssize_t n_filters, real weight, const real* mean, const real* scale,
                                   const real* of_mean, const real* of_variance)

cdef enum:
    NORMALISED_NUMBERS = 4096   # of a band of pixels that stays in the first-level cache between an activation and the sums


# What one step knows of a normalised layer, `stride` numbers each.
ctypedef struct Factors:
    real* mean
    real* inverse_deviation
    real* scale                 # gamma / sqrt(variance + epsilon)
    real* of_mean               # backward: d_beta / W
    real* of_variance           # d_gamma / W / sqrt(variance + epsilon)


# Sums of one chunk, over its samples and pixels, one number per filter.
ctypedef struct ChunkSums:
    double* weight              # one number
    double* first               # sum of w * (x - shift); backward: of d_y
    double* second              # sum of w * (x - shift)**2; backward: of d_y * (x - mean)
    real* shift


cdef inline Factors factors_at(const Layer* layer, real* numbers) noexcept nogil:
    cdef Factors factors
    cdef Py_ssize_t stride = whole_lines(layer.filters)
    factors.mean = numbers
    factors.inverse_deviation = numbers + stride
    factors.scale = numbers + 2 * stride
    factors.of_mean = numbers + 3 * stride
    factors.of_variance = numbers + 4 * stride
    return factors


cdef inline ChunkSums sums_at(const Layer* layer, double* numbers) noexcept nogil:
    cdef ChunkSums sums
    cdef Py_ssize_t stride = whole_lines(layer.filters)
    sums.weight = numbers
    sums.first = numbers + 16
    sums.second = numbers + 16 + stride
    sums.shift = <real*> (numbers + 16 + 2 * stride)
    return sums


cdef inline Py_ssize_t band_of(const Layer* layer) noexcept nogil:
    return max(1, NORMALISED_NUMBERS // layer.filters)


cdef void begin_sums(const Layer* layer, const ChunkSums* sums) noexcept nogil:
    sums.weight[0] = 0.0
    memset(sums.first, 0, <size_t> layer.filters * sizeof(double))
    memset(sums.second, 0, <size_t> layer.filters * sizeof(double))


cdef void sum_values(const Layer* layer, const real* values, double weight, const ChunkSums* sums) noexcept nogil:
    """Add one sample to the sums of its chunk."""
    cdef Py_ssize_t n_pixels = layer.rows * layer.columns
    if weight == 0.0:
        return
    if sums.weight[0] == 0.0:
        memcpy(sums.shift, values, <size_t> layer.filters * sizeof(real))
    sums.weight[0] += weight * n_pixels
    add_moments(values, n_pixels, layer.filters, weight, sums.shift, sums.first, sums.second)


cdef void sum_gradients(const Layer* layer, const real* values, const real* outputs, real* d_outputs, const Factors* factors,
                        const ChunkSums* sums) noexcept nogil:
    """One sample: d_outputs <- gradients in front of the activation, which are added to the sums of its chunk."""
    cdef Py_ssize_t n_pixels = layer.rows * layer.columns
    cdef Py_ssize_t band = band_of(layer)
    cdef Py_ssize_t pixel = 0, n, at
    while pixel < n_pixels:
        n, at = min(band, n_pixels - pixel), pixel * layer.filters
        activate_backward(layer.activation, outputs + at, d_outputs + at, d_outputs + at, n * layer.filters)
        add_gradients(values + at, d_outputs + at, n, layer.filters, factors.mean, sums.first, sums.second)
        pixel += band


cdef void normalise(const Layer* layer, const real* parameters, const Factors* factors, const real* values,
                    real* outputs) noexcept nogil:
    """values -> outputs of one sample, activation included."""
    cdef Py_ssize_t n_pixels = layer.rows * layer.columns
    cdef Py_ssize_t band = band_of(layer)
    cdef Py_ssize_t pixel = 0, n, at
    while pixel < n_pixels:
        n, at = min(band, n_pixels - pixel), pixel * layer.filters
        normalise_pixels(values + at, outputs + at, n, layer.filters, factors.mean, factors.scale, parameters + layer.bias_at)
        activate(layer.activation, outputs + at, n * layer.filters)
        pixel += band


cdef void normalise_backward(const Layer* layer, const Factors* factors, const real* values, const real* d_outputs,
                             double weight, real* d_values) noexcept nogil:
    """d_outputs (in front of the activation) -> d_values of one sample."""
    normalise_pixels_backward(values, d_outputs, d_values, layer.rows * layer.columns, layer.filters, <real> weight, factors.mean,
                              factors.scale, factors.of_mean, factors.of_variance)


cdef void set_factors(const Layer* layer, const real* parameters, Py_ssize_t f, double mean, double variance,
                      const Factors* factors) noexcept nogil:
    cdef double inverse = 1.0 / sqrt(variance + NORMALISATION_EPSILON)
    factors.mean[f] = <real> mean
    factors.inverse_deviation[f] = <real> inverse
    factors.scale[f] = <real> (parameters[layer.gamma_at + f] * inverse)


cdef void factors_of_prediction(const Layer* layer, const real* parameters, const real* statistics,
                                const Factors* factors) noexcept nogil:
    cdef const real* mean = statistics + layer.statistics_at
    cdef const real* variance = mean + whole_lines(layer.filters)
    cdef Py_ssize_t f
    for f in range(layer.filters):
        set_factors(layer, parameters, f, mean[f], variance[f], factors)


cdef void factors_of_batch(const Layer* layer, const real* parameters, double* chunk_sums, Py_ssize_t n_sums,
                           Py_ssize_t n_chunks, real* statistics, double rate, const Factors* factors) noexcept nogil:
    """Put the sums of all chunks together (Chan, Golub and LeVeque 1983); statistics move towards the batch's by `rate`."""
    cdef real* running_mean = statistics + layer.statistics_at
    cdef real* running_variance = running_mean + whole_lines(layer.filters)
    cdef double weight, mean, squares, of_chunk, distance
    cdef ChunkSums sums
    cdef Py_ssize_t f, chunk
    for f in range(layer.filters):
        weight = mean = squares = 0.0
        for chunk in range(n_chunks):
            sums = sums_at(layer, chunk_sums + chunk * n_sums)
            of_chunk = sums.weight[0]
            if not of_chunk > 0.0:
                continue
            distance = sums.shift[f] + sums.first[f] / of_chunk - mean
            squares += max(0.0, sums.second[f] - sums.first[f] * sums.first[f] / of_chunk)
            squares += distance * distance * (weight * of_chunk / (weight + of_chunk))
            mean += distance * (of_chunk / (weight + of_chunk))
            weight += of_chunk
        squares = squares / weight if weight > 0.0 else 0.0
        set_factors(layer, parameters, f, mean, squares, factors)
        if rate > 0.0:
            running_mean[f] = <real> (running_mean[f] + rate * (mean - running_mean[f]))
            running_variance[f] = <real> (running_variance[f] + rate * (squares - running_variance[f]))


cdef void gradients_of_batch(const Layer* layer, double* chunk_sums, Py_ssize_t n_sums, Py_ssize_t n_chunks, double weight,
                             real* gradient, const Factors* factors) noexcept nogil:
    """Put the sums of all chunks together: d_gamma and d_beta, and what mean and variance (unless weight, W, is zero: then they
    are constants) take from the gradient of every value."""
    cdef double d_beta, d_gamma, inverse
    cdef ChunkSums sums
    cdef Py_ssize_t f, chunk
    for f in range(layer.filters):
        d_beta = d_gamma = 0.0
        inverse = factors.inverse_deviation[f]
        for chunk in range(n_chunks):
            sums = sums_at(layer, chunk_sums + chunk * n_sums)
            d_beta += sums.first[f]
            d_gamma += sums.second[f]
        d_gamma *= inverse
        gradient[layer.bias_at + f] = <real> d_beta
        gradient[layer.gamma_at + f] = <real> d_gamma
        factors.of_mean[f] = <real> (d_beta / weight) if weight > 0.0 else <real> 0.0
        factors.of_variance[f] = <real> (d_gamma / weight * inverse) if weight > 0.0 else <real> 0.0
