"""Print what the defaults reach with few samples, beside other settings: `python -m benchmarks.accuracy.few_samples`.

Digits, some of them to train on and all the others to score on, in six splits. An epoch of few samples is few updates:
mini-batches of 8 make four times as many of them as the default of 32.
"""

import argparse
import statistics
import sys
import warnings

SETTINGS = {
    "defaults": {},
    "batches of 8": {"batch_size": 8},
    "60 epochs": {"max_iter": 60},
    "batches of 8, 60 epochs": {"batch_size": 8, "max_iter": 60},
}


def accuracies(n_samples, parameters, n_splits):
    """Train on so many digits of each split; return the accuracies on the others."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from sklearn_cnn import ConvNetClassifier

    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype("float32")
    found = []
    for seed in range(n_splits):
        X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=n_samples, stratify=y, random_state=seed)
        network = ConvNetClassifier(random_state=seed, n_jobs=1, **parameters).fit(X_train, y_train)
        found.append(network.score(X_rest, y_rest))
    return found


def main(arguments=None):
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[40, 100, 200, 400, 800])
    parser.add_argument("--splits", type=int, default=6)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # training may have further to go; that is what is measured
    print(f"| samples | {' | '.join(SETTINGS)} |")
    print(f"|{'---|' * (1 + len(SETTINGS))}")
    for n_samples in options.samples:
        found = [accuracies(n_samples, parameters, options.splits) for parameters in SETTINGS.values()]
        cells = (f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}" for values in found)
        print(f"| {n_samples} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
