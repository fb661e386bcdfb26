# Dropout (Srivastava et al. 2014): in training a unit is set to zero with some probability, and otherwise divided by the
# probability of being kept, so that prediction has nothing to do. A unit is one value, or a whole map (Tompson et al. 2015).
#
# A mask is a function of the seed, the step, the sample's place in the mini-batch, the layer and the unit. One draw for the
# sample gives two words, and two rounds of an integer hash spread them over the units: loops over it become vectors.

cdef inline uint32_t scramble(uint32_t x) noexcept nogil:
    """A permutation of 32-bit integers in which each bit of x changes about half of the bits (Wellons 2018, "lowbias32")."""
    x ^= x >> 16
    x *= <uint32_t> 0x7FEB352D
    x ^= x >> 15
    x *= <uint32_t> 0x846CA68B
    x ^= x >> 16
    return x


cdef enum:
    DROPPED_TOGETHER = 256      # maps, whose factors are made once for all of their pixels


cdef inline bint is_kept(Py_ssize_t unit, const uint32_t* words, uint32_t threshold) noexcept nogil:
    return scramble(scramble(<uint32_t> unit + words[0]) ^ words[1]) >= threshold


cdef void drop_units(const real* values, real* results, Py_ssize_t n, const uint32_t* words, uint32_t threshold,
                     real factor) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        results[i] = values[i] * factor if is_kept(i, words, threshold) else <real> 0.0


cdef void drop_maps(const Layer* layer, const real* values, real* results, const uint32_t* words, uint32_t threshold,
                    real factor) noexcept nogil:
    cdef real[DROPPED_TOGETHER] factors         # 0: dropped
    cdef Py_ssize_t n_pixels = layer.rows * layer.columns
    cdef Py_ssize_t first = 0, n, pixel, c, at
    cdef real raised
    while first < layer.channels:
        n = min(<Py_ssize_t> DROPPED_TOGETHER, layer.channels - first)
        for c in range(n):
            factors[c] = factor if is_kept(first + c, words, threshold) else <real> 0.0
        for pixel in range(n_pixels):
            at = pixel * layer.channels + first
            for c in range(n):
                raised = values[at + c] * factors[c]
                results[at + c] = raised if factors[c] != 0.0 else <real> 0.0       # the product may be -0 or NaN
        first += n


cdef void drop(const Layer* layer, uint64_t seed, uint32_t step, uint32_t number, Py_ssize_t place, const real* values,
               real* results) noexcept nogil:
    """values -> results of the sample at a place of the mini-batch; forward, and for gradients backward. number: the layer's."""
    cdef uint32_t[4] words
    cdef uint32_t threshold = <uint32_t> layer.threshold
    cdef real factor = <real> (1.0 / (1.0 - layer.threshold * 2.0 ** -32))
    draw_words(seed, <uint64_t> place, step, DRAW_DROPOUT + (number << 8), words)
    if layer.drops_maps:
        drop_maps(layer, values, results, words, threshold, factor)
    else:
        drop_units(values, results, input_size(layer), words, threshold, factor)
