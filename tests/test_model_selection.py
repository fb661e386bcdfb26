"""The estimator among scikit-learn's tools."""

import pickle
import tempfile

import numpy as np
import pytest
from images import bars, digits, fitted_arrays, small_network
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_cnn import ConvNetClassifier, ImageAugmentation


def brighter(batch, random_state):
    """A change of images that is a function, as users write them."""
    return batch + random_state.uniform(0, 0.1, (len(batch), 1, 1, 1)).astype(batch.dtype)


GRIDS = {
    "kernel_size": [2, (1, 3), [(3, 2)]],
    "n_filters": [3, (4, 2), [2, 2, 2]],
    "pooling": ["max", "average", None],
    "pool_size": [1, (2, 3)],
    "stride": [1, (2, 1)],
    "padding": ["same", "valid", 1],
    "padding_mode": ["zeros", "reflect"],
    "weight_sharing": [True, False],
    "global_pooling": ["max", "average", None],
    "hidden_layer_sizes": [(), (5,), 7],
    "activation": ["relu", "tanh", "logistic", "identity"],
    "batch_norm": [True, False],
    "dropout": [0.0, 0.1, [0.1, 0.5]],
    "learning_rate": ["constant", "cosine", "one_cycle", "invscaling"],
    "solver": ["adam", "adamw", "sgd", "lbfgs"],
    "label_smoothing": [0.0, 0.1],
    "augment": [None, ImageAugmentation(shift=1), brighter],
    "winograd_tile": [2, 4],
}


SETTINGS = {
    "dropout of each layer": {"dropout": [0.1, 0.2, 0.3], "hidden_layer_sizes": 5},
    "cosine": {"learning_rate": "cosine"},
    "one_cycle": {"learning_rate": "one_cycle"},
    "adamw": {"solver": "adamw", "alpha": 0.1},
    "label_smoothing": {"label_smoothing": 0.1},
    "batch_norm": {"batch_norm": True, "global_pooling": "average"},
    "augment": {"augment": ImageAugmentation(shift=1, flip="horizontal")},
    "function": {"augment": brighter},
}


@pytest.fixture(scope="module")
def flat_bars():
    X, y = bars()
    return X.reshape(len(X), -1), y


@pytest.mark.parametrize("name", GRIDS)
def test_every_parameter_of_network_and_training_is_searchable(name, flat_bars):
    search = GridSearchCV(small_network(input_shape=(6, 6), max_iter=2), {name: GRIDS[name]}, cv=2, error_score="raise")
    search.fit(*flat_bars)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_clone_has_every_setting_and_nothing_that_was_learnt(name, flat_bars):
    network = small_network(input_shape=(6, 6), max_iter=2, **SETTINGS[name])
    before = repr(network.get_params())
    copied = clone(network.fit(*flat_bars))
    assert repr(copied.get_params()) == before
    assert "_fitted" not in vars(copied)
    assert fitted_arrays(copied.fit(*flat_bars)) == fitted_arrays(network)
    plain = small_network(input_shape=(6, 6), max_iter=2, hidden_layer_sizes=network.hidden_layer_sizes)
    assert fitted_arrays(plain.fit(*flat_bars)) != fitted_arrays(network)  # the setting does something


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_in_a_pipeline(n_jobs, flat_bars):
    pipeline = make_pipeline(MinMaxScaler(), small_network(input_shape=(6, 6)))
    grid = {
        "convnetclassifier__kernel_size": [2, 3],
        "convnetclassifier__n_filters": [2, (3, 2)],
        "convnetclassifier__pooling": ["max", "average"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(*flat_bars)
    assert search.best_estimator_.predict(flat_bars[0]).shape == flat_bars[1].shape
    if not hasattr(test_grid_search_in_a_pipeline, "scores"):
        test_grid_search_in_a_pipeline.scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], test_grid_search_in_a_pipeline.scores)


def test_random_search_over_scalars(flat_bars):
    distributions = {"n_filters": range(1, 9), "kernel_size": np.arange(1, 5), "alpha": [0, 1e-3], "pool_size": np.arange(1, 3)}
    search = RandomizedSearchCV(small_network(input_shape=(6, 6), max_iter=2), distributions, n_iter=6, cv=2, random_state=0,
                                error_score="raise")  # fmt: skip
    assert search.fit(*flat_bars).best_score_ > 0


def test_halving_search_over_epochs(flat_bars):
    search = HalvingGridSearchCV(
        small_network(input_shape=(6, 6)), {"n_filters": [2, 4], "kernel_size": [1, 3]}, resource="max_iter", max_resources=8,
        min_resources=2, factor=2, cv=2, error_score="raise",
    )  # fmt: skip
    assert search.fit(*flat_bars).best_estimator_.n_iter_ == 8


def test_a_search_is_pickled_and_goes_on_predicting(flat_bars):
    search = GridSearchCV(small_network(input_shape=(6, 6)), {"n_filters": [2, 4]}, cv=2).fit(*flat_bars)
    loaded = pickle.loads(pickle.dumps(search))
    assert loaded.predict_proba(flat_bars[0]).tobytes() == search.predict_proba(flat_bars[0]).tobytes()
    assert loaded.best_params_ == search.best_params_
    assert fitted_arrays(loaded.best_estimator_.partial_fit(*flat_bars)) == fitted_arrays(
        search.best_estimator_.partial_fit(*flat_bars)
    )


def test_a_fit_writes_no_files(flat_bars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, y = flat_bars
    network = small_network(input_shape=(6, 6), early_stopping=True).fit(X, y).partial_fit(X, y)
    network.predict(X)
    assert list(tmp_path.iterdir()) == []


def test_cross_validation(flat_bars):
    network = small_network(input_shape=(6, 6), max_iter=60)
    assert cross_val_score(network, *flat_bars, cv=3).mean() > 0.9
    assert cross_val_predict(network, *flat_bars, cv=3, method="predict_proba").shape == (60, 3)


def test_image_arrays_in_cross_validation():
    assert cross_val_score(small_network(max_iter=60), *bars(), cv=3).mean() > 0.9


def test_calibration(flat_bars):
    calibrated = CalibratedClassifierCV(small_network(input_shape=(6, 6)), cv=2).fit(*flat_bars)
    np.testing.assert_allclose(calibrated.predict_proba(flat_bars[0]).sum(axis=1), 1)


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting(voting, flat_bars):
    members = [("network", small_network(input_shape=(6, 6), max_iter=60)), ("linear", LogisticRegression())]
    assert VotingClassifier(members, voting=voting).fit(*flat_bars).score(*flat_bars) > 0.9


def test_one_against_the_rest(flat_bars):
    assert OneVsRestClassifier(small_network(input_shape=(6, 6), max_iter=60)).fit(*flat_bars).score(*flat_bars) > 0.9


def test_metadata_routing(flat_bars):
    X, y = flat_bars
    network = small_network(input_shape=(6, 6), max_iter=2)
    with config_context(enable_metadata_routing=True):
        network.set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
        network.set_partial_fit_request(classes=True, sample_weight=True).set_score_request(sample_weight=False)
        pipeline = make_pipeline(MinMaxScaler(), network, transform_input=["X_val"])
        pipeline.fit(X, y, sample_weight=np.ones(len(X)), X_val=X[:20], y_val=y[:20])
        assert len(pipeline[-1].validation_scores_) == 2
        search = GridSearchCV(network.set_fit_request(X_val=False, y_val=False), {"n_filters": [2, 3]}, cv=2, error_score="raise")
        search.fit(X, y, sample_weight=np.ones(len(X)))


class Watcher(ConvNetClassifier):
    """Keeps what validation data each fit has seen."""

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        self.seen.append((len(X), len(X_val), float(np.max(X_val))))
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)


def test_validation_data_in_a_search_stay_whole_unless_they_are_as_long_as_X(flat_bars, monkeypatch):
    """scikit-learn cuts what is as long as X into folds; the user guide says so, and how to do without."""
    X, y = flat_bars
    monkeypatch.setattr(Watcher, "seen", [], raising=False)
    largest = float(MinMaxScaler().fit(X).transform(2 * X).max())
    with config_context(enable_metadata_routing=True):
        network = Watcher(4, input_shape=(6, 6), max_iter=1, random_state=0).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(MinMaxScaler(), network, transform_input=["X_val"])
        search = GridSearchCV(pipeline, {"watcher__kernel_size": [2]}, cv=2, error_score="raise")
        search.fit(X, y, X_val=2 * X[:-1], y_val=y[:-1])
        assert [n_val for _, n_val, _ in Watcher.seen] == [len(X) - 1] * 3
        assert Watcher.seen[-1][2] == pytest.approx(largest, rel=0.2)  # transformed as X was
        Watcher.seen.clear()
        search.fit(X, y, X_val=2 * X, y_val=y)
        assert [n_val for _, n_val, _ in Watcher.seen] == [len(X) // 2] * 2 + [len(X)]


def test_representations():
    X, y = digits(40)
    network = ConvNetClassifier(n_filters=4, input_shape=(8, 8), max_iter=1).fit(X, y)
    assert repr(network) == "ConvNetClassifier(input_shape=(8, 8), max_iter=1, n_filters=4)"
    assert "ConvNetClassifier" in network._repr_html_()
