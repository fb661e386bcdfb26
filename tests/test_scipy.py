"""SciPy and NumPy as oracles: the same numbers on random problems."""

import numpy as np
import scipy.ndimage
import scipy.signal
from problems import pair, sparse_integers

from sklearn_cnn import functional


def test_thousand_signals_and_images_convolve_as_in_numpy_and_scipy():
    random_state = np.random.default_rng(0)
    n_problems = 0
    while n_problems < 1000:
        dtype = (np.float32, np.float64)[n_problems % 2]
        if n_problems % 3 == 0:
            x, kernel = (sparse_integers(random_state, n).astype(dtype) for n in random_state.integers(1, 30, 2))
            twins = np.convolve, np.correlate
        else:
            x, kernel = (sparse_integers(random_state, pair(random_state, 1, n)).astype(dtype) for n in (16, 9))
            twins = scipy.signal.convolve2d, scipy.signal.correlate2d
        if not (x.any() and kernel.any()):
            continue
        fits = all(k <= n for n, k in zip(x.shape, kernel.shape, strict=True))
        for mode in ("full", "same", "valid"):
            if mode == "valid" and x.ndim == 2 and not fits and np.any(np.less(kernel.shape, x.shape)):
                continue  # neither covers the other: an error there and here
            result = functional.convolve(x, kernel, mode=mode)
            np.testing.assert_array_equal(result, twins[0](x, kernel, mode))
            assert result.dtype == dtype
        if fits:
            np.testing.assert_array_equal(functional.cross_correlate(x, kernel), twins[1](x, kernel, "valid"))
        n_problems += 1


def test_layers_agree_with_scipy():
    random_state = np.random.default_rng(1)
    for _ in range(100):
        shape, size = pair(random_state, 5, 12), pair(random_state, 1, 5)
        channels, filters = (int(n) for n in random_state.integers(1, 6, 2))
        X = random_state.standard_normal((2, *shape, channels))
        kernels = random_state.standard_normal((filters, channels, *size))
        expected = [
            sum(scipy.signal.correlate2d(image[:, :, k], kernel[k], "valid") for k in range(channels))
            for image in X
            for kernel in kernels
        ]
        expected = np.reshape(expected, (2, filters, *expected[0].shape)).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(functional.conv2d(X, kernels), expected, rtol=1e-10, atol=1e-10)


def test_max_pooling_agrees_with_scipy():
    random_state = np.random.default_rng(2)
    for _ in range(100):
        image, size = random_state.standard_normal(pair(random_state, 5, 14)), pair(random_state, 1, 4)
        # SciPy centres its window: its result at the window's centre is ours at the window's corner
        filtered = scipy.ndimage.maximum_filter(image, size, mode="constant", cval=-np.inf)
        expected = filtered[size[0] // 2 :, size[1] // 2 :][
            : image.shape[0] - size[0] + 1, : image.shape[1] - size[1] + 1
        ]
        pooled = functional.max_pool2d(image[None, :, :, None], size, stride=1)
        np.testing.assert_array_equal(pooled[0, :, :, 0], expected)
