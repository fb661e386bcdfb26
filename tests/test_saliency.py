"""Gradients of a score with respect to an image, and maps of a block weighted by them."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from images import bars, digits, small_network
from problems import gaussian_parameters, running_statistics

from sklearn_cnn import ConvNetRegressor
from sklearn_cnn._estimator.saliency import class_activation_map, score_gradient
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer, layers_after_map, layers_of_map
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn.inspection import SaliencyDisplay

X, Y = bars()
BLOCKS = {
    "bare": {"pooling": None},
    "average": {"pooling": "average"},
    "max": {"pooling": "max"},
    "reflect": {"padding_mode": "reflect", "stride": (2, 1)},
    "local": {"weight_sharing": False, "pooling": "average"},
    "normalised": {"pooling": None, "batch_norm": True},
    "normalised_average": {"pooling": "average", "batch_norm": True},
    "normalised_max": {"pooling": "max", "batch_norm": True},
    "normalised_local": {"weight_sharing": False, "pooling": "max", "batch_norm": True},
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def double_network(settings):
    random_state = np.random.default_rng(3)
    block = ConvolutionBlock(3, (3, 2), padding="same", activation="tanh", **settings)
    layers = (
        ConvolutionBlock(4, (3, 3), padding="same", pooling="average", activation="tanh"),
        block,
        PoolingLayer("average", (2, 2), (1, 1)),
        DenseLayer(5, "tanh", batch_norm=block.batch_norm),
        DenseLayer(3),
    )
    plan = build_plan(layers, (8, 9, 2))
    return Network(plan, gaussian_parameters(plan, random_state), running_statistics(plan, random_state)), random_state


def finite_differences(score, x, step=1e-6):
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append(score(moved))
        gradient[place] = (ends[0] - ends[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("settings", BLOCKS.values(), ids=BLOCKS)
def test_input_gradients_are_those_of_finite_differences(settings):
    network, random_state = double_network(settings)
    direction = random_state.standard_normal(3)
    x = random_state.standard_normal((1, network.plan.n_inputs))
    expected = finite_differences(lambda x: (network.scores(x) @ direction).item(), x)
    np.testing.assert_allclose(network.input_gradients(x, direction), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("settings", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("block", [0, 1])
def test_a_network_is_its_beginning_and_its_rest(settings, block):
    network, random_state = double_network(settings)
    layers = network.plan.layers
    first = network.up_to(layers_of_map(layers, block, "conv"))
    rest = network.after(first, layers_after_map(layers, block))
    x = random_state.standard_normal((2, network.plan.n_inputs))
    maps = first.scores(x)
    np.testing.assert_allclose(rest.scores(maps), network.scores(x), rtol=1e-12)
    direction = random_state.standard_normal(3)
    expected = finite_differences(lambda maps: (rest.scores(maps) @ direction).item(), maps[:1])
    np.testing.assert_allclose(rest.input_gradients(maps[:1], direction), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scale_input", [True, False])
def test_the_gradient_is_per_unit_of_the_image(scale_input):
    """Of a network without bends: the score of the image moved a little differs by the product."""
    network = small_network(activation="tanh", pooling="average", scale_input=scale_input).fit(10 * X + 3, Y)
    image = (10 * X[:1] + 3).astype(np.float64)
    gradient = score_gradient(network, image.reshape(1, -1), np.eye(3)[1], 0.0, 1, None)
    moved = image + 0.05 * np.sign(gradient.reshape(image.shape))
    change = network.decision_function(moved)[0, 1] - network.decision_function(image)[0, 1]
    assert change == pytest.approx(0.05 * np.abs(gradient).sum(), rel=0.05)


def test_noise_is_averaged():
    network = small_network(max_iter=10).fit(X, Y)
    show = SaliencyDisplay.from_estimator
    alone = show(network, X[0], noise=0).saliency
    np.testing.assert_array_equal(show(network, X[0], noise=0, n_samples=7).saliency, alone)
    noisy = [show(network, X[0], noise=0.3, n_samples=n, random_state=5).saliency for n in (200, 200, 1)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    other = show(network, X[0], noise=0.3, n_samples=200, random_state=6).saliency
    assert np.abs(noisy[0] - other).mean() < np.abs(noisy[2] - other).mean()


@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_the_bar_is_what_the_score_depends_on(method):
    network = small_network(n_filters=(8, 8), pooling=[None, "max"], max_iter=40).fit(X, Y)
    for number in range(6):
        saliency = SaliencyDisplay.from_estimator(network, X[number], method=method, block=0, random_state=0).saliency
        assert saliency.shape == (6, 6)
        assert saliency.min() >= 0
        columns = saliency.sum(axis=0)
        assert columns[:5].sum() > 3 * columns[5]  # the last column never holds a bar


def test_of_two_classes_the_one_score_speaks_for_either():
    network = small_network(max_iter=10).fit(X[Y < 2], Y[Y < 2])
    image = X[:1].reshape(1, -1)
    one = score_gradient(network, image, np.array([1.0]), 0.0, 1, None)
    show = SaliencyDisplay.from_estimator
    for target in (0, 1):
        np.testing.assert_array_equal(show(network, X[0], target=target, noise=0).saliency, np.abs(one).max(axis=-1))
    for target, sign in ((0, -1.0), (1, 1.0)):
        activation, _ = class_activation_map(network, image, np.array([sign]), 0)
        assert show(network, X[0], method="grad_cam", target=target).saliency.max() == pytest.approx(activation.max(), rel=1e-6)
    assert show(network, X[0]).label == network.predict(X[:1])[0]


def test_a_map_is_laid_where_its_units_look():
    """One filter that passes the image through: the map is where the image is."""
    network = small_network(n_filters=1, kernel_size=1, pooling=None, activation="relu", scale_input=False).fit(X, Y)
    network.coefs_[0][:] = 1
    network.intercepts_[0][:] = 0
    image = np.zeros((6, 6), dtype=np.float32)
    image[2, 4] = 1
    network.coefs_[1][:, 0] = 1
    saliency = SaliencyDisplay.from_estimator(network, image, method="grad_cam", target=0).saliency
    np.testing.assert_allclose(saliency, image, atol=1e-6)


def test_regressors_signals_and_colours():
    regressor = ConvNetRegressor(4, max_iter=5, random_state=0).fit(X, np.column_stack([Y, -Y]))
    assert SaliencyDisplay.from_estimator(regressor, X[0], target=1).label == 1
    signal = small_network(n_filters=(3, 4), input_shape=(64,)).fit(*digits(60))
    colour = np.random.RandomState(0).random_sample((20, 9, 7, 3))
    coloured = small_network(n_filters=(3, 4)).fit(colour, np.arange(20) % 2)
    for network, sample, shape in ((signal, digits(60)[0][0], (1, 64)), (coloured, colour[0], (9, 7))):
        for method in ("gradient", "grad_cam"):
            display = SaliencyDisplay.from_estimator(network, sample, method=method)
            assert display.saliency.shape == shape
            assert display.colorbar_ is not None
            again = display.plot(plt.subplots()[1], colorbar=False)
            assert again.colorbar_ is None


def test_nothing_to_draw_is_said():
    display = SaliencyDisplay(np.zeros((6, 6)), image=X[0][..., None], label=1, method="grad_cam", block=0).plot()
    assert "nothing speaks for it" in display.ax_.get_title()
    assert "nothing" not in SaliencyDisplay(X[0] ** 2, image=X[0][..., None], label=1).plot().ax_.get_title()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "lime"}, "method='lime' must be 'gradient' or 'grad_cam'"),
        ({"target": 7}, "target=7 is none of the classes"),
        ({"noise": -1}, "noise=-1 must be a number of at least 0"),
        ({"noise": np.nan}, "noise=nan must be"),
        ({"noise": True}, "noise=True must be"),
        ({"n_samples": 0}, "n_samples=0 must be an integer of at least 1"),
        ({"n_samples": 1.5}, "n_samples=1.5 must be"),
        ({"method": np.array(["gradient"])}, "method=.* must be 'gradient'"),
        ({"target": [0, 1]}, r"target=\[0, 1\] is none of the classes"),
        ({"method": "grad_cam", "block": 5}, "block=5 does not exist"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        SaliencyDisplay.from_estimator(small_network().fit(X, Y), X[0], **arguments)


@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
@pytest.mark.parametrize("settings", [{}, {"activation": "tanh"}, {"batch_norm": True, "pooling": "max"}])
def test_an_image_of_numbers_that_are_too_large_is_blamed(method, settings):
    """Its maps were NaN, of which matplotlib said something about transparency."""
    network = small_network(max_iter=2, **settings).fit(X, Y)
    with pytest.raises(ValueError, match=r"\bX\b"):
        SaliencyDisplay.from_estimator(network, np.full((6, 6), np.finfo(np.float32).min), method=method, random_state=0)
    assert not plt.get_fignums()
