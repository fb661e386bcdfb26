"""Mistakes that were once made on purpose, and that no test noticed then: one test for each."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from problems import each_level, gaussian_parameters, make_problem, sparse_integers
from reference import network_loss
from scipy.optimize import minimize
from sklearn.datasets import make_multilabel_classification

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.images import explain_shape
from sklearn_cnn._estimator.labels import predicted_codes
from sklearn_cnn._estimator.saliency import score_gradient
from sklearn_cnn._kernels import default_level
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.augmentation import augmentation_settings, augmented_images
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.summary import block_receptive_field
from sklearn_cnn._network.trainer import Trainer
from sklearn_cnn._training import epochs, lbfgs
from sklearn_cnn._training.augmentation import FunctionAugmentation
from sklearn_cnn._training.epochs import Epoch, Evaluation, Examples, check_state_finite, largest_loss, train
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


def test_large_workspaces_are_kept_for_the_last_network_alone():
    """There was no limit here, either: the memory of every prediction stayed."""
    networks = [network_of_units(n_units) for n_units in (300, 301)]
    X = np.zeros((1000, 1600), np.float32)
    for network, other in (networks, networks[::-1]):
        network.scores(X)
        (workspace,) = idle_workspaces(network, 1000)
        assert network_module.LARGEST_IDLE_BYTES < workspace.numbers.nbytes <= network_module.LARGEST_LAST_BYTES
        network.scores(X)
        assert idle_workspaces(network, 1000) == [workspace]
        assert idle_workspaces(other, 1000) == []
    networks[0].scores(X[:1])
    assert len(idle_workspaces(networks[0], 1)) == len(idle_workspaces(networks[1], 1000)) == 1  # small ones stay beside it


def test_the_largest_workspaces_are_given_back_at_once(monkeypatch):
    network = network_of_units(302)
    network.scores(np.zeros((1000, 1600), np.float32))
    (workspace,) = idle_workspaces(network, 1000)
    lists = workspace.numbers.nbytes * 2 + 10, workspace.numbers.nbytes - 1
    for largest, n_kept in zip(lists, (2, 0), strict=True):
        monkeypatch.setattr(network_module, "LARGEST_LAST_BYTES", largest)
        idle: list = []
        for _ in range(3):
            network_module._give_back(workspace, idle)
        assert len(idle) == n_kept


def network_of_units(n_units):
    plan = build_plan((DenseLayer(n_units),), (40, 40, 1))
    return Network(plan, np.zeros(plan.parameter_size, dtype=np.float32))


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
    steps, taken = Trainer.steps, []

    def watched(self, X, rows, *arguments, **options):
        taken.extend(rows.tolist())
        return steps(self, X, rows, *arguments, **options)

    monkeypatch.setattr(Trainer, "steps", watched)
    small_network(shuffle=shuffle, batch_size=7, max_iter=2).fit(X, y)
    first, second, in_order = taken[:40], taken[40:], list(range(40))
    assert sorted(first) == sorted(second) == in_order
    assert (first == second) is (first == in_order) is not shuffle


def test_one_parameter_that_is_no_number_is_a_divergence():
    """Others that were numbers hid it."""
    plan = build_plan((DenseLayer(2),), (4, 4, 1))
    trainer = Trainer(plan, np.zeros(plan.parameter_size, np.float32), loss="softmax", solver="sgd", batch_size=1)
    check_state_finite(trainer, 0.5, 0.1, 1)
    trainer.parameters[3] = np.inf
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        check_state_finite(trainer, 0.5, 0.1, 1)


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


def test_noise_of_a_saliency_map_is_a_share_of_the_range_of_the_image():
    X, y = bars()
    network = small_network(activation="tanh", scale_input=False).fit(X / 4, y)
    image, direction = X[:1].reshape(1, -1) / 4, np.array([1.0, 0.0, -0.5], np.float32)
    noise = np.random.RandomState(3).standard_normal((5, *network.input_shape_))
    copies = image.reshape(network.input_shape_) + 0.2 * np.ptp(image) * noise
    each = [score_gradient(network, copy.reshape(1, -1), direction, 0.0, 1, None) for copy in copies]
    averaged = score_gradient(network, image, direction, 0.2, 5, np.random.RandomState(3))
    np.testing.assert_allclose(averaged, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


def test_several_labels_are_right_if_all_of_them_are():
    X, y = make_multilabel_classification(n_samples=60, n_features=12, n_classes=3, random_state=0)
    network = small_network(max_iter=4).fit(X, y, X_val=X[:20], y_val=y[:20])
    expected = np.mean((network.predict(X[:20]) == y[:20]).all(axis=1))
    assert 0 < network.best_validation_score_ == pytest.approx(expected)


def test_an_epoch_takes_the_time_between_its_two_ends(monkeypatch):
    ticks = iter((100.0, 107.5))
    monkeypatch.setattr(epochs, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    plan = build_plan((DenseLayer(2),), (4, 4, 1))
    trainer = Trainer(plan, np.zeros(plan.parameter_size, np.float32), loss="softmax", solver="sgd", batch_size=4)
    examples = Examples(np.ones((4, 16), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]], None, np.arange(4), None, None)
    rate = LearningRate("constant", 0.1, 0.5)
    (epoch,) = train(trainer, examples, rate, np.random.RandomState(0), n_epochs=1, batch_size=4)
    assert epoch.seconds == 7.5


def test_a_loss_may_grow_a_million_times():
    assert largest_loss(50.0) == 5e7
    assert largest_loss(0.5) == 1e6
    assert largest_loss(1e29) == 1e30
    assert largest_loss(np.nan) == largest_loss(np.inf) == -np.inf


def test_a_network_without_blocks_looks_at_single_pixels():
    assert block_receptive_field([{"name": "dense 1", "receptive_field": (8, 8)}]) == (1, 1)


def test_a_list_of_paddings_pads_signals_along_their_length():
    X = np.random.default_rng(0).normal(size=(30, 20))
    settings = {"n_filters": (3, 2), "input_shape": (20,)}
    one, listed = (small_network(padding=padding, **settings).fit(X, np.arange(30) % 2) for padding in (2, [2, 2]))
    assert fitted_arrays(one) == fitted_arrays(listed)
    assert listed.feature_maps(X[:1]).shape == (1, 1, 22, 3)


def test_many_images_are_augmented_block_by_block():
    plan, X = build_plan((DenseLayer(1),), (4, 4, 1)), np.random.default_rng(0).random((700, 16))
    settings = augmentation_settings(5, 2, shift=(1, 1), flip="both")
    together = augmented_images(plan, X, np.arange(700), settings)
    apart = [augmented_images(plan, X, np.arange(first, first + 100), settings) for first in range(0, 700, 100)]
    assert together.tobytes() == np.concatenate(apart).tobytes()


def test_a_function_shows_what_it_does_to_the_first_mini_batch():
    augmentation = FunctionAugmentation((4, 4, 1), 9, lambda batch, random_state: batch + random_state.random_sample(batch.shape))
    X, rows = np.zeros((6, 16)), np.array([4, 1])
    shown = augmentation.versions(X, rows, 3, None, None)
    assert shown.tobytes() == augmentation.mini_batch(X, rows, 3, 1).tobytes() != augmentation.mini_batch(X, rows, 3, 2).tobytes()


def test_a_grey_image_has_no_axis_of_channels_to_be_recognised_by():
    """Three images of 7 x 1 pixels, which is what the shape says, are not taken for one of another size."""
    assert explain_shape((3, 7, 1), (8, 8, 1)) == " Resize or crop the images to 8 x 8 pixels."
    assert explain_shape((9, 7, 3), (8, 8, 3)).startswith(" X looks like one image of another size")
