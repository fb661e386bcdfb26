"""Unusual but valid images, targets and weights give every estimator the same bits, and are as they were afterwards."""

import numpy as np
import pandas as pd
import pytest
from images import digits, fitted_arrays, small_network

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer

X, Y = digits(60)
X = X.astype(np.float32)  # small integers, which every type holds


def mapped(array, folder):
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


def unaligned(array):
    copy = np.empty(array.nbytes + 1, dtype=np.uint8)[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


#: Name -> the same numbers as something else
LAYOUTS = {
    "foreign bytes": lambda array: array.astype(array.dtype.newbyteorder()),
    "float16": lambda array: array.astype(np.float16),
    "float64": lambda array: array.astype(np.float64),
    "long double": lambda array: array.astype(np.longdouble),
    "uint8": lambda array: array.astype(np.uint8),
    "int16": lambda array: array.astype(np.int16),
    "int64": lambda array: array.astype(np.int64),
    "uint64, foreign bytes": lambda array: array.astype(np.dtype(np.uint64).newbyteorder()),
    "objects": lambda array: array.astype(object),
    "column by column": np.asfortranarray,
    "gaps between rows": lambda array: np.repeat(array, 2, axis=0)[::2],
    "gaps between numbers": lambda array: np.repeat(array, 3, axis=-1)[..., ::3],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "every axis backwards": lambda array: np.flip(np.flip(array).copy()),
    "unaligned": unaligned,
    "read-only": read_only,
    "memory map": mapped,
    "list": lambda array: array.tolist(),
    "a list of arrays": list,
    "a subclass": lambda array: array.view(type("Sub", (np.ndarray,), {})),
}


def network(kind, **parameters):
    settings = {"n_filters": 4, "input_shape": (8, 8), "max_iter": 2, "random_state": 0, **parameters}
    if kind is ConvNetTransformer:
        return ConvNetTransformer(small_network(**settings))
    return kind(**settings)


def bits_of(kind, images, targets, weight=None):
    """What is learnt from arrays, and what is said of them then."""
    fitted = network(kind).fit(images, targets, **({} if weight is None else {"sample_weight": weight}))
    inner = fitted.estimator_ if kind is ConvNetTransformer else fitted
    answer = fitted.transform if kind is ConvNetTransformer else fitted.predict
    return fitted_arrays(inner)["parameters"], answer(images).astype(float).tobytes()  # labels keep their type


def targets_of(kind):
    return X[:, 20:22] if kind is ConvNetRegressor else Y.astype(np.float32)


each_kind = pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor, ConvNetTransformer])


@each_kind
@pytest.mark.parametrize("name", LAYOUTS)
def test_images_in_any_layout_are_the_same_images(kind, name, tmp_path):
    convert, y = LAYOUTS[name], targets_of(kind)
    unusual = convert(X, tmp_path) if convert is mapped else convert(X)
    before = np.array(unusual, dtype=float)
    assert bits_of(kind, unusual, y) == bits_of(kind, X, y)
    np.testing.assert_array_equal(np.array(unusual, dtype=float), before)


@each_kind
@pytest.mark.parametrize("name", LAYOUTS)
def test_targets_and_weights_in_any_layout_are_the_same(kind, name, tmp_path):
    convert, y, weight = LAYOUTS[name], targets_of(kind), (1 + np.arange(60) % 3).astype(np.float32)
    expected = bits_of(kind, X, y, weight)
    targets = convert(y, tmp_path) if convert is mapped else convert(y)
    if name != "objects" or kind is ConvNetRegressor:  # labels in an array of objects have to be words, says scikit-learn
        assert bits_of(kind, X, targets, weight) == expected
    weights = convert(weight, tmp_path) if convert is mapped else convert(weight)
    assert bits_of(kind, X, y, weights) == expected


@each_kind
def test_strides_of_zero_are_copies(kind):
    y = targets_of(kind)
    for array in (X[:1], X[:, :1]):  # one image many times, images of one shade
        wide = np.broadcast_to(array, X.shape)
        assert 0 in wide.strides
        assert bits_of(kind, wide, y) == bits_of(kind, wide.copy(), y)
    weight = np.broadcast_to(np.float32(2), len(X))
    assert bits_of(kind, X, y, weight) == bits_of(kind, X, y, weight.copy())


@each_kind
def test_frames_are_arrays(kind):
    y = targets_of(kind)
    targets = pd.DataFrame(y) if y.ndim > 1 else pd.Series(y)
    assert bits_of(kind, pd.DataFrame(X), targets) == bits_of(kind, X, y)
