"""What a convolutional classifier and a regressor share: fit, the fitted state, and scores."""

import warnings
from abc import ABCMeta, abstractmethod
from inspect import signature

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from sklearn_cnn._estimator.attributes import FittedAttributes
from sklearn_cnn._estimator.diagram import NetworkDiagram
from sklearn_cnn._estimator.fitted import fitted_network, fitted_plan, realigned, refuse_tainted
from sklearn_cnn._estimator.fitting import Problem, advance_random_state, fit_network
from sklearn_cnn._estimator.images import declared_shape, resolve_input_shape
from sklearn_cnn._estimator.parameters import check_parameters
from sklearn_cnn._estimator.validation import check_map, check_X, check_X_predict, combine_weights
from sklearn_cnn._kernels import effective_n_threads
from sklearn_cnn._network.summary import layer_table, summary_text
from sklearn_cnn._version import __version__

# Above this many samples early_stopping="auto" holds a part out, as in HistGradientBoosting.
MANY_SAMPLES = 10_000


class BaseConvNet(FittedAttributes, NetworkDiagram, BaseEstimator, metaclass=ABCMeta):
    """Skeleton of an estimator whose model is a convolutional network.

    The fitted model is the dictionary ``_fitted``. Everything public that ends in an underscore is read from it.
    """

    @abstractmethod
    def _check_target(self, y, n_samples, attributes=None, classes=None, name="y"):
        """Return the Target for y; `attributes` are those of an earlier one to agree with."""

    def _targets_to_learn(self, target):
        """Return the targets that training sees; validation always sees the true ones."""
        return target.matrix

    @abstractmethod
    def _evaluate(self, scores, target, sample_weight):
        """Return the score and the loss of scores."""

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Nothing changes before training has succeeded: after an error or Ctrl-C the estimator is what it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals of any real dtype. ``uint8``, ``float32``, ``float64`` and memory-mapped arrays are read in
            place, one mini-batch at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample. A weight of zero is the same as leaving the sample out.
        X_val : array-like of the same form as `X`, default=None
            Data to watch training with; used in place of a part of `X`.
        y_val : array-like, default=None
            Targets of `X_val`.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weights of `X_val`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_parameters(self)
        earlier = vars(self).get("_fitted") if self.warm_start else None
        problem = self._check_problem(X, y, sample_weight, earlier)
        watched = self._check_watched(X_val, y_val, sample_weight_val, problem)
        stops_early = self._stops_early(problem, watched)
        fitted = fit_network(
            self, problem, watched, earlier, n_epochs=self.max_iter, stops_early=stops_early, begins_cycle=True
        )
        self._publish(fitted, earlier)
        return self

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """Train for one epoch on the samples given, from where training has stopped."""
        check_parameters(self)
        earlier = vars(self).get("_fitted")
        problem = self._check_problem(X, y, sample_weight, earlier, classes)
        fitted = fit_network(self, problem, None, earlier, n_epochs=1, stops_early=False, begins_cycle=False)
        self._publish(fitted, earlier)
        return self

    def _check_problem(self, X, y, sample_weight, earlier, classes=None):
        """Check the training data, against an earlier fit if that is to be continued."""
        X, image_shape, features = check_X(self, X, earlier)
        if earlier is None:
            input_shape = resolve_input_shape(self.input_shape, image_shape, X.shape[1])
        else:
            input_shape = earlier["input_shape_"]
            if declared_shape(self.input_shape) not in (None, input_shape):
                raise ValueError(
                    f"input_shape={self.input_shape!r} has changed since the fit that is to be continued, which saw {input_shape}"
                    ". Set it back, or start anew with warm_start=False or with clone."
                )
        target = self._check_target(y, len(X), earlier, classes)
        weight = combine_weights(sample_weight, target.weight, len(X), "sample_weight")
        rows = np.arange(len(X)) if weight is None else np.flatnonzero(weight)
        return Problem(X, target, weight, rows, input_shape, features)

    def _check_watched(self, X_val, y_val, sample_weight_val, problem):
        """Check the validation data; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"{missing} is missing: a validation set needs both X_val and y_val.")
        X_val = check_X(self, X_val, {**problem.features, "input_shape_": problem.input_shape})[0]
        target = self._check_target(y_val, len(X_val), problem.target.attributes, name="y_val")
        weight = combine_weights(sample_weight_val, target.weight, len(X_val), "sample_weight_val")
        return Problem(X_val, target, weight, np.arange(len(X_val)), problem.input_shape, problem.features)

    def _stops_early(self, problem, watched):
        """Resolve ``early_stopping="auto"``."""
        if self.early_stopping == "auto":
            return watched is not None or len(problem.rows) > MANY_SAMPLES
        return bool(self.early_stopping)

    def _publish(self, fitted, earlier):
        """Make a finished fit visible, with one assignment."""
        self._fitted = fitted
        if earlier is None:
            advance_random_state(self.random_state)

    def _scores(self, X):
        """Compute the scores of X; return them and the one state they were computed with."""
        fitted = self._check_fitted()
        X = check_X_predict(self, X, fitted)
        network, scaling = fitted_network(fitted)
        scores = network.scores(X, **scaling, n_threads=effective_n_threads(self.n_jobs))
        refuse_tainted(scores, fitted)
        return scores, fitted

    def feature_maps(self, X, block=0, stage="conv"):
        """Compute what a convolution block makes of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals, as for `predict`; they are scaled like there.
        block : int, default=0
            Number of the block, counted from 0; -1 is the last.
        stage : {"conv", "pool"}, default="conv"
            "conv" is the map behind the activation, "pool" the output of the block, behind its pooling if it has one. With
            `batch_norm` and maximum pooling the activation comes last: there "conv" is the bare convolution.

        Returns
        -------
        maps : ndarray of shape (n_samples, rows, columns, n_filters), dtype float32
            Bright where the kernel matches. A signal's have one row.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_cnn import ConvNetClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
        >>> network.feature_maps(X[:5]).shape
        (5, 8, 8, 16)
        >>> network.feature_maps(X[:5], block=1, stage="pool").shape
        (5, 2, 2, 32)
        """
        fitted = self._check_fitted()
        X = check_X_predict(self, X, fitted)
        network, scaling = fitted_network(fitted)
        block = check_map(network.plan, block, stage)
        maps = network.maps(X, block, stage, **scaling, n_threads=effective_n_threads(self.n_jobs))
        refuse_tainted(maps, fitted)
        return maps

    def summary(self):
        """Describe the fitted network in a table of plain text.

        Returns
        -------
        text : str
            One line per layer: window and its stride, shape of the output, receptive field ("sees"), effective stride
            ("step"), and the parameters as built, without weight sharing, and with a dense layer in its place. See
            `layer_table_` for the same as numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_cnn import ConvNetClassifier
        >>> X, y = np.random.RandomState(0).rand(20, 12, 12), [0, 1, 2, 3] * 5
        >>> network = ConvNetClassifier(n_filters=8, kernel_size=5, padding="valid", max_iter=1).fit(X, y)
        >>> print(network.summary())
        ConvNetClassifier
        ---------------------------------------------------------------------------------------------------
        layer                 window              output        sees   step  parameters  unshared  as dense
        ---------------------------------------------------------------------------------------------------
        input                                12 x 12 x 1
        block 0: convolution  5 x 5            8 x 8 x 8       5 x 5  1 x 1         208    13,312    74,240
        block 0: max pooling  2 x 2 / 2 x 2    4 x 4 x 8       6 x 6  2 x 2           -         -         -
        output                                         4  everything                516       516       516
        ---------------------------------------------------------------------------------------------------
        total                                                                       724    13,828    74,756
        ---------------------------------------------------------------------------------------------------
        Without weight sharing there would be 19.1 times as many parameters.
        With a dense layer in place of each convolution there would be 103.3 times as many.
        """
        fitted = self._check_fitted()
        plan = fitted_plan(fitted)
        return summary_text(type(self).__name__, layer_table(plan), plan.input_shape)

    def _check_fitted(self):
        """Return the fitted state, which one call reads only once."""
        fitted = vars(self).get("_fitted")
        if fitted is None:
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' before using it.")
        return fitted

    def __sklearn_is_fitted__(self):
        """Say whether fit or partial_fit has succeeded."""
        return "_fitted" in vars(self)

    def __getstate__(self):
        """Add the version to what is pickled."""
        return {**super().__getstate__(), "_sklearn_cnn_version": __version__}

    def __setstate__(self, state):
        """Restore a pickled estimator, and warn if another version has written it."""
        state = dict(state)
        written_by = state.pop("_sklearn_cnn_version", "an unknown version")
        if written_by != __version__:
            warnings.warn(
                f"This {type(self).__name__} was pickled by sklearn_cnn {written_by} and is loaded by {__version__}. It may "
                "fail or give other results; fit it again with this version.",
                UserWarning,
                stacklevel=2,
            )
        if "_fitted" in state:
            state["_fitted"] = realigned(state["_fitted"])
        # What was no parameter yet when the estimator was pickled begins at its default.
        defaults = {name: parameter.default for name, parameter in signature(type(self).__init__).parameters.items()}
        missing = set(self._get_param_names()) - set(state)
        super().__setstate__({**{name: defaults[name] for name in missing}, **state})
