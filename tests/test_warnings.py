"""Warnings show the line of the user who can do something about them."""

import io
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from images import bars, digits, small_network
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_cnn import ConvNetRegressor, ConvNetTransformer, _version
from sklearn_cnn._estimator import persistence

SKIPPING = {"stride": 3, "kernel_size": 2}


def the_warning(call, match):
    with pytest.warns(UserWarning, match=match) as record:
        call()
    return record


def stored(write, monkeypatch):
    network = small_network()
    with monkeypatch.context() as context:
        context.setattr(persistence, "__version__", "0.0.1")
        file = io.BytesIO()
        write(network, file)
    file.seek(0)
    return file


CALLS = {
    "a square": (lambda: small_network().fit(*digits(20)), "read as one-dimensional"),
    "a square, part by part": (lambda: small_network().partial_fit(*digits(20), classes=range(10)), "one-dimensional"),
    "pixels": (lambda: small_network(**SKIPPING).fit(*bars()), "never sees"),
    "pixels, part by part": (lambda: small_network(**SKIPPING).partial_fit(*bars(), classes=range(3)), "never sees"),
    "a pair": (lambda: small_network(n_filters=(2, 2), kernel_size=(3, 2)).fit(*bars()), "is a pair"),
    "a pipeline": (lambda: make_pipeline(FunctionTransformer(), small_network(**SKIPPING)).fit(*bars()), "never sees"),
    "a search": (lambda: GridSearchCV(small_network(**SKIPPING), {"max_iter": [1]}, cv=2).fit(*bars()), "never sees"),
    "scores": (lambda: cross_val_score(small_network(**SKIPPING), *bars(), cv=2), "never sees"),
    "a transformer": (lambda: ConvNetTransformer(small_network(**SKIPPING)).fit(*bars()), "never sees"),
    "a regressor": (lambda: ConvNetRegressor(2, max_iter=1, **SKIPPING).fit(*bars()), "never sees"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_line_is_the_user_s(name):
    call, match = CALLS[name]
    for warning in the_warning(call, match):
        assert Path(warning.filename) == Path(__file__)
        assert warning.lineno == call.__code__.co_firstlineno


@pytest.mark.parametrize(("write", "read"), [(pickle.dump, pickle.load), (joblib.dump, joblib.load)], ids=["pickle", "joblib"])
def test_a_file_of_another_version_points_at_who_loads_it(write, read, monkeypatch):
    file = stored(write, monkeypatch)
    (warning,) = the_warning(lambda: read(file), f"pickled by sklearn_cnn 0.0.1 and is loaded by {_version.__version__}")
    assert Path(warning.filename) == Path(__file__)


@pytest.mark.parametrize(
    ("parameters", "listed"),
    [
        ({"kernel_size": (3, 2)}, "kernel_size=[3, 2]; kernel_size=[(3, 2), (3, 2)]"),
        ({"stride": (np.int64(1), 2)}, "stride=[1, 2]; stride=[(1, 2), (1, 2)]"),
        ({"padding": (0, 1)}, "padding=[0, 1]; padding=[(0, 1), (0, 1)]"),
        ({"pool_size": (2, 1)}, "pool_size=[2, 1]; pool_size=[(2, 1), (2, 1)]"),
        ({"pool_stride": (2, 1)}, "pool_stride=[2, 1]; pool_stride=[(2, 1), (2, 1)]"),
    ],
    ids=str,
)
def test_a_pair_that_might_be_one_value_per_block(parameters, listed):
    """(3, 2) is a pair, [3, 2] one value per block: with two blocks somebody may mean either."""
    ((name, value),) = parameters.items()
    plain = {"n_filters": (2, 3), "kernel_size": 2, "pooling": None, "max_iter": 1}
    network = small_network(**plain | parameters)
    record = the_warning(lambda: network.fit(*bars()), "is a pair")
    assert [listed in str(warning.message) for warning in record].count(True) == 1
    silent = [
        network.set_params(**{name: [value, value]}),
        small_network(**plain | {name: [1, 2]}),
        small_network(**plain | {name: (2, 2)}),
        small_network(**plain | parameters | {"n_filters": (2, 3, 4)}),
        small_network(**plain | parameters | {"n_filters": 2}),
    ]
    for other in silent:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*is a pair")
            other.fit(*bars())


@pytest.mark.parametrize("shape", [(3, 24), (2, 8), (12, 48)])
def test_signals_whose_channels_come_first_are_no_images(shape):
    """Signals as aeon has them were read as grey images without a word."""
    channels, length = shape
    X, y = np.random.default_rng(0).random((12, *shape)), np.arange(12) % 3
    network = small_network(kernel_size=1, pooling=None, max_iter=1)
    call = lambda: clone(network).fit(X, y)  # noqa: E731 (the line that is looked for)
    (warning,) = the_warning(call, "which is read as an image of")
    assert warning.lineno == call.__code__.co_firstlineno
    way = f"numpy.moveaxis(X, 1, 2).reshape(len(X), -1) with input_shape=(1, {length}, {channels})."
    assert way in str(warning.message)
    assert f"input_shape={shape} silences this." in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(network).set_params(input_shape=shape).fit(X, y)
        clone(network).set_params(input_shape=(1, length, channels)).fit(np.moveaxis(X, 1, 2).reshape(len(X), -1), y)
        clone(network).fit(X[..., None], y)  # which says itself that there is one channel
        clone(network).fit(X[:, :, : 4 * channels - 1], y)


def test_a_pair_is_read_as_it_always_was():
    X, y = bars()
    with pytest.warns(UserWarning, match="is a pair"):
        pair = small_network(n_filters=(2, 3), kernel_size=(3, 2)).fit(X, y)
    listed = small_network(n_filters=(2, 3), kernel_size=[(3, 2), (3, 2)]).fit(X, y)
    assert [kernels.shape[2:] for kernels in pair.kernels_] == [(3, 2), (3, 2)]
    np.testing.assert_array_equal(pair.predict_proba(X), listed.predict_proba(X))
    one_each = small_network(n_filters=(2, 3), kernel_size=[3, 2]).fit(X, y)
    assert [kernels.shape[2:] for kernels in one_each.kernels_] == [(3, 3), (2, 2)]


@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "pool_size", "pool_stride"])
def test_errors_speak_of_lists(name):
    with pytest.raises(ValueError, match=rf"{name}='odd'.*\(rows, columns\) of them, or a list of those with one per block"):
        small_network(**{name: "odd"}).fit(*bars())
    with pytest.raises(ValueError, match="or a list with one entry per block"):
        small_network(n_filters=(2, 3), **{name: [1, 1, 1]}).fit(*bars())
