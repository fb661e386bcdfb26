# The one arithmetic kernel: a matrix product over rows that may overlap.
#
#     c[m, n] = start[m, n] + sum over u, k of a[u, m, k] * b[u, k, n]
#
# `a` is read through three strides, so the overlapping patches of a convolution are its rows without being copied:
#
#     padded image, one row of patches            row m of the product: kernel row u of the patch at column m
#     . [m=0: x x x] .        a_row   = stride * channels
#     . . [m=1: x x x]        a_outer = one image row (next kernel row)
#     . . . [m=2: x x x]      a_inner = 1             (kernel_columns * channels consecutive numbers)
#
# Columns n are the vector lanes. Each result is one chain of multiply-adds over (u, k), started from `start`, whatever the
# tile, the vector width or the tail it falls into: this is what makes results independent of batch and position.

cdef enum:
    POINTER_ROWS = 5        # rows of a tile of one vector that share a pointer
    MOST_VECTORS = 3        # of columns, of a tile

ctypedef struct Product:
    Py_ssize_t n_outer      # u
    Py_ssize_t n_inner      # k
    Py_ssize_t a_row
    Py_ssize_t a_outer
    Py_ssize_t a_inner
    Py_ssize_t b_outer
    Py_ssize_t b_inner
    Py_ssize_t c_row
    Py_ssize_t start_row    # 0 where every row starts from the same values (a bias)
    Py_ssize_t a_jump       # from those rows of a tile that share a pointer to the next ones; from one row of a map to the next
    Py_ssize_t c_jump
    Py_ssize_t[MOST_VECTORS] vector_at      # from the first vector of columns of a tile to each of them


# Products of one shape, at a distance from each other: those of all places in Winograd's algorithm.
ctypedef struct Series:
    Py_ssize_t n
    Py_ssize_t a
    const int16_t* a_of     # which of the matrices a each takes, or NULL: one after another
    Py_ssize_t b
    Py_ssize_t start
    Py_ssize_t c


cdef inline const real* a_of_series(const Series* series, const real* a, Py_ssize_t i) noexcept nogil:
    return a + (i if series.a_of == NULL else series.a_of[i]) * series.a


cdef inline Py_ssize_t lanes_of(vector* kind) noexcept nogil:
    return <Py_ssize_t> (sizeof(vector) // sizeof(real))


cdef inline void tile(vector* kind, Py_ssize_t rows, Py_ssize_t pointer_rows, Py_ssize_t vectors, const Product* shape,
                      const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # `rows`, `pointer_rows` and `vectors` are constants at every call, so accumulators are registers. On a ragged edge the last
    # vector overlaps the one before and computes some columns twice, with the same bits. `pointer_rows` rows have a pointer of
    # their own, `a_jump` after the one before: on small maps that is the next row of the map, elsewhere it saves registers, for
    # as offsets from one pointer fourteen rows would spill.
    cdef vector accumulators[TILE_ROWS][MOST_VECTORS]
    cdef vector b_of[MOST_VECTORS]
    cdef const real* a_k[4]
    cdef const real* b_k
    cdef real* c_m
    cdef Py_ssize_t n_pointers = (rows + pointer_rows - 1) // pointer_rows
    cdef Py_ssize_t at[MOST_VECTORS]
    cdef Py_ssize_t u, k, m, v
    for v in range(vectors):
        at[v] = shape.vector_at[v] if v > 0 else 0
    for m in range(rows):
        for v in range(vectors):
            accumulators[m][v] = (<const vector*> (start + m * shape.start_row + at[v]))[0]
    for u in range(shape.n_outer):
        for m in range(n_pointers):
            a_k[m] = a + u * shape.a_outer + m * shape.a_jump
        b_k = b + u * shape.b_outer
        for k in range(shape.n_inner):
            for v in range(vectors):
                b_of[v] = (<const vector*> (b_k + at[v]))[0]
            for m in range(rows):
                for v in range(vectors):
                    MULTIPLY_ADD(accumulators[m][v], a_k[m // pointer_rows][(m % pointer_rows) * shape.a_row], b_of[v])
            for m in range(n_pointers):
                a_k[m] += shape.a_inner
            b_k += shape.b_inner
    for m in range(rows):
        c_m = c + (m // pointer_rows) * shape.c_jump + (m % pointer_rows) * shape.c_row
        for v in range(vectors):
            (<vector*> (c_m + at[v]))[0] = accumulators[m][v]


cdef inline void row_tile(vector* kind, Py_ssize_t rows, Py_ssize_t vectors, const Product* shape, const real* a,
                          const real* b, const real* start, real* c) noexcept nogil:
    # Several vectors share what is read for a row, so there the spilled offsets cost nothing.
    tile[vector](kind, rows, POINTER_ROWS if vectors == 1 else TILE_ROWS, vectors, shape, a, b, start, c)


cdef inline Py_ssize_t most_rows(Py_ssize_t vectors) noexcept nogil:
    """Rows of the largest tile of so many vectors."""
    return TILE_ROWS_OF_THREE if vectors == 3 else (TILE_ROWS_OF_TWO if vectors == 2 else TILE_ROWS_OF_ONE)


cdef inline void tile_of(vector* kind, Py_ssize_t rows, Py_ssize_t vectors, const Product* shape, const real* a,
                         const real* b, const real* start, real* c) noexcept nogil:
    # A table of tiles by their number of rows; the C compiler drops those a level has no registers for.
    cdef Py_ssize_t limit = most_rows(vectors)
    if rows == 1:
        row_tile[vector](kind, 1, vectors, shape, a, b, start, c)
    elif rows == 2:
        row_tile[vector](kind, 2, vectors, shape, a, b, start, c)
    elif rows == 3:
        row_tile[vector](kind, 3, vectors, shape, a, b, start, c)
    elif rows == 4:
        row_tile[vector](kind, 4, vectors, shape, a, b, start, c)
    elif rows == 5:
        row_tile[vector](kind, 5, vectors, shape, a, b, start, c)
    elif rows == 6:
        row_tile[vector](kind, 6, vectors, shape, a, b, start, c)
    elif limit >= 7 and rows == 7:
        row_tile[vector](kind, 7, vectors, shape, a, b, start, c)
    elif limit >= 8 and rows == 8:
        row_tile[vector](kind, 8, vectors, shape, a, b, start, c)
    elif limit >= 9 and rows == 9:
        row_tile[vector](kind, 9, vectors, shape, a, b, start, c)
    elif limit >= 10 and rows == 10:
        row_tile[vector](kind, 10, vectors, shape, a, b, start, c)
    elif limit >= 11 and rows == 11:
        row_tile[vector](kind, 11, vectors, shape, a, b, start, c)
    elif limit >= 12 and rows == 12:
        row_tile[vector](kind, 12, vectors, shape, a, b, start, c)
    elif limit >= 13 and rows == 13:
        row_tile[vector](kind, 13, vectors, shape, a, b, start, c)
    elif limit >= 14 and rows == 14:
        row_tile[vector](kind, 14, vectors, shape, a, b, start, c)


ctypedef struct Cuts:
    Py_ssize_t n
    Py_ssize_t size
    Py_ssize_t n_larger         # by one: the first ones


cdef inline Cuts cut_evenly(Py_ssize_t n, Py_ssize_t limit) noexcept nogil:
    """Tiles of as equal sizes as may be: 15 rows are 8 + 7, not 14 + 1."""
    cdef Cuts cuts
    cuts.n = (n + limit - 1) // limit
    cuts.size = n // cuts.n if cuts.n > 1 else n    # a division takes as long as a small tile
    cuts.n_larger = n - cuts.size * cuts.n
    return cuts


cdef inline void panel(vector* kind, Py_ssize_t vectors, Py_ssize_t n_rows, const Product* shape, const Series* series,
                       const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # All rows of one, two or three vectors of columns.
    cdef Cuts tiles = cut_evenly(n_rows, most_rows(vectors))
    cdef Py_ssize_t i, t, rows, m
    cdef const real* a_i
    for i in range(series.n):
        a_i = a_of_series(series, a, i)
        m = 0
        for t in range(tiles.n):
            rows = tiles.size + 1 if t < tiles.n_larger else tiles.size
            tile_of[vector](kind, rows, vectors, shape, a_i + m * shape.a_row, b, start + m * shape.start_row,
                            c + m * shape.c_row)
            m += rows
        b, start, c = b + series.b, start + series.start, c + series.c


cdef inline void set_vectors(Product* shape, Py_ssize_t lanes, Py_ssize_t vectors, Py_ssize_t n_columns) noexcept nogil:
    """Where the vectors of a tile stand, the last one within the columns that are left."""
    cdef Py_ssize_t v
    for v in range(vectors):
        shape.vector_at[v] = min(v * lanes, n_columns - lanes)


cdef void columns_of(vector* kind, Py_ssize_t lanes, Py_ssize_t n_rows, Py_ssize_t n_columns, const Product* shape,
                     const Series* series, const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # n_columns >= lanes. Vectors go in pairs; an odd one, or three, go first, so that a ragged last vector shares its tile with
    # the one it overlaps (both are loaded before either is stored, also where `start` is `c`).
    cdef Py_ssize_t n_vectors = (n_columns + lanes - 1) // lanes
    cdef Py_ssize_t n = 0
    cdef Product of_columns = shape[0]
    of_columns.a_jump, of_columns.c_jump = POINTER_ROWS * shape.a_row, POINTER_ROWS * shape.c_row
    if TILE_ROWS_OF_THREE > 0 and lanes == LANES_WIDE and n_vectors > 1:
        while n_vectors > 0 and (n_vectors % 2 == 1 or n_vectors % 3 == 0):
            set_vectors(&of_columns, lanes, 3, n_columns - n)
            panel[vector](kind, 3, n_rows, &of_columns, series, a, b + n, start + n, c + n)
            n, n_vectors = n + 3 * lanes, n_vectors - 3
    elif n_vectors % 2 == 1:
        panel[vector](kind, 1, n_rows, &of_columns, series, a, b, start, c)
        n = lanes
    while n < n_columns:
        set_vectors(&of_columns, lanes, 2, n_columns - n)
        panel[vector](kind, 2, n_rows, &of_columns, series, a, b + n, start + n, c + n)
        n += 2 * lanes


cdef inline void one_row_tile(vector* kind, Py_ssize_t lanes, Py_ssize_t vectors, Py_ssize_t last_at, const Product* shape,
                              const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # One row alone has no other rows to hide the latency of its additions behind, so it takes up to eight vectors at once; `b` is
    # then read in long stretches too. Each result is the same chain as in any other tile. `vectors` is a constant at every call;
    # the last one begins at `last_at` and may overlap the one before.
    cdef vector sums[8]
    cdef const real* a_k
    cdef const real* b_k
    cdef Py_ssize_t u, k, v
    for v in range(vectors):
        sums[v] = (<const vector*> (start + (v * lanes if v < vectors - 1 else last_at)))[0]
    for u in range(shape.n_outer):
        a_k = a + u * shape.a_outer
        b_k = b + u * shape.b_outer
        for k in range(shape.n_inner):
            for v in range(vectors):
                MULTIPLY_ADD(sums[v], a_k[0], (<const vector*> (b_k + (v * lanes if v < vectors - 1 else last_at)))[0])
            a_k += shape.a_inner
            b_k += shape.b_inner
    for v in range(vectors):
        (<vector*> (c + (v * lanes if v < vectors - 1 else last_at)))[0] = sums[v]


cdef void one_row_of(vector* kind, Py_ssize_t lanes, Py_ssize_t n_columns, const Product* shape, const real* a, const real* b,
                     const real* start, real* c) noexcept nogil:
    # More than two vectors of columns, eight at most.
    cdef Py_ssize_t n_vectors = (n_columns + lanes - 1) // lanes
    cdef Py_ssize_t last_at = n_columns - lanes
    if n_vectors == 3:
        one_row_tile[vector](kind, lanes, 3, last_at, shape, a, b, start, c)
    elif n_vectors == 4:
        one_row_tile[vector](kind, lanes, 4, last_at, shape, a, b, start, c)
    elif n_vectors == 5:
        one_row_tile[vector](kind, lanes, 5, last_at, shape, a, b, start, c)
    elif n_vectors == 6:
        one_row_tile[vector](kind, lanes, 6, last_at, shape, a, b, start, c)
    elif n_vectors == 7:
        one_row_tile[vector](kind, lanes, 7, last_at, shape, a, b, start, c)
    else:
        one_row_tile[vector](kind, lanes, 8, last_at, shape, a, b, start, c)


cdef inline Series no_series() noexcept nogil:
    """A product alone."""
    cdef Series one
    one.n, one.a, one.b, one.start, one.c = 1, 0, 0, 0, 0
    one.a_of = NULL
    return one


cdef void one_row(Py_ssize_t n_columns, const Product* shape, const real* a, const real* b, const real* start,
                  real* c) noexcept nogil:
    """c = start + a b of a single row, several vectors at once and then what is left."""
    cdef Py_ssize_t at_once
    while n_columns > 2 * LANES_WIDE:
        at_once = min(n_columns, 8 * LANES_WIDE)
        one_row_of[vector_wide](NULL, LANES_WIDE, at_once, shape, a, b, start, c)
        b, start, c, n_columns = b + at_once, start + at_once, c + at_once, n_columns - at_once
    product(1, n_columns, shape, a, b, start, c)


cdef void product_series(Py_ssize_t n_rows, Py_ssize_t n_columns, const Product* shape, const Series* series, const real* a,
                         const real* b, const real* start, real* c) noexcept nogil:
    """c = start + a b, for each of a series; the widest vectors that n_columns fills at least once."""
    cdef Py_ssize_t i
    if n_rows <= 0 or n_columns <= 0:
        return
    if n_rows == 1 and n_columns > 2 * LANES_WIDE:
        for i in range(series.n):
            one_row(n_columns, shape, a_of_series(series, a, i), b + i * series.b, start + i * series.start, c + i * series.c)
    elif n_columns >= LANES_WIDE:
        columns_of[vector_wide](NULL, LANES_WIDE, n_rows, n_columns, shape, series, a, b, start, c)
    elif USES_HALF and n_columns >= LANES_HALF:
        columns_of[vector_half](NULL, LANES_HALF, n_rows, n_columns, shape, series, a, b, start, c)
    elif USES_QUARTER and n_columns >= LANES_QUARTER:
        columns_of[vector_quarter](NULL, LANES_QUARTER, n_rows, n_columns, shape, series, a, b, start, c)
    else:
        columns_of[vector_one](NULL, 1, n_rows, n_columns, shape, series, a, b, start, c)


cdef void product(Py_ssize_t n_rows, Py_ssize_t n_columns, const Product* shape, const real* a, const real* b,
                  const real* start, real* c) noexcept nogil:
    """c = start + a b."""
    cdef Series one = no_series()
    product_series(n_rows, n_columns, shape, &one, a, b, start, c)


cdef void series_from_zero(Py_ssize_t n_rows, Py_ssize_t n_columns, const Product* shape, Series series, const real* a,
                           const real* b, real* c) noexcept nogil:
    """c = a b, for each of a series, in panels of at most as many columns as there are zeros to start from."""
    cdef Py_ssize_t n = 0
    series.start = 0
    while n < n_columns:
        product_series(n_rows, min(N_ZEROS, n_columns - n), shape, &series, a, b + n, ZEROS, c + n)
        n += N_ZEROS


cdef void add_product(Py_ssize_t n_rows, Py_ssize_t n_columns, Product* shape, Series series, const real* a, const real* b,
                      bint begins, real* c) noexcept nogil:
    """c += a b, for each of a series, or c = a b where the sums begin; the caller need not set where they start."""
    if begins:
        shape.start_row = 0
        series_from_zero(n_rows, n_columns, shape, series, a, b, c)
    else:
        shape.start_row, series.start = shape.c_row, series.c
        product_series(n_rows, n_columns, shape, &series, a, b, c, c)


cdef void product_from_zero(Py_ssize_t n_rows, Py_ssize_t n_columns, const Product* shape, const real* a, const real* b,
                            real* c) noexcept nogil:
    """c = a b."""
    series_from_zero(n_rows, n_columns, shape, no_series(), a, b, c)


# The rows of an image that hold anything, counted from where the patch of the map's first row begins. Around them is padding, and
# its zeros need not be multiplied: on a map of 4 x 4 a kernel of 5 x 5 meets them with three of its rows in ten.
ctypedef struct Content:
    Py_ssize_t first
    Py_ssize_t beyond
    Py_ssize_t step         # from the patch of one row of the map to that of the next


cdef inline Py_ssize_t leave_padding_out(Product* part, const Product* shape, const Content* content, Py_ssize_t row,
                                         Py_ssize_t n_rows) noexcept nogil:
    """Keep of the kernel rows (u) those that meet the content anywhere in n_rows rows of the map; return the first."""
    cdef Py_ssize_t first = max(0, content.first - (row + n_rows - 1) * content.step)
    part.n_outer = min(shape.n_outer, content.beyond - row * content.step) - first
    return first


cdef inline void map_tile(vector* kind, Py_ssize_t map_rows, Py_ssize_t map_columns, Py_ssize_t vectors, const Product* shape,
                          const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # `map_columns` is a constant here; what a level has no registers for is dropped by the C compiler.
    cdef Py_ssize_t limit = most_rows(vectors) // map_columns
    if map_rows == 1:
        tile[vector](kind, map_columns, map_columns, vectors, shape, a, b, start, c)
    elif limit >= 2 and map_rows == 2:
        tile[vector](kind, 2 * map_columns, map_columns, vectors, shape, a, b, start, c)
    elif limit >= 3 and map_rows == 3:
        tile[vector](kind, 3 * map_columns, map_columns, vectors, shape, a, b, start, c)
    elif limit >= 4 and map_rows == 4:
        tile[vector](kind, 4 * map_columns, map_columns, vectors, shape, a, b, start, c)


cdef inline void map_panel(vector* kind, Py_ssize_t vectors, const Size* map, const Product* shape, const Content* content,
                           const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # Like `panel`, for a map of so few columns that a tile takes several of its rows.
    cdef Cuts tiles = cut_evenly(map.rows, max(1, most_rows(vectors) // map.columns))
    cdef Py_ssize_t t, rows, first, row = 0
    cdef Product part = shape[0]
    cdef const real* a_part
    cdef const real* b_part
    for t in range(tiles.n):
        rows = tiles.size + 1 if t < tiles.n_larger else tiles.size
        first = leave_padding_out(&part, shape, content, row, rows)
        a_part = a + row * shape.a_jump + first * shape.a_outer
        b_part = b + first * shape.b_outer
        if map.columns == 3:
            map_tile[vector](kind, rows, 3, vectors, &part, a_part, b_part, start, c)
        elif map.columns == 4:
            map_tile[vector](kind, rows, 4, vectors, &part, a_part, b_part, start, c)
        elif map.columns == 5:
            map_tile[vector](kind, rows, 5, vectors, &part, a_part, b_part, start, c)
        elif map.columns == 6:
            map_tile[vector](kind, rows, 6, vectors, &part, a_part, b_part, start, c)
        elif TILE_ROWS_OF_ONE >= 14:
            map_tile[vector](kind, rows, 7, vectors, &part, a_part, b_part, start, c)
        row += rows
        c += rows * shape.c_jump


cdef void map_columns_of(vector* kind, Py_ssize_t n_columns, const Size* map, const Product* shape, const Content* content,
                         const real* a, const real* b, const real* start, real* c) noexcept nogil:
    # Like `columns_of`; `start` is never `c` here.
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t n = 0
    cdef Product of_columns = shape[0]
    if ((n_columns + lanes - 1) // lanes) % 2 == 1:
        map_panel[vector](kind, 1, map, &of_columns, content, a, b, start, c)
        n = lanes
    while n < n_columns:
        set_vectors(&of_columns, lanes, 2, n_columns - n)
        map_panel[vector](kind, 2, map, &of_columns, content, a, b + n, start + n, c + n)
        n += 2 * lanes


cdef void product_of_map(const Size* map, Py_ssize_t n_columns, const Product* shape, const Content* content, const real* a,
                         const real* b, const real* start, real* c) noexcept nogil:
    """The product for every row of a map; start_row is 0."""
    cdef Product part = shape[0]
    cdef Py_ssize_t r, first
    # Double precision has no tiles for small maps.
    cdef bint is_small = not REAL_IS_DOUBLE and 3 <= map.columns <= TILE_ROWS_OF_ONE // 2 and n_columns >= LANES_HALF
    if map.rows <= 0:
        return
    if is_small and n_columns >= LANES_WIDE:
        map_columns_of[vector_wide](NULL, n_columns, map, shape, content, a, b, start, c)
    elif is_small:
        map_columns_of[vector_half](NULL, n_columns, map, shape, content, a, b, start, c)
    else:
        for r in range(map.rows):
            first = leave_padding_out(&part, shape, content, r, 1)
            product(map.columns, n_columns, &part, a + r * shape.a_jump + first * shape.a_outer, b + first * shape.b_outer, start,
                    c + r * shape.c_jump)
