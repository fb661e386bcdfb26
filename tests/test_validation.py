"""Malformed input: one clear error, before anything changes."""

import contextlib
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from images import bars, digits, small_network
from scipy import sparse
from sklearn import config_context
from sklearn.exceptions import DataConversionWarning, NotFittedError

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.images import resolve_input_shape
from sklearn_cnn._estimator.parameters import PROTECTING_RULES, RULES, InvalidParameterError, check_parameters, plain
from sklearn_cnn._estimator.state import is_finite_float32

# ------------------------------------------------------------------------------------------------------------- parameters

HOSTILE = {
    "zero": 0,
    "minus one": -1,
    "2**31": 2**31,
    "2**62": 2**62,
    "2**63": 2**63,
    "2**200": 2**200,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "a fraction": 2.5,
    "1e39": 1e39,
    "empty string": "",
    "a word": "word",
    "None": None,
    "True": True,
    "complex": 1j,
    "bytes": b"same",
    "empty tuple": (),
    "empty list": [],
    "empty dict": {},
    "a set": {1},
    "huge tuple": (1,) * 100_000,
    "nested": [[[1]]],
    "triple": (1, 2, 3),
    "list of None": [None],
    "list of bools": [True],
    "huge pair": (2**62, 1),
    "negative pair": (2, -1),
    "object": object(),
    "a class": int,
    "array": np.array([1.5, math.nan]),
    "empty array": np.zeros((0, 3)),
    "zero-dimensional array": np.array(-3),
}

# Hostile to most, harmless here.
HARMLESS = {
    "n_filters": ["empty tuple", "empty list", "triple", "empty array"],
    "padding": ["zero"],
    "pooling": ["None", "list of None"],
    "pool_stride": ["None"],
    "global_pooling": ["None"],
    "weight_sharing": ["True", "list of bools"],
    "hidden_layer_sizes": ["empty tuple", "empty list", "triple", "empty array"],
    "alpha": ["zero", "2**31", "2**62", "2**63", "2**200", "a fraction"],
    "batch_size": ["2**31", "2**62", "2**63", "2**200"],
    "learning_rate_init": ["2**31", "2**62", "2**63", "a fraction"],
    "power_t": ["zero", "2**31", "2**62", "2**63", "a fraction"],
    "max_iter": ["2**31", "2**62", "2**63", "2**200"],
    "max_fun": ["2**31", "2**62", "2**63", "2**200"],
    "random_state": ["zero", "2**31", "None"],
    "tol": ["zero", "2**31", "2**62", "2**63", "a fraction"],
    "momentum": ["zero"],
    "verbose": ["zero", "2**31", "2**62", "2**63", "2**200"],
    "beta_1": ["zero"],
    "beta_2": ["zero"],
    "epsilon": ["2**31", "2**62", "2**63", "a fraction"],
    "n_iter_no_change": ["2**31", "2**62", "2**63", "2**200", "infinity"],
    "class_weight": ["None", "empty dict", "empty list"],
    "scoring": ["None"],
    "dropout": ["zero"],
    "augment": ["None"],
    "label_smoothing": ["zero"],
    "input_shape": ["None", "triple"],
    "n_jobs": ["minus one", "None"],
}
BOOLEANS = ("batch_norm", "shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "scale_input", "verbose")


def is_harmless(name, kind):
    return kind in HARMLESS.get(name, ()) or (name in BOOLEANS and kind == "True")


@pytest.mark.parametrize("n_values", [3, 5000], ids=["few values", "many values"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_finite_is_finite_as_float32(n_values, dtype):
    def with_one(value):
        values = np.ones((1, n_values), dtype=dtype)
        values[0, 1] = value
        return values

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_finite_float32(with_one(-7))
        assert is_finite_float32(with_one(6e4))
        for value in (math.nan, math.inf, -math.inf):
            assert not is_finite_float32(with_one(value))
        if dtype != np.float16:
            assert is_finite_float32(with_one(3.4e38))  # its square is not
            assert is_finite_float32(with_one(-3.4e38))
        if dtype == np.float64:
            assert not is_finite_float32(with_one(3.5e38))
            assert not is_finite_float32(with_one(-1e300))


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", RULES)
def test_hostile_parameters(name, kind):
    if is_harmless(name, kind):
        pytest.skip("allowed")
    X, y = bars(12)
    network = small_network(max_iter=1).set_params(**{name: HOSTILE[kind]})
    with pytest.raises((ValueError, TypeError, MemoryError)) as caught:
        network.fit(X, y)
    assert name in str(caught.value)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", RULES)
def test_hostile_parameters_that_nobody_checks(name, kind):
    """With scikit-learn's ``skip_parameter_validation`` numbers are taken as they are, sizes are not, and nothing crashes."""
    if is_harmless(name, kind):
        pytest.skip("allowed")
    X, y = bars(12)
    network = small_network(max_iter=1).set_params(**{name: HOSTILE[kind]})
    with config_context(skip_parameter_validation=True), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in PROTECTING_RULES:
            with pytest.raises((ValueError, TypeError, MemoryError)) as caught:
                network.fit(X, y)
            assert name in str(caught.value)
            return
        with contextlib.suppress(Exception):
            network.fit(X, y).predict(X)


def test_validation_is_skipped_where_scikit_learn_is_told_to():
    X, y = bars(12)
    network = small_network(max_iter=1, alpha=-1e-4)
    with pytest.raises(InvalidParameterError, match="alpha"):
        network.fit(X, y)
    with config_context(skip_parameter_validation=True):
        network.fit(X, y)
        with pytest.raises(InvalidParameterError, match="batch_size=-1"):
            small_network(batch_size=-1).fit(X, y)
    with pytest.raises(InvalidParameterError, match="alpha"):
        network.fit(X, y)


def test_an_error_names_parameter_value_and_remedy():
    with pytest.raises(InvalidParameterError, match=r"^kernel_size='big' is not valid .* at least 1.* example kernel_size=3"):
        check_parameters(ConvNetClassifier(kernel_size="big"))
    assert issubclass(InvalidParameterError, ValueError)
    assert issubclass(InvalidParameterError, TypeError)


@pytest.mark.parametrize("name", ["n_filters", "hidden_layer_sizes", "padding"])
@pytest.mark.parametrize("size", [2**30, 2**31 - 1, 2**31, 2**62])
def test_sizes_beyond_all_memory(name, size):
    X, y = bars(12)
    with pytest.raises(ValueError, match=r"bytes") as caught:
        small_network().set_params(**{name: (4, size) if name == "n_filters" else (size, size)}).fit(X, y)
    assert "layer" in str(caught.value).lower() or name in str(caught.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_filters": np.int32(3)},
        {"n_filters": np.array([3, 2])},
        {"n_filters": [3, 2], "kernel_size": [np.int64(2), (1, 3)]},
        {"kernel_size": (np.int64(2), 3)},
        {"kernel_size": np.int8(2)},
        {"learning_rate_init": np.float32(0.01)},
        {"shuffle": np.True_},
        {"batch_size": np.int64(7)},
        {"max_iter": np.int64(2)},
        {"hidden_layer_sizes": np.array([4])},
        {"input_shape": np.array([6, 6])},
        {"input_shape": [6, 6, 1]},
        {"verbose": 0},
        {"random_state": np.int64(3)},
        {"pool_size": 2**31 - 1},
        {"n_filters": (), "hidden_layer_sizes": (8,)},
    ],
    ids=repr,
)
def test_numpy_scalars_and_arrays_are_as_good_as_python(parameters):
    X, y = bars(20)
    small_network(max_iter=2).set_params(**parameters).fit(X, y).predict(X)


def test_parameters_are_not_changed_by_fit():
    X, y = bars(20)
    sizes = [np.int64(2), (1, 3)]
    network = small_network(n_filters=[3, 2], kernel_size=sizes).fit(X, y)
    assert network.kernel_size is sizes
    sizes[0] = 5
    network.predict(X)


def test_plain():
    assert plain([np.int64(1), (np.float32(0.5), "a")]) == [1, (0.5, "a")]
    assert plain(np.array([[1, 2]])) == [[1, 2]]


def test_wrong_number_of_blocks():
    X, y = bars(12)
    with pytest.raises(ValueError, match=r"kernel_size.* 3 .*n_filters.* 2 blocks"):
        small_network(n_filters=(3, 2), kernel_size=[1, 2, 3]).fit(X, y)


def test_a_network_that_leaves_nothing_of_the_image():
    X, y = bars(12)
    with pytest.raises(ValueError, match=r"[Bb]lock.*kernel_size.*(2|1) x (2|1)"):
        small_network(n_filters=(3, 2), kernel_size=4, padding="valid").fit(X, y)


# ---------------------------------------------------------------------------------------------------------------------- X

X_GOOD, Y_GOOD = bars(12)
X_FLAT = X_GOOD.reshape(12, 36)


def with_value(value, dtype=float):
    X = X_FLAT.astype(dtype)
    X[3, 5] = value
    return X


BAD_X = {
    "None": None,
    "a number": 3.0,
    "a word": "images",
    "a vector": X_FLAT[0],
    "five dimensions": np.zeros((12, 2, 2, 2, 2)),
    "six dimensions": np.zeros((12, 1, 1, 1, 1, 1)),
    "no samples": np.zeros((0, 36)),
    "no images": np.zeros((0, 6, 6)),
    "no features": np.zeros((12, 0)),
    "no rows": np.zeros((12, 0, 6)),
    "no columns": np.zeros((12, 6, 0, 1)),
    "no channels": np.zeros((12, 6, 6, 0)),
    "ragged": [[1, 2], [3]] * 6,
    "words": np.full((12, 36), "a"),
    "bytes": np.full((12, 36), b"a"),
    "objects": np.full((12, 36), object()),
    "dictionaries": [{"pixel": 1}] * 12,
    "complex": X_FLAT + 1j,
    "dates": np.zeros((12, 36), dtype="datetime64[s]"),
    "durations": np.zeros((12, 36), dtype="timedelta64[s]"),
    "images of dates": np.zeros((12, 6, 6), dtype="datetime64[s]"),
    "records": np.zeros((12, 36), dtype=[("a", float)]),
    "masked": np.ma.masked_greater(X_FLAT, 1),
    "masked images": np.ma.masked_greater(X_GOOD, 1),
    "sparse": sparse.csr_matrix(X_FLAT),
    "sparse array": sparse.coo_array(X_FLAT),
    "NaN": with_value(np.nan),
    "float32 NaN": with_value(np.nan, np.float32),
    "infinity": with_value(np.inf),
    "minus infinity": with_value(-np.inf),
    "float16 infinity": with_value(np.inf, np.float16),
    "1e39": with_value(1e39),
    "-1e300": with_value(-1e300),
    "images with NaN": with_value(np.nan).reshape(12, 6, 6),
    "huge integers": [[10**400] * 36] * 12,
    "pandas NaN": pd.DataFrame(with_value(np.nan)),
    "pandas dates": pd.DataFrame(np.zeros((12, 36), dtype="datetime64[s]")),
    "one sample too few": X_FLAT[:-1],
}


@pytest.mark.parametrize("kind", BAD_X)
def test_bad_X_in_fit(kind):
    network = small_network(max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)):
            network.fit(BAD_X[kind], Y_GOOD)
    assert "_fitted" not in vars(network)


@pytest.fixture(scope="module")
def network():
    return small_network(max_iter=1).fit(X_GOOD, Y_GOOD)


@pytest.mark.parametrize("kind", [kind for kind in BAD_X if kind != "one sample too few"])
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_bad_X_in_prediction(kind, method, network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(network, method)(BAD_X[kind])
    assert not isinstance(caught.value, NotFittedError)


@pytest.mark.parametrize("shape", [(2, 35), (2, 37), (2, 6, 5), (2, 4, 9), (2, 6, 6, 2)])
def test_prediction_needs_the_shape_of_fit(shape, network):
    with pytest.raises(ValueError, match=r"(features|shape)"):
        network.predict(np.zeros(shape))


@pytest.mark.parametrize("words", ["NaN", "infinity"])
def test_values_that_float32_cannot_hold(words):
    with pytest.raises(ValueError, match=rf"Input X contains {words}"):
        small_network().fit(with_value({"NaN": np.nan, "infinity": np.inf}[words]), Y_GOOD)
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\).*1e\+39"):
        small_network().fit(with_value(1e39), Y_GOOD)


# ------------------------------------------------------------------------------------------------------------ input shape


@pytest.mark.parametrize(
    ("X_shape", "input_shape", "expected"),
    [
        ((9,), None, (1, 9, 1)),
        ((6,), (6,), (1, 6, 1)),
        ((6,), (2, 3), (2, 3, 1)),
        ((12,), (2, 3, 2), (2, 3, 2)),
        ((12,), (1, 6, 2), (1, 6, 2)),
        ((2, 3), None, (2, 3, 1)),
        ((2, 3), (2, 3), (2, 3, 1)),
        ((2, 3, 2), None, (2, 3, 2)),
        ((2, 3, 2), [2, 3, 2], (2, 3, 2)),
        ((1, 6, 2), None, (1, 6, 2)),
        ((6, 1), None, (6, 1, 1)),
    ],
)
def test_what_a_sample_is(X_shape, input_shape, expected):
    X = np.random.RandomState(0).standard_normal((8, *X_shape))
    network = small_network(input_shape=input_shape, max_iter=1).fit(X, np.arange(8) % 2)
    assert network.input_shape_ == expected
    assert network.n_features_in_ == math.prod(expected)
    assert all(type(size) is int for size in network.input_shape_)
    assert network.predict(X).shape == (8,)
    assert network.predict(X.reshape(8, -1)).shape == (8,)


@pytest.mark.parametrize(
    ("X_shape", "input_shape"),
    [((64,), (8, 9)), ((64,), (8, 8, 3)), ((8, 8), (4, 16)), ((8, 8), (64,)), ((8, 8, 3), (8, 8)), ((6,), (7,))],
)
def test_declaration_and_data_contradict_each_other(X_shape, input_shape):
    with pytest.raises(ValueError, match=rf"input_shape=\({input_shape[0]}"):
        small_network(input_shape=input_shape).fit(np.zeros((8, *X_shape)), np.arange(8) % 2)


def test_flattened_squares_are_not_guessed():
    X, y = digits(30)
    with pytest.warns(UserWarning, match=r"input_shape=\(8, 8\).*input_shape=\(64,\)"):
        network = small_network(max_iter=1).fit(X, y)
    assert network.input_shape_ == (1, 64, 1)


@pytest.mark.parametrize("n_features", [1, 4, 16, 24, 25, 26, 784])
def test_squares_of_at_least_25_are_warned_about(n_features, recwarn):
    assert resolve_input_shape(None, None, n_features) == (1, n_features, 1)
    assert bool(recwarn.list) == (n_features in (25, 784))


@pytest.mark.parametrize("input_shape", [(8, 8), (64,), [8, 8, 1]])
def test_declared_shapes_are_not_warned_about(input_shape, recwarn):
    X, y = digits(30)
    small_network(max_iter=1, input_shape=input_shape).fit(X, y).predict(X)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("shape", "warned"),
    [
        ((3, 64, 64), True),
        ((3, 48, 64), True),
        ((4, 16, 16), True),
        ((1, 28, 28), True),
        ((64, 64, 3), False),
        ((28, 28, 1), False),
        ((1, 1000, 12), False),  # a signal of twelve channels
        ((3, 100, 16), False),  # three rows of sensors
        ((4, 4, 256), False),  # maps of another network
        ((2, 64, 64), False),
        ((64, 64, 64), False),
    ],
)
def test_channels_that_seem_to_come_first(shape, warned, recwarn):
    assert resolve_input_shape(None, shape, math.prod(shape)) == shape  # never moved
    remedy = f"numpy.moveaxis(X, 1, -1). If they come last, input_shape={shape} silences this"
    assert [remedy in str(warning.message) for warning in recwarn] == [True] * warned
    recwarn.clear()
    resolve_input_shape(shape, shape, math.prod(shape))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("n_features", "expected"),
    [(3 * 64 * 64, (64, 64, 3)), (3 * 16 * 16, (16, 16, 3)), (3 * 8 * 8, None), (300, None), (3000, None), (12_000, None)],
)
def test_flattened_colour_images_are_not_guessed(n_features, expected, recwarn):
    assert resolve_input_shape(None, None, n_features) == (1, n_features, 1)
    assert [f"for example input_shape={expected};" in str(w.message) for w in recwarn] == [True] * (expected is not None)
    recwarn.clear()
    resolve_input_shape((n_features,), None, n_features)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("fitted_on", "shape", "remedy"),
    [
        ((6, 6, 3), (6, 6, 3), r"one image.*X\[None\].*\(1, 6, 6, 3\)"),
        ((6, 5), (6, 5), r"one image.*X\[None\].*\(1, 6, 5\)"),
        ((6, 5), (6, 5, 1), r"one image.*X\[None\].*\(1, 6, 5, 1\)"),
        ((1, 9, 2), (1, 9, 2), r"one signal.*X\[None\].*\(1, 1, 9, 2\)"),
        ((1, 9, 2), (9, 2), r"one signal.*X\[None, None\].*\(1, 1, 9, 2\)"),
        ((6, 5, 3), (2, 3, 6, 5), r"channels of X come first.*numpy\.moveaxis\(X, 1, -1\)"),
    ],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "feature_maps"])
def test_the_remedy_for_a_shape_that_was_not_fitted_on(fitted_on, shape, remedy, method):
    network = small_network(max_iter=1).fit(np.random.RandomState(0).rand(8, *fitted_on), np.arange(8) % 2)
    X = np.zeros(shape)
    with pytest.raises(ValueError, match=remedy):
        getattr(network, method)(X)
    remedied = X[None] if "X\\[None\\]" in remedy else X[None, None] if "None, None" in remedy else np.moveaxis(X, 1, -1)
    assert len(getattr(network, method)(remedied)) == len(remedied)


@pytest.mark.parametrize("shape", [(6, 6), (4, 5, 5), (4, 6, 6), (4, 6, 6, 2)])
def test_other_shapes_are_not_taken_for_one_image(shape):
    network = small_network(max_iter=1).fit(np.random.RandomState(0).rand(8, 6, 6, 3), np.arange(8) % 2)
    with pytest.raises(ValueError, match=r"(features|shape)") as caught:
        network.predict(np.zeros(shape))
    assert "one image" not in str(caught.value)


def test_a_batch_of_one_signal_is_no_mistake():
    network = small_network(max_iter=1, input_shape=(9,)).fit(np.random.RandomState(0).rand(8, 9), np.arange(8) % 2)
    assert network.predict(np.zeros((1, 9))).shape == (1,)


NAMES = ["cats/1.jpg", "cats/2.jpg"]


@pytest.mark.parametrize(
    "X",
    [NAMES, np.array(NAMES), np.array(NAMES, dtype=object), list(map(Path, NAMES)), [[name] for name in NAMES], pd.Series(NAMES),
     pd.DataFrame({"image": NAMES}), "cats", Path("cats")],
    ids=["list", "array", "objects", "paths", "column", "series", "frame", "folder", "path"],
)  # fmt: skip
def test_names_of_files_are_no_images(X):
    with pytest.raises(ValueError, match=r"X holds text, such as 'cats.*where pixels are expected.*PIL\.Image\.open\(name\)"):
        small_network().fit(X, [0, 1])


def test_images_of_different_shapes():
    images = [np.zeros((8, 8, 3)), np.zeros((8, 9, 3)), np.zeros((8, 8))]
    objects = np.empty(3, dtype=object)
    objects[:] = images
    for X in (images, tuple(images), objects, pd.Series(images)):
        with pytest.raises(ValueError, match=r"3 different shapes, such as \(8, 8, 3\) and \(8, 9, 3\)\..*resize\(\(64, 64\)\)"):
            small_network().fit(X, [0, 1, 0])
    with pytest.raises(ValueError, match="rows that differ in length"):  # a sample that is ragged itself
        small_network().fit([[[1, 2], [3]], [[1, 2], [3]]], [0, 1])


def test_images_of_pillow_are_read():
    image = pytest.importorskip("PIL.Image")
    X = np.random.RandomState(0).randint(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    network = small_network(max_iter=1).fit(list(map(image.fromarray, X)), [0, 1, 0, 1])
    assert network.input_shape_ == (6, 5, 3)
    with pytest.raises(ValueError, match="2 different shapes"):
        network.predict([image.fromarray(X[0]), image.fromarray(X[0, :5])])
    with pytest.raises(ValueError, match="one image: give it a batch axis"):
        network.predict(image.fromarray(X[0]))


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((2, 5, 6, 3), r"Resize or crop the images to 8 x 6 pixels\."),
        ((2, 8, 6, 4), r"same number of channels, 3, for example with Pillow's image\.convert\('RGB'\)\."),
        ((2, 8, 6), r"same number of channels, 3, for example"),
        ((5, 6, 3), r"one image of another size: resize it to 8 x 6 and give it a batch axis, X\[None\]\."),
        ((8, 6, 3), r"X is one image: give it a batch axis"),
        ((2, 3, 8, 6), r"channels of X come first"),
    ],
)
def test_images_of_another_shape_are_refused_with_a_remedy(shape, remedy):
    network = small_network(max_iter=1).fit(np.random.default_rng(0).normal(size=(4, 8, 6, 3)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=remedy):
        network.predict(np.zeros(shape))


def test_grey_images_of_another_size_are_refused_with_a_remedy():
    network = small_network(max_iter=1).fit(np.random.default_rng(0).normal(size=(4, 8, 6)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"fitted on \(8, 6, 1\)\. Resize or crop the images to 8 x 6 pixels\."):
        network.predict(np.zeros((2, 6, 8)))


def test_one_image_with_its_label_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"differ in length: 8 and 1 samples\. If X is a single sample, give it a batch axis"):
        small_network().fit(np.zeros((8, 6, 3)), [1])


@pytest.mark.parametrize("n_samples", [1, 2, 7])
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 30])
def test_the_default_accepts_the_smallest_data(n_samples, n_features):
    X = np.random.RandomState(0).standard_normal((n_samples, n_features))
    network = ConvNetClassifier(max_iter=2).fit(X, np.arange(n_samples) % 3)
    assert network.predict(X).shape == (n_samples,)


# ------------------------------------------------------------------------------------------------------- y and the weights

BAD_Y = {
    "None": None,
    "a number": 3,
    "too short": Y_GOOD[:-1],
    "too long": np.append(Y_GOOD, 0),
    "empty": [],
    "real numbers": Y_GOOD + 0.5,
    "NaN": np.where(Y_GOOD == 1, np.nan, Y_GOOD),
    "infinity": np.where(Y_GOOD == 1, np.inf, Y_GOOD),
    "complex": Y_GOOD + 1j,
    "dates": Y_GOOD.astype("datetime64[s]"),
    "masked": np.ma.masked_equal(Y_GOOD, 1),
    "mixed": np.array([1, "a", 2.5, None] * 3, dtype=object),
    "numbers and words": np.array([1, "a"] * 6, dtype=object),
    "objects": [object() for _ in range(12)],
    "lists": [[1], [1, 2]] * 6,
    "three dimensions": np.zeros((12, 2, 2)),
    "several classes each": np.stack([Y_GOOD, Y_GOOD], axis=1),
}


@pytest.mark.parametrize("kind", BAD_Y)
def test_bad_y(kind):
    network = small_network(max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)):
            network.fit(X_GOOD, BAD_Y[kind])
    assert "_fitted" not in vars(network)


def test_a_column_of_labels_is_warned_about():
    with pytest.warns(DataConversionWarning):
        network = small_network(max_iter=1).fit(X_GOOD, Y_GOOD.reshape(-1, 1))
    assert network.predict(X_GOOD).shape == (12,)


@pytest.mark.parametrize("dtype", ["int64", "category", "string", "Int64"])
def test_labels_in_pandas(dtype):
    y = pd.Series(Y_GOOD).astype(dtype)
    network = small_network(max_iter=60).fit(X_GOOD, y)
    assert network.score(X_GOOD, y) > 0.5
    assert small_network(max_iter=1).fit(X_GOOD, list(Y_GOOD)).classes_.tolist() == [0, 1, 2]


def weights(**changes):
    weight = np.ones(12)
    for number, value in changes.items():
        weight[int(number[1:])] = value
    return weight


BAD_WEIGHTS = {
    "an integer that is no float": 10**4000,
    "too short": np.ones(11),
    "two dimensions": np.ones((12, 1)),
    "negative": weights(_3=-1),
    "NaN": weights(_3=np.nan),
    "infinity": weights(_3=np.inf),
    "1e39": weights(_3=1e39),
    "sum beyond float32": np.full(12, 1e38),
    "all zero": np.zeros(12),
    "all tiny": np.full(12, 1e-60),
    "complex": np.ones(12) + 1j,
    "words": ["a"] * 12,
    "dates": np.zeros(12, dtype="datetime64[s]"),
    "masked": np.ma.masked_equal(weights(_3=5), 5),
    "objects": [object()] * 12,
    "ragged": [[1], [1, 2]] * 6,
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_sample_weight(kind, method):
    network = small_network(max_iter=1)
    arguments = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)):
            getattr(network, method)(X_GOOD, Y_GOOD, sample_weight=BAD_WEIGHTS[kind], **arguments)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, "a", 1e39])
def test_bad_class_weight(weight):
    network = small_network(max_iter=1, class_weight={0: weight, 1: 1, 2: 1})
    with pytest.raises((ValueError, TypeError)):
        network.fit(X_GOOD, Y_GOOD)


def of_objects(*labels):
    return np.array((*labels, *["a"] * (len(X_GOOD) - len(labels))), dtype=object)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (of_objects("a", None), "^Input y contains NaN or another missing value: sample 1 has None. Leave"),
        (of_objects(None), "^Input y contains NaN or another missing value: sample 0 has None. Leave"),
        (pd.Series(of_objects("a", None), dtype="string"), "^Input y contains NaN .*: sample 1 has <NA>. Leave"),
        (of_objects("a", 1), r"^Unknown label type: y has .* of type int and str\..* pass numpy.array\(y\).astype\(str\)"),
        (of_objects(1), r"^Unknown label type: y has .* of type int and str\..* pass numpy.array\(y\).astype\(str\)"),
        (Y_GOOD.astype(object), r"^Unknown label type: y has .* of type int\. .* pass numpy.array\(y\).astype\(int\)"),
    ],
    ids=["None", "None first", "NA", "mixed", "mixed first", "objects"],
)
def test_labels_that_are_missing_or_of_several_types_are_named(y, words):
    """Python's own TypeError about "<" came through."""
    with pytest.raises(ValueError, match=words):
        small_network(max_iter=1).fit(X_GOOD, y)


@pytest.mark.parametrize("weight", ["balanced", ["a"] * len(X_GOOD), {"a": 1}, [[1], [1, 2]]], ids=str)
def test_weights_that_are_no_numbers_are_named(weight):
    with pytest.raises(ValueError, match=r"^sample_weight=.* must be an array with one number for each of \d+ samples: "):
        small_network(max_iter=1).fit(X_GOOD, Y_GOOD, weight)


def test_nan_is_called_nan_where_everything_is_taken_for_finite():
    """It was called a value too large for float32."""
    X, y = X_GOOD.astype(np.float64), np.linspace(0, 1, len(X_GOOD))
    holed, no_number = X.copy(), np.where(y > 0.5, y, math.nan)
    holed[0, 0] = math.nan
    with config_context(assume_finite=True):
        for arguments, name in (((holed, Y_GOOD), "X"), ((X, Y_GOOD, no_number), "sample_weight")):
            with pytest.raises(ValueError, match=f"^Input {name} contains NaN, which nothing can be computed with. Fill it"):
                small_network(max_iter=1).fit(*arguments)
        with pytest.raises(ValueError, match=r"^Input y contains NaN, which nothing"):
            ConvNetRegressor(4, max_iter=1).fit(X, no_number)


def test_weights_are_not_changed():
    weight = weights(_3=0, _4=2.5)
    before = weight.copy()
    small_network(max_iter=1).fit(X_GOOD, Y_GOOD, weight)
    np.testing.assert_array_equal(weight, before)
