"""Labels, probabilities and the promises of prediction."""

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from images import bars, digits, fitted_arrays, small_network
from problems import on_threads
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn._estimator.validation import check_X, ordinary_rows

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@pytest.fixture(scope="module")
def network():
    X, y = digits()
    return ConvNetClassifier(n_filters=(8, 8), input_shape=(8, 8), max_iter=15, batch_norm=False, random_state=0).fit(X, y)


def test_learns_digits():
    X, y = digits(900)
    network = ConvNetClassifier(input_shape=(8, 8), max_iter=30, batch_size=32, random_state=0).fit(X[:700], y[:700])
    assert network.score(X[700:], y[700:]) > 0.9


def test_order_of_parameters_is_that_of_the_interface():
    names = list(clone(ConvNetClassifier()).get_params())
    assert sorted(names) == names  # scikit-learn sorts; the signature below is what users see
    code = ConvNetClassifier.__init__.__code__
    signature = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    assert signature == (
        "n_filters", "kernel_size", "stride", "padding", "padding_mode", "pooling", "pool_size", "pool_stride", "weight_sharing",
        "global_pooling", "hidden_layer_sizes", "activation", "solver", "alpha", "batch_size", "learning_rate",
        "learning_rate_init", "power_t", "max_iter", "shuffle", "random_state", "tol", "verbose", "warm_start", "momentum",
        "nesterovs_momentum",
        "early_stopping", "validation_fraction", "beta_1", "beta_2", "epsilon", "n_iter_no_change", "max_fun", "class_weight",
        "scoring", "dropout", "batch_norm", "augment", "label_smoothing", "input_shape", "scale_input",
        "winograd_tile", "n_jobs",
    )  # fmt: skip


def test_attributes(network):
    X, _ = digits()
    assert network.classes_.tolist() == list(range(10))
    assert (network.n_features_in_, network.input_shape_, network.n_outputs_) == (64, (8, 8, 1), 10)
    assert network.n_layers_ == len(network.coefs_) + 1 == len(network.intercepts_) + 1 == 4
    assert [kernels.shape for kernels in network.kernels_] == [(8, 1, 3, 3), (8, 8, 3, 3)]
    assert [weights.shape for weights in network.coefs_] == [(3, 3, 1, 8), (3, 3, 8, 8), (2 * 2 * 8, 10)]
    assert [bias.shape for bias in network.intercepts_] == [(8,), (8,), (10,)]
    assert network.n_parameters_ == sum(map(np.size, network.coefs_)) + sum(map(np.size, network.intercepts_))
    assert network.n_iter_ == len(network.loss_curve_) == 15
    assert network.t_ == 15 * len(X)
    assert network.loss_ == network.loss_curve_[-1] >= network.best_loss_ == min(network.loss_curve_)
    assert network.loss_curve_[network.best_iter_ - 1] == network.best_loss_
    assert network.validation_scores_ is network.validation_loss_curve_ is network.best_validation_score_ is None


def test_kernels_are_views_of_the_weights(network):
    kernels, weights = network.kernels_[1], network.coefs_[1]
    assert np.shares_memory(kernels, weights)
    assert np.shares_memory(weights, network.coefs_[1])
    assert kernels[5, 3, 2, 1] == weights[2, 1, 3, 5]


def test_kernels_of_a_locally_connected_block():
    X, y = bars()
    network = small_network(weight_sharing=False, padding="valid", kernel_size=(2, 3)).fit(X, y)
    (kernels,) = network.kernels_
    assert kernels.shape == (5, 4, 4, 1, 2, 3)
    assert kernels[1, 2, 3, 0, 1, 2] == network.coefs_[0][1, 2, 1, 2, 0, 3]


def test_filters_start_at_different_values():
    X, y = digits()
    start = ConvNetClassifier(input_shape=(8, 8), max_iter=1, learning_rate_init=1e-12, random_state=0).fit(X, y)
    for kernels in start.kernels_:
        flat = kernels.reshape(len(kernels), -1)
        assert len(np.unique(flat, axis=0)) == len(flat)


@pytest.mark.parametrize("attribute", ["classes_", "n_iter_", "coefs_", "kernels_", "loss_curve_", "n_features_in_"])
def test_attributes_before_fit(attribute):
    with pytest.raises(AttributeError, match="fit"):
        getattr(ConvNetClassifier(), attribute)


@pytest.mark.parametrize("method", METHODS)
def test_prediction_before_fit(method):
    with pytest.raises(NotFittedError, match="not fitted"):
        getattr(ConvNetClassifier(), method)(np.zeros((2, 4)))


def test_probabilities(network):
    X, _ = digits()
    probabilities = network.predict_proba(X)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (len(X), 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(network.predict_log_proba(X), np.log(probabilities), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(network.predict(X), probabilities.argmax(axis=1))
    np.testing.assert_array_equal(network.predict(X), network.decision_function(X).argmax(axis=1))


def test_log_probabilities_do_not_underflow():
    X, y = bars()
    network = small_network(max_iter=40, learning_rate_init=0.05).fit(X, y)
    log_probabilities = network.predict_log_proba(1000 * X)
    assert (network.predict_proba(1000 * X) == 0).any()
    assert np.isfinite(log_probabilities).all()


def test_two_classes_have_one_output():
    X, y = bars(n_classes=2)
    network = small_network().fit(X, y)
    assert (network.n_outputs_, network.out_activation_) == (1, "logistic")
    scores, probabilities = network.decision_function(X), network.predict_proba(X)
    assert scores.shape == (len(X),)
    assert probabilities.shape == (len(X), 2)
    np.testing.assert_array_equal(network.predict(X), (scores > 0).astype(int))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_one_class():
    X, _ = bars(10)
    network = small_network().fit(X, np.full(10, "only"))
    assert set(network.predict(X)) == {"only"}
    np.testing.assert_array_equal(network.predict_proba(X), np.ones((10, 1)))


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["ant", "bee", "cat"]),
        np.array(["ant", "bee", "cat"], dtype=object),
        np.array([-7, 0, 300]),
        np.array([0.0, 1.0, 5.0]),
        np.array([0, 1, 2], dtype=np.uint8),
    ],
    ids=lambda classes: classes.dtype.name,
)
def test_labels_of_any_type(classes):
    X, y = bars()
    network = small_network(max_iter=40).fit(X, classes[y])
    assert network.classes_.dtype == classes.dtype
    np.testing.assert_array_equal(network.classes_, classes)
    predicted = network.predict(X)
    assert predicted.dtype == classes.dtype
    assert np.mean(predicted == classes[y]) > 0.9
    np.testing.assert_array_equal(network.predict_proba(X), small_network(max_iter=40).fit(X, y).predict_proba(X))


def test_boolean_labels():
    X, y = bars(n_classes=2)
    network = small_network(max_iter=20).fit(X, y.astype(bool))
    assert network.predict(X).dtype == bool


def test_as_many_classes_as_samples_are_labels_where_the_classes_are_known():
    X, y = bars()
    network = small_network().partial_fit(X, y, classes=np.array([2, 0, 1, 2]))
    np.testing.assert_array_equal(network.classes_, [0, 1, 2])
    some = [int(np.flatnonzero(y == label)[0]) for label in (2, 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn would take them for the numbers of a regression
        network.partial_fit(X[some], y[some]).partial_fit(X[some], y[some], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y has labels \[3\] that are not among the classes \[0, 1, 2\]"):
        network.partial_fit(X[some], [3, 0])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        network.partial_fit(X[some], [0.5, 0.0])


def test_multilabel():
    X, y = make_multilabel_classification(n_samples=80, n_features=12, n_classes=4, random_state=0)
    network = small_network(max_iter=60).fit(X, y)
    assert (network.n_outputs_, network.out_activation_) == (4, "logistic")
    probabilities = network.predict_proba(X)
    assert probabilities.shape == network.predict_log_proba(X).shape == network.decision_function(X).shape == (80, 4)
    np.testing.assert_array_equal(network.predict(X), (network.decision_function(X) > 0).astype(int))
    assert np.mean(network.predict(X) == y) > 0.8
    stopped = small_network(early_stopping=True).fit(X, y)
    assert len(stopped.validation_scores_) == stopped.n_iter_


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a_row_is_bitwise_the_same_in_any_company(method, n_classes):
    X, y = bars(75, n_classes=min(n_classes, 5))
    call = getattr(small_network(n_filters=(5, 3), hidden_layer_sizes=(7,)).fit(X, y), method)
    together = call(X)
    random_state = np.random.RandomState(0)
    order = random_state.permutation(len(X))
    assert together[order].tobytes() == call(X[order]).tobytes()
    for n_rows in (1, 2, 3, 7, 16, 33):
        pieces = np.concatenate([call(X[start : start + n_rows]) for start in range(0, len(X), n_rows)])
        assert pieces.tobytes() == together.tobytes(), f"batches of {n_rows}"


def test_results_do_not_depend_on_the_number_of_threads():
    X, y = digits(230)
    reference = None
    for n_jobs in (1, 2, 3, 7):
        network = ConvNetClassifier(input_shape=(8, 8), max_iter=3, random_state=0, n_jobs=n_jobs)
        on_threads(n_jobs, lambda: network.fit(X, y))  # noqa: B023
        probabilities = on_threads(n_jobs, lambda: network.predict_proba(X))  # noqa: B023
        result = fitted_arrays(network), probabilities.tobytes()
        reference = reference or result
        assert result == reference, f"n_jobs={n_jobs}"


def test_same_seed_same_bits():
    X, y = bars()
    first, second, other = (fitted_arrays(small_network(random_state=seed).fit(X, y)) for seed in (0, 0, 1))
    assert first == second
    assert first["parameters"] != other["parameters"]


def test_random_state_instance_moves_on():
    X, y = bars()
    shared = np.random.RandomState(0)
    first, second = (fitted_arrays(small_network(random_state=shared).fit(X, y)) for _ in range(2))
    assert first["parameters"] != second["parameters"]
    assert first == fitted_arrays(small_network(random_state=np.random.RandomState(0)).fit(X, y))


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(">f4"),
        lambda X: X.astype(np.float64),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.int64),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.int16),
        lambda X: X.astype(np.longdouble),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: X[::-1].copy()[::-1],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: unaligned(X),
        lambda X: read_only(X),
        lambda X: pd.DataFrame(X),
    ],
    ids=["big-endian", "float64", "float16", "int64", "uint8", "int16", "longdouble", "fortran", "strided", "negative strides",
         "list", "object", "unaligned", "read-only", "pandas"],
)  # fmt: skip
def test_unusual_but_valid_input_gives_the_same_bits(convert):
    X, y = digits(60)
    X = X.astype(np.float32)
    unusual = convert(X)
    before = np.array(unusual, dtype=float)
    parameters = {"n_filters": 4, "input_shape": (8, 8), "max_iter": 3, "random_state": 0}
    network, other = ConvNetClassifier(**parameters).fit(X, y), ConvNetClassifier(**parameters).fit(unusual, y)
    assert fitted_arrays(other)["parameters"] == fitted_arrays(network)["parameters"]
    assert other.predict_proba(unusual).tobytes() == network.predict_proba(X).tobytes()
    np.testing.assert_array_equal(np.array(unusual, dtype=float), before)


def unaligned(X):
    room = np.empty(X.nbytes + 1, dtype=np.uint8)[1:]
    copy = room.view(X.dtype).reshape(X.shape)
    copy[:] = X
    return copy


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def test_boolean_images():
    X, y = bars()
    assert small_network(max_iter=10).fit(X > 1, y).score(X > 1, y) > 0.9


def test_memory_mapped_images(tmp_path):
    X, y = bars()
    np.save(tmp_path / "images.npy", X)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert fitted_arrays(small_network().fit(mapped, y)) == fitted_arrays(small_network().fit(X, y))


def test_flat_and_image_input_agree():
    X, y = bars()
    flat = small_network(input_shape=(6, 6)).fit(X.reshape(-1, 36), y)
    for images in (X, X[..., None]):
        network = small_network().fit(images, y)
        assert fitted_arrays(network) == fitted_arrays(flat)
        assert network.predict_proba(X.reshape(-1, 36)).tobytes() == flat.predict_proba(images).tobytes()


IMAGES = bars()[0]
ORDINARY = {
    "flat": IMAGES.reshape(-1, 36),
    "images": IMAGES,
    "images of one channel": IMAGES[..., None],
    "bytes": IMAGES.astype(np.uint8),
    "double precision": IMAGES.astype(np.float64),
    "one": IMAGES[:1],
    "every other": IMAGES[::2],
    "mirrored": IMAGES[:, :, ::-1],
    "columns first": np.asfortranarray(IMAGES),
    "other byte order": IMAGES.astype(IMAGES.dtype.newbyteorder()),
}
OTHER = {
    "list": IMAGES.tolist(),
    "integers": IMAGES.astype(np.int64),
    "subclass": np.ma.array(IMAGES),
}
REFUSED = {
    "a NaN": np.where(np.arange(36).reshape(6, 6) == 7, np.nan, IMAGES),
    "too large for float32": IMAGES.astype(np.float64) * 1e39,
    "none": IMAGES[:0],
    "one without a batch axis": IMAGES[0],
    "another size": IMAGES[:, 1:],
    "channels first": IMAGES[:, None],
    "too many dimensions": IMAGES[..., None, None],
    "a number": np.float32(0),
}


@pytest.mark.parametrize("name", [*ORDINARY, *OTHER])
def test_ordinary_rows_are_those_of_all_checks(name):
    X = {**ORDINARY, **OTHER}[name]
    network = small_network().fit(*bars())
    fitted = network._check_fitted()
    rows, checked = ordinary_rows(X, fitted), check_X(network, X, fitted)[0]
    assert (rows is None) == (name in OTHER)
    assert rows is None or (rows.dtype, rows.tobytes()) == (checked.dtype, checked.tobytes())


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_not_ordinary(name):
    network = small_network().fit(*bars())
    assert ordinary_rows(REFUSED[name], network._check_fitted()) is None
    with pytest.raises(ValueError, match=r"X|Found array|Expected 2D|contains"):
        network.predict(REFUSED[name])


def test_feature_names(network):
    X, y = digits(50)
    frame = pd.DataFrame(X, columns=[f"pixel {number}" for number in range(64)])
    named = clone(network).set_params(max_iter=1).fit(frame, y)
    assert named.feature_names_in_.tolist() == list(frame.columns)
    with pytest.warns(UserWarning, match="feature names"):
        named.predict(X)
    with pytest.warns(UserWarning, match="feature names"):
        named.predict(X.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[frame.columns[::-1]])
    named.fit(X, y)
    assert not hasattr(named, "feature_names_in_")


def test_predictions_while_the_estimator_is_refitted():
    X, y = bars(30)
    network = small_network().fit(X, y)
    results, is_done = [], threading.Event()

    def predict():
        while not is_done.is_set():
            results.append(network.predict_proba(X).tobytes())

    threads = [threading.Thread(target=predict) for _ in range(2)]
    models = [network.predict_proba(X).tobytes()]
    for thread in threads:
        thread.start()
    for seed in range(1, 6):
        network.set_params(random_state=seed).fit(X, y)
        models.append(network.predict_proba(X).tobytes())
    is_done.set()
    for thread in threads:
        thread.join()
    assert set(results) <= set(models)


def test_fitted_model_is_independent_of_later_parameters(network):
    X, _ = digits()
    before = network.predict_proba(X)
    changed = clone(network)
    changed.__setstate__(network.__getstate__())
    changed.set_params(n_filters=3, kernel_size=5, input_shape=(4, 16), activation="tanh")
    assert changed.predict_proba(X).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["parameters", "statistics", "shift", "factor"])
@pytest.mark.parametrize(
    "tamper",
    [
        lambda values: values[:-1],
        lambda values: values[None],
        lambda values: values.astype(np.float64),
        lambda values: values.astype(">f4"),
        lambda values: np.full_like(values, np.nan),
        lambda values: np.full_like(values, np.inf),
        lambda values: values.tolist(),
        lambda values: None,
    ],
    ids=["too short", "two-dimensional", "float64", "big-endian", "NaN", "infinity", "list", "None"],
)
def test_tampered_state_is_refused(name, tamper):
    X, y = bars()
    network = small_network(batch_norm=True).fit(X, y)
    network._fitted[name] = tamper(network._fitted[name])
    with pytest.raises(ValueError, match="fitted"):
        network.predict(X)
    with pytest.raises(ValueError, match="fitted"):
        network.partial_fit(X, y)


@pytest.mark.parametrize("name", ["first_moment", "second_moment", "t"])
@pytest.mark.parametrize("value", [np.zeros(3, dtype=np.float32), None, "many", -1])
def test_tampered_state_of_the_solver_is_refused(name, value):
    X, y = bars()
    network = small_network().fit(X, y)
    network._fitted[name] = value
    with pytest.raises(ValueError, match="fitted"):
        network.partial_fit(X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_features_in_", 35),
        ("n_features_in_", 10**6),
        ("n_outputs_", 4),
        ("input_shape_", (6, 7, 1)),
        ("input_shape_", (6, 6, 2)),
        ("input_shape_", (-6, -6, 1)),
        ("input_shape_", None),
        ("classes_", np.arange(2)),
        ("classes_", np.arange(6).reshape(3, 2)),
        ("classes_", None),
    ],
)
@pytest.mark.parametrize("n_features", [35, 36, 42, 10**6])
def test_tampered_sizes_are_refused(name, value, n_features):
    X, y = bars()
    network = small_network().fit(X, y)
    network._fitted[name] = value
    with pytest.raises(ValueError, match=r"fitted|features"):
        network.predict(np.zeros((3, n_features), dtype=np.float32))
    if name != "classes_":
        with pytest.raises(ValueError, match=r"fitted|features|layers|outputs"):
            network.partial_fit(np.zeros((60, n_features), dtype=np.float32), y)


@pytest.mark.parametrize("layers", [(), None, (("DenseLayer", ()),), "layers", (("NoLayer", ()),)])
def test_tampered_layers_are_refused(layers):
    X, y = bars()
    network = small_network().fit(X, y)
    network._fitted["layers"] = layers
    with pytest.raises(ValueError, match=r"fitted|layers"):
        network.predict(X)


def test_unusual_but_valid_state_gives_the_same_bits():
    X, y = bars()
    network = small_network().fit(X, y)
    before = network.predict_proba(X).tobytes()
    parameters = network._fitted["parameters"]
    for convert in (unaligned, read_only, lambda values: np.repeat(values, 2)[::2]):
        network._fitted["parameters"] = convert(parameters)
        assert network.predict_proba(X).tobytes() == before


def test_padding_mode_is_given_per_block():
    X, y = bars()
    networks = {
        str(mode): small_network(n_filters=(3, 4), padding_mode=mode).fit(X, y)
        for mode in ("zeros", "reflect", ["zeros", "reflect"], ["reflect", "zeros"], ["reflect", "reflect"])
    }
    maps = {mode: network.set_params(n_jobs=1).feature_maps(X, 1).tobytes() for mode, network in networks.items()}
    assert len(set(maps.values())) == 4
    assert maps["reflect"] == maps["['reflect', 'reflect']"]
    layers = dict(vars(networks["['reflect', 'zeros']"])["_fitted"]["layers"][1][1])
    assert layers["padding_mode"] == "zeros"
    with pytest.raises(ValueError, match=r"padding_mode=.* has 3 entries, but n_filters describes 2 blocks"):
        small_network(n_filters=(3, 4), padding_mode=["zeros"] * 3).fit(X, y)
    with pytest.raises(ValueError, match=r"padding_mode=\['wrap'\] is not valid.*'zeros' or 'reflect', or a sequence of those"):
        small_network(padding_mode=["wrap"]).fit(X, y)


def test_predictions_follow_the_fitted_state_whoever_changes_it():
    X, y = bars()
    network = small_network(random_state=0).fit(X, y)
    before = network.predict_proba(X)
    network.coefs_[-1][...] = 0  # in place
    network.intercepts_[-1][...] = 0
    np.testing.assert_allclose(network.predict_proba(X), 1 / len(network.classes_))
    earlier = network._fitted
    np.testing.assert_array_equal(network.fit(X, y).predict_proba(X), before)
    network._fitted = earlier  # as a whole
    np.testing.assert_allclose(network.predict_proba(X), 1 / len(network.classes_))
    shifted = ConvNetClassifier(n_filters=4, random_state=0, max_iter=1).fit(X, y)
    before = shifted.decision_function(X)
    shifted._fitted["shift"] = shifted._fitted["shift"] + 1  # one entry
    assert not np.array_equal(shifted.decision_function(X), before)
