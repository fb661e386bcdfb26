"""Mean and scale of the input."""

import numpy as np
import pytest
from images import bars, small_network
from problems import bits

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
        mass, mean, spread = channel_moments(X, rows, sample_weight, n_channels)
        flat = values.reshape(-1, n_channels)
        expected = np.average(flat, axis=0, weights=expected_weight)
        np.testing.assert_allclose(mean, expected, rtol=1e-10)
        expected_variance = np.average((flat - expected) ** 2, axis=0, weights=expected_weight)
        np.testing.assert_allclose(spread / mass, expected_variance, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n_channels", [1, 2, 3, 5, 6, 7, 12, 16, 24, 33])
@pytest.mark.parametrize("n_pixels", [1, 3, 40])
def test_moments_have_the_same_bits_in_every_number_type_and_memory(n_channels, n_pixels):
    random_state = np.random.default_rng(0)
    X = random_state.integers(0, 256, (9, n_pixels * n_channels)).astype(np.uint8)
    rows, weight = np.array([7, 0, 3, 8]), random_state.random(9).astype(np.float32)
    others = [X.astype(dtype) for dtype in (np.int64, np.float16, np.float32, np.float64, ">f8")]

    def moments_of(X, sample_weight):
        return [bits(part) for part in channel_moments(X, rows, sample_weight, n_channels)]

    for sample_weight in (None, weight):
        expected = moments_of(X, sample_weight)
        for other in (*others, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
            assert moments_of(other, sample_weight) == expected
    assert moments_of(X, np.ones(9, dtype=np.float32)) == moments_of(X, None)


def test_weight_zero_counts_nothing():
    X = np.array([[1.0, 2.0], [1e30, -1e30], [3.0, 4.0]])
    mass, mean, spread = channel_moments(X, np.arange(3), np.array([1, 0, 1], dtype=np.float32), 1)
    np.testing.assert_allclose(mean, 2.5)
    np.testing.assert_allclose(spread / mass, 1.25)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e30, 255.0, 1e-40])
def test_constant_channels_keep_their_scale(constant):
    X = np.full((50, 20), constant)
    X[:, ::2] = np.random.RandomState(0).standard_normal((50, 10))
    shift, factor = channel_scaling(channel_moments(X, np.arange(50), None, 2))
    assert factor[1] == 1
    assert shift[1] == np.float32(constant)
    assert factor[0] == pytest.approx(1 / X[:, ::2].std(), rel=1e-6)


def test_a_deviation_below_the_resolution_of_float32_is_none():
    values = 12.0 * np.array([[-1.0], [1.0]])
    for mean, factor in (1e9, 1.0), (1e7, np.float32(1 / 12.0)):
        assert channel_scaling(channel_moments(values + mean, np.arange(2), None, 1))[1] == factor


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


def test_partial_fit_learns_the_scaling_of_all_samples():
    """A first batch that is not like the others decided the scaling for good."""
    X, y = bars()
    X = np.stack([X, X * 7 + 3], axis=3).astype(np.float64)  # two channels
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X)).astype(np.float32)
    X[:5] *= 1e-3
    network = small_network()
    for batch in np.split(np.arange(len(X)), [5, 20]):
        network.partial_fit(X[batch], y[batch], classes=[0, 1, 2], sample_weight=weight[batch])
        seen = slice(batch[-1] + 1)
        expected = channel_scaling(channel_moments(X[seen].reshape(batch[-1] + 1, -1), np.arange(batch[-1] + 1), weight, 2))
        for name, values in zip(("shift", "factor"), expected, strict=True):
            np.testing.assert_allclose(network._fitted[name], values, rtol=1e-6)


def test_fit_that_goes_on_keeps_the_scaling_and_partial_fit_takes_it_up():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    shift = network._fitted["shift"].copy()
    network.fit(X.astype(float) + 100, y)
    np.testing.assert_array_equal(network._fitted["shift"], shift)
    network.partial_fit(X.astype(float) + 100, y)
    np.testing.assert_allclose(network._fitted["shift"], shift + 50, rtol=1e-6)


def test_a_state_without_moments_keeps_its_scaling():
    """Fits of earlier versions have kept no moments, and nobody knows how many samples they would stand for."""
    X, y = bars()
    state = small_network().fit(X, y).__getstate__()
    network = small_network()
    network.__setstate__({**state, "_fitted": {k: v for k, v in state["_fitted"].items() if k != "input_moments"}})
    scaling = network._fitted["shift"], network._fitted["factor"]
    network.partial_fit(X.astype(float) + 100, y)
    np.testing.assert_array_equal((network._fitted["shift"], network._fitted["factor"]), scaling)


@pytest.mark.parametrize(
    "moments",
    [
        7,
        (9.0, np.zeros(1)),
        ("9", np.zeros(1), np.ones(1)),
        (0.0, np.zeros(1), np.ones(1)),
        (9.0, np.zeros(1), -np.ones(1)),
        (9.0, np.full(1, np.nan), np.ones(1)),
        (9.0, np.zeros(2), np.ones(2)),
        (9.0, np.zeros(1, np.float32), np.ones(1)),
    ],
)
def test_moments_that_someone_has_changed_are_refused(moments):
    X, y = bars()
    network = small_network().fit(X, y)
    network._fitted["input_moments"] = moments
    with pytest.raises(ValueError, match=r"input.* Fit the estimator again"):
        network.partial_fit(X, y)
