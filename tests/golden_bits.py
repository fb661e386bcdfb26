"""The bits of a dozen small networks, level by level, so that no change alters one unnoticed.

    python tests/golden_bits.py            compare
    python tests/golden_bits.py --write    write them down anew after a change that is meant, and say so in the changelog,
                                           under "Changed bits"

They are those of one compiler and of one version of the libraries that compute beside the kernels; with others they need not be
the same, and are not compared. The full-batch solver sums with the BLAS that SciPy brings, which chooses its kernels by the
processor: so here it is told which to take.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation, _kernels

FILE = Path(__file__).with_name("golden_bits.json")
KERNELS_OF_BLAS = "Prescott"  # every 64-bit x86 has what they need


def data(n_samples=40, side=8, channels=1):
    """Images of small integers, and what there is to learn of them."""
    random_state = np.random.RandomState(0)
    X = random_state.randint(0, 17, (n_samples, side, side, channels)).astype(np.float32)
    y = np.arange(n_samples) % 3
    X[np.arange(n_samples), :, 2 * y] += 8
    return X, y


def signals():
    X, y = data()
    return X.reshape(len(X), -1), y


def weighted():
    X, y = data()
    return X, y, np.arange(len(y)) % 4 + 0.5


def several_labels():
    X, y = data()
    return X, np.eye(3, dtype=int)[y] | np.eye(3, dtype=int)[(y + 1) % 3]


def numbers():
    X, y = data(channels=2)
    return X, np.column_stack([y, X.mean(axis=(1, 2, 3), dtype=np.float64)])


COMMON = {"max_iter": 3, "random_state": 0, "batch_size": 16, "n_jobs": 2}
#: Name -> (estimator, its data)
NETWORKS = {
    "defaults": (ConvNetClassifier(), data),
    "no normalisation": (ConvNetClassifier((4, 6), batch_norm=False), data),
    "Winograd": (ConvNetClassifier((16, 32)), lambda: data(channels=16)),
    "Winograd, 5 x 5": (ConvNetClassifier((16, 32), kernel_size=5, batch_norm=False), lambda: data(channels=24)),
    "kernels of five short rows": (ConvNetClassifier((6, 16), kernel_size=5, batch_norm=False), data),
    "two convolutions in a row": (ConvNetClassifier((16, 32, 16), pooling=[None, None, "max"]), lambda: data(channels=16)),
    "large tiles": (ConvNetClassifier((16, 32), pooling=[None, "max"], winograd_tile=4), lambda: data(channels=16)),
    "odd kernels": (ConvNetClassifier((5, 3), [(5, 3), 2], stride=[1, 2], padding_mode="reflect", pooling=None), data),
    "averages and tanh": (ConvNetClassifier((4, 4), pooling="average", pool_size=(2, 3), activation="tanh"), data),
    "locally connected": (ConvNetClassifier(3, weight_sharing=False, activation="logistic"), data),
    "dense layers": (ConvNetClassifier((), hidden_layer_sizes=(20, 10), dropout=0.3), data),
    "gradient descent": (ConvNetClassifier(4, solver="sgd", learning_rate="invscaling", alpha=0.1), weighted),
    "augmentation": (ConvNetClassifier(4, augment=ImageAugmentation(shift=1, flip="both", rotate=20.0, zoom=0.1)), data),
    "signals": (ConvNetClassifier((4, 4), kernel_size=5, global_pooling="max", solver="adamw", alpha=0.01), signals),
    "several labels": (ConvNetClassifier(4, label_smoothing=0.1), several_labels),
    "two numbers": (ConvNetRegressor((4, 4), early_stopping=True), numbers),
    "full batch": (ConvNetClassifier(4, solver="lbfgs", activation="tanh"), data),
}  # fmt: skip


def toolchain():
    """Return what the bits are those of."""
    compiler = re.search(rb"GCC: [ -~]*|clang version [ -~]*", Path(_kernels.kernels().__file__).read_bytes())
    compiler = "unknown" if compiler is None else compiler.group().decode()
    return {"machine": platform.machine(), "compiler": compiler, "numpy": np.__version__, "scipy": scipy.__version__}


def digest(name):
    """Hash what a network has learnt and what it answers."""
    estimator, make = NETWORKS[name]
    X, *targets = make()
    estimator.set_params(**COMMON).fit(X, *targets)
    answers = estimator.decision_function(X) if hasattr(estimator, "decision_function") else estimator.predict(X)
    hashed = hashlib.blake2b(digest_size=12)
    for array in (*estimator.coefs_, *estimator.intercepts_, np.array(estimator.loss_curve_), answers):
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def digests_of_level(level):
    """Hash all networks at one level, in a process of its own."""
    environment = {**os.environ, _kernels.ENVIRONMENT_VARIABLE: level, "OPENBLAS_CORETYPE": KERNELS_OF_BLAS}
    command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).resolve()), "--here"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def recorded():
    """Return what has been written down: the toolchain, and level -> network -> hash."""
    return json.loads(FILE.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write them down anew")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps({name: digest(name) for name in NETWORKS}))
        return
    found = {level: digests_of_level(level) for level in _kernels.available_levels()}
    if options.write:
        FILE.write_text(json.dumps({"toolchain": toolchain(), "levels": found}, indent=1) + "\n")
        return
    known = recorded()["levels"]
    changed = [f"{level}: {name}" for level in found for name in NETWORKS if found[level][name] != known[level].get(name)]
    print("\n".join(changed) or f"the same bits at {', '.join(found)}")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
