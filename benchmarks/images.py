"""Real images for every network, the same bytes for every contender.

Fashion-MNIST comes from the Debian package `dataset-fashion-mnist`, or from the folder that the environment variable
FASHION_MNIST names; digits and photographs from scikit-learn. Where something is missing, enlarged digits stand in, and the
results say so.
"""

import gzip
import os
from functools import partial
from pathlib import Path

import numpy as np

FASHION_MNIST = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def read_idx(path, header):
    """Return the bytes of a gzipped idx file of bytes, whose header has the given length."""
    with gzip.open(path, "rb") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=header)


def _first_rows(images, labels, n_images):
    """Take the first images, from the beginning again where there are not enough."""
    rows = np.arange(n_images) % len(images)
    return images[rows], labels[rows]


def digits(n_images):
    """Return scikit-learn's digits: images (n, 8, 8, 1) of dtype uint8, labels, and where they come from."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = _first_rows(images.reshape(-1, 8, 8, 1).astype(np.uint8), labels, n_images)
    return images, labels, "scikit-learn's digits"


def fashion_mnist(n_images):
    """Return Fashion-MNIST's training images (n, 28, 28, 1) of dtype uint8, labels, and where they come from."""
    if not FASHION_MNIST.is_dir():
        images, labels, source = digits(n_images)
        enlarged = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2), (0, 0)))
        return enlarged * np.uint8(15), labels, f"{source}, enlarged (Fashion-MNIST is not installed)"
    images = read_idx(FASHION_MNIST / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels = read_idx(FASHION_MNIST / "train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    return *_first_rows(images, labels, n_images), "Fashion-MNIST"


def photographs(n_images, side=32):
    """Return patches (n, side, side, 3) of scikit-learn's two photographs; the label is the photograph and one of five bands."""
    try:
        from sklearn.datasets import load_sample_images

        pictures = load_sample_images().images
    except ImportError:
        images, labels, source = fashion_mnist(n_images)
        framed = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
        framed = framed.repeat(side // 32, axis=1).repeat(side // 32, axis=2)
        return np.repeat(framed, 3, axis=3), labels, f"{source}, framed, three equal channels (Pillow is not installed)"
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, n_images)
    patches = np.empty((n_images, side, side, 3), dtype=np.uint8)
    for number, label in enumerate(labels):
        picture = pictures[label // 5]
        band = (picture.shape[1] - side) // 5
        row = random.integers(0, picture.shape[0] - side)
        column = (label % 5) * band + random.integers(0, band)
        patches[number] = picture[row : row + side, column : column + side]
    return patches, labels, f"{side}x{side} patches of scikit-learn's photographs"


SOURCES = {"A": fashion_mnist, "B": photographs, "C": digits, "D": partial(photographs, side=224),
           "E": partial(photographs, side=64), "F": fashion_mnist, "L": fashion_mnist, "V": photographs}  # fmt: skip


def standardised(images):
    """Scale bytes to mean 0 and standard deviation 1, in float32."""
    values = images.astype(np.float32)
    return (values - values.mean(dtype=np.float64).astype(np.float32)) / np.float32(values.std(dtype=np.float64))
