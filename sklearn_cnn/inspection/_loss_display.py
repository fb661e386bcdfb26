"""Loss and validation curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.parameters import InvalidParameterError
from sklearn_cnn.inspection._arguments import array_of, check_flags, check_integer, check_network
from sklearn_cnn.inspection._drawing import INK, axes_to_draw_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, VALIDATION, SCORE, RATE = "#1f5f99", "#c8521b", "#3f8f4f", "#8a6bb0"


class LossDisplay:
    """How training went: loss and learning rate of every epoch, and loss and score on validation data where there are some.

    Parameters
    ----------
    loss_curve : sequence of float
        Training loss of every epoch.
    validation_loss_curve : sequence of float, default=None
        Loss on the validation data, NaN for epochs without. If it is shorter than `loss_curve`, it belongs to the last epochs.
    validation_scores : sequence of float, default=None
        Score on the validation data.
    learning_rate_curve : sequence of float, default=None
        Step size of every epoch.
    best_iter : int, default=None
        The best epoch, counted from 1: on validation data where there are some, otherwise by its training loss. With early
        stopping its parameters are kept, otherwise those of the last.
    title : str, default=None
        Title above the picture.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    score_ax_, learning_rate_ax_ : Axes or None
        The axes of the score and of the learning rate, on the right.
    line_, validation_line_, score_line_, learning_rate_line_, best_line_ : Line2D or None
        The curves, and the mark of the best epoch.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import LossDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), early_stopping=True, max_iter=5, random_state=0).fit(X, y)
    >>> display = LossDisplay.from_estimator(network)
    >>> len(display.validation_loss_curve)
    5
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        loss_curve: Sequence[float],
        *,
        validation_loss_curve: Sequence[float] | None = None,
        validation_scores: Sequence[float] | None = None,
        learning_rate_curve: Sequence[float] | None = None,
        best_iter: int | None = None,
        title: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.learning_rate_curve = learning_rate_curve
        self.best_iter = best_iter
        self.title = title

    @classmethod
    def from_estimator(cls, estimator: BaseEstimator, *, ax: Axes | None = None, **options: Any) -> Self:
        """Draw the curves of a fitted network.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : LossDisplay
            The display, drawn.
        """
        check_network(estimator, "loss_curve_")
        display = cls(
            estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            validation_scores=getattr(estimator, "validation_scores_", None),
            learning_rate_curve=getattr(estimator, "learning_rate_curve_", None),
            best_iter=getattr(estimator, "best_iter_", None),
            title=f"Training of {type(estimator).__name__}, {len(estimator.loss_curve_)} epochs",
        )
        return display.plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, log_scale: bool = False, scores: bool = True, learning_rate: bool = True) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        log_scale : bool, default=False
            Whether the loss has a logarithmic axis.
        scores : bool, default=True
            Whether to draw the validation score, with an axis on the right.
        learning_rate : bool, default=True
            Whether to draw the learning rate, with an axis on the right.

        Returns
        -------
        display : LossDisplay
            The display itself.
        """
        check_flags(log_scale=log_scale, scores=scores, learning_rate=learning_rate)
        loss = array_of("loss_curve", self.loss_curve, "n_epochs")
        if self.best_iter is not None:
            check_integer("best_iter", self.best_iter, 0, words=", or None")
        validation_loss = _later(loss, "validation_loss_curve", self.validation_loss_curve)
        score = _later(loss, "validation_scores", self.validation_scores if scores else None)
        rate = _later(loss, "learning_rate_curve", self.learning_rate_curve if learning_rate else None)
        self.figure_, self.ax_ = axes_to_draw_on(ax, (7, 4.2))
        ax = self.ax_
        self.line_ = self._draw(ax, loss, TRAINING, "training loss")
        self.validation_line_ = self.best_line_ = None
        if validation_loss is not None:
            self.validation_line_ = self._draw(ax, validation_loss, VALIDATION, "validation loss")
        self.score_ax_, self.score_line_ = self._draw_beside(ax, score, SCORE, "validation score", "score", linestyle="--")
        self.learning_rate_ax_, self.learning_rate_line_ = self._draw_beside(
            ax, rate, RATE, "learning rate", "learning rate", linestyle="-."
        )
        if self.score_ax_ is not None and self.learning_rate_ax_ is not None:
            self.learning_rate_ax_.spines["right"].set_position(("outward", 50))  # beside the axis of the score
        handles = [self.line_, self.validation_line_, self.score_line_, self.learning_rate_line_]
        if self.best_iter:
            label = f"best epoch: {self.best_iter}"
            self.best_line_ = ax.axvline(self.best_iter, color="#999999", linewidth=1.2, linestyle=":", label=label)
            handles.append(self.best_line_)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        ax.set_yscale("log" if log_scale else "linear")
        if not log_scale:
            ax.set_ylim(bottom=0)
        ax.locator_params(axis="x", integer=True)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        handles = [handle for handle in handles if handle is not None]
        # below the picture: inside, it would hide one of the curves
        ax.legend(handles=handles, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=len(handles))
        if self.title is not None:
            ax.set_title(self.title, color=INK)
        return self

    def _draw_beside(self, ax, values, colour, label, axis_label, **options):
        if values is None:
            return None, None
        beside = ax.twinx()
        line = self._draw(beside, values, colour, label, **options)
        beside.set_ylabel(axis_label, color=colour)
        beside.tick_params(axis="y", colors=colour)
        beside.spines[["top", "left"]].set_visible(False)
        return beside, line

    def _draw(self, ax, values, colour, label, **options):
        n_epochs = len(self.loss_curve)
        epochs = np.arange(n_epochs - len(values), n_epochs) + 1
        marker = "o" if len(values) <= 25 else None
        return ax.plot(epochs, values, color=colour, label=label, linewidth=2, marker=marker, markersize=4, **options)[0]


def _later(loss, name, curve):
    """Return a curve of the last epochs as an array; None where there is none, or nothing in it."""
    if curve is None:
        return None
    curve = array_of(name, curve, "n_epochs", may_be_empty=True)
    if len(curve) > len(loss):
        raise InvalidParameterError(
            f"{name} has {len(curve)} values, but loss_curve only {len(loss)}. Pass one for each epoch, or for some of the last."
        )
    return curve if len(curve) else None
