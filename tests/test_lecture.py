"""The lecture on convolution and pooling layers, statement by statement, as calls that anybody can make."""

import numpy as np
import pytest
from images import bars

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn.functional import (
    average_pool2d,
    average_pool2d_backward,
    conv2d,
    conv2d_backward,
    convolve,
    cross_correlate,
    flip_kernel,
    im2col,
    local2d,
    max_pool2d,
    max_pool2d_backward,
    output_shape,
    pad,
    parameter_count,
    receptive_field,
)

# The worked example: a patch of an image, and a kernel that looks for vertical edges.
PATCH = np.array([[200.0, 150, 150], [100, 50, 100], [25, 25, 10]])
EDGE = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
COUNTING = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def image(*shape, seed=0):
    """Integers, so that results are exact."""
    return np.random.default_rng(seed).integers(-5, 6, shape).astype(float)


def one_image(rows):
    """An image without channels as a batch of one."""
    return np.asarray(rows)[None, :, :, None]


def fitted(**parameters):
    """A network without normalisation that has seen a few images of 6 x 6 pixels, for one epoch."""
    X, y = bars()
    settings = {"n_filters": 4, "batch_norm": False, "max_iter": 1, "random_state": 0, "input_shape": (6, 6)} | parameters
    return ConvNetClassifier(**settings).fit(X.reshape(len(X), -1), y)


def number_of_parameters(estimator):
    return sum(array.size for array in (*estimator.coefs_, *estimator.intercepts_))


def test_01_a_fully_connected_layer_on_an_image_has_a_thousand_million_parameters():
    inputs, nodes = 1024 * 1024, 1000
    assert parameter_count(n_inputs=inputs, n_outputs=nodes) == inputs * nodes + nodes == 1_048_577_000
    network = fitted(n_filters=4, pooling=None, hidden_layer_sizes=(20,))
    assert network.coefs_[1].shape == (6 * 6 * 4, 20)
    assert network.intercepts_[1].shape == (20,)
    report = network.layer_table_[0]  # the same map, as it is and if it were fully connected
    assert report["n_parameters"] == parameter_count(kernel_size=3, n_filters=4)
    assert report["n_parameters_dense"] == parameter_count(n_inputs=6 * 6, n_outputs=6 * 6 * 4)
    assert report["n_parameters_unshared"] == parameter_count(kernel_size=3, n_filters=4, map_shape=(6, 6))


def test_02_with_a_receptive_field_each_output_sees_its_own_window():
    assert parameter_count(kernel_size=(3, 2), map_shape=(4, 5)) == (3 * 2 + 1) * 20
    X, kernels = one_image(image(6, 6)), image(4, 5, 1, 1, 3, 2, seed=1)
    maps = local2d(X, kernels)[0, :, :, 0]
    assert maps[2, 3] == np.sum(X[0, 2:5, 3:5, 0] * kernels[2, 3, 0, 0])  # position stays explicit
    # a signal is an image of one row
    signal = np.arange(6.0).reshape(1, 1, 6, 1)
    np.testing.assert_array_equal(local2d(signal, image(1, 4, 1, 1, 1, 3)).shape, (1, 1, 4, 1))
    shared, local = (fitted(weight_sharing=sharing, pooling=None) for sharing in (True, False))
    assert number_of_parameters(local) - number_of_parameters(shared) == (3 * 3 + 1) * 4 * (6 * 6 - 1)
    signals = np.random.default_rng(0).standard_normal((20, 12))
    network = ConvNetClassifier(n_filters=5, weight_sharing=False, max_iter=1, input_shape=(12,)).fit(signals, np.arange(20) % 2)
    assert network.kernels_[0].shape == (1, 12, 5, 1, 1, 3)  # a window of three samples for each of twelve places


def test_03_shared_weights_are_one_window_for_all_positions():
    assert parameter_count(kernel_size=(3, 2)) == 3 * 2 + 1
    X, kernel = one_image(image(6, 6)), image(1, 1, 3, 2, seed=1)
    everywhere = np.broadcast_to(kernel, (4, 5, 1, 1, 3, 2))
    np.testing.assert_array_equal(conv2d(X, kernel), local2d(X, everywhere))


def test_04_many_features_need_many_kernels():
    assert parameter_count(kernel_size=(5, 5), n_filters=32) == (5 * 5 + 1) * 32
    X, kernels = one_image(image(8, 8)), image(3, 1, 2, 2, seed=1)
    maps = conv2d(X, kernels)
    for feature in range(3):
        np.testing.assert_array_equal(maps[0, :, :, feature], cross_correlate(X[0, :, :, 0], kernels[feature, 0]))
    assert fitted(n_filters=7).kernels_[0].shape == (7, 1, 3, 3)


def test_05_a_kernel_is_as_deep_as_its_input():
    assert parameter_count(kernel_size=(3, 3), channels=3, n_filters=32) == 32 * (3 * 3 * 3 + 1)
    X, kernels = image(2, 6, 6, 3), image(5, 3, 3, 3, seed=1)
    by_channel = sum(conv2d(X[..., [channel]], kernels[:, [channel]]) for channel in range(3))
    np.testing.assert_array_equal(conv2d(X, kernels), by_channel)


def test_06_convolution_of_signals():
    x, h = image(4), image(4, seed=1)
    y = convolve(x, h)
    assert len(y) == 7
    assert y[3] == h[3] * x[0] + h[2] * x[1] + h[1] * x[2] + h[0] * x[3]
    np.testing.assert_array_equal(y, np.convolve(x, h))
    X = np.random.default_rng(0).standard_normal((20, 12))  # the estimator takes signals, too
    network = ConvNetClassifier(n_filters=3, max_iter=1, input_shape=(12,)).fit(X, np.arange(20) % 2)
    assert network.kernels_[0].shape == (3, 1, 1, 3)


def test_07_convolution_of_images_flips_the_kernel():
    np.testing.assert_array_equal(flip_kernel(COUNTING), [[9, 8, 7], [6, 5, 4], [3, 2, 1]])
    full = convolve(PATCH, COUNTING)
    assert full[0, 0] == 200 * 1  # terms whose kernel index leaves the kernel are dropped
    assert full[1, 1] == 200 * 5 + 150 * 4 + 100 * 2 + 50 * 1
    assert full[2, 2] == np.sum(PATCH * flip_kernel(COUNTING))


def test_08_a_layer_computes_cross_correlation():
    assert cross_correlate(PATCH, EDGE) == [[65]]
    assert conv2d(one_image(PATCH), EDGE[None, None], bias=[3.0]).ravel() == [65 + 3]
    x, kernel = image(7, 6), image(3, 2, seed=1)
    np.testing.assert_array_equal(convolve(x, kernel, mode="valid"), cross_correlate(x, flip_kernel(kernel)))


def test_09_the_gradient_of_a_cross_correlation_is_a_convolution():
    X, kernel = one_image(image(6, 7)), image(3, 2, seed=1)
    d_out = image(1, 4, 6, 1, seed=2)
    d_X, d_kernel, _ = conv2d_backward(d_out, X, kernel[None, None])
    np.testing.assert_array_equal(d_X[0, :, :, 0], convolve(d_out[0, :, :, 0], kernel, mode="full"))
    # and the other way round: of a convolution, a cross-correlation
    d_X, _, _ = conv2d_backward(d_out, X, flip_kernel(kernel)[None, None])
    around = ((2, 2), (1, 1))
    np.testing.assert_array_equal(d_X[0, :, :, 0], cross_correlate(d_out[0, :, :, 0], kernel, padding=around))
    np.testing.assert_array_equal(d_kernel[0, 0], cross_correlate(X[0, :, :, 0], d_out[0, :, :, 0]))


def test_10_convolution_is_associative_and_cross_correlation_is_not():
    F, G, I = image(3, 3), image(2, 3, seed=1), image(8, 8, seed=2)  # noqa: E741
    np.testing.assert_array_equal(convolve(convolve(I, G), F), convolve(I, convolve(G, F)))

    def correlate(x, kernel):
        return cross_correlate(x, kernel, padding=tuple((n - 1, n - 1) for n in kernel.shape))

    assert not np.array_equal(correlate(correlate(I, G), F), correlate(I, correlate(G, F)))


def test_11_the_size_of_the_output():
    assert output_shape((28, 30), (5, 3)) == ((28 - 5 + 1, 30 - 3 + 1), (0, 0))
    assert output_shape((5, 5), 3)[0] == conv2d(one_image(image(5, 5)), image(1, 1, 3, 3)).shape[1:3] == (3, 3)
    assert output_shape((28, 28), 5, stride=2, padding=1)[0] == ((28 + 2 * 1 - 5) // 2 + 1,) * 2
    network = fitted(padding="valid", pooling=None)
    assert network.coefs_[-1].shape[0] == 4 * 4 * 4


def test_12_padding_surrounds_the_image_with_zeros_or_its_mirror_image():
    X = one_image([[1.0, 2, 3], [4, 5, 6]])
    assert pad(X, 1).shape == (1, 2 + 2, 3 + 2, 1)
    np.testing.assert_array_equal(pad(X, 1)[0, 0, :, 0], 0)
    np.testing.assert_array_equal(
        pad(X, 1, mode="reflect")[0, :, :, 0], [[5, 4, 5, 6, 5], [2, 1, 2, 3, 2], [5, 4, 5, 6, 5], [2, 1, 2, 3, 2]]
    )
    kernels = image(2, 1, 3, 3)
    for mode in ("zeros", "reflect"):
        same = conv2d(X, kernels, padding="same", padding_mode=mode)
        assert same.shape == (1, 2, 3, 2)
        np.testing.assert_array_equal(same, conv2d(pad(X, 1, mode), kernels))
        network, (images, _) = fitted(padding=1, padding_mode=mode, scale_input=False), bars(3)
        by_hand = conv2d(images[..., None], network.kernels_[0], network.intercepts_[0], padding=1, padding_mode=mode)
        np.testing.assert_allclose(network.feature_maps(images.reshape(3, -1)), np.maximum(by_hand, 0), atol=1e-5)


def test_13_a_stride_takes_larger_steps_and_may_skip_pixels():
    X, kernels = one_image(image(7, 7)), image(1, 1, 3, 3, seed=1)
    np.testing.assert_array_equal(conv2d(X, kernels, stride=2), conv2d(X, kernels)[:, ::2, ::2])
    assert output_shape((5, 5), 3, stride=3) == ((1, 1), (2, 2))  # two rows and two columns are never seen
    unseen = one_image(image(5, 5))
    unseen[:, :3, :3] = 0
    np.testing.assert_array_equal(conv2d(unseen, kernels, stride=3), np.zeros((1, 1, 1, 1)))
    with pytest.warns(UserWarning, match=r"stride=\(3, 3\) .* never sees rows 3 to 4 and columns 3 to 4"):
        ConvNetClassifier(n_filters=2, stride=3, padding="valid", pooling=None, max_iter=1).fit(
            image(10, 5, 5), np.arange(10) % 2
        )


def test_14_kernels_need_not_be_square():
    X = one_image(image(6, 7))
    for size in ((1, 3), (3, 1), (2, 4), (6, 7)):
        assert conv2d(X, image(1, 1, *size)).shape[1:3] == (6 - size[0] + 1, 7 - size[1] + 1)
    network = fitted(n_filters=(4, 5), kernel_size=[(1, 3), (2, 1)])
    assert [kernels.shape for kernels in network.kernels_] == [(4, 1, 1, 3), (5, 4, 2, 1)]


def test_15_patches_as_vectors_turn_a_convolution_into_a_matrix_product():
    X, kernels = image(2, 6, 5, 3), image(4, 3, 3, 2, seed=1)
    columns = im2col(X, (3, 2))
    assert columns.shape == (2, 4 * 4, 3 * 3 * 2)
    product = columns @ kernels.reshape(4, -1).T
    np.testing.assert_array_equal(product.reshape(2, 4, 4, 4), conv2d(X, kernels))


def test_16_random_values_break_the_symmetry():
    X, d_out = one_image(image(6, 6)), image(1, 4, 4, 1, seed=1)
    twins = np.repeat(image(1, 1, 3, 3, seed=2), 2, axis=0)  # equal kernels get equal gradients, for ever
    _, d_kernels, _ = conv2d_backward(np.repeat(d_out, 2, axis=3), X, twins)
    np.testing.assert_array_equal(d_kernels[0], d_kernels[1])
    kernels = fitted(random_state=0).kernels_[0]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)
    np.testing.assert_array_equal(kernels, fitted(random_state=0).kernels_[0])
    assert not np.array_equal(kernels, fitted(random_state=1).kernels_[0])


def test_17_max_pooling():
    assert max_pool2d(one_image(PATCH), 3).ravel() == [200]
    X = one_image([[1.0, 2, 5, 6], [3, 4, 7, 8]])
    np.testing.assert_array_equal(max_pool2d(X).ravel(), [4, 8])
    gradient = max_pool2d_backward(np.array([10.0, 20.0]).reshape(1, 1, 2, 1), X)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 0, 0, 0], [0, 10, 0, 20]])
    pooled, plain = (fitted(padding="valid", pool_size=2, pooling=pooling) for pooling in ("max", None))
    assert pooled.kernels_[0].shape == plain.kernels_[0].shape  # pooling has no parameters of its own
    assert pooled.coefs_[-1].shape[0] * 4 == plain.coefs_[-1].shape[0]
    images = bars(3)[0].reshape(3, -1)
    maps, maxima = (pooled.feature_maps(images, stage=stage) for stage in ("conv", "pool"))
    np.testing.assert_array_equal(maxima, max_pool2d(maps))


def test_18_average_pooling():
    assert average_pool2d(one_image(PATCH), 3).ravel() == [810 / 9] == [90]
    gradient = average_pool2d_backward(np.full((1, 1, 1, 1), 9.0), one_image(PATCH), 3)
    np.testing.assert_allclose(gradient, np.ones((1, 3, 3, 1)))
    network, images = fitted(pooling="average"), bars(3)[0].reshape(3, -1)
    maps, means = (network.feature_maps(images, stage=stage) for stage in ("conv", "pool"))
    np.testing.assert_allclose(means, average_pool2d(maps), rtol=1e-5, atol=1e-6)


def test_19_a_stride_reduces_the_map_as_a_pooling_does():
    X, kernels = one_image(image(8, 8)), image(2, 1, 3, 3, seed=1)
    by_stride = conv2d(X, kernels, stride=2, padding="same")
    by_pooling = max_pool2d(conv2d(X, kernels, padding="same"))
    assert by_stride.shape == by_pooling.shape == (1, 4, 4, 2)
    stride, pooling = fitted(pooling=None, stride=2), fitted(pooling="max")
    assert stride.coefs_[-1].shape == pooling.coefs_[-1].shape


def test_20_layers_stack_because_a_map_is_an_image_of_many_channels():
    X, first, second = image(2, 12, 12, 1), image(4, 1, 3, 3, seed=1), image(5, 4, 2, 2, seed=2)
    maps = max_pool2d(conv2d(X, first))
    assert maps.shape == (2, 5, 5, 4)
    assert max_pool2d(conv2d(maps, second)).shape == (2, 2, 2, 5)
    assert receptive_field([3, 2, 2, 2], [1, 2, 1, 2]) == (8, 4)
    assert fitted(n_filters=(4, 5), kernel_size=[3, 2]).receptive_field_ == (8, 8)
    network = fitted(n_filters=(4, 5), kernel_size=[3, 2], pooling=["max", "average"])
    assert [kernels.shape for kernels in network.kernels_] == [(4, 1, 3, 3), (5, 4, 2, 2)]


def test_21_a_shifted_image_gives_a_shifted_map():
    X, kernels = np.zeros((1, 12, 12, 1)), image(3, 1, 3, 3)
    X[:, 4:7, 4:7] = image(1, 3, 3, 1, seed=1)
    shifted = np.roll(X, (2, 1), axis=(1, 2))
    np.testing.assert_array_equal(conv2d(shifted, kernels), np.roll(conv2d(X, kernels), (2, 1), axis=(1, 2)))
    unshared = image(10, 10, 3, 1, 3, 3, seed=2)  # without shared weights it does not
    assert not np.array_equal(local2d(shifted, unshared), np.roll(local2d(X, unshared), (2, 1), axis=(1, 2)))


def test_22_pooling_forgets_where_in_its_window_a_feature_was():
    pooled = []
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        X = np.zeros((1, 4, 4, 1))
        X[0, 2 + row, column] = 7
        pooled.append(max_pool2d(X)[0, :, :, 0])
    assert all(np.array_equal(result, [[0, 0], [7, 0]]) for result in pooled)


def test_23_a_map_is_bright_where_its_kernel_matches():
    picture = np.zeros((9, 9))
    picture[2:5, 5:8] = COUNTING
    bright = conv2d(one_image(picture), COUNTING[None, None] / np.linalg.norm(COUNTING))[0, :, :, 0]
    assert np.unravel_index(bright.argmax(), bright.shape) == (2, 5)
    # learnt kernels come in the layout that conv2d takes, so that anybody can look at maps
    network = fitted(n_filters=(4, 5))
    X, _ = bars(3)
    maps = network.feature_maps(X.reshape(3, -1))
    scaled = (X[..., None] - bars()[0].mean()) / bars()[0].std()
    by_hand = conv2d(scaled, network.kernels_[0], network.intercepts_[0], padding="same")
    np.testing.assert_allclose(maps, np.maximum(by_hand, 0), atol=1e-4)


def test_24_the_chain_rule_goes_through_all_of_it():
    X, first, second = image(2, 8, 8, 1), image(3, 1, 3, 3, seed=1) / 7, image(2, 3, 2, 2, seed=2) / 7

    def loss(kernels):
        return 0.5 * np.sum(average_pool2d(conv2d(max_pool2d(conv2d(X, kernels)), second)) ** 2)

    maps = conv2d(X, first)
    pooled = max_pool2d(maps)
    top = conv2d(pooled, second)
    d_top = average_pool2d_backward(average_pool2d(top), top)
    d_pooled, _, _ = conv2d_backward(d_top, pooled, second)
    _, d_first, _ = conv2d_backward(max_pool2d_backward(d_pooled, maps), X, first)
    for index in np.ndindex(first.shape):
        step = np.zeros_like(first)
        step[index] = 1e-6
        slope = (loss(first + step) - loss(first - step)) / 2e-6
        assert d_first[index] == pytest.approx(slope, rel=1e-5, abs=1e-5)
