"""Mean and scale of the input."""

import numpy as np
import pytest
from images import bars, small_network

from sklearn_cnn._training.scaling import channel_moments, channel_scaling


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, bool])
@pytest.mark.parametrize(("n_samples", "n_pixels", "n_channels"), [(1, 1, 1), (7, 5, 3), (400, 100, 2), (3, 50_000, 1)])
def test_moments(dtype, n_samples, n_pixels, n_channels):
    random_state = np.random.RandomState(0)
    X = (50 * random_state.uniform(size=(n_samples, n_pixels * n_channels))).astype(dtype)
    weight = random_state.uniform(size=n_samples).astype(np.float32)
    rows = np.flatnonzero(random_state.uniform(size=n_samples) < 0.8)
    rows = rows if len(rows) else np.arange(n_samples)
    values = X[rows].astype(float).reshape(len(rows), n_pixels, n_channels)
    pixel_weight = np.repeat(weight[rows], n_pixels).astype(float)
    for sample_weight, expected_weight in ((None, np.ones_like(pixel_weight)), (weight, pixel_weight)):
        mean, variance = channel_moments(X, rows, sample_weight, n_channels)
        flat = values.reshape(-1, n_channels)
        expected = np.average(flat, axis=0, weights=expected_weight)
        np.testing.assert_allclose(mean, expected, rtol=1e-10)
        expected_variance = np.average((flat - expected) ** 2, axis=0, weights=expected_weight)
        np.testing.assert_allclose(variance, expected_variance, rtol=1e-8, atol=1e-9)


def test_weight_zero_counts_nothing():
    X = np.array([[1.0, 2.0], [1e30, -1e30], [3.0, 4.0]])
    mean, variance = channel_moments(X, np.arange(3), np.array([1, 0, 1], dtype=np.float32), 1)
    np.testing.assert_allclose(mean, 2.5)
    np.testing.assert_allclose(variance, 1.25)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e30, 255.0, 1e-40])
def test_constant_channels_keep_their_scale(constant):
    X = np.full((50, 20), constant)
    X[:, ::2] = np.random.RandomState(0).standard_normal((50, 10))
    shift, factor = channel_scaling(X, np.arange(50), None, 2)
    assert factor[1] == 1
    assert shift[1] == np.float32(constant)
    assert factor[0] == pytest.approx(1 / X[:, ::2].std(), rel=1e-6)


def test_a_fit_does_not_depend_on_scale_and_offset():
    X, y = bars()
    network, other = small_network().fit(X, y), small_network().fit(X.astype(float) * 1000 + 300, y)
    np.testing.assert_allclose(network.predict_proba(X), other.predict_proba(X.astype(float) * 1000 + 300), rtol=1e-2, atol=1e-4)


def test_without_scaling():
    X, y = bars()
    network = small_network(scale_input=False, max_iter=60).fit(X, y)
    assert network._fitted["shift"] is network._fitted["factor"] is None
    assert network.score(X, y) > 0.9


def test_the_validation_part_is_not_learnt_from():
    X, y = bars(40)
    network = small_network(early_stopping=True, max_iter=1).fit(X, y)
    assert network._fitted["shift"] != np.float32(X.mean(dtype=np.float64))
    own = small_network(max_iter=1).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    np.testing.assert_allclose(own._fitted["shift"], X[:30].mean(dtype=np.float64), rtol=1e-6)
