"""What holds for whole fits: the same bits on any number of threads and in any process, whole weights are rows, and what is said
of a row depends on no other.

The kernels' share of it is tested in ``test_threads.py`` and ``test_determinism.py``.
"""

import json

import numpy as np
import pytest
from fits import EVERYTHING, fits
from images import bars, fitted_arrays, small_network
from processes import run_python

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, _kernels
from sklearn_cnn._network.network import pace_of_training

pytestmark = pytest.mark.filterwarnings("ignore")

# --------------------------------------------------------------------------------------------------------------- threads

THREADS = (2, 3, 4, 7, 8, 16)
LARGE = {"n_filters": (16, 24), "batch_size": 64, "max_iter": 1, "random_state": 0}
SETTINGS = {
    "defaults": {},
    "sgd": {"solver": "sgd"},
    "adamw": {"solver": "adamw", "alpha": 0.1},
    "no normalisation": {"batch_norm": False},
    "lbfgs": {"solver": "lbfgs", "batch_norm": False, "max_iter": 2},
    "average": {"pooling": "average"},
    "no pooling": {"pooling": None, "batch_norm": False},
    "tanh": {"activation": "tanh"},
    "logistic": {"activation": "logistic"},
    "stride": {"stride": 2},
    "mirrored": {"padding_mode": "reflect", "padding": 2},
    "locally connected": {"weight_sharing": False, "n_filters": 12},
    "large kernels": {"kernel_size": 5},
    "dense layers": {"hidden_layer_sizes": (300, 50)},
    "dropout": {"dropout": 0.3, "hidden_layer_sizes": 300},
    "augmented": {"augment": EVERYTHING},
    "early stopping": {"early_stopping": True},
    "global maximum": {"global_pooling": "max"},
    "weighted classes": {"class_weight": "balanced"},
    "smoothed labels": {"label_smoothing": 0.1},
    "Winograd": {"n_filters": (16, 32), "batch_norm": False},
    "Winograd, large tiles": {"n_filters": (16, 32, 16), "pooling": [None, "max", None], "winograd_tile": 4},
}


def threads_of(compute):
    """What a call returns, and the most threads that took part in it."""
    modules = [_kernels.kernels(dtype) for dtype in ("float32", "float64")]
    for module in modules:
        module.take_region_records()
    pace_of_training.cache_clear()
    result = compute()
    return result, max(threads for module in modules for _, threads in module.take_region_records().values())


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, ConvNetClassifier) for name in SETTINGS), *((name, ConvNetRegressor) for name in ("defaults", "lbfgs"))],
)
def test_no_number_of_threads_changes_a_bit_of_a_fit(name, kind, monkeypatch):
    monkeypatch.setattr(_kernels, "_processors", lambda: 4)  # so that sixteen threads are allowed
    X = np.random.default_rng(0).standard_normal((64, 28, 28)).astype(np.float32)
    y = np.arange(64) % 3 if kind is ConvNetClassifier else X[:, 0, 0]

    def fit(n_threads):
        network = kind(**LARGE | SETTINGS[name], n_jobs=n_threads).fit(X, y)
        return fitted_arrays(network), network.predict(X).tobytes()

    expected, n_used = threads_of(lambda: fit(1))
    assert n_used == 1
    for n_threads in THREADS:
        found, n_used = threads_of(lambda: fit(n_threads))  # noqa: B023
        assert found == expected, n_threads
        assert n_used == (n_threads if _kernels.kernels().describe()["openmp"] else 1)


# ------------------------------------------------------------------------------------------------------------- processes


#: Everything that each of many fits has learnt and answers; with as few imports as there can be
DIGESTS = """
import hashlib, json, warnings
warnings.simplefilter("ignore")
from fits import fits

def digest(fit):
    network = fit.run()
    arrays = *network.coefs_, *network.intercepts_, network.predict(fit.X)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays) + repr(network.loss_curve_).encode()).hexdigest()

print(json.dumps({name: digest(fit) for name, fit in fits().items()}))
"""
#: What a process does before -> variables of its environment
PROCESSES = {
    "import sklearn_cnn.functional": {"PYTHONHASHSEED": "2"},
    "import scipy.optimize, sklearn.svm": {"OMP_NUM_THREADS": "2"},
    "import joblib, sklearn.decomposition": {"OMP_NUM_THREADS": "3"},
    "import numpy; numpy.random.seed(7); numpy.random.random(100)": {"PYTHONOPTIMIZE": "1"},
    "import random; random.seed(3)": {"LC_ALL": "C"},
    "room = bytearray(b'x' * 30_000_000)": {"MALLOC_PERTURB_": "165"},  # memory is never zero
}


def test_every_fit_has_the_same_bits_in_fresh_processes():
    expected = json.loads(run_python(DIGESTS, PYTHONHASHSEED="1"))
    assert len(expected) > 20
    for before, environment in PROCESSES.items():
        found = json.loads(run_python(before + DIGESTS, **environment))
        assert [name for name in expected if found[name] != expected[name]] == [], before


# ------------------------------------------------------------------------------------------------------------------ rows


@pytest.mark.parametrize("name", fits())
def test_a_row_of_every_answer_depends_on_no_other_row(name):
    fit = fits()[name]
    network = fit.run()
    methods = "predict", "predict_proba", "decision_function"
    answers = [getattr(network, method) for method in methods if hasattr(network, method)]
    for row in network.layer_table_[:-1]:
        features = ConvNetTransformer(network, layer=row["name"], prefit=True).fit(fit.X)
        answers.append(features.transform)
    order = np.random.default_rng(0).permutation(len(fit.X))
    for answer in answers:
        everything = answer(fit.X)
        assert answer(fit.X[order]).tobytes() == everything[order].tobytes()
        for rows in (slice(0, 1), slice(7, 8), slice(39, 40), slice(3, 20), slice(20, None)):
            assert answer(fit.X[rows]).tobytes() == everything[rows].tobytes()


# --------------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor])
def test_whole_weights_are_rows_and_their_scale_is_that_of_the_penalty(kind, seed):
    """To the bit, where all samples are seen at once."""
    X, y = bars(40, random_state=seed)
    y = y if kind is ConvNetClassifier else X[:, 0, :2]
    random_state = np.random.RandomState(seed)
    weight, order = random_state.randint(0, 5, len(X)), random_state.permutation(len(X))
    weight[:6] = 0, 1, 2, 3, 4, 0
    alpha = small_network().alpha
    settings = {"n_filters": 4, "batch_norm": False, "solver": "lbfgs", "max_iter": 20, "alpha": alpha, "random_state": seed}

    def fit(X, y, sample_weight=None, **changes):
        network = kind(**settings | changes).fit(X, y, sample_weight=sample_weight)
        return fitted_arrays(network)["parameters"]

    weighted = fit(X[order], y[order], weight[order])
    assert weighted == fit(X.repeat(weight, axis=0), y.repeat(weight, axis=0))
    assert weighted == fit(X[weight > 0], y[weight > 0], weight[weight > 0])
    assert weighted == fit(X, y, 4.0 * weight, alpha=4 * alpha)
    assert weighted != fit(X, y)
