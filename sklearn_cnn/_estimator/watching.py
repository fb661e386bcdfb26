"""Who watches the fit of an estimator, and what of that outlives it."""

import copy

from sklearn_cnn._training.history import History
from sklearn_cnn._training.listeners import BestEpoch, Patience, Report
from sklearn_cnn._training.schedules import LearningRate


class Watch:
    """Who watches a fit: the record, the keeper of the best epoch, the report, the rule that stops; and the learning rate.

    Parameters
    ----------
    estimator : BaseConvNet
        Only its parameters are read.
    earlier : dict or None
        Fitted state to go on from.
    stops_early : bool
        Whether validation decides what is best and when to stop.
    begins_cycle : bool
        Whether a schedule with an end begins anew, as in every `fit`, or goes on, as in `partial_fit`.
    """

    def __init__(self, estimator, earlier, stops_early, begins_cycle):
        kept = {} if earlier is None else copy.deepcopy(earlier["history"])
        rates = estimator.learning_rate, float(estimator.learning_rate_init), float(estimator.power_t)
        self.learning_rate = resumed(LearningRate, kept, *rates, int(estimator.max_iter))
        if begins_cycle:
            self.learning_rate.epoch_of_cycle = 0
        self.history = resumed(History, kept)
        self.n_epochs_before = len(self.history.loss_curve)
        self.best = resumed(BestEpoch, kept, stops_early, self.n_epochs_before)
        self.patience = resumed(
            Patience, kept, self.learning_rate, stops_early, float(estimator.tol), estimator.n_iter_no_change
        )
        self.listeners = [self.history, self.best, *([Report()] if estimator.verbose else []), self.patience]

    def attributes(self):
        """Name what they have to say as fitted attributes, and keep all that going on needs."""
        history = self.history
        was_watched = len(history.validation_scores) > 0
        sources = (self.learning_rate, self.patience, history, self.best)
        return {
            "history": {name: getattr(source, name) for source in sources for name in source.kept},
            "loss_": history.loss_curve[-1],
            "best_loss_": history.best_loss,
            "loss_curve_": history.loss_curve,
            "validation_scores_": history.validation_scores if was_watched else None,
            "validation_loss_curve_": history.validation_loss_curve if was_watched else None,
            "best_validation_score_": max(history.validation_scores) if was_watched else None,
            "best_iter_": self.best.best_epoch,
            "t_": self.learning_rate.n_samples_seen,
        }


def resumed(kind, kept, *arguments):
    """Build something that watches training, with what an earlier fit has kept of it."""
    return kind(*arguments, **{name: kept[name] for name in kind.kept if name in kept})
