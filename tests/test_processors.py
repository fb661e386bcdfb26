"""No number depends on how many processors there are: not even what the work is cut into.

``test_threads.py`` varies the threads. Here the machine changes, or what it says of itself.
"""

import hashlib
import json
import os

import numpy as np
import pytest
from processes import pretend_processors, run_python

from sklearn_cnn import ConvNetClassifier, _kernels
from sklearn_cnn._network.arena import build_arena, prediction_capacity
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.plan import build_plan

# --------------------------------------------------------------------------------------------------- the cut of the work


def usual_network(n_filters, hidden_layer_sizes=(), **options):
    options = {"padding": "same", "pooling": "max", "activation": "relu", **options}
    blocks = [ConvolutionBlock(n, (3, 3), **options) for n in n_filters]
    return (*blocks, *(DenseLayer(n, "relu") for n in hidden_layer_sizes), DenseLayer(10))


#: (layers, shape of an image); size of a mini-batch -> chunks of training; images to predict -> (images of a call, their chunks)
CUTS = {
    "grey": (usual_network((32, 64), (128,)), (28, 28, 1),
             {1: 1, 7: 4, 32: 16, 200: 16}, {1: (1, 1), 9: (16, 2), 200: (256, 32), 5000: (256, 32)}),
    "colour": (usual_network((32, 64, 128), (128,)), (32, 32, 3),
               {1: 1, 7: 4, 32: 8, 200: 16}, {1: (1, 1), 9: (16, 2), 200: (128, 16), 5000: (128, 16)}),
    "small": (usual_network((16, 32)), (8, 8, 1),
              {1: 1, 7: 1, 32: 4, 200: 8}, {1: (1, 1), 9: (16, 2), 200: (256, 32), 5000: (1024, 128)}),
    "local": (usual_network((8,), (20,), weight_sharing=False), (12, 12, 1),
              {1: 1, 7: 1, 32: 1, 200: 4}, {1: (1, 1), 9: (16, 2), 200: (256, 32), 5000: (1024, 128)}),
    # so many weights that memory is left for a few gradients only
    "heavy": (usual_network((500, 500)), (8, 8, 300),
              {1: 1, 7: 4, 32: 4, 200: 4}, {1: (1, 1), 9: (16, 2), 200: (64, 8), 5000: (64, 8)}),
}  # fmt: skip


@pytest.fixture
def pretended_processors(request, monkeypatch):
    functions = _kernels._processors, build_arena, prediction_capacity, build_plan
    pretend_processors(request.param, lambda *where: monkeypatch.setattr(*where, raising=False))
    for function in functions:
        function.cache_clear()
    yield
    monkeypatch.undo()
    for function in functions:
        function.cache_clear()


@pytest.mark.parametrize("pretended_processors", [1, 2, 3, 64], indirect=True)
@pytest.mark.parametrize("n_threads", [1, 2, 3, 64])
@pytest.mark.parametrize("name", CUTS)
@pytest.mark.usefixtures("pretended_processors")
def test_work_is_cut_by_its_size(n_threads, name):
    layers, input_shape, trainings, predictions = CUTS[name]
    plan = build_plan(layers, input_shape)
    for n_samples, n_chunks in trainings.items():
        assert build_arena(plan, n_samples, n_threads, True)["n_chunks"] == n_chunks, n_samples
    for n_samples, cut in predictions.items():
        capacity = prediction_capacity(plan, n_samples, n_threads)
        assert (capacity, build_arena(plan, capacity, n_threads, False)["n_chunks"][0]) == cut, n_samples


# ------------------------------------------------------------------------------------------------- fits on other machines


def fit(n_jobs=None):
    """The digest of everything a fit gives, and the parallel regions in it: name -> [pieces, threads]."""
    random_state = np.random.default_rng(0)
    X, y = random_state.standard_normal((150, 144)), random_state.integers(0, 3, 150)
    X[y == 1] += 0.3
    network = ConvNetClassifier(
        input_shape=(12, 12), n_filters=(16, 32), hidden_layer_sizes=(900,), batch_size=70, max_iter=2, random_state=0,
        early_stopping=False, n_jobs=n_jobs,
    )  # fmt: skip
    _kernels.kernels().take_region_records()
    network.fit(X, y)
    records = _kernels.kernels().take_region_records()
    arrays = [*network.coefs_, *network.intercepts_, network.predict_proba(X), np.array(network.loss_curve_)]
    assert all(np.isfinite(array).all() for array in arrays)
    return hashlib.sha256(b"".join(map(bytes, map(np.ascontiguousarray, arrays)))).hexdigest(), records


@pytest.fixture(scope="module")
def fitted():
    digest, records = fit(n_jobs=1)
    return digest, {name: pieces for name, (pieces, _) in records.items()}


def usable_processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


#: What happens before the package is imported, variables of the environment, n_jobs; threads that then compute
MACHINES = {
    "all processors": ("", {"OMP_NUM_THREADS": str(usable_processors())}, -1, usable_processors()),
    "one processor": ("processes.keep_one_processor()", {}, None, 1),
    "one processor pretended": ("processes.pretend_processors(1)", {"LOKY_MAX_CPU_COUNT": "1"}, None, 1),
    "64 processors pretended": ("processes.pretend_processors(64)", {"OMP_NUM_THREADS": "3"}, None, 3),
    "OMP_NUM_THREADS": ("", {"OMP_NUM_THREADS": "1"}, None, 1),
    # who asks for five threads is given two, and the record knows
    "OMP_THREAD_LIMIT": ("", {"OMP_THREAD_LIMIT": "2"}, 5, 2),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fit_does_not_depend_on_the_machine(machine, fitted):
    preparation, environment, n_jobs, expected = MACHINES[machine]
    printed = run_python(
        f"""
        import json, processes
        {preparation}
        from test_processors import fit
        print(json.dumps(fit(n_jobs={n_jobs})))
        """,
        **environment,
    )
    digest, records = json.loads(printed)
    assert (digest, {name: pieces for name, (pieces, _) in records.items()}) == fitted
    assert {threads for _, threads in records.values()} == {expected if _kernels.kernels().describe()["openmp"] else 1}
    assert set(records) == {"forward_chunks", "backward_chunks", "dense_forward", "dense_backward", "update"}
