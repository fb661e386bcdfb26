"""The networks everybody is timed on, their initial weights, and what they compute, written out in NumPy.

Every block is: convolution, "same" padding (without padding in L), stride 1, bias - ReLU - 2x2 max pooling (V: in every other
block). Dense layers with ReLU follow, and a last one without. Loss: softmax cross-entropy. Optimiser: Adam with its usual
constants, no weight decay.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

LEARNING_RATE = 1e-3
BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8


@dataclass(frozen=True)
class Network:
    """A convolutional network as all contenders understand it."""

    name: str
    input_shape: tuple[int, int, int]  # rows, columns, channels
    n_filters: tuple[int, ...]
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int = 10
    kernel_size: int = 3
    pooling: str = "max"
    padding: str = "same"
    unpooled: tuple[int, ...] = ()  # numbers of blocks without pooling

    @property
    def are_pooled(self):
        """Whether each block ends with pooling."""
        return [number not in self.unpooled for number in range(len(self.n_filters))]

    @property
    def border(self):
        """Rows of zeros on each side of a block's input."""
        return self.kernel_size // 2 if self.padding == "same" else 0

    @property
    def map_sizes(self):
        """Rows and columns of the blocks' maps, before pooling, and of what the last one leaves."""
        sizes, (rows, columns, _) = [], self.input_shape
        for is_pooled in self.are_pooled:
            sizes.append((rows + 2 * self.border - self.kernel_size + 1, columns + 2 * self.border - self.kernel_size + 1))
            rows, columns = (side // 2 if is_pooled else side for side in sizes[-1])
        return [*sizes, (rows, columns)]

    @property
    def convolution_shapes(self):
        """Weight shapes (kernel rows, kernel columns, channels, filters) of the blocks."""
        depths = (self.input_shape[2], *self.n_filters)
        return [(self.kernel_size, self.kernel_size, *pair) for pair in pairwise(depths)]

    @property
    def flat_shape(self):
        """Rows, columns and channels of the last pooled map, in the order in which it is flattened."""
        return (*self.map_sizes[-1], self.n_filters[-1])

    @property
    def dense_shapes(self):
        """Weight shapes (inputs, units) of the dense layers."""
        widths = (math.prod(self.flat_shape), *self.hidden_layer_sizes, self.n_outputs)
        return list(pairwise(widths))

    @property
    def parameters(self):
        """What makes it of a `ConvNetClassifier`."""
        return {
            "n_filters": self.n_filters, "kernel_size": self.kernel_size, "padding": self.padding,
            "pooling": [self.pooling if is_pooled else None for is_pooled in self.are_pooled],
            "hidden_layer_sizes": self.hidden_layer_sizes, "input_shape": self.input_shape, "batch_norm": False,
        }  # fmt: skip

    @property
    def forward_operations(self):
        """Floating-point operations of one image, forward, a multiply-add counted as two."""
        convolutions = sum(
            2 * math.prod(size) * math.prod(shape)
            for size, shape in zip(self.map_sizes[:-1], self.convolution_shapes, strict=True)
        )
        return convolutions + sum(2 * math.prod(shape) for shape in self.dense_shapes)


NETWORKS = {
    "A": Network("A", (28, 28, 1), (32, 64), (128,)),
    "B": Network("B", (32, 32, 3), (32, 64, 128), (128,)),
    "C": Network("C", (8, 8, 1), (16, 32), ()),
    "D": Network("D", (224, 224, 3), (16, 32, 64, 128, 128), ()),
    "E": Network("E", (64, 64, 3), (16, 32, 64), (64,)),
    "F": Network("F", (28, 28, 1), (24, 48, 96), (100,), kernel_size=5),
    "L": Network("L", (28, 28, 1), (6, 16), (120, 84), kernel_size=5, padding="valid"),
    "V": Network("V", (32, 32, 3), (32, 32, 64, 64), (128,), unpooled=(0, 2)),
}


def with_geometry(network, **geometry):
    """Return the network with another kernel size, other filters or another pooling."""
    return replace(network, **geometry)


def initial_weights(network, seed=0):
    """Draw Glorot-uniform weights and small biases: a flat list weights, bias, weights, bias, ...

    The biases are not zero so that a contender that forgot one would be noticed.
    """
    random = np.random.default_rng(seed)
    arrays = []
    for shape in [*network.convolution_shapes, *network.dense_shapes]:
        receptive_field = math.prod(shape[:-2])
        bound = math.sqrt(6.0 / (receptive_field * (shape[-2] + shape[-1])))
        arrays.append(random.uniform(-bound, bound, shape).astype(np.float32))
        arrays.append(random.uniform(-0.01, 0.01, shape[-1:]).astype(np.float32))
    return arrays


def pairs(weights):
    """Return the flat list of arrays as (weights, bias) of each layer."""
    return list(zip(weights[::2], weights[1::2], strict=True))


def reference_scores(network, weights, images):
    """Compute what the network gives for images (n, rows, columns, channels), in float64 and without any tricks."""
    layers = pairs([array.astype(np.float64) for array in weights])
    maps = images.astype(np.float64)
    border = network.border
    for (kernels, bias), is_pooled in zip(layers, network.are_pooled, strict=False):
        padded = np.pad(maps, ((0, 0), (border, border), (border, border), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[:2], axis=(1, 2))
        maps = np.maximum(np.einsum("nrcdij,ijdf->nrcf", windows, kernels, optimize=True) + bias, 0.0)
        if not is_pooled:
            continue
        n_images, rows, columns, n_filters = maps.shape
        maps = maps[:, : rows // 2 * 2, : columns // 2 * 2]
        maps = maps.reshape(n_images, rows // 2, 2, columns // 2, 2, n_filters).max(axis=(2, 4))
    values = maps.reshape(len(maps), -1)
    for layer, (matrix, bias) in enumerate(layers[len(network.n_filters) :]):
        values = values @ matrix + bias
        if layer < len(network.hidden_layer_sizes):
            values = np.maximum(values, 0.0)
    return values
