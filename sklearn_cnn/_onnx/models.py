"""From a fitted estimator to an ONNX graph: what comes before the layers, and what after them."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier

from sklearn_cnn._estimator.validation import check_layer
from sklearn_cnn._network.layers import layers_up_to
from sklearn_cnn._network.words import shown
from sklearn_cnn._onnx.graph import ML_DOMAIN, tensor_type
from sklearn_cnn._onnx.layers import write_layers

# Inputs whose digits float32 does not hold are brought to mean zero before they are rounded.
WIDE = "float64", "int32", "uint32", "int64", "uint64"


@dataclass(frozen=True)
class Output:
    """What a model hands out: the name of a value, its type and its shape without the samples.

    `keys` is None for an array. Otherwise there is a dictionary for each sample with these keys.
    """

    value: str
    dtype: np.dtype
    shape: tuple
    keys: np.ndarray | None = None


def own_network(estimator):
    """Return the estimator that holds the network, and the row of its table that a transformer reads, or None."""
    if hasattr(estimator, "_network"):
        network = estimator._network()
        return network, check_layer(network, estimator.layer)[0]
    return estimator, None


def write_estimator(graph, estimator, value, dtype, *, with_scaling=True, zipmap=False, raw_scores=False):
    """Write everything from the input of an estimator to its outputs.

    Parameters
    ----------
    graph : Graph
        What the nodes are added to.
    estimator : ConvNetClassifier, ConvNetRegressor or ConvNetTransformer
        A fitted one.
    value : str
        The input, in any of the shapes that the estimator takes.
    dtype : dtype
        Its type.
    with_scaling : bool, default=True
        Whether the input is scaled.
    zipmap : bool or "columns", default=False
        The form of the probabilities.
    raw_scores : bool, default=False
        Whether the scores of a classifier stand in place of its probabilities.

    Returns
    -------
    outputs : dict of Output
        By the names they usually have.
    """
    estimator, row = own_network(estimator)
    fitted, network, scaling = estimator._checked_network()
    if row is not None:
        network = network.up_to(layers_up_to(network.plan.layers, row))
    value = write_input(graph, value, np.dtype(dtype), network.plan.input_shape, scaling if with_scaling else {"shift": None})
    value, is_flat = write_layers(graph, network, value)
    if row is None and is_classifier(estimator):
        return write_classes(graph, value, fitted, dtype, zipmap, raw_scores)
    if zipmap is not False:
        raise ValueError(f"zipmap={shown(zipmap)} is for classifiers; with a regressor or a transformer leave it out.")
    if row is not None:
        return write_features(graph, value, is_flat, network.plan.n_outputs, dtype)
    return write_targets(graph, value, fitted, dtype)


def write_input(graph, value, dtype, input_shape, scaling):
    """Bring the input to images of float32, scaled, channels first."""
    rows, columns, channels = input_shape
    is_grey = channels == 1  # then channels come first and last at once
    value = graph.reshaped(value, 0, 1, rows, columns) if is_grey else graph.reshaped(value, 0, rows, columns, channels)
    is_wide = dtype.name in WIDE and scaling["shift"] is not None
    if dtype != (np.float64 if is_wide else np.float32):
        value = graph.cast(value, np.float64 if is_wide else np.float32)
    if scaling["shift"] is not None:
        shift = scaling["shift"].astype(np.float64 if is_wide else np.float32)
        value = graph.node("Sub", value, graph.constant(shift, "shift"))
        value = graph.cast(value, np.float32) if is_wide else value
        value = graph.node("Mul", value, graph.constant(scaling["factor"], "factor"))
    return value if is_grey else graph.node("Transpose", value, perm=(0, 3, 1, 2))


def write_classes(graph, scores, fitted, dtype, zipmap, raw_scores):
    """Labels and probabilities, or scores in their place."""
    classes = fitted["classes_"]
    if fitted["is_multilabel"]:
        probabilities = graph.node("Sigmoid", scores)
        label = graph.cast(graph.node("Greater", scores, graph.constant(np.float32(0), "zero")), np.int64)
        labels = Output(label, np.dtype(np.int64), (len(classes),))
    else:
        if len(classes) == 2:
            scores = graph.node("Concat", graph.node("Neg", scores), scores, axis=1)
        probabilities = graph.node("Sigmoid" if len(classes) == 2 else "Softmax", scores)
        names = written_classes(classes)
        codes = graph.node("ArgMax", scores, axis=1, keepdims=0)
        labels = Output(graph.node("Gather", graph.constant(names, "classes"), codes, axis=0), names.dtype, ())
    values = scores if raw_scores else probabilities
    return {"label": labels, **probability_outputs(graph, values, classes, dtype, zipmap)}


def probability_outputs(graph, value, classes, dtype, zipmap):
    """Probabilities as a matrix, as a dictionary for each sample, or class by class."""
    if zipmap is False:
        return {"probabilities": as_float(graph, value, (len(classes),), dtype)}
    if zipmap == "columns":
        letter = "s" if written_classes(classes).dtype.kind == "O" else "i"
        columns = [graph.node("Gather", value, graph.constant(np.int64(i), "column"), axis=1) for i in range(len(classes))]
        names = [f"{letter}{name}" for name in classes.tolist()]
        return {name: as_float(graph, column, (), dtype) for name, column in zip(names, columns, strict=True)}
    keys = written_classes(classes)
    keys = keys if keys.dtype.kind == "O" else keys.astype(np.int64)  # floats are whole numbers where they are classes
    labels = {"classlabels_strings" if keys.dtype.kind == "O" else "classlabels_int64s": keys.tolist()}
    value = graph.node("ZipMap", value, domain=ML_DOMAIN, **labels)
    return {"probabilities": Output(value, np.dtype(np.float32), (), keys)}


def written_classes(classes):
    """Return classes as ONNX keeps them: integers, booleans, floats or strings."""
    kind = classes.dtype.kind
    if kind in "iu":
        if classes.max() > np.iinfo(np.int64).max:
            raise ValueError(
                f"ONNX has no labels like {classes.max()}: its integers end at 2**63 - 1. Fit on smaller integers or on strings "
                "to write the network as ONNX."
            )
        return classes.astype(np.int64)
    if kind in "bf":
        return classes
    names = np.array(classes.tolist(), dtype=object)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"ONNX has no labels like {names[0]!r}: fit on integers or strings to write the network as ONNX.")
    return names


def write_targets(graph, scores, fitted, dtype):
    """Predictions of a regressor, brought back to the scale of the targets in double precision."""
    mean, deviation = fitted["target_mean"], fitted["target_deviation"]
    value = graph.node("Mul", graph.cast(scores, np.float64), graph.constant(deviation, "deviation"))
    value = graph.node("Add", value, graph.constant(mean, "mean"))
    if np.dtype(dtype) != np.float64:
        value = graph.cast(value, np.float32)
    return {"prediction": Output(value, output_type(dtype), (fitted["n_outputs_"],))}


def write_features(graph, value, is_flat, n_outputs, dtype):
    """What a layer hands on, in our order: channels last."""
    if not is_flat:
        value = graph.node("Flatten", graph.node("Transpose", value, perm=(0, 2, 3, 1)), axis=1)
    return {"features": as_float(graph, value, (n_outputs,), dtype)}


def output_type(dtype):
    """Return the type of numbers that a model gives back for inputs of some type."""
    return np.dtype(np.float64 if np.dtype(dtype) == np.float64 else np.float32)


def as_float(graph, value, shape, dtype):
    """Hand out numbers in the type that goes with the input."""
    dtype = output_type(dtype)
    return Output(graph.cast(value, dtype) if dtype == np.float64 else value, dtype, shape)


def described(output, name):
    """Return the description of an output of a model under a name."""
    from onnx import helper

    number = tensor_type(output.dtype)
    if output.keys is None:
        return helper.make_tensor_value_info(name, number, ("n_samples", *output.shape))
    mapping = helper.make_map_type_proto(tensor_type(output.keys.dtype), helper.make_tensor_type_proto(number, []))
    return helper.make_value_info(name, helper.make_sequence_type_proto(mapping))
