"""Networks that were made elsewhere: the estimators predict what ONNX Runtime does."""

import os
import pickle
import re

import numpy as np
import pytest
from children import alarm
from images import bars, small_network
from onnx_networks import BOUND, N_NETWORKS, error, random_network, run
from sklearn.base import clone

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_chains import FEATURES, LAST, NETWORKS, POOL, TRANSPOSED, chain, convolution, normal, normalisation  # noqa: E402

from sklearn_cnn._estimator.state import fitted_plan  # noqa: E402
from sklearn_cnn._onnx.layers import EPSILON  # noqa: E402
from sklearn_cnn.onnx import from_onnx, to_onnx  # noqa: E402

WRITTEN_ONLY = "patches"  # what the constants of a Gather are called for unshared weights


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_round_trip(seed):
    estimator, X = random_network(seed)
    model = to_onnx(estimator, dtype=X.dtype)
    if any(tensor.name.startswith(WRITTEN_ONLY) for tensor in model.graph.initializer):
        with pytest.raises(ValueError, match=r"\(Gather\) cannot be read: "):
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


def test_a_constant_for_each_of_two_columns_is_none_for_each_of_two_channels():
    nodes = convolution(4, 2), "Flatten", ("Gemm", normal(32, 3)), "Softmax"
    for_channels, for_columns = normal(2, 1, 1), normal(2)
    assert from_onnx(chain((2, 6, 4), ("Mul", for_channels), *nodes)).input_shape_ == (6, 4, 2)
    with pytest.raises(ValueError, match=r"constant of shape \(2,\) has not one number for each of 2 channels"):
        from_onnx(chain((2, 4, 2), ("Mul", for_columns), *nodes))


def test_colours_are_scaled_before_they_come_first():
    nodes = ("Transpose", {"perm": (0, 3, 1, 2)}), convolution(4, 3), "Flatten", ("Gemm", normal(192, 3)), "Softmax"
    model = chain((240,), ("Reshape", np.array([0, 10, 8, 3])), ("Mul", np.array([2.0, 0.5, 3.0], np.float32)), *nodes)
    network, X = from_onnx(model), normal(5, 240)
    assert error(network.predict_proba(X), run(model, X)["value_6"]) < BOUND


@pytest.mark.parametrize("axis", [0, 1, 4, 5])
def test_samples_and_channels_are_not_padded(axis):
    pads = np.zeros(8, np.int64)
    pads[axis] = 1
    with pytest.raises(ValueError, match="rows and columns of images are padded"):
        from_onnx(chain((3, 10, 8), ("Pad", pads), convolution(4, 3), "Flatten", ("Gemm", normal(192, 3)), "Softmax"))


# ------------------------------------------------------------------------------------------------- damaged and made up


def added(model, kind, inputs, outputs, **attributes):
    model.graph.node.append(onnx.helper.make_node(kind, inputs, outputs, **attributes))


def classes_model():
    return chain((3, 10, 8), *FEATURES, *DENSE)


def scores_of(model):
    """The name of the value before the last node."""
    return model.graph.node[-1].input[0]


def relu_into_itself(model):
    model.graph.node[1].output[0] = model.graph.node[1].input[0]


def identity_into_itself(model):
    relu_into_itself(model)
    model.graph.node[1].op_type = "Identity"


def identity_alone(model):
    del model.graph.node[:]
    added(model, "Identity", ["image"], ["image"])


def end_to_beginning(model):
    model.graph.node[-1].output[0] = "image"


def labels_into_themselves(model):
    added(model, "ArgMax", [scores_of(model)], ["label"])
    added(model, "Cast", ["label"], ["label"], to=1)


def labels_in_a_circle(model):
    added(model, "ArgMax", [scores_of(model)], ["label"])
    added(model, "Cast", ["label"], ["other"], to=1)
    added(model, "Cast", ["other"], ["label"], to=1)


def many_negatives(model):
    model.CopyFrom(chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 1))))
    value = model.graph.node[-1].output[0]
    for number in range(3000):
        added(model, "Neg", [value], [f"negative_{number}"])
        added(model, "Concat", [f"negative_{number}", value], [f"both_{number}"], axis=1)
        value = f"both_{number}"


def a_negative_of_itself(model):
    value = scores_of(model)
    del model.graph.node[-1]
    added(model, "Neg", [value], [value])
    added(model, "Concat", [value, value], [value], axis=1)


ENDLESS = (
    relu_into_itself, identity_into_itself, identity_alone, end_to_beginning, labels_into_themselves, labels_in_a_circle,
    many_negatives, a_negative_of_itself,
)  # fmt: skip


@pytest.mark.parametrize("change", ENDLESS)
def test_a_graph_without_an_end_is_refused(change):
    model = classes_model()
    change(model)
    with alarm(20), pytest.raises(ValueError, match=r"^Node '.*' \(\w+\) cannot be read: "):
        from_onnx(model)


STRIDES = (0, 0), (-1, 1), (1, 1, 1)
WRONG = {
    "weights left out": (("Conv",), "its input 1 is missing"),
    "no window": (("MaxPool", {"strides": (1, 1)}), "its attribute 'kernel_shape' is missing"),
    "an empty window": (("MaxPool", {"kernel_shape": (0, 2)}), r"kernel_shape=\(0, 2\) has to be one positive number"),
    "a window too large": (("MaxPool", {"kernel_shape": (11, 2)}), "nothing is left of its 10 x 8 x 3 input"),
    "negative pads": (convolution(4, 3, pads=(-1, 0, -1, 0)), r"pads=\[-1, 0, -1, 0\] has to be two numbers of at least 0"),
    "negative padding": (("Pad", np.array([0, 0, -1, 0, 0, 0, -1, 0])), "by no negative numbers"),
    "padding in floats": (("Pad", normal(8)), "its input 1 has to be a constant of integers"),
    "too far a reflection": (("Pad", np.array([0, 0, 10, 0, 0, 0, 10, 0]), {"mode": "reflect"}), "cannot be reflected as far as"),
    "padding of no kind": (convolution(4, 3, auto_pad="OTHER"), "auto_pad='OTHER' is none of NOTSET, VALID"),
    "a kernel of another size": (convolution(4, 3, kernel_shape=(2, 2)), r"is not that of its weights, \(3, 3\)"),
    "a bias of another size": (("Conv", normal(4, 3, 3, 3), normal(3)), r"a bias of shape \(3,\) does not fit 4 filters"),
    "no filters": (convolution(0, 3), "do not fit 3 channels"),
    "text for numbers": (("Conv", np.full((4, 3, 3, 3), "x", dtype=object)), "has to hold real numbers, not object"),
    "complex numbers": (("Conv", normal(4, 3, 3, 3).astype(np.complex64)), "has to hold real numbers, not complex64"),
    "an attribute of another kind": (convolution(4, 3, strides="two"), "its attribute 'strides' is not of the kind INTS"),
    "numbers that are none": (("Conv", np.full((4, 3, 3, 3), np.nan, np.float32)), "its constants have to be finite numbers"),
    "division by nothing": (("Div", np.float32(0)), "in a product or a quotient none may be 0"),
    "a scale of nothing": (("Mul", normal(0)), "has not one number for each of 3 channels"),
    "integers": (("Cast", {"to": 7}), "numbers have to stay floating-point numbers"),
    "no target": (("Reshape",), "its input 1 has to be a constant of integers"),
    "a target of nothing": (("Reshape", np.zeros(0, np.int64)), "the input alone is reshaped, to images"),
    "two samples for one": (("Reshape", np.array([-1, 120])), "rows of 120 numbers are not the 240 of one sample"),
    **{f"strides {given}": (convolution(4, 3, strides=given), "has to be one positive number") for given in STRIDES},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_damaged_node_is_named(case):
    node, words = WRONG[case]
    with pytest.raises(ValueError, match=rf"^Node '{node[0].lower()}_0' \({node[0]}\) cannot be read: .*{words}"):
        from_onnx(chain((3, 10, 8), node, "Relu", "Flatten", *DENSE))


@pytest.mark.parametrize("shape", [(4, 1), (1, 4, 1), (3,), (1, 1, 4)])
def test_a_bias_for_samples_is_refused(shape):
    with pytest.raises(ValueError, match=rf"its bias of shape {re.escape(str(shape))} has not one number for each of 4 units"):
        from_onnx(chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 4), normal(*shape))))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 1), (1, 4)])
def test_a_bias_for_units_is_read(shape):
    X = normal(20, 3, 10, 8)
    model = chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 4), np.float32(normal(*shape))))
    (found,) = run(model, X).values()
    assert error(from_onnx(model).predict(X.transpose(0, 2, 3, 1)), found) < BOUND


def test_names_that_are_no_text_are_refused():
    """protobuf hands out bytes where UTF-8 cannot be decoded."""
    model = classes_model()
    added(model, "Elsewhere", ["image"], ["other"])
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask!", 1, (1,)))
    with pytest.raises(ValueError, match=r"The model has 2 inputs \(image, b'mask\\xff'\)"):
        from_onnx(model.SerializeToString().replace(b"mask!", b"mask\xff"))
    del model.graph.input[1]
    with pytest.raises(ValueError, match=r"\(b'Elsewher\\xff'\) cannot be read: 'image' goes into 2 nodes"):
        from_onnx(model.SerializeToString().replace(b"Elsewhere", b"Elsewher\xff"))


def test_normalisation_of_what_it_has_no_numbers_for_is_refused():
    first, last = convolution(4, 3), ("Gemm", normal(192, 3))
    for nodes, words in (
        ((first, "Flatten", normalisation(192)), "it is for images with the channels first or for units; its input is flat"),
        ((first, normalisation(3), "Flatten"), "one number for each of 4 channels"),
        ((first, (*normalisation(4)[:-2], np.full(4, -1.0, np.float32)), "Flatten"), "with epsilon, have to be positive"),
    ):
        with pytest.raises(ValueError, match=rf"\(BatchNormalization\) cannot be read: .*{words}"):
            from_onnx(chain((3, 10, 8), *nodes, last, "Softmax"))


@pytest.mark.parametrize("nodes", [("Softmax", "Softmax"), ("Sigmoid", "Softmax"), ("Softmax", "Sigmoid"), ("Softmax", "bias")])
def test_an_answer_is_not_changed_once_more(nodes):
    nodes = [("Add", normal(4)) if node == "bias" else node for node in nodes]
    with pytest.raises(ValueError, match=r"what stands before it"):
        from_onnx(chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 4)), *nodes))


def test_a_score_and_its_negative_are_the_end_of_two_classes_alone():
    for ending in (), ("Softmax",):
        model = chain((3, 10, 8), *FEATURES, ("Gemm", normal(5, 1)), "Neg", *ending)
        score, negative = model.graph.node[7].output[0], model.graph.node[8].output[0]
        both = onnx.helper.make_node("Concat", [negative, score], ["both"], axis=1)
        model.graph.node.insert(9, both)
        for node in model.graph.node[10:]:
            node.input[0] = "both"
        with pytest.raises(ValueError, match=r"have to go through Sigmoid|it is for scores"):
            from_onnx(model)


def test_labels_of_a_model_that_are_too_few_or_none_are_named():
    X, y = bars()
    model = to_onnx(small_network().fit(X, y))
    (labels,) = [tensor for tensor in model.graph.initializer if tensor.name.startswith("classes")]
    labels.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 2]), labels.name))
    with pytest.raises(ValueError, match=r"The constant of the model's labels, array\(\[1, 2\]\), has to name each of the 3"):
        from_onnx(model)
    for damaged in np.array([0, 1, 2], np.complex64), np.array([0, np.nan, 2], np.float32):
        labels.CopyFrom(onnx.numpy_helper.from_array(damaged, labels.name))
        with pytest.raises(ValueError, match=r"\(Gather\) cannot be read: the labels that it chooses from have to be"):
            from_onnx(model)


def damaged(change):
    model = classes_model()
    change(model.graph.initializer[0])
    return model


def test_a_damaged_tensor_is_named():
    def cut(tensor):
        tensor.raw_data = tensor.raw_data[:-3]

    def of_no_type(tensor):
        tensor.data_type = 77

    def huge(tensor):
        tensor.dims[0] = 2**62

    def no_text(tensor):
        tensor.CopyFrom(onnx.TensorProto(name=tensor.name, data_type=8, dims=[1], string_data=[b"\xff"]))

    for change in cut, of_no_type, huge, no_text:
        with pytest.raises(ValueError, match=r"^model: the tensor 'Conv_0_0' cannot be read \(.*\)\. Pass a whole copy"):
            from_onnx(damaged(change))


def elsewhere(tensor, location="weights.bin"):
    """Say that the numbers of a tensor stand in a file; return them."""
    values = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(values)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return values


def test_files_of_tensors_are_read_beside_a_model_that_is_a_file_alone(tmp_path, monkeypatch):
    model = classes_model()
    expected = from_onnx(model).coefs_[0]
    values = elsewhere(model.graph.initializer[0])
    (tmp_path / "weights.bin").write_bytes(values)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert from_onnx(tmp_path / "model.onnx").coefs_[0].tobytes() == expected.tobytes()
    monkeypatch.chdir(tmp_path)
    for source in model, model.SerializeToString():
        with pytest.raises(ValueError, match=r"'Conv_0_0' stands in another file \('weights.bin'\).* Pass the path"):
            from_onnx(source)
    os.mkdir("below")
    for location in "missing.bin", "../weights.bin", str(tmp_path / "weights.bin"):
        model = classes_model()
        elsewhere(model.graph.initializer[0], location)
        (tmp_path / "below" / "model.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match=r"^model: tensors of the file '.*' stand in other files, which cannot be read"):
            from_onnx(tmp_path / "below" / "model.onnx")


@pytest.mark.parametrize("shape", [(3, 2**40, 8), (3, 2**62, 2**62), (2**31, 2**31), (2**62,)])
def test_an_input_larger_than_the_memory_is_refused_before_it_is_asked_for(shape):
    with pytest.raises(ValueError, match=r"The input 'image' of the model has the shape .* this machine has not the memory"):
        from_onnx(chain(shape, convolution(4, 3), "GlobalMaxPool", "Flatten", ("Gemm", normal(4, 3))))


def test_padding_beyond_the_memory_is_refused_before_it_is_asked_for():
    wide = convolution(4, 3, pads=(2**40,) * 4)
    with pytest.raises(ValueError, match=r"Node 'conv_0' .* for which this machine has no memory"):
        from_onnx(chain((3, 10, 8), wide, "GlobalMaxPool", "Flatten", ("Gemm", normal(4, 3))))


# ------------------------------------------------------------------------------------------------- scaling and shapes


@pytest.mark.parametrize(
    "nodes",
    [
        (("Sub", np.float32(10)), ("Div", np.float32(4)), ("Reshape", np.array([0, 10, 8, 3])), TRANSPOSED),
        (("Mul", np.float32(3)), ("Reshape", np.array([0, 10, 8, 3])), ("Sub", normal(3)), TRANSPOSED),
    ],
)
def test_scaling_before_a_reshape_is_kept(nodes):
    X = 10 + 4 * normal(20, 240)
    model = chain((240,), *nodes, convolution(4, 3), "Relu", "Flatten", ("Gemm", normal(192, 3)))
    (found,) = run(model, X).values()
    estimator = from_onnx(model)
    assert estimator.scale_input
    assert error(estimator.predict(X), found) < BOUND


def test_scaling_of_channels_that_a_reshape_takes_apart_is_refused():
    nodes = ("Sub", normal(3, 1, 1)), ("Reshape", np.array([0, 1, 30, 8])), convolution(4, 1), "GlobalMaxPool", "Flatten"
    with pytest.raises(ValueError, match="what scales 3 channels before it does not scale 1"):
        from_onnx(chain((3, 10, 8), *nodes, ("Gemm", normal(4, 3))))


def test_rows_of_numbers_that_are_flattened_once_more_keep_their_order():
    X = normal(20, 3, 10, 8)
    model = chain((3, 10, 8), convolution(4, 3), "Flatten", ("Reshape", np.array([0, -1])), ("Gemm", normal(192, 3)))
    (found,) = run(model, X).values()
    assert error(from_onnx(model).predict(X.transpose(0, 2, 3, 1)), found) < BOUND


def test_a_signal_may_be_flattened_by_a_reshape():
    X = normal(9, 3, 12)
    last = ("Reshape", np.array([0, -1])), ("Gemm", normal(32, 2))
    model = chain((3, 12), ("Conv", normal(4, 3, 5), normal(4)), "Relu", *last)
    (found,) = run(model, X).values()
    assert error(from_onnx(model).predict(X[:, None].transpose(0, 1, 3, 2)), found) < BOUND


@pytest.mark.parametrize("pixels", [[1, 0, 1, 2, 3], [7] * 8, [-1, 0, 1, 2, 3, 4, 5, 6, 7, 6]])
def test_pixels_are_chosen_by_reflection_on_both_sides_alone(pixels):
    model = chain((3, 8, 8), ("Gather", np.array(pixels), {"axis": 2}), convolution(4, 3), "GlobalMaxPool", "Flatten", *DENSE[1:])
    with pytest.raises(ValueError, match=re.escape("(Gather) cannot be read: it chooses the pixels of rows or columns that are")):
        from_onnx(model)
