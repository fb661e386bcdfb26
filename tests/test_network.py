"""Networks and trainers: whole networks against their naive twin, gradient checks, losses, updates, bad sizes."""

import math
import sys

import numpy as np
import pytest
import reference
from problems import (
    KERNELS,
    bits,
    each_dtype,
    each_kernel,
    each_level,
    gaussian_parameters,
    maps_of,
    parameter_vector,
    random_network,
    running_statistics,
    sparse_integers,
)

from sklearn_cnn import _kernels
from sklearn_cnn._network.arena import build_arena
from sklearn_cnn._network.augmentation import augmentation_settings
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network, Workspace, aligned_copy, aligned_empty, scaling_arrays
from sklearn_cnn._network.plan import build_plan, initial_statistics, table
from sklearn_cnn._network.trainer import Trainer

STACK = (
    ConvolutionBlock(6, (3, 3), padding="same", pooling="max", activation="relu"),
    ConvolutionBlock(5, (2, 3), padding=(1, 1), padding_mode="reflect", pooling="average", activation="tanh"),
    ConvolutionBlock(3, (2, 2), weight_sharing=False, activation="logistic"),
    DenseLayer(7, "relu"),
    DenseLayer(3),
)
STACK_SHAPE = (9, 8, 2)


def one_hot(labels, n_outputs):
    return np.eye(n_outputs)[labels]


def random_targets(loss, shape, random_state, soft=False):
    """soft: probabilities between 0 and 1, as smoothed labels are, in place of classes."""
    if soft and loss != "squared":
        values = random_state.random(shape)
        return values / values.sum(axis=1, keepdims=True) if loss == "softmax" else values
    if loss == "softmax":
        return one_hot(random_state.integers(0, shape[1], shape[0]), shape[1])
    if loss == "logistic":
        return random_state.integers(0, 2, shape) * 1.0
    return random_state.standard_normal(shape)


def make_trainer(plan, parameters, **options):
    return Trainer(plan, parameters, **{"loss": "softmax", "solver": "adam", "batch_size": 16} | options)


# ------------------------------------------------------------------------------------------------------- the naive twin


@each_kernel
@pytest.mark.parametrize("batch_norm", [False, True])
def test_scores_and_gradients_of_random_networks(level, dtype, batch_norm):
    random_state = np.random.default_rng(0)
    for _ in range(60):
        plan = random_network(random_state, batch_norm=batch_norm)
        statistics = running_statistics(plan, random_state).astype(dtype)
        parameters = gaussian_parameters(plan, random_state).astype(dtype)
        X = random_state.standard_normal((4, plan.n_inputs)).astype(dtype)
        d_outputs = random_state.standard_normal((4, plan.n_outputs)).astype(dtype)
        exact = parameters.astype(np.float64), X.astype(np.float64)
        scores, trace = reference.network_forward(plan, *exact, statistics.astype(np.float64))
        gradients = reference.network_backward(plan, exact[0], trace, d_outputs.astype(np.float64))
        network = Network(plan, parameters, statistics, level=level)
        tolerance = {"rtol": 2e-3, "atol": 2e-4} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-10}
        np.testing.assert_allclose(network.scores(X), scores, **tolerance, err_msg=str(plan.layers))
        for result, expected in zip(network.gradients(X, d_outputs), gradients, strict=True):
            np.testing.assert_allclose(result, expected, **tolerance, err_msg=str(plan.layers))


@each_kernel
def test_whole_networks_are_exact_on_integers(level, dtype):
    random_state = np.random.default_rng(1)
    for _ in range(60):
        plan = random_network(random_state, activations=("identity", "relu"))
        if any(getattr(layer, "pooling", None) == "average" for layer in plan.layers):
            continue  # its thirds are not exact
        parameters = parameter_vector(plan, lambda size: sparse_integers(random_state, size, 1))
        X = sparse_integers(random_state, (3, plan.n_inputs), 1)
        d_outputs = sparse_integers(random_state, (3, plan.n_outputs), 1)
        scores, trace = reference.network_forward(plan, parameters, X)
        d_X, d_parameters = reference.network_backward(plan, parameters, trace, d_outputs)
        network = Network(plan, parameters.astype(dtype), level=level)
        np.testing.assert_array_equal(network.scores(X), scores)
        result = network.gradients(X.astype(dtype), d_outputs.astype(dtype))
        np.testing.assert_array_equal(result[0], d_X)
        np.testing.assert_array_equal(result[1], d_parameters)


@each_level
def test_many_chunks_are_exact_on_integers(level):
    # Enough work for the full number of gradient chunks, and a batch that they do not divide evenly.
    random_state = np.random.default_rng(2)
    layers = (
        ConvolutionBlock(8, (3, 3), padding="same", pooling="max", activation="relu"),
        DenseLayer(130),
        DenseLayer(3),
    )
    plan = build_plan(layers, (16, 16, 4), True)
    assert int(build_arena(plan, 151, 2, True)["n_chunks"][0]) > 8
    parameters = parameter_vector(plan, lambda size: sparse_integers(random_state, size, 1, 0.2))
    X = sparse_integers(random_state, (151, plan.n_inputs), 1, 0.3)
    d_outputs = sparse_integers(random_state, (151, 3), 1)
    scores, trace = reference.network_forward(plan, parameters, X)
    network = Network(plan, parameters.astype(np.float32), level=level)
    np.testing.assert_array_equal(network.scores(X.astype(np.float32), n_threads=2), scores)
    d_X, d_parameters = network.gradients(X.astype(np.float32), d_outputs.astype(np.float32), n_threads=2)
    expected_X, expected_parameters = reference.network_backward(plan, parameters, trace, d_outputs)
    np.testing.assert_array_equal(d_X, expected_X)
    np.testing.assert_array_equal(d_parameters, expected_parameters)


# ------------------------------------------------------------------------------------------------------ gradient checks


def check_gradient(plan, parameters, loss, random_state, level, soft=False):
    """Central differences of some parameters; returns how many stood on a kink, where there is no derivative."""
    X = random_state.standard_normal((5, plan.n_inputs))
    targets = random_targets(loss, (5, plan.n_outputs), random_state, soft)
    sample_weight = None if random_state.random() < 0.3 else random_state.random(5) + 0.1
    rows, epsilon, n_kinks = np.arange(5), 1e-6, 0

    def value(vector):
        trainer = make_trainer(plan, vector, loss=loss, alpha=0.3, level=level)
        result, gradient = trainer.loss_gradient(X, rows, targets, sample_weight)
        return result, gradient.copy()

    middle, gradient = value(parameters)
    used = np.flatnonzero(parameters)
    for index in random_state.choice(used, min(25, len(used)), replace=False):
        step = np.zeros_like(parameters)
        step[index] = epsilon
        above, below = value(parameters + step)[0], value(parameters - step)[0]
        slopes = (above - middle) / epsilon, (middle - below) / epsilon
        if not np.isclose(*slopes, rtol=1e-3, atol=1e-4):
            n_kinks += 1
            continue
        np.testing.assert_allclose(
            gradient[index], (above - below) / (2 * epsilon), atol=1e-5, rtol=1e-3, err_msg=f"{index} of {plan.layers}"
        )
    return n_kinks


@pytest.mark.parametrize("loss", reference.LOSSES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_of_random_networks_are_slopes(loss, batch_norm):
    random_state = np.random.default_rng(3)
    kinks = 0
    for number in range(100):
        plan = random_network(random_state, largest_side=7, batch_norm=batch_norm)
        parameters, soft = gaussian_parameters(plan, random_state), number % 2 == 0
        kinks += check_gradient(plan, parameters, loss, random_state, None, soft)
    assert kinks < 20


@each_kernel
@pytest.mark.parametrize("n_outputs", [2, 63, 64, 65, 200])
def test_a_softmax_has_the_gradient_of_every_class(level, dtype, n_outputs):
    # The exponentials of so many classes are kept from the sum to the gradient; those of more are computed twice.
    random_state = np.random.default_rng(5)
    plan = build_plan((DenseLayer(n_outputs),), (1, 3, 1))
    parameters = gaussian_parameters(plan, random_state, dtype)
    X = random_state.standard_normal((7, 3)).astype(dtype)
    targets = random_targets("softmax", (7, n_outputs), random_state, soft=True).astype(dtype)
    trainer = make_trainer(plan, parameters, level=level)
    loss, gradient = trainer.loss_gradient(X, np.arange(7), targets, None)
    expected = reference.network_loss(
        plan, *(array.astype(np.float64) for array in (parameters, X, targets)), np.ones(7), "softmax", 0.0
    )
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert loss == pytest.approx(expected[0], rel=tolerance)
    np.testing.assert_allclose(gradient, expected[1], rtol=tolerance, atol=tolerance)


@each_kernel
def test_a_softmax_is_accurate_for_scores_far_apart(level, dtype):
    # The gradient of a bias is a probability where it is not that of the target's class: here the first, with the largest score.
    scores = -np.sort(np.random.default_rng(6).uniform(0, 80 if dtype == np.float32 else 720, 1000))
    scores[:2] = 0, -1e-12
    plan = build_plan((DenseLayer(1000),), (1, 1, 1))
    parameters = reference.pack(plan, [(np.zeros((1, 1000)), scores)]).astype(dtype)
    trainer = make_trainer(plan, parameters, level=level)
    _, gradient = trainer.loss_gradient(np.zeros((1, 1), dtype), np.arange(1), np.eye(1, 1000, dtype=dtype), None)
    _, probabilities = reference.unpack(plan, gradient)[0]
    exact = np.exp(scores.astype(dtype).astype(np.longdouble))
    exact /= exact.sum()
    exact[scores < -700] = 0
    np.testing.assert_allclose(probabilities[1:], exact[1:].astype(np.float64), rtol=3 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("row", reference.LAYERS, ids=lambda row: row.name)
def test_gradient_of_every_layer_is_a_slope(row):
    random_state = np.random.default_rng(4)
    plan = build_plan((row.layer, DenseLayer(2)), row.input_shape)
    assert check_gradient(plan, gaussian_parameters(plan, random_state), "softmax", random_state, None) < 3


# --------------------------------------------------------------------------------------------------------------- losses


@each_kernel
@pytest.mark.parametrize("loss", reference.LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_loss_and_gradient_with_penalty(level, dtype, loss, weighted, soft):
    random_state = np.random.default_rng(5)
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, random_state)
    X = random_state.standard_normal((30, plan.n_inputs))
    rows = random_state.permutation(30)[:11]
    targets = random_targets(loss, (30, 3), random_state, soft)
    sample_weight = random_state.random(30) if weighted else None
    trainer = make_trainer(plan, parameters.astype(dtype), loss=loss, alpha=0.7, level=level)
    value, gradient = trainer.loss_gradient(
        X.astype(dtype), rows, targets.astype(dtype), None if sample_weight is None else sample_weight.astype(dtype)
    )
    expected, expected_gradient = reference.network_loss(
        plan, parameters, X[rows], targets[rows], None if sample_weight is None else sample_weight[rows], loss, 0.7
    )
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    assert value == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=20 * tolerance, atol=tolerance)


@each_kernel
@pytest.mark.parametrize("loss", reference.LOSSES)
def test_loss_of_extreme_scores(level, dtype, loss):
    plan = build_plan((DenseLayer(2),), (1, 2, 1))
    parameters = reference.pack(plan, [(np.eye(2), np.zeros(2))]).astype(dtype)
    targets = np.array([[1.0, 0.0]], dtype=dtype)
    trainer = make_trainer(plan, parameters, loss=loss, level=level)
    for scores in ([1000, -1000], [-1000, 1000], [0, 0], [80, 80]):
        X = np.array([scores], dtype=dtype)
        value, gradient = trainer.loss_gradient(X, np.arange(1), targets, None)
        expected = reference.LOSSES[loss][0](X.astype(float), targets.astype(float))[0]
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert np.all(np.isfinite(gradient))
    for scores in ([np.nan, 0], [0, np.nan]):
        value, _ = trainer.loss_gradient(np.array([scores], dtype=dtype), np.arange(1), targets, None)
        assert np.isnan(value)


@each_kernel
@pytest.mark.parametrize("X_dtype", [np.float32, np.int64], ids=["read where they are", "converted"])
def test_codes_name_rows_of_targets(level, dtype, X_dtype):
    plan = build_plan((DenseLayer(3),), (1, 4, 1))
    random_state = np.random.default_rng(7)
    parameters = random_state.standard_normal(plan.parameter_size).astype(dtype)
    X, rows = random_state.integers(0, 9, (6, 4)).astype(X_dtype), np.array([4, 0, 5, 5])
    values = random_state.random((3, 3)).astype(dtype)
    codes = np.array([2, 1, 0, 1, 0, 2], dtype=np.int32)
    weight = np.linspace(0.5, 3.0, 6).astype(dtype)
    results = []
    for targets, given in ((values[codes], None), (values, codes)):
        trainer = make_trainer(plan, parameters, level=level)
        loss = trainer.step(X, rows, targets, weight, 0.1, codes=given)
        results.append((loss, trainer.loss_gradient(X, rows, targets, weight, codes=given)[0], trainer.parameters.tobytes()))
    assert results[0] == results[1]
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match=f"code {wrong} names none of 3 rows of targets"):
            trainer.step(X, rows, values, weight, 0.1, codes=np.where(codes == 0, wrong, codes).astype(np.int32))


def test_scores_of_one_constant_leave_the_loss_as_it_is():
    random_state = np.random.default_rng(6)
    scores = random_state.standard_normal((4, 3))
    plan = build_plan((DenseLayer(3),), (1, 3, 1))
    parameters = reference.pack(plan, [(np.eye(3), np.zeros(3))])
    trainer = make_trainer(plan, parameters)
    targets = one_hot([0, 2, 1, 1], 3)
    values = [trainer.loss_gradient(scores + shift, np.arange(4), targets, None)[0] for shift in (0, 500.0, -500.0)]
    np.testing.assert_allclose(values, values[0], rtol=1e-10)


# -------------------------------------------------------------------------------------------------------------- updates


@each_kernel
@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"momentum": 0.7, "nesterov": False}),
        ("sgd", {"momentum": 0.0, "nesterov": False}),
        ("adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
        ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2}),
        ("adamw", {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}),
    ],
)
def test_updates(level, dtype, solver, options):
    random_state = np.random.default_rng(7)
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, random_state)
    X = random_state.standard_normal((40, plan.n_inputs))
    targets = random_targets("softmax", (40, 3), random_state)
    weight = random_state.random(40)
    trainer = make_trainer(plan, parameters.astype(dtype), solver=solver, alpha=0.1, level=level, **options)
    first = second = np.zeros_like(parameters)
    for t in range(1, 6):
        rows = random_state.permutation(40)[: 16 if t < 5 else 7]
        rate = 0.05 / t
        loss = trainer.step(X.astype(dtype), rows, targets.astype(dtype), weight.astype(dtype), rate)
        penalty = 0.0 if solver == "adamw" else 0.1
        expected, gradient = reference.network_loss(
            plan, parameters, X[rows], targets[rows], weight[rows], "softmax", penalty
        )
        if solver == "adamw":
            parameters = reference.decay(plan, parameters, rate * 0.1)
        if solver != "sgd":
            parameters, first, second = reference.adam(parameters, gradient, first, second, t, rate, **options)
        else:
            parameters, first = reference.sgd(parameters, gradient, first, rate, **options)
        tolerance = 3e-3 if dtype == np.float32 else 1e-8
        assert trainer.t == t
        assert loss == pytest.approx(expected, rel=tolerance)
        np.testing.assert_allclose(trainer.parameters, parameters, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(trainer.first_moment, first, rtol=10 * tolerance, atol=tolerance)
        if solver != "sgd":
            np.testing.assert_allclose(trainer.second_moment, second, rtol=10 * tolerance, atol=tolerance)


@each_kernel
@pytest.mark.parametrize(
    ("layers", "shape"),
    [(STACK, STACK_SHAPE), ((DenseLayer(90, "relu"), DenseLayer(3)), (1, 400, 1))],
    ids=["all kinds", "updates of many pieces"],
)
def test_a_step_follows_the_gradient_it_reports(level, dtype, layers, shape):
    # One step of plain descent is arithmetic that can be repeated: parameters - rate * gradient.
    random_state = np.random.default_rng(8)
    plan = build_plan(layers, shape)
    parameters = gaussian_parameters(plan, random_state, dtype)
    X = random_state.standard_normal((16, plan.n_inputs)).astype(dtype)
    targets = random_targets("softmax", (16, 3), random_state).astype(dtype)
    options = {"solver": "sgd", "momentum": 0.0, "nesterov": False, "alpha": 0.2, "level": level}
    trainer = make_trainer(plan, parameters, **options)
    _, gradient = trainer.loss_gradient(X, np.arange(16), targets, None)
    assert bits(trainer.parameters) == bits(parameters)
    expected = parameters - dtype(0.125) * gradient
    trainer.step(X, np.arange(16), targets, None, 0.125)
    np.testing.assert_allclose(trainer.parameters, expected, rtol=1e-6)


@each_dtype
def test_weights_of_zero_make_no_update(dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(9), dtype)
    trainer = make_trainer(plan, parameters, alpha=1.0)
    X, targets = np.ones((4, plan.n_inputs), dtype=dtype), np.eye(4, 3, dtype=dtype)
    assert trainer.step(X, np.arange(4), targets, np.zeros(4, dtype=dtype), 0.1) == 0.0
    assert bits(trainer.parameters) == bits(parameters)
    assert trainer.step(X, np.arange(0), targets, None, 0.1) == 0.0
    assert bits(trainer.parameters) == bits(parameters)


@each_dtype
def test_a_weight_of_zero_is_an_absent_sample(dtype):
    random_state = np.random.default_rng(10)
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, random_state, dtype)
    X = random_state.standard_normal((6, plan.n_inputs)).astype(dtype)
    targets = random_targets("softmax", (6, 3), random_state).astype(dtype)
    weight = np.array([1, 1, 0, 2, 0, 1], dtype=dtype)
    trainer = make_trainer(plan, parameters, alpha=0.1)
    with_zeros = trainer.loss_gradient(X, np.arange(6), targets, weight)[1].copy()
    without = trainer.loss_gradient(X, np.flatnonzero(weight), targets, weight)[1].copy()
    twice = trainer.loss_gradient(X, np.array([0, 1, 3, 3, 5]), targets, None)[1].copy()
    np.testing.assert_allclose(with_zeros, without, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(with_zeros, twice, rtol=1e-4, atol=1e-6)


def test_trainer_leaves_its_arguments_alone():
    plan = build_plan(STACK, STACK_SHAPE)
    random_state = np.random.default_rng(11)
    parameters = gaussian_parameters(plan, random_state, np.float32)
    X = random_state.standard_normal((8, plan.n_inputs)).astype(np.float32)
    targets, weight = np.eye(8, 3, dtype=np.float32), np.ones(8, dtype=np.float32)
    for array in (parameters, X, targets, weight):
        array.flags.writeable = False
    before = [bits(array) for array in (parameters, X, targets, weight)]
    trainer = make_trainer(plan, parameters)
    trainer.step(X, np.arange(8), targets, weight, 0.1)
    assert [bits(array) for array in (parameters, X, targets, weight)] == before
    assert bits(trainer.parameters) != bits(parameters)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_training_goes_on_from_what_a_trainer_exposes(solver):
    random_state = np.random.default_rng(12)
    plan = build_plan(STACK, STACK_SHAPE)
    X = random_state.integers(0, 255, (50, plan.n_inputs)).astype(np.uint8)
    targets = random_targets("softmax", (50, 3), random_state).astype(np.float32)
    batches = [random_state.permutation(50)[:16] for _ in range(6)]
    scaling = {"shift": np.array([100, 90], dtype=np.float32), "factor": np.array([0.01, 0.02], dtype=np.float32)}
    whole = make_trainer(plan, gaussian_parameters(plan, random_state, np.float32), solver=solver)
    first = make_trainer(plan, whole.parameters, solver=solver)
    for rows in batches:
        whole.step(X, rows, targets, None, 0.01, **scaling)
    for rows in batches[:3]:
        first.step(X, rows, targets, None, 0.01, **scaling)
    second = make_trainer(plan, first.parameters, solver=solver)
    second.first_moment[:], second.second_moment[:], second.t = first.first_moment, first.second_moment, first.t
    for rows in batches[3:]:
        second.step(X, rows, targets, None, 0.01, **scaling)
    assert bits(second.parameters) == bits(whole.parameters)


# ----------------------------------------------------------------------------------------------------- views and inputs


def test_views_of_weights_and_biases():
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(13))
    network = Network(plan, parameters)
    for layer, (weights, bias) in enumerate(reference.unpack(plan, parameters)):
        np.testing.assert_array_equal(network.weights(layer), weights)
        np.testing.assert_array_equal(network.bias(layer), bias)
        assert np.shares_memory(network.weights(layer), parameters)
    with pytest.raises(ValueError, match="layer 5 has no weights"):
        network.weights(5)


@each_level
def test_maps_are_what_the_twin_computes(level):
    random_state = np.random.default_rng(14)
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, random_state)
    X = random_state.standard_normal((3, plan.n_inputs))
    network = Network(plan, parameters, level=level)
    _, trace = reference.network_forward(plan, parameters, X)
    for layer in range(3):
        image, maps = trace[layer]
        np.testing.assert_allclose(maps_of(network, X, layer, "conv"), maps, rtol=1e-9, atol=1e-12)
        pooled, _ = reference.layer_forward(plan.layers[layer], *reference.unpack(plan, parameters)[layer], image)
        np.testing.assert_allclose(maps_of(network, X, layer, "pool"), pooled, rtol=1e-9, atol=1e-12)
        assert maps_of(network, X, layer, "conv").shape[1:] == plan.map_shapes[layer]
        assert maps_of(network, X, layer, "pool").shape[1:] == plan.output_shapes[layer]


def variants(X):
    """The same numbers laid out in every way NumPy has."""
    room = np.zeros(X.nbytes + 64, dtype=np.uint8)
    unaligned = room[1 : 1 + X.nbytes].view(X.dtype).reshape(X.shape)
    unaligned[:] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    yield "fortran", np.asfortranarray(X)
    yield "every second row", np.repeat(X, 2, axis=0)[::2]
    yield "every second column", np.repeat(X, 2, axis=1)[:, ::2]
    yield "backwards", X[::-1].copy()[::-1]
    yield "other byte order", X.astype(X.dtype.newbyteorder())
    yield "unaligned", unaligned
    yield "read-only", read_only


@each_dtype
@pytest.mark.parametrize("kind", ["u1", "f4", "f8", "i2", "f2"])
def test_layout_of_the_input_does_not_matter(dtype, kind):
    random_state = np.random.default_rng(15)
    plan = build_plan(STACK, STACK_SHAPE)
    network = Network(plan, gaussian_parameters(plan, random_state, dtype))
    X = (20 * random_state.random((11, plan.n_inputs))).astype(kind)
    rows = np.array([7, 0, 7, 10])
    targets = np.eye(11, 3, dtype=dtype)
    expected = bits(network.scores(X))
    trained = make_trainer(plan, network.parameters).loss_gradient(X, np.arange(11), targets, None)
    for name, variant in variants(X):
        assert bits(network.scores(variant)) == expected, name
        assert bits(network.scores(variant, rows)) == bits(network.scores(X)[rows]), name
        loss, gradient = make_trainer(plan, network.parameters).loss_gradient(variant, np.arange(11), targets, None)
        assert (loss, bits(gradient)) == (trained[0], bits(trained[1])), name


def test_aligned_arrays_begin_on_a_cache_line():
    for dtype in (np.float32, np.float64, np.uint8):
        assert aligned_empty(0, dtype).size == 0
        for n in (1, 17, 200):
            assert aligned_empty(n, dtype).ctypes.data % 64 == 0
            copy = aligned_copy(np.arange(n, dtype=dtype))
            assert copy.ctypes.data % 64 == 0
            np.testing.assert_array_equal(copy, np.arange(n))


def unaligned_rows():
    return np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("X", "is_readable"),
    [
        (np.zeros((2, 3), np.uint8), True), (np.zeros((2, 3), bool), True), (np.zeros((2, 3), np.float32), True),
        (np.zeros((2, 3)), True), (np.zeros((2, 3, 4)), True), (np.zeros((0, 3)), True), (np.zeros((3, 2), order="F").T, True),
        (np.zeros((2, 3), np.int64), False), (np.zeros((2, 3), np.int8), False), (np.zeros((2, 3), np.float16), False),
        (np.zeros((2, 3), np.longdouble), False), (np.zeros((2, 3), complex), False), (np.zeros((2, 3), object), False),
        (np.zeros((2, 3), "M8[s]"), False), (np.zeros((2, 3), "S1"), False), (np.zeros((2, 3), [("a", "f4")]), False),
        (np.zeros((2, 3), ">f8"), False), (np.zeros((2, 3), ">f4"), False), (np.zeros((3, 2)).T, False),
        (np.zeros((2, 6))[:, ::2], False), (unaligned_rows(), False), (np.zeros(3), False), (np.float32(1), False),
    ],
)  # fmt: skip
@each_kernel
def test_what_the_kernels_read_in_place(level, dtype, X, is_readable):
    rows = _kernels.kernels(dtype, level).rows_of(X)
    assert (rows is not None) == is_readable
    if is_readable:
        assert rows.n_rows == len(X)


@each_kernel
def test_rows_keep_their_array(level, dtype):
    X = np.zeros((2, 3))
    count = sys.getrefcount(X)
    rows = _kernels.kernels(dtype, level).rows_of(X)
    assert sys.getrefcount(X) > count
    del rows
    assert sys.getrefcount(X) == count
    assert _kernels.kernels(dtype, level).rows_of(X[:, ::2]) is None
    assert sys.getrefcount(X) == count


@each_kernel
def test_predictions_fill_their_results_block_by_block(level, dtype):
    """A session with room for four samples takes eleven: all rows, and those that an order names."""
    plan = build_plan((ConvolutionBlock(2, (2, 2)), DenseLayer(3)), (6, 6, 2))
    random_state = np.random.default_rng(0)
    parameters, X = random_state.normal(size=plan.parameter_size).astype(dtype), random_state.normal(size=(11, 72))
    workspace = Workspace(plan, 4, 1, False, np.dtype(dtype), level)
    call = workspace.session, parameters, np.zeros(0, dtype), workspace.kernels.rows_of(X)
    scaling, order = scaling_arrays(None, None, np.dtype(dtype)), random_state.integers(0, 11, 9)
    one_by_one = np.vstack([Network(plan, parameters, level=level).scores(X[i : i + 1]) for i in range(11)])
    for rows, expected in ((None, one_by_one), (order, one_by_one[order]), (order[:0], one_by_one[:0])):
        results = np.full(expected.shape, np.nan, dtype)
        workspace.kernels.predict(*call, rows, *scaling, results, 1)
        assert results.tobytes() == expected.tobytes()
    for results in (np.zeros((10, 3), dtype), np.zeros((11, 2), dtype), np.zeros((12, 3), dtype)):
        with pytest.raises(ValueError, match="results need one row for each sample"):
            workspace.kernels.predict(*call, None, *scaling, results, 1)
    with pytest.raises(ValueError, match="room for 4 samples, not 11"):
        workspace.kernels.predict(*call, None, *scaling, None, 1)


# -------------------------------------------------------------------------------------------------------- bad arguments


AUGMENTED = {"shift": (5, 5), "flip": "both", "rotate": 10, "zoom": 0.9, "erase": 3, "brightness": 1, "contrast": 1}


class Call:
    """The arguments of one training step, to be spoilt one at a time."""

    def __init__(self, dtype):
        self.plan = build_plan((ConvolutionBlock(2, (2, 2), pooling="max", batch_norm=True), DenseLayer(3)), (6, 6, 2))
        arena = build_arena(self.plan, 4, 2, True)
        self.prediction = build_arena(self.plan, 4, 2, False)
        size = self.plan.parameter_size
        X = np.zeros((5, 72), dtype=np.float32)
        self.arguments = {
            "layers": table(self.plan.records), "arena": table(arena), "runs": table(self.plan.runs),
            "parameters": np.zeros(size, dtype), "statistics": initial_statistics(self.plan, dtype),
            "numbers": np.zeros(int(arena["n_numbers"][0]), dtype),
            "positions": np.zeros(400, np.uint8),
            "X": X, "order": np.arange(4), "shift": np.zeros(2, dtype),
            "factor": np.ones(2, dtype), "targets": np.zeros((5, 3), dtype), "codes": None, "results": None,
            "sample_weight": np.ones(5, dtype), "loss": 0, "alpha": 0.0, "losses": np.zeros(2), "weight_sum": 4.0,
            "gradient": np.zeros(size, dtype), "first_moment": np.zeros(size, dtype),
            "second_moment": np.zeros(size, dtype), "gradient_of_slice": None, "first_place": 0,
            "learning_rate": 0.1, "seed": 0, "n_threads": 1,
            "batch_size": 4, "rates": np.full(1, 0.1), "room": np.zeros(1),
            "solver_settings": {
                "kind": 1, "momentum": 0.9, "beta_2": 0.9, "epsilon": 1e-8, "weight_decay": 0.0, "nesterov": 0,
            },
            "augmentation_settings": {**augmentation_settings(0, 1, **AUGMENTED), "rows": np.arange(4)},
        }  # fmt: skip

    #: Function -> its arguments, in order.
    orders = {  # noqa: RUF012
        "Session": "layers arena runs numbers positions",
        "Optimizer": "parameters statistics gradient gradient_of_slice first_moment second_moment loss alpha solver_settings "
        "seed",
        "Examples": "rows shift factor targets codes sample_weight",
        "train": "session optimizer examples order batch_size rates augmentation_settings n_threads room",
        "loss_gradient": "session optimizer examples order n_threads",
        "train_slice": "session optimizer examples order augmentation_settings n_threads weight_sum first_place",
        "augment_images": "session parameters statistics rows order shift factor augmentation_settings",
        "predict": "session parameters statistics rows order shift factor results n_threads",
        "backpropagate": "session parameters statistics n_samples gradient n_threads",
        "update": "session optimizer losses weight_sum learning_rate n_threads",
    }

    def make(self, name, module, **changes):
        arguments = {**self.arguments, **changes}

        def made(name):
            return getattr(module, name)(*(arguments[key] for key in self.orders[name].split()))

        arguments["rows"] = module.rows_of(arguments["X"])
        for kind in ("Session", "Optimizer", "Examples"):
            if kind.lower() in self.orders[name].split():
                arguments[kind.lower()] = made(kind)
        return made(name)


def spoilt(call, dtype):
    """(function, changes) that must be refused."""
    size = call.plan.parameter_size
    everywhere = [
        {"arena": table(call.prediction)[:0]},
        {"arena": table(call.prediction)[:, 1:].copy()},
        {"layers": table(call.plan.records)[:1]},
        {"layers": table(call.plan.records)[:0]},
        {"layers": table(call.plan.records)[:, 1:].copy()},
        {"runs": table(call.plan.runs)[:, 1:].copy()},
        {"parameters": np.zeros(size - 1, dtype)},
        {"parameters": np.zeros(size + 1, dtype)},
        {"parameters": np.zeros(0, dtype)},
        {"statistics": np.zeros(31, dtype)},
        {"statistics": np.zeros(33, dtype)},
        {"statistics": np.zeros(0, dtype)},
        {"numbers": np.zeros(10, dtype)},
        {"positions": np.zeros(3, np.uint8)},
        {"n_threads": 0},
        {"n_threads": -1},
    ]
    for changes in everywhere:
        yield "train", changes
        yield "loss_gradient", changes
        yield "predict", changes
        yield "backpropagate", changes | {"n_samples": 4}
        yield "update", changes
        if "n_threads" not in changes:
            yield "augment_images", changes
    for changes in (
        {"X": np.zeros((5, 71), np.float32)}, {"X": np.zeros((5, 73))}, {"X": np.zeros((5, 72 * 4), np.uint8)},
        {"order": np.array([0, 5])}, {"order": np.array([-1])}, {"order": np.array([2**62])},
        {"order": np.zeros(5, int)},
        {"shift": np.zeros(1, dtype)}, {"factor": np.zeros(3, dtype)},
        {"shift": np.zeros(5, dtype), "factor": np.zeros(5, dtype)},
        {"shift": np.zeros(0, dtype), "factor": np.zeros(0, dtype)},
    ):  # fmt: skip
        yield "train", changes
        yield "predict", changes
        yield "augment_images", changes
    for changes in (
        {"shift_rows": 6}, {"shift_columns": 6}, {"shift_rows": -1}, {"shift_columns": 2**62}, {"flip": 4}, {"flip": -1},
        {"erase": -1}, {"erase": 2**62}, {"outside": 3}, {"outside": -1}, {"zoom": 1.0}, {"zoom": math.nan}, {"zoom": -0.1},
        {"rotate": 4.0}, {"rotate": math.nan}, {"rows": np.arange(3)}, {"rows": np.arange(5)},
    ):  # fmt: skip
        for name in ("train", "augment_images"):
            yield name, {"augmentation_settings": call.arguments["augmentation_settings"] | changes}
    yield "augment_images", {"arena": table(call.prediction)}
    for changes in (
        {"targets": np.zeros((4, 3), dtype)}, {"targets": np.zeros((5, 2), dtype)},
        {"codes": np.zeros(4, np.int32)}, {"codes": np.full(5, 5, np.int32)}, {"codes": np.full(5, -1, np.int32)},
        {"sample_weight": np.ones(4, dtype)}, {"gradient": np.zeros(size - 1, dtype)},
        {"first_moment": np.zeros(size + 1, dtype)}, {"second_moment": np.zeros(size - 1, dtype)},
        {"positions": None}, {"arena": table(call.prediction)}, {"solver_settings": None}, {"batch_size": 0}, {"batch_size": -4},
        {"batch_size": 3}, {"rates": np.zeros(2)}, {"room": np.zeros(0)}, {"room": np.zeros(2), "rates": np.zeros(2)},
        {"gradient_of_slice": np.zeros(size + 1, dtype)}, {"gradient_of_slice": np.zeros(0, dtype)},
    ):  # fmt: skip
        yield "train", changes
    for changes in (
        {"gradient": np.zeros(size - 1, dtype)}, {"first_moment": np.zeros(size + 1, dtype)},
        {"second_moment": np.zeros(size - 1, dtype)}, {"weight_sum": 0.0}, {"weight_sum": -1.0}, {"weight_sum": math.nan},
        {"solver_settings": None},
    ):  # fmt: skip
        yield "update", changes
    for changes in ({"n_samples": 5}, {"n_samples": -1}, {"gradient": np.zeros(3, dtype)}, {"positions": None}):
        yield "backpropagate", {"n_samples": 4} | changes
    yield "backpropagate", {"n_samples": 4, "arena": table(call.prediction)}


@each_kernel
def test_boundary_refuses_wrong_sizes(level, dtype):
    module, call = _kernels.kernels(dtype, level), Call(dtype)
    call.make("train", module)
    call.make("train", module, augmentation_settings=None)
    call.make("loss_gradient", module)
    call.make("predict", module)
    call.make("augment_images", module)
    call.make("backpropagate", module, n_samples=4)
    call.make("update", module)
    call.make("update", module, solver_settings=None, learning_rate=None)
    for name, changes in spoilt(call, dtype):
        with pytest.raises(ValueError):
            call.make(name, module, **changes)


@each_kernel
def test_boundary_of_slices(level, dtype):
    module, plan = _kernels.kernels(dtype, level), build_plan((ConvolutionBlock(2, (2, 2)), DenseLayer(3)), (6, 6, 2))
    arena, size, normalised = build_arena(plan, 4, 2, True), plan.parameter_size, Call(dtype)
    right = {
        "layers": table(plan.records), "arena": table(arena), "runs": table(plan.runs), "parameters": np.zeros(size, dtype),
        "statistics": np.zeros(0, dtype), "numbers": np.zeros(int(arena["n_numbers"][0]), dtype), "positions": None,
        "targets": np.ones((5, 3), dtype), "gradient": np.ones(size, dtype), "gradient_of_slice": np.zeros(size, dtype),
        "solver_settings": None, "augmentation_settings": None, "weight_sum": 8.0, "first_place": 4,
    }  # fmt: skip

    def run(**changes):
        return Call(dtype).make("train_slice", module, **right | changes)

    assert run() > 0
    assert bits(right["gradient"]) == bits(right["gradient_of_slice"] + 1)
    for changes in (
        {"gradient": np.zeros(size - 1, dtype)}, {"gradient_of_slice": np.zeros(size - 1, dtype)}, {"gradient_of_slice": None},
        {"weight_sum": 0.0}, {"weight_sum": math.nan}, {"first_place": -1},
        {name: normalised.arguments[name] for name in ("layers", "arena", "runs", "statistics", "numbers", "positions")}
        | {name: np.zeros(normalised.plan.parameter_size, dtype) for name in ("parameters", "gradient", "gradient_of_slice")},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            run(**changes)
    weight = np.array([0.5, 1.5, 2.0], dtype)
    assert module.sum_of_weights(weight, np.array([2, 0, 2])) == 4.5
    assert module.sum_of_weights(weight, np.array([], dtype=int)) == 0
    for rows in ([3], [-1], [0, 2**62]):
        with pytest.raises(ValueError):
            module.sum_of_weights(weight, np.array(rows))


@each_kernel
def test_boundary_of_padding_and_patches(level, dtype):
    module = _kernels.kernels(dtype, level)
    plan = build_plan((ConvolutionBlock(1, (2, 3), padding=((1, 0), (0, 2))),), (3, 4, 2))  # 4 x 6 padded, 3 x 4 positions
    image, padded, columns = (np.zeros((2, n), dtype) for n in (24, 48, 12 * 12))
    layers, runs = table(plan.records), table(plan.runs)
    two_layers = np.concatenate([layers, layers])
    right = {"layers": layers, "runs": runs, "images": image, "padded": padded, "n_threads": 1}
    for changes in (
        {"layers": two_layers}, {"layers": layers[:, 1:].copy()}, {"runs": runs[1:]}, {"runs": runs[:, 1:].copy()},
        {"images": image[:1]}, {"images": image[:, 1:].copy()}, {"padded": padded[:, 1:].copy()}, {"n_threads": 0},
    ):  # fmt: skip
        for run in (module.pad_images, module.unpad_images):
            run(**right)
            with pytest.raises(ValueError):
                run(**right | changes)
    right = {"layers": layers, "padded": padded, "columns": columns, "n_threads": 1}
    for changes in (
        {"layers": two_layers}, {"layers": layers[:, 1:].copy()}, {"columns": columns[:1]},
        {"columns": columns[:, 1:].copy()}, {"padded": padded[:, 1:].copy()}, {"n_threads": 0},
    ):  # fmt: skip
        for run in (module.patches_of_images, module.images_of_patches):
            run(**right)
            with pytest.raises(ValueError):
                run(**right | changes)


@each_level
def test_boundary_refuses_other_types(level):
    module, call = _kernels.kernels(np.float32, level), Call(np.float32)
    size = call.plan.parameter_size
    for changes in (
        {"parameters": np.zeros(size)}, {"parameters": np.zeros(2 * size, np.float32)[::2]},
        {"numbers": np.zeros(10, np.int32)}, {"order": np.zeros(2, np.int32)}, {"order": np.zeros(2)},
        {"targets": np.zeros((5, 3))}, {"layers": np.zeros(2)},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            call.make("train", module, **changes)
    for changes in ({"X": np.zeros((5, 72), np.int64)}, {"order": None}):
        for name in ("train", "augment_images"):
            with pytest.raises(TypeError):
                call.make(name, module, **changes)
    of_another_module = _kernels.kernels(np.float64, level).rows_of(call.arguments["X"])
    no_numbers = np.zeros(1, np.float32), np.zeros(1, np.float32)
    for session, rows in ((None, None), (module.Session, None), (None, of_another_module)):
        with pytest.raises(TypeError):
            module.predict(session, *no_numbers, rows, None, *no_numbers, None, 1)


def test_kernels_describe_themselves():
    vector_bytes = {"baseline": 16, "neon": 16, "x86-64-v3": 32, "x86-64-v4": 64}
    for dtype, level in KERNELS:
        described = _kernels.kernels(dtype, level).describe()
        assert described["real_bytes"] == np.dtype(dtype).itemsize
        assert described["vector_bytes"] == vector_bytes[level]


def test_samples_of_the_largest_batch_and_fewer():
    plan = build_plan(STACK, STACK_SHAPE)
    random_state = np.random.default_rng(16)
    X = random_state.standard_normal((20, plan.n_inputs)).astype(np.float32)
    trainer = make_trainer(plan, gaussian_parameters(plan, random_state, np.float32), batch_size=16)
    targets = np.eye(20, 3, dtype=np.float32)
    trainer.step(X, np.arange(16), targets, None, 0.1)
    with pytest.raises(ValueError, match="room for 16 samples, not 17"):
        trainer.step(X, np.arange(17), targets, None, 0.1)
    assert math.isfinite(trainer.step(X, np.arange(1), targets, None, 0.1))
