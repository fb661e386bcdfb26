"""Mini-batches of any size: large ones are taken up in slices, whose gradients add up to that of the whole."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from problems import (
    bits,
    each_kernel,
    each_level,
    gaussian_parameters,
    network_problem,
    parameter_vector,
    regions_of,
    sparse_integers,
)

from sklearn_cnn import ConvNetClassifier, _kernels
from sklearn_cnn._estimator import memory
from sklearn_cnn._network import arena as arena_module
from sklearn_cnn._network.arena import build_arena, slice_size, training_capacity, training_memory
from sklearn_cnn._network.augmentation import augmentation_settings
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, with_dropout
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

BLOCK = {"kernel_size": (3, 3), "padding": "same", "activation": "relu"}
LAYERS = (
    ConvolutionBlock(16, pooling="max", **BLOCK),
    ConvolutionBlock(6, (2, 2), weight_sharing=False, activation="relu"),
    DenseLayer(20, "relu"),
    DenseLayer(4),
)
SHAPE = (8, 8, 2)


@pytest.fixture
def small_slices(monkeypatch):
    """Slices of at most 24 samples of LAYERS."""
    numbers = build_arena(build_plan(LAYERS, SHAPE), 1, 1, True)[0]
    of_sample = 2 * numbers["n_values"] + numbers["n_kept"] + numbers["n_positions"] // 4
    monkeypatch.setattr(arena_module, "SLICE_NUMBERS", 24 * int(of_sample))


def make_trainer(plan, parameters, batch_size=64, **settings):
    settings = {"loss": "softmax", "solver": "adam", "alpha": 0.1, "seed": 3, **settings}
    return Trainer(plan, parameters, batch_size=batch_size, **settings)


def capacity_of(trainer):
    return trainer._workspace.capacity


def integers(n, plan, dtype, with_weights, density=0.3):
    """Data and parameters on which no sum of a squared error rounds, where the weights sum to 64."""
    random_state = np.random.default_rng(0)
    parameters = parameter_vector(plan, lambda size: sparse_integers(random_state, size, 1, 0.2), dtype)
    X, targets = (sparse_integers(random_state, (n, size), 1, density).astype(dtype) for size in (plan.n_inputs, plan.n_outputs))
    weight = np.array([0.5, 1.5] * (n // 2), dtype=dtype) if with_weights else None
    return parameters, X, targets, weight


@each_kernel
@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("options", ["plain", "dropout", "augmentation"])
def test_slices_add_up_exactly_on_integers(level, dtype, with_weights, options, small_slices, monkeypatch):
    layers = with_dropout(LAYERS, 0.5) if options == "dropout" else LAYERS  # what is kept is doubled
    plan = build_plan(layers, SHAPE)
    parameters, X, targets, weight = integers(64, plan, dtype, with_weights)
    augmentation = augmentation_settings(5, 1, shift=(2, 2), flip="both") if options == "augmentation" else None
    rows = np.random.default_rng(1).permutation(64)

    def trained():
        trainer = make_trainer(plan, parameters, loss="squared", solver="sgd", alpha=0.0, level=level)
        loss = trainer.step(X, rows, targets, weight, 0.0, augmentation=augmentation)  # a rate of zero shows the gradient alone
        return capacity_of(trainer), loss, trainer.gradient.copy()

    capacity, loss, gradient = trained()
    monkeypatch.undo()
    whole, expected_loss, expected = trained()
    assert (capacity, whole) == (22, 64)
    assert np.any(expected)
    np.testing.assert_array_equal(gradient, expected)
    assert loss == pytest.approx(expected_loss, rel=1e-12)


@each_kernel
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_steps_in_slices_are_steps(level, dtype, solver, small_slices, monkeypatch):
    plan, parameters, X = network_problem(with_dropout(LAYERS, 0.3), SHAPE, 64, dtype)
    targets, weight = np.eye(4, dtype=dtype)[np.arange(64) % 4], np.random.default_rng(2).random(64).astype(dtype)

    def trained():
        trainer = make_trainer(plan, parameters, solver=solver, level=level)
        order = np.random.default_rng(4).permutation(64)
        losses = [trainer.step(X, order[: 64 - step], targets, weight, 0.01) for step in range(3)]
        return capacity_of(trainer), losses, trainer.parameters.copy(), trainer.t

    capacity, losses, learnt, t = trained()
    monkeypatch.undo()
    whole, expected_losses, expected, expected_t = trained()
    assert capacity < whole
    assert t == expected_t == 3
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(losses, expected_losses, **tolerance)
    np.testing.assert_allclose(learnt, expected, **tolerance)
    assert np.abs(learnt - parameters).max() > 1e-3


SEVERAL = {
    "plain": {}, "weights": {"weights": True}, "dropout": {"dropout": 0.3}, "normalised": {"batch_norm": True},
    "augmentation": {"augmented": True}, "converted": {"number_type": np.int64}, "slices": {"batch_size": 40},
    "slices, converted, augmentation": {"batch_size": 40, "number_type": np.int64, "augmented": True},
}  # fmt: skip


@each_kernel
@pytest.mark.parametrize("name", SEVERAL)
def test_steps_of_one_call_are_steps(level, dtype, name, small_slices):
    """The same bits as one by one, also where the last mini-batch is smaller, and where one has no weight."""
    options = SEVERAL[name]
    first, *others = with_dropout(LAYERS, options.get("dropout", 0.0))
    plan, parameters, X = network_problem((replace(first, batch_norm="batch_norm" in options), *others), SHAPE, 50, dtype)
    X = (10 * X).astype(options.get("number_type", dtype))
    targets, codes = np.eye(4, dtype=dtype), (np.arange(50) % 4).astype(np.int32)
    weight = np.random.default_rng(2).random(50).astype(dtype) if "weights" in options else None
    order, size, rates = np.random.default_rng(4).permutation(50), options.get("batch_size", 8), []
    parts = [order[start : start + size] for start in range(0, 50, size)]
    rates = [0.01 / (1 + number) for number in range(len(parts))]
    if weight is not None:
        weight[parts[2]] = 0
    augmentation = augmentation_settings(5, 1, shift=(2, 2), flip="both") if "augmented" in options else None

    def everything(losses, trainer):
        arrays = trainer.parameters, trainer.first_moment, trainer.second_moment, trainer.statistics
        return losses, *map(bits, arrays), trainer.t, trainer.n_batches_tracked

    def new():
        return make_trainer(plan, parameters, size, level=level)

    together, one_by_one = new(), new()
    settings = {"codes": codes, "augmentation": augmentation}
    losses = [one_by_one.step(X, part, targets, weight, rate, **settings) for part, rate in zip(parts, rates, strict=True)]
    of_call = together.steps(X, order, size, targets, weight, rates, **settings).tolist()
    assert everything(of_call, together) == everything(losses, one_by_one)
    assert together.t == len(parts) - (weight is not None)
    assert losses[2:3] == ([0.0] if weight is not None else losses[2:3])


@each_kernel
def test_every_mini_batch_of_a_call_is_cut_by_its_own_size(level, dtype):
    plan, parameters, X = network_problem((ConvolutionBlock(24, **BLOCK), DenseLayer(3)), (18, 18, 1), 71, dtype)
    targets, module = np.eye(3, dtype=dtype)[np.arange(71) % 3], _kernels.kernels(dtype, level)
    rows, together, one_by_one = np.arange(71), *(make_trainer(plan, parameters, 64, level=level) for _ in range(2))
    pieces = []
    for part in (rows[:64], rows[64:]):
        _, records = regions_of(module, lambda: one_by_one.step(X, part, targets, None, 0.01))  # noqa: B023
        pieces.append(records["forward_chunks"][0])
    assert pieces[0] > pieces[1]
    _, records = regions_of(module, lambda: together.steps(X, rows, 64, targets, None, [0.01, 0.01]))
    assert records["forward_chunks"][0] == sum(pieces)
    assert bits(together.parameters) == bits(one_by_one.parameters)


def test_steps_need_a_rate_for_each(small_slices):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 50, np.float32)
    targets = np.eye(4, dtype=np.float32)[np.arange(50) % 4]
    for rates in ([], [0.1] * 6, [0.1] * 8):
        with pytest.raises(ValueError, match=f"50 rows in mini-batches of 8 need a rate for each.*not {len(rates)} rates"):
            make_trainer(plan, parameters, 8).steps(X, np.arange(50), 8, targets, None, rates)


def test_the_loss_and_gradient_of_slices(small_slices, monkeypatch):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 64, np.float64)
    targets = np.eye(4)[np.arange(64) % 4]
    trainer = make_trainer(plan, parameters, solver="lbfgs")
    assert capacity_of(trainer) < 64
    loss, gradient = trainer.loss_gradient(X, np.arange(64), targets, None)
    monkeypatch.undo()
    expected_loss, expected = make_trainer(plan, parameters, solver="lbfgs").loss_gradient(X, np.arange(64), targets, None)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(trainer.parameters, parameters)


@each_kernel
def test_slices_do_not_depend_on_threads(level, dtype, monkeypatch):
    layers = (ConvolutionBlock(24, **BLOCK), DenseLayer(300, "relu"), DenseLayer(3))
    plan, parameters, X = network_problem(layers, (18, 18, 1), 90, dtype)
    monkeypatch.setattr(arena_module, "SLICE_NUMBERS", 40 * 2 * build_plan(layers, (18, 18, 1)).totals["values"])
    targets, module = np.eye(3, dtype=dtype)[np.arange(90) % 3], _kernels.kernels(dtype, level)

    def two_steps(n_threads):
        trainer = make_trainer(plan, parameters, 90, n_threads=n_threads, level=level)
        assert capacity_of(trainer) == 30
        losses = [trainer.step(X, np.arange(90), targets, None, 0.01) for _ in range(2)]
        return losses, bits(trainer.parameters), bits(trainer.first_moment)

    expected, records = regions_of(module, lambda: two_steps(1))
    pieces = {name: n for name, (n, _) in records.items()}
    for n_threads in (2, 3, 7):
        found, records = regions_of(module, lambda: two_steps(n_threads))  # noqa: B023
        assert found == expected
        assert {name: n for name, (n, _) in records.items()} == pieces
        if module.describe()["openmp"]:
            assert records["backward_chunks"][1] == n_threads


@pytest.mark.parametrize("dtype", [np.int64, np.float16])
def test_slices_of_rows_that_have_to_be_converted(dtype, small_slices):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 64, np.float32)
    X = np.round(4 * X).astype(dtype)
    targets, weight = np.eye(4, dtype=np.float32)[np.arange(64) % 4], np.random.default_rng(2).random(64).astype(np.float32)
    order = np.random.default_rng(4).permutation(64)
    converted, readable = make_trainer(plan, parameters), make_trainer(plan, parameters)
    assert converted.step(X, order, targets, weight, 0.01) == readable.step(X.astype(np.float32), order, targets, weight, 0.01)
    assert bits(converted.parameters) == bits(readable.parameters)


def test_weights_of_zero_leave_everything_as_it_was(small_slices):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 64, np.float32)
    trainer = make_trainer(plan, parameters)
    trainer.gradient[:] = 1
    assert trainer.step(X, np.arange(64), np.zeros((64, 4), np.float32), np.zeros(64, np.float32), 0.1) == 0.0
    assert trainer.t == 0
    np.testing.assert_array_equal(trainer.parameters, parameters)
    assert not np.any(trainer.gradient)


@each_level
def test_portions_add_up_exactly_on_integers(level):
    """Thousands of samples go through a stage, and back through dense layers, a part of each chunk at a time."""
    layers = (ConvolutionBlock(16, pooling="max", **BLOCK), DenseLayer(650, "relu"), DenseLayer(4))
    plan, module = build_plan(layers, (16, 16, 8)), _kernels.kernels(np.float32, level)
    parameters, X, targets, _ = integers(4096, plan, np.float32, False, density=0.03)
    settings = {"loss": "squared", "solver": "sgd", "alpha": 0.0, "level": level, "n_threads": 2}
    whole, part = make_trainer(plan, parameters, 4096, **settings), make_trainer(plan, parameters, 128, **settings)
    (loss, gradient), records = regions_of(module, lambda: whole.loss_gradient(X, np.arange(4096), targets, None))
    assert records["forward_chunks"][0] == 4 * 16  # chunks of 256 samples, in four portions
    assert records["dense_backward"][0] == 2 * (10 + 16) + 6 + 11  # those of the wide layer twice
    losses, expected = [], np.zeros_like(parameters)
    for start in range(0, 4096, 128):
        of_part, gradient_of_part = part.loss_gradient(X, np.arange(start, start + 128), targets, None)
        losses.append(of_part)
        expected += gradient_of_part / 32
    assert np.any(expected)
    np.testing.assert_array_equal(gradient, expected)
    assert loss == pytest.approx(np.mean(losses), rel=1e-6)


# ---------------------------------------------------------------------------------------------------------------- memory


def usual_plan(side=28, batch_norm=False, channels=1):
    blocks = (ConvolutionBlock(n, pooling="max", batch_norm=batch_norm, **BLOCK) for n in (16, 32))
    return build_plan((*blocks, DenseLayer(64, "relu", batch_norm), DenseLayer(10)), (side, side, channels))


@pytest.mark.parametrize("batch_size", [1, 200, 5_000, 60_000, 10_000_000])
@pytest.mark.parametrize(("side", "channels"), [(28, 1), (96, 3), (224, 3)])
def test_a_slice_has_no_more_numbers_than_it_may(side, channels, batch_size):
    plan = usual_plan(side, channels=channels)
    capacity = training_capacity(plan, batch_size)
    assert training_memory(plan, batch_size, 1, 4)["samples"] <= 4 * arena_module.SLICE_NUMBERS
    n_slices = -(-batch_size // capacity)
    assert n_slices * capacity - batch_size < n_slices  # as even as that goes


def test_usual_mini_batches_are_no_slices():
    for batch_norm in (False, True):
        assert training_capacity(usual_plan(batch_norm=batch_norm), 4096) == 4096
        assert training_capacity(usual_plan(96, batch_norm), 256) == 256


def test_normalisation_takes_all_samples_at_once():
    assert training_capacity(usual_plan(batch_norm=True), 60_000) == 60_000
    assert slice_size(usual_plan(batch_norm=True), 60_000) < 10_000


def test_the_memory_of_a_large_mini_batch_is_that_of_a_slice(small_slices):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 3_000, np.float32)
    targets, peaks = np.zeros((3_000, 4), np.float32), []
    for batch_size in (200, 3_000):
        tracemalloc.start()
        make_trainer(plan, parameters, batch_size).step(X, np.arange(batch_size), targets, None, 0.1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_the_memory_of_a_prediction_is_bounded_for_each_thread():
    """224 x 224 pixels in three channels: one image or two for each thread, however many there are."""
    plan = build_plan((ConvolutionBlock(32, pooling="max", **BLOCK), DenseLayer(10)), (224, 224, 3))
    X, parameters = np.zeros((32, plan.n_inputs), dtype=np.uint8), np.zeros(plan.parameter_size, np.float32)
    of_one = 4 * int(build_arena(plan, 1, 1, False)["n_numbers"][0])
    for n_threads in (1, 2, 4):
        tracemalloc.start()
        Network(plan, parameters).scores(X, n_threads=n_threads)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * arena_module.PREDICTION_NUMBERS + 2 * n_threads * of_one


def test_input_gradients_of_many_images_take_the_memory_of_a_slice(monkeypatch):
    plan, parameters, X = network_problem(LAYERS, SHAPE, 200, np.float32)
    network, direction = Network(plan, parameters), np.arange(4.0)
    expected = network.input_gradients(X, direction)
    monkeypatch.setattr(arena_module, "SLICE_NUMBERS", 1 << 16)
    assert slice_size(build_plan(LAYERS, SHAPE, True), 200) < 100
    assert bits(network.input_gradients(X, direction)) == bits(expected)


# ------------------------------------------------------------------------------------------- memory that is not there


@pytest.mark.parametrize(
    ("settings", "n_bytes", "message"),
    [
        ({"hidden_layer_sizes": (3000,), "batch_norm": False}, 1 << 20, r"parameters, their .* DenseLayer\(n_units=3000"),
        ({"batch_size": 400}, 1 << 22, r"mini-batch of 400 samples, which batch normalisation needs all at once"),
        ({"batch_norm": False, "n_jobs": 1, "n_filters": 3}, 1 << 16, "are the values of a few samples. Use smaller images"),
        ({"batch_norm": False, "n_jobs": 1}, 1 << 16, r"Training this network takes [\d,]+ bytes, and this machine has 65,536"),
    ],
)
def test_a_fit_that_the_machine_has_no_memory_for_is_refused(settings, n_bytes, message, monkeypatch):
    X, y = np.random.default_rng(0).random((400, 28, 28)), np.arange(400) % 3
    network = ConvNetClassifier(**{"n_filters": (8, 8), "max_iter": 1, **settings})
    monkeypatch.setattr(memory, "machine_memory", lambda: n_bytes)
    with pytest.raises(ValueError, match=message):
        network.fit(X, y)
    assert not hasattr(network, "n_features_in_")


def test_what_training_allocates_is_what_is_counted(small_slices):
    for layers in (LAYERS, usual_plan(batch_norm=True).layers):
        plan = build_plan(layers, (28, 28, 1))
        parameters = gaussian_parameters(plan, np.random.default_rng(0), np.float32)
        tracemalloc.start()
        trainer = make_trainer(plan, parameters, 500, n_threads=3)
        allocated, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        counted = sum(training_memory(plan, 500, 3, 4).values())
        assert counted == pytest.approx(allocated, rel=0.01, abs=20_000)
        assert trainer._workspace.numbers.nbytes < counted


@pytest.mark.parametrize(
    ("settings", "least"),
    [({}, 0.95), ({"early_stopping": True}, 0.95), ({"solver": "lbfgs", "tol": 0.0}, 0.85), ({"checkpoint": True}, 0.7)],
)  # fmt: skip
def test_what_a_fit_allocates_is_what_is_counted(settings, least, monkeypatch, tmp_path):
    counted = []
    monkeypatch.setattr(memory, "training_memory", lambda *sizes: counted.append(training_memory(*sizes)) or counted[-1])
    X, y = np.random.default_rng(0).random((64, 3000)).astype(np.float32), np.arange(64) % 2
    settings = {"max_iter": 12, "batch_norm": False, "n_jobs": 1, "random_state": 0, "n_iter_no_change": 12, **settings}
    saved = {"checkpoint": tmp_path / "fit"} if settings.pop("checkpoint", False) else {}
    network = ConvNetClassifier((), hidden_layer_sizes=100, input_shape=(3000,), **settings)
    tracemalloc.start()
    network.fit(X, y, **saved)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    total = sum(counted[-1].values())
    assert least * total < peak < 1.03 * total + 200_000


def test_a_machine_that_does_not_tell_its_memory_has_enough(monkeypatch):
    told = memory.machine_memory()
    assert 2**20 < told < 2**60
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.machine_memory() == 2**40
    monkeypatch.undo()
    monkeypatch.setattr(memory.os, "sysconf_names", {})
    assert memory.machine_memory() == 2**40
