"""The activations: what the kernels and ONNX call them, and how the weights before them begin.

Their arithmetic, forward and backward, stands in ``_kernels/pointwise.pxi``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sklearn_cnn import _kernels

_kernel_names = _kernels.kernels()


@dataclass(frozen=True)
class Activation:
    """One activation.

    Parameters
    ----------
    kernel_name : int
        Its value in the `Layer` record.
    weight_bound : callable
        ``weight_bound(fan_in, fan_out)`` is the bound of the uniform distribution that the weights of a layer are drawn from.
    onnx : str or None
        The ONNX operator; None is none.
    """

    kernel_name: int
    weight_bound: Callable[[int, int], float]
    onnx: str | None


def glorot_bound(gain):
    """Return the rule of Glorot & Bengio (2010), eq. 16, with the square of their factor in place of 6."""
    return lambda fan_in, fan_out: math.sqrt(gain / (fan_in + fan_out))


def he_bound(fan_in, fan_out):
    """Return the bound of He et al. (2015), eq. 10: ReLU halves the variance of what passes it, and gets it back from here."""
    return math.sqrt(6.0 / fan_in)


#: Name -> activation. The factor of the logistic function is smaller, as in MLPClassifier.
ACTIVATIONS = {
    "identity": Activation(_kernel_names.IDENTITY, glorot_bound(6.0), None),
    "relu": Activation(_kernel_names.RELU, he_bound, "Relu"),
    "logistic": Activation(_kernel_names.LOGISTIC, glorot_bound(2.0), "Sigmoid"),
    "tanh": Activation(_kernel_names.TANH, glorot_bound(6.0), "Tanh"),
}
