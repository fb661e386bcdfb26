"""The public attributes of a fitted estimator: said once, read from the fitted state, and not to be covered."""

import re

import numpy as np
import pytest
from images import bars, small_network

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.attributes import fitted_names

# Where X has no names, there are none to keep.
NOT_ALWAYS = {"feature_names_in_"}


def documented_attributes(estimator_class):
    """The names in the section "Attributes" of a class's docstring; several may share an entry."""
    section = re.search(r"\nAttributes\n-+\n(.*?)\n\n\w", estimator_class.__doc__, re.DOTALL).group(1)
    return {name for line in re.findall(r"^(\w.*?) : ", section, re.MULTILINE) for name in line.split(", ")}


@pytest.mark.parametrize("estimator_class", [ConvNetClassifier, ConvNetRegressor])
def test_what_is_learnt_is_what_is_documented(estimator_class):
    X, y = bars()
    network = estimator_class(max_iter=2).fit(X, y)
    assert set(fitted_names(network)) | NOT_ALWAYS == documented_attributes(estimator_class)


def test_every_attribute_can_be_read_and_is_listed():
    X, y = bars()
    network = small_network().fit(X, y)
    assert set(fitted_names(network)) <= set(dir(network))
    assert all(hasattr(network, name) for name in fitted_names(network))
    assert not set(fitted_names(network)) & set(dir(small_network()))


def test_attributes_that_do_not_exist():
    X, y = bars()
    with pytest.raises(AttributeError, match="has no attribute 'classes_' before it is fitted"):
        small_network().classes_  # noqa: B018 (the attribute is what is tested)
    network = small_network().fit(X, y)
    for name in ("feature_names_in_", "nonsense_", "parameters", "_nothing"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'\\."):
            getattr(network, name)


@pytest.mark.parametrize("name", ["classes_", "n_features_in_", "coefs_", "layer_table_"])
def test_what_is_learnt_cannot_be_assigned(name):
    X, y = bars()
    network = small_network().fit(X, y)
    before = network.predict_proba(X)
    with pytest.raises(AttributeError, match=f"{name} is part of what this ConvNetClassifier has learnt"):
        setattr(network, name, np.zeros(3))
    assert name not in vars(network)
    np.testing.assert_array_equal(network.predict_proba(X), before)


def test_other_attributes_can_be_assigned():
    X, y = bars()
    network = small_network().fit(X, y)
    network.note_ = "seen by a person"
    assert network.note_ == "seen by a person"
    assert network.set_params(max_iter=3).max_iter == 3
