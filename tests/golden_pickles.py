"""Small pickled estimators of a release, which later versions have to load: `tests/test_pickling.py` does, and goes on with them.

    python tests/golden_pickles.py --write 0.1.0    write them into tests/pickles, one file each, before the release of that name

A file holds what it takes to compare: what an estimator answers, by which method, and its losses once it has gone on.
"""

import argparse
import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation

FOLDER = Path(__file__).with_name("pickles")
SMALL = {"n_filters": 3, "input_shape": (8, 8), "global_pooling": "average", "max_iter": 3, "batch_size": 50, "random_state": 0}
#: Name -> (estimator, the method that answers)
ESTIMATORS = {
    "classifier": (ConvNetClassifier(**SMALL), "predict_proba"),
    "regressor": (ConvNetRegressor(**SMALL, early_stopping=True), "predict"),
    "transformer": (ConvNetTransformer(ConvNetClassifier(**SMALL)), "transform"),
    "augmented": (ConvNetClassifier(**SMALL, augment=ImageAugmentation(shift=1, rotate=10.0)), "predict_proba"),
    "full-batch": (ConvNetClassifier(**SMALL, solver="lbfgs", warm_start=True), "predict_proba"),
}


def data():
    """200 digits and what they are."""
    X, y = load_digits(return_X_y=True)
    return X[:200].astype(np.float32), y[:200]


def network_of(estimator):
    """Return the network itself, which a transformer holds."""
    return getattr(estimator, "estimator_", estimator)


def losses_after_more(estimator):
    """Let a network go on training from where it was, and return its losses."""
    network = network_of(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that end too soon
        more = network.fit if network.solver == "lbfgs" else network.partial_fit
        return list(more(*data()).loss_curve_)


def golden(name):
    """Return one file's content: the pickled estimator and what is to be compared with what it does later."""
    estimator, method = ESTIMATORS[name]
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = copy.deepcopy(estimator).fit(X, y)
    answers = getattr(estimator, method)(X[:10])
    return {
        "estimator": pickle.dumps(estimator, 4), "method": method, "answers": answers.tolist(),
        "losses": losses_after_more(copy.deepcopy(estimator)),
    }  # fmt: skip


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="NAME", required=True, help="what the names of the files begin with")
    name = parser.parse_args().write
    for kind in ESTIMATORS:
        file = FOLDER / f"{name}-{kind}.pickle"
        file.write_bytes(pickle.dumps(golden(kind), 4))
        print(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
