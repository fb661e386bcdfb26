"""scikit-learn's own checks of an estimator."""

import copy

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation

MINI_BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 is in one mini-batch, a row repeated may be in two",
}
# SGDClassifier, too, refuses to weigh classes by their frequency where it sees a part of the samples.
NO_PARTIAL_FIT = dict.fromkeys(
    ("check_fit_score_takes_y", "check_n_features_in_after_fitting", "check_estimators_partial_fit_n_features"),
    "partial_fit refuses class_weight='balanced'",
)



def brighter(batch, random_state):
    """A change of images that is a function, as users write them."""
    return batch + random_state.uniform(0, 0.1, (len(batch), 1, 1, 1)).astype(batch.dtype)


# One row for each feature. The rate of "one_cycle" is that of its middle, which is too high at LONG's.
SETTINGS = {
    "class_weight": {"class_weight": "balanced"},
    "early_stopping": {"batch_norm": True, "early_stopping": True},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "locally_connected": {"weight_sharing": False, "padding_mode": "reflect", "pooling": "average"},
    "dropout": {"dropout": 0.2, "hidden_layer_sizes": 8},
    "augment": {"augment": ImageAugmentation(shift=1, zoom=0.1, erase=1, brightness=0.1, contrast=0.1, padding_mode="edge")},
    "batch_norm": {"batch_norm": True},
    "batch_norm_everywhere": {"batch_norm": True, "hidden_layer_sizes": 8, "pooling": "average", "global_pooling": "max"},
    "global_pooling": {"global_pooling": "average"},
    "hidden_layer": {"hidden_layer_sizes": (8,), "activation": "tanh", "n_jobs": 2},
    "cosine": {"learning_rate": "cosine"},
    "one_cycle": {"learning_rate": "one_cycle", "learning_rate_init": 2e-3},
    "adamw": {"solver": "adamw", "alpha": 0.01},
    "label_smoothing": {"label_smoothing": 0.1},
    "augment_by_a_function": {"augment": brighter},
    "winograd_tile": {"winograd_tile": 4, "n_filters": (16, 16)},
    "dropout_of_each_layer": {"dropout": [0.1, 0.2, 0.1], "hidden_layer_sizes": 8},
    "everything": {
        "batch_norm": True, "dropout": [0.05, 0.05], "global_pooling": "average", "label_smoothing": 0.1, "solver": "adamw",
        "alpha": 0.01, "learning_rate": "one_cycle", "learning_rate_init": 2e-3,
        "augment": ImageAugmentation(zoom=0.1, brightness=0.1),
    },
}  # fmt: skip

# Where the regressor wants something else. Its checks ask for a good fit of ten columns whose order means something: so no
# shifts, and windows that see most columns before a mean of the map forgets where they were. Nor does it learn them as well with
# batch_norm and a tenth held out.
SETTINGS_OF_THE_REGRESSOR = {
    "early_stopping": {"batch_norm": False, "early_stopping": True},
    "sgd": SETTINGS["sgd"],
    "dropout": SETTINGS["dropout"],
    "augment": {"augment": ImageAugmentation(zoom=0.1, erase=1, brightness=0.1, contrast=0.1, padding_mode="edge")},
    "batch_norm": SETTINGS["batch_norm"],
    "global_pooling": {"global_pooling": "average", "n_filters": 32, "kernel_size": 9, "max_iter": 300},
    "hidden_layer": SETTINGS["hidden_layer"],
    "cosine": SETTINGS["cosine"],
    "one_cycle": SETTINGS["one_cycle"],
    "adamw": SETTINGS["adamw"],
}

# The checks bring few samples: a rate that learns them, for long enough, in a network that it is not too large for.
LONG = {"n_filters": 16, "learning_rate": "constant", "learning_rate_init": 5e-3, "batch_norm": False, "max_iter": 80}


@parametrize_with_checks([ConvNetClassifier(), ConvNetRegressor()], expected_failed_checks=lambda estimator: MINI_BATCHES)
def test_defaults(estimator, check):
    check(estimator)


# As it comes the classifier passes all of them. With many more iterations and a weak penalty it is so sure of the checks' few
# samples that probabilities are rounded to 0 and 1, which two of them do not like (nor in an MLPClassifier); not with alpha=0.1.
# Few filters learn these samples, too, and all time goes into iterations.
@parametrize_with_checks(
    [
        ConvNetClassifier(solver="lbfgs"),
        ConvNetClassifier((4, 8), solver="lbfgs", max_iter=100, alpha=0.1),
        ConvNetRegressor((4, 8), solver="lbfgs", max_iter=100),
    ]
)
def test_full_batch(estimator, check):
    check(estimator)


class DeclaresShape(ConvNetClassifier):
    """Passes ``input_shape`` for whatever it is given: no single one fits the 1 to 30 features that the checks bring."""

    def _check_problem(self, X, y, sample_weight, earlier, classes=None):
        declared = copy.copy(self)
        shape = np.shape(np.asarray(X))
        if len(shape) == 2 and shape[1] > 0:
            declared.input_shape = (shape[1] // 2, 2) if shape[1] % 2 == 0 else (1, shape[1], 1)
        return ConvNetClassifier._check_problem(declared, X, y, sample_weight, earlier, classes)


def test_with_input_shape():
    check_estimator(DeclaresShape(), expected_failed_checks=MINI_BATCHES)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name):
    parameters = LONG | SETTINGS[name]
    expected = MINI_BATCHES | (NO_PARTIAL_FIT if name == "class_weight" else {})
    check_estimator(ConvNetClassifier(**parameters), expected_failed_checks=expected)


@pytest.mark.parametrize("name", SETTINGS_OF_THE_REGRESSOR)
def test_settings_of_the_regressor(name):
    check_estimator(ConvNetRegressor(**LONG | SETTINGS_OF_THE_REGRESSOR[name]), expected_failed_checks=MINI_BATCHES)
