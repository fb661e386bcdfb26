# Convolutions by Winograd's algorithm, tile by tile; `transforms.pxi` says how it computes one of them.

# A convolution of several images that stand one after another. Behind `outputs` and `positions` pooling in registers leaves its
# results, and behind `maps` the map where the backward pass wants it; without outputs it is the whole maps that are wanted.
ctypedef struct Tiling:
    const real* padded
    Py_ssize_t padded_rows      # that a tile may see; beyond are zeros
    Py_ssize_t padded_columns
    Py_ssize_t padded_row       # numbers from one row to the next
    Py_ssize_t padded_image
    const real* transformed     # weights
    const real* bias
    real* maps
    real* outputs
    uint8_t* positions
    real* scratch


cdef inline Tiling tiling_of(const Layer* layer, const real* padded, real* scratch) noexcept nogil:
    """Of a layer's padded images; weights and results are the caller's to set."""
    cdef Tiling tiling
    tiling.padded, tiling.padded_rows, tiling.padded_columns = padded, layer.padded.rows, layer.padded.columns
    tiling.padded_row, tiling.padded_image = padded_row_size(layer), padded_size(layer)
    tiling.scratch = scratch
    return tiling


cdef inline Tiling tiling_of_whole(const real* images, Py_ssize_t row, Py_ssize_t image_size, real* scratch) noexcept nogil:
    """Of small images without a border, each of which is a tile."""
    cdef Tiling tiling
    tiling.padded, tiling.padded_rows, tiling.padded_columns = images, SMALL_SIDE, SMALL_SIDE
    tiling.padded_row, tiling.padded_image = row, image_size
    tiling.scratch = scratch
    return tiling


cdef inline Py_ssize_t distance_of_places(Py_ssize_t n) noexcept nogil:
    # A vector more than they need: at a distance of a power of two, all would fall into the same set of the cache.
    return n + 16


cdef inline Py_ssize_t places_of_tile(const Layer* layer) noexcept nogil:
    return layer.tile_places * layer.tile_places


cdef inline bint is_winograd(const Layer* layer) noexcept nogil:
    return layer.tile_side > 0


cdef inline Py_ssize_t tiled_length(const Layer* layer, Py_ssize_t map_length) noexcept nogil:
    # What windows of 2 x 2 pixels leave over is not computed.
    return map_length - map_length % 2 if layer.pooling != NO_POOLING else map_length


cdef inline Py_ssize_t tile_rows_of(const Layer* layer) noexcept nogil:
    return (tiled_length(layer, layer.map.rows) + layer.tile_side - 1) // layer.tile_side


cdef inline Py_ssize_t tile_columns_of(const Layer* layer) noexcept nogil:
    return (tiled_length(layer, layer.map.columns) + layer.tile_side - 1) // layer.tile_side


cdef inline void transform_channels(vector* kind, Py_ssize_t lanes, Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places,
                                    const real* patch, Py_ssize_t row, Py_ssize_t channels, real* target,
                                    Py_ssize_t place) noexcept nogil:
    # All vectors of channels.
    cdef Py_ssize_t k = 0
    while k < channels:
        k = min(k, channels - lanes)
        transform_tile[vector](kind, side, taps, places, patch + k, row, channels, target + k, place)
        k += lanes


# Where a tile leaves its pixels.
ctypedef struct Target:
    Py_ssize_t map_at
    Py_ssize_t window_at
    Py_ssize_t rows             # that the map has from the tile's first on
    Py_ssize_t columns


cdef inline void leave_tile(vector* kind, int64_t pooling, Py_ssize_t side, bint whole, const Layer* layer,
                            const Tiling* tiling, const Target* target, const vector* pixels) noexcept nogil:
    # One vector of filters. `pooling` is a constant at every call, for windows or, without it, the map itself; so is `whole`,
    # for some tiles of sixteen pixels hang over the end of the map.
    cdef Py_ssize_t map_row = map_row_size(layer)
    cdef Py_ssize_t filters = layer.filters     # stores of vectors may alias a record, so it would be read again after each
    cdef real* maps = tiling.maps
    cdef Py_ssize_t windows = side // 2     # of a tile's side
    cdef Py_ssize_t u, v, i, at, window
    cdef const vector* of_window
    for u in range(windows):
        for v in range(windows):
            of_window = pixels + 4 * (windows * u + v)
            at = target.map_at + 2 * u * map_row + 2 * v * filters
            window = target.window_at + u * output_row_size(layer) + v * filters
            if pooling == NO_POOLING:
                for i in range(4):
                    if whole or (2 * u + i // 2 < target.rows and 2 * v + i % 2 < target.columns):
                        (<vector*> (maps + at + i // 2 * map_row + i % 2 * filters))[0] = of_window[i]
            elif whole or (2 * u + 1 < target.rows and 2 * v + 1 < target.columns):
                pool_four[vector](kind, pooling, layer, of_window, 1, tiling.maps + at if tiling.maps != NULL else NULL,
                                  tiling.outputs + window, tiling.positions + window if tiling.positions != NULL else NULL)


cdef inline bint has_half_vectors(Py_ssize_t side, Py_ssize_t places, Py_ssize_t n) noexcept nogil:
    # Of n channels or filters; small maps alone have so few.
    return USES_HALF and side == 4 and (places == 7 or places == WHOLE_PLACES) and n < LANES_WIDE


cdef inline void restore_tiles(vector* kind, int64_t pooling, Py_ssize_t side, Py_ssize_t places, const Layer* layer,
                               const Tiling* tiling, const real* products, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # Tile rows first to last - 1, counted through all images.
    cdef vector[MOST_SIDE * MOST_SIDE] pixels
    cdef Py_ssize_t lanes = lanes_of[vector](kind)
    cdef Py_ssize_t tile_rows = tile_rows_of(layer)
    cdef Py_ssize_t tile_columns = tile_columns_of(layer)
    cdef Py_ssize_t place = distance_of_places((last - first) * tile_columns * layer.filters)
    cdef Py_ssize_t row, c, k, map_at, window_at
    cdef Target target
    for row in range(first, last):
        map_at = row // tile_rows * map_size(layer) + side * (row % tile_rows) * map_row_size(layer)
        window_at = row // tile_rows * output_size(layer) + side // 2 * (row % tile_rows) * output_row_size(layer)
        target.rows = layer.map.rows - side * (row % tile_rows)
        for c in range(tile_columns):
            target.columns = layer.map.columns - side * c
            k = 0
            while k < layer.filters:
                target.map_at, target.window_at = map_at + k, window_at + k
                restore_tile[vector](kind, side, places, products + k, place, tiling.bias + k, pixels)
                if side == 2 or (target.rows >= side and target.columns >= side):
                    leave_tile[vector](kind, pooling, side, True, layer, tiling, &target, pixels)
                else:
                    leave_tile[vector](kind, pooling, side, False, layer, tiling, &target, pixels)
                k += lanes
            map_at += side * layer.filters
            window_at += side // 2 * layer.filters
            products += layer.filters


cdef inline Py_ssize_t weights_place(const Layer* layer) noexcept nogil:
    return distance_of_places(layer.channels * layer.filters)


cdef inline bint remember(const Layer* layer, const real* weights, real* remembered, Py_ssize_t begin,
                          Py_ssize_t end) noexcept nogil:
    """Leave the weights there, of channels and filters begin to end - 1 and all taps. Return whether others have stood there."""
    cdef Py_ssize_t n = layer.channels * layer.filters
    cdef size_t n_bytes = <size_t> (end - begin) * sizeof(real)
    cdef bint have_changed = False
    cdef Py_ssize_t tap, at
    for tap in range(layer.kernel.rows * layer.kernel.columns):
        at = tap * n + begin
        if memcmp(remembered + at, weights + at, n_bytes) != 0:
            memcpy(remembered + at, weights + at, n_bytes)
            have_changed = True
    return have_changed


cdef void transform_weights(const Layer* layer, const real* weights, real* transformed, real* remembered, Py_ssize_t share,
                            Py_ssize_t n_shares) noexcept nogil:
    """G w G^T of every channel and filter: [place, channel, filter]; one of n_shares shares of them.

    Nothing is to be done where `remembered` has the same weights already: comparing them takes a fraction of the time. Anybody
    may have changed the weights since the last call, and who would say so? Without it, NULL, they are transformed anyway."""
    cdef Py_ssize_t n = layer.channels * layer.filters
    cdef Py_ssize_t n_vectors = n // LANES_WIDE
    cdef Py_ssize_t place = weights_place(layer)
    cdef Py_ssize_t begin = share * n_vectors // n_shares
    cdef Py_ssize_t end = (share + 1) * n_vectors // n_shares
    cdef Py_ssize_t k, at
    if remembered != NULL:
        if not remember(layer, weights, remembered, begin * LANES_WIDE, end * LANES_WIDE):
            return
        weights = remembered    # not what another thread of the user may be writing
    for k in range(begin, end):
        at = k * LANES_WIDE
        if layer.tile_places == 6:
            transform_kernels[vector_wide](NULL, 4, 3, 6, weights + at, n, transformed + at, place)
        elif layer.tile_places == WHOLE_PLACES:
            transform_kernels[vector_wide](NULL, 4, 5, WHOLE_PLACES, weights + at, n, transformed + at, place)
        elif layer.tile_places == 11:
            transform_kernels[vector_wide](NULL, 4, 5, 11, weights + at, n, transformed + at, place)
        elif layer.tile_side == 4:
            transform_kernels[vector_wide](NULL, 4, 3, 7, weights + at, n, transformed + at, place)
        elif layer.kernel.rows == 3:
            transform_kernels[vector_wide](NULL, 2, 3, 4, weights + at, n, transformed + at, place)
        else:
            transform_kernels[vector_wide](NULL, 2, 5, 7, weights + at, n, transformed + at, place)


cdef const real* filled_up(Py_ssize_t n_seen, const Layer* layer, const Tiling* tiling, const real* patch, Py_ssize_t rows,
                           Py_ssize_t columns, real* target) noexcept nogil:
    """Copy what a tile sees of the padded image, `rows` x `columns` pixels of it, and put zeros after its end."""
    cdef Py_ssize_t row = n_seen * layer.channels
    cdef Py_ssize_t n_rows = min(rows, n_seen)
    cdef size_t n_bytes = <size_t> (min(columns, n_seen) * layer.channels) * sizeof(real)
    cdef size_t row_bytes = <size_t> row * sizeof(real)
    cdef Py_ssize_t i
    for i in range(n_rows):
        memcpy(target + i * row, patch + i * tiling.padded_row, n_bytes)
        memset(<char*> (target + i * row) + n_bytes, 0, row_bytes - n_bytes)
    memset(target + n_rows * row, 0, <size_t> (n_seen - n_rows) * row_bytes)
    return target


cdef inline void transform_tiles(Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places, const Layer* layer, const Tiling* tiling,
                                 Py_ssize_t first, Py_ssize_t last, real* images, real* edge) noexcept nogil:
    """B^T d B of tile rows first to last - 1: [combination, tile, channel]. edge: room for what a tile sees."""
    cdef Py_ssize_t tile_rows = tile_rows_of(layer)
    cdef Py_ssize_t tile_columns = tile_columns_of(layer)
    cdef Py_ssize_t place = distance_of_places((last - first) * tile_columns * layer.channels)
    cdef Py_ssize_t n_seen = seen_of_row(side, taps, places)
    cdef Py_ssize_t row, c, rows, columns, patch_row
    cdef const real* source
    cdef const real* patch
    for row in range(first, last):
        source = tiling.padded + row // tile_rows * tiling.padded_image + side * (row % tile_rows) * tiling.padded_row
        rows = tiling.padded_rows - side * (row % tile_rows)    # that there are from here on
        for c in range(tile_columns):
            columns = tiling.padded_columns - side * c
            patch, patch_row = source + side * c * layer.channels, tiling.padded_row
            if side > 2 and (rows < n_seen or columns < n_seen):    # tiles of 2 x 2 are whole
                patch, patch_row = filled_up(n_seen, layer, tiling, patch, rows, columns, edge), n_seen * layer.channels
            if has_half_vectors(side, places, layer.channels):
                transform_channels[vector_half](NULL, LANES_HALF, side, taps, places, patch, patch_row, layer.channels, images,
                                                place)
            else:
                transform_channels[vector_wide](NULL, LANES_WIDE, side, taps, places, patch, patch_row, layer.channels, images,
                                                place)
            images += layer.channels


cdef inline void restore_all(vector* kind, Py_ssize_t side, Py_ssize_t places, const Layer* layer, const Tiling* tiling,
                             const real* products, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    if tiling.outputs == NULL:
        restore_tiles[vector](kind, NO_POOLING, side, places, layer, tiling, products, first, last)
    elif layer.pooling == MAXIMUM:
        restore_tiles[vector](kind, MAXIMUM, side, places, layer, tiling, products, first, last)
    else:
        restore_tiles[vector](kind, AVERAGE, side, places, layer, tiling, products, first, last)


cdef inline void convolve_tiles(Py_ssize_t side, Py_ssize_t taps, Py_ssize_t places, const Layer* layer, const Tiling* tiling,
                                Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # Tile rows first to last - 1, counted through all images.
    cdef Product shape
    cdef Py_ssize_t n_tiles = (last - first) * tile_columns_of(layer)
    cdef Py_ssize_t n_places = places * places
    cdef Py_ssize_t image_place = distance_of_places(n_tiles * layer.channels)
    cdef Py_ssize_t product_place = distance_of_places(n_tiles * layer.filters)
    cdef Py_ssize_t n_combinations = combinations_of_row(places)
    cdef real* images = tiling.scratch
    cdef real* products = images + n_combinations * n_combinations * image_place
    cdef int16_t image_of[MOST_PLACES * MOST_PLACES]
    cdef Py_ssize_t i, j
    cdef Series series
    transform_tiles(side, taps, places, layer, tiling, first, last, images, products + n_places * product_place)
    shape.n_outer = 1
    shape.n_inner = layer.channels
    shape.a_row = layer.channels
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    shape.start_row = 0
    series.n, series.a, series.b, series.c = n_places, image_place, weights_place(layer), product_place
    series.a_of = NULL
    if n_combinations < places:
        for i in range(places):
            for j in range(places):
                image_of[places * i + j] = <int16_t> (n_combinations * combination_of(places, i) + combination_of(places, j))
        series.a_of = image_of
    series_from_zero(n_tiles, layer.filters, &shape, series, images, tiling.transformed, products)
    if has_half_vectors(side, places, layer.filters):
        restore_all[vector_half](NULL, side, places, layer, tiling, products, first, last)
    else:
        restore_all[vector_wide](NULL, side, places, layer, tiling, products, first, last)


cdef void winograd_tiles(const Layer* layer, const Tiling* tiling, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    if layer.tile_places == 6:
        convolve_tiles(4, 3, 6, layer, tiling, first, last)
    elif layer.tile_places == WHOLE_PLACES:
        convolve_tiles(4, 5, WHOLE_PLACES, layer, tiling, first, last)
    elif layer.tile_places == 11:
        convolve_tiles(4, 5, 11, layer, tiling, first, last)
    elif layer.tile_side == 4:
        convolve_tiles(4, 3, 7, layer, tiling, first, last)
    elif layer.kernel.rows == 3:
        convolve_tiles(2, 3, 4, layer, tiling, first, last)
    else:
        convolve_tiles(2, 5, 7, layer, tiling, first, last)


cdef inline Py_ssize_t tile_rows_together(const Layer* layer) noexcept nogil:
    """Rows of tiles that give the product enough rows."""
    return max(1, WINOGRAD_TILES // tile_columns_of(layer))


cdef void winograd_maps(const Layer* layer, const Tiling* tiling, Py_ssize_t n_samples) noexcept nogil:
    """Whole maps, bias included, or with outputs what pooling in registers makes of them, in groups of tile rows."""
    cdef Py_ssize_t n_rows = n_samples * tile_rows_of(layer)
    cdef Py_ssize_t group = min(n_rows, tile_rows_together(layer))
    cdef Py_ssize_t first = 0
    while first < n_rows:
        winograd_tiles(layer, tiling, first, min(first + group, n_rows))
        first += group
