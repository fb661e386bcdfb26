"""The walk through an ONNX graph, node by node, which leaves the steps of a network."""

import math
from dataclasses import dataclass, field

import numpy as np

from sklearn_cnn._estimator.memory import machine_memory
from sklearn_cnn._onnx.nodes import CHANNELS_FIRST, IMAGE_AXES, READERS, refusal

#: Attributes that are read -> the kind that they have in ONNX, as `AttributeProto` calls it.
ATTRIBUTES = {
    **dict.fromkeys(["kernel_shape", "strides", "pads", "dilations", "perm"], "INTS"),
    **dict.fromkeys(["group", "ceil_mode", "axis", "transA", "transB", "training_mode", "to"], "INT"),
    **dict.fromkeys(["alpha", "beta", "epsilon"], "FLOAT"),
    **dict.fromkeys(["auto_pad", "mode"], "STRING"),
}
UNREADABLE = ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError  # of a tensor that is damaged


@dataclass
class Step:
    """What one or a few nodes are to a network.

    Parameters
    ----------
    kind : {"convolution", "dense", "normalisation", "activation", "pooling", "global pooling"}
        What it does.
    node : NodeProto
        Where it was found, for messages.
    name : str
        Of the activation or the pooling.
    arrays : dict of ndarray
        Parameters in our order of axes: "weights" and "bias", or "gamma", "beta", "mean" and "variance".
    geometry : dict
        Size, stride and padding.
    """

    kind: str
    node: object
    name: str = ""
    arrays: dict = field(default_factory=dict)
    geometry: dict = field(default_factory=dict)


class Reader:
    """Walks from the input of a graph to its output.

    Attributes
    ----------
    steps : list of Step
        What has been found.
    shape : tuple of (int, int, int)
        Rows, columns and channels of the value at hand; `input_shape` that of the input.
    layout : {"flat", "channels first", "channels last"}
        How it stands there.
    shift, factor : ndarray of shape (channels,)
        Scaling of the input, ``(x - shift) * factor``.
    mean, deviation : ndarray of shape (n_outputs,), or None
        What the scores are brought back with.
    ending : {"", "softmax", "logistic", "two classes"}
        What follows the scores.
    is_answer : bool
        Whether the value at hand is what Softmax has made of the scores.
    classes : ndarray or None
        Labels, where the graph has them.
    """

    def __init__(self, graph):
        self.constants = {tensor.name: values_of(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if not node.output or not node.output[0]:
                raise refusal(node, "it has no output")
            if node.op_type == "Constant":
                self.constants[node.output[0]] = constant_of(node)
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        self.users: dict[str, list] = {}  # value -> the nodes that it goes into
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.users.setdefault(name, []).append(node)
        inputs = [entry for entry in graph.input if entry.name not in self.constants]
        if len(inputs) != 1 or not inputs[0].name:
            names = ", ".join(str(entry.name) for entry in inputs)
            raise ValueError(f"The model has {len(inputs)} inputs ({names}), a network has one, with a name.")
        self.value = inputs[0].name
        self.steps: list[Step] = []
        self.mean = self.deviation = self.classes = None
        self.ending, self.is_answer = "", False
        self.unread = {id(node) for node in self.nodes}
        self._begin([dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim][1:])

    def _begin(self, lengths):
        """Take the shape of the input; whether channels come last there is told by the first Transpose."""
        moves = [node for node in self.nodes if node.op_type == "Transpose"]
        comes_last = bool(moves) and tuple(self.attributes(moves[0]).get("perm", ())) == CHANNELS_FIRST
        if not 1 <= len(lengths) <= 3 or min(lengths) < 1:
            raise ValueError(
                f"The input {self.value!r} of the model has the shape {tuple(lengths)} for each sample; features, or rows, "
                "columns and channels in any order, have to be known numbers. Set them before the model is read."
            )
        if len(lengths) == 1:
            self.layout, shape = "flat", (1, *lengths, 1)
        elif len(lengths) == 2:
            grey = any(node.op_type == "Reshape" and self._makes_images(node) for node in self.nodes)
            # else a signal: channels x length
            self.layout, shape = "channels first", (*lengths, 1) if grey else (1, lengths[1], lengths[0])
        else:
            self.layout = "channels last" if comes_last else "channels first"
            shape = tuple(lengths) if comes_last else (*lengths[1:], lengths[0])
        if 8 * math.prod(shape) > machine_memory():
            raise ValueError(
                f"The input {self.value!r} of the model has the shape {tuple(lengths)} for each sample, and this machine has not "
                "the memory for one."
            )
        self.comes_last, self.shape, self.input_shape = comes_last, shape, shape
        self.shift, self.factor = np.zeros(shape[2]), np.ones(shape[2])

    def _makes_images(self, node):
        shape = self.constants.get(node.input[1]) if len(node.input) > 1 else None
        return shape is not None and shape.size == IMAGE_AXES

    def attributes(self, node):
        """Return those attributes of a node that mean something here, text as text."""
        from onnx import AttributeProto, helper

        values = {}
        for entry in node.attribute:
            kind = ATTRIBUTES.get(entry.name)
            if kind is None:
                continue
            if entry.type != AttributeProto.AttributeType.Value(kind) or entry.ref_attr_name:
                raise refusal(node, f"its attribute {entry.name!r} is not of the kind {kind}, which it has in ONNX")
            value = helper.get_attribute_value(entry)
            values[entry.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
        return values

    def constant(self, node, place):
        """Return a constant input of a node, or None where it is left out."""
        if place >= len(node.input) or not node.input[place]:
            return None
        if node.input[place] not in self.constants:
            raise refusal(node, f"its input {node.input[place]!r} has to be a constant")
        return self.constants[node.input[place]]

    def numbers(self, node, place, *, may_miss=False):
        """Return a constant input of a node as real numbers; None where it is left out, and may be."""
        values = self.constant(node, place)
        if values is None:
            if may_miss:
                return None
            raise refusal(node, f"its input {place} is missing")
        if values.dtype.kind not in "biufV":  # V: the short floats and integers that NumPy has not
            raise refusal(node, f"its input {node.input[place]!r} has to hold real numbers, not {values.dtype}")
        return values if values.dtype.kind == "f" else values.astype(np.float64)

    def integers(self, node, place):
        """Return a constant input of a node as a list of integers."""
        values = self.constant(node, place)
        if values is None or values.dtype.kind not in "iu":
            raise refusal(node, f"its input {place} has to be a constant of integers")
        return [int(value) for value in values.ravel()]

    def resize(self, node, shape):
        """Go on with values of another shape, which has to be one that there can be."""
        if min(shape) < 1:
            raise refusal(node, f"nothing is left of its {self.shape[0]} x {self.shape[1]} x {self.shape[2]} input")
        if 4 * math.prod(shape) > machine_memory():
            raise refusal(node, f"it makes {shape[0]} x {shape[1]} x {shape[2]} numbers, for which this machine has no memory")
        self.shape = tuple(shape)

    def read(self):
        """Walk to the end; refuse whatever is left over."""
        while (node := self._next()) is not None:
            if node.op_type not in READERS:
                raise refusal(node, "there is no such operation in these networks")
            READERS[node.op_type](self, node)
            self._take(node)
        left = [node for node in self.nodes if id(node) in self.unread]
        if left:
            raise refusal(left[0], "it stands beside the chain of layers from the input to the output")
        return self

    def _take(self, node):
        self._tick(node)
        self.value = node.output[0]

    def _tick(self, node):
        """Note that a node has been read; one that comes again is on a way that has no end."""
        if id(node) not in self.unread:
            raise refusal(node, "it is met a second time, and no value of a network goes back to where it has been")
        self.unread.discard(id(node))

    def _next(self):
        """Return the node after the value at hand, None at the end; labels are read on the way."""
        while True:
            users = self.users.get(self.value, [])
            for node in users:
                if node.op_type in ("ArgMax", "Greater"):
                    self._read_labels(node)
            users = [node for node in users if node.op_type not in ("ArgMax", "Greater")]
            if len(users) != 2 or {node.op_type for node in users} != {"Concat", "Neg"}:
                break
            self._read_negative(*sorted(users, key=lambda node: node.op_type, reverse=True))
        if len(users) > 1:
            raise refusal(users[1], f"{self.value!r} goes into {len(users)} nodes, and a layer has one layer after it")
        return users[0] if users else None

    def _read_negative(self, negative, both):
        """Read a score and its negative, put together: the scores of two classes."""
        is_pair = list(both.input) == [negative.output[0], self.value]
        if not is_pair or self.shape != (1, 1, 1) or self.is_answer or self.ending == "two classes":
            raise refusal(both, "only a score and its negative are put together, for two classes")
        self._take(negative)
        self._take(both)
        self.ending = "two classes"

    def _read_labels(self, node):
        """Follow a branch that turns scores into labels; it hands on nothing but them."""
        self.ending = self.ending or ("softmax" if node.op_type == "ArgMax" else "logistic")
        while node is not None:
            self._tick(node)
            if node.op_type == "Gather":
                self.classes = self._labels(node)
            users = self.users.get(node.output[0], [])
            node = users[0] if users and users[0].op_type in ("Gather", "Cast", "Identity", "Reshape") else None

    def _labels(self, node):
        labels = self.constant(node, 0)
        if labels is None or labels.dtype.kind not in "biufO" or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
            raise refusal(node, "the labels that it chooses from have to be a constant of integers, booleans, floats or text")
        return labels

    def add(self, kind, node, name="", *, geometry=None, **arrays):
        """Write a step down."""
        if self.deviation is not None or self.is_answer or (self.ending and kind != "activation"):
            raise refusal(node, "what stands before it, probabilities or targets, is the end of a network")
        if not all(np.isfinite(values).all() for values in arrays.values()):
            raise refusal(node, "its constants have to be finite numbers")
        self.steps.append(Step(kind, node, name, arrays, geometry or {}))


def values_of(tensor):
    """Return the numbers or the text of a tensor, which may be damaged."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(
            f"model: the tensor {tensor.name!r} stands in another file ({external_file(tensor)!r}), which is read only beside a "
            "model that is read from a file. Pass the path of the model."
        )
    try:
        return numpy_helper.to_array(tensor)
    except UNREADABLE as error:
        raise ValueError(f"model: the tensor {tensor.name!r} cannot be read ({error}). Pass a whole copy.") from error


def external_file(tensor):
    """Return the name of the file in which a tensor stands."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def constant_of(node):
    """Return the value of a Constant node."""
    from onnx import helper

    names = [entry.name for entry in node.attribute]
    if names == ["value"] and node.attribute[0].HasField("t"):
        return values_of(node.attribute[0].t)
    if len(names) != 1 or names[0] not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise refusal(node, "it holds no tensor and no numbers")
    try:
        return np.asarray(helper.get_attribute_value(node.attribute[0]))
    except UNREADABLE as error:
        raise refusal(node, f"its attribute {names[0]!r} is damaged ({error})") from error
