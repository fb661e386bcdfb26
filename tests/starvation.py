"""Fits and predictions of random networks where the system has no room for the threads that are asked for: the bits of one
thread, or MemoryError and an estimator that is what it was; the process goes on.

Every case is a process of its own, because threads that have been started stay. It draws a network, a number of threads, how
large the stacks of these are to be, and how much address space is left.

    python tests/starvation.py --cases 200 --seed 7
    python tests/starvation.py --seed 7 --first 123 --cases 1             replays one, as printed with a failure
"""

import argparse
import os
import resource
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from problems import choose

from sklearn_cnn import ConvNetClassifier, _kernels

SECONDS = 120


def bits_of(network, X):
    return network._fitted["parameters"].tobytes() + network.predict_proba(X).tobytes()


def run_case(seed, number):
    """Say what became of one case, in this process."""
    random_state = np.random.default_rng([seed, number])
    settings = choose(random_state, {}, {"batch_norm": False}, {"hidden_layer_sizes": 300}, {"solver": "sgd", "kernel_size": 5})
    side, n_filters = choose(random_state, 20, 28), choose(random_state, 8, 16)
    X, y = random_state.standard_normal((64, side, side)).astype(np.float32), np.arange(64) % 2
    network = ConvNetClassifier(n_filters, batch_size=64, max_iter=1, random_state=0, n_jobs=1, **settings)
    expected = bits_of(network.fit(X, y), X)
    before = network._fitted
    n_threads, megabytes = choose(random_state, 2, 3, 8, 64, 1024), choose(random_state, 0, 4, 12, 30, 60, 150, 400)
    size = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 2**20, resource.RLIM_INFINITY))
    _kernels.kernels().take_region_records()
    try:
        found = bits_of(network.set_params(n_jobs=n_threads).fit(X, y), X)
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if network._fitted is before:  # else the fit was done, and the prediction had no room
            network.set_params(n_jobs=1)
        assert bits_of(network, X) == expected, "another model"
        return "MemoryError"
    assert found == expected, f"other bits with {n_threads} threads and {megabytes} MB"
    threads = max(threads for _, threads in _kernels.kernels().take_region_records().values())
    return "on one thread" if threads == 1 else "on fewer threads" if threads < n_threads else "on all threads"


def run(seed, number):
    """Run one case in a process; returns what became of it, or raises AssertionError."""
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "OMP_STACKSIZE")}
    environment |= choose(np.random.default_rng([seed, number, 1]), {}, {"OMP_STACKSIZE": "1M"}, {"OMP_STACKSIZE": "64M"})
    command = [sys.executable, "-P", __file__, "--child", str(seed), str(number)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)
    assert child.returncode == 0, f"the process ended with {child.returncode}: {child.stderr[-2000:]}"
    return child.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.child:
        print(run_case(*options.child))
        return 0
    counts, failures = Counter(), []
    for number in range(options.first, options.first + options.cases):
        try:
            counts[run(options.seed, number)] += 1
        except (AssertionError, subprocess.TimeoutExpired) as error:
            replay = f"python tests/starvation.py --seed {options.seed} --first {number} --cases 1"
            failures.append(f"{error!s:.2500}\n    {replay}")
    print(f"seed {options.seed}: {dict(counts)}, {len(failures)} failed", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
