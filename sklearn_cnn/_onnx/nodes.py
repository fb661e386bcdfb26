"""ONNX nodes as the steps of a network: one function for each kind of node, and the table that chooses it."""

import math

import numpy as np

from sklearn_cnn._network.geometry import output_length, padding_sources, same_padding
from sklearn_cnn._onnx.layers import ACTIVATIONS, NO_PADDING, PADDING_MODES, POOLINGS

CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # of a Transpose
IMAGE_AXES = 4  # samples, rows, columns and channels, in any order
AUTOMATIC = "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"
FLOATS = 1, 10, 11, 16  # what a Cast calls float32, float16, float64 and bfloat16


def refusal(node, reason):
    """Build the error that names a node and what is possible."""
    name = node.name or (node.output[0] if node.output else "")
    return ValueError(
        f"Node {name!r} ({node.op_type}) cannot be read: {reason}. from_onnx reads chains of {', '.join(sorted(READERS))}, with "
        "the attributes that a network of this package has."
    )


def need(reader, node, layout):
    """Refuse a node that meets its input in a layout that it is not for."""
    if reader.layout != layout:
        raise refusal(node, f"its input is {reader.layout}, and it is for one that is {layout}")


def pair(node, name, values, least=1):
    """Write one number per spatial axis, rows and columns or a length alone, as (rows, columns)."""
    values = (1, 1) if values is None else tuple(int(value) for value in values)
    if len(values) not in (1, 2) or min(values) < least:
        raise refusal(node, f"{name}={values} has to be one positive number for each axis of an image or a signal")
    return (1, *values) if len(values) == 1 else values


def same_sides(reader, window, stride):
    """Return the ((top, bottom), (left, right)) that padding "same" comes to."""
    return tuple(same_padding(*axis) for axis in zip(reader.shape[:2], window, stride, strict=True))


def sides_of(reader, node, attributes, window, stride):
    """Return ((top, bottom), (left, right)) from the attributes pads and auto_pad."""
    auto = attributes.get("auto_pad", "NOTSET")
    if auto not in AUTOMATIC:
        raise refusal(node, f"auto_pad={auto!r} is none of {', '.join(AUTOMATIC)}")
    same = same_sides(reader, window, stride)
    if auto == "SAME_LOWER":
        same = tuple(sides[::-1] for sides in same)
    if auto != "NOTSET":
        return NO_PADDING if auto == "VALID" else same
    pads = [int(value) for value in attributes.get("pads", [0] * 4)]
    pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    if len(pads) != 4 or min(pads) < 0:
        raise refusal(node, f"pads={pads} has to be two numbers of at least 0 for each axis of an image or a signal")
    return (pads[0], pads[2]), (pads[1], pads[3])


def read_convolution(reader, node):
    """One kernel for all places; the bias may follow as an addition."""
    need(reader, node, "channels first")
    attributes = reader.attributes(node)
    weights, bias = reader.numbers(node, 1), reader.numbers(node, 2, may_miss=True)
    weights = weights[:, :, None] if weights.ndim == 3 else weights
    if attributes.get("group", 1) != 1 or any(step != 1 for step in attributes.get("dilations", ())):
        raise refusal(node, "group and dilations have to be 1")
    if weights.ndim != 4 or weights.shape[1] != reader.shape[2] or weights.size == 0:
        raise refusal(node, f"weights of shape {weights.shape} do not fit {reader.shape[2]} channels")
    kernel_size, stride = weights.shape[2:], pair(node, "strides", attributes.get("strides"))
    if pair(node, "kernel_shape", attributes.get("kernel_shape", kernel_size)) != kernel_size:
        raise refusal(node, f"its kernel_shape is not that of its weights, {kernel_size}")
    bias = np.zeros(len(weights)) if bias is None else bias
    if bias.shape != (len(weights),):
        raise refusal(node, f"a bias of shape {bias.shape} does not fit {len(weights)} filters")
    sides, mode = sides_of(reader, node, attributes, kernel_size, stride), "zeros"
    if reader.steps and reader.steps[-1].kind == "padding":
        if sides != NO_PADDING:
            raise refusal(node, "there is a Pad before it, so it may not pad by itself")
        step = reader.steps.pop()
        sides, mode = step.geometry["sides"], step.name
    same = same_sides(reader, kernel_size, stride)
    if sides != same and any(before != after for before, after in sides):
        raise refusal(node, f"padding of {sides} is neither the same on both sides nor that of SAME_UPPER")
    padding = "same" if sides == same else tuple(before for before, _ in sides)
    geometry = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "padding_mode": mode}
    reader.add("convolution", node, geometry=geometry, weights=weights.transpose(2, 3, 1, 0), bias=bias)
    lengths = (output_length(*axis)[0] for axis in zip(reader.shape[:2], kernel_size, stride, sides, strict=True))
    reader.resize(node, (*lengths, len(weights)))


def read_padding(reader, node):
    """Padding before a convolution."""
    need(reader, node, "channels first")
    attributes = reader.attributes(node)
    modes = {name: mode for mode, name in PADDING_MODES.items()}
    pads, value = reader.integers(node, 1), reader.numbers(node, 2, may_miss=True)
    mode = modes.get(attributes.get("mode", "constant"))
    is_other = len(pads) != 2 * IMAGE_AXES or any(pads[:2] + pads[4:6]) or min(pads) < 0 or len(node.input) > 3
    if mode is None or is_other or (value is not None and value.any()):
        raise refusal(node, "rows and columns of images are padded, with zeros or by reflection, by no negative numbers")
    sides = (pads[2], pads[6]), (pads[3], pads[7])
    if mode == "reflect" and any(max(side) >= length for side, length in zip(sides, reader.shape[:2], strict=True)):
        raise refusal(node, f"a map of {reader.shape[0]} x {reader.shape[1]} pixels cannot be reflected as far as {sides}")
    reader.add("padding", node, mode, geometry={"sides": sides})


def read_gather(reader, node):
    """Reflection that may go on beyond the length of an axis: the pixels of a padded axis, one axis after the other."""
    need(reader, node, "channels first")
    axis, pixels = reader.attributes(node).get("axis", 0) - 2, reader.integers(node, 1)
    last = reader.steps.pop() if reader.steps and reader.steps[-1].node.op_type == "Gather" else None
    sides = list(last.geometry["sides"] if last else NO_PADDING)
    total = len(pixels) - reader.shape[axis] if axis in (0, 1) and sides[axis] == (0, 0) else -1
    added = total // 2, total - total // 2
    if total < 0 or pixels != padding_sources(reader.shape[axis], added, "reflect").tolist():
        raise refusal(node, "it chooses the pixels of rows or columns that are reflected on both sides, and nothing else")
    sides[axis] = added
    reader.add("padding", node, "reflect", geometry={"sides": tuple(sides)})


def pooling_of(node):
    """Return what we call the pooling of a node, over windows or whole maps."""
    return next(name for name, kinds in POOLINGS.items() if node.op_type in kinds)


def read_pooling(reader, node):
    """Pooling over windows."""
    need(reader, node, "channels first")
    attributes = reader.attributes(node)
    if "kernel_shape" not in attributes:
        raise refusal(node, "its attribute 'kernel_shape' is missing")
    size, stride = (pair(node, entry, attributes.get(entry)) for entry in ("kernel_shape", "strides"))
    name = pooling_of(node)
    skipped = [output_length(*axis) for axis in zip(reader.shape[:2], size, stride, strict=True)]
    is_dilated = any(step != 1 for step in attributes.get("dilations", ()))
    if is_dilated or sides_of(reader, node, attributes, size, stride) != NO_PADDING:
        raise refusal(node, "windows are not padded, and dilations have to be 1")
    if attributes.get("ceil_mode", 0) and any(left for _, left in skipped):
        raise refusal(node, f"with ceil_mode=1 the last window would reach beyond its {reader.shape[0]} x {reader.shape[1]} map")
    reader.add("pooling", node, name, geometry={"pool_size": size, "pool_stride": stride})
    reader.resize(node, (*(n for n, _ in skipped), reader.shape[2]))


def read_global_pooling(reader, node):
    """Pooling over whole maps."""
    need(reader, node, "channels first")
    reader.add("global pooling", node, pooling_of(node))
    reader.shape = (1, 1, reader.shape[2])


def read_activation(reader, node):
    """An activation, or the logistic function after the scores."""
    reader.add("activation", node, next(name for name, kind in ACTIVATIONS.items() if kind == node.op_type))


def read_softmax(reader, node):
    """Probabilities of exclusive classes, or their logarithms."""
    need(reader, node, "flat")
    if reader.attributes(node).get("axis", -1) not in (1, -1):
        raise refusal(node, "its axis has to be that of the classes")
    if reader.is_answer or reader.ending == "two classes" or (reader.steps and reader.steps[-1].kind == "activation"):
        raise refusal(node, "it is for scores, and what stands before it has made something else of them")
    reader.ending, reader.is_answer = "softmax", True


def read_normalisation(reader, node):
    """Batch normalisation by running moments."""
    attributes = reader.attributes(node)
    names = ("gamma", "beta", "mean", "variance")
    arrays = {name: reader.numbers(node, place).astype(np.float64) for place, name in enumerate(names, start=1)}
    if attributes.get("training_mode", 0) or not reader.steps:
        raise refusal(node, "it normalises what a layer hands on, by constant moments")
    n_channels = reader.shape[2]
    if reader.layout == "channels last" or (reader.layout == "flat" and reader.shape[:2] != (1, 1)):
        raise refusal(node, f"it is for images with the channels first or for units; its input is {reader.layout}")
    if any(values.shape != (n_channels,) for values in arrays.values()):
        raise refusal(node, f"each of its constants has to be one number for each of {n_channels} channels or units")
    arrays["variance"] = arrays["variance"] + attributes.get("epsilon", 1e-5)
    if not (arrays["variance"] > 0).all():
        raise refusal(node, "its variances, with epsilon, have to be positive")
    reader.add("normalisation", node, **arrays)


def read_dense(reader, node):
    """A product with a matrix."""
    need(reader, node, "flat")
    attributes = reader.attributes(node)
    weights, bias = reader.numbers(node, 1), reader.numbers(node, 2, may_miss=True)
    weights = weights.T if attributes.get("transB", 0) else weights
    size = math.prod(reader.shape)
    if attributes.get("transA", 0) or weights.ndim != 2 or len(weights) != size or weights.size == 0:
        raise refusal(node, f"a matrix of shape {weights.shape} does not fit {size} values of a sample")
    weights = weights * attributes.get("alpha", 1.0)
    bias = np.zeros(weights.shape[1]) if bias is None else attributes.get("beta", 1.0) * bias
    if bias.ndim > 2 or bias.size not in (1, weights.shape[1]) or bias.shape[-1:] not in ((), (bias.size,)):
        raise refusal(node, f"its bias of shape {bias.shape} has not one number for each of {weights.shape[1]} units")
    if not reader.comes_last:
        rows, columns, channels = reader.shape
        weights = weights.reshape(channels, rows, columns, -1).transpose(1, 2, 0, 3).reshape(weights.shape)
    reader.add("dense", node, weights=weights, bias=np.broadcast_to(np.ravel(bias), weights.shape[1]))
    reader.resize(node, (1, 1, weights.shape[1]))


def read_flattening(reader, node):
    """Images become rows of numbers."""
    if node.op_type == "Flatten" and reader.attributes(node).get("axis", 1) != 1:
        raise refusal(node, "its axis has to be 1")
    if node.op_type == "Squeeze" and reader.shape[:2] != (1, 1):
        raise refusal(node, f"{reader.shape[0]} x {reader.shape[1]} pixels are left")
    if reader.layout != "flat":  # rows of numbers are what they are
        reader.comes_last = reader.layout != "channels first"
    reader.layout = "flat"


def read_reshape(reader, node):
    """Rows of numbers become images, before all layers, or images rows of numbers."""
    target, size = reader.integers(node, 1), math.prod(reader.shape)
    if len(target) == 2:
        if target[1] != size and (target[1] != -1 or target[0] == -1) and (target[1] != 0 or reader.layout != "flat"):
            raise refusal(node, f"rows of {target[1]} numbers are not the {size} of one sample")
        return read_flattening(reader, node)
    shape = tuple(target[1:]) if reader.comes_last else (*target[2:], *target[1:2])
    if reader.steps or len(target) != IMAGE_AXES or min(target[1:]) < 1 or math.prod(shape) != size:
        raise refusal(node, "the input alone is reshaped, to images")
    if not reader.comes_last and shape[2] > 1 and shape != reader.shape:
        raise refusal(node, "rows of numbers hold colour images with the channels last, and a Transpose brings them first")
    reader.shift, reader.factor = (of_channels(node, values, shape[2]) for values in (reader.shift, reader.factor))
    reader.shape, reader.input_shape = shape, shape
    reader.layout = "channels last" if reader.comes_last else "channels first"
    return None


def of_channels(node, values, n_channels):
    """Return the scaling of an input that is reshaped to another number of channels: one number for all of them."""
    if len(values) != n_channels and (values != values[0]).any():
        raise refusal(node, f"what scales {len(values)} channels before it does not scale {n_channels}")
    return values if len(values) == n_channels else np.full(n_channels, values[0])


def read_transpose(reader, node):
    """Channels are brought first, or last."""
    perm = tuple(reader.attributes(node).get("perm", ()))
    moves = {("channels last", CHANNELS_FIRST): "channels first", ("channels first", CHANNELS_LAST): "channels last"}
    if (reader.layout, perm) not in moves:
        raise refusal(node, f"perm={perm} is neither {CHANNELS_FIRST}, channels first, nor {CHANNELS_LAST}, channels last")
    reader.layout = moves[reader.layout, perm]


def read_arithmetic(reader, node):
    """Scaling of the input, the bias of a layer, or what brings the scores back to the targets."""
    place = int(node.input[0] == reader.value)
    values = reader.numbers(node, place).astype(np.float64)
    is_product = node.op_type in ("Mul", "Div")
    if node.op_type in ("Sub", "Div") and place == 0:
        raise refusal(node, "a constant comes second")
    if not np.isfinite(values).all() or (is_product and not values.all()):
        raise refusal(node, "its constant has to be finite numbers, and in a product or a quotient none may be 0")
    if reader.ending:
        raise refusal(node, "what stands before it, probabilities or targets, is the end of a network")
    last = reader.steps[-1] if reader.steps else None
    n_channels = reader.shape[2]
    axis = {"flat": -1, "channels last": -1, "channels first": 1}[reader.layout]
    at = values.reshape((1,) * (4 - values.ndim) + values.shape) if values.ndim <= 4 else values
    if values.size not in (1, n_channels) or (values.size > 1 and at.shape[axis] != n_channels):
        raise refusal(node, f"its constant of shape {values.shape} has not one number for each of {n_channels} channels or units")
    values = np.broadcast_to(values.ravel(), n_channels)
    values = 1.0 / values if node.op_type == "Div" else -values if node.op_type == "Sub" else values
    if last is None:
        if is_product:
            reader.factor = reader.factor * values
        else:
            reader.shift = reader.shift - values / reader.factor
    elif last.kind == "dense" and (is_product or reader.deviation is not None):
        mean, deviation = (0.0, 1.0) if reader.deviation is None else (reader.mean, reader.deviation)
        reader.mean, reader.deviation = (mean * values, deviation * values) if is_product else (mean + values, deviation)
    elif last.kind in ("convolution", "dense") and not is_product:
        last.arrays["bias"] = last.arrays["bias"] + values
    else:
        raise refusal(node, "it is neither a bias, nor a scaling of the input or of the scores")


def read_cast(reader, node):
    """Numbers of another type; integers would be rounded."""
    if reader.attributes(node).get("to") not in FLOATS:
        raise refusal(node, "numbers have to stay floating-point numbers")


def pass_on(reader, node):
    """Change nothing: dropout, and the form in which probabilities are handed out."""


#: Kind of node -> the function that reads it, called with the reader and the node.
READERS = {
    "Conv": read_convolution,
    "Pad": read_padding,
    "Gather": read_gather,
    "MaxPool": read_pooling,
    "AveragePool": read_pooling,
    "GlobalMaxPool": read_global_pooling,
    "GlobalAveragePool": read_global_pooling,
    **dict.fromkeys([kind for kind in ACTIVATIONS.values() if kind is not None], read_activation),
    "Softmax": read_softmax,
    "LogSoftmax": read_softmax,
    "BatchNormalization": read_normalisation,
    "Gemm": read_dense,
    "MatMul": read_dense,
    "Flatten": read_flattening,
    "Squeeze": read_flattening,
    "Reshape": read_reshape,
    "Transpose": read_transpose,
    **dict.fromkeys(["Add", "Sub", "Mul", "Div"], read_arithmetic),
    "Cast": read_cast,
    **dict.fromkeys(["Identity", "Dropout", "ZipMap"], pass_on),
}
