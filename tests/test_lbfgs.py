"""L-BFGS: it finds the minimum that others find, weighs exactly, and refuses what belongs to mini-batches."""

import os
import pickle
import threading
import warnings

import numpy as np
import pytest
from faults import begins_block, fault_at, visits
from images import bars, fitted_arrays, small_network
from problems import on_threads
from processes import run_python
from scipy.optimize import check_grad
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation
from sklearn_cnn._network.trainer import Trainer
from sklearn_cnn._training import lbfgs
from sklearn_cnn._training.history import History
from sklearn_cnn._training.listeners import BestEpoch

FULL_BATCH = {"solver": "lbfgs", "max_iter": 60}


def network(**parameters):
    return small_network(**FULL_BATCH | parameters)


def regressor(**parameters):
    return ConvNetRegressor(**FULL_BATCH | {"n_filters": 4, "random_state": 0} | parameters)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_without_layers_it_is_ridge_regression(alpha):
    random_state = np.random.RandomState(0)
    X, coefficients = random_state.standard_normal((40, 5)), np.array([1.0, -2, 0, 3, 0.5])
    y, weight = X @ coefficients + random_state.standard_normal(40), random_state.uniform(0.5, 2, 40).astype(np.float32)
    linear = regressor(n_filters=(), alpha=alpha, tol=1e-9, scale_input=False).fit(X, y, sample_weight=weight)
    expected = Ridge(alpha=alpha).fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(linear.predict(X), expected, rtol=1e-3, atol=1e-3)


def test_without_layers_it_is_logistic_regression():
    X, y = bars()
    X = X.reshape(60, -1).astype(np.float64)
    linear = network(n_filters=(), alpha=2.0, tol=1e-8, scale_input=False).fit(X, y)
    expected = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(linear.predict_proba(X), expected, rtol=1e-3)


@pytest.mark.parametrize("batch_size", [7, 60])
def test_the_gradient_is_that_of_the_loss(monkeypatch, batch_size):
    met = []

    class Caught(lbfgs.FullBatch):
        def run(self, see):
            met.append(self)
            return super().run(see)

    monkeypatch.setattr("sklearn_cnn._estimator.fitting.FullBatch", Caught)
    X, y = bars()
    network(activation="tanh", pooling="average", hidden_layer_sizes=5, batch_size=batch_size, alpha=0.3).fit(X, y)
    (full_batch,) = met
    assert max(map(len, full_batch.slices)) == batch_size
    parameters = np.random.RandomState(0).standard_normal(len(full_batch.trainer.parameters))
    is_gap = full_batch._loss_and_gradient(parameters)[1] == 0.0  # what lies between layers, which no loss depends on
    assert check_grad(*(lambda x, i=i: full_batch._loss_and_gradient(x)[i] for i in (0, 1)), parameters) < 1e-5
    assert is_gap.mean() < 0.5


def test_slices_change_nothing_but_rounding():
    X, y = bars()
    few, many = (network(batch_size=size, max_iter=5).fit(X, y) for size in (7, 60))
    np.testing.assert_allclose(few.loss_curve_, many.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(few.predict_proba(X), many.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("make", [network, regressor])
def test_a_weight_is_exactly_a_number_of_rows_in_any_order(make):
    X, y = bars()
    random_state = np.random.RandomState(0)
    weight, order = random_state.randint(0, 5, len(X)), random_state.permutation(len(X))
    weighted = make().fit(X[order], y[order], sample_weight=weight[order])
    repeated = make().fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert fitted_arrays(weighted)["parameters"] == fitted_arrays(repeated)["parameters"]
    assert weighted.predict(X).tobytes() == repeated.predict(X).tobytes()
    assert weighted.loss_curve_ == repeated.loss_curve_
    assert fitted_arrays(make().fit(X, y))["parameters"] != fitted_arrays(weighted)["parameters"]


def test_threads_change_no_bit():
    X, y = bars(400)
    settings = {"n_filters": (32, 64), "hidden_layer_sizes": 64, "max_iter": 5}
    one = on_threads(1, lambda: network(**settings, n_jobs=1).fit(X, y), np.float64)
    with threadpool_limits(limits=1, user_api="blas"):
        three = on_threads(3, lambda: network(**settings, n_jobs=3).fit(X, y), np.float64)
    assert one.n_parameters_ > 20_000
    assert fitted_arrays(one) == fitted_arrays(three)


def test_double_precision_throughout():
    X, y = bars()
    fitted = network().fit(X, y)
    assert {values.dtype for values in (*fitted.coefs_, *fitted.intercepts_)} == {np.dtype(np.float64)}
    methods = ("predict_proba", "predict_log_proba", "decision_function", "feature_maps")
    assert {getattr(fitted, method)(X).dtype for method in methods} == {np.dtype(np.float64)}
    assert all(fitted.predict_proba(X[i : i + 1]).tobytes() == fitted.predict_proba(X)[i].tobytes() for i in range(9))
    restored = pickle.loads(pickle.dumps(fitted))
    assert restored.predict_proba(X).tobytes() == fitted.predict_proba(X).tobytes()


def test_attributes():
    X, y = bars()
    fitted = network(max_iter=300).fit(X, y)
    assert fitted.n_iter_ == len(fitted.loss_curve_) < 300
    assert fitted.loss_ == fitted.loss_curve_[-1] == fitted.best_loss_ == min(fitted.loss_curve_)
    assert np.all(np.diff(fitted.loss_curve_) <= 0)
    assert fitted.learning_rate_curve_ is fitted.validation_scores_ is None
    assert fitted.t_ % len(X) == 0
    assert fitted.t_ > fitted.n_iter_ * len(X)
    assert fitted.score(X, y) == 1.0


@pytest.mark.parametrize("limit", [{"max_iter": 2}, {"max_fun": 2}])
def test_an_end_too_soon_is_a_warning(limit):
    X, y = bars()
    message = r"lbfgs failed to converge after . iterations .*Raise max_iter=.* or max_fun="
    with pytest.warns(ConvergenceWarning, match=message) as met:
        fitted = network(**limit).fit(X, y)
    assert met[0].filename == __file__
    assert fitted.n_iter_ <= 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(max_iter=300).fit(X, y)


def test_warm_start_goes_on_and_ends_where_nothing_is_better():
    X, y = bars()
    goes_on = network(max_iter=300, warm_start=True).fit(X, y)
    loss, n_iter = goes_on.loss_, goes_on.n_iter_
    goes_on.fit(X, y)
    assert (goes_on.n_iter_, len(goes_on.loss_curve_)) == (1, n_iter + 1)
    assert goes_on.loss_ == loss == goes_on.best_loss_


@pytest.mark.parametrize(("first", "second"), [("lbfgs", "adam"), ("adam", "lbfgs"), ("lbfgs", "sgd")])
def test_another_solver_goes_on(first, second):
    X, y = bars()
    goes_on = network(solver=first, max_iter=20, warm_start=True, alpha=0.1).fit(X, y)
    before = goes_on.loss_
    goes_on.set_params(solver=second, max_iter=3).fit(X, y)
    assert goes_on.loss_curve_[-3] < 2 * before + 0.1
    assert goes_on.coefs_[0].dtype == (np.float64 if second == "lbfgs" else np.float32)
    assert goes_on.score(X, y) > 0.9


def test_epochs_are_told(capsys):
    X, y = bars()
    fitted = network(max_iter=300, verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == fitted.n_iter_ + 1
    assert lines[0].startswith("Epoch   1/300, loss ")
    assert "learning rate" not in lines[0]
    assert lines[-1].startswith("Stopping: CONVERGENCE")


def test_listeners_see_begin_and_end_of_every_iteration_and_may_stop(monkeypatch):
    X, y = bars()
    events = []
    monkeypatch.setattr(History, "begin_epoch", lambda history: events.append("begin"))
    stops = {3: "enough"}
    monkeypatch.setattr(BestEpoch, "see", lambda best, epoch: events.append(epoch.number) or stops.get(epoch.number))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = network(max_iter=300).fit(X, y)
    assert events == ["begin", 1, "begin", 2, "begin", 3]
    assert fitted.n_iter_ == 3


@pytest.mark.parametrize("estimator_class", [ConvNetClassifier, ConvNetRegressor])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "adaptive"),
        ("learning_rate", "one_cycle"),
        ("early_stopping", True),
        ("dropout", 0.5),
        ("dropout", [0.1, 0.0]),
        ("batch_norm", True),
        ("augment", ImageAugmentation(shift=1)),
        ("augment", lambda batch, random_state: batch),
    ],
)
def test_what_belongs_to_mini_batches_is_refused(estimator_class, name, value):
    X, y = bars()
    estimator = estimator_class(**FULL_BATCH | {"n_filters": 4, name: value})
    with pytest.raises(ValueError, match=f"{name}=.* is not possible with solver='lbfgs'.*Set {name}=.*solver='adam'"):
        estimator.fit(X, y)
    assert "_fitted" not in vars(estimator)


def test_no_validation_data_and_no_parts():
    X, y = bars()
    with pytest.raises(ValueError, match="X_val, y_val: not possible with solver='lbfgs'"):
        network().fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="checkpoint: not possible with solver='lbfgs'"):
        network().fit(X, y, checkpoint="nowhere")
    for estimator in (network(), regressor()):
        assert not hasattr(estimator, "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
            estimator.partial_fit(X, y)
        assert "solver='lbfgs' trains on all samples at once" in str(error.value.__cause__)
    assert hasattr(network(solver="adam"), "partial_fit")
    many = network(max_iter=1, n_filters=1).fit(np.resize(X, (10_100, 36)), np.resize(y, 10_100))
    assert many.validation_scores_ is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "15000", None])
def test_max_fun_is_a_positive_integer(value):
    with pytest.raises(ValueError, match=r"max_fun=.* it must be an integer of at least 1"):
        small_network(max_fun=value).fit(*bars())


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_numbers_beyond_all_measure(monkeypatch, loss):
    monkeypatch.setattr(Trainer, "loss_gradient", lambda trainer, *_, **__: (loss, trainer.gradient))
    X, y = bars()
    estimator = regressor()
    with pytest.raises(ValueError, match=f"solver='lbfgs' has come to a loss of {loss} in iteration 1"):
        estimator.fit(X, y)
    assert "_fitted" not in vars(estimator)


def threads_of_blas():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_fits_that_overlap_leave_blas_as_many_threads_as_it_had():
    is_in, may_leave, has_left, may_end = (threading.Event() for _ in range(4))

    def first():
        with lbfgs.ONE_THREAD_OF_BLAS.held():
            is_in.set()
            may_leave.wait(10)
        has_left.set()
        may_end.wait(10)  # as the threads of a pool do

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads_of_blas()
        thread = threading.Thread(target=first)
        thread.start()
        is_in.wait(10)
        with lbfgs.ONE_THREAD_OF_BLAS.held():
            may_leave.set()
            has_left.wait(10)
            assert set(threads_of_blas()) <= {1}  # some are not to be limited, and are not listed
        assert threads_of_blas() == before
        may_end.set()
        thread.join()


def test_an_interrupt_at_any_line_leaves_blas_as_many_threads_as_it_had():
    def come_and_go():
        with lbfgs.ONE_THREAD_OF_BLAS.held():
            pass

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads_of_blas()
        counts = visits(come_and_go, lbfgs.__file__)
        assert len(counts) > 10
        for (file, line), n in counts.items():
            for visit in range(1, 2 if begins_block(file, line) else n + 1):  # where a block ends nothing can be raised
                assert fault_at(file, line, visit, KeyboardInterrupt)(come_and_go)
                assert threads_of_blas() == before, (line, visit)
                assert not lbfgs.ONE_THREAD_OF_BLAS._inside


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("forks_inside", [False, True])
def test_a_forked_process_does_not_wait_for_the_threads_of_another(forks_inside):
    run_python(f"""
        import os, signal, threading
        from contextlib import nullcontext
        from sklearn_cnn._training.lbfgs import ONE_THREAD_OF_BLAS
        is_held, may_leave = threading.Event(), threading.Event()

        def hold():
            with ONE_THREAD_OF_BLAS._lock:
                is_held.set()
                may_leave.wait(60)

        with ONE_THREAD_OF_BLAS.held() if {forks_inside} else nullcontext():
            thread = threading.Thread(target=hold)
            thread.start()
            is_held.wait(60)
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                with ONE_THREAD_OF_BLAS.held():
                    pass
            else:
                may_leave.set()
                thread.join()
        if child == 0:
            os._exit(len(ONE_THREAD_OF_BLAS._inside) + (ONE_THREAD_OF_BLAS._before is not None))
        assert os.waitpid(child, 0)[1] == 0
    """)
