# Winograd's algorithm (Winograd 1980; Lavin and Gray 2016): pixels of a convolution from fewer products than one for every pixel
# and tap. For every tile of the map, with d the pixels of the padded image that it sees:
#
#     map tile = A^T [ sum over channels of (G w G^T) * (B^T d B) ] A            * is element by element
#
# F(2x2, 3x3) makes four pixels with 16 products instead of 36, from 4 x 4 pixels:
#
#     B^T = 1  0 -1  0      G = 1    0    0      A^T = 1  1  1  0
#           0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
#           0 -1  1  0          1/2 -1/2  1/2
#           0  1  0 -1          0    0    1
#
# Five taps are three and two more, which meet the pixels three places on. Two taps have an algorithm likewise, F(2, 2):
#
#     B^T = 1 -1  0         G = 1    0           A^T = 1  1  0
#           0  1  0             1    1                 0  1 -1
#           0  1 -1             0    1
#
# Side by side they make 4 + 3 products of a row, 49 of a tile instead of 100, from 6 x 6 pixels. F(2x2, 5x5) in one piece has 36,
# and factors such as 1/24, which round. All factors here are powers of two, so integers stay exact.
#
# F(4, 3) is found in two ways. A convolution is a product of polynomials, which is put together from its remainders. Those by
# x - 1, x + 1 and x^2 + 1, the last with three products (Karatsuba), make the convolution of a circle of four pixels. What it
# takes from the wrong end is put right by two products more. They make 7 products of a row, 49 for sixteen pixels instead of
# 144, from 6 x 6 pixels. Errors are as small as those of F(2x2, 3x3), since no factor is larger than one (remainders by
# polynomials that are not linear: Barabasz and Gregg 2019):
#
#     B^T =  0  1  1  1  1  0      G =  1/4  1/4  1/4      A^T = 1  1  1  1  0  1  0
#            0  1 -1  1 -1  0          -1/4  1/4 -1/4            1 -1  1  0 -1  0  0
#            0  1  1 -1 -1  0            0   1/2   0             1  1 -1 -1  0  0  0
#            0  0  1  0 -1  0          -1/2 -1/2  1/2            1 -1 -1  0  1  0  1
#            0  1  0 -1  0  0          -1/2  1/2  1/2
#            1  0  0  0 -1  0            1    0    0
#            0 -1  0  0  0  1            0    0    1
#
# Five taps take the same circle. Here it gets more from the wrong end, and six products more put that right. So there are 11
# products of a row, 121 for sixteen pixels instead of 400, from 8 x 8 pixels, and errors are smaller than those of direct sums:
#
#     B^T = 0  0  1  1  1  1  0  0      G =  1/4  1/4  1/4  1/4  1/4      A^T = 1  1  1  1  0  1  1  0  0  0  0
#           0  0 -1  1 -1  1  0  0          -1/4  1/4 -1/4  1/4 -1/4            1 -1  1  0 -1  0  0  1  0  0  0
#           0  0  1 -1 -1  1  0  0            0   1/2   0  -1/2   0             1  1 -1 -1  0  0  0  0  0  1  0
#           0  0  1  0 -1  0  0  0          -1/2 -1/2  1/2  1/2 -1/2            1 -1 -1  0  1  0  0  0  1  0  1
#           0  0  0 -1  0  1  0  0          -1/2  1/2  1/2 -1/2 -1/2
#           1  0  0  0 -1  0  0  0            1    0    0    0    0
#           0  1  0  0  0 -1  0  0            0    1    0    0    0
#           0  1  0  0  0 -1  0  0            1    0    0    0    0
#           0  0 -1  0  0  0  1  0            0    0    0    1    0
#           0  0 -1  0  0  0  1  0            0    0    0    0    1
#           0  0  0 -1  0  0  0  1            0    0    0    0    1
#
# With remainders by x, x - 1, x + 1, x - 2 and x + 2 there are 36 products for sixteen pixels. They round more, and have to be
# asked for (`winograd_tile=4`):
#
#     B^T = 4  0 -5  0  1  0      G =  1/4    0    0      A^T = 1  1  1  1  1  0
#           0 -4 -4  1  1  0          -1/6 -1/6 -1/6            0  1 -1  2 -2  0
#           0  4 -4 -1  1  0          -1/6  1/6 -1/6            0  1  1  4  4  0
#           0 -2 -1  2  1  0          1/24 1/12  1/6            0  1 -1  8 -8  1
#           0  2 -1 -2  1  0          1/24 -1/12 1/6
#           0  4  0 -5  0  1             0    0    1
#
# A whole map of four pixels a row, in a border of zeros, is a matrix with the same numbers along its diagonals times a column of
# four. With A, B and C its blocks, u and v the halves of the column (Karatsuba once more):
#
#     [A B] [u]   [(A + B) v + A (u - v)]
#     [C A] [v] = [(A + C) u - A (u - v)]
#
# So three blocks are multiplied instead of four, and each of them likewise. That makes 9 products of a row, 81 of a map instead
# of the 196 of 5 x 5 taps that meet no padding. With e and f the taps before and behind the middle one, c, and so on (a b are two
# and one before, e f one and two behind):
#
#     B^T d = d0 - d2 - d1 + d3, d1 - d3, d0 - d2, d2 - d3, d3, d2, d0 - d1, d1, d0
#     G t   = c, e + c, b + c, f + c, e + f + c, e + b + f + c, a + c, b + e + a + c, b + a + c           t = a b c e f
#     A^T m = p + q, p' + q', r - p, r' - p'       p, p' = m0 + m1, m2 - m0, and q, q' and r, r' of the next three and the last
#
# Nothing is scaled, so integers stay exact. Errors are up to about twice those of direct sums (a test measures both).
#
# The sum over channels is a matrix product for each of these places: rows are tiles, columns are filters. Transforms run on whole
# vectors of channels or filters. The last vector of channels may overlap the one before. The rounding of real numbers has a bound
# of its own, see tests/test_winograd.py.
#
# `side`, `taps` and `places`, those of a tile's and a kernel's row and its products, are constants at every call: 2, 3 and 4, or
# 2, 5 and 7, or 4, 3 and 7, or 4, 3 and 6, or 4, 5 and 11, or 4, 5 and 9.

cdef enum:
    MOST_TAPS = 5
    MOST_SIDE = 4
    MOST_SEEN = 8               # pixels of a row that a tile sees
    MOST_PLACES = 11            # products of a row
    WHOLE_PLACES = 9            # and of a row of a whole map


cdef inline Py_ssize_t seen_of_row(Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places) noexcept nogil:
    # A whole map sees zeros beyond its image, and those need not be there.
    return side if places == WHOLE_PLACES else side + taps - 1


cdef inline Py_ssize_t combinations_of_row(Py_ssize_t places) noexcept nogil:
    # Rows of B^T that differ: F(4, 5) multiplies two of them by two combinations of taps each.
    return 9 if places == 11 else places


cdef inline Py_ssize_t combination_of(Py_ssize_t places, Py_ssize_t i) noexcept nogil:
    # Which of them product i of a row takes.
    return i if places != 11 or i < 7 else 6 + (i - 6) // 2


cdef inline void combine_circle(vector* kind, const vector* first, const vector* second, const vector* third,
                                const vector* fourth, vector* t) noexcept nogil:
    # The first five of t = B^T d: those of a circle of four pixels
    cdef vector even
    cdef vector odd
    SUM(even, first[0], third[0])
    SUM(odd, second[0], fourth[0])
    SUM(t[0], even, odd)
    SUBTRACT(t[1], even, odd)
    SUBTRACT(t[4], first[0], third[0])
    SUBTRACT(t[3], second[0], fourth[0])
    SUM(t[2], t[4], t[3])


cdef inline void combine_seven(vector* kind, const vector* d, vector* t) noexcept nogil:
    # t = B^T d of F(4, 3) with seven products
    combine_circle[vector](kind, d + 1, d + 2, d + 3, d + 4, t)
    SUBTRACT(t[5], d[0], d[4])
    SUBTRACT(t[6], d[5], d[1])


cdef inline void combine_eleven(vector* kind, const vector* d, vector* t) noexcept nogil:
    # t = B^T d of F(4, 5), but for the two rows that there are twice
    combine_circle[vector](kind, d + 5, d + 2, d + 3, d + 4, t)
    SUBTRACT(t[5], d[0], d[4])
    SUBTRACT(t[6], d[1], d[5])
    SUBTRACT(t[7], d[6], d[2])
    SUBTRACT(t[8], d[7], d[3])


cdef inline void combine_six(vector* kind, const vector* d, vector* t) noexcept nogil:
    # t = B^T d of F(4, 3) with six products
    cdef vector even = d[4]
    cdef vector odd = d[3]
    MULTIPLY_ADD(even, <real> -4.0, d[2])
    MULTIPLY_ADD(odd, <real> -4.0, d[1])
    SUM(t[1], even, odd)
    SUBTRACT(t[2], even, odd)
    SUBTRACT(t[0], even, d[2])
    MULTIPLY_ADD(t[0], <real> 4.0, d[0])
    t[5] = d[5]
    MULTIPLY_ADD(t[5], <real> -5.0, d[3])
    MULTIPLY_ADD(t[5], <real> 4.0, d[1])
    SUBTRACT(even, d[4], d[2])
    SUBTRACT(odd, d[3], d[1])
    t[3] = even
    t[4] = even
    MULTIPLY_ADD(t[3], <real> 2.0, odd)
    MULTIPLY_ADD(t[4], <real> -2.0, odd)


cdef inline void combine_whole(vector* kind, const vector* d, vector* t) noexcept nogil:
    # t = B^T d of a whole map
    SUBTRACT(t[1], d[1], d[3])
    SUBTRACT(t[2], d[0], d[2])
    SUBTRACT(t[0], t[2], t[1])
    SUBTRACT(t[3], d[2], d[3])
    t[4] = d[3]
    t[5] = d[2]
    SUBTRACT(t[6], d[0], d[1])
    t[7] = d[1]
    t[8] = d[0]


cdef inline void combine_rows(vector* kind, Py_ssize_t side, Py_ssize_t places, const vector* d, vector* t) noexcept nogil:
    # t = B^T d for one column
    if side == 4:
        if places == 6:
            combine_six[vector](kind, d, t)
        elif places == WHOLE_PLACES:
            combine_whole[vector](kind, d, t)
        elif places == 11:
            combine_eleven[vector](kind, d, t)
        else:
            combine_seven[vector](kind, d, t)
        return
    SUBTRACT(t[0], d[0], d[2])
    SUM(t[1], d[1], d[2])
    SUBTRACT(t[2], d[2], d[1])
    SUBTRACT(t[3], d[1], d[3])
    if places == 7:     # of five taps
        SUBTRACT(t[4], d[3], d[4])
        t[5] = d[4]
        SUBTRACT(t[6], d[4], d[5])


cdef inline void restore_four(vector* kind, const vector* m, vector* pixels) noexcept nogil:
    # A^T m of F(4, 3) with six products
    cdef vector sum_of_two
    cdef vector difference
    cdef vector sum_of_next
    cdef vector next_difference
    SUM(sum_of_two, m[1], m[2])
    SUBTRACT(difference, m[1], m[2])
    SUM(sum_of_next, m[3], m[4])
    SUBTRACT(next_difference, m[3], m[4])
    SUM(pixels[0], m[0], sum_of_two)
    ADD(pixels[0], sum_of_next)
    pixels[1] = difference
    MULTIPLY_ADD(pixels[1], <real> 2.0, next_difference)
    pixels[2] = sum_of_two
    MULTIPLY_ADD(pixels[2], <real> 4.0, sum_of_next)
    SUM(pixels[3], difference, m[5])
    MULTIPLY_ADD(pixels[3], <real> 8.0, next_difference)


cdef inline void restore_circle(vector* kind, const vector* m, vector* pixels) noexcept nogil:
    # The part of a circle's five products in A^T m
    cdef vector even
    cdef vector odd
    cdef vector of_even
    cdef vector of_odd
    SUM(even, m[0], m[1])
    SUBTRACT(odd, m[0], m[1])
    SUM(of_even, m[2], m[3])
    SUBTRACT(of_odd, m[2], m[4])
    SUM(pixels[0], even, of_even)
    SUM(pixels[1], odd, of_odd)
    SUBTRACT(pixels[2], even, of_even)
    SUBTRACT(pixels[3], odd, of_odd)


cdef inline void restore_seven(vector* kind, const vector* m, vector* pixels) noexcept nogil:
    # A^T m of F(4, 3) with seven products
    restore_circle[vector](kind, m, pixels)
    ADD(pixels[0], m[5])
    ADD(pixels[3], m[6])


cdef inline void restore_eleven(vector* kind, const vector* m, vector* pixels) noexcept nogil:
    # A^T m of F(4, 5)
    cdef vector of_ends
    restore_circle[vector](kind, m, pixels)
    SUM(of_ends, m[5], m[6])
    ADD(pixels[0], of_ends)
    ADD(pixels[1], m[7])
    ADD(pixels[2], m[9])
    SUM(of_ends, m[8], m[10])
    ADD(pixels[3], of_ends)


cdef inline void restore_whole(vector* kind, const vector* m, vector* pixels) noexcept nogil:
    # A^T m of a whole map
    cdef vector even
    cdef vector odd
    cdef vector other
    SUM(even, m[0], m[1])
    SUBTRACT(odd, m[2], m[0])
    SUM(other, m[3], m[4])
    SUM(pixels[0], even, other)
    SUBTRACT(other, m[5], m[3])
    SUM(pixels[1], odd, other)
    SUM(other, m[6], m[7])
    SUBTRACT(pixels[2], other, even)
    SUBTRACT(other, m[8], m[6])
    SUBTRACT(pixels[3], other, odd)


cdef inline void restore_row(vector* kind, Py_ssize_t side, Py_ssize_t places, const vector* m, vector* pixels) noexcept nogil:
    # A^T m for one column
    if side == 4:
        if places == 6:
            restore_four[vector](kind, m, pixels)
        elif places == WHOLE_PLACES:
            restore_whole[vector](kind, m, pixels)
        elif places == 11:
            restore_eleven[vector](kind, m, pixels)
        else:
            restore_seven[vector](kind, m, pixels)
        return
    SUM(pixels[0], m[0], m[1])
    ADD(pixels[0], m[2])
    SUBTRACT(pixels[1], m[1], m[2])
    SUBTRACT(pixels[1], pixels[1], m[3])
    if places == 7:     # of five taps
        ADD(pixels[0], m[4])
        ADD(pixels[0], m[5])
        ADD(pixels[1], m[5])
        SUBTRACT(pixels[1], pixels[1], m[6])


cdef inline void spread_six(vector* kind, const vector* w, vector* g) noexcept nogil:
    # G w of F(4, 3) with six products
    cdef vector outer
    g[0] = w[0]
    g[5] = w[2]
    SCALE(g[0], <real> 0.25)
    SUM(outer, w[0], w[2])
    SUM(g[1], outer, w[1])
    SUBTRACT(g[2], outer, w[1])
    SCALE(g[1], <real> (-1.0 / 6.0))
    SCALE(g[2], <real> (-1.0 / 6.0))
    outer = w[0]
    MULTIPLY_ADD(outer, <real> 4.0, w[2])
    g[3] = outer
    g[4] = outer
    MULTIPLY_ADD(g[3], <real> 2.0, w[1])
    MULTIPLY_ADD(g[4], <real> -2.0, w[1])
    SCALE(g[3], <real> (1.0 / 24.0))
    SCALE(g[4], <real> (1.0 / 24.0))


cdef inline void scale_circle(vector* kind, vector* g) noexcept nogil:
    # The factors of a circle's five products in G w
    SCALE(g[0], <real> 0.25)
    SCALE(g[1], <real> 0.25)
    SCALE(g[2], <real> 0.5)
    SCALE(g[3], <real> 0.5)
    SCALE(g[4], <real> 0.5)


cdef inline void spread_seven(vector* kind, const vector* w, vector* g) noexcept nogil:
    # G w of F(4, 3) with seven products
    cdef vector outer
    SUM(outer, w[0], w[2])
    SUM(g[0], outer, w[1])
    SUBTRACT(g[1], w[1], outer)
    SUBTRACT(outer, w[2], w[0])
    g[2] = w[1]
    SUBTRACT(g[3], outer, w[1])
    SUM(g[4], outer, w[1])
    g[5] = w[0]
    g[6] = w[2]
    scale_circle[vector](kind, g)


cdef inline void spread_eleven(vector* kind, const vector* w, vector* g) noexcept nogil:
    # G w of F(4, 5)
    cdef vector even
    cdef vector odd
    cdef vector first
    SUM(first, w[0], w[4])      # the circle has four taps: the last one meets the first again
    SUM(even, first, w[2])
    SUM(odd, w[1], w[3])
    SUM(g[0], even, odd)
    SUBTRACT(g[1], odd, even)
    SUBTRACT(even, w[2], first)
    SUBTRACT(odd, w[1], w[3])
    g[2] = odd
    SUBTRACT(g[3], even, odd)
    SUM(g[4], even, odd)
    g[5] = w[0]
    g[6] = w[1]
    g[7] = w[0]
    g[8] = w[3]
    g[9] = w[4]
    g[10] = w[4]
    scale_circle[vector](kind, g)


cdef inline void spread_whole(vector* kind, const vector* w, vector* g) noexcept nogil:
    # G t of a whole map
    cdef vector across
    SUM(across, w[1], w[3])
    g[0] = w[2]
    SUM(g[1], w[3], w[2])
    SUM(g[2], w[1], w[2])
    SUM(g[3], w[4], w[2])
    SUM(g[4], w[3], g[3])
    SUM(g[5], across, g[3])
    SUM(g[6], w[0], w[2])
    SUM(g[7], across, g[6])
    SUM(g[8], w[1], g[6])


cdef inline void spread_taps(vector* kind, Py_ssize_t side, Py_ssize_t places, const vector* w, vector* g) noexcept nogil:
    # G w for one column
    cdef vector outer
    if side == 4:
        if places == 6:
            spread_six[vector](kind, w, g)
        elif places == WHOLE_PLACES:
            spread_whole[vector](kind, w, g)
        elif places == 11:
            spread_eleven[vector](kind, w, g)
        else:
            spread_seven[vector](kind, w, g)
        return
    g[0] = w[0]
    g[3] = w[2]
    SUM(outer, w[0], w[2])
    SUM(g[1], outer, w[1])
    SUBTRACT(g[2], outer, w[1])
    SCALE(g[1], <real> 0.5)
    SCALE(g[2], <real> 0.5)
    if places == 7:     # of five taps
        g[4] = w[3]
        SUM(g[5], w[3], w[4])
        g[6] = w[4]
