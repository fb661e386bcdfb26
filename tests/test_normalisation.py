"""Batch normalisation: moments of a mini-batch, what its corners give, and the running moments that prediction takes.

Values and gradients of every normalised layer are compared with the naive twin by the table of layers (``test_kernels.py``,
``test_network.py``); bits of threads and rows in ``test_threads.py`` and ``test_determinism.py``.
"""

import numpy as np
import pytest
import reference
from problems import bits, each_dtype, each_kernel, each_level, gaussian_parameters, maps_of, running_statistics

from sklearn_cnn import _kernels
from sklearn_cnn._network.arena import build_arena
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, NormalisationLayer, PoolingLayer, parts_of
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan, initial_statistics
from sklearn_cnn._network.trainer import Trainer

STACK = (
    ConvolutionBlock(6, (3, 3), padding="same", pooling="max", activation="relu", batch_norm=True),
    ConvolutionBlock(5, (2, 3), padding=(1, 1), pooling="average", activation="tanh", batch_norm=True),
    ConvolutionBlock(3, (2, 2), activation="logistic", batch_norm=True),
    DenseLayer(7, "relu", batch_norm=True),
    DenseLayer(3),
)
STACK_SHAPE = (9, 8, 2)


def make_trainer(plan, parameters, **options):
    return Trainer(plan, parameters, **{"loss": "softmax", "solver": "sgd", "batch_size": 200} | options)


def make_data(plan, n_samples, dtype=np.float64, seed=0):
    """X, targets and weights."""
    random_state = np.random.default_rng(seed)
    X = random_state.standard_normal((n_samples, plan.n_inputs))
    targets = np.eye(plan.n_outputs)[random_state.integers(0, plan.n_outputs, n_samples)]
    return X.astype(dtype), targets.astype(dtype), (random_state.random(n_samples) + 0.1).astype(dtype)


def moments_of(plan, statistics):
    """(mean, variance) of every normalised layer, in their order."""
    return list(reference.running_moments(plan, statistics).values())


# ---------------------------------------------------------------------------------------------------------- definition


@pytest.mark.parametrize(
    ("layer", "kinds"),
    [
        (ConvolutionBlock(2, pooling="max", batch_norm=True), [ConvolutionBlock, NormalisationLayer]),
        (ConvolutionBlock(2, batch_norm=True), [ConvolutionBlock, NormalisationLayer]),
        (ConvolutionBlock(2, pooling="average", batch_norm=True), [ConvolutionBlock, NormalisationLayer, PoolingLayer]),
        (ConvolutionBlock(2, pooling="average"), [ConvolutionBlock]),
        (DenseLayer(2, "tanh", batch_norm=True), [DenseLayer, NormalisationLayer]),
        (DenseLayer(2, "tanh"), [DenseLayer]),
        (PoolingLayer("max", (2, 2), (2, 2)), [PoolingLayer]),
    ],
)
def test_order_in_a_layer(layer, kinds):
    parts = parts_of(layer)
    assert [type(part) for part in parts] == kinds
    if len(parts) > 1:
        assert (parts[0].activation, parts[1].activation) == ("identity", layer.activation)
        assert getattr(parts[0], "pooling", None) == (None if PoolingLayer in kinds else getattr(layer, "pooling", None))


def test_epsilon_is_that_of_the_twin():
    assert _kernels.kernels().EPSILON_OF_NORMALISATION == reference.EPSILON


def test_a_network_that_has_seen_nothing_changes_nothing():
    plan = build_plan((DenseLayer(4, batch_norm=True),), (1, 4, 1))
    statistics = initial_statistics(plan, np.float64)
    ((mean, variance),) = moments_of(plan, statistics)
    assert mean.tolist() == [0] * 4
    assert variance.tolist() == [1] * 4
    parameters = reference.pack(plan, [(np.eye(4), np.zeros(0), np.ones(4), np.zeros(4))])
    X = np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(Network(plan, parameters).scores(X), X, rtol=1e-5)
    plain = build_plan((DenseLayer(4),), (1, 4, 1))
    assert plain.statistics == ()
    assert initial_statistics(plain).shape == (0,)


@each_level
@pytest.mark.parametrize("weighted", [False, True])
def test_many_chunks_agree_with_the_twin(level, weighted):
    plan = build_plan(STACK, (12, 12, 2))
    assert int(build_arena(plan, 410, 1, True)["n_chunks"][0]) == 8
    parameters = gaussian_parameters(plan, np.random.default_rng(0))
    X, targets, weight = make_data(plan, 410)
    weight = weight if weighted else None
    trainer = make_trainer(plan, parameters, level=level, batch_size=410)
    loss, gradient = trainer.loss_gradient(X, np.arange(410), targets, weight)
    expected, expected_gradient = reference.network_loss(plan, parameters, X, targets, weight, "softmax", 0.0)
    assert loss == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-8, atol=1e-12)


# ------------------------------------------------------------------------------------------------------ running moments


@each_kernel
@pytest.mark.parametrize("weighted", [False, True])
def test_running_moments_follow_those_of_the_batches(level, dtype, weighted):
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(1))
    X, targets, weight = make_data(plan, 60, dtype)
    weight = weight if weighted else None
    trainer = make_trainer(plan, parameters.astype(dtype), level=level)
    expected = initial_statistics(plan, np.float64)
    for t in range(14):
        rows = np.random.default_rng(t).permutation(60)[: 30 + t]
        trainer.step(X, rows, targets, weight, 0.0)  # a rate of zero: the parameters stay as they are
        row_weights = None if weight is None else weight[rows].astype(np.float64)
        _, trace = reference.network_forward(plan, parameters, X[rows].astype(np.float64), None, row_weights)
        rate = max(1 / _kernels.kernels().STATISTICS_STEPS, 1 / (t + 1))  # of ten batches a plain mean
        for (mean, variance), (_, kept) in zip(moments_of(plan, expected), trace, strict=False):
            for running, batch in zip((mean, variance), reference.moments(kept[0], row_weights), strict=True):
                running += rate * (batch - running)
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(trainer.statistics, expected, rtol=tolerance, atol=tolerance)


def test_the_first_batch_leaves_nothing_of_the_beginning():
    plan = build_plan((DenseLayer(1, batch_norm=True), DenseLayer(2)), (1, 1, 1))
    parameters = gaussian_parameters(plan, np.random.default_rng(0))
    parameters[0] = 1.0
    trainer = make_trainer(plan, parameters)
    X = np.array([[1.0], [2.0], [6.0]])
    trainer.step(X, np.arange(3), np.eye(3, 2), None, 0.1)
    ((mean, variance),) = moments_of(plan, trainer.statistics)
    np.testing.assert_allclose(mean, 3)
    np.testing.assert_allclose(variance, 14 / 3)  # of the batch itself: no division by n - 1, which weights leave undefined


def test_a_loss_and_its_gradient_leave_the_running_moments_alone():
    plan = build_plan(STACK, STACK_SHAPE)
    trainer = make_trainer(plan, gaussian_parameters(plan, np.random.default_rng(2)))
    X, targets, weight = make_data(plan, 20)
    before = bits(trainer.statistics)
    first = trainer.loss_gradient(X, np.arange(20), targets, weight)[0]
    assert bits(trainer.statistics) == before
    trainer.step(X, np.arange(20), targets, weight, 0.0)
    assert bits(trainer.statistics) != before
    assert trainer.loss_gradient(X, np.arange(20), targets, weight)[0] == first  # nor does it depend on them


@each_dtype
def test_training_goes_on_from_what_a_trainer_exposes(dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    X, targets, weight = make_data(plan, 50, dtype)
    batches = [np.random.default_rng(t).permutation(50)[:16] for t in range(15)]
    whole = make_trainer(plan, gaussian_parameters(plan, np.random.default_rng(3), dtype), solver="adam")
    first = make_trainer(plan, whole.parameters, solver="adam")
    for rows in batches:
        whole.step(X, rows, targets, weight, 0.01)
    for rows in batches[:7]:
        first.step(X, rows, targets, weight, 0.01)
    second = make_trainer(plan, first.parameters, statistics=first.statistics, solver="adam")
    second.first_moment[:], second.second_moment[:], second.t = first.first_moment, first.second_moment, first.t
    second.n_batches_tracked = first.n_batches_tracked
    for rows in batches[7:]:
        second.step(X, rows, targets, weight, 0.01)
    assert bits(second.parameters) == bits(whole.parameters)
    assert bits(second.statistics) == bits(whole.statistics)
    assert bits(first.statistics) != bits(second.statistics)  # a copy


def test_prediction_takes_the_running_moments():
    plan = build_plan((DenseLayer(2, batch_norm=True),), (1, 2, 1))
    parameters = reference.pack(plan, [(np.eye(2), np.zeros(0), [2.0, -1.0], [0.5, 1.0])])
    statistics = initial_statistics(plan, np.float64)
    ((mean, variance),) = moments_of(plan, statistics)
    mean[:], variance[:] = (1, -2), (4 - 1e-5, 1 - 1e-5)
    scores = Network(plan, parameters, statistics).scores(np.array([[3.0, 0.0], [1.0, -2.0]]))
    np.testing.assert_allclose(scores, [[2.5, -1.0], [0.5, 1.0]], rtol=1e-12)


# -------------------------------------------------------------------------------------------------------------- corners


def constant_network(n_filters=3):
    """One filter per input channel, normalised, on maps of one pixel."""
    layers = (ConvolutionBlock(n_filters, (1, 1), batch_norm=True), DenseLayer(2))
    return build_plan(layers, (1, 1, n_filters), True)


@each_kernel
def test_a_batch_of_one_row_has_no_variance(level, dtype):
    """Every value is its own mean: what comes out is beta, and nothing in front of it learns."""
    plan = constant_network()
    parameters = gaussian_parameters(plan, np.random.default_rng(4), dtype)
    X, targets, _ = make_data(plan, 1, dtype)
    trainer = make_trainer(plan, parameters, level=level)
    _, gradient = trainer.loss_gradient(X, np.arange(1), targets, None)
    (d_weights, _, d_gamma, d_beta), (d_dense, *_) = reference.unpack_all(plan, gradient)
    (_, _, _, beta), (dense, bias, *_) = reference.unpack_all(plan, parameters)
    d_scores = reference.softmax((beta @ dense + bias)[None]) - targets
    assert not d_weights.any()
    assert not d_gamma.any()
    np.testing.assert_allclose(d_beta, (dense @ d_scores.T)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(d_dense, np.outer(beta, d_scores), rtol=1e-5)
    trainer.step(X, np.arange(1), targets, None, 0.0)
    ((mean, variance),) = moments_of(plan, trainer.statistics)
    np.testing.assert_allclose(mean, (X @ reference.unpack(plan, parameters)[0][0][0, 0])[0], rtol=1e-5, atol=1e-6)
    assert variance.tolist() == [0, 0, 0]


@each_kernel
def test_a_constant_channel_becomes_beta_exactly(level, dtype):
    """Also where the constant is large and no binary fraction: not a digit of it is left."""
    plan = constant_network()
    parameters = gaussian_parameters(plan, np.random.default_rng(5), dtype)
    (weights, _, _, beta), _ = reference.unpack_all(plan, parameters)
    weights[...] = np.eye(3)
    X, targets, weight = make_data(plan, 150, dtype)
    X[:, 1], X[:, 2] = 1234.1, 0
    trainer = make_trainer(plan, parameters, level=level)
    trainer.step(X, np.arange(150), targets, weight, 0.0)
    ((mean, variance),) = moments_of(plan, trainer.statistics)
    assert mean[1:].tolist() == [dtype(1234.1), 0]
    assert variance[1:].tolist() == [0, 0]
    assert variance[0] > 0.5
    # What was learnt of a constant gives beta in prediction too.
    first = build_plan(plan.layers[:1], plan.input_shape)
    scores = Network(first, parameters[: first.parameter_size], trainer.statistics, level=level).scores(X)
    assert bits(scores[:, 1:]) == bits(np.tile(beta[1:], (150, 1)))
    # And nothing is learnt from it: distances from the mean are zero.
    d_gamma = reference.unpack_all(plan, trainer.loss_gradient(X, np.arange(150), targets, weight)[1])[0][2]
    assert d_gamma[1:].tolist() == [0, 0]


def assert_variance_is_exact(change, seen, level, dtype):
    """Train on 150 rows that `change(X, weight)` has changed: the variance is that of the rows `seen`, to its last digits."""
    plan = constant_network()
    parameters = gaussian_parameters(plan, np.random.default_rng(6), dtype)
    reference.unpack_all(plan, parameters)[0][0][...] = np.eye(3)
    X, targets, weight = make_data(plan, 150, dtype)
    change(X, weight)
    trainer = make_trainer(plan, parameters, level=level)
    trainer.step(X, np.arange(150), targets, weight, 0.0)
    ((_, variance),) = moments_of(plan, trainer.statistics)
    exact = reference.moments(X[seen].astype(np.longdouble), weight[seen].astype(np.longdouble))[1]
    np.testing.assert_allclose(variance, exact.astype(np.float64), rtol=2e-6 if dtype == np.float32 else 1e-8)


@each_kernel
def test_a_mean_far_from_zero_costs_no_digit_of_the_variance(level, dtype):
    def move(X, weight):
        X += dtype(3000) if dtype == np.float32 else 1e9

    assert_variance_is_exact(move, slice(None), level, dtype)


@each_kernel
def test_weights_of_zero_change_nothing(level, dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    trainer = make_trainer(plan, gaussian_parameters(plan, np.random.default_rng(7), dtype), solver="adam", level=level)
    X, targets, weight = make_data(plan, 10, dtype)
    before = bits(trainer.parameters), bits(trainer.statistics)
    assert trainer.step(X, np.arange(10), targets, 0 * weight, 0.1) == 0
    assert trainer.step(X, np.arange(0), targets, weight, 0.1) == 0
    assert (bits(trainer.parameters), bits(trainer.statistics)) == before
    assert trainer.t == 0


@each_kernel
def test_a_row_of_weight_zero_has_no_influence(level, dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(8), dtype)
    X, targets, weight = make_data(plan, 12, dtype)
    weight[[0, 7]] = 0  # one of each chunk: what is left is cut into chunks in the same way
    assert build_arena(plan, 200, 1, True)["n_chunks"] == 2
    results = []
    for rows in (np.arange(12), np.flatnonzero(weight)):
        trainer = make_trainer(plan, parameters, level=level)
        _, gradient = trainer.loss_gradient(X, rows, targets, weight)
        gradient = gradient.copy()
        loss = trainer.step(X, rows, targets, weight, 0.1)
        results.append((gradient, loss, trainer.statistics))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4, atol=1e-6)
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-6)
    assert bits(results[0][2]) == bits(results[1][2])


@each_kernel
def test_an_integer_weight_is_as_many_rows(level, dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(9), dtype)
    X, targets, _ = make_data(plan, 8, dtype)
    weight = np.array([1, 2, 1, 3, 1, 1, 2, 1], dtype=dtype)
    weighted, repeated = (make_trainer(plan, parameters, level=level) for _ in range(2))
    loss = weighted.step(X, np.arange(8), targets, weight, 0.1)
    assert repeated.step(X, np.repeat(np.arange(8), weight.astype(int)), targets, None, 0.1) == pytest.approx(loss, rel=1e-5)
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(weighted.statistics, repeated.statistics, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=tolerance, atol=tolerance)


@each_kernel
def test_gamma_and_beta_are_learnt(level, dtype):
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(11), dtype)
    X, targets, weight = make_data(plan, 12, dtype)
    trainer = make_trainer(plan, parameters, solver="sgd", momentum=0.0, nesterov=False, level=level)
    _, gradient = trainer.loss_gradient(X, np.arange(12), targets, weight)
    expected = parameters - dtype(0.125) * gradient
    trainer.step(X, np.arange(12), targets, weight, 0.125)
    np.testing.assert_allclose(trainer.parameters, expected, rtol=1e-6)
    for before, after in zip(*(reference.unpack_all(plan, values) for values in (parameters, trainer.parameters)), strict=True):
        for value, learnt in zip(before[2:], after[2:], strict=True):
            assert (value is None and learnt is None) or np.any(value != learnt)


@each_kernel
def test_a_row_of_weight_zero_far_away_costs_no_digit_of_the_variance(level, dtype):
    def move_every_second(X, weight):
        X[::2], weight[::2] = 3e6 if dtype == np.float32 else 1e9, 0

    assert_variance_is_exact(move_every_second, slice(1, None, 2), level, dtype)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_gamma_and_beta_take_no_penalty(solver):
    """Neither in the gradient nor, with "adamw", in the update."""
    plan = build_plan(STACK, STACK_SHAPE)
    parameters = gaussian_parameters(plan, np.random.default_rng(10))
    X, targets, weight = make_data(plan, 10)
    updated = []
    for alpha in (0.0, 5.0):
        trainer = make_trainer(plan, parameters, alpha=alpha, solver=solver)
        trainer.step(X, np.arange(10), targets, weight, 0.1)
        updated.append(reference.unpack_all(plan, trainer.parameters))
    for plain, penalised in zip(*updated, strict=True):
        assert not np.allclose(plain[0], penalised[0])
        for without, with_penalty in zip(plain[1:], penalised[1:], strict=True):
            assert (without is None and with_penalty is None) or bits(without) == bits(with_penalty)


# ------------------------------------------------------------------------------------------------------------------ maps


@each_level
def test_maps_of_normalised_blocks(level):
    """Behind maximum pooling the activation comes last: the map in front of it is the bare convolution."""
    plan = build_plan(STACK, STACK_SHAPE)
    random_state = np.random.default_rng(11)
    parameters, statistics = gaussian_parameters(plan, random_state), running_statistics(plan, random_state)
    X = random_state.standard_normal((3, plan.n_inputs))
    network = Network(plan, parameters, statistics, level=level)
    _, trace = reference.network_forward(plan, parameters, X, statistics)
    for number, (layer, (image, kept)) in enumerate(zip(STACK[:3], trace, strict=False)):
        values, expected, *_ = kept
        if layer.pooling == "max":
            weights, _ = reference.unpack(plan, parameters)[number]
            padding = reference.sides(layer.padding, image.shape[1:3], layer.kernel_size, layer.stride)
            expected = reference.convolution(image, weights, np.zeros(layer.n_filters), layer.stride, padding)
            np.testing.assert_allclose(values, reference.max_pool(expected, layer.pool_size, layer.pool_stride))
        np.testing.assert_allclose(maps_of(network, X, number, "conv"), expected, rtol=1e-9, atol=1e-12)
        outputs = trace[number + 1][0].reshape(3, *plan.output_shapes[number])
        np.testing.assert_allclose(maps_of(network, X, number, "pool"), outputs, rtol=1e-9, atol=1e-12)
        assert maps_of(network, X, number, "conv").shape[1:] == plan.map_shapes[number]
