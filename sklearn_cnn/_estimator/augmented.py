"""Augmented images to look at, made by the kernels that training uses, and drawn as a fit would draw them."""

import numpy as np

from sklearn_cnn._estimator.fitting import new_random_streams
from sklearn_cnn._estimator.images import resolve_input_shape
from sklearn_cnn._estimator.parameters import (
    AUGMENTATION_RULES,
    RULES,
    InvalidParameterError,
    check_rules,
    integer,
    plain_augmentation,
    what_breaks,
)
from sklearn_cnn._estimator.state import is_exported
from sklearn_cnn._estimator.validation import check_X
from sklearn_cnn._network.words import shown
from sklearn_cnn._training.augmentation import build_augmentation
from sklearn_cnn._training.scaling import channel_moments, channel_scaling

ARGUMENT_RULES = {"epoch": integer(1, "1"), **{name: RULES[name] for name in ("input_shape", "random_state", "scale_input")}}


def augmented_versions(augmentation, X, *, input_shape=None, rows=None, epochs=(1,), random_state=None, scale_input=True):
    """Compute what training sees of images, epoch by epoch.

    Parameters
    ----------
    augmentation : ImageAugmentation
        Its parameters are checked.
    X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
        The samples that a network would be fitted to; the scaling of the input is learnt from all of them.
    input_shape : tuple of int, default=None
        As for the estimator.
    rows : ndarray of shape (n_rows,), dtype int64, default=None
        The samples to augment; None is all of them.
    epochs : sequence of int, default=(1,)
        Numbers of the epochs, counted from 1.
    random_state : None, int or RandomState, default=None
        As for the estimator: the same number draws the same.
    scale_input : bool, default=True
        As for the estimator.

    Returns
    -------
    images : ndarray of shape (n_rows, rows, columns, channels)
        The samples themselves.
    versions : ndarray of shape (n_epochs, n_rows, rows, columns, channels), dtype float64
        In the scale of X.
    """
    check_rules(augmentation, AUGMENTATION_RULES)
    given = {"input_shape": input_shape, "random_state": random_state, "scale_input": scale_input}
    for name, value in [*given.items(), *(("epoch", epoch) for epoch in epochs)]:
        rule = ARGUMENT_RULES[name]
        if not rule.accepts(value):
            raise InvalidParameterError(what_breaks(rule, name, shown(value)))
    X, image_shape, _ = check_X(augmentation, X)
    shape = resolve_input_shape(input_shape, image_shape, X.shape[1])
    rows = np.arange(len(X)) if rows is None else rows
    shift, factor = None, None
    if scale_input:
        shift, factor = channel_scaling(channel_moments(X, np.arange(len(X)), None, shape[2]))
    _, seed = new_random_streams(random_state)
    way = build_augmentation(plain_augmentation(augmentation), shape, seed)
    return X[rows].reshape(-1, *shape), np.stack([way.versions(X, rows, epoch, shift, factor) for epoch in epochs])


def versions_in_fit(estimator, X, epochs):
    """Compute what the fit of an estimator makes of one image, if that is the first row of X.

    Parameters
    ----------
    estimator : BaseConvNet
        Fitted.
    X : ndarray of shape (1, n_features)
        The image.
    epochs : sequence of int
        Numbers of the epochs, counted from 1 over all calls.

    Returns
    -------
    versions : ndarray of shape (n_epochs, rows, columns, channels)
        In the scale of X.
    """
    fitted = estimator._check_fitted()
    if is_exported(fitted):
        raise ValueError(
            f"This {type(estimator).__name__} was exported: it predicts, but does not know what its fit has drawn. Use the "
            "estimator that it was exported from, or AugmentationDisplay.from_augmentation."
        )
    augment = plain_augmentation(estimator.augment)
    way = build_augmentation(augment, fitted["input_shape_"], fitted["split_seed"])
    rows = np.zeros(1, dtype=np.int64)
    return np.concatenate([way.versions(X, rows, epoch, fitted["shift"], fitted["factor"]) for epoch in epochs])
