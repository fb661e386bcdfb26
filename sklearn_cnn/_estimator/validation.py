"""Checks of X, y and sample weights: what comes in is either read as it is or refused with a reason, and never changed."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from sklearn_cnn._estimator.images import (
    as_images,
    explain_samples,
    explain_shape,
    flatten_images,
    from_other_library,
    image_shape_of,
    warn_of_signals,
)
from sklearn_cnn._estimator.parameters import InvalidParameterError
from sklearn_cnn._estimator.state import is_finite_float32
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.words import shown

PASS_LABELS = (
    "Pass one label for each sample, or for several labels an indicator matrix, for example by "
    "sklearn.preprocessing.MultiLabelBinarizer."
)


def unpublished_twin(estimator, fitted=None):
    """Build a copy of an estimator for scikit-learn's ``validate_data`` to write on.

    ``validate_data`` sets ``n_features_in_`` and ``feature_names_in_`` at once, before anyone knows whether the fit will
    succeed, and reads them in predict while another thread may be refitting.

    Parameters
    ----------
    estimator : estimator instance
        Its parameters are shared, not copied.
    fitted : dict, default=None
        Fitted state that the input is to be compared with.

    Returns
    -------
    twin : estimator instance
        Of the same class, knowing of the fitted state only the names and number of the features.
    """
    twin = object.__new__(type(estimator))
    twin.__dict__.update(estimator.__dict__)
    twin.__dict__.pop("_fitted", None)
    for name in ("n_features_in_", "feature_names_in_"):
        if fitted is not None and name in fitted:
            setattr(twin, name, fitted[name])
    return twin


def check_X(estimator, X, fitted=None):
    """Check X and flatten it, without converting or copying more than has to be.

    Parameters
    ----------
    estimator : estimator instance
        For names in messages; it is not changed.
    X : array-like
        The samples.
    fitted : dict, default=None
        State that X has to agree with; None if X begins a new fit.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Of any real dtype, all values finite in float32.
    image_shape : tuple of (int, int, int) or None
        Rows, columns and channels, if `X` tells them.
    features : dict
        ``n_features_in_`` and, where X has names, ``feature_names_in_``.
    """
    twin = unpublished_twin(estimator, fitted)
    try:
        images = as_images(X)
        rows, image_shape = flatten_images(images)
        if fitted is None and image_shape is not None and images.ndim == 3 and getattr(estimator, "input_shape", ()) is None:
            warn_of_signals(images.shape)
        if fitted is not None:
            check_sample_shape(estimator, tuple(getattr(images, "shape", ())), image_shape, fitted)
        rows = validate_data(twin, rows, dtype="numeric", ensure_all_finite=False, reset=fitted is None)
    except OverflowError as error:  # Python integers beyond float64
        raise ValueError(f"X contains a value too large for float32: {error}.") from error
    except (TypeError, ValueError) as error:
        message = explain_samples(X, error)
        if message is None:
            raise
        raise ValueError(message) from error
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"X has dtype {rows.dtype}; convert it to numbers first.")
    check_finite(estimator, rows)
    features = {name: vars(twin)[name] for name in ("n_features_in_", "feature_names_in_") if name in vars(twin)}
    return rows, image_shape, features


def check_sample_shape(estimator, shape, image_shape, fitted):
    """Compare the shape of X, and that of its samples where it tells one, with what the network was fitted on."""
    name, n_features, input_shape = type(estimator).__name__, fitted["n_features_in_"], fitted["input_shape_"]
    if image_shape not in (None, input_shape):
        raise ValueError(
            f"The samples of X have shape {image_shape} (rows, columns, channels), but {name} was fitted on "
            f"{input_shape}.{explain_shape(shape, input_shape)}"
        )
    if len(shape) == 2 and shape[1] != n_features and shape in (input_shape[:2], input_shape[1:]):
        raise ValueError(
            f"X has {shape[1]} features, but {name} is expecting {n_features} features as input."
            f"{explain_shape(shape, input_shape)}"
        )


def check_finite(estimator, X):
    """Refuse NaN, infinity and what float32 cannot hold; X is read twice and never copied."""
    if X.dtype.kind != "f" or is_finite_float32(X):
        return
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")
    refuse_nan(X, "X")
    raise ValueError(
        "Input X contains infinity or a value too large for dtype('float32'): the largest magnitude is "
        f"{max(X.max(), -X.min()):g}. Scale X before, for example by dividing it by a constant."
    )


def refuse_nan(values, name):
    """Refuse NaN by its name where scikit-learn has been told to take everything for finite."""
    if np.isnan(values.min()):
        raise ValueError(f"Input {name} contains NaN, which nothing can be computed with. Fill it, or leave those samples out.")


def check_X_predict(estimator, X, fitted):
    """Check X in prediction; an ordinary array takes a few microseconds.

    Parameters
    ----------
    estimator : estimator instance
        For names in messages.
    X : array-like
        The samples.
    fitted : dict
        The fitted state.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Of any real dtype, all values finite in float32.
    """
    rows = ordinary_rows(X, fitted)
    return check_X(estimator, X, fitted)[0] if rows is None else rows


def ordinary_rows(X, fitted):
    """Return the rows of what a service sends all day, flat or as images, and None for everything else.

    They are those of `check_X`, which takes longer than a small network does.
    """
    if type(X) is not np.ndarray or X.dtype.char not in "fdB" or "feature_names_in_" in fitted:
        return None
    shape = X.shape
    if len(shape) < 2 or shape[0] == 0:
        return None
    if len(shape) == 2:
        is_ordinary = shape[1] == fitted["n_features_in_"]
    else:
        is_ordinary = image_shape_of(shape) == fitted["input_shape_"]
    if not is_ordinary or not (X.dtype.char == "B" or is_finite_float32(X)):
        return None
    return X.reshape(shape[0], fitted["n_features_in_"])


def check_sample_weight(sample_weight, n_samples, name="sample_weight"):
    """Check sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), a number, or None
        The weights.
    n_samples : int
        Number of samples.
    name : str, default="sample_weight"
        What to call them in messages.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), dtype float64, or None
        A new array, finite and not negative, with a positive sum.

    Examples
    --------
    >>> check_sample_weight([1, 0, 2], 3)
    array([1., 0., 2.])
    """
    if sample_weight is None:
        return None
    sample_weight = from_other_library(sample_weight, name)
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_samples, sample_weight)
    if np.ma.is_masked(sample_weight):
        raise ValueError(f"{name} has masked values; fill them first, for example with {name}.filled(0).")
    if getattr(getattr(sample_weight, "dtype", None), "kind", None) in ("m", "M"):
        raise ValueError(f"{name} has dtype {sample_weight.dtype}; pass numbers.")
    try:
        weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name, copy=True)
    except OverflowError as error:  # Python integers beyond float64
        raise ValueError(f"{name} contains a value too large for dtype('float32'): {error}.") from error
    except (TypeError, ValueError) as error:
        if name in str(error):
            raise
        hint = " How much classes weigh is said by the parameter class_weight." if isinstance(sample_weight, str) else ""
        raise ValueError(
            f"{name}={shown(sample_weight)} must be an array with one number for each of {n_samples} samples: {error}.{hint}"
        ) from error
    if weight.shape != (n_samples,):
        raise ValueError(f"{name} must be a 1D array with one weight for each of {n_samples} samples, not {weight.shape}.")
    refuse_nan(weight, name)
    if weight.min() < 0:
        raise ValueError(f"{name} must not be negative; the smallest is {weight.min():g}.")
    if not is_finite_float32(weight) or not weight.sum(dtype=np.float64) < np.finfo(np.float32).max:
        raise ValueError(f"{name} contains a value too large for dtype('float32'); divide it by its mean.")
    if not weight.astype(np.float32).any():
        raise ValueError(f"{name} is zero for every sample, which leaves nothing to learn from. Give some a positive weight.")
    if weight.max() < np.finfo(np.float32).tiny:
        raise ValueError(f"{name} is too small for dtype('float32'); the largest is {weight.max():g}. Divide it by its mean.")
    return weight


def combine_weights(own_weight, target_weight, name):
    """Multiply checked sample weights with those that follow from the target.

    Parameters
    ----------
    own_weight : ndarray of shape (n_samples,), dtype float64, or None
        The caller's weights, as `check_sample_weight` returns them.
    target_weight : ndarray of shape (n_samples,) or None
        Weights of the classes.
    name : str
        What to call the caller's weights in messages.

    Returns
    -------
    weight, own_weight : ndarray of shape (n_samples,), dtype float32, or None
        The product, and the caller's own. None if all samples weigh the same.
    """
    own = None if own_weight is None else own_weight.astype(np.float32)
    if target_weight is None:
        return own, own
    product = target_weight if own_weight is None else own_weight * target_weight
    product = check_sample_weight(product, len(product), f"{name} times class_weight")
    return product.astype(np.float32), own


def check_target_array(estimator, y, n_samples, name, remedy):
    """Refuse what can be no target at all; `remedy` says what to do about a type that is not to be used."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target {name} is None.")
    if np.ma.is_masked(y):
        raise ValueError(f"{name} has masked values; leave those samples out.")
    y = from_other_library(y, name)
    refuse_string_dtype(y, name)
    y = check_array(y, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name=name)
    refuse_missing(y, name)
    assert_all_finite(y, input_name=name)
    if y.dtype.kind in "mMVc":
        raise ValueError(f"{name} has dtype {y.dtype}; {remedy}.")
    if y.shape[0] != n_samples:
        hint = " If X is a single sample, give it a batch axis: X[None]." if y.shape[0] == 1 else ""
        raise ValueError(f"X and {name} differ in length: {n_samples} and {y.shape[0]} samples.{hint}")
    return y


def refuse_missing(values, name):
    """Refuse None, and what pandas has for a missing value, among objects, which no check of numbers looks at."""
    if values.dtype.kind != "O":
        return
    for place, value in enumerate(values.ravel().tolist()):
        if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and np.isnan(value)):
            row = place // max(1, values.size // len(values))
            raise ValueError(
                f"Input {name} contains NaN or another missing value: sample {row} has {value}. Leave such samples out."
            )


def refuse_string_dtype(values, name):
    """Refuse NumPy's strings of any length, which scikit-learn's own checks and scores do not know."""
    if getattr(getattr(values, "dtype", None), "kind", None) == "T":
        raise ValueError(f"{name} has dtype {values.dtype}, which scikit-learn does not know; pass {name}.astype(object).")


def check_classes(classes):
    """Check the classes that a first call announces.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted and distinct.

    Examples
    --------
    >>> check_classes(["b", "a"])
    array(['a', 'b'], dtype='<U1')
    """
    if issparse(classes):
        raise TypeError("classes is a sparse matrix; pass the labels as a list or a one-dimensional array.")
    classes = from_other_library(classes, "classes")
    refuse_string_dtype(classes, "classes")
    if np.ma.is_masked(classes):
        raise ValueError("classes has masked values; pass the labels that there are.")
    if isinstance(classes, np.ndarray) and classes.ndim == 1 and classes.size > 0 and classes.dtype.kind in "iu":
        return np.unique(np.asarray(classes))  # at once, for every partial_fit passes them
    try:
        if isinstance(classes, str) or np.ndim(classes) != 1 or len(classes) == 0:
            raise ValueError("it is none")
        return unique_labels(classes)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"classes={shown(classes)} must be a list or a one-dimensional array of all labels to come, of one type: {error}."
        ) from error


def check_numbers(estimator, y, n_samples, name="y"):
    """Check real targets.

    Parameters
    ----------
    estimator : estimator instance
        For names in messages.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers.
    n_samples : int
        Number of samples in X.
    name : str, default="y"
        What to call the targets in messages.

    Returns
    -------
    y : ndarray of shape (n_samples, n_outputs), dtype float64
        All values finite in float32.
    """
    if issparse(y):
        raise TypeError(f"{name} is a sparse matrix, but numbers to be predicted are dense: pass {name}.toarray().")
    y = check_target_array(estimator, y, n_samples, name, "pass real numbers")
    if y.dtype.kind not in "biufO":
        raise ValueError(f"{name} has dtype {y.dtype}; pass real numbers.")
    try:
        y = y.astype(np.float64)
    except OverflowError as error:  # Python integers beyond float64
        raise ValueError(f"{name} contains a value too large for dtype('float32'): {error}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has values that are no real numbers: {error}.") from error
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim > 2 or y.size == 0:
        raise ValueError(f"{name} has shape {y.shape}; pass it as (n_samples,) or (n_samples, n_outputs).")
    if not is_finite_float32(y):
        refuse_nan(y, name)
        raise ValueError(f"{name} contains a value too large for dtype('float32'). Scale it before, for example by a constant.")
    return y.reshape(n_samples, -1)


def check_labels(estimator, y, n_samples, name="y", are_known=False):
    """Check class labels.

    Parameters
    ----------
    estimator : estimator instance
        For names in messages.
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
        Labels of any type, or a multilabel indicator matrix, which alone may be sparse.
    n_samples : int
        Number of samples in X.
    name : str, default="y"
        What to call the labels in messages.
    are_known : bool, default=False
        Whether they will be compared with classes of before. Then integers are no less labels for being many different ones.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Labels, or an indicator matrix if there are two dimensions.
    """
    if issparse(y) and (y.ndim < 2 or y.shape[1] < 2):
        raise TypeError(
            f"{name} is a sparse matrix of shape {y.shape}, but only indicators of several labels may be sparse. Pass "
            f"{name}.toarray()."
        )
    y = y.toarray() if issparse(y) else y
    try:
        y = check_target_array(estimator, y, n_samples, name, "pass class labels as integers or strings")
        refuse_mixed_labels(y, name)
        are_labels = y.ndim == 1 and y.dtype.kind in "iu" and (are_known or 2 * len(np.unique(y)) <= len(y))
        if not are_labels:  # what is sure at once takes scikit-learn half a millisecond
            check_classification_targets(y)
    except ValueError as error:
        if "sequence" not in str(error):  # what NumPy and scikit-learn call a list in place of a label
            raise
        raise ValueError(f"{name} has lists in place of labels: {error} {PASS_LABELS}") from error
    if y.ndim < 2 or y.shape[1] < 2:
        return column_or_1d(y, warn=True)
    if type_of_target(y, input_name=name) != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
        raise ValueError(f"{name} has {y.shape[1]} columns with other values than 0 and 1. {PASS_LABELS}")
    return y


def refuse_mixed_labels(y, name):
    """Refuse objects that are no strings, or of several types, as labels; what lists among them are, scikit-learn says."""
    kinds = {type(label) for label in y.ravel().tolist()} if y.dtype.kind == "O" else set()
    if all(issubclass(kind, str) for kind in kinds) or any(hasattr(kind, "__len__") and kind is not str for kind in kinds):
        return
    words = " and ".join(sorted(kind.__name__ for kind in kinds))
    way = "int" if all(issubclass(kind, int | np.integer) for kind in kinds) else "str"
    raise ValueError(
        f"Unknown label type: {name} has dtype object, with labels of type {words}. Labels are all integers or all strings: pass "
        f"numpy.array({name}).astype({way})."
    )


def check_map(plan, block, stage):
    """Check which feature map is asked for.

    Parameters
    ----------
    plan : Plan
        The network.
    block : int
        Number of a block; negative ones count from the end.
    stage : str
        "conv" or "pool".

    Returns
    -------
    block : int
        Counted from 0.
    """
    block = check_block(block, sum(isinstance(layer, ConvolutionBlock) for layer in plan.layers))
    check_stage(stage)
    return block


def check_block(block, n_blocks):
    """Return the number of a block counted from 0; negative ones count from the end."""
    if isinstance(block, bool) or not isinstance(block, Integral):
        raise TypeError(f"block must be an integer, but it is {shown(block)}.")
    block = int(block)
    if n_blocks == 0:
        raise ValueError(
            f"block={shown(block)} does not exist: the network has no blocks. Fit one that has some; for example n_filters=8."
        )
    if not -n_blocks <= block < n_blocks:
        raise ValueError(
            f"block={shown(block)} does not exist: the network has {n_blocks}, numbered from 0 to {n_blocks - 1}."
        )
    return block % n_blocks


def check_stage(stage):
    """Refuse what is no stage of a block."""
    if not isinstance(stage, str) or stage not in ("conv", "pool"):
        raise ValueError(f"stage={shown(stage)} must be 'conv', the map before pooling, or 'pool', what the block hands on.")


def check_layer(estimator, layer):
    """Check which layer of a fitted network is asked for.

    Parameters
    ----------
    estimator : fitted network
        Its `layer_table_` lists the layers; the output is none of those that can be asked for.
    layer : int or str
        Number of a row of the table, negative ones counted from the last row before the output, or the name in it.

    Returns
    -------
    number, row : int and dict
        Number of the row, counted from 0, and the row.
    """
    if isinstance(layer, bool) or not isinstance(layer, str | Integral):
        message = f"layer must be the number or the name of a layer, but it is {shown(layer)}; for example layer=-1."
        raise InvalidParameterError(message)
    *rows, _ = estimator.layer_table_
    names = [row["name"] for row in rows]
    if layer not in (names if isinstance(layer, str) else range(-len(names), len(names))):
        raise ValueError(
            f"layer={shown(layer)} does not exist: the network has {dict(enumerate(names))}, counted from the end, too."
        )
    number = names.index(layer) if isinstance(layer, str) else int(layer) % len(names)
    return number, rows[number]
