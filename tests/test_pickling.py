"""Copies of an estimator, in memory and in files."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import warnings

import cloudpickle
import golden_pickles
import joblib
import numpy as np
import pytest
from images import bars, fitted_arrays, small_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import sklearn_cnn
from sklearn_cnn import __version__
from sklearn_cnn._estimator import persistence
from sklearn_cnn._kernels import ENVIRONMENT_VARIABLE, available_levels, default_level

ROUND_TRIPS = {
    **{
        f"pickle protocol {protocol}": lambda network, protocol=protocol: pickle.loads(pickle.dumps(network, protocol))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "cloudpickle": lambda network: cloudpickle.loads(cloudpickle.dumps(network)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


class Comparable(sklearn_cnn.ConvNetClassifier):
    """Equal where the parameters are; so it has no hash."""

    def __eq__(self, other):
        return self.get_params() == other.get_params()


def test_a_subclass_without_a_hash_predicts():
    """Its network was looked up by its hash."""
    X, y = bars()
    one, other = (Comparable(2, max_iter=1, random_state=0).fit(X[rows], y[rows]) for rows in (slice(None), slice(30)))
    assert one == other
    assert one.predict_proba(X).tobytes() != other.predict_proba(X).tobytes()
    number = id(one)
    assert number in persistence._CHECKED
    del one
    gc.collect()
    assert number not in persistence._CHECKED


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


def test_skops_finds_one_foreign_type():
    io = pytest.importorskip("skops.io")
    X, y = bars()
    network = small_network(n_filters=[3, 2], early_stopping=True).fit(X, y)
    file = io.dumps(network)
    foreign = io.get_untrusted_types(data=file)
    assert foreign == ["sklearn_cnn.ConvNetClassifier"]
    restored = io.loads(file, trusted=foreign)
    assert restored.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
    assert restored.partial_fit(X, y).loss_ == network.partial_fit(X, y).loss_


PUBLIC_CLASSES = ["Checkpoint", "ConvNetClassifier", "ConvNetRegressor", "ConvNetTransformer", "ImageAugmentation"]


@pytest.mark.parametrize("name", PUBLIC_CLASSES)
def test_files_name_public_classes_by_their_public_name(name):
    public = getattr(sklearn_cnn, name)
    assert pickle.dumps(public, 0).decode().startswith(f"csklearn_cnn\n{name}\n")
    assert public.__module__ == "sklearn_cnn"


def test_names_that_earlier_files_hold_still_lead_to_the_classes():
    for module in "classifier", "regressor":
        name = f"ConvNet{module.capitalize()}"
        assert pickle.loads(f"csklearn_cnn._{module}\n{name}\n.".encode()) is getattr(sklearn_cnn, name)


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


@pytest.mark.parametrize("level", [None, *available_levels()])
def test_a_fresh_process_predicts_the_same(tmp_path, level):
    """The same bits at the same level; a file written at one level is read at every other."""
    X, y = bars()
    network = small_network().fit(X, y)
    (tmp_path / "network.pickle").write_bytes(pickle.dumps(network))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, numpy as np\n"
        "network = pickle.load(open('network.pickle', 'rb'))\n"
        "np.save('probabilities.npy', network.predict_proba(np.load('X.npy')))"
    )
    environment = os.environ if level is None else {**os.environ, ENVIRONMENT_VARIABLE: level}
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, check=True)
    loaded, here = np.load(tmp_path / "probabilities.npy"), network.predict_proba(X)
    np.testing.assert_allclose(loaded, here, rtol=1e-4, atol=1e-6)
    if level in (None, default_level()):
        assert loaded.tobytes() == here.tobytes()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_what_is_exported_predicts_the_same_and_is_a_third_as_large(parameters):
    X, y = bars()
    network = small_network(hidden_layer_sizes=(200,), **parameters).fit(X, y)
    exported = network.export()
    assert len(pickle.dumps(exported)) < 0.4 * len(pickle.dumps(network))
    for copied in exported, pickle.loads(pickle.dumps(exported)), exported.export():
        assert copied.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
        assert copied.feature_maps(X).tobytes() == network.feature_maps(X).tobytes()
        assert copied.summary() == network.summary()
        assert [name for name in dir(network) if name.endswith("_")] == [name for name in dir(copied) if name.endswith("_")]
        assert copied.loss_curve_ == network.loss_curve_
        assert copied.get_params() == network.get_params()


def test_what_is_exported_says_that_it_cannot_go_on_training():
    X, y = bars()
    network = small_network().fit(X, y)
    before = fitted_arrays(network)
    exported = pickle.loads(pickle.dumps(network.export()))
    words = "This ConvNetClassifier was exported: it predicts, but holds nothing that training could go on from"
    for call in exported.partial_fit, copy.copy(exported).set_params(warm_start=True).fit:
        with pytest.raises(ValueError, match=words):
            call(X, y)
    assert exported.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
    assert fitted_arrays(network) == before
    assert fitted_arrays(exported.fit(X, y)) == before  # anew
    assert fitted_arrays(clone(network.export()).fit(X, y)) == before
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        small_network().export()


def test_an_exported_state_that_lacks_more_is_damaged():
    X, y = bars()
    exported = small_network().fit(X, y).export()
    for name in "parameters", "history", "classes_":
        state = exported.__getstate__()
        state["_fitted"] = {key: value for key, value in state["_fitted"].items() if key != name}
        with pytest.raises(ValueError, match=rf"The fitted {name} must be .*, but it is missing"):
            small_network().__setstate__(state)
    state = small_network().fit(X, y).__getstate__()
    del state["_fitted"]["second_moment"]
    with pytest.raises(ValueError, match=r"The fitted second_moment must be .*, but it is missing"):
        small_network().__setstate__(state)


GOLDEN = sorted(golden_pickles.FOLDER.glob("*.pickle"))


def load_golden(path):
    """A pickled estimator of an earlier state of the package, and what it answered there; the first had probabilities only."""
    golden = pickle.loads(path.read_bytes())
    if "probabilities" in golden:
        golden |= {"method": "predict_proba", "answers": golden["probabilities"]}
    return golden


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_pickles_of_earlier_versions_load_predict_and_go_on(path):
    golden = load_golden(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say that another version has written them; the next test looks at that
        estimator = pickle.loads(golden["estimator"])
    # Written at one level of kernels and read at another: equal but for rounding.
    answers = getattr(estimator, golden["method"])(golden_pickles.data()[0][:10])
    np.testing.assert_allclose(answers, golden["answers"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(golden_pickles.losses_after_more(estimator), golden["losses"], rtol=1e-4)
    network = golden_pickles.network_of(estimator)
    assert network.get_params(deep=False).keys() == type(network)().get_params().keys()
    assert all((network.summary(), network.layer_table_, network.kernels_, repr(network), repr(estimator)))


@pytest.mark.parametrize("name", golden_pickles.ESTIMATORS)
def test_the_files_of_a_release_are_written_by_a_program_and_small(name):
    """For every kind of estimator there is a file of some state, and the program writes what the test above reads."""
    assert any(path.stem.endswith(f"-{name}") for path in GOLDEN)
    golden = golden_pickles.golden(name)
    assert golden.keys() == {"estimator", "method", "answers", "losses"}
    assert len(golden["losses"]) > golden_pickles.SMALL["max_iter"]
    assert len(pickle.dumps(golden)) < 12_000


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_pickles_of_another_version_warn(path, monkeypatch):
    monkeypatch.setattr("sklearn_cnn._estimator.persistence.__version__", "999.0")
    with pytest.warns(UserWarning, match=r"pickled by sklearn_cnn .* loaded by 999\.0"):
        pickle.loads(load_golden(path)["estimator"])


def test_a_parameter_that_a_pickle_lacks_has_its_default():
    X, y = bars()
    network = small_network().fit(X, y)
    state = network.__getstate__()
    del state["scale_input"], state["n_jobs"]
    restored = object.__new__(type(network))
    restored.__setstate__(state)
    assert restored.get_params() == {**network.get_params(), "scale_input": True, "n_jobs": None}
    assert restored.predict_proba(X).tobytes() == network.predict_proba(X).tobytes()
