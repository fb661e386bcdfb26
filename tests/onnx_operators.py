"""ONNX operators on what this package computes with, to run the ONNX project's own backend cases.

ONNX images are (n, channels, rows, columns), or (n, channels, length) for signals; ours have the channels last. What
lies outside the package's interface raises `Outside` with the reason, which becomes the reason of a skipped test.
"""

import math

import numpy as np
import onnx
import reference

from sklearn_cnn import functional
from sklearn_cnn._estimator import outputs
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer


class Outside(Exception):
    """The case asks for something that this package does not offer, on purpose."""


def images(X):
    """(n, channels, ...) -> (n, rows, columns, channels); a signal has one row."""
    if X.ndim not in {3, 4}:
        raise Outside(f"{X.ndim - 2} spatial axes: signals have one and images two")
    return np.moveaxis(X[:, :, None] if X.ndim == 3 else X, 1, 3)


def back(images, like):
    """The reverse of `images`."""
    X = np.moveaxis(images, 3, 1)
    return X[:, :, 0] if like.ndim == 3 else X


def kernels(W):
    return W[:, :, None] if W.ndim == 3 else W


def in_two_axes(values, default):
    """An attribute with one number per spatial axis -> (rows, columns)."""
    values = (default,) * 2 if values is None else tuple(values)
    return (default, *values) if len(values) == 1 else values


def refuse(attributes, **defaults):
    """Attributes outside the interface must have their neutral values."""
    reasons = {
        "dilations": "dilation is outside the interface",
        "group": "groups are outside the interface",
        "ceil_mode": "ceil mode is outside the interface",
    }
    for name, neutral in defaults.items():
        value = attributes.get(name, neutral)
        if np.any(np.not_equal(value, neutral)):
            raise Outside(reasons[name])


def window_padding(attributes, shape, size, stride):
    """((top, bottom), (left, right)) from the attributes pads and auto_pad."""
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "NOTSET":
        pads = attributes.get("pads", [0] * 4)
        pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
        return (pads[0], pads[2]), (pads[1], pads[3])
    if auto == "VALID":
        return (0, 0), (0, 0)
    same = reference.sides("same", shape, size, stride)
    return tuple(sides[::-1] for sides in same) if auto == "SAME_LOWER" else same


def convolution(attributes, X, W, bias=None):
    refuse(attributes, dilations=1, group=1)
    stride = in_two_axes(attributes.get("strides"), 1)
    x, k = images(X), kernels(W)
    padding = window_padding(attributes, x.shape[1:3], k.shape[2:], stride)
    if attributes.get("auto_pad") == b"SAME_UPPER":
        padding = "same"  # what users write
    return [back(functional.conv2d(x, k, bias, stride=stride, padding=padding), X)]


def transposed_convolution(attributes, X, W, bias=None):
    """The input gradient of a convolution."""
    refuse(attributes, dilations=1, group=1)
    d_out, k = images(X), kernels(W)
    stride, extra = in_two_axes(attributes.get("strides"), 1), in_two_axes(attributes.get("output_padding"), 0)
    spans = [s * (n - 1) + e + m for s, n, e, m in zip(stride, d_out.shape[1:3], extra, k.shape[2:], strict=True)]
    shape = attributes.get("output_shape")
    if attributes.get("auto_pad", b"NOTSET") in {b"SAME_UPPER", b"SAME_LOWER"}:
        shape = [n * s for n, s in zip(d_out.shape[1:3], stride, strict=True)]
    if shape is None:
        padding = window_padding(attributes, None, None, None)
        shape = [span - sum(sides) for span, sides in zip(spans, padding, strict=True)]
    else:
        totals = [max(span - n, 0) for span, n in zip(spans, shape, strict=True)]
        padding = tuple((total // 2, total - total // 2) for total in totals)
        if attributes.get("auto_pad") != b"SAME_UPPER":
            padding = tuple(sides[::-1] for sides in padding)
    x = np.zeros((len(X), *shape, k.shape[1]), dtype=X.dtype)
    d_X, _, _ = functional.conv2d_backward(d_out, x, k, stride=stride, padding=padding)
    return [back(d_X if bias is None else d_X + bias, X)]


def pool_arguments(attributes, X):
    refuse(attributes, dilations=1, ceil_mode=0)
    x = images(X)
    size, stride = in_two_axes(attributes["kernel_shape"], 1), in_two_axes(attributes.get("strides"), 1)
    return x, size, stride, window_padding(attributes, x.shape[1:3], size, stride)


def max_pool(attributes, X):
    x, size, stride, padding = pool_arguments(attributes, X)
    padded = functional.pad(x, padding, mode="constant", value=-np.inf)
    pooled = functional.max_pool2d(padded, size, stride)
    column_major = attributes.get("storage_order", 0) == 1
    return [back(pooled, X), back(argmax(padded, pooled.shape, size, stride, padding, x.shape, column_major), X)]


def argmax(padded, shape, size, stride, padding, image_shape, column_major):
    """Where each maximum stands, read off its gradient: one pooled pixel at a time."""
    _, rows, columns, channels = image_shape
    indices = np.zeros(shape, dtype=np.int64)
    for r, c in np.ndindex(shape[1:3]):
        d_out = np.zeros(shape)
        d_out[:, r, c] = 1
        n, row, column, channel = np.nonzero(functional.max_pool2d_backward(d_out, padded, size, stride))
        row, column = row - padding[0][0], column - padding[1][0]
        within = column * rows + row if column_major else row * columns + column
        indices[n, r, c, channel] = (n * channels + channel) * rows * columns + within
    return indices


def average_pool(attributes, X):
    x, size, stride, padding = pool_arguments(attributes, X)
    pooled = functional.average_pool2d(functional.pad(x, padding), size, stride)
    if not attributes.get("count_include_pad", 0):
        pooled = pooled / functional.average_pool2d(functional.pad(np.ones_like(x), padding), size, stride)
    return [back(pooled, X)]


def padding_operator(attributes, X, pads=None, value=None, axes=None):
    mode = {b"constant": "constant", b"reflect": "reflect"}.get(attributes.get("mode", b"constant"))
    if mode is None:
        raise Outside(f"padding mode {attributes['mode'].decode()}: zeros, constants and reflection are offered")
    pads = np.asarray(attributes["pads"] if pads is None else pads)
    value = attributes.get("value", 0.0) if value is None or np.size(value) == 0 else float(value)
    axes = np.arange(X.ndim) if axes is None else np.asarray(axes)
    sides = dict(zip((axes % X.ndim).tolist(), pads.reshape(2, -1).T.tolist(), strict=True))
    padded = [axis for axis, widths in sides.items() if any(widths)]
    if len(padded) > 2 or np.any(pads < 0):
        raise Outside("rows and columns are padded, by nothing less than zero")
    padded += [axis for axis in range(X.ndim) if axis not in padded][: 2 - len(padded)]
    moved = np.moveaxis(X, padded, (0, 1))  # any two axes may be the rows and the columns
    padding = tuple(tuple(sides.get(axis, (0, 0))) for axis in padded)
    result = functional.pad(moved.reshape(1, *moved.shape[:2], -1), padding, mode, value if mode == "constant" else 0.0)
    return [np.moveaxis(result.reshape(*result.shape[1:3], *moved.shape[2:]), (0, 1), padded)]


def columns_to_image(attributes, columns, image_shape, block_shape):
    refuse(attributes, dilations=1)
    if len(image_shape) != 2:
        raise Outside(f"{len(image_shape)} spatial axes: images have two")
    shape = (*image_shape.tolist(), columns.shape[1] // math.prod(block_shape.tolist()))
    stride = tuple(attributes.get("strides", (1, 1)))
    padding = window_padding(attributes, None, None, None)
    patches = columns.transpose(0, 2, 1)
    result = functional.col2im(patches, shape, tuple(block_shape.tolist()), stride=stride, padding=padding)
    return [np.moveaxis(result, 3, 1)]


def dense(attributes, A, B, C=None):
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    A = A.T if attributes.get("transA", 0) else A
    B = B.T if attributes.get("transB", 0) else B
    bias = np.zeros(B.shape[1]) if C is None else beta * np.asarray(C)
    if bias.ndim == 2 and bias.shape[0] > 1:
        raise Outside("a dense layer's bias is one number per unit, not one per sample and unit")
    plan = build_plan((DenseLayer(B.shape[1]),), (1, A.shape[1], 1))
    parameters = reference.pack(plan, [(alpha * B, np.broadcast_to(bias.reshape(-1), B.shape[1]))])
    return [Network(plan, parameters.astype(A.dtype)).scores(np.ascontiguousarray(A))]


def activation(name):
    def run(attributes, X):
        plan = build_plan((ConvolutionBlock(1, (1, 1), activation=name),), (1, X.size, 1))
        parameters = reference.pack(plan, [(1.0, 0.0)]).astype(X.dtype)
        return [Network(plan, parameters).scores(X.reshape(1, -1)).reshape(X.shape)]

    return run


def over_classes(function, default_axis):
    """A function of rows of scores along one axis."""

    def run(attributes, X):
        axis = attributes.get("axis", default_axis)
        rows = np.moveaxis(X, axis, -1)
        results = function(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape)
        return [np.moveaxis(results, -1, axis)]

    return run


def softmax_cross_entropy(attributes, scores, labels, class_weight=None):
    n_classes, ignored = scores.shape[1], attributes.get("ignore_index")
    rows = np.moveaxis(scores, 1, -1).reshape(-1, n_classes)
    weight = np.ones(labels.size) if class_weight is None else class_weight[np.clip(labels.ravel(), 0, n_classes - 1)]
    weight = np.where(labels.ravel() == ignored, 0.0, weight.astype(np.float64))
    targets = np.eye(n_classes)[np.clip(labels.ravel(), 0, n_classes - 1)]
    plan = build_plan((DenseLayer(n_classes),), (1, n_classes, 1))
    identity = reference.pack(plan, [(np.eye(n_classes), 0.0)])
    trainer = Trainer(plan, identity, loss="softmax", solver="sgd", batch_size=len(rows))
    X = np.ascontiguousarray(rows, dtype=np.float64)
    log_probabilities = np.moveaxis(outputs.log_softmax(rows).reshape(np.moveaxis(scores, 1, -1).shape), -1, 1)
    if attributes.get("reduction", b"mean") == b"none":
        losses = [trainer.loss_gradient(X, np.array([i]), targets, None)[0] for i in range(len(X))]
        return [(np.array(losses) * weight).reshape(labels.shape), log_probabilities]
    mean = trainer.loss_gradient(X, np.arange(len(X)), targets, weight)[0]
    return [mean * (weight.sum() if attributes.get("reduction") == b"sum" else 1.0), log_probabilities]


def batch_normalisation(attributes, X, gamma, beta, mean, variance):
    """A block of one pixel whose weights change nothing, normalised by its running moments."""
    if attributes.get("training_mode", 0):
        raise Outside("a mini-batch is normalised in training alone, which hands on gradients, not the images themselves")
    x = images(X)
    plan = build_plan((ConvolutionBlock(x.shape[3], (1, 1), batch_norm=True),), x.shape[1:])
    parameters = reference.pack(plan, [(np.eye(x.shape[3]), None, gamma, beta)])
    statistics = np.zeros(plan.statistics_size)
    for moments, values in zip(reference.running_moments(plan, statistics)[0], (mean, variance), strict=True):
        moments[...] = values
    reference.running_moments(plan, statistics)[0][1][...] += attributes.get("epsilon", 1e-5) - reference.EPSILON
    network = Network(plan, parameters.astype(X.dtype), statistics.astype(X.dtype))
    return [back(network.scores(np.ascontiguousarray(x)).reshape(x.shape), X)]


#: ONNX operator -> function of its attributes and inputs that returns its outputs
OPERATORS = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "Pad": padding_operator,
    "Col2Im": columns_to_image,
    "Gemm": dense,
    "Relu": activation("relu"),
    "Tanh": activation("tanh"),
    "Sigmoid": activation("logistic"),
    "Softmax": over_classes(outputs.softmax, -1),
    "LogSoftmax": over_classes(outputs.log_softmax, -1),
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "BatchNormalization": batch_normalisation,
}

#: What models around these operators consist of
PLUMBING = {
    "Constant": lambda attributes: [onnx.numpy_helper.to_array(attributes["value"])],
    "MatMul": lambda attributes, A, B: dense({}, A, B),
    "Add": lambda attributes, A, B: [A + B],
    "Transpose": lambda attributes, A: [A.transpose(attributes["perm"])],
    "Unsqueeze": lambda attributes, A: [np.expand_dims(A, tuple(attributes["axes"]))],
    "Squeeze": lambda attributes, A: [np.squeeze(A, tuple(attributes["axes"]))],
}


def run_model(model, inputs):
    """The outputs of a graph whose operators are those above."""
    graph = model.graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    names = [entry.name for entry in graph.input if entry.name not in values]
    if len(names) < len(inputs):  # older models list the parameters among the inputs
        names = [entry.name for entry in graph.input]
    values.update(zip(names, inputs, strict=True))
    for node in graph.node:
        operator = (OPERATORS | PLUMBING).get(node.op_type)
        if operator is None:
            raise Outside(f"operator {node.op_type}")
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        outputs = operator(attributes, *(values.get(name) for name in node.input))
        values.update(zip(node.output, outputs, strict=False))
    return [values[entry.name] for entry in graph.output]
