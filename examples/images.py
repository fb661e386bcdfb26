"""Where the images of the examples come from: Fashion-MNIST if it is installed, else scikit-learn's digits."""

import gzip
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist


def load_images():
    """Return training images and labels, test images and labels, and the name of the data."""
    if FOLDER.is_dir():
        parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        return *(read_idx(FOLDER / f"{part}-ubyte.gz") for part in parts), "Fashion-MNIST"
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    train, test = order[:1200], order[1200:]
    return digits.images[train], digits.target[train], digits.images[test], digits.target[test], "digits"


def read_idx(path):
    """Read an array of bytes in the format of MNIST: the number of axes, one size per axis, then the values."""
    content = gzip.decompress(path.read_bytes())
    n_axes = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=n_axes, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def draw_samples(images, labels, n_samples, random_state):
    """Draw a random part of the images, the same for the same random_state."""
    rows = np.random.default_rng(random_state).permutation(len(images))[:n_samples]
    return images[rows], labels[rows]
