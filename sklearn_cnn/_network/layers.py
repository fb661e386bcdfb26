"""Layers as data: what a network consists of, in the order data meets it."""

from dataclasses import dataclass, fields, replace

from sklearn_cnn._network.geometry import output_length, resolve_padding

# n_filters="auto": every block has twice as many filters as the one before it, and halves the map until so little of its smaller
# side is left (a signal has one side). Chosen by the study of the defaults in benchmarks/accuracy.
FIRST_FILTERS, MOST_FILTERS = 32, 128
SMALL_MAP = 3
MOST_AUTOMATIC_BLOCKS = 5


@dataclass(frozen=True)
class ConvolutionBlock:
    """Padding, convolution (or local connection), bias, activation and pooling.

    ``padding`` is "same", "valid", a pair (rows, columns) or ``((top, bottom), (left, right))``. Pairs are (rows, columns).
    `parts_of` says where ``batch_norm`` puts a normalisation. With a ``winograd_tile`` of 4, not 2, Winograd's algorithm may take
    tiles that round more.
    """

    n_filters: int
    kernel_size: tuple = (3, 3)
    stride: tuple = (1, 1)
    padding: object = "valid"
    padding_mode: str = "zeros"
    pooling: str | None = None
    pool_size: tuple = (2, 2)
    pool_stride: tuple = (2, 2)
    weight_sharing: bool = True
    activation: str = "identity"
    batch_norm: bool = False
    winograd_tile: int = 2


#: What one value per block is given for; all blocks have the rest in common.
COMMON_FIELDS = "activation", "batch_norm", "winograd_tile"
BLOCK_FIELDS = tuple(field.name for field in fields(ConvolutionBlock) if field.name not in COMMON_FIELDS)


@dataclass(frozen=True)
class PoolingLayer:
    """Pooling alone."""

    pooling: str
    pool_size: tuple
    pool_stride: tuple


@dataclass(frozen=True)
class DenseLayer:
    """A fully connected layer on the flattened input."""

    n_units: int
    activation: str = "identity"
    batch_norm: bool = False


@dataclass(frozen=True)
class NormalisationLayer:
    """Batch normalisation of each filter of its input, and the activation after it."""

    activation: str


@dataclass(frozen=True)
class DropoutLayer:
    """Dropout of single values, or of whole maps; it exists in training only."""

    rate: float
    whole_maps: bool = False


#: What a fitted network may consist of.
LAYERS = ConvolutionBlock, PoolingLayer, DenseLayer


def with_dropout(layers, dropout):
    """Put dropout into a network, for training; no parameter changes its place.

    Parameters
    ----------
    layers : tuple of layers
        The network.
    dropout : float or sequence of float
        A number for the input of every dense layer, or a list with one number per block, for whole maps of its output, and
        then one per dense layer, the output included.

    Returns
    -------
    tuple of layers

    Raises
    ------
    ValueError
        If a list has not one entry per block and dense layer.

    Examples
    --------
    >>> [type(layer).__name__ for layer in with_dropout((ConvolutionBlock(8), DenseLayer(10)), 0.5)]
    ['ConvolutionBlock', 'DropoutLayer', 'DenseLayer']
    """
    n_blocks, n_dense = (sum(isinstance(layer, kind) for layer in layers) for kind in (ConvolutionBlock, DenseLayer))
    if isinstance(dropout, (list, tuple)):
        if len(dropout) != n_blocks + n_dense:
            raise ValueError(
                f"dropout={dropout!r} has {len(dropout)} entries, but the network has {n_blocks} "
                f"block{'s' if n_blocks != 1 else ''} and {n_dense} dense layer{'s' if n_dense != 1 else ''}, the "
                "output included. Give one number for the input of every dense layer, or a list with one "
                "number per block and then one per dense layer."
            )
        rates = list(dropout)
    else:
        rates = [0.0] * n_blocks + [dropout] * n_dense
    result = []
    for layer in layers:
        is_block = isinstance(layer, ConvolutionBlock)
        rate = float(rates.pop(0)) if is_block or isinstance(layer, DenseLayer) else 0.0
        dropouts = [DropoutLayer(rate, whole_maps=is_block)] if rate > 0.0 else []
        result += [layer, *dropouts] if is_block else [*dropouts, layer]
    return tuple(result)


def parts_of(layer):
    """Cut a layer into the parts that are computed one after another.

    Batch normalisation stands between convolution and activation, but after maximum pooling: a quarter of the numbers are
    normalised, and the maxima are found where the map is computed. The order is part of the definition: a negative gamma turns
    maxima into minima.

    Parameters
    ----------
    layer : ConvolutionBlock, PoolingLayer or DenseLayer

    Returns
    -------
    tuple of layers
        The layer alone where nothing is normalised. Else a layer without activation comes first; its ``batch_norm`` says that
        the mean takes its bias away (only a locally connected block, whose bias differs from place to place, keeps one).

    Examples
    --------
    >>> [type(part).__name__ for part in parts_of(ConvolutionBlock(8, pooling="average", batch_norm=True))]
    ['ConvolutionBlock', 'NormalisationLayer', 'PoolingLayer']
    """
    if not getattr(layer, "batch_norm", False):
        return (layer,)
    linear, normalisation = replace(layer, activation="identity"), NormalisationLayer(layer.activation)
    if getattr(layer, "pooling", None) == "average":
        return replace(linear, pooling=None), normalisation, PoolingLayer("average", layer.pool_size, layer.pool_stride)
    return linear, normalisation


def stages_of(layer):
    """Return a layer as it stands after each of the steps that a layer table lists: convolution, pooling, normalisation.

    Parameters
    ----------
    layer : ConvolutionBlock, PoolingLayer or DenseLayer

    Returns
    -------
    tuple of layers
        The last is the layer itself. What is not normalised yet has no activation either, and the bias that the mean would take
        away is zero.

    Examples
    --------
    >>> [stage.pooling for stage in stages_of(ConvolutionBlock(8, pooling="max", batch_norm=True))]
    [None, 'max', 'max']
    """
    if isinstance(layer, PoolingLayer):
        return (layer,)
    bare = replace(layer, activation="identity", batch_norm=False) if layer.batch_norm else layer
    pooling = getattr(layer, "pooling", None)
    if pooling is None:
        stages = [bare, layer]
    elif pooling == "max":
        stages = [replace(bare, pooling=None), bare, layer]
    else:
        stages = [replace(bare, pooling=None), replace(layer, pooling=None), layer]
    return tuple(dict.fromkeys(stages))  # without a normalisation two of them are the same


def layers_up_to(layers, row):
    """Return the layers up to one row of the network's layer table, counted from 0."""
    return [(*layers[:number], stage) for number, layer in enumerate(layers) for stage in stages_of(layer)][row]


def layers_of_map(layers, number, stage):
    """Return the layers up to the "conv" or "pool" of a block, as `BaseConvNet.feature_maps` explains them.

    Where batch normalisation stands after maximum pooling, so does the activation: there "conv" is the bare convolution.
    """
    last = layers[number]
    if stage == "conv" and isinstance(last, ConvolutionBlock):
        last = stages_of(last)[0] if last.pooling == "max" else replace(last, pooling=None)
    return (*layers[:number], last)


def layers_after_map(layers, number):
    """Return the layers between the "conv" of a block, as `layers_of_map` cuts it off, and the output."""
    last, rest = layers[number], layers[number + 1 :]
    if last.pooling is not None:
        normalisation = (NormalisationLayer(last.activation),) if last.batch_norm and last.pooling == "max" else ()
        rest = (PoolingLayer(last.pooling, last.pool_size, last.pool_stride), *normalisation, *rest)
    return rest


def build_layers(input_shape, n_outputs, *, n_filters, kernel_size, stride, padding, padding_mode, pooling, pool_size,
                 pool_stride, weight_sharing, global_pooling, hidden_layer_sizes, activation, batch_norm,
                 winograd_tile=2):  # fmt: skip
    """Turn an estimator's parameters into layers for one input shape.

    Parameters
    ----------
    input_shape : (rows, columns, channels)

    n_outputs : int
        Scores of the last dense layer.

    n_filters, kernel_size, stride, padding, padding_mode, pooling, pool_size, pool_stride, weight_sharing
        As in `ConvNetClassifier`: a scalar goes for every block, a list or tuple gives one value per block. ``"auto"`` makes as
        many blocks as the lists have values, or as it takes to make the map small.

    global_pooling : {"max", "average"} or None
        Pooling of whole maps, whatever their size, before the dense layers.

    hidden_layer_sizes : sequence of int

    activation : str

    batch_norm : bool
        Of the blocks and the hidden layers.

    winograd_tile : {2, 4}, default=2
        Tiles of Winograd's algorithm: with 2 those that round no more than direct sums, with 4 also others with fewer products.

    Returns
    -------
    tuple of layers

    Raises
    ------
    ValueError
        If a list has not one entry per block, or a block would leave nothing of its input.
    """
    pool_stride = pool_size if pool_stride is None else pool_stride
    given = kernel_size, stride, padding, padding_mode, pooling, pool_size, pool_stride, weight_sharing
    lengths = [len(value) for value in given if isinstance(value, (list, tuple)) and not _is_pair(value)]
    ends_when_small = isinstance(n_filters, str) and not lengths
    if isinstance(n_filters, str):
        n_blocks = MOST_AUTOMATIC_BLOCKS if ends_when_small else lengths[0]
        n_filters = [min(FIRST_FILTERS * 2**block, MOST_FILTERS) for block in range(n_blocks)]
    filters = (n_filters,) if _is_integer(n_filters) else tuple(n_filters)
    n_blocks = len(filters)
    flat = input_shape[0] == 1
    per_block = [
        _one_per_block("kernel_size", kernel_size, n_blocks, flat, neutral=1),
        _one_per_block("stride", stride, n_blocks, flat, neutral=1),
        _padding_per_block(padding, n_blocks, flat),
        _names_per_block("padding_mode", padding_mode, n_blocks),
        _names_per_block("pooling", pooling, n_blocks),
        _one_per_block("pool_size", pool_size, n_blocks, flat, neutral=1),
        _one_per_block("pool_stride", pool_stride, n_blocks, flat, neutral=1),
        _names_per_block("weight_sharing", weight_sharing, n_blocks),
    ]
    layers, shape = [], input_shape[:2]
    for block, values in enumerate(zip(map(int, filters), *per_block, strict=True)):
        common = {"activation": activation, "batch_norm": batch_norm, "winograd_tile": int(winograd_tile)}
        layer = ConvolutionBlock(**dict(zip(BLOCK_FIELDS, values, strict=True)), **common)
        if ends_when_small and block > 0 and (_is_small(shape, input_shape, block) or min(_map_shape(layer, shape)) < 1):
            break
        layer, shape = _fitted_to_input(layer, shape, block)
        layers.append(layer)
    if global_pooling is not None:
        layers.append(PoolingLayer(global_pooling, tuple(shape), tuple(shape)))
    sizes = (hidden_layer_sizes,) if _is_integer(hidden_layer_sizes) else hidden_layer_sizes
    layers += [DenseLayer(int(size), activation, batch_norm) for size in sizes]
    return (*layers, DenseLayer(n_outputs, "identity"))


def _is_integer(value):
    return not isinstance(value, bool) and hasattr(value, "__index__")


def _is_pair(value):
    """Tell (rows, columns) from one value per block: a tuple of two integers is a pair, a list never is."""
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_integer, value))


def _is_small(shape, input_shape, block):
    """Say whether so many blocks are enough: by the map that is left, and by what halving would have left without pooling."""
    axes = slice(1, 2) if input_shape[0] == 1 else slice(0, 2)
    return min(*shape[axes], min(input_shape[axes]) >> block) <= SMALL_MAP


def _one_per_block(name, value, n_blocks, flat, neutral):
    """Broadcast int | (rows, columns) | list with one of those per block to pairs."""
    if _is_integer(value) or _is_pair(value):
        values = [value] * n_blocks
    else:
        values = _checked_length(name, value, n_blocks)
    return [_pair(entry, flat, neutral) for entry in values]


def _pair(entry, flat, neutral):
    # On an input of height one a scalar goes along the length only.
    if _is_integer(entry):
        return (neutral if flat else int(entry), int(entry))
    return tuple(int(number) for number in entry)


def _padding_per_block(padding, n_blocks, flat):
    if isinstance(padding, str):
        return [padding] * n_blocks
    if _is_integer(padding) or _is_pair(padding):
        return [_pair(padding, flat, 0)] * n_blocks
    return [
        entry if isinstance(entry, str) else _pair(entry, flat, 0)
        for entry in _checked_length("padding", padding, n_blocks)
    ]


def _names_per_block(name, value, n_blocks):
    if value is None or not isinstance(value, (list, tuple)):
        return [value] * n_blocks
    return _checked_length(name, value, n_blocks)


def _checked_length(name, value, n_blocks):
    if len(value) != n_blocks:
        raise ValueError(
            f"{name}={value!r} has {len(value)} entries, but n_filters describes {n_blocks} "
            f"block{'s' if n_blocks != 1 else ''}. Give one value for all blocks, or a list with one entry per block."
        )
    return list(value)


def _fitted_to_input(layer, shape, block):
    """Return the layer with its pool window clipped to the map it gets, and the shape it leaves."""
    map_shape = _map_shape(layer, shape)
    if min(map_shape) < 1:
        raise ValueError(
            f"Block {block}: kernel_size={layer.kernel_size} does not fit its input of {shape[0]} x {shape[1]} pixels with "
            f"padding={layer.padding!r}; nothing would be left. Use a smaller kernel_size, padding='same', or fewer blocks "
            "or less pooling before it."
        )
    if layer.pooling is None:
        return layer, tuple(map_shape)
    size = tuple(min(window, n) for window, n in zip(layer.pool_size, map_shape, strict=True))
    clipped = ConvolutionBlock(**{**vars(layer), "pool_size": size})
    return clipped, tuple(
        output_length(n, k, s)[0] for n, k, s in zip(map_shape, size, layer.pool_stride, strict=True)
    )


def _map_shape(layer, shape):
    """Return rows and columns of what a convolution makes of its input, before pooling."""
    padding = resolve_padding(layer.padding, shape, layer.kernel_size, layer.stride)
    return [
        output_length(n, k, s, p)[0]
        for n, k, s, p in zip(shape, layer.kernel_size, layer.stride, padding, strict=True)
    ]


def sees_all(length, window, stride, padding):
    """Say whether windows cover every pixel of an axis (without its padding), at a cost that does not grow with the axis.

    Examples
    --------
    >>> from sklearn_cnn._network.layers import sees_all
    >>> sees_all(5, 3, 3, (0, 0)), sees_all(5, 3, 2, (0, 0))
    (False, True)
    """
    n_positions, n_skipped = output_length(length, window, stride, padding)
    in_padding = padding[0] // stride  # number of steps whose gap may be nothing but padding
    has_gap = stride > window and in_padding < n_positions - 1 and in_padding * stride + window - padding[0] < length
    return n_positions > 0 and n_skipped <= padding[1] and not has_gap


def skipped_pixels(length, window, stride, padding):
    """Return the pixels of an axis (without its padding) that no window covers, as a list of indices.

    Examples
    --------
    >>> from sklearn_cnn._network.layers import skipped_pixels
    >>> skipped_pixels(5, 3, 3, (0, 0))
    [3, 4]
    """
    n_positions, _ = output_length(length, window, stride, padding)
    behind = (n_positions - 1) * stride + window - padding[0] if n_positions > 0 else 0
    between = [] if stride <= window else [i for i in range(min(behind, length)) if (i + padding[0]) % stride >= window]
    return [*between, *range(max(behind, 0), length)]
