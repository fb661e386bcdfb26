"""Copies of an estimator, in memory and in files."""

import copy
import pickle
import subprocess
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from sklearn.base import clone

from sklearn_cnn import __version__

ROUND_TRIPS = {
    **{
        f"pickle protocol {protocol}": lambda network, protocol=protocol: pickle.loads(pickle.dumps(network, protocol))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "cloudpickle": lambda network: cloudpickle.loads(cloudpickle.dumps(network)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trip_before_fit(name):
    X, y = bars()
    restored = ROUND_TRIPS[name](small_network(n_filters=(3, 2)))
    assert restored.get_params() == small_network(n_filters=(3, 2)).get_params()
    assert fitted_arrays(restored.fit(X, y)) == fitted_arrays(small_network(n_filters=(3, 2)).fit(X, y))


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trip_after_fit(name):
    X, y = bars()
    network = small_network(warm_start=True).fit(X, np.array(["ant", "bee", "cat"])[y])
    restored = ROUND_TRIPS[name](network)
    assert fitted_arrays(restored) == fitted_arrays(network)
    assert restored.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
    labels = np.array(["ant", "bee", "cat"])[y]
    assert fitted_arrays(restored.fit(X, labels)) == fitted_arrays(network.fit(X, labels))


@pytest.mark.parametrize("mmap_mode", [None, "r", "c"])
def test_joblib(tmp_path, mmap_mode):
    X, y = bars()
    network = small_network().fit(X, y)
    joblib.dump(network, tmp_path / "network.joblib")
    restored = joblib.load(tmp_path / "network.joblib", mmap_mode=mmap_mode)
    assert restored.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
    assert fitted_arrays(restored.partial_fit(X, y)) == fitted_arrays(network.partial_fit(X, y))


def test_clone_forgets_the_fit():
    X, y = bars()
    network = small_network(n_filters=[3, 2]).fit(X, y)
    copied = clone(network)
    assert copied.get_params() == network.get_params()
    assert not hasattr(copied, "classes_")
    assert "_fitted" not in vars(copied)


def test_a_copy_shares_nothing_that_training_changes():
    X, y = bars()
    network = small_network(warm_start=True).fit(X, y)
    before = fitted_arrays(network)
    copy.copy(network).fit(X, y)
    copy.copy(network).partial_fit(X, y)
    assert fitted_arrays(network) == before


def test_only_plain_python_and_arrays_are_stored():
    X, y = bars()
    network = small_network(n_filters=[np.int64(3), 2], early_stopping=True).fit(X, y)
    found = set()

    def walk(value):
        found.add(type(value))
        if isinstance(value, dict):
            value = [*value.keys(), *value.values()]
        if isinstance(value, list | tuple):
            for entry in value:
                walk(entry)

    walk(network._fitted)
    assert found <= {dict, list, tuple, str, int, float, bool, type(None), np.ndarray}


def test_the_version_is_written_and_compared(recwarn):
    network = small_network()
    state = network.__getstate__()
    assert state["_sklearn_cnn_version"] == __version__
    pickle.loads(pickle.dumps(network))
    assert not recwarn.list
    assert "_sklearn_cnn_version" not in vars(network)
    for written, words in ({**state, "_sklearn_cnn_version": "0.0.7"}, "0.0.7"), ({"n_filters": 4}, "an unknown version"):
        with pytest.warns(UserWarning, match=f"pickled by sklearn_cnn {words}"):
            small_network().__setstate__(written)


def test_a_fresh_process_predicts_the_same_bits(tmp_path):
    X, y = bars()
    network = small_network().fit(X, y)
    (tmp_path / "network.pickle").write_bytes(pickle.dumps(network))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, sys, numpy as np\n"
        "network = pickle.load(open('network.pickle', 'rb'))\n"
        "sys.stdout.buffer.write(network.predict_proba(np.load('X.npy')).tobytes())"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert result.stdout == network.predict_proba(X).tobytes()
