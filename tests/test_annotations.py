"""The package says that it is typed: the signatures of its estimators are."""

import inspect

import pytest

from sklearn_cnn import Checkpoint, ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation


def own_methods(kind):
    """The constructor and the public methods that are written in this package."""
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and inspect.unwrap(method).__module__.startswith("sklearn_cnn."):
            yield pytest.param(inspect.unwrap(method), id=f"{kind.__name__}.{name}")


KINDS = (ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, Checkpoint)


@pytest.mark.parametrize("method", [method for kind in KINDS for method in own_methods(kind)])
def test_signatures_carry_types(method):
    signature = inspect.signature(method)
    _, *parameters = signature.parameters.values()
    assert signature.return_annotation is not inspect.Signature.empty
    assert [parameter.name for parameter in parameters if parameter.annotation is inspect.Parameter.empty] == []
