"""Training: epochs of mini-batches, the history they leave, and when to stop.

Nothing here knows an estimator. Everything is local to one call, so that a fit that fails leaves no trace.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np

from sklearn_cnn._network.network import aligned_copy
from sklearn_cnn._training.schedules import learning_rate_of_epoch, stops_when_stalled


@dataclass(frozen=True)
class Examples:
    """What an epoch runs over: the caller's own array, read through row numbers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_inputs)
        Flattened images of any real dtype.
    targets : ndarray of shape (n_samples, n_outputs), dtype float32
        One-hot, 0-1 or real targets.
    sample_weight : ndarray of shape (n_samples,), dtype float32, or None
        Weight of each row.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows to train on.
    shift, factor : ndarray of shape (n_channels,), dtype float32, or None
        Scaling of the input.
    """

    X: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray | None
    rows: np.ndarray
    shift: np.ndarray | None
    factor: np.ndarray | None


@dataclass(frozen=True)
class TrainingOptions:
    """How long to train, and how; each field but the first two has the meaning of the estimator's parameter."""

    n_epochs: int
    stops_early: bool
    batch_size: int
    shuffle: bool
    schedule: str
    learning_rate_init: float
    power_t: float
    tol: float
    n_iter_no_change: int | float
    verbose: bool | int


@dataclass
class History:
    """What training has been like, from the first epoch of the first call on."""

    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_validation_loss: float = math.inf
    best_epoch: int = 0
    n_samples_seen: int = 0
    n_without_improvement: int = 0
    n_stalls: int = 0
    has_converged: bool = False

    def add_epoch(self, loss, n_samples, evaluation, *, stops_early, tol):
        """Record one epoch, and say whether it is the best so far.

        Parameters
        ----------
        loss : float
            Mean training loss.
        n_samples : int
            Number of samples the epoch went through.
        evaluation : tuple of (float, float) or None
            Score and loss on the validation set, if there is one.
        stops_early : bool
            Whether the score decides, or the training loss.
        tol : float
            The least change that counts as an improvement.

        Returns
        -------
        is_best : bool
            Whether no earlier epoch was as good; of equal scores the one with the smaller validation loss is better.
        """
        if evaluation is not None:
            self.validation_scores.append(evaluation[0])
            self.validation_loss_curve.append(evaluation[1])
        gain = self.best_loss - loss
        is_best = gain > 0
        if stops_early:
            score, validation_loss = evaluation
            # Accuracy on few samples soon reaches its ceiling; what is learnt beyond shows in the loss alone.
            gain = max(score - self.best_score, self.best_validation_loss - validation_loss)
            is_best = (score, -validation_loss) > (self.best_score, -self.best_validation_loss)
        self.n_without_improvement = 0 if gain > 0 and gain >= tol else self.n_without_improvement + 1
        self.loss_curve.append(loss)
        self.best_loss = min(self.best_loss, loss)
        self.n_samples_seen += n_samples
        if is_best:
            self.best_epoch = len(self.loss_curve)
            self.best_score, self.best_validation_loss = evaluation or (self.best_score, self.best_validation_loss)
        return is_best


def hold_out(rows, strata, fraction, seed):
    """Split row numbers into a training and a validation part in which every stratum has its share.

    The rows are put in a random order, sorted by stratum, and taken at even distances: that works for strata of any size,
    down to those of a single row, which stay in the training part.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), dtype int64
        The row numbers to split.
    strata : ndarray of shape (n_samples,), dtype int
        Stratum of each sample.
    fraction : float
        Share of the rows that goes to the validation part.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    training_rows, validation_rows : ndarray, dtype int64
        Disjoint, in increasing order, and together `rows`.

    Examples
    --------
    >>> import numpy as np
    >>> training_rows, validation_rows = hold_out(np.arange(8), np.repeat([0, 1], 4), 0.25, seed=0)
    >>> len(training_rows), validation_rows // 4
    (6, array([0, 1]))
    """
    order = np.random.RandomState(seed).permutation(rows)
    order = order[np.argsort(strata[order], kind="stable")]
    _, stratum, counts = np.unique(strata[order], return_inverse=True, return_counts=True)
    candidates = order[counts[stratum] > 1]
    n_validation = min(math.ceil(fraction * len(rows)), len(candidates), len(rows) - 1)
    places = (np.arange(n_validation) + 0.5) * (len(candidates) / max(n_validation, 1))
    is_held_out = np.zeros(len(strata), dtype=bool)
    is_held_out[candidates[places.astype(np.int64)]] = True
    return rows[~is_held_out[rows]], rows[is_held_out[rows]]


def train(trainer, examples, options, history, random_state, evaluate=None):
    """Train until the epochs are used up or nothing improves any more; afterwards `trainer` holds the result.

    Parameters
    ----------
    trainer : Trainer
        The network and its solver.
    examples : Examples
        The training data.
    options : TrainingOptions
        How to train.
    history : History
        Is continued.
    random_state : numpy.random.RandomState
        Source of the order of the samples.
    evaluate : callable, default=None
        ``evaluate(parameters) -> (score, loss)`` on the validation set.

    Returns
    -------
    n_epochs : int
        Number of epochs done in this call.
    """
    best = start_watching(trainer, options, history, evaluate)
    for epoch in range(1, options.n_epochs + 1):
        started = time.perf_counter()
        rate = learning_rate_of_epoch(
            options.schedule, options.learning_rate_init, options.power_t, history.n_samples_seen, history.n_stalls
        )
        loss = run_epoch(trainer, examples, options, random_state, rate, epoch)
        evaluation = None if evaluate is None else evaluate(trainer.parameters)
        n_samples = len(examples.rows)
        is_best = history.add_epoch(loss, n_samples, evaluation, stops_early=options.stops_early, tol=options.tol)
        if options.stops_early and is_best:
            best = solver_state(trainer)
        if options.verbose:
            print(epoch_report(epoch, options.n_epochs, loss, evaluation, time.perf_counter() - started))
        if history.n_without_improvement >= options.n_iter_no_change and not goes_on(history, options, rate):
            break
    check_parameters_finite(trainer, loss, rate, epoch)
    if best is not None:
        restore_solver(trainer, best)
    return epoch


def start_watching(trainer, options, history, evaluate):
    """Prepare stopping: patience starts anew after convergence, and the state to beat is the one we start from."""
    if history.has_converged:
        history.n_without_improvement, history.has_converged = 0, False
    if not options.stops_early:
        return None
    if history.loss_curve:
        # This validation set need not be the one of an earlier call, and its scores do not compare.
        history.best_score, history.best_validation_loss = evaluate(trainer.parameters)
        history.best_epoch = len(history.loss_curve)
    return solver_state(trainer)


def goes_on(history, options, rate):
    """Say whether training continues after a stall, with a smaller learning rate, and note it in the history."""
    if stops_when_stalled(options.schedule, rate):
        history.has_converged = True
        if options.verbose:
            watched = "validation score or loss" if options.stops_early else "training loss"
            print(f"Stopping: the {watched} has not improved by {options.tol:g} in {options.n_iter_no_change} epochs.")
        return False
    history.n_stalls += 1
    history.n_without_improvement = 0
    return True


def run_epoch(trainer, examples, options, random_state, learning_rate, epoch):
    """Train on every sample once.

    Parameters
    ----------
    trainer, examples, options, random_state
        As for `train`.
    learning_rate : float
        The step size.
    epoch : int
        Number of the epoch, for the error message.

    Returns
    -------
    loss : float
        Mean loss of the mini-batches, weighted by the sum of their sample weights.

    Raises
    ------
    ValueError
        If the loss is no longer finite.
    """
    order = random_state.permutation(examples.rows) if options.shuffle else examples.rows
    starts = range(0, len(order), options.batch_size)
    X, targets, weight, shift, factor = examples.X, examples.targets, examples.sample_weight, examples.shift, examples.factor
    ones = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    masses = np.add.reduceat(ones, starts).tolist()
    step, is_finite, batch_size, total = trainer.step, math.isfinite, options.batch_size, 0.0
    for start, mass in zip(starts, masses, strict=True):
        loss = step(X, order[start : start + batch_size], targets, weight, learning_rate, shift=shift, factor=factor)
        if not is_finite(loss):
            raise diverged(epoch, loss, learning_rate)
        total += mass * loss
    return total / math.fsum(masses)


def check_parameters_finite(trainer, loss, learning_rate, epoch):
    """Catch a divergence in the very last update, which no loss has seen."""
    if not np.isfinite(trainer.parameters).all():
        raise diverged(epoch, loss, learning_rate)


def diverged(epoch, loss, learning_rate):
    """Build the error that says that training has diverged, and what to try."""
    return ValueError(
        f"Training diverged in epoch {epoch}: the loss is {loss:g} with a learning rate of {learning_rate:g}, and the "
        f"parameters are no longer finite. Try a smaller learning_rate_init (for example {learning_rate / 10:g}), keep "
        "scale_input=True, or look for extreme values in X."
    )


def epoch_report(epoch, n_epochs, loss, evaluation, seconds):
    """Format the line that ``verbose`` prints after an epoch."""
    parts = [f"Epoch {epoch:{len(str(n_epochs))}d}/{n_epochs}", f"loss {loss:.6f}"]
    if evaluation is not None:
        parts += [f"validation score {evaluation[0]:.4f}", f"validation loss {evaluation[1]:.6f}"]
    return ", ".join([*parts, f"{seconds:.2f} s"])


def solver_state(trainer):
    """Copy everything an update depends on, so that training can go on from here bitwise as if it had not stopped."""
    return {
        "parameters": aligned_copy(trainer.parameters),
        "first_moment": trainer.first_moment.copy(),
        "second_moment": trainer.second_moment.copy(),
        "t": int(trainer.t),
    }


def restore_solver(trainer, state):
    """Put a trainer back into a state that `solver_state` has copied."""
    for name in ("parameters", "first_moment", "second_moment"):
        getattr(trainer, name)[...] = state[name]
    trainer.t = state["t"]
