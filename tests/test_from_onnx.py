"""Networks that were made elsewhere: the estimators predict what ONNX Runtime does."""

import pickle

import numpy as np
import pytest
from images import bars, small_network
from onnx_networks import BOUND, N_NETWORKS, error, random_network, run
from sklearn.base import clone

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from sklearn_cnn._estimator.state import fitted_plan  # noqa: E402
from sklearn_cnn._onnx.layers import EPSILON  # noqa: E402
from sklearn_cnn.onnx import from_onnx, to_onnx  # noqa: E402

# what the constants of a Gather are called for unshared weights, and for reflection beyond the length of an axis
WRITTEN_ONLY = ("patches", "pixels")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_round_trip(seed):
    estimator, X = random_network(seed)
    model = to_onnx(estimator, dtype=X.dtype)
    if any(tensor.name.startswith(WRITTEN_ONLY) for tensor in model.graph.initializer):
        with pytest.raises(ValueError, match=r"\(Gather\) cannot be read: there is no such operation"):
            from_onnx(model)
        return
    restored = from_onnx(model)
    assert restored.layer_table_ == estimator.layer_table_
    assert clone(restored).fit(X, estimator.predict(X)).layer_table_[:-1] == estimator.layer_table_[:-1]
    if isinstance(estimator, ConvNetClassifier):
        assert restored.classes_.tolist() == estimator.classes_.tolist()
        assert error(restored.predict_proba(X), estimator.predict_proba(X)) < BOUND
    else:
        assert error(restored.predict(X), estimator.predict(X)) < BOUND


def test_an_imported_state_may_be_better_than_every_epoch():
    X, y = bars()
    network = small_network(max_iter=20).fit(X, y)
    imported = from_onnx(to_onnx(network)).set_params(warm_start=True, early_stopping=True, max_iter=2, learning_rate_init=3.0)
    parameters = imported._fitted["parameters"].copy()
    imported.set_params(solver="sgd", momentum=0.0, learning_rate="constant").fit(X, y, X_val=X, y_val=y)
    assert imported.best_iter_ == 0
    assert imported.best_validation_score_ == network.score(X, y) == 1.0
    np.testing.assert_array_equal(imported._fitted["parameters"], parameters)


random = np.random.RandomState(0)


def normal(*shape):
    return random.normal(scale=0.5, size=shape).astype(np.float32)


def chain(shape, *nodes):
    """A model of nodes in a row: ``(kind, constants..., attributes)``, or the kind alone."""
    nodes = [node if isinstance(node, tuple) else (node,) for node in nodes]
    value, protos, constants = "image", [], []
    for number, (kind, *rest) in enumerate(nodes):
        attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        inputs = [f"{kind}_{number}_{place}" for place in range(len(rest))]
        constants += [onnx.numpy_helper.from_array(values, name) for values, name in zip(rest, inputs, strict=True)]
        output = f"value_{number}"
        protos.append(onnx.helper.make_node(kind, [value, *inputs], [output], name=f"{kind.lower()}_{number}", **attributes))
        value = output
    ends = [
        onnx.helper.make_tensor_value_info("image", 1, ("n", *shape)),
        onnx.helper.make_tensor_value_info(value, 1, ("n", "k")),
    ]
    graph = onnx.helper.make_graph(protos, "chain", ends[:1], ends[1:], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def normalisation(n, gamma=None):
    return (
        "BatchNormalization",
        normal(n) if gamma is None else gamma,
        normal(n),
        normal(n),
        np.abs(normal(n)),
        {"epsilon": 1e-3},
    )


def convolution(n_filters, n_channels, size=3, **attributes):
    return ("Conv", normal(n_filters, n_channels, size, size), normal(n_filters), attributes)


POOL = {"kernel_shape": (2, 2), "strides": (2, 2)}
FEATURES = (  # of 3 x 10 x 8: what a framework that has channels first would write
    convolution(4, 3, pads=(1, 1, 1, 1)), "Relu", ("MaxPool", POOL), convolution(5, 4), "Relu", ("AveragePool", POOL), "Flatten",
)  # fmt: skip
TRANSPOSED = ("Transpose", {"perm": (0, 3, 1, 2)})
# name -> nodes; the input has three channels, 10 rows and 8 columns
NETWORKS = {
    "classes": (*FEATURES, ("Gemm", normal(4, 5), normal(4), {"transB": 1}), "Softmax"),
    "logarithms": (*FEATURES, ("Gemm", normal(4, 5), normal(4), {"transB": 1, "alpha": 0.5, "beta": 2.0}), "LogSoftmax"),
    "scores": (*FEATURES, ("MatMul", normal(5, 4)), ("Add", normal(4))),
    "one number": (*FEATURES, ("Gemm", normal(5, 1))),
    "two classes": (*FEATURES, ("Gemm", normal(5, 1), normal(1)), "Sigmoid"),
    "two scores": (*FEATURES, ("Gemm", normal(5, 2), normal(2)), "Softmax"),
    "labels": (*FEATURES, ("Gemm", normal(5, 3), normal(3)), "Sigmoid"),
    "hidden layers": (
        *FEATURES,
        ("Gemm", normal(5, 6), normal(6)),
        "Relu",
        "Dropout",
        ("MatMul", normal(6, 3)),
        ("Add", normal(3)),
        "Softmax",
    ),
    "no pooling": (convolution(4, 3, strides=(2, 1)), "Tanh", "Flatten", ("Gemm", normal(96, 3)), "Softmax"),
    "perceptron": ("Flatten", ("Gemm", normal(240, 5), normal(5)), "Sigmoid", ("Gemm", normal(5, 3)), "Softmax"),
    "activation last": (convolution(4, 3), ("MaxPool", POOL), "Tanh", "Flatten", ("Gemm", normal(48, 3)), "Softmax"),
    "whole maps": (convolution(4, 3), "Relu", "GlobalAveragePool", "Flatten", ("Gemm", normal(4, 3)), "Softmax"),
    "largest values": (
        convolution(4, 3),
        "Relu",
        "GlobalMaxPool",
        ("Squeeze", np.array([2, 3])),
        ("Gemm", normal(4, 3)),
        "Softmax",
    ),
    "reshaped": (convolution(4, 3), "Relu", ("Reshape", np.array([0, -1])), ("Gemm", normal(192, 3)), "Softmax"),
    "even kernel": (convolution(4, 3, 2, auto_pad="SAME_UPPER"), "Relu", "Flatten", ("Gemm", normal(320, 3)), "Softmax"),
    "reflection": (
        ("Pad", np.array([0, 0, 2, 1, 0, 0, 2, 1]), {"mode": "reflect"}),
        convolution(4, 3),
        "Relu",
        "Flatten",
        ("Gemm", normal(384, 3)),
        "Softmax",
    ),
    "scaled": (
        ("Div", np.float32(255.0)),
        ("Sub", normal(3, 1, 1)),
        ("Mul", normal(1, 3, 1, 1)),
        convolution(4, 3),
        "Relu",
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "normalised": (
        convolution(4, 3),
        normalisation(4),
        "Relu",
        ("MaxPool", POOL),
        convolution(5, 4, 2),
        normalisation(5),
        "Relu",
        ("AveragePool", POOL),
        "Flatten",
        ("Gemm", normal(5, 6)),
        normalisation(6),
        "Relu",
        ("Gemm", normal(6, 3)),
        "Softmax",
    ),
    "variances below our epsilon": (
        convolution(4, 3),
        ("BatchNormalization", 1e-3 * normal(4), normal(4), normal(4), np.full(4, 1e-7, np.float32), {"epsilon": 1e-7}),
        "Relu",
        "Flatten",
        ("Gemm", 0.1 * normal(192, 3)),
        "Softmax",
    ),
    "normalised after the maximum": (
        convolution(4, 3),
        ("MaxPool", POOL),
        normalisation(4),
        "Relu",
        "Flatten",
        ("Gemm", normal(48, 3)),
        "Softmax",
    ),
    "partly normalised": (
        convolution(4, 3),
        normalisation(4),
        "Relu",
        ("MaxPool", POOL),
        convolution(5, 4, 2),
        "Relu",
        "Flatten",
        ("Gemm", normal(30, 3)),
        normalisation(3),
        "Softmax",
    ),
    "folded after the maximum": (
        convolution(4, 3),
        ("MaxPool", POOL),
        normalisation(4, np.ones(4, np.float32)),
        "Relu",
        "Flatten",
        ("Gemm", normal(48, 6)),
        "Relu",
        ("Gemm", normal(6, 3)),
        "Softmax",
    ),
    "bias apart": (
        ("Conv", normal(4, 3, 3, 3)),
        ("Add", normal(1, 4, 1, 1)),
        "Relu",
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "targets": (
        *FEATURES,
        ("Gemm", normal(5, 2)),
        ("Mul", np.array([2.0, 3.0], np.float32)),
        ("Add", np.array([10.0, 20.0], np.float32)),
    ),
}
LAST = {
    "channels last": (TRANSPOSED, *FEATURES, ("Gemm", normal(5, 4), normal(4)), "Softmax"),
    "channels last throughout": (
        TRANSPOSED,
        convolution(4, 3),
        "Relu",
        ("Transpose", {"perm": (0, 2, 3, 1)}),
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "scaled with channels last": (
        ("Sub", normal(3)),
        TRANSPOSED,
        convolution(4, 3),
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
}


def answers(estimator, X, name):
    if isinstance(estimator, ConvNetRegressor):
        return estimator.predict(X).reshape(len(X), -1)
    if name == "logarithms":
        return estimator.predict_log_proba(X)
    return estimator.predict_proba(X)[:, 1:] if name == "two classes" else estimator.predict_proba(X)


@pytest.mark.filterwarnings("ignore:Block 0. stride")
@pytest.mark.parametrize("name", [*NETWORKS, *LAST])
def test_networks_made_by_hand(name):
    comes_last = name in LAST
    X = normal(20, 10, 8, 3) * (100.0 if name == "scaled" else 1.0)
    own = X if comes_last else np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    model = chain(own.shape[1:], *(LAST if comes_last else NETWORKS)[name])
    onnx.checker.check_model(model, full_check=True)
    estimator = from_onnx(model)
    (found,) = run(model, own).values()
    assert np.ptp(found) > 100 * BOUND  # there is something to be wrong
    assert error(answers(estimator, X, name), found) < BOUND
    assert estimator.input_shape_ == (10, 8, 3)
    expected = {"one number": "identity", "scores": "identity", "targets": "identity"}
    assert estimator.out_activation_ == expected.get(
        name, "logistic" if name in ("two classes", "two scores", "labels") else "softmax"
    )
    assert error(answers(estimator, X.reshape(20, -1), name), found) < BOUND  # flat rows too


@pytest.mark.parametrize("kind", ["signals", "rows"])
def test_signals(kind):
    X = normal(9, 3, 12)
    nodes = [("Conv", normal(4, 3, 5), normal(4), {"pads": (2, 2)}), "Relu", ("MaxPool", {"kernel_shape": (2,), "strides": (2,)})]
    model = chain((3, 12), *nodes, "Flatten", ("Gemm", normal(24, 3)), "Softmax")
    if kind == "rows":
        X = X[:, 0]
        model = chain((12,), ("Gemm", normal(12, 4)), "Relu", ("Gemm", normal(4, 3)), "Softmax")
    estimator = from_onnx(model)
    own = X[:, None].transpose(0, 1, 3, 2) if kind == "signals" else X
    assert error(estimator.predict_proba(own), run(model, X)["value_5" if kind == "signals" else "value_3"]) < BOUND


@pytest.mark.parametrize(("ending", "labels"), [((), ["cat", "ant", "bee"]), (("Softmax",), [7, 3, 5])])
def test_classes(ending, labels):
    X = normal(20, 10, 8, 3)
    model = chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 3), normal(3)), *ending)
    estimator = from_onnx(model, classes=labels)
    found = next(iter(run(model, X.transpose(0, 3, 1, 2).copy()).values()))
    assert estimator.predict(X).tolist() == np.array(labels)[found.argmax(axis=1)].tolist()
    assert estimator.classes_.tolist() == sorted(labels)
    for wrong in labels[:2], [labels[0]] * 3, [labels]:
        with pytest.raises(ValueError, match="has to name each of the 3 classes of the model once"):
            from_onnx(model, classes=wrong)


@pytest.mark.parametrize("nodes", [(("Gemm", normal(5, 1)), "Sigmoid"), (("Gemm", normal(5, 2)), "Softmax")])
def test_two_classes_in_another_order(nodes):
    X = normal(20, 10, 8, 3)
    model = chain((3, 10, 8), *FEATURES, *nodes)
    estimators = [from_onnx(model, classes=labels) for labels in (["a", "b"], ["b", "a"])]
    first, second = (estimator.predict_proba(X) for estimator in estimators)
    np.testing.assert_allclose(first, second[:, ::-1], atol=1e-6)
    assert estimators[0].predict(X).tolist() == np.where(estimators[1].predict(X) == "a", "b", "a").tolist()


def test_sources(tmp_path):
    X, y = bars()
    network = small_network().fit(X, y)
    model = to_onnx(network)
    onnx.save(model, tmp_path / "network.onnx")
    for source in model, model.SerializeToString(), tmp_path / "network.onnx", str(tmp_path / "network.onnx"):
        assert error(from_onnx(source).predict_proba(X), network.predict_proba(X)) < BOUND
    with pytest.raises(TypeError, match="model=ConvNetClassifier is no ONNX model: pass an"):
        from_onnx(network)
    (tmp_path / "damaged.onnx").write_bytes(model.SerializeToString()[:-7])
    with pytest.raises(ValueError, match=r"^model: the file .*damaged\.onnx' cannot be read as an ONNX model \(.*a whole copy"):
        from_onnx(tmp_path / "damaged.onnx")
    with pytest.raises(ValueError, match=r"^model: 5 bytes cannot be read as an ONNX model"):
        from_onnx(b"bytes")


def test_training_goes_on():
    X, y = bars()
    network = small_network(max_iter=1).fit(X, y)
    restored = pickle.loads(pickle.dumps(from_onnx(to_onnx(network))))  # a state that is checked as a whole
    restored.set_params(learning_rate_init=1e-2, random_state=0)
    before, shift = restored.score(X, y), restored._fitted["shift"]
    for _ in range(20):
        restored.partial_fit(X, y)
    assert restored.score(X, y) == 1.0 > before
    assert len(restored.loss_curve_) == 20
    assert restored._fitted["shift"].tobytes() == shift.tobytes()
    assert from_onnx(to_onnx(restored)).predict(X).tolist() == restored.predict(X).tolist()


DENSE = (("Gemm", normal(5, 4)), "Softmax")
REFUSED = {
    "there is no such operation": (convolution(4, 3), "LeakyRelu"),
    "group and dilations have to be 1": (convolution(4, 3, dilations=(2, 2)),),
    "padding of ((1, 1), (2, 0)) is neither the same on both sides nor that of SAME_UPPER": (
        convolution(4, 3, pads=(1, 2, 1, 0)),
    ),
    "weights of shape (4, 2, 3, 3) do not fit 3 channels": (convolution(4, 2),),
    "windows are not padded": (convolution(4, 3), ("MaxPool", {**POOL, "pads": (1, 1, 1, 1)})),
    "with ceil_mode=1 the last window would reach beyond its 7 x 5 map": (
        convolution(4, 3, 4),
        ("MaxPool", {**POOL, "ceil_mode": 1}),
    ),
    "it follows neither a convolution nor a dense layer, or another of its kind": (convolution(4, 3), "Relu", "Tanh"),
    "the order pooling, activation is not that of a block": (
        convolution(4, 3),
        ("AveragePool", POOL),
        "Relu",
        "Flatten",
        ("Gemm", normal(48, 3)),
    ),
    "the activation is 'tanh' here and 'relu' in the first layer": (
        *FEATURES,
        ("Gemm", normal(5, 5)),
        "Tanh",
        ("Gemm", normal(5, 3)),
    ),
    "after the last layer there may be Softmax, Sigmoid or nothing": (*FEATURES, ("Gemm", normal(5, 3)), "Relu"),
    "what stands before it, probabilities or targets, is the end of a network": (*FEATURES, *DENSE, ("Gemm", normal(4, 3))),
    "rows and columns of images are padded": (("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), {"mode": "edge"}), convolution(4, 3)),
    "its axis has to be 1": (convolution(4, 3), ("Flatten", {"axis": 2})),
    "8 x 6 pixels are left": (convolution(4, 3), "Squeeze"),
    "it normalises what a layer hands on": (normalisation(3), convolution(4, 3)),
    "a matrix of shape (7, 3) does not fit 5 values": (*FEATURES, ("Gemm", normal(7, 3))),
    "blocks of convolution come first": (convolution(4, 3), "GlobalMaxPool", convolution(4, 4, 1)),
    "its constant of shape (8,) has not one number for each of 3 channels": (("Mul", normal(8)), convolution(4, 3)),
    "it is neither a bias, nor a scaling": (convolution(4, 3), "Relu", ("Mul", normal(1))),
    "it has a negative scale after a maximum": (
        convolution(4, 3),
        ("MaxPool", POOL),
        normalisation(4, -np.ones(4, np.float32)),
        "Flatten",
        ("Gemm", normal(48, 6)),
        ("Gemm", normal(6, 3)),
    ),
    "perm=(0, 1, 3, 2) is neither": (("Transpose", {"perm": (0, 1, 3, 2)}),),
    "the input alone is reshaped": (convolution(4, 3), ("Reshape", np.array([0, 4, 6, 8]))),
    "its axis has to be that of the classes": (*FEATURES, ("Gemm", normal(5, 4)), ("Softmax", {"axis": 0})),
    "its input is channels first, and it is for one that is flat": (convolution(4, 3), ("MatMul", normal(8, 3))),
    "its input is flat, and it is for one that is channels first": ("Flatten", convolution(4, 3)),
    "its scores are multiplied by numbers that are not positive": (
        *FEATURES,
        ("Gemm", normal(5, 1)),
        ("Mul", -np.ones(1, np.float32)),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_expressed_is_named(reason):
    with pytest.raises(ValueError) as caught:
        from_onnx(chain((3, 10, 8), *REFUSED[reason]))
    assert reason in str(caught.value)
    assert str(caught.value).startswith("Node '")
    assert "from_onnx reads chains of Add, AveragePool, BatchNormalization, " in str(caught.value)


def test_the_larger_half_of_an_odd_padding_is_not_put_on_the_other_side():
    nodes = "Relu", "Flatten", ("Gemm", normal(320, 3)), "Softmax"
    from_onnx(chain((3, 10, 8), convolution(4, 3, 2, auto_pad="SAME_UPPER"), *nodes))
    with pytest.raises(ValueError, match=r"padding of \(\(1, 0\), \(1, 0\)\) is neither the same on both sides nor"):
        from_onnx(chain((3, 10, 8), convolution(4, 3, 2, auto_pad="SAME_LOWER"), *nodes))


def test_a_running_variance_is_free_of_its_models_epsilon():
    """Predictions alone do not tell: gamma makes up for any variance."""
    variance = np.array([0.5, 1.0, 2.0, 0.1], np.float32)
    node = "BatchNormalization", normal(4), normal(4), normal(4), variance, {"epsilon": 1e-3}
    network = from_onnx(chain((3, 10, 8), convolution(4, 3), node, "Relu", "Flatten", ("Gemm", normal(192, 3)), "Softmax"))
    _, _, variances_at, n_filters = fitted_plan(network._fitted).statistics[0]
    found = network._fitted["statistics"][variances_at : variances_at + n_filters]
    np.testing.assert_allclose(found, variance + 1e-3 - EPSILON, rtol=1e-6)


def test_graphs_that_are_no_chains():
    model = chain((3, 10, 8), *FEATURES, *DENSE)
    beside = onnx.helper.make_node("Relu", ["image"], ["other"], name="beside")
    model.graph.node.append(beside)
    with pytest.raises(ValueError, match=r"Node 'beside' \(Relu\) cannot be read: 'image' goes into 2 nodes"):
        from_onnx(model)
    model.graph.node[-1].input[0] = "nothing"
    with pytest.raises(ValueError, match=r"Node 'beside' \(Relu\) cannot be read: it stands beside the chain"):
        from_onnx(model)
    model = chain((3, 10, 8), *FEATURES, *DENSE)
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", 1, (1,)))
    with pytest.raises(ValueError, match=r"The model has 2 inputs \(image, mask\), a network has one"):
        from_onnx(model)
    for shape in ((3, 0, 8), (3, 4, 5, 6), ()):
        with pytest.raises(ValueError, match=r"The input 'image' of the model has the shape .* known numbers"):
            from_onnx(chain(shape, *FEATURES))
    with pytest.raises(ValueError, match="The model has no dense layer at its end"):
        from_onnx(chain((3, 10, 8), convolution(4, 3), "GlobalMaxPool"))
    model = chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 3)), "Sigmoid")
    with pytest.raises(ValueError, match="is for exclusive classes, but the model has 3 independent labels"):
        from_onnx(model, classes=[1, 2, 3])


@pytest.mark.parametrize("target", [(0, 3, 80), (0, -3, -10, 8), (0, 3, 10, 8, 1), (0, 0, 10, 8), (0, 3, 10, 9)])
def test_an_input_is_reshaped_to_images_alone(target):
    nodes = ("Reshape", np.array(target)), convolution(4, 3), "Flatten", ("Gemm", normal(192, 3)), "Softmax"
    with pytest.raises(ValueError, match="the input alone is reshaped, to images"):
        from_onnx(chain((240,), *nodes))


def test_colours_of_a_flat_input_come_last():
    nodes = convolution(4, 3), "Flatten", ("Gemm", normal(192, 3)), "Softmax"
    channels_first, channels_last = ("Reshape", np.array([0, 3, 10, 8])), ("Reshape", np.array([0, 10, 8, 3]))
    with pytest.raises(ValueError, match="rows of numbers hold colour images with the channels last, and a Transpose brings"):
        from_onnx(chain((240,), channels_first, *nodes))
    network = from_onnx(chain((240,), channels_last, ("Transpose", {"perm": (0, 3, 1, 2)}), *nodes))
    assert network.input_shape_ == (10, 8, 3)


@pytest.mark.parametrize("axis", [0, 1, 4, 5])
def test_samples_and_channels_are_not_padded(axis):
    pads = np.zeros(8, np.int64)
    pads[axis] = 1
    with pytest.raises(ValueError, match="rows and columns of images are padded"):
        from_onnx(chain((3, 10, 8), ("Pad", pads), convolution(4, 3), "Flatten", ("Gemm", normal(192, 3)), "Softmax"))
