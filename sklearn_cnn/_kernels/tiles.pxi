# The transforms of Winograd's algorithm in both directions, a vector of channels or filters at a time: of the pixels that a tile
# sees, of its products, and of a kernel. `transforms.pxi` has those of a row.

cdef inline void transform_tile(vector* kind, Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places, const real* patch,
                                Py_ssize_t row, Py_ssize_t channels, real* target, Py_ssize_t place) noexcept nogil:
    # One vector of channels of B^T d B, each combination once; `place` is the distance of the results.
    cdef vector d[MOST_SEEN]
    cdef vector columns[MOST_SEEN][MOST_PLACES]
    cdef vector t[MOST_PLACES]
    cdef const real* at
    cdef Py_ssize_t n_seen = seen_of_row(side, taps, places)
    cdef Py_ssize_t n_combinations = combinations_of_row(places)
    cdef Py_ssize_t i, j
    for j in range(n_seen):
        at = patch
        for i in range(n_seen):
            FORGET_ORIGIN(at)
            d[i] = (<const vector*> at)[0]
            at += row
        patch += channels
        FORGET_ORIGIN(patch)
        combine_rows[vector](kind, side, places, d, columns[j])
    for i in range(n_combinations):
        for j in range(n_seen):
            d[j] = columns[j][i]
        combine_rows[vector](kind, side, places, d, t)
        for j in range(n_combinations):
            (<vector*> target)[0] = t[j]
            target += place
            FORGET_ORIGIN(target)


cdef inline void restore_tile(vector* kind, Py_ssize_t side, Py_ssize_t places, const real* products, Py_ssize_t place,
                              const real* bias, vector* pixels) noexcept nogil:
    # One vector of filters of A^T m A, bias added: the pixels of a tile, window by window of 2 x 2.
    cdef vector m[MOST_PLACES]
    cdef vector s[MOST_SIDE][MOST_PLACES]
    cdef vector restored[MOST_SIDE]
    cdef const real* at
    cdef Py_ssize_t i, j
    for j in range(places):
        at = products
        for i in range(places):
            FORGET_ORIGIN(at)
            m[i] = (<const vector*> at)[0]
            at += places * place
        products += place
        FORGET_ORIGIN(products)
        restore_row[vector](kind, side, places, m, restored)
        for i in range(side):
            s[i][j] = restored[i]
    for i in range(side):
        restore_row[vector](kind, side, places, s[i], restored)
        for j in range(side):
            SUM(pixels[4 * (i // 2 * (side // 2) + j // 2) + i % 2 * 2 + j % 2], restored[j], (<const vector*> bias)[0])


cdef inline void transform_kernels(vector* kind, Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places, const real* weights,
                                   Py_ssize_t n, real* transformed, Py_ssize_t place) noexcept nogil:
    # One vector of channels and filters of G w G^T; n is the distance of taps, `place` that of results.
    cdef vector w[MOST_TAPS]
    cdef vector g[MOST_PLACES]
    cdef vector rows[MOST_PLACES][MOST_TAPS]
    cdef Py_ssize_t i, j
    for j in range(taps):
        for i in range(taps):
            w[i] = (<const vector*> (weights + (taps * i + j) * n))[0]
        spread_taps[vector](kind, side, places, w, g)
        for i in range(places):
            rows[i][j] = g[i]
    for i in range(places):
        spread_taps[vector](kind, side, places, rows[i], g)
        for j in range(places):
            (<vector*> (transformed + (places * i + j) * place))[0] = g[j]
