"""A plan with its parameters: run it, look inside.

Everything here can be rebuilt from the layers, the input shape and the arrays a `Trainer` exposes; nothing is pickled.
"""

import math
from functools import lru_cache

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network.arena import build_arena, prediction_capacity, slice_size
from sklearn_cnn._network.plan import build_plan, initial_statistics, table
from sklearn_cnn._network.settled import seal_of

# Workspaces are kept between predictions: making one takes more than half as long as a small network takes for an image. Those of
# a few images are kept for all networks of late, and larger ones for the last network alone.
LARGEST_IDLE_BYTES, LARGEST_IDLE_COUNT = 1 << 20, 4
LARGEST_LAST_BYTES = 1 << 24  # all that are kept of the last network together


def aligned_empty(n, dtype):
    """Return an uninitialised array of n numbers that begins on a cache line."""
    itemsize = np.dtype(dtype).itemsize
    room = np.empty(n * itemsize + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + n * itemsize].view(dtype)


def aligned_copy(array):
    """Return a copy of a one-dimensional array that begins on a cache line."""
    copy = aligned_empty(array.size, array.dtype)
    copy[:] = array
    return copy


class Workspace:
    """One block of numbers and one of positions for mini-batches of a plan, which a session of the kernels holds."""

    def __init__(self, plan, capacity, n_threads, training, dtype, level):
        self.kernels = _kernels.kernels(dtype, level)
        arena = build_arena(plan, capacity, n_threads, training)
        self.numbers = aligned_empty(int(arena["n_numbers"][0]), dtype)
        self.positions = np.empty(int(arena["n_positions"][0]) * capacity, dtype=np.uint8) if training else None
        tables = table(plan.records), table(arena), table(plan.runs)
        pace = pace_of_training(plan, capacity, n_threads, self.kernels) if training else None
        self.session = self.kernels.Session(*tables, self.numbers, self.positions, pace)
        self.capacity = capacity
        self._seal = None  # of the parameters that the prediction before was made with, if it was whole
        self._starts = {name: int(arena[name][0]) for name in ("values_at", "gradients_at")}
        self._output = int(plan.records["output_at"][-1]), plan.n_outputs

    def expect(self, seal):
        """Say which parameters come next, by their seal, or None: weights that are known are not compared.

        Nobody uses the workspace of a prediction that failed, so nothing has to be taken back.
        """
        is_whole = seal is not None and seal.is_whole
        self.session.knows_weights = is_whole and self._seal is seal
        self._seal = seal if is_whole else None

    def area(self, name, at, n_samples, size):
        """Return the view of one layer's values ("values_at") or gradients ("gradients_at") for n_samples samples."""
        start = self._starts[name] + at * self.capacity
        return self.numbers[start : start + n_samples * size].reshape(n_samples, size)

    def output_gradients(self, n_samples):
        """Return the view of the gradients of the last layer's values."""
        at, size = self._output
        return self.area("gradients_at", at, n_samples, size)


@lru_cache(maxsize=16)
def pace_of_training(plan, capacity, n_threads, kernels):
    """Return what is known of how many threads a network's training had better take; a session goes on from those before it.

    Only how long training takes depends on it. Calls of `partial_fit` may be too short to find it out anew.
    """
    return kernels.Pace(capacity * plan.totals["work"])


@lru_cache(maxsize=16)
def _idle_workspaces(plan, capacity, n_threads, dtype, level):
    return []


_large_ones: list = []  # the list that the large workspaces of the last network are in


def _borrow_workspace(plan, capacity, n_threads, dtype, level):
    """Return a workspace for prediction and the list to give it back to.

    Taking one off a list cannot give it to two threads.
    """
    idle = _idle_workspaces(plan, capacity, n_threads, dtype, level or _kernels.default_level())
    try:
        return idle.pop(), idle
    except IndexError:
        return Workspace(plan, capacity, n_threads, False, dtype, level), idle


def _give_back(workspace, idle):
    """Keep a workspace for the next prediction, if not too many are kept."""
    global _large_ones  # one assignment, which no thread sees half of
    n_bytes = workspace.numbers.nbytes
    if n_bytes > LARGEST_IDLE_BYTES:
        if _large_ones is not idle:
            _large_ones.clear()
            _large_ones = idle
        is_kept = (len(idle) + 1) * n_bytes <= LARGEST_LAST_BYTES
    else:
        is_kept = len(idle) < LARGEST_IDLE_COUNT
    if is_kept:
        idle.append(workspace)


def converted_rows(X, rows, dtype):
    """Return a copy of some rows in a type that the kernels read."""
    # 64-bit integers keep their low digits until the channel's mean is subtracted
    wide = (X.dtype.kind in "iu" and X.dtype.itemsize > 2) or (X.dtype.kind == "f" and X.dtype.itemsize > 4)
    return np.require(X[rows], np.float64 if wide else dtype, ["C_CONTIGUOUS", "ALIGNED"])


def readable_rows(X, rows):
    """Return what the kernels can read some rows of X from, X itself or a copy of them, and their places there."""
    kernels = _kernels.kernels()
    readable = kernels.rows_of(X)
    if readable is not None:
        return readable, rows
    return kernels.rows_of(converted_rows(X, rows, np.float64)), np.arange(len(rows))


def sum_channels(readable, places, weight=None, mean=None, n_channels=1):
    """Return the sums of the numbers of each channel, or of their squared distances from its mean.

    Parameters
    ----------
    readable, places
        Made by `readable_rows` of images with channels last, of any real dtype.

    weight : ndarray of shape (n_rows,), float64, default=None
        Their weights.

    mean : ndarray of shape (n_channels,), float64, default=None

    n_channels : int, default=1

    Returns
    -------
    ndarray of shape (n_channels,), float64
        Of a number type there are the same bits as of any other that holds the same numbers.
    """
    kernels = _kernels.kernels()
    lanes, sums = np.empty(kernels.channel_lanes(n_channels)), np.empty(n_channels)
    mean = None if mean is None else np.tile(mean, len(lanes) // n_channels)
    kernels.sum_channels(readable, places, weight, mean, lanes, sums)
    return sums


class Network:
    """A plan and its parameters, ready to run.

    Parameters
    ----------
    plan : Plan

    parameters : ndarray of shape (plan.parameter_size,), float32 or float64
        Their type is the type of all arithmetic. Read-only and unaligned arrays are accepted.

    statistics : ndarray of shape (plan.statistics_size,), default=None
        Running means and variances of the normalised layers, in the same type; None is zeros and ones.

    level : str, default=None
        Instruction-set level; None is the one in use.
    """

    def __init__(self, plan, parameters, statistics=None, *, level=None):
        self.plan = plan
        self.parameters = np.ascontiguousarray(parameters)
        self._seal = seal_of(self.parameters)
        self.dtype = self.parameters.dtype
        self.statistics = initial_statistics(plan, self.dtype) if statistics is None else np.ascontiguousarray(statistics)
        self.level = level

    def weights(self, layer):
        """Return the view of one layer's weights; shapes are those of `ParameterBlock`."""
        return self.block(layer, "weights")

    def bias(self, layer):
        """Return the view of one layer's biases."""
        return self.block(layer, "bias")

    def block(self, layer, kind):
        """Return the view of one layer's "weights", "bias", "gamma" or "beta"."""
        for block in self.plan.blocks:
            if block.layer == layer and block.kind == kind:
                return self.parameters[block.offset : block.offset + math.prod(block.shape)].reshape(block.shape)
        raise ValueError(f"layer {layer} has no {kind}")

    def scores(self, X, rows=None, *, shift=None, factor=None, n_threads=1):
        """Run samples through the network.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs)
            Any real type. uint8, float32 and float64 rows are read in place, others are converted block by block.

        rows : ndarray of shape (n_rows,), dtype int64, default=None
            Numbers of the samples to run; None is all of them, in their order.

        shift, factor : ndarray of shape (channels,), default=None
            The network's input is (x - shift) * factor, channel by channel.

        n_threads : int, default=1

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Values of the last layer. A row's bits do not depend on the other rows.
        """
        n_samples = X.shape[0] if rows is None else len(rows)
        capacity = prediction_capacity(self.plan, n_samples, n_threads)
        workspace, idle = _borrow_workspace(self.plan, capacity, n_threads, self.dtype, self.level)
        workspace.expect(self._seal)
        kernels, arguments = workspace.kernels, (workspace.session, self.parameters, self.statistics)
        scaling = scaling_arrays(shift, factor, self.dtype)
        results = np.empty((n_samples, self.plan.n_outputs), dtype=self.dtype)
        readable = kernels.rows_of(X)
        if readable is not None:
            kernels.predict(*arguments, readable, rows, *scaling, results, n_threads)
        else:
            for start in range(0, n_samples, capacity):
                taken = slice(start, start + capacity)
                block = kernels.rows_of(converted_rows(X, taken if rows is None else rows[taken], self.dtype))
                kernels.predict(*arguments, block, None, *scaling, results[taken], n_threads)
        _give_back(workspace, idle)
        return results

    def up_to(self, layers):
        """Return the network that ends with some of this one's layers, the last perhaps only a part of it.

        Parameters
        ----------
        layers : tuple of layers
            Made by `layers_up_to` or `layers_of_map`.

        Returns
        -------
        Network
            It shares its parameters and running moments with this one.
        """
        plan = build_plan(layers, self.plan.input_shape)
        return Network(plan, self.parameters[: plan.parameter_size], self.statistics[: plan.statistics_size], level=self.level)

    def after(self, first, layers):
        """Return the network of the layers after the first ones, which a network of their own has, made by `up_to`."""
        plan = build_plan(layers, first.plan.output_shapes[-1])
        parameters, statistics = self.parameters[first.parameters.size :], self.statistics[first.statistics.size :]
        return Network(plan, parameters, statistics, level=self.level)

    def input_gradients(self, X, d_output, *, n_threads=1):
        """Return the gradients of a weighted sum of the outputs with respect to each sample.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs), of the type of the parameters
            As the network sees it: scaled.

        d_output : ndarray of shape (n_outputs,)
            Weights of the outputs, the same for all samples.

        n_threads : int, default=1

        Returns
        -------
        ndarray of shape (n_samples, n_inputs)
        """
        plan = build_plan(self.plan.layers, self.plan.input_shape, True)
        network = Network(plan, self.parameters, self.statistics, level=self.level)
        gradients = np.empty((len(X), plan.n_inputs), dtype=self.dtype)
        size = max(1, slice_size(plan, len(X)))
        for start in range(0, len(X), size):
            rows = slice(start, start + size)
            d_outputs = np.broadcast_to(d_output, (len(X[rows]), plan.n_outputs))
            gradients[rows], _ = network.gradients(X[rows], d_outputs, n_threads=n_threads)
        return gradients

    def gradients(self, X, d_outputs, *, n_threads=1):
        """Run samples forward and the gradients of their outputs backward; running means and variances are constants.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs), uint8, float32 or float64, C-contiguous

        d_outputs : ndarray of shape (n_samples, n_outputs)

        n_threads : int, default=1

        Returns
        -------
        d_X : ndarray of shape (n_samples, n_inputs), or None
            None where the plan was built without the gradient of its input.

        d_parameters : ndarray of shape (plan.parameter_size,)
            Summed over samples.
        """
        plan, n_samples = self.plan, X.shape[0]
        workspace = Workspace(plan, max(1, n_samples), n_threads, True, self.dtype, self.level)
        kernels, arguments = workspace.kernels, (workspace.session, self.parameters, self.statistics)
        scaling = scaling_arrays(None, None, self.dtype)
        kernels.predict(*arguments, kernels.rows_of(X), None, *scaling, None, n_threads)
        workspace.output_gradients(n_samples)[:] = d_outputs
        gradient = np.zeros(plan.parameter_size, dtype=self.dtype)
        kernels.backpropagate(*arguments, n_samples, gradient, n_threads)
        if not plan.records["input_gradient_wanted"][0]:
            return None, gradient
        return workspace.area("gradients_at", 0, n_samples, plan.n_inputs).copy(), gradient


@lru_cache
def _no_scaling(dtype):
    arrays = np.zeros(1, dtype=dtype), np.ones(1, dtype=dtype)
    for array in arrays:
        array.flags.writeable = False
    return arrays


def scaling_arrays(shift, factor, dtype):
    """Return shift and factor as the kernels take them: one number for one channel or for an unscaled input."""
    if shift is None:
        return _no_scaling(dtype)
    return np.ascontiguousarray(shift, dtype=dtype), np.ascontiguousarray(factor, dtype=dtype)
