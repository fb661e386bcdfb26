"""What watches training: each listener alone, on epochs that are made up."""

import sys
from types import ModuleType

import numpy as np
import pytest
from problems import gaussian_parameters

from sklearn_cnn._network.layers import DenseLayer
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer
from sklearn_cnn._training.epochs import Epoch, Evaluation, Examples, diverged, train
from sklearn_cnn._training.history import (
    LEARNING_RATE,
    LOSS,
    SCORE,
    VALIDATION_LOSS,
    WIDTH,
    History,
    appended,
    curve,
    entries,
)
from sklearn_cnn._training.listeners import BestEpoch, Listener, Patience, listen
from sklearn_cnn._training.reports import BARS, ProgressBar, Report, duration, report
from sklearn_cnn._training.schedules import LearningRate


def make_trainer():
    plan = build_plan((DenseLayer(2),), (1, 3, 1))
    parameters = gaussian_parameters(plan, np.random.default_rng(0), np.float32)
    return Trainer(plan, parameters, loss="softmax", solver="adam", batch_size=4)


def reached(score, loss):
    return Evaluation(score, loss, (score, loss))


def made_up(losses, evaluations=None, trainer=None, before=0):
    evaluations = [None] * len(losses) if evaluations is None else evaluations
    evaluations = [None if evaluation is None else reached(*evaluation) for evaluation in evaluations]
    for number, (loss, evaluation) in enumerate(zip(losses, evaluations, strict=True), 1):
        if trainer is not None:
            trainer.parameters[:] = number
        yield Epoch(number, len(losses), before + number, loss, 10, evaluation, 0.1, 0.25, trainer)


def patience(n_iter_no_change=2, tol=0.1, *, watched="loss", schedule="constant"):
    return Patience(LearningRate(schedule, 0.1, 0.5), watched, tol, n_iter_no_change)


class Witness(Listener):
    def __init__(self, reason=None, at=None):
        self.reason, self.at, self.seen = reason, at, []

    def begin(self, trainer, evaluation):
        self.seen.append(("begin", trainer, evaluation))

    def see(self, epoch):
        self.seen.append(epoch.number)
        return self.reason if epoch.number == self.at else None

    def end(self, trainer, reason):
        self.seen.append(("end", trainer, reason))


def n_epochs_of(epochs, listeners, trainer=None, evaluation=None):
    """How many epochs there are until a listener asks to stop."""
    last = Witness()
    listen(epochs, [*listeners, last], trainer, evaluation)
    return last.seen[-2]


def test_every_listener_sees_every_epoch_in_order_even_the_last_one():
    first, second, third = Witness(), Witness("enough", 2), Witness("too much", 2)
    trainer, evaluation = object(), (0.5, 1.0)
    assert n_epochs_of(made_up([3.0, 2.0, 1.0]), [first, second, third], trainer, evaluation) == 2
    for witness in (first, second, third):
        assert witness.seen == [("begin", trainer, evaluation), 1, 2, ("end", trainer, "enough")]


def test_a_stream_that_ends_by_itself_has_no_reason():
    witness = Witness()
    assert n_epochs_of(made_up([3.0, 2.0, 1.0]), [witness], None) == 3
    assert witness.seen == [("begin", None, None), 1, 2, 3, ("end", None, None)]


def test_no_epoch_is_trained_that_nobody_asks_for():
    trainer = make_trainer()
    X, targets = np.zeros((4, 3), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    examples = Examples(X, targets, None, np.arange(4), None, None)
    rate = LearningRate("constant", 0.1, 0.5)
    stream = train(trainer, examples, rate, np.random.RandomState(0), n_epochs=100, n_epochs_before=7, batch_size=2)
    assert n_epochs_of(stream, [Witness("enough", 3)], trainer) == 3
    assert trainer.t == 6
    assert rate.n_samples_seen == 12


def test_an_epoch_says_what_it_was():
    trainer = make_trainer()
    X, targets = np.eye(4, 3, dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    examples = Examples(X, targets, None, np.arange(3), None, None)
    rate = LearningRate("invscaling", 0.1, 0.5)
    stream = train(
        trainer, examples, rate, np.random.RandomState(0), n_epochs=2, n_epochs_before=7, batch_size=2,
        evaluate=lambda trainer: (float(trainer.parameters.sum()), 2.0),
    )  # fmt: skip
    first = next(stream)
    assert (first.number, first.n_epochs, first.total_number, first.n_samples) == (1, 2, 8, 3)
    assert first.evaluation == (float(trainer.parameters.sum()), 2.0)
    assert first.learning_rate == 0.1
    assert first.trainer is trainer
    assert first.seconds > 0
    state = first.state()
    second = next(stream)
    assert second.learning_rate == 0.1 / 2
    assert state["t"] == 2  # a copy: the trainer has gone on
    assert trainer.t == 4
    assert not np.array_equal(state["parameters"], trainer.parameters)
    assert next(stream, None) is None


def test_history_records_and_decides_nothing():
    history = History()
    assert n_epochs_of(made_up([3.0, 1.0, 2.0], [(0.5, 1.0), None, (0.6, 0.9)]), [history], None) == 3
    assert curve(history.epochs, LOSS) == [3.0, 1.0, 2.0]
    assert (history.n_epochs, history.best_loss, history.best_loss_epoch, history.loss) == (3, 1.0, 2, 2.0)
    np.testing.assert_array_equal(curve(history.epochs, SCORE), [0.5, np.nan, 0.6])
    np.testing.assert_array_equal(curve(history.epochs, VALIDATION_LOSS), [1.0, np.nan, 0.9])
    assert curve(history.epochs, LEARNING_RATE) == [0.1] * 3


def test_a_sequence_that_never_changes_holds_what_was_appended():
    levels, states = (), []
    for number in range(WIDTH**2 + WIDTH + 1):
        states.append(levels)
        levels = appended(levels, number)
    assert entries(levels) == list(range(WIDTH**2 + WIDTH + 1))
    for n, state in enumerate(states):  # none of them has changed
        assert entries(state) == list(range(n))


@pytest.mark.parametrize(
    ("losses", "n_epochs"),
    [
        ([3.0, 2.0, 1.0, 0.5, 0.0], 5),
        ([3.0, 2.95, 2.92, 1.0, 0.0], 3),  # gains below tol are none
        ([3.0, 2.95, 2.8, 2.75, 2.74, 0.0], 5),  # 2.8 is 0.15 better than the best before
        ([1.0, 5.0, 5.0, 0.0, 0.0], 3),
    ],
)
def test_patience_ends_after_epochs_without_improvement(losses, n_epochs):
    rule = patience()
    assert n_epochs_of(made_up(losses), [rule], None) == n_epochs
    assert rule.has_converged == (n_epochs < len(losses))


def test_patience_with_validation_is_content_with_either_score_or_loss():
    rule = patience(watched="score or loss")
    evaluations = [(0.5, 2.0), (0.5, 1.5), (0.5, 1.45), (0.9, 3.0), (0.9, 3.0), (0.9, 3.0), (1.0, 0.0)]
    assert n_epochs_of(made_up([1.0] * 7, evaluations), [rule], None) == 6


def test_a_lucky_score_makes_no_loss_an_improvement_for_ever():
    rule = patience(watched="score or loss")
    evaluations = [(0.9, 1.0)] + 8 * [(0.8, 0.5)]  # one gain of the loss, and none after it
    assert n_epochs_of(made_up([1.0] * 9, evaluations), [rule], None) == 4


def test_patience_lets_an_adaptive_rate_fall_first():
    rule = patience(schedule="adaptive")
    assert n_epochs_of(made_up([1.0] * 6), [rule], None) == 6
    assert rule.learning_rate.n_stalls == 2
    assert list(rule.learning_rate.of_steps(1)) == [pytest.approx(0.1 / 25)]


def test_patience_is_new_after_convergence_only():
    rule = patience()
    rule.n_without_improvement = 1
    rule.begin(None, None)
    assert rule.n_without_improvement == 1
    rule.has_converged = True
    rule.begin(None, None)
    assert (rule.n_without_improvement, rule.has_converged) == (0, False)


def test_the_smallest_loss_of_earlier_calls_has_to_be_improved_on():
    rule = patience()
    assert n_epochs_of(made_up([1.0, 0.5]), [rule], None) == 2
    assert n_epochs_of(made_up([9.0, 8.0, 7.0, 6.0]), [rule], None) == 2


def test_of_equal_scores_the_smaller_loss_is_better():
    keeper, trainer = BestEpoch(brings_back=True), make_trainer()
    evaluations = [(0.5, 2.0), (0.9, 1.0), (0.9, 0.5), (0.8, 0.4), (0.9, 0.6)]
    listen(made_up([1.0] * 5, evaluations, trainer), [keeper], trainer)
    assert (keeper.epoch, keeper.score, keeper.merit) == (3, 0.9, (0.9, 0.5))
    assert keeper.epoch_of_state == 3
    assert (trainer.parameters == 3).all()


def test_the_state_before_the_first_epoch_may_be_the_best():
    keeper, trainer = BestEpoch(brings_back=True, epoch_of_state=2), make_trainer()
    before = trainer.parameters.copy()
    listen(made_up([1.0] * 2, [(0.5, 2.0), (0.6, 1.0)], trainer, before=4), [keeper], trainer, reached(0.7, 1.0))
    assert (keeper.epoch, keeper.score, keeper.epoch_of_state) == (2, 0.7, 2)
    np.testing.assert_array_equal(trainer.parameters, before)


def test_the_best_epoch_is_not_brought_back_unless_that_is_wanted():
    keeper, trainer = BestEpoch(brings_back=False, epoch_of_state=4), make_trainer()
    listen(made_up([3.0, 1.0, 2.0], [(0.5, 2.0), (0.9, 1.0), (0.8, 1.0)], trainer, before=4), [keeper], trainer)
    assert (keeper.epoch, keeper.score, keeper.epoch_of_state) == (6, 0.9, 7)
    assert (trainer.parameters == 3).all()


def test_without_validation_no_epoch_is_best_on_it():
    keeper = BestEpoch(brings_back=False)
    listen(made_up([3.0, 1.0]), [keeper], None)
    assert (keeper.epoch, keeper.epoch_of_state) == (None, 2)


def test_report(capsys):
    listen(made_up([3.0, 1.0], [(0.5, 2.0), (0.75, 1.0)]), [Report(), Witness("that will do", 2)], None)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1/2, loss 3.000000, validation score 0.5000, validation loss 2.000000, learning rate 0.1, 0.25 s, 0.25 s left",
        "Epoch 2/2, loss 1.000000, validation score 0.7500, validation loss 1.000000, learning rate 0.1, 0.25 s, 0.00 s left",
        "Stopping: that will do.",
    ]


def test_the_time_left_is_that_of_the_epochs_to_come(capsys):
    listen(made_up([1.0] * 1000), [Report(), Witness("enough", 2)], None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("0.25 s, 4 min 10 s left")
    assert lines[1].endswith("0.25 s, 4 min 10 s left")


class MadeUpBar:
    def __init__(self, n_epochs, n_done):
        self.told = [(n_epochs, n_done)]
        MadeUpBar.last = self

    def move(self, line):
        self.told.append(line)

    def close(self):
        self.told.append("closed")


def test_a_progress_bar_says_what_an_epoch_was_and_is_closed_once(capsys):
    evaluations = [(0.5, 2.0), (0.75, 1.0)]
    listen(made_up([3.0, 1.0], evaluations), [ProgressBar(MadeUpBar), Witness("that will do", 2)], None)
    assert MadeUpBar.last.told == [
        (2, 0),
        "1/2, loss 3, score 0.5, rate 0.1, 0.25 s left",
        "2/2, loss 1, score 0.75, rate 0.1, 0.00 s left",
        "closed",
    ]
    assert capsys.readouterr().out == "Stopping: that will do.\n"


def test_a_progress_bar_is_closed_when_training_fails():
    def failing():
        yield from made_up([3.0, 1.0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        listen(failing(), [ProgressBar(MadeUpBar)], None)
    assert MadeUpBar.last.told[-1] == "closed"


@pytest.mark.parametrize("package", BARS)
def test_a_real_progress_bar(package, capsys):
    pytest.importorskip(package)
    listen(made_up([3.0, 1.0]), [ProgressBar(BARS[package])], None)
    assert "2/2, loss 1, rate 0.1, 0.00 s left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verbose", "installed", "expected"),
    [(0, ["rich"], None), (False, ["rich"], None), (1, ["rich"], Report), (True, ["rich"], Report), (2, [], Report),
     (2, ["rich", "tqdm"], BARS["rich"]), (3, ["tqdm"], BARS["tqdm"])],
)  # fmt: skip
def test_who_reports_follows_from_verbose_and_from_what_is_installed(monkeypatch, verbose, installed, expected):
    for package in BARS:
        monkeypatch.setitem(sys.modules, package, ModuleType(package) if package in installed else None)
    listeners = report(verbose)
    assert len(listeners) == (expected is not None)
    for listener in listeners:
        assert type(listener) is Report is expected or listener._open_bar is expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.00 s"), (1.234, "1.23 s"), (59.4, "59.40 s"), (59.994, "59.99 s"), (59.996, "1 min 0 s"), (60, "1 min 0 s"),
        (61.6, "1 min 2 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 0 min"), (7384, "2 h 3 min"), (90_000, "25 h 0 min"),
    ],
)  # fmt: skip
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_what_has_diverged_is_told_with_a_smaller_rate():
    words = str(diverged(3, float("nan"), 0.5))
    assert words.startswith("Training diverged in epoch 3: the loss is nan with a learning rate of 0.5.")
    assert "learning_rate_init (for example 0.05)" in words
