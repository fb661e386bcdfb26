"""The fitted state of an estimator: one dictionary of arrays and plain Python values.

A fit builds a new dictionary and publishes it with one assignment; a prediction reads it once. Plans and networks are
rebuilt from it on use and never stored, so a pickle holds nothing but data.
"""

import math
from dataclasses import fields
from functools import lru_cache

import numpy as np

from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer
from sklearn_cnn._network.network import Network, aligned_copy
from sklearn_cnn._network.plan import build_plan, initial_statistics
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS

LARGEST_FLOAT32 = np.finfo(np.float32).max
FEW_VALUES = 4096  # up to which BLAS does not think of starting threads
LAYER_TYPES = {layer_type.__name__: layer_type for layer_type in (ConvolutionBlock, PoolingLayer, DenseLayer)}


def pack_layers(layers):
    """Describe layers by plain tuples, ``(type name, ((field, value), ...))`` each.

    Parameters
    ----------
    layers : sequence of ConvolutionBlock, PoolingLayer and DenseLayer
        The network.

    Returns
    -------
    records : tuple
        Hashable, and made of nothing but tuples, strings and numbers.
    """
    return tuple(
        (type(layer).__name__, tuple((field.name, getattr(layer, field.name)) for field in fields(layer))) for layer in layers
    )


@lru_cache(maxsize=128)
def plan_from_records(records, input_shape):
    """Rebuild the plan of a network from what `pack_layers` made of its layers.

    Parameters
    ----------
    records : tuple
        Made by `pack_layers`.
    input_shape : tuple of (int, int, int)
        Rows, columns and channels of the input.

    Returns
    -------
    plan : Plan
        The same for equal arguments.
    """
    return build_plan(tuple(LAYER_TYPES[name](**dict(values)) for name, values in records), input_shape)


def is_finite_float32(values):
    """Say whether all values are finite as float32, without a temporary array of their size."""
    if values.size == 0:
        return True
    if values.size <= FEW_VALUES and values.dtype.char in "fd" and np.vdot(values, values) <= LARGEST_FLOAT32:
        return True  # no value is larger than the sum of squares allows: the quickest answer for a single image
    return bool(values.min() >= -LARGEST_FLOAT32 and values.max() <= LARGEST_FLOAT32)  # a NaN makes both comparisons false


def checked_array(fitted, name, shape, dtype=np.float32):
    """Return an array of the fitted state, refusing one that the kernels could not read safely.

    Parameters
    ----------
    fitted : dict
        The fitted state.
    name : str
        Entry to check.
    shape : tuple of int
        What its shape has to be.
    dtype : dtype, default=numpy.float32
        What its type has to be.

    Returns
    -------
    values : ndarray of that shape and dtype
        C-contiguous. Whether its values are finite is `refuse_non_finite`'s question.

    Raises
    ------
    ValueError
        If someone has changed the fitted state to something invalid.
    """
    values, dtype = fitted[name], np.dtype(dtype)
    if not isinstance(values, np.ndarray) or values.dtype != dtype or not values.dtype.isnative or values.shape != shape:
        found = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ValueError(f"The fitted {name} must be {dtype} of shape {shape}, but it is {found}. Fit the estimator again.")
    return values if values.flags.c_contiguous and values.flags.aligned else np.require(values, requirements=["C", "A"])


def refuse_non_finite(fitted, names=("parameters", "shift", "factor")):
    """Refuse a fitted state that someone has put NaN or infinity into."""
    for name in names:
        if fitted[name] is not None and not is_finite_float32(fitted[name]):
            raise ValueError(f"The fitted {name} contain NaN or infinity. Fit the estimator again.")


def refuse_tainted(results, fitted):
    """Refuse results that are not finite because the fitted state is not.

    NaN and infinity do no harm but in results, and to look through a few results is quicker than through all parameters, which
    would take as long as predicting one image.
    """
    if not is_finite_float32(results):
        refuse_non_finite(fitted)


def fitted_plan(fitted):
    """Return the plan of the fitted network; refuse layers that are none, and a number of features that is not theirs."""
    try:
        plan = plan_from_records(fitted["layers"], fitted["input_shape_"])
    except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
        raise ValueError("The fitted layers are not what fit has stored. Fit the estimator again.") from error
    if (fitted["n_features_in_"], fitted["n_outputs_"]) != (plan.n_inputs, plan.n_outputs):
        raise ValueError(
            f"The fitted layers have {plan.n_inputs} inputs and {plan.n_outputs} outputs, but n_features_in_ is "
            f"{fitted['n_features_in_']!r} and n_outputs_ {fitted['n_outputs_']!r}. Fit the estimator again."
        )
    return plan


def number_type(solver):
    """Return the type of the numbers that a solver computes with and that the fitted network then has."""
    return np.float64 if solver in FULL_BATCH_SOLVERS else np.float32


def fitted_network(fitted):
    """Rebuild the fitted network and its input scaling.

    Parameters
    ----------
    fitted : dict
        The fitted state.

    Returns
    -------
    network : Network
        Ready to compute scores.
    scaling : dict
        ``shift`` and ``factor``, both None if the input is not scaled.

    Raises
    ------
    ValueError
        If someone has changed the fitted state to something invalid.
    """
    plan, dtype = fitted_plan(fitted), number_type(fitted.get("solver"))
    parameters = checked_array(fitted, "parameters", (plan.parameter_size,), dtype)
    network = Network(plan, parameters, fitted_statistics(fitted, plan))
    return network, fitted_scaling(fitted, plan)


def fitted_statistics(fitted, plan):
    """Return the running means and variances of the normalised layers; refuse what does not fit the plan.

    They are few, and infinite ones would not show in the results: so here all are looked at.
    """
    dtype = number_type(fitted.get("solver"))
    if plan.statistics_size == 0 and "statistics" not in fitted:  # written before there was batch normalisation
        return initial_statistics(plan, dtype)
    statistics = checked_array(fitted, "statistics", (plan.statistics_size,), dtype)
    refuse_non_finite(fitted, ("statistics",))
    for _, _, variances_at, n_filters in plan.statistics:
        if statistics[variances_at : variances_at + n_filters].min() < 0:
            raise ValueError("The fitted statistics contain a negative variance. Fit the estimator again.")
    return statistics


def fitted_scaling(fitted, plan):
    """Return ``shift`` and ``factor`` of the input, both None if it is not scaled; refuse what does not fit the plan."""
    if fitted["shift"] is None and fitted["factor"] is None:
        return {"shift": None, "factor": None}
    return {name: checked_array(fitted, name, (plan.input_shape[2],)) for name in ("shift", "factor")}


def fitted_moments(fitted, plan):
    """Return the moments of the input that the scaling follows from, or None; refuse what does not fit the plan.

    They are None where nothing is scaled, and in the state of a version that did not keep them.
    """
    moments = fitted.get("input_moments")
    if moments is None:
        return None
    if not isinstance(moments, tuple) or len(moments) != 3 or not isinstance(moments[0], float):
        raise ValueError("The fitted input_moments must be a float and two arrays. Fit the estimator again.")
    mass, named = moments[0], dict(zip(("mean of the input", "spread of the input"), moments[1:], strict=True))
    mean, spread = (checked_array(named, name, (plan.input_shape[2],), np.float64) for name in named)
    if not (0 < mass < math.inf and np.isfinite(mean).all() and (spread >= 0).all() and np.isfinite(spread).all()):
        raise ValueError("The fitted input_moments are no moments. Fit the estimator again.")
    return moments


def fitted_target_scaling(fitted):
    """Return mean and deviation of the targets of a regressor; refuse what does not fit its outputs."""
    names = ("target_mean", "target_deviation")
    mean, deviation = (checked_array(fitted, name, (fitted["n_outputs_"],), np.float64) for name in names)
    refuse_non_finite(fitted, names)
    if deviation.min() <= 0:
        raise ValueError("The fitted target_deviation must be positive. Fit the estimator again.")
    return mean, deviation


def fitted_solver(fitted, plan):
    """Return everything of the fitted state that an update depends on; refuse what does not fit the plan."""
    names = ("parameters", "first_moment", "second_moment")
    dtype = number_type(fitted["solver"])
    arrays = {name: checked_array(fitted, name, (plan.parameter_size,), dtype) for name in names}
    refuse_non_finite(fitted, (*names, "shift", "factor"))
    arrays["statistics"] = fitted_statistics(fitted, plan)
    if not isinstance(fitted["t"], int) or fitted["t"] < 0:
        raise ValueError(f"The fitted t must be the number of updates, but it is {fitted['t']!r}. Fit the estimator again.")
    return {**arrays, "t": fitted["t"]}


def parameter_views(fitted, kind):
    """Cut the parameter vector of the fitted network into one view per layer.

    Parameters
    ----------
    fitted : dict
        The fitted state.
    kind : {"weights", "bias"}
        Which parameters.

    Returns
    -------
    views : list of ndarray
        They share their memory with the model. A layer whose bias batch normalisation takes away has one of no numbers.
    """
    plan, parameters = fitted_plan(fitted), fitted["parameters"]
    return [
        parameters[block.offset : block.offset + math.prod(block.shape)].reshape(block.shape)
        for block in plan.blocks
        if block.kind == kind
    ]


def kernel_views(fitted):
    """View the weights of each convolution block as kernels, in the order of axes that PyTorch and ONNX use.

    Parameters
    ----------
    fitted : dict
        The fitted state.

    Returns
    -------
    kernels : list of ndarray
        Of shape (n_filters, channels, kernel rows, kernel columns), with (rows, columns) of the output in front where the
        block is locally connected. They share their memory with the model.
    """
    layers = [layer for layer in fitted_plan(fitted).layers if not isinstance(layer, PoolingLayer)]
    return [
        np.moveaxis(weights, (-1, -2), (-4, -3))
        for layer, weights in zip(layers, parameter_views(fitted, "weights"), strict=True)
        if isinstance(layer, ConvolutionBlock)
    ]


def realigned(fitted):
    """Put the parameters on a cache line, where the kernels read them fastest; unpickling puts them anywhere.

    Parameters
    ----------
    fitted : dict
        The fitted state as it was unpickled. Memory-mapped parameters stay where they are.

    Returns
    -------
    fitted : dict
        The same values.
    """
    parameters = fitted.get("parameters")
    if type(parameters) is not np.ndarray or parameters.ndim != 1:
        return fitted
    return {**fitted, "parameters": aligned_copy(parameters)}


def pack_random_state(random_state):
    """Describe the state of a ``RandomState`` by an array and plain numbers."""
    algorithm, keys, position, has_gauss, cached_gaussian = random_state.get_state()
    return {
        "algorithm": algorithm,
        "keys": keys,
        "position": int(position),
        "has_gauss": int(has_gauss),
        "cached_gaussian": float(cached_gaussian),
    }


def unpack_random_state(packed):
    """Build the ``RandomState`` that `pack_random_state` has described."""
    random_state = np.random.RandomState()
    random_state.set_state(tuple(packed[key] for key in ("algorithm", "keys", "position", "has_gauss", "cached_gaussian")))
    return random_state
