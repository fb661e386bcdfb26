"""The classifier: labels, probabilities and scikit-learn's conventions, and nothing about networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from sklearn_cnn._estimator.annotations import (
    Auto,
    ClassWeight,
    NameOrNonePerBlock,
    NamePerBlock,
    PaddingPerBlock,
    RandomState,
    Scoring,
    SizePerBlock,
)
from sklearn_cnn._estimator.base import BaseConvNet, has_mini_batches
from sklearn_cnn._estimator.docstrings import completed
from sklearn_cnn._estimator.fitting import Target
from sklearn_cnn._estimator.labels import (
    CLASS_ATTRIBUTES,
    describe_classes,
    describe_kind,
    encode_labels,
    find_classes,
    predicted_codes,
    refuse_other_classes,
    smoothed,
    targets_of_classes,
    weights_of_classes,
    weights_of_samples,
)
from sklearn_cnn._estimator.outputs import log_logistic, log_of_probabilities, log_softmax, logistic, sample_losses, softmax
from sklearn_cnn._estimator.parameters import is_one_of
from sklearn_cnn._estimator.state import OF_CLASSES
from sklearn_cnn._estimator.validation import check_classes, check_labels
from sklearn_cnn._onnx.support import OnnxSupport


@completed
class ConvNetClassifier(ClassifierMixin, OnnxSupport, BaseConvNet):
    """Convolutional network for classification.

    Blocks of convolution, activation and pooling, then dense layers, trained by mini-batches on the cross-entropy. The input
    may be images or signals as they are, or flattened to rows of features with `input_shape`, which works with every
    scikit-learn tool.

    Parameters
    ----------
    validation_fraction : float, default=0.1
        Share of the samples to hold out, stratified, if early stopping is on and no validation data are passed.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, ``{class: weight}``, for multilabel targets a list of those; multiplied into `sample_weight`.
        Those that are left out weigh 1. "balanced" weighs inversely to frequency in the training data, in which each sample
        counts with its weight. `partial_fit` cannot know the frequency and refuses it.
    label_smoothing : float, default=0.0
        Share of each target that is spread evenly over all classes (Szegedy et al., 2016): of K classes the true one gets
        ``1 - label_smoothing + label_smoothing / K``. With two classes, and for each label of a multilabel target, K is 2. The
        training loss is that of the smoothed targets; validation loss and scores are those of the true ones.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    out_activation_ : str
        "softmax", or "logistic" for two classes and for multilabel targets.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Fully connected network.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_cnn import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=30, random_state=0).fit(X_train, y_train)
    >>> network.predict(X_test[:5])
    array([2, 8, 2, 6, 6])
    >>> network.score(X_test, y_test) > 0.97
    True
    """

    _of_target = OF_CLASSES

    def __init__(
        self,
        n_filters: int | Sequence[int] | Auto = "auto",
        kernel_size: SizePerBlock = 3,
        *,
        stride: SizePerBlock = 1,
        padding: PaddingPerBlock = "same",
        padding_mode: NamePerBlock = "zeros",
        pooling: NameOrNonePerBlock = "max",
        pool_size: SizePerBlock = 2,
        pool_stride: SizePerBlock | None = None,
        weight_sharing: bool | Sequence[bool] = True,
        global_pooling: str | None = "auto",
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: str = "relu",
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | Auto = "auto",
        learning_rate: str = "auto",
        learning_rate_init: float = 1e-3,
        power_t: float = 0.5,
        max_iter: int = 30,
        shuffle: bool = True,
        random_state: RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | Auto = "auto",
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        class_weight: ClassWeight = None,
        scoring: Scoring = None,
        dropout: float | Sequence[float] | Auto = "auto",
        batch_norm: bool | Auto = "auto",
        augment: BaseEstimator | Callable | None = None,
        label_smoothing: float = 0.0,
        input_shape: Sequence[int] | None = None,
        scale_input: bool = True,
        winograd_tile: int = 2,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            n_filters=n_filters,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
            pooling=pooling,
            pool_size=pool_size,
            pool_stride=pool_stride,
            weight_sharing=weight_sharing,
            global_pooling=global_pooling,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            scoring=scoring,
            dropout=dropout,
            batch_norm=batch_norm,
            augment=augment,
            input_shape=input_shape,
            scale_input=scale_input,
            winograd_tile=winograd_tile,
            n_jobs=n_jobs,
        )
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing

    @available_if(has_mini_batches)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the samples given, from where training has stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals. Their scaling follows from the samples of all calls, these included.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or a multilabel indicator matrix.
        classes : array-like of shape (n_classes,), default=None
            All labels there will ever be; needed in the first call, unless `y` is multilabel.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.

        Returns
        -------
        self : object
            The estimator, trained further.

        Raises
        ------
        ValueError
            If `y` has labels that are not among the classes, and with ``class_weight="balanced"``: frequencies are not known.
        """
        if is_one_of(self.class_weight, ("balanced",)):
            raise ValueError(
                "class_weight='balanced' is not possible with partial_fit, which does not see all samples. Compute weights with "
                "sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, y=y) on a y that is large "
                "enough, and pass them as class_weight={class: weight}."
            )
        return self._partial_fit(X, y, sample_weight, () if classes is None else check_classes(classes))

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or csr_matrix of shape (n_samples, n_outputs)
            The most probable class of each sample; for multilabel targets 1 where the probability exceeds one half, in a sparse
            matrix if training has seen one.
        """
        scores, fitted = self._scores(X)
        if fitted["is_multilabel"]:
            labels = (scores > 0).astype(np.int64)
            return csr_matrix(labels) if fitted["is_sparse"] else labels
        return fitted["classes_"][predicted_codes(scores, len(fitted["classes_"]))]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), dtype float32, or float64 with "lbfgs"
            In the order of `classes_`. A sample's are bitwise the same whatever other samples are passed with it.
        """
        return self._probabilities(*self._scores(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict the logarithm of the probability of each class, finite also where the probability underflows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), dtype float32, or float64 with "lbfgs"
            In the order of `classes_`.
        """
        scores, fitted = self._scores(X)
        if len(fitted["classes_"]) == 1 and not fitted["is_multilabel"]:
            return np.zeros_like(scores)
        if fitted["out_activation_"] == "softmax":
            logarithms = log_softmax(scores)
        else:
            logarithms = log_logistic(scores if fitted["is_multilabel"] else np.hstack([-scores, scores]))
        return log_of_probabilities(self._probabilities(scores, fitted), logarithms)

    def decision_function(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the scores before the output activation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), dtype float32, or float64 with "lbfgs"
            One per class; of two classes only that of the second, which is positive where it is predicted.
        """
        scores, fitted = self._scores(X)
        return scores if fitted["is_multilabel"] or fitted["out_activation_"] == "softmax" else scores.ravel()

    def _probabilities(self, scores, fitted):
        """Turn scores into probabilities: exclusive ones, or independent ones of labels, or of two classes."""
        if fitted["out_activation_"] == "softmax":
            return softmax(scores)
        if fitted["is_multilabel"]:
            return logistic(scores)
        return logistic(np.hstack([-scores, scores])) if len(fitted["classes_"]) == 2 else np.ones_like(scores)

    def _check_target(self, y, n_samples, attributes=None, classes=None, name="y"):
        """Encode labels; the classes are those of earlier attributes, those passed, or those found in y."""
        is_sparse = issparse(y)
        y = check_labels(self, y, n_samples, name, attributes is not None)
        is_multilabel = y.ndim == 2
        if attributes is None:
            attributes = describe_classes(find_classes(y, classes), is_multilabel, is_sparse)
        elif attributes["is_multilabel"] != is_multilabel or (is_multilabel and y.shape[1] != attributes["n_outputs_"]):
            raise ValueError(
                f"{name} is {describe_kind(is_multilabel, y.shape[-1])}, but training has begun with "
                f"{describe_kind(attributes['is_multilabel'], attributes['n_outputs_'])}. Pass the same, or begin anew with "
                "warm_start=False or with clone."
            )
        refuse_other_classes(y, classes, attributes["classes_"])
        attributes = {key: attributes[key] for key in CLASS_ATTRIBUTES}
        if is_multilabel:
            return Target(y.astype(np.float32), None, None, attributes, y)
        codes = encode_labels(y, attributes["classes_"], name)
        return Target(targets_of_classes(len(attributes["classes_"])), codes, None, attributes, y)

    def _weights_of_target(self, target, training, sample_weight):
        """Weigh the samples by their classes, validation data as training data."""
        if self.class_weight is None:
            return None
        classes, is_multilabel = (target.attributes[name] for name in ("classes_", "is_multilabel"))
        of_training, columns = (part.values.T.astype(np.int64) if is_multilabel else [part.codes] for part in (training, target))
        weights = weights_of_classes(self.class_weight, of_training, classes, is_multilabel, sample_weight)
        return weights_of_samples(weights, columns)

    def _targets_to_learn(self, target):
        """Smooth the labels."""
        n_classes = target.attributes["n_outputs_"] if target.attributes["out_activation_"] == "softmax" else 2
        return smoothed(target.values, float(self.label_smoothing), n_classes)

    def _judge(self, scores, target):
        """Say of each sample whether it is predicted right, and its loss."""
        if target.attributes["is_multilabel"]:
            is_right = ((scores > 0) == (target.values > 0)).all(axis=1)
        else:
            is_right = predicted_codes(scores, len(target.attributes["classes_"])) == target.codes
        return is_right, sample_losses(scores, target.matrix(), target.attributes["out_activation_"])

    def _evaluate(self, judged, target, sample_weight):
        """Compute accuracy and mean cross-entropy."""
        is_right, losses = judged
        return float(np.average(is_right, weights=sample_weight)), float(np.average(losses, weights=sample_weight))

    def __sklearn_tags__(self):
        """Describe the estimator to scikit-learn's tools."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
