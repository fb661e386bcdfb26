"""The report on a network: exact numbers, warnings of pixels that nobody sees, feature maps, HTML."""

import html
import inspect
import pickle
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from images import bars, small_network
from problems import choose, gaussian_parameters
from processes import run_python
from reference import network_forward
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation
from sklearn_cnn._estimator.diagram import network_html
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, DropoutLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.summary import geometry_warnings, layer_table
from sklearn_cnn.functional import conv2d, max_pool2d, parameter_count

SIGHT = ("receptive_field", "effective_stride", "origin")
COUNTS = ("n_parameters", "n_parameters_unshared", "n_parameters_dense")


def fitted(shape, n_classes=2, **parameters):
    """A network for inputs of a shape, trained for one epoch on noise."""
    X = np.random.RandomState(0).standard_normal((2 * n_classes, *shape)).astype(np.float32)
    return small_network(**{"max_iter": 1} | parameters).fit(X, np.arange(2 * n_classes) % n_classes)


def values(table, *names):
    return [tuple(row[name] for name in names) for row in table]


# ----------------------------------------------------------------------------------------------------------- layer table


def test_two_blocks_by_hand():
    table = fitted((28, 28), n_classes=10, n_filters=(16, 32), hidden_layer_sizes=(64,)).layer_table_
    assert [row["name"] for row in table] == [
        "block 0: convolution", "block 0: max pooling", "block 1: convolution", "block 1: max pooling", "dense 0", "output",
    ]  # fmt: skip
    assert values(table, "output_shape") == [
        ((28, 28, 16),), ((14, 14, 16),), ((14, 14, 32),), ((7, 7, 32),), ((1, 1, 64),), ((1, 1, 10),),
    ]  # fmt: skip
    assert values(table, *SIGHT) == [
        ((3, 3), (1, 1), (-1, -1)),
        ((4, 4), (2, 2), (-1, -1)),
        ((8, 8), (2, 2), (-3, -3)),
        ((10, 10), (4, 4), (-3, -3)),
        ((28, 28), None, (0, 0)),
        ((28, 28), None, (0, 0)),
    ]
    assert values(table, *COUNTS) == [
        ((9 + 1) * 16, (9 + 1) * 16 * 28 * 28, (28 * 28 + 1) * 28 * 28 * 16),
        (0, 0, 0),
        ((9 * 16 + 1) * 32, (9 * 16 + 1) * 32 * 14 * 14, (14 * 14 * 16 + 1) * 14 * 14 * 32),
        (0, 0, 0),
        *[((7 * 7 * 32 + 1) * 64,) * 3],
        *[(65 * 10,) * 3],
    ]


def test_strides_padding_and_overlapping_pools_by_hand():
    network = fitted(
        (21, 17, 3), n_filters=(4, 5), kernel_size=[(5, 3), (3, 2)], stride=[(2, 1), (1, 2)], padding=[(2, 0), "same"],
        pooling=["average", None], pool_size=(3, 2), pool_stride=(2, 1), weight_sharing=[True, False],
    )  # fmt: skip
    table = network.layer_table_
    # rows: floor((21 + 4 - 5) / 2) + 1 = 11, (11 - 3) // 2 + 1 = 5, 5;  columns: 15, 14, 7
    assert values(table, "name", "window", "stride", "output_shape") == [
        ("block 0: convolution", (5, 3), (2, 1), (11, 15, 4)),
        ("block 0: average pooling", (3, 2), (2, 1), (5, 14, 4)),
        ("block 1: locally connected", (3, 2), (1, 2), (5, 7, 5)),
        ("output", None, None, (1, 1, 1)),
    ]
    assert values(table, *SIGHT)[:3] == [
        ((5, 3), (2, 1), (-2, 0)),
        ((9, 4), (4, 1), (-2, 0)),
        ((17, 5), (4, 2), (-6, 0)),
    ]
    assert network.receptive_field_ == (17, 5)
    local = (3 * 2 * 4 + 1) * 5 * 5 * 7
    assert values(table, *COUNTS)[2] == (local, local, (5 * 14 * 4 + 1) * 5 * 7 * 5)


def test_signals():
    network = fitted((30,), n_filters=4, kernel_size=4, stride=2, padding="valid", pool_size=3)
    assert network.receptive_field_ == (1, 8)
    assert values(network.layer_table_, "output_shape", "effective_stride")[:2] == [((1, 14, 4), (1, 2)), ((1, 4, 4), (1, 6))]
    assert "14 x 4" in network.summary()


def test_normalised_blocks_by_hand():
    network = fitted(
        (8, 8), n_classes=3, n_filters=(4, 5, 6), pooling=["max", "average", None], hidden_layer_sizes=7, batch_norm=True,
        weight_sharing=[True, True, False], global_pooling="average",
    )  # fmt: skip
    table = network.layer_table_
    assert values(table, "name", "window", "output_shape", "effective_stride") == [
        ("block 0: convolution", (3, 3), (8, 8, 4), (1, 1)),
        ("block 0: max pooling", (2, 2), (4, 4, 4), (2, 2)),
        ("block 0: batch norm", None, (4, 4, 4), (2, 2)),
        ("block 1: convolution", (3, 3), (4, 4, 5), (2, 2)),
        ("block 1: batch norm", None, (4, 4, 5), (2, 2)),
        ("block 1: average pooling", (2, 2), (2, 2, 5), (4, 4)),
        ("block 2: locally connected", (3, 3), (2, 2, 6), (4, 4)),
        ("block 2: batch norm", None, (2, 2, 6), (4, 4)),
        ("global average pooling", (2, 2), (1, 1, 6), (8, 8)),
        ("dense 0", None, (1, 1, 7), None),
        ("dense 0: batch norm", None, (1, 1, 7), None),
        ("output", None, (1, 1, 3), None),
    ]
    # No bias where the mean takes it away; a gamma and a beta per filter.
    local = (9 * 5 + 1) * 6 * 4
    assert [row["n_parameters"] for row in table] == [9 * 4, 0, 8, 9 * 4 * 5, 10, 0, local, 12, 0, 6 * 7, 14, 8 * 3]
    assert sum(row["n_parameters"] for row in table) == network.n_parameters_
    assert table[0]["n_parameters_unshared"] == (9 + 1) * 4 * 64
    assert table[0]["n_parameters_dense"] == 64 * 64 * 4
    assert network.receptive_field_ == table[7]["receptive_field"]
    assert "The activation of a layer that is normalised follows its batch norm." in network.summary()
    assert "batch norm" not in fitted((8, 8)).summary()
    for row in table:
        assert network_html(network).count(f"<td>{row['name']}</td>") == 1
    assert network_html(network).count("<rect") == len(table) - 4 + 1  # a box for every map, and the input


def test_the_counts_add_up_and_agree_with_functional():
    network = fitted((9, 8, 2), n_filters=(3, 4), weight_sharing=[False, True], hidden_layer_sizes=5)
    table = network.layer_table_
    assert sum(row["n_parameters"] for row in table) == network.n_parameters_
    assert table[0]["n_parameters"] == parameter_count(kernel_size=3, channels=2, n_filters=3, map_shape=(9, 8))
    assert table[0]["n_parameters_dense"] == parameter_count(n_inputs=9 * 8 * 2, n_outputs=9 * 8 * 3)
    assert len(pd.DataFrame(table)) == len(table)


def test_the_table_is_plain_python():
    def leaves(value):
        return [leaf for entry in value for leaf in leaves(entry)] if isinstance(value, tuple) else [value]

    for row in fitted((9, 8), kernel_size=np.int64(3), n_filters=(np.int32(2), 3)).layer_table_:
        assert {type(leaf) for value in row.values() for leaf in leaves(value)} <= {int, str, type(None)}


def test_the_row_of_a_layer_that_is_not_known_is_derived():
    plan = build_plan((ConvolutionBlock(4, (3, 3)), DropoutLayer(0.5), DenseLayer(2)), (6, 6, 1))
    convolution, dropout, output = layer_table(plan)
    assert (dropout["name"], dropout["output_shape"], dropout["n_parameters"]) == ("dropout", (4, 4, 4), 0)
    assert values([dropout], *SIGHT) == values([convolution], *SIGHT)
    assert output["name"] == "output"


def test_a_layer_that_is_not_known_and_changes_sizes_is_refused():
    shapes = {"output_shapes": ((2, 2, 1),), "map_shapes": ((2, 2, 1),)}
    plan = SimpleNamespace(input_shape=(4, 4, 1), layers=(object(),), blocks=(), **shapes)
    with pytest.raises(NotImplementedError, match="changes the size of its input"):
        layer_table(plan)


def test_a_pool_that_drops_the_last_row_is_counted():
    network = fitted((7, 6), n_filters=2)
    assert values(network.layer_table_, "n_skipped") == [((0, 0),), ((1, 0),), ((0, 0),)]
    assert "block 0: max pooling never sees 1 row of its input." in network.summary()


@pytest.mark.parametrize("seed", range(40))
def test_receptive_field_is_what_a_unit_reacts_to(seed):
    """Change one pixel after the other and look which units change; the windows of the table say the same.

    At the border a unit may see less: where its window ends in padding, the pixels that the padding stands for are unseen.
    """
    random_state = np.random.default_rng(seed)
    draw = lambda low, high: tuple(int(n) for n in random_state.integers(low, high + 1, 2))  # noqa: E731
    layers, shape = [], (*draw(6, 11), 1)
    for _ in range(random_state.integers(1, 3)):
        size, pool = draw(1, 3), draw(1, 2)
        stride = tuple(min(n, k) for n, k in zip(draw(1, 2), size, strict=True))
        layers.append(ConvolutionBlock(
            2, size, stride, choose(random_state, "same", "valid", (size[0] - 1, 0)),
            pooling=choose(random_state, None, "average"), pool_size=pool, pool_stride=pool,
            weight_sharing=bool(random_state.integers(2)),
        ))  # fmt: skip
    try:
        plan = build_plan(tuple(layers), shape)
    except ValueError:
        pytest.skip("nothing is left of the map")
    table = layer_table(plan)
    row, is_complete = table[-1], not any(any(row["n_skipped"]) for row in table)
    network = Network(plan, gaussian_parameters(plan, random_state))
    pixels = np.eye(shape[0] * shape[1])
    response = network.scores(pixels) - network.scores(np.zeros_like(pixels[:1]))
    reacts = (abs(response) > 1e-12).reshape(*shape[:2], *plan.output_shapes[-1]).any(axis=-1)
    for unit in np.ndindex(*plan.output_shapes[-1][:2]):
        first = np.array(row["origin"]) + np.array(unit) * row["effective_stride"]
        last = first + row["receptive_field"]
        expected = np.zeros(shape[:2], dtype=bool)
        expected[max(first[0], 0) : max(last[0], 0), max(first[1], 0) : max(last[1], 0)] = True
        seen = reacts[:, :, unit[0], unit[1]]
        assert not (seen & ~expected).any()
        assert not is_complete or (seen == expected).all()


# ---------------------------------------------------------------------------------------------------------------- summary


def test_summary_has_the_numbers_of_the_table():
    network = fitted((28, 28), n_classes=10, n_filters=(16, 32))
    text = network.summary()
    for row in network.layer_table_:
        line = next(line for line in text.splitlines() if line.startswith(row["name"]))
        if row["n_parameters"]:
            assert line.split()[-3:] == [f"{row[name]:,}" for name in COUNTS]
    total = next(line for line in text.splitlines() if line.startswith("total"))
    assert total.split()[1:] == [f"{sum(row[name] for row in network.layer_table_):,}" for name in COUNTS]
    assert f"{network.n_parameters_:,}" in total
    assert all(line == line.rstrip() for line in text.splitlines())


def test_html_explains_its_headings_and_keeps_to_the_screen():
    network = fitted((8, 8))
    text = network_html(network)
    explained = re.findall(r"([a-z ]+): ", text.split("<p>")[-1])
    headings = re.findall(r"<th>([^<]+)</th>", text)
    assert set(map(str.strip, explained)) == set(headings) - {"layer", "window", "output", "parameters"}
    assert "max-width: calc(100vw" in text


def test_before_fitting():
    network = ConvNetClassifier()
    with pytest.raises(NotFittedError):
        network.summary()
    with pytest.raises(NotFittedError):
        network.feature_maps(np.zeros((1, 4, 4)))
    assert not hasattr(network, "layer_table_")
    assert not hasattr(network, "receptive_field_")


def test_nothing_of_it_is_pickled():
    network = fitted((8, 8))
    before = set(vars(network)["_fitted"])
    assert all((network.summary(), network.layer_table_, network._repr_html_()))
    assert set(vars(network)["_fitted"]) == before


# --------------------------------------------------------------------------------------------------------------- warnings


def test_the_lecture_s_example_warns():
    """5x5 image, 3x3 kernel, stride 3: two rows and two columns are never seen."""
    with pytest.warns(UserWarning, match=re.escape("Block 0: stride=(3, 3) with kernel_size=(3, 3)")) as record:
        fitted((5, 5), stride=3, padding="valid", pooling=None)
    message = str(record[0].message)
    assert "rows 3 to 4 and columns 3 to 4 of its 5 x 5 input" in message
    assert "padding='same' or stride=2" in message


def test_the_remedy_against_a_long_stride_is_found_without_a_long_search():
    code = """
        from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
        from sklearn_cnn._network.plan import build_plan
        from sklearn_cnn._network.summary import geometry_warnings
        for length, window, stride in (16_000, 3, 300_000), (16_000, 3, 2**31 - 1), (16_000, 512, 256), (2**20, 2**19, 2**19 - 1):
            layer = ConvolutionBlock(1, (1, window), (1, stride))
            print(*geometry_warnings(build_plan((layer, DenseLayer(1)), (1, length, 1))))
    """
    warned = run_python(code, timeout=60).splitlines()
    assert "values 3 to 15999 of its 1 x 16000 input. Use stride=1 or a kernel_size of at least the stride" in warned[0]
    assert "Use stride=1 or" in warned[1]
    assert "Use padding='same' or stride=242 to see" in warned[2]
    assert "never sees value 1048575 " in warned[3]


@pytest.mark.parametrize("remedy", [{"padding": "same"}, {"stride": 2}])
def test_the_remedies_help(remedy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted((5, 5), **{"stride": 3, "padding": "valid", "pooling": None} | remedy)


@pytest.mark.parametrize(
    ("shape", "parameters", "words"),
    [
        ((12, 12), {"stride": 3, "kernel_size": 2}, ["4 of 12 rows (2, 5, 8, ...)", "stride=2 or a kernel_size of at least"]),
        ((12, 12), {"stride": 2, "kernel_size": 1}, ["6 of 12 rows (1, 3, 5, ...)", "stride=1 or a kernel_size of at least"]),
        ((28, 27), {"stride": 2, "padding": "valid"}, ["never sees row 27 of its 28 x 27 input", "padding='same' or stride=1"]),
        ((40,), {"stride": 4, "kernel_size": 5, "padding": "valid"}, ["values 37 to 39", "padding='same' or stride=1"]),
        ((12, 12), {"pool_stride": 4}, ["pool_stride=(4, 4) is longer than pool_size=(2, 2)", "rows 2 to 3, 6 to 7"]),
        ((8, 8), {"n_filters": (2, 2), "stride": [1, 3], "kernel_size": [3, 2], "pooling": None}, ["Block 1: stride=(3, 3)"]),
    ],
)  # fmt: skip
def test_what_a_warning_says(shape, parameters, words):
    with pytest.warns(UserWarning, match="never sees") as record:
        fitted(shape, **parameters)
    for word in words:
        assert word in str(record[0].message)


@pytest.mark.parametrize("length", range(2, 14))
@pytest.mark.parametrize("parameters", [{}, {"stride": 2}, {"stride": 2, "pooling": None}, {"pool_size": 3, "pool_stride": 2}])
def test_silent_at_any_size(length, parameters):
    """Pooling at its default step and strides with "same" padding are nobody's mistake, where they leave more than one pixel."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted((length, length + 1), **parameters)


def test_a_skipped_row_of_padding_is_no_loss():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted((28, 28), stride=2, padding=1)


def test_a_fit_that_goes_on_does_not_warn_again():
    X, y = bars()
    network = small_network(stride=3, kernel_size=2, warm_start=True)
    with pytest.warns(UserWarning, match="never sees"):
        network.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.fit(X, y)
        network.partial_fit(X, y)


def test_warnings_as_errors_leave_no_trace():
    network = small_network(stride=3, kernel_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="never sees"):
            network.fit(*bars())
    assert not hasattr(network, "n_iter_")


def test_every_remedy_of_random_blocks_helps():
    """Whatever stride a warning recommends sees everything."""
    for seed in range(300):
        random_state = np.random.default_rng(seed)
        kernel, stride = (tuple(int(n) for n in random_state.integers(1, 5, 2)) for _ in range(2))
        shape = (*(int(n) for n in random_state.integers(5, 15, 2)), 1)
        layer = ConvolutionBlock(1, kernel, stride, ["valid", "same", (1, 0)][seed % 3])
        message = next(geometry_warnings(build_plan((layer, DenseLayer(1)), shape)), None)
        if message is None:
            continue
        better = [int(n) for n in re.findall(r"[^_]stride=(\d+)", message)]
        changed = [ConvolutionBlock(1, kernel, tuple(min(n, s) for s in stride), layer.padding) for n in better]
        if "padding='same' or" in message or "padding='same' to" in message:
            changed.append(ConvolutionBlock(1, kernel, stride, "same"))
        assert changed, message
        for block in changed:
            assert not list(geometry_warnings(build_plan((block, DenseLayer(1)), shape)))


@pytest.mark.parametrize(
    ("shape", "parameters", "blocks"),
    [
        ((8, 8), {"n_filters": (2,) * 5}, [3, 4]),  # 8, 4, 2 and 1 pixels
        ((8, 8), {"n_filters": (2,) * 5, "pooling": ["max"] * 3 + [None] * 2}, []),
        ((8, 8), {"n_filters": (2,) * 3}, []),
        ((8, 8), {"n_filters": 2, "kernel_size": 8, "padding": "valid", "pooling": "average"}, [0]),
        ((8, 8), {"n_filters": 2, "pool_size": 20}, []),  # cut to the map, which it pools as a whole
        ((1, 4), {"n_filters": (2,) * 3}, [2]),
        ((1, 1), {"n_filters": (2,) * 3}, []),  # nothing anybody could do about it
        ((8, 8), {}, []),
        ((1, 2), {}, []),
    ],
)
def test_pooling_of_a_single_pixel_is_said(shape, parameters, blocks):
    network = ConvNetClassifier(**parameters, max_iter=1, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network.fit(np.random.RandomState(0).rand(4, *shape), [0, 1, 0, 1])
    messages = [str(warning.message) for warning in caught if "single pixel" in str(warning.message)]
    assert [message.split(":")[0] for message in messages] == [f"Block {block}" for block in blocks]
    assert all("does nothing" in message and "fewer blocks" in message for message in messages)


# ------------------------------------------------------------------------------------------------------------ feature maps


def standardised(network, X):
    state = vars(network)["_fitted"]
    X = X.reshape(len(X), *network.input_shape_)
    return (X - state["shift"]) * state["factor"]


def test_feature_maps_are_the_functional_ones():
    X, y = bars()
    network = small_network(n_filters=(4, 3), scale_input=True).fit(X, y)
    images = standardised(network, X).astype(np.float32)
    first = np.maximum(conv2d(images, network.kernels_[0], network.intercepts_[0], padding=1), 0)
    pooled = max_pool2d(first)
    second = np.maximum(conv2d(pooled, network.kernels_[1], network.intercepts_[1], padding=1), 0)
    for maps, block, stage in ((first, 0, "conv"), (pooled, 0, "pool"), (second, 1, "conv"), (max_pool2d(second), 1, "pool")):
        np.testing.assert_allclose(network.feature_maps(X, block, stage), maps, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(network.feature_maps(X, -1), network.feature_maps(X, 1))


def test_feature_maps_of_a_locally_connected_block_agree_with_the_twin():
    X, y = bars()
    network = small_network(weight_sharing=False, padding_mode="reflect", stride=2, activation="tanh", pooling=None).fit(X, y)
    plan = build_plan(
        (ConvolutionBlock(4, (3, 3), (2, 2), "same", "reflect", None, weight_sharing=False, activation="tanh"),), (6, 6, 1)
    )
    twin = network_forward(plan, vars(network)["_fitted"]["parameters"].astype(float), standardised(network, X).astype(float))
    maps = network.feature_maps(X)
    assert maps.shape == (len(X), 3, 3, 4)
    np.testing.assert_allclose(maps.ravel(), np.ravel(last_of(twin)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(network.feature_maps(X, stage="pool"), maps)


def last_of(twin):
    """The twin returns its values, alone or with what it keeps for the way back."""
    return twin[0] if isinstance(twin, tuple) else twin


def test_feature_maps_take_what_predict_takes():
    X, y = bars()
    network = small_network(input_shape=(6, 6)).fit(X.reshape(len(X), 36), y)
    expected = network.feature_maps(X)
    assert expected.dtype == np.float32
    for same in (X.reshape(len(X), 36), X[..., None], X.astype(np.float64), np.asfortranarray(X)):
        np.testing.assert_array_equal(network.feature_maps(same), expected)
    with pytest.raises(ValueError, match="features"):
        network.feature_maps(X[:, :5].reshape(len(X), 30))
    with pytest.raises(ValueError, match="NaN"):
        network.feature_maps(np.full((2, 36), np.nan))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"block": 1}, ValueError, "block=1 does not exist: the network has 1"),
        ({"block": -2}, ValueError, "block=-2"),
        ({"block": 0.0}, TypeError, "block must be an integer"),
        ({"block": True}, TypeError, "block must be an integer"),
        ({"stage": "convolution"}, ValueError, "stage='convolution' must be 'conv'"),
        ({"stage": None}, ValueError, "stage=None"),
    ],
)
def test_feature_maps_of_what_is_not_there(arguments, error, match):
    X, y = bars()
    network = small_network().fit(X, y)
    with pytest.raises(error, match=match):
        network.feature_maps(X, **arguments)


# -------------------------------------------------------------------------------------------------------------------- HTML

MARK = 'class="sklearn-cnn-network"'


def test_html_shows_the_network_once_fitted():
    network = small_network()
    assert MARK not in network._repr_html_()
    network.fit(*bars())
    for text in (network._repr_html_(), network._repr_mimebundle_()["text/html"]):
        assert text.count(MARK) == 1
        assert "block 0: convolution" in text
        assert text.count("<svg") == 1
        assert f"{network.n_parameters_:,} parameters" in text


def as_it_is(batch, random_state):
    return batch


#: Parameters of training -> what summary and HTML say of them.
TRAINED_WITH = [
    ({}, "solver='adam', learning_rate='constant'."),
    ({"learning_rate": "auto"}, "solver='adam', learning_rate='one_cycle'."),
    ({"learning_rate": "auto", "warm_start": True}, "solver='adam', learning_rate='constant'."),
    ({"learning_rate": "cosine", "solver": "adamw"}, "solver='adamw', learning_rate='cosine'."),
    ({"n_filters": "auto"}, "learning_rate='constant', dropout=0.4."),
    ({"n_filters": "auto", "dropout": 0.0}, "learning_rate='constant'."),
    ({"dropout": [0.1, 0.2]}, "dropout=[0.1, 0.2]."),
    ({"dropout": np.float32(0.5)}, "dropout=0.5."),
    ({"label_smoothing": 0.1}, "label_smoothing=0.1."),
    ({"augment": ImageAugmentation(shift=2, flip="horizontal")}, "augment=ImageAugmentation(flip='horizontal', shift=2)."),
    ({"augment": as_it_is}, "augment=as_it_is."),
    ({"solver": "lbfgs"}, "solver='lbfgs'."),
]


@pytest.mark.parametrize(("parameters", "words"), TRAINED_WITH)
def test_summary_and_html_say_what_a_network_is_trained_with(parameters, words):
    network = small_network(**parameters).fit(*bars())
    sentence = network.summary().splitlines()[-1]
    assert sentence.startswith("Parameters of training: solver=")
    assert sentence.endswith(words)
    for again in (network, pickle.loads(pickle.dumps(network)), network.export()):
        assert f"<p>{html.escape(sentence)}</p>" in network_html(again)


#: Parameters of the layers -> words of the drawing, each as often as it stands there.
DRAWN = [
    ({}, {"batch norm": 0, "max pooling": 1, "convolution": 1}),
    ({"batch_norm": True}, {"batch norm": 1, "max pooling": 1}),
    ({"batch_norm": True, "hidden_layer_sizes": 3, "pooling": "average"}, {"batch norm": 2, "average pooling": 1, "dense 0": 1}),
    ({"global_pooling": "max", "pooling": None}, {"global max pooling": 1}),
    ({"weight_sharing": False}, {"locally connected": 1, "convolution": 0}),
]


@pytest.mark.parametrize(("parameters", "words"), DRAWN)
def test_the_drawing_names_every_kind_of_layer(parameters, words):
    network = small_network(**parameters).fit(*bars())
    picture = re.search(r"<svg.*?</svg>", network_html(network), re.DOTALL).group()
    assert {word: picture.count(f">{word}</text>") for word in words} == words
    lowest = max(float(y) for y in re.findall(r'<text x="[^"]*" y="([^"]*)"', picture))
    assert lowest < float(re.search(r'height="(\d+)"', picture).group(1))


def test_a_damaged_record_is_named_by_the_summary():
    network = small_network().fit(*bars())
    vars(network)["_fitted"]["history"]["epoch_of_cycle"] = -1
    with pytest.raises(ValueError, match=r"epoch_of_cycle.*Fit the estimator again"):
        network.summary()
    assert MARK not in network._repr_html_()


def test_text_display_stays_text():
    network = small_network().fit(*bars())
    with config_context(display="text"):
        assert not hasattr(network, "_repr_html_")
        assert "text/html" not in network._repr_mimebundle_()


def test_html_inside_pipelines_and_searches():
    X, y = bars()
    pipeline = make_pipeline(FunctionTransformer(), small_network()).fit(X, y)
    search = GridSearchCV(small_network(), {"n_filters": [2, 3]}, cv=2).fit(X, y)
    has_tables = hasattr(FunctionTransformer, "_get_params_html")
    assert (MARK in pipeline._repr_html_()) == has_tables  # scikit-learn 1.6 shows steps as text
    assert (MARK in search._repr_html_()) == has_tables


def test_html_without_the_table_of_parameters(monkeypatch):
    """As in scikit-learn 1.6, and in whatever comes: the public protocols add the network by themselves."""
    network = small_network().fit(*bars())
    monkeypatch.setattr("sklearn_cnn._estimator.diagram.NetworkDiagram._get_params_html", lambda self, *_, **__: FakeParameters())
    assert network._repr_html_().count(MARK) == 1
    assert network._repr_mimebundle_()["text/html"].count(MARK) == 1


class Slotted:
    __slots__ = ()

    def _repr_html_inner(self):
        return ""


@pytest.mark.parametrize("parameters", [None, {}, {"a": 1}, Slotted()], ids=["None", "empty", "a dict", "slots"])
def test_html_where_the_table_of_parameters_is_another(parameters, monkeypatch):
    """What scikit-learn calls its table is not public: where it is something else, it stays what it is."""
    network = small_network().fit(*bars())
    monkeypatch.setattr(BaseEstimator, "_get_params_html", lambda self, *_, **__: parameters, raising=False)
    assert network._get_params_html(deep=False) is parameters


def test_html_with_a_table_that_takes_arguments_or_is_no_text(monkeypatch):
    network = small_network().fit(*bars())
    monkeypatch.setattr(BaseEstimator, "_get_params_html", lambda self, *_, **__: Colourful(), raising=False)
    table = network._get_params_html()
    assert table._repr_html_inner(colour="red").count(MARK) == 1
    assert table._repr_html_inner() is None


class Colourful:
    def _repr_html_inner(self, colour=None):
        return colour


def test_html_where_scikit_learn_has_none(monkeypatch):
    """Neither protocol of notebooks is there: then nothing is, and the text remains."""
    network = small_network().fit(*bars())
    for name in ("_repr_html_", "_repr_mimebundle_"):
        for owner in [kind for kind in type(network).__mro__ if name in vars(kind) and kind.__module__.startswith("sklearn.")]:
            monkeypatch.delattr(owner, name)
        assert not hasattr(network, name)
    assert repr(network).startswith("ConvNetClassifier(")


class FakeParameters(dict):
    def _repr_html_inner(self):
        return ""


def test_html_of_a_damaged_state_still_shows():
    network = small_network().fit(*bars())
    network._fitted = {**network._fitted, "layers": None}
    assert MARK not in network_html(network)


def test_signatures_of_the_public_methods():
    maps = inspect.signature(ConvNetClassifier.feature_maps).parameters
    assert {name: parameter.default for name, parameter in maps.items() if parameter.default is not parameter.empty} == {
        "block": 0, "stage": "conv",
    }  # fmt: skip
    assert list(maps) == ["self", "X", "block", "stage"]
    assert list(inspect.signature(ConvNetClassifier.summary).parameters) == ["self"]


@pytest.mark.parametrize(
    ("kind", "parameters", "is_pooled"),
    [
        (ConvNetClassifier, {}, True),
        (ConvNetClassifier, {"kernel_size": [3, 5]}, True),
        (ConvNetClassifier, {"hidden_layer_sizes": 4}, False),
        (ConvNetClassifier, {"n_filters": (4, 8)}, False),
        (ConvNetClassifier, {"n_filters": (4, 8), "global_pooling": "average"}, True),
        (ConvNetClassifier, {"global_pooling": None}, False),
        (ConvNetRegressor, {}, False),  # where something is may be the answer
    ],
)
def test_maps_are_averaged_where_the_whole_network_is_automatic(kind, parameters, is_pooled):
    network = kind(**parameters, max_iter=1, random_state=0).fit(*bars())
    assert ("global average pooling" in [row["name"] for row in network.layer_table_]) == is_pooled
