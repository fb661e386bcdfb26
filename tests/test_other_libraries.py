"""Tools that somebody else wrote around scikit-learn's estimators. Each test runs where its tool is installed."""

import itertools

import numpy as np
import pytest
from images import bars, digits, small_network
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation


def flat_bars(n_samples=60):
    X, y = bars(n_samples)
    return X.reshape(len(X), -1), y


def flat_network(**parameters):
    return small_network(**{"input_shape": (6, 6), **parameters})


def test_skops_trusts_one_type_of_a_pipeline():
    io = pytest.importorskip("skops.io")
    X, y = flat_bars()
    network = flat_network(augment=ImageAugmentation(shift=1))
    model = make_pipeline(MinMaxScaler(), ConvNetTransformer(network), ConvNetClassifier(n_filters=2, max_iter=1)).fit(X, y)
    file = io.dumps(model)
    foreign = [f"sklearn_cnn.{name}" for name in ("ConvNetClassifier", "ConvNetTransformer", "ImageAugmentation")]
    assert sorted(io.get_untrusted_types(data=file)) == foreign
    assert io.loads(file, trusted=foreign).predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_optuna_searches():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = flat_bars()

    def accuracy(trial):
        network = flat_network(
            n_filters=trial.suggest_int("n_filters", 1, 4),
            kernel_size=trial.suggest_categorical("kernel_size", [1, 3]),
            max_iter=15,
            learning_rate_init=trial.suggest_float("learning_rate_init", 3e-3, 1e-1, log=True),
        )
        return cross_val_score(network, X, y, cv=2).mean()

    studies = []
    for _ in range(2):
        studies.append(optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)))
        studies[-1].optimize(accuracy, n_trials=8)
    first, second = studies
    assert first.best_value > 0.8
    assert first.best_params == second.best_params
    assert [trial.value for trial in first.trials] == [trial.value for trial in second.trials]


def test_optuna_prunes_between_epochs():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = flat_bars(120)
    n_epochs = []

    def accuracy(trial):
        network = flat_network(learning_rate_init=(1e-2, 1e-9)[trial.number % 2])
        for epoch in range(8):
            score = network.partial_fit(X[:80], y[:80], classes=[0, 1, 2]).score(X[80:], y[80:])
            trial.report(score, epoch)
            if trial.should_prune():
                n_epochs.append(epoch + 1)
                raise optuna.TrialPruned
        n_epochs.append(8)
        return score

    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=2))
    study.optimize(accuracy, n_trials=4)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert n_epochs[0] == n_epochs[2] == 8 > max(n_epochs[1], n_epochs[3])


def prune_by_score(network, trial, given_up):
    """The accuracy reports itself, epoch by epoch, and gives a hopeless trial up."""
    epochs = itertools.count()

    def score(network, X, y):
        accuracy = network.score(X, y)
        trial.report(accuracy, next(epochs))
        if trial.should_prune():
            raise given_up
        return accuracy

    network.set_params(scoring=score)


def prune_by_callback(network, trial, given_up):
    """A callback of scikit-learn reports every epoch."""

    class Pruning:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                trial.report(fitted_estimator.validation_scores_[-1], context.task_id)
                if trial.should_prune():
                    raise given_up

    network.set_callbacks(Pruning())


@pytest.mark.parametrize("prune", [prune_by_score, prune_by_callback])
def test_optuna_prunes_inside_a_fit(prune):
    """With the falling learning rate that a fit has; the best network is that of a fit which nobody has watched."""
    optuna = pytest.importorskip("optuna")
    if prune is prune_by_callback:
        pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = flat_bars(120)
    kept = []

    def settings(rate):
        return {"learning_rate": "one_cycle", "learning_rate_init": rate, "max_iter": 8, "early_stopping": False}

    def accuracy(trial):
        network = flat_network(**settings((1e-2, 1e-9)[trial.number % 2]))
        prune(network, trial, optuna.TrialPruned)
        kept.append(network)
        return network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:]).score(X[80:], y[80:])

    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=2))
    study.optimize(accuracy, n_trials=4)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert [len(trial.intermediate_values) for trial in study.trials] == [8, 3, 8, 3]
    assert [hasattr(network, "n_iter_") for network in kept] == [True, False, True, False]
    alone = flat_network(**settings(1e-2)).fit(X[:80], y[:80])
    assert kept[0].predict_proba(X).tobytes() == alone.predict_proba(X).tobytes()


def test_imbalanced_learn_resamples_in_its_pipelines():
    pytest.importorskip("imblearn")
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import make_pipeline as make_resampling_pipeline

    X, y = flat_bars(120)
    rare = np.flatnonzero((y > 0) | (np.arange(len(y)) % 12 == 0))
    model = make_resampling_pipeline(RandomOverSampler(random_state=0), flat_network()).fit(X[rare], y[rare])
    resampled = RandomOverSampler(random_state=0).fit_resample(X[rare], y[rare])
    assert model.predict_proba(X).tobytes() == flat_network().fit(*resampled).predict_proba(X).tobytes()
    assert model[-1].t_ == 5 * 3 * np.bincount(y[rare]).max()
    search = GridSearchCV(model, {"convnetclassifier__n_filters": [2, 4]}, cv=2, scoring="balanced_accuracy").fit(X, y)
    assert search.best_score_ > 0.8


def test_shap_adds_up():
    shap = pytest.importorskip("shap")
    X, y = flat_bars()
    network = flat_network(max_iter=10).fit(X, y)
    explanation = shap.PermutationExplainer(network.predict_proba, X[:10], seed=0)(X[:2], max_evals=2 * 36 + 1, silent=True)
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, network.predict_proba(X[:2]), atol=1e-5)
    columns = np.abs(explanation.values).sum(axis=(0, 2)).reshape(6, 6).sum(axis=0)
    assert columns[1:4].sum() > columns[[0, 4, 5]].sum()  # the bars stand in columns 1, 2 and 3


def test_mapie_covers():
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier
    from mapie.regression import SplitConformalRegressor

    X, y = flat_bars(300)
    fit, conformalize, test = slice(100), slice(100, 200), slice(200, None)
    network = flat_network(max_iter=10).fit(X[fit], y[fit])
    classifier = SplitConformalClassifier(network, confidence_level=0.9, prefit=True)
    classifier.conformalize(X[conformalize], y[conformalize])
    labels, sets = classifier.predict_set(X[test])
    assert labels.tolist() == network.predict(X[test]).tolist()
    assert sets[np.arange(100), y[test], 0].mean() > 0.8
    network = ConvNetRegressor(n_filters=4, input_shape=(6, 6), max_iter=10, random_state=0).fit(X[fit], y[fit])
    regressor = SplitConformalRegressor(network, confidence_level=0.9, prefit=True)
    regressor.conformalize(X[conformalize], y[conformalize])
    values, intervals = regressor.predict_interval(X[test])
    np.testing.assert_array_equal(values, network.predict(X[test]))
    assert ((intervals[:, 0, 0] <= y[test]) & (y[test] <= intervals[:, 1, 0])).mean() > 0.8


class DoublePrecision(ConvNetClassifier):
    """What the user guide advises for tools that write double precision into what they get."""

    def predict_proba(self, X):
        return super().predict_proba(X).astype(np.float64)


@pytest.mark.parametrize("form", ["labels", "probabilities", "lbfgs"])
def test_fairlearn_moves_thresholds(form):
    pytest.importorskip("fairlearn")
    from fairlearn.metrics import demographic_parity_difference
    from fairlearn.postprocessing import ThresholdOptimizer

    X, y = flat_bars(240)
    y = (y > 0).astype(int)
    group = (np.random.RandomState(0).rand(240) < 0.3 + 0.4 * y).astype(int)
    settings = {"n_filters": 2, "input_shape": (6, 6), "random_state": 0, "max_iter": 60}
    networks = {
        "labels": ConvNetClassifier(**settings),
        "probabilities": DoublePrecision(**settings),
        "lbfgs": ConvNetClassifier(solver="lbfgs", **settings),
    }
    network = networks[form].fit(X, y)
    method = "predict" if form == "labels" else "predict_proba"
    fair = ThresholdOptimizer(estimator=network, prefit=True, predict_method=method).fit(X, y, sensitive_features=group)
    found = fair.predict(X, sensitive_features=group, random_state=0)
    before = demographic_parity_difference(y, network.predict(X), sensitive_features=group)
    assert demographic_parity_difference(y, found, sensitive_features=group) < before / 2


def test_fairlearn_reweights():
    pytest.importorskip("fairlearn")
    from fairlearn.reductions import DemographicParity, ExponentiatedGradient

    X, y = digits(200)
    y = y % 2
    network = small_network(input_shape=(8, 8), max_iter=10)
    reduced = ExponentiatedGradient(network, DemographicParity(), max_iter=3).fit(X, y, sensitive_features=np.arange(200) // 100)
    assert (reduced.predict(X, random_state=0) == y).mean() > 0.8


def channels_last(X):
    """Signals as aeon has them, of shape (n, channels, length), as one row of channels for each moment."""
    return np.moveaxis(X, 1, 2).reshape(len(X), -1)


@pytest.mark.parametrize("n_channels", [1, 3], ids=["univariate", "multivariate"])
@pytest.mark.parametrize("pipeline_of", ["aeon", "sklearn"])
def test_aeon_hands_signals_on(n_channels, pipeline_of):
    pytest.importorskip("aeon")
    from aeon.pipeline import make_pipeline as make_pipeline_of_aeon
    from aeon.transformations.collection import BaseCollectionTransformer, Normalizer

    class ChannelsLast(BaseCollectionTransformer):
        """aeon's own pipelines take several channels only where each step says that it can."""

        _tags = {"capability:multivariate": True, "fit_is_empty": True, "output_data_type": "Tabular"}  # noqa: RUF012 (aeon's form)

        def __init__(self):
            super().__init__()

        def _transform(self, X, y=None):
            return channels_last(X)

    names = np.array(["hill", "plain"])[np.arange(120) % 2]
    X = np.random.default_rng(0).standard_normal((120, n_channels, 24))
    X[names == "hill", -1, 8:12] += 3.0
    make, adapter = {
        "aeon": (make_pipeline_of_aeon, ChannelsLast()),
        "sklearn": (make_pipeline, FunctionTransformer(channels_last)),
    }[pipeline_of]
    network = small_network(input_shape=(1, 24, n_channels), max_iter=20)
    model = make(Normalizer(), adapter, network).fit(X[:80], names[:80])
    assert model.score(X[80:], names[80:]) > 0.8
    network.fit(channels_last(Normalizer().fit_transform(X[:80])), names[:80])
    expected = network.predict_proba(channels_last(Normalizer().fit_transform(X[80:])))
    assert model.predict_proba(X[80:]).tobytes() == expected.tobytes()


def test_scikit_optimize_searches():
    pytest.importorskip("skopt")
    from skopt import BayesSearchCV
    from skopt.space import Categorical, Integer, Real

    space = {
        "n_filters": Integer(1, 4),
        "kernel_size": Categorical([1, 3]),
        "learning_rate_init": Real(3e-3, 1e-1, prior="log-uniform"),
    }
    options = {"n_iter": 6, "cv": 2, "random_state": 0, "optimizer_kwargs": {"n_initial_points": 4}}
    searches = [BayesSearchCV(flat_network(max_iter=15), space, **options).fit(*flat_bars()) for _ in range(2)]
    assert searches[0].best_score_ > 0.8
    assert searches[0].cv_results_["mean_test_score"].tolist() == searches[1].cv_results_["mean_test_score"].tolist()


def test_search_of_optuna_integration():
    pytest.importorskip("optuna_integration.sklearn")
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna_integration.sklearn import OptunaSearchCV

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {
        "n_filters": IntDistribution(1, 4),
        "kernel_size": CategoricalDistribution([1, 3]),
        "learning_rate_init": FloatDistribution(3e-3, 1e-1, log=True),
    }
    options = {"n_trials": 6, "cv": 2, "random_state": 0}
    searches = [OptunaSearchCV(flat_network(max_iter=15), space, **options).fit(*flat_bars()) for _ in range(2)]
    assert searches[0].best_score_ > 0.8
    assert searches[0].best_params_ == searches[1].best_params_
    pruned = OptunaSearchCV(flat_network(), {"n_filters": IntDistribution(1, 4)}, enable_pruning=True, max_iter=7, **options)
    pruned.fit(*flat_bars())  # by partial_fit, epoch by epoch
    assert {trial.state.name for trial in pruned.trials_} <= {"COMPLETE", "PRUNED"}
    assert max(len(trial.intermediate_values) for trial in pruned.trials_) == 7


@pytest.mark.parametrize("form", ["cloudpickle", "skops"])
def test_mlflow_keeps_a_network(form, tmp_path):
    sklearn_flavour = pytest.importorskip("mlflow.sklearn")
    import mlflow

    X, y = flat_bars()
    network = flat_network().fit(X, y)
    options = {"skops_trusted_types": ["sklearn_cnn.ConvNetClassifier"]} if form == "skops" else {}
    path = str(tmp_path / "model")
    sklearn_flavour.save_model(network, path, serialization_format=form, pip_requirements=["sklearn_cnn"], **options)
    assert sklearn_flavour.load_model(path).predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
    assert mlflow.pyfunc.load_model(path).predict(X).tolist() == network.predict(X).tolist()
