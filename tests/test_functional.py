"""sklearn_cnn.functional: values, gradients, properties exact on integers, and what it refuses."""

import inspect
import itertools
import math

import numpy as np
import pytest
import reference
from problems import bits, each_dtype, pair, random_padding, sparse_integers
from scipy.signal import convolve2d

from sklearn_cnn import functional
from sklearn_cnn._network.layers import skipped_pixels
from sklearn_cnn.functional import (
    average_pool2d,
    average_pool2d_backward,
    col2im,
    conv2d,
    conv2d_backward,
    convolve,
    cross_correlate,
    flip_kernel,
    im2col,
    local2d,
    local2d_backward,
    max_pool2d,
    max_pool2d_backward,
    output_shape,
    pad,
    parameter_count,
    receptive_field,
)


def fitting_geometry(random_state, largest_side=9, largest_kernel=4):
    """Image shape, kernel size, stride and padding that leave something."""
    while True:
        shape, size = pair(random_state, 1, largest_side), pair(random_state, 1, largest_kernel)
        stride, padding = pair(random_state, 1, 3), random_padding(random_state, size)
        sides = reference.sides(padding, shape, size, stride)
        if all(n + sum(side) >= k for n, side, k in zip(shape, sides, size, strict=True)):
            return shape, size, stride, padding, sides


def layer_problem(random_state, *, shared=True):
    """Integer-valued X, kernels, bias and keyword arguments of conv2d or local2d."""
    shape, size, stride, padding, sides = fitting_geometry(random_state)
    channels, filters = (int(n) for n in random_state.integers(1, 7, 2))
    map_shape = output_shape(shape, size, stride=stride, padding=padding)[0]
    front = () if shared else map_shape
    X = sparse_integers(random_state, (3, *shape, channels))
    kernels = sparse_integers(random_state, (*front, filters, channels, *size))
    bias = sparse_integers(random_state, (*front, filters))
    mode = ("zeros", "reflect")[random_state.integers(2)]
    d_out = sparse_integers(random_state, (3, *map_shape, filters))
    return X, kernels, bias, d_out, {"stride": stride, "padding": padding, "padding_mode": mode}, sides


def as_weights(kernels):
    return kernels.transpose((2, 3, 1, 0) if kernels.ndim == 4 else (0, 1, 4, 5, 3, 2))


# ---------------------------------------------------------------------------------------------------- against the twins


def test_an_array_without_axes_is_a_number():
    X = np.arange(30.0).reshape(1, 5, 6, 1)
    of_array = max_pool2d(X, np.array(2), stride=np.array(1))
    assert of_array.tobytes() == max_pool2d(X, 2, stride=1).tobytes()
    assert parameter_count(kernel_size=3, map_shape=np.array(7)) == parameter_count(kernel_size=3, map_shape=7)


@each_dtype
@pytest.mark.parametrize("shared", [True, False], ids=["conv2d", "local2d"])
def test_convolution_and_its_backward(dtype, shared):
    forward, backward = (conv2d, conv2d_backward) if shared else (local2d, local2d_backward)
    random_state = np.random.default_rng(0)
    for _ in range(100):
        X, kernels, bias, d_out, options, sides = layer_problem(random_state, shared=shared)
        geometry = options["stride"], sides, options["padding_mode"]
        arrays = [array.astype(dtype) for array in (X, kernels, bias, d_out)]
        result = forward(*arrays[:3], **options)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, reference.convolution(X, as_weights(kernels), bias, *geometry))
        without = forward(*arrays[:2], **options)
        np.testing.assert_array_equal(without, reference.convolution(X, as_weights(kernels), 0 * bias, *geometry))
        gradients = backward(arrays[3], arrays[0], arrays[1], **options)
        d_X, d_weights, d_bias = reference.convolution_backward(d_out, X, as_weights(kernels), *geometry)
        for gradient, expected, shape in zip(
            (gradients[0], as_weights(gradients[1]), gradients[2]), (d_X, d_weights, d_bias),
            (X.shape, as_weights(kernels).shape, bias.shape), strict=True,
        ):  # fmt: skip
            assert (gradient.dtype, gradient.shape) == (dtype, shape)
            np.testing.assert_array_equal(gradient, expected)


@each_dtype
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooling_and_its_backward(dtype, pooling):
    forward, backward = {
        "max": (max_pool2d, max_pool2d_backward), "average": (average_pool2d, average_pool2d_backward)
    }[pooling]  # fmt: skip
    random_state = np.random.default_rng(1)
    for _ in range(100):
        size = ((1, 1), (2, 2), (1, 2), (4, 2), (2, 1))[random_state.integers(5)]
        X = sparse_integers(random_state, (3, *pair(random_state, 4, 9), int(random_state.integers(1, 20))))
        stride = pair(random_state, 1, 4) if random_state.random() < 0.7 else None
        steps = size if stride is None else stride
        result = forward(X.astype(dtype), size, stride)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, reference.POOLINGS[pooling][0](X, size, steps))
        d_out = sparse_integers(random_state, result.shape)
        d_X = backward(d_out.astype(dtype), X.astype(dtype), size, stride)
        assert d_X.dtype == dtype
        np.testing.assert_array_equal(d_X, reference.POOLINGS[pooling][1](d_out, X, size, steps))


def test_pooling_of_nan_infinity_and_ties():
    X = np.array([[1.0, np.nan, -np.inf, -np.inf], [3.0, 2.0, -np.inf, -np.inf]]).reshape(1, 2, 4, 1)
    pooled, d_out = max_pool2d(X), np.array([10.0, 20.0]).reshape(1, 1, 2, 1)
    assert np.isnan(pooled[0, 0, 0, 0])
    assert pooled[0, 0, 1, 0] == -np.inf
    np.testing.assert_array_equal(max_pool2d_backward(d_out, X)[0, :, :, 0], [[0, 10, 20, 0], [0, 0, 0, 0]])
    ties = np.array([[7.0, 7.0], [7.0, 7.0]]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(max_pool2d_backward(np.ones((1, 1, 1, 1)), ties).ravel(), [1, 0, 0, 0])
    assert np.isnan(average_pool2d(X)[0, 0, 0, 0])


def test_pad_is_numpys():
    random_state = np.random.default_rng(2)
    for _ in range(50):
        X = random_state.standard_normal((2, *pair(random_state, 1, 6), 3))
        sides = pair(random_state, 0, 7), pair(random_state, 0, 7)
        widths = ((0, 0), *sides, (0, 0))
        np.testing.assert_array_equal(pad(X, sides), np.pad(X, widths))
        np.testing.assert_array_equal(pad(X, sides, "reflect"), np.pad(X, widths, mode="reflect"))
        np.testing.assert_array_equal(pad(X, sides, "constant", 7.5), np.pad(X, widths, constant_values=7.5))
    assert pad(X, 1).shape == (2, X.shape[1] + 2, X.shape[2] + 2, 3)  # P = 1 adds two rows and two columns
    assert pad(X, (0, 2)).shape == (2, X.shape[1], X.shape[2] + 4, 3)
    assert not np.shares_memory(pad(X, 0), X)


def test_im2col_and_a_matrix_product_are_a_convolution():
    random_state = np.random.default_rng(3)
    for _ in range(100):
        X, kernels, _, _, options, _ = layer_problem(random_state)
        options.pop("padding_mode")
        columns = im2col(X, kernels.shape[2:], **options)
        product = columns @ kernels.reshape(len(kernels), -1).T
        expected = conv2d(X, kernels, **options)
        np.testing.assert_array_equal(product.reshape(expected.shape), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_im2col_shows_the_windows_of_the_padded_image(dtype):
    random_state = np.random.default_rng(6)
    for _ in range(100):
        shape, size, stride, padding, sides = fitting_geometry(random_state)
        X = random_state.standard_normal((3, *shape, 2)).astype(dtype)
        windows = np.lib.stride_tricks.sliding_window_view(pad(X, sides), size, axis=(1, 2))
        windows = windows[:, :: stride[0], :: stride[1]]
        columns = im2col(X, size, stride=stride, padding=padding)
        assert columns.dtype == dtype
        np.testing.assert_array_equal(columns, windows.reshape(3, -1, 2 * size[0] * size[1]))
        for i, image in enumerate(X):  # a sample's patches are its own
            np.testing.assert_array_equal(im2col(image[None], size, stride=stride, padding=padding)[0], columns[i])


# ---------------------------------------------------------------------------------------- properties, exact on integers


def test_adjoint_identities():
    # <d_out, conv(X)> = <d_X, X> = <d_kernels, kernels>: backward is the transpose of forward, in both arguments.
    random_state = np.random.default_rng(4)
    for shared in (True, False):
        for _ in range(500):
            X, kernels, _, d_out, options, _ = layer_problem(random_state, shared=shared)
            forward, backward = (conv2d, conv2d_backward) if shared else (local2d, local2d_backward)
            value = np.vdot(d_out, forward(X, kernels, **options))
            d_X, d_kernels, d_bias = backward(d_out, X, kernels, **options)
            assert np.vdot(d_X, X) == value
            assert np.vdot(d_kernels, kernels) == value
            assert d_bias.sum() == d_out.sum()


def test_col2im_is_the_adjoint_of_im2col():
    random_state = np.random.default_rng(5)
    for _ in range(500):
        shape, size, stride, padding, _ = fitting_geometry(random_state)
        X = sparse_integers(random_state, (2, *shape, 3))
        columns = im2col(X, size, stride=stride, padding=padding)
        other = sparse_integers(random_state, columns.shape)
        image = col2im(other, (*shape, 3), size, stride=stride, padding=padding)
        assert image.shape == X.shape
        assert np.vdot(columns, other) == np.vdot(X, image)


def test_pooling_is_linear_where_it_should_be():
    random_state = np.random.default_rng(6)
    for _ in range(500):
        X = sparse_integers(random_state, (2, *pair(random_state, 4, 9), 3))
        size, stride = ((2, 2), (4, 1), (1, 2))[random_state.integers(3)], pair(random_state, 1, 3)
        pooled = average_pool2d(X, size, stride)
        d_out = sparse_integers(random_state, pooled.shape)
        assert np.vdot(d_out, pooled) == np.vdot(average_pool2d_backward(d_out, X, size, stride), X)
        pooled = max_pool2d(X, size, stride)  # the maximum is the selected pixel: the same identity holds at X
        assert np.vdot(d_out, pooled) == np.vdot(max_pool2d_backward(d_out, X, size, stride), X)


def test_input_gradient_of_cross_correlation_is_full_convolution():
    # The lecture's duality, and the other way round.
    random_state = np.random.default_rng(7)
    for _ in range(500):
        image, kernel = (sparse_integers(random_state, pair(random_state, *limits)) for limits in ((4, 9), (1, 4)))
        x, k = image[None, :, :, None], kernel[None, None]
        d_out = sparse_integers(random_state, conv2d(x, k).shape)
        d_x = conv2d_backward(d_out, x, k)[0][0, :, :, 0]
        np.testing.assert_array_equal(d_x, convolve(d_out[0, :, :, 0], kernel, mode="full"))
        # a layer that convolves has a cross-correlation as its gradient
        flipped = flip_kernel(k)
        d_x = conv2d_backward(d_out, x, flipped)[0][0, :, :, 0]
        overhang = [(n - 1, n - 1) for n in kernel.shape]
        np.testing.assert_array_equal(d_x, cross_correlate(d_out[0, :, :, 0], kernel, padding=overhang))
        # and the kernel's gradient is a cross-correlation of the image with the output's gradient
        d_kernel = conv2d_backward(d_out, x, k)[1][0, 0]
        np.testing.assert_array_equal(d_kernel, cross_correlate(image, d_out[0, :, :, 0]))


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolution_is_associative(mode):
    random_state = np.random.default_rng(8)
    for _ in range(250):
        f, g = (sparse_integers(random_state, pair(random_state, 1, 3)) for _ in range(2))
        image = sparse_integers(random_state, pair(random_state, 6, 10))
        left = convolve(convolve(image, g, mode=mode), f, mode=mode)
        right = convolve(image, convolve(f, g, mode="full"), mode=mode)
        np.testing.assert_array_equal(left, right)
    signals = [sparse_integers(random_state, n) for n in (12, 4, 3)]
    np.testing.assert_array_equal(
        convolve(convolve(*signals[:2]), signals[2]), convolve(signals[0], convolve(*signals[1:]))
    )


def test_full_convolution_is_commutative_and_distributive():
    random_state = np.random.default_rng(9)
    for _ in range(250):
        shape = pair(random_state, 1, 6)
        f, g, h = (sparse_integers(random_state, s) for s in (pair(random_state, 1, 6), shape, shape))
        np.testing.assert_array_equal(convolve(f, g), convolve(g, f))
        np.testing.assert_array_equal(convolve(f, g + h), convolve(f, g) + convolve(f, h))


def test_a_shifted_image_gives_a_shifted_map():
    random_state = np.random.default_rng(10)
    for _ in range(500):
        X = np.zeros((1, 16, 16, 2))
        X[:, 5:10, 5:10] = sparse_integers(random_state, (1, 5, 5, 2))
        kernels = sparse_integers(random_state, (3, 2, *pair(random_state, 1, 4)))
        stride = pair(random_state, 1, 3)
        steps = random_state.integers(-1, 2, 2)
        shifted = np.roll(X, steps * stride, axis=(1, 2))
        maps, maps_of_shifted = (conv2d(images, kernels, stride=stride) for images in (X, shifted))
        inner = np.s_[:, 1:-1, 1:-1]
        np.testing.assert_array_equal(maps_of_shifted[inner], np.roll(maps, steps, axis=(1, 2))[inner])


def test_maximum_does_not_notice_a_shift_inside_its_window():
    random_state = np.random.default_rng(11)
    for _ in range(500):
        size = pair(random_state, 2, 4)
        X = np.zeros((1, 2 * size[0], 2 * size[1], 1))
        spots = [(r * size[0], c * size[1]) for r in range(2) for c in range(2)]
        heights = random_state.integers(1, 9, 4)

        def bright_pixels(offsets, X=X, spots=spots, heights=heights):
            image = X.copy()
            for (row, column), (down, right), height in zip(spots, offsets, heights, strict=True):
                image[0, row + down, column + right] = height
            return image

        offsets = np.stack([random_state.integers(0, n, (2, 4)) for n in size], axis=-1)
        first, second = (max_pool2d(bright_pixels(places), size) for places in offsets)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first.ravel(), heights)


def test_local_layer_with_equal_kernels_is_a_convolution():
    random_state = np.random.default_rng(12)
    for _ in range(500):
        X, kernels, bias, d_out, options, _ = layer_problem(random_state)
        map_shape = d_out.shape[1:3]
        repeated = np.broadcast_to(kernels, (*map_shape, *kernels.shape))
        local = local2d(X, repeated, np.broadcast_to(bias, (*map_shape, *bias.shape)), **options)
        np.testing.assert_array_equal(local, conv2d(X, kernels, bias, **options))
        d_X, d_kernels, d_bias = conv2d_backward(d_out, X, kernels, **options)
        d_X_local, d_repeated, d_bias_repeated = local2d_backward(d_out, X, repeated, **options)
        np.testing.assert_array_equal(d_X_local, d_X)
        np.testing.assert_array_equal(d_repeated.sum(axis=(0, 1)), d_kernels)  # sharing sums what positions want
        np.testing.assert_array_equal(d_bias_repeated.sum(axis=(0, 1)), d_bias)


def test_order_of_channels_filters_and_images_does_not_matter():
    random_state = np.random.default_rng(13)
    for _ in range(500):
        X, kernels, bias, _, options, _ = layer_problem(random_state)
        maps = conv2d(X, kernels, bias, **options)
        images, filters, channels = (random_state.permutation(n) for n in (len(X), *kernels.shape[:2]))
        np.testing.assert_array_equal(conv2d(X[images], kernels, bias, **options), maps[images])
        np.testing.assert_array_equal(conv2d(X, kernels[filters], bias[filters], **options), maps[..., filters])
        np.testing.assert_array_equal(conv2d(X[..., channels], kernels[:, channels], bias, **options), maps)


def test_explicit_padding_is_padding():
    random_state = np.random.default_rng(14)
    for _ in range(500):
        X, kernels, bias, _, options, sides = layer_problem(random_state)
        explicit = conv2d(pad(X, sides, options["padding_mode"]), kernels, bias, stride=options["stride"])
        np.testing.assert_array_equal(explicit, conv2d(X, kernels, bias, **options))


def test_turning_everything_turns_the_result():
    random_state = np.random.default_rng(15)
    for _ in range(100):
        x, kernel = (sparse_integers(random_state, pair(random_state, *limits)) for limits in ((4, 9), (1, 4)))
        result = cross_correlate(x, kernel)
        np.testing.assert_array_equal(cross_correlate(flip_kernel(x), flip_kernel(kernel)), flip_kernel(result))
        np.testing.assert_array_equal(cross_correlate(x.T, kernel.T), result.T)
        np.testing.assert_array_equal(cross_correlate(x, flip_kernel(kernel)), convolve(x, kernel, mode="valid"))


# ------------------------------------------------------------------------------------------------------- signals, sizes


@each_dtype
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_agrees_with_numpy_and_scipy(dtype, mode):
    random_state = np.random.default_rng(16)
    for n, k in itertools.product(range(1, 8), range(1, 8)):
        x, kernel = (sparse_integers(random_state, length, 9, 1).astype(dtype) for length in (n, k))
        result = convolve(x, kernel, mode=mode)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.convolve(x, kernel, mode))
    for n, m, k, j in itertools.product((1, 2, 5), (1, 3, 4), (1, 2, 3, 6), (1, 2, 5)):
        x, kernel = (sparse_integers(random_state, shape, 9, 1).astype(dtype) for shape in ((n, m), (k, j)))
        try:
            expected = convolve2d(x, kernel, mode)
        except ValueError:
            with pytest.raises(ValueError, match="neither of the shapes"):
                convolve(x, kernel, mode=mode)
        else:
            np.testing.assert_array_equal(convolve(x, kernel, mode=mode), expected)


def test_cross_correlate_with_stride_and_padding():
    random_state = np.random.default_rng(17)
    for _ in range(100):
        shape, size, stride, padding, sides = fitting_geometry(random_state)
        x, kernel = sparse_integers(random_state, shape), sparse_integers(random_state, size)
        mode = ("zeros", "reflect")[random_state.integers(2)]
        expected = reference.convolution(x[None, :, :, None], kernel[:, :, None, None], 0.0, stride, sides, mode)
        result = cross_correlate(x, kernel, stride=stride, padding=padding, padding_mode=mode)
        np.testing.assert_array_equal(result, expected[0, :, :, 0])
    signal, kernel = sparse_integers(random_state, 9), sparse_integers(random_state, 4)
    for padding in (0, 2, (1, 3), "same", "valid"):
        sides = reference.sides(padding, (9, 9), (4, 4), (2, 2))[1] if isinstance(padding, str) else padding
        padded = np.pad(signal, sides)
        expected = np.correlate(padded, kernel, "valid")[::2]
        np.testing.assert_array_equal(cross_correlate(signal, kernel, stride=2, padding=padding), expected)


def test_output_shape_counts_rows_and_columns_that_no_window_covers():
    for n, k, s, before, after in itertools.product(range(1, 9), range(1, 5), range(1, 6), range(3), range(3)):
        if k > n + before + after:
            with pytest.raises(ValueError, match="does not fit"):
                output_shape((n, 9), (k, 1), stride=s, padding=((before, after), (0, 0)))
            continue
        shape, skipped = output_shape((n, 9), (k, 1), stride=s, padding=((before, after), (0, 0)))
        assert shape[0] == len(range(-before, n + after - k + 1, s))
        assert skipped[0] == len(skipped_pixels(n, k, s, (before, after)))


def test_output_shape_takes_every_form():
    assert output_shape((28, 28), 5) == ((24, 24), (0, 0))
    assert output_shape((28, 30, 3), (5, 3), stride=(2, 1), padding="same") == ((14, 30), (0, 0))
    assert output_shape(np.array([6, 6]), 3, stride=2, padding=1) == ((3, 3), (0, 0))
    assert output_shape((2**40, 1), (3, 1)) == ((2**40 - 2, 1), (0, 0))
    assert output_shape((2**40, 1), 1, stride=2**39) == ((2, 1), (2**40 - 2, 0))


def test_output_shape_is_the_shape_of_the_output():
    random_state = np.random.default_rng(18)
    for _ in range(100):
        X, kernels, _, _, options, _ = layer_problem(random_state)
        maps = conv2d(X, kernels, **options)
        options.pop("padding_mode")
        assert output_shape(X.shape[1:], kernels.shape[2:], **options)[0] == maps.shape[1:3]


def test_receptive_field():
    assert receptive_field([], []) == (1, 1)
    assert receptive_field([3], [1]) == (3, 1)
    assert receptive_field([3, 3, 3], [1, 1, 1]) == (7, 1)
    assert receptive_field([(3, 1), (2, 2)], [(1, 1), 2]) == ((4, 2), (2, 2))
    with pytest.raises(ValueError, match="kernel_sizes has 2 entries, strides has 1"):
        receptive_field([3, 3], [1])
    for arguments, name in (((3, 1), "kernel_sizes"), (([3], 1), "strides"), ((None, [1]), "kernel_sizes")):
        with pytest.raises(TypeError, match=rf"{name}=.* is no sequence\. Give one size for each layer"):
            receptive_field(*arguments)


def test_receptive_field_is_what_changes_a_unit():
    # Change one pixel after the other, and see which ones the middle unit notices.
    kernels = [np.ones((1, 1, 1, 3)), np.ones((1, 1, 1, 2))]

    def last_unit(X):
        pooled = max_pool2d(conv2d(X, kernels[0], padding=(0, 1)), (1, 2))
        return conv2d(pooled, kernels[1])[0, 0, 2, 0]

    X = np.zeros((1, 1, 20, 1))
    seen = []
    for pixel in range(20):
        X[0, 0, pixel] = 1
        seen += [pixel] if last_unit(X) > 0 else []
        X[0, 0, pixel] = 0
    field, _ = receptive_field([3, 2, 2], [1, 2, 1])
    assert len(seen) == field == max(seen) - min(seen) + 1


def test_parameter_count_counts():
    kernels, local = np.zeros((6, 3, 5, 4)), np.zeros((7, 2, 6, 3, 5, 4))
    assert parameter_count(kernel_size=(5, 4), channels=3, n_filters=6) == kernels.size + 6
    assert parameter_count(kernel_size=(5, 4), channels=3, n_filters=6, map_shape=(7, 2)) == local.size + 7 * 2 * 6
    assert parameter_count(n_inputs=10, n_outputs=7) == 10 * 7 + 7
    assert isinstance(parameter_count(kernel_size=np.int64(3)), int)


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"n_inputs": 3}, {"n_outputs": 3}, {"kernel_size": 3, "n_inputs": 3, "n_outputs": 3},
        {"n_inputs": 3, "n_outputs": 3, "map_shape": 3}, {"n_inputs": 3, "n_outputs": 3, "n_filters": 2},
        {"kernel_size": 0}, {"kernel_size": 3, "n_filters": 0}, {"kernel_size": (1, 2, 3)},
        {"kernel_size": 3, "map_shape": (2, 0)},
    ],
)  # fmt: skip
def test_parameter_count_refuses_a_mixture(arguments):
    with pytest.raises(ValueError):
        parameter_count(**arguments)


# ------------------------------------------------------------------------------------------------- arrays of every kind


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("f4", "f4", "f4"), ("f8", "f8", "f8"), ("f4", "f8", "f8"), ("f8", "f4", "f8"), ("i8", "f4", "f4"),
        ("f4", "u1", "f4"), ("i4", "i4", "f8"), ("?", "f8", "f8"), ("?", "?", "f8"), ("f2", "f2", "f4"),
        ("f2", "i2", "f4"), (">f4", "<f4", "f4"), (">f8", "f4", "f8"),
    ],
)  # fmt: skip
def test_type_of_the_result(first, second, expected):
    X = np.ones((2, 4, 4, 1), dtype=first)
    kernels = np.ones((3, 1, 2, 2), dtype=second)
    result = conv2d(X, kernels)
    assert result.dtype == np.dtype(expected)
    np.testing.assert_array_equal(result, 4)
    for gradient in conv2d_backward(np.ones(result.shape, dtype=first), X, kernels):
        assert gradient.dtype == np.dtype(expected)


def test_type_of_the_result_of_one_array():
    for kind, expected in (("f4", "f4"), ("f8", "f8"), ("u1", "f8"), ("f2", "f4")):
        X = np.ones((1, 2, 2, 1), dtype=kind)
        for result in (max_pool2d(X), average_pool2d(X), pad(X, 1), im2col(X, 2), col2im(im2col(X, 2), (2, 2), 2)):
            assert result.dtype == np.dtype(expected)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((1, 4, 4, 1), dtype=complex), np.full((1, 4, 4, 1), "a"), np.ones((1, 4, 4, 1), dtype=object),
        np.zeros((1, 4, 4, 1), dtype="M8[s]"), np.ones((1, 4, 4, 1), dtype=np.longdouble),
    ],
    ids=["complex", "string", "object", "datetime", "longdouble"],
)  # fmt: skip
def test_other_types_are_refused(array):
    kernels = np.ones((1, 1, 2, 2))
    if array.dtype.itemsize == 8 and array.dtype.kind == "f":
        pytest.skip("a longdouble is a float64 on this platform")
    calls = (
        lambda: conv2d(array, kernels), lambda: max_pool2d(array), lambda: average_pool2d(array), lambda: pad(array, 1),
        lambda: im2col(array, 2), lambda: conv2d_backward(array, np.ones((1, 5, 5, 1)), kernels),
        lambda: cross_correlate(array[0, :, :, 0], np.ones((2, 2))), lambda: convolve(np.ones(3), array[0, 0, :, 0]),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(TypeError, match="has dtype"):
            call()


def test_layout_and_ownership():
    random_state = np.random.default_rng(19)
    X, kernels = random_state.standard_normal((3, 6, 5, 4)), random_state.standard_normal((2, 4, 3, 3))
    expected = bits(conv2d(X, kernels))
    for variant in (
        np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1].copy()[::-1], X.astype(">f8"), X.tolist(),
        np.moveaxis(np.moveaxis(X, 3, 1).copy(), 1, 3),
    ):  # fmt: skip
        assert bits(conv2d(variant, kernels)) == expected
    X.flags.writeable = kernels.flags.writeable = False
    before = bits(X), bits(kernels)
    maps = conv2d(X, kernels)
    conv2d_backward(maps, X, kernels)
    max_pool2d_backward(max_pool2d(X), X)
    assert (bits(X), bits(kernels)) == before
    flipped = flip_kernel(kernels)
    assert flipped.flags.writeable
    assert not np.shares_memory(flipped, kernels)


def other_layouts(array):
    """The same numbers column by column, with gaps, backwards and with other axes first; read-only; of foreign bytes."""
    yield np.asfortranarray(array)
    yield array.astype(array.dtype.newbyteorder())
    for axis in range(array.ndim):
        index = (slice(None),) * axis
        yield np.repeat(array, 3, axis=axis)[(*index, slice(None, None, 3))]
        yield np.flip(np.flip(array, axis).copy(), axis)
        yield np.moveaxis(np.moveaxis(array, axis, 0).copy(), 0, axis)
    frozen = array.copy()
    frozen.flags.writeable = False
    yield frozen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_layout_of_no_argument_matters(dtype):
    """Kernels, biases and gradients of maps as little as images."""
    random_state = np.random.default_rng(21)
    draw = lambda *shape: random_state.standard_normal(shape).astype(dtype)  # noqa: E731
    X, kernels, local, bias, d_out = draw(3, 6, 5, 4), draw(2, 4, 3, 3), draw(4, 3, 2, 4, 3, 3), draw(2), draw(3, 4, 3, 2)
    columns = im2col(X, 3)
    calls = {
        conv2d: (X, kernels, bias), conv2d_backward: (d_out, X, kernels),
        local2d: (X, local), local2d_backward: (d_out, X, local),
        max_pool2d: (X,), max_pool2d_backward: (draw(3, 3, 2, 4), X), average_pool2d_backward: (draw(3, 3, 2, 4), X),
        convolve: (X[0, :, :, 0].copy(), kernels[0, 0].copy()), flip_kernel: (kernels,),
        (lambda X: im2col(X, 3)): (X,), (lambda X: pad(X, 1)): (X,), (lambda X: col2im(X, (6, 5, 4), 3)): (columns,),
    }  # fmt: skip

    def bits_of(results):
        results = results if isinstance(results, tuple) else (results,)
        return [bits(array.astype(array.dtype.newbyteorder("="))) for array in results]  # flip_kernel keeps the type that it gets

    for call, arguments in calls.items():
        expected = bits_of(call(*arguments))
        for place, argument in enumerate(arguments):
            for other in other_layouts(argument):
                found = bits_of(call(*arguments[:place], other, *arguments[place + 1 :]))
                assert found == expected, (call, place, other.strides)


@pytest.mark.parametrize("strides", [(0, 0, 0, 0), (-8, 8, 8, 8), (8, 1, 1, 8), (2**40, 2**40, 3, 8)])
def test_strides_of_axes_of_length_one_do_not_matter(strides):
    one = np.full((1, 1, 1, 1), 3.0)
    odd = np.lib.stride_tricks.as_strided(one, one.shape, strides)
    assert odd.strides == strides
    for X, kernels in ((one, odd), (odd, one), (odd, odd)):
        assert conv2d(X, kernels).item() == 9
        assert [array.item() for array in conv2d_backward(one, X, kernels)] == [9, 9, 3]
        assert max_pool2d(X, 1).item() == average_pool2d(X, 1).item() == pad(X, 0).item() == 3
    rows = np.lib.stride_tricks.as_strided(np.arange(6.0), (6, 1, 1, 1), (8, *strides[1:]))
    np.testing.assert_array_equal(conv2d(rows, one).ravel(), 3 * np.arange(6.0))


def test_zero_strides_of_a_broadcast_array():
    X = np.broadcast_to(np.ones(2), (3, 4, 4, 2))
    np.testing.assert_array_equal(conv2d(X, np.ones((1, 2, 2, 2))), np.full((3, 3, 3, 1), 8))


def test_a_row_does_not_depend_on_the_batch():
    random_state = np.random.default_rng(20)
    X = random_state.standard_normal((40, 12, 11, 3)).astype(np.float32)
    kernels = random_state.standard_normal((9, 3, 3, 3)).astype(np.float32)
    maps, pooled = conv2d(X, kernels), average_pool2d(X)
    for i in (0, 17, 39):
        assert bits(conv2d(X[i : i + 1], kernels)) == bits(maps[i : i + 1])
        assert bits(average_pool2d(X[i : i + 1])) == bits(pooled[i : i + 1])


def test_empty_batches():
    X, kernels, local = np.zeros((0, 5, 4, 3)), np.ones((2, 3, 2, 2)), np.ones((4, 3, 2, 3, 2, 2))
    assert conv2d(X, kernels).shape == (0, 4, 3, 2)
    assert local2d(X, local).shape == (0, 4, 3, 2)
    for backward, weights in ((conv2d_backward, kernels), (local2d_backward, local)):
        d_X, d_kernels, d_bias = backward(np.zeros((0, 4, 3, 2)), X, weights)
        assert d_X.shape == X.shape
        assert d_kernels.shape == weights.shape
        assert not d_kernels.any()
        assert not d_bias.any()
    for forward, backward in ((max_pool2d, max_pool2d_backward), (average_pool2d, average_pool2d_backward)):
        assert forward(X).shape == (0, 2, 2, 3)
        assert backward(np.zeros((0, 2, 2, 3)), X).shape == X.shape
    assert pad(X, 1).shape == (0, 7, 6, 3)
    assert im2col(X, 2).shape == (0, 12, 12)
    assert col2im(np.zeros((0, 12, 12)), (5, 4, 3), 2).shape == X.shape


@pytest.mark.parametrize("stride", [2**31, 2**40])
def test_a_stride_beyond_the_image_takes_one_position(stride):
    X, kernels = np.ones((1, 4, 4, 1)), np.ones((1, 1, 3, 3))
    assert conv2d(X, kernels, stride=stride).shape == (1, 1, 1, 1)
    d_X, _, _ = conv2d_backward(np.ones((1, 1, 1, 1)), X, kernels, stride=stride)
    np.testing.assert_array_equal(d_X[0, :3, :3], 1)
    assert d_X.sum() == 9
    assert max_pool2d(X, 2, stride).shape == (1, 1, 1, 1)
    assert im2col(X, 2, stride=stride).shape == (1, 1, 4)
    assert col2im(np.ones((1, 1, 4)), (4, 4), 2, stride=stride).sum() == 4


# ------------------------------------------------------------------------------------------------------------- refusals

IMAGES, KERNELS, LOCAL = np.ones((2, 4, 5, 3)), np.ones((2, 3, 2, 2)), np.ones((3, 4, 2, 3, 2, 2))
D_OUT = np.ones((2, 3, 4, 2))

REFUSED = [
    # function, arguments, keywords, error, what the message names
    (conv2d, (IMAGES[0], KERNELS), {}, ValueError, r"X has shape \(4, 5, 3\), but \(n, rows, columns, channels\)"),
    (conv2d, (IMAGES, KERNELS[0]), {}, ValueError, "kernels have shape .* 4 axes are needed"),
    (conv2d, (IMAGES, LOCAL), {}, ValueError, "use local2d"),
    (local2d, (IMAGES, KERNELS), {}, ValueError, "use conv2d"),
    (conv2d, (IMAGES, KERNELS[:, :2]), {}, ValueError, "kernels have 2 channels, but the images of X have 3"),
    (conv2d, (IMAGES, np.ones((5, 2, 3, 3), np.float32)), {}, ValueError, "kernels have 2 channels, but the images of X have 3"),
    (conv2d, (IMAGES[:, :0], KERNELS), {}, ValueError, "its axis 'rows' is empty"),
    (conv2d, (IMAGES[:, :, :0], KERNELS), {}, ValueError, "its axis 'columns' is empty"),
    (conv2d, (IMAGES[..., :0], KERNELS[:, :0]), {}, ValueError, "its axis 'channels' is empty"),
    (conv2d, (IMAGES, KERNELS[:0]), {}, ValueError, "its axis 'n_filters' is empty"),
    (conv2d, (IMAGES, KERNELS[:, :, :0]), {}, ValueError, "its axis 'kernel rows' is empty"),
    (conv2d, (IMAGES, np.ones((2, 3, 5, 1))), {}, ValueError, "a kernel of 5 x 1 does not fit an image of 4 x 5"),
    (conv2d, (IMAGES, KERNELS, np.ones(3)), {}, ValueError, r"bias has shape \(3,\), but \(2,\) is needed"),
    (conv2d, (IMAGES, KERNELS), {"stride": 0}, ValueError, "stride=0 is out of range"),
    (conv2d, (IMAGES, KERNELS), {"stride": -1}, ValueError, "stride=-1 is out of range"),
    (conv2d, (IMAGES, KERNELS), {"stride": 1.0}, TypeError, "stride=1.0 is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"stride": True}, TypeError, "stride=True is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"stride": None}, TypeError, "stride=None is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"stride": "2"}, TypeError, "stride='2' is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"stride": np.nan}, TypeError, "stride=nan is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"stride": 2**63}, ValueError, "stride=9223372036854775808 is out of range"),
    (conv2d, (IMAGES, KERNELS), {"stride": (1, 2, 3)}, ValueError, "has 3 entries"),
    (conv2d, (IMAGES, KERNELS), {"stride": ()}, ValueError, "has 0 entries"),
    (conv2d, (IMAGES, KERNELS), {"padding": -1}, ValueError, "padding=-1 is out of range"),
    (conv2d, (IMAGES, KERNELS), {"padding": "full"}, ValueError, "padding='full' is unknown"),
    (conv2d, (IMAGES, KERNELS), {"padding": 1.5}, TypeError, "padding=1.5 is not an integer"),
    (conv2d, (IMAGES, KERNELS), {"padding": (1, 2, 3, 4)}, ValueError, "has 4 entries"),
    (conv2d, (IMAGES, KERNELS), {"padding": ((1, 2, 3), 1)}, ValueError, "has 3 entries"),
    (conv2d, (IMAGES, KERNELS), {"padding": ((1, -2), (1, 1))}, ValueError, "padding=-2 is out of range"),
    (conv2d, (IMAGES, KERNELS), {"padding": 2**40}, ValueError, "would take .* bytes"),
    (conv2d, (IMAGES, KERNELS), {"padding_mode": "edge"}, ValueError, "padding_mode='edge' is unknown"),
    (conv2d, (IMAGES, KERNELS), {"padding_mode": None}, ValueError, "padding_mode=None is unknown"),
    (conv2d_backward, (D_OUT[:1], IMAGES, KERNELS), {}, ValueError, "d_out has shape"),
    (conv2d_backward, (D_OUT[0], IMAGES, KERNELS), {}, ValueError, "d_out has shape"),
    (conv2d_backward, (D_OUT, IMAGES, KERNELS), {"stride": 2}, ValueError, r"\(2, 2, 2, 2\) is needed"),
    (local2d, (IMAGES, LOCAL), {"stride": 2}, ValueError, "for one kernel at each position of the map"),
    (local2d, (IMAGES, LOCAL, np.ones(2)), {}, ValueError, r"bias has shape \(2,\), but \(3, 4, 2\) is needed"),
    (max_pool2d, (IMAGES, 5), {}, ValueError, "a pool window of 5 x 5 does not fit an image of 4 x 5"),
    (max_pool2d, (IMAGES, 0), {}, ValueError, "pool_size=0 is out of range"),
    (max_pool2d, (IMAGES, 2, 0), {}, ValueError, "stride=0 is out of range"),
    (average_pool2d, (IMAGES[0],), {}, ValueError, "X has shape"),
    (max_pool2d_backward, (IMAGES, IMAGES), {}, ValueError, "d_out has shape"),
    (average_pool2d_backward, (IMAGES, IMAGES, (5, 5)), {}, ValueError, "does not fit"),
    (pad, (IMAGES, -1), {}, ValueError, "padding=-1"),
    (pad, (IMAGES, "same"), {}, ValueError, "there is no kernel to fit"),
    (pad, (IMAGES, 1, "edge"), {}, ValueError, "mode='edge' is unknown"),
    (pad, (IMAGES, 1, "zeros", 3.0), {}, ValueError, "value=3.0 is used with mode='constant' only"),
    (pad, (IMAGES, 1, "constant", "3"), {}, TypeError, "value='3' is not a real number"),
    (pad, (IMAGES[0], 1), {}, ValueError, "X has shape"),
    (im2col, (IMAGES, 6), {}, ValueError, "a kernel of 6 x 6 does not fit"),
    (im2col, (IMAGES, (2, 0)), {}, ValueError, "kernel_size=0 is out of range"),
    (col2im, (np.ones((1, 4, 4)), (3, 3), 3), {}, ValueError, "columns has shape"),
    (col2im, (np.ones((1, 4, 4)), 3, 2), {}, ValueError, "input_shape=3: give"),
    (col2im, (np.ones((1, 4, 4)), (3, 0), 2), {}, ValueError, "input_shape=0 is out of range"),
    (output_shape, ((5, 5), 6), {}, ValueError, "does not fit an image of 5 x 5 pixels"),
    (output_shape, ((5,), 1), {}, ValueError, "give \\(rows, columns\\)"),
    (output_shape, ((5, 5.0), 1), {}, TypeError, "input_shape=5.0 is not an integer"),
    (receptive_field, ([0], [1]), {}, ValueError, "kernel_sizes=0 is out of range"),
    (receptive_field, ([3], [0]), {}, ValueError, "strides=0 is out of range"),
    (cross_correlate, (np.ones(3), np.ones((2, 2))), {}, ValueError, "two signals .* or two images"),
    (cross_correlate, (IMAGES, KERNELS), {}, ValueError, "batches and channels are for conv2d"),
    (cross_correlate, (np.ones(3), np.ones(4)), {}, ValueError, "a kernel of 1 x 4 does not fit"),
    (cross_correlate, (np.ones(0), np.ones(1)), {}, ValueError, "x has shape .* is empty"),
    (cross_correlate, (np.ones(3), np.ones(2)), {"stride": (1, 1)}, ValueError, "a signal has one axis"),
    (convolve, (np.ones(3), np.ones(0)), {}, ValueError, "kernel has shape .* is empty"),
    (convolve, (np.ones(3), np.ones(2)), {"mode": "circular"}, ValueError, "mode='circular' is unknown"),
    (convolve, (np.ones(3), 2.0), {}, ValueError, "two signals"),
    (flip_kernel, (3.0,), {}, ValueError, "no axis to reverse"),
]


@pytest.mark.parametrize(
    ("function", "arguments", "keywords", "error", "message"),
    REFUSED,
    ids=[f"{row[0].__name__}-{index}" for index, row in enumerate(REFUSED)],
)
def test_refusals_name_parameter_and_value(function, arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **keywords)


def test_everything_public_is_listed_and_has_an_example():
    for name in functional.__all__:
        assert ">>>" in getattr(functional, name).__doc__
    public = {name for name, value in vars(functional).items() if callable(value) and not name.startswith("_")}
    assert public == set(functional.__all__)


def test_concurrent_calls_do_not_disturb_each_other():
    import concurrent.futures

    random_state = np.random.default_rng(21)
    problems = [layer_problem(random_state) for _ in range(60)]
    expected = [bits(conv2d(X, kernels, bias, **options)) for X, kernels, bias, _, options, _ in problems]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda p: bits(conv2d(*p[:3], **p[4])), problems * 3)
        assert list(results) == expected * 3


def test_sums_of_sizes_are_python_integers():
    assert parameter_count(n_inputs=2**40, n_outputs=2**40) == (2**40 + 1) * 2**40
    assert math.prod(output_shape((2**40, 2**40), 1)[0]) == 2**80


@pytest.mark.parametrize("name", functional.__all__)
def test_signatures_carry_types(name):
    """The package says that it is typed: every argument and every result of an operation is."""
    signature = inspect.signature(getattr(functional, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
