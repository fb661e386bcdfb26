"""Dropout: its masks, its gradients, and what they depend on."""

import numpy as np
import pytest
import reference
from images import bars, fitted_arrays, small_network
from problems import bits, each_kernel, each_level, gaussian_parameters, on_threads

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, DropoutLayer, with_dropout
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

SHAPE = (6, 5, 2)
LAYERS = (
    ConvolutionBlock(4, (3, 3), padding="same", pooling="max", activation="relu"),
    ConvolutionBlock(3, (2, 2), activation="tanh"),
    DenseLayer(7, "logistic"),
    DenseLayer(3),
)
RATES = {"dense": 0.5, "all": [0.25, 0.5, 0.1, 0.75], "first map": [0.5, 0, 0, 0], "output": [0, 0, 0, 0.5]}


def problem(layers, shape=SHAPE, n_samples=9, dtype=np.float64, **options):
    random_state = np.random.default_rng(0)
    plan = build_plan(layers, shape)
    parameters = gaussian_parameters(plan, random_state, dtype)
    X = random_state.standard_normal((n_samples, plan.n_inputs)).astype(dtype)
    targets = np.eye(plan.n_outputs, dtype=dtype)[random_state.integers(0, plan.n_outputs, n_samples)]
    options = {"loss": "softmax", "solver": "adam", "batch_size": n_samples, "seed": 2**40 + 3, **options}
    return Trainer(plan, parameters, **options), X, targets


def test_layers_with_dropout():
    assert with_dropout(LAYERS, 0.0) == LAYERS
    assert with_dropout(LAYERS, 0.5) == (*LAYERS[:2], DropoutLayer(0.5), LAYERS[2], DropoutLayer(0.5), LAYERS[3])
    assert with_dropout(LAYERS, [0.1, 0, 0, 0.2]) == (
        LAYERS[0], DropoutLayer(0.1, whole_maps=True), LAYERS[1], LAYERS[2], DropoutLayer(0.2), LAYERS[3],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"dropout=\[0.5\] has 1 entries.*2 blocks and 2 dense layers"):
        with_dropout(LAYERS, [0.5])


@pytest.mark.parametrize("rates", RATES)
def test_no_parameter_changes_its_place(rates):
    bare, plan = build_plan(LAYERS, SHAPE), build_plan(with_dropout(LAYERS, RATES[rates]), SHAPE)
    assert [(block.kind, block.offset, block.shape) for block in bare.blocks] == [
        (block.kind, block.offset, block.shape) for block in plan.blocks
    ]
    assert (bare.parameter_size, bare.n_outputs) == (plan.parameter_size, plan.n_outputs)


@each_kernel
@pytest.mark.parametrize("rates", RATES)
def test_loss_and_gradient_are_those_of_the_twin(level, dtype, rates):
    trainer, X, targets = problem(with_dropout(LAYERS, RATES[rates]), dtype=dtype, level=level, alpha=0.1)
    rows = np.array([3, 1, 8, 0, 5])
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    for step in (0, 1):
        trainer.t = step
        loss, gradient = trainer.loss_gradient(X, rows, targets, None)
        expected, expected_gradient = reference.network_loss(
            trainer.plan, trainer.parameters.astype(np.float64), X[rows].astype(np.float64), targets[rows], None, "softmax", 0.1,
            (trainer.seed, step),
        )  # fmt: skip
        assert loss == pytest.approx(expected, rel=tolerance)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=20 * tolerance, atol=tolerance)


@pytest.mark.parametrize("rates", RATES)
def test_gradients_are_those_of_the_loss(rates):
    trainer, X, targets = problem(with_dropout(LAYERS, RATES[rates]))
    _, gradient = trainer.loss_gradient(X, np.arange(9), targets, None)
    gradient, epsilon = gradient.copy(), 1e-6
    for place in np.random.default_rng(1).permutation(trainer.plan.parameter_size)[:60]:
        start = trainer.parameters[place]
        losses = []
        for change in (epsilon, -epsilon):
            trainer.parameters[place] = start + change
            losses.append(trainer.loss_gradient(X, np.arange(9), targets, None)[0])
        trainer.parameters[place] = start
        assert gradient[place] == pytest.approx((losses[0] - losses[1]) / (2 * epsilon), rel=1e-3, abs=1e-5)


@each_level
def test_prediction_drops_nothing(level):
    bare, plan = build_plan(LAYERS, SHAPE), build_plan(with_dropout(LAYERS, 0.9), SHAPE)
    parameters = gaussian_parameters(bare, np.random.default_rng(0), np.float32)
    X = np.random.default_rng(1).standard_normal((5, bare.n_inputs)).astype(np.float32)
    assert bits(Network(bare, parameters, level=level).scores(X)) == bits(Network(plan, parameters, level=level).scores(X))


def masks(n_units=400, n_samples=300, rate=0.3, whole_maps=False, **options):
    """What a first layer of dropout leaves of ones: weights that copy a unit show it in the gradient of the loss."""
    shape = (2, 3, n_units) if whole_maps else (1, n_units, 1)
    layers = (DropoutLayer(rate, whole_maps), DenseLayer(1))
    plan = build_plan(layers, shape)
    trainer = Trainer(
        plan, np.zeros(plan.parameter_size), loss="squared", solver="sgd", batch_size=n_samples, **{"seed": 5, **options}
    )
    return plan, trainer


def mask_of(trainer, place, step=0, n_samples=300):
    """The factors of one place: the gradient of the weights where only that sample weighs and its residual is one."""
    trainer.t = step
    weight = np.zeros(n_samples)
    weight[place] = 1.0
    X, targets = np.ones((n_samples, trainer.plan.n_inputs)), -np.ones((n_samples, 1))
    _, gradient = trainer.loss_gradient(X, np.arange(n_samples), targets, weight)
    return gradient[: trainer.plan.n_inputs].copy()


def test_values_are_dropped_or_scaled_at_the_rate():
    _, trainer = masks()
    values = np.array([mask_of(trainer, place) for place in range(0, 300, 10)])
    np.testing.assert_allclose(np.unique(values.round(6)), [0, 1 / 0.7], rtol=1e-5)
    n = values.size
    assert (values == 0).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / n))
    assert values.mean() == pytest.approx(1.0, abs=0.03)


def test_masks_differ_between_steps_places_seeds_and_units():
    _, trainer = masks()
    _, other = masks(seed=6)
    drawn = [mask_of(trainer, 0), mask_of(trainer, 1), mask_of(trainer, 0, step=1), mask_of(other, 0)]
    for first in range(4):
        for second in range(first):
            kept = np.corrcoef(drawn[first], drawn[second])[0, 1]
            assert abs(kept) < 0.2  # 400 units: four standard deviations
    assert bits(mask_of(trainer, 7, step=3)) == bits(mask_of(trainer, 7, step=3))


def test_whole_maps_are_dropped_together():
    _, trainer = masks(n_units=40, whole_maps=True, n_samples=300)
    values = np.array([mask_of(trainer, place) for place in range(100)]).reshape(100, 6, 40)
    assert (values == values[:, :1]).all()
    assert (values[:, 0] == 0).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 4000))


@pytest.mark.parametrize("n_maps", [1, 40, 256, 257, 600])
def test_maps_have_the_masks_of_the_twin_however_many_there_are(n_maps):
    _, trainer = masks(n_units=n_maps, whole_maps=True, n_samples=30)
    expected = reference.dropout_factors(0.3, True, (2, 3, n_maps), 7, trainer.seed, 2, 0)
    np.testing.assert_allclose(mask_of(trainer, 7, step=2, n_samples=30).reshape(2, 3, n_maps), expected, rtol=1e-12)


@each_level
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_does_not_depend_on_threads(level, solver):
    shape = (16, 16, 3)
    first = ConvolutionBlock(24, (3, 3), padding="same", pooling="max", activation="relu")
    layers = with_dropout((first, *LAYERS[1:]), RATES["all"])
    results = []
    for n_threads in (1, 2, 3, 7):
        trainer, X, targets = problem(
            layers, shape, 120, np.float32, solver=solver, n_threads=n_threads, level=level, alpha=0.01
        )
        losses = [
            on_threads(n_threads, lambda: trainer.step(X, np.arange(120 - step), targets, None, 0.01), level=level)  # noqa: B023
            for step in range(3)
        ]
        results.append((losses, bits(trainer.parameters)))
    assert all(result == results[0] for result in results[1:])


def test_training_goes_on_from_seed_and_step():
    layers = with_dropout(LAYERS, RATES["all"])
    whole, X, targets = problem(layers, dtype=np.float32)
    for _ in range(4):
        whole.step(X, np.arange(9), targets, None, 0.01)
    first, *_ = problem(layers, dtype=np.float32)
    for _ in range(2):
        first.step(X, np.arange(9), targets, None, 0.01)
    second, *_ = problem(layers, dtype=np.float32)
    for name in ("parameters", "first_moment", "second_moment"):
        getattr(second, name)[:] = getattr(first, name)
    second.t = first.t
    for _ in range(2):
        second.step(X, np.arange(9), targets, None, 0.01)
    assert bits(second.parameters) == bits(whole.parameters)


# ------------------------------------------------------------------------------------------------------------ estimator


def test_prediction_and_validation_drop_nothing():
    X, y = bars()
    network = small_network(dropout=[0.2, 0.5], max_iter=4).fit(X, y, X_val=X, y_val=y)
    before = network.predict_proba(X)
    assert bits(network.set_params(dropout=0.9).predict_proba(X)) == bits(before)
    loss = -np.log(before[np.arange(len(y)), y]).mean()
    assert network.validation_loss_curve_[network.best_iter_ - 1] == pytest.approx(loss, rel=1e-4)


def test_dropout_is_no_part_of_the_fitted_network():
    X, y = bars()
    bare, network = (small_network(dropout=rate, max_iter=2).fit(X, y) for rate in (0.0, 0.5))
    assert network._fitted["layers"] == bare._fitted["layers"]
    assert network.layer_table_ == bare.layer_table_
    assert bits(network.coefs_[0]) != bits(bare.coefs_[0])
    network.set_params(warm_start=True, dropout=[0.1, 0]).fit(X, y)  # may change where a fit goes on


def test_the_seed_decides_what_is_dropped():
    X, y = bars()
    fits = [small_network(dropout=0.5, max_iter=2, random_state=seed).fit(X, y).coefs_[0] for seed in (0, 0, 1)]
    assert bits(fits[0]) == bits(fits[1]) != bits(fits[2])


@pytest.mark.parametrize("dropout", [[0.5], [0.1, 0.1, 0.1], ()])
def test_a_list_has_one_rate_for_each_block_and_dense_layer(dropout):
    X, y = bars()
    network = small_network().fit(X, y)
    before = vars(network)["_fitted"]
    with pytest.raises(ValueError, match=r"dropout=.*1 block and 1 dense layer, the output included"):
        network.set_params(dropout=dropout).fit(X, y)
    assert vars(network)["_fitted"] is before


def test_auto_is_what_it_says_in_a_fit():
    X, y = bars()

    def fitted(**parameters):
        return fitted_arrays(ConvNetClassifier(max_iter=2, random_state=0, **parameters).fit(X, y))

    assert fitted() == fitted(dropout=0.4) != fitted(dropout=0.0)
    assert fitted(n_filters=4) == fitted(n_filters=4, dropout=0.0)
    assert fitted(solver="lbfgs") == fitted(solver="lbfgs", dropout=0.0)
