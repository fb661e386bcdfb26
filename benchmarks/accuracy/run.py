"""Train settings on data sets, over several seeds: mean and spread of the accuracy, seconds, and the level of the kernels.

Seconds are those by the clock and those of the processors; the latter mean something where other programs run, too.

    python -m benchmarks.accuracy.run --list
    python -m benchmarks.accuracy.run --data digits --setting defaults
    python -m benchmarks.accuracy.run --data fashion --setting clothes --test
    python -m benchmarks.accuracy.run --data digits --setting "small digits" --folds 10

Without ``--test`` the accuracy is that on a fifth of the training part, held out with the seed: that is what settings are chosen
by. With ``--test`` the network is trained on the whole training part and the test part is looked at. With ``--folds`` it is the
mean of a stratified, shuffled cross-validation over both parts.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from benchmarks.accuracy.data import DATA
from benchmarks.accuracy.settings import SETTINGS
from benchmarks.results import append


def accuracy_of(data, parameters, seed, look_at_test):
    """Train one network; return accuracy, seconds of the fit, epochs and parameters."""
    from sklearn.model_selection import train_test_split

    X, y, X_test, y_test = data.X, data.y, data.X_test, data.y_test
    if not look_at_test:
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    return trained(parameters, seed, X, y, X_test, y_test)


def accuracy_of_folds(data, parameters, seed, n_folds):
    """Cross-validate over all samples; return what `accuracy_of` does: mean accuracy, and seconds of all fits."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    X, y = np.concatenate([data.X, data.X_test]), np.concatenate([data.y, data.y_test])
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, y)
    runs = [trained(parameters, seed, X[train], y[train], X[test], y[test]) for train, test in folds]
    sums = {key: sum(run[key] for run in runs) for key in ("seconds", "cpu_seconds")}
    return {**runs[0], **sums, "accuracy": statistics.mean(run["accuracy"] for run in runs)}


def trained(parameters, seed, X, y, X_test, y_test):
    """Train one network and test it."""
    from sklearn_cnn import ConvNetClassifier

    of_data = ("n_filters", "batch_size")  # a function says them for these images
    parameters = {name: value(X, y) if name in of_data and callable(value) else value for name, value in parameters.items()}
    started, cpu_started = time.perf_counter(), time.process_time()
    network = ConvNetClassifier(**parameters, random_state=seed).fit(X, y)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "accuracy": float(network.score(X_test, y_test)), "seconds": seconds, "cpu_seconds": cpu_seconds,
        "epochs": network.n_iter_, "parameters": network.n_parameters_,
    }  # fmt: skip


def run(name, setting, seeds, look_at_test, n_folds):
    """Run one setting on one data set over all seeds, and print a line."""
    from sklearn_cnn import _kernels

    data, parameters = DATA[name](), SETTINGS[setting]
    if n_folds:
        part, results = f"{n_folds} folds", [accuracy_of_folds(data, parameters, seed, n_folds) for seed in seeds]
    else:
        part = "test" if look_at_test else "held out"
        results = [accuracy_of(data, parameters, seed, look_at_test) for seed in seeds]
    accuracies, seconds, cpu_seconds = ([result[key] for result in results] for key in ("accuracy", "seconds", "cpu_seconds"))
    row = {
        "data": name, "setting": setting, "part": part, "level": _kernels.default_level(), "seeds": list(seeds),
        "mean": statistics.mean(accuracies), "spread": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "seconds": statistics.mean(seconds), "cpu_seconds": statistics.mean(cpu_seconds), "runs": results,
    }  # fmt: skip
    print(
        f"{name:24s} {setting:28s} {part:8s} {row['mean']:.4f} +- {row['spread']:.4f}  "
        f"{row['seconds']:8.1f} s  {row['cpu_seconds']:8.1f} s of processors  "
        f"{results[0]['epochs']:4d} epochs  {results[0]['parameters']:9,d} parameters  {row['level']}",
        flush=True,
    )
    return row


def main():
    """Read the command line, run, and append the rows to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=["digits"], choices=DATA)
    parser.add_argument("--setting", nargs="*", default=["defaults"], choices=SETTINGS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", action="store_true", help="train on the whole training part and look at the test part")
    parser.add_argument("--folds", type=int, default=0, help="cross-validate over all samples in so many folds")
    parser.add_argument("--list", action="store_true", help="name data and settings")
    parser.add_argument("--output", type=Path, help="append the rows to this file, one JSON object a line")
    arguments = parser.parse_args()
    if arguments.list:
        print("data:", *DATA)
        for name, parameters in SETTINGS.items():
            print(f"{name}: {parameters}")
        return 0
    for name in arguments.data:
        for setting in arguments.setting:
            row = run(name, setting, range(arguments.seeds), arguments.test, arguments.folds)
            if arguments.output:
                append(arguments.output, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
