"""Training as a stream of epochs: mini-batches in a new order, again and again, until nobody asks for more.

Nothing here knows an estimator or who is watching. Everything is local to one call, so that a fit that fails leaves no trace.
"""

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sklearn_cnn._network.trainer import Trainer, targets_of_rows
from sklearn_cnn._training.augmentation import CompiledAugmentation, FunctionAugmentation
from sklearn_cnn._training.state import solver_state

# A loss this many times as large as before the first update is no longer one that training comes back from.
ABSURD_GROWTH = 1e6
# Beyond this one, float32 has no numbers left for the squares in between, however large the first loss was.
LARGEST_LOSS = 1e30
# Mini-batches of a call: what it takes to call is nothing beside so many, and a divergence is still seen soon.
STEPS_OF_A_CALL = 16


@dataclass(frozen=True)
class Examples:
    """What an epoch runs over: the caller's own array, read through row numbers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_inputs)
        Flattened images of any real dtype.
    targets : ndarray of shape (n_samples, n_outputs) or, with codes, (n_classes, n_outputs), dtype float32 or float64
        One-hot, 0-1 or real targets.
    sample_weight : ndarray of shape (n_samples,), dtype float32, or None
        Weight of each row.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows to train on.
    shift, factor : ndarray of shape (n_channels,), dtype float32, or None
        Scaling of the input.
    augmentation : CompiledAugmentation, FunctionAugmentation or None, default=None
        How the images of each epoch differ from `X`.
    codes : ndarray of shape (n_samples,), dtype int32, or None, default=None
        Which of the targets each row has; None if there is one for each.
    """

    X: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray | None
    rows: np.ndarray
    shift: np.ndarray | None
    factor: np.ndarray | None
    augmentation: CompiledAugmentation | FunctionAugmentation | None = None
    codes: np.ndarray | None = None


class Evaluation(NamedTuple):
    """What a state of the trainer reaches on the validation data.

    Parameters
    ----------
    score, loss : float
        To be shown; they count samples by their own weights.
    merit : tuple of (float, float)
        Score and loss that decide which epoch is better: training counts samples by the weights of their classes, too, and so
        do these.
    """

    score: float
    loss: float
    merit: tuple


@dataclass(frozen=True)
class Epoch:
    """What one round through the samples was.

    Parameters
    ----------
    number : int
        Counted from 1 in this call.
    n_epochs : int
        Largest number of epochs of this call.
    total_number : int
        Counted from 1 over all calls.
    loss : float
        Mean training loss.
    n_samples : int
        Number of samples the epoch went through.
    evaluation : Evaluation or None
        What it has reached on the validation data, if there are any.
    learning_rate : float or None
        Step size of the last mini-batch; None where there are none.
    seconds : float
        Duration, evaluation included.
    trainer : Trainer
        As the epoch left it. It goes on changing: whoever wants to keep something copies it.
    """

    number: int
    n_epochs: int
    total_number: int
    loss: float
    n_samples: int
    evaluation: Evaluation | None
    learning_rate: float | None
    seconds: float
    trainer: Trainer

    def state(self):
        """Copy everything that training needs to go on from here; only who asks for it pays for it."""
        return solver_state(self.trainer)


@dataclass
class Progress:
    """How far a call has come.

    Parameters
    ----------
    n_epochs : int
        Number of epochs that are done.
    largest_loss : float or None
        Loss beyond which training has diverged; None before the first mini-batch, which decides it.
    """

    n_epochs: int = 0
    largest_loss: float | None = None


def train(trainer, examples, learning_rate, random_state, *, n_epochs, n_epochs_before=0, batch_size, shuffle=True,
          evaluate=None, progress=None, announce=None):  # fmt: skip
    """Yield epoch after epoch; whoever stops asking stops training.

    Parameters
    ----------
    trainer : Trainer
        The network and its solver. It is trained in place.
    examples : Examples
        The training data.
    learning_rate : LearningRate
        Asked for the rates of all mini-batches of an epoch when it begins.
    random_state : numpy.random.RandomState
        Source of the order of the samples.
    n_epochs : int
        Largest number of epochs.
    n_epochs_before : int, default=0
        Number of epochs of earlier calls.
    batch_size : int
        Samples of a mini-batch.
    shuffle : bool, default=True
        Whether each epoch has a new order.
    evaluate : callable, default=None
        ``evaluate(trainer) -> Evaluation`` on the validation data.
    progress : Progress, default=None
        Kept up to date. It is read when the first epoch is asked for: epochs that it says are done are not done again.
    announce : callable, default=None
        Called with nothing whenever an epoch begins.

    Yields
    ------
    epoch : Epoch
        The one that has just been done.

    Raises
    ------
    ValueError
        If training diverges.
    """
    progress = Progress() if progress is None else progress
    for number in range(progress.n_epochs + 1, n_epochs + 1):
        if announce is not None:
            announce()
        started = time.perf_counter()
        order = random_state.permutation(examples.rows) if shuffle else examples.rows
        rates = list(learning_rate.of_steps(-(-len(order) // batch_size)))
        rate = rates[-1]
        loss, progress.largest_loss = run_epoch(
            trainer, examples, order, batch_size, rates, number, n_epochs_before + number, progress.largest_loss
        )
        check_state_finite(trainer, loss, rate, number)
        evaluation = None if evaluate is None else evaluate(trainer)
        learning_rate.advance(len(order))
        progress.n_epochs = number
        seconds = time.perf_counter() - started
        yield Epoch(number, n_epochs, n_epochs_before + number, loss, len(order), evaluation, rate, seconds, trainer)


def run_epoch(trainer, examples, order, batch_size, rates, epoch, total_number, largest=None):
    """Train on every sample once.

    Parameters
    ----------
    trainer, examples
        As for `train`.
    order : ndarray of shape (n_rows,), dtype int64
        Rows in the order they are met.
    batch_size : int
        Samples of a mini-batch.
    rates : list of float
        Step size of every mini-batch.
    epoch : int
        Number of the epoch in this call, for the error message.
    total_number : int
        Number of the epoch over all calls, which augmentation follows from.
    largest : float or None
        Loss beyond which training has diverged; None before the first mini-batch, which decides it.

    Returns
    -------
    loss : float
        Mean loss of the mini-batches, weighted by the sum of their sample weights.
    largest : float
        For the next epoch.

    Raises
    ------
    ValueError
        If the loss is no longer finite, or has grown beyond all measure.
    """
    starts = range(0, len(order), batch_size)
    X, targets, weight, augmentation = examples.X, examples.targets, examples.sample_weight, examples.augmentation
    ones = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    masses = np.add.reduceat(ones, starts).tolist()
    options = {"shift": examples.shift, "factor": examples.factor}
    if isinstance(augmentation, CompiledAugmentation):
        options["augmentation"] = augmentation.settings(total_number)
    is_function, total = isinstance(augmentation, FunctionAugmentation), 0.0
    at_once = 1 if is_function else STEPS_OF_A_CALL
    for first in range(0, len(starts), at_once):
        of_call = slice(first, first + at_once)
        rows = order[first * batch_size : (first + at_once) * batch_size]
        mini_batches, codes = (X, rows, batch_size, targets, weight), examples.codes
        if is_function:
            mini_batches, codes = made_by_function(augmentation, examples, rows, total_number, first + 1)
        losses = trainer.steps(*mini_batches, rates[of_call], codes=codes, **options).tolist()
        if largest is None:
            largest = largest_loss(losses[0])
        for mass, rate, loss in zip(masses[of_call], rates[of_call], losses, strict=True):
            if not loss <= largest:  # also NaN
                raise diverged(epoch, loss, rate)
            total += mass * loss
    return total / math.fsum(masses), largest


def made_by_function(function, examples, rows, epoch, number):
    """Return what ``Trainer.steps`` takes where a function augments: what it has made of a copy of a mini-batch.

    Parameters
    ----------
    function : FunctionAugmentation
        Whose result is checked.
    examples : Examples
        The training data.
    rows : ndarray of shape (n_rows,), dtype int64
        The mini-batch.
    epoch, number : int
        Of the epoch over all calls and of the mini-batch in it, both counted from 1.

    Returns
    -------
    mini_batch : tuple of X, rows, their number, targets and sample_weight
        Of the mini-batch alone.
    codes : ndarray or None
        Likewise.
    """
    weight = None if examples.sample_weight is None else examples.sample_weight[rows]
    targets, codes = targets_of_rows(examples.targets, examples.codes, rows)
    return (function.mini_batch(examples.X, rows, epoch, number), np.arange(len(rows)), len(rows), targets, weight), codes


def largest_loss(first_loss):
    """Return the loss beyond which training has diverged, though every number is finite still."""
    return min(ABSURD_GROWTH * max(1.0, first_loss), LARGEST_LOSS) if math.isfinite(first_loss) else -math.inf


def check_state_finite(trainer, loss, learning_rate, epoch):
    """Catch a divergence in the last update of an epoch, or in the running statistics, neither of which a loss has seen."""
    for values in trainer.parameters, trainer.statistics:
        if not np.isfinite(values).all():
            raise diverged(epoch, loss, learning_rate)


def check_end(trainer, examples, batch_size, learning_rate, epoch, largest):
    """Catch a divergence in the last updates of a fit: ask for the loss that the next mini-batch would have had.

    Parameters
    ----------
    trainer, examples
        As for `train`, which has ended.
    batch_size : int
        Samples of a mini-batch.
    learning_rate : float
        For the error message.
    epoch : int
        Number of the last epoch in this call, for the error message.
    largest : float or None
        Loss beyond which training has diverged; None if there was no mini-batch.

    Raises
    ------
    ValueError
        If the loss is beyond it.
    """
    rows = examples.rows[:batch_size]
    options = {"codes": examples.codes, "shift": examples.shift, "factor": examples.factor}
    if largest is not None:
        loss, _ = trainer.loss_gradient(examples.X, rows, examples.targets, examples.sample_weight, **options)
        if not loss <= largest:  # also NaN
            raise diverged(epoch, loss, learning_rate)


def diverged(epoch, loss, learning_rate):
    """Build the error that says that training has diverged, and what to try."""
    return ValueError(
        f"Training diverged in epoch {epoch}: the loss is {loss:g} with a learning rate of {learning_rate:g}. Try a smaller "
        f"learning_rate_init (for example {learning_rate / 10:g}), keep scale_input=True, or look for extreme values in X or "
        "sample_weight."
    )
