"""Who watches the fit of an estimator, and what of that outlives it."""

from dataclasses import fields

from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS
from sklearn_cnn._training.history import History, appended
from sklearn_cnn._training.listeners import BestEpoch, Patience
from sklearn_cnn._training.reports import report
from sklearn_cnn._training.schedules import LearningRate, resolve_schedule

#: Whose fields a fit that goes on gets back.
SOURCES = (LearningRate, Patience, History, BestEpoch)
FIELDS_KEPT = [field for source in SOURCES for field in fields(source) if field.name in source.kept]

#: Name -> type of all that is kept, and of what a call that is taken up in the middle has to know of the best epoch.
KEPT = {field.name: field.type for field in FIELDS_KEPT}
OF_BEST_EPOCH = {field.name: field.type for field in fields(BestEpoch) if field.name in BestEpoch.of_call}


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
        kept = {} if earlier is None else earlier["history"]
        rates = schedule_of(estimator, begins_cycle), float(estimator.learning_rate_init), float(estimator.power_t)
        self.learning_rate = resumed(LearningRate, kept, *rates, int(estimator.max_iter))
        if begins_cycle:
            self.learning_rate.epoch_of_cycle = 0
        self.history = resumed(History, kept)
        self.n_epochs_before = self.history.n_epochs
        self.best = resumed(BestEpoch, kept, stops_early)
        watched = "loss" if not stops_early else "score or loss" if estimator.scoring is None else "score"
        self.patience = resumed(
            Patience, kept, self.learning_rate, watched, float(estimator.tol), estimator.n_iter_no_change
        )
        self.sources = (self.learning_rate, self.patience, self.history, self.best)
        self.listeners = [self.history, self.best, *report(estimator.verbose)]
        if estimator.solver not in FULL_BATCH_SOLVERS:  # the others know by themselves when to stop
            self.listeners.append(self.patience)

    def kept(self):
        """Return what a fit that goes on has to know."""
        return {name: getattr(source, name) for source in self.sources for name in source.kept}

    def in_progress(self):
        """Return what the same fit has to know to be taken up in the middle."""
        return {"history": self.kept(), "best": {name: getattr(self.best, name) for name in self.best.of_call}}

    def continue_from(self, saved):
        """Take up what `in_progress` has returned."""
        for source in self.sources:
            for name in source.kept:
                setattr(source, name, saved["history"][name])
        for name in self.best.of_call:
            setattr(self.best, name, saved["best"][name])

    def attributes(self):
        """Name what they have to say as fitted attributes, and keep all that going on needs."""
        history, best = self.history, self.best
        was_watched = best.epoch is not None
        return {
            "history": self.kept(),
            "loss_": history.loss,
            "best_loss_": history.best_loss,
            "best_validation_score_": best.score if was_watched else None,
            "best_iter_": best.epoch if was_watched else history.best_loss_epoch,
            "n_iter_": history.n_epochs - self.n_epochs_before,
            "t_": self.learning_rate.n_samples_seen,
        }


def schedule_of(estimator, begins_cycle):
    """Return the schedule of the learning rate that `Watch` chooses, from the same arguments."""
    end_is_known = begins_cycle and not estimator.warm_start and estimator.early_stopping in (False, "auto")
    return resolve_schedule(estimator.learning_rate, end_is_known)


def resumed(kind, kept, *arguments):
    """Build something that watches training, with what an earlier fit has kept of it."""
    return kind(*arguments, **{name: kept[name] for name in kind.kept if name in kept})


def with_record_of_epochs(fitted):
    """Bring a fitted state up to date that keeps its curves as three lists, as it was before there was one record of epochs.

    Of anything else that was not kept yet, a fit that goes on begins with the default.
    """
    kept = {field.name: field.default for field in FIELDS_KEPT if field.name != "epochs"} | fitted["history"]
    if "epochs" in kept:
        return {**fitted, "history": kept}
    losses, *watched = (kept.pop(name) for name in ("loss_curve", "validation_scores", "validation_loss_curve"))
    n_unwatched = len(losses) - len(watched[0])
    epochs = ()
    for loss, score, validation_loss in zip(losses, *([None] * n_unwatched + values for values in watched), strict=True):
        epochs = appended(epochs, (loss, None, score, validation_loss))
    kept |= {
        "epochs": epochs,
        "n_epochs": len(losses),
        "best_loss_epoch": losses.index(min(losses)) + 1,
        "epoch_of_state": kept.pop("best_epoch") if n_unwatched == 0 else len(losses),
    }
    curves = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
    return {**{name: value for name, value in fitted.items() if name not in curves}, "history": kept}
