"""The regressor: real targets in a scale of their own and scikit-learn's conventions, and nothing about networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from sklearn_cnn._estimator.base import BaseConvNet, has_mini_batches
from sklearn_cnn._estimator.docstrings import completed
from sklearn_cnn._estimator.fitting import Target
from sklearn_cnn._estimator.outputs import sample_losses
from sklearn_cnn._estimator.state import OF_NUMBERS
from sklearn_cnn._estimator.validation import check_numbers
from sklearn_cnn._onnx.support import OnnxSupport
from sklearn_cnn._training.scaling import target_scaling


@completed
class ConvNetRegressor(RegressorMixin, OnnxSupport, BaseConvNet):
    """Convolutional network for regression.

    Blocks of convolution, activation and pooling, then dense layers, trained on the squared error. The input may be images or
    signals as they are, or flattened to rows of features with `input_shape`, which works with every scikit-learn tool. There
    may be several outputs.

    The targets are brought to mean zero and standard deviation one, output by output, with the sample weights, and predictions
    are brought back. So losses are in units of the variance of the targets: half the squared error, averaged over the outputs.
    An output that is constant is only brought to zero.

    Parameters
    ----------
    validation_fraction : float, default=0.1
        Share of the samples to hold out if early stopping is on and no validation data are passed.

    Attributes
    ----------
    out_activation_ : str
        "identity".

    See Also
    --------
    ConvNetClassifier : The same for classes.
    sklearn.neural_network.MLPRegressor : Fully connected network.

    References
    ----------
    Hinton, "Connectionist learning procedures", Artificial Intelligence 40, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cnn import ConvNetRegressor
    >>> column = np.arange(300) % 12  # images with one bright column: which one?
    >>> X = np.zeros((300, 12, 12))
    >>> X[np.arange(300), :, column] = 1.0
    >>> network = ConvNetRegressor(n_filters=8, hidden_layer_sizes=16, max_iter=60, random_state=0).fit(X, column)
    >>> network.predict(X[1:4]).round(0)
    array([1., 2., 3.])
    >>> network.score(X, column) > 0.99
    True
    """

    _of_target = OF_NUMBERS

    @available_if(has_mini_batches)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on the samples given, from where training has stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals. Their scaling follows from the samples of all calls, these included.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict. Their scaling is learnt in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), dtype float64
            One-dimensional for one output. A sample's are bitwise the same whatever other samples are passed with it.
        """
        scores, fitted = self._scores(X)
        y = fitted["target_mean"] + fitted["target_deviation"] * scores
        return y.ravel() if y.shape[1] == 1 else y

    def _check_target(self, y, n_samples, attributes=None, classes=None, name="y"):
        """Check real targets; as many outputs as in earlier attributes. There are no classes."""
        y = check_numbers(self, y, n_samples, name)
        if attributes is not None and y.shape[1] != attributes["n_outputs_"]:
            raise ValueError(f"{name} has {y.shape[1]} outputs, but {attributes['n_outputs_']} were seen before.")
        attributes = {"n_outputs_": y.shape[1], "out_activation_": "identity"}
        own_y = y.ravel() if y.shape[1] == 1 else y
        return Target(y, None, None, attributes, own_y)

    def _scale_targets(self, problem, watched, earlier):
        """Standardise the targets of both problems by the first, or as an earlier fit has done."""
        if earlier is None:
            mean, deviation = target_scaling(problem.target.values, problem.rows, problem.sample_weight)
        else:
            mean, deviation = earlier["target_mean"], earlier["target_deviation"]

        def scaled(problem):
            attributes = {**problem.target.attributes, "target_mean": mean, "target_deviation": deviation}
            values = (problem.target.values - mean) / deviation
            return replace(problem, target=replace(problem.target, values=values, attributes=attributes))

        return scaled(problem), None if watched is None else scaled(watched)

    def _judge(self, scores, target):
        """Return the scores and the loss of each sample."""
        return scores, sample_losses(scores, target.values, "identity")

    def _evaluate(self, judged, target, sample_weight):
        """Compute R2, which no scaling changes, and the mean loss; as for constant targets, R2 is 0 for a single one."""
        scores, losses = judged
        r2 = r2_score(target.values, scores, sample_weight=sample_weight) if len(scores) > 1 else 0.0
        return float(r2), float(np.average(losses, weights=sample_weight))

    def __sklearn_tags__(self):
        """Describe the estimator to scikit-learn's tools."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
