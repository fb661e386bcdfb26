"""Arguments of the displays: what is no network, no image, no class, no number or no place is refused here."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_cnn._estimator.parameters import LARGEST_NUMBER, InvalidParameterError, is_boolean, is_integer, is_real, plain, shown


def check_network(estimator, attribute):
    """Refuse what is not a fitted network of this package."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"estimator={shown(estimator)} must be a fitted network, such as ConvNetClassifier().fit(X, y).")
    check_is_fitted(estimator)
    if not hasattr(estimator, attribute):
        raise TypeError(
            f"{type(estimator).__name__} has no {attribute}. Pass the network itself: of a pipeline its last step, "
            "pipeline[-1], with an image that the steps before have transformed; of a search, search.best_estimator_."
        )


def one_sample(estimator, X):
    """Take one sample in any of the forms that `predict` takes.

    Parameters
    ----------
    estimator : fitted network
        Tells the shape of a sample.
    X : array-like
        One image, with or without a leading axis of length one, flat or in its shape.

    Returns
    -------
    X : array-like of shape (1, n_features)
        For `predict`; a data frame stays one.
    image : ndarray of shape (rows, columns, channels)
        For drawing.
    """
    try:
        values = np.asarray(X)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"X must be one image, for example X[0] or X[:1], but it is no array: {error}.") from error
    if values.size != estimator.n_features_in_:
        raise ValueError(
            f"One image has {estimator.n_features_in_} values, of shape {estimator.input_shape_} (rows, columns, channels), "
            f"but X has {values.size}, of shape {values.shape}. Pass one image, for example X[0] or X[:1]."
        )
    if np.ma.is_masked(X):
        raise ValueError("X has masked values; fill them first, for example with X.filled(0).")
    if values.dtype.kind not in "biuf":
        try:
            values = values.astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X must hold numbers, but its dtype is {values.dtype}: {error}.") from error
    image = values.reshape(estimator.input_shape_)
    return (X if hasattr(X, "iloc") and values.ndim == 2 else values.reshape(1, -1)), image


def number_of(target, labels):
    """Return the number of a class or an output among its labels."""
    label = plain(target)
    numbers = np.flatnonzero(labels == label) if np.isscalar(label) else labels[:0]
    if len(numbers) != 1:
        raise ValueError(f"target={shown(target)} is none of the classes or outputs {labels}.")
    return int(numbers[0])


def steps_of_block(estimator, block):
    """Return the rows of the layer table that belong to a block, by what they are: "convolution", "max pooling" and so on."""
    beginning = f"block {block}: "
    table = estimator.layer_table_
    return {row["name"].removeprefix(beginning): row for row in table if row["name"].startswith(beginning)}


def check_integer(name, value, low, high=None, *, words=""):
    """Return an integer within bounds as a plain one; `words` say what else is allowed."""
    if not is_integer(value, low) or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InvalidParameterError(f"{name}={shown(value)} must be an integer {bounds}{words}; for example {name}={low}.")
    return int(value)


def check_place(name, place, shape, of_what):
    """Return row and column of a place in a map of some shape."""
    pair = plain(place)
    rows, columns = shape
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(is_integer, pair)):
        raise InvalidParameterError(
            f"{name}={shown(place)} must be a pair (row, column) of integers, from (0, 0) to {(rows - 1, columns - 1)}."
        )
    row, column = pair
    if not (0 <= row < rows and 0 <= column < columns):
        raise InvalidParameterError(
            f"{name}={shown(place)} is outside {of_what}, which has {rows} rows and {columns} columns. Choose a pair from (0, 0) "
            f"to {(rows - 1, columns - 1)}."
        )
    return row, column


def check_window(window, rows, columns):
    """Return rows and columns of a patch of the image; None is a quarter of it, at least 3 pixels. A signal has one row."""
    if window is None:
        return tuple(min(n, max(3, round(n / 4))) for n in (rows, columns))
    pair = plain(window)
    if not isinstance(pair, list | tuple):
        pair = (1 if rows == 1 else pair, pair)
    if len(pair) != 2 or not all(is_integer(n, 1) and n <= length for n, length in zip(pair, (rows, columns), strict=True)):
        raise InvalidParameterError(
            f"window={shown(window)} must be an integer or a pair (rows, columns) of integers, from 1 to those of the image, "
            f"{rows} x {columns}; for example window=1. None is a quarter of the image."
        )
    return tuple(pair)


def check_fill(fill, image):
    """Return what a patch is covered with, a number for each channel; None is the mean of the image."""
    n_channels = image.shape[2]
    if fill is None:
        return image.mean(axis=(0, 1), dtype=float)
    try:
        values = np.ravel(fill).tolist() if np.ndim(fill) <= 1 else []
    except ValueError:  # lists of different lengths
        values = []
    if len(values) not in (1, n_channels) or not all(is_real(value, -LARGEST_NUMBER) for value in values):
        raise InvalidParameterError(
            f"fill={shown(fill)} must be a finite number, or one for each channel of the image, which has {n_channels}; for "
            "example fill=0.0. None is the mean of the image in each channel."
        )
    return np.broadcast_to(values, n_channels)


def check_flags(**flags):
    """Refuse what is neither True nor False."""
    for name, value in flags.items():
        if not is_boolean(value):
            raise InvalidParameterError(f"{name}={shown(value)} must be True or False.")


def array_of(name, values, *axes, may_be_empty=False):
    """Return numbers as an array that has these axes, written as "rows, columns, channels", or other ones that are allowed."""
    allowed = " or ".join(f"({names})" for names in axes)
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise InvalidParameterError(f"{name} must be an array of numbers of shape {allowed}: {error}.") from error
    if array.size == 0 and may_be_empty:
        return array  # of any type: an empty series has one that fits nothing
    if array.ndim not in [len(names.split(", ")) for names in axes] or array.dtype.kind not in "biuf":
        raise InvalidParameterError(
            f"{name} must be an array of numbers of shape {allowed}, but its shape is {array.shape} and its dtype {array.dtype}."
        )
    if array.size == 0:
        raise InvalidParameterError(f"{name} has shape {array.shape}: there is nothing to draw.")
    return array


def heat_and_image(name, heat, image):
    """Return a heat map and the image below it as arrays; both have the same rows and columns, and the heat map is finite."""
    heat, image = array_of(name, heat, "rows, columns"), array_of("image", image, "rows, columns, channels")
    if heat.shape != image.shape[:2]:
        raise InvalidParameterError(f"{name} has shape {heat.shape}, but image has {image.shape[:2]} rows and columns.")
    if not np.isfinite(heat).all():
        raise InvalidParameterError(f"{name} has values that are not finite. Pass finite numbers.")
    return heat, image


def refuse_overflow(values):
    """Refuse what is not finite though the network and X are: numbers on the way have left the range of float32."""
    if not np.isfinite(values).all():
        raise ValueError(
            "X has values so large that the network's numbers are beyond the range of float32. Scale X before, for example by "
            "dividing it by a constant, or look for wrong values in it."
        )
    return values
