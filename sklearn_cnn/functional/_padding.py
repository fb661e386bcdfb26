"""Padding, and patches laid out as vectors: the steps of a convolution one by one."""

import math
import numbers
from collections.abc import Sequence
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_cnn import _kernels
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.plan import build_plan, table
from sklearn_cnn._network.words import shown
from sklearn_cnn.functional._arguments import (
    Padding,
    Size,
    check_axes,
    check_shape,
    check_window_fits,
    choice,
    integer,
    is_sequence,
    pair,
    real_arrays,
    sides,
)

IMAGES = "n, rows, columns, channels"


def pad(X: ArrayLike, padding: Padding, mode: str = "zeros", value: SupportsFloat = 0.0) -> NDArray[np.floating]:
    """Add pixels around images.

    Parameters
    ----------
    X : array-like of shape (n, rows, columns, channels)

    padding : int, (int, int) or ((int, int), (int, int))
        On all sides, (rows, columns), or ((top, bottom), (left, right)).

    mode : {"zeros", "reflect", "constant"}, default="zeros"
        "reflect" mirrors the image at its border without repeating the edge, and goes on reflecting where the padding
        is longer than the image. "constant" adds `value`.

    value : float, default=0.0
        Only with ``mode="constant"``.

    Returns
    -------
    ndarray of shape (n, top + rows + bottom, left + columns + right, channels)

    Raises
    ------
    ValueError
        If padding is negative, a mode is unknown, or a value is given to a mode that has no use for it.

    TypeError
        If numbers are neither real nor integer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import pad
    >>> X = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> pad(X, ((0, 0), (2, 1)), mode="reflect").ravel()
    array([3., 2., 1., 2., 3., 2.])
    >>> pad(X, (0, 1)).ravel()
    array([0., 1., 2., 3., 0.])
    """
    (X,) = real_arrays(X=X)
    check_axes("X", X, IMAGES)
    choice("mode", mode, ("zeros", "reflect", "constant"))
    if isinstance(padding, str):
        raise ValueError(f"padding={padding!r}: there is no kernel to fit. Give integers, as in padding=1.")
    if not isinstance(value, numbers.Real):
        raise TypeError(f"value={shown(value)} is not a real number.")
    _check_size_of_number(value, X.dtype)
    if mode != "constant" and value != 0:
        raise ValueError(f"value={shown(value)} is used with mode='constant' only, not with {mode!r}.")
    padding = sides(padding, X.shape[1:3], (1, 1), (1, 1))
    block = ConvolutionBlock(1, (1, 1), padding=padding, padding_mode="reflect" if mode == "reflect" else "zeros")
    return _padded(build_plan((block,), X.shape[1:]), X, value)


def _check_size_of_number(value, dtype):
    """Raise if a number is finite and the type of the images cannot hold it."""
    largest = float(np.finfo(dtype).max)
    if not -largest <= value <= largest and value == value and abs(value) != math.inf:
        raise ValueError(f"value={shown(value)} is too large for {dtype}, the type of X. Give at most {largest:g}.")


def _geometry(shape, kernel_size, stride, padding):
    """Return the plan of a convolution of images of this shape, after all checks."""
    size, stride = pair("kernel_size", kernel_size), pair("stride", stride)
    padding = sides(padding, shape[:2], size, stride)
    check_window_fits("a kernel", size, shape[:2], padding)
    return build_plan((ConvolutionBlock(1, size, stride, padding),), shape)


def _frames(plan, n, value, dtype):
    """Return padded images that hold nothing yet."""
    rows, columns, channels = (int(plan.records[name][0]) for name in ("padded_rows", "padded_columns", "channels"))
    return np.full((n, rows, columns, channels), value, dtype=dtype)


def _padded(plan, X, value=0.0):
    padded = _frames(plan, len(X), value, X.dtype)
    if len(X) > 0:
        _kernels.kernels(X.dtype).pad_images(
            table(plan.records), table(plan.runs), *map(_as_rows, (X, padded)), _kernels.effective_n_threads()
        )
    return padded


def _as_rows(images):
    return images.reshape(len(images), -1)


def im2col(X: ArrayLike, kernel_size: Size, *, stride: Size = 1, padding: Padding = 0) -> NDArray[np.floating]:
    """Lay out every patch that a kernel sees as a vector, so that a convolution becomes one matrix product.

    Parameters
    ----------
    X : array-like of shape (n, rows, columns, channels)

    kernel_size : int or (int, int)

    stride, padding
        As in `conv2d`; padding is with zeros.

    Returns
    -------
    ndarray of shape (n, out_rows * out_columns, channels * kernel_rows * kernel_columns)
        One row per position. Its numbers stand in the order (channel, kernel row, kernel column), that of a kernel: the
        convolution is ``im2col(X, ...) @ kernels.reshape(n_filters, -1).T``.

    Raises
    ------
    ValueError
        If nothing is left of an image, or a size is out of range.

    TypeError
        If numbers are neither real nor integer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import im2col
    >>> X = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> im2col(X, 2)[0]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    (X,) = real_arrays(X=X)
    check_axes("X", X, IMAGES)
    plan = _geometry(X.shape[1:], kernel_size, stride, padding)
    columns = np.empty((len(X), *_columns_shape(plan)), dtype=X.dtype)
    if len(X) > 0:
        _kernels.kernels(X.dtype).patches_of_images(
            table(plan.records), *map(_as_rows, (_padded(plan, X), columns)), _kernels.effective_n_threads()
        )
    return columns


def _columns_shape(plan):
    """Return (positions, numbers of a patch) of one image."""
    (rows, columns, _), weights = plan.map_shapes[0], plan.blocks[0]
    return rows * columns, math.prod(weights.shape)


def col2im(
    columns: ArrayLike, input_shape: Sequence[int], kernel_size: Size, *, stride: Size = 1, padding: Padding = 0
) -> NDArray[np.floating]:
    """Add patches back into images: the adjoint of `im2col`.

    A pixel sums its copies in all patches, so ``col2im(im2col(X))`` is X times the number of patches that see each
    pixel.

    Parameters
    ----------
    columns : array-like of shape (n, out_rows * out_columns, channels * kernel_rows * kernel_columns)
        As `im2col` lays them out.

    input_shape : (rows, columns) or (rows, columns, channels)
        Shape of one image; one channel where none are given.

    kernel_size, stride, padding
        As in `im2col`.

    Returns
    -------
    ndarray of shape (n, rows, columns, channels)

    Raises
    ------
    ValueError
        If columns do not have the shape that `im2col` gives for such images.

    TypeError
        If numbers are neither real nor integer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import col2im
    >>> col2im(np.ones((1, 4, 4)), (3, 3), 2)[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    (patches,) = real_arrays(columns=columns)
    check_axes("columns", patches, "n, positions, patch", first_may_be_empty=True)
    plan = _geometry(image_shape(input_shape), kernel_size, stride, padding)
    n = len(patches)
    check_shape("columns", patches, (n, *_columns_shape(plan)), "for this geometry")
    images = np.zeros((n, *plan.input_shape), dtype=patches.dtype)
    if n > 0:
        kernels, n_threads = _kernels.kernels(patches.dtype), _kernels.effective_n_threads()
        padded = _as_rows(_frames(plan, n, 0.0, patches.dtype))
        kernels.images_of_patches(table(plan.records), _as_rows(patches), padded, n_threads)
        kernels.unpad_images(table(plan.records), table(plan.runs), padded, _as_rows(images), n_threads)
    return images


def image_shape(input_shape):
    """Return (rows, columns, channels) of one image as integers; one channel where none are given."""
    if not is_sequence(input_shape) or len(input_shape) not in {2, 3}:
        raise ValueError(
            f"input_shape={shown(input_shape)}: give (rows, columns) or (rows, columns, channels) of one image."
        )
    shape = tuple(integer("input_shape", length, 1) for length in input_shape)
    return shape if len(shape) == 3 else (*shape, 1)
