"""No number depends on how many threads compute it.

Every problem here is large enough for the kernels to use threads, and their own records say that they did: into how many pieces
a region's work was cut, and how many threads shared these. All numbers are random floats, whose sums depend on their order.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
from problems import (
    bits,
    each_kernel,
    each_level,
    gaussian_parameters,
    network_problem,
    random_block,
    regions_of,
    running_statistics,
    train,
)
from reference import LAYERS

from sklearn_cnn import _kernels, functional
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, DropoutLayer, PoolingLayer
from sklearn_cnn._network.network import Network, pace_of_training
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

KERNELS = _kernels.kernels()
WITH_OPENMP = KERNELS.describe()["openmp"]
THREADS = (2, 3, 7)  # compared with 1; OpenMP gives as many as it is asked for, where there are fewer processors too
FEW_AND_MANY = (2, 7)  # where there are hundreds of cases

CHUNKS = {"forward_chunks", "backward_chunks"}
DENSE = {"dense_forward", "dense_backward"}


def assert_threads_change_nothing(module, compute, regions, cut_for_threads=(), threads=THREADS):
    """compute(n_threads) returns the same on one thread and on each of these numbers, and in these regions that many do compute.

    cut_for_threads: regions whose pieces may depend on the threads, because no sum goes over several of them.
    Returns the pieces that the work of every other region is cut into.
    """
    expected, records = regions_of(module, lambda: compute(1))
    assert {n for _, n in records.values()} == {1}
    pieces = {name: n_pieces for name, (n_pieces, _) in records.items() if name not in cut_for_threads}
    for n_threads in threads:
        results, records = regions_of(module, lambda: compute(n_threads))  # noqa: B023
        assert {name: n_pieces for name, (n_pieces, _) in records.items() if name not in cut_for_threads} == pieces
        assert_on_threads(records, regions, n_threads)
        assert results == expected, n_threads
    return pieces


def assert_on_threads(records, regions, n_threads):
    for name in regions:
        n_pieces, threads = records[name]
        assert n_pieces > 1, f"{name}: a single piece, which one thread computes"
        assert threads == (min(n_threads, n_pieces) if WITH_OPENMP else 1), f"{name}: not enough work for threads"


def gradients_of(network, X):
    """A function of n_threads: the bits of a pass forward and backward."""
    d_outputs = np.random.default_rng(1).standard_normal((len(X), network.plan.n_outputs)).astype(network.dtype)

    def gradients(n_threads):
        d_X, d_parameters = network.gradients(X, d_outputs, n_threads=n_threads)
        assert np.isfinite(d_parameters).all()  # one NaN has the bits of the other
        assert np.any(d_parameters)
        return bits(d_parameters), None if d_X is None else bits(d_X)

    return gradients


def scores_of(network, X):
    """A function of n_threads: the bits of a prediction."""
    return lambda n_threads: bits(network.scores(X, n_threads=n_threads))


# --------------------------------------------------------------------------------------------------------- every layer


def problem_of_row(row, dtype, input_gradient):
    """A layer in a batch that is worth threads, and the regions that it shares among them."""
    n_samples = 101
    if isinstance(row.layer, DenseLayer):
        # Alone, because a dense layer between others has threads of its own only where its own work is worth them.
        layers, n_inputs = (row.layer,), math.prod(row.input_shape)
        n_samples = -(-KERNELS.SERIAL_WORK // (n_inputs * row.layer.n_units))
        regions = {"dense_forward"} | ({"dense_backward"} if input_gradient or n_inputs > KERNELS.DENSE_ROWS else set())
    else:
        # Behind it a dense layer, so wide that there are pieces for all threads.
        layers = row.layer, DenseLayer(3 * KERNELS.SERIAL_WORK // (2 * n_samples * math.prod(row.output_shape)))
        regions = CHUNKS
    plan, parameters, X = network_problem(layers, row.input_shape, n_samples, dtype, input_gradient)
    if plan.records["kind"][0] == KERNELS.LOCAL and plan.records["map_rows"][0] > 1:
        regions = CHUNKS | {"local_weights"}
    return plan, parameters, X, regions


@each_kernel
@pytest.mark.parametrize("input_gradient", [False, True])
@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
def test_no_layer_depends_on_threads(level, dtype, row, input_gradient, monkeypatch):
    plan, parameters, X, regions = problem_of_row(row, dtype, input_gradient)
    network, module = Network(plan, parameters, level=level), _kernels.kernels(dtype, level)
    assert_threads_change_nothing(module, gradients_of(network, X), regions, threads=FEW_AND_MANY)
    # A prediction is one call: else the smallest layers would never come upon work enough.
    monkeypatch.setattr(network_module, "prediction_capacity", lambda _, n_samples, __: n_samples)
    regions = regions & {"forward_chunks", "dense_forward"}
    assert_threads_change_nothing(module, scores_of(network, X), regions, {"forward_chunks"}, threads=FEW_AND_MANY)


# ------------------------------------------------------------------------------------------------------ every algorithm


@dataclass(frozen=True)
class Case:
    """Layers of a usual size whose first takes a certain way through the kernels."""

    name: str
    layers: tuple
    input_shape: tuple
    is_taken: Callable  # whether that layer's record says so
    pieces: dict  # that the regions of a pass forward and backward are cut into; all numbers that threads share
    n_samples: int = 59
    input_gradient: bool = True


def block(n_filters, **options):
    return ConvolutionBlock(n_filters, **{"kernel_size": (3, 3), "padding": "same", "activation": "relu", **options})


def chunks(n_chunks, **others):
    return {"forward_chunks": n_chunks, "backward_chunks": n_chunks, **others}


SCORES = (DenseLayer(5),)
CASES = [
    Case("product", (block(24), *SCORES), (7, 6, 12),
         lambda layer: layer["backward"] == KERNELS.WHOLE_MAP and not layer["planes_size"] and layer["transformed_at"] < 0,
         chunks(8)),
    Case("product, strides", (block(32, stride=(2, 2)), *SCORES), (10, 9, 24),
         lambda layer: layer["backward"] == KERNELS.WHOLE_MAP and layer["stride_rows"] == 2, chunks(8)),
    Case("planes", (block(6), *SCORES), (20, 16, 6),
         lambda layer: layer["planes_size"] and layer["gradient_planes_size"], chunks(8)),
    Case("filters as rows", (block(7, activation="tanh"), *SCORES), (8, 8, 32),
         lambda layer: layer["filters_are_rows"] and not layer["gradient_planes_size"], chunks(8)),
    Case("map kept for averages", (block(20, pooling="average", activation="tanh"), *SCORES), (8, 8, 10),
         lambda layer: layer["map_at"] >= 0, chunks(8)),
    Case("Winograd", (block(32), *SCORES), (4, 4, 16),
         lambda layer: layer["transformed_at"] >= 0 and layer["backward"] == KERNELS.WHOLE_MAP, chunks(4)),
    Case("Winograd, lists", (block(32, pooling="max"), *SCORES), (4, 6, 16),
         lambda layer: layer["transformed_at"] >= 0 and layer["backward"] == KERNELS.LISTED, chunks(8)),
    Case("Winograd, 5 x 5", (block(32, kernel_size=(5, 5), padding="same", pooling="max"), *SCORES), (7, 6, 24),
         lambda layer: layer["transformed_at"] >= 0 and layer["backward"] == KERNELS.LISTED, chunks(8)),
    Case("Winograd, both gradients", (block(32), *SCORES), (8, 6, 16),
         lambda layer: layer["sums_places"] and layer["gradient_side"] == 2, chunks(8)),
    Case("Winograd, exact tiles", (block(32), *SCORES), (12, 11, 16),
         lambda layer: (layer["tile_places"], layer["gradient_side"], layer["gradient_places"]) == (7, 4, 7), chunks(16)),
    Case("Winograd, large tiles", (block(32, winograd_tile=4), *SCORES), (7, 5, 16), lambda layer: layer["tile_side"] == 4,
         chunks(8)),
    Case("lists", (block(24, pooling="max", padding_mode="reflect"), *SCORES), (8, 8, 8),
         lambda layer: layer["backward"] == KERNELS.LISTED and layer["input_gradient_wanted"], chunks(8)),
    Case("lists of a first layer", (block(24, pooling="max", kernel_size=(5, 5)), *SCORES), (8, 8, 4),
         lambda layer: layer["backward"] == KERNELS.LISTED, chunks(8), input_gradient=False),
    Case("few taps", (block(24, activation="tanh"), *SCORES), (18, 18, 1),
         lambda layer: layer["backward"] == KERNELS.SHALLOW, chunks(8), input_gradient=False),
    Case("few taps, maxima", (block(24, pooling="max"), *SCORES), (20, 18, 1),
         lambda layer: layer["backward"] == KERNELS.SHALLOW, chunks(4), input_gradient=False),
    Case("few taps, averages", (block(24, pooling="average"), *SCORES), (20, 18, 1),
         lambda layer: layer["backward"] == KERNELS.SHALLOW, chunks(4), input_gradient=False),
    Case("local", (block(12, padding="valid", weight_sharing=False, activation="tanh"), *SCORES), (13, 12, 6),
         lambda layer: layer["kind"] == KERNELS.LOCAL, chunks(4, local_weights=11)),
    Case("local, maxima", (block(12, pooling="max", weight_sharing=False), *SCORES), (10, 12, 6),
         lambda layer: layer["kind"] == KERNELS.LOCAL, chunks(4, local_weights=10)),
    Case("maximum", (PoolingLayer("max", (3, 2), (2, 2)), DenseLayer(90)), (14, 15, 20),
         lambda layer: layer["kind"] == KERNELS.POOLING, chunks(4)),
    Case("average", (PoolingLayer("average", (2, 2), (2, 2)), DenseLayer(90)), (14, 15, 20),
         lambda layer: layer["kind"] == KERNELS.POOLING, chunks(4)),
    Case("many weights", (block(96, pooling="max"), *SCORES), (8, 8, 80),
         lambda layer: layer["transformed_at"] >= 0, chunks(8, chunk_sums=17, prepared_layers=16)),
    Case("dense", (DenseLayer(450, "tanh"), *SCORES), (20, 40, 1),
         lambda layer: layer["kind"] == KERNELS.DENSE, {"dense_forward": 48, "dense_backward": 34}, n_samples=123),
]  # fmt: skip
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_kernel
@each_case
def test_no_pass_depends_on_threads(level, dtype, case):
    plan, parameters, X = network_problem(
        case.layers, case.input_shape, case.n_samples, dtype, case.input_gradient
    )
    network, module = Network(plan, parameters, level=level), _kernels.kernels(dtype, level)
    assert case.is_taken(plan.records[0])
    pieces = assert_threads_change_nothing(module, gradients_of(network, X), set(case.pieces))
    assert {name: pieces[name] for name in case.pieces} == case.pieces
    assert_threads_change_nothing(module, scores_of(network, X), {"forward_chunks"}, {"forward_chunks"})


# ------------------------------------------------------------------------------------------------------------- training

NETWORK = (
    block(16, pooling="max"),
    DropoutLayer(0.2, whole_maps=True),
    block(20, padding_mode="reflect", pooling="average", activation="tanh"),
    ConvolutionBlock(12, (2, 2), weight_sharing=False, activation="logistic"),
    DropoutLayer(0.5),
    DenseLayer(450, "relu"),
    DenseLayer(3),
)
#: Of one step with 19 samples: everything that can be cut is cut.
PIECES_OF_A_STEP = {
    "forward_chunks": 16, "backward_chunks": 16, "local_weights": 7, "dense_forward": 16, "dense_backward": 29, "update": 79,
}  # fmt: skip

#: The same normalised: a stage for every layer, and two for each dense one (its sums alone, and what is made of them).
NORMALISED_NETWORK = tuple(
    layer if isinstance(layer, DropoutLayer) else replace(layer, batch_norm=True) for layer in NETWORK[:-1]
) + NETWORK[-1:]
PIECES_OF_A_NORMALISED_STEP = PIECES_OF_A_STEP | {"forward_chunks": 6 * 16, "backward_chunks": 6 * 16}
each_network = pytest.mark.parametrize(
    ("layers", "pieces"), [(NETWORK, PIECES_OF_A_STEP), (NORMALISED_NETWORK, PIECES_OF_A_NORMALISED_STEP)],
    ids=["plain", "normalised"],
)  # fmt: skip


@each_kernel
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@each_network
def test_training_does_not_depend_on_threads(level, dtype, solver, layers, pieces):
    # Every parallel region at once, the penalty's sum of squares and the update among them.
    plan, parameters, X = network_problem(layers, (32, 32, 3), 19, dtype)

    def two_steps(n_threads):
        losses, *arrays = train(plan, parameters, X, solver=solver, n_threads=n_threads, level=level, n_steps=2)
        assert np.isfinite(losses).all()
        assert all(np.isfinite(np.frombuffer(data, dtype)).all() for _, _, data in arrays)
        return losses, arrays

    assert_threads_change_nothing(_kernels.kernels(dtype, level), two_steps, set(pieces))


@each_kernel
@each_network
def test_a_step_is_cut_into_pieces_by_its_size(level, dtype, layers, pieces):
    plan, parameters, X = network_problem(layers, (32, 32, 3), 19, dtype)
    for n_threads in (1, *THREADS, 64):
        _, records = regions_of(
            _kernels.kernels(dtype, level),
            lambda: train(plan, parameters, X, solver="adam", n_threads=n_threads, level=level, n_steps=1),  # noqa: B023
        )
        assert {name: n_pieces for name, (n_pieces, _) in records.items()} == pieces


@each_kernel
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_little_work_is_left_to_one_thread(level, dtype, solver):
    layers = (ConvolutionBlock(3, (2, 2), pooling="max", activation="relu"), DenseLayer(3))
    plan, parameters, X = network_problem(layers, (6, 6, 3), 10, dtype)
    assert 10 * plan.totals["work"] < KERNELS.SERIAL_WORK

    def steps(n_threads):
        return train(plan, parameters, X, solver=solver, n_threads=n_threads, level=level)

    module = _kernels.kernels(dtype, level)
    assert steps(1) == steps(7)
    _, records = regions_of(module, lambda: steps(7))
    assert {name: threads for name, (_, threads) in records.items()} == dict.fromkeys([*CHUNKS, *DENSE, "update"], 1)


@pytest.mark.parametrize("enough", [False, True])
def test_threads_begin_at_the_named_work(enough):
    work = build_plan((block(24), *SCORES), (18, 18, 1)).totals["work"]
    n_samples = KERNELS.SERIAL_WORK // work + enough
    plan, parameters, X = network_problem((block(24), *SCORES), (18, 18, 1), n_samples, np.float32)
    _, records = regions_of(KERNELS, lambda: Network(plan, parameters).scores(X, n_threads=2))
    assert records["forward_chunks"][1] == (2 if enough and WITH_OPENMP else 1)


# ------------------------------------------------------------------------------------------------- one thread or all of them


def follow(pace, n_steps, *, work, alone, together, first=None):
    """Take steps of 32 samples that last so long alone and together; returns which took all threads, and all seconds."""
    taken, seconds = [], []
    for number in range(n_steps):
        taken.append(pace.takes_all(work))
        seconds.append(together if taken[-1] else alone)
        if first is not None and (number == 0 or taken[-1] != taken[-2]):
            seconds[-1] = first
        pace.see(32, work, seconds[-1])
    return taken, sum(seconds)


@pytest.mark.parametrize(
    "work", [KERNELS.LEAST_WORK_TO_TRY, KERNELS.SERIAL_WORK - 1, KERNELS.SERIAL_WORK, KERNELS.MOST_WORK_TO_TRY]
)
@pytest.mark.parametrize(
    ("alone", "together"),
    [(1e-4, 6e-5), (6e-5, 1e-4), (1e-4, 9.8e-5), (1e-4, 4e-3), (2e-3, 1.2e-3), (2e-3, 1.6e-4), (2e-3, 8e-3)],
)
def test_a_session_keeps_to_the_faster_way_and_loses_little_by_trying(work, alone, together):
    pace, fastest = KERNELS.Pace(work), min(alone, together)
    follow(pace, math.ceil(1 / max(alone, together)), work=work, alone=alone, together=together)
    n_steps = math.ceil(4 / fastest)
    taken, seconds = follow(pace, n_steps, work=work, alone=alone, together=together)
    assert seconds < 1.03 * n_steps * fastest
    assert taken.count(together < alone) > 0.97 * n_steps
    assert len(set(taken)) == 2  # the other way may have become the better one meanwhile


@pytest.mark.parametrize("work", [KERNELS.SERIAL_WORK - 1, KERNELS.SERIAL_WORK])
def test_a_session_turns_when_other_programs_want_the_cores_and_when_they_have_gone(work):
    pace = KERNELS.Pace(work)
    quiet, busy = {"alone": 2e-3, "together": 1.2e-3}, {"alone": 3e-3, "together": 1e-2}
    for times, best in (quiet, True), (busy, False), (quiet, True), (busy, False):
        follow(pace, math.ceil(2.5 / max(times.values())), work=work, **times)
        taken, _ = follow(pace, 200, work=work, **times)
        assert taken.count(best) >= 200 - (1 + KERNELS.TRIED_STEPS)


@pytest.mark.parametrize("work", [KERNELS.SERIAL_WORK - 1, KERNELS.SERIAL_WORK])
@pytest.mark.parametrize(("alone", "together"), [(1e-3, 6e-4), (6e-4, 1e-3)])
def test_single_steps_that_something_comes_between_change_nothing(work, alone, together):
    pace, best, taken = KERNELS.Pace(work), together < alone, []
    random_state = np.random.default_rng(0)
    for _ in range(8000):
        taken.append(pace.takes_all(work))
        seconds = together if taken[-1] else alone
        pace.see(32, work, seconds * (20 if random_state.random() < 0.03 else 1))
    assert taken[1000:].count(best) > 0.95 * 7000


def test_the_first_step_of_either_way_does_not_count():
    pace = KERNELS.Pace(KERNELS.SERIAL_WORK)
    times = {"work": KERNELS.SERIAL_WORK, "alone": 1.1e-3, "together": 1e-3, "first": 5e-3}
    taken, _ = follow(pace, 3000, **times)
    assert taken.count(True) > 0.97 * 3000
    assert taken.count(False) > 0


@pytest.mark.parametrize("work", [KERNELS.LEAST_WORK_TO_TRY - 1, KERNELS.MOST_WORK_TO_TRY + 1])
def test_steps_that_are_too_small_or_too_large_are_not_tried(work):
    taken, _ = follow(KERNELS.Pace(work), 2000, work=work, alone=1e-3, together=1e-3)
    assert set(taken) == {work > KERNELS.SERIAL_WORK}


@each_kernel
def test_small_steps_try_all_threads_and_numbers_stay_the_same(level, dtype):
    plan, parameters, X = network_problem((block(24), *SCORES), (18, 18, 1), 20, dtype)
    assert KERNELS.LEAST_WORK_TO_TRY < 20 * plan.totals["work"] < KERNELS.SERIAL_WORK
    targets = np.eye(plan.n_outputs, dtype=dtype)[np.arange(20) % plan.n_outputs]
    module = _kernels.kernels(dtype, level)

    def steps(n_threads, n_steps):
        trainer = Trainer(plan, parameters, loss="softmax", solver="adam", batch_size=20, n_threads=n_threads, level=level)
        losses = [trainer.step(X, np.arange(20), targets, None, 1e-4) for _ in range(n_steps)]
        return losses, bits(trainer.parameters)

    _, records = regions_of(module, lambda: steps(2, 2))
    assert records["backward_chunks"][1] == 1
    results, records = regions_of(module, lambda: steps(2, 1500))
    assert records["backward_chunks"][1] == (2 if WITH_OPENMP else 1)
    assert results == steps(1, 1500)


def test_a_session_goes_on_with_what_others_of_the_same_network_have_seen():
    plan, parameters, X = network_problem((block(24), *SCORES), (18, 18, 1), 20, np.float32)

    def threads_of_a_step():
        KERNELS.take_region_records()
        train(plan, parameters, X, solver="adam", n_threads=2, n_steps=1)
        return KERNELS.take_region_records()["backward_chunks"][1]

    assert threads_of_a_step() == 1
    pace = pace_of_training(plan, 20, 2, KERNELS)
    taken, _ = follow(pace, 150, work=20 * plan.totals["work"], alone=1e-4, together=5e-5)
    assert taken[-1]
    assert threads_of_a_step() == (2 if WITH_OPENMP else 1)
    pace_of_training.cache_clear()
    assert threads_of_a_step() == 1


# ----------------------------------------------------------------------------------------------------------- predictions


def multiplications(plan):
    """Of one sample; Winograd's algorithm has 16 where the others have 36 of a tile, or 49 where they have 100."""
    names = "map_rows", "map_columns", "filters", "kernel_rows", "kernel_columns", "channels"
    of_winograd = plan.records[plan.records["transformed_at"] >= 0]
    saved = 0
    for record in of_winograd:
        of_others = math.prod(int(record[name]) for name in names)
        saved += of_others * 20 // 36 if record["kernel_rows"] == 3 else of_others * 51 // 100
    return plan.totals["work"] - saved


@pytest.mark.parametrize("side", [96, 160, 300])
@pytest.mark.parametrize("n_samples", [2, 3, 5, 9])
def test_every_thread_has_images_to_predict_from_the_second_on(side, n_samples):
    """A call took up chunks of eight images: large ones left one thread or two with work, however many there were."""
    plan, parameters, X = network_problem((block(8), *SCORES), (side, side, 3), n_samples, np.float32)
    network, expected = Network(plan, parameters), None
    for n_threads in (1, *THREADS):
        scores, records = regions_of(KERNELS, lambda: network.scores(X, n_threads=n_threads))  # noqa: B023
        expected = bits(scores) if expected is None else expected
        assert bits(scores) == expected
        worth = max(n_samples, n_samples * multiplications(plan) // KERNELS.THREAD_WORK)
        assert max(threads for _, threads in records.values()) == (min(n_threads, worth) if WITH_OPENMP else 1)


# ---------------------------------------------------------------------------------- fewer images than threads: in bands


def record_of(**fields):
    """Whether the record of a case's last layer that is no dense one has these fields."""
    return lambda record: all(record[name] == value for name, value in fields.items())


#: One or two layers that are much work for a single image; what their records say of the last
BANDS = {
    "product": ((block(24),), (61, 50, 20), record_of(planes_size=0, transformed_at=-1)),
    "product, strides": ((block(48, kernel_size=(5, 4), stride=(2, 3)),), (90, 91, 24), record_of(stride_rows=2)),
    "stride longer than the kernel": ((block(64, kernel_size=(2, 2), stride=(3, 2)),), (126, 101, 32), record_of(stride_rows=3)),
    "no padding": ((block(24, padding="valid", activation="tanh"),), (60, 55, 24), record_of(padded_rows=60)),
    "more padding than kernel": ((block(24, padding=(7, 2)),), (60, 55, 24), record_of(padded_rows=74)),
    "mirrored": ((block(24, padding=(2, 1), padding_mode="reflect"),), (60, 55, 24), record_of(crop_rows=64)),
    "mirrored, no padding at the sides": ((block(24, kernel_size=(3, 1), padding=((2, 3), (0, 0)), padding_mode="reflect"),),
                                          (90, 91, 32), record_of(crop_rows=95)),
    "behind another": ((block(8), block(24, activation="logistic")), (80, 79, 3), record_of(input_is_padded=0)),
    # no column of the map is left out of the averages over five
    "mirrored, behind another": ((block(8), block(24, padding=(2, 1), padding_mode="reflect")), (78, 80, 3),
                                 record_of(input_is_padded=0, crop_rows=82, map_columns=80)),
    "a map of five columns": ((block(96),), (40, 5, 100), record_of(map_columns=5, transformed_at=-1)),
    "planes": ((block(6),), (130, 101, 24), record_of(planes_first=0, filters=6)),
    "planes of the last filter": ((block(33),), (60, 51, 20), record_of(planes_first=32)),
    "planes, maxima": ((block(6, pooling="max", pool_size=(3, 3), pool_stride=(2, 2)),), (130, 101, 24),
                       record_of(planes_first=0, filters=6)),
    "planes, maxima of four": ((block(6, pooling="max", activation="tanh"),), (131, 101, 24),
                               record_of(planes_first=0, filters=6)),
    "maxima in registers": ((block(24, pooling="max"),), (61, 50, 20), record_of(pooling=KERNELS.MAXIMUM, planes_size=0)),
    "averages in registers": ((block(24, pooling="average"),), (61, 50, 20), record_of(pooling=KERNELS.AVERAGE)),
    "overlapping maxima": ((block(24, pooling="max", pool_size=(4, 3), pool_stride=(1, 2), activation="tanh"),), (61, 50, 20),
                           record_of(pool_stride_rows=1)),
    "averages with gaps": ((block(24, pooling="average", pool_size=(1, 2), pool_stride=(3, 2), activation="tanh"),), (61, 50, 20),
                           record_of(pool_stride_rows=3)),
    "Winograd": ((block(32),), (46, 50, 32), record_of(tile_side=2)),
    "Winograd, maxima": ((block(32), block(32, pooling="max")), (46, 50, 16), record_of(tile_side=2)),
    "Winograd, overlapping maxima": ((block(32, pooling="max", pool_size=(3, 3), pool_stride=(1, 2), activation="tanh"),),
                                     (46, 50, 32), record_of(tile_side=2)),
    "Winograd, windows of three rows": ((block(32, pooling="average", pool_size=(3, 3), pool_stride=(2, 2)),), (46, 50, 32),
                                        record_of(tile_side=2)),
    "exact tiles": ((block(32),), (47, 52, 32), record_of(tile_side=4, tile_places=7)),
    "exact tiles, maxima": ((block(32), block(32, pooling="max")), (44, 48, 16), record_of(tile_side=4, tile_places=7)),
    "exact tiles, windows of three rows": ((block(32, pooling="average", pool_size=(3, 3), pool_stride=(2, 2)),), (44, 52, 32),
                                           record_of(tile_side=4, tile_places=7)),
    "large tiles": ((block(32, winograd_tile=4),), (47, 50, 32), record_of(tile_side=4, tile_places=6)),
    "large tiles, maxima": ((block(32, winograd_tile=4), block(32, pooling="max", winograd_tile=4)), (43, 50, 16),
                            record_of(tile_side=4, tile_places=6)),
    "large tiles, overlapping maxima": ((block(32, pooling="max", pool_size=(3, 3), pool_stride=(1, 2), winograd_tile=4),),
                                        (46, 50, 32), record_of(tile_side=4, tile_places=6)),
    "large tiles, windows of three rows": ((block(32, pooling="average", pool_size=(3, 3), pool_stride=(2, 2), winograd_tile=4),),
                                           (46, 50, 32), record_of(tile_side=4, tile_places=6)),
    "maximum": ((block(24), PoolingLayer("max", (3, 2), (2, 2))), (61, 50, 20), record_of(kind=KERNELS.POOLING)),
    "average": ((block(24), PoolingLayer("average", (2, 3), (1, 2))), (61, 50, 20), record_of(kind=KERNELS.POOLING)),
    "normalised": ((block(24, batch_norm=True), block(24, batch_norm=True, activation="tanh")), (45, 44, 20),
                   record_of(kind=KERNELS.NORMALISATION)),
    "dropout of maps": ((block(24), DropoutLayer(0.5, True)), (61, 50, 20), record_of(kind=KERNELS.DROPOUT)),
    "local": ((block(24), block(4, weight_sharing=False, pooling="max")), (61, 50, 20), record_of(kind=KERNELS.LOCAL)),
}  # fmt: skip


@each_kernel
@pytest.mark.parametrize("name", BANDS)
def test_a_few_images_do_not_depend_on_threads(level, dtype, name):
    layers, input_shape, is_meant = BANDS[name]
    layers = *layers, PoolingLayer("average", (5, 5), (5, 5)), DenseLayer(400, "tanh"), DenseLayer(5)
    plan, parameters, X = network_problem(layers, input_shape, 3, dtype)
    kinds = plan.records["kind"].tolist()
    assert is_meant(plan.records[kinds.index(KERNELS.DENSE) - 2])
    statistics = running_statistics(plan, np.random.default_rng(3), dtype)
    network, module = Network(plan, parameters, statistics, level=level), _kernels.kernels(dtype, level)
    expected = bits(network.scores(X))
    assert len(np.unique(np.frombuffer(expected[2], dtype))) == 15
    for n_samples, n_threads in ((1, 2), (1, 3), (1, 5), (2, 3), (2, 7), (3, 5)):
        workers = min(n_threads, max(n_samples, n_samples * multiplications(plan) // KERNELS.THREAD_WORK))
        assert workers > n_samples
        scores, records = regions_of(module, lambda: network.scores(X[:n_samples], n_threads=n_threads))  # noqa: B023
        assert bits(scores)[2] == expected[2][: len(bits(scores)[2])]
        assert set(records) == {"forward_bands"}
        n_shares, threads = records["forward_bands"]
        assert threads == (workers if WITH_OPENMP else 1)
        assert n_shares >= len(kinds) + 2 * workers - 1  # one layer at least is cut for all threads, and what comes before


@each_kernel
@pytest.mark.parametrize(("side", "tile"), [(40, 4), (42, 2)])
def test_bands_leave_nothing_to_the_samples_after_them(level, dtype, side, tile):
    """They write over the borders of padded images, which the samples of a chunk find cleared by their own call."""
    # By Winograd's algorithm, which reads the rows of a border, too.
    layers = *(block(32) for _ in range(3)), PoolingLayer("average", (5, 5), (5, 5)), DenseLayer(5)
    plan, parameters, X = network_problem(layers, (side, side, 16), 4, dtype)
    assert plan.records["tile_side"][:3].tolist() == 3 * [tile]
    network, module = Network(plan, parameters, level=level), _kernels.kernels(dtype, level)
    expected = bits(network.scores(X))
    for n_samples, region in ((3, "forward_bands"), (4, "forward_chunks"), (3, "forward_bands"), (4, "forward_chunks")):
        scores, records = regions_of(module, lambda: network.scores(X[:n_samples], n_threads=4))  # noqa: B023
        assert region in records
        assert bits(scores)[2] == expected[2][: len(bits(scores)[2])]


@each_level
def test_two_threads_share_a_map_of_one_group_of_tiles(level):
    """One had it alone, and the other waited."""
    plan, parameters, X = network_problem((block(128), DenseLayer(5)), (8, 8, 64), 1, np.float32)
    assert plan.records["tile_side"][0] == 2
    network, module = Network(plan, parameters, level=level), _kernels.kernels(np.float32, level)
    expected = bits(network.scores(X))
    scores, records = regions_of(module, lambda: network.scores(X, n_threads=2))
    assert bits(scores) == expected
    # two shares of what comes before, two of the map, one of the dense layer
    assert records == {"forward_bands": (5, 2 if WITH_OPENMP else 1)}


@each_kernel
@pytest.mark.parametrize("pooling", [None, "max", "average"])
def test_a_small_map_is_one_share(level, dtype, pooling):
    layers = (
        block(40, pooling="max", pool_size=(12, 12), pool_stride=(12, 12)),
        block(24, kernel_size=(5, 5), pooling=pooling, activation="tanh"), DenseLayer(5),
    )  # fmt: skip
    plan, parameters, X = network_problem(layers, (48, 48, 24), 3, dtype)
    assert plan.records["has_small_map"].tolist() == [0, 1, 0]
    network, module = Network(plan, parameters, level=level), _kernels.kernels(dtype, level)
    expected = bits(network.scores(X))
    for n_samples in (1, 2):
        scores, records = regions_of(module, lambda: network.scores(X[:n_samples], n_threads=3))  # noqa: B023
        assert bits(scores)[2] == expected[2][: len(bits(scores)[2])]
        assert set(records) == {"forward_bands"}


@each_kernel
def test_random_networks_on_few_images_do_not_depend_on_threads(level, dtype):
    random_state, n_in_bands = np.random.default_rng(4), 0
    while n_in_bands < 25:
        layer, input_shape = random_block(random_state, largest_side=60, largest_channels=40, exact=False)
        layers = layer, ConvolutionBlock(200, (4, 4), (3, 3), padding=(2, 3), activation="relu"), DenseLayer(3)
        try:
            plan = build_plan(layers, input_shape)
        except ValueError:
            continue
        least = max(2 * KERNELS.THREAD_WORK, KERNELS.SERIAL_WORK)
        if not least <= multiplications(plan) <= 90 * KERNELS.THREAD_WORK:
            continue
        X = random_state.standard_normal((2, plan.n_inputs)).astype(dtype)
        network = Network(plan, gaussian_parameters(plan, random_state, dtype), level=level)
        expected = bits(network.scores(X))
        for n_samples, n_threads in ((1, 2), (1, 5), (2, 5)):
            scores, records = regions_of(
                _kernels.kernels(dtype, level), lambda: network.scores(X[:n_samples], n_threads=n_threads)  # noqa: B023
            )
            assert bits(scores)[2] == expected[2][: len(bits(scores)[2])], (layers, input_shape)
            assert set(records) == {"forward_bands"}
        n_in_bands += 1


@pytest.mark.parametrize(
    ("n_samples", "n_threads", "threads"), [(1, 2, 1), (1, 16, 1), (2, 3, 1), (3, 16, 5), (9, 16, 15), (9, 12, 12), (9, 4, 4)]
)
def test_few_images_have_no_more_threads_than_they_are_worth(n_samples, n_threads, threads):
    """Waiting for each other costs time: below SERIAL_WORK there is one thread, and above it one for each THREAD_WORK."""
    plan, parameters, X = network_problem((block(32), *SCORES), (48, 80, 1), n_samples, np.float32)
    assert 2 * plan.totals["work"] < KERNELS.SERIAL_WORK < 3 * plan.totals["work"]
    assert multiplications(plan) // (KERNELS.THREAD_WORK / 100) == 172
    network = Network(plan, parameters)
    scores, records = regions_of(KERNELS, lambda: network.scores(X, n_threads=n_threads))
    assert bits(scores) == bits(network.scores(X))
    assert max(used for _, used in records.values()) == (threads if WITH_OPENMP else 1)


# ------------------------------------------------------------------------------------------ copies of `functional`


@each_kernel
def test_padding_and_patches_do_not_depend_on_threads(level, dtype, monkeypatch):
    module = _kernels.kernels(dtype, level)
    random_state = np.random.default_rng(2)
    X = random_state.standard_normal((7, 170, 172, 20)).astype(dtype)
    monkeypatch.setattr(_kernels, "kernels", lambda *_: module)

    def check(regions, function, *arguments, **options):
        def compute(n_threads):
            monkeypatch.setattr(_kernels, "effective_n_threads", lambda: n_threads)
            return function(*arguments, **options).tobytes()

        assert_threads_change_nothing(module, compute, regions)

    check({"pad_images"}, functional.pad, X, 2, mode="reflect")
    check({"pad_images", "patches_of_images"}, functional.im2col, X, (1, 2), padding=2)
    columns = random_state.standard_normal((7, 174 * 175, 40)).astype(dtype)
    check({"images_of_patches", "unpad_images"}, functional.col2im, columns, X.shape[1:], (1, 2), padding=2)


# ------------------------------------------------------------------------------------------------------------ records


def test_each_calling_thread_has_a_record_of_its_own():
    # Calls from several threads at once, each of them with a team of its own size, give the same bits too.
    plan, parameters, X = network_problem((block(24), *SCORES), (18, 18, 1), 200, np.float32)
    network = Network(plan, parameters)
    expected = bits(network.scores(X))

    def call(n_threads):
        return n_threads, *regions_of(KERNELS, lambda: bits(network.scores(X, n_threads=n_threads)))

    KERNELS.take_region_records()
    with ThreadPoolExecutor(4) as pool:
        for n_threads, scores, records in pool.map(call, [1, 2, 3, 5] * 10):
            assert scores == expected
            n_threads = n_threads if WITH_OPENMP else 1
            assert records["forward_chunks"] == (-(-32 // n_threads) * n_threads, n_threads)  # as many chunks for each
    assert KERNELS.take_region_records() == {}


def test_regions_are_timed_when_somebody_asks():
    plan, parameters, X = network_problem((block(24), *SCORES), (18, 18, 1), 200, np.float32)
    network, seconds = Network(plan, parameters), []
    for are_timed in (False, True, False):
        KERNELS.time_regions(are_timed)
        KERNELS.take_region_times()
        try:
            network.scores(X, n_threads=1)
        finally:
            KERNELS.time_regions(False)
        record = KERNELS.take_region_times()["forward_chunks"]
        assert record["calls"] > 0
        assert record["pieces"] > record["calls"]
        seconds.append(record["seconds"])
    assert seconds[0] == seconds[2] == 0 < seconds[1] < 60
