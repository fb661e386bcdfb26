"""Small fits that between them take every solver, every layer and every way through the kernels, on a few images each."""

from dataclasses import dataclass

import numpy as np

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ImageAugmentation

COMMON = {"max_iter": 2, "batch_size": 16, "random_state": 0, "learning_rate_init": 1e-2}
EVERYTHING = ImageAugmentation(shift=1, flip="both", rotate=20, zoom=0.2, erase=2, brightness=0.3, contrast=0.4)


def noise(batch, random_state):
    """An augmentation of the caller's."""
    return batch + 0.1 * random_state.standard_normal(batch.shape).astype(np.float32)


@dataclass(frozen=True)
class Fit:
    """An estimator and data for it."""

    estimator: object
    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None

    def run(self, n_jobs=None):
        """Fit it, and return it; the same numbers every time."""
        return self.estimator.set_params(n_jobs=n_jobs).fit(self.X, self.y, sample_weight=self.sample_weight)


def images(n_samples, *shape, dtype=np.float32):
    """Images, and the class of each."""
    X = np.random.default_rng(0).standard_normal((n_samples, *shape))
    return (np.clip(60 * X + 128, 0, 255) if dtype == np.uint8 else X).astype(dtype), np.arange(n_samples) % 3


def fits():
    """Return the fits by name; every call makes new estimators."""
    X, y = images(40, 8, 8)
    small = {**COMMON, "n_filters": 3}
    deep, y_deep = images(40, 8, 8, 16)
    classifiers = {
        "adam": small,
        "adamw": {**small, "solver": "adamw"},
        "sgd": {**small, "solver": "sgd"},
        "sgd without Nesterov": {**small, "solver": "sgd", "nesterovs_momentum": False},
        "lbfgs": {**small, "solver": "lbfgs", "batch_norm": False},
        "early stopping": {**small, "early_stopping": True, "validation_fraction": 0.2},
        "augmented": {**small, "augment": EVERYTHING},
        "augmented by a function": {**small, "augment": noise},
        "dropout": {**small, "dropout": 0.3, "hidden_layer_sizes": 9},
        "normalised blocks": {**COMMON, "n_filters": (5, 18), "batch_norm": True, "pooling": ("max", "average")},
        "no normalisation": {**COMMON, "n_filters": (5, 18), "batch_norm": False, "activation": "tanh"},
        "locally connected": {**COMMON, "n_filters": (3, 4), "weight_sharing": False, "activation": "logistic"},
        "strides": {**COMMON, "n_filters": (4, 7), "stride": (2, 1), "pooling": (None, "average"), "batch_norm": False},
        "mirrored": {**COMMON, "n_filters": (6, 19), "padding": 2, "padding_mode": "reflect"},
        "overlapping windows": {**COMMON, "n_filters": (20, 4), "pool_size": 3, "pool_stride": 1, "kernel_size": 5},
        "global maximum": {**COMMON, "n_filters": (8, 8), "global_pooling": "max", "pooling": None},
        "global average": {**COMMON, "n_filters": (8, 33), "global_pooling": "average"},
        "dense alone": {**COMMON, "n_filters": (), "hidden_layer_sizes": (130, 20)},
        "smoothed labels": {**small, "label_smoothing": 0.1, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
    }
    table = {name: Fit(ConvNetClassifier(**settings), X, y) for name, settings in classifiers.items()}
    wide = {**COMMON, "n_filters": (16, 32), "batch_norm": False}
    table["Winograd"] = Fit(ConvNetClassifier(**wide), deep, y_deep)
    table["Winograd, normalised"] = Fit(ConvNetClassifier(**{**wide, "batch_norm": True}), deep, y_deep)
    table["Winograd, not pooled"] = Fit(ConvNetClassifier(**{**wide, "pooling": None}), deep, y_deep)
    large = {**wide, "winograd_tile": 4}
    table["large tiles, normalised"] = Fit(ConvNetClassifier(**{**large, "batch_norm": True}), deep, y_deep)
    table["large tiles, not pooled"] = Fit(ConvNetClassifier(**{**large, "pooling": None}), *images(40, 9, 11, 16))
    table["Winograd, 5 x 5"] = Fit(ConvNetClassifier(**{**wide, "kernel_size": 5}), *images(40, 13, 14, 24))
    table["bytes"] = Fit(ConvNetClassifier(**small), *images(40, 8, 8, 3, dtype=np.uint8))
    table["doubles"] = Fit(ConvNetClassifier(**small), *images(40, 7, 9, 2, dtype=np.float64))
    signals = {**small, "input_shape": (1, 64), "kernel_size": (1, 5), "pool_size": (1, 2)}
    table["signals"] = Fit(ConvNetClassifier(**signals), X.reshape(40, 64), y)
    table["weighted"] = Fit(ConvNetClassifier(**small), X, y, np.linspace(0, 2, 40))
    table["several labels"] = Fit(ConvNetClassifier(**small), X, np.stack([y == 0, y == 1], axis=1).astype(int))
    table["one number"] = Fit(ConvNetRegressor(**small), X, X[:, 0, 0])
    table["two numbers"] = Fit(ConvNetRegressor(**{**small, "solver": "lbfgs", "batch_norm": False}), X, X[:, 0, :2])
    return table
