"""L-BFGS: all samples for every step, in double precision, with the optimiser of SciPy."""

import os
import threading
import time
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from sklearn_cnn._training.epochs import Epoch

CONVERGED, STOPPED_BY_CALLBACK = 0, 99  # what SciPy calls them
# As long as the parameters, and SciPy's: ten pairs of steps and gradients, and what it works with.
VECTORS_OF_OPTIMISER = 40


class OneThreadOfBLAS:
    """Keeps BLAS on one thread while anybody is inside.

    That is a setting of the whole process: so the first who comes in makes it, and the last who leaves takes it back. Ctrl-C may
    come between any two steps of that. Therefore what is to come back is written down before anything changes, and both can be
    done twice.
    """

    def __init__(self):
        self._before: Any = None
        self.forget_others()

    def forget_others(self):
        """Begin anew in a process that was forked: other threads, and whatever they held, are not in it."""
        self._lock, self._inside = threading.Lock(), set()

    @contextmanager
    def held(self):
        """Be inside for the block of a `with` statement."""
        who = object()
        try:
            try:
                self._come_in(who)
                yield
            finally:
                self._go_out(who)
        finally:
            self._go_out(who)  # again: this may be where the first was interrupted

    def _come_in(self, who):
        with self._lock:
            self._inside.add(who)
            if self._before is None:
                libraries = ThreadpoolController().select(user_api="blas").lib_controllers
                self._before = [(library, library.num_threads) for library in libraries]
            set_threads([(library, 1) for library, _ in self._before])

    def _go_out(self, who):
        with self._lock:
            self._inside.discard(who)
            if not self._inside and self._before is not None:
                set_threads(self._before)
                self._before = None


def set_threads(numbers):
    """Set the threads of libraries, and let others do so: newer threadpoolctl takes one thread's word alone, and says nothing.

    Parameters
    ----------
    numbers : list of (LibController, int)
        Libraries and their numbers of threads.
    """
    for library, n_threads in numbers:
        let_anybody_set = getattr(library, "clear_controlling_thread", lambda **_: None)
        let_anybody_set(force=True)
        library.set_num_threads(n_threads)
        let_anybody_set(force=True)


ONE_THREAD_OF_BLAS = OneThreadOfBLAS()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ONE_THREAD_OF_BLAS.forget_others)


def distinct_rows(X, targets, rows, sample_weight, codes=None):
    """Put rows that are the same in one, with the sum of their weights, in an order that follows from what they hold.

    So a weight of two is the same as a row that comes twice, and the order of the samples makes no difference in any bit.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Flattened images.
    targets : ndarray of shape (n_samples, n_outputs) or, with codes, (n_classes, n_outputs)
        What is to be learnt of them.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows that count.
    sample_weight : ndarray of shape (n_samples,) or None
        Weight of each row of `X`.
    codes : ndarray of shape (n_samples,), dtype int32, or None, default=None
        Which of the targets each row of `X` has; None if there is one for each.

    Returns
    -------
    rows : ndarray of shape (n_distinct,), dtype int64
        The first of each.
    sample_weight : ndarray of shape (n_samples,), dtype float64
        The sums of weights at these rows, and zero elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> X, targets = np.array([[5], [6], [5], [5]]), np.array([[0], [0], [0], [1]])
    >>> rows, sample_weight = distinct_rows(X, targets, np.arange(4), None)
    >>> sorted(rows.tolist()), sample_weight
    ([0, 1, 3], array([2., 1., 0., 1.]))
    """
    places = rows if codes is None else codes[rows]
    digests = [
        blake2b(X[row].tobytes() + targets[place].tobytes(), digest_size=16).hexdigest()
        for row, place in zip(rows, places, strict=True)
    ]
    _, first, place = np.unique(np.array(digests), return_index=True, return_inverse=True)
    distinct = rows[first]
    weights = np.zeros(len(X))
    weights[distinct] = np.bincount(place, None if sample_weight is None else sample_weight[rows])
    return distinct, weights


class FullBatch:
    """Training on all samples at once, whose loss and gradient are summed up slice by slice.

    Parameters
    ----------
    trainer : Trainer
        In float64, and with the share of `alpha` that one of the slices has. It is trained in place.
    examples : Examples
        The training data, in float64.
    learning_rate : LearningRate
        Told how many samples have been gone through.
    n_epochs : int
        Largest number of iterations.
    n_epochs_before : int
        Number of epochs of earlier calls.
    batch_size : int
        Samples of a slice.
    tol : float
        The largest entry of the gradient at which training ends.
    max_fun : int
        Largest number of times that loss and gradient are computed.
    announce : callable
        Called with nothing whenever an iteration begins.

    Attributes
    ----------
    failure : str or None
        Why `run` has ended before it had converged.
    """

    def __init__(self, trainer, examples, learning_rate, *, n_epochs, n_epochs_before, batch_size, tol, max_fun, announce):
        self.trainer, self.examples, self.learning_rate, self.announce = trainer, examples, learning_rate, announce
        self.n_epochs, self.n_epochs_before = n_epochs, n_epochs_before
        self.options = {"maxiter": n_epochs, "maxfun": max_fun, "gtol": tol}
        rows = examples.rows
        self.slices = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        self.masses = [float(examples.sample_weight[rows].sum()) for rows in self.slices]
        self.failure: str | None = None
        self._begun = self._number = 0
        self._started = time.perf_counter()

    def run(self, see):
        """Train until nothing gets better.

        Parameters
        ----------
        see : callable
            Called with an `Epoch` after every iteration; what it returns is a reason to stop, or None.

        Returns
        -------
        reason : str
            Why training has ended.

        Raises
        ------
        ValueError
            If a loss or a parameter is no longer finite.
        """
        asked_for = None

        def iterated(intermediate_result):
            nonlocal asked_for
            asked_for = see(self._epoch(intermediate_result.x, intermediate_result.fun))
            if asked_for is not None:
                raise StopIteration

        start = self.trainer.parameters.copy()
        with ONE_THREAD_OF_BLAS.held():  # or SciPy's sums would depend on the number of threads
            result = minimize(
                self._loss_and_gradient, start, jac=True, method="L-BFGS-B", callback=iterated, options=self.options
            )
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise ValueError(
                f"solver='lbfgs' has come to a loss of {result.fun:g} in iteration {self._begun}. Keep scale_input=True, or look "
                "for extreme values in X and y."
            )
        if self._number == 0:  # no step is better than none
            asked_for = see(self._epoch(result.x, result.fun))
        self.trainer.parameters[...] = result.x
        message = str(result.message)
        if result.status not in (CONVERGED, STOPPED_BY_CALLBACK):
            self.failure = f"lbfgs failed to converge after {self._number} iterations (status={result.status}): {message}"
        return asked_for or message

    def _epoch(self, parameters, loss):
        """Describe an iteration that is over."""
        self.trainer.parameters[...] = parameters
        self._number += 1
        now = time.perf_counter()
        seconds, self._started = now - self._started, now
        total_number = self.n_epochs_before + self._number
        n_samples = len(self.examples.rows)
        return Epoch(self._number, self.n_epochs, total_number, float(loss), n_samples, None, None, seconds, self.trainer)

    def _loss_and_gradient(self, parameters):
        """Compute the mean loss, penalty included, and its gradient, over all slices."""
        if self._begun == self._number:
            self._begun += 1
            self.announce()
        examples, trainer = self.examples, self.trainer
        trainer.parameters[...] = parameters
        total, gradient = 0.0, np.zeros_like(parameters)
        for rows, mass in zip(self.slices, self.masses, strict=True):
            loss, of_slice = trainer.loss_gradient(
                examples.X, rows, examples.targets, examples.sample_weight,
                codes=examples.codes, shift=examples.shift, factor=examples.factor,
            )  # fmt: skip
            total += mass * loss
            gradient += mass * of_slice
        self.learning_rate.advance(len(examples.rows))
        mass = sum(self.masses)
        return total / mass, gradient / mass
