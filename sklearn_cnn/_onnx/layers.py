"""Layers as ONNX nodes: one function for each part of a network, and the table that chooses it.

ONNX has images as channels x rows x columns, and so have the values between these nodes. Its ``Conv`` is a cross-correlation, as
ours is.
"""

import math
from dataclasses import dataclass

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network import activations
from sklearn_cnn._network.geometry import padding_sources, resolve_padding
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, NormalisationLayer, PoolingLayer, parts_of
from sklearn_cnn._network.network import Network
from sklearn_cnn._onnx.graph import Graph

# What is added to a variance before its root is taken.
EPSILON = _kernels.kernels().EPSILON_OF_NORMALISATION
#: Padding mode -> what ``Pad`` calls it.
PADDING_MODES = {"zeros": "constant", "reflect": "reflect"}
NO_PADDING = ((0, 0), (0, 0))
#: Activation -> the ONNX operator.
ACTIVATIONS = {name: activation.onnx for name, activation in activations.ACTIVATIONS.items()}
#: Pooling -> the operator for windows, and that for whole maps.
POOLINGS = {"max": ("MaxPool", "GlobalMaxPool"), "average": ("AveragePool", "GlobalAveragePool")}


@dataclass
class Place:
    """Where a part stands: the graph, the network's parameters, the number of its layer and its record of sizes."""

    graph: Graph
    network: Network
    layer: int
    record: np.void

    def size(self, *names):
        """Return fields of the record as plain numbers."""
        return tuple(int(self.record[name]) for name in names)

    def parameter(self, kind, shape=None, axes=None):
        """Add parameters of the layer as a constant, reshaped, then with their axes exchanged."""
        values = self.network.block(self.layer, kind).astype(np.float32)
        values = values if shape is None else values.reshape(shape)
        return self.graph.constant(values if axes is None else values.transpose(axes), kind)

    def bias(self):
        """Return the inputs that a bias adds to a node: none where a normalisation takes it away."""
        return (self.parameter("bias"),) if self.network.block(self.layer, "bias").size else ()


def write_layers(graph, network, value):
    """Write all layers of a network.

    Parameters
    ----------
    graph : Graph
        What they are added to.
    network : Network
        Layers and parameters.
    value : str
        Images, channels first.

    Returns
    -------
    value : str
        Of shape (n_samples, channels, rows, columns), or (n_samples, n_units) where the last layer is a dense one.
    is_flat : bool
        Which.
    """
    records = iter(network.plan.records)
    is_flat = False
    for number, layer in enumerate(network.plan.layers):
        for part in parts_of(layer):
            if type(part) not in WRITERS:
                raise NotImplementedError(f"A {type(part).__name__} cannot be written as ONNX: it has no row in WRITERS yet.")
            place = Place(graph, network, number, next(records))
            if isinstance(part, DenseLayer) and not is_flat:
                value, is_flat = graph.node("Flatten", value, axis=1), True
            value = WRITERS[type(part)](place, part, value)
    return value, is_flat


def write_convolution(place, block, value):
    """Convolution or local connection, activation, pooling."""
    padding = resolve_padding(block.padding, place.size("rows", "columns"), block.kernel_size, block.stride)
    if not block.weight_sharing or block.padding_mode != "zeros":
        value, padding = padded(place, block, value, padding), NO_PADDING
    value = write_shared(place, block, value, padding) if block.weight_sharing else write_local(place, block, value)
    return pooled(place, block, activated(place, block, value))


def padded(place, block, value, padding):
    """Pad an image, where there is something to pad."""
    if padding == NO_PADDING:
        return value
    shape = place.size("rows", "columns")
    if block.padding_mode == "zeros" or all(max(sides) < length for sides, length in zip(padding, shape, strict=True)):
        (top, bottom), (left, right) = padding
        pads = np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64)
        mode = PADDING_MODES[block.padding_mode]
        return place.graph.node("Pad", value, place.graph.constant(pads, "pads"), mode=mode)
    for axis, (length, sides) in enumerate(zip(shape, padding, strict=True), start=2):  # more than ONNX's Pad reflects
        sources = padding_sources(length, sides, block.padding_mode)
        value = place.graph.node("Gather", value, place.graph.constant(sources, "pixels"), axis=axis)
    return value


def write_shared(place, block, value, padding):
    """One kernel for all places."""
    weights = place.parameter("weights", axes=(3, 2, 0, 1))
    (top, bottom), (left, right) = padding
    return place.graph.node(
        "Conv", value, weights, *place.bias(),
        kernel_shape=block.kernel_size, strides=block.stride, pads=(top, left, bottom, right),
    )  # fmt: skip


def write_local(place, block, value):
    """A kernel for each place: patches are gathered, and each is multiplied by the weights of its place."""
    graph, n_filters = place.graph, block.n_filters
    shape = place.size("channels", "padded_rows", "padded_columns")
    map_rows, map_columns = place.size("map_rows", "map_columns")
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    patches = np.lib.stride_tricks.sliding_window_view(numbers, block.kernel_size, axis=(1, 2))
    patches = patches[:, :: block.stride[0], :: block.stride[1]].transpose(1, 2, 3, 4, 0).reshape(map_rows * map_columns, -1)
    value = graph.node("Gather", graph.node("Flatten", value, axis=1), graph.constant(patches, "patches"), axis=1)
    value = graph.node("Transpose", value, perm=(1, 0, 2))
    value = graph.node("MatMul", value, place.parameter("weights", (*patches.shape, n_filters)))
    value = graph.reshaped(graph.node("Transpose", value, perm=(1, 2, 0)), 0, n_filters, map_rows, map_columns)
    return graph.node("Add", value, place.parameter("bias", axes=(2, 0, 1)))


def activated(place, layer, value):
    """Add the activation of a layer, if it has one."""
    kind = ACTIVATIONS[layer.activation]
    return value if kind is None else place.graph.node(kind, value)


def pooled(place, layer, value):
    """Add the pooling of a layer, if it has one."""
    if layer.pooling is None:
        return value
    return place.graph.node(POOLINGS[layer.pooling][0], value, kernel_shape=layer.pool_size, strides=layer.pool_stride)


def write_pooling(place, layer, value):
    """Pooling alone: of whole maps, or the last part of a block."""
    if isinstance(place.network.plan.layers[place.layer], PoolingLayer) and layer.pool_size == place.size("rows", "columns"):
        return place.graph.node(POOLINGS[layer.pooling][1], value)
    return pooled(place, layer, value)


def write_normalisation(place, layer, value):
    """Batch normalisation by the running moments, and the activation after it."""
    _, means_at, variances_at, n_filters = next(row for row in place.network.plan.statistics if row[0] == place.layer)
    moments = (
        place.graph.constant(place.network.statistics[at : at + n_filters].astype(np.float32), name)
        for at, name in ((means_at, "mean"), (variances_at, "variance"))
    )
    inputs = value, place.parameter("gamma"), place.parameter("beta"), *moments
    return activated(place, layer, place.graph.node("BatchNormalization", *inputs, epsilon=EPSILON))


def write_dense(place, layer, value):
    """A product with a matrix; its rows are put into the order in which channels come first."""
    rows, columns, channels = place.size("rows", "columns", "channels")
    shape = rows, columns, channels, layer.n_units
    weights = place.network.block(place.layer, "weights").astype(np.float32).reshape(shape).transpose(2, 0, 1, 3)
    weights = place.graph.constant(weights.reshape(-1, layer.n_units), "weights")
    return activated(place, layer, place.graph.node("Gemm", value, weights, *place.bias()))


#: Part of a network -> the function that writes it, called with its place, the part itself and the value before it.
WRITERS = {
    ConvolutionBlock: write_convolution,
    PoolingLayer: write_pooling,
    NormalisationLayer: write_normalisation,
    DenseLayer: write_dense,
}
