"""Fits that are written to a file, killed, and taken up again."""

import copy
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from processes import run_python
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, fbeta_score, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cnn import Checkpoint, ConvNetRegressor, ImageAugmentation
from sklearn_cnn._estimator.callbacks import CallbackSupportMixin, with_callbacks
from sklearn_cnn._estimator.saving import Saving, interruption_explained
from sklearn_cnn._training import epochs, files

SETTINGS = {
    "adam": {},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.3},
    "one cycle": {"solver": "adamw", "learning_rate": "one_cycle"},
    "moments and masks": {"batch_norm": True, "dropout": [0.1, 0.3], "augment": ImageAugmentation(shift=1, flip="horizontal")},
    "held out": {"early_stopping": True, "learning_rate_init": 0.05},
    "scored": {"early_stopping": True, "scoring": "f1_macro", "learning_rate_init": 0.05, "class_weight": "balanced"},
    "a random state": {"random_state": np.random.RandomState(3)},
}


class Interruption:
    """Stops training, as if by Ctrl-C, before the epoch of that number is trained; counts epochs."""

    def __init__(self, monkeypatch):
        self.at, self.numbers, self._run_epoch = None, [], epochs.run_epoch
        monkeypatch.setattr(epochs, "run_epoch", self)

    def __call__(self, *arguments):
        number = arguments[5]
        if number == self.at:
            raise KeyboardInterrupt
        self.numbers.append(number)
        return self._run_epoch(*arguments)


@pytest.fixture
def interruption(monkeypatch):
    return Interruption(monkeypatch)


@pytest.mark.parametrize("name", SETTINGS)
def test_an_interrupted_fit_goes_on_to_the_same_bits(name, tmp_path, interruption):
    def network():
        return small_network(max_iter=7, batch_size=16, **copy.deepcopy(SETTINGS[name]))

    X, y = bars()
    whole = fitted_arrays(network().fit(X, y))
    interruption.numbers.clear()
    for interruption.at in (1, 3, 4, 6):
        with pytest.raises(KeyboardInterrupt):
            network().fit(X, y, checkpoint=tmp_path / "fit")
    interruption.at = None
    network = network().fit(X, y, checkpoint=tmp_path / "fit")
    assert fitted_arrays(network) == whole
    assert interruption.numbers == list(range(1, network.n_iter_ + 1))  # no epoch was trained twice
    assert sorted(os.listdir(tmp_path)) == ["fit"]


def test_a_regressor_goes_on_to_the_same_bits(tmp_path, interruption):
    X, y = bars()
    network = ConvNetRegressor(n_filters=4, max_iter=7, batch_size=16, learning_rate_init=1e-2, random_state=0)
    whole = fitted_arrays(clone(network).fit(X, y, X_val=X, y_val=y))
    interruption.at = 4
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y, X_val=X, y_val=y, checkpoint=tmp_path / "fit")
    interruption.at = None
    assert fitted_arrays(network.fit(X, y, X_val=X, y_val=y, checkpoint=tmp_path / "fit")) == whole


def test_a_fit_that_goes_on_with_warm_start_is_taken_up(tmp_path, interruption):
    X, y = bars()

    def started():
        return small_network(max_iter=4, warm_start=True, early_stopping=True).fit(X, y)

    whole = fitted_arrays(started().fit(X, y))
    network = started()
    interruption.at = 3
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y, checkpoint=tmp_path / "fit")
    interruption.at = None
    assert fitted_arrays(started().fit(X, y, checkpoint=tmp_path / "fit")) == whole
    with pytest.raises(ValueError, match=r"the state to go on from was .* there and is none here"):
        small_network(max_iter=4, warm_start=True, early_stopping=True).fit(X, y, checkpoint=tmp_path / "fit")


def test_without_a_random_state_the_fit_in_the_file_goes_on(tmp_path, interruption):
    X, y = bars()
    settings = {"random_state": None, "early_stopping": True, "max_iter": 5, "dropout": 0.2}
    interruption.at = 4
    with pytest.raises(KeyboardInterrupt):
        small_network(**settings).fit(X, y, checkpoint=tmp_path / "fit")
    copy = (tmp_path / "fit").read_bytes()
    interruption.at = None
    first = small_network(**settings).fit(X, y, checkpoint=tmp_path / "fit")
    (tmp_path / "fit").write_bytes(copy)
    assert fitted_arrays(small_network(**settings).fit(X, y, checkpoint=tmp_path / "fit")) == fitted_arrays(first)


def test_a_fit_that_has_ended_is_read_from_the_file(tmp_path, interruption):
    X, y = bars()
    network = small_network().fit(X, y, checkpoint=tmp_path / "fit")
    interruption.at = 1
    again = small_network(n_jobs=1, verbose=2).fit(X, y, checkpoint=tmp_path / "fit")
    assert fitted_arrays(again) == fitted_arrays(network)


def test_a_fit_that_stops_by_itself_does_not_go_on(tmp_path, interruption, monkeypatch):
    """The last epoch is not written as one that others follow, wherever the process is killed."""
    X, y = bars()
    settings = {"max_iter": 20, "tol": 10.0, "n_iter_no_change": 3}
    whole = small_network(**settings).fit(X, y)

    def killed(self, fitted):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_cnn._estimator.saving.Saving.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            small_network(**settings).fit(X, y, checkpoint=tmp_path / "fit")
    assert fitted_arrays(small_network(**settings).fit(X, y, checkpoint=tmp_path / "fit")) == fitted_arrays(whole)


def test_a_checkpoint_is_written_as_often_as_asked(tmp_path, interruption):
    X, y = bars()
    for every, expected in ((3, [4, 5, 6, 7]), (10, [1, 2, 3, 4, 5, 6, 7])):
        checkpoint = Checkpoint(tmp_path / f"fit-{every}", every=every)
        interruption.at = 6
        with pytest.raises(KeyboardInterrupt):
            small_network(max_iter=7).fit(X, y, checkpoint=checkpoint)
        interruption.at = None
        interruption.numbers.clear()
        small_network(max_iter=7).fit(X, y, checkpoint=checkpoint)
        assert interruption.numbers == expected


def as_callback(estimator, checkpoint):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    return estimator.set_callbacks(checkpoint)


def test_a_checkpoint_can_be_a_callback_of_a_step(tmp_path, interruption):
    X, y = bars()
    X = X.reshape(len(X), -1)

    def pipeline(*, saved):
        network = small_network(max_iter=7, input_shape=(6, 6))
        if saved:
            as_callback(network, Checkpoint(tmp_path / "fit", every=2))
        return make_pipeline(StandardScaler(), network)

    whole = fitted_arrays(pipeline(saved=False).fit(X, y)[-1])
    interruption.at = 6
    with pytest.raises(KeyboardInterrupt):
        pipeline(saved=True).fit(X, y)
    interruption.at = None
    interruption.numbers.clear()
    again = pipeline(saved=True).fit(X, y)[-1]
    assert interruption.numbers == [5, 6, 7]
    assert fitted_arrays(again) == whole
    assert fitted_arrays(clone(again).fit(StandardScaler().fit_transform(X), y)) == whole  # a clone writes there, too
    assert interruption.numbers == [5, 6, 7]


def test_one_checkpoint_is_enough(tmp_path):
    X, y = bars()
    network = as_callback(small_network(), Checkpoint(tmp_path / "fit"))
    with pytest.raises(ValueError, match=r"more than one checkpoint: Checkpoint\(.*fit', every=1\), '.*other'\. A fit"):
        network.fit(X, y, checkpoint=str(tmp_path / "other"))
    assert "_fitted" not in vars(network)
    assert os.listdir(tmp_path) == []


def test_a_callback_of_somebody_else_is_no_checkpoint(tmp_path):
    class Plotter(NoCallback):
        path, every = str(tmp_path / "curve.png"), 3

    as_callback(small_network(), Plotter()).fit(*bars())
    assert os.listdir(tmp_path) == []


class NoCallback:
    """Does nothing at each of the moments that a callback is called."""

    def setup(self, estimator, context):
        pass

    on_fit_task_begin = on_fit_task_end = teardown = setup


def test_a_checkpoint_says_whose_fits_it_cannot_write(tmp_path):
    class Foreign(CallbackSupportMixin, BaseEstimator):
        @with_callbacks
        def fit(self, X, y):
            self._init_callback_context()
            return self

    estimator = as_callback(Foreign(), Checkpoint(tmp_path / "fit"))
    with pytest.raises(TypeError, match=r"is set as a callback of Foreign, whose fit it cannot write\. Set it on a ConvNetC"):
        estimator.fit(*bars())


KILLED = """
    import os, random, signal, sys, time
    from images import bars, fitted_arrays, small_network
    from sklearn_cnn._training.files import read_whole

    X, y = bars(150)
    settings = dict(
        n_filters=(8, 8), max_iter=8, batch_size=8, batch_norm=True, dropout=0.2, early_stopping=True, n_iter_no_change=100,
        n_jobs=1,
    )
    path = sys.argv[1]

    def in_child(work):
        pid = os.fork()
        if pid == 0:
            work()
            os._exit(0)
        return pid

    def fit():
        small_network(**settings).fit(X, y, checkpoint=path)

    start = time.perf_counter()
    whole = small_network(**settings).fit(X, y)
    seconds = time.perf_counter() - start
    draw, places = random.Random(0), [0]

    def n_epochs():
        return (read_whole(path) or {"n_epochs": 0})["n_epochs"]

    while True:
        pid = in_child(fit)
        while n_epochs() == places[-1] < settings["max_iter"]:
            time.sleep(1e-4)
        time.sleep(draw.uniform(0, 2 * seconds / settings["max_iter"]))  # anywhere in the next two epochs and their writes
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            break
        places.append(n_epochs())
    resumed = small_network(**settings).fit(X, y, checkpoint=path)
    assert fitted_arrays(resumed) == fitted_arrays(whole)
    print(len(set(places)) - 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_fit_that_is_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path):
    code = KILLED.replace("sys.argv[1]", repr(str(tmp_path / "fit")))
    assert int(run_python(code)) >= 2  # it was killed at several places


# --------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("n_filters", {"n_filters": 5}),
        ("learning_rate_init", {"learning_rate_init": 0.02}),
        ("augment", {"augment": ImageAugmentation(shift=1)}),
        ("random_state", {"random_state": 1}),
        ("max_iter", {"max_iter": 6}),
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused(tmp_path, name, change):
    X, y = bars()
    small_network().fit(X, y, checkpoint=tmp_path / "fit")
    network = small_network(**change)
    with pytest.raises(ValueError, match=rf"checkpoint .*fit belongs to another fit: {name} was .* there and is .* here"):
        network.fit(X, y, checkpoint=tmp_path / "fit")
    assert "_fitted" not in vars(network)


def noise(batch, random_state, amount=0.0):
    return batch + amount


class Noise:
    def __init__(self, amount):
        self.amount = amount

    def __call__(self, batch, random_state):
        return batch + self.amount


def noise_of(amount):
    return lambda batch, random_state: batch + amount


CALLABLES = {
    "arguments of a partial": (lambda amount: {"augment": partial(noise, amount=amount)}, 0.0, 5.0),
    "state of an object": (lambda amount: {"augment": Noise(amount)}, 0.0, 5.0),
    "an array in the state": (lambda amount: {"augment": Noise(np.full(3, amount)[0])}, 0.0, 5.0),
    "a method": (lambda amount: {"augment": Noise(amount).__call__}, 0.0, 5.0),
    "what a function encloses": (lambda amount: {"augment": noise_of(amount)}, 0.0, 5.0),
    "another function": (lambda augment: {"augment": augment}, lambda X, state: X, lambda X, state: X + 5),
    "what a lambda calls": (lambda augment: {"augment": augment}, lambda X, state: np.sin(X), lambda X, state: np.cos(X)),
    "a metric": (lambda metric: {"scoring": make_scorer(metric)}, accuracy_score, balanced_accuracy_score),
    "a weighting": (lambda beta: {"scoring": make_scorer(fbeta_score, average="macro", beta=beta)}, 1.0, 2.0),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_checkpoint_of_another_callable_is_refused(tmp_path, name):
    X, y = bars()
    build, one, other = CALLABLES[name]
    network = small_network(early_stopping=True, **build(one)).fit(X, y, checkpoint=tmp_path / "fit")
    again = small_network(early_stopping=True, **build(one)).fit(X, y, checkpoint=tmp_path / "fit")
    assert again.loss_curve_ == network.loss_curve_
    with pytest.raises(ValueError, match=r"belongs to another fit: (augment|scoring) was .*\(digest"):
        small_network(early_stopping=True, **build(other)).fit(X, y, checkpoint=tmp_path / "fit")


def test_a_callable_is_described_the_same_in_every_process():
    code = """
        import threading, functools
        import numpy as np
        from sklearn.metrics import fbeta_score, make_scorer
        from sklearn_cnn._estimator.saving import in_words

        class Filter:
            __slots__ = ("names", "lock", "random", "itself")

            def __call__(self, X, random_state):
                return X

        def build():
            one = Filter()
            one.names, one.lock, one.itself = {"a", "b", "c", "d"}, threading.Lock(), one
            one.random = np.random.default_rng(0)
            def function(X, random_state, *, scale={"x": {3, 5}}):
                return function if X in {"p", "q", "r"} else one
            return function

        for value in build(), build().__closure__[1].cell_contents, functools.partial(build(), scale=np.ones(3)), np.add, str:
            print(in_words(value))
        print(in_words(make_scorer(fbeta_score, beta=2)))
    """
    told = [run_python(code, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == len(set(told[0].splitlines())) == 6


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    X, y = bars()
    small_network().fit(X, y, checkpoint=tmp_path / "fit")
    other = X.copy()
    other[37, 3, 3] += 1e-3
    weight = np.ones(len(y))
    for name, arguments in {
        "X was float32 of shape": (X[:-1], y[:-1]),
        "X was .* and is float64": (X.astype(float), y),
        "X was": (other, y),
        "y was": (X, y[::-1]),
        "sample_weight was None": (X, y, weight),
    }.items():
        with pytest.raises(ValueError, match=rf"belongs to another fit: {name}"):
            small_network().fit(*arguments, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match=r"belongs to another fit: X_val was not passed there"):
        small_network().fit(X, y, X_val=X, y_val=y, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match=r"belongs to another fit: the estimator was ConvNetClassifier"):
        ConvNetRegressor().fit(X, y, checkpoint=tmp_path / "fit")


def truncated(content):
    return content[: len(content) // 2]


def changed(content):
    place = 3 * len(content) // 4
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [truncated, changed, lambda content: b"", lambda content: b"something else"])
def test_a_file_that_is_no_whole_checkpoint_is_refused_and_left_alone(tmp_path, damage):
    X, y = bars()
    small_network().fit(X, y, checkpoint=tmp_path / "fit")
    damaged = damage((tmp_path / "fit").read_bytes())
    (tmp_path / "fit").write_bytes(damaged)
    network = small_network()
    with pytest.raises(ValueError, match=r"fit is damaged\. Put a whole copy|fit is no checkpoint that"):
        network.fit(X, y, checkpoint=tmp_path / "fit")
    assert "_fitted" not in vars(network)
    assert (tmp_path / "fit").read_bytes() == damaged


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_checkpoint_of_before(tmp_path, monkeypatch, interruption, function):
    X, y = bars()
    whole = small_network().fit(X, y)
    interruption.at = 3
    with pytest.raises(KeyboardInterrupt):
        small_network().fit(X, y, checkpoint=tmp_path / "fit")
    before = (tmp_path / "fit").read_bytes()
    interruption.at = None

    def full(*arguments):
        raise OSError("no space left on device")

    network = small_network()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, function, full)
        with pytest.raises(OSError, match="no space left"):
            network.fit(X, y, checkpoint=tmp_path / "fit")
    assert "_fitted" not in vars(network)
    assert (tmp_path / "fit").read_bytes() == before
    assert fitted_arrays(network.fit(X, y, checkpoint=tmp_path / "fit")) == fitted_arrays(whole)


@pytest.mark.parametrize("checkpoint", [3, True, "", object(), b"fit", Checkpoint])
def test_what_is_no_checkpoint_is_refused(checkpoint):
    X, y = bars()
    with pytest.raises(ValueError, match=r"checkpoint=.* is not valid.*for example checkpoint='fit.checkpoint'"):
        small_network().fit(X, y, checkpoint=checkpoint)


def test_a_checkpoint_needs_a_folder(tmp_path):
    X, y = bars()
    with pytest.raises(ValueError, match=r"checkpoint=.*fit' stands in the folder .*missing, which does not exist"):
        small_network(max_iter=10**6).fit(X, y, checkpoint=tmp_path / "missing" / "fit")
    with pytest.raises(ValueError, match=r"is a folder"):
        small_network(max_iter=10**6).fit(X, y, checkpoint=tmp_path)


@pytest.mark.parametrize("arguments", [(3,), ("",), (None,), (b"fit",), ("fit", 0), ("fit", 1.5), ("fit", True), ("fit", "2")])
def test_arguments_of_a_checkpoint(arguments):
    with pytest.raises(ValueError, match=r"(path|every)=.* is not valid for Checkpoint.*for example"):
        Checkpoint(*arguments)


def test_a_checkpoint_shows_how_to_make_another():
    assert repr(Checkpoint(Path("fit"), every=2)) == "Checkpoint('fit', every=2)"


def test_a_checkpoint_goes_through_a_pipeline(tmp_path):
    X, y = bars()
    pipeline = make_pipeline("passthrough", small_network())
    pipeline.fit(X, y, convnetclassifier__checkpoint=tmp_path / "fit")
    assert (tmp_path / "fit").exists()


class Witness:
    """A callback of scikit-learn that writes down what begins and ends."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.seen.append(f"end {context.task_name}")


def test_callbacks_see_the_epochs_that_are_trained(tmp_path, interruption):
    pytest.importorskip("sklearn.callback")
    X, y = bars()
    witness = Witness()
    interruption.at = 4
    with pytest.raises(KeyboardInterrupt):
        small_network().fit(X, y, checkpoint=tmp_path / "fit")
    interruption.at = None
    network = small_network().set_callbacks(witness)
    epoch, task = ["begin epoch", "end epoch"], ["begin fit", "end fit"]
    network.fit(X, y, checkpoint=tmp_path / "fit")
    assert witness.seen == ["setup", task[0], *epoch, *epoch, task[1], "teardown"]
    witness.seen.clear()
    network.fit(X, y, checkpoint=tmp_path / "fit")
    assert witness.seen == ["setup", *task, "teardown"]


# ----------------------------------------------------------------------------------------------------------------- Ctrl-C


def test_ctrl_c_says_what_has_become_of_the_estimator(tmp_path, interruption):
    X, y = bars()
    network = small_network()
    interruption.at = 3
    with pytest.raises(KeyboardInterrupt) as caught:
        network.fit(X, y)
    assert caught.value.__notes__ == ["The fit was interrupted, and this ConvNetClassifier is what it was before."]
    with pytest.raises(KeyboardInterrupt) as caught:
        network.fit(X, y, checkpoint=tmp_path / "fit")
    assert caught.value.__notes__[0].endswith(
        f" 2 epochs of it are in {tmp_path / 'fit'}: call fit with the same arguments to go on from there."
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        network.fit(X, y, checkpoint=Checkpoint(tmp_path / "seldom", every=5))
    assert caught.value.__notes__[0].endswith(f" No epoch of it had been written to {tmp_path / 'seldom'} yet.")
    (tmp_path / "fit").write_bytes(b"something else")
    saving = Saving(str(tmp_path / "fit"), 1)
    saving._identity = {"the estimator": "ConvNetClassifier"}
    with pytest.raises(KeyboardInterrupt) as caught, interruption_explained(network, saving):
        raise KeyboardInterrupt
    assert " What had been written of it cannot be read: " in caught.value.__notes__[0]
    interruption.at = 1
    with pytest.raises(KeyboardInterrupt) as caught:
        network.partial_fit(X, y, classes=[0, 1, 2])
    assert caught.value.__notes__ == ["The fit was interrupted, and this ConvNetClassifier is what it was before."]
    assert "_fitted" not in vars(network)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_real_ctrl_c_prints_how_to_go_on(tmp_path):
    code = (
        "import os, signal, sys, threading\n"
        "from images import bars, small_network\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def interrupt():\n"
        "    while not os.path.exists(sys.argv[1]):\n"
        "        pass\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "small_network(max_iter=10**7, n_iter_no_change=10**7).fit(*bars(), checkpoint=sys.argv[1])\n"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "fit")], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert result.returncode in (1, 130, -signal.SIGINT)
    assert "KeyboardInterrupt" in result.stderr
    assert "is what it was before." in result.stderr
    assert "call fit with the same arguments to go on from there" in result.stderr


def test_other_kernels_go_on_with_a_warning(tmp_path, interruption, monkeypatch):
    X, y = bars()
    interruption.at = 2
    with pytest.raises(KeyboardInterrupt):
        small_network().fit(X, y, checkpoint=tmp_path / "fit")
    interruption.at = None
    monkeypatch.setattr("sklearn_cnn._estimator.saving.default_level", lambda: "another")
    with pytest.warns(UserWarning, match=r"fit was written with the kernels for .*, and those for another are in use"):
        network = small_network().fit(X, y, checkpoint=tmp_path / "fit")
    assert network.n_iter_ == 5
