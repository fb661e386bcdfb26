"""The record of training, from the first epoch of the first call on."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from sklearn_cnn._training.listeners import Listener


@dataclass
class History(Listener):
    """What every epoch was; it decides nothing.

    Parameters
    ----------
    loss_curve : list of float
        Mean training loss of every epoch.
    validation_scores, validation_loss_curve : list of float
        Of every epoch that was evaluated.
    best_loss : float
        Smallest entry of `loss_curve`.
    """

    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    best_loss: float = math.inf

    kept: ClassVar[tuple] = ("loss_curve", "validation_scores", "validation_loss_curve", "best_loss")

    def see(self, epoch):
        """Write one epoch down."""
        self.loss_curve.append(epoch.loss)
        self.best_loss = min(self.best_loss, epoch.loss)
        if epoch.evaluation is not None:
            score, loss = epoch.evaluation
            self.validation_scores.append(score)
            self.validation_loss_curve.append(loss)
