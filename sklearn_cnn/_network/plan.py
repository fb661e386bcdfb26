"""From layers and an input shape to the records, tables and sizes the kernels walk.

A plan is derived data: rebuilt where it is needed (and cached), never pickled. All sizes are computed as Python integers, so
nothing can overflow before it is checked.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sklearn_cnn._network.records import RecordBuilder


@dataclass(frozen=True, eq=False)
class Plan:
    """A network the kernels can walk. Shapes are (rows, columns, channels) of one sample."""

    layers: tuple
    input_shape: tuple
    blocks: tuple
    map_shapes: tuple  # of each layer before pooling
    output_shapes: tuple
    n_inputs: int
    n_outputs: int
    n_parameters: int  # weights and biases
    parameter_size: int  # length of the flat vector, gaps for alignment included; the gaps stay zero
    statistics: tuple  # of each normalised layer (layer, offset of its running means, of its variances, filters)
    statistics_size: int
    records: np.ndarray
    runs: np.ndarray
    totals: dict  # per-sample sizes of the workspace's areas, see `build_arena`


@lru_cache(maxsize=256)
def build_plan(layers, input_shape, input_gradient=False):
    """Lay out a network.

    Parameters
    ----------
    layers : tuple of ConvolutionBlock, PoolingLayer, DenseLayer

    input_shape : (rows, columns, channels)

    input_gradient : bool, default=False
        Whether backward also computes the gradient of the network's input.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If a layer leaves nothing of its input or is too large to exist; the message names it.
    """
    is_local = any(not getattr(layer, "weight_sharing", True) for layer in layers)
    builder = RecordBuilder(tuple(int(n) for n in input_shape), input_gradient, is_local)
    for layer in layers:
        builder.add(layer)
    return Plan(layers=tuple(layers), **builder.finish())


def initial_statistics(plan, dtype=np.float32):
    """Return the running means and variances of a network that has seen no data: zero and one.

    Returns
    -------
    ndarray of shape (plan.statistics_size,)
        A network without batch normalisation has none.
    """
    statistics = np.zeros(plan.statistics_size, dtype=dtype)
    for _, _, variances_at, n_filters in plan.statistics:
        statistics[variances_at : variances_at + n_filters] = 1.0
    return statistics


def table(records):
    """Return a view of records as the kernels take them: one row of 64-bit integers each."""
    return records.view(np.int64).reshape(len(records), records.itemsize // 8)
