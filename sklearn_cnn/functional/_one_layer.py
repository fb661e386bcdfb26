"""A network of one layer: the way from arrays to the compiled kernels and back."""

import math

import numpy as np

from sklearn_cnn._kernels import effective_n_threads
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn.functional._arguments import check_shape


def run_forward(layer, X, weights=None, bias=None):
    """Return the outputs (n, rows, columns, channels) of one layer.

    Parameters
    ----------
    layer : ConvolutionBlock or PoolingLayer

    X : ndarray of shape (n, rows, columns, channels)
        float32 or float64, C-contiguous.

    weights, bias : ndarray or None
        As `ParameterBlock` lays them out; None is zero.
    """
    plan = build_plan((layer,), X.shape[1:])
    network = Network(plan, _parameters(plan, X.dtype, weights, bias))
    scores = network.scores(X.reshape(len(X), plan.n_inputs), n_threads=effective_n_threads())
    return scores.reshape(len(X), *plan.output_shapes[0])


def run_backward(layer, d_out, X, weights=None):
    """Return the gradients of the images, the weights and the bias (the last two None for pooling) of one layer.

    Parameters
    ----------
    layer, X, weights
        As in `run_forward`.

    d_out : ndarray of shape (n, rows, columns, channels)
        Gradient of what `run_forward` returns.
    """
    plan = build_plan((layer,), X.shape[1:], True)
    check_shape("d_out", d_out, (len(X), *plan.output_shapes[0]), "to match the outputs for this X")
    network = Network(plan, _parameters(plan, X.dtype, weights, None))
    d_X, d_parameters = network.gradients(
        X.reshape(len(X), plan.n_inputs), d_out.reshape(len(X), plan.n_outputs), n_threads=effective_n_threads()
    )
    gradients = Network(plan, d_parameters)
    if not plan.blocks:
        return d_X.reshape(X.shape), None, None
    return d_X.reshape(X.shape), gradients.weights(0), gradients.bias(0)


def _parameters(plan, dtype, weights, bias):
    parameters = np.zeros(plan.parameter_size, dtype=dtype)
    for block, values in zip(plan.blocks, (weights, bias), strict=False):
        if values is not None:
            parameters[block.offset : block.offset + math.prod(block.shape)] = values.ravel()
    return parameters
