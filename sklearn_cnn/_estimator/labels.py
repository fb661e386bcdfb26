"""Class labels of any type and the targets a network learns in their place."""

import numpy as np

from sklearn_cnn._estimator.parameters import is_one_of, is_real, plain
from sklearn_cnn._network.words import shown

#: What y says of a fitted classifier.
CLASS_ATTRIBUTES = ("classes_", "n_outputs_", "out_activation_", "is_multilabel", "is_sparse")


def find_classes(y, classes):
    """Return the sorted classes: those passed to the first partial_fit, or those found in y.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Checked labels.
    classes : ndarray of shape (n_classes,) or None
        None in fit: `y` has them all. In partial_fit those announced, sorted; none if the argument was left out.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        For multilabel targets the numbers of the columns.
    """
    if y.ndim == 2:
        return np.arange(y.shape[1])
    if classes is None:
        return np.unique(y)
    if len(classes) == 0:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    return classes


def describe_classes(classes, is_multilabel, is_sparse):
    """Return the fitted attributes that follow from the classes, those of `CLASS_ATTRIBUTES`.

    Two classes need one output only; so does a single class, which there is nothing to learn about.
    """
    if is_multilabel:
        n_outputs, out_activation = len(classes), "logistic"
    elif len(classes) <= 2:
        n_outputs, out_activation = 1, "logistic"
    else:
        n_outputs, out_activation = len(classes), "softmax"
    return dict(zip(CLASS_ATTRIBUTES, (classes, n_outputs, out_activation, is_multilabel, is_sparse), strict=True))


def describe_kind(is_multilabel, n_labels):
    """Say in words what kind of labels there are."""
    return f"a multilabel matrix of {n_labels} columns" if is_multilabel else "one label for each sample"


def refuse_other_classes(y, classes, known):
    """Refuse classes that are not those known.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Checked labels.
    classes : ndarray of shape (n_classes,) or None
        Those announced, or None if `y` has to have every class. None announced are fine.
    known : ndarray of shape (n_classes,)
        The classes of the network.

    Raises
    ------
    ValueError
        Naming both.
    """
    if classes is None and y.ndim == 1:
        found = np.unique(y)
        if not np.array_equal(found, known):
            raise ValueError(
                f"warm_start needs the classes of the fit that is to be continued, {shown(known.tolist())}, but y has "
                f"{shown(found.tolist())}. Use partial_fit for samples of some of the classes, or warm_start=False to "
                "start anew."
            )
    elif classes is not None and len(classes) > 0 and not np.array_equal(classes, known):
        raise ValueError(f"classes={shown(classes)} is not the same as {known}, the classes of the last call or of y.")


def encode_labels(y, classes, name="y"):
    """Replace labels by their place among the classes.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    classes : ndarray of shape (n_classes,)
        Sorted, distinct labels.
    name : str, default="y"
        What to call the labels in the message.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype int32
        Indices into `classes`.

    Examples
    --------
    >>> import numpy as np
    >>> encode_labels(np.array(["cat", "ant"]), np.array(["ant", "bee", "cat"]))
    array([2, 0], dtype=int32)
    """
    if y.dtype == classes.dtype and y.dtype.kind in "iu":  # a tenth of the time
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        if np.array_equal(classes[codes], y):
            return codes.astype(np.int32)
    distinct, inverse = np.unique(y, return_inverse=True)
    place = {label: code for code, label in enumerate(classes.tolist())}
    unknown = [label for label in distinct.tolist() if label not in place]
    if unknown:
        known = shown(classes.tolist())
        raise ValueError(f"{name} has labels {shown(unknown)} that are not among the classes {known}.")
    return np.array([place[label] for label in distinct.tolist()], dtype=np.int32)[inverse]


def targets_of_classes(n_classes):
    """Return the targets of the network for each class: one-hot; with a single output, 1 for the second class."""
    if n_classes > 2:
        return np.eye(n_classes, dtype=np.float32)
    return np.array([[0.0], [1.0]], dtype=np.float32)[:n_classes]


def weights_of_classes(class_weight, columns, classes, is_multilabel, sample_weight):
    """Find out what each class weighs.

    Parameters
    ----------
    class_weight : dict, list of dict or "balanced"
        The parameter of the classifier.
    columns : sequence of ndarray of shape (n_samples,), dtype int
        The place of each training sample's class among the classes: for multilabel targets one array per column, else a
        single one.
    classes : ndarray of shape (n_classes,)
        Sorted labels; for multilabel targets the numbers of the columns, each of which has the classes 0 and 1.
    is_multilabel : bool
        Whether there are columns.
    sample_weight : ndarray of shape (n_samples,) or None
        What each training sample counts in the frequency of its class.

    Returns
    -------
    weights : list of ndarray of shape (n_classes,), dtype float64
        One array per column.

    Examples
    --------
    >>> import numpy as np
    >>> weights_of_classes("balanced", [np.array([0, 1, 1, 1])], np.array(["no", "yes"]), False, None)
    [array([2.        , 0.66666667])]
    >>> weights_of_classes({"yes": 3}, [np.array([0, 1, 1, 1])], np.array(["no", "yes"]), False, None)
    [array([1., 3.])]
    """
    labels = [[0, 1]] * len(classes) if is_multilabel else [classes.tolist()]
    if is_one_of(class_weight, ("balanced",)):
        return [balanced_weights(codes, len(of), sample_weight) for codes, of in zip(columns, labels, strict=True)]
    if is_multilabel:
        if not isinstance(class_weight, list) or len(class_weight) != len(classes):
            raise ValueError(
                f"class_weight={shown(class_weight)} must be a list of {len(classes)} dicts, one for each column of y, or "
                "'balanced'; for example [{0: 1, 1: 5}, {0: 1, 1: 1}] for two columns."
            )
        return [given_weights(*pair) for pair in zip(class_weight, labels, strict=True)]
    if isinstance(class_weight, list) and class_weight:
        raise ValueError(
            f"class_weight={shown(class_weight)} is a list, which is for multilabel targets, but y is {describe_kind(False, 1)}. "
            "Pass one dict {class: weight}."
        )
    return [given_weights(class_weight or {}, *labels)]


def balanced_weights(codes, n_classes, sample_weight):
    """Return weights that are inverse to the frequency of each class; a class that nothing is known of weighs 1."""
    counts = np.bincount(codes, sample_weight, minlength=n_classes).astype(np.float64)
    occurs = counts > 0
    return np.divide(counts.sum(), occurs.sum() * counts, out=np.ones(n_classes), where=occurs)


def given_weights(class_weight, labels):
    """Return the weights of a dictionary in the order of the labels; those that it lacks weigh 1."""
    others = [key for key in class_weight if key not in labels]
    if others and any(label not in class_weight for label in labels):
        raise ValueError(
            f"class_weight={shown(class_weight)} has keys that are not among the classes {shown(labels)}: {shown(others)}. "
            "Correct them; a class that is left out weighs 1."
        )
    weights = [plain(class_weight[label]) if label in class_weight else 1.0 for label in labels]
    for label, weight in zip(labels, weights, strict=True):
        if not isinstance(weight, bool) and not is_real(weight, 0):
            raise ValueError(
                f"class_weight={shown(class_weight)} gives class {shown(label)} the weight {shown(weight)}: it must be a "
                "number of at least 0; for example 2.0."
            )
    return np.array(weights, dtype=np.float64)


def weights_of_samples(weights, columns):
    """Return the weight of each sample: that of its class, and of several columns their product.

    Examples
    --------
    >>> import numpy as np
    >>> weights_of_samples([np.array([1.0, 3.0])], [np.array([0, 1, 1])])
    array([1., 3., 3.])
    """
    return np.prod([of_column[codes] for of_column, codes in zip(weights, columns, strict=True)], axis=0, dtype=np.float64)


def smoothed(targets, share, n_classes):
    """Spread a share of every target evenly over all classes.

    Parameters
    ----------
    targets : ndarray of shape (n_rows, n_outputs), dtype float32
        One-hot, or 0-1 where the outputs are independent.
    share : float
        From 0 to below 1.
    n_classes : int
        Among which it is spread: 2 where the outputs are independent.

    Returns
    -------
    targets : ndarray of the same shape and dtype
        Szegedy et al. (2016), section 7. The same array where there is nothing to spread.

    Examples
    --------
    >>> import numpy as np
    >>> smoothed(np.array([[0, 0, 1, 0]], dtype=np.float32), 0.5, 4)
    array([[0.125, 0.125, 0.625, 0.125]], dtype=float32)
    >>> smoothed(np.array([[1]], dtype=np.float32), 0.5, 2)  # the probability of the second of two classes
    array([[0.75]], dtype=float32)
    """
    if share == 0.0:
        return targets
    return (targets * np.float32(1.0 - share) + np.float32(share / n_classes)).astype(np.float32)


def predicted_codes(scores, n_classes):
    """Say which class the scores speak for."""
    if n_classes == 1:
        return np.zeros(len(scores), dtype=np.int64)
    return scores.argmax(axis=1) if n_classes > 2 else (scores[:, 0] > 0).astype(np.int64)
