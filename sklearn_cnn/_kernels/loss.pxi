# Losses of one sample on its scores (before the output activation): the value, and the gradient times `weight`.
# Sums run in double precision and in one order.

cpdef enum:
    SOFTMAX_CROSS_ENTROPY = 0
    LOGISTIC_CROSS_ENTROPY = 1
    SQUARED_ERROR = 2

cdef enum:
    KEPT_EXPONENTIALS = 64      # of a sample: from the sum of all to their shares


cdef double softmax_cross_entropy(const real* scores, const real* targets, real* d_scores, Py_ssize_t n,
                                  double weight) noexcept nogil:
    """-sum_k t_k log softmax(s)_k; d_scores = weight * (softmax(s) * sum(t) - t)."""
    cdef double largest = scores[0], total = 0.0, of_targets = 0.0, value = 0.0, exponential
    cdef double kept[KEPT_EXPONENTIALS]
    cdef Py_ssize_t k
    for k in range(n):
        if not scores[k] <= largest:    # also a NaN, which then reaches the loss
            largest = scores[k]
    for k in range(n):
        exponential = exp(scores[k] - largest)
        if k < KEPT_EXPONENTIALS:
            kept[k] = exponential
        total += exponential
        of_targets += targets[k]
        value -= targets[k] * (scores[k] - largest)
    if d_scores != NULL:
        for k in range(n):
            exponential = kept[k] if k < KEPT_EXPONENTIALS else exp(scores[k] - largest)
            d_scores[k] = <real> (weight * (exponential / total * of_targets - targets[k]))
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
