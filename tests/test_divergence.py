"""Training that diverges, however it comes to that, says so at once, says what to try, and leaves the old model."""

import itertools
import pickle

import numpy as np
import pytest
from images import bars

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor

SETTINGS = list(itertools.product(("sgd", "adam", "adamw"), ("relu", "identity", "tanh"), (1e8, 1e20), (False, True), (8, 60)))
NAMES = "solver", "activation", "learning_rate_init", "batch_norm", "batch_size"
X, Y = bars()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_divergence_is_an_error_within_two_epochs(kind, setting):
    """A mini-batch of everything shows in the second epoch what the first did."""
    network = kind(n_filters=3, max_iter=4, random_state=0, learning_rate="constant", alpha=0.0).fit(X, Y)
    before, answers = pickle.dumps(network._fitted), network.predict(X).tobytes()
    network.set_params(**dict(zip(NAMES, setting, strict=True)))
    words = r"Training diverged in epoch [12]: the loss is .* learning rate of .*smaller learning_rate_init"
    with pytest.raises(ValueError, match=words):
        network.fit(X, Y)
    assert pickle.dumps(network._fitted) == before
    assert network.predict(X).tobytes() == answers


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor])
def test_a_divergence_in_partial_fit_is_an_error_of_the_next_call_at_the_latest(kind):
    network = kind(n_filters=3, random_state=0, solver="sgd", learning_rate_init=1e20, batch_norm=False)
    step = (X, Y, np.arange(3)) if kind is ConvNetClassifier else (X, Y)

    def take_two_steps():
        network.partial_fit(*step)
        network.partial_fit(*step)

    with pytest.raises(ValueError, match="Training diverged"):
        take_two_steps()
