"""Whatever is passed to the public interface: an answer, or one clear error, and nothing has changed.

Every case calls something of the public interface with arguments that are right, but for one or two that are hostile: other
types, NaN, infinity, empty, huge, masked, sparse, complex, text, objects with methods that fail. It returns, or raises
ValueError, TypeError, NotFittedError or MemoryError with words in it; no other error, no signal, no hang. An estimator whose
call has failed has the same pickled bytes as before.

    python tests/fuzz_arguments.py --cases 20000 --seed 7
"""

import inspect
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from children import main
from fits import EVERYTHING, images
from fuzz_state import HOSTILE, Without, variations
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_cnn import Checkpoint, ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, functional
from sklearn_cnn import inspection as shows
from sklearn_cnn._network.words import shown

try:
    from sklearn_cnn import onnx
except ImportError:  # fewer calls
    onnx = None

ALLOWED = (ValueError, TypeError, NotFittedError, MemoryError, OSError)  # the last of a file that is not there
COMMON = {"n_filters": 2, "max_iter": 1, "batch_size": 8, "random_state": 0, "n_jobs": 1}
X, Y = images(24, 6, 6)
FOLDER = tempfile.mkdtemp()


class Unruly:
    """Fails whatever it is asked."""

    def __array__(self, *arguments, **options):
        raise ValueError("no array")

    def __len__(self):
        raise TypeError("no length")

    def __repr__(self):
        return "Unruly()"


ARRAYS = [
    np.zeros((0, 6, 6)), np.zeros((24, 0)), np.zeros((24, 6, 0)), np.zeros((24, 6, 6, 0)), np.zeros((24, 6, 6, 1, 1)),
    np.zeros(24), np.zeros((23, 6, 6)), np.zeros((24, 36)), np.zeros((24, 5, 6)), np.zeros((24, 6, 6, 3)), np.full((24, 6, 6),
    np.nan), np.full((24, 6, 6), 1e39), np.full((24, 6, 6), -np.inf), np.full((24, 6, 6), 1e-320), np.zeros((24, 6, 6),
    complex), np.zeros((24, 6, 6), object), np.zeros((24, 6, 6), "M8[s]"), np.zeros((24, 6, 6), "U3"), np.zeros((24, 6, 6),
    ">f4"), np.zeros((24, 6, 6), np.float16), np.zeros((24, 6, 6), np.longdouble), np.zeros((24, 6, 6), bool),
    np.asfortranarray(X), X[::-1], np.broadcast_to(X[:1], X.shape), np.ma.masked_array(X, X > 1),
    scipy.sparse.csr_matrix(X.reshape(24, 36)), pd.DataFrame(X.reshape(24, 36)), [[1, 2], [3]], [["a"] * 36] * 24, X.tolist(),
    [X[0], X[1, :3]], Y * 1.5, Y.astype(str), Y[:, None], np.stack([Y, Y], axis=1), np.stack([Y, Y], axis=1) > 0, np.full(24,
    np.nan), np.full(24, -1), np.full(24, 2**62), Y > 5, pd.Series(Y), pd.Series(["a", None] * 12), pd.Categorical(Y),
    scipy.sparse.csr_matrix(Y[:, None]), np.array([None] * 24), Unruly(), [Unruly()] * 24, lambda *_: None, type, object(),
    range(24), iter([1, 2]), memoryview(b"abc"), "a", os, print, np.array([1, "a", 2.5] * 8, dtype=object), [0, 1, "b"] * 8,
    [(0, 1)] * 24, {1: 2}, {0, 1},
]  # fmt: skip


def own_parameters(kind):
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


def fitted(kind, y):
    return kind(**COMMON).fit(X, y)


def targets():
    """Name -> (what is called, its arguments, what must not change)."""
    pixels = X[:4, :, :, None]
    kernels = np.ones((2, 1, 3, 3), np.float32)
    maps = functional.conv2d(pixels, kernels)
    own = np.ones((4, 4, 2, 1, 3, 3), np.float32)
    steps = {"stride": 1, "padding": 0}
    shared, local = {"X": pixels, "kernels": kernels, **steps}, {"X": pixels, "kernels": own, **steps}
    pooled = {"X": pixels, "pool_size": 2, "stride": 2}
    d_pooled = {**pooled, "d_out": pixels[:, :3, :3]}
    table = {
        "conv2d": (functional.conv2d, {**shared, "bias": np.zeros(2), "padding_mode": "zeros"}),
        "conv2d_backward": (functional.conv2d_backward, {**shared, "d_out": maps}),
        "local2d": (functional.local2d, {**local, "bias": np.zeros((4, 4, 2))}),
        "local2d_backward": (functional.local2d_backward, {**local, "d_out": maps}),
        "max_pool2d": (functional.max_pool2d, pooled),
        "max_pool2d_backward": (functional.max_pool2d_backward, d_pooled),
        "average_pool2d": (functional.average_pool2d, pooled),
        "average_pool2d_backward": (functional.average_pool2d_backward, d_pooled),
        "pad": (functional.pad, {"X": pixels, "padding": 1, "mode": "constant", "value": 2.0}),
        "im2col": (functional.im2col, {"X": pixels, "kernel_size": 3, **steps}),
        "col2im": (functional.col2im, {"columns": np.ones((4, 16, 9)), "input_shape": (6, 6), "kernel_size": 3, **steps}),
        "cross_correlate": (functional.cross_correlate, {"x": X[0], "kernel": X[0, :3, :3], "stride": 1, "padding": "valid"}),
        "convolve": (functional.convolve, {"x": X[0], "kernel": X[0, :3, :3], "mode": "full"}),
        "flip_kernel": (functional.flip_kernel, {"kernel": X[0, :3, :3]}),
        "output_shape": (functional.output_shape, {"input_shape": (6, 6), "kernel_size": 3, **steps}),
        "receptive_field": (functional.receptive_field, {"kernel_sizes": [3, 2], "strides": [1, 2]}),
        "parameter_count": (functional.parameter_count, {"kernel_size": 3, "n_filters": 2, "channels": 1, "map_shape": 4}),
        "Checkpoint": (Checkpoint, {"path": os.path.join(FOLDER, "checkpoint"), "every": 1}),
    }  # fmt: skip
    if onnx is not None:
        network = fitted(ConvNetClassifier, Y)
        model = onnx.to_onnx(network)
        table["to_onnx"] = onnx.to_onnx, {
            "estimator": network, "dtype": np.float32, "input_shape": None, "with_scaling": True, "zipmap": False}  # fmt: skip
        table["from_onnx"] = onnx.from_onnx, {"model": model, "classes": None}
    table = {name: (call, arguments, None) for name, (call, arguments) in table.items()}
    for kind, y in ((ConvNetClassifier, Y), (ConvNetRegressor, X[:, 0, 0])):
        table |= of_estimator(kind, y)
    table["ImageAugmentation"] = (
        lambda **settings: ConvNetClassifier(**COMMON, augment=ImageAugmentation(**settings)).fit(X, Y),
        EVERYTHING.get_params(), None,
    )  # fmt: skip
    view = {"X": X, "input_shape": None, "epoch": 1, "random_state": 0, "scale_input": True}
    table["ImageAugmentation.preview"] = EVERYTHING.preview, view, EVERYTHING
    features = ConvNetTransformer(fitted(ConvNetClassifier, Y), prefit=True).fit(X)
    table["ConvNetTransformer"] = lambda **given: ConvNetTransformer(**given).fit(X, Y).transform(X), own_parameters(
        ConvNetTransformer) | {"estimator": ConvNetClassifier(**COMMON)}, None  # fmt: skip
    table["ConvNetTransformer.transform"] = features.transform, {"X": X}, features
    table["ConvNetTransformer.get_feature_names_out"] = features.get_feature_names_out, {"input_features": None}, features
    return table | displays()


def displays():
    """The calls that draw; none where there is no matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return {}
    matplotlib.use("agg")
    from matplotlib import pyplot

    network = ConvNetClassifier(**COMMON, augment=ImageAugmentation(shift=1)).fit(X, Y)
    local = ConvNetClassifier(**COMMON, weight_sharing=False).fit(X, Y)
    one = {"estimator": network, "X": X[0]}
    block = {"block": 0, "stage": "conv"}
    tiles = {"n_columns": 2, "cmap": "gray"}
    table = {
        "KernelDisplay": {"estimator": local, "block": 0, "channel": 0, "position": (1, 2), "colorbar": True, **tiles},
        "FeatureMapDisplay": {**one, **block, "ax": None, **tiles},
        "LossDisplay": {"estimator": network, "log_scale": False, "scores": True, "learning_rate": True},
        "ReceptiveFieldDisplay": {**one, **block, "unit": (1, 1), "nested": True},
        "OcclusionDisplay": {**one, "target": 1, "window": 2, "step": 1, "fill": 0.5},
        "SaliencyDisplay": {**one, "method": "grad_cam", "target": 1, "block": 0, "noise": 0.1, "n_samples": 3},
        "AugmentationDisplay": {**one, "n_versions": 2},
    }
    ways = {name: (getattr(shows, name).from_estimator, arguments) for name, arguments in table.items()}
    settings = {"sample": 1, "n_versions": 2, "random_state": 0, "scale_input": True, "input_shape": (6, 6), **tiles}
    settings |= {"augmentation": ImageAugmentation(shift=1), "X": X}
    ways["AugmentationDisplay of images"] = shows.AugmentationDisplay.from_augmentation, settings
    curves = {"loss_curve": [3.0, 2.0], "validation_loss_curve": [2.0], "validation_scores": [0.5], "learning_rate_curve": None}
    ways["LossDisplay of curves"] = lambda **given: shows.LossDisplay(**given).plot(), {**curves, "best_iter": 1}

    def drawn(way):
        def call(**arguments):
            try:
                way(**arguments).figure_.canvas.draw()
            finally:
                pyplot.close("all")

        return call

    return {name: (drawn(way), arguments, None) for name, (way, arguments) in ways.items()}


def of_estimator(kind, y):
    """The calls of a classifier or a regressor."""
    name, network = kind.__name__, fitted(kind, y)
    arguments = {"X": X, "y": y, "sample_weight": None, "X_val": X, "y_val": y, "sample_weight_val": None, "checkpoint": None}
    table = {
        name: (lambda **settings: kind(**settings).fit(X, y), own_parameters(kind) | COMMON, None),
        f"{name}.fit": (network.fit, arguments, network),
        f"{name}.predict": (network.predict, {"X": X}, network),
        f"{name}.score": (network.score, {"X": X, "y": y, "sample_weight": None}, network),
        f"{name}.feature_maps": (network.feature_maps, {"X": X, "block": 0, "stage": "conv"}, network),
        f"{name}.set_params": (lambda **settings: clone(network).set_params(**settings).fit(X, y), network.get_params(), None),
    }
    goes_on = fitted(kind, y)
    step = {"X": X, "y": y, "sample_weight": None}
    if kind is ConvNetClassifier:
        step["classes"] = [0, 1, 2]
        for method in ("predict_proba", "predict_log_proba", "decision_function"):
            table[f"{name}.{method}"] = getattr(network, method), {"X": X}, network
    table[f"{name}.partial_fit"] = goes_on.partial_fit, step, goes_on
    return table


def hostile(random_state, value):
    """Something for the place of a value: nearly right, or not at all."""
    kinds = [variations(value) or HOSTILE, HOSTILE, ARRAYS]
    values = kinds[random_state.integers(3)]
    return values[random_state.integers(len(values))]


def attempt(call, arguments, kept):
    """Call; returns what it led to, or raises what must not be."""
    before = None if kept is None else pickle.dumps(kept)
    try:
        call(**arguments)
    except TimeoutError:  # it hangs
        raise
    except ALLOWED as error:
        outcome, words = type(error).__name__, str(error)
    else:
        return "answered"
    assert words, "an error without words"
    assert before is None or pickle.dumps(kept) == before, "the call has failed and the estimator has changed"
    return outcome


def prepare():
    """Return what draws a case."""
    os.chdir(FOLDER)  # files whose names are hostile
    table = targets()
    states = {name: pickle.dumps(kept) for name, (_, _, kept) in table.items() if kept is not None}

    def draw_case(random_state):
        name = sorted(table)[random_state.integers(len(table))]
        call, arguments, kept = table[name]
        if kept is not None:  # as it was before the cases that have changed it
            vars(kept).update(vars(pickle.loads(states[name])))
        may_change = sorted({*arguments} - {"max_iter"})  # a fit is as long as it is asked to be
        places = [may_change[random_state.integers(len(may_change))] for _ in range(random_state.integers(1, 3))]
        changed = {place: hostile(random_state, arguments[place]) for place in places}
        given = {place: value for place, value in {**arguments, **changed}.items() if value is not Without}
        what = ", ".join(f"{place}={shown(value):.80}" for place, value in changed.items())
        return f"{name}({what})", lambda: attempt(call, given, kept)

    return draw_case


if __name__ == "__main__":
    main(Path(__file__), __doc__, prepare)
