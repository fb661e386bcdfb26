"""Problems for the compiled kernels: modules to run, random geometries, random networks and random numbers."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
from reference import network_backward, network_forward

from sklearn_cnn import _kernels
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer, layers_of_map
from sklearn_cnn._network.network import Network, pace_of_training
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

LEVELS = _kernels.available_levels()
DTYPES = (np.float32, np.float64)

#: Every compiled module that this processor runs; a level without double precision of its own stands here once.
KERNELS = [(np.float32, level) for level in LEVELS]
KERNELS += [(np.float64, level) for level in LEVELS if level not in _kernels.DOUBLE_PRECISION]

each_level = pytest.mark.parametrize("level", LEVELS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
each_kernel = pytest.mark.parametrize(("dtype", "level"), KERNELS, ids=lambda value: getattr(value, "__name__", value))


def bits(array):
    """What makes two results the same: NaN equals NaN, and 0 is not -0."""
    array = np.ascontiguousarray(array)
    return array.shape, array.dtype, array.tobytes()


def parameter_vector(plan, values, dtype=np.float64):
    """A flat vector that takes its weights and biases from ``values(shape)``; the gaps are zero."""
    vector = np.zeros(plan.parameter_size, dtype=dtype)
    for block in plan.blocks:
        size = math.prod(block.shape)
        vector[block.offset : block.offset + size] = values(size)
    return vector


def gaussian_parameters(plan, random_state, dtype=np.float64):
    return parameter_vector(plan, lambda size: 0.5 * random_state.standard_normal(size), dtype)


def running_statistics(plan, random_state, dtype=np.float64):
    """Means and variances as training might have left them; the gaps are zero."""
    statistics = np.zeros(plan.statistics_size, dtype=dtype)
    for _, means_at, variances_at, n_filters in plan.statistics:
        statistics[means_at : means_at + n_filters] = random_state.standard_normal(n_filters)
        statistics[variances_at : variances_at + n_filters] = random_state.random(n_filters) + 0.1
    return statistics


def sparse_integers(random_state, shape, largest=2, density=0.6):
    """Small integers, many of them zero, so that sums of their products are exact in single precision."""
    return random_state.integers(-largest, largest + 1, shape) * (random_state.random(shape) < density) * 1.0


def choose(random_state, *options):
    return options[random_state.integers(len(options))]


def pair(random_state, low, high):
    return tuple(int(n) for n in random_state.integers(low, high + 1, 2))


def random_padding(random_state, kernel_size):
    most = 2 * max(kernel_size)
    return choose(
        random_state, "same", "valid", pair(random_state, 0, most),
        (pair(random_state, 0, most), pair(random_state, 0, most)),
    )  # fmt: skip


def random_block(random_state, *, largest_side=12, largest_channels=20, activations=("identity", "relu"), exact=True):
    """A convolution or locally connected block and the shape of an image for it; most of them fit."""
    kernel_size = pair(random_state, 1, choose(random_state, 2, 4, 7))
    rows, columns = pair(random_state, 1, largest_side)
    if random_state.random() < 0.15:
        rows, kernel_size = 1, (1, kernel_size[1])
    sharing = random_state.random() < 0.75
    largest = largest_channels if sharing else 6
    powers = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 2), (1, 4))  # averages over them are exact
    pool_size = choose(random_state, *powers) if exact else pair(random_state, 1, 3)
    layer = ConvolutionBlock(
        n_filters=int(random_state.integers(1, 2 * largest)),
        kernel_size=kernel_size,
        stride=pair(random_state, 1, choose(random_state, 1, 1, 3, 5)),
        padding=random_padding(random_state, kernel_size),
        padding_mode=choose(random_state, "zeros", "zeros", "reflect"),
        pooling=choose(random_state, None, "max", "average"),
        pool_size=pool_size,
        pool_stride=pool_size if random_state.random() < 0.5 else pair(random_state, 1, 3),
        weight_sharing=sharing,
        activation=choose(random_state, *activations),
    )
    return layer, (rows, columns, int(random_state.integers(1, largest)))


def random_pooling(random_state, *, largest_side=12, largest_channels=40):
    pool_size = choose(random_state, (1, 1), (1, 2), (2, 2), (4, 1), (2, 4))
    stride = pool_size if random_state.random() < 0.5 else pair(random_state, 1, 4)
    layer = PoolingLayer(choose(random_state, "max", "average"), pool_size, stride)
    return layer, (*pair(random_state, 1, largest_side), int(random_state.integers(1, largest_channels)))


def random_dense(random_state):
    layer = DenseLayer(int(random_state.integers(1, 140)), choose(random_state, "identity", "relu"))
    return layer, (1, int(random_state.integers(1, 200)), 1)


@dataclass(frozen=True, eq=False)
class Problem:
    """One layer on integer-valued data, with the results of its naive twin."""

    plan: object
    parameters: np.ndarray
    statistics: np.ndarray
    X: np.ndarray
    d_outputs: np.ndarray
    outputs: np.ndarray
    d_X: np.ndarray
    d_parameters: np.ndarray

    def solve(self, dtype, level):
        """What the compiled kernels make of it: outputs, d_X, d_parameters."""
        network = Network(self.plan, self.parameters.astype(dtype), self.statistics.astype(dtype), level=level)
        X = self.X.astype(dtype)
        return network.scores(X), *network.gradients(X, self.d_outputs.astype(dtype))

    def solve_first(self, dtype, level):
        """d_parameters of the same network without the gradient of its input: first layers have ways of their own."""
        plan = build_plan(self.plan.layers, self.plan.input_shape)
        network = Network(plan, self.parameters.astype(dtype), self.statistics.astype(dtype), level=level)
        d_X, d_parameters = network.gradients(self.X.astype(dtype), self.d_outputs.astype(dtype))
        assert d_X is None
        return d_parameters


def make_problem(layers, input_shape, n_samples, numbers, parameters=None):
    """A problem whose inputs, parameters and output gradients are ``numbers(shape)``."""
    plan = build_plan(tuple(layers), input_shape, True)
    vector = parameter_vector(plan, parameters or numbers)
    statistics = running_statistics(plan, np.random.default_rng(0))
    X = numbers((n_samples, plan.n_inputs))
    d_outputs = numbers((n_samples, plan.n_outputs))
    outputs, trace = network_forward(plan, vector, X, statistics)
    d_X, d_parameters = network_backward(plan, vector, trace, d_outputs)
    return Problem(plan, vector, statistics, X, d_outputs, outputs, d_X, d_parameters)


def integer_problem(make_layer, random_state):
    """A random problem; what does not fit, or whose results are all zero, is thrown away and drawn again."""
    while True:
        layer, input_shape = make_layer(random_state)
        try:
            build_plan((layer,), input_shape, True)
        except ValueError:
            continue
        n_samples = choose(random_state, 1, 2, 3, 5, 9, 17)
        problem = make_problem([layer], input_shape, n_samples, lambda shape: sparse_integers(random_state, shape))
        results = [problem.outputs, problem.d_X]
        results += [problem.d_parameters] if problem.plan.n_parameters else []
        if all(np.any(result) for result in results):
            return problem


@lru_cache(maxsize=8)
def integer_problems(make_layer, n_problems, seed):
    """The same problems for every module, solved by the twin once."""
    random_state = np.random.default_rng(seed)
    return [integer_problem(make_layer, random_state) for _ in range(n_problems)]


def random_network(
    random_state, *, largest_side=9, activations=("identity", "relu", "tanh", "logistic"), batch_norm=False
):
    """The plan of a small network: up to two blocks, perhaps a pooling layer, dense layers.

    batch_norm: some layers are normalised, one at least."""
    while True:
        layers = []
        input_shape = (*pair(random_state, 1, largest_side), int(random_state.integers(1, 4)))
        for _ in range(random_state.integers(0, 3)):
            layer, _ = random_block(
                random_state, largest_side=largest_side, largest_channels=4, activations=activations, exact=False
            )
            layers.append(layer)
        if random_state.random() < 0.2:
            layers.append(random_pooling(random_state)[0])
        if random_state.random() < 0.4:
            layers.append(DenseLayer(int(random_state.integers(1, 6)), choose(random_state, *activations)))
        if batch_norm:
            layers = [
                replace(layer, batch_norm=bool(random_state.random() < 0.7)) if not isinstance(layer, PoolingLayer) else layer
                for layer in layers
            ]
            if not any(getattr(layer, "batch_norm", False) for layer in layers):
                continue
        layers.append(DenseLayer(int(random_state.integers(2, 4))))
        try:
            return build_plan(tuple(layers), input_shape, True)
        except ValueError:
            continue


def network_problem(layers, input_shape, n_samples, dtype, input_gradient=False):
    """A plan, Gaussian parameters for it and Gaussian images."""
    random_state = np.random.default_rng(0)
    plan = build_plan(layers, input_shape, input_gradient)
    parameters = gaussian_parameters(plan, random_state, dtype)
    return plan, parameters, random_state.standard_normal((n_samples, plan.n_inputs)).astype(dtype)


def train(plan, parameters, X, *, solver, n_threads, level=None, n_steps=3):
    """Some steps of training; the bits of everything that comes out of it."""
    random_state = np.random.default_rng(1)
    dtype, n = parameters.dtype, len(X)
    targets = np.eye(plan.n_outputs, dtype=dtype)[random_state.integers(0, plan.n_outputs, n)]
    weight = random_state.random(n).astype(dtype)
    trainer = Trainer(
        plan, parameters, loss="softmax", solver=solver, batch_size=n, n_threads=n_threads, level=level, alpha=0.1
    )
    losses = [
        trainer.step(X, random_state.permutation(n)[: n - step], targets, weight, 0.01) for step in range(n_steps)
    ]
    return losses, *map(bits, (trainer.parameters, trainer.first_moment, trainer.second_moment, trainer.statistics))


def maps_of(network, X, number, stage):
    """What the "conv" or the "pool" of a block computes, of shape (n_samples, rows, columns, filters)."""
    part = network.up_to(layers_of_map(network.plan.layers, number, stage))
    return part.scores(X).reshape(len(X), *part.plan.output_shapes[-1])


def regions_of(module, compute):
    """What compute() returns, and the parallel regions of its calls: name -> (pieces of work, threads that shared them).

    What other tests have taught about threads is forgotten: training begins with what its work suggests."""
    pace_of_training.cache_clear()
    module.take_region_records()
    results = compute()
    return results, module.take_region_records()


def on_threads(n_threads, compute, dtype=np.float32, level=None):
    """What compute() returns, once the kernels have said that these threads shared the chunks of its mini-batches or predictions.

    Without this a test that compares numbers of threads may compare one thread with one thread: little work is left to one.
    """
    module = _kernels.kernels(dtype, level)
    results, records = regions_of(module, compute)
    n_pieces, n_shared = records["forward_chunks"]
    assert n_pieces > 1, "a single piece, which one thread computes"
    assert n_shared == (min(n_threads, n_pieces) if module.describe()["openmp"] else 1), "not enough work for threads"
    return results
