"""What one sample is: rows, columns and channels, said by X itself or by ``input_shape``, never guessed."""

import math
import reprlib

import numpy as np

from sklearn_cnn._estimator.parameters import plain
from sklearn_cnn._estimator.warning import warn

IMAGE_FORMS = "(n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)"

# The smallest square that looks like an image: digits as small as 5x5 are drawn, 4x4 are not.
SMALLEST_SQUARE_IMAGE = 25


def from_other_library(values, name):
    """Read the array of another library as NumPy does: scikit-learn passes those on where its array API dispatch is on.

    Parameters
    ----------
    values : array-like
        Everything but what exchanges its memory by ``__dlpack__`` is returned as it is.
    name : str
        What to call it in messages.

    Returns
    -------
    values : array-like
        An ndarray in place of a tensor.

    Raises
    ------
    TypeError
        If NumPy cannot read it, as the memory of a GPU.
    """
    if isinstance(values, np.ndarray | np.generic) or not hasattr(values, "__dlpack__"):
        return values
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{name} is a {type(values).__name__} that NumPy cannot read: {error}. Pass it as a NumPy array."
        ) from error


def flatten_images(X):
    """Flatten images to rows of features.

    Parameters
    ----------
    X : array-like
        Anything; only what has three or four dimensions is looked at.

    Returns
    -------
    X : array-like
        Two-dimensional if it was an image array.
    image_shape : tuple of (int, int, int) or None
        Rows, columns and channels, if `X` tells them.

    Raises
    ------
    ValueError
        For masked arrays, dates, and more than four dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> X, image_shape = flatten_images(np.zeros((5, 8, 6)))
    >>> X.shape, image_shape
    ((5, 48), (8, 6, 1))
    """
    X = from_other_library(X, "X")
    if isinstance(X, list | tuple) or (getattr(X, "ndim", None) in (3, 4) and not isinstance(X, np.ndarray)):
        X = np.asarray(X)
    if not isinstance(X, np.ndarray):
        return X, None
    if np.ma.is_masked(X):
        raise ValueError("X has masked values, which have no place in an image; fill them first, for example with X.filled(0).")
    if X.dtype.kind in "mMV":
        raise ValueError(f"X has dtype {X.dtype}; convert it to numbers first.")
    if X.ndim > 4:
        raise ValueError(f"X has {X.ndim} dimensions; pass it as {IMAGE_FORMS}.")
    if X.ndim < 3:
        return X, None
    image_shape = tuple(X.shape[1:]) if X.ndim == 4 else (*X.shape[1:], 1)
    return X.reshape(len(X), math.prod(image_shape)), image_shape


def declared_shape(input_shape):
    """Write the parameter ``input_shape`` as rows, columns and channels; None stays None."""
    shape = plain(input_shape)
    if shape is None:
        return None
    shape = tuple(shape)
    return {1: (1, *shape, 1), 2: (*shape, 1), 3: shape}[len(shape)]


def resolve_input_shape(input_shape, image_shape, n_features):
    """Find out what one sample is: rows, columns and channels.

    Parameters
    ----------
    input_shape : None or sequence of int
        The parameter of the estimator.
    image_shape : tuple of (int, int, int) or None
        What the shape of X says.
    n_features : int
        Number of values per sample.

    Returns
    -------
    shape : tuple of (int, int, int)
        Rows, columns and channels; without any other information a one-channel signal.

    Raises
    ------
    ValueError
        If the declaration and the data contradict each other.

    Examples
    --------
    >>> resolve_input_shape((8, 8), None, 64), resolve_input_shape(None, None, 3)
    ((8, 8, 1), (1, 3, 1))
    """
    declared = declared_shape(input_shape)
    if declared is not None and image_shape is not None and declared != image_shape:
        raise ValueError(
            f"input_shape={reprlib.repr(input_shape)} means {declared} (rows, columns, channels), but the samples of X have "
            f"shape {image_shape}. Correct input_shape, or leave it at None, since X tells its own shape."
        )
    if declared is not None and math.prod(declared) != n_features:
        raise ValueError(
            f"input_shape={reprlib.repr(input_shape)} means {math.prod(declared)} values per sample, but X has {n_features} "
            "features. Pass the (rows, columns) or (rows, columns, channels) of the images that were flattened into X."
        )
    if declared is None and image_shape is None and is_square(n_features):
        side = math.isqrt(n_features)
        warn(
            f"X has {n_features} features and is read as one-dimensional signals of that length. If its rows are flattened "
            f"images, say so: input_shape=({side}, {side}). If they are signals, input_shape=({n_features},) silences this."
        )
    return declared or image_shape or (1, n_features, 1)


def is_square(n_features):
    """Say whether so many features could be a flattened square image."""
    return n_features >= SMALLEST_SQUARE_IMAGE and math.isqrt(n_features) ** 2 == n_features
