"""Convolution and cross-correlation of one signal or one image, without channels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_cnn._network.words import shown
from sklearn_cnn.functional._arguments import Padding, Size, check_axes, choice, is_sequence, real_arrays
from sklearn_cnn.functional._convolution import conv2d

MODES = ("full", "same", "valid")


def _check_dimensions(x, kernel):
    if x.ndim not in {1, 2} or x.ndim != kernel.ndim:
        raise ValueError(
            f"x has shape {x.shape} and kernel {kernel.shape}. Give two signals (1-D) or two images (2-D); batches and "
            "channels are for conv2d."
        )
    axes = "length" if x.ndim == 1 else "rows, columns"
    check_axes("x", x, axes, first_may_be_empty=False)
    check_axes("kernel", kernel, axes, first_may_be_empty=False)


def flip_kernel(kernel: ArrayLike) -> NDArray[np.floating]:
    """Turn a kernel by 180 degrees: reverse its rows and columns.

    Convolution is cross-correlation with the flipped kernel.

    Parameters
    ----------
    kernel : array-like of shape (..., kernel_rows, kernel_columns) or (length,)
        The last two axes (of a signal: the only one) are reversed; filters and channels before them stay.

    Returns
    -------
    ndarray of the same shape and dtype
        A copy.

    Raises
    ------
    ValueError
        If `kernel` is a single number.

    Examples
    --------
    >>> from sklearn_cnn.functional import flip_kernel
    >>> flip_kernel([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[9, 8, 7],
           [6, 5, 4],
           [3, 2, 1]])
    """
    kernel = np.asarray(kernel)
    if kernel.ndim == 0:
        raise ValueError(f"kernel={kernel!r} has no axis to reverse. Give a signal or an array of kernels.")
    return np.flip(kernel, axis=(-2, -1) if kernel.ndim > 1 else 0).copy()


def cross_correlate(
    x: ArrayLike, kernel: ArrayLike, *, stride: Size = 1, padding: Padding = "valid", padding_mode: str = "zeros"
) -> NDArray[np.floating]:
    r"""Slide a kernel over a signal or an image, without flipping it: what a convolution layer computes.

    .. math:: y[r, c] = \sum_{i, j} x[r s + i - p, c s + j - p] \; h[i, j]

    Parameters
    ----------
    x : array-like of shape (length,) or (rows, columns)

    kernel : array-like with as many axes

    stride : int (signals) or int or (int, int) (images), default=1

    padding : "valid", "same", int, (int, int) or ((int, int), (int, int)), default="valid"
        As in `conv2d`; for a signal a pair is (before, after).

    padding_mode : {"zeros", "reflect"}, default="zeros"

    Returns
    -------
    ndarray of shape (out_length,) or (out_rows, out_columns)

    Raises
    ------
    ValueError
        If the kernel does not fit the padded signal, or the numbers of axes differ.

    TypeError
        If numbers are neither real nor integer.

    Examples
    --------
    >>> from sklearn_cnn.functional import cross_correlate
    >>> cross_correlate([1, 2, 4, 8], [-1, 1])
    array([1., 2., 4.])
    >>> cross_correlate([1, 2, 4, 8], [-1, 1], stride=2, padding=(0, 1), padding_mode="reflect")
    array([1., 4.])
    """
    x, kernel = real_arrays(x=x, kernel=kernel)
    _check_dimensions(x, kernel)
    if x.ndim == 1:
        stride = _along_columns("stride", stride, 1)
        padding = padding if isinstance(padding, str) else _along_columns("padding", padding, (0, 0))
    shape, size = ((1, len(x)), (1, len(kernel))) if x.ndim == 1 else (x.shape, kernel.shape)
    y = conv2d(
        x.reshape(1, *shape, 1), kernel.reshape(1, 1, *size), stride=stride, padding=padding, padding_mode=padding_mode
    )
    return y.reshape(y.shape[2] if x.ndim == 1 else y.shape[1:3])


def _along_columns(name, value, rows):
    # A signal is an image of one row; only padding may be a pair (before, after).
    if name == "stride" and is_sequence(value):
        raise ValueError(f"stride={shown(value)}: a signal has one axis. Give one integer.")
    return (rows, value)


def convolve(x: ArrayLike, kernel: ArrayLike, *, mode: str = "full") -> NDArray[np.floating]:
    r"""Convolve two signals or two images: the kernel is flipped, then slid over `x`.

    .. math:: y[k] = \sum_n h[n] \; x[k - n]

    Terms whose index leaves `x` or `h` are dropped.

    Parameters
    ----------
    x : array-like of shape (length,) or (rows, columns)

    kernel : array-like with as many axes

    mode : {"full", "same", "valid"}, default="full"
        "full" has every position where the two overlap, ``N + K - 1`` along each axis. "same" is the middle of it: of
        the longer signal's length, or of the shape of the image `x`. "valid" has the positions of complete overlap;
        there the larger of the two may be either, if it is larger along every axis.

    Returns
    -------
    ndarray of shape (out_length,) or (out_rows, out_columns)

    Raises
    ------
    ValueError
        If numbers of axes differ, one of the two is empty, or neither of two images covers the other in mode "valid".

    TypeError
        If numbers are neither real nor integer.

    See Also
    --------
    numpy.convolve : The same on signals, in every mode.
    scipy.signal.convolve2d : The same on images, in every mode.

    Examples
    --------
    The fourth value of a full convolution is ``h3 x0 + h2 x1 + h1 x2 + h0 x3``:

    >>> from sklearn_cnn.functional import convolve
    >>> convolve([1, 2, 3, 4], [1, 0, 0, 1])
    array([1., 2., 3., 5., 2., 3., 4.])

    A kernel whose one weight stands to the right of its middle moves an image to the right:

    >>> convolve([[1, 2], [3, 4]], [[0, 1]], mode="same")
    array([[0., 1.],
           [0., 3.]])
    """
    choice("mode", mode, MODES)
    x, kernel = real_arrays(x=x, kernel=kernel)
    _check_dimensions(x, kernel)
    larger = [k > n for n, k in zip(x.shape, kernel.shape, strict=True)]
    if (x.ndim == 1 or mode == "valid") and any(larger):
        x, kernel = kernel, x  # convolution does not mind, and what is left may be named by the larger one
        if any(k > n for n, k in zip(x.shape, kernel.shape, strict=True)):
            raise ValueError(
                f"mode='valid': neither of the shapes {kernel.shape} and {x.shape} covers the other. Use mode='full' "
                "or 'same'."
            )
    padding = [_overhang(k, mode) for k in kernel.shape]
    return cross_correlate(x, flip_kernel(kernel), padding=padding[0] if x.ndim == 1 else tuple(padding))


def _overhang(length, mode):
    """How far a kernel reaches over the first and the last pixel of an axis."""
    if mode == "full":
        return length - 1, length - 1
    return (length // 2, (length - 1) // 2) if mode == "same" else (0, 0)
