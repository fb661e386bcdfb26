"""Values at the edge of what numbers can be: each ends in one clear error that names it, or is computed as any other."""

import platform

import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from problems import each_level, gaussian_parameters
from scipy import sparse
from sklearn.base import clone

from sklearn_cnn import Checkpoint, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, functional
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

# ----------------------------------------------------------------------------------------------------------- parameters


def test_a_power_beyond_all_floats_is_a_learning_rate_of_zero():
    X, y = bars()
    network = small_network(solver="sgd", learning_rate="invscaling", power_t=300, max_iter=3).fit(X, y)
    assert network.learning_rate_curve_ == [1e-2, 0.0, 0.0]


@pytest.mark.parametrize("name", ["alpha", "learning_rate_init", "power_t", "tol", "epsilon"])
@pytest.mark.parametrize("value", [np.float16("inf"), np.float32("inf"), np.longdouble("inf"), np.float16("nan")])
def test_an_infinite_number_of_any_type_passes_no_bound(name, value):
    X, y = bars()
    with pytest.raises(ValueError, match=f"^{name}=.* is not valid"):
        small_network(**{name: value}).fit(X, y)


def test_numbers_of_half_precision_are_numbers():
    X, y = bars()
    half, double = (small_network(alpha=number, beta_1=number).fit(X, y) for number in (np.float16(0.5), 0.5))
    assert fitted_arrays(half) == fitted_arrays(double)


@pytest.mark.parametrize("name", ["max_iter", "batch_size", "n_filters", "stride", "padding", "alpha", "random_state", "n_jobs"])
def test_an_integer_that_python_does_not_write_is_named_by_its_bits(name):
    X, y = bars()
    with pytest.raises(ValueError, match=f"^{name}=an integer of 16610 bits is not valid"):
        small_network(**{name: 10**5000}).fit(X, y)


def holding_itself():
    value = []
    value.append(value)
    return value


def deep(depth=100_000):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("make", [holding_itself, deep])
def test_lists_without_an_end_are_refused(make):
    X, y = bars()
    value, network = make(), small_network()
    for name in ("n_filters", "kernel_size", "padding", "pooling", "hidden_layer_sizes", "dropout", "input_shape", "alpha"):
        with pytest.raises(ValueError, match=rf"^{name}=\[\[\[.* is not valid"):
            small_network(**{name: value}).fit(X, y)
    with pytest.raises(ValueError, match=r"^shift=\[\[\[.* is not valid"):
        small_network(augment=ImageAugmentation(shift=value)).fit(X, y)
    for arguments in ((value, y), (X, value), (X, y, value)):
        with pytest.raises(ValueError, match="sequence"):
            network.fit(*arguments)
    with pytest.raises(ValueError, match="sequence"):
        ConvNetRegressor().fit(X, value)
    with pytest.raises(ValueError, match="classes="):
        network.partial_fit(X, y, classes=value)
    with pytest.raises((ValueError, TypeError), match=r"stride=\[\["):
        functional.im2col(X[..., None], 3, stride=value)
    with pytest.raises((ValueError, TypeError), match=r"padding=\[\["):
        functional.pad(X[..., None], value)


@pytest.mark.parametrize(
    "classes",
    [
        3, True, "ab", ["a", 1], [1, "a", None], [np.nan, 1, 2], [[0, 1]], [[0], [1, 2]], [], {0, 1, 2}, [{}], [0.5, 1.5],
        [b"a", b"b"],
        np.ma.masked_equal([0, 1, 2], 1), sparse.csr_array([[0, 1, 2]]), np.array([0, 1j]), iter([0, 1]), [None, None],
    ],
    ids=lambda classes: type(classes).__name__,
)  # fmt: skip
def test_an_error_about_the_classes_says_so(classes):
    X, y = bars()
    with pytest.raises((ValueError, TypeError), match="classes"):
        small_network().partial_fit(X, y, classes=classes)


ARRAYS = {
    "average_pool2d": 1, "average_pool2d_backward": 2, "col2im": 1, "conv2d": 2, "conv2d_backward": 3, "convolve": 2,
    "cross_correlate": 2, "flip_kernel": 1, "im2col": 1, "local2d": 2, "local2d_backward": 3, "max_pool2d": 1,
    "max_pool2d_backward": 2, "pad": 1,
}  # fmt: skip
OTHERS = {"col2im": ((5, 5), 3), "im2col": (3,), "pad": (1,)}


@pytest.mark.parametrize(("name", "place"), [(name, place) for name, n_arrays in ARRAYS.items() for place in range(n_arrays)])
def test_none_is_no_array(name, place):
    arrays = [np.ones((1, 5, 5, 1)), np.ones((1, 1, 5, 5))] + [np.ones((1, 1, 5, 5))] * (ARRAYS[name] - 2)
    arrays = arrays[: ARRAYS[name]]
    arrays[place] = None
    with pytest.raises((ValueError, TypeError), match=r"is None|axes|has no axis|shape \(\)"):
        getattr(functional, name)(*arrays, *OTHERS.get(name, ()))


def test_every_function_of_arrays_is_in_the_table():
    assert {*functional.__all__} == {*ARRAYS, "output_shape", "parameter_count", "receptive_field"}


# ----------------------------------------------------------------------------------------------------- weights, divergence


@pytest.mark.parametrize("weight", [1e-44, 1e-40])
def test_weights_too_small_for_the_kernels_are_named(weight):
    X, y = bars()
    with pytest.raises(ValueError, match=r"^sample_weight is too small .* the largest is 1e-4"):
        small_network().fit(X, y, sample_weight=np.full(len(X), weight))


def test_a_divergence_in_the_last_update_of_a_fit_is_seen():
    """After one epoch the first loss is all that anybody has seen; the second would be beyond all measure."""
    X, y = bars()
    network = small_network(solver="sgd", learning_rate_init=1e6, batch_size=len(X), max_iter=1)
    with pytest.raises(ValueError, match=r"^Training diverged in epoch 1: the loss is .*e\+.* with a learning rate of 1e\+06"):
        network.fit(X, y)
    assert "_fitted" not in vars(network)


def test_a_loss_that_float32_has_no_squares_for_is_a_divergence_whatever_came_before():
    X, y = bars()
    network = ConvNetRegressor(4, batch_norm=False, scale_input=False, max_iter=1)
    with pytest.raises(ValueError, match=r"^Training diverged in epoch 1: the loss is .*extreme values in X or sample_weight"):
        network.fit(X * np.float32(1e17), y)


@pytest.mark.parametrize("estimator", [small_network(), ConvNetRegressor(4, max_iter=2, random_state=0)])
def test_a_value_that_no_network_computes_with_is_an_error_and_no_prediction(estimator):
    """The smallest number of float32 marks missing data in many rasters: it gave NaN, and the first class."""
    X, y = bars()
    network = clone(estimator).fit(X, y)
    raster = X[:4].copy()
    raster[2, 1:3, 1:3] = np.finfo(np.float32).min
    calls = [network.predict, ConvNetTransformer(network, prefit=True).transform, network.feature_maps]
    calls += [getattr(network, name) for name in ("predict_proba", "decision_function") if hasattr(network, name)]
    for call in calls:
        with pytest.raises(ValueError, match=r"^X has values that are too large for this .* in sample 2 is 3\.40282e\+38\."):
            call(raster)
        call(raster[:2])
    in_double = clone(estimator).set_params(solver="lbfgs", batch_norm=False).fit(X, y)
    assert np.isfinite(in_double.predict(raster)).all()  # there is room for them in double precision


# --------------------------------------------------------------------------------------------------------- large offsets


@pytest.mark.skipif(platform.system() != "Linux", reason="a file with a hole takes no room there")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@each_level
def test_rows_beyond_two_and_four_gibibytes_are_read_where_they_are(tmp_path, level, dtype):
    side = 1024
    layers = (ConvolutionBlock(1, (8, 8), (8, 8), pooling="max", pool_size=(8, 8), pool_stride=(8, 8)), DenseLayer(2))
    plan = build_plan(layers, (side, side, 1))
    random_state = np.random.default_rng(0)
    row_bytes = side * side * np.dtype(dtype).itemsize
    rows = np.array([1, 2**31 // row_bytes + 1, 2**32 // row_bytes + 2])
    X = np.memmap(tmp_path / "X", dtype, "w+", shape=(int(rows[-1]) + 1, side * side))
    for row in rows:
        X[row] = random_state.integers(0, 9, side * side)
    near = np.array(X[rows])
    parameters = gaussian_parameters(plan, random_state, np.float32)

    def trained(X, rows):
        trainer = Trainer(plan, parameters, loss="softmax", solver="sgd", batch_size=3, level=level)
        targets = np.zeros((len(X), 2), dtype=np.float32)
        targets[:, 1] = 1
        return trainer.step(X, rows, targets, None, 0.1), trainer.parameters.tobytes()

    assert trained(X, rows) == trained(near, np.arange(3))
    X[rows[1]] = 0
    assert trained(X, rows) != trained(near, np.arange(3))


def test_an_argument_without_an_end_is_refused_in_words():
    """Fuzzing has found these three: an endless value has no end in a message either."""
    endless = deep()
    X, y = bars()
    network = small_network().fit(X, y)
    with pytest.raises(TypeError, match=r"block must be an integer, but it is \[\[\[\["):
        network.feature_maps(X[:1], endless)
    with pytest.raises(TypeError, match=r"value=\[\[\[.* is not a real number"):
        functional.pad(X[..., None], 1, value=endless)
    onnx = pytest.importorskip("sklearn_cnn.onnx")
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match=r"input_shape=\[\[\[.* is not valid"):
        onnx.to_onnx(network, input_shape=endless)


@pytest.mark.parametrize(
    "shape",
    [[], {}, "same", "a", 64, 6.0, (-6, -6), (6, 6, 1, 1), (6.0, 6.0), holding_itself(), deep()],
    ids=lambda shape: type(shape).__name__,
)
def test_a_shape_that_is_none_is_refused_by_a_preview(shape):
    X, _ = bars()
    with pytest.raises(ValueError, match=r"^input_shape=.* is not valid: it must be None, \(length,\), \(rows, columns\) or"):
        ImageAugmentation(shift=1).preview(X.reshape(len(X), -1), input_shape=shape)


@pytest.mark.parametrize(
    ("name", "value"),
    [("random_state", deep()), ("random_state", "a"), ("scale_input", "no"), ("epoch", 0)],
    ids=["deep", "word", "no bool", "zero"],
)
def test_an_argument_that_means_nothing_is_refused_by_a_preview(name, value):
    X, _ = bars()
    with pytest.raises(ValueError, match=rf"^{name}=.* is not valid: it must be .*; for example {name}="):
        ImageAugmentation(shift=1).preview(X, **{name: value})


@pytest.mark.parametrize("value", [10**5000, -(10**5000), 1e300], ids=["large", "negative", "a float"])
def test_a_value_to_pad_with_that_the_type_cannot_hold_is_named(value):
    X = np.ones((1, 3, 3, 1), dtype=np.float32)
    with pytest.raises(ValueError, match=r"^value=.* is too large for float32, the type of X\. Give at most 3\.40282e\+38"):
        functional.pad(X, 1, mode="constant", value=value)
    assert functional.pad(X, 1, mode="constant", value=-np.inf).min() == -np.inf


NUMPY_RAISES = {
    "three classes": (small_network(), lambda X, y: y),
    "two classes": (small_network(batch_norm=True, early_stopping=True), lambda X, y: y % 2),
    "several labels": (small_network(activation="tanh"), lambda X, y: y[:, None] == [0, 1]),
    "double precision": (small_network(solver="lbfgs"), lambda X, y: y),
    "real numbers": (ConvNetRegressor(4, max_iter=2), lambda X, y: X[:, 0, :2]),
}


@pytest.mark.parametrize("name", NUMPY_RAISES)
@pytest.mark.parametrize("scale", [1e-42, 1, 20, 1e6])
def test_every_public_call_works_where_numpy_raises(name, scale):
    """A probability of zero was an underflow."""
    X, y = bars()
    estimator, target = NUMPY_RAISES[name]
    X, y = (X.astype(np.float64) if scale < 1 else X), target(X, y)
    with np.errstate(all="raise"):
        network = clone(estimator).fit(X * min(scale, 1), y)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "feature_maps"):
            if hasattr(network, method):
                assert np.isfinite(getattr(network, method)(X * scale)).all()
        network.score(X * scale, y)
        ConvNetTransformer(network, prefit=True).transform(X * scale)
        ImageAugmentation(shift=1, rotate=5.0, brightness=0.1).preview(X * scale)


def test_every_message_ends_where_its_argument_does_not(tmp_path):
    endless = deep()
    X, y = bars()
    network = small_network().fit(X, y)
    refusals = [
        (lambda: functional.parameter_count(kernel_size=endless, n_inputs=3), "kernel_size"),
        (lambda: functional.cross_correlate([1, 2, 3], [1], stride=endless), "stride"),
        (lambda: Checkpoint(endless), "path"),
        (lambda: Checkpoint(tmp_path / "a", every=endless), "every"),
        (lambda: small_network().fit(X, y, checkpoint=endless), "checkpoint"),
        (lambda: ConvNetTransformer(endless).fit(X, y), "estimator"),
        (lambda: ConvNetTransformer(network, layer=endless).fit(X, y), "layer"),
    ]
    for refusal, name in refusals:
        with pytest.raises((TypeError, ValueError), match=rf"{name}(=| .* it is )\[\[\["):
            refusal()
