"""The fitted state of an estimator: one dictionary of arrays and plain Python values.

A fit builds a new dictionary and publishes it with one assignment; a prediction reads it once. Plans and networks are
rebuilt from it on use and never stored, so a pickle holds nothing but data.
"""

import math

import numpy as np

from sklearn_cnn._estimator.parameters import RULES, check_rules
from sklearn_cnn._estimator.state import VALUES, check_entries, check_state, damaged, fitted_plan, is_finite_float32
from sklearn_cnn._estimator.watching import with_record_of_epochs
from sklearn_cnn._kernels import effective_n_threads
from sklearn_cnn._network.layers import ConvolutionBlock, PoolingLayer
from sklearn_cnn._network.network import Network, aligned_copy
from sklearn_cnn._network.settled import settle, show


def refuse_tainted(results, fitted, X):
    """Refuse results that are not finite: the fitted state is not, or values of X are too large for it.

    NaN and infinity do no harm but in results, and to look through a few results is quicker than through all parameters, which
    would take as long as predicting one image.

    Parameters
    ----------
    results : ndarray of shape (n_results, ...)
        What the network has computed.
    fitted : dict
        The fitted state.
    X : ndarray of shape (n_samples, n_features)
        What it was computed from; all values are finite.
    """
    if is_finite_float32(results):
        return
    check_entries(fitted, {name: VALUES[name] for name in ("parameters", "shift", "factor")}, None)
    sound = np.isfinite(results).reshape(len(results), -1).all(axis=1)
    if not sound.all():  # results in double precision may be larger than float32 can hold
        row = min(int(sound.argmin()), len(X) - 1)
        raise ValueError(
            f"X has values that are too large for this network: its results overflow. The largest magnitude in sample {row} is "
            f"{np.abs(X[row].astype(np.float64)).max():g}. Bring X to the scale of the samples of fit; if the value stands for "
            "missing data, fill it, or leave the sample out."
        )


def fitted_network(fitted):
    """Rebuild the fitted network and its input scaling.

    Parameters
    ----------
    fitted : dict
        The fitted state, as `BaseConvNet._check_fitted` returns it.

    Returns
    -------
    network : Network
        Ready to compute scores.
    scaling : dict
        ``shift`` and ``factor``, both None if the input is not scaled.
    """
    network = Network(fitted_plan(fitted), fitted["parameters"], fitted["statistics"])
    return network, {name: fitted[name] for name in ("shift", "factor")}


def n_threads_of(estimator):
    """Return the number of threads that an estimator computes on; `n_jobs` is checked, which nobody may have done before."""
    if estimator.n_jobs is not None and not RULES["n_jobs"].accepts(estimator.n_jobs):
        check_rules(estimator, {"n_jobs": RULES["n_jobs"]})
    return effective_n_threads(estimator.n_jobs)


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
    show(parameters)
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


def restored(fitted, of_target):
    """Bring a fitted state from a file up to date, check it, and put its parameters where the kernels read them fastest.

    Parameters
    ----------
    fitted : object
        What stands in the file. Memory-mapped parameters stay where they are; unpickling puts others anywhere.
    of_target : dict
        `OF_CLASSES` or `OF_NUMBERS` of `state`.

    Returns
    -------
    fitted : dict
        The fitted state.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    fitted = brought_up_to_date(fitted)
    check_state(fitted, of_target)
    if type(fitted["parameters"]) is not np.ndarray:
        return fitted
    parameters = aligned_copy(fitted["parameters"])
    settle(parameters)
    return {**fitted, "parameters": parameters}


def brought_up_to_date(fitted):
    """Add what a fitted state of an earlier version lacks: entries, and one record of epochs."""
    if not isinstance(fitted, dict) or not isinstance(fitted.get("history"), dict):
        return fitted  # which the check says more about
    before = {"statistics": np.zeros(0, dtype=np.float32), "input_moments": None, "is_sparse": False}
    if "t" in fitted:
        before["n_batches_tracked"] = fitted["t"]
    try:
        return with_record_of_epochs({**before, **fitted})
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise damaged("history", "the curves of an earlier version", fitted["history"]) from error


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
