"""Winograd's algorithm: exact on integers, within its own rounding bound on other numbers, and used where it should be.

The bound is a theorem, so it cannot fail by chance. With u = 2**-24 every number of the result is a sum in which no term goes
through more than `channels + 15` roundings (2 in the transform of the image, 4 in that of the kernel, one per channel, 8 on the
way back, 1 for the bias), so its error is at most that many u times the same expression with all numbers replaced by their
absolute values. Kernels of three taps have 4 on the way back.
"""

import numpy as np
import pytest
import reference
from problems import each_kernel, each_level, make_problem, sparse_integers

from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan

# shape of the input, filters, side of the kernels
SHAPES = [
    ((4, 4, 16), 16, 3), ((14, 14, 32), 64, 3), ((6, 2, 48), 16, 3), ((34, 32, 16), 32, 3), ((2, 10, 16), 112, 3),
    ((8, 6, 24), 32, 3), ((6, 6, 16), 16, 5), ((14, 14, 24), 48, 5), ((2, 18, 40), 16, 5), ((34, 32, 16), 32, 5),
    ((10, 6, 56), 112, 5),
]  # fmt: skip


def block(filters, pooling=None, mode="zeros", padding="same", kernel_size=(3, 3), stride=(1, 1)):
    return ConvolutionBlock(filters, kernel_size, stride, padding, mode, pooling, activation="relu")


def is_winograd(plan):
    return bool(plan.records["transformed_at"][0] >= 0)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (block(16), (8, 8, 16), True),
        (block(16, padding="valid"), (8, 6, 16), True),
        (block(16), (7, 8, 16), False),
        (block(20), (8, 8, 16), False),
        (block(16), (8, 8, 3), False),
        (block(16, "max"), (7, 9, 16), True),
        (block(16, "average"), (7, 9, 16), False),
        (block(16), (8, 8, 24), True),
        (block(16), (8, 8, 20), False),
        (block(16), (8, 8, 8), False),
        (block(16, kernel_size=(3, 2)), (8, 8, 16), False),
        (block(16, kernel_size=(5, 5)), (6, 6, 16), True),
        (block(16, "max", kernel_size=(5, 5)), (7, 7, 16), True),
        (block(16, kernel_size=(5, 5)), (8, 4, 16), False),
        (block(16, kernel_size=(5, 3)), (8, 8, 16), False),
        (block(16, kernel_size=(4, 4), padding="valid"), (9, 9, 16), False),
        (block(16, stride=(2, 2)), (8, 8, 16), False),
    ],
)
def test_where_it_is_used(layer, shape, expected):
    assert is_winograd(build_plan((layer,), shape)) is expected


@each_kernel
@pytest.mark.parametrize(("shape", "filters", "side"), SHAPES)
@pytest.mark.parametrize(("pooling", "mode"), [(None, "zeros"), ("max", "reflect"), ("average", "zeros")])
def test_exact_on_integers(level, dtype, shape, filters, side, pooling, mode):
    rng = np.random.default_rng(0)
    if min(shape[:2]) <= side // 2:
        mode = "zeros"  # so small an image has too little to be mirrored
    layer = block(filters, pooling, mode, kernel_size=(side, side))
    plan = build_plan((layer,), shape)
    assert is_winograd(plan)
    network = Network(plan, rng.integers(-3, 4, plan.parameter_size).astype(dtype), level=level)
    X = rng.integers(-3, 4, (3, *shape))
    outputs = network.scores(X.reshape(3, -1).astype(dtype)).reshape(3, *plan.output_shapes[0])
    expected, _ = reference.layer_forward(layer, network.weights(0).astype(float), network.bias(0).astype(float), X.astype(float))
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(outputs, expected)


@each_kernel
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize(
    ("shape", "filters", "side"), [((7, 9, 16), 16, 3), ((3, 3, 24), 32, 3), ((7, 7, 48), 32, 5), ((9, 10, 16), 16, 5)]
)
def test_what_no_window_covers_is_left_out_of_odd_maps(level, dtype, activation, shape, filters, side):
    """Outputs, and the gradients that follow the positions of the maxima."""
    rng = np.random.default_rng(0)
    layer = ConvolutionBlock(filters, (side, side), (1, 1), "same", pooling="max", activation=activation)
    problem = make_problem([layer], shape, 3, lambda size: sparse_integers(rng, size))
    assert is_winograd(problem.plan)
    outputs, d_X, d_parameters = problem.solve(dtype, level)
    np.testing.assert_array_equal(outputs, problem.outputs)
    np.testing.assert_array_equal(d_X, problem.d_X)
    np.testing.assert_array_equal(d_parameters, problem.d_parameters)


@each_level
@pytest.mark.parametrize(("shape", "filters", "side"), SHAPES)
def test_rounding_stays_within_the_bound(level, shape, filters, side):
    rng = np.random.default_rng(1)
    layer = ConvolutionBlock(filters, (side, side), (1, 1), "same")
    plan = build_plan((layer,), shape)
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((2, *shape)).astype(np.float32)
    outputs = network.scores(X.reshape(2, -1)).reshape(2, *plan.output_shapes[0])
    weights, bias = network.weights(0).astype(float), network.bias(0).astype(float)
    exact = reference.winograd(X.astype(float), weights, bias)
    size = reference.winograd(*map(np.abs, (X.astype(float), weights, bias)), absolute=True)
    bound = (shape[2] + reference.WINOGRAD_ROUNDINGS[side] + 1) * 2.0**-24 * size
    error = np.abs(outputs - exact)
    assert error.max() > 0  # or the comparison would be of the kernel with itself
    assert (error <= bound).all()


@each_level
@pytest.mark.parametrize("side", [3, 5])
def test_rows_and_threads_change_no_bit(level, side):
    rng = np.random.default_rng(2)
    geometry = {"kernel_size": (side, side)}
    plan = build_plan((block(32, **geometry), block(16, "max", **geometry), block(32, "max", **geometry)), (18, 14, 24))
    assert (plan.records["transformed_at"][:3] >= 0).all()
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
