# Losses of one sample on its scores (before the output activation): the value, and the gradient times `weight`.
# Sums run in double precision and in one order.

cpdef enum:
    SOFTMAX_CROSS_ENTROPY = 0
    LOGISTIC_CROSS_ENTROPY = 1
    SQUARED_ERROR = 2

cdef enum:
    KEPT_EXPONENTIALS = 64      # of a sample: from the sum of all to their shares


cdef inline double exponential_of_negative(double x) noexcept nogil:
    # exp(x) = 2**n exp(r), |r| <= ln(2) / 2, for x <= 0 and NaN, with Taylor's polynomial of degree 13 for exp(r). Plain
    # arithmetic, so that loops over it become vectors; below -700 a softmax has no use for the answer.
    cdef double y = -700.0 if x < -700.0 else x
    cdef double shifted = y * 1.44269504088896341 + 6755399441055744.0      # 3 * 2**51: what is added last are whole numbers
    cdef double n = shifted - 6755399441055744.0
    cdef double r = y - n * 6.93147180369123816490e-1
    cdef double square, p, q
    r = r - n * 1.90821492927058770002e-10
    # Even and odd powers side by side, which takes half as long as one after the other.
    square = r * r
    p = 1.0 / 479001600.0
    q = 1.0 / 6227020800.0
    p = p * square + 1.0 / 3628800.0
    q = q * square + 1.0 / 39916800.0
    p = p * square + 1.0 / 40320.0
    q = q * square + 1.0 / 362880.0
    p = p * square + 1.0 / 720.0
    q = q * square + 1.0 / 5040.0
    p = p * square + 1.0 / 24.0
    q = q * square + 1.0 / 120.0
    p = p * square + 0.5
    q = q * square + 1.0 / 6.0
    q = q * square * r + r
    p = p * square + q + 1.0
    return 0.0 if x < -700.0 else p * power_of_two_double(shifted)


cdef inline void exponentials(const real* scores, real largest, Py_ssize_t n, double* results) noexcept nogil:
    """exp(scores - largest). There is room for whole eights of results, so that no vector is left with fewer numbers."""
    cdef Py_ssize_t n_whole = (n + 7) // 8 * 8
    cdef Py_ssize_t k
    for k in range(n):
        results[k] = <double> scores[k] - largest
    for k in range(n, n_whole):
        results[k] = 0.0
    for k in range(n_whole):
        results[k] = exponential_of_negative(results[k])


cdef double softmax_cross_entropy(const real* scores, const real* targets, real* d_scores, Py_ssize_t n,
                                  double weight) noexcept nogil:
    """-sum_k t_k log softmax(s)_k; d_scores = weight * (softmax(s) * sum(t) - t)."""
    cdef real largest = scores[0]
    cdef double total = 0.0, of_targets = 0.0, value = 0.0
    cdef double kept[KEPT_EXPONENTIALS]
    cdef Py_ssize_t k, first = 0, m
    for k in range(1, n):
        largest = scores[k] if scores[k] > largest else largest     # a NaN reaches the loss by its exponential
    while first < n:
        m = min(<Py_ssize_t> KEPT_EXPONENTIALS, n - first)
        exponentials(scores + first, largest, m, kept)
        for k in range(m):
            total += kept[k]
            of_targets += targets[first + k]
            value -= targets[first + k] * (<double> scores[first + k] - largest)
        first += m
    first = 0
    while first < n and d_scores != NULL:
        m = min(<Py_ssize_t> KEPT_EXPONENTIALS, n - first)
        if n > KEPT_EXPONENTIALS:
            exponentials(scores + first, largest, m, kept)
        for k in range(m):
            d_scores[first + k] = <real> (weight * (kept[k] / total * of_targets - targets[first + k]))
        first += m
    return value + of_targets * log(total)


cdef double logistic_cross_entropy(const real* scores, const real* targets, real* d_scores, Py_ssize_t n,
                                   double weight) noexcept nogil:
    """-sum_k t_k log p_k + (1 - t_k) log(1 - p_k) with p = logistic(s), in a form that does not overflow."""
    cdef double value = 0.0, score, small
    cdef Py_ssize_t k
    for k in range(n):
        score = scores[k]
        small = exp(-fabs(score))
        value += (score if score > 0 or score != score else 0.0) - score * targets[k] + log1p(small)
        if d_scores != NULL:
            d_scores[k] = <real> (weight * ((1.0 if score >= 0 else small) / (1.0 + small) - targets[k]))
    return value


cdef double squared_error(const real* scores, const real* targets, real* d_scores, Py_ssize_t n, double weight) noexcept nogil:
    """Half the squared error, averaged over the outputs."""
    cdef double value = 0.0, difference
    cdef Py_ssize_t k
    for k in range(n):
        difference = <double> scores[k] - targets[k]
        value += difference * difference
        if d_scores != NULL:
            d_scores[k] = <real> (weight * difference / n)
    return 0.5 * value / n


cdef double loss_of_sample(int64_t loss, const real* scores, const real* targets, real* d_scores, Py_ssize_t n,
                           double weight) noexcept nogil:
    if loss == SOFTMAX_CROSS_ENTROPY:
        return softmax_cross_entropy(scores, targets, d_scores, n, weight)
    if loss == LOGISTIC_CROSS_ENTROPY:
        return logistic_cross_entropy(scores, targets, d_scores, n, weight)
    return squared_error(scores, targets, d_scores, n, weight)
