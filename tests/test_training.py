"""Epochs, stopping, resuming, and what is left after a failure."""

import gc
import os
import pickle
import re
import signal
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import reference
from images import assert_calls_add_up, bars, digits, fitted_arrays, small_network
from sklearn.base import clone
from sklearn.utils.class_weight import compute_class_weight

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation
from sklearn_cnn._estimator import fitting
from sklearn_cnn._network.trainer import Trainer
from sklearn_cnn._training import epochs
from sklearn_cnn._training.holding_out import hold_out
from sklearn_cnn._training.schedules import LearningRate

# ------------------------------------------------------------------------------------------------------------- resuming

SOLVERS = {
    "adam": {},
    "momentum": {"solver": "sgd"},
    "plain sgd": {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.3},
    "adamw": {"solver": "adamw", "alpha": 0.1},
    "smoothed": {"label_smoothing": 0.2},
    "normalised": {"batch_norm": True, "hidden_layer_sizes": 6, "global_pooling": "average"},
    "dropout": {"dropout": [0.1, 0.3]},
    "augmented": {"augment": ImageAugmentation(shift=2, flip="horizontal", rotate=10.0, erase=2)},
}
# Every fit is a cycle, so only calls of `partial_fit` go on in one: as many as `max_iter` are a fit.
SOLVERS_WITH_AN_END = {
    "cosine": {"learning_rate": "cosine", "max_iter": 4},
    "one_cycle": {"learning_rate": "one_cycle", "max_iter": 4, "solver": "sgd"},
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_goes_on_as_if_it_had_not_stopped(solver):
    X, y = bars()
    parameters = {**SOLVERS[solver], "batch_size": 16}
    whole = small_network(max_iter=9, **parameters).fit(X, y)
    resumed = small_network(max_iter=3, warm_start=True, **parameters)
    for _ in range(3):
        resumed.fit(X, y)
        assert resumed.n_iter_ == 3
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.t_ == whole.t_
    state = fitted_arrays(whole)
    assert fitted_arrays(resumed) == {**state, "n_iter_": 3}


@pytest.mark.parametrize("solver", [*SOLVERS, *SOLVERS_WITH_AN_END])
def test_partial_fit_is_one_epoch_of_fit(solver):
    X, y = bars()
    parameters = {"max_iter": 4, **(SOLVERS | SOLVERS_WITH_AN_END)[solver], "batch_size": 16}
    whole = small_network(**parameters).fit(X, y)
    stepwise = small_network(**parameters)
    for _ in range(4):
        stepwise = pickle.loads(pickle.dumps(stepwise)).partial_fit(X, y, classes=[0, 1, 2])
    assert_calls_add_up(stepwise, whole, 4)


def test_decoupled_decay_does_not_depend_on_the_size_of_a_mini_batch():
    # With a gradient of zero only the decay is left: every update keeps the same share of a weight, whatever the mini-batch.
    X, y = np.zeros((60, 6, 6)), np.arange(60) % 3
    kept = {}
    for batch_size in (60, 20):
        network = small_network(
            solver="adamw", alpha=0.1, learning_rate_init=0.5, batch_size=batch_size, max_iter=1, warm_start=True, shuffle=False
        )
        before = network.fit(X, y).kernels_[0].copy()
        kept[batch_size] = network.fit(X, y).kernels_[0] / before
    np.testing.assert_allclose(kept[60], 0.95, rtol=1e-5)
    np.testing.assert_allclose(kept[20], 0.95**3, rtol=1e-5)


def test_decoupled_decay_refuses_to_take_more_than_all():
    X, y = bars()
    with pytest.raises(ValueError, match=r"alpha=20 with learning_rate_init=0\.05 and solver='adamw'.*below 1"):
        small_network(solver="adamw", alpha=20, learning_rate_init=0.05).fit(X, y)


def test_smoothed_labels_are_what_is_learnt_and_not_what_is_scored():
    X, y = bars()
    parameters = {"max_iter": 400, "alpha": 0.0, "learning_rate_init": 0.02, "n_iter_no_change": 400, "batch_size": 60}
    network = small_network(label_smoothing=0.3, **parameters).fit(X, y, X_val=X, y_val=y)
    # at best the true class gets 1 - 0.3 + 0.1 of the probability, and the loss is the entropy of the smoothed target
    assert network.predict_proba(X).max(axis=1) == pytest.approx(0.8, abs=0.05)
    assert network.loss_curve_[-1] == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.1)), abs=0.02)
    assert network.validation_loss_curve_[-1] == pytest.approx(-np.log(0.8), abs=0.05)
    labels = small_network(label_smoothing=0.3, **parameters).fit(X, np.array(["a", "b"])[y % 2])
    assert labels.predict_proba(X).max(axis=1) == pytest.approx(0.85, abs=0.05)


def test_warm_start_keeps_the_state_of_adam():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    n_updates = network._fitted["t"]
    assert n_updates > 0
    network.fit(X, y)
    assert network._fitted["t"] == 2 * n_updates


def test_fit_without_warm_start_begins_anew():
    X, y = bars()
    network = small_network().fit(X, y)
    first = fitted_arrays(network)
    assert fitted_arrays(network.fit(X, y)) == first


def test_changing_the_solver_starts_its_moments_anew():
    X, y = bars()
    network = small_network(warm_start=True, batch_size=60).fit(X, y)
    network.set_params(solver="sgd").fit(X, y)
    assert network._fitted["t"] == network.n_iter_


def test_warm_start_may_change_the_learning_rate():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    before = network._fitted["parameters"].copy()
    network.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, y)
    np.testing.assert_allclose(network._fitted["parameters"], before, atol=1e-9)


def test_warm_start_after_convergence_has_new_patience():
    X, y = bars()
    network = small_network(warm_start=True, max_iter=50, tol=10.0, n_iter_no_change=3).fit(X, y)
    assert network.n_iter_ == 4
    assert network.fit(X, y).n_iter_ == 3


@pytest.mark.parametrize("change", [{"n_filters": 5}, {"kernel_size": 2}, {"hidden_layer_sizes": (3,)}, {"activation": "tanh"}])
def test_warm_start_refuses_another_network(change):
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="layers have changed"):
        network.set_params(**change).fit(X, y)


def test_warm_start_refuses_another_shape():
    X, y = bars()
    network = small_network(warm_start=True, input_shape=(6, 6)).fit(X.reshape(-1, 36), y)
    with pytest.raises(ValueError, match="input_shape"):
        network.set_params(input_shape=(4, 9)).fit(X.reshape(-1, 36), y)
    with pytest.raises(ValueError, match=r"shape \(6, 5, 1\) .* was fitted on \(6, 6, 1\)"):
        network.set_params(input_shape=None).fit(X[:, :, :5], y)


def test_warm_start_refuses_other_classes():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    before = fitted_arrays(network)
    for other in (y + 1, y % 2, np.where(y == 2, 5, y), y * 0):
        with pytest.raises(ValueError, match=r"warm_start needs the classes .*\[0, 1, 2\], but y has .*partial_fit"):
            network.fit(X, other)
    assert fitted_arrays(network) == before
    network.fit(X, y, X_val=X[:1], y_val=y[:1])  # not all classes have to be among what is watched
    network.partial_fit(X[y < 2], y[y < 2])


def test_partial_fit_refuses_balanced_weights():
    X, y = bars()
    network = small_network(class_weight="balanced")
    with pytest.raises(ValueError, match=r"class_weight='balanced' is not possible with partial_fit.*compute_class_weight"):
        network.partial_fit(X, y, classes=[0, 1, 2])
    assert "_fitted" not in vars(network)
    weights = compute_class_weight("balanced", classes=np.unique(y), y=y)
    network.set_params(class_weight=dict(enumerate(weights))).partial_fit(X, y, classes=[0, 1, 2])


def test_partial_fit_needs_classes_once():
    X, y = bars()
    with pytest.raises(ValueError, match="classes must be passed"):
        small_network().partial_fit(X, y)
    network = small_network().partial_fit(X[:3], y[:3], classes=[0, 1, 2, 5])
    assert network.classes_.tolist() == [0, 1, 2, 5]
    network.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"is not the same as .* the classes of the last call"):
        network.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="not among the classes"):
        network.partial_fit(X, y + 2)


def test_partial_fit_with_samples_of_one_class():
    X, y = bars()
    network = small_network()
    for label in (0, 1, 2, 0):
        network.partial_fit(X[y == label], y[y == label], classes=[0, 1, 2])
    assert network.predict_proba(X).shape == (len(X), 3)


def test_partial_fit_after_fit_with_early_stopping_and_back():
    X, y = bars()
    network = small_network(early_stopping=True, warm_start=True).fit(X, y)
    n_epochs = len(network.validation_scores_)
    network.partial_fit(X, y)
    assert len(network.validation_scores_) == len(network.loss_curve_) == n_epochs + 1
    network.fit(X, y)
    assert len(network.validation_scores_) == len(network.loss_curve_) == n_epochs + 1 + network.n_iter_


def test_pickles_do_not_grow_under_partial_fit():
    X, y = bars()
    network, sizes = small_network(), []
    for _ in range(30):
        network = pickle.loads(pickle.dumps(network.partial_fit(X, y, classes=[0, 1, 2])))
        sizes.append(len(pickle.dumps(network)))
    assert sizes[-1] - sizes[4] <= 25 * 3 * 10  # what every epoch was, and nothing else


# ----------------------------------------------------------------------------------------------------------- when to stop


def test_stops_when_the_loss_no_longer_improves():
    X, y = bars()
    network = small_network(max_iter=500, tol=1e-2, n_iter_no_change=4).fit(X, y)
    assert network.n_iter_ < 500
    best, since = np.inf, 0
    for loss in network.loss_curve_:
        since = 0 if best - loss >= 1e-2 else since + 1
        best = min(best, loss)
    assert since == 4


def test_infinite_patience():
    X, y = bars()
    network = small_network(max_iter=40, tol=100.0, n_iter_no_change=float("inf")).fit(X, y)
    assert network.n_iter_ == 40


def test_early_stopping_keeps_the_best_epoch():
    X, y = digits(200)
    parameters = {"n_filters": 8, "input_shape": (8, 8), "random_state": 0, "learning_rate_init": 0.02, "n_iter_no_change": 3}
    network = ConvNetClassifier(early_stopping=True, max_iter=60, **parameters).fit(X, y)
    assert len(network.validation_scores_) == len(network.validation_loss_curve_) == network.n_iter_
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert network.validation_scores_[network.best_iter_ - 1] == network.best_validation_score_
    shorter = ConvNetClassifier(early_stopping=True, max_iter=network.best_iter_, **parameters).fit(X, y)
    assert fitted_arrays(shorter)["parameters"] == fitted_arrays(network)["parameters"]


def test_validation_data_of_one_s_own():
    X, y = digits(300)
    network = ConvNetClassifier(n_filters=8, input_shape=(8, 8), max_iter=6, random_state=0)
    network.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert network.n_iter_ == len(network.validation_loss_curve_)
    assert network.best_validation_score_ == pytest.approx(network.score(X[200:], y[200:]))
    probabilities = network.predict_proba(X[200:])[np.arange(100), y[200:]]
    assert network.validation_loss_curve_[network.best_iter_ - 1] == pytest.approx(-np.log(probabilities).mean(), rel=1e-4)
    unwatched = ConvNetClassifier(n_filters=8, input_shape=(8, 8), max_iter=6, random_state=0, early_stopping=False)
    watched = fitted_arrays(unwatched.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:]))
    assert len(unwatched.validation_scores_) == 6
    assert fitted_arrays(unwatched.fit(X[:200], y[:200]))["parameters"] == watched["parameters"]
    assert unwatched.validation_scores_ is None


def test_weights_of_the_validation_data():
    X, y = bars()
    network = small_network(max_iter=1, learning_rate_init=1e-12)
    network.fit(X, y, X_val=X, y_val=y, sample_weight_val=(y == 1).astype(float))
    assert network.best_validation_score_ == pytest.approx(network.score(X[y == 1], y[y == 1]))


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
@pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor])
def test_a_weight_of_zero_leaves_a_sample_of_the_validation_data_out(kind, scoring):
    X, y = bars()
    broken, weight = X.copy(), np.linspace(0, 1, len(X))
    broken[::3], weight[::3] = 3e38, 0
    kept = weight > 0

    def curves(X_val, y_val, sample_weight_val):
        network = kind(4, max_iter=3, random_state=0, scoring=scoring)
        network.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)
        return network.validation_scores_, network.validation_loss_curve_

    found = curves(broken, y, weight)
    assert found == curves(X[kept], y[kept], weight[kept])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("missing", ["X_val", "y_val"])
def test_validation_data_are_a_pair(missing):
    X, y = bars()
    validation = {"X_val": X, "y_val": y}
    del validation[missing]
    with pytest.raises(ValueError, match=f"{missing} is missing"):
        small_network().fit(X, y, **validation)


def test_validation_data_have_to_agree_with_the_training_data():
    X, y = bars()
    with pytest.raises(ValueError, match=r"shape \(3, 6, 1\) .* was fitted on \(6, 6, 1\)"):
        small_network().fit(X, y, X_val=X[:, :3], y_val=y)
    with pytest.raises(ValueError, match="y_val"):
        small_network().fit(X, y, X_val=X, y_val=y + 1)
    with pytest.raises(ValueError, match="y_val"):
        small_network().fit(X, y, X_val=X, y_val=y[:-1])


def test_auto_holds_nothing_out_of_small_data():
    X, y = bars()
    assert small_network().fit(X, y).validation_scores_ is None


def test_auto_holds_out_above_ten_thousand_samples():
    random_state = np.random.RandomState(0)
    X, y = random_state.standard_normal((10_001, 4)).astype(np.float32), random_state.randint(2, size=10_001)
    assert small_network(n_filters=1, max_iter=1).fit(X[:-1], y[:-1]).validation_scores_ is None
    assert len(small_network(n_filters=1, max_iter=1).fit(X, y).validation_scores_) == 1


def test_early_stopping_with_string_labels():
    X, y = bars()
    names = np.array(["ant", "bee", "cat"])[y]
    network = small_network(early_stopping=True, max_iter=60).fit(X, names)
    assert network.best_validation_score_ > 0.9
    assert set(network.predict(X)) == {"ant", "bee", "cat"}


def test_early_stopping_of_a_single_sample():
    with pytest.raises(ValueError, match="n_samples=1 leaves no validation set"):
        small_network(early_stopping=True).fit(np.zeros((1, 4)), [1])


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.25, 0.5])
def test_hold_out_is_stratified(fraction):
    strata = np.repeat([0, 1, 2], [200, 100, 20])
    training, held_out = hold_out(np.arange(320), strata, fraction, seed=3)
    assert sorted([*training, *held_out]) == list(range(320))
    shares = np.bincount(strata[held_out], minlength=3)
    np.testing.assert_allclose(shares, fraction * np.array([200, 100, 20]), atol=1)
    np.testing.assert_array_equal(held_out, hold_out(np.arange(320), strata, fraction, seed=3)[1])
    assert not np.array_equal(held_out, hold_out(np.arange(320), strata, fraction, seed=4)[1])


@pytest.mark.parametrize("fraction", [0.6, 0.9, 0.99])
def test_hold_out_leaves_one_row_of_every_class_to_training(fraction):
    """A class of two rows could be held out as a whole, and nothing was learnt about it."""
    strata = np.repeat([0, 1, 2], [18, 2, 3])
    for seed in range(50):
        training, held_out = hold_out(np.arange(23), strata, fraction, seed)
        assert {*strata[training].tolist()} == {0, 1, 2}
        assert sorted([*training, *held_out]) == [*range(23)]


def test_hold_out_leaves_single_members_to_training():
    strata = np.array([0] * 20 + [1, 2, 3])
    for seed in range(20):
        training, held_out = hold_out(np.arange(23), strata, 0.2, seed)
        assert {1, 2, 3} <= set(strata[training])
        assert len(held_out) == 5


def rates(schedule, n_steps=1, **arguments):
    return list(LearningRate(schedule, 0.1, 0.5, **arguments).of_steps(n_steps))


def test_schedules_by_epoch():
    assert rates("constant", 2, n_samples_seen=99, n_stalls=3) == [0.1, 0.1]
    assert rates("invscaling") == [0.1]
    assert rates("invscaling", n_samples_seen=99) == [0.01]
    rate = LearningRate("adaptive", 1.0, 0.5)
    assert [rate.outlives_stall(0.5), rate.outlives_stall(1e-5), rate.outlives_stall(1e-6)] == [True, True, False]
    assert list(rate.of_steps(1)) == [pytest.approx(0.04)]
    assert not LearningRate("constant", 1.0, 0.5).outlives_stall(1.0)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_schedules_with_an_end_change_with_every_step(schedule):
    rate = LearningRate(schedule, 0.1, 0.5, n_epochs_of_cycle=10)
    cycle = []
    for _ in range(10):
        cycle += rate.of_steps(50)
        rate.advance(1000)
    top, largest = (0, 0.1) if schedule == "cosine" else (int(np.argmax(cycle)), 1.0)
    assert max(cycle) == pytest.approx(largest, rel=0.01)
    assert cycle[-1] < largest * 0.003
    assert (np.diff(cycle[:top]) > 0).all()
    assert (np.diff(cycle[top:]) < 0).all()
    if schedule == "one_cycle":
        assert top == pytest.approx(100, abs=1)
        assert cycle[0] == pytest.approx(0.1, rel=0.1)
    else:
        assert cycle[250] == pytest.approx(0.05, rel=0.01)
    assert list(rate.of_steps(2)) == [pytest.approx(0.1 * 1e-3)] * 2  # beyond the end
    assert rate.outlives_stall(0.1)


def steps_of(network, *data):
    """The rates and the targets that every step of a fit got."""
    seen, steps = [], Trainer.steps

    def noted(self, X, rows, batch_size, targets, sample_weight, rates, *, codes=None, **others):
        for number, rate in enumerate(rates):
            part = rows[number * batch_size : (number + 1) * batch_size]
            seen.append((rate, targets[part if codes is None else codes[part]].copy(), part.copy()))
        return steps(self, X, rows, batch_size, targets, sample_weight, rates, codes=codes, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "steps", noted)
        network.fit(*data)
    return seen


@pytest.mark.parametrize("schedule", reference.RATES)
@pytest.mark.parametrize(("batch_size", "max_iter"), [(16, 5), (60, 3), (7, 1)])
def test_a_fit_uses_the_rates_of_the_twin(schedule, batch_size, max_iter):
    X, y = bars()
    sizes = {"batch_size": batch_size, "max_iter": max_iter}
    network = small_network(learning_rate=schedule, learning_rate_init=3e-3, power_t=0.4, **sizes)
    used = [rate for rate, _, _ in steps_of(network, X, y)]
    expected = reference.rates(schedule, 3e-3, len(X), batch_size, max_iter, 0.4)
    if schedule in ("constant", "invscaling"):
        assert used == expected
    else:  # the parts of a cycle are added up in another order
        np.testing.assert_allclose(used, expected, rtol=1e-13)


@pytest.mark.parametrize(("solver", "initial", "tol", "n_iter_no_change"), [
    ("sgd", 0.5, 1e-3, 1), ("sgd", 0.05, 1e-2, 3), ("adam", 0.1, 1e-3, 2), ("adamw", 1e-2, 1e-4, 2),
])  # fmt: skip
def test_a_fit_uses_the_adaptive_rates_of_the_twin(solver, initial, tol, n_iter_no_change):
    X, y = bars()
    stall = {"tol": tol, "n_iter_no_change": n_iter_no_change}
    network = small_network(solver=solver, learning_rate="adaptive", learning_rate_init=initial, max_iter=80, **stall).fit(X, y)
    expected = reference.adaptive_rates(initial, network.loss_curve_, tol, n_iter_no_change)
    np.testing.assert_allclose(network.learning_rate_curve_, expected[:-1], rtol=1e-12)
    assert len(set(expected)) > 2
    assert (expected[-1] is None) == (network.n_iter_ < 80)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_calls_beyond_the_end_of_a_cycle_use_the_rates_of_the_twin(schedule):
    rate, used = LearningRate(schedule, 0.1, 0.5, n_epochs_of_cycle=3), []
    for _ in range(5):
        used += rate.of_steps(4)
        rate.advance(60)
    np.testing.assert_allclose(used, reference.rates(schedule, 0.1, 60, 16, 3, n_extra=2), rtol=1e-13)


@pytest.mark.parametrize("kind", ["three classes", "two classes", "labels"])
def test_training_learns_the_smoothed_targets_of_the_twin(kind):
    X, y = bars()
    pairs = np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[(y + 1) % 3]
    one_hot = {"three classes": np.eye(3)[y], "two classes": (y == 1)[:, None], "labels": pairs}[kind]
    target = {"three classes": y, "two classes": y == 1, "labels": pairs}[kind]
    network = small_network(label_smoothing=0.3, batch_size=16, max_iter=2)
    expected = reference.smoothed(one_hot, 0.3, 3 if kind == "three classes" else 2)
    for _, targets, rows in steps_of(network, X, target):
        np.testing.assert_allclose(targets, expected[rows], rtol=3e-7)


def test_the_cuts_of_an_epoch_do_not_change_a_cycle():
    whole = rates("cosine", 12, n_epochs_of_cycle=1)
    cut = [rate for epoch in range(3) for rate in rates("cosine", 4, n_epochs_of_cycle=3, epoch_of_cycle=epoch)]
    np.testing.assert_allclose(cut, whole)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_every_solver_follows_the_schedule(solver):
    X, y = bars()
    constant, falling = (
        small_network(solver=solver, learning_rate=schedule, power_t=3.0, max_iter=3).fit(X, y)
        for schedule in ("constant", "invscaling")
    )
    moved = [np.abs(network._fitted["parameters"] - start(X, y)).sum() for network in (constant, falling)]
    assert moved[1] < 0.8 * moved[0]


def start(X, y):
    return small_network(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)._fitted["parameters"]


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_stall_does_not_stop_before_the_end_of_a_cycle(schedule):
    X, y = bars()
    parameters = {"tol": 10.0, "n_iter_no_change": 2, "max_iter": 9}
    assert small_network(learning_rate=schedule, **parameters).fit(X, y).n_iter_ == 9
    assert small_network(**parameters).fit(X, y).n_iter_ == 3


def test_every_fit_is_a_cycle_and_partial_fit_goes_on_in_one():
    X, y = bars()
    network = small_network(learning_rate="one_cycle", max_iter=4, warm_start=True, batch_size=60)
    seen = []
    of_steps = LearningRate.of_steps

    def noted(self, n_steps):
        seen.extend(of_steps(self, n_steps))
        return of_steps(self, n_steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LearningRate, "of_steps", noted)
        network.fit(X, y)
        first = seen.copy()
        seen.clear()
        network.fit(X, y)
        assert seen == first
        seen.clear()
        network.partial_fit(X, y)
        assert seen == [pytest.approx(1e-3 * network.learning_rate_init)]
        seen.clear()
        stepwise = small_network(learning_rate="one_cycle", max_iter=4, batch_size=60)
        for _ in range(4):
            stepwise = pickle.loads(pickle.dumps(stepwise)).partial_fit(X, y, classes=[0, 1, 2])
        assert seen == first


@pytest.mark.parametrize(
    ("parameters", "schedule"),
    [
        ({}, "one_cycle"),
        ({"early_stopping": False}, "one_cycle"),
        ({"early_stopping": True}, "constant"),
        ({"warm_start": True}, "constant"),
    ],
)
def test_the_automatic_schedule_has_an_end_where_the_end_is_known(parameters, schedule):
    X, y = bars()
    automatic, named = (
        small_network(**{**parameters, "learning_rate": rate}).fit(X, y) for rate in ("auto", schedule)
    )
    assert fitted_arrays(automatic) == fitted_arrays(named)
    other = small_network(**{**parameters, "learning_rate": "cosine"}).fit(X, y)
    assert fitted_arrays(automatic) != fitted_arrays(other)


def test_the_automatic_schedule_keeps_on_learning_in_partial_fit():
    X, y = bars()
    automatic, named = (small_network(learning_rate=rate, max_iter=2) for rate in ("auto", "constant"))
    for network in (automatic, named):
        for _ in range(5):
            network.partial_fit(X, y, classes=[0, 1, 2])
    assert fitted_arrays(automatic) == fitted_arrays(named)


def test_adaptive_learning_rate_goes_on_after_a_stall(capsys):
    X, y = bars()
    network = small_network(solver="sgd", learning_rate="adaptive", max_iter=99, tol=10.0, n_iter_no_change=2, verbose=True)
    network.fit(X, y)
    # 1e-2 / 5**6 is the first rate that is not above 1e-6; the first epoch always improves
    assert network.n_iter_ == 2 * 7 + 1
    assert "Stopping" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------------- weights, batches


def test_weight_zero_is_the_same_as_leaving_out():
    X, y = bars()
    keep = np.arange(len(X)) % 4 != 1
    for parameters in ({}, {"early_stopping": True}, {"class_weight": {0: 1, 1: 2, 2: 3}}):
        weighted = small_network(**parameters).fit(X, y, sample_weight=keep.astype(float))
        left_out = small_network(**parameters).fit(X[keep], y[keep], sample_weight=np.ones(keep.sum()))
        assert fitted_arrays(weighted) == fitted_arrays(left_out)


def test_weights_of_one_change_nothing():
    X, y = bars()
    weighted, plain = small_network().fit(X, y, np.ones(len(X))), small_network().fit(X, y)
    np.testing.assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-5)


def test_a_weight_is_a_repetition_in_a_full_batch():
    X, y = bars(30)
    weight = np.arange(30) % 3 + 1
    parameters = {"scale_input": True, "batch_size": 1000, "max_iter": 10}
    weighted = small_network(**parameters).fit(X, y, weight)
    repeated = small_network(**parameters).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-3, atol=1e-5)


def test_class_weight():
    X, y = bars()
    weighted = small_network(class_weight={0: 1.0, 1: 4.0, 2: 0.5}).fit(X, y)
    by_sample = small_network().fit(X, y, sample_weight=np.array([1.0, 4.0, 0.5])[y])
    assert fitted_arrays(weighted) == fitted_arrays(by_sample)
    names = np.array(["ant", "bee", "cat"])
    named = small_network(class_weight={"ant": 1.0, "bee": 4.0, "cat": 0.5}).fit(X, names[y])
    assert fitted_arrays(named)["parameters"] == fitted_arrays(weighted)["parameters"]


def test_balanced_class_weight():
    X, y = bars()
    rare = np.flatnonzero((y > 0) | (np.arange(len(y)) % 2 == 0))
    counts = np.bincount(y[rare])
    by_hand = small_network(class_weight=dict(enumerate(len(rare) / (3 * counts)))).fit(X[rare], y[rare])
    assert fitted_arrays(small_network(class_weight="balanced").fit(X[rare], y[rare])) == fitted_arrays(by_hand)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_balanced_class_weights_count_no_sample_of_weight_zero(solver):
    X, y = bars()
    weight = ((y > 0) | (np.arange(len(y)) < 15)).astype(float)
    network = small_network(class_weight="balanced", solver=solver, max_iter=3)
    zero = fitted_arrays(clone(network).fit(X, y, weight))
    without = fitted_arrays(clone(network).fit(X[weight > 0], y[weight > 0]))
    assert zero["parameters"] == without["parameters"]


def test_balanced_class_weights_count_an_integer_weight_as_so_many_samples():
    X, y = bars()
    weight = np.where((y == 0) & (np.arange(len(y)) % 2 == 0), 3, 1)
    network = small_network(class_weight="balanced", solver="lbfgs", max_iter=3)
    weighted = clone(network).fit(X, y, weight)
    repeated = clone(network).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-4)  # products are rounded


def test_balanced_class_weights_of_validation_data_are_those_of_the_training_data():
    X, y = bars(90)
    rare = (y > 0) | (np.arange(len(y)) % 5 == 0)
    counts = np.bincount(y[rare])
    validation = {"X_val": X[:7], "y_val": y[:7]}  # three of class 0, two of each other
    balanced = small_network(class_weight="balanced").fit(X[rare], y[rare], **validation)
    by_hand = small_network(class_weight=dict(enumerate(rare.sum() / (3 * counts)))).fit(X[rare], y[rare], **validation)
    merits = [
        [vars(network)["_fitted"]["history"][name] for name in ("best_score", "best_validation_loss")]
        for network in (balanced, by_hand)
    ]
    assert np.allclose(*merits, rtol=1e-12)


@pytest.mark.parametrize("labels", ["one", "several"])
def test_class_weights_are_for_classes_that_a_call_does_not_see_too(labels):
    """partial_fit and y_val were refused where a class with a weight was missing and another had none."""
    X, y = bars()
    class_weight = {0: 2.0, 1: 3.0}
    if labels == "several":
        y, class_weight = (y[:, None] == [0, 1]).astype(int), [{1: 2.0}, {1: 5.0}]
        rest = y[:, 0] == 0
    else:
        rest = y != 0
    network = small_network(class_weight=class_weight)
    classes = None if labels == "several" else [0, 1, 2]
    network.partial_fit(X, y, classes=classes).partial_fit(X[rest], y[rest])
    network.fit(X, y, X_val=X[rest], y_val=y[rest])


@pytest.mark.parametrize(
    ("class_weight", "words"),
    [
        ({0: "a"}, r"^class_weight=\{0: 'a'\} gives class 0 the weight 'a': it must be a number of at least 0"),
        ({0: float("nan")}, r"^class_weight=\{0: nan\} gives class 0 the weight nan"),
        ({0: 1, 7: 2}, r"^class_weight=.* keys that are not among the classes \[0, 1, 2\]: \[7\]"),
        ([{0: 1}], r"^class_weight=\[\{0: 1\}\] is a list, which is for multilabel targets"),
    ],
)
def test_class_weights_that_mean_nothing_are_named(class_weight, words):
    X, y = bars()
    with pytest.raises(ValueError, match=words):
        small_network(class_weight=class_weight).fit(X, y)
    with pytest.raises(ValueError, match=r"^class_weight=.* must be a list of 2 dicts, one for each column of y"):
        small_network(class_weight={0: 1}).fit(X, y[:, None] == [0, 1])


@pytest.mark.parametrize("held_out", [None, 0.1, 0.5])
def test_images_are_never_converted_as_a_whole(held_out):
    X = np.zeros((20_000, 400), dtype=np.uint8)
    X[::2, ::3] = 200
    y = np.arange(20_000) % 2
    network = small_network(n_filters=1, input_shape=(20, 20), max_iter=1, n_jobs=1)
    if held_out is not None:
        network.set_params(early_stopping=True, validation_fraction=held_out)
    tracemalloc.start()
    network.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * X.nbytes  # float32 would take four times as much; row numbers and targets take nearly half


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_memory_for_labels_does_not_grow_with_the_number_of_classes(label_smoothing, early_stopping):
    """A row of one-hot targets would take 1,000 bytes for each sample, a smoothed one as many again, scores still more."""
    peaks = []
    settings = {"early_stopping": early_stopping, "validation_fraction": 0.5, "label_smoothing": label_smoothing}
    for n_samples in (4_000, 12_000):
        X, y = np.zeros((n_samples, 16), dtype=np.uint8), np.arange(n_samples) % 250
        network = small_network(input_shape=(4, 4), max_iter=1, **settings)
        tracemalloc.start()
        network.fit(X, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 100 * 8_000


@pytest.mark.parametrize("kind", ["two classes", "three classes", "several labels", "numbers"])
def test_what_is_held_out_is_judged_in_blocks_without_a_trace(kind, monkeypatch):
    X, y = bars()
    targets = {"two classes": y % 2, "three classes": y, "several labels": np.stack([y == 0, y == 1], axis=1).astype(int)}
    curves = []
    for n_numbers in (1, 10, 1 << 20):
        monkeypatch.setattr(fitting, "NUMBERS_JUDGED", n_numbers)
        network = (ConvNetRegressor if kind == "numbers" else ConvNetClassifier)(
            n_filters=2, max_iter=3, early_stopping=True, validation_fraction=0.4, random_state=0
        )
        network.fit(X, targets.get(kind, y * 1.5), np.arange(60) % 3 + 1.0)
        curves.append((network.validation_scores_, network.validation_loss_curve_))
    assert curves[0] == curves[1] == curves[2]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_held_out_samples_are_those_that_are_passed(dtype):
    """They are known by their numbers; copies of them are watched in the same way."""
    X, y = digits(400)
    X, weight = X.astype(dtype), np.random.RandomState(0).rand(400)
    settings = {"early_stopping": True, "input_shape": (8, 8), "max_iter": 3, "validation_fraction": 0.3}
    network = small_network(**settings).fit(X, y, weight)
    kept, held_out = hold_out(np.arange(400), y, 0.3, network._fitted["split_seed"])
    passed = small_network(**settings)
    passed.fit(X[kept], y[kept], weight[kept], X_val=X[held_out], y_val=y[held_out], sample_weight_val=weight[held_out])
    assert network.validation_scores_ == passed.validation_scores_
    assert network.validation_loss_curve_ == passed.validation_loss_curve_
    assert fitted_arrays(network)["parameters"] == fitted_arrays(passed)["parameters"]


def test_batches_may_be_larger_than_the_data():
    X, y = bars(20)
    assert fitted_arrays(small_network(batch_size=10**9).fit(X, y)) == fitted_arrays(small_network(batch_size=20).fit(X, y))


def test_a_batch_of_one():
    X, y = bars(12)
    network = small_network(batch_size=1, max_iter=2).fit(X, y)
    assert network._fitted["t"] == 24


def test_without_shuffling_the_order_is_that_of_the_data():
    X, y = bars(40)
    order = np.random.RandomState(0).permutation(40)
    in_order, permuted = (
        small_network(shuffle=False, scale_input=False, batch_size=8).fit(X[rows], y[rows]) for rows in (np.arange(40), order)
    )
    assert fitted_arrays(in_order)["parameters"] != fitted_arrays(permuted)["parameters"]


def test_silent_by_default(capsys, recwarn):
    X, y = bars()
    small_network().fit(X, y)
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


def test_verbose_prints_a_line_per_epoch(capsys):
    X, y = bars()
    small_network(verbose=True, early_stopping=True, max_iter=3).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    says = r"Epoch \d/3, loss \S+, validation score \S+, validation loss \S+, learning rate 0.01, \S+ s, \S+ s left"
    assert all(re.fullmatch(says, line) for line in lines)


# --------------------------------------------------------------------------------------------------------------- failures


def snapshot(network):
    return pickle.dumps(network), vars(network).get("_fitted")


@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(
    "place",
    ["check_memory", "initial_parameters", "channel_moments", "build_trainer", "train", "listen", "Watch",
     "solver_state", "pack_random_state"],
)  # fmt: skip
def test_a_failure_leaves_the_estimator_as_it_was(monkeypatch, place, error, method, is_fitted):
    X, y = bars(20)
    network = small_network(max_iter=2, random_state=np.random.RandomState(0))
    if is_fitted:
        network.fit(X[:, :4, :4], y)
        if method == "partial_fit" and place == "initial_parameters":
            pytest.skip("not reached when a fit is continued")
        X = X if method == "fit" else X[:, :4, :4]
    before = snapshot(network)

    def fail(*args, **kwargs):
        raise error("injected")

    monkeypatch.setattr(fitting, place, fail)
    arguments = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(error, match="injected"):
        getattr(network, method)(X, y, **arguments)
    assert snapshot(network) == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_real_ctrl_c_ends_a_long_fit():
    X, y = bars()
    network = small_network().fit(X, y)
    before = snapshot(network)
    network.set_params(max_iter=10**7, n_iter_no_change=10**7)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    # Python drops what a handler raises inside a callback of its garbage collector: matplotlib's figures, left by other tests,
    # have callbacks when they die, and distributed has one for every collection.
    gc.collect()
    gc.disable()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let programs in the background ignore Ctrl-C
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            network.fit(X, y)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, handler)
        gc.enable()
    assert snapshot(network.set_params(max_iter=5, n_iter_no_change=10)) == before


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_ctrl_c_is_raised_and_leaves_the_old_model(monkeypatch, epoch):
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    before = snapshot(network)
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return run_epoch(*args)

    run_epoch = epochs.run_epoch
    monkeypatch.setattr(epochs, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y)
    assert snapshot(network) == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd", "learning_rate_init": 1e30},
        {"solver": "sgd", "learning_rate_init": 1e10, "activation": "identity"},
        {"solver": "adam", "learning_rate_init": 1e38},
        {"solver": "adam", "learning_rate_init": 1e10},  # every number stays finite
        {"solver": "adamw", "learning_rate_init": 1e10, "alpha": 0.0},
    ],
)
def test_divergence_is_an_error(parameters):
    X, y = bars()
    network = small_network().fit(X, y)
    before = snapshot(network)[1]
    network.set_params(**parameters)
    with pytest.raises(ValueError, match=r"diverged in epoch \d+: the loss is .* learning rate of .*smaller learning_rate_init"):
        network.fit(X, y)
    assert snapshot(network)[1] is before


@pytest.mark.parametrize("kind", ["two classes", "three classes", "several labels"])
def test_a_validation_score_is_what_score_gives(kind):
    X, y = bars()
    y = {"two classes": y % 2, "three classes": y, "several labels": np.stack([y == 0, y == 1], axis=1).astype(int)}[kind]
    network = small_network(max_iter=3, early_stopping=False).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    score = network.score(X[30:], y[30:])
    assert network.validation_scores_[-1] == pytest.approx(score)
    assert 0 < score < 1  # neither all nor nothing would show what is wrong
