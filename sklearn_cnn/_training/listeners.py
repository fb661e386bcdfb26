"""What watches training. A listener sees every epoch in order, knows no other listener, and may ask to stop.

To add one: a class here with the methods of `Listener`, and a line in ``_estimator.watching.Watch``.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from sklearn_cnn._training.schedules import LearningRate
from sklearn_cnn._training.state import restore_solver, solver_state


class Listener:
    """Something that watches training, and does nothing about it unless a method is overridden."""

    #: Names of the fields that a fit that goes on gets back.
    kept: ClassVar[tuple] = ()

    def begin(self, trainer, evaluation):
        """Meet the trainer before the first epoch of a call.

        Parameters
        ----------
        trainer : Trainer
            In the state that this call begins with.
        evaluation : Evaluation or None
            What it reaches on the validation data, where training goes on and validation decides.
        """

    def begin_epoch(self):
        """Learn that an epoch begins; whoever calls `train` passes it on."""

    def see(self, epoch):
        """See one epoch.

        Parameters
        ----------
        epoch : Epoch
            The one that has just been done.

        Returns
        -------
        reason : str or None
            Why to stop, if that is what the listener asks for.
        """

    def end(self, trainer, reason):
        """Take leave of the trainer after the last epoch, whose reason to stop may be None."""

    def close(self):
        """Give back what others have to have back, whether training has ended, failed or been interrupted."""


def listen(epochs, listeners, trainer, evaluation=None):
    """Let listeners see a stream of epochs until it ends or one of them asks to stop.

    Parameters
    ----------
    epochs : iterator of Epoch, or callable
        What `train` yields, or ``run(see)``, which calls ``see(epoch)`` for one epoch after the other until that returns a
        reason to stop, and returns its own.
    listeners : sequence of Listener
        All of them see every epoch, in this order, also the one at which one asks to stop.
    trainer : Trainer
        What the epochs train.
    evaluation : Evaluation or None
        For `Listener.begin`.
    """

    def see(epoch):
        return first_reason([listener.see(epoch) for listener in listeners])

    try:
        for listener in listeners:
            listener.begin(trainer, evaluation)
        reason = epochs(see) if callable(epochs) else first_reason(map(see, epochs))
        for listener in listeners:
            listener.end(trainer, reason)
    finally:
        for listener in listeners:
            listener.close()


def first_reason(reasons):
    """Return the first reason to stop, and ask for no more; None if there is none."""
    return next((reason for reason in reasons if reason is not None), None)


@dataclass
class Patience(Listener):
    """The rule that stops training once nothing improves any more.

    Parameters
    ----------
    learning_rate : LearningRate
        Whether a stall ends training or makes the rate smaller is for the schedule to say.
    watched : {"loss", "score", "score or loss"}
        The training loss, the score on validation data, or both score and loss on validation data.
    tol : float
        The least change that counts as an improvement.
    n_iter_no_change : int or float
        Number of epochs without one that are a stall.
    best_loss, best_score, best_validation_loss : float
        What has to be improved on: the best of all epochs, each on its own.
    n_without_improvement : int
        Number of epochs since the last improvement.
    has_converged : bool
        Whether the last call was stopped by this rule.
    """

    learning_rate: LearningRate
    watched: str
    tol: float
    n_iter_no_change: int | float
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_validation_loss: float = math.inf
    n_without_improvement: int = 0
    has_converged: bool = False

    kept: ClassVar[tuple] = (
        "best_loss",
        "best_score",
        "best_validation_loss",
        "n_without_improvement",
        "has_converged",
    )

    def begin(self, trainer, evaluation):
        """Have new patience after convergence, and compare with the state that this call begins with."""
        if self.has_converged:
            self.n_without_improvement, self.has_converged = 0, False
        if evaluation is not None:
            # This validation set need not be the one of an earlier call, and its scores do not compare.
            self.best_score, self.best_validation_loss = evaluation.merit

    def see(self, epoch):
        """Count epochs without improvement."""
        gain = self.best_loss - epoch.loss
        if self.watched != "loss":
            score, loss = epoch.evaluation.merit
            gain = score - self.best_score
            if self.watched == "score or loss":
                # Accuracy on few samples soon reaches its ceiling; what is learnt beyond shows in the loss alone.
                gain = max(gain, self.best_validation_loss - loss)
            self.best_score, self.best_validation_loss = max(self.best_score, score), min(self.best_validation_loss, loss)
        self.best_loss = min(self.best_loss, epoch.loss)
        self.n_without_improvement = 0 if gain > 0 and gain >= self.tol else self.n_without_improvement + 1
        if self.n_without_improvement < self.n_iter_no_change:
            return None
        if self.learning_rate.outlives_stall(epoch.learning_rate):
            self.n_without_improvement = 0
            return None
        self.has_converged = True
        data = "training" if self.watched == "loss" else "validation"
        return f"the {data} {self.watched} has not improved by {self.tol:g} in {self.n_iter_no_change} epochs"


@dataclass
class BestEpoch(Listener):
    """The keeper of the epoch that is best on the validation data of a call, the state that the call begins with included.

    Parameters
    ----------
    brings_back : bool
        Whether the state of the best epoch is kept and brought back in the end.
    epoch_of_state : int
        Number of the epoch that the trainer's state comes from, counted from 1 over all calls; 0 before the first.
    epoch : int or None
        Number of the best epoch; None without validation data.
    score : float
        What it has reached.
    merit : tuple of (float, float)
        What makes it the best, see `Evaluation`.
    state : dict or None
        Its state, where it is to be brought back.
    """

    brings_back: bool
    epoch_of_state: int = 0
    epoch: int | None = None
    score: float = -math.inf
    merit: tuple = (-math.inf, math.inf)
    state: dict | None = None

    # Another call may have other validation data, whose scores do not compare.
    kept: ClassVar[tuple] = ("epoch_of_state",)
    #: What a call that is taken up in the middle has to know beside.
    of_call: ClassVar[tuple] = ("epoch", "score", "merit", "state")

    def begin(self, trainer, evaluation):
        """Keep the state that this call begins with: the epochs may all be worse."""
        if evaluation is not None:
            self.epoch = self.epoch_of_state
            self.score, self.merit = evaluation.score, evaluation.merit
        if self.brings_back:
            self.state = solver_state(trainer)

    def see(self, epoch):
        """Compare one epoch with the best so far."""
        self.epoch_of_state = epoch.total_number
        if epoch.evaluation is None or not is_better(epoch.evaluation.merit, self.merit):
            return
        self.epoch = epoch.total_number
        self.score, self.merit = epoch.evaluation.score, epoch.evaluation.merit
        if self.brings_back:
            self.state = epoch.state()

    def end(self, trainer, reason):
        """Bring the state of the best epoch back."""
        if self.state is not None and self.epoch is not None:
            restore_solver(trainer, self.state)
            self.epoch_of_state = self.epoch


def is_better(evaluation, other):
    """Say whether a score and loss are better than others; of equal scores the one with the smaller loss is better."""
    return (evaluation[0], -evaluation[1]) > (other[0], -other[1])
