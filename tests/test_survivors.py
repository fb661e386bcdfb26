"""Mistakes that were once made on purpose, and that no test noticed then: one test for each."""

import threading

import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from problems import each_level, gaussian_parameters, make_problem, sparse_integers
from reference import network_loss
from scipy.optimize import minimize

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.labels import predicted_codes
from sklearn_cnn._kernels import default_level
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer
from sklearn_cnn._training import lbfgs
from sklearn_cnn._training.epochs import Epoch, Evaluation, check_parameters_finite
from sklearn_cnn._training.history import History
from sklearn_cnn._training.listeners import BestEpoch, Patience
from sklearn_cnn._training.schedules import SHARES_OF_CYCLE, LearningRate


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_weights_of_classes_and_of_samples_are_multiplied(how):
    """class_weight was ignored where sample_weight was given, too."""
    X, y = bars()
    of_classes, of_samples = {0: 1.0, 1: 4.0, 2: 0.5}, np.random.default_rng(0).integers(1, 5, len(y)) / 2
    both, by_sample = small_network(class_weight=of_classes), small_network()
    options = {"classes": [0, 1, 2]} if how == "partial_fit" else {}
    getattr(both, how)(X, y, sample_weight=of_samples, **options)
    getattr(by_sample, how)(X, y, sample_weight=of_samples * np.array([1.0, 4.0, 0.5])[y], **options)
    assert fitted_arrays(both) == fitted_arrays(by_sample)


def test_early_stopping_brings_everything_of_the_best_epoch_back():
    """The copy of the best epoch shared its second moment with the training that went on."""
    X, y = bars()
    settings = {"batch_norm": True, "batch_size": 16, "learning_rate_init": 0.3}
    stopped = small_network(**settings, max_iter=9, early_stopping=True, n_iter_no_change=100)
    stopped.fit(X, y, X_val=X[:9], y_val=y[:9])
    assert 0 < stopped.best_iter_ < 9
    best = small_network(**settings, max_iter=stopped.best_iter_, early_stopping=False).fit(X, y)
    for name in ("parameters", "statistics", "first_moment", "second_moment"):
        assert fitted_arrays(stopped)[name] == fitted_arrays(best)[name], name
    assert vars(stopped)["_fitted"]["t"] == vars(best)["_fitted"]["t"]


def test_the_loss_of_an_epoch_counts_mini_batches_by_their_weights():
    """It was divided by the number of rows."""
    X, y = bars(24)
    weight = np.where(np.arange(24) < 8, 6.0, 0.25)
    settings = {"batch_size": 8, "shuffle": False, "solver": "sgd", "learning_rate_init": 1e-30, "alpha": 0.0, "max_iter": 1}
    settings["scale_input"] = False
    loss = small_network(**settings).fit(X, y, sample_weight=weight).loss_
    parts = [small_network(**settings).fit(X[i : i + 8], y[i : i + 8], sample_weight=weight[i : i + 8]).loss_ for i in (0, 8, 16)]
    assert np.isclose(loss, np.average(parts, weights=[48, 2, 2]), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_integers_keep_their_low_digits_until_the_mean_is_subtracted(dtype):
    """int32 was rounded to float32, which has 24 bits, before: images on a high base were all the same."""
    X, y = bars()
    small = np.clip(np.round(X * 3), -100, 100).astype(np.int64)
    high = (small + 2**26).astype(dtype)
    assert len(np.unique(high.astype(np.float32))) < len(np.unique(high)) / 2
    settings = {"max_iter": 3, "random_state": 0}
    exact = ConvNetClassifier(4, **settings).fit(high.astype(np.float64), y)
    integers = ConvNetClassifier(4, **settings).fit(high, y)
    assert fitted_arrays(integers)["parameters"] == fitted_arrays(exact)["parameters"]
    assert integers.predict_proba(high).tobytes() == exact.predict_proba(high.astype(np.float64)).tobytes()


def idle_workspaces(network, n_samples):
    """The list that workspaces for so many samples wait in."""
    capacity = network_module.prediction_capacity(network.plan, n_samples, 1)
    return network_module._idle_workspaces(network.plan, capacity, 1, network.dtype, default_level())


def test_no_more_than_a_few_workspaces_wait_for_predictions():
    """There was no limit: as many were kept as threads had ever predicted at once."""
    plan = build_plan((DenseLayer(2),), (4, 4, 1))
    network = Network(plan, np.zeros(plan.parameter_size, dtype=np.float32))
    n_threads = network_module.LARGEST_IDLE_COUNT + 6
    together = threading.Barrier(n_threads)
    borrow = network_module._borrow_workspace

    def borrow_together(*arguments):
        borrowed = borrow(*arguments)
        together.wait(60)  # nobody gives one back before all have one
        return borrowed

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(network_module, "_borrow_workspace", borrow_together)
        predictions = [threading.Thread(target=network.scores, args=(np.zeros((2, 16), np.float32),)) for _ in range(n_threads)]
        for prediction in predictions:
            prediction.start()
        for prediction in predictions:
            prediction.join()
    assert 1 <= len(idle_workspaces(network, 2)) <= network_module.LARGEST_IDLE_COUNT


def test_a_large_workspace_is_given_back_at_once():
    """There was no limit here, either: the memory of the largest prediction stayed."""
    plan = build_plan((DenseLayer(300),), (40, 40, 1))
    network = Network(plan, np.zeros(plan.parameter_size, dtype=np.float32))
    network.scores(np.zeros((1000, 1600), dtype=np.float32))
    capacity = network_module.prediction_capacity(plan, 1000, 1)
    workspace = network_module.Workspace(plan, capacity, 1, False, np.dtype(np.float32), None)
    assert workspace.numbers.nbytes > network_module.LARGEST_IDLE_BYTES
    assert idle_workspaces(network, 1000) == []


def test_a_regressor_counts_weights_in_its_scaling_and_its_loss():
    X, y = bars()
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    settings = {"max_iter": 20, "random_state": 0, "batch_norm": False}
    twice = ConvNetRegressor(4, **settings).fit(X, y, sample_weight=2.0 * weight)
    once = ConvNetRegressor(4, **settings, alpha=5e-5).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(twice.loss_curve_, once.loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_epoch_takes_all_rows_in_a_new_order_or_in_theirs(monkeypatch, shuffle):
    X, y = bars(40)
    step, taken = Trainer.step, []

    def watched(self, X, rows, *arguments, **options):
        taken.extend(rows.tolist())
        return step(self, X, rows, *arguments, **options)

    monkeypatch.setattr(Trainer, "step", watched)
    small_network(shuffle=shuffle, batch_size=7, max_iter=2).fit(X, y)
    first, second, in_order = taken[:40], taken[40:], list(range(40))
    assert sorted(first) == sorted(second) == in_order
    assert (first == second) is (first == in_order) is not shuffle


def test_one_parameter_that_is_no_number_is_a_divergence():
    """Others that were numbers hid it."""
    plan = build_plan((DenseLayer(2),), (4, 4, 1))
    trainer = Trainer(plan, np.zeros(plan.parameter_size, np.float32), loss="softmax", solver="sgd", batch_size=1)
    check_parameters_finite(trainer, 0.5, 0.1, 1)
    trainer.parameters[3] = np.inf
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        check_parameters_finite(trainer, 0.5, 0.1, 1)


def epoch(number, loss, evaluation=None):
    evaluation = None if evaluation is None else Evaluation(*evaluation, evaluation)
    return Epoch(number, 9, number, loss, 10, evaluation, 0.1, 0.0, None)


def test_a_gain_of_exactly_tol_is_one():
    patience = Patience(LearningRate("constant", 0.1, 0.5), "loss", 0.5, 1)
    assert [patience.see(epoch(number, loss)) for number, loss in enumerate((3.0, 2.5, 2.0), 1)] == [None] * 3


def test_the_best_of_equal_epochs_is_the_first():
    history, best = History(), BestEpoch(brings_back=False)
    for number in (1, 2, 3):
        history.see(epoch(number, 0.5))
        best.see(epoch(number, 0.5, (0.75, 0.25)))
    assert (history.best_loss_epoch, best.epoch) == (1, 1)


@pytest.mark.parametrize("schedule", SHARES_OF_CYCLE)
def test_the_rate_of_a_step_is_that_of_its_middle(schedule):
    """So a cycle neither begins at its very beginning nor ends at its very end."""
    share = SHARES_OF_CYCLE[schedule]
    assert [*LearningRate(schedule, 1.0, 0.5, 2).of_steps(2)] == [share(0.125), share(0.375)]


def test_lbfgs_goes_back_to_its_best_point_after_a_search_that_has_failed(monkeypatch):
    X, y = bars()
    expected = small_network(solver="lbfgs", max_iter=4).fit(X, y)

    def with_an_attempt_more(function, start, *, options, **others):
        result = minimize(function, start, options={**options, "maxiter": 4}, **others)
        function(result.x + 1.0)
        return result

    monkeypatch.setattr(lbfgs, "minimize", with_an_attempt_more)
    network = small_network(solver="lbfgs", max_iter=5).fit(X, y)
    assert fitted_arrays(network)["parameters"] == fitted_arrays(expected)["parameters"]


def test_a_workspace_is_lent_to_one_prediction_at_a_time():
    plan = build_plan((DenseLayer(5),), (4, 4, 1))
    Network(plan, np.zeros(plan.parameter_size, dtype=np.float32)).scores(np.zeros((2, 16), np.float32))
    arguments = plan, network_module.prediction_capacity(plan, 2, 1), 1, np.dtype(np.float32), None
    (first, idle), (second, _) = (network_module._borrow_workspace(*arguments) for _ in range(2))
    assert first is not second
    assert idle == []


def test_a_mini_batch_without_weight_is_no_step():
    plan = build_plan((DenseLayer(2),), (4, 4, 1))
    trainer = Trainer(plan, np.ones(plan.parameter_size, np.float32), loss="softmax", solver="adam", batch_size=2)
    X, targets = np.ones((2, 16), np.float32), np.eye(2, dtype=np.float32)
    assert trainer.step(X, np.arange(2), targets, np.zeros(2, np.float32), 0.1) == 0.0
    assert trainer.t == 0
    assert (trainer.parameters == 1).all()


@pytest.mark.parametrize(("n_columns", "n_classes"), [(1, 2), (3, 3)])
def test_of_classes_that_are_equally_likely_the_first_is_predicted(n_columns, n_classes):
    assert predicted_codes(np.zeros((3, n_columns)), n_classes).tolist() == [0, 0, 0]


@each_level
@pytest.mark.parametrize("layer", [DenseLayer(1100), ConvolutionBlock(2, (2, 2))], ids=["units", "channels"])
def test_a_product_of_more_columns_than_there_are_zeros_has_all_of_its_panels(level, layer):
    """Products that start from zero take 1024 columns at a time; the second panel was the first once more."""
    random_state = np.random.default_rng(0)
    shape = (1, 3, 1) if isinstance(layer, DenseLayer) else (2, 3, 1100)
    problem = make_problem([layer], shape, 2, lambda size: sparse_integers(random_state, size))
    found = problem.solve(np.float32, level)
    for result, expected in zip(found, (problem.outputs, problem.d_X, problem.d_parameters), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_the_gradient_of_a_softmax_counts_all_that_its_targets_sum_to():
    """Targets of classes sum to one; the kernel does not ask for that."""
    random_state = np.random.default_rng(0)
    plan = build_plan((DenseLayer(3),), (1, 4, 1))
    parameters = gaussian_parameters(plan, random_state)
    X, targets, weight = random_state.standard_normal((5, 4)), random_state.random((5, 3)), random_state.random(5)
    trainer = Trainer(plan, parameters, loss="softmax", solver="lbfgs", batch_size=5)
    loss, gradient = trainer.loss_gradient(X, np.arange(5), targets, weight)
    expected, d_expected = network_loss(plan, parameters, X, targets, weight, "softmax", 0.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, d_expected, rtol=1e-11, atol=1e-13)
