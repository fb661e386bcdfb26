"""Initial parameters: random, so that no two filters start alike and learn the same feature."""

import math

import numpy as np

from sklearn_cnn._network.activations import ACTIVATIONS

# Values of zero mean and unit variance are handed on as they are; no random number is drawn.
NORMALISATION_BEGINS = {"gamma": 1.0, "beta": 0.0}


def parameter_bound(activation, kind, fan_in, fan_out):
    """Return the bound of the uniform distribution one block of parameters is drawn from.

    Parameters
    ----------
    activation : {"identity", "logistic", "tanh", "relu"}
        Activation function of the layer.
    kind : {"weights", "bias"}
        What the block holds.
    fan_in, fan_out : int
        Number of inputs of one unit, and of units that one input reaches.

    Returns
    -------
    bound : float
        Parameters are drawn uniformly from ``[-bound, bound)``.

    Examples
    --------
    >>> parameter_bound("relu", "weights", 6, 10)
    1.0
    """
    if kind == "bias":
        # A weight's natural size, so that the kinks of ReLU units lie apart also where there is only one input.
        return 1.0 / math.sqrt(fan_in)
    return ACTIVATIONS[activation].weight_bound(fan_in, fan_out)


def initial_parameters(plan, random_state):
    """Draw the flat parameter vector of a network.

    Parameters
    ----------
    plan : Plan
        Says where each layer's weights and biases lie in the vector.
    random_state : numpy.random.RandomState
        Source of the random numbers; it moves on.

    Returns
    -------
    parameters : ndarray of shape (plan.parameter_size,), dtype float32
        Weights and biases of all layers; what lies between them for alignment is zero. A normalisation begins with gamma 1 and
        beta 0.
    """
    parameters = np.zeros(plan.parameter_size, dtype=np.float32)
    for block in plan.blocks:
        if block.kind in NORMALISATION_BEGINS:
            parameters[block.offset : block.offset + block.shape[0]] = NORMALISATION_BEGINS[block.kind]
            continue
        bound = parameter_bound(plan.layers[block.layer].activation, block.kind, block.fan_in, block.fan_out)
        size = math.prod(block.shape)
        parameters[block.offset : block.offset + size] = random_state.uniform(-bound, bound, size)
    return parameters
