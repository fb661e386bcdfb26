"""What of a fit can be looked at afterwards: curves, the best epoch, scores on validation data."""

import pickle
import sys

import numpy as np
import pytest
from images import bars, digits, fitted_arrays, small_network
from sklearn.datasets import make_blobs
from sklearn.metrics import accuracy_score, f1_score, get_scorer, log_loss, make_scorer, mean_absolute_error

from sklearn_cnn import ConvNetRegressor
from sklearn_cnn._training.history import appended, entries

# ------------------------------------------------------------------------------------------------------------ the record


def with_long_record(network, n_epochs):
    """A copy of a fitted network with a record as long as after so many epochs."""
    network = pickle.loads(pickle.dumps(network))
    levels = ()
    for epoch in range(n_epochs):
        levels = appended(levels, (float(epoch), 0.1, None, None))
    network._fitted["history"] |= {"epochs": levels, "n_epochs": n_epochs}
    return network


def n_entries_made(levels, known):
    """The number of entries in those tuples of a record that another record does not share."""
    own = [part for part in levels if id(part) not in known]
    return len(levels) + sum(n_entries_made(part, known) for part in own if isinstance(part, tuple))


def n_calls_of(function):
    """The number of calls, of Python and of C functions, that a function takes."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def test_partial_fit_does_the_same_work_at_the_hundred_thousandth_call():
    X, y = bars(20)
    network = small_network().partial_fit(X, y, classes=[0, 1, 2])
    work = {}
    for n_epochs in (100, 100_000):
        network = with_long_record(network, n_epochs)
        before = network._fitted["history"]
        network.partial_fit(X, y)  # what is made once, as the plan, is there now
        calls = n_calls_of(lambda network=network: network.partial_fit(X, y))
        after = network._fitted["history"]["epochs"]
        assert len(network.loss_curve_) == n_epochs + 2
        assert len(entries(before["epochs"])) == before["n_epochs"] == n_epochs  # the record of before is as it was

        known = set()
        collect(before["epochs"], known)
        work[n_epochs] = calls, n_entries_made(after, known)
    assert abs(work[100][0] - work[100_000][0]) < 20
    assert work[100_000][1] < 200


def collect(levels, known):
    for part in levels:
        if isinstance(part, tuple):
            known.add(id(part))
            collect(part, known)


def test_two_copies_have_records_of_their_own():
    X, y = bars(20)
    network = small_network().fit(X, y)
    other = pickle.loads(pickle.dumps(network))
    before = network.loss_curve_
    other.partial_fit(X, y)
    assert network.loss_curve_ == before
    assert other.loss_curve_[:-1] == before


# ---------------------------------------------------------------------------------------------- curves and the best epoch


def test_best_score_and_best_epoch_are_of_the_same_call():
    """best_validation_score_ was the maximum over all calls, while best_iter_ belonged to the last."""
    X, y = digits(300)
    easy, hard = (X[200:250], y[200:250]), (X[250:], 9 - y[250:])  # labels that nothing can predict
    network = small_network(input_shape=(8, 8), warm_start=True)
    network.fit(X[:200], y[:200], X_val=easy[0], y_val=easy[1])
    assert network.best_validation_score_ > 0.5
    network.fit(X[:200], y[:200], X_val=hard[0], y_val=hard[1])
    assert network.best_validation_score_ == pytest.approx(network.score(*hard))
    assert network.best_validation_score_ < 0.5


@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_best_epoch_s_score_stands_at_its_place_after_several_fits(early_stopping):
    X, y = digits(300)
    network = small_network(input_shape=(8, 8), warm_start=True, learning_rate_init=0.03, early_stopping=early_stopping)
    for _ in range(4):
        network.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
        assert network.validation_scores_[network.best_iter_ - 1] == network.best_validation_score_
    if early_stopping:
        assert network.best_validation_score_ == max(network.validation_scores_)
        assert network.score(X[200:], y[200:]) == pytest.approx(network.best_validation_score_)


def test_the_best_epoch_is_that_of_the_smallest_loss_after_a_call_without_validation_data():
    X, y = bars()
    network = small_network(early_stopping=True, max_iter=3).fit(X, y).partial_fit(X, y)
    assert network.best_validation_score_ is None
    assert network.best_iter_ == np.argmin(network.loss_curve_) + 1


def test_all_curves_are_equally_long():
    """validation_scores_ was shorter than loss_curve_ after a fit with and one without validation data."""
    X, y = bars()
    network = small_network(max_iter=2, warm_start=True).fit(X, y)
    assert network.validation_scores_ is network.validation_loss_curve_ is None
    network.fit(X, y, X_val=X, y_val=y).partial_fit(X, y)
    curves = network.loss_curve_, network.learning_rate_curve_, network.validation_scores_, network.validation_loss_curve_
    assert [len(curve) for curve in curves] == [5] * 4
    for curve in curves[2:]:
        np.testing.assert_array_equal(np.isnan(curve), [True, True, False, False, True])


def test_without_early_stopping_the_best_epoch_is_best_on_the_validation_data_and_the_last_is_kept():
    """best_iter_ was the best training epoch there, although validation data were watched."""
    X, y = digits(300)
    network = small_network(input_shape=(8, 8), max_iter=12, learning_rate_init=0.05, early_stopping=False)
    network.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    ranks = list(zip(network.validation_scores_, [-loss for loss in network.validation_loss_curve_], strict=True))
    assert network.best_iter_ == ranks.index(max(ranks)) + 1 != np.argmin(network.loss_curve_) + 1
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert network.score(X[150:], y[150:]) == pytest.approx(network.validation_scores_[-1])


def test_learning_rates_are_recorded():
    X, y = bars()
    network = small_network(learning_rate="invscaling", max_iter=3).fit(X, y)
    assert network.learning_rate_curve_ == [pytest.approx(1e-2 / np.sqrt(60 * n + 1)) for n in range(3)]


@pytest.mark.parametrize("own_data", [True, False])
def test_validation_scores_do_not_depend_on_class_weight(own_data):
    """class_weight was multiplied in: accuracy 0.001 with a weight of 1000 for a class that is seldom recognised."""
    X, y = digits(300)
    validation = {"X_val": X[200:], "y_val": y[200:]} if own_data else {}
    settings = {"input_shape": (8, 8), "early_stopping": True, "max_iter": 1, "learning_rate_init": 1e-12, "scale_input": False}
    scores = []
    for class_weight in (None, {0: 1000}, "balanced"):
        network = small_network(**settings, class_weight=class_weight).fit(X[:200], y[:200], **validation)
        scores.append((network.validation_scores_, network.validation_loss_curve_))
    for score, loss in scores[1:]:
        assert score == scores[0][0]
        assert loss == pytest.approx(scores[0][1], rel=1e-3)


@pytest.mark.parametrize("class_weight", [None, {0: 1000}])
def test_validation_scores_count_the_weights_that_are_passed(class_weight):
    X, y = bars()
    weight = np.where(y == 1, 3.0, 1.0)
    network = small_network(early_stopping=True, max_iter=1, class_weight=class_weight, learning_rate_init=1e-12)
    network.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    assert network.best_validation_score_ == pytest.approx(network.score(X, y, sample_weight=weight))


def test_a_state_with_three_lists_is_brought_up_to_date():
    X, y = bars()
    network = small_network(early_stopping=True, warm_start=True).fit(X, y)
    state = network.__getstate__()
    old = dict(state["_fitted"])
    new = ("epochs", "n_epochs", "best_loss_epoch", "epoch_of_state")
    history = {name: value for name, value in old["history"].items() if name not in new}
    history |= {
        "loss_curve": network.loss_curve_, "validation_scores": network.validation_scores_,
        "validation_loss_curve": network.validation_loss_curve_, "best_epoch": network.best_iter_,
    }  # fmt: skip
    old |= {"history": history, "loss_curve_": [], "validation_scores_": [], "validation_loss_curve_": []}
    restored = object.__new__(type(network))
    restored.__setstate__({**state, "_fitted": old})
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        assert getattr(restored, name) == getattr(network, name)
    assert np.isnan(restored.fit(X, y).learning_rate_curve_).sum() == 5
    network.fit(X, y)
    assert fitted_arrays(restored)["parameters"] == fitted_arrays(network)["parameters"]
    assert restored.best_iter_ == network.best_iter_


# ---------------------------------------------------------------------------------------------------------------- scoring


def by_recall(estimator, X, y):
    """Share of the bees that are recognised; a function at module level, which pickles."""
    return (estimator.predict(X)[y == "bee"] == "bee").mean()


def watched_network(**parameters):
    """Trained on two thirds of the digits, watched with the rest; and the rest."""
    X, y = digits(300)
    network = small_network(input_shape=(8, 8), max_iter=6, **parameters)
    return network.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:]), X[200:], y[200:]


@pytest.mark.parametrize("scoring", ["f1_macro", "neg_log_loss", "roc_auc_ovr", make_scorer(f1_score, average="weighted")])
def test_a_scorer_watches_validation(scoring):
    network, X, y = watched_network(scoring=scoring)
    score = get_scorer(scoring)(network, X, y)
    assert network.best_validation_score_ == pytest.approx(score, rel=1e-6)
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert network.validation_scores_ != watched_network()[0].validation_scores_


def test_the_loss_as_score_is_the_negative_loss():
    network, X, y = watched_network(scoring="loss")
    assert network.validation_scores_ == [-loss for loss in network.validation_loss_curve_]
    assert network.best_validation_score_ == pytest.approx(-log_loss(y, network.predict_proba(X)), rel=1e-5)


def test_accuracy_by_name_is_the_default():
    by_name, by_default = watched_network(scoring="accuracy")[0], watched_network()[0]
    assert by_name.validation_scores_ == by_default.validation_scores_


def test_without_early_stopping_scoring_changes_no_bit():
    X, y = digits(200)
    parameters = []
    for scoring in (None, "f1_macro", "loss"):
        network = small_network(input_shape=(8, 8), early_stopping=False, scoring=scoring)
        parameters.append(fitted_arrays(network.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:]))["parameters"])
    assert parameters[0] == parameters[1] == parameters[2]


def test_a_function_scores_labels_as_they_are():
    X, y = bars()
    names = np.array(["ant", "bee", "cat"])[y]
    seen = []

    def scorer(estimator, X_val, y_val):
        seen.append((estimator, X_val.shape, set(y_val)))
        return by_recall(estimator, X_val, y_val)

    network = small_network(scoring=scorer, early_stopping=True, max_iter=3).fit(X, names)
    assert len(seen) == len(network.validation_scores_) == 3
    assert all(what[1:] == ((6, 36), {"ant", "bee", "cat"}) for what in seen)
    assert all(what[0] is not network for what in seen)
    assert len({what[0].coefs_[0].tobytes() for what in seen}) == 3  # each keeps the state that it was shown
    loaded = pickle.loads(pickle.dumps(network.set_params(scoring=by_recall)))
    assert loaded.fit(X, names).validation_scores_ == network.fit(X, names).validation_scores_


def test_early_stopping_watches_the_chosen_score_alone():
    X, y = bars()
    settings = {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 3}
    assert small_network(scoring=lambda estimator, X, y: 0.5, **settings).fit(X, y).n_iter_ == 4
    assert small_network(**settings).fit(X, y).n_iter_ > 4  # the loss goes on getting smaller


def test_the_epoch_with_the_best_of_the_chosen_scores_is_kept():
    X, y = bars()
    scores = iter([0.1, 0.9, 0.3, 0.2, 0.8])
    network = small_network(scoring=lambda estimator, X, y: next(scores), early_stopping=True, max_iter=5).fit(X, y)
    assert (network.best_iter_, network.best_validation_score_) == (2, 0.9)
    shorter = small_network(early_stopping=True, max_iter=2, scoring="loss").fit(X, y)
    assert fitted_arrays(shorter)["parameters"] == fitted_arrays(network)["parameters"]


def test_a_scorer_gets_the_weights_of_the_validation_data():
    X, y = bars()
    weight = np.where(y == 1, 3.0, 1.0)
    network = small_network(scoring="f1_macro", max_iter=2, early_stopping=True)
    network.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    expected = get_scorer("f1_macro")(network, X, y, sample_weight=weight)
    assert network.best_validation_score_ == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"scoring=.*takes no sample_weight, but the validation data have weights"):
        small_network(scoring=by_recall).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)


def test_a_regressor_is_scored_in_units_of_the_target():
    X, y = digits(200)
    network = ConvNetRegressor(n_filters=4, input_shape=(8, 8), max_iter=3, random_state=0, scoring="neg_mean_absolute_error")
    network.fit(X[:150], 100.0 * y[:150], X_val=X[150:], y_val=100.0 * y[150:])
    error = mean_absolute_error(100.0 * y[150:], network.predict(X[150:]))
    assert network.best_validation_score_ == pytest.approx(-error, rel=1e-6)


def test_data_frames_are_scored_without_a_warning(recwarn):
    pandas = pytest.importorskip("pandas")
    X, y = digits(100)
    table = pandas.DataFrame(X, columns=[f"pixel {n}" for n in range(64)])
    network = small_network(input_shape=(8, 8), scoring="f1_macro", max_iter=1, early_stopping=True).fit(table, y)
    assert len(network.validation_scores_) == 1
    assert not [warning for warning in recwarn if "feature names" in str(warning.message)]


@pytest.mark.parametrize("scoring", ["acuracy", "", 3, accuracy_score, type])
def test_what_is_no_scorer_is_refused_before_training(scoring):
    X, y = bars()
    network = small_network(max_iter=10**6, scoring=scoring)
    with pytest.raises(ValueError, match=r"scor"):
        network.fit(X, y, X_val=X, y_val=y)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize("found", [float("nan"), float("-inf"), "0.5", None, {"accuracy": 1.0}])
def test_a_score_that_is_no_number_is_an_error(found):
    X, y = bars()
    network = small_network(scoring=lambda estimator, X, y: found)
    with pytest.raises(ValueError, match=r"scoring=.* returned .* on the validation data.*finite number"):
        network.fit(X, y, X_val=X, y_val=y)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize("own_data", [True, False])
def test_the_best_epoch_is_decided_with_the_weights_of_classes(own_data):
    """The score that is shown leaves them out, but a class that weighs nearly everything has to decide which epoch is kept."""
    X, y = make_blobs(300, centers=2, random_state=0, cluster_std=20)  # so noisy that class 0 is all that there is to predict
    validation = {"X_val": X[200:], "y_val": y[200:]} if own_data else {}
    settings = {"max_iter": 30, "n_iter_no_change": 100, "class_weight": {0: 100}, "early_stopping": True}
    network = small_network(**settings).fit(X[:200], y[:200], **validation)
    assert network.best_iter_ > 20  # the more often class 0, the better
    assert network.validation_scores_[network.best_iter_ - 1] == network.best_validation_score_
    by_score = small_network(**settings, scoring="accuracy").fit(X[:200], y[:200], **validation)
    assert by_score.best_iter_ < 5
