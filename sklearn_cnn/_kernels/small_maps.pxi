# Maps of 4 x 4 pixels with a border of zeros around their image: what pooling has left of 8, 16 or 32 pixels a side. A tap meets
# those pixels of the map alone whose patch it finds inside the image, and which these are is known when compiling:
#
#     image   0 1 2 3       kernel of 5 x 5: its first row meets rows 2 and 3 of the map, and its first column columns 2 and 3.
#             . . . .       Over all pixels 196 taps of 400 are left, of a kernel of 3 x 3 there are 100 of 144.
#
# `product_of_map` leaves out rows of padding too, but no columns. What is left out are additions of zero: bits do not change.

cdef enum:
    SMALL_ROWS = 2          # of a tile: with two vectors of filters its sums are half of 32 registers

ctypedef struct SmallMap:
    const real* image           # without its border
    Py_ssize_t image_row        # numbers from one row to the next
    Py_ssize_t channels
    const real* weights         # [kernel row, kernel column, channel, filter]
    Py_ssize_t filters
    const real* start           # what every pixel's sum begins with
    real* target                # [row, column, filter]


cdef inline void add_tap(vector* kind, Py_ssize_t side, Py_ssize_t vectors, Py_ssize_t first_row, Py_ssize_t u, Py_ssize_t t,
                         const SmallMap* map, vector* sums) noexcept nogil:
    # Kernel row u, column t. All sizes are constants at every call.
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t border = side // 2
    cdef Py_ssize_t row = max(first_row, border - u)        # the pixels of the tile that the tap meets
    cdef Py_ssize_t beyond_row = min(first_row + SMALL_ROWS, SMALL_SIDE + border - u)
    cdef Py_ssize_t column = max(<Py_ssize_t> 0, border - t)
    cdef Py_ssize_t beyond_column = min(<Py_ssize_t> SMALL_SIDE, SMALL_SIDE + border - t)
    cdef const real* pixels[SMALL_ROWS]
    cdef const real* weights = map.weights + (u * side + t) * map.channels * map.filters
    cdef vector first
    cdef vector second
    cdef Py_ssize_t k, r, c, at
    if beyond_row <= row:
        return
    for r in range(row, beyond_row):
        pixels[r - row] = map.image + (r + u - border) * map.image_row + (column + t - border) * map.channels
    for k in range(map.channels):
        first = (<const vector*> weights)[0]
        if vectors == 2:
            second = (<const vector*> (weights + lanes))[0]
        for r in range(row, beyond_row):
            for c in range(column, beyond_column):
                at = 2 * (SMALL_SIDE * (r - first_row) + c)
                MULTIPLY_ADD(sums[at], pixels[r - row][(c - column) * map.channels], first)
                if vectors == 2:
                    MULTIPLY_ADD(sums[at + 1], pixels[r - row][(c - column) * map.channels], second)
            pixels[r - row] += 1
        weights += map.filters


cdef inline void add_kernel_row(vector* kind, Py_ssize_t side, Py_ssize_t vectors, Py_ssize_t first_row, Py_ssize_t u,
                                const SmallMap* map, vector* sums) noexcept nogil:
    add_tap[vector](kind, side, vectors, first_row, u, 0, map, sums)
    add_tap[vector](kind, side, vectors, first_row, u, 1, map, sums)
    add_tap[vector](kind, side, vectors, first_row, u, 2, map, sums)
    if side == 5:
        add_tap[vector](kind, side, vectors, first_row, u, 3, map, sums)
        add_tap[vector](kind, side, vectors, first_row, u, 4, map, sums)


cdef inline void small_tile(vector* kind, Py_ssize_t side, Py_ssize_t vectors, Py_ssize_t first_row,
                            const SmallMap* map) noexcept nogil:
    # Two rows of the map, one or two vectors of filters.
    cdef vector sums[2 * SMALL_ROWS * SMALL_SIDE]
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t r, c, v
    cdef real* target
    for c in range(SMALL_ROWS * SMALL_SIDE):
        for v in range(vectors):
            sums[2 * c + v] = (<const vector*> (map.start + v * lanes))[0]
    add_kernel_row[vector](kind, side, vectors, first_row, 0, map, sums)
    add_kernel_row[vector](kind, side, vectors, first_row, 1, map, sums)
    add_kernel_row[vector](kind, side, vectors, first_row, 2, map, sums)
    if side == 5:
        add_kernel_row[vector](kind, side, vectors, first_row, 3, map, sums)
        add_kernel_row[vector](kind, side, vectors, first_row, 4, map, sums)
    for r in range(SMALL_ROWS):
        target = map.target + r * SMALL_SIDE * map.filters
        for c in range(SMALL_SIDE):
            for v in range(vectors):
                (<vector*> (target + c * map.filters + v * lanes))[0] = sums[2 * (SMALL_SIDE * r + c) + v]


cdef inline void small_vectors(vector* kind, Py_ssize_t side, Py_ssize_t first_row, bint are_two,
                               const SmallMap* map) noexcept nogil:
    if VECTOR_REGISTERS == 32 and are_two:
        small_tile[vector](kind, side, 2, first_row, map)
    else:
        small_tile[vector](kind, side, 1, first_row, map)


cdef void small_rows(vector* kind, Py_ssize_t side, Py_ssize_t first_row, bint are_two, const SmallMap* map) noexcept nogil:
    # The sizes as constants. `are_two`: vectors of filters.
    if side == 3 and first_row == 0:
        small_vectors[vector](kind, 3, 0, are_two, map)
    elif side == 3:
        small_vectors[vector](kind, 3, SMALL_ROWS, are_two, map)
    elif first_row == 0:
        small_vectors[vector](kind, 5, 0, are_two, map)
    else:
        small_vectors[vector](kind, 5, SMALL_ROWS, are_two, map)


cdef inline Py_ssize_t filters_at_once(Py_ssize_t n, Py_ssize_t most_vectors) noexcept nogil:
    # Of n filters, a multiple of half vectors: those of one tile.
    return 2 * LANES_WIDE if most_vectors == 2 and n >= 2 * LANES_WIDE else LANES_WIDE if n >= LANES_WIDE else LANES_HALF


cdef void small_product(Py_ssize_t side, const SmallMap* map) noexcept nogil:
    """The whole map."""
    cdef SmallMap part = map[0]
    cdef Py_ssize_t most_vectors = 2 if VECTOR_REGISTERS == 32 else 1   # of a tile of eight pixels
    cdef Py_ssize_t row = 0, f, n
    while row < SMALL_SIDE:
        f = 0
        while f < map.filters:
            n = filters_at_once(map.filters - f, most_vectors)
            part.weights, part.start = map.weights + f, map.start + f
            part.target = map.target + row * SMALL_SIDE * map.filters + f
            if n < LANES_WIDE:
                small_rows[vector_half](NULL, side, row, False, &part)
            else:
                small_rows[vector_wide](NULL, side, row, n > LANES_WIDE, &part)
            f += n
        row += SMALL_ROWS


# Images of several samples, and the gradients of their maps.
ctypedef struct SmallImages:
    Py_ssize_t n_samples
    const real* images
    Py_ssize_t image_size       # numbers from one sample to the next
    Py_ssize_t image_row
    Py_ssize_t channels
    const real* d_maps
    Py_ssize_t d_map_size
    Py_ssize_t d_map_row
    Py_ssize_t filters
    Py_ssize_t rows             # of a map that meet a tap, and columns
    Py_ssize_t columns
    bint begins                 # the sums: there is nothing to add to


cdef inline void small_weights_tile(vector* kind, Py_ssize_t channels, Py_ssize_t vectors, const SmallImages* images,
                                    const real* image, const real* d_map, real* d_weights) noexcept nogil:
    # One tap of so many channels and vectors of filters, constants at every call: the chain goes on through all samples.
    cdef vector sums[8][2]
    cdef vector first
    cdef vector second
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t filters = images.filters
    cdef const real* start
    cdef const real* pixel
    cdef const real* g
    cdef Py_ssize_t i, r, c, m
    for m in range(channels):
        start = <const real*> ZEROS if images.begins else <const real*> d_weights + m * filters
        sums[m][0] = (<const vector*> start)[0]
        if vectors == 2:
            sums[m][1] = (<const vector*> (start + lanes))[0]
    for i in range(images.n_samples):
        for r in range(images.rows):
            pixel, g = image + r * images.image_row, d_map + r * images.d_map_row
            for c in range(images.columns):
                first = (<const vector*> g)[0]
                if vectors == 2:
                    second = (<const vector*> (g + lanes))[0]
                for m in range(channels):
                    MULTIPLY_ADD(sums[m][0], pixel[m], first)
                    if vectors == 2:
                        MULTIPLY_ADD(sums[m][1], pixel[m], second)
                pixel += images.channels
                g += filters
        image += images.image_size
        d_map += images.d_map_size
    for m in range(channels):
        (<vector*> (d_weights + m * filters))[0] = sums[m][0]
        if vectors == 2:
            (<vector*> (d_weights + m * filters + lanes))[0] = sums[m][1]


cdef void small_tap_gradient(const SmallImages* images, const real* image, const real* d_map, real* d_weights) noexcept nogil:
    """d_weights[channel, filter] += the gradient of one tap, or = where the sums begin."""
    cdef Py_ssize_t f = 0, n, k
    while f < images.filters:
        n = filters_at_once(images.filters - f, 2)
        for k in range(0, images.channels, 8):
            if n > LANES_WIDE and VECTOR_REGISTERS == 32:
                small_weights_tile[vector_wide](NULL, 8, 2, images, image + k, d_map + f, d_weights + k * images.filters + f)
            elif n > LANES_WIDE:
                small_weights_tile[vector_wide](NULL, 4, 2, images, image + k, d_map + f, d_weights + k * images.filters + f)
                small_weights_tile[vector_wide](NULL, 4, 2, images, image + k + 4, d_map + f,
                                                d_weights + (k + 4) * images.filters + f)
            elif n == LANES_WIDE:
                small_weights_tile[vector_wide](NULL, 8, 1, images, image + k, d_map + f, d_weights + k * images.filters + f)
            else:
                small_weights_tile[vector_half](NULL, 8, 1, images, image + k, d_map + f, d_weights + k * images.filters + f)
        f += n


cdef void small_weight_gradient(Py_ssize_t side, SmallImages images, real* d_weights) noexcept nogil:
    """d_weights += the gradients of all samples, or = where the sums begin; tap by tap."""
    cdef Py_ssize_t border = side // 2
    cdef Py_ssize_t u, t, row, column
    for u in range(side):
        for t in range(side):
            row, column = max(<Py_ssize_t> 0, border - u), max(<Py_ssize_t> 0, border - t)
            images.rows, images.columns = SMALL_SIDE - max(u - border, border - u), SMALL_SIDE - max(t - border, border - t)
            small_tap_gradient(
                &images, images.images + (row + u - border) * images.image_row + (column + t - border) * images.channels,
                images.d_maps + row * images.d_map_row + column * images.filters, d_weights)
            d_weights += images.channels * images.filters
