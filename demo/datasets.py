"""Where the demonstration's images come from."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

FASHION_NAMES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


@dataclass(frozen=True)
class Images:
    """Training and test images, (n, rows, columns), with their labels and the names of the classes."""

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]


def load_images(where=None):
    """Load Fashion-MNIST from a folder, or scikit-learn's digits.

    Parameters
    ----------
    where : str or None
        ``"digits"``, or a folder with the four ``idx`` files of Fashion-MNIST. None takes Fashion-MNIST where Debian's
        package ``dataset-fashion-mnist`` puts it, and the digits where that is not installed.
    """
    if where is None:
        where = DEBIAN_FOLDER if DEBIAN_FOLDER.is_dir() else "digits"
    return digits() if str(where) == "digits" else fashion_mnist(Path(where))


def digits():
    """1,797 handwritten digits of 8x8 pixels, which come with scikit-learn; a quarter of them is held out."""
    bunch = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(
        bunch.images, bunch.target, test_size=0.25, stratify=bunch.target, random_state=0
    )
    return Images(
        "handwritten digits (from scikit-learn)",
        X_train,
        y_train,
        X_test,
        y_test,
        tuple(str(name) for name in bunch.target_names),
    )


def fashion_mnist(folder):
    """60,000 + 10,000 photographs of clothes, 28x28 pixels, in the split that everybody reports."""
    return Images(
        "Fashion-MNIST, complete",
        read_idx(folder, "train-images-idx3-ubyte"),
        read_idx(folder, "train-labels-idx1-ubyte"),
        read_idx(folder, "t10k-images-idx3-ubyte"),
        read_idx(folder, "t10k-labels-idx1-ubyte"),
        FASHION_NAMES,
    )


def read_idx(folder, name):
    """Read one array of unsigned bytes in MNIST's ``idx`` format, compressed or not.

    The header is two zero bytes, the type code (8: unsigned byte), the number of axes and one big-endian 32-bit size
    per axis.
    """
    path = folder / f"{name}.gz"
    if not path.exists():
        path = folder / name
    if not path.exists():
        raise SystemExit(
            f"{folder} holds neither {name}.gz nor {name}: name the folder of Fashion-MNIST's four files, or 'digits'."
        )
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    n_axes = content[3]
    if content[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path} is not an idx file of unsigned bytes.")
    shape = np.frombuffer(content, dtype=">i4", count=n_axes, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)
