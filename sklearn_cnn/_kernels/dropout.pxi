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


cdef inline void drop_units(const real* values, real* results, Py_ssize_t n, uint32_t key_0, uint32_t key_1, uint32_t threshold,
                            real factor) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t word
    for i in range(n):
        word = scramble(scramble(<uint32_t> i + key_0) ^ key_1)
        results[i] = values[i] * factor if word >= threshold else <real> 0.0


cdef void drop(const Layer* layer, uint64_t seed, uint32_t step, uint32_t number, Py_ssize_t place, const real* values,
               real* results) noexcept nogil:
    """values -> results of the sample at a place of the mini-batch; forward, and for gradients backward. number: the layer's."""
    cdef uint32_t[4] words
    cdef uint32_t threshold = <uint32_t> layer.threshold
    cdef real factor = <real> (1.0 / (1.0 - layer.threshold * 2.0 ** -32))
    cdef Py_ssize_t n_pixels = layer.rows * layer.columns
    cdef Py_ssize_t pixel
    draw_words(seed, <uint64_t> place, step, DRAW_DROPOUT + (number << 8), words)
    if not layer.drops_maps:
        drop_units(values, results, n_pixels * layer.channels, words[0], words[1], threshold, factor)
        return
    for pixel in range(n_pixels):
        drop_units(values + pixel * layer.channels, results + pixel * layer.channels, layer.channels, words[0], words[1],
                   threshold, factor)
