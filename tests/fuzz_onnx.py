"""Whatever stands in an ONNX model: `from_onnx` refuses it with a ValueError, or reads it. Nothing else happens, and no process
ends.

Models of many kinds are changed in one or two places: nodes, inputs, attributes, constants, the shape of the input, bytes of the
file. What is read has to predict; where ONNX Runtime runs the changed model as well, the two have to agree. Replay a case that
failed with the command that is printed.

    python tests/fuzz_onnx.py --cases 20000 --seed 7
"""

import math
from contextlib import suppress

import numpy as np
import onnx
from children import main
from images import bars, small_network
from onnx import helper, numpy_helper
from onnx_chains import LAST, NETWORKS, chain
from onnx_networks import error, run

from sklearn_cnn import ConvNetRegressor
from sklearn_cnn.onnx import from_onnx, to_onnx

KINDS = (
    "Conv", "Pad", "MaxPool", "AveragePool", "GlobalMaxPool", "Gemm", "MatMul", "Reshape", "Transpose", "Squeeze", "Flatten",
    "BatchNormalization", "Constant", "Mul", "Add", "Sub", "Div", "Softmax", "LogSoftmax", "Sigmoid", "Cast", "ZipMap", "ArgMax",
    "Gather", "Greater", "Neg", "Concat", "Relu", "Tanh", "Identity", "Dropout", "LabelEncoder",
)  # fmt: skip
INTEGERS = (0, -1, 1, 2, 3, 7, 300, 10**6, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1)
VALUES = (1, 1.5, "text", [1, 2], [1.0], b"\xff", ["a"], numpy_helper.from_array(np.zeros(2, np.float32)))
BOUND = 1e-3  # constants may be larger by orders than those of any network
MAXIMUM_FEATURES = 10_000  # of a model that is run


def models():
    """Models of every kind that is read, by name."""
    X, y = bars()
    found = {name: chain((3, 10, 8), *nodes) for name, nodes in NETWORKS.items()}
    found |= {name: chain((10, 8, 3), *nodes) for name, nodes in LAST.items()}
    found["own"] = to_onnx(small_network(n_filters=(3, 2), batch_norm=True).fit(X, y))
    found["dictionaries"] = to_onnx(small_network().fit(X, np.array(["ant", "bee", "cat"])[y]), zipmap=True)
    found["two classes"] = to_onnx(small_network().fit(X, y == 1))
    found["regressor"] = to_onnx(ConvNetRegressor(2, max_iter=1, hidden_layer_sizes=3, global_pooling="max").fit(X, y))
    found["reflection"] = to_onnx(small_network(padding_mode="reflect", padding=7).fit(X, y), dtype=np.float64)
    return found


def one_of(random, values):
    return values[random.integers(len(values))]


# ------------------------------------------------------------------------------------------------- one change for each function


def without_a_node(random, graph):
    graph.node.remove(one_of(random, graph.node))


def another_operation(random, graph):
    one_of(random, graph.node).op_type = one_of(random, KINDS)


def one_more_node(random, graph):
    """Put one into the chain: what was between two nodes goes through a third."""
    node = one_of(random, graph.node)
    if node.input:
        graph.node.append(helper.make_node(one_of(random, KINDS), [node.input[0]], ["more"], name="more"))
        node.input[0] = "more"


def another_input(random, graph):
    node = one_of(random, graph.node)
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    if node.input:
        node.input[random.integers(len(node.input))] = one_of(random, [*names, "nothing", ""])


def another_output(random, graph):
    node = one_of(random, graph.node)
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    if node.output:
        node.output[0] = one_of(random, [*names, ""])


def without_an_input(random, graph):
    node = one_of(random, graph.node)
    if node.input:
        del node.input[random.integers(len(node.input))]


def without_outputs(random, graph):
    del one_of(random, graph.node).output[:]


def attribute_of(random, graph):
    node = one_of(random, graph.node)
    return node, one_of(random, node.attribute) if node.attribute else None


def another_number(random, graph):
    _, entry = attribute_of(random, graph)
    if entry is None:
        return
    if entry.ints and random.random() < 0.7:
        entry.ints[random.integers(len(entry.ints))] = one_of(random, INTEGERS)
    elif entry.ints:
        del entry.ints[-1]
    elif entry.type == entry.INT:
        entry.i = one_of(random, INTEGERS)
    elif entry.type == entry.FLOAT:
        entry.f = one_of(random, (math.nan, math.inf, 0.0, -1.0, 1e38))
    elif entry.type == entry.STRING:
        entry.s = one_of(random, (b"", b"x", b"\xff\xfe", b"SAME_LOWER", b"SAME_UPPER", b"edge"))


def without_an_attribute(random, graph):
    node, entry = attribute_of(random, graph)
    if entry is not None:
        node.attribute.remove(entry)


def another_attribute(random, graph):
    node, entry = attribute_of(random, graph)
    if entry is not None:
        name = entry.name
        node.attribute.remove(entry)
        node.attribute.append(helper.make_attribute(name, one_of(random, VALUES)))


def constant_of(random, graph):
    return one_of(random, graph.initializer) if graph.initializer else None


def another_constant(random, graph):
    """Another shape, another type or other numbers."""
    tensor = constant_of(random, graph)
    if tensor is None:
        return
    values = numpy_helper.to_array(tensor)
    if values.dtype.kind not in "fiu" or values.size == 0:
        return
    filler = values.dtype.type(np.nan if values.dtype.kind == "f" else -1)
    large = values.dtype.type(np.inf if values.dtype.kind == "f" else 2**31 - 1)
    others = (
        values.ravel(), values[..., None], values.ravel()[:0], values.ravel()[0], np.full_like(values, filler),
        np.full_like(values, large), values.astype(np.int64), values.astype(bool), values.astype(np.complex64), -values,
        values * 0, values.T, values.astype(np.float16), values.astype(np.float64), np.zeros((0, 3, 3, 3), np.float32),
        np.zeros((1,) * 9, np.float32), np.array(["x"] * values.size, dtype=object).reshape(values.shape),
    )  # fmt: skip
    tensor.CopyFrom(numpy_helper.from_array(np.array(one_of(random, others), order="C"), tensor.name))


def damaged_constant(random, graph):
    tensor = constant_of(random, graph)
    if tensor is None:
        return
    way = random.integers(5)
    if way == 0 and tensor.dims:
        tensor.dims[random.integers(len(tensor.dims))] = one_of(random, INTEGERS)
    elif way == 1:
        tensor.data_type = int(random.integers(30))
    elif way == 2 and tensor.raw_data:
        tensor.raw_data = tensor.raw_data[:-3]
    elif way == 3:
        tensor.ClearField("raw_data")
    else:
        tensor.data_location = tensor.EXTERNAL
        for key, value in (("location", "fuzz_onnx.py"), ("offset", "0"), ("length", "4")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value


def without_a_constant(random, graph):
    tensor = constant_of(random, graph)
    if tensor is not None:
        graph.initializer.remove(tensor)


def another_shape(random, graph):
    for entry in graph.input[:1]:
        lengths = entry.type.tensor_type.shape.dim
        if len(lengths) > 1 and random.random() < 0.7:
            lengths[random.integers(1, len(lengths))].dim_value = one_of(random, INTEGERS)
        elif lengths:
            del lengths[-1]


def without_the_input(random, graph):
    del graph.input[:1]


def other_bytes(random, graph):
    """Bytes of the graph itself; where they cannot be read any more they stay as they were."""
    content = bytearray(graph.SerializeToString())
    for _ in range(random.integers(1, 6)):
        content[random.integers(len(content))] = random.integers(256)
    other = onnx.GraphProto()
    try:
        other.ParseFromString(bytes(content))
    except Exception:  # protobuf's own
        return
    graph.CopyFrom(other)


CHANGES = (
    without_a_node, another_operation, one_more_node, another_input, another_output, without_an_input, without_outputs,
    another_number, without_an_attribute, another_attribute, another_constant, another_constant, damaged_constant,
    without_a_constant, another_shape, without_the_input, other_bytes,
)  # fmt: skip


def draw(known, random):
    """Draw a model and change it; returns words for the case and the model, as a message or as bytes."""
    name = one_of(random, sorted(known))
    model = onnx.ModelProto()
    model.CopyFrom(known[name])
    done = []
    for _ in range(random.integers(1, 3)):
        change = one_of(random, CHANGES)
        with suppress(Exception):  # what is damaged already, or has no node left, may not take another change
            change(random, model.graph)
        done.append(change.__name__)
    what, content = f"{name}, {' and '.join(done)}", model
    way = random.integers(4)
    if way > 0:
        content = model.SerializeToString()
    if way == 1 and random.random() < 0.3:  # bytes of the whole file
        content = bytearray(content)
        for _ in range(random.integers(1, 6)):
            content[random.integers(len(content))] = random.integers(256)
        return f"{what}, other bytes", bytes(content)
    return what, content


def judged(model, X):
    """Return what ONNX Runtime answers to the whole model, None where it refuses it."""
    try:
        proto = onnx.load_from_string(model) if isinstance(model, bytes) else model
        onnx.checker.check_model(proto, full_check=True)
        entry = proto.graph.input[0]
        if entry.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            return None
        lengths = [length.dim_value for length in entry.type.tensor_type.shape.dim][1:]
        (answer, *_) = [values for name, values in run(proto, X.reshape(len(X), *lengths)).items() if name != "label"]
    except Exception:  # what it does not run, it has no answer to
        return None
    return answer if isinstance(answer, np.ndarray) and answer.dtype.kind == "f" else None


def outcome(model):
    """Run one case; returns what became of it, or raises what must not be."""
    try:
        estimator = from_onnx(model)
    except ValueError:
        return "refused"
    except MemoryError:  # less than the machine has, and more than a case gets
        return "no memory"
    if estimator.n_features_in_ > MAXIMUM_FEATURES:
        return "large"
    own = np.random.RandomState(0).normal(size=(4, *estimator.input_shape_)).astype(np.float32)
    flat = own.reshape(len(own), -1)
    answer = estimator.predict(flat)
    assert len(answer) == len(own)
    return compared(estimator, model, own)


def in_order(answer):
    """Sort columns by their first number: classes are sorted here, and in a model they are in any order."""
    return answer[:, np.argsort(answer[0], kind="stable")]


def compared(estimator, model, own):
    """Compare with ONNX Runtime, where the channels come last in the model, or first."""
    answers = [estimator.predict(own).reshape(len(own), -1)]
    if not isinstance(estimator, ConvNetRegressor):
        answers = [estimator.predict_proba(own), estimator.predict_log_proba(own), estimator.decision_function(own)]
        answers += [answers[0][:, 1:]] if len(estimator.classes_) == 2 else []
    found = [judged(model, X) for X in (own, np.ascontiguousarray(np.moveaxis(own, 3, 1)))]
    found = [answer for answer in found if answer is not None and np.isfinite(answer).all()]
    if not found:
        return "ran"
    differences = [
        error(in_order(answer.reshape(len(own), -1)), in_order(values))
        for answer in found for values in answers if answer.size == values.size and np.isfinite(values).all()
    ]  # fmt: skip
    assert not differences or min(differences) < BOUND, f"it differs from ONNX Runtime by {min(differences)}"
    return "ran, as in ONNX Runtime" if differences else "ran"


def prepare():
    """Build the models; return what draws a case of them."""
    known = models()

    def draw_case(random):
        what, model = draw(known, random)
        return what, lambda: outcome(model)

    return draw_case


if __name__ == "__main__":
    main(__file__, __doc__, prepare)
