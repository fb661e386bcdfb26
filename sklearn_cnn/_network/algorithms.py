"""Which algorithm computes each pass of a convolution: a choice by shape alone, so that threads and rows change no bit.

What each costs was measured; `benchmarks/README.md` says what it bought. All functions take the fields of a `Layer` record.
"""

import math

from sklearn_cnn import _kernels

ALIGNMENT = 16  # numbers: every block of parameters and every area of a workspace begins on a cache line
VECTOR = 16  # lanes of the widest vector
CHANNEL_MULTIPLE = 8  # Winograd's algorithm: its last vector of channels may overlap the one before
LEAST_TILES = {3: 1, 5: 9}  # for kernels of that side: with fewer it is the weights, not the image, that take the time
LEAST_TILES_BACKWARD = {3: 9, 5: 16}  # where samples do not share a product
LARGE_TILES_SHARE = 0.7  # of the products that smaller tiles have, up to which larger ones pay
# Tiles that round no more than small ones, by the side of the kernel.
EXACT_TILES_SHARE = {3: 0.8, 5: 0.85}  # of the products that smaller tiles have, up to which they pay
EXACT_PLACES = {3: 7, 5: 11}  # products of their row
COMBINATIONS = {11: 9}  # that many products of a row take so many combinations of pixels; the others one each
LEAST_EXACT_TILES = {3: 8, 5: 4}  # of a map: with fewer rows of a product it is the weights that take the time
MOST_EXACT_WEIGHTS = {3: math.inf, 5: 1 << 11}  # before they are transformed: with more, 121 places leave the second-level cache
FEW_WEIGHTS = 1 << 10  # transformed, they stay in the second-level cache: there one tile will do, if samples share a product
NO_TILE, WHOLE_TILE = (0, 0), (4, 9)
IS_WINOGRAD_USED = True  # benchmarks compare with the direct product
SPARSE_SHARE = 3  # a map at least this many times as large as its pooled map: most of its gradient is zero
SPARSE_STRETCH = 8  # numbers of a kernel row that fill enough of a vector
LIST_ENTRY, LIST_ROW = 1, 0.43  # cost of a gradient in a list, for itself and for each kernel row; a tap of SHALLOW costs 1
SHALLOW_STRETCH = 9  # numbers of a kernel row that are too few rows for the product, where no gradient is zero
PLANE_NUMBERS = 1 << 15  # numbers of all planes together: they stay in the second-level cache

_kernel_names = _kernels.kernels()


def aligned(n):
    """Round up to whole cache lines."""
    return _rounded_up(n, ALIGNMENT)


def padded_size(record):
    """Return the numbers of the padded image."""
    return record["padded_rows"] * record["padded_columns"] * record["channels"]


def has_small_map(record):
    """Whether image and map have 4 x 4 pixels, with zeros around and a kernel of 3 x 3 or 5 x 5, and fill halves of vectors."""
    taps = record["kernel_rows"]
    sizes = (record[f"{name}_{side}"] for name in ("map", "crop") for side in ("rows", "columns"))
    return (
        taps in (3, 5) and taps == record["kernel_columns"] and not folds_back(record)
        and all(size == _kernel_names.SMALL_SIDE for size in sizes)
        and record["crop_row"] == record["crop_column"] == taps // 2
        and record["channels"] % 8 == record["filters"] % 8 == 0 and record["channels"] <= _kernel_names.N_ZEROS
    )  # fmt: skip


def fills_halves(record):
    """Whether channels and filters fill whole vectors of Winograd's algorithm, or half a one, which small maps have, too."""
    sizes = {name: record[name] for name in ("channels", "filters")}
    return fills_vectors({name: VECTOR if size == VECTOR // 2 else size for name, size in sizes.items()})


def fills_vectors(record):
    """Whether channels and filters fill whole vectors of Winograd's algorithm."""
    return record["channels"] >= VECTOR and record["channels"] % CHANNEL_MULTIPLE == record["filters"] % VECTOR == 0


def small_tile(record):
    """Return the tile of 2 x 2 pixels, as `tile_of` does."""
    return 2, 7 if record["kernel_rows"] == 5 else 4


def is_tiled(record, least_tiles):
    """Whether Winograd's algorithm can compute a convolution.

    It knows square kernels of 3 and 5 taps a side, moved by one pixel, and whole vectors of channels and filters. The map has to
    have so many tiles of 2 x 2 pixels, for the number of taps.
    """
    taps = record["kernel_rows"]
    is_known = taps in least_tiles and taps == record["kernel_columns"] and record["stride_rows"] == record["stride_columns"] == 1
    n_tiles = (record["map_rows"] // 2) * (record["map_columns"] // 2)
    return is_known and fills_vectors(record) and IS_WINOGRAD_USED and n_tiles >= least_tiles[taps]


def tile_of(record, largest, least_tiles=LEAST_TILES, few_weights=FEW_WEIGHTS):
    """Return the tiles of Winograd's algorithm: the pixels of a side and the products of a row, or twice 0 if it isn't used.

    Tiles of 4 x 4 pixels, for 3 taps alone, may hang over the end of the map. They are taken where they have fewer products by
    enough, those with the fewest of all if `largest` is 4.
    """
    if not is_tiled(record, least_tiles):
        return NO_TILE
    taps, rows, columns = record["kernel_rows"], record["map_rows"], record["map_columns"]
    # A tile is a window of the pooling, where windows do not overlap: what is left over at the end of a row is in none.
    windows = [record[name] for name in ("pooling", "pool_rows", "pool_columns", "pool_stride_rows", "pool_stride_columns")]
    n_pixels = taps * taps * rows * columns  # products of each algorithm, for a channel and a filter
    if windows == [_kernel_names.MAXIMUM, 2, 2, 2, 2]:
        rows, columns = rows - rows % 2, columns - columns % 2
    is_even = rows % 2 == columns % 2 == 0
    small = small_tile(record)
    of_small = small[1] ** 2 * (rows // 2) * (columns // 2) if is_even else n_pixels
    n_large = -(-rows // 4) * -(-columns // 4)
    n_weights = record["channels"] * record["filters"]
    are_enough = n_large >= LEAST_EXACT_TILES[taps] or n_weights <= few_weights
    if is_even or not record["pooling"]:
        if taps == 3 and largest == 4 and 6**2 * n_large < LARGE_TILES_SHARE * of_small:
            return 4, 6
        places = EXACT_PLACES[taps]
        is_less = places**2 * n_large < EXACT_TILES_SHARE[taps] * of_small
        if is_less and are_enough and n_weights <= MOST_EXACT_WEIGHTS[taps]:
            return 4, places
    return small if is_even else NO_TILE


def small_map_tile(record, largest):
    """Return the tile that a small map is, as `tile_of` does: samples share its products, so few weights do not take the time."""
    few_weights = record["channels"] * record["filters"] <= FEW_WEIGHTS
    if not (record["has_small_map"] and few_weights and fills_halves(record) and IS_WINOGRAD_USED):
        return NO_TILE
    if record["kernel_rows"] == 5:
        return WHOLE_TILE
    return (4, 6) if largest == 4 and fills_vectors(record) else (4, 7)


def forward_tile(record, largest):
    """Return the tiles in which Winograd's algorithm computes a map, as `tile_of` does."""
    tile = small_map_tile(record, largest)
    return tile if tile[0] else tile_of(record, largest)


def transformed_weights(record, places):
    """Return the numbers of a convolution's weights as Winograd's algorithm transforms them, with so many products of a row."""
    return places**2 * (record["channels"] * record["filters"] + ALIGNMENT)


def transformed_tiles(record, tile, columns, together=_kernel_names.WINOGRAD_TILES):
    """Return the numbers of a row of transformed tiles, or of so many tiles together: images, results, and what one tile sees."""
    side, places = tile
    tiles = max(-(-columns // side), together)
    images, results = record["channels"], record["filters"]
    n_images = COMBINATIONS.get(places, places) ** 2
    of_one_tile = places**2 * max(images, results)
    return n_images * (tiles * images + ALIGNMENT) + places**2 * (tiles * results + ALIGNMENT) + of_one_tile


def sums_tile(record):
    """Return the tile of 2 x 2 pixels in which Winograd's algorithm computes the weight gradient of a whole map of even sides."""
    is_even = record["map_rows"] % 2 == record["map_columns"] % 2 == 0
    is_used = record["backward"] == _kernel_names.WHOLE_MAP and is_even and is_tiled(record, LEAST_TILES_BACKWARD)
    return small_tile(record) if is_used else NO_TILE


def summed_tiles(record, tile):
    """Return what `transformed_tiles` does, of as many tiles as go together in the weight gradient."""
    return transformed_tiles(record, tile, record["map_columns"], _kernel_names.SUMMED_TILES)


def gradient_tile(record, largest):
    """Return the tiles of Winograd's algorithm in the input gradient of a whole map, as `tile_of` does.

    They may have the fewest products where lists would be full, whatever `largest` is: their normalisation has rounded these
    gradients already, and lists have fewer products than small tiles. With 5 x 5 taps lists have no more than large tiles either.
    """
    is_listed = record["kernel_rows"] == 3 and is_listed_in_full(record)
    is_whole = record["backward"] == _kernel_names.WHOLE_MAP or is_listed
    if not (is_whole and record["input_gradient_wanted"] and record["channels"] <= _kernel_names.N_ZEROS):
        return NO_TILE
    turned = dict(record, channels=record["filters"], filters=record["channels"], pooling=_kernel_names.NO_POOLING)
    if record["backward"] == _kernel_names.WHOLE_MAP and record["has_small_map"]:
        return small_map_tile(turned, largest)
    turned.update(map_rows=record["crop_rows"], map_columns=record["crop_columns"])
    tile = tile_of(turned, 4 if is_listed else largest, LEAST_TILES_BACKWARD, 0)
    return tile if tile[0] == 4 or not is_listed else NO_TILE


def sees_border(record, tile):
    """Whether the input gradient, in tiles as `gradient_tile` says, sees zeros around the map: products of small maps do not."""
    return record["input_gradient_wanted"] and (not record["has_small_map"] or tile not in (NO_TILE, WHOLE_TILE))


def folds_back(record):
    """Whether the input gradient is that of the whole padded image at first: padding has copied pixels."""
    return record["crop_rows"] != record["rows"] or record["crop_columns"] != record["columns"]


def gradient_group(record):
    """Return how many samples share products, of small maps in the weight gradient, or of large tiles in place of lists."""
    if record["backward"] == _kernel_names.WHOLE_MAP and record["has_small_map"]:
        return record["group"]
    if record["backward"] != _kernel_names.LISTED or record["gradient_side"] == 0 or folds_back(record):
        return 1
    n_tiles = record["crop_rows"] * record["crop_columns"] // record["gradient_side"] ** 2
    return max(1, _kernel_names.WINOGRAD_TILES // n_tiles)


def frame_numbers(record):
    """Return the numbers of the frames that the gradients of a map stand in, one for each sample of a `gradient_group`."""
    return record["gradient_group"] * aligned(record["gradient_rows"] * record["gradient_columns"] * record["filters"])


def is_listed_in_full(record):
    """Whether lists have a gradient for every four pixels of whole large tiles: none is zero where a normalisation follows."""
    windows = record["pool_rows"] * record["pool_columns"]
    whole_tiles = record["crop_rows"] % 4 == record["crop_columns"] % 4 == 0
    return record["backward"] == _kernel_names.LISTED and record["n_bias"] == 0 and windows <= 4 and whole_tiles


def flipped_weights(record):
    """Return the numbers of the weights that the input gradient takes: filter by filter, or flipped and then transformed."""
    side, places = record["gradient_side"], record["gradient_places"]
    if record["backward"] == _kernel_names.LISTED and not side and record["has_small_map"]:  # taps of zeros between rows
        return aligned(listed_weights(record, more_taps=1) + record["channels"])
    if record["backward"] == _kernel_names.LISTED and not side:
        return listed_weights(record)
    return aligned(record["n_weights"]) + (aligned(transformed_weights(record, places)) if side else 0)


def backward_pass(record):
    """Return WHOLE_MAP, LISTED or SHALLOW, see "Three backward algorithms" in ARCHITECTURE.md."""
    n_map, n_pooled = (record[f"{name}_rows"] * record[f"{name}_columns"] for name in ("map", "out"))
    stretch = record["kernel_columns"] * record["channels"]
    mostly_zero = (
        record["pooling"] == _kernel_names.MAXIMUM
        and n_pooled * SPARSE_SHARE <= n_map
        and record["pool_rows"] * record["pool_columns"] <= _kernel_names.MOST_LISTS
        # offsets have 32 bits, and so have the ends of lists
        and max(padded_size(record), listed_weights(record), listed_entries(record, n_pooled)) < 1 << 31
    )
    in_registers = mostly_zero
    if record["pooling"] != _kernel_names.MAXIMUM and stretch <= SHALLOW_STRETCH:
        # not more pixels than the map has, and a derivative that the kernel takes
        in_registers = record["pooling"] == _kernel_names.NO_POOLING or (
            n_pooled * record["pool_rows"] * record["pool_columns"] <= n_map
            and record["activation"] in (_kernel_names.RELU, _kernel_names.IDENTITY)
        )
    if in_registers and not record["input_gradient_wanted"] and record["kernel_rows"] * stretch <= _kernel_names.LARGEST_SHALLOW:
        return _kernel_names.LISTED if mostly_zero and lists_are_cheaper(record) else _kernel_names.SHALLOW
    return _kernel_names.LISTED if mostly_zero and stretch >= SPARSE_STRETCH else _kernel_names.WHOLE_MAP


def lists_are_cheaper(record):
    """Whether lists of maxima cost less than all taps of all pixels do, for few taps and filters that fill no whole vectors."""
    filters, rows = record["filters"], record["kernel_rows"]
    n_taps = rows * record["kernel_columns"] * record["channels"]
    # SHALLOW goes through the pixels once for every vector, half, quarter and single number that the filters are cut into
    n_passes = filters // VECTOR + (filters % VECTOR) // 8 + (filters % 8) // 4 + filters % 4
    return n_taps * n_passes > filters * (LIST_ENTRY + LIST_ROW * rows)


def listed_weights(record, more_taps=0):
    """Return the numbers of all weights as a LISTED backward pass lays them out, with so many more taps in a kernel row."""
    return record["filters"] * record["kernel_rows"] * aligned((record["kernel_columns"] + more_taps) * record["channels"])


def listed_entries(record, n_pixels):
    """Return the entries of all lists that a LISTED backward pass makes at once, by filter or by pixel of the map."""
    positions = record["pool_rows"] * record["pool_columns"]
    filters = min(record["filters"], _kernel_names.MOST_LISTS)
    pixels = min(n_pixels, _kernel_names.MOST_LISTS // positions)
    multiple = _kernel_names.LIST_MULTIPLE
    return max(filters * _rounded_up(n_pixels, multiple), pixels * positions * _rounded_up(record["filters"], multiple))


def filters_are_rows(record):
    """Whether a WHOLE_MAP weight gradient is a product with filters as rows: its columns, the taps, fill the vectors better."""
    stretch = record["kernel_columns"] * record["channels"]
    by_filters, by_taps = _n_vectors(record["filters"]) * stretch, _n_vectors(stretch) * record["filters"]
    return record["backward"] == _kernel_names.WHOLE_MAP and not record["has_small_map"] and by_taps * 9 < by_filters * 8


def first_in_planes(record, channels, filters, map_shape, padded_columns):
    """Return the first filter from which on pixels rather than filters fill the vectors of a convolution: 0, one, or none.

    channels, filters, map_shape and padded_columns are those of the map or, exchanged, those of the input's gradient. Costs are
    counted in multiply-adds of a vector for one pixel.
    """
    if record["stride_rows"] != 1 or record["stride_columns"] != 1:
        return filters
    rows, columns = map_shape
    run = aligned((rows - 1) * padded_columns + columns) / (rows * columns)  # computes the pixels between two rows in vain
    terms = record["kernel_rows"] * record["kernel_columns"] * channels

    def cost(first):
        by_filters = terms * (max(1.5, _n_vectors(first)) if first else 0)  # a single vector is bound by the loads of its pixels
        if first == filters:
            return by_filters
        # planes are laid out and taken back; too few rows of a product wait for each other
        return by_filters + 1.06 * (terms * max(4, filters - first) / VECTOR * run + 2 * (channels + filters - first))

    return min((filters, 0, filters // VECTOR * VECTOR), key=cost)


def plane_of(record, map_rows, columns, channels):
    """Return how many rows of a map to take up at once, and the numbers from one plane to the next."""
    more_rows = record["kernel_rows"] - 1
    rows = min(map_rows, max(4, PLANE_NUMBERS // (columns * channels) - more_rows))
    # one vector more than needed: planes a power of two apart would fall into the same set of the cache
    return rows, aligned((rows + more_rows) * columns) + ALIGNMENT


def _n_vectors(n):
    return -(-n // VECTOR)


def _rounded_up(n, multiple):
    return -(-n // multiple) * multiple
