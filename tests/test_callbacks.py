"""scikit-learn's callbacks: what they see of a fit, and that nobody else notices them."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from faults import fault_at, visits
from images import bars, fitted_arrays, small_network
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator import callbacks
from sklearn_cnn._estimator.callbacks import OF_A_RUNNING_FIT

X, Y = bars()
FLAT = X.reshape(len(X), -1)


def test_without_support_in_scikit_learn_the_remedy_is_named():
    code = (
        "import sys, sklearn, sklearn.pipeline\n"
        "sys.modules['sklearn.callback'] = None\n"
        "from sklearn_cnn import ConvNetClassifier\n"
        "network = ConvNetClassifier(max_iter=1).fit([[0.0] * 4, [1.0] * 4], [0, 1])\n"
        "try:\n"
        "    network.set_callbacks()\n"
        "except NotImplementedError as error:\n"
        "    print(error)"
    )
    process = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.startswith("set_callbacks needs scikit-learn 1.9 or newer, and this is ")


class Witness:
    """A callback that writes down what it is called for; `at_end` is what it does when a task ends."""

    def __init__(self, *, at_end=None):
        self.seen, self.at_end = [], at_end

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context):
        self.seen.append(("end", context.task_name, context.task_id))
        return self.at_end is not None and self.at_end(estimator, context)


class Critic(Witness):
    """A callback that looks at the data and at the model as it is."""

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator):
        self.seen.append(("begin", context.task_name, fitted_estimator))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.seen.append(("end", context.task_name, fitted_estimator))
        self.passed = X, y, metadata


def with_callbacks(network, *callbacks):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    return network.set_callbacks(*callbacks)


def tasks(n_epochs):
    epochs = [(what, "epoch", number) for number in range(n_epochs) for what in ("begin", "end")]
    return ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]


def test_one_task_for_the_fit_and_one_for_each_epoch():
    witness = Witness()
    network = with_callbacks(small_network(max_iter=3, batch_size=16), witness).fit(X, Y)
    assert witness.seen == tasks(3)
    network.partial_fit(X, Y)
    assert witness.seen == tasks(3)


def test_a_callback_may_stop_training(capsys):
    witness = Witness(at_end=lambda estimator, context: context.task_name == "epoch" and context.task_id == 1)
    network = with_callbacks(small_network(max_iter=9, verbose=1), witness).fit(X, Y)
    assert witness.seen == tasks(2)
    assert network.n_iter_ == 2
    assert capsys.readouterr().out.endswith("Stopping: a callback has asked for it.\n")
    shorter = small_network(max_iter=2, verbose=1).fit(X, Y)
    assert fitted_arrays(network) == fitted_arrays(shorter)


@pytest.mark.parametrize("estimator_class", [ConvNetClassifier, ConvNetRegressor])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fitted_arrays_are_the_same_with_callbacks(estimator_class, early_stopping):
    settings = {"n_filters": 4, "max_iter": 6, "learning_rate_init": 0.05, "random_state": 0, "early_stopping": early_stopping}
    watched = with_callbacks(estimator_class(**settings), Witness(), Critic()).fit(X, Y)
    assert fitted_arrays(watched) == fitted_arrays(estimator_class(**settings).fit(X, Y))


def test_what_a_callback_sees_is_a_model_of_its_own():
    critic, weight = Critic(), np.ones(len(Y))
    network = with_callbacks(small_network(max_iter=3), critic)
    network.fit(X, Y, weight)
    models = [entry[2] for entry in critic.seen[1:-1]]
    probabilities = [model.predict_proba(X) for model in models]  # long after
    epochs = models[2:-1:2]
    for n_epochs, model in enumerate(epochs, 1):
        stopped = small_network(max_iter=n_epochs).fit(X, Y, weight)
        assert fitted_arrays(model) == fitted_arrays(stopped)
    assert probabilities[0].tobytes() == probabilities[1].tobytes() != probabilities[2].tobytes()
    assert probabilities[-1].tobytes() == network.predict_proba(X).tobytes()
    before = fitted_arrays(network)
    for model in models:
        model.coefs_[0][...] = 7.0
        model.classes_[...] = 0
    assert fitted_arrays(network) == before
    assert critic.passed[0] is X
    assert critic.passed[1] is Y
    assert critic.passed[2]["sample_weight"] is weight


def test_with_early_stopping_the_fit_ends_with_the_best_epoch_and_epochs_with_their_own():
    critic = Critic()
    settings = {"max_iter": 12, "learning_rate_init": 0.1, "early_stopping": False}
    data = {"X_val": X[40:], "y_val": (Y[40:] + 1) % 3}  # learning makes it worse
    network = with_callbacks(small_network(**settings | {"early_stopping": True}), critic).fit(X[:40], Y[:40], **data)
    models = [model for what, task, model in critic.seen[1:-1] if (what, task) == ("end", "epoch")]
    assert network.best_iter_ < len(models) == network.n_iter_
    parameters = [fitted_arrays(model)["parameters"] for model in models]
    assert parameters.index(fitted_arrays(critic.seen[-2][2])["parameters"]) == network.best_iter_ - 1


def test_no_model_is_copied_that_nobody_asks_for(monkeypatch):
    def fail(state):
        raise AssertionError("copied")

    monkeypatch.setattr(callbacks.copy, "deepcopy", fail)
    with_callbacks(small_network(max_iter=2), Witness()).fit(X, Y)
    with pytest.raises(AssertionError, match="copied"):
        with_callbacks(small_network(max_iter=2), Critic()).fit(X, Y)


def test_the_fit_ends_before_its_result_is_published():
    def is_unpublished(estimator, context):
        assert not hasattr(estimator, "classes_")

    network = with_callbacks(small_network(max_iter=2), Witness(at_end=is_unpublished)).fit(X, Y)
    assert hasattr(network, "classes_")


@pytest.mark.parametrize("task", ["epoch", "fit"])
def test_a_callback_that_fails_leaves_the_estimator_as_it_was(task):
    def fail(estimator, context):
        if context.task_name == task:
            raise RuntimeError("injected")

    witness = Witness(at_end=fail)
    network = with_callbacks(small_network(max_iter=2), witness)
    with pytest.raises(RuntimeError, match="injected"):
        network.fit(X, Y)
    assert witness.seen[-1] == "teardown"
    assert not hasattr(network, "classes_")
    assert not any(hasattr(network, name) for name in OF_A_RUNNING_FIT)


def test_an_interrupt_anywhere_in_what_scikit_learn_does_around_a_fit_stays_one_and_leaves_nothing():
    file = pytest.importorskip("sklearn.callback._callback_support").__file__
    networks = [small_network(max_iter=1).set_callbacks(Witness()) for _ in range(40)]
    lines = visits(lambda: networks.pop().fit(X, Y), file)
    assert 10 < len(lines) <= len(networks)
    for (_, line), network in zip(lines, networks, strict=False):

        def interrupted(network=network):
            with pytest.raises(KeyboardInterrupt, match="planted"):
                network.fit(X, Y)

        assert not fault_at(file, line, 1, KeyboardInterrupt)(interrupted)
        assert not vars(network).keys() & set(OF_A_RUNNING_FIT)


def test_a_fit_makes_nothing_of_what_one_before_has_left_behind():
    network = with_callbacks(small_network(max_iter=0), Witness())
    network._callback_fit_ctx = "of a fit whose end was interrupted"
    with pytest.raises(ValueError, match="max_iter"):
        network.fit(X, Y)
    assert not vars(network).keys() & set(OF_A_RUNNING_FIT)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_that_goes_on_from_a_checkpoint_has_tasks_for_the_epochs_that_were_missing(tmp_path, early_stopping):
    def interrupt(estimator, context):
        if context.task_id == 3:
            raise KeyboardInterrupt

    settings = {"max_iter": 6, "early_stopping": early_stopping, "n_iter_no_change": 100}
    network, path = with_callbacks(small_network(**settings), Witness(at_end=interrupt)), tmp_path / "fit.checkpoint"
    with pytest.raises(KeyboardInterrupt) as error:
        network.fit(X, Y, checkpoint=path)
    assert "3 epochs of it are in" in error.value.__notes__[0]
    witness = Witness()
    network.set_callbacks(witness).fit(X, Y, checkpoint=path)
    assert witness.seen == tasks(3)
    assert fitted_arrays(network) == fitted_arrays(small_network(**settings).fit(X, Y))


def test_the_model_that_a_fit_from_a_checkpoint_begins_with_is_the_one_in_the_file(tmp_path):
    def interrupt(estimator, context):
        if context.task_id == 2:
            raise KeyboardInterrupt

    path, critic = tmp_path / "fit.checkpoint", Critic()
    network = with_callbacks(small_network(max_iter=4), Witness(at_end=interrupt))
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, Y, checkpoint=path)
    network.set_callbacks(critic).fit(X, Y, checkpoint=path)
    what, task, model = critic.seen[1]
    assert (what, task) == ("begin", "fit")
    assert fitted_arrays(model)["parameters"] == fitted_arrays(small_network(max_iter=2).fit(X, Y))["parameters"]


def test_pickles_carry_no_context():
    pickled = []

    def dump(estimator, context):
        pickled.append([pickle.dumps(vars(copy.copy(estimator))), vars(estimator).keys() & set(OF_A_RUNNING_FIT)])

    class Dumping(Witness):
        def __reduce__(self):
            return Witness, ()

    network = with_callbacks(small_network(max_iter=1), Dumping(at_end=dump)).fit(X, Y)
    for state, of_the_fit in pickled:
        assert of_the_fit  # there was something to leave out
        assert not pickle.loads(state).keys() & set(OF_A_RUNNING_FIT)
    assert not vars(network).keys() & set(OF_A_RUNNING_FIT)
    assert pickle.loads(pickle.dumps(network)).predict_proba(X).tobytes() == network.predict_proba(X).tobytes()


# ------------------------------------------------------------------------------------- the callbacks that scikit-learn brings


def scikit_learn_s(name, **arguments):
    module = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    if name == "ProgressBar":
        pytest.importorskip("rich")
    return getattr(module, name)(**arguments)


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, len(Y))])
def test_scoring_monitor(weight):
    monitor = scikit_learn_s("ScoringMonitor", scoring="accuracy")
    network = small_network(max_iter=3, input_shape=(6, 6)).set_callbacks(monitor).fit(FLAT, Y, weight)
    scores = {row["task_id_path"]: row["accuracy"] for row in monitor.get_logs().data}
    assert list(scores) == [(0,), (0, 0), (0, 1), (0, 2)]
    assert scores[0,] == scores[0, 2] == network.score(FLAT, Y, weight)
    assert scores[0, 0] == small_network(max_iter=1, input_shape=(6, 6)).fit(FLAT, Y, weight).score(FLAT, Y, weight)


def test_scoring_monitor_with_feature_names(recwarn):
    pandas = pytest.importorskip("pandas")
    monitor = scikit_learn_s("ScoringMonitor", scoring="accuracy")
    frame = pandas.DataFrame(FLAT, columns=[f"pixel {number}" for number in range(FLAT.shape[1])])
    small_network(max_iter=2, input_shape=(6, 6)).set_callbacks(monitor).fit(frame, Y)
    assert len(monitor.get_logs().data) == 3
    assert not recwarn.list


def test_scoring_monitor_in_a_pipeline():
    monitor = scikit_learn_s("ScoringMonitor", scoring="accuracy")
    network = small_network(max_iter=3, input_shape=(6, 6)).set_callbacks(monitor)
    make_pipeline(StandardScaler(), network).fit(FLAT, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == [0, 1, 2]


def searched(network, n_jobs=2):
    grid = {"convnetclassifier__n_filters": [2, 4]}
    search = GridSearchCV(make_pipeline(StandardScaler(), network), grid, cv=2, n_jobs=n_jobs)
    return search


def test_scoring_monitor_in_a_search_with_processes():
    monitor = scikit_learn_s("ScoringMonitor", scoring="accuracy")
    network = small_network(max_iter=3, input_shape=(6, 6)).set_callbacks(monitor)
    search = searched(network).fit(FLAT, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 5 * 3  # four fits and the last, of three epochs
    plain = searched(small_network(max_iter=3, input_shape=(6, 6))).fit(FLAT, Y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    best, expected = search.best_estimator_[-1], plain.best_estimator_[-1]
    assert fitted_arrays(best) == fitted_arrays(expected)
    pickle.loads(pickle.dumps(search)).predict(FLAT)


@pytest.mark.parametrize("surroundings", ["alone", "pipeline", "search"])
def test_progress_bar(surroundings, capsys):
    bar = scikit_learn_s("ProgressBar", **({} if surroundings == "alone" else {"max_propagation_depth": None}))
    network = small_network(max_iter=3, input_shape=(6, 6))
    estimators = {"alone": network, "pipeline": make_pipeline(StandardScaler(), network), "search": searched(network)}
    estimator = estimators[surroundings].set_callbacks(bar).fit(FLAT, Y)
    out = capsys.readouterr().out
    assert "ConvNetClassifier - fit" in out
    assert "100%" in out
    plain = small_network(max_iter=3, input_shape=(6, 6))
    if surroundings == "alone":
        assert fitted_arrays(estimator) == fitted_arrays(plain.fit(FLAT, Y))


def test_a_progress_bar_of_a_fit_that_stops_early_does_not_hang():
    bar = scikit_learn_s("ProgressBar")
    network = small_network(max_iter=500, tol=10.0, n_iter_no_change=2).set_callbacks(bar).fit(X, Y)
    assert network.n_iter_ == 3  # of 500 tasks that the bar expects
