"""What only shows after many calls, or where memory ends: leaks, a limit on memory, and an hour of everything at once.

Leaks: the memory of this process before and behind many calls, in rounds; what grows in every round is lost, and 2 KiB a call
are too much. Memory: fits and predictions in a process that may have less and less memory. They lead to the same bits or raise
MemoryError, and the estimator is what it was; the process goes on. Soak: random fits, each with everything that has to be true
of it: it is the same again, on one thread and on two, from a pickle, alone and in a batch, and while four threads predict at
once.

    python tests/endurance.py --seconds 3600 --seed 7
    python tests/endurance.py --only soak --seed 7 --first 123 --steps 1          replays one step, as printed with a failure
"""

import argparse
import ctypes
import gc
import pickle
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from copies import output_of, python_in
from fits import COMMON, fits, images
from sklearn.base import clone

import sklearn_cnn
from sklearn_cnn import ConvNetClassifier, ConvNetTransformer, functional

KIB = 1024
MOST_LOST = 2 * KIB  # bytes a call
ROUNDS = 5


def resident():
    """Bytes of memory that this process has in use."""
    gc.collect()
    with suppress(AttributeError):  # what the allocator keeps for later is no leak; not every C library has it
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 * KIB


# --------------------------------------------------------------------------------------------------------------------- leaks


def growth(call, n_calls):
    """Bytes that every call costs for good: the second least of several rounds, behind one that is not counted.

    The least may be one in which the system got memory back."""
    for _ in range(n_calls):
        call()
    gc.collect()
    gc.freeze()  # what was there before is not looked through again in every round
    grown = []
    for _ in range(ROUNDS):
        before = resident()
        for _ in range(n_calls):
            call()
        grown.append((resident() - before) / n_calls)
    gc.unfreeze()
    return sorted(grown)[1]


def failing(call, *expected):
    """Return a call that has to fail."""
    def run():
        try:
            call()
        except expected:
            return
        raise AssertionError("it did not fail")

    return run


def calls(share):
    """Name -> (call, how often); share: of the long form."""
    every = list(fits().values())
    turn = iter(range(10**9))
    X, y = images(40, 8, 8)
    network = ConvNetClassifier(**COMMON, n_filters=3).fit(X, y)
    maps = functional.conv2d(X[..., None], np.ones((5, 1, 3, 3), np.float32))

    def fails_in_the_middle(estimator, X, y):
        if estimator.n_iter_ == 1:
            raise KeyError
        return 0.5

    scored = ConvNetClassifier(**COMMON, n_filters=3, scoring=fails_in_the_middle)
    table = {
        "fits of every kind": (lambda: every[next(turn) % len(every)].run(), 300),
        "partial_fit": (lambda: network.partial_fit(X, y), 300),
        "predictions": (lambda: network.predict_proba(X), 5000),
        "predictions of one image": (lambda: network.predict(X[:1]), 5000),
        "fits that fail in the middle": (failing(lambda: scored.fit(X, y, X_val=X, y_val=y), KeyError), 500),
        "fits that diverge": (
            failing(lambda: clone(network).set_params(learning_rate_init=1e20, batch_norm=False).fit(X, y), ValueError), 500),
        "fits that are refused": (failing(lambda: clone(network).set_params(n_filters=0).fit(X, y), ValueError), 500),
        "images that are refused": (failing(lambda: network.predict(X * np.nan), ValueError), 500),
        "pickles": (lambda: pickle.loads(pickle.dumps(network)).predict(X), 500),
        "features": (lambda: ConvNetTransformer(network, prefit=True).fit(X).transform(X), 300),
        "convolutions": (lambda: functional.conv2d_backward(maps, X[..., None], np.ones((5, 1, 3, 3), np.float32)), 2000),
    }  # fmt: skip
    try:
        from sklearn_cnn.onnx import from_onnx, to_onnx

        table["ONNX and back"] = lambda: from_onnx(to_onnx(network)).predict(X), 100
    except ImportError:
        print("ONNX is not installed: not looked at")
    turns = {name: max(1, int(n * share) // len(every)) for name, (_, n) in table.items()}  # whole ones: every round is the same
    return {name: (call, turns[name] * len(every)) for name, (call, _) in table.items()}


def find_leaks(share=1.0):
    """Return what is lost, as words."""
    lost = []
    for name, (call, n_calls) in calls(share).items():
        per_call = growth(call, n_calls)
        print(f"{name}: {per_call:.0f} bytes a call, in {ROUNDS} rounds of {n_calls}", flush=True)
        if per_call >= MOST_LOST:
            lost.append(f"{name} lose {per_call:.0f} bytes a call")
    return lost


# -------------------------------------------------------------------------------------------------------------------- memory

LIMITED = """
import pickle, resource, sys
import numpy as np
from sklearn_cnn import ConvNetClassifier
from sklearn_cnn._network import network as networks

X = np.random.default_rng(0).random((100, 64, 64)).astype(np.float32)
y = np.arange(100) % 3
network = ConvNetClassifier((24, 24), hidden_layer_sizes=300, batch_size=50, max_iter=1, random_state=0, n_jobs=1)
expected = pickle.dumps(network.fit(X, y)._fitted["parameters"]), network.predict_proba(X).tobytes()
network = pickle.loads(pickle.dumps(network))
before = pickle.dumps(network)


def size():
    return int(open("/proc/self/status").read().split("VmSize:")[1].split()[0]) * 1024


def forget_workspaces():  # a prediction would find the memory of the one before
    networks._large_ones.clear()
    networks._idle_workspaces.cache_clear()


outcomes = {}
for megabytes in map(int, sys.argv[1:]):
    resource.setrlimit(resource.RLIMIT_AS, (size() + megabytes * 2**20, resource.RLIM_INFINITY))
    for name, call in (("fit", lambda: network.fit(X, y)), ("predict", lambda: network.predict_proba(X))):
        forget_workspaces()
        try:
            result = call()
            outcome = "done"
        except MemoryError:
            outcome, result = "MemoryError", None
        outcomes.setdefault(f"{name}: {outcome}", []).append(megabytes)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        if outcome == "MemoryError":
            assert pickle.dumps(network) == before, "the estimator has changed"
        elif name == "fit":
            assert pickle.dumps(result._fitted["parameters"]) == expected[0], "other bits"
            network = pickle.loads(before)
        else:
            assert result.tobytes() == expected[1], "other bits"
        resource.setrlimit(resource.RLIMIT_AS, (size() + megabytes * 2**20, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
print(outcomes)
"""


def limit_memory(megabytes=(*range(60), *range(60, 200, 5), 1000)):
    """Return what goes wrong in a process that may take so much more memory than it has, or so much, as words."""
    folder = Path(sklearn_cnn.__file__).parent.parent
    # malloc gives large blocks back at once, so that the limit is met again and again
    environment = python_in(folder, MALLOC_MMAP_THRESHOLD_="65536")
    status, output = output_of([sys.executable, "-P", "-W", "ignore", "-c", LIMITED, *map(str, megabytes)], environment)
    print(f"megabytes left, and what became of it: {output.strip()[-1000:]}", flush=True)
    both_ways = [f"'{call}: {outcome}'" for call in ("fit", "predict") for outcome in ("MemoryError", "done")]
    if status != 0 or not all(way in output for way in both_ways):
        return [f"with little memory (status {status}): {output[-1500:]}"]
    return []


# ---------------------------------------------------------------------------------------------------------------------- soak


def soak_step(seed, number):
    """Fit something, and look at all that has to be true of it; returns its name."""
    draw = np.random.default_rng([seed, number])
    table = fits()
    name = sorted(table)[draw.integers(len(table))]
    fit = table[name]
    seed_of_fit, batch_size, max_iter = (int(draw.integers(low, high)) for low, high in ((0, 2**31), (1, 41), (1, 5)))
    fit.estimator.set_params(random_state=seed_of_fit, batch_size=batch_size, max_iter=max_iter)
    network = fit.run(n_jobs=1)
    parameters, answers = network._fitted["parameters"].tobytes(), scores(network, fit.X)
    assert np.isfinite(answers).all()
    again = clone(network).set_params(n_jobs=2).fit(fit.X, fit.y, sample_weight=fit.sample_weight)
    assert again._fitted["parameters"].tobytes() == parameters, "two threads, or a second time: other bits"
    loaded = pickle.loads(pickle.dumps(network))
    assert scores(loaded, fit.X).tobytes() == answers.tobytes(), "from a pickle: other bits"
    rows = draw.permutation(len(fit.X))[: draw.integers(1, len(fit.X))]
    assert scores(network, fit.X[rows]).tobytes() == answers[rows].tobytes(), "in another batch: other bits"
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: scores(network, fit.X).tobytes(), range(8)))
    assert set(together) == {answers.tobytes()}, "at the same time: other bits"
    if hasattr(network, "partial_fit"):
        went_on = [one.partial_fit(fit.X, fit.y)._fitted["parameters"].tobytes() for one in (network, loaded)]
        assert went_on[0] == went_on[1], "going on from a pickle: other bits"
    assert scores(network.export(), fit.X[:3]).tobytes() == scores(network, fit.X[:3]).tobytes(), "exported: other bits"
    return name


def scores(network, X):
    return network.decision_function(X) if hasattr(network, "decision_function") else network.predict(X)


def soak(seed, seconds, first=0, n_steps=None):
    """Take random steps for a while; returns (how many of each kind, failures)."""
    counts, failures, started = Counter(), [], time.monotonic()
    number, early = first, None
    while (number - first < n_steps) if n_steps else (time.monotonic() - started < seconds):
        try:
            counts[soak_step(seed, number)] += 1
        except Exception as error:
            failures.append(f"{error!r:.500}\n    python tests/endurance.py --only soak --seed {seed} --first {number} --steps 1")
        number += 1
        if early is None and time.monotonic() - started > seconds / 4:
            early = number, resident()
    if early is not None and number > early[0]:
        grown = resident() - early[1]
        print(f"soak: {grown / KIB:.0f} KiB more than after a quarter of the time, {number - early[0]} steps before", flush=True)
        if grown > 32 * KIB * KIB + (number - early[0]) * MOST_LOST:
            failures.append(f"the soak has lost {grown} bytes in {number - early[0]} steps")
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600, help="of the soak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("leaks", "memory", "soak"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, help="of the soak, instead of a time")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    failures = []
    if arguments.only in (None, "leaks"):
        failures += find_leaks()
    if arguments.only in (None, "memory"):
        failures += limit_memory()
    if arguments.only in (None, "soak"):
        counts, more = soak(arguments.seed, arguments.seconds, arguments.first, arguments.steps)
        print(f"soak, seed {arguments.seed}: {counts.total()} steps held of {len(counts)} kinds, {len(more)} failed")
        failures += more
    print("\n".join(failures) or "nothing was lost, nothing went wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
