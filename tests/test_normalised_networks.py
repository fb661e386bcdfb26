"""Batch normalisation and global pooling as a user of the estimator meets them."""

import pickle

import numpy as np
import pytest
from images import bars, digits, fitted_arrays, small_network
from problems import on_threads
from sklearn.base import clone

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn._estimator.state import fitted_plan

EVERYWHERE = {"batch_norm": True, "n_filters": (6, 5), "pooling": ["max", "average"], "hidden_layer_sizes": 7}


def statistics_of(network):
    """The running moments of a fitted network, gaps left out: one (means, variances) per normalised layer."""
    fitted = network._fitted
    return [
        (fitted["statistics"][mean_at : mean_at + n], fitted["statistics"][variance_at : variance_at + n])
        for _, mean_at, variance_at, n in fitted_plan(fitted).statistics
    ]


# -------------------------------------------------------------------------------------------------------- normalisation


@pytest.mark.parametrize("parameters", [{}, {"pooling": "average"}, {"pooling": None}, {"weight_sharing": False}])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_normalised_networks_learn(parameters, activation):
    X, y = digits(900)
    settings = {"input_shape": (8, 8), "hidden_layer_sizes": 16, "batch_norm": True, "max_iter": 15, "random_state": 0}
    network = ConvNetClassifier(8, activation=activation, learning_rate_init=5e-3, **settings, **parameters)
    assert network.fit(X[:700], y[:700]).score(X[700:], y[700:]) > 0.87


def test_attributes():
    X, y = bars()
    network = small_network(**EVERYWHERE).fit(X, y)
    assert [bias.shape for bias in network.intercepts_] == [(0,), (0,), (0,), (3,)]
    n_normalised = 2 * (6 + 5 + 7)
    assert network.n_parameters_ == sum(map(np.size, network.coefs_ + network.intercepts_)) + n_normalised
    assert network.n_layers_ == len(network.coefs_) + 1 == 5
    assert [kernels.shape for kernels in network.kernels_] == [(6, 1, 3, 3), (5, 6, 3, 3)]
    local = small_network(weight_sharing=False, batch_norm=True).fit(X, y)
    assert local.intercepts_[0].shape == (6, 6, 4)  # one that differs from place to place is no part of the mean


def test_running_moments_are_those_of_the_data():
    """Of one batch and one epoch: what the first block gives for the training data, before its normalisation."""
    X, y = bars()
    network = small_network(batch_norm=True, max_iter=1, batch_size=60, learning_rate_init=1e-30).fit(X, y)
    maps = network.feature_maps(X)  # the bare convolution
    pooled = maps.reshape(60, 3, 2, 3, 2, 4).max(axis=(2, 4)).astype(np.float64)
    ((mean, variance),) = statistics_of(network)
    np.testing.assert_allclose(mean, pooled.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, pooled.var(axis=(0, 1, 2)), rtol=1e-5)
    normalised = np.maximum((pooled - mean) / np.sqrt(variance + 1e-5), 0)
    np.testing.assert_allclose(network.feature_maps(X, stage="pool"), normalised, rtol=1e-4, atol=1e-5)


def test_resuming_from_a_pickle_is_going_on():
    X, y = bars()
    network = small_network(**EVERYWHERE, batch_size=16)
    stepwise = small_network(**EVERYWHERE, batch_size=16)
    for _ in range(6):
        network.partial_fit(X, y, classes=[0, 1, 2])
        stepwise = pickle.loads(pickle.dumps(stepwise)).partial_fit(X, y, classes=[0, 1, 2])
        assert fitted_arrays(stepwise) == fitted_arrays(network)
        assert stepwise.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()


@pytest.mark.parametrize("becomes", ["another solver", "an import"])
def test_trained_running_moments_are_not_replaced_by_one_mini_batch(becomes):
    X, y = bars()
    network = small_network(**EVERYWHERE, batch_size=16).fit(X, y)
    if becomes == "an import":
        pytest.importorskip("onnx")
        from sklearn_cnn.onnx import from_onnx, to_onnx

        network = from_onnx(to_onnx(network))
    else:
        network.set_params(solver="sgd")
    network.set_params(learning_rate_init=1e-30)
    before = network._fitted["statistics"].copy()
    network.partial_fit(X[:4], y[:4])
    after = network._fitted["statistics"].copy()
    # a tenth of the way to the moments of the mini-batch, also in the calls that follow
    moved = [np.abs(after - before).max()]
    for _ in range(2):
        before, after = after, network.partial_fit(X[:4], y[:4])._fitted["statistics"].copy()
        moved.append(np.abs(after - before).max())
    np.testing.assert_allclose(np.divide(moved[1:], moved[:-1]), 0.9, rtol=0.02)


def test_running_moments_beyond_float32_are_a_divergence():
    X, y = bars()
    network = small_network(batch_norm=True, scale_input=False)
    with pytest.raises(ValueError, match=r"Training diverged in epoch 1: .* look for extreme values in X"):
        network.fit(X * 1e20, y)
    assert not hasattr(network, "n_features_in_")


def test_clone_forgets_the_running_moments():
    X, y = bars()
    network = small_network(**EVERYWHERE).fit(X, y)
    copied = clone(network)
    assert copied.batch_norm is True
    assert fitted_arrays(copied.fit(X, y)) == fitted_arrays(network)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_nothing(n_threads):
    X, y = digits(400)
    settings = {**EVERYWHERE, "n_filters": (32, 16), "input_shape": (8, 8), "batch_size": 100, "max_iter": 2}
    one, many = (
        on_threads(n_jobs, lambda: small_network(n_jobs=n_jobs, **settings).fit(X, y)) for n_jobs in (1, n_threads)  # noqa: B023
    )
    assert fitted_arrays(many) == fitted_arrays(one)


def test_a_row_is_bitwise_the_same_in_any_company():
    X, y = bars()
    network = small_network(**EVERYWHERE).fit(X, y)
    together = network.predict_proba(X)
    for row in range(0, 60, 7):
        assert network.predict_proba(X[row : row + 1]).tobytes() == together[row : row + 1].tobytes()
    assert network.predict_proba(X[::-1]).tobytes() == together[::-1].tobytes()


def test_warm_start_refuses_to_begin_or_end_normalising():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="layers have changed"):
        network.set_params(batch_norm=True).fit(X, y)


@pytest.mark.parametrize("X", [np.ones((1, 6, 6)), np.ones((1, 1)), np.zeros((1, 7))], ids=["image", "number", "zeros"])
def test_one_sample(X):
    """Which has no variance where its maps have one pixel."""
    network = small_network(batch_norm=True, hidden_layer_sizes=3).partial_fit(X, [1], classes=[0, 1, 2])
    assert np.isfinite(network.predict_proba(X)).all()
    assert np.isfinite(network.partial_fit(X, [0]).loss_)


def test_a_constant_channel():
    X, y = bars()
    X = np.stack([X, np.full_like(X, 7.0)], axis=-1)
    network = small_network(batch_norm=True, max_iter=20, scale_input=False).fit(X, y)
    assert network.score(X, y) > 0.9
    constant = small_network(batch_norm=True).fit(np.full_like(X, 3.25), y)
    assert np.isfinite(constant.predict_proba(X)).all()


def test_samples_of_weight_zero_are_absent():
    X, y = bars()
    weight = np.ones(60)
    weight[[3, 20, 41]] = 0
    kept = weight > 0
    X[~kept] = 1e6
    weighted = small_network(**EVERYWHERE).fit(X, y, sample_weight=weight)
    absent = small_network(**EVERYWHERE).fit(X[kept], y[kept])
    for name in ("parameters", "statistics"):
        np.testing.assert_allclose(weighted._fitted[name], absent._fitted[name], rtol=1e-3, atol=1e-4)


def test_a_negative_variance_is_refused():
    X, y = bars()
    network = small_network(batch_norm=True).fit(X, y)
    statistics_of(network)[0][1][2] = -1
    with pytest.raises(ValueError, match="fitted statistics must be means and variances"):
        network.predict(X)
    with pytest.raises(ValueError, match="fitted statistics must be means and variances"):
        network.partial_fit(X, y)


# ------------------------------------------------------------------------------------------------------- global pooling


@pytest.mark.parametrize(("pooling", "function"), [("average", np.mean), ("max", np.max)])
@pytest.mark.parametrize("shape", [(6, 6), (1, 300, 2), (20, 15, 3)])
def test_global_pooling_leaves_one_number_per_filter(pooling, function, shape):
    X = np.random.RandomState(0).standard_normal((8, *shape)).astype(np.float32)
    network = small_network(n_filters=(3, 5), pooling=None, global_pooling=pooling).fit(X, np.arange(8) % 2)
    weights, bias = network.coefs_[-1], network.intercepts_[-1]
    assert weights.shape == (5, 1)
    pooled = function(network.feature_maps(X, block=1).astype(np.float64), axis=(1, 2))
    np.testing.assert_allclose(network.decision_function(X), (pooled @ weights + bias)[:, 0], rtol=1e-4, atol=1e-5)
    assert network.layer_table_[-2]["name"] == f"global {pooling} pooling"
    assert network.n_layers_ == len(network.coefs_) + 1 == 4
    assert len(network.kernels_) == 2


def test_global_pooling_accepts_images_of_one_pixel():
    X, y = np.linspace(-1, 1, 20)[:, None], np.arange(20) >= 10
    assert small_network(global_pooling="average", max_iter=100).fit(X, y).score(X, y) > 0.9


def test_signals_with_global_pooling_learn_what_stands_anywhere():
    """A bump or a dip, in a place that says nothing."""
    random_state = np.random.RandomState(0)
    X, y = 0.1 * random_state.standard_normal((300, 1, 60, 1)), np.arange(300) % 2
    for signal, label in zip(X, y, strict=True):
        at = random_state.randint(55)
        signal[0, at : at + 5, 0] += 2 * label - 1
    network = ConvNetClassifier(
        (8, 8), 5, pooling=None, global_pooling="average", batch_norm=True, max_iter=20, random_state=0
    ).fit(X[:200], y[:200])
    assert network.score(X[200:], y[200:]) > 0.97
