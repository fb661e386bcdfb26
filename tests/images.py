"""Small data that the estimator's tests share."""

import numpy as np
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier


def digits(n_samples=300):
    """The first digits, flattened to 64 features, with their labels."""
    X, y = load_digits(return_X_y=True)
    return X[:n_samples], y[:n_samples]


def bars(n_samples=60, n_classes=3, random_state=0):
    """Images of 6x6 pixels with a bright column whose place tells the class: learnt within a few epochs."""
    random_state = np.random.RandomState(random_state)
    y = np.arange(n_samples) % n_classes
    X = 0.3 * random_state.standard_normal((n_samples, 6, 6))
    X[np.arange(n_samples), :, 1 + y] += 2.0
    return X.astype(np.float32), y


def small_network(**parameters):
    """A network that trains in milliseconds, without normalisation and at a constant rate unless asked for."""
    settings = {"n_filters": 4, "max_iter": 5, "learning_rate": "constant", "learning_rate_init": 1e-2, "batch_norm": False}
    return ConvNetClassifier(**{**settings, "random_state": 0} | parameters)


def fitted_arrays(estimator):
    """Every array and number of the fitted state, as bytes, by name."""
    state = vars(estimator)["_fitted"]
    return {name: flatten(value) for name, value in state.items()}


def assert_calls_add_up(stepwise, whole, n_calls):
    """Compare calls of `partial_fit` on the same samples with one `fit`: the same bits, but for the count of what was scaled."""
    state, expected = fitted_arrays(stepwise), {**fitted_arrays(whole), "n_iter_": 1}
    assert state.pop("input_moments")[0] == n_calls * expected.pop("input_moments")[0]
    assert state == expected


def flatten(value):
    """Turn arrays into bytes, inside dictionaries and tuples too, so that states compare bit by bit."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: flatten(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(map(flatten, value))
    return value
