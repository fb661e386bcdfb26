"""Winograd's algorithm: exact on integers, within its own rounding bound on other numbers, and used where it should be.

The bound is a theorem, so it cannot fail by chance. With u = 2**-24 every number of the result is a sum in which no term goes
through more than `channels + 11` roundings (2 in the transform of the image, 4 in that of the kernel, one per channel, 4 on the
way back, 1 for the bias), so its error is at most that many u times the same expression with all numbers replaced by their
absolute values.
"""

import numpy as np
import pytest
import reference
from problems import each_kernel, each_level

from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan

SHAPES = [((4, 4, 16), 16), ((14, 14, 32), 64), ((6, 2, 48), 16), ((34, 32, 16), 32), ((2, 10, 16), 112)]

B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=float)
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=float)


def block(filters, pooling=None, mode="zeros", padding="same", kernel_size=(3, 3), stride=(1, 1)):
    return ConvolutionBlock(filters, kernel_size, stride, padding, mode, pooling, activation="relu")


def is_winograd(plan):
    return bool(plan.records["transformed_at"][0] >= 0)


def by_tiles(X, weights, bias, b_t=B_T, g=G, a_t=A_T):
    """A "same" convolution of even maps, tile by tile."""
    n, rows, columns, _ = X.shape
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernels = np.einsum("ai,ijcf,bj->abcf", g, weights, g)
    maps = np.empty((n, rows, columns, weights.shape[3]))
    for r in range(0, rows, 2):
        for c in range(0, columns, 2):
            tile = np.einsum("ai,nijc,bj->nabc", b_t, padded[:, r : r + 4, c : c + 4], b_t)
            product = np.einsum("nabc,abcf->nabf", tile, kernels)
            maps[:, r : r + 2, c : c + 2] = np.einsum("ia,nabf,jb->nijf", a_t, product, a_t)
    return maps + bias


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (block(16), (8, 8, 16), True),
        (block(16, padding="valid"), (8, 6, 16), True),
        (block(16), (7, 8, 16), False),
        (block(20), (8, 8, 16), False),
        (block(16), (8, 8, 3), False),
        (block(16, kernel_size=(3, 2)), (8, 8, 16), False),
        (block(16, stride=(2, 2)), (8, 8, 16), False),
    ],
)
def test_where_it_is_used(layer, shape, expected):
    assert is_winograd(build_plan((layer,), shape)) is expected


@each_kernel
@pytest.mark.parametrize(("shape", "filters"), SHAPES)
@pytest.mark.parametrize(("pooling", "mode"), [(None, "zeros"), ("max", "reflect"), ("average", "zeros")])
def test_exact_on_integers(level, dtype, shape, filters, pooling, mode):
    rng = np.random.default_rng(0)
    layer = block(filters, pooling, mode)
    plan = build_plan((layer,), shape)
    assert is_winograd(plan)
    network = Network(plan, rng.integers(-3, 4, plan.parameter_size).astype(dtype), level=level)
    X = rng.integers(-3, 4, (3, *shape))
    outputs = network.scores(X.reshape(3, -1).astype(dtype)).reshape(3, *plan.output_shapes[0])
    expected, _ = reference.layer_forward(layer, network.weights(0).astype(float), network.bias(0).astype(float), X.astype(float))
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(outputs, expected)


@each_level
@pytest.mark.parametrize(("shape", "filters"), SHAPES)
def test_rounding_stays_within_the_bound(level, shape, filters):
    rng = np.random.default_rng(1)
    layer = ConvolutionBlock(filters, (3, 3), (1, 1), "same")
    plan = build_plan((layer,), shape)
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((2, *shape)).astype(np.float32)
    outputs = network.scores(X.reshape(2, -1)).reshape(2, *plan.output_shapes[0])
    weights, bias = network.weights(0).astype(float), network.bias(0).astype(float)
    exact = by_tiles(X.astype(float), weights, bias)
    size = by_tiles(np.abs(X.astype(float)), np.abs(weights), np.abs(bias), np.abs(B_T), np.abs(G), np.abs(A_T))
    bound = (shape[2] + 12) * 2.0**-24 * size
    error = np.abs(outputs - exact)
    assert error.max() > 0  # or the comparison would be of the kernel with itself
    assert (error <= bound).all()


@each_level
def test_rows_and_threads_change_no_bit(level):
    rng = np.random.default_rng(2)
    plan = build_plan((block(32, "max"), block(16)), (16, 12, 16))
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((40, plan.n_inputs)).astype(np.float32)
    together = network.scores(X)
    for n_threads in (2, 3, 7):
        assert network.scores(X, n_threads=n_threads).tobytes() == together.tobytes()
    for i in (0, 1, 17, 39):
        assert network.scores(X[i : i + 1]).tobytes() == together[i : i + 1].tobytes()


@each_level
@pytest.mark.parametrize("pooling", [None, "max", "average"])
@pytest.mark.parametrize("shape", [(2, 2, 16), (4, 4, 16), (6, 4, 16), (2, 8, 32)])
def test_small_maps_that_share_a_product_change_no_bit(level, shape, pooling):
    rng = np.random.default_rng(3)
    plan = build_plan((block(48, pooling),), shape)
    assert is_winograd(plan)
    assert plan.records["group"][0] > 1
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((19, plan.n_inputs)).astype(np.float32)
    together = network.scores(X)
    for i in range(19):
        assert network.scores(X[i : i + 1]).tobytes() == together[i : i + 1].tobytes()
