"""Pooling layers: the maximum or the mean of every window."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_cnn._network.layers import PoolingLayer
from sklearn_cnn.functional._arguments import Size, check_axes, check_window_fits, pair, real_arrays
from sklearn_cnn.functional._one_layer import run_backward, run_forward


def _layer(pooling, X, pool_size, stride):
    check_axes("X", X, "n, rows, columns, channels")
    pool_size = pair("pool_size", pool_size)
    stride = pool_size if stride is None else pair("stride", stride)
    check_window_fits("a pool window", pool_size, X.shape[1:3])
    return PoolingLayer(pooling, pool_size, stride)


def _forward(pooling, X, pool_size, stride):
    (X,) = real_arrays(X=X)
    return run_forward(_layer(pooling, X, pool_size, stride), X)


def _backward(pooling, d_out, X, pool_size, stride):
    d_out, X = real_arrays(d_out=d_out, X=X)
    return run_backward(_layer(pooling, X, pool_size, stride), d_out, X)[0]


def max_pool2d(X: ArrayLike, pool_size: Size = 2, stride: Size | None = None) -> NDArray[np.floating]:
    """Return the maximum of every window, channel by channel.

    Parameters
    ----------
    X : array-like of shape (n, rows, columns, channels)
        Images.

    pool_size : int or (int, int), default=2
        Rows and columns of a window.

    stride : int or (int, int), default=None
        Pixels from one window to the next; None is `pool_size`, so that windows touch and do not overlap.

    Returns
    -------
    ndarray of shape (n, out_rows, out_columns, channels)
        Rows and columns that no whole window covers are left out. A NaN anywhere in a window gives NaN.

    Raises
    ------
    ValueError
        If the window is larger than the images, or a size is below 1.

    TypeError
        If numbers are neither real nor integer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import max_pool2d
    >>> X = np.array([[1.0, 2, 5, 0], [3, 4, 0, 0]]).reshape(1, 2, 4, 1)
    >>> max_pool2d(X).ravel()
    array([4., 5.])
    >>> max_pool2d(X, pool_size=(1, 2), stride=(1, 1))[0, :, :, 0]
    array([[2., 5., 5.],
           [4., 4., 0.]])
    """
    return _forward("max", X, pool_size, stride)


def max_pool2d_backward(d_out: ArrayLike, X: ArrayLike, pool_size: Size = 2, stride: Size | None = None) -> NDArray[np.floating]:
    """Return the gradient of `max_pool2d`'s images from the gradient of its result.

    Each number of `d_out` goes to the pixel its maximum came from: to the first, row by row, of equal maxima (also
    where all are minus infinity), and to a NaN where there is one (to the last, if there are more). Where windows
    overlap, a pixel sums what it is given.

    Parameters
    ----------
    d_out : array-like of shape (n, out_rows, out_columns, channels)
        Gradient of a loss with respect to ``max_pool2d(X, pool_size, stride)``.

    X, pool_size, stride
        As in `max_pool2d`.

    Returns
    -------
    ndarray of shape (n, rows, columns, channels)

    Raises
    ------
    ValueError, TypeError
        As in `max_pool2d`, and if `d_out` has another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import max_pool2d_backward
    >>> X = np.array([[1.0, 4, 5, 5], [3, 4, 0, 0]]).reshape(1, 2, 4, 1)
    >>> max_pool2d_backward(np.array([10.0, 20.0]).reshape(1, 1, 2, 1), X)[0, :, :, 0]
    array([[ 0., 10., 20.,  0.],
           [ 0.,  0.,  0.,  0.]])
    """
    return _backward("max", d_out, X, pool_size, stride)


def average_pool2d(X: ArrayLike, pool_size: Size = 2, stride: Size | None = None) -> NDArray[np.floating]:
    """Return the mean of every window, channel by channel.

    Parameters
    ----------
    X, pool_size, stride
        As in `max_pool2d`.

    Returns
    -------
    ndarray of shape (n, out_rows, out_columns, channels)

    Raises
    ------
    ValueError, TypeError
        As in `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import average_pool2d
    >>> X = np.array([[200.0, 150, 150], [100, 50, 100], [25, 25, 10]]).reshape(1, 3, 3, 1)
    >>> average_pool2d(X, pool_size=3).ravel()
    array([90.])
    """
    return _forward("average", X, pool_size, stride)


def average_pool2d_backward(
    d_out: ArrayLike, X: ArrayLike, pool_size: Size = 2, stride: Size | None = None
) -> NDArray[np.floating]:
    """Return the gradient of `average_pool2d`'s images from the gradient of its result.

    Each number of `d_out` is spread evenly over its window.

    Parameters
    ----------
    d_out : array-like of shape (n, out_rows, out_columns, channels)
        Gradient of a loss with respect to ``average_pool2d(X, pool_size, stride)``.

    X, pool_size, stride
        As in `average_pool2d`; of X only the shape matters.

    Returns
    -------
    ndarray of shape (n, rows, columns, channels)

    Raises
    ------
    ValueError, TypeError
        As in `max_pool2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn.functional import average_pool2d_backward
    >>> average_pool2d_backward(np.array([[[[8.0]]]]), np.zeros((1, 2, 2, 1)))[0, :, :, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    return _backward("average", d_out, X, pool_size, stride)
