"""A graph in the making: nodes and constants, whoever will put them into a model."""

from itertools import count

import numpy as np

ML_DOMAIN = "ai.onnx.ml"


def require_onnx(caller):
    """Return the package ``onnx``; say how to get it where it is missing."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(f"{caller} needs the package onnx. Install it with  pip install 'sklearn_cnn[onnx]'.") from error
    return onnx


def numbered():
    """Return a function that makes names which nobody else has."""
    numbers = count()
    return lambda name: f"{name}_{next(numbers)}"


class Graph:
    """Nodes and constants. A value is known by its name.

    Parameters
    ----------
    unique : callable, default=None
        Makes a name that is not taken yet out of a plain one; None numbers them.
    """

    def __init__(self, unique=None):
        self.unique = numbered() if unique is None else unique
        self.nodes: list[tuple[str, list, str, str, dict]] = []  # type, inputs, output, domain, attributes
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, values, name="constant"):
        """Add an array; returns its name."""
        name = self.unique(name)
        self.constants[name] = np.asarray(values, order="C")
        return name

    def node(self, kind, *inputs, domain="", **attributes):
        """Add a node; returns the name of its output."""
        output = self.unique(kind.lower())
        self.nodes.append((kind, list(inputs), output, domain, attributes))
        return output

    def rename(self, value, name):
        """Give the output of a node another name."""
        for number, (kind, inputs, output, domain, attributes) in enumerate(self.nodes):
            inputs = [name if entry == value else entry for entry in inputs]
            self.nodes[number] = (kind, inputs, name if output == value else output, domain, attributes)

    def reshaped(self, value, *shape):
        """Add a Reshape; 0 keeps the number of samples."""
        return self.node("Reshape", value, self.constant(np.array(shape, dtype=np.int64), "shape"))

    def cast(self, value, dtype):
        """Add a Cast to a NumPy type."""
        return self.node("Cast", value, to=tensor_type(dtype))

    def tensors(self):
        """Return the constants as ONNX keeps them."""
        from onnx import numpy_helper

        return [numpy_helper.from_array(values, name) for name, values in self.constants.items()]


def tensor_type(dtype):
    """Return what ONNX calls a NumPy type."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
