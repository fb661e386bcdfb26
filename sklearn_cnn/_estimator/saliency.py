"""What a score depends on: its gradient with respect to an image, and the maps of a block weighted by it."""

import numpy as np

from sklearn_cnn._estimator.fitted import n_threads_of, refuse_tainted
from sklearn_cnn._estimator.validation import check_map
from sklearn_cnn._network.layers import layers_after_map, layers_of_map


def score_gradient(estimator, X, direction, noise, n_samples, random_state):
    """Compute the gradient of a score with respect to an image, averaged over noisy copies of it (SmoothGrad).

    Parameters
    ----------
    estimator : BaseConvNet
        Fitted.
    X : ndarray of shape (1, n_features)
        The image, checked.
    direction : ndarray of shape (n_outputs,)
        The score is the product of the network's outputs and this.
    noise : float
        Standard deviation of the noise, as a share of the range of the image.
    n_samples : int
        Number of noisy copies.
    random_state : RandomState
        Draws the noise.

    Returns
    -------
    gradient : ndarray of shape (rows, columns, channels), dtype float32
        Per unit of `X`.
    """
    fitted, network, scaling = estimator._checked_network()
    shape = network.plan.input_shape
    image = X.reshape(shape).astype(np.float64)
    deviation = noise * (image.max() - image.min())
    copies = image + deviation * random_state.standard_normal((n_samples, *shape)) if deviation > 0 else image[None]
    shift, factor = (0.0, 1.0) if scaling["shift"] is None else (scaling["shift"], scaling["factor"])
    inputs = ((copies - shift) * factor).reshape(len(copies), -1)
    gradients = network.input_gradients(inputs.astype(network.dtype), direction, n_threads=n_threads_of(estimator))
    refuse_tainted(gradients, fitted, X)
    return gradients.mean(axis=0).reshape(shape) * np.asarray(factor, dtype=network.dtype)


def class_activation_map(estimator, X, direction, block):
    """Add up the maps of a block, each weighted by the mean gradient of a score with respect to it (Grad-CAM).

    Parameters
    ----------
    estimator, X, direction
        As above.
    block : int
        Number of the block; negative ones count from the end.

    Returns
    -------
    activation : ndarray of shape (rows, columns), dtype float32
        Of the size of the block's map, before pooling; what speaks against the score is zero.
    block : int
        Number of the block, counted from 0.
    """
    fitted, network, _ = estimator._checked_network()
    block = check_map(network.plan, block, "conv")
    maps = estimator.feature_maps(X, block)
    first = network.up_to(layers_of_map(network.plan.layers, block, "conv"))
    rest = network.after(first, layers_after_map(network.plan.layers, block))
    n_threads = n_threads_of(estimator)
    gradients = rest.input_gradients(maps.reshape(1, -1), direction, n_threads=n_threads).reshape(maps.shape)
    refuse_tainted(gradients, fitted, X)
    weights = gradients.mean(axis=(1, 2))
    return np.maximum((maps * weights[:, None, None]).sum(axis=-1)[0], 0), block
