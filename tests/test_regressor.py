"""The regressor: targets in a scale of their own, several outputs, and what it shares with the classifier."""

import inspect
import pickle
import re
import warnings

import numpy as np
import pytest
from images import bars, fitted_arrays
from problems import on_threads
from scipy import sparse
from sklearn import config_context
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.parameters import RULES
from sklearn_cnn._network.activations import ACTIVATIONS
from sklearn_cnn._network.geometry import PADDING_MODES
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS, SOLVERS
from sklearn_cnn._training.scaling import target_scaling
from sklearn_cnn._training.schedules import SCHEDULES
from sklearn_cnn.inspection import KernelDisplay, LossDisplay, OcclusionDisplay

OF_CLASSES_ALONE = {"class_weight", "label_smoothing"}


def columns(n_samples=80):
    """Images with a bright column, and the number of the column."""
    X, y = bars(n_samples, n_classes=4)
    return X, y.astype(float)


def regressor(**parameters):
    """A network that trains in milliseconds."""
    return ConvNetRegressor(**{"n_filters": 4, "max_iter": 5, "learning_rate_init": 1e-2, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    X, y = columns()
    return regressor(max_iter=40).fit(X, y)


#: Parameter -> the names that it takes, from the tables that the rest of the package reads.
NAMES = {
    "activation": {*ACTIVATIONS},
    "solver": {*SOLVERS, *FULL_BATCH_SOLVERS},
    "learning_rate": {"auto", *SCHEDULES},
    "padding_mode": {*PADDING_MODES},
}


@pytest.mark.parametrize("parameter", NAMES)
@pytest.mark.parametrize("estimator_class", [ConvNetClassifier, ConvNetRegressor])
def test_the_docstring_has_every_name_that_a_parameter_takes(estimator_class, parameter):
    listed = re.search(rf"^ *{parameter} : {{(.*?)}}", inspect.getdoc(estimator_class), re.MULTILINE).group(1)
    assert set(re.findall(r'"(\w+)"', listed)) == NAMES[parameter]


def test_learns_where_a_column_is(fitted):
    X, y = columns(200)
    assert fitted.score(X[80:], y[80:]) > 0.9
    assert fitted.score(X, y) == r2_score(y, fitted.predict(X))


def test_parameters_are_those_of_the_classifier_but_for_classes():
    of_classifier = inspect.signature(ConvNetClassifier).parameters
    of_regressor = inspect.signature(ConvNetRegressor).parameters
    assert [parameter for name, parameter in of_classifier.items() if name not in OF_CLASSES_ALONE] == [*of_regressor.values()]
    assert set(RULES) == set(of_classifier)


@pytest.mark.parametrize("estimator_class", [ConvNetClassifier, ConvNetRegressor])
def test_the_docstring_has_every_parameter_in_order(estimator_class):
    section = estimator_class.__doc__.split("Parameters\n----------\n")[1].split("\n\nAttributes\n")[0]
    names = [line.split(" : ")[0] for line in section.splitlines() if not line.startswith(" ")]
    assert names == list(inspect.signature(estimator_class).parameters)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_shapes_and_types(n_outputs):
    X, y = columns()
    Y = y if n_outputs == 1 else np.column_stack([y, -y, y**2])
    network = regressor().fit(X, Y)
    predictions = network.predict(X[:7])
    assert predictions.shape == ((7,) if n_outputs == 1 else (7, 3))
    assert predictions.dtype == np.float64
    assert (network.n_outputs_, network.out_activation_) == (n_outputs, "identity")
    assert not hasattr(network, "classes_")


def test_outputs_of_one_fit_are_learnt_together():
    X, y = columns(200)
    network = regressor(max_iter=40).fit(X, np.column_stack([y, 1000 * y + 5e4]))
    assert network.score(X, np.column_stack([y, 1000 * y + 5e4])) > 0.9
    a, b = network.predict(X).T
    np.testing.assert_allclose(b, 1000 * a + 5e4, rtol=0.02)


def test_a_column_is_ravelled_with_a_warning():
    X, y = columns()
    with pytest.warns(DataConversionWarning):
        network = regressor().fit(X, y.reshape(-1, 1))
    assert network.predict(X).shape == y.shape


@pytest.mark.parametrize(("factor", "offset"), [(0.25, 0.0), (1024.0, 0.0), (2.0**-30, 0.0), (2.0, 2.0**30)])
def test_the_scale_of_the_targets_changes_nothing_but_the_scale_of_predictions(factor, offset):
    X, y = columns()
    predictions = regressor().fit(X, factor * y + offset).predict(X)
    np.testing.assert_allclose((predictions - offset) / factor, regressor().fit(X, y).predict(X), atol=2e-6)


def test_targets_are_standardised_with_weights():
    y = np.array([[1.0, 5.0], [2.0, 5.0], [9.0, 5.0], [4.0, 5.0]])
    mean, deviation = target_scaling(y, np.array([0, 1, 3]), np.array([1.0, 2.0, 7.0, 1.0], dtype=np.float32))
    np.testing.assert_allclose(mean, [(1 + 2 * 2 + 4) / 4, 5])
    np.testing.assert_allclose(deviation, [np.std([1, 2, 2, 4]), 1])
    repeated = np.array([[1.0, 5.0], [2.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    np.testing.assert_allclose(target_scaling(repeated, np.arange(4), None), (mean, deviation))


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e30, 123456789.0])
def test_constant_targets_are_learnt_as_they_are(constant):
    X, _ = columns()
    weight = np.linspace(0.1, 1, len(X))
    network = regressor(max_iter=100, n_iter_no_change=100).fit(X, np.full(len(X), constant), sample_weight=weight)
    np.testing.assert_allclose(network.predict(X), constant, rtol=1e-6, atol=0.5)
    assert network.loss_ < 0.1 * network.loss_curve_[0]
    state = vars(network)["_fitted"]
    assert (state["target_mean"], state["target_deviation"]) == ([constant], [1.0])


def test_the_loss_is_half_the_squared_error_in_units_of_the_variance():
    X, y = columns()
    Y = np.column_stack([y, 3 * y + 1])
    network = regressor(max_iter=1, alpha=0.0, learning_rate_init=1e-30, batch_size=len(X)).fit(X, Y)
    expected = 0.5 * np.mean(((Y - network.predict(X)) / Y.std(axis=0)) ** 2)
    assert network.loss_ == pytest.approx(expected, rel=1e-5)


def test_sample_weight_counts_and_zero_is_absence():
    X, y = columns()
    weight = np.arange(len(X)) % 3 * 1.0
    with_zeros = regressor().fit(X, y, sample_weight=weight)
    without = regressor().fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_array_equal(vars(with_zeros)["_fitted"]["target_mean"], vars(without)["_fitted"]["target_mean"])
    assert not np.array_equal(with_zeros.predict(X), regressor().fit(X, y).predict(X))
    assert with_zeros.score(X, y, sample_weight=weight) == r2_score(y, with_zeros.predict(X), sample_weight=weight)


def test_warm_start_and_pickles_go_on_bit_for_bit():
    X, y = columns()
    once = regressor(max_iter=6, warm_start=True).fit(X, y)
    network = regressor(max_iter=3, warm_start=True).fit(X, y)
    network = pickle.loads(pickle.dumps(network)).fit(X, y)
    assert fitted_arrays(network)["parameters"] == fitted_arrays(once)["parameters"]
    with pytest.raises(ValueError, match="y has 2 outputs, but 1 were seen before"):
        network.fit(X, np.column_stack([y, y]))


def test_partial_fit_keeps_the_scale_of_the_first_call():
    X, y = columns()
    network = regressor().partial_fit(X, y)
    mean = vars(network)["_fitted"]["target_mean"]
    network.partial_fit(X, y + 100)
    np.testing.assert_array_equal(vars(network)["_fitted"]["target_mean"], mean)
    for _ in range(60):
        network.partial_fit(X, y + 100)
    assert network.predict(X).mean() == pytest.approx(y.mean() + 100, rel=0.1)


def test_early_stopping_keeps_the_best_epoch():
    X, y = columns(200)
    network = regressor(max_iter=12, early_stopping=True).fit(X[:120], y[:120])
    assert len(network.validation_scores_) == len(network.validation_loss_curve_) == network.n_iter_
    assert network.best_validation_score_ == max(network.validation_scores_)

    network = regressor(max_iter=12).fit(X[:120], y[:120], X_val=X[120:], y_val=y[120:])
    assert network.best_validation_score_ == pytest.approx(network.score(X[120:], y[120:]), abs=1e-5)
    assert network.validation_loss_curve_[network.best_iter_ - 1] == pytest.approx(
        0.5 * np.mean((network.predict(X[120:]) - y[120:]) ** 2) / np.var(y[:120]), rel=1e-4
    )


def test_a_single_sample_to_watch_is_judged_by_its_loss():
    X, y = columns()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = regressor(max_iter=8).fit(X, y, X_val=X[:1], y_val=y[:1])
    assert network.validation_scores_ == [0.0] * network.n_iter_
    assert network.best_iter_ == 1 + int(np.argmin(network.validation_loss_curve_))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        (np.full(80, np.nan), ValueError, "y contains NaN"),
        (np.full(80, 1e39), ValueError, "y contains a value too large"),
        ([10**4000] * 80, ValueError, "y contains a value too large"),
        (np.array(["a"] * 80), ValueError, "y has dtype <U1; pass real numbers"),
        (np.array(["a"] * 80, dtype=object), ValueError, "y has values that are no real numbers"),
        (np.ones(80, dtype=complex), ValueError, "Complex data not supported"),
        (np.ones((80, 2, 2)), ValueError, "dim 3|3 dimensions|shape"),
        (np.ones(79), ValueError, "X and y differ in length: 80 and 79"),
        (sparse.eye_array(80), TypeError, r"y is a sparse matrix.*y\.toarray"),
        (np.ma.masked_equal(np.arange(80), 3), ValueError, "y has masked values"),
    ],
)
def test_malformed_targets(y, error, message):
    X, _ = columns()
    network = regressor()
    with pytest.raises(error, match=message):
        network.fit(X, y)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_mean", np.zeros(2)),
        ("target_mean", np.array([np.nan])),
        ("target_mean", None),
        ("target_deviation", np.array([0.0])),
    ],
)
def test_a_tampered_scale_is_refused(fitted, name, value):
    network = pickle.loads(pickle.dumps(fitted))
    vars(network)["_fitted"][name] = value
    with pytest.raises(ValueError, match=f"The fitted {name} .*Fit the estimator again"):
        network.predict(columns()[0])


def test_a_row_is_bitwise_the_same_in_any_company_and_on_any_number_of_threads(fitted):
    X, y = columns()
    together = fitted.predict(X)
    assert all(fitted.predict(X[i : i + 1])[0] == together[i] for i in range(len(X)))
    results = []
    for n_jobs in (1, 2, 3):
        network = regressor(n_filters=(32, 32), batch_size=80, n_jobs=n_jobs)
        predicted = on_threads(n_jobs, lambda: network.fit(X, y).predict(X))  # noqa: B023
        results.append((fitted_arrays(network), predicted.tobytes(), network.predict(X[:1]).tobytes()))
    assert results[0] == results[1] == results[2]


def test_model_selection():
    X, y = columns()
    X = X.reshape(len(X), -1)
    pipeline = make_pipeline(FunctionTransformer(), regressor(input_shape=(6, 6), max_iter=3))
    search = GridSearchCV(pipeline, {"convnetregressor__kernel_size": [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["convnetregressor__kernel_size"] in (2, 3)
    assert len(cross_val_score(pipeline, X, y, cv=3)) == 3


def test_representations(fitted):
    assert fitted.summary().startswith("ConvNetRegressor\n")
    assert "Network:" in fitted._repr_html_()
    assert repr(regressor(max_iter=2)).startswith("ConvNetRegressor(")
    assert fitted.feature_maps(columns()[0][:3]).shape == (3, 6, 6, 4)


def test_which_region_decides_a_prediction(fitted):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    X, _ = columns()
    display = OcclusionDisplay.from_estimator(fitted, X[3], target=0, window=2)
    assert display.prediction == fitted.predict(X[3:4])[0]
    assert display.probability is None
    assert "output 0" in display.ax_.get_title()
    _, column = np.unravel_index(np.abs(display.drops).argmax(), display.drops.shape)
    assert column in (3, 4, 5)  # the bright column is number 4
    with pytest.raises(ValueError, match="target=1 is none of the classes or outputs"):
        OcclusionDisplay.from_estimator(fitted, X[3], target=1)
    for other in (LossDisplay, KernelDisplay):
        other.from_estimator(fitted)
    matplotlib.pyplot.close("all")


def test_a_subclass_may_have_parameters_of_its_own():
    class Bounded(ConvNetRegressor):
        def __init__(self, n_filters=4, *, largest=3.0, max_iter=2, random_state=0):
            super().__init__(n_filters, max_iter=max_iter, random_state=random_state)
            self.largest = largest

        def predict(self, X):
            return np.minimum(super().predict(X), self.largest)

    X, y = columns()
    assert Bounded(largest=0.5).fit(X, y).predict(X).max() <= 0.5
    assert Bounded().set_params(largest=1.0).get_params()["largest"] == 1.0
    with pytest.raises(ValueError, match="max_iter=0 is not valid for Bounded"):
        Bounded(max_iter=0).fit(X, y)


def test_metadata_routing():
    X, y = columns()
    with config_context(enable_metadata_routing=True):
        network = regressor(max_iter=2).set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
        network.set_partial_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        pipeline = make_pipeline(FunctionTransformer(), network, transform_input=["X_val"])
        pipeline.fit(X, y, sample_weight=np.ones(len(X)), X_val=X[:20], y_val=y[:20])
        assert len(pipeline[-1].validation_scores_) == 2
        with pytest.raises(TypeError, match="classes"):
            network.set_partial_fit_request(classes=True)


def test_skops_finds_one_foreign_type():
    io = pytest.importorskip("skops.io")
    X, y = columns()
    network = regressor(early_stopping=True).fit(X, y)
    file = io.dumps(network)
    foreign = io.get_untrusted_types(data=file)
    assert foreign == ["sklearn_cnn.ConvNetRegressor"]
    restored = io.loads(file, trusted=foreign)
    assert restored.predict(X).tobytes() == network.predict(X).tobytes()
    assert restored.partial_fit(X, y).loss_ == network.partial_fit(X, y).loss_


@pytest.mark.parametrize("shape", [(), (1,), (2,)], ids=str)
def test_a_scoring_function_gets_targets_as_predict_gives_them(shape):
    X, y = bars()
    y = np.broadcast_to(y.reshape(-1, *[1] * len(shape)), (len(y), *shape)).astype(float)
    seen = []

    def scoring(estimator, X, y):
        seen.append((estimator.predict(X).shape, y.shape))
        return 0.0

    with warnings.catch_warnings(action="ignore"):
        ConvNetRegressor(2, max_iter=1, scoring=scoring, random_state=0).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    assert seen == [((30,) if shape != (2,) else (30, 2),) * 2]
