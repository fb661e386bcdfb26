"""How large the result is, how far a unit sees, how many parameters a layer has."""

import math
from collections.abc import Sequence

from sklearn_cnn._network import geometry
from sklearn_cnn._network.words import shown
from sklearn_cnn.functional._arguments import Padding, Size, check_window_fits, integer, is_sequence, pair, sides
from sklearn_cnn.functional._padding import image_shape


def output_shape(
    input_shape: Sequence[int], kernel_size: Size, *, stride: Size = 1, padding: Padding = 0
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size of a feature map, and how many rows and columns of the image no window ever covers.

    Along each axis there are ``floor((H + P - K) / S) + 1`` positions [1]_, where P counts the pixels of padding on
    both sides.

    Parameters
    ----------
    input_shape : (rows, columns) or (rows, columns, channels)
        Shape of one image; channels do not matter.

    kernel_size : int or (int, int)
        Of a kernel or a pool window.

    stride, padding
        As in `conv2d`.

    Returns
    -------
    shape : (int, int)
        Rows and columns of the map.

    skipped : (int, int)
        Rows and columns of the image that no window covers: at the end, or between windows where the stride is longer
        than the kernel. Padding is not counted.

    Raises
    ------
    ValueError
        If nothing is left, or a size is out of range.

    References
    ----------
    .. [1] V. Dumoulin and F. Visin (2016). A guide to convolution arithmetic for deep learning. arXiv:1603.07285.

    Examples
    --------
    >>> from sklearn_cnn.functional import output_shape
    >>> output_shape((5, 5), 3)
    ((3, 3), (0, 0))
    >>> output_shape((5, 5), 3, stride=3)  # the last two rows and columns are lost
    ((1, 1), (2, 2))
    >>> output_shape((5, 5), 3, stride=2, padding=1)
    ((3, 3), (0, 0))
    """
    shape = image_shape(input_shape)[:2]
    size, step = pair("kernel_size", kernel_size), pair("stride", stride)
    both_sides = sides(padding, shape, size, step)
    check_window_fits("a kernel", size, shape, both_sides)
    axes = list(zip(shape, size, step, both_sides, strict=True))
    return (
        tuple(geometry.output_length(*axis)[0] for axis in axes),
        tuple(_n_skipped(*axis) for axis in axes),
    )


def _n_skipped(length, window, stride, padding):
    """Pixels of an axis that no window covers, in closed form: it may be long."""
    n_positions, _ = geometry.output_length(length, window, stride, padding)

    def n_covered(end):
        # of the first `end` pixels of the padded axis
        if stride <= window:
            return min(end, (n_positions - 1) * stride + window)
        whole = min(n_positions, end // stride)
        return whole * window + (min(window, end - whole * stride) if whole < n_positions else 0)

    return length - (n_covered(padding[0] + length) - n_covered(padding[0]))


def receptive_field(
    kernel_sizes: Sequence[Size], strides: Sequence[Size]
) -> tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]:
    """Return how many pixels of the input one unit of the last layer sees, and how far apart its neighbours look.

    Layer by layer, ``field += (K - 1) * jump`` and then ``jump *= S``. A pooling is a layer like any other.

    Parameters
    ----------
    kernel_sizes, strides : sequence of int or of (int, int)
        Of each layer, first to last. If one entry is a pair (rows, columns), the result has pairs.

    Returns
    -------
    field : int or (int, int)
        Pixels along an axis.

    jump : int or (int, int)
        The distance in the input of two neighbouring units: the effective stride.

    Raises
    ------
    ValueError
        If there is not one stride for each kernel size, or a size is out of range.

    Examples
    --------
    Two blocks of a 3x3 convolution and a 2x2 pooling:

    >>> from sklearn_cnn.functional import receptive_field
    >>> receptive_field([3, 2, 3, 2], [1, 2, 1, 2])
    (10, 4)
    >>> receptive_field([(3, 5), 2], [1, 2])
    ((4, 6), (2, 2))
    """
    of_layers, steps_of_layers = _one_per_layer("kernel_sizes", kernel_sizes), _one_per_layer("strides", strides)
    if len(of_layers) != len(steps_of_layers):
        raise ValueError(
            f"kernel_sizes has {len(of_layers)} entries, strides has {len(steps_of_layers)}. Give one of each for a layer."
        )
    both = any(is_sequence(entry) for entry in of_layers + steps_of_layers)
    sizes = [pair("kernel_sizes", entry) for entry in of_layers]
    steps = [pair("strides", entry) for entry in steps_of_layers]
    rows, columns = (geometry.receptive_field([k[a] for k in sizes], [s[a] for s in steps]) for a in (0, 1))
    field, stride = zip(rows, columns, strict=True)
    return (field, stride) if both else rows


def _one_per_layer(name, entries):
    """Return the entries of a sequence, one for each layer."""
    try:
        return list(entries)
    except TypeError:
        message = f"{name}={shown(entries)} is no sequence. Give one size for each layer, for example {name}=[3, 2]."
        raise TypeError(message) from None


def parameter_count(
    *,
    kernel_size: Size | None = None,
    n_filters: int = 1,
    channels: int = 1,
    map_shape: Size | None = None,
    n_inputs: int | None = None,
    n_outputs: int | None = None,
) -> int:
    """Return how many weights and biases a layer has: shared, not shared, or fully connected.

    ==================  ==============================================  ====================================
    layer               arguments                                       parameters
    ==================  ==============================================  ====================================
    convolution         kernel_size, n_filters, channels                (K1 * K2 * channels + 1) * n_filters
    locally connected   the same, and map_shape                         times rows * columns of the map
    fully connected     n_inputs, n_outputs                             n_inputs * n_outputs + n_outputs
    ==================  ==============================================  ====================================

    Parameters
    ----------
    kernel_size : int or (int, int), default=None
        Of a convolution or a locally connected layer.

    n_filters, channels : int, default=1

    map_shape : int or (int, int), default=None
        Rows and columns of the map of a locally connected layer, where every position has kernels of its own; an
        integer is the number of positions.

    n_inputs, n_outputs : int, default=None
        Of a fully connected layer.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the arguments are not those of exactly one kind of layer, or a number is out of range.

    Examples
    --------
    An image of 1024 x 1024 pixels, a thousand nodes: fully connected, each with a 5x5 window of its own, one shared
    window.

    >>> from sklearn_cnn.functional import parameter_count
    >>> parameter_count(n_inputs=1024 * 1024, n_outputs=1000)
    1048577000
    >>> parameter_count(kernel_size=5, map_shape=1000)
    26000
    >>> parameter_count(kernel_size=5)
    26

    32 kernels on a colour image:

    >>> parameter_count(kernel_size=(3, 3), channels=3, n_filters=32)
    896
    """
    if (n_inputs is None) != (n_outputs is None) or (kernel_size is None) == (n_inputs is None):
        raise ValueError(
            "Give kernel_size for a convolution, kernel_size and map_shape for a locally connected layer, or n_inputs "
            f"and n_outputs for a fully connected one, not kernel_size={shown(kernel_size)}, n_inputs={shown(n_inputs)}, "
            f"n_outputs={shown(n_outputs)}."
        )
    if kernel_size is None:
        if map_shape is not None or (n_filters, channels) != (1, 1):
            raise ValueError(
                "A fully connected layer has n_inputs and n_outputs only: no map_shape, n_filters or channels."
            )
        n_outputs = integer("n_outputs", n_outputs, 1)
        return (integer("n_inputs", n_inputs, 1) + 1) * n_outputs
    n_weights = math.prod(pair("kernel_size", kernel_size)) * integer("channels", channels, 1)
    n_positions = 1
    if map_shape is not None:
        n_positions = (
            math.prod(pair("map_shape", map_shape)) if is_sequence(map_shape) else integer("map_shape", map_shape, 1)
        )
    return (n_weights + 1) * integer("n_filters", n_filters, 1) * n_positions
