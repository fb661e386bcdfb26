"""Winograd's algorithm: exact on integers, within its own rounding bound on other numbers, and used where it should be.

The bound is a theorem, so it cannot fail by chance. With u = 2**-24 every number of the result is a sum in which no term goes
through more roundings than `reference.WINOGRAD_ROUNDINGS` and one per channel, so its error is at most that many u times the same
expression with all numbers replaced by their absolute values. Tiles of 4 x 4 pixels have factors that are no powers of two, so
with these integers are not exact.
"""

import math

import numpy as np
import pytest
import reference
from problems import each_kernel, each_level, make_problem, sparse_integers

from sklearn_cnn import _kernels
from sklearn_cnn._network import algorithms
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.arena import build_arena, prediction_capacity
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan, initial_statistics

# shape of the input, filters, side of the kernels
SHAPES = [
    ((4, 4, 16), 16, 3), ((14, 14, 32), 64, 3), ((6, 2, 48), 16, 3), ((34, 32, 16), 32, 3), ((2, 10, 16), 112, 3),
    ((8, 6, 24), 32, 3), ((6, 6, 16), 16, 5), ((14, 14, 24), 48, 5), ((2, 18, 40), 16, 5), ((34, 32, 16), 32, 5),
    ((10, 6, 56), 112, 5),
]  # fmt: skip


# For tiles of 4 x 4 pixels: shape of the input, filters; some tiles hang over the end of a map.
SHAPES_OF_FOUR = [
    ((4, 4, 16), 16), ((16, 24, 32), 64), ((5, 5, 16), 16), ((7, 9, 24), 32), ((20, 3, 40), 48), ((31, 32, 16), 16),
    ((4, 15, 48), 112),
]  # fmt: skip


# For those that round no more than small ones: likewise, and the side of the kernels.
SHAPES_OF_SEVEN = [
    ((4, 4, 24), 32, 3), ((16, 24, 32), 64, 3), ((8, 4, 16), 16, 3), ((32, 28, 16), 32, 3), ((8, 12, 56), 16, 3),
    ((8, 16, 40), 112, 3),
    ((8, 8, 16), 16, 5), ((16, 24, 32), 64, 5), ((14, 14, 24), 48, 5), ((28, 10, 16), 32, 5), ((8, 16, 40), 48, 5),
    ((4, 4, 16), 16, 5), ((4, 4, 24), 32, 5), ((4, 4, 64), 16, 5),  # a whole map, with nine products of a row
    ((4, 4, 8), 16, 3), ((4, 4, 16), 8, 3), ((4, 4, 8), 8, 5), ((4, 4, 8), 32, 5), ((4, 4, 24), 8, 5),  # halves of vectors
]  # fmt: skip


def block(filters, pooling=None, mode="zeros", padding="same", kernel_size=(3, 3), stride=(1, 1), tile=2):
    return ConvolutionBlock(filters, kernel_size, stride, padding, mode, pooling, activation="relu", winograd_tile=tile)


def tile_of(plan, name="tile", layer=0):
    """The pixels of a tile's side and the products of its row."""
    record = plan.records[layer]
    return int(record[f"{name}_side"]), int(record[f"{name}_places"])


def is_winograd(plan):
    return tile_of(plan)[0] > 0


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (block(16), (8, 8, 16), True),
        (block(16, padding="valid"), (8, 6, 16), True),
        (block(16), (7, 8, 16), True),
        (block(16, "average"), (7, 8, 16), False),
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


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (block(16, tile=4), (8, 8, 16), (4, 6)),
        (block(16, tile=4), (28, 30, 16), (4, 6)),
        (block(16, "max", tile=4), (17, 33, 16), (4, 6)),
        (block(16, "average", tile=4), (12, 12, 16), (4, 6)),
        (block(16, tile=4), (5, 7, 16), (4, 6)),
        (block(16, tile=4), (14, 14, 16), (2, 4)),
        (block(16, "max", tile=4), (7, 7, 16), (2, 4)),
        (block(16, "average", tile=4), (17, 16, 16), (0, 0)),
        (block(16, tile=4), (1, 1, 16), (0, 0)),
        (block(16, kernel_size=(5, 5), tile=4), (8, 8, 16), (4, 11)),
        (block(20, tile=4), (8, 8, 16), (0, 0)),
        (block(16), (4, 4, 16), (4, 7)),
        (block(16), (28, 32, 64), (4, 7)),
        (block(16, "max"), (17, 33, 16), (4, 7)),
        (block(16, "average"), (12, 12, 16), (4, 7)),
        (block(16), (5, 7, 16), (4, 7)),
        (block(16, "average"), (17, 16, 16), (0, 0)),
        (block(16), (14, 14, 16), (2, 4)),
        (block(16), (8, 12, 256), (2, 4)),
        (block(16), (8, 16, 256), (4, 7)),
        (block(64), (4, 4, 16), (4, 7)),
        (block(64), (4, 4, 32), (2, 4)),
        (block(16, kernel_size=(5, 5)), (8, 8, 16), (4, 11)),
        (block(64, kernel_size=(5, 5)), (8, 8, 32), (4, 11)),
        (block(64, kernel_size=(5, 5)), (8, 16, 48), (2, 7)),
        (block(48, "max", kernel_size=(5, 5)), (14, 14, 24), (4, 11)),
        (block(48, "max", kernel_size=(5, 5)), (13, 13, 24), (4, 11)),
        (block(48, "average", kernel_size=(5, 5)), (13, 12, 24), (0, 0)),
        (block(48, kernel_size=(5, 5)), (13, 12, 24), (4, 11)),
        (block(48, kernel_size=(5, 5)), (10, 10, 24), (2, 7)),
        (block(16, "max", kernel_size=(5, 5)), (7, 7, 16), (2, 7)),
        (block(16, kernel_size=(5, 5)), (4, 4, 16), (4, 9)),
        (block(32, "average", kernel_size=(5, 5), tile=4), (4, 4, 24), (4, 9)),
        (block(64, kernel_size=(5, 5)), (4, 4, 24), (0, 0)),
        (block(16, kernel_size=(5, 5)), (4, 4, 8), (4, 9)),
        (block(8), (4, 4, 16), (4, 7)),
        (block(16, tile=4), (4, 4, 8), (4, 7)),
        (block(16, tile=4), (4, 4, 16), (4, 6)),
        (block(8, kernel_size=(5, 5)), (4, 4, 12), (0, 0)),
        (block(24), (4, 4, 16), (0, 0)),
        (block(8), (5, 4, 16), (0, 0)),
        (block(16, mode="reflect"), (4, 4, 8), (0, 0)),
        (block(16, kernel_size=(5, 5), mode="reflect"), (4, 4, 16), (0, 0)),
    ],
)
def test_where_large_tiles_are_used(layer, shape, expected):
    assert tile_of(build_plan((layer,), shape)) == expected


@each_kernel
@pytest.mark.parametrize(("shape", "filters", "side"), SHAPES + SHAPES_OF_SEVEN)
@pytest.mark.parametrize(("pooling", "mode"), [(None, "zeros"), ("max", "reflect"), ("average", "zeros")])
def test_exact_on_integers(level, dtype, shape, filters, side, pooling, mode):
    rng = np.random.default_rng(0)
    if min(shape[:2]) <= side // 2:
        mode = "zeros"  # so small an image has too little to be mirrored
    if shape[:2] == (4, 4) and (side == 5 or 8 in (shape[2], filters)):
        mode = "zeros"  # or it is no small map, which alone is such a tile
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
@pytest.mark.parametrize(
    ("shape", "filters", "side", "tile"),
    [*((*case, 2) for case in SHAPES), *((*case, 2) for case in SHAPES_OF_SEVEN), ((5, 7, 24), 32, 3, 2), ((19, 3, 16), 48, 3, 2),
     *((shape, filters, 3, 4) for shape, filters in SHAPES_OF_FOUR)],
)
def test_rounding_stays_within_the_bound(level, shape, filters, side, tile):
    rng = np.random.default_rng(1)
    layer = ConvolutionBlock(filters, (side, side), (1, 1), "same", winograd_tile=tile)
    plan = build_plan((layer,), shape)
    of_plan = tile_of(plan)
    assert of_plan[1] == 6 if tile == 4 else of_plan[1] in (4, 7, 9, 11)
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((2, *shape)).astype(np.float32)
    outputs = network.scores(X.reshape(2, -1)).reshape(2, *plan.output_shapes[0])
    weights, bias = network.weights(0).astype(float), network.bias(0).astype(float)
    exact, _ = reference.layer_forward(layer, weights, bias, X.astype(float))
    size = reference.winograd(*map(np.abs, (X.astype(float), weights, bias)), of_plan, absolute=True)
    bound = (shape[2] + reference.WINOGRAD_ROUNDINGS[of_plan[0], side, of_plan[1]] + 1) * 2.0**-24 * size
    error = np.abs(outputs - exact)
    assert error.max() > 0  # or the comparison would be of the kernel with itself
    assert (error <= bound).all()


def error_of(tile, shape, filters, level, monkeypatch, side=3, n_samples=2, is_rectified=False):
    """The error of a layer, root mean square and largest, as shares of the values and of the largest; without a tile: direct."""
    monkeypatch.setattr(algorithms, "IS_WINOGRAD_USED", tile[0] > 0)
    monkeypatch.setattr(algorithms, "EXACT_TILES_SHARE", dict.fromkeys((3, 5), 0.9 if tile in ((4, 7), (4, 11)) else 0))
    monkeypatch.setattr(algorithms, "LEAST_EXACT_TILES", {3: 1, 5: 1})
    layer = ConvolutionBlock(filters, (side, side), (1, 1), "same", winograd_tile=4 if tile == (4, 6) else 2)
    plan = build_plan.__wrapped__((layer,), shape)
    assert tile_of(plan) == tile
    rng = np.random.default_rng(6)
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((n_samples, *shape)).astype(np.float32)
    X = np.maximum(X, 0) if is_rectified else X
    outputs = network.scores(X.reshape(n_samples, -1)).reshape(n_samples, *plan.output_shapes[0])
    exact, _ = reference.layer_forward(layer, network.weights(0).astype(float), network.bias(0).astype(float), X.astype(float))
    errors = np.abs(outputs - exact)
    return np.sqrt((errors**2).mean() / (exact**2).mean()), errors.max() / np.abs(exact).max()


@each_level
@pytest.mark.parametrize(("shape", "filters"), [((16, 16, 32), 64), ((28, 28, 16), 32), ((8, 8, 128), 128)])
def test_errors_are_as_large_as_the_user_guide_says(level, shape, filters, monkeypatch):
    tiles = algorithms.NO_TILE, (2, 4), (4, 7), (4, 6)
    direct, small, exact, large = (error_of(tile, shape, filters, level, monkeypatch) for tile in tiles)
    assert small[0] <= direct[0]
    assert exact[0] <= direct[0]
    assert exact[0] <= 1.2 * small[0]
    assert 3 < large[0] / direct[0] < 7
    assert 1e-6 < large[1] < 1.5e-5


@each_level
@pytest.mark.parametrize(("shape", "filters"), [((16, 16, 32), 64), ((14, 14, 24), 48), ((28, 28, 16), 32)])
@pytest.mark.parametrize("is_rectified", [False, True])
def test_errors_of_kernels_of_five_taps_are_smaller_than_those_of_direct_sums(level, shape, filters, is_rectified, monkeypatch):
    tiles = algorithms.NO_TILE, (2, 7), (4, 11)
    errors = [error_of(tile, shape, filters, level, monkeypatch, 5, 2, is_rectified)[0] for tile in tiles]
    assert max(errors[1:]) < errors[0]
    assert errors[2] < 1.5 * errors[1]


@each_level
@pytest.mark.parametrize(("channels", "filters"), [(8, 16), (16, 32), (16, 64), (24, 32)])
@pytest.mark.parametrize("is_rectified", [False, True])
def test_errors_of_whole_maps_are_as_large_as_the_user_guide_says(level, channels, filters, is_rectified, monkeypatch):
    errors = [
        error_of(tile, (4, 4, channels), filters, level, monkeypatch, 5, 20, is_rectified)[0]
        for tile in (algorithms.NO_TILE, algorithms.WHOLE_TILE)
    ]
    assert 1 < errors[1] / errors[0] < 2.2
    assert errors[1] < 6e-7


# shape of the input, filters, side of the kernels, what the backward pass takes: (sums of places, tiles of the input gradient)
BACKWARD = [
    ((6, 6, 16), 16, 3, (1, 2)), ((14, 14, 32), 64, 3, (1, 2)), ((18, 2, 48), 16, 3, (1, 2)), ((8, 6, 24), 32, 3, (1, 0)),
    ((8, 6, 16), 40, 3, (0, 2)), ((8, 8, 16), 16, 5, (1, 4)), ((14, 10, 32), 48, 5, (1, 4)), ((10, 10, 32), 48, 5, (1, 2)),
    ((12, 16, 16), 48, 5, (1, 4)), ((6, 6, 1040), 16, 3, (1, 0)),
    ((7, 8, 16), 16, 3, (0, 0)), ((4, 4, 16), 16, 3, (0, 4)), ((6, 6, 16), 16, 5, (0, 0)), ((4, 4, 32), 24, 5, (0, 4)),
    ((4, 4, 8), 16, 3, (0, 4)), ((4, 4, 16), 8, 5, (0, 4)), ((4, 4, 8), 8, 3, (0, 4)), ((4, 4, 24), 8, 3, (0, 0)),
    ((4, 4, 64), 32, 3, (0, 0)), ((4, 4, 64), 32, 5, (0, 0)),
]  # fmt: skip


@each_kernel
@pytest.mark.parametrize(("shape", "filters", "side", "expected"), BACKWARD)
@pytest.mark.parametrize(("padding", "mode"), [("same", "zeros"), ("same", "reflect"), ((4, 2), "zeros"), ("valid", "zeros")])
def test_gradients_are_exact_on_integers(level, dtype, shape, filters, side, expected, padding, mode):
    """Those of the images and of the weights, also where padding copies pixels, or more of them than a kernel sees."""
    if mode == "reflect" and min(shape[:2]) <= side // 2:
        pytest.skip("so small an image has too little to be mirrored")
    if padding == "valid" and min(shape[:2]) < side:
        pytest.skip("so small an image has no place for the kernel")
    rng = np.random.default_rng(7)
    layer = ConvolutionBlock(filters, (side, side), (1, 1), padding, mode, activation="relu")
    problem = make_problem([layer], shape, 3, lambda size: sparse_integers(rng, size))
    record = problem.plan.records[0]
    if (padding, mode) == ("same", "zeros"):  # else maps or gradients are larger
        assert (record["sums_places"], record["gradient_side"]) == expected
    _, d_X, d_parameters = problem.solve(dtype, level)
    np.testing.assert_array_equal(d_X, problem.d_X)
    np.testing.assert_array_equal(d_parameters, problem.d_parameters)
    assert np.abs(d_parameters).max() > 0


@each_level
@pytest.mark.parametrize(("shape", "filters", "side", "tile"), [
    ((14, 14, 32), 64, 3, (2, 4)), ((10, 10, 16), 48, 5, (2, 7)), ((16, 24, 48), 32, 5, (4, 11)), ((14, 14, 16), 48, 5, (4, 11)),
    ((16, 16, 48), 32, 3, (4, 6)), ((7, 9, 16), 32, 3, (4, 6)),
    ((16, 16, 48), 32, 3, (4, 7)), ((13, 20, 16), 48, 3, (4, 7)), ((4, 4, 32), 24, 5, (4, 9)), ((4, 4, 8), 16, 5, (4, 9)),
    ((4, 4, 32), 24, 3, (4, 7)), ((4, 4, 16), 8, 3, (4, 7)),
])  # fmt: skip
def test_rounding_of_gradients_stays_within_the_bound(level, shape, filters, side, tile):
    rng = np.random.default_rng(8)
    layer = ConvolutionBlock(filters, (side, side), (1, 1), "same", winograd_tile=4 if tile == (4, 6) else 2)
    plan = build_plan((layer,), shape, input_gradient=True)
    record = plan.records[0]
    assert tile_of(plan, "gradient") == tile
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X, d_outputs = (rng.standard_normal((5, n)).astype(np.float32) for n in (plan.n_inputs, plan.n_outputs))
    found = network.gradients(X, d_outputs)
    exact = reference.network_backward(plan, *trace_of(plan, network, X), d_outputs.astype(float))
    images, d_maps = np.abs(X.astype(float)).reshape(5, *shape), np.abs(d_outputs.astype(float)).reshape(5, *shape[:2], filters)
    size = reference.winograd_input_gradient(d_maps, np.abs(network.weights(0).astype(float)), tile, absolute=True)
    bound = (filters + reference.WINOGRAD_ROUNDINGS[tile[0], side, tile[1]] + 1) * 2.0**-24 * size.reshape(5, -1)
    error = np.abs(found[0] - exact[0])
    assert error.max() > 0
    assert (error <= bound).all()
    if record["sums_places"]:
        weights = slice(plan.blocks[0].offset, plan.blocks[0].offset + network.weights(0).size)
        n_terms = 5 * (shape[0] * shape[1] // 4 + 1)  # tiles and chunks
        size = reference.winograd_weight_gradient(images, d_maps, side, absolute=True).ravel()
        error = np.abs(found[1] - exact[1])[weights]
        assert error.max() > 0
        assert (error <= (n_terms + reference.WINOGRAD_ROUNDINGS_OF_WEIGHTS + 1) * 2.0**-24 * size).all()


def trace_of(plan, network, X):
    parameters = network.parameters.astype(float)
    return parameters, reference.network_forward(plan, parameters, X.astype(float))[1]


def assert_plans_agree(plans, dtype, level):
    """Outputs and gradients of two plans of the same network, on the same numbers, differ by their rounding alone."""
    results = []
    for plan in plans:
        rng = np.random.default_rng(5)
        parameters = rng.normal(0, 0.1, plan.parameter_size).astype(dtype)
        network = Network(plan, parameters, initial_statistics(plan, dtype), level=level)
        X = rng.standard_normal((9, plan.n_inputs)).astype(dtype)
        results.append([network.scores(X), *network.gradients(X, rng.standard_normal((9, plan.n_outputs)).astype(dtype))])
    for found, expected in zip(*results, strict=True):
        tolerance = (1e-4 if dtype == np.float32 else 1e-12) * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@each_kernel
@pytest.mark.parametrize(("shape", "side", "pool_stride", "is_used"), [
    ((8, 8, 16), 3, (2, 2), True), ((12, 16, 32), 3, (2, 2), True), ((8, 12, 16), 3, (3, 3), True),
    ((10, 8, 16), 3, (2, 2), False), ((8, 8, 16), 5, (2, 2), False),
])  # fmt: skip
def test_maxima_before_a_normalisation_have_an_input_gradient_in_large_tiles(
    level, dtype, shape, side, pool_stride, is_used, monkeypatch
):
    """It is that of lists; several small images are one group, and windows may leave gaps between them."""
    plans = []
    layers = (
        ConvolutionBlock(shape[2], (1, 1)),
        ConvolutionBlock(32, (side, side), padding="same", pooling="max", pool_stride=pool_stride, batch_norm=True),
    )
    for may_be_used in (True, False):
        monkeypatch.setattr(algorithms, "IS_WINOGRAD_USED", may_be_used)
        plan = build_plan.__wrapped__(layers, shape, input_gradient=True)
        assert plan.records["backward"][1] == _kernels.kernels().LISTED
        assert plan.records["gradient_side"][1] == (4 if may_be_used and is_used else 0)
        plans.append(plan)
    assert_plans_agree(plans, dtype, level)


def of_two_blocks(dtype):
    """A plan whose weights are all transformed, and parameters for it."""
    plan = build_plan((block(32), block(16, kernel_size=(5, 5)), block(32, "max", tile=4)), (8, 8, 16))
    assert (plan.records["remembered_at"] >= 0).all()
    return plan, np.random.default_rng(7).normal(0, 0.1, plan.parameter_size).astype(dtype)


def scores_of(plan, parameters, X, level, n_threads):
    return Network(plan, parameters, level=level).scores(X, n_threads=n_threads)


@each_kernel
@pytest.mark.parametrize("n_threads", [1, 3])
def test_predictions_see_every_weight_that_has_changed(level, dtype, n_threads):
    """Transformed weights stay in a workspace that all networks of the plan use one after another."""
    plan, parameters = of_two_blocks(dtype)
    X = np.random.default_rng(8).standard_normal((20, plan.n_inputs)).astype(dtype)
    blocks = [part for part in plan.blocks if part.kind == "weights"]
    changed = [(part, place) for part in blocks for place in (0, 16, math.prod(part.shape) // 2, math.prod(part.shape) - 1)]
    for n_samples in (1, 2, 20):
        for part, place in changed:
            scores_of(plan, parameters, X[:n_samples], level, n_threads)
            other = parameters.copy()
            other[part.offset + place] += 1
            found = scores_of(plan, other, X[:n_samples], level, n_threads)
            network_module._idle_workspaces.cache_clear()
            np.testing.assert_array_equal(found, scores_of(plan, other, X[:n_samples], level, n_threads))
            assert (found != scores_of(plan, parameters, X[:n_samples], level, n_threads)).any()


@each_kernel
def test_weights_that_have_not_changed_are_not_transformed_again(level, dtype):
    plan, parameters = of_two_blocks(dtype)
    X = np.random.default_rng(8).standard_normal((1, plan.n_inputs)).astype(dtype)
    network_module._idle_workspaces.cache_clear()
    expected = scores_of(plan, parameters, X, level, 1)
    capacity = prediction_capacity(plan, 1, 1)
    workspace, idle = network_module._borrow_workspace(plan, capacity, 1, np.dtype(dtype), level)
    arena = build_arena(plan, capacity, 1, False)[0]
    transformed = workspace.numbers[arena["transformed_at"] : arena["remembered_at"]]
    assert np.abs(transformed).max() > 0
    transformed[:] *= 2
    idle.append(workspace)
    assert (scores_of(plan, parameters, X, level, 1) != expected).any()
    scores_of(plan, -parameters, X, level, 1)
    np.testing.assert_array_equal(scores_of(plan, parameters, X, level, 1), expected)


@pytest.mark.parametrize(("tile", "side", "places"), reference.WINOGRAD)
def test_the_twins_of_gradients_compute_them(tile, side, places):
    rng = np.random.default_rng(9)
    size = (4, 4) if (tile, side, places) == (4, 5, 9) else (8, 6)
    X, weights, d_maps = (rng.standard_normal(shape) for shape in ((2, *size, 3), (side, side, 3, 4), (2, *size, 4)))
    layer = ConvolutionBlock(4, (side, side), (1, 1), "same")
    _, kept = reference.layer_forward(layer, weights, np.zeros(4), X)
    d_X, d_weights, _ = reference.layer_backward(layer, weights, X, kept, d_maps)
    np.testing.assert_allclose(reference.winograd_input_gradient(d_maps, weights, (tile, places)), d_X, rtol=0, atol=1e-12)
    np.testing.assert_allclose(reference.winograd_weight_gradient(X, d_maps, side), d_weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("tile", "side", "places"), reference.WINOGRAD)
def test_the_twin_computes_the_convolution(tile, side, places):
    rng = np.random.default_rng(4)
    size = (4, 4) if (tile, side, places) == (4, 5, 9) else (7, 10)
    X, weights, bias = (rng.standard_normal(shape) for shape in ((2, *size, 3), (side, side, 3, 4), (4,)))
    layer = ConvolutionBlock(4, (side, side), (1, 1), "same")
    expected, _ = reference.layer_forward(layer, weights, bias, X)
    np.testing.assert_allclose(reference.winograd(X, weights, bias, (tile, places)), expected, rtol=0, atol=1e-12)


@each_kernel
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("pooling", "shape", "mode"), [
    (None, (8, 8, 16), "zeros"), (None, (6, 9, 16), "reflect"), (None, (3, 5, 16), "zeros"), ("max", (8, 8, 24), "reflect"),
    ("max", (17, 18, 16), "zeros"), ("average", (8, 12, 16), "zeros"), ("average", (18, 16, 16), "reflect"),
])  # fmt: skip
def test_large_tiles_compute_what_small_ones_do(level, dtype, activation, pooling, shape, mode, monkeypatch):
    """Outputs and gradients of two blocks: both padding modes, and tiles that hang over the end."""
    plans = []
    for share, tile, expected in ((0.8, 4, [(4, 6)]), (0, 2, [(2, 4), (0, 0)]), (0.8, 2, [(4, 7), (2, 4)])):
        monkeypatch.setattr(algorithms, "EXACT_TILES_SHARE", {3: share})
        layer = ConvolutionBlock(32, (3, 3), (1, 1), "same", mode, pooling, activation=activation, winograd_tile=tile)
        plans.append(build_plan.__wrapped__((ConvolutionBlock(shape[2], (1, 1)), layer), shape, input_gradient=True))
        assert tile_of(plans[-1], layer=1) in expected
    assert_plans_agree(plans[:2], dtype, level)
    assert_plans_agree(plans[1:], dtype, level)


@each_level
@pytest.mark.parametrize(("side", "tile", "places"), [(3, 4, 6), (3, 2, 7), (5, 2, 11)])
def test_a_tile_that_hangs_over_the_end_of_a_row_sees_nothing_of_the_next_one(level, side, tile, places):
    """Large numbers there would leave a trace: what cancels out does so but for its rounding."""
    plan = build_plan((ConvolutionBlock(16, (side, side), (1, 1), "same", winograd_tile=tile),), (9, 9, 16))
    assert tile_of(plan) == (4, places)
    rng = np.random.default_rng(11)
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = np.zeros((1, 9, 9, 16), dtype=np.float32)
    X[:, :, 0] = rng.standard_normal((9, 16)) * 1e6
    outputs = network.scores(X.reshape(1, -1)).reshape(9, 9, 16)
    assert np.abs(outputs[:, :2]).max() > 1e6
    np.testing.assert_array_equal(outputs[:, 8], np.broadcast_to(network.bias(0), (9, 16)))


def blocks(side, tile, *poolings):
    of_blocks = zip((32, 16, 32), poolings, strict=True)
    return tuple(block(filters, pooling, kernel_size=(side, side), tile=tile) for filters, pooling in of_blocks)


def overlapping(tile):
    """Windows that overlap: their maps are pooled when they are complete."""
    return ConvolutionBlock(32, (3, 3), (1, 1), "same", "reflect", "max", (3, 3), (2, 1), activation="tanh", winograd_tile=tile)


@each_level
@pytest.mark.parametrize(
    ("layers", "shape", "tiles"),
    [
        (blocks(3, 2, None, "max", "max"), (18, 14, 24), [2, 2, 2]),
        (blocks(3, 2, None, "max", None), (32, 24, 24), [4, 4, 4]),
        (blocks(5, 2, None, "max", "max"), (18, 14, 24), [4, 4, 4]),
        (blocks(5, 2, None, "max", "average"), (20, 20, 24), [4, 4, 2]),
        (blocks(5, 2, None, "max", "max"), (10, 6, 24), [2, 2, 0]),
        (blocks(3, 4, None, "max", None), (32, 24, 24), [4, 4, 4]),
        (blocks(3, 4, None, "max", None), (33, 31, 24), [4, 4, 4]),
        ((overlapping(4), overlapping(2)), (26, 30, 16), [4, 4]),
        ((overlapping(4), overlapping(2)), (26, 20, 16), [4, 2]),
    ],
)
def test_rows_and_threads_change_no_bit(level, layers, shape, tiles):
    rng = np.random.default_rng(2)
    plan = build_plan(layers, shape)
    assert plan.records["tile_side"].tolist() == tiles
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((40, plan.n_inputs)).astype(np.float32)
    together = network.scores(X)
    for n_threads in (2, 3, 7):
        assert network.scores(X, n_threads=n_threads).tobytes() == together.tobytes()
        assert network.scores(X[:1], n_threads=n_threads).tobytes() == together[:1].tobytes()
    for i in (0, 1, 17, 39):
        assert network.scores(X[i : i + 1]).tobytes() == together[i : i + 1].tobytes()


@each_level
@pytest.mark.parametrize("pooling", [None, "max", "average"])
@pytest.mark.parametrize(
    ("shape", "side"), [((2, 2, 16), 3), ((4, 4, 16), 3), ((6, 4, 16), 3), ((2, 8, 32), 3), ((4, 4, 16), 5)]
)
def test_small_maps_that_share_a_product_change_no_bit(level, shape, side, pooling):
    rng = np.random.default_rng(3)
    plan = build_plan((block(48, pooling, kernel_size=(side, side)),), shape)
    assert is_winograd(plan)
    assert plan.records["group"][0] > 1
    network = Network(plan, rng.standard_normal(plan.parameter_size).astype(np.float32), level=level)
    X = rng.standard_normal((19, plan.n_inputs)).astype(np.float32)
    together = network.scores(X)
    for i in range(19):
        assert network.scores(X[i : i + 1]).tobytes() == together[i : i + 1].tobytes()
