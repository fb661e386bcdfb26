"""Predictions do not compare weights that nobody can have changed, and see every change that somebody could make.

A change that nobody could make, of the vector in the fitted state itself, tells the two apart.
"""

import copy
import gc
import pickle

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.state import fitted_plan
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.settled import seal_of, settle, show
from sklearn_cnn.onnx import from_onnx, to_onnx

X, Y = load_digits(return_X_y=True)
X, Y = X[:64], Y[:64]


def fitted(seed=0, kind=ConvNetClassifier, **parameters):
    settings = {"input_shape": (8, 8), "n_filters": (16, 32), "kernel_size": 3, "max_iter": 1, "batch_norm": False, "n_jobs": 1}
    return kind(**settings | {"random_state": seed} | parameters).fit(X, Y)


def answers(network, n_samples):
    return getattr(network, "predict_proba", network.predict)(X[:n_samples]).tobytes()


def change(network):
    """Change the weights that Winograd's algorithm transforms, where they are."""
    fitted_state = vars(network)["_fitted"]
    records = fitted_plan(fitted_state).records
    transformed = records["weights_at"][records["transformed_at"] >= 0]
    assert len(transformed), "no layer of this network is computed by Winograd's algorithm"
    for at in transformed:
        fitted_state["parameters"][at : at + 100] += 1


ORIGINS = {
    "fit": fitted,
    "fit of a regressor": lambda: fitted(kind=ConvNetRegressor),
    "partial_fit": lambda: fitted().partial_fit(X, Y),
    "pickle": lambda: pickle.loads(pickle.dumps(fitted())),
    "copy": lambda: copy.deepcopy(fitted()),
    "export": lambda: fitted().export(),
    "ONNX": lambda: from_onnx(to_onnx(fitted())),
}
LOOKS = {
    "coefs_": lambda network: network.coefs_,
    "intercepts_": lambda network: network.intercepts_,
    "kernels_": lambda network: network.kernels_,
    "pickle": pickle.dumps,
    "buffers of a pickle": lambda network: pickle.dumps(network, protocol=5, buffer_callback=lambda buffer: None),
    "copy": copy.deepcopy,
    "coefs_ of an export": lambda network: network.export().coefs_,
    "coefs_ of a copy that shares the state": lambda network: shallow_twin(network).coefs_,
}


def shallow_twin(network):
    twin = object.__new__(type(network))
    vars(twin).update(vars(network))
    return twin


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n_samples", [1, 20])
@pytest.mark.parametrize("origin", ORIGINS)
def test_weights_that_nobody_has_seen_are_not_compared(origin, n_samples, n_jobs):
    network = ORIGINS[origin]().set_params(n_jobs=n_jobs)
    before = answers(network, n_samples)
    change(network)
    assert answers(network, n_samples) == before
    network.coefs_  # noqa: B018 (a look is enough)
    assert answers(network, n_samples) != before


@pytest.mark.parametrize("look", LOOKS)
def test_weights_that_somebody_has_seen_are_compared_ever_after(look):
    network = fitted()
    LOOKS[look](network)
    for _ in range(3):
        before = answers(network, 1)
        assert answers(network, 1) == before
        change(network)
        assert answers(network, 1) != before


@pytest.mark.parametrize("when", ["before the first prediction", "after it"])
@pytest.mark.parametrize("name", ["coefs_", "kernels_"])
def test_a_view_changes_predictions_whenever_it_was_taken(name, when):
    network = fitted()
    views = getattr(network, name) if when.startswith("before") else None
    before = answers(network, 1)
    views = getattr(network, name) if views is None else views
    assert answers(network, 1) == before
    views[1][...] *= 2
    other = answers(network, 1)
    assert other != before
    views[1][...] /= 2
    assert answers(network, 1) == before


def test_what_a_workspace_remembers_is_of_one_network():
    """All have the same plan, and so the same workspaces; those that are gone leave their addresses to others."""
    expected = []
    for seed in range(3):
        network_module._idle_workspaces.cache_clear()
        expected.append(answers(fitted(seed), 1))
    assert len(set(expected)) == 3
    for seed in (0, 1, 0, 2, 2, 1):
        assert answers(fitted(seed), 1) == expected[seed]
        gc.collect()
    networks = [fitted(seed) for seed in range(3)]
    for seed in (0, 0, 1, 2, 1, 0):
        assert answers(networks[seed], 1) == expected[seed]


def test_memory_mapped_weights_are_always_compared(tmp_path):
    joblib.dump(fitted(), tmp_path / "model.joblib")
    network = joblib.load(tmp_path / "model.joblib", mmap_mode="c")
    parameters = vars(network)["_fitted"]["parameters"]
    settle(parameters)
    assert isinstance(parameters, np.memmap)
    assert seal_of(parameters) is None
    before = answers(network, 1)
    change(network)
    assert answers(network, 1) != before


def test_training_goes_on_from_what_was_settled():
    network = fitted()
    before = answers(network, 1)
    assert answers(network.partial_fit(X, Y), 1) != before
    network_module._idle_workspaces.cache_clear()
    assert answers(network, 1) == answers(fitted().partial_fit(X, Y), 1)


def test_scores_during_a_fit_are_those_of_its_weights():
    """The vector that is trained changes in place, and a scorer may keep a view of it; what is published is another one."""
    seen = []

    def scoring(network, X, y):
        seen.append((network.coefs_[1], network.predict(X)))
        return np.mean(seen[-1][1] == y)

    settings = {"max_iter": 4, "early_stopping": True, "learning_rate_init": 0.01}
    blind, looking = fitted(scoring="accuracy", **settings), fitted(scoring=scoring, **settings)
    assert blind.validation_scores_ == looking.validation_scores_
    assert len(set(blind.validation_scores_)) > 1
    before = answers(looking, 1)
    for view, _ in seen:
        view[...] *= 2
    assert answers(looking, 1) == before


def test_vectors_that_are_gone_are_forgotten():
    from sklearn_cnn._network import settled

    vector = np.zeros(3)
    assert seal_of(vector) is None
    settle(vector)
    assert seal_of(vector).is_whole
    show(vector)
    settle(vector)
    assert not seal_of(vector).is_whole
    show(other := np.zeros(3))
    settle(other)
    assert not seal_of(other).is_whole
    number = id(vector)
    assert number in settled._SEALS
    del vector
    gc.collect()
    assert number not in settled._SEALS
    assert seal_of(np.zeros(3)) is None
