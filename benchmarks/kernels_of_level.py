"""In a process of its own: the kernels of one level, one thread, each beside the limit measured at the same moment.

Time is the CPU time of this one thread, which other processes disturb less than the clock on the wall.
Each kernel is a network of one layer. The boundary runs a layer forward (with the copy of the input into the padded frame and
the bias) and backward as a whole; the weight gradient is the backward pass of a layer whose input gradient nobody wants, and
the input gradient is what wanting it adds. A first layer, of one or three channels, has no input gradient to compute.
"""

import json
import sys
import time
from statistics import median

import numpy as np

from benchmarks import geometries
from benchmarks.compiled import NoCompiler
from benchmarks.limits import Limits
from benchmarks.worker import pin, take_over_standard_output

ROUNDS = 9
ROUND_SECONDS = 0.006  # of each measurement: several calls where one is shorter
OPERATIONS_OF_A_CALL = 1e9  # a mini-batch: what is done once per step must not weigh more than it does in training
BYTES_OF_POOLING = 64e6


class Layer:
    """One layer as a network of its own, with a mini-batch in its workspace."""

    def __init__(self, layer, input_shape, n_samples, level, wants_input_gradient):
        from sklearn_cnn._network import network
        from sklearn_cnn._network import plan as plans

        random = np.random.default_rng(0)
        plan = plans.build_plan((layer,), input_shape, wants_input_gradient)
        workspace = network.Workspace(plan, n_samples, 1, True, np.dtype(np.float32), level)
        parameters = network.aligned_copy(random.normal(0, 0.1, plan.parameter_size).astype(np.float32))
        images = network.aligned_copy(random.normal(0, 1, n_samples * plan.n_inputs).astype(np.float32))
        self._kernels = workspace.kernels
        rows = self._kernels.rows_of(images.reshape(n_samples, plan.n_inputs))
        statistics = plans.initial_statistics(plan)
        self._fixed = workspace.session, parameters, statistics
        self._batch = rows, None, *network.scaling_arrays(None, None, np.dtype(np.float32)), None
        self._gradient = network.aligned_copy(np.zeros(plan.parameter_size, dtype=np.float32))
        self._n_samples = n_samples
        self.n_inputs, self.n_outputs = plan.n_inputs, plan.n_outputs
        self.forward()
        workspace.output_gradients(n_samples)[:] = random.normal(0, 1, (n_samples, plan.n_outputs))

    def forward(self):
        """Run the mini-batch forward."""
        self._kernels.predict(*self._fixed, *self._batch, 1)

    def backward(self):
        """Run the mini-batch backward."""
        self._kernels.backpropagate(*self._fixed, self._n_samples, self._gradient, 1)


def seconds_of(call, n_calls):
    """Return the mean duration of a call."""
    seconds = -time.thread_time()
    for _ in range(n_calls):
        call()
    return (seconds + time.thread_time()) / n_calls


def take_turns(calls, limit):
    """Time several calls and the limit by turns; return one tuple of all rounds for each, the limit's last."""
    n_calls = [max(1, int(ROUND_SECONDS / seconds_of(call, 1))) for call in calls]
    rounds = [
        [*(seconds_of(call, n) for call, n in zip(calls, n_calls, strict=True)), limit()] for _ in range(ROUNDS)
    ]
    return list(zip(*rounds, strict=True))


def measure_convolution(geometry, level, limits):
    """Return the three directions as shares of the multiply-add limit; of a block, forward and all of backward."""
    from sklearn_cnn._network.layers import ConvolutionBlock

    layer = ConvolutionBlock(
        geometry.n_filters, (geometry.kernel_size,) * 2, (geometry.stride,) * 2, "same", "zeros",
        "max" if geometry.is_block else None, (2, 2), (2, 2), True, "relu" if geometry.is_block else "identity",
    )  # fmt: skip
    shape = (geometry.size, geometry.size, geometry.channels)
    n_samples = int(np.clip(OPERATIONS_OF_A_CALL / geometry.operations, 2, 64))
    without, complete = (Layer(layer, shape, n_samples, level, wanted) for wanted in (False, not geometry.is_first))
    forward, weights, both, limit = take_turns(
        [without.forward, without.backward, complete.backward], limits.multiply_add
    )
    seconds = {"forward": median(forward), "backward": median(both)}
    n_directions = 1 if geometry.is_first else 2
    if not geometry.is_first and not geometry.is_block:
        added = median(above - below for above, below in zip(both, weights, strict=True))
        seconds["weight gradient"] = median(weights)
        if added > 0:  # else the machine was too restless to tell
            seconds["input gradient"] = added
    operations = {name: n_samples * geometry.operations * (n_directions if name == "backward" else 1) for name in seconds}
    return {
        "name": geometry.name, "n_samples": n_samples, "limit": median(limit),
        "seconds_per_image": {name: value / n_samples for name, value in seconds.items()},
        "fraction": {name: operations[name] / value / median(limit) for name, value in seconds.items()},
    }  # fmt: skip


def measure_pooling(geometry, level, limits):
    """Return forward and backward as shares of the copying bandwidth; only bytes that have to move are counted.

    Forward includes the copy of the input into the workspace, which inside a network does not exist.
    """
    from sklearn_cnn._network.layers import PoolingLayer

    shape = (geometry.size, geometry.size, geometry.channels)
    n_samples = max(1, int(BYTES_OF_POOLING / (4 * np.prod(shape))))
    window = (geometry.pool_size,) * 2
    layer = Layer(PoolingLayer(geometry.pooling, window, window), shape, n_samples, level, True)
    rounds = take_turns([layer.forward, layer.backward], lambda: limits.copy(repetitions=1))
    forward, backward, limit = map(median, rounds)
    positions = 1 if geometry.pooling == "max" else 0
    moved = n_samples * (4 * layer.n_inputs + (4 + positions) * layer.n_outputs)
    copied = 2 * 4 * n_samples * layer.n_inputs
    return {
        "name": geometry.name, "n_samples": n_samples,
        "seconds_per_image": {"forward": forward / n_samples, "backward": backward / n_samples}, "limit": limit,
        "fraction": {"forward": (moved + copied) / forward / limit, "backward": moved / backward / limit},
    }  # fmt: skip


def measure(level, is_smoke):
    """Return all measurements of a level, or why there are none."""
    try:
        from sklearn_cnn import _kernels
    except ImportError as error:
        return {"failed" if "sklearn_cnn" in sys.modules else "missing": f"sklearn_cnn: {error}"}
    if level not in _kernels.available_levels():
        return {"missing": f"{level} was not built, or this processor lacks its instructions"}
    try:
        limits = Limits(level)
    except NoCompiler as error:
        return {"missing": str(error)}
    convolutions = geometries.SMOKE_CONVOLUTIONS if is_smoke else geometries.CONVOLUTIONS
    poolings = geometries.SMOKE_POOLINGS if is_smoke else geometries.POOLINGS
    return {
        "level": level,
        "multiply_add_limit": max(limits.multiply_add() for _ in range(50)),
        "copy_bandwidth": limits.copy(),
        "convolutions": [measure_convolution(geometry, level, limits) for geometry in convolutions],
        "poolings": [measure_pooling(geometry, level, limits) for geometry in poolings],
    }


def main():
    answers = take_over_standard_output()
    pin(1)
    level, extent = sys.argv[1:]
    answers.write(json.dumps(measure(level, extent == "smoke")) + "\n")
    answers.flush()
