"""Convolutions, poolings and dense layers of any geometry, forward and backward, against their naive twins.

Half of the cases have small integers, whose sums are exact in any order: every bit has to be the twin's. The others have real
numbers, and an error of at most

    (number of terms of the sum + 2) * 2**-24 * (the same sum of absolute values)

which holds for a sum in any order (Higham 2002, "Accuracy and stability of numerical algorithms", section 3.1); Winograd's
algorithm has a bound of its own, see `test_winograd.py`. In double precision
2**-53 takes the place of 2**-24. So there is no tolerance, and no false alarm. Every case draws its level, its number type, how
many samples there are, none among them, and where and in which order the images lie in memory.

    python tests/fuzz_geometry.py --cases 200000 --seed 7
    python tests/fuzz_geometry.py --seed 7 --first 1234 --cases 1             replays one, as printed with a failure
"""

import argparse
import math
import time
from collections import Counter

import numpy as np
from problems import DTYPES, LEVELS, Problem, choose, pair, random_padding, sparse_integers
from reference import (
    WINOGRAD_ROUNDINGS,
    WINOGRAD_ROUNDINGS_OF_WEIGHTS,
    network_backward,
    network_forward,
    unpack,
    winograd,
    winograd_input_gradient,
    winograd_weight_gradient,
)

from sklearn_cnn import _kernels
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan

LARGEST_WORK = 3_000_000  # multiply-adds of a case, for the naive twin
NAMES = ("outputs", "gradient of the images", "gradient of the parameters")


def random_layer(random_state, *, exact):
    """A layer and the shape of an image for it, which need not fit."""
    kind = random_state.random()
    if kind < 0.1:
        n_inputs = int(random_state.integers(1, 500))
        return DenseLayer(int(random_state.integers(1, 200))), (1, n_inputs, 1)
    rows, columns = pair(random_state, 1, choose(random_state, 6, 14, 40))
    shape = (rows, columns, int(random_state.integers(1, choose(random_state, 4, 18, 41))))
    pool_size = choose(random_state, (1, 1), (1, 2), (2, 1), (2, 2), (4, 2), (1, 4), (2, 8))  # averages over them are exact
    pool_stride = pool_size if random_state.random() < 0.5 else pair(random_state, 1, 5)
    if kind < 0.25:
        return PoolingLayer(choose(random_state, "max", "average") if exact else "average", pool_size, pool_stride), shape
    if kind < 0.35:  # what Winograd's algorithm may take
        side = choose(random_state, 3, 5)
        rows, columns = pair(random_state, 1 if side == 3 else 3, 6)
        pooling = choose(random_state, None, "max", "average") if exact else None
        odd_rows, odd_columns = pair(random_state, 0, 1) if pooling == "max" else (0, 0)
        tile = 2 if exact else choose(random_state, 2, 4)  # tiles of 4 x 4 pixels round
        filters = choose(random_state, 16, 40, 48)
        layer = ConvolutionBlock(filters, (side, side), padding="same", pooling=pooling, winograd_tile=tile)
        return layer, (2 * rows + odd_rows, 2 * columns + odd_columns, choose(random_state, 16, 24, 32, 48))
    kernel_size = choose(random_state, (3, 3), (1, 1), pair(random_state, 1, 9), pair(random_state, 1, 5))
    layer = ConvolutionBlock(
        n_filters=int(random_state.integers(1, choose(random_state, 4, 20, 80))),
        kernel_size=kernel_size,
        stride=choose(random_state, (1, 1), (1, 1), pair(random_state, 1, 5)),
        padding=random_padding(random_state, kernel_size),
        padding_mode=choose(random_state, "zeros", "zeros", "reflect"),
        weight_sharing=random_state.random() < 0.8,
        pooling=choose(random_state, None, "max", "average") if exact else None,
        pool_size=pool_size,
        pool_stride=pool_stride,
        activation=choose(random_state, "identity", "relu") if exact else "identity",
    )
    return layer, shape


def random_plan(random_state, *, exact):
    """A plan that fits, and that the twin can compute in reasonable time."""
    while True:
        layer, shape = random_layer(random_state, exact=exact)
        try:
            plan = build_plan((layer,), shape, True)
        except ValueError:
            continue
        if not exact and is_winograd(plan) and (plan.layers[0].padding, plan.layers[0].padding_mode) != ("same", "zeros"):
            continue  # its bound is known for these only
        n_samples = int(random_state.integers(0, 10))
        if n_samples * plan.totals["work"] <= LARGEST_WORK and plan.parameter_size <= LARGEST_WORK:
            return plan, n_samples


def twin(plan, parameters, X, d_outputs):
    """Outputs and gradients of the naive twin, in double precision."""
    outputs, trace = network_forward(plan, parameters, X)
    return outputs, *network_backward(plan, parameters, trace, d_outputs)


def moved(random_state, array):
    """A copy that begins anywhere in memory that its type allows."""
    offset = int(random_state.integers(0, 16)) * array.itemsize
    room = np.empty(array.nbytes + offset, dtype=np.uint8)
    copy = room[offset:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def spread(random_state, array):
    """The same rows with other strides: gaps between rows or numbers, backwards, column by column."""
    n_rows, n_columns = array.shape
    row_step, column_step = pair(random_state, 1, 3)
    room = np.full((n_rows * row_step, n_columns * column_step), np.nan, array.dtype, order=choose(random_state, "C", "F"))
    view = room[::row_step, ::column_step][:: choose(random_state, 1, -1), :: choose(random_state, 1, -1)]
    view[...] = array
    return view


def is_winograd(plan):
    record = plan.records[0]
    return bool(record["tile_side"] or record["gradient_side"] or record["sums_places"])


def bounds(plan, parameters, X, d_outputs, dtype):
    """How far each result may be from the exact one."""
    sums = twin(plan, *map(np.abs, (parameters, X, d_outputs)))
    is_parameter = (np.abs(parameters) > 0) * 1.0
    lengths = twin(plan, is_parameter, np.ones_like(X), np.ones_like(d_outputs))
    unit = 2.0 ** (-24 if dtype == np.float32 else -53)
    if isinstance(plan.layers[0], PoolingLayer):  # an average of ones is one, and a sum of as many terms as its window has pixels
        lengths = [math.prod(plan.layers[0].pool_size) * length for length in lengths]
    factors = [length + 2 for length in lengths]
    if is_winograd(plan) and plan.layers[0].pooling is None:
        factors, sums = bounds_of_winograd(plan, parameters, X, d_outputs, factors, sums)
    # of the twin's own rounding, in double precision
    return [(factor * unit + np.max(factor, initial=0) * 2.0**-52) * total for factor, total in zip(factors, sums, strict=True)]


def bounds_of_winograd(plan, parameters, X, d_outputs, factors, sums):
    """The factors and sums of absolute values of a bare convolution, of those passes that Winograd's algorithm computes."""
    record, side = plan.records[0], plan.layers[0].kernel_size[0]
    (factor, of_images, of_parameters), (outputs, d_X, d_parameters) = factors, map(np.copy, sums)
    images, d_maps = np.abs(X).reshape(-1, *plan.input_shape), np.abs(d_outputs).reshape(-1, *plan.output_shapes[0])
    ((weights, bias),) = unpack(plan, np.abs(parameters))
    tile, of_gradient = ((int(record[f"{name}_side"]), int(record[f"{name}_places"])) for name in ("tile", "gradient"))
    if tile[0]:
        factor = plan.input_shape[2] + WINOGRAD_ROUNDINGS[tile[0], side, tile[1]] + 1
        outputs = winograd(images, weights, bias, tile, absolute=True).reshape(outputs.shape)
    if of_gradient[0]:
        of_images = plan.output_shapes[0][2] + WINOGRAD_ROUNDINGS[of_gradient[0], side, of_gradient[1]] + 1
        d_X = winograd_input_gradient(d_maps, weights, of_gradient, absolute=True).reshape(d_X.shape)
    if record["sums_places"]:
        n_terms = len(X) * (math.prod(plan.output_shapes[0][:2]) // 4 + 1)
        block = slice(plan.blocks[0].offset, plan.blocks[0].offset + math.prod(plan.blocks[0].shape))
        of_parameters, d_parameters = np.array(of_parameters), np.array(d_parameters)
        of_parameters[block] = n_terms + WINOGRAD_ROUNDINGS_OF_WEIGHTS + 1
        d_parameters[block] = winograd_weight_gradient(images, d_maps, side, absolute=True).ravel()
    return (factor, of_images, of_parameters), (outputs, d_X, d_parameters)


def run_case(seed, number):
    """Compare one case; returns its kind, or raises AssertionError."""
    random_state = np.random.default_rng([seed, number])
    exact = random_state.random() < 0.5
    plan, n_samples = random_plan(random_state, exact=exact)
    dtype, level = choose(random_state, *DTYPES), choose(random_state, *LEVELS)
    draw = (lambda shape: sparse_integers(random_state, shape)) if exact else random_state.standard_normal
    numbers = lambda shape: np.asarray(draw(shape)).astype(dtype).astype(np.float64)  # noqa: E731
    parameters = np.zeros(plan.parameter_size)
    for block in plan.blocks:
        parameters[block.offset : block.offset + int(np.prod(block.shape))] = numbers(int(np.prod(block.shape)))
    X, d_outputs = numbers((n_samples, plan.n_inputs)), numbers((n_samples, plan.n_outputs))
    expected = twin(plan, parameters, X, d_outputs)
    problem = Problem(plan, parameters, np.zeros(0), X, d_outputs, *expected)
    found = problem.solve(dtype, level)
    what = f"{plan.layers[0]} of {plan.input_shape}, {n_samples} samples, {np.dtype(dtype).name}, {level}"
    if exact:
        for name, result, right in zip(NAMES, found, expected, strict=True):
            assert np.array_equal(result, right), f"{name} of {what}"
    else:
        allowed = bounds(plan, parameters, X, d_outputs, dtype)
        for name, result, right, bound in zip(NAMES, found, expected, allowed, strict=True):
            error = np.abs(result - right)
            beyond = error > bound
            assert not beyond.any(), f"{name} of {what}: errors of {error[beyond]} where {bound[beyond]} are allowed"
    first = problem.solve_first(dtype, level)
    if exact:
        assert np.array_equal(first, expected[2]), f"gradient of a first layer: {what}"
    own = Network(plan, moved(random_state, parameters.astype(dtype)), level=level)
    elsewhere = moved(random_state, X.astype(dtype))
    assert own.scores(elsewhere).tobytes() == found[0].tobytes(), f"the place in memory matters: {what}"
    assert own.scores(spread(random_state, elsewhere)).tobytes() == found[0].tobytes(), f"strides in memory matter: {what}"
    for result, other in zip(found[1:], own.gradients(elsewhere, d_outputs.astype(dtype)), strict=True):
        assert other.tobytes() == result.tobytes(), f"the place in memory matters to gradients: {what}"
    ways = _kernels.kernels().__dict__
    backward = [name for name in ("WHOLE_MAP", "LISTED", "SHALLOW") if ways[name] == plan.records["backward"][0]]
    kind = type(plan.layers[0]).__name__ if not isinstance(plan.layers[0], ConvolutionBlock) else backward[0]
    return f"{'integers' if exact else 'real numbers'}, {kind}{', Winograd' if is_winograd(plan) else ''}"


def fuzz(seed, first, n_cases, seconds=None):
    """Run cases; returns (how many of each kind, failures)."""
    counts, failures, started = Counter(), [], time.monotonic()
    for number in range(first, first + n_cases):
        if seconds is not None and time.monotonic() - started > seconds:
            break
        try:
            counts[run_case(seed, number)] += 1
        except Exception as error:
            failures.append(f"{error!s:.500}\n    python tests/fuzz_geometry.py --seed {seed} --first {number} --cases 1")
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="no new case after so long")
    arguments = parser.parse_args()
    counts, failures = fuzz(arguments.seed, arguments.first, arguments.cases, arguments.seconds)
    for kind, n in sorted(counts.items()):
        print(f"{n:8} {kind}")
    print(f"seed {arguments.seed}, {counts.total()} cases held, {len(failures)} failed")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
