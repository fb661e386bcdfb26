"""The walk through an ONNX graph, node by node, which leaves the steps of a network."""

from dataclasses import dataclass, field

import numpy as np

from sklearn_cnn._onnx.nodes import CHANNELS_FIRST, READERS, refusal


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
    classes : ndarray or None
        Labels, where the graph has them.
    """

    def __init__(self, graph):
        from onnx import helper, numpy_helper

        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = constant_of(node, helper, numpy_helper)
        self.attribute_value = helper.get_attribute_value
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        inputs = [entry for entry in graph.input if entry.name not in self.constants]
        if len(inputs) != 1:
            names = ", ".join(entry.name for entry in inputs)
            raise ValueError(f"The model has {len(inputs)} inputs ({names}), a network has one.")
        self.value = inputs[0].name
        self.steps: list[Step] = []
        self.mean = self.deviation = self.classes = None
        self.ending = ""
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
            grey = any(node.op_type == "Reshape" for node in self.nodes)  # else a signal: channels x length
            self.layout, shape = "channels first", (*lengths, 1) if grey else (1, lengths[1], lengths[0])
        else:
            self.layout = "channels last" if comes_last else "channels first"
            shape = tuple(lengths) if comes_last else (*lengths[1:], lengths[0])
        self.comes_last, self.shape = comes_last, shape
        self.scale_for(shape)

    def scale_for(self, shape):
        """Begin with an input of some shape that is not scaled."""
        self.input_shape, self.shift, self.factor = shape, np.zeros(shape[2]), np.ones(shape[2])

    def attributes(self, node):
        """Return the attributes of a node, text as text."""
        values = {entry.name: self.attribute_value(entry) for entry in node.attribute}
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def constant(self, node, place):
        """Return a constant input of a node, or None where it is left out."""
        if place >= len(node.input) or not node.input[place]:
            return None
        if node.input[place] not in self.constants:
            raise refusal(node, f"its input {node.input[place]!r} has to be a constant")
        return self.constants[node.input[place]]

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
        self.unread.discard(id(node))
        self.value = node.output[0]

    def _next(self):
        """Return the node after the value at hand, None at the end; labels are read on the way."""
        users = [node for node in self.nodes if self.value in node.input]
        kinds = [node.op_type for node in users]
        for node, kind in zip(users, kinds, strict=True):
            if kind in ("ArgMax", "Greater"):
                self._read_labels(node)
        users = [node for node in users if node.op_type not in ("ArgMax", "Greater")]
        if sorted(node.op_type for node in users) == ["Concat", "Neg"]:
            negative, both = sorted(users, key=lambda node: node.op_type, reverse=True)
            if list(both.input) != [negative.output[0], self.value]:
                raise refusal(both, "only a score and its negative are put together, for two classes")
            self._take(negative)
            self._take(both)
            self.ending = "two classes"
            return self._next()
        if len(users) > 1:
            raise refusal(users[1], f"{self.value!r} goes into {len(users)} nodes, and a layer has one layer after it")
        return users[0] if users else None

    def _read_labels(self, node):
        """Follow a branch that turns scores into labels; it hands on nothing but them."""
        self.ending = self.ending or ("softmax" if node.op_type == "ArgMax" else "logistic")
        while node is not None:
            self.unread.discard(id(node))
            if node.op_type == "Gather":
                self.classes = self.constant(node, 0)
            users = [user for user in self.nodes if node.output[0] in user.input]
            node = users[0] if users and users[0].op_type in ("Gather", "Cast", "Identity", "Reshape") else None

    def add(self, kind, node, name="", *, geometry=None, **arrays):
        """Write a step down."""
        if self.deviation is not None or (self.ending and kind != "activation"):
            raise refusal(node, "what stands before it, probabilities or targets, is the end of a network")
        self.steps.append(Step(kind, node, name, arrays, geometry or {}))


def constant_of(node, helper, numpy_helper):
    """Return the value of a Constant node."""
    value = helper.get_attribute_value(node.attribute[0])
    return numpy_helper.to_array(value) if node.attribute[0].name == "value" else np.asarray(value)
