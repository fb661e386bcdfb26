"""Plans: shapes, the flat parameter vector, and areas of memory that do not overlap."""

import itertools
import math

import numpy as np
import pytest
from problems import random_network
from reference import LAYERS

from sklearn_cnn._network.algorithms import ALIGNMENT
from sklearn_cnn._network.arena import build_arena, prediction_capacity
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer
from sklearn_cnn._network.plan import build_plan


@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
def test_shapes(row):
    plan = build_plan((row.layer,), row.input_shape)
    assert plan.output_shapes == (row.output_shape,)
    assert plan.n_inputs == math.prod(row.input_shape)
    assert plan.n_outputs == math.prod(row.output_shape)


def test_shapes_of_random_networks_follow_each_other():
    random_state = np.random.default_rng(0)
    for _ in range(100):
        plan = random_network(random_state)
        shape = plan.input_shape
        for layer, map_shape, output_shape in zip(plan.layers, plan.map_shapes, plan.output_shapes, strict=True):
            alone = build_plan((layer,), shape)
            assert (map_shape, output_shape) == (alone.map_shapes[0], alone.output_shapes[0])
            shape = output_shape
        assert plan.n_outputs == math.prod(shape)


@pytest.mark.parametrize(
    ("layer", "weights", "bias", "fans"),
    [
        (ConvolutionBlock(7, (2, 3)), (2, 3, 4, 7), (7,), (24, 42)),
        (ConvolutionBlock(7, (2, 3), weight_sharing=False), (4, 4, 2, 3, 4, 7), (4, 4, 7), (24, 42)),
        (DenseLayer(9), (120, 9), (9,), (120, 9)),
        (ConvolutionBlock(7, (2, 3), batch_norm=True), (2, 3, 4, 7), (0,), (24, 42)),
        (ConvolutionBlock(7, (2, 3), weight_sharing=False, batch_norm=True), (4, 4, 2, 3, 4, 7), (4, 4, 7), (24, 42)),
        (DenseLayer(9, batch_norm=True), (120, 9), (0,), (120, 9)),
    ],
)
def test_parameter_blocks(layer, weights, bias, fans):
    plan = build_plan((layer,), (5, 6, 4))
    first, second, *normalisation = plan.blocks
    assert (first.kind, first.shape, first.fan_in, first.fan_out) == ("weights", weights, *fans)
    assert (second.kind, second.shape) == ("bias", bias)
    assert [block.kind for block in normalisation] == (["gamma", "beta"] if layer.batch_norm else [])
    assert {block.shape for block in normalisation} <= {weights[-1:]}
    assert plan.n_parameters == math.prod(weights) + math.prod(bias) + 2 * layer.batch_norm * weights[-1]


def test_pooling_has_no_parameters():
    plan = build_plan((PoolingLayer("max", (2, 2), (2, 2)),), (5, 6, 4))
    assert (plan.n_parameters, plan.parameter_size, plan.blocks) == (0, 0, ())


def test_blocks_begin_on_cache_lines_and_do_not_overlap():
    random_state = np.random.default_rng(1)
    for n in range(100):
        plan = random_network(random_state, batch_norm=n % 2 == 1)
        end = 0
        for block in plan.blocks:
            assert block.offset >= end
            assert block.offset % ALIGNMENT == 0
            end = block.offset + math.prod(block.shape)
        assert end <= plan.parameter_size < end + ALIGNMENT
        assert plan.n_parameters == sum(math.prod(block.shape) for block in plan.blocks)


@pytest.mark.parametrize("training", [False, True])
def test_areas_of_a_workspace_do_not_overlap(training):
    random_state = np.random.default_rng(2)
    for _ in range(50):
        plan = random_network(random_state, batch_norm=bool(random_state.integers(2)))
        capacity, n_threads = int(random_state.integers(1, 40)), 3
        arena = build_arena(plan, capacity, n_threads, training)[0]
        areas = [
            (arena["values_at"], arena["n_values"] * capacity),
            (arena["kept_at"], arena["n_kept"] * capacity),
            (arena["scratch_at"], arena["n_scratch"] * n_threads),
            (arena["factors_at"], plan.totals["factors"]),
        ]
        if training:
            areas += [
                (arena["gradients_at"], arena["n_values"] * capacity),
                (arena["flipped_at"], arena["n_flipped"]),
                (arena["chunk_gradients_at"], arena["n_shared"] * arena["n_chunks"]),
                (arena["sums_at"], 2 * arena["n_sums"] * arena["n_chunks"]),
            ]
        areas = sorted((int(at), int(size)) for at, size in areas)
        for (at, size), (following, _) in itertools.pairwise(areas):
            assert at + size <= following
        assert sum(areas[-1]) <= arena["n_numbers"]
        assert (arena["gradients_at"] < 0) == (not training)


def test_plans_are_shared_and_read_only():
    layers = (ConvolutionBlock(2, (2, 2)), DenseLayer(3))
    assert build_plan(layers, (4, 4, 1)) is build_plan(layers, (4, 4, 1))
    plan = build_plan(layers, (4, 4, 1))
    for array in (plan.records, plan.runs, build_arena(plan, 4, 1, True)):
        assert not array.flags.writeable


def test_chunks_do_not_depend_on_threads():
    plan = build_plan((ConvolutionBlock(16, (3, 3), padding="same"),), (16, 16, 3))
    for capacity in (1, 7, 64, 500):
        for training in (False, True):
            assert len({int(build_arena(plan, capacity, n, training)["n_chunks"][0]) for n in (1, 2, 3, 7, 64)}) == 1


def test_prediction_capacity_covers_the_samples():
    plan = build_plan((DenseLayer(2),), (1, 4, 1))
    for n_samples in (0, 1, 2, 3, 100, 5000):
        capacity = prediction_capacity(plan, n_samples, 1)
        assert capacity >= min(n_samples, 1024)
        assert capacity & (capacity - 1) == 0
    large = build_plan((ConvolutionBlock(64, (3, 3), padding="same"),), (512, 512, 3))
    assert [prediction_capacity(large, 1000, n_threads) for n_threads in (1, 2, 3, 4)] == [1, 2, 4, 4]
    assert prediction_capacity(large, 1, 4) == 1


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ConvolutionBlock(2, (5, 1)), r"Layer 1: kernel_size=\(5, 1\) does not fit its input of 4 x 4 pixels"),
        (PoolingLayer("max", (5, 1), (1, 1)), r"Layer 1: pool_size=\(5, 1\) does not fit its map of 4 x 4 pixels"),
        (ConvolutionBlock(2**62, (3, 3)), r"Layer 1: its .* would take \d+ bytes"),
        (ConvolutionBlock(2, (2**31, 2**31), padding=(2**31, 2**31)), r"Layer 1: its .* would take \d+ bytes"),
        (ConvolutionBlock(1, (1, 1), padding=(2**62, 0)), r"Layer 1: its .* would take \d+ bytes"),
        (DenseLayer(2**62), r"Layer 1: its weights would take \d+ bytes"),
    ],
    ids=["kernel", "pool", "filters", "kernel of 2**62", "padding", "units"],
)
def test_impossible_sizes_name_the_layer(layer, message):
    with pytest.raises(ValueError, match=message):
        build_plan((ConvolutionBlock(3, (1, 1)), layer), (4, 4, 1))
