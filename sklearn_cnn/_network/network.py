"""A plan with one parameter vector: run it, train it, look inside.

Everything here can be rebuilt from the layers, the input shape and the arrays a `Trainer` exposes; nothing is pickled.
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network.arena import build_arena, prediction_capacity
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.plan import build_plan, table

LARGEST_IDLE_BYTES, LARGEST_IDLE_COUNT = 1 << 20, 4  # workspaces kept between predictions of a few images

#: Names of the losses and solvers -> what the kernels call them.
LOSSES = {"softmax": "SOFTMAX_CROSS_ENTROPY", "logistic": "LOGISTIC_CROSS_ENTROPY", "squared": "SQUARED_ERROR"}
SOLVERS = {"sgd": "SGD", "adam": "ADAM", "adamw": "ADAM"}
_NUMBER_TYPES = {np.dtype(np.uint8): 0, np.dtype(bool): 0, np.dtype(np.float32): 1, np.dtype(np.float64): 2}


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


class _Workspace:
    """One block of numbers and one of positions for mini-batches of a plan, and the call's fixed arguments."""

    def __init__(self, plan, capacity, n_threads, training, dtype, level):
        self.kernels = _kernels.kernels(dtype, level)
        arena = build_arena(plan, capacity, n_threads, training)
        self.tables = table(plan.records), table(arena), table(plan.runs)
        self.numbers = aligned_empty(int(arena["n_numbers"][0]), dtype)
        self.positions = np.empty(int(arena["n_positions"][0]) * capacity, dtype=np.uint8) if training else None
        self.capacity = capacity
        self.order = np.arange(capacity, dtype=np.int64)
        self._starts = {name: int(arena[name][0]) for name in ("values_at", "gradients_at")}
        self._output = int(plan.records["output_at"][-1]), plan.n_outputs

    def area(self, name, at, n_samples, size):
        """Return the view of one layer's values ("values_at") or gradients ("gradients_at") for n_samples samples."""
        start = self._starts[name] + at * self.capacity
        return self.numbers[start : start + n_samples * size].reshape(n_samples, size)

    def outputs(self, name, n_samples):
        """Return the view of the last layer's values or gradients."""
        at, size = self._output
        return self.area(name, at, n_samples, size)


@lru_cache(maxsize=16)
def _idle_workspaces(plan, capacity, n_threads, dtype, level):
    return []


def _borrow_workspace(plan, capacity, n_threads, dtype, level):
    """Return a workspace for prediction and the list to give it back to.

    Small ones are kept, because getting their memory takes longer than predicting one image. Taking one off a list cannot give
    it to two threads.
    """
    idle = _idle_workspaces(plan, capacity, n_threads, dtype, level or _kernels.default_level())
    try:
        return idle.pop(), idle
    except IndexError:
        return _Workspace(plan, capacity, n_threads, False, dtype, level), idle


def readable_rows(X):
    """Return (bytes of the rows, number type) if the kernels can read X in place, else None."""
    number_type = _NUMBER_TYPES.get(X.dtype)
    if number_type is None or not X.dtype.isnative or not (X.flags.c_contiguous and X.flags.aligned):
        return None
    return np.asarray(X).view(np.uint8).reshape(X.shape[0], X.shape[1] * X.itemsize), number_type


def _converted(X, rows, dtype):
    # 64-bit integers keep their low digits until the channel's mean is subtracted
    wide = (X.dtype.kind in "iu" and X.dtype.itemsize > 2) or (X.dtype.kind == "f" and X.dtype.itemsize > 4)
    return np.require(X[rows], np.float64 if wide else dtype, ["C_CONTIGUOUS", "ALIGNED"])


class Network:
    """A plan and its parameters, ready to run.

    Parameters
    ----------
    plan : Plan

    parameters : ndarray of shape (plan.parameter_size,), float32 or float64
        Their type is the type of all arithmetic. Read-only and unaligned arrays are accepted.

    level : str, default=None
        Instruction-set level; None is the one in use.
    """

    def __init__(self, plan, parameters, *, level=None):
        self.plan = plan
        self.parameters = np.ascontiguousarray(parameters)
        self.dtype = self.parameters.dtype
        self.level = level

    def weights(self, layer):
        """Return the view of one layer's weights; shapes are those of `ParameterBlock`."""
        return self._block(layer, "weights")

    def bias(self, layer):
        """Return the view of one layer's biases."""
        return self._block(layer, "bias")

    def _block(self, layer, kind):
        for block in self.plan.blocks:
            if block.layer == layer and block.kind == kind:
                return self.parameters[block.offset : block.offset + math.prod(block.shape)].reshape(block.shape)
        raise ValueError(f"layer {layer} has no {kind}")

    def scores(self, X, *, shift=None, factor=None, n_threads=1):
        """Run samples through the network.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs)
            Any real type. uint8, float32 and float64 rows are read in place, others are converted block by block.

        shift, factor : ndarray of shape (channels,), default=None
            The network's input is (x - shift) * factor, channel by channel.

        n_threads : int, default=1

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Values of the last layer. A row's bits do not depend on the other rows.
        """
        n_samples = X.shape[0]
        capacity = prediction_capacity(self.plan, n_samples)
        workspace, idle = _borrow_workspace(self.plan, capacity, n_threads, self.dtype, self.level)
        shift, factor = scaling_arrays(shift, factor, self.dtype)
        results = np.empty((n_samples, self.plan.n_outputs), dtype=self.dtype)
        readable = readable_rows(X)
        for start in range(0, n_samples, capacity):
            stop = min(start + capacity, n_samples)
            order = workspace.order[: stop - start]
            if readable is None:
                block = readable_rows(_converted(X, slice(start, stop), self.dtype))
            else:
                block, order = readable, order + start if start > 0 else order
            workspace.kernels.predict(
                *workspace.tables, self.parameters, workspace.numbers, None, *block, order, shift, factor, n_threads
            )
            results[start:stop] = workspace.outputs("values_at", stop - start)
        if workspace.numbers.nbytes <= LARGEST_IDLE_BYTES and len(idle) < LARGEST_IDLE_COUNT:
            idle.append(workspace)
        return results

    def maps(self, X, layer, stage, *, shift=None, factor=None, n_threads=1):
        """Return what one convolution block computes.

        Parameters
        ----------
        X, shift, factor, n_threads
            As in `scores`.

        layer : int

        stage : {"conv", "pool"}
            "conv" is the activated feature map, "pool" what pooling leaves of it.

        Returns
        -------
        ndarray of shape (n_samples, rows, columns, filters)
        """
        layers = self.plan.layers[: layer + 1]
        if stage == "conv" and isinstance(layers[-1], ConvolutionBlock):
            layers = (*layers[:-1], replace(layers[-1], pooling=None))
        plan = build_plan(layers, self.plan.input_shape)
        scores = Network(plan, self.parameters[: plan.parameter_size], level=self.level).scores(
            X, shift=shift, factor=factor, n_threads=n_threads
        )
        return scores.reshape(X.shape[0], *plan.output_shapes[-1])

    def gradients(self, X, d_outputs, *, n_threads=1):
        """Run samples forward and the gradients of their outputs backward.

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
        workspace = _Workspace(plan, max(1, n_samples), n_threads, True, self.dtype, self.level)
        arguments = *workspace.tables, self.parameters, workspace.numbers, workspace.positions
        shift, factor = scaling_arrays(None, None, self.dtype)
        workspace.kernels.predict(*arguments, *readable_rows(X), np.arange(n_samples), shift, factor, n_threads)
        workspace.outputs("gradients_at", n_samples)[:] = d_outputs
        gradient = np.zeros(plan.parameter_size, dtype=self.dtype)
        workspace.kernels.backpropagate(*arguments, n_samples, gradient, n_threads)
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


class Trainer:
    """Mini-batch training of one parameter vector, with all memory allocated once.

    Parameters
    ----------
    plan : Plan

    parameters : ndarray of shape (plan.parameter_size,), float32 or float64
        Starting point; copied.

    loss : {"softmax", "logistic", "squared"}
        Cross-entropy of one class among all, of independent sigmoids, or half the squared error.

    solver : {"adam", "adamw", "sgd"}
        For "adamw" `alpha` is no penalty: every update takes ``learning_rate * alpha`` of each weight away, before the step.

    batch_size : int
        Samples of the largest mini-batch.

    n_threads : int, default=1

    level : str, default=None

    alpha, momentum, nesterov, beta_1, beta_2, epsilon
        As in MLPClassifier.

    Attributes
    ----------
    parameters, first_moment, second_moment : ndarray of shape (plan.parameter_size,)
        Updated in place. ``first_moment`` is the velocity for "sgd".

    t : int
        Updates made. These four are all that resuming needs.
    """

    def __init__(self, plan, parameters, *, loss, solver, batch_size, n_threads=1, level=None, alpha=0.0, momentum=0.9,
                 nesterov=True, beta_1=0.9, beta_2=0.999, epsilon=1e-8):  # fmt: skip
        self.plan = plan
        self.parameters = aligned_copy(np.asarray(parameters))
        self.dtype = self.parameters.dtype
        self.first_moment, self.second_moment, self.gradient = (
            aligned_copy(np.zeros(plan.parameter_size, dtype=self.dtype)) for _ in range(3)
        )
        self.t = 0
        self.n_threads, self.solver = n_threads, solver
        self.alpha = 0.0 if solver == "adamw" else alpha
        self._decay = alpha - self.alpha
        self._workspace = _Workspace(plan, batch_size, n_threads, True, self.dtype, level)
        kernels = self._workspace.kernels
        self._loss = getattr(kernels, LOSSES[loss])
        self._beta_1, self._beta_2 = beta_1, beta_2
        self._settings = {
            "kind": getattr(kernels, SOLVERS[solver]),
            "learning_rate": 0.0,
            "momentum": momentum if solver == "sgd" else beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
            "decay": 0.0,
            "nesterov": int(nesterov),
        }
        self._unscaled = scaling_arrays(None, None, self.dtype)
        self._readable = (None, None)

    def step(self, X, rows, targets, sample_weight, learning_rate, *, shift=None, factor=None, augmentation=None):
        """Train on one mini-batch.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs)

        rows : ndarray of shape (n_rows,), int64
            The mini-batch's rows of X, targets and sample_weight.

        targets : ndarray of shape (n_samples, n_outputs)
            In the network's type.

        sample_weight : ndarray of shape (n_samples,) or None
            In the network's type. The mini-batch is normalised by its sum; where that is zero, nothing is updated.

        learning_rate : float

        shift, factor : ndarray of shape (channels,), default=None

        augmentation : dict, default=None
            What may happen to the images, in the words of `augmentation.augmentation_settings`; None takes them as they are.

        Returns
        -------
        float
            Weighted mean loss plus ``0.5 * alpha * |weights|**2 / sum of sample weights``, before the update.
        """
        settings = self._settings
        rate = learning_rate
        if self.solver != "sgd":
            t = self.t + 1
            rate = learning_rate * math.sqrt(1.0 - self._beta_2**t) / (1.0 - self._beta_1**t)
        settings["learning_rate"], settings["decay"] = rate, learning_rate * self._decay
        loss = self._run(X, rows, targets, sample_weight, shift, factor, settings, augmentation)
        if loss is None:
            return 0.0
        self.t += 1
        return loss

    def loss_gradient(self, X, rows, targets, sample_weight, *, shift=None, factor=None):
        """Return the loss of one mini-batch, as `step` does, and its gradient; no parameter changes.

        Returns
        -------
        loss : float

        gradient : ndarray of shape (plan.parameter_size,)
            The trainer's own array: the next call overwrites it.
        """
        loss = self._run(X, rows, targets, sample_weight, shift, factor, None)
        return loss or 0.0, self.gradient

    def _run(self, X, rows, targets, sample_weight, shift, factor, settings, augmentation=None):
        readable = self._readable_rows(X)
        if augmentation is not None:
            augmentation = {**augmentation, "rows": rows}  # the draws are for rows of X, wherever these are copied to
        if readable is None:
            X, targets = _converted(X, rows, self.dtype), targets[rows]
            sample_weight = None if sample_weight is None else sample_weight[rows]
            readable, rows = readable_rows(X), np.arange(len(rows))
        if shift is None:
            shift, factor = self._unscaled
        workspace = self._workspace
        return workspace.kernels.train(
            *workspace.tables, self.parameters, workspace.numbers, workspace.positions, *readable, rows, shift, factor,
            targets, sample_weight, self._loss, self.alpha, self.gradient, self.first_moment, self.second_moment, settings,
            augmentation, self.n_threads,
        )  # fmt: skip

    def _readable_rows(self, X):
        # The same array comes in every step of an epoch.
        if self._readable[0] is not X:
            self._readable = (X, readable_rows(X))
        return self._readable[1]
