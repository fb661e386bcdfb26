"""What one sample is: rows, columns and channels, said by X itself or by ``input_shape``, never guessed."""

import math
import os

import numpy as np

from sklearn_cnn._estimator.parameters import plain
from sklearn_cnn._estimator.warning import warn
from sklearn_cnn._network.words import shown

MOST_DIMENSIONS = 64  # of NumPy's arrays
IMAGE_FORMS = "(n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)"

# The smallest square that looks like an image: digits as small as 5x5 are drawn, 4x4 are not. Colour needs more: a small number
# that is three times a square is as likely a signal.
SMALLEST_GREY_SIDE, SMALLEST_COLOUR_SIDE = 5, 16

# What photographs look like where their channels come first: (3, 64, 64), (1, 28, 28). Maps of a network, as (4, 4, 256), and
# signals of many channels, as (1, 1000, 12), do not.
CHANNELS_OF_PHOTOGRAPHS = (1, 3, 4)
SMALLEST_SIDE = 8
LONGEST_TO_SHORTEST_SIDE = 2

# What signals look like where their channels come first, as in aeon: a few rows, several times as long.
MOST_CHANNELS_OF_SIGNALS, LEAST_LENGTH_TO_CHANNELS = 12, 4

# How Pillow calls images of so many channels.
MODES_OF_PILLOW = {1: "L", 3: "RGB", 4: "RGBA"}

READING_FILES = (
    "numpy.stack([numpy.asarray(PIL.Image.open(name).convert('RGB').resize((64, 64))) for name in X])"
)


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


def as_images(X):
    """Read what may be images as one array: lists, tensors and pictures of Pillow; tables are left as they are.

    Parameters
    ----------
    X : array-like
        Anything.

    Returns
    -------
    X : array-like
        An ndarray, or what scikit-learn has to read.

    Examples
    --------
    >>> as_images([[[0, 1], [2, 3]]]).shape
    (1, 2, 2)
    """
    X = from_other_library(X, "X")
    holds_images = isinstance(X, list | tuple) or getattr(X, "ndim", None) in (3, 4) or hasattr(X, "__array_interface__")
    return np.asarray(X) if holds_images and not isinstance(X, np.ndarray) else X


def image_shape_of(shape):
    """Return rows, columns and channels of one image of an array of that shape, which has three dimensions or four."""
    return shape[1:] if len(shape) == 4 else (*shape[1:], 1)


def flatten_images(X):
    """Flatten images to rows of features.

    Parameters
    ----------
    X : array-like
        Anything; only arrays of three or four dimensions are changed.

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
    image_shape = image_shape_of(X.shape)
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
            f"input_shape={shown(input_shape)} means {declared} (rows, columns, channels), but the samples of X have "
            f"shape {image_shape}. Correct input_shape, or leave it at None, since X tells its own shape."
        )
    if declared is not None and math.prod(declared) != n_features:
        raise ValueError(
            f"input_shape={shown(input_shape)} means {math.prod(declared)} values per sample, but X has {n_features} "
            "features. Pass the (rows, columns) or (rows, columns, channels) of the images that were flattened into X."
        )
    if declared is None and image_shape is None:
        warn_of_flattened_images(n_features)
    elif declared is None and channels_seem_first(image_shape):
        warn(
            f"The samples of X have shape {image_shape}, which is read as {image_shape[0]} rows, {image_shape[1]} columns and "
            f"{image_shape[2]} channels. If the channels come first, as in PyTorch, move them to the end: numpy.moveaxis(X, 1, "
            f"-1). If they come last, input_shape={image_shape} silences this."
        )
    return declared or image_shape or (1, n_features, 1)


def warn_of_flattened_images(n_features):
    """Warn of rows that are read as signals and have as many values as a square image, grey or in colour."""
    side, colour_side = square_side(n_features), square_side(n_features / 3)
    is_grey, is_colour = side >= SMALLEST_GREY_SIDE, colour_side >= SMALLEST_COLOUR_SIDE
    if is_grey or is_colour:
        shape = f"({side}, {side})" if is_grey else f"({colour_side}, {colour_side}, 3)"
        warn(
            f"X has {n_features} features and is read as one-dimensional signals of that length. If its rows are flattened "
            f"images, say so, for example input_shape={shape}; colour images are (rows, columns, 3). If they are signals, "
            f"input_shape=({n_features},) silences this."
        )


def square_side(n_pixels):
    """Return the side of a square of so many pixels, 0 if there is none."""
    side = math.isqrt(int(n_pixels))
    return side if side * side == n_pixels else 0


def channels_seem_first(shape):
    """Say whether (rows, columns, channels) would be the shape of a photograph if it were (channels, rows, columns).

    Examples
    --------
    >>> channels_seem_first((3, 64, 64)), channels_seem_first((64, 64, 3)), channels_seem_first((1, 1000, 12))
    (True, False, False)
    """
    n_channels, sides = shape[0], shape[1:]
    ratio = 1 if n_channels == 1 else LONGEST_TO_SHORTEST_SIDE
    return n_channels in CHANNELS_OF_PHOTOGRAPHS and min(sides) >= SMALLEST_SIDE and max(sides) <= ratio * min(sides)


def warn_of_signals(shape):
    """Warn of an array of three dimensions that is read as grey images, where it may hold signals with their channels first."""
    rows, columns = shape[1:]
    if 1 < rows <= MOST_CHANNELS_OF_SIGNALS and columns >= LEAST_LENGTH_TO_CHANNELS * rows:
        warn(
            f"The samples of X have shape {shape[1:]}, which is read as an image of {rows} rows and {columns} columns. If "
            f"they are signals of {rows} channels, as aeon has them, pass numpy.moveaxis(X, 1, 2).reshape(len(X), -1) with "
            f"input_shape=(1, {columns}, {rows}). If they are images, input_shape={shape[1:]} silences this."
        )


def explain_shape(shape, input_shape):
    """Say what is wrong with an array that a fitted network cannot take, where that can be told from its shape.

    Parameters
    ----------
    shape : tuple of int
        Of X, as it came.
    input_shape : tuple of (int, int, int)
        Rows, columns and channels of one sample in `fit`.

    Returns
    -------
    remedy : str
        Empty, or a sentence after a space.

    Examples
    --------
    >>> explain_shape((64, 64, 3), (64, 64, 3))
    ' X is one image: give it a batch axis, X[None], which has shape (1, 64, 64, 3).'
    """
    rows, columns, channels = input_shape
    kind = "signal" if rows == 1 else "image"
    if shape == input_shape or (channels == 1 and shape == (rows, columns)):
        return f" X is one {kind}: give it a batch axis, X[None], which has shape {(1, *shape)}."
    if rows == 1 and shape == (columns, channels):
        return f" X is one {kind}: give it a batch axis and a row, X[None, None], which has shape {(1, 1, *shape)}."
    if len(shape) == 4 and shape[1:] == (channels, rows, columns):
        return " The channels of X come first: move them to the end, numpy.moveaxis(X, 1, -1)."
    if len(shape) < 3 or rows == 1:
        return ""
    if len(shape) == 3 and shape[2] == channels > 1:
        return f" X looks like one image of another size: resize it to {rows} x {columns} and give it a batch axis, X[None]."
    if shape[3:] != (channels,) and (len(shape) == 4 or channels > 1):
        mode = MODES_OF_PILLOW.get(channels)
        way = "" if mode is None else f", for example with Pillow's image.convert('{mode}')"
        return f" Bring the images to the same number of channels, {channels}{way}."
    return f" Resize or crop the images to {rows} x {columns} pixels."


def explain_samples(X, error):
    """Say what X holds in place of numbers: names of files, or images of different shapes.

    Parameters
    ----------
    X : array-like
        What NumPy or scikit-learn could not read.
    error : Exception
        What they said.

    Returns
    -------
    message : str or None
        None if it is neither.

    Examples
    --------
    >>> explain_samples(["cat.jpg", "dog.jpg"], ValueError())[:33]
    "X holds text, such as 'cat.jpg', "
    """
    first = X
    for _ in range(MOST_DIMENSIONS):  # a list may hold itself
        first = first[0] if isinstance(first, list | tuple) and first else first
    if isinstance(first, np.ndarray) or hasattr(first, "to_numpy"):
        first = next(iter(np.asarray(first).ravel()[:1].tolist()), None)
    if isinstance(first, str | bytes | os.PathLike):
        return (
            f"X holds text, such as {os.fspath(first)!r}, where pixels are expected. If it names image files, read them first, "
            f"for example {READING_FILES}."
        )
    if "sequence" not in str(error):  # NumPy's word for a list or an array where a number is expected
        return None
    try:
        shapes = list(dict.fromkeys(np.shape(image) for image in X))
    except ValueError:  # a sample that has no shape itself
        shapes = []
    if len(shapes) > 1:
        return (
            f"The samples of X have {len(shapes)} different shapes, such as {shapes[0]} and {shapes[1]}. A network takes images "
            "of one size and one number of channels: resize or crop them, and put them into one array, for example with "
            "numpy.stack(X). Pillow's image.convert('RGB').resize((64, 64)) does both."
        )
    images = f"X[{X.columns[0]!r}]" if hasattr(X, "columns") else "X"  # the name of the column that holds them
    return (
        f"X is a {type(X).__name__} with arrays in place of numbers, or with rows that differ in length: {error} Put images of "
        f"one shape into one array, for example with numpy.stack({images})."
    )
