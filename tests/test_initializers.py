"""Initial parameters."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._training.initializers import initial_parameters


def draw(activation, seed=0):
    layers = (ConvolutionBlock(64, (3, 3), padding="same", activation=activation), DenseLayer(10, "identity"))
    plan = build_plan(layers, (9, 9, 5))
    parameters = initial_parameters(plan, np.random.RandomState(seed))
    blocks = {
        (block.layer, block.kind): parameters[block.offset : block.offset + math.prod(block.shape)].reshape(block.shape)
        for block in plan.blocks
    }
    return plan, parameters, blocks


@pytest.mark.parametrize(
    ("activation", "variance"),
    [("relu", 2 / 45), ("tanh", 2 / (45 + 576)), ("identity", 2 / (45 + 576)), ("logistic", 2 / 3 / (45 + 576))],
)
def test_variance_of_the_weights(activation, variance):
    _, _, blocks = draw(activation)
    assert blocks[0, "weights"].var() == pytest.approx(variance, rel=0.1)
    assert blocks[1, "weights"].var() == pytest.approx(2 / (9 * 9 * 64 + 10), rel=0.1)


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity", "logistic"])
def test_biases_fill_the_natural_size_of_a_weight(activation):
    _, _, blocks = draw(activation)
    for layer, fan_in in enumerate((45, 9 * 9 * 64)):
        assert 0.7 < np.abs(blocks[layer, "bias"]).max() * math.sqrt(fan_in) <= 1


def test_no_two_parameters_of_a_block_are_equal():
    _, _, blocks = draw("relu")
    for values in blocks.values():
        assert len(np.unique(values)) > 0.99 * values.size


def test_gaps_between_blocks_stay_zero():
    plan, parameters, _ = draw("relu")
    is_used = np.zeros(plan.parameter_size, dtype=bool)
    for block in plan.blocks:
        is_used[block.offset : block.offset + math.prod(block.shape)] = True
    assert is_used.sum() == plan.n_parameters
    assert not parameters[~is_used].any()


def test_normalisations_begin_by_changing_nothing_and_draw_nothing():
    layers = ConvolutionBlock(8, activation="relu", batch_norm=True), DenseLayer(5, "relu", batch_norm=True), DenseLayer(2)
    plan, plain = build_plan(layers, (6, 6, 2)), build_plan((replace(layers[0], batch_norm=False), *layers[1:]), (6, 6, 2))
    parameters = initial_parameters(plan, np.random.RandomState(0))
    for block in plan.blocks:
        values = parameters[block.offset : block.offset + math.prod(block.shape)]
        if block.kind in {"gamma", "beta"}:
            assert (values == (block.kind == "gamma")).all()
    n = math.prod(plan.blocks[0].shape)
    assert parameters[:n].tobytes() == initial_parameters(plain, np.random.RandomState(0))[:n].tobytes()


def test_seeds():
    assert draw("relu", 0)[1].tobytes() == draw("relu", 0)[1].tobytes() != draw("relu", 1)[1].tobytes()
