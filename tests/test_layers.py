"""From an estimator's parameters to layers: broadcasting, one value per block, clear refusals."""

import itertools

import pytest

from sklearn_cnn._network.geometry import output_length
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer, build_layers, sees_all, skipped_pixels

DEFAULTS = {
    "n_filters": 4, "kernel_size": 3, "stride": 1, "padding": "same", "padding_mode": "zeros", "pooling": "max",
    "pool_size": 2, "pool_stride": None, "weight_sharing": True, "global_pooling": None, "hidden_layer_sizes": (),
    "activation": "relu", "batch_norm": False,
}  # fmt: skip


def layers_of(input_shape=(12, 10, 3), n_outputs=5, **parameters):
    return build_layers(input_shape, n_outputs, **(DEFAULTS | parameters))


def test_defaults():
    block, dense = layers_of()
    assert block == ConvolutionBlock(
        4, (3, 3), (1, 1), "same", "zeros", "max", (2, 2), (2, 2), weight_sharing=True, activation="relu"
    )
    assert dense == DenseLayer(5, "identity")


def test_a_scalar_goes_for_every_block():
    blocks = layers_of(n_filters=(4, 8), kernel_size=2, pool_size=2, padding=1)[:2]
    assert [block.n_filters for block in blocks] == [4, 8]
    assert {block.kernel_size for block in blocks} == {(2, 2)}
    assert {block.padding for block in blocks} == {(1, 1)}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("kernel_size", [3, (1, 2)], [(3, 3), (1, 2)]),
        ("kernel_size", (3, 2), [(3, 2), (3, 2)]),
        ("kernel_size", [3, 2], [(3, 3), (2, 2)]),
        ("stride", [1, 2], [(1, 1), (2, 2)]),
        ("padding", ["same", "valid"], ["same", "valid"]),
        ("padding", [1, "same"], [(1, 1), "same"]),
        ("padding", (1, 2), [(1, 2), (1, 2)]),
        ("padding_mode", ["zeros", "reflect"], ["zeros", "reflect"]),
        ("pooling", ["average", None], ["average", None]),
        ("pooling", None, [None, None]),
        ("pool_stride", [1, 2], [(1, 1), (2, 2)]),
        ("pool_stride", None, [(2, 2), (2, 2)]),
        ("weight_sharing", [False, True], [False, True]),
    ],
)
def test_one_value_per_block(name, value, expected):
    blocks = layers_of(n_filters=(4, 8), **{name: value})[:2]
    assert [getattr(block, name) for block in blocks] == expected


@pytest.mark.parametrize(
    "name",
    ["kernel_size", "stride", "padding", "padding_mode", "pooling", "pool_size", "pool_stride", "weight_sharing"],
)
@pytest.mark.parametrize("n_values", [1, 3])
def test_a_list_of_the_wrong_length_names_parameter_and_blocks(name, n_values):
    value = {"padding": "same", "padding_mode": "zeros", "pooling": "max", "weight_sharing": True}.get(name, 2)
    with pytest.raises(ValueError, match=rf"^{name}=.* has {n_values} entries, but n_filters describes 2 blocks"):
        layers_of(n_filters=(4, 8), **{name: [value] * n_values})


def test_hidden_layers():
    layers = layers_of(hidden_layer_sizes=(7, 6), activation="tanh")
    assert layers[1:] == (DenseLayer(7, "tanh"), DenseLayer(6, "tanh"), DenseLayer(5, "identity"))
    assert layers_of(hidden_layer_sizes=7)[1] == DenseLayer(7, "relu")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_blocks_and_hidden_layers_are_normalised_and_the_output_is_not(batch_norm):
    layers = layers_of(n_filters=(4, 8), weight_sharing=[True, False], hidden_layer_sizes=(7, 6), batch_norm=batch_norm)
    assert [layer.batch_norm for layer in layers] == [batch_norm] * 4 + [False]


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_global_pooling_takes_the_whole_map(pooling):
    layers = layers_of((12, 10, 3), n_filters=(4, 8), hidden_layer_sizes=5, global_pooling=pooling)
    assert layers[2:] == (PoolingLayer(pooling, (3, 2), (3, 2)), DenseLayer(5, "relu"), DenseLayer(5, "identity"))
    assert layers_of((1, 20, 2), global_pooling=pooling)[1] == PoolingLayer(pooling, (1, 10), (1, 10))
    assert layers_of((1, 1, 1), global_pooling=pooling)[1] == PoolingLayer(pooling, (1, 1), (1, 1))
    assert layers_of((12, 10, 3), n_filters=(), global_pooling=pooling)[0] == PoolingLayer(pooling, (12, 10), (12, 10))


def test_a_signal_takes_scalars_along_its_length_only():
    block = layers_of((1, 20, 2), kernel_size=3, stride=2, pool_size=2, padding=1)[0]
    assert (block.kernel_size, block.stride, block.padding) == ((1, 3), (1, 2), (0, 1))
    assert (block.pool_size, block.pool_stride) == ((1, 2), (1, 2))
    assert layers_of((1, 20, 2), kernel_size=(1, 4))[0].kernel_size == (1, 4)


def test_a_pool_window_is_clipped_to_its_map():
    assert layers_of((1, 1, 1))[0].pool_size == (1, 1)
    assert layers_of((3, 1, 1), pool_size=2)[0].pool_size == (2, 1)
    assert layers_of((5, 5, 1), pool_size=9)[0].pool_size == (5, 5)


def test_the_default_takes_any_size():
    for rows, columns, channels in itertools.product((1, 2, 3, 7), (1, 2, 5), (1, 3)):
        for n_filters in ((16, 32), "auto"):
            assert layers_of((rows, columns, channels), n_filters=n_filters)[-1].n_units == 5


@pytest.mark.parametrize(
    ("input_shape", "parameters", "n_filters"),
    [
        ((1, 1, 1), {}, [32]),
        ((3, 3, 1), {}, [32]),
        ((7, 7, 1), {}, [32]),
        ((8, 8, 1), {}, [32, 64]),
        ((28, 28, 1), {}, [32, 64, 128]),
        ((32, 32, 3), {}, [32, 64, 128, 128]),
        ((224, 224, 3), {}, [32, 64, 128, 128, 128]),
        ((12, 200, 1), {}, [32, 64]),  # the shorter side
        ((1, 40, 1), {}, [32, 64, 128, 128]),  # a signal has one side
        ((28, 28, 1), {"kernel_size": 5, "padding": "valid"}, [32, 64]),  # a third would not fit the map of 4 x 4
        ((28, 28, 1), {"pool_size": 4}, [32, 64]),  # a map of 1 x 1 is left
        ((28, 28, 1), {"pooling": None}, [32, 64, 128]),  # as many as pooling would have had
        ((28, 28, 1), {"kernel_size": [5, 3]}, [32, 64]),
        ((28, 28, 1), {"pooling": ("max", None, None, None, "max")}, [32, 64, 128, 128, 128]),
        ((28, 28, 1), {"kernel_size": (5, 3)}, [32, 64, 128]),  # a pair, no list
    ],
)
def test_automatic_filters(input_shape, parameters, n_filters):
    blocks = layers_of(input_shape, n_filters="auto", **parameters)[:-1]
    assert [block.n_filters for block in blocks] == n_filters


def test_automatic_filters_refuse_what_any_others_would():
    with pytest.raises(ValueError, match="Block 0: kernel_size"):
        layers_of(n_filters="auto", padding="valid", kernel_size=13)
    with pytest.raises(ValueError, match=r"stride=.* has 3 entries, but n_filters describes 2 blocks"):
        layers_of(n_filters="auto", kernel_size=[3, 3], stride=[1, 1, 1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"padding": "valid", "kernel_size": 13}, r"Block 0: kernel_size=\(13, 13\) does not fit its input of 12 x 10"),
        ({"padding": "valid", "n_filters": (4, 4, 4), "kernel_size": 3}, r"Block 2: kernel_size=\(3, 3\) .* of 1 x 1 "),
        ({"padding": 1, "kernel_size": (3, 13)}, r"Block 0: kernel_size=\(3, 13\)"),
    ],
)
def test_an_empty_map_names_block_size_and_parameter(parameters, message):
    with pytest.raises(ValueError, match=message):
        layers_of(**parameters)


def test_skipped_pixels_are_those_no_window_covers():
    assert skipped_pixels(5, 3, 3, (0, 0)) == [3, 4]
    assert skipped_pixels(7, 1, 3, (0, 0)) == [1, 2, 4, 5]
    assert skipped_pixels(5, 3, 3, (1, 1)) == []
    for length, window, stride, *padding in itertools.product(range(1, 8), range(1, 6), range(1, 9), (0, 2, 7), (0, 1, 3)):
        n_positions, _ = output_length(length, window, stride, padding)
        covered = {i * stride + k - padding[0] for i in range(n_positions) for k in range(window)}
        unseen = [pixel for pixel in range(length) if pixel not in covered]
        assert skipped_pixels(length, window, stride, padding) == unseen
        assert sees_all(length, window, stride, padding) == (unseen == [])


def test_layers_are_values():
    assert hash(layers_of()) == hash(layers_of())
    assert layers_of() == layers_of()
