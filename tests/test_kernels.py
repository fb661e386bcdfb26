"""Every compiled module against the naive twins: exactly on integers, within the rounding bound on other numbers."""

import math
from functools import lru_cache

import numpy as np
import pytest
import reference
from problems import (
    bits,
    each_kernel,
    each_level,
    integer_problems,
    make_problem,
    parameter_vector,
    random_block,
    random_dense,
    random_pooling,
    sparse_integers,
)
from reference import LAYERS

from sklearn_cnn import _kernels
from sklearn_cnn._network.activations import ACTIVATIONS
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan

each_row = pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)


def tolerances(dtype):
    return {"rtol": 2e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-12}


def run_layer(layer, X, parameters=None, *, dtype=np.float32, level=None):
    """Outputs of one layer for images (n, rows, columns, channels)."""
    plan = build_plan((layer,), X.shape[1:])
    vector = np.zeros(plan.parameter_size) if parameters is None else reference.pack(plan, [parameters])
    scores = Network(plan, vector.astype(dtype), level=level).scores(X.reshape(len(X), -1).astype(dtype))
    return scores.reshape(len(X), *plan.output_shapes[-1])


# --------------------------------------------------------------------------------------------- exact, on small integers
#
# The naive twin takes longer than all modules together, so it solves each set of problems once; its tests follow each other.


def assert_exact(problem, dtype, level):
    """Whether a layer is the first of its network or not: outputs and gradients have every bit of the twin's."""
    outputs, d_X, d_parameters = problem.solve(dtype, level)
    d_first = problem.solve_first(dtype, level)
    case = problem.plan.layers, problem.plan.input_shape, len(problem.X)
    np.testing.assert_array_equal(outputs, problem.outputs, err_msg=f"outputs of {case}")
    np.testing.assert_array_equal(d_X, problem.d_X, err_msg=f"input gradient of {case}")
    np.testing.assert_array_equal(d_parameters, problem.d_parameters, err_msg=f"parameter gradient of {case}")
    np.testing.assert_array_equal(d_first, problem.d_parameters, err_msg=f"gradient of first layer {case}")


@each_kernel
@pytest.mark.parametrize(
    ("make_layer", "n_problems"), [(random_block, 1200), (random_pooling, 100), (random_dense, 60)],
    ids=["blocks", "pooling", "dense"],
)  # fmt: skip
def test_random_geometry_is_exact_on_integers(level, dtype, make_layer, n_problems):
    for problem in integer_problems(make_layer, n_problems, 0):
        assert_exact(problem, dtype, level)


@lru_cache(maxsize=1)
def problems_of_every_width(pooling, kernel_size):
    # Tiles are cut differently for every width of the map, for every remainder of the filters, and where 2 x 2 pixels are pooled.
    random_state = np.random.default_rng(4)
    problems = []
    for columns in range(1, 16):
        for n_filters in (1, 3, 4, 7, 8, 10, 16, 33, 48):
            channels = int(random_state.integers(1, 4))
            layer = ConvolutionBlock(n_filters, kernel_size, (1, 1), "same", "zeros", pooling if columns > 1 else None)
            shape = (int(random_state.integers(2, 9)), columns, channels)
            problems.append(make_problem([layer], shape, 3, lambda size: sparse_integers(random_state, size)))
    return problems


@each_kernel
@pytest.mark.parametrize("pooling", [None, "max", "average"])
@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 4)])
def test_every_width_of_map_and_filters_is_exact_on_integers(level, dtype, pooling, kernel_size):
    for problem in problems_of_every_width(pooling, kernel_size):
        assert_exact(problem, dtype, level)


@lru_cache(maxsize=1)
def problems_of_every_number_of_channels(pooling, size, stride):
    # Few channels are computed in vectors that reach into the next pixel; windows that tile the map write it, others add to it.
    random_state = np.random.default_rng(5)
    layer = PoolingLayer(pooling, size, stride)
    shapes = [(8, columns, channels) for columns in (4, 6, 7, 12, 26) for channels in range(1, 18)]
    return [make_problem([layer], shape, 2, lambda size: 8 * sparse_integers(random_state, size)) for shape in shapes]


@each_kernel
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("size", "stride"), [((2, 2), (2, 2)), ((4, 2), (4, 2)), ((2, 4), (1, 2)), ((2, 2), (2, 3))])
def test_every_number_of_channels_is_pooled_exactly_on_integers(level, dtype, pooling, size, stride):
    for problem in problems_of_every_number_of_channels(pooling, size, stride):
        assert_exact(problem, dtype, level)


@lru_cache(maxsize=1)
def problems_with_lists(pool_size, n_filters):
    # Lists after maximum pooling are made in vectors or number by number, by filters and window, and so many at once.
    random_state = np.random.default_rng(6)
    layer = ConvolutionBlock(n_filters, (3, 3), (1, 1), "same", "zeros", "max", pool_size, pool_size, True, "relu")
    problems = []
    for rows, columns, channels, n in ((1, 1, 3, 3), (2, 5, 4, 2), (4, 4, 5, 5), (8, 9, 3, 2)):
        shape = (rows * pool_size[0], columns * pool_size[1], channels)
        problems.append(make_problem([layer], shape, n, lambda size: sparse_integers(random_state, size, 1)))
    return problems


@each_kernel
@pytest.mark.parametrize("pool_size", [(2, 2), (1, 3), (2, 4), (3, 3), (4, 4), (3, 6)])
@pytest.mark.parametrize("n_filters", [1, 5, 16, 17, 48, 300])
def test_lists_of_every_length_are_exact_on_integers(level, dtype, pool_size, n_filters):
    for problem in problems_with_lists(pool_size, n_filters):
        assert problem.plan.records["backward"][0] == _kernels.kernels().LISTED
        assert_exact(problem, dtype, level)


@lru_cache(maxsize=1)
def problems_of_small_maps(kernel_size, pooling):
    # Maps of 4 x 4 pixels have products and lists of their own, where channels and filters fill halves of vectors and the padding
    # is a border of zeros; what looks alike but is not goes another way.
    random_state = np.random.default_rng(11)
    cases = [(channels, filters, "same", "zeros") for channels in (3, 4, 8, 12, 16, 24, 40) for filters in (5, 8, 24, 40)]
    cases += [(16, 16, "same", "reflect"), (16, 8, ((0, 2), (1, 1)), "zeros"), (16, 8, ((1, 1), (2, 0)), "zeros")]
    problems = []
    for channels, n_filters, padding, mode in cases[: None if kernel_size == (3, 3) else -2]:
        layer = ConvolutionBlock(n_filters, kernel_size, (1, 1), padding, mode, pooling)
        problems.append(make_problem([layer], (4, 4, channels), 11, lambda size: sparse_integers(random_state, size, 1)))
    return problems


@each_kernel
@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 5), (3, 5)])
@pytest.mark.parametrize("pooling", [None, "max", "average"])
def test_small_maps_are_exact_on_integers(level, dtype, kernel_size, pooling):
    n_small = 0
    for problem in problems_of_small_maps(kernel_size, pooling):
        n_small += int(problem.plan.records["has_small_map"][0])
        assert_exact(problem, dtype, level)
    assert n_small == (0 if kernel_size == (3, 5) else 12)


@each_kernel
@pytest.mark.parametrize(("pooling", "pool_size"), [
    ("max", (3, 3)), ("max", (2, 3)), ("max", (4, 4)), ("average", (2, 4)), ("average", (4, 1)), ("average", (4, 4)),
])  # fmt: skip
def test_windows_of_small_maps_are_exact_on_integers(level, dtype, pooling, pool_size):
    # Windows of another size leave pixels over, or overlap.
    random_state = np.random.default_rng(12)
    layer = ConvolutionBlock(8, (3, 3), (1, 1), "same", "zeros", pooling, pool_size, (1, 1))
    problem = make_problem([layer], (4, 4, 8), 3, lambda size: 16 * sparse_integers(random_state, size, 1))
    assert problem.plan.records["has_small_map"][0]
    assert_exact(problem, dtype, level)


@lru_cache(maxsize=1)
def problems_of_planes():
    # Rows and columns without a window, planes that are taken up in several bands of an even and an odd number of rows, and rows
    # of maxima that end in the midst of a vector.
    random_state = np.random.default_rng(8)
    problems = []
    shapes = (28, 28, 1), (9, 31, 2), (17, 23, 1), (8, 64, 3), (11, 301, 20), (13, 220, 20)
    for shape, n_filters, kernel_size, activation in zip(
        shapes, (6, 5, 6, 3, 6, 3), ((5, 5), (3, 3), (5, 4), (3, 2), (3, 1), (3, 1)), ("relu", "identity") * 3, strict=True
    ):
        layer = ConvolutionBlock(
            n_filters, kernel_size, (1, 1), "same", "zeros", "max", (2, 2), (2, 2), True, activation
        )
        problems.append(make_problem([layer], shape, 2, lambda size: sparse_integers(random_state, size, 1)))
    return problems


@each_kernel
def test_maxima_in_planes_are_exact_on_integers(level, dtype):
    bands = set()
    for problem in problems_of_planes():
        record = problem.plan.records[0]
        assert record["planes_size"] > 0
        assert record["planes_first"] == 0
        bands.add((record["planes_rows"] < record["map_rows"], int(record["planes_rows"] % 2)))
        assert_exact(problem, dtype, level)
    assert {(True, 0), (True, 1)} <= bands


@each_kernel
def test_activation_comes_behind_maxima_in_planes(level, dtype):
    X = np.random.default_rng(9).standard_normal((2, 28, 28, 1))
    blocks = [ConvolutionBlock(6, (5, 5), pooling="max", activation=activation) for activation in ("identity", "tanh")]
    weights = np.random.default_rng(10).standard_normal((5, 5, 1, 6)), np.full(6, 0.25)
    maxima, of_maxima = (run_layer(layer, X, weights, dtype=dtype, level=level) for layer in blocks)
    np.testing.assert_allclose(of_maxima, np.tanh(maxima.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("channels", "side", "n_filters", "way"), [
    (1, 5, 6, "LISTED"), (1, 5, 10, "LISTED"), (1, 5, 12, "LISTED"), (1, 5, 8, "SHALLOW"), (1, 5, 16, "SHALLOW"),
    (1, 5, 24, "SHALLOW"), (1, 3, 6, "LISTED"), (1, 3, 12, "SHALLOW"), (1, 3, 16, "SHALLOW"), (3, 3, 8, "LISTED"),
    (3, 3, 20, "LISTED"), (3, 3, 32, "SHALLOW"),
])  # fmt: skip
def test_maxima_of_a_first_layer_are_listed_where_filters_leave_lanes_empty(channels, side, n_filters, way):
    plan = build_plan((ConvolutionBlock(n_filters, (side, side), padding="same", pooling="max"),), (28, 28, channels))
    assert plan.records["backward"][0] == getattr(_kernels.kernels(), way)


@lru_cache(maxsize=1)
def problems_of_long_rows(pooling, pool_size, map_shape):
    # Their gradients are spread over so many places at once: rows of windows, windows and rows of one window are divided.
    random_state = np.random.default_rng(7)
    problems = []
    # filters in vectors and one by one; fewer of these, or more taps, and maxima had better be listed
    for n_filters, channels in ((13, 1), (16, 2), (21, 1)):
        layer = ConvolutionBlock(
            n_filters, (3, 3), (1, 1), "same", "zeros", pooling, pool_size, pool_size, True, "relu"
        )
        problems.append(make_problem([layer], (*map_shape, channels), 2, lambda size: sparse_integers(random_state, size, 1)))
    return problems


@each_kernel
@pytest.mark.parametrize(
    ("pooling", "pool_size", "map_shape"),
    [(None, (1, 1), (2, 300)), ("max", (2, 2), (6, 140)), ("max", (16, 16), (16, 32)), ("average", (2, 4), (5, 150)),
     ("average", (1, 512), (1, 1024)), ("average", (2, 256), (4, 256)), ("average", (32, 16), (32, 33))],
)  # fmt: skip
def test_first_layers_of_long_rows_and_large_windows_are_exact_on_integers(level, dtype, pooling, pool_size, map_shape):
    for problem in problems_of_long_rows(pooling, pool_size, map_shape):
        first = build_plan(problem.plan.layers, problem.plan.input_shape)
        assert first.records["backward"][0] == _kernels.kernels().SHALLOW
        np.testing.assert_array_equal(problem.solve_first(dtype, level), problem.d_parameters, err_msg=str(problem.plan.layers))


@pytest.mark.parametrize("make_layer", [random_block, random_pooling, random_dense])
def test_problems_are_exact_in_single_precision(make_layer):
    # What the test above rests on: every partial sum of absolute values is far below 2**24.
    for problem in integer_problems(make_layer, 100, 0):
        absolute = [np.abs(array) for array in (problem.parameters, problem.X, problem.d_outputs)]
        outputs, _ = reference.network_forward(problem.plan, absolute[0], absolute[1])
        d_X, d_parameters = reference.network_backward(
            problem.plan, absolute[0], reference.network_forward(problem.plan, absolute[0], absolute[1])[1], absolute[2]
        )
        assert max(array.max(initial=0) for array in (outputs, d_X, d_parameters)) < 2**20
    kinds = {type(problem.plan.layers[0]) for problem in integer_problems(make_layer, 100, 0)}
    assert len(kinds) == 1


def test_random_blocks_cover_every_kind():
    layers = [problem.plan.layers[0] for problem in integer_problems(random_block, 1000, 0)]
    seen = {(layer.pooling, layer.weight_sharing, layer.padding_mode, layer.activation) for layer in layers}
    assert len(seen) == 3 * 2 * 2 * 2
    assert any(max(layer.stride) > max(layer.kernel_size) for layer in layers)
    assert any(layer.n_filters % 16 and layer.n_filters > 16 for layer in layers)
    assert {"same", "valid"} <= {layer.padding for layer in layers}
    assert any(isinstance(layer.padding[0], tuple) for layer in layers)
    plans = [problem.plan for problem in integer_problems(random_block, 1000, 0)]
    plans += [build_plan(plan.layers, plan.input_shape) for plan in plans]
    ways_back = [int(plan.records["backward"][0]) for plan in plans if plan.layers[0].weight_sharing]
    kernels = _kernels.kernels()
    for way in (kernels.WHOLE_MAP, kernels.LISTED, kernels.SHALLOW):
        assert ways_back.count(way) > 50


# ------------------------------------------------------------------------------------------- rounding, on other numbers


@each_kernel
@each_row
def test_layer_agrees_with_its_twin(level, dtype, row):
    random_state = np.random.default_rng(1)
    problem = make_problem([row.layer], row.input_shape, 5, random_state.standard_normal)
    assert problem.plan.output_shapes[-1] == row.output_shape
    for result, expected in zip(
        (*problem.solve(dtype, level), problem.solve_first(dtype, level)),
        (problem.outputs, problem.d_X, problem.d_parameters, problem.d_parameters),
        strict=True,
    ):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, **tolerances(dtype))


@lru_cache(maxsize=1)
def bounded_problems():
    """Convolutions of real numbers: plan, parameters, inputs, the exact outputs and how far rounding may lead."""
    # |error| <= (K + 2) u (|x| * |w| + |b|) with K the length of the sum and u = 2**-24: a theorem, so no false alarm.
    random_state = np.random.default_rng(2)
    problems = []
    for problem in integer_problems(random_block, 1000, 0)[:200]:
        layer = problem.plan.layers[0]
        layer = ConvolutionBlock(**{**vars(layer), "pooling": None, "activation": "identity"})
        plan = build_plan((layer,), problem.plan.input_shape)
        parameters = parameter_vector(plan, random_state.standard_normal, np.float32)
        X = random_state.standard_normal(problem.X.shape).astype(np.float32)
        exact, _ = reference.network_forward(plan, parameters.astype(np.float64), X.astype(np.float64))
        size, _ = reference.network_forward(plan, np.abs(parameters).astype(np.float64), np.abs(X).astype(np.float64))
        n_terms = math.prod(layer.kernel_size) * plan.input_shape[2]
        problems.append((plan, parameters, X, exact, (n_terms + 2) * 2.0**-24 * size))
    return problems


@each_level
def test_convolution_stays_within_the_rounding_bound(level):
    for plan, parameters, X, exact, bound in bounded_problems():
        scores = Network(plan, parameters, level=level).scores(X)
        assert np.all(np.abs(scores - exact) <= bound)


@each_kernel
def test_input_of_every_number_type_is_scaled_per_channel(level, dtype):
    random_state = np.random.default_rng(3)
    plan = build_plan((DenseLayer(4),), (3, 2, 3))
    parameters = parameter_vector(plan, lambda size: sparse_integers(random_state, size), dtype)
    shift, factor = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 4.0])
    X = random_state.integers(0, 100, (5, 18))
    scaled = ((X.reshape(5, 3, 2, 3) - shift) * factor).reshape(5, 18)
    expected, _ = reference.network_forward(plan, parameters, scaled)
    for kind in ("u1", "i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", ">f4", ">f8", ">i2"):
        scores = Network(plan, parameters, level=level).scores(X.astype(kind), shift=shift, factor=factor)
        np.testing.assert_array_equal(scores, expected, err_msg=kind)
        one = Network(plan, parameters, level=level).scores(X.astype(kind), shift=shift[:1], factor=factor[1:2])
        np.testing.assert_array_equal(
            one, reference.network_forward(plan, parameters, (X - 1.0) * 0.5)[0], err_msg=kind
        )
    flags = X % 2 == 0
    np.testing.assert_array_equal(
        Network(plan, parameters, level=level).scores(flags),
        reference.network_forward(plan, parameters, flags * 1.0)[0],
    )


# ---------------------------------------------------------------------------------------------------------- activations


@each_level
@pytest.mark.parametrize(
    ("activation", "exact", "ulps"),
    [
        ("logistic", lambda x: 1 / (1 + np.exp(-x)), 4),
        ("tanh", np.tanh, 4),
        ("relu", lambda x: np.maximum(x, 0), 0),
        ("identity", lambda x: x, 0),
    ],
)
def test_activation_is_accurate_in_single_precision(level, activation, exact, ulps):
    random_state = np.random.default_rng(4)
    x = np.concatenate([np.linspace(-80, 80, 4001), random_state.standard_normal(4000), np.logspace(-30, 1, 200)])
    x = x.astype(np.float32)
    layer = ConvolutionBlock(1, (1, 1), activation=activation)
    result = run_layer(layer, x.reshape(1, 1, -1, 1), (1.0, 0.0), level=level).ravel()
    expected = exact(x.astype(np.float64))
    assert np.all(np.abs(result - expected) <= ulps * np.spacing(np.abs(expected).astype(np.float32)))


def test_every_activation_has_a_twin():
    assert reference.ACTIVATIONS.keys() == ACTIVATIONS.keys()


@each_kernel
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_at_the_ends_of_the_range(level, dtype, activation):
    x = np.array([-np.inf, -1e30, -200.0, -0.0, 0.0, 200.0, 1e30, np.inf, np.nan])
    limits = {
        "identity": x,
        "relu": [0, 0, 0, 0, 0, 200, 1e30, np.inf, np.nan],
        "logistic": [0, 0, 0, 0.5, 0.5, 1, 1, 1, np.nan],
        "tanh": [-1, -1, -1, 0, 0, 1, 1, 1, np.nan],
    }
    layer = ConvolutionBlock(1, (1, 1), activation=activation)
    result = run_layer(layer, x.reshape(1, 1, -1, 1), (1.0, 0.0), dtype=dtype, level=level).ravel()
    np.testing.assert_allclose(result, np.array(limits[activation], dtype=dtype), atol=1e-30)


# -------------------------------------------------------------------------------------------------------------- pooling


def pool(X, pooling, size, stride, d_outputs, dtype, level):
    """-> pooled images, gradient of X"""
    plan = build_plan((PoolingLayer(pooling, size, stride),), X.shape[1:], True)
    network = Network(plan, np.zeros(0, dtype=dtype), level=level)
    rows = X.reshape(len(X), -1).astype(dtype)
    d_X, _ = network.gradients(rows, np.broadcast_to(d_outputs, (len(X), plan.n_outputs)).astype(dtype))
    return network.scores(rows).reshape(len(X), *plan.output_shapes[0]), d_X.reshape(X.shape)


@each_kernel
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 8, 9, 16, 17, 33])
def test_maximum_of_a_nan_is_nan_in_every_lane(level, dtype, channels):
    for place in range(4):
        for channel in range(channels):
            X = np.ones((1, 2, 2, channels))
            X.reshape(4, channels)[place, channel] = np.nan
            pooled, d_X = pool(X, "max", (2, 2), (2, 2), 1.0, dtype, level)
            np.testing.assert_array_equal(np.isnan(pooled.ravel()), np.arange(channels) == channel)
            assert d_X.reshape(4, channels)[place, channel] == 1
            assert d_X.sum() == channels


@each_kernel
@pytest.mark.parametrize("channels", [1, 3, 4, 8, 16, 21])
def test_window_of_minus_infinity_keeps_its_first_pixel(level, dtype, channels):
    X = np.full((2, 4, 6, channels), -np.inf)
    pooled, d_X = pool(X, "max", (2, 3), (2, 3), 1.0, dtype, level)
    assert np.all(pooled == -np.inf)
    expected = np.zeros_like(X)
    expected[:, ::2, ::3] = 1
    np.testing.assert_array_equal(d_X, expected)


@each_kernel
@pytest.mark.parametrize("channels", [1, 3, 4, 8, 16, 21])
def test_equal_maxima_give_their_gradient_to_the_first(level, dtype, channels):
    random_state = np.random.default_rng(5)
    X = random_state.integers(0, 2, (6, 6, 8, channels)) * 1.0
    for size, stride in [((2, 2), (2, 2)), ((3, 4), (1, 2)), ((1, 1), (1, 1))]:
        shape = (6, *reference.map_shape(X, size, stride), channels)
        d_outputs = random_state.integers(1, 4, shape) * 1.0
        pooled, d_X = pool(X, "max", size, stride, d_outputs.reshape(6, -1), dtype, level)
        np.testing.assert_array_equal(pooled, reference.max_pool(X, size, stride))
        np.testing.assert_array_equal(d_X, reference.max_pool_backward(d_outputs, X, size, stride))


@each_kernel
@pytest.mark.parametrize("size", [(16, 16), (1, 257), (20, 30), (300, 2)])
def test_windows_of_more_pixels_than_a_byte_counts(level, dtype, size):
    random_state = np.random.default_rng(6)
    X = random_state.permuted(np.arange(2.0 * (size[0] + 2) * (size[1] + 3) * 3)).reshape(
        2, size[0] + 2, size[1] + 3, 3
    )
    X[0, -3:, -4:] += 1e5  # the last window's maximum is in its last corner
    d_outputs = np.ones((2, *reference.map_shape(X, size, (1, 2)), 3))
    pooled, d_X = pool(X, "max", size, (1, 2), d_outputs.reshape(2, -1), dtype, level)
    np.testing.assert_array_equal(pooled, reference.max_pool(X, size, (1, 2)))
    np.testing.assert_array_equal(d_X, reference.max_pool_backward(d_outputs, X, size, (1, 2)))


@each_kernel
def test_average_divides_by_the_whole_window(level, dtype):
    X = np.arange(24.0).reshape(1, 4, 6, 1)
    pooled, d_X = pool(X, "average", (2, 3), (2, 3), 6.0, dtype, level)
    np.testing.assert_array_equal(pooled.ravel(), [4, 7, 16, 19])
    np.testing.assert_allclose(d_X, np.ones_like(X), rtol=1e-6)


# -------------------------------------------------------------------------------------------------------- repeatability


@each_kernel
@each_row
def test_the_same_call_twice_gives_the_same_bits(level, dtype, row):
    random_state = np.random.default_rng(7)
    problem = make_problem([row.layer], row.input_shape, 9, random_state.standard_normal)
    first, second = problem.solve(dtype, level), problem.solve(dtype, level)
    assert [bits(array) for array in first] == [bits(array) for array in second]


@each_kernel
@each_row
def test_empty_batch(level, dtype, row):
    problem = make_problem([row.layer], row.input_shape, 0, np.zeros)
    outputs, d_X, d_parameters = problem.solve(dtype, level)
    assert outputs.shape == (0, math.prod(row.output_shape))
    assert d_X.shape == (0, math.prod(row.input_shape))
    assert not d_parameters.any()
