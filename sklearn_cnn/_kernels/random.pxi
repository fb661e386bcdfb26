# Random numbers as a function of what they are for: Philox 4x32 with ten rounds (Salmon, Moraes, Dror and Shaw, 2011,
# "Parallel random numbers: as easy as 1, 2, 3"). A counter goes in and four words of 32 bits come out. There is no state, so no
# number depends on which were drawn before, by which thread, or together with what.
#
#     key     = seed, low and high half
#     counter = place, low and high half; time; name
#
# `place` is what a draw is for (a row of X, or a unit in a mini-batch), `time` is the epoch or the step, `name` is one of the
# names below. For one seed, the four words are a permutation of the counter: two draws are never the same.

cdef enum:
    DRAW_SHIFT = 0
    DRAW_FLIP = 1
    DRAW_ROTATE = 2
    DRAW_ZOOM = 3
    DRAW_ERASE = 4
    DRAW_BRIGHTNESS = 5
    DRAW_CONTRAST = 6
    DRAW_DROPOUT = 7

cdef uint32_t MULTIPLIER_0 = <uint32_t> 0xD2511F53
cdef uint32_t MULTIPLIER_1 = <uint32_t> 0xCD9E8D57
cdef uint32_t WEYL_0 = <uint32_t> 0x9E3779B9
cdef uint32_t WEYL_1 = <uint32_t> 0xBB67AE85


cdef void draw_words(uint64_t seed, uint64_t place, uint32_t time, uint32_t name, uint32_t* words) noexcept nogil:
    """words[0] to words[3] <- uniform 32-bit integers."""
    cdef uint32_t key_0 = <uint32_t> seed
    cdef uint32_t key_1 = <uint32_t> (seed >> 32)
    cdef uint64_t product_0, product_1
    cdef int i
    words[0], words[1], words[2], words[3] = <uint32_t> place, <uint32_t> (place >> 32), time, name
    for i in range(10):
        product_0 = <uint64_t> MULTIPLIER_0 * words[0]
        product_1 = <uint64_t> MULTIPLIER_1 * words[2]
        words[0] = <uint32_t> (product_1 >> 32) ^ words[1] ^ key_0
        words[1] = <uint32_t> product_1
        words[2] = <uint32_t> (product_0 >> 32) ^ words[3] ^ key_1
        words[3] = <uint32_t> product_0
        key_0 += WEYL_0
        key_1 += WEYL_1


cdef inline int64_t integer_below(uint32_t word, int64_t n) noexcept nogil:
    """A word as an integer from 0 to n - 1, for n up to 2**31; no integer is likelier than another by more than n * 2**-32."""
    return <int64_t> ((<uint64_t> word * <uint64_t> n) >> 32)


cdef inline double around_zero(uint32_t word, double most) noexcept nogil:
    """A word as a number from -most to most."""
    return most * (word * (2.0 ** -31) - 1.0)
