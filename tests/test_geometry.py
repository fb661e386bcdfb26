"""Sizes and index tables against counting them one by one."""

import itertools
import math

import numpy as np
import pytest
import reference
from problems import pair

from sklearn_cnn._network.geometry import (
    count_padding_runs,
    output_length,
    padding_runs,
    padding_sources,
    receptive_field,
    resolve_padding,
    same_padding,
)


def window_starts(length, window, stride, padding):
    """The first pixel of every window, counted."""
    starts, start = [], -padding[0]
    while start + window <= length + padding[1]:
        starts.append(start)
        start += stride
    return starts


def test_output_length_counts_windows():
    for length, window, stride, before, after in itertools.product(
        range(1, 9), range(1, 6), range(1, 5), range(3), range(3)
    ):
        starts = window_starts(length, window, stride, (before, after))
        n_positions, n_skipped = output_length(length, window, stride, (before, after))
        assert n_positions == len(starts)
        assert n_skipped == length + after - (starts[-1] + window if starts else -before)


def test_output_length_is_the_formula_of_the_lecture():
    for image, kernel, padding, stride in itertools.product(range(3, 40), range(1, 4), range(3), range(1, 4)):
        expected = math.floor((image + 2 * padding - kernel) / stride) + 1
        assert output_length(image, kernel, stride, (padding, padding))[0] == expected
    assert output_length(28, 5, 1) == (28 - 5 + 1, 0)


def test_output_length_of_huge_sizes_is_exact():
    assert output_length(2**62, 3, 1, (1, 1)) == (2**62, 0)
    assert output_length(10**30, 7, 10**29) == (10, 10**29 - 7)


def test_same_padding_leaves_one_position_per_stride():
    for length, window, stride in itertools.product(range(1, 20), range(1, 8), range(1, 6)):
        before, after = same_padding(length, window, stride)
        assert 0 <= before <= after <= before + 1
        assert output_length(length, window, stride, (before, after))[0] == math.ceil(length / stride)
        if before + after:  # and no less padding would do
            assert output_length(length, window, stride, (before, after - 1))[0] < math.ceil(length / stride)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 2))),
        (2, ((2, 2), (2, 2))),
        ((1, 3), ((1, 1), (3, 3))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ((1, (3, 4)), ((1, 1), (3, 4))),
    ],
)
def test_resolve_padding(padding, expected):
    assert resolve_padding(padding, (6, 7), (3, 4), (1, 1)) == expected


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_padding_sources_are_numpys(mode):
    for length, before, after in itertools.product(range(1, 6), range(8), range(8)):
        axis = np.arange(1.0, length + 1)
        sources = padding_sources(length, (before, after), mode)
        padded = np.where(sources < 0, 0, axis[sources])
        expected = np.pad(axis, (before, after), mode="reflect") if mode == "reflect" else np.pad(axis, (before, after))
        np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_padding_runs_copy_an_image_into_its_frame(mode):
    random_state = np.random.default_rng(0)
    for _ in range(200):
        shape, padding = pair(random_state, 1, 6), (pair(random_state, 0, 5), pair(random_state, 0, 5))
        channels = int(random_state.integers(1, 4))
        image = random_state.standard_normal((1, *shape, channels))
        expected = reference.pad(image, padding, mode)
        padded = np.zeros(expected.size)
        times_written = np.zeros(expected.size, dtype=int)
        for target, source, length in padding_runs(shape, padding, mode, channels):
            padded[target : target + length] = image.ravel()[source : source + length]
            times_written[target : target + length] += 1
        np.testing.assert_array_equal(padded.reshape(expected.shape), expected)
        assert times_written.max() == 1


def test_padding_runs_are_counted_before_they_are_made():
    for mode, length, sides in itertools.product(("zeros", "reflect"), range(1, 5), itertools.product(range(4), repeat=2)):
        shape, padding = (3, length), ((1, 2), sides)
        n_runs = len(padding_runs(shape, padding, mode, 1))
        counted = count_padding_runs(shape, padding, mode)
        assert n_runs == counted if sides[0] > 0 and mode == "zeros" else n_runs <= counted


def test_padding_runs_are_joined():
    # without padding at the sides the whole image is one copy; with it, one per row
    assert padding_runs((4, 5), ((1, 2), (0, 0)), "zeros", 3).tolist() == [[15, 0, 60]]
    assert len(padding_runs((4, 5), ((0, 0), (1, 1)), "zeros", 3)) == 4


def test_receptive_field_is_what_reaches_a_unit():
    random_state = np.random.default_rng(1)
    for _ in range(100):
        kernels, strides = random_state.integers(1, 6, (2, 4)).tolist()
        field, jump = receptive_field(kernels, strides)
        lowest, highest, next_lowest = 0, 0, 1  # unit 0 and unit 1 of the last layer, walked back to the input
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            lowest, highest, next_lowest = lowest * stride, highest * stride + kernel - 1, next_lowest * stride
        assert field == highest - lowest + 1
        assert jump == next_lowest - lowest


def test_receptive_field_of_nothing_is_the_pixel_itself():
    assert receptive_field([], []) == (1, 1)
