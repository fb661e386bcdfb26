"""Sizes and index tables: pure functions of integers.

An axis of length ``n``, padded by ``before`` and ``after``, seen through a window of ``k`` at steps of ``s``, has
``floor((n + before + after - k) / s) + 1`` positions (Dumoulin and Visin, 2016, *A guide to convolution arithmetic*).
"""

from typing import Any

import numpy as np

LARGEST_AXIS = 1 << 26  # pixels, padding included: the tables of copies take some dozen bytes for each
MOST_RUNS = 1 << 24  # copies of one image, 24 bytes each: a mirrored pixel is one, a row of the image itself is one, too

#: Padding mode -> what it is to `numpy.pad`, for the numbers of the pixels; -1 is a zero.
PADDING_MODES: dict[str, dict[str, Any]] = {"zeros": {"constant_values": -1}, "reflect": {"mode": "reflect"}}


def output_length(length, window, stride, padding=(0, 0)):
    """Return the number of window positions along one axis and the number of pixels no window covers.

    Parameters
    ----------
    length, window, stride : int
        Pixels of the axis, of the window and of a step.

    padding : pair of int
        Pixels added before and after.

    Returns
    -------
    n_positions : int
        Zero where the window is longer than the padded axis.

    n_skipped : int
        Pixels at the end of the padded axis beyond the last window (gaps between windows are not counted).

    Examples
    --------
    >>> from sklearn_cnn._network.geometry import output_length
    >>> output_length(5, 3, 1), output_length(5, 3, 3)
    ((3, 0), (1, 2))
    """
    padded = length + padding[0] + padding[1]
    if window > padded:
        return 0, padded
    n_positions = (padded - window) // stride + 1
    return n_positions, padded - ((n_positions - 1) * stride + window)


def same_padding(length, window, stride):
    """Return the padding that leaves ``ceil(length / stride)`` positions; an odd pixel goes after the axis.

    This is ONNX's SAME_UPPER and TensorFlow's "SAME".

    Examples
    --------
    >>> from sklearn_cnn._network.geometry import same_padding
    >>> same_padding(28, 3, 1), same_padding(28, 4, 1), same_padding(5, 2, 2)
    ((1, 1), (1, 2), (0, 1))
    """
    total = max((-(-length // stride) - 1) * stride + window - length, 0)
    return total // 2, total - total // 2


def resolve_padding(padding, shape, kernel_size, stride):
    """Return ``((top, bottom), (left, right))`` for any accepted form of padding.

    Parameters
    ----------
    padding : "same", "valid", int, (int, int) or ((int, int), (int, int))
        As in the estimator: a pair is (rows, columns), a pair of pairs gives the sides.

    shape, kernel_size, stride : pair of int
        Rows and columns of the image, the kernel and a step.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        return tuple(same_padding(n, k, s) for n, k, s in zip(shape, kernel_size, stride, strict=True))
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    return tuple((side, side) if isinstance(side, int) else tuple(side) for side in padding)


def padding_sources(length, padding, mode):
    """Return for each pixel of a padded axis the pixel it copies, or -1 for a zero.

    Parameters
    ----------
    length : int
        Pixels of the axis.

    padding : pair of int
        Pixels before and after.

    mode : {"zeros", "reflect"}
        "reflect" mirrors at the border without repeating the edge, as in NumPy and PyTorch; an axis of one pixel repeats it,
        and a padding longer than the axis goes on reflecting.

    Returns
    -------
    ndarray of shape (before + length + after,), int64

    Examples
    --------
    >>> from sklearn_cnn._network.geometry import padding_sources
    >>> padding_sources(4, (2, 1), "reflect").tolist()
    [2, 1, 0, 1, 2, 3, 2]
    >>> padding_sources(2, (1, 1), "zeros").tolist()
    [-1, 0, 1, -1]
    """
    if length + sum(padding) > LARGEST_AXIS:
        raise ValueError(
            f"An axis of {length} pixels with padding={tuple(padding)} is too long: there may be {LARGEST_AXIS}. Use a smaller "
            "padding, or shorter samples."
        )
    return np.pad(np.arange(length, dtype=np.int64), padding, **PADDING_MODES[mode])


def count_padding_runs(shape, padding, mode):
    """Return how many copies `padding_runs` makes, before it joins any.

    Examples
    --------
    >>> from sklearn_cnn._network.geometry import count_padding_runs
    >>> count_padding_runs((3, 3), ((0, 0), (1, 1)), "zeros"), count_padding_runs((3, 3), ((0, 0), (1, 1)), "reflect")
    (3, 9)
    """
    rows, columns = map(padding_sources, shape, padding, (mode, mode))
    return int(np.count_nonzero(rows >= 0)) * len(_runs_of_row(columns)[0])


def padding_runs(shape, padding, mode, channels):
    """Return the padding of an image as a list of contiguous copies.

    Parameters
    ----------
    shape : (rows, columns)

    padding : ((top, bottom), (left, right))

    mode : {"zeros", "reflect"}

    channels : int

    Returns
    -------
    ndarray of shape (n_runs, 3), int64
        Columns: target in the padded image, source in the image, length; counted in numbers, channels included. What no run
        covers is zero.

    Examples
    --------
    A row of three pixels with one zero on each side is one copy of three numbers to place 1:

    >>> from sklearn_cnn._network.geometry import padding_runs
    >>> padding_runs((1, 3), ((0, 0), (1, 1)), "zeros", channels=1).tolist()
    [[1, 0, 3]]
    """
    rows, columns = map(padding_sources, shape, padding, (mode, mode))
    starts, ends = _runs_of_row(columns)
    targets, sources = np.nonzero(rows >= 0)[0], rows[rows >= 0]
    runs = np.empty((len(targets), len(starts), 3), dtype=np.int64)
    runs[:, :, 0] = targets[:, None] * len(columns) + starts
    runs[:, :, 1] = sources[:, None] * shape[1] + columns[starts]
    runs[:, :, 2] = ends - starts
    runs = runs.reshape(-1, 3) * channels
    return _joined(runs)


def _runs_of_row(columns):
    # a run ends where the source is not the next pixel (zeros are nobody's next)
    starts = np.flatnonzero(np.diff(np.where(columns < 0, -2, columns), prepend=-4) != 1)
    ends = np.append(starts[1:], len(columns))
    kept = columns[starts] >= 0
    return starts[kept], ends[kept]


def _joined(runs):
    # Without padding at the sides, a run of one row goes on in the next.
    if len(runs) == 0:
        return runs
    follows = (runs[1:, 0] == runs[:-1, 0] + runs[:-1, 2]) & (runs[1:, 1] == runs[:-1, 1] + runs[:-1, 2])
    firsts = np.flatnonzero(np.concatenate(([True], ~follows)))
    joined = runs[firsts].copy()
    joined[:, 2] = np.add.reduceat(runs[:, 2], firsts)
    return joined


def receptive_field(kernel_sizes, strides):
    """Return the receptive field and the effective stride of the last layer of a stack.

    Parameters
    ----------
    kernel_sizes, strides : sequence of int
        Of each layer, first to last (a pooling is a layer), along one axis.

    Returns
    -------
    field, jump : int
        Pixels of the input one unit sees, and the distance in the input between two neighbouring units:
        ``field += (k - 1) * jump``, then ``jump *= s``.

    Examples
    --------
    >>> from sklearn_cnn._network.geometry import receptive_field
    >>> receptive_field([3, 2, 3, 2], [1, 2, 1, 2])
    (10, 4)
    """
    field, jump = 1, 1
    for kernel, stride in zip(kernel_sizes, strides, strict=True):
        field += (kernel - 1) * jump
        jump *= stride
    return field, jump
