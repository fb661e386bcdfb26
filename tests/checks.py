"""scikit-learn's own checks of every estimator and of all settings of `test_sklearn_checks.py`, with other seeds.

The checks give every estimator the seed 0. Here they give it others, which draw other weights and another order of samples.

    python tests/checks.py --seeds 1 2 3
"""

import argparse
import warnings
from functools import partial

from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import set_random_state
from test_sklearn_checks import LONG, MINI_BATCHES, NO_PARTIAL_FIT, SETTINGS

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer


def cases():
    """Yield (name, estimator, checks that are known to fail)."""
    for kind in (ConvNetClassifier, ConvNetRegressor):
        yield f"{kind.__name__}()", kind(), MINI_BATCHES
        yield f"ConvNetTransformer({kind.__name__}())", ConvNetTransformer(kind(random_state=0)), MINI_BATCHES
    yield "lbfgs", ConvNetClassifier(solver="lbfgs"), {}
    yield "lbfgs, regressor", ConvNetRegressor((16, 32), solver="lbfgs", max_iter=200), {}
    for name, parameters in SETTINGS.items():
        expected = MINI_BATCHES | (NO_PARTIAL_FIT if name == "class_weight" else {})
        yield name, ConvNetClassifier(**LONG | parameters), expected


def failures_of(estimator, expected):
    """Run all checks; returns (how many passed, words about those that failed)."""
    results = estimator_checks.check_estimator(estimator, on_fail=None, expected_failed_checks=expected)
    passed = sum(result["status"] == "passed" for result in results)
    failed = [f"{result['check_name']}: {result['exception']!s:.300}" for result in results if result["status"] == "failed"]
    return passed, failed


def set_other_state(seed, estimator, random_state=0):
    """Take the place of what the checks call."""
    set_random_state(estimator, random_state + seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    n_passed = n_failed = 0
    for seed in options.seeds:
        estimator_checks.set_random_state = partial(set_other_state, seed)
        for name, estimator, expected in cases():
            passed, failed = failures_of(estimator, expected)
            n_passed, n_failed = n_passed + passed, n_failed + len(failed)
            print(f"seed {seed}, {name}: {passed} passed, {len(failed)} failed", *failed, sep="\n    ", flush=True)
    print(f"seeds {options.seeds}: {n_passed} checks passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
