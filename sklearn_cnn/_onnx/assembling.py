"""From the steps of a network that was read to a fitted estimator."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_cnn._estimator.fitting import Problem, Target, fit_network
from sklearn_cnn._estimator.labels import describe_classes
from sklearn_cnn._estimator.state import fitted_plan
from sklearn_cnn._network.layers import PoolingLayer
from sklearn_cnn._network.network import aligned_copy
from sklearn_cnn._network.settled import settle
from sklearn_cnn._network.words import shown
from sklearn_cnn._onnx.layers import EPSILON
from sklearn_cnn._onnx.nodes import refusal

FOLLOWERS = ("normalisation", "activation", "pooling")


@dataclass
class Layer:
    """A convolution or dense layer, and what follows it up to the next: a normalisation, an activation, a pooling, or None."""

    linear: Any
    normalisation: Any = None
    activation: Any = None
    pooling: Any = None
    order: tuple = ()


def grouped(steps):
    """Put steps together to layers.

    Parameters
    ----------
    steps : list of Step
        In their order.

    Returns
    -------
    blocks, dense : list of Layer
        Convolution blocks, then dense layers.
    global_pooling : str or None
        What stands before the dense layers.
    """
    layers: list[Layer] = []
    global_pooling = None
    for step in steps:
        is_block = bool(layers) and layers[-1].linear.kind == "convolution"
        if step.kind in ("convolution", "dense"):
            if step.kind == "convolution" and (global_pooling is not None or (layers and not is_block)):
                raise refusal(step.node, "blocks of convolution come first, then pooling of whole maps, then dense layers")
            layers.append(Layer(step))
        elif step.kind == "global pooling" and (is_block or not layers) and global_pooling is None:
            global_pooling = step.name
        elif not layers or (is_block and global_pooling) or step.kind not in FOLLOWERS or step.kind in layers[-1].order:
            raise refusal(step.node, "it follows neither a convolution nor a dense layer, or another of its kind")
        else:
            setattr(layers[-1], step.kind, step)
            layers[-1].order += (step.kind,)
    dense = [layer for layer in layers if layer.linear.kind == "dense"]
    return [layer for layer in layers if layer.linear.kind == "convolution"], dense, global_pooling


def refuse_other_orders(layer):
    """Refuse what would not be the same in the order of a block: convolution, normalisation, activation, pooling.

    The maximum may come before the activation, which grows with its input, and before the normalisation (`with_maximum_first`).
    """
    order = [kind for kind in layer.order if kind != "pooling" or layer.pooling.name == "average"]
    if order != sorted(order, key=FOLLOWERS.index):
        raise refusal(getattr(layer, order[-1]).node, f"the order {', '.join(layer.order)} is not that of a block")


def with_maximum_first(layer):
    """Turn filters round whose gamma is negative, where the maximum follows the normalisation and ours comes before it."""
    is_last = layer.order.index("normalisation") < layer.order.index("pooling") if layer.pooling else False
    if not is_last or layer.pooling.name == "average":
        return
    sign = np.where(layer.normalisation.arrays["gamma"] < 0, -1.0, 1.0)
    for arrays, names in (layer.linear.arrays, ("weights", "bias")), (layer.normalisation.arrays, ("gamma", "mean")):
        for name in names:
            arrays[name] = arrays[name] * sign


def fold(layer):
    """Put a normalisation into the weights before it."""
    arrays, node = layer.normalisation.arrays, layer.normalisation.node
    factor = arrays["gamma"] / np.sqrt(arrays["variance"])
    if "pooling" in layer.order[: layer.order.index("normalisation")] and (factor < 0).any():
        raise refusal(node, "it has a negative scale after a maximum, and not every layer of the network is normalised")
    linear = layer.linear.arrays
    linear["weights"] = linear["weights"] * factor
    linear["bias"] = (linear["bias"] - arrays["mean"]) * factor + arrays["beta"]
    layer.normalisation = None


def common_activation(layers):
    """Return the one activation of blocks and hidden layers."""
    names = [layer.activation.name if layer.activation else "identity" for layer in layers]
    for layer, name in zip(layers, names, strict=True):
        if name != names[0]:
            node = (layer.activation or layer.linear).node
            raise refusal(node, f"the activation is {name!r} here and {names[0]!r} in the first layer; a network has only one")
    return names[0] if names else "relu"


def settings_of(blocks, hidden, global_pooling, reader, normalises):
    """Return the parameters of an estimator that has this network."""
    rows, columns, channels = reader.input_shape
    settings = {
        "n_filters": [layer.linear.arrays["weights"].shape[3] for layer in blocks],
        "hidden_layer_sizes": [layer.linear.arrays["weights"].shape[1] for layer in hidden],
        "activation": common_activation([*blocks, *hidden]),
        "global_pooling": global_pooling,
        "batch_norm": normalises,
        "input_shape": (rows, columns) if channels == 1 else (rows, columns, channels),
        "scale_input": bool((reader.shift != 0).any() or (reader.factor != 1).any()),
    }
    if blocks:
        for name in ("kernel_size", "stride", "padding", "padding_mode"):
            settings[name] = [layer.linear.geometry[name] for layer in blocks]
        settings["pooling"] = [layer.pooling.name if layer.pooling else None for layer in blocks]
        for name in ("pool_size", "pool_stride"):
            settings[name] = [layer.pooling.geometry[name] if layer.pooling else (1, 1) for layer in blocks]
    return settings


def target_of(reader, output, classes):
    """Say what is predicted, and bring the output layer to one score for two classes.

    Parameters
    ----------
    reader : Reader
        Knows what follows the scores.
    output : Layer
        The last dense layer.
    classes : ndarray or None
        Labels in the order of the outputs.

    Returns
    -------
    attributes : dict
        What a target says of a fitted estimator.
    """
    arrays, n_outputs = output.linear.arrays, output.linear.arrays["bias"].size
    is_logistic = output.activation is not None
    if is_logistic and output.activation.name != "logistic":
        raise refusal(output.activation.node, "after the last layer there may be Softmax, Sigmoid or nothing")
    if not is_logistic and not reader.ending and classes is None:
        mean, deviation = (np.zeros(1), np.ones(1)) if reader.deviation is None else (reader.mean, reader.deviation)
        if (deviation <= 0).any():
            raise refusal(output.linear.node, "its scores are multiplied by numbers that are not positive")
        scaled = {"target_mean": mean, "target_deviation": deviation}
        scaled = {name: np.broadcast_to(values, n_outputs).astype(np.float64) for name, values in scaled.items()}
        return {"n_outputs_": n_outputs, "out_activation_": "identity", **scaled}
    if reader.deviation is not None:
        raise refusal(output.linear.node, "its scores are scaled, which those of classes are not")
    if reader.ending == "two classes" and not is_logistic:
        raise refusal(output.linear.node, "its score and the negative of it, put together, have to go through Sigmoid")
    is_multilabel = is_logistic and n_outputs > 1 and reader.ending != "two classes"
    n_classes = 2 if n_outputs == 1 and is_logistic else n_outputs
    given = reader.classes if classes is None else np.asarray(classes)
    given = np.arange(n_classes) if given is None else given
    if given.shape != (n_classes,) or len(set(given.tolist())) != n_classes:
        what = f"classes={shown(classes)}" if classes is not None else f"The constant of the model's labels, {shown(given)},"
        raise ValueError(f"{what} has to name each of the {n_classes} classes of the model once, in their order.")
    order = np.argsort(given)
    if is_multilabel:
        if classes is not None:
            raise ValueError(
                f"classes={shown(classes)} is for exclusive classes, but the model has {n_classes} independent labels."
            )
    elif n_outputs == 2:
        arrays.update({name: arrays[name][..., order[1:]] - arrays[name][..., order[:1]] for name in ("weights", "bias")})
    elif n_outputs == 1:
        arrays.update({name: arrays[name] if order[0] == 0 else -arrays[name] for name in ("weights", "bias")})
    else:
        arrays.update({name: arrays[name][..., order] for name in ("weights", "bias")})
    return describe_classes(np.sort(given), is_multilabel, False)


def assemble(reader, classes, estimators):
    """Build the fitted estimator of a network that was read.

    Parameters
    ----------
    reader : Reader
        At its end.
    classes : ndarray or None
        Labels in the order of the outputs.
    estimators : dict
        The classes of estimators, by "classifier" and "regressor".

    Returns
    -------
    estimator : ConvNetClassifier or ConvNetRegressor
        As after a fit of no epochs.
    """
    blocks, dense, global_pooling = grouped(reader.steps)
    if not dense:
        raise ValueError("The model has no dense layer at its end (Gemm, or MatMul and Add), which every network here has.")
    *hidden, output = dense
    for layer in (*blocks, *dense):
        refuse_other_orders(layer)
    inner = [*blocks, *hidden]
    normalises = bool(inner) and all(layer.normalisation for layer in inner) and output.normalisation is None
    for layer in (*inner, output):
        if normalises and layer.normalisation:
            with_maximum_first(layer)
        elif layer.normalisation:
            fold(layer)
    settings = settings_of(blocks, hidden, global_pooling, reader, normalises)
    attributes = target_of(reader, output, classes)
    kind = "regressor" if attributes["out_activation_"] == "identity" else "classifier"
    estimator = estimators[kind](**settings)
    estimator._fitted = fitted_state(estimator, reader, attributes, [*inner, output])
    settle(estimator._fitted["parameters"])
    return estimator


def fitted_state(estimator, reader, attributes, layers):
    """Return what a fit of no epochs would, with the parameters of the layers."""
    n_features, n_outputs = math.prod(reader.input_shape), attributes["n_outputs_"]
    target = Target(np.zeros((1, n_outputs)), None, None, attributes, np.zeros(1))
    features = {"n_features_in_": n_features}
    problem = Problem(np.zeros((1, n_features)), target, None, None, np.arange(1), reader.input_shape, features)
    fitted = fit_network(estimator, problem, None, None, n_epochs=0, stops_early=False, begins_cycle=True)
    scaling = {"shift": reader.shift, "factor": reader.factor} if estimator.scale_input else {}
    scaling = {name: values.astype(np.float32) for name, values in scaling.items()}
    parameters, statistics = written_parameters(fitted_plan(fitted), layers)
    # without moments of the input its scaling stays what it is when training goes on
    return {**fitted, **attributes, **scaling, "input_moments": None, "parameters": parameters, "statistics": statistics}


def written_parameters(plan, layers):
    """Return the flat parameters and running moments of layers, as the kernels have them."""
    parameters, statistics = np.zeros(plan.parameter_size, np.float32), np.zeros(plan.statistics_size, np.float32)
    numbers = [number for number, layer in enumerate(plan.layers) if not isinstance(layer, PoolingLayer)]
    sources = dict(zip(numbers, layers, strict=True))
    for layer, means_at, variances_at, n_filters in plan.statistics:
        linear, arrays = sources[layer].linear.arrays, sources[layer].normalisation.arrays
        variance = np.maximum(arrays["variance"] - EPSILON, 0.0)  # theirs holds an epsilon of its own
        arrays["gamma"] = arrays["gamma"] * np.sqrt((variance + EPSILON) / arrays["variance"])
        statistics[means_at : means_at + n_filters] = arrays["mean"] - linear.pop("bias")
        statistics[variances_at : variances_at + n_filters] = variance
    for block in plan.blocks:
        source = sources[block.layer]
        arrays = source.linear.arrays if source.normalisation is None else source.linear.arrays | source.normalisation.arrays
        size = math.prod(block.shape)
        if size > 0:
            parameters[block.offset : block.offset + size] = arrays[block.kind].ravel()
    return aligned_copy(parameters), statistics
