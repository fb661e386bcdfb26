"""Networks in the Open Neural Network Exchange format (ONNX), for runtimes that know nothing of Python.

It needs the package ``onnx`` (``pip install 'sklearn_cnn[onnx]'``). Networks inside a `Pipeline` are written by `skl2onnx`, which
finds in the estimators what it needs; nothing has to be registered.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import BaseEstimator

from sklearn_cnn._classifier import ConvNetClassifier
from sklearn_cnn._network.words import shown
from sklearn_cnn._onnx.assembling import assemble
from sklearn_cnn._onnx.graph import ML_DOMAIN, Graph, require_onnx, tensor_type
from sklearn_cnn._onnx.models import described, own_network, write_estimator
from sklearn_cnn._onnx.reading import Reader
from sklearn_cnn._regressor import ConvNetRegressor
from sklearn_cnn._version import __version__

if TYPE_CHECKING:
    import onnx

__all__ = ["from_onnx", "to_onnx"]

# Version 17 of the operators is from 2022; every one used here has meant the same since version 13.
OPSETS = {"": 17, ML_DOMAIN: 3}
IR_VERSION = 8
INPUT_TYPES = ("float32", "float64", "uint8")


def to_onnx(
    estimator: BaseEstimator,
    *,
    dtype: DTypeLike = np.float32,
    input_shape: Sequence[int] | None = None,
    with_scaling: bool = True,
    zipmap: bool | str = False,
) -> onnx.ModelProto:
    """Write a fitted network as an ONNX model.

    The model computes in float32, whatever the solver. What it returns differs from the estimator's own answer by rounding:
    probabilities by less than 1e-5 where the scores are of usual size, see the user guide.

    Parameters
    ----------
    estimator : ConvNetClassifier, ConvNetRegressor or ConvNetTransformer
        The fitted estimator.
    dtype : {numpy.float32, numpy.float64, numpy.uint8}, default=numpy.float32
        Type of the model's input. With float64 the input is brought to mean zero in double precision, and the results are
        float64, too.
    input_shape : tuple of int, default=None
        Shape of one sample of the model's input: ``(n_features,)``, ``(rows, columns)`` where there is one channel, or ``(rows,
        columns, channels)``. None is a row of features if the estimator has an `input_shape` or was fitted on signals, and the
        shape of the images otherwise, without channels if there is only one.
    with_scaling : bool, default=True
        Whether the model scales its input, as the estimator does. False is for inputs that are scaled already.
    zipmap : bool or "columns", default=False
        Form of the probabilities of a classifier: a matrix, a dictionary for each sample (True), or an output for each class.

    Returns
    -------
    model : onnx.ModelProto
        A checked model with the input "X". A classifier has the outputs "label" and "probabilities" (with "columns" one for
        each class in place of these, such as "i0" or "scat"), a regressor "prediction" of shape (n_samples, n_outputs), and a
        transformer "features".

    Raises
    ------
    ImportError
        If the package ``onnx`` is missing.
    TypeError
        If `estimator` is not a network of this package.
    NotFittedError
        If it is not fitted.
    ValueError
        If another argument is not one of those named, or the labels are not integers (up to ``2**63 - 1``), booleans, floats or
        strings.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.onnx import to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
    >>> model = to_onnx(network)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    onnx = require_onnx("to_onnx")
    dtype = checked_dtype(dtype)
    if not isinstance(with_scaling, bool | np.bool_):
        raise ValueError(f"with_scaling={shown(with_scaling)} is not valid: it must be True or False.")
    if not isinstance(zipmap, bool | np.bool_) and not (isinstance(zipmap, str) and zipmap == "columns"):
        raise ValueError(f"zipmap={shown(zipmap)} is not valid: it must be True, False or 'columns'.")
    zipmap = zipmap if isinstance(zipmap, str) else bool(zipmap)
    shape = checked_input_shape(estimator, input_shape)
    graph = Graph()
    outputs = write_estimator(graph, estimator, "X", dtype, with_scaling=bool(with_scaling), zipmap=zipmap)
    for name, output in outputs.items():
        graph.rename(output.value, name)
    nodes = [
        onnx.helper.make_node(kind, inputs, [output], domain=domain, **attributes)
        for kind, inputs, output, domain, attributes in graph.nodes
    ]
    inputs = [onnx.helper.make_tensor_value_info("X", tensor_type(dtype), ("n_samples", *shape))]
    descriptions = [described(output, name) for name, output in outputs.items()]
    body = onnx.helper.make_graph(nodes, type(estimator).__name__, inputs, descriptions, graph.tensors())
    domains = {node.domain for node in nodes}
    model = onnx.helper.make_model(
        body,
        opset_imports=[onnx.helper.make_opsetid(domain, version) for domain, version in OPSETS.items() if domain in domains],
        ir_version=IR_VERSION,
        producer_name="sklearn_cnn",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def checked_dtype(dtype):
    """Refuse a type that no input of a model has."""
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError, RecursionError):  # a deeply nested list is described as a record
        name = None
    if dtype is None or name not in INPUT_TYPES:
        raise ValueError(f"dtype={shown(dtype)} is not valid: it must be one of {', '.join(INPUT_TYPES)}.")
    return np.dtype(dtype)


def checked_input_shape(estimator, input_shape):
    """Return the shape of a sample of the model's input."""
    if not hasattr(estimator, "onnx_converter"):
        raise TypeError(
            f"estimator={shown(estimator)} is no network of this package: pass a ConvNetClassifier, ConvNetRegressor or "
            "ConvNetTransformer; of a search its best_estimator_. skl2onnx writes a Pipeline that holds one."
        )
    network = own_network(estimator)[0]
    rows, columns, channels = network._check_fitted()["input_shape_"]
    image = (rows, columns) if channels == 1 else (rows, columns, channels)
    flat = (math.prod(image),)
    if input_shape is None:
        return flat if network.input_shape is not None or image == (1, *flat) else image
    shapes = dict.fromkeys((flat, image, (rows, columns, channels)))
    given = tuple(np.asarray(input_shape, dtype=object).ravel().tolist())
    if given not in list(shapes):
        words = " or ".join(map(str, shapes))
        raise ValueError(f"input_shape={shown(input_shape)} is not valid: a sample of this network is {words}.")
    return next(shape for shape in shapes if shape == given)


def from_onnx(
    model: onnx.ModelProto | bytes | str | os.PathLike, *, classes: ArrayLike | None = None
) -> ConvNetClassifier | ConvNetRegressor:
    """Make a fitted estimator of an ONNX model, where the estimators' parameters can express its network.

    The estimator predicts what the model predicts, except for rounding, and may be trained further with `partial_fit`. Its
    parameters describe the network: a clone of it has the same layers.

    Parameters
    ----------
    model : onnx.ModelProto, bytes, str or path-like
        A chain of layers: blocks of Conv, BatchNormalization, Relu, Sigmoid or Tanh, and MaxPool or AveragePool; perhaps pooling
        of whole maps; then Gemm, or MatMul and Add. A str is the path of a file. The input may be scaled by a number for each
        channel, and the model may be one that `to_onnx` has written.
    classes : array-like of shape (n_classes,), default=None
        Labels of the classes in the order of the model's outputs. With them a model whose last layer is dense, without Softmax or
        Sigmoid, is a classifier. None takes the labels that the model holds, or numbers from 0 on.

    Returns
    -------
    estimator : ConvNetClassifier or ConvNetRegressor
        A classifier where the model ends with probabilities or labels, or `classes` are named. It takes images with the channels
        last, whatever the model takes.

    Raises
    ------
    ImportError
        If the package ``onnx`` is missing.
    TypeError
        If `model` is none of these.
    ValueError
        If bytes or a file are damaged, or no ONNX model; if the network cannot be expressed: the message names the node and what
        is possible. If tensors stand in files of their own and `model` is no path.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.onnx import from_onnx, to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
    >>> restored = from_onnx(to_onnx(network))
    >>> restored.n_filters
    [32, 64]
    >>> np.allclose(restored.predict_proba(X), network.predict_proba(X), atol=1e-6)
    True
    """
    onnx = require_onnx("from_onnx")
    if isinstance(model, bytes | str | os.PathLike):
        model = _read_model(model)
    if not isinstance(model, onnx.ModelProto):
        name = type(model).__name__
        raise TypeError(f"model={name} is no ONNX model: pass an onnx.ModelProto, its bytes or the path of a file.")
    estimators = {"classifier": ConvNetClassifier, "regressor": ConvNetRegressor}
    return assemble(Reader(model.graph).read(), classes, estimators)


def _read_model(model):
    """Read an ONNX model from its bytes, or from the file that a path names, and the files of tensors beside it."""
    import onnx
    from google.protobuf.message import DecodeError  # what onnx is built on

    is_path = not isinstance(model, bytes)
    what = f"the file {os.fspath(model)!r}" if is_path else f"{len(model)} bytes"
    try:
        proto = onnx.load(os.fspath(model), load_external_data=False) if is_path else onnx.load_from_string(model)
    except DecodeError as error:
        raise ValueError(
            f"model: {what} cannot be read as an ONNX model ({error}). Pass a whole copy of the file, its bytes or an "
            "onnx.ModelProto."
        ) from error
    if is_path:
        try:
            onnx.load_external_data_for_model(proto, os.path.dirname(os.path.abspath(os.fspath(model))))
        except (onnx.checker.ValidationError, ValueError, OSError) as error:
            raise ValueError(
                f"model: tensors of {what} stand in other files, which cannot be read ({error}). Put whole copies of them beside "
                "the model."
            ) from error
    return proto
