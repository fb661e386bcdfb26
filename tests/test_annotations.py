"""The package says that it is typed: the signatures of its estimators and displays are."""

import inspect

import pytest

from sklearn_cnn import Checkpoint, ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, inspection


def own_methods(kind):
    """The constructor and the public methods that are written in this package; class methods without what they are bound to."""
    for name, method in inspect.getmembers(kind, inspect.isroutine):
        is_public = name == "__init__" or not name.startswith("_")
        function = inspect.unwrap(getattr(method, "__func__", method))
        if is_public and (getattr(function, "__module__", None) or "").startswith("sklearn_cnn."):
            yield pytest.param(function, id=f"{kind.__name__}.{name}")


KINDS = (ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, Checkpoint)
DISPLAYS = tuple(getattr(inspection, name) for name in inspection.__all__)


@pytest.mark.parametrize("method", [method for kind in KINDS + DISPLAYS for method in own_methods(kind)])
def test_signatures_carry_types(method):
    signature = inspect.signature(method)
    _, *parameters = signature.parameters.values()
    assert signature.return_annotation is not inspect.Signature.empty
    assert [parameter.name for parameter in parameters if parameter.annotation is inspect.Parameter.empty] == []
