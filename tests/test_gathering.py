"""Rows of X on their way into the network: converted, scaled channel by channel, and padded."""

import numpy as np
import pytest
from problems import bits, each_kernel

from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan

COLUMNS = (1, 2, 3, 5, 8, 16, 17, 33)
CHANNELS = (1, 2, 3, 5, 16, 63, 64, 65, 130)  # on both sides of where the kernels change their way


def through_the_centre(columns, channels, padding_mode):
    """A block that copies its input: only the central tap of each kernel is one, of the filter's own channel."""
    block = ConvolutionBlock(channels, (3, 3), padding="same", padding_mode=padding_mode)
    plan = build_plan((block,), (3, columns, channels))
    weights = np.zeros((3, 3, channels, channels))
    weights[1, 1] = np.eye(channels)
    parameters = np.zeros(plan.parameter_size)
    parameters[: weights.size] = weights.ravel()
    return plan, parameters


def without_padding(columns, channels):
    """A dense layer that copies its input."""
    n = 3 * columns * channels
    plan = build_plan((DenseLayer(n),), (3, columns, channels))
    parameters = np.zeros(plan.parameter_size)
    parameters[: n * n] = np.eye(n).ravel()
    return plan, parameters


@each_kernel
@pytest.mark.parametrize("number_type", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", CHANNELS)
def test_every_number_meets_the_scaling_of_its_channel(level, dtype, number_type, channels):
    random_state = np.random.default_rng(channels)
    shift, factor = random_state.integers(-20, 20, channels).astype(dtype), 2.0 ** random_state.integers(-4, 4, channels)
    for columns in COLUMNS:
        problems = [through_the_centre(columns, channels, "zeros")]
        if columns > 1:  # the only pixel of a row has no other to be reflected from
            problems.append(through_the_centre(columns, channels, "reflect"))
        if columns * channels < 100:
            problems.append(without_padding(columns, channels))
        for plan, parameters in problems:
            X = random_state.integers(0, 256, (3, plan.n_inputs)).astype(number_type)
            result = Network(plan, parameters.astype(dtype), level=level).scores(X, shift=shift, factor=factor.astype(dtype))
            expected = (X.reshape(-1, channels) - shift.astype(float)) * factor
            assert bits(result.reshape(-1, channels)) == bits(expected.astype(dtype) + dtype(0)), (columns, plan.layers)


@each_kernel
def test_low_digits_are_lost_after_the_subtraction_only(level, dtype):
    plan, parameters = through_the_centre(21, 1, "zeros")
    differences = np.arange(plan.n_inputs)[None] / 4
    shift = np.array([1e8], dtype=dtype)  # single precision tells numbers of this size from each other in steps of eight
    network = Network(plan, parameters.astype(dtype), level=level)
    assert bits(network.scores(1e8 + differences, shift=shift, factor=np.ones(1, dtype))) == bits(differences.astype(dtype))
