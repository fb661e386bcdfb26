"""Training of a plan's parameters, one mini-batch at a time.

Nothing here is pickled: a `Trainer` can be rebuilt from the layers, the input shape and the arrays it exposes.
"""

from typing import Any

import numpy as np

from sklearn_cnn._network.arena import training_capacity
from sklearn_cnn._network.network import Workspace, aligned_copy, converted_rows, scaling_arrays
from sklearn_cnn._network.plan import initial_statistics

#: Names of the losses and solvers -> what the kernels call them.
LOSSES = {"softmax": "SOFTMAX_CROSS_ENTROPY", "logistic": "LOGISTIC_CROSS_ENTROPY", "squared": "SQUARED_ERROR"}
SOLVERS = {"sgd": "SGD", "adam": "ADAM", "adamw": "ADAM"}
#: Solvers that see all samples before they change a parameter. They live above; here they ask for losses and gradients.
FULL_BATCH_SOLVERS = ("lbfgs",)


def targets_of_rows(targets, codes, rows):
    """Return targets and codes, in the words of `Trainer.step`, of some samples alone."""
    return (targets[rows], None) if codes is None else (targets, codes[rows])


class Trainer:
    """Mini-batch training of one parameter vector, with all memory allocated once.

    A large mini-batch is taken up in slices whose gradients are summed up, so that its memory is bounded; where a layer is
    normalised it is not, because that needs the moments of all samples (`training_capacity`).

    Parameters
    ----------
    plan : Plan

    parameters : ndarray of shape (plan.parameter_size,), float32 or float64
        Starting point; copied.

    statistics : ndarray of shape (plan.statistics_size,), default=None
        Running means and variances to go on from; copied. None is those of a network that has seen no data.

    loss : {"softmax", "logistic", "squared"}
        Cross-entropy of one class among all, of independent sigmoids, or half the squared error.

    solver : {"adam", "adamw", "sgd", "lbfgs"}
        With "lbfgs" there is `loss_gradient` but no `step`. For "adamw" `alpha` is no penalty: every update takes
        ``learning_rate * alpha`` of each weight away, before the step.

    batch_size : int
        Samples of the largest mini-batch.

    seed : int, default=0
        From 0 to 2**64 - 1. The masks of dropout are a function of it and of `t`.

    n_threads : int, default=1

    level : str, default=None

    alpha, momentum, nesterov, beta_1, beta_2, epsilon
        As in MLPClassifier.

    Attributes
    ----------
    parameters, first_moment, second_moment : ndarray of shape (plan.parameter_size,)
        Updated in place. ``first_moment`` is the velocity for "sgd".

    statistics : ndarray of shape (plan.statistics_size,)
        Running means and variances of the normalised layers, updated in place.

    t : int
        Updates made.

    n_batches_tracked : int
        Mini-batches that the running means and variances come from; those that were passed in are taken to come from many.
        These six are all that resuming needs.
    """

    def __init__(self, plan, parameters, *, loss, solver, batch_size, statistics=None, seed=0, n_threads=1, level=None, alpha=0.0,
                 momentum=0.9, nesterov=True, beta_1=0.9, beta_2=0.999, epsilon=1e-8):  # fmt: skip
        self.plan = plan
        self.parameters = aligned_copy(np.asarray(parameters))
        self.dtype = self.parameters.dtype
        self.first_moment, self.second_moment, self.gradient = (
            aligned_copy(np.zeros(plan.parameter_size, dtype=self.dtype)) for _ in range(3)
        )
        self.statistics = aligned_copy(initial_statistics(plan, self.dtype) if statistics is None else np.asarray(statistics))
        self.n_threads, self.solver = n_threads, solver
        capacity = training_capacity(plan, batch_size)
        self._workspace = Workspace(plan, capacity, n_threads, True, self.dtype, level)
        self._is_cut = capacity < batch_size
        kernels = self._workspace.kernels
        settings = None
        if solver not in FULL_BATCH_SOLVERS:
            settings = {
                "kind": getattr(kernels, SOLVERS[solver]),
                "momentum": momentum if solver == "sgd" else beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
                "weight_decay": alpha if solver == "adamw" else 0.0,
                "nesterov": int(nesterov),
            }
        self._optimizer = kernels.Optimizer(
            self.parameters, self.statistics, self.gradient, aligned_copy(self.gradient) if self._is_cut else None,
            self.first_moment, self.second_moment, getattr(kernels, LOSSES[loss]), 0.0 if solver == "adamw" else alpha, settings,
            seed,
        )  # fmt: skip
        self.n_batches_tracked = 0 if statistics is None else kernels.STATISTICS_STEPS
        self._held: tuple[Any, Any, Any] = (None, None, None)  # what `_kept_examples` has found last

    def step(self, X, rows, targets, sample_weight, learning_rate, *, codes=None, shift=None, factor=None, augmentation=None):
        """Train on one mini-batch.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs)

        rows : ndarray of shape (n_rows,), int64
            The mini-batch's rows of X, targets (or codes) and sample_weight.

        targets : ndarray of shape (n_samples, n_outputs) or, with codes, (n_codes, n_outputs)
            In the network's type.

        sample_weight : ndarray of shape (n_samples,) or None
            In the network's type. The mini-batch is normalised by its sum; where that is zero, nothing is updated.

        learning_rate : float

        codes : ndarray of shape (n_samples,), int32, default=None
            Which row of targets a sample has; None is its own.

        shift, factor : ndarray of shape (channels,), default=None

        augmentation : dict, default=None
            What may happen to the images, in the words of `augmentation.augmentation_settings`; None takes them as they are.

        Returns
        -------
        float
            Weighted mean loss plus ``0.5 * alpha * |weights|**2 / sum of sample weights``, before the update.
        """
        return float(self._run((X, targets, codes, sample_weight, shift, factor), rows, learning_rate, augmentation))

    def steps(self, X, rows, batch_size, targets, sample_weight, rates, *, codes=None, shift=None, factor=None,
              augmentation=None):  # fmt: skip
        """Train on mini-batches one after another; small ones take less time so than one by one.

        Parameters
        ----------
        batch_size : int
            Rows of a mini-batch; the last one may be smaller.

        rates : sequence of float
            The learning rate of each.

        X, rows, targets, sample_weight, codes, shift, factor, augmentation
            As for `step`.

        Returns
        -------
        ndarray of shape (len(rates),)
            The loss of each, as `step` returns it.
        """
        arrays = X, targets, codes, sample_weight, shift, factor
        if self._kept_examples(arrays) is None or batch_size > self._workspace.capacity:
            parts = [rows[start : start + batch_size] for start in range(0, max(1, len(rows)), batch_size)]
            losses = [self._run(arrays, part, rate, augmentation) for part, rate in zip(parts, rates, strict=True)]
            return np.array(losses)
        return self._train(arrays, rows, batch_size, rates, augmentation)

    def loss_gradient(self, X, rows, targets, sample_weight, *, codes=None, shift=None, factor=None):
        """Return the loss of one mini-batch, as `step` does, and its gradient; neither parameters nor statistics change.

        Returns
        -------
        loss : float

        gradient : ndarray of shape (plan.parameter_size,)
            The trainer's own array: the next call overwrites it.
        """
        return self._run((X, targets, codes, sample_weight, shift, factor), rows, None, None), self.gradient

    @property
    def t(self):
        return self._optimizer.t

    @t.setter
    def t(self, value):
        self._optimizer.t = value

    @property
    def n_batches_tracked(self):
        return self._optimizer.n_batches_tracked

    @n_batches_tracked.setter
    def n_batches_tracked(self, value):
        self._optimizer.n_batches_tracked = value

    @property
    def seed(self):
        return self._optimizer.seed

    @property
    def _fixed(self):
        """What every call of the kernels begins with."""
        return self._workspace.session, self._optimizer

    def _train(self, arrays, rows, batch_size, rates, augmentation):
        examples, places, augmentation = self._examples_of(arrays, rows, augmentation)
        losses = np.empty(len(rates))
        self._workspace.kernels.train(
            *self._fixed, examples, places, batch_size, np.asarray(rates, np.float64), augmentation, self.n_threads, losses
        )
        return losses

    def _run(self, arrays, rows, learning_rate, augmentation):
        """Return the loss of one mini-batch, in slices where that is too large; without a rate nothing is updated."""
        kernels, capacity, n_samples = self._workspace.kernels, self._workspace.capacity, len(rows)
        if n_samples <= capacity or not self._is_cut:
            if learning_rate is not None:
                return self._train(arrays, rows, max(1, n_samples), [learning_rate], augmentation)[0]
            examples, places, _ = self._examples_of(arrays, rows, None)
            return kernels.loss_gradient(*self._fixed, examples, places, self.n_threads)
        sample_weight, losses = arrays[3], []
        weight_sum = float(n_samples) if sample_weight is None else kernels.sum_of_weights(sample_weight, rows)
        self.gradient[:] = 0
        if not weight_sum > 0:
            return 0.0
        for start in range(0, n_samples, capacity):
            examples, places, of_slice = self._examples_of(arrays, rows[start : start + capacity], augmentation)
            losses.append(kernels.train_slice(*self._fixed, examples, places, of_slice, self.n_threads, weight_sum, start))
        return kernels.update(*self._fixed, np.array(losses), weight_sum, learning_rate, self.n_threads)

    def _examples_of(self, arrays, rows, augmentation):
        """Return what the kernels read some rows from, their places there, and their augmentation."""
        if augmentation is not None:
            augmentation = {**augmentation, "rows": rows}  # the draws are for rows of X, wherever these are copied to
        kept = self._kept_examples(arrays)
        if kept is not None:
            return kept, rows, augmentation
        X, targets, codes, sample_weight, *scaling = arrays
        targets, codes = targets_of_rows(targets, codes, rows)
        sample_weight = None if sample_weight is None else sample_weight[rows]
        X = converted_rows(X, rows, self.dtype)
        return self._examples_in_place(X, targets, codes, sample_weight, *scaling), np.arange(len(rows)), augmentation

    def _kept_examples(self, arrays):
        """Return what the kernels read from these arrays, or None; the same ones come in every call of an epoch."""
        numbers = tuple(map(id, arrays))
        if self._held[0] != numbers:
            self._held = numbers, arrays, self._examples_in_place(*arrays)
        return self._held[2]

    def _examples_in_place(self, X, targets, codes, sample_weight, shift, factor):
        """Return what the kernels read examples from, or None if they can't read X where it is."""
        kernels = self._workspace.kernels
        readable = kernels.rows_of(X)
        if readable is None:
            return None
        return kernels.Examples(readable, *scaling_arrays(shift, factor, self.dtype), targets, codes, sample_weight)
