"""Convolution layers: one kernel for all positions, or one for each."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_cnn._network.geometry import output_length
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn.functional._arguments import (
    Gradients,
    Padding,
    Size,
    check_axes,
    check_shape,
    check_window_fits,
    choice,
    pair,
    real_arrays,
    sides,
)
from sklearn_cnn.functional._one_layer import run_backward, run_forward

IMAGES = "n, rows, columns, channels"
KERNELS = "n_filters, channels, kernel rows, kernel columns"

# Kernels as users have them -> weights as the product reads them (rows, columns, channels, filters), and back.
TO_WEIGHTS = {4: (2, 3, 1, 0), 6: (0, 1, 4, 5, 3, 2)}
TO_KERNELS = {4: (3, 2, 0, 1), 6: (0, 1, 5, 4, 2, 3)}


def _layer(X, kernels, stride, padding, padding_mode):
    """The layer that X and kernels describe, after all checks."""
    shared = kernels.ndim == 4
    check_axes("X", X, IMAGES)
    check_axes("kernels", kernels, KERNELS if shared else f"map rows, map columns, {KERNELS}", first_may_be_empty=False)
    if kernels.shape[-3] != X.shape[3]:
        raise ValueError(
            f"kernels have {kernels.shape[-3]} channels, but the images of X have {X.shape[3]}. Images are ({IMAGES}), "
            f"kernels ({KERNELS}); move the axes of one of them."
        )
    size, shape, stride = kernels.shape[-2:], X.shape[1:3], pair("stride", stride)
    padding = sides(padding, shape, size, stride)
    check_window_fits("a kernel", size, shape, padding)
    if not shared:
        map_shape = tuple(output_length(n, k, s, p)[0] for n, k, s, p in zip(shape, size, stride, padding, strict=True))
        check_shape("kernels", kernels, map_shape + kernels.shape[2:], "for one kernel at each position of the map")
    return ConvolutionBlock(
        n_filters=kernels.shape[-4], kernel_size=size, stride=stride, padding=padding,
        padding_mode=choice("padding_mode", padding_mode, ("zeros", "reflect")), weight_sharing=shared,
    )  # fmt: skip


def _forward(X, kernels, bias, stride, padding, padding_mode):
    X, kernels, bias = real_arrays("bias", X=X, kernels=kernels, bias=bias)
    layer = _layer(X, kernels, stride, padding, padding_mode)
    if bias is not None:
        check_shape("bias", bias, kernels.shape[:-3], "for one number per kernel")
    return run_forward(layer, X, kernels.transpose(TO_WEIGHTS[kernels.ndim]), bias)


def _backward(d_out, X, kernels, stride, padding, padding_mode):
    d_out, X, kernels = real_arrays(d_out=d_out, X=X, kernels=kernels)
    layer = _layer(X, kernels, stride, padding, padding_mode)
    axes = kernels.ndim
    d_X, d_weights, d_bias = run_backward(layer, d_out, X, kernels.transpose(TO_WEIGHTS[axes]))
    return d_X, np.ascontiguousarray(d_weights.transpose(TO_KERNELS[axes])), d_bias.copy()


def _check_number_of_axes(kernels, axes, other):
    if np.ndim(kernels) != axes:
        raise ValueError(
            f"kernels have shape {np.shape(kernels)}: {axes} axes are needed, not {np.ndim(kernels)}. "
            f"For {'one kernel at each position' if axes == 4 else 'the same kernels everywhere'}, use {other}."
        )


def conv2d(
    X: ArrayLike,
    kernels: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    padding_mode: str = "zeros",
) -> NDArray[np.floating]:
    r"""Cross-correlate images with kernels that are the same everywhere: a convolution layer.

    .. math:: Y[n, r, c, f] = b[f] + \sum_{i, j, k} X[n, r s + i - p, c s + j - p, k] \; K[f, k, i, j]

    Parameters
    ----------
    X : array-like of shape (n, rows, columns, channels)
        Images.

    kernels : array-like of shape (n_filters, channels, kernel_rows, kernel_columns)

    bias : array-like of shape (n_filters,), default=None
        None is zero.

    stride : int or (int, int), default=1
        Pixels from one position to the next.

    padding : int, (int, int), ((int, int), (int, int)), "same" or "valid", default=0
        Pixels added around each image: on all sides, (rows, columns), or ((top, bottom), (left, right)). "same" leaves
        one position per stride, an odd pixel goes below and to the right; "valid" is 0.

    padding_mode : {"zeros", "reflect"}, default="zeros"
        What is added: zeros, or the image mirrored at its border without repeating the edge.

    Returns
    -------
    ndarray of shape (n, out_rows, out_columns, n_filters)
        float32 or float64, see `sklearn_cnn.functional`. Each axis has ``floor((H + padding - K) / stride) + 1``
        positions [1]_.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or nothing is left of an image.

    TypeError
        If numbers are neither real nor integer.

    Notes
    -----
    Kernels are expected to be finite. Products with zeros are left out where whole rows of padding can be, and Winograd's
    algorithm adds kernels up before it multiplies. So an infinite number in a kernel may or may not make its neighbours NaN.

    References
    ----------
    .. [1] V. Dumoulin and F. Visin (2016). A guide to convolution arithmetic for deep learning. arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import conv2d
    >>> X = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> kernels = np.array([[[[-1.0, 1.0]]], [[[1.0, 1.0]]]])  # the step to the right, and the sum
    >>> conv2d(X, kernels, bias=[0, 100])[0, 0]
    array([[  1., 101.],
           [  1., 103.],
           [  1., 105.]])
    """
    _check_number_of_axes(kernels, 4, "local2d")
    return _forward(X, kernels, bias, stride, padding, padding_mode)


def conv2d_backward(
    d_out: ArrayLike, X: ArrayLike, kernels: ArrayLike, *, stride: Size = 1, padding: Padding = 0, padding_mode: str = "zeros"
) -> Gradients:
    """Return the gradients of `conv2d`'s arguments from the gradient of its result.

    The gradient of the images is again a convolution: for stride 1, `d_out` convolved ("full") with the kernels.

    Parameters
    ----------
    d_out : array-like of shape (n, out_rows, out_columns, n_filters)
        Gradient of a loss with respect to ``conv2d(X, kernels, ...)``.

    X, kernels, stride, padding, padding_mode
        As in `conv2d`.

    Returns
    -------
    d_X : ndarray of shape (n, rows, columns, channels)

    d_kernels : ndarray of shape (n_filters, channels, kernel_rows, kernel_columns)

    d_bias : ndarray of shape (n_filters,)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`, and if `d_out` has another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import conv2d_backward
    >>> X, kernels = np.arange(4.0).reshape(1, 1, 4, 1), np.array([[[[-1.0, 1.0]]]])
    >>> d_X, d_kernels, d_bias = conv2d_backward(np.ones((1, 1, 3, 1)), X, kernels)
    >>> d_X.ravel()
    array([-1.,  0.,  0.,  1.])
    >>> d_kernels.ravel(), d_bias
    (array([3., 6.]), array([3.]))
    """
    _check_number_of_axes(kernels, 4, "local2d_backward")
    return _backward(d_out, X, kernels, stride, padding, padding_mode)


def local2d(
    X: ArrayLike,
    kernels: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    padding_mode: str = "zeros",
) -> NDArray[np.floating]:
    """Cross-correlate images with another kernel at every position: a locally connected layer.

    Every output sees a window of the image, as in `conv2d`, but weights are not shared between positions.

    Parameters
    ----------
    X : array-like of shape (n, rows, columns, channels)
        Images.

    kernels : array-like of shape (out_rows, out_columns, n_filters, channels, kernel_rows, kernel_columns)

    bias : array-like of shape (out_rows, out_columns, n_filters), default=None
        None is zero.

    stride, padding, padding_mode
        As in `conv2d`.

    Returns
    -------
    ndarray of shape (n, out_rows, out_columns, n_filters)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`, and if there is not one kernel for each position.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import local2d
    >>> signal = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
    >>> kernels = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).reshape(1, 3, 1, 1, 1, 2)
    >>> local2d(signal, kernels).ravel()
    array([1., 3., 7.])
    """
    _check_number_of_axes(kernels, 6, "conv2d")
    return _forward(X, kernels, bias, stride, padding, padding_mode)


def local2d_backward(
    d_out: ArrayLike, X: ArrayLike, kernels: ArrayLike, *, stride: Size = 1, padding: Padding = 0, padding_mode: str = "zeros"
) -> Gradients:
    """Return the gradients of `local2d`'s arguments from the gradient of its result.

    Parameters
    ----------
    d_out : array-like of shape (n, out_rows, out_columns, n_filters)
        Gradient of a loss with respect to ``local2d(X, kernels, ...)``.

    X, kernels, stride, padding, padding_mode
        As in `local2d`.

    Returns
    -------
    d_X : ndarray of shape (n, rows, columns, channels)

    d_kernels : ndarray of shape (out_rows, out_columns, n_filters, channels, kernel_rows, kernel_columns)

    d_bias : ndarray of shape (out_rows, out_columns, n_filters)

    Raises
    ------
    ValueError, TypeError
        As in `local2d`, and if `d_out` has another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import local2d_backward
    >>> signal = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> kernels = np.array([[1.0, 0.0], [0.0, 5.0]]).reshape(1, 2, 1, 1, 1, 2)
    >>> d_X, d_kernels, d_bias = local2d_backward(np.ones((1, 1, 2, 1)), signal, kernels)
    >>> d_X.ravel()
    array([1., 0., 5.])
    >>> d_kernels.reshape(2, 2)
    array([[1., 2.],
           [2., 3.]])
    """
    _check_number_of_axes(kernels, 6, "conv2d_backward")
    return _backward(d_out, X, kernels, stride, padding, padding_mode)
