"""What ``skl2onnx`` looks for in an estimator that it does not know."""

from collections.abc import Callable

import numpy as np

from sklearn_cnn._onnx.graph import Graph
from sklearn_cnn._onnx.models import write_estimator

#: What a converter of a classifier may be asked for; others of ``skl2onnx`` ask for raw scores where they need them.
OPTIONS = {"zipmap": [True, False, "columns"], "raw_scores": [True, False]}
OLDEST_OPSET = 13  # from then on the operators mean what they mean here


class OnnxSupport:
    """Lets ``skl2onnx`` convert an estimator wherever it stands, with options of its own classifiers."""

    def onnx_parser(self) -> Callable:
        """Return the function that names the outputs, as ``skl2onnx`` asks for it first of all.

        From then on ``skl2onnx`` knows the class: it has no other way to learn of options and of what a search has found.
        """
        from skl2onnx import update_registered_converter

        options = OPTIONS if hasattr(self, "predict_proba") else None
        alias = f"SklearnCnn{type(self).__name__}"
        update_registered_converter(type(self), alias, keep_shapes, convert, parser=parse, options=options)
        return lambda scope, inputs: declare_outputs(scope, self, inputs)

    def onnx_shape_calculator(self) -> Callable:
        """Return the function that says what the outputs are."""
        return keep_shapes

    def onnx_converter(self) -> Callable:
        """Return the function that writes the nodes."""
        return convert


def keep_shapes(operator):
    """Change nothing: the outputs were declared with their types and shapes."""


def parse(scope, model, inputs, custom_parsers=None):
    """Declare the operator of an estimator and its outputs."""
    operator = scope.declare_local_operator(f"SklearnCnn{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.extend(declare_outputs(scope, model, inputs))
    return operator.outputs


def declare_outputs(scope, model, inputs):
    """Declare the outputs of an estimator under the names that ``skl2onnx`` gives to them."""
    zipmap = hasattr(model, "predict_proba") and scope.get_options(model, {"zipmap": True})["zipmap"]
    outputs = write_estimator(Graph(), model, "X", input_type(inputs), zipmap=zipmap)
    names = {"prediction": "variable", "features": "variable"}
    if zipmap:
        names |= {"label": "output_label", "probabilities": "output_probability"}
    return [scope.declare_local_variable(names.get(name, name), declared_type(output)) for name, output in outputs.items()]


def input_type(inputs):
    """Return the NumPy type of the only input."""
    from skl2onnx.common.data_types import UInt8TensorType, guess_numpy_type

    if len(inputs) != 1:
        names = ", ".join(entry.raw_name for entry in inputs)
        raise ValueError(
            f"A convolutional network has one input, but {len(inputs)} are declared: {names}. "
            "Declare one matrix with all features, such as initial_types=[('X', FloatTensorType([None, n_features]))]."
        )
    if isinstance(inputs[0].type, UInt8TensorType):  # which skl2onnx itself does not know here
        return np.dtype(np.uint8)
    return np.dtype(guess_numpy_type(inputs[0].type))


def declared_type(output):
    """Return what ``skl2onnx`` calls the type of an output."""
    from skl2onnx.common import data_types

    tensors = {
        "bool": data_types.BooleanTensorType,
        "int64": data_types.Int64TensorType,
        "float32": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "object": data_types.StringTensorType,
    }
    if output.keys is None:
        return tensors[output.dtype.name]([None, *output.shape])
    key = tensors[output.keys.dtype.name]([None])
    return data_types.SequenceType(data_types.DictionaryType(key, data_types.FloatTensorType()))


def declared_zipmap(outputs):
    """Tell from the outputs in which form the probabilities are wanted; not everybody declares them as we do."""
    if len(outputs) < 2:
        return False
    shape = getattr(outputs[1].type, "shape", None)
    return True if shape is None else "columns" if len(shape) == 1 else False


def convert(scope, operator, container):
    """Write the nodes of an estimator into a container of ``skl2onnx``."""
    if container.target_opset < OLDEST_OPSET:
        raise ValueError(f"target_opset={container.target_opset} is too old: convolutional networks need {OLDEST_OPSET} or more.")
    graph = Graph(scope.get_unique_variable_name)
    options = container.get_options(operator.raw_operator, {"raw_scores": False}, fail=False) or {}
    outputs = write_estimator(
        graph, operator.raw_operator, operator.inputs[0].full_name, input_type(operator.inputs),
        zipmap=declared_zipmap(operator.outputs), raw_scores=options.get("raw_scores", False),
    )  # fmt: skip
    for output, declared in zip(outputs.values(), operator.outputs, strict=True):
        graph.rename(output.value, declared.full_name)
    container.initializers.extend(graph.tensors())
    for kind, inputs, output, domain, attributes in graph.nodes:
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, [output], op_domain=domain, name=name, **attributes)
