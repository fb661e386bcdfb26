"""Searches and data on clusters: the bits of one process, one thread for each slot, chunks in order.

Each test runs where its library is installed.
"""

import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from images import digits, fitted_arrays, small_network

from sklearn_cnn import ConvNetClassifier, _kernels

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "clusters.py"


def of_two_slots(n_jobs):
    """The most threads that a fit computes on, in each of two slots."""

    def threads_of_fit():  # in here it is sent by value: workers cannot import this module
        X, y = np.random.default_rng(0).random((64, 28, 28)), np.arange(64) % 2
        _kernels.kernels().take_region_records()
        ConvNetClassifier(16, kernel_size=5, batch_size=64, max_iter=1, random_state=0, n_jobs=n_jobs).fit(X, y)
        return max(threads for _, threads in _kernels.kernels().take_region_records().values())

    return joblib.Parallel(n_jobs=2)(joblib.delayed(threads_of_fit)() for _ in range(2))


def several():
    return 2 if _kernels.kernels().describe()["openmp"] else 1


@pytest.fixture(scope="module")
def dask_client():
    """Two workers with a slot each."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.usefixtures("dask_client")
def test_a_slot_of_dask_is_a_thread():
    with joblib.parallel_config("dask"):
        assert of_two_slots(n_jobs=None) == [1, 1]
        assert of_two_slots(n_jobs=2) == [several(), several()]


def test_slots_that_are_threads_of_one_process_are_told_nothing():
    """As in joblib's own threads: there `n_jobs` says it."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        assert of_two_slots(n_jobs=1) == [1, 1]
        assert of_two_slots(n_jobs=None) == [min(several(), _kernels.effective_n_threads())] * 2


@pytest.mark.parametrize("shape", [(64,), (8, 8)], ids=["flat", "images"])
def test_chunks_of_dask_are_learnt_in_order(shape, dask_client):
    """On a worker, which gets the state of the chunk before and gives its own to the next."""
    import dask

    array = pytest.importorskip("dask.array")
    X, y = digits()
    X = X.reshape(-1, *shape)
    chunks = [slice(0, 100), slice(100, 200), slice(200, 300)]
    here = small_network(input_shape=(8, 8))
    for chunk in chunks:
        here.partial_fit(X[chunk], y[chunk], classes=np.arange(10))

    images, labels = array.from_array(X, chunks=(100, *shape)), array.from_array(y, chunks=100)
    there = small_network(input_shape=(8, 8))
    for pixels, names in zip(images.to_delayed().ravel(), labels.to_delayed().ravel(), strict=True):
        there = dask.delayed(ConvNetClassifier.partial_fit)(there, pixels, names, np.arange(10))
    there = there.compute(scheduler=dask_client)
    assert fitted_arrays(there) == fitted_arrays(here)
    predicted = images.map_blocks(there.predict, drop_axis=list(range(1, X.ndim)), dtype=int)
    assert predicted.compute(scheduler=dask_client).tolist() == here.predict(X).tolist()


def test_wrappers_of_dask_ml_take_flat_chunks():
    wrappers = pytest.importorskip("dask_ml.wrappers")
    import dask.array as array

    X, y = digits()
    here = small_network(input_shape=(8, 8))
    for start in (0, 100, 200):
        here.partial_fit(X[start : start + 100], y[start : start + 100], classes=np.arange(10))
    images, labels = array.from_array(X, chunks=(100, 64)), array.from_array(y, chunks=100)
    incremental = wrappers.Incremental(small_network(input_shape=(8, 8)), shuffle_blocks=False)
    incremental.fit(images, labels, classes=np.arange(10))
    assert fitted_arrays(incremental.estimator_) == fitted_arrays(here)
    fitted = wrappers.ParallelPostFit(here)
    assert fitted.predict_proba(images).compute().tobytes() == here.predict_proba(X).tobytes()

    squares = array.from_array(X.reshape(-1, 8, 8), chunks=(100, 8, 8))  # images become rows
    rows = squares.reshape(len(squares), -1)
    assert rows.chunks == images.chunks
    incremental = wrappers.Incremental(small_network(input_shape=(8, 8)), shuffle_blocks=False)
    incremental.fit(rows, labels, classes=np.arange(10))
    assert fitted_arrays(incremental.estimator_) == fitted_arrays(here)
    assert fitted.predict(rows).compute().tolist() == here.predict(X).tolist()


@pytest.mark.parametrize("library", ["dask", "ray"])
def test_the_example_runs(library, tmp_path):
    """As a program of its own, from another folder; it compares the bits itself."""
    pytest.importorskip({"dask": "distributed"}.get(library, library))
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-P", str(EXAMPLE), library]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    assert "the same scores and bits as alone: True\n" in result.stdout
    assert "threads of the two slots: [1, 1]\n" in result.stdout
