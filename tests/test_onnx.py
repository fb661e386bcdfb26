"""Networks as ONNX models: what ONNX Runtime answers is what the estimators answer, but for rounding.

`onnx_networks` says how many random networks are compared.
"""

import re

import numpy as np
import pytest
from images import bars, small_network
from onnx_networks import BOUND, N_NETWORKS, error, random_network, run
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from sklearn_cnn._network.layers import DenseLayer, DropoutLayer  # noqa: E402
from sklearn_cnn._network.network import Network  # noqa: E402
from sklearn_cnn._network.plan import build_plan  # noqa: E402
from sklearn_cnn._onnx.graph import Graph  # noqa: E402
from sklearn_cnn._onnx.layers import write_layers  # noqa: E402
from sklearn_cnn.onnx import to_onnx  # noqa: E402


def test_a_layer_that_nobody_writes_is_named():
    plan = build_plan((DropoutLayer(0.5), DenseLayer(2)), (4, 4, 1))
    with pytest.raises(NotImplementedError, match="A DropoutLayer cannot be written as ONNX"):
        write_layers(Graph(), Network(plan, np.zeros(plan.parameter_size, dtype=np.float32)), "X")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_networks_agree(seed):
    estimator, X = random_network(seed)
    found = run(to_onnx(estimator, dtype=X.dtype), X)
    if isinstance(estimator, ConvNetClassifier):
        own = estimator.predict_proba(X)
        assert error(found["probabilities"], own) < BOUND
        scores = estimator.decision_function(X)
        is_clear = np.abs(scores if scores.ndim == 1 else np.diff(np.sort(scores))[:, -1]) > BOUND * np.abs(scores).max()
        is_clear = is_clear if estimator.predict(X).ndim == 1 else (np.abs(scores) > BOUND * np.abs(scores).max()).all(axis=1)
        np.testing.assert_array_equal(found["label"][is_clear], estimator.predict(X)[is_clear])
    else:
        own = estimator.predict(X)
        assert found["prediction"].dtype == (np.float64 if X.dtype == np.float64 else np.float32)
        assert error(found["prediction"].reshape(own.shape), own) < BOUND
    layer = seed % (len(estimator.layer_table_) - 1) if len(estimator.layer_table_) > 1 else None
    if layer is not None:
        features = ConvNetTransformer(estimator, layer=layer, prefit=True)
        assert error(run(to_onnx(features, dtype=X.dtype), X)["features"], features.transform(X)) < BOUND


def fitted(X, y, **parameters):
    return small_network(**{"n_filters": (3, 2), **parameters}).fit(X, y)


LABELS = {
    "int64": (np.array([-3, 5, 9]), np.int64),
    "uint8": (np.array([3, 5, 250], dtype=np.uint8), np.int64),
    "booleans": (np.array([False, True, False]), bool),
    "floats": (np.array([-1.0, 0.0, 2.0]), np.float64),
    "strings": (np.array(["ant", "bee", "cät"]), object),
    "objects": (np.array(["ant", "bee", "cat"], dtype=object), object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    X, y = bars()
    classes, dtype = LABELS[kind]
    network = fitted(X, classes[y])
    found = run(to_onnx(network), X)["label"]
    assert found.dtype == dtype
    assert found.tolist() == network.predict(X).tolist()


def test_one_class():
    X, _ = bars()
    network = fitted(X, ["only"] * len(X))
    found = run(to_onnx(network), X)
    assert found["label"].tolist() == ["only"] * len(X)
    assert (found["probabilities"] == 1.0).all()


@pytest.mark.parametrize("names", [[3, 5, 7], [3.0, 5.0, 7.0], ["ant", "bee", "cat"]])
def test_zipmap(names):
    X, y = bars()
    network = fitted(X, np.array(names)[y])
    own = network.predict_proba(X)
    found = run(to_onnx(network, zipmap=True), X)["probabilities"]
    assert [list(row) for row in found] == [names] * len(X)
    assert error([list(row.values()) for row in found], own) < BOUND
    columns = run(to_onnx(network, zipmap="columns"), X)
    assert list(columns)[1:] == [f"{'i' if names[0] == 3 else 's'}{name}" for name in names]
    assert error(np.stack(list(columns.values())[1:], axis=1), own) < BOUND


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["flat", "image", "channels"])
def test_forms_of_the_input(form, channels):
    X, y = bars()
    X = np.stack([X * (c + 1) for c in range(channels)], axis=3)
    network = fitted(X, y)
    shape = {"flat": (36 * channels,), "image": (6, 6) if channels == 1 else (6, 6, 3), "channels": (6, 6, channels)}[form]
    model = to_onnx(network, input_shape=shape)
    assert [entry.dim_value for entry in model.graph.input[0].type.tensor_type.shape.dim][1:] == list(shape)
    for n in 1, 7, 0:
        found = run(model, X[:n].reshape(n, *shape))["probabilities"]
        assert found.shape == (n, 3)
        assert n == 0 or error(found, network.predict_proba(X[:n])) < BOUND
    as_usual = [entry.dim_value for entry in to_onnx(network).graph.input[0].type.tensor_type.shape.dim][1:]
    assert as_usual == ([6, 6] if channels == 1 else [6, 6, 3])


def test_without_scaling():
    X, y = bars()
    network = fitted(X, y)
    scaled = ((X - network._fitted["shift"]) * network._fitted["factor"]).astype(np.float32)
    found = run(to_onnx(network, with_scaling=False), scaled)["probabilities"]
    assert error(found, network.predict_proba(X)) < BOUND
    assert error(found, run(to_onnx(network), scaled)["probabilities"]) > 0.01


def test_large_numbers_keep_their_digits_in_double_precision():
    X, y = bars()
    X = X.astype(np.float64) + 1e8
    network = fitted(X, y)
    assert error(run(to_onnx(network, dtype=np.float64), X)["probabilities"], network.predict_proba(X)) < BOUND


def test_what_to_onnx_refuses():
    X, y = bars()
    network = fitted(X, y)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        to_onnx(small_network())
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        to_onnx(ConvNetTransformer(small_network()))
    with pytest.raises(TypeError, match=r"is no network of this package: .* skl2onnx writes a Pipeline"):
        to_onnx(make_pipeline(network))
    for dtype in "int8", "complex64", None, "no type":
        with pytest.raises(ValueError, match=f"dtype={dtype!r} is not valid: it must be one of float32, float64, uint8"):
            to_onnx(network, dtype=dtype)
    with pytest.raises(ValueError, match="zipmap='rows' is not valid: it must be True, False or 'columns'"):
        to_onnx(network, zipmap="rows")
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ValueError, match=r"dtype=\[\[.* is not valid: it must be one of float32"):
        to_onnx(network, dtype=deep)
    for scaled in "no", None, 1:
        with pytest.raises(ValueError, match=f"with_scaling={scaled!r} is not valid: it must be True or False"):
            to_onnx(network, with_scaling=scaled)
    for form in 1, None, deep, np.zeros(2):
        with pytest.raises(ValueError, match=r"zipmap=.* is not valid: it must be True, False or 'columns'"):
            to_onnx(network, zipmap=form)
    for shape in (3, 12), "six", {6: 6}:
        words = re.escape(f"input_shape={shape!r} is not valid: a sample of this network is (36,) or (6, 6) or (6, 6, 1)")
        with pytest.raises(ValueError, match=words):
            to_onnx(network, input_shape=shape)
    for other in ConvNetRegressor(n_filters=2, max_iter=1).fit(X, y), ConvNetTransformer(network, prefit=True):
        with pytest.raises(ValueError, match=r"zipmap=True is for classifiers"):
            to_onnx(other, zipmap=True)
    network._fitted["classes_"] = np.array([b"ant", b"bee", b"cat"])
    with pytest.raises(ValueError, match=r"ONNX has no labels like b'ant': fit on integers or strings"):
        to_onnx(network)


def test_labels_beyond_the_integers_of_onnx_are_refused():
    X, y = bars()
    network = fitted(X, np.array([1, 5, 2**63], dtype=np.uint64)[y])
    for zipmap in False, True, "columns":
        with pytest.raises(ValueError, match=r"ONNX has no labels like 9223372036854775808: its integers end at 2\*\*63 - 1"):
            to_onnx(network, zipmap=zipmap)
    largest = np.array([1, 5, 2**63 - 1], dtype=np.uint64)
    assert run(to_onnx(fitted(X, largest[y])), X)["label"].max() <= 2**63 - 1


def test_a_missing_package_is_named(monkeypatch):
    X, y = bars()
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"to_onnx needs the package onnx. Install it with  pip install 'sklearn_cnn\[onnx\]'"):
        to_onnx(fitted(X, y))


@pytest.fixture
def skl2onnx():
    """The package, which forgets our classes again behind a test: each begins with one that does not know them."""
    package = pytest.importorskip("skl2onnx")
    from skl2onnx import _parse, _supported_operators

    yield package
    for names in _parse.sklearn_parsers_map, _supported_operators.sklearn_operator_name_map:
        for estimator in ConvNetClassifier, ConvNetRegressor, ConvNetTransformer:
            names.pop(estimator, None)


def flat_bars(dtype):
    X, y = bars()
    return X.reshape(len(X), -1).astype(dtype), np.array(["ant", "bee", "cat"])[y]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_skl2onnx_converts_pipelines(skl2onnx, dtype):
    X, y = flat_bars(dtype)
    model = make_pipeline(MinMaxScaler(), small_network(input_shape=(6, 6))).fit(X, y)
    for _ in range(2):  # the second time it knows the class
        found = run(skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}), X)
        assert list(found) == ["label", "probabilities"]
        assert found["label"].tolist() == model.predict(X).tolist()
        assert error(found["probabilities"], model.predict_proba(X)) < BOUND
        found = run(skl2onnx.to_onnx(model, X[:1]), X)  # its default is a dictionary for each sample
        assert list(found) == ["output_label", "output_probability"]
        assert error([list(row.values()) for row in found["output_probability"]], model.predict_proba(X)) < BOUND
        options = {id(model[-1]): {"zipmap": "columns"}}
        found = run(skl2onnx.to_onnx(model, X[:1], options=options), X)
        assert list(found) == ["output_label", "sant", "sbee", "scat"]
        assert error(found["sbee"], model.predict_proba(X)[:, 1]) < BOUND


@pytest.mark.parametrize("name", ["UInt8", "Int32", "Int64"])
def test_skl2onnx_keeps_the_digits_of_integers(skl2onnx, name):
    dtype = np.dtype(name.lower())
    X, y = bars()
    X = (20 * X.reshape(len(X), -1).astype(np.float64) + (100 if name == "UInt8" else 10**8)).astype(dtype)
    network = small_network(input_shape=(6, 6)).fit(X, y)
    kind = getattr(skl2onnx.common.data_types, f"{name}TensorType")
    model = skl2onnx.to_onnx(network, initial_types=[("X", kind([None, 36]))], options={"zipmap": False})
    assert error(run(model, X)["probabilities"], network.predict_proba(X)) < BOUND


def test_skl2onnx_converts_searches(skl2onnx):
    X, y = flat_bars(np.float32)
    search = GridSearchCV(small_network(input_shape=(6, 6)), {"n_filters": [2, 3]}, cv=2).fit(X, y)
    found = run(skl2onnx.to_onnx(search, X[:1], options={id(search): {"zipmap": False}}), X)
    assert error(found["probabilities"], search.predict_proba(X)) < BOUND


def test_skl2onnx_converts_regressors_and_transformers(skl2onnx):
    X, y = flat_bars(np.float32)
    place = np.char.find("antbeecat", y) + 100.0
    model = make_pipeline(MinMaxScaler(), ConvNetRegressor(n_filters=3, input_shape=(6, 6), max_iter=2, random_state=0))
    model.fit(X, place)
    found = run(skl2onnx.to_onnx(model, X[:1]), X)
    assert list(found) == ["variable"]
    np.testing.assert_allclose(found["variable"].ravel(), model.predict(X), atol=1e-3)
    features = ConvNetTransformer(small_network(input_shape=(6, 6)), layer="block 0: max pooling")
    model = make_pipeline(features, LogisticRegression()).fit(X, y)
    found = run(skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}), X)
    assert found["label"].tolist() == model.predict(X).tolist()


def meta_estimators(network):
    return {
        "calibrated": CalibratedClassifierCV(network, cv=2),
        "bagged": BaggingClassifier(network, n_estimators=2, random_state=0),
        "stacked": StackingClassifier([("network", network), ("line", LogisticRegression())], cv=2),
        "one against the rest": OneVsRestClassifier(network),
    }


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", meta_estimators(None))
def test_skl2onnx_converts_what_holds_networks(skl2onnx, kind, n_classes):
    """Once it knows the class: these ask for a converter without looking at the estimator."""
    X, y = bars(90, n_classes)
    X = X.reshape(len(X), -1)
    network = small_network(input_shape=(6, 6))
    network.onnx_parser()
    model = meta_estimators(network)[kind].fit(X, y)
    found = run(skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}), X)
    assert error(found["probabilities"], model.predict_proba(X)) < BOUND


def test_skl2onnx_gives_raw_scores(skl2onnx):
    X, y = flat_bars(np.float32)
    network = small_network(input_shape=(6, 6)).fit(X, y)
    options = {id(network): {"zipmap": False, "raw_scores": True}}
    found = run(skl2onnx.to_onnx(network, X[:1], options=options), X)
    assert error(found["probabilities"], network.decision_function(X)) < BOUND
    assert found["label"].tolist() == network.predict(X).tolist()


def test_skl2onnx_is_told_what_is_not_possible(skl2onnx):
    X, y = flat_bars(np.float32)
    network = small_network(input_shape=(6, 6)).fit(X, y)
    with pytest.raises(ValueError, match="target_opset=12 is too old: convolutional networks need 13 or more"):
        skl2onnx.to_onnx(network, X[:1], target_opset=12)
    types = [(name, skl2onnx.common.data_types.FloatTensorType([None, 18])) for name in ("left", "right")]
    with pytest.raises(ValueError, match="has one input, but 2 are declared: left, right"):
        skl2onnx.convert_sklearn(network, initial_types=types)
    with pytest.raises(ValueError, match="Unexpected value"):
        skl2onnx.to_onnx(network, X[:1], options={id(network): {"zipmap": "rows"}})
