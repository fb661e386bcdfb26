"""The activations of a network's layer as features, for any estimator after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from sklearn_cnn._estimator.parameters import InvalidParameterError, boolean, check_rules, is_boolean, shown
from sklearn_cnn._estimator.persistence import with_all_parameters
from sklearn_cnn._estimator.state import damaged, number_type
from sklearn_cnn._estimator.validation import check_layer
from sklearn_cnn._onnx.support import OnnxSupport


class ConvNetTransformer(OnnxSupport, TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    """The output of a layer of a convolutional network, as features for another estimator.

    A network learns features and a linear model on them at once. This passes the features of any layer to another estimator: a
    support vector machine, nearest neighbours, a projection to two dimensions.

    Parameters
    ----------
    estimator : ConvNetClassifier or ConvNetRegressor
        The network. A fitted one may also come as a ``FrozenEstimator``.
    layer : int or str, default=-1
        The layer: the number of a row of `layer_table_`, which is a line of `summary()`, or its name, such as
        ``"block 1: max pooling"`` or ``"dense 0"``. Neither the input nor the output layer counts, so -1 is the input of the
        output layer.
    prefit : bool, default=False
        Whether `estimator` is fitted already. `fit` then takes a copy of it as it is, and `transform` needs no `fit`.

    Attributes
    ----------
    estimator_ : ConvNetClassifier or ConvNetRegressor
        The fitted network.
    n_features_in_ : int
        Number of values per sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` had string names.

    See Also
    --------
    ConvNetClassifier.feature_maps : The maps of a block as images.
    sklearn.feature_selection.SelectFromModel : Features chosen by a model, in the same way.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from sklearn_cnn import ConvNetClassifier, ConvNetTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(n_filters=(8, 16), input_shape=(8, 8), max_iter=10, random_state=0)
    >>> features = ConvNetTransformer(network, layer="block 1: max pooling")
    >>> model = make_pipeline(features, StandardScaler(), SVC()).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.9
    True
    >>> model[0].get_feature_names_out()[:2]  # row, column and filter of the map
    array(['block1_max_pooling_0_0_0', 'block1_max_pooling_0_0_1'],
          dtype=object)
    """

    def __init__(self, estimator: BaseEstimator, *, layer: int | str = -1, prefit: bool = False) -> None:
        self.estimator = estimator
        self.layer = layer
        self.prefit = prefit

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Train a copy of the network, or take over the one that is fitted already.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; ignored where the network is fitted already.
        **fit_params : dict
            Passed to `fit` of the network, such as `sample_weight`; with metadata routing only what it has requested.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        TypeError
            If `estimator` is not a network of this package, `layer` is neither int nor str, or `prefit` is no bool.
        ValueError
            If the network has no such layer; the message lists those that it has.
        NotFittedError
            If `prefit` is true and the network is not fitted.
        """
        self._check_parameters()
        if self.prefit:
            network = deepcopy(self.estimator)
        else:
            routing = get_config()["enable_metadata_routing"]
            params = process_routing(self, "fit", **fit_params).estimator.fit if routing else fit_params
            network = clone(self.estimator).fit(X, y, **params)
        check_layer(network, self.layer)
        self.estimator_ = network
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the activations of the layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals, as the network has been fitted on.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out), dtype float32, or float64 with "lbfgs"
            In the order of `get_feature_names_out`. A sample's are bitwise the same whatever other samples are passed with it.
        """
        network = self._network()
        values = network._layer_values(X, check_layer(network, self.layer)[0])
        return values.reshape(len(values), -1)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[np.object_]:
        """Name the features: the layer, and the row, column and filter (or unit); an axis of length one is left out.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Not used, but refused if they are not as many as `n_features_in_`, or not those of the fit.

        Returns
        -------
        names : ndarray of shape (n_features_out,), dtype object
            Such as "block1_max_pooling_0_0_5" or "dense0_5".
        """
        network = self._network()
        known = getattr(network, "feature_names_in_", None)
        if input_features is not None and known is not None and not np.array_equal(known, input_features):
            raise ValueError("input_features is not equal to feature_names_in_")
        if input_features is not None and len(input_features) != network.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({network.n_features_in_}), got "
                f"{len(input_features)}"
            )
        row = check_layer(network, self.layer)[1]
        name = re.sub(r"\W+", "_", re.sub(r" (?=\d)", "", row["name"]))
        shape = [length for length in row["output_shape"] if length > 1]
        return np.array(["_".join(map(str, (name, *index))) for index in np.ndindex(*shape)], dtype=object)

    @property
    def n_features_in_(self):
        """Number of values per sample."""
        return self._network().n_features_in_

    @property
    def feature_names_in_(self):
        """Names of the features, where the network was fitted on some."""
        return self._network().feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Say how metadata reach the network.

        Returns
        -------
        routing : MetadataRouter
            `fit` and `fit_transform` hand on to `fit` of the network what that has requested.
        """
        # pipelines of scikit-learn 1.6 ask for fit_transform
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)

    def _check_parameters(self):
        """Refuse what can be refused before training."""
        self._check_types()
        if self.prefit:
            check_is_fitted(self.estimator, msg="prefit=True needs an estimator that is fitted already: call its fit before.")
            check_layer(self.estimator, self.layer)

    def _check_types(self):
        """Refuse what is no network, and what is neither true nor false."""
        if not self._has_network():
            raise InvalidParameterError(
                f"estimator={shown(self.estimator)} is no convolutional network; pass a ConvNetClassifier or a ConvNetRegressor."
            )
        if not is_boolean(self.prefit):
            check_rules(self, {"prefit": boolean()})

    def _has_network(self):
        """Say whether `estimator` is a network, also inside a ``FrozenEstimator``."""
        return hasattr(self.estimator, "_layer_values") and not isinstance(self.estimator, type)

    def _network(self):
        """Return the fitted network."""
        self._check_types()
        check_is_fitted(self)
        network = self.estimator if "estimator_" not in vars(self) else self.estimator_
        if not hasattr(network, "_layer_values"):
            raise damaged("estimator_", "a convolutional network", network)
        return network

    def __sklearn_is_fitted__(self):
        """Say whether there is a fitted network: one's own, or one that came fitted."""
        if "estimator_" not in vars(self) and self.prefit:
            self._check_parameters()
            return True
        return "estimator_" in vars(self)

    def __sklearn_tags__(self):
        """Describe the transformer to scikit-learn's tools: it takes what its network takes."""
        tags = super().__sklearn_tags__()
        if self._has_network():
            inner = get_tags(self.estimator)
            tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
            tags.transformer_tags.preserves_dtype = ["float32"] if number_type(self.estimator.solver) is np.float32 else []
        return tags

    def __setstate__(self, state):
        """Restore a pickled transformer; refuse a damaged state."""
        super().__setstate__(with_all_parameters(self, state))
