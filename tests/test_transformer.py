"""Activations of a layer as features: what they are, and scikit-learn's conventions around them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from images import digits, small_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer

MINI_BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 is in one mini-batch, a row repeated may be in two",
}
X, Y = digits()
NETWORKS = {
    "max": {},
    "average": {"pooling": "average"},
    "bare": {"pooling": None, "stride": 2},
    "normalised": {"batch_norm": True},
    "normalised_average": {"batch_norm": True, "pooling": "average"},
    "normalised_bare": {"batch_norm": True, "pooling": None},
    "global": {"global_pooling": "average"},
    "local": {"weight_sharing": [True, False], "batch_norm": True},
}


def fitted(**parameters):
    parameters = {"n_filters": (4, 6), "hidden_layer_sizes": (7,), "activation": "tanh", "input_shape": (8, 8)} | parameters
    return small_network(**parameters).fit(X, Y)


@parametrize_with_checks(
    [ConvNetTransformer(kind(random_state=0)) for kind in (ConvNetClassifier, ConvNetRegressor)],
    expected_failed_checks=lambda estimator: MINI_BATCHES,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
    ],
)
def test_scikit_learn_checks_of_names_and_containers(check):
    getattr(estimator_checks, check)("ConvNetTransformer", ConvNetTransformer(ConvNetClassifier(max_iter=5, random_state=0)))


@pytest.mark.parametrize("parameters", NETWORKS.values(), ids=NETWORKS)
def test_every_row_of_the_layer_table_is_a_layer(parameters):
    network = fitted(**parameters)
    *rows, _ = network.layer_table_
    for number, row in enumerate(rows):
        features = ConvNetTransformer(network, layer=number, prefit=True).transform(X)
        assert features.shape == (len(X), np.prod(row["output_shape"])), row["name"]
        assert features.dtype == np.float32
        for same in (row["name"], number - len(rows), np.int64(number)):
            np.testing.assert_array_equal(ConvNetTransformer(network, layer=same, prefit=True).transform(X), features)


@pytest.mark.parametrize("parameters", NETWORKS.values(), ids=NETWORKS)
def test_the_output_layer_sees_the_last_layer(parameters):
    network = fitted(**parameters)
    features = ConvNetTransformer(network, prefit=True).transform(X)
    scores = features @ network.coefs_[-1] + network.intercepts_[-1]
    np.testing.assert_allclose(scores, network.decision_function(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("parameters", NETWORKS.values(), ids=NETWORKS)
def test_layers_of_a_block_are_its_feature_maps(parameters):
    network = fitted(**parameters)
    names = [row["name"] for row in network.layer_table_]
    of_block = [name for name in names if name.startswith("block 1:")]
    maps = network.feature_maps(X, 1, "pool")
    features = ConvNetTransformer(network, layer=of_block[-1], prefit=True).transform(X)
    np.testing.assert_array_equal(features, maps.reshape(len(X), -1))


def test_normalisation_is_what_stands_between_two_rows():
    network = fitted(batch_norm=True)
    before = ConvNetTransformer(network, layer="dense 0", prefit=True).transform(X)
    behind = ConvNetTransformer(network, layer="dense 0: batch norm", prefit=True).transform(X)
    # tanh of an affine map of each unit: the order of a unit's values stays or is turned round
    for one, other in zip(before.T, np.arctanh(np.clip(behind, -0.999999, 0.999999)).T, strict=True):
        is_inside = np.abs(other) < 3
        slope, offset = np.polyfit(one[is_inside], other[is_inside], 1)
        np.testing.assert_allclose(slope * one[is_inside] + offset, other[is_inside], atol=1e-2)


def test_names_tell_layer_row_column_and_filter():
    network = fitted(global_pooling="max")
    def names(layer):
        return ConvNetTransformer(network, layer=layer, prefit=True).get_feature_names_out()

    maps = network.feature_maps(X[:1], 0, "pool")[0]
    values = ConvNetTransformer(network, layer=1, prefit=True).transform(X[:1])[0]
    for name, value in zip(names(1), values, strict=True):
        row, column, n_filter = map(int, name.removeprefix("block0_max_pooling_").split("_"))
        assert maps[row, column, n_filter] == value
    assert names("global max pooling").tolist() == [f"global_max_pooling_{number}" for number in range(6)]
    assert names("dense 0").tolist() == [f"dense0_{number}" for number in range(7)]
    assert len({name for layer in range(6) for name in names(layer)}) == 8 * 8 * 4 + 4 * 4 * 4 + 4 * 4 * 6 + 2 * 2 * 6 + 6 + 7


def test_signals_and_images_as_they_are():
    network = small_network(input_shape=(64,)).fit(X, Y)
    assert ConvNetTransformer(network, prefit=True).get_feature_names_out()[:5].tolist() == [
        "block0_max_pooling_0_0", "block0_max_pooling_0_1", "block0_max_pooling_0_2", "block0_max_pooling_0_3",
        "block0_max_pooling_1_0",
    ]  # fmt: skip
    images = X.reshape(-1, 8, 8)
    features = ConvNetTransformer(small_network()).fit_transform(images, Y)
    assert features.shape == (len(X), 4 * 4 * 4)


def test_a_regressor_has_layers_too():
    network = ConvNetRegressor(4, hidden_layer_sizes=5, input_shape=(8, 8), max_iter=5, random_state=0).fit(X, Y)
    features = ConvNetTransformer(network, prefit=True).transform(X)
    line = np.column_stack([features, np.ones(len(X))])
    expected = network.predict(X)
    np.testing.assert_allclose(line @ np.linalg.lstsq(line, expected, rcond=None)[0], expected, rtol=1e-3, atol=1e-3)


def test_the_copy_is_trained_and_the_network_is_left_alone():
    network = small_network(input_shape=(8, 8))
    transformer = ConvNetTransformer(network).fit(X, Y)
    assert not hasattr(network, "classes_")
    np.testing.assert_array_equal(transformer.estimator_.predict_proba(X), clone(network).fit(X, Y).predict_proba(X))
    assert transformer.n_features_in_ == 64
    assert not hasattr(transformer, "feature_names_in_")


def test_a_fitted_network_is_taken_as_it_is():
    network = fitted()
    expected = ConvNetTransformer(network, prefit=True).transform(X)
    transformer = ConvNetTransformer(network, prefit=True).fit(X)
    frozen = ConvNetTransformer(FrozenEstimator(network)).fit(X, Y)
    prefit_and_frozen = ConvNetTransformer(FrozenEstimator(network), prefit=True)
    network.set_params(max_iter=1, random_state=1).fit(X, Y)
    np.testing.assert_array_equal(transformer.transform(X), expected)
    np.testing.assert_array_equal(frozen.transform(X), ConvNetTransformer(network, prefit=True).transform(X))
    np.testing.assert_array_equal(prefit_and_frozen.transform(X), frozen.transform(X))


def test_frames_come_out():
    frame = pd.DataFrame(X, columns=[f"pixel {number}" for number in range(64)], index=np.arange(len(X)) + 100)
    transformer = ConvNetTransformer(small_network(input_shape=(8, 8))).set_output(transform="pandas")
    features = transformer.fit_transform(frame, Y)
    assert features.index.equals(frame.index)
    assert features.columns.tolist() == transformer.get_feature_names_out().tolist()
    assert transformer.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="is not equal to feature_names_in_"):
        transformer.get_feature_names_out(frame.columns[::-1])


def test_pickles():
    transformer = ConvNetTransformer(small_network(input_shape=(8, 8)), layer=0).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(transformer))
    np.testing.assert_array_equal(loaded.transform(X), transformer.transform(X))


def test_a_search_reaches_the_network():
    model = make_pipeline(ConvNetTransformer(small_network(input_shape=(8, 8))), SVC())
    grid = {"convnettransformer__estimator__n_filters": [2, (3, 5)], "convnettransformer__layer": [0, -1], "svc__C": [1, 10]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, Y)
    n_filters = search.best_params_["convnettransformer__estimator__n_filters"]
    assert search.best_estimator_[0].estimator_.n_filters == n_filters
    assert search.score(X, Y) > 0.8


def test_sample_weight_reaches_the_network():
    weight = np.arange(len(X)) % 3
    expected = small_network(input_shape=(8, 8)).fit(X, Y, sample_weight=weight)
    plain = ConvNetTransformer(small_network(input_shape=(8, 8))).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(plain.estimator_.predict_proba(X), expected.predict_proba(X))
    with sklearn.config_context(enable_metadata_routing=True):
        network = small_network(input_shape=(8, 8)).set_fit_request(sample_weight=True)
        last = LogisticRegression(max_iter=5).set_fit_request(sample_weight=False)
        model = make_pipeline(ConvNetTransformer(network), last)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, Y, sample_weight=weight)
        np.testing.assert_array_equal(model[0].estimator_.predict_proba(X), expected.predict_proba(X))
        deaf = ConvNetTransformer(small_network(input_shape=(8, 8)).set_fit_request(sample_weight=False))
        with pytest.raises(TypeError, match="sample_weight"):
            deaf.fit(X, Y, sample_weight=weight)


def test_what_is_no_layer_is_refused_and_changes_nothing():
    network = fitted()
    transformer = ConvNetTransformer(network, prefit=True).fit(X)
    expected = transformer.transform(X)
    earlier = transformer.estimator_
    for layer in (5, -6, "dense 1", "output", "block 0"):
        transformer.layer = layer
        with pytest.raises(ValueError, match=r"layer=.* does not exist: the network has \{0: 'block 0: convolution'"):
            transformer.fit(X)
        assert transformer.estimator_ is earlier
        with pytest.raises(ValueError, match="does not exist"):
            transformer.transform(X)
    for layer in (None, 1.5, True):
        transformer.layer = layer
        with pytest.raises(TypeError, match="the number or the name of a layer"):
            transformer.fit(X)
    np.testing.assert_array_equal(transformer.set_params(layer=-1).transform(X), expected)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"estimator=SVC\(\) is no convolutional network"):
        ConvNetTransformer(SVC()).fit(X, Y)


@pytest.mark.parametrize("estimator", [None, 5, "net", SVC(), ConvNetClassifier], ids=str)
def test_what_is_no_network_is_refused_whatever_is_called(estimator):
    """Some of it ended in an AttributeError of scikit-learn's tags."""
    for transformer in (ConvNetTransformer(estimator), ConvNetTransformer(estimator, prefit=True)):
        for name, arguments in {"fit": (X, Y), "transform": (X,), "get_feature_names_out": ()}.items():
            with pytest.raises(TypeError, match=r"^estimator=.* is no convolutional network; pass a ConvNetClassifier"):
                getattr(transformer, name)(*arguments)
        assert get_tags(transformer).transformer_tags is not None


@pytest.mark.parametrize("prefit", ["no", None, 1])
def test_prefit_is_true_or_false(prefit):
    """prefit="no" was taken for true."""
    transformer = ConvNetTransformer(fitted(), prefit=prefit)
    for call in (lambda: transformer.fit(X, Y), lambda: transformer.transform(X)):
        with pytest.raises(ValueError, match=r"^prefit=.* is not valid for ConvNetTransformer: it must be True or False"):
            call()


@pytest.mark.parametrize(("solver", "dtype"), [("adam", np.float32), ("lbfgs", np.float64)])
def test_the_type_of_the_features_is_that_of_the_solver(solver, dtype):
    transformer = ConvNetTransformer(small_network(input_shape=(8, 8), solver=solver)).fit(X, Y)
    assert transformer.transform(X.astype(np.float32)).dtype == dtype
    assert transformer.estimator_.feature_maps(X).dtype == dtype
    assert get_tags(transformer).transformer_tags.preserves_dtype == (["float32"] if dtype is np.float32 else [])


def test_a_network_without_layers_has_none_to_ask_for():
    with pytest.raises(ValueError, match="layer=-1 does not exist"):
        ConvNetTransformer(small_network(n_filters=())).fit(X, Y)


def test_prefit_wants_a_fitted_network():
    transformer = ConvNetTransformer(small_network(), prefit=True)
    for call in (lambda: transformer.fit(X, Y), lambda: transformer.transform(X)):
        with pytest.raises(NotFittedError, match="prefit=True needs an estimator that is fitted already"):
            call()
    with pytest.raises(NotFittedError, match="ConvNetTransformer instance is not fitted yet"):
        ConvNetTransformer(small_network()).transform(X)
