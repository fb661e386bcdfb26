"""Every parameter at the edges of what it may be, on either side."""

import math

import numpy as np
import pytest
from images import small_network
from sklearn.base import BaseEstimator

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation
from sklearn_cnn._estimator.automatic import plain_dropout, plain_geometry
from sklearn_cnn._estimator.parameters import (
    AUGMENTATION_RULES,
    LARGEST_INTEGER,
    LARGEST_NUMBER,
    RULES,
    InvalidParameterError,
    check_parameters,
)

# fmt: off
BELOW_ONE, ABOVE_ZERO = np.nextafter(1.0, 0.0), np.nextafter(0.0, 1.0)
BOOLEAN = ([True, False, np.True_, np.False_], [0, 1, None, "auto", "True"])
BOOLEAN_OR_AUTO = ([*BOOLEAN[0], "auto"], [0, 1, None, "True"])
SIZE = ([1, (1, 1), [1], [(1, 2)], [[1, 2]], np.int8(1), [2, (1, 3)]],
        [0, (0, 1), (1, 0), [], [0], [(1,)], [(1, 1, 1)], 1.0, True])
AT_LEAST_ZERO = ([0, 0.0, ABOVE_ZERO, 1, 1.5, 1000, LARGEST_NUMBER],
                 [-ABOVE_ZERO, -1, 2 * LARGEST_NUMBER, math.inf, math.nan, True])
POSITIVE = ([ABOVE_ZERO, 1e-9, 1, LARGEST_NUMBER], [0, 0.0, -1e-9, 2 * LARGEST_NUMBER, math.inf, math.nan, True, None])
BELOW = ([0, 0.0, 0.5, BELOW_ONE, np.float16(0.25)], [-ABOVE_ZERO, 1, 1.0, 1.5, math.nan, False, "0.5"])
COUNT = ([1, 2, np.int64(1), LARGEST_INTEGER], [0, -1, 1.0, True, None, LARGEST_INTEGER + 1, "auto"])
# fmt: on


class OtherParameters(BaseEstimator):
    """An object with parameters, which are not those of an `ImageAugmentation`."""

    def __init__(self, shift=0):
        self.shift = shift


def augment(batch, random_state):
    return batch


#: Name -> (values that it may be, values that it may not be)
EDGES = {
    "n_filters": ([1, (), [], (1,), [2, 1], np.array([1, 2]), "auto", (1,) * 1000],
                  [0, -1, (0,), (1, 0), [[1]], "all", 1.0, True, (1,) * 1001]),
    "kernel_size": SIZE,
    "stride": SIZE,
    "padding": ([0, 1, "same", "valid", (0, 1), [0], ["same", 2]], [-1, (-1, 0), (0, -1), "full", [(1, 1, 1)], 0.0, False]),
    "padding_mode": (["zeros", "reflect", ["zeros", "reflect"]], ["edge", None, [], ["zeros", None]]),
    "pooling": (["max", "average", None, ["max", None, "average"]], ["mean", "", 0, [], ["max", 1]]),
    "pool_size": SIZE,
    "pool_stride": ([None, *SIZE[0]], SIZE[1]),
    "weight_sharing": ([True, False, [True, False], np.True_], [0, 1, None, [], [True, 1]]),
    "global_pooling": (["max", "average", None, "auto"], ["mean", True, ["max"]]),
    "hidden_layer_sizes": ([1, (), [], (1, 2), np.array([3])], [0, (0,), (2, -1), None, 1.0, "auto", True]),
    "activation": (["relu", "tanh", "logistic", "identity"], ["gelu", None, ["relu"]]),
    "batch_norm": BOOLEAN_OR_AUTO,
    "solver": (["adam", "adamw", "sgd", "lbfgs"], ["newton", None, "Adam"]),
    "alpha": AT_LEAST_ZERO,
    "batch_size": ([1, 2**40, "auto"], [0, -1, 1.0, True, None, "all"]),
    "learning_rate": (["auto", "constant", "invscaling", "adaptive", "cosine", "one_cycle"], ["linear", None, 0.1]),
    "learning_rate_init": POSITIVE,
    "power_t": AT_LEAST_ZERO,
    "max_iter": COUNT,
    "shuffle": BOOLEAN,
    "random_state": (
        [None, 0, 2**32 - 1, np.random.RandomState(0), np.random, np.int64(1)],
        [-1, 2**32, 2**32 + 1, 1.0, True, "0"],
    ),
    "tol": AT_LEAST_ZERO,
    "verbose": ([True, False, 0, 1, 10], [-1, 1.0, None, "yes"]),
    "warm_start": BOOLEAN,
    "momentum": ([0, 0.5, 1, 1.0], [-ABOVE_ZERO, 1.0 + 1e-9, 2, math.nan, True]),
    "nesterovs_momentum": BOOLEAN,
    "early_stopping": BOOLEAN_OR_AUTO,
    "validation_fraction": ([ABOVE_ZERO, 0.5, BELOW_ONE], [0, 0.0, 1, 1.0, 1.5, -0.5, math.nan, True]),
    "beta_1": BELOW,
    "beta_2": BELOW,
    "epsilon": POSITIVE,
    "n_iter_no_change": ([1, 2, math.inf, LARGEST_INTEGER], [0, -1, 1.0, -math.inf, math.nan, True, None]),
    "max_fun": COUNT,
    "scoring": ([None, "loss", "accuracy", augment], ["nonsense", ConvNetClassifier, 1]),
    "class_weight": ([None, "balanced", {}, {0: 1.0}, [{0: 1.0}], []], ["even", 1.0, [1.0], ({0: 1.0},)]),
    "dropout": ([*BELOW[0], (), [0, 0.5], (BELOW_ONE,)], [*BELOW[1], [1.0], (0.5, -0.1), [None]]),
    "augment": ([None, ImageAugmentation(), augment], [OtherParameters(), ImageAugmentation, 1, "flip"]),
    "label_smoothing": BELOW,
    "input_shape": ([None, (1,), (1, 1), (2, 3, 1), [2, 2], np.array([2, 3])],
                    [1, (), (0,), (1, 1, 1, 1), (1.0,), "8x8", (True, 2)]),
    "scale_input": BOOLEAN,
    "winograd_tile": ([2, 4, np.int64(4)], [0, 1, 3, 6, -2, 2.0, "4", None, True, (2, 4), [4]]),
    "n_jobs": ([None, 1, -1, 2, 1024, -1024], [0, 1025, -1025, 1.0, True, "all"]),
}  # fmt: skip
OF_AUGMENTATION = {
    "shift": ([0, 1, (0, 1), [2, 0], np.int8(3)], [-1, (-1, 0), (0, -1), (1,), (1, 1, 1), 0.5, None, True]),
    "flip": ([None, "horizontal", "vertical", "both"], ["none", True, 1]),
    "rotate": ([0, 0.5, 180, 180.0], [-ABOVE_ZERO, 180.001, 360, math.nan, None, True]),
    "zoom": ([0, 0.5, 0.9], [-ABOVE_ZERO, 0.901, 1, 1.5, math.nan, False]),
    "erase": ([0, 1, 8], [-1, 0.5, None, True]),
    "brightness": AT_LEAST_ZERO,
    "contrast": ([0, 0.5, 1, 1.0], [-ABOVE_ZERO, 1.001, 2, math.nan, True]),
    "padding_mode": (["zeros", "reflect", "edge"], ["wrap", None]),
}
ACCEPTED = [(name, value) for name, (values, _) in EDGES.items() for value in values]
REFUSED = [(name, value) for name, (_, values) in EDGES.items() for value in values]


def identify(value):
    return getattr(value, "__name__", repr(value).split(" at 0x")[0][:30])


def test_every_parameter_has_its_edges():
    assert {*EDGES} == {*RULES} == {*ConvNetClassifier().get_params(deep=False)}
    assert {*OF_AUGMENTATION} == {*AUGMENTATION_RULES}


@pytest.mark.parametrize(("name", "value"), ACCEPTED, ids=identify)
def test_what_is_allowed(name, value):
    check_parameters(small_network(**{name: value}))


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=identify)
def test_what_is_not_allowed(name, value):
    with pytest.raises(InvalidParameterError, match=f"^{name}=.* is not valid .*; for example {name}="):
        check_parameters(small_network(**{name: value}))


@pytest.mark.parametrize("name", OF_AUGMENTATION)
def test_what_an_augmentation_may_be(name):
    allowed, refused = OF_AUGMENTATION[name]
    for value in allowed:
        check_parameters(small_network(augment=ImageAugmentation(**{name: value})))
    for value in refused:
        with pytest.raises(InvalidParameterError, match=f"^{name}=.* is not valid for ImageAugmentation"):
            check_parameters(small_network(augment=ImageAugmentation(**{name: value})))


@pytest.mark.parametrize("name", RULES)
def test_the_example_of_an_error_is_allowed(name):
    value = eval(RULES[name].example, {"ImageAugmentation": ImageAugmentation})
    check_parameters(small_network(**{name: value}))


def test_decoupled_decay_leaves_something_of_each_weight():
    for alpha, rate in ((0.5, 1.9), (0.1, 9.9), (1.0, 0.5)):
        check_parameters(small_network(solver="adamw", alpha=alpha, learning_rate_init=rate))
    for alpha, rate in ((0.5, 2.0), (2.0, 0.5), (1.0, 1.0), (10.0, 3.0)):
        with pytest.raises(InvalidParameterError, match="product must be below 1"):
            check_parameters(small_network(solver="adamw", alpha=alpha, learning_rate_init=rate))
        check_parameters(small_network(solver="adam", alpha=alpha, learning_rate_init=rate))


def test_decoupled_decay_leaves_something_of_each_weight_where_the_rate_is_largest():
    network = small_network(solver="adamw", alpha=900.0, learning_rate_init=1e-3)
    words = r"multiplies by up to 10, .*product must be below 0\.1; for example alpha=0\.01"
    for settings in {"learning_rate": "one_cycle"}, {"learning_rate": "auto"}:
        with pytest.raises(InvalidParameterError, match=words):
            check_parameters(network.set_params(**settings))
        check_parameters(network.set_params(alpha=99.0))
        network.set_params(alpha=900.0)
    check_parameters(network, begins_cycle=False)  # the end of a stream is not known, so "auto" is constant
    check_parameters(network.set_params(early_stopping=True))


def test_hidden_layers_are_layers_and_no_blocks():
    with pytest.raises(InvalidParameterError, match=r"^hidden_layer_sizes=0 .* a sequence of those with one per hidden layer;"):
        check_parameters(ConvNetClassifier(hidden_layer_sizes=0))


@pytest.mark.parametrize(
    ("parameters", "normalised", "whole", "dropped"),
    [
        ({}, True, "average", 0.4),
        ({"solver": "lbfgs"}, False, "average", 0.0),
        ({"n_filters": 4}, True, None, 0.0),
        ({"n_filters": 4, "global_pooling": "average"}, True, "average", 0.0),
        ({"hidden_layer_sizes": 3}, True, None, 0.0),
        ({"hidden_layer_sizes": []}, True, "average", 0.4),
        ({"global_pooling": "average"}, True, "average", 0.4),
        ({"batch_norm": False, "global_pooling": "max"}, False, "max", 0.0),
        ({"global_pooling": None}, True, None, 0.0),
        ({"dropout": 0.0}, True, "average", 0.0),
        ({"dropout": [0.1, 0.5]}, True, "average", [0.1, 0.5]),
    ],
    ids=repr,
)
def test_what_auto_is(parameters, normalised, whole, dropped):
    network, regressor = ConvNetClassifier(**parameters), ConvNetRegressor(**parameters)
    geometry = plain_geometry(network)
    assert (geometry["batch_norm"], geometry["global_pooling"], plain_dropout(network)) == (normalised, whole, dropped)
    expected = parameters.get("global_pooling")  # numbers often say where something is
    assert plain_geometry(regressor)["global_pooling"] == expected
    assert plain_dropout(regressor) == parameters.get("dropout", 0.0)
