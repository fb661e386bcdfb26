"""A call that fails, wherever it fails, leaves the estimator and the process as they were.

Every line of this package that a call runs is made to raise, once for its first and once for a later visit; then the pickled
estimator has to be the same bytes as before, the process has to be as it was, and the same call without a fault has to lead to
the very bits that it leads to anyway. Then calls are interrupted at random moments, between any two instructions of anything
that Python runs.

A fit publishes its new state by one assignment. What is raised behind that assignment comes too late: the estimator then has
the whole of the new state, never a part of it.

    python tests/faults.py                                  every line, 300 interrupts for each call
    python tests/faults.py --case "partial_fit again" --point sklearn_cnn/_training/epochs.py:139:2
"""

import argparse
import linecache
import os
import pickle
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
from fits import EVERYTHING, images, noise
from sklearn.base import BaseEstimator
from threadpoolctl import ThreadpoolController

import sklearn_cnn
from sklearn_cnn import Checkpoint, ConvNetClassifier, ConvNetRegressor, ConvNetTransformer

PACKAGE = str(Path(sklearn_cnn.__file__).parent) + os.sep
COMMON = {"n_filters": 2, "max_iter": 3, "batch_size": 8, "random_state": 0, "learning_rate_init": 1e-2, "n_jobs": 1}
X, Y = images(24, 6, 6)
WEIGHT = np.linspace(0, 2, 24)
LIBRARIES = ThreadpoolController()


class Fault(Exception):
    """What a line is made to raise, when it is no interrupt."""


@dataclass(frozen=True)
class Case:
    """A call that changes an estimator, or reads it.

    make: returns the estimator; a function of a folder, where files may be. call: gets it and the same folder."""

    make: Callable
    call: Callable


def classifier(**settings):
    return ConvNetClassifier(**{**COMMON, **settings})


def fitted(**settings):
    return classifier(**settings).fit(X[::-1], Y)


def accuracy(estimator, X, y):
    """Score a model; what a caller may pass as scoring."""
    if estimator.n_iter_ == ENDS["in epoch"]:
        raise Enough
    return float((estimator.predict(X) == y).mean())


ENDS = {"in epoch": None}


class Enough(Exception):
    """Ends a fit whose checkpoint is to go on from."""


def begun_fit(folder):
    """Return an estimator for a checkpoint that two epochs stand in."""
    ENDS["in epoch"] = 2
    try:
        fit_with_checkpoint(classifier(scoring=accuracy), folder)
    except Enough:
        return classifier(scoring=accuracy)
    finally:
        ENDS["in epoch"] = None
    raise AssertionError("the fit was not interrupted")


def fit_with_checkpoint(network, folder):
    return network.fit(X, Y, X_val=X[:9], y_val=Y[:9], checkpoint=Checkpoint(folder / "fit.checkpoint"))


CASES = {
    "fit": Case(lambda folder: classifier(), lambda network, folder: network.fit(X, Y)),
    "fit again": Case(lambda folder: fitted(dropout=0.3, hidden_layer_sizes=5), lambda network, folder: network.fit(X, Y)),
    "random state of the caller": Case(
        lambda folder: classifier(random_state=np.random.RandomState(3)), lambda network, folder: network.fit(X, Y, WEIGHT)),
    "warm start": Case(lambda folder: fitted(warm_start=True, augment=EVERYTHING), lambda network, folder: network.fit(X, Y)),
    "validation data": Case(
        lambda folder: fitted(scoring=accuracy, solver="sgd", n_iter_no_change=1, learning_rate="adaptive"),
        lambda network, folder: network.fit(X, Y, X_val=X[:9], y_val=Y[:9])),
    "part held out": Case(
        lambda folder: fitted(early_stopping=True, class_weight="balanced", label_smoothing=0.1, augment=noise),
        lambda network, folder: network.fit(X, np.array(["no", "yes"])[Y % 2], WEIGHT)),
    "lbfgs": Case(lambda folder: fitted(solver="lbfgs"), lambda network, folder: network.fit(X, Y)),
    "first partial_fit": Case(
        lambda folder: classifier(), lambda network, folder: network.partial_fit(X, Y, classes=[0, 1, 2, 3])),
    "partial_fit again": Case(
        lambda folder: fitted(solver="adamw", pooling="average"),
        lambda network, folder: network.partial_fit(X, Y, sample_weight=WEIGHT)),
    "several labels": Case(
        lambda folder: classifier(weight_sharing=False),
        lambda network, folder: network.fit(X, np.stack([Y == 0, Y == 1], axis=1) * 1)),
    "numbers": Case(
        lambda folder: ConvNetRegressor(**COMMON).fit(X, X[:, 0, 0]), lambda network, folder: network.fit(X, X[:, 0, :2])),
    "checkpoint": Case(lambda folder: fitted(scoring=accuracy), fit_with_checkpoint),
    "checkpoint that goes on": Case(begun_fit, fit_with_checkpoint),
    "features": Case(lambda folder: ConvNetTransformer(fitted()), lambda network, folder: network.fit(X, Y)),
    "prediction": Case(lambda folder: fitted(), lambda network, folder: network.predict_proba(X)),
    "maps": Case(lambda folder: fitted(), lambda network, folder: network.feature_maps(X)),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- what is compared


def content(value):
    """What a value consists of, arrays as bytes, so that two of them can be compared."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, np.random.RandomState):
        return content(value.get_state())
    if isinstance(value, BaseEstimator):
        return type(value).__name__, content(value.__getstate__())  # without what scikit-learn's callbacks leave of a running fit
    if isinstance(value, dict):
        return {name: content(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(content, value))
    return value


def process():
    """What of the process a call must not leave changed."""
    return {
        "environment": dict(os.environ),
        "NumPy's errors": np.geterr(),
        "NumPy's random numbers": content(np.random.mtrand._rand),
        "warnings": list(map(str, warnings.filters)),
        "scikit-learn": sklearn.get_config(),
        "threads": [library["num_threads"] for library in LIBRARIES.info()],
        "signals": signal.getsignal(signal.SIGINT),
    }


def expected_of(case):
    """Return what the estimator is behind the call, and what the call returns."""
    with tempfile.TemporaryDirectory() as folder:
        network = copy_of(case.make(Path(folder)))
        answer = case.call(network, Path(folder))
        return content(network), content(None if answer is network else answer)


def copy_of(network):
    return pickle.loads(pickle.dumps(network))


def published(content):
    """What one assignment publishes: all but a random stream of the caller's, which moves on behind it."""
    kind, values = content
    return kind, {name: value for name, value in values.items() if name != "random_state"}


def examine(case, expected, provoke, everything=True):
    """Let a call fail; returns what became of it, or raises AssertionError.

    provoke: gets a function without arguments, and calls it so that it fails; returns whether it did. everything: the process has
    to be as it was, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = copy_of(case.make(folder))
        before, around, was = pickle.dumps(network), process(), content(network)
        failed = provoke(lambda: case.call(network, folder))
        now = process()
        changed = [what for what in now if now[what] != around[what]]
        assert not (changed and everything), f"changed: {changed}"
        after = content(network)
        if not failed:
            assert after == expected[0], "the call went on, and led to something else"
            return "went on"
        if after != was:
            assert published(after) == published(expected[0]), "a part of the state has changed"
            return "came too late"
        assert pickle.dumps(network) == before, "the pickled estimator has other bytes"
        answer = case.call(network, folder)
        assert content(network) == expected[0], "the same call has led to something else afterwards"
        assert content(None if answer is network else answer) == expected[1], "the same call has another answer afterwards"
        return "nothing changed"


# -------------------------------------------------------------------------------------------------------------------- faults


def visits(call, prefix=PACKAGE):
    """Count how often each line of the package, or of other files, is run; `prefix` is what their paths begin with."""
    counts = Counter()

    def see_line(frame, event, argument):
        if event == "line":
            counts[frame.f_code.co_filename, frame.f_lineno] += 1
        return see_line

    def see_call(frame, event, argument):
        return see_line if frame.f_code.co_filename.startswith(prefix) else None

    sys.settrace(see_call)
    try:
        call()
    finally:
        sys.settrace(None)
    return counts


def fault_at(file, line, visit, kind):
    """Return a function for `examine` that raises at a line the visit-th time it is about to run."""
    def provoke(call):
        left = visit

        def see_line(frame, event, argument):
            nonlocal left
            if event == "line" and frame.f_lineno == line:
                left -= 1
                if left == 0:
                    raise kind("planted")
            return see_line

        def see_call(frame, event, argument):
            return see_line if frame.f_code.co_filename == file else None

        sys.settrace(see_call)
        try:
            call()
        except BaseException as error:  # perhaps another one, which has come of it
            while error is not None and str(error) != "planted":
                error = error.__cause__ or error.__context__
            if error is None:
                raise
            return True
        finally:
            sys.settrace(None)
        return False

    return provoke


def begins_block(file, line):
    return linecache.getline(file, line).lstrip().startswith("with ")


def points_of(case, seed):
    """Every line that the call runs with its first visit and, where there are more, another one; in a random order.

    The line of a `with` statement comes again when its block ends, where Python runs nothing that could raise."""
    with tempfile.TemporaryDirectory() as folder:
        network = copy_of(case.make(Path(folder)))
        counts = visits(lambda: case.call(network, Path(folder)))
    draw = random.Random(seed)
    points = [(*place, 1) for place in counts]
    points += [(*place, draw.randint(2, n)) for place, n in counts.items() if n > 1 and not begins_block(*place)]
    draw.shuffle(points)
    return points


def inject(name, seed, n_points=None):
    """Let lines raise, all or so many; returns (what became of each, failures)."""
    case = CASES[name]
    expected = expected_of(case)
    outcomes, failures = Counter(), []
    for number, (file, line, visit) in enumerate(points_of(case, seed)[:n_points]):
        kind = (Fault, KeyboardInterrupt, MemoryError)[number % 3]
        try:
            outcomes[examine(case, expected, fault_at(file, line, visit, kind))] += 1
        except Exception as error:
            place = f"sklearn_cnn/{Path(file).relative_to(PACKAGE)}:{line}:{visit}"
            replay = f"python tests/faults.py --case {name!r} --point {place} --kind {number % 3}"
            failures.append(f"{kind.__name__}: {error!r:.300}\n    {replay}")
    return outcomes, failures


# ---------------------------------------------------------------------------------------------------------------- interrupts


def interrupt_after(seconds):
    """Return a function for `examine` that interrupts a call after so long."""
    def provoke(call):
        running = True

        def interrupt(number, frame):
            if running:
                raise KeyboardInterrupt

        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            call()
            running = False
            return False
        except KeyboardInterrupt:
            return True
        finally:
            running = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    return provoke


def interrupt(name, seed, n_times):
    """Interrupt a call at random moments; returns (what became of each, failures)."""
    case = CASES[name]
    expected = expected_of(case)
    with tempfile.TemporaryDirectory() as folder:
        network = copy_of(case.make(Path(folder)))
        started = time.perf_counter()
        case.call(network, Path(folder))
        seconds = time.perf_counter() - started
    draw, outcomes, failures = random.Random(seed), Counter(), []
    for number in range(n_times):
        try:
            moment = interrupt_after(draw.uniform(1e-5, 1.1 * seconds))
            # of the process nobody can say anything: what another library is about to put back, it may not put back
            outcomes[examine(case, expected, moment, everything=False)] += 1
        except Exception as error:
            failures.append(f"interrupt {number} of {name!r}, seed {seed}: {error!r:.300}")
    return outcomes, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, help="lines of each call; all where nothing is said")
    parser.add_argument("--interrupts", type=int, default=300, help="of each call")
    parser.add_argument("--case", choices=CASES, help="this call alone")
    parser.add_argument("--point", help="with --case: file, line and visit, as printed with a failure")
    parser.add_argument("--kind", type=int, default=0, help="with --point: which exception, as printed")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.point:
        file, line, visit = arguments.point.rsplit(":", 2)
        kind = (Fault, KeyboardInterrupt, MemoryError)[arguments.kind]
        case = CASES[arguments.case]
        provoke = fault_at(PACKAGE + file.removeprefix("sklearn_cnn/"), int(line), int(visit), kind)
        print(examine(case, expected_of(case), provoke))
        return 0
    all_failures = []
    for name in [arguments.case] if arguments.case else CASES:
        faults, failures = inject(name, arguments.seed, arguments.points)
        interrupts, more = interrupt(name, arguments.seed, arguments.interrupts)
        print(f"{name}: faults {dict(faults)}, interrupts {dict(interrupts)}, failures {len(failures) + len(more)}", flush=True)
        all_failures += failures + more
    print(f"seed {arguments.seed}")
    print("\n".join(all_failures) or "every failed call has left everything as it was")
    return 1 if all_failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
