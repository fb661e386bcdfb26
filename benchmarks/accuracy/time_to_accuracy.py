"""Seconds from a cold start to an accuracy on Fashion-MNIST: the same network and the same recipe for every contender.

    python -m benchmarks.accuracy.time_to_accuracy
    python -m benchmarks.accuracy.time_to_accuracy --epochs 2 3 --seeds 3 --output rows.jsonl

Every run is a process of its own, pinned to as many processors as it has threads. Its clock starts before the interpreter does
and stops when the held-out images are predicted: import, standardising, compiling, training and predicting all count. The
seconds of the processors stand beside those of the clock; with one thread they mean something where other programs run, too.
Contenders take turns. A cycle of the learning rate ends where training ends, so an accuracy is not passed on the way: each
number of epochs is a training of its own, and the shortest that reaches the accuracy with every seed counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.accuracy.data import fashion_mnist
from benchmarks.accuracy.recipe import CONTENDERS
from benchmarks.results import append

N_HELD_OUT = 10_000


def train(contender, folder, *numbers):
    """Train one contender and print its accuracy: what the process does that is measured."""
    X, y, X_test, y_test = (np.load(folder / f"{name}.npy") for name in ("X", "y", "X_test", "y_test"))
    predicted = CONTENDERS[contender](X, y, X_test, *numbers)
    print(float(np.mean(predicted == y_test)))


def measured(contender, folder, n_epochs, batch_size, seed, n_threads):
    """Run `train` in a process of its own; return accuracy, seconds by the clock and seconds of the processors."""
    names = [contender, folder, *map(str, (n_epochs, batch_size, seed, n_threads))]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(n_threads)}
    started, used = time.perf_counter(), cpu_seconds_of_children()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.accuracy.time_to_accuracy", "--one", *names],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet,
    )  # fmt: skip
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:n_threads])
    output, errors = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{contender} failed:\n{errors}")
    return float(output.split()[-1]), seconds, cpu_seconds_of_children() - used


def cpu_seconds_of_children():
    """Return the seconds of the processors that processes have used which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def compared(contenders, epochs, batch_size, seeds, n_threads, accuracy):
    """Train longer and longer until every contender reaches the accuracy with every seed; yield a row for each training."""
    from sklearn_cnn import _kernels

    data = fashion_mnist()
    left = list(contenders)
    with tempfile.TemporaryDirectory() as folder:
        from sklearn.model_selection import train_test_split

        parts = train_test_split(data.X, data.y, test_size=N_HELD_OUT, stratify=data.y, random_state=0)
        for name, part in zip(("X", "X_test", "y", "y_test"), parts, strict=True):
            np.save(Path(folder, f"{name}.npy"), part)
        for n_epochs in epochs:
            runs = {contender: [] for contender in left}
            for seed in seeds:
                for contender in left:
                    runs[contender].append(measured(contender, folder, n_epochs, batch_size, seed, n_threads))
            for contender, results in runs.items():
                accuracies, seconds, cpu_seconds = zip(*results, strict=True)
                yield {
                    "contender": contender, "epochs": n_epochs, "batch_size": batch_size, "threads": n_threads,
                    "level": _kernels.default_level(),
                    "accuracies": accuracies, "seconds": seconds, "cpu_seconds": cpu_seconds,
                    "reached": min(accuracies) >= accuracy,
                }  # fmt: skip
                if min(accuracies) >= accuracy:
                    left.remove(contender)
            if not left:
                return


def main():
    """Read the command line, run, print a line for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--epochs", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--accuracy", type=float, default=0.92)
    parser.add_argument("--output", type=Path, help="append the rows to this file, one JSON object a line")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        contender, folder, *numbers = arguments.one
        train(contender, Path(folder), *map(int, numbers))
        return 0
    rows = compared(
        arguments.contenders,
        arguments.epochs,
        arguments.batch_size,
        range(arguments.seeds),
        arguments.threads,
        arguments.accuracy,
    )
    for row in rows:
        print(
            f"{row['contender']:12s} {row['epochs']:2d} epochs  {statistics.mean(row['accuracies']):.4f} "
            f"({min(row['accuracies']):.4f} to {max(row['accuracies']):.4f})  {statistics.median(row['seconds']):6.1f} s, "
            f"{statistics.median(row['cpu_seconds']):6.1f} s of processors{'  reached' if row['reached'] else ''}",
            flush=True,
        )
        if arguments.output:
            append(arguments.output, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
