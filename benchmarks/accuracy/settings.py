"""Named settings of `ConvNetClassifier`: what was compared, and what the tables call it."""

from sklearn_cnn import ConvNetClassifier, ImageAugmentation
from sklearn_cnn._estimator.automatic import DEFAULT_DROPOUT


def half_as_wide(X, y):
    """Return half as many filters in every block as ``n_filters="auto"`` makes for these images."""
    network = ConvNetClassifier(max_iter=1, early_stopping=False).fit(X[:200], y[:200])
    return tuple(len(kernels) // 2 for kernels in network.kernels_)


def a_tenth(X, y):
    """Return the mini-batch of Ismail Fawaz et al. (2019): a tenth of the signals, 16 at most."""
    return max(1, min(16, len(X) // 10))


# What the estimator did by default until the study; each setting of it differs from the defaults of today in what it names.
EARLIER_DEFAULTS = {
    "n_filters": (16, 32), "batch_norm": False, "learning_rate": "constant", "learning_rate_init": 1e-3, "max_iter": 200,
    "global_pooling": None,
}  # fmt: skip

# What dropout="auto" is; it would be nothing in other networks, which then would differ from the defaults in this, too.
DROPOUT = {"dropout": DEFAULT_DROPOUT}

#: The study of the defaults.
STUDY = {
    "defaults": {},
    "earlier defaults": EARLIER_DEFAULTS,
    "no dropout": {"dropout": 0.0},
    "half as wide": {"n_filters": half_as_wide, "global_pooling": "average", **DROPOUT},
    "two blocks": {"n_filters": (32, 64), "global_pooling": "average", **DROPOUT},
    "no global pooling": {"global_pooling": None, **DROPOUT},
    "dense layer of 128": {"hidden_layer_sizes": 128, **DROPOUT},
    "no batch norm": {"batch_norm": False},
    "constant rate": {"learning_rate": "constant", "max_iter": 200},
    "cosine": {"learning_rate": "cosine", "learning_rate_init": 3e-3},
    "a third of the rate": {"learning_rate_init": 3e-4},
    "three times the rate": {"learning_rate_init": 3e-3},
    "15 epochs": {"max_iter": 15},
    "60 epochs": {"max_iter": 60},
    "batches of 128": {"batch_size": 128},
    "label smoothing": {"label_smoothing": 0.1},
}  # fmt: skip

# The network of Wang, Yan & Oates (2017) for signals.
FULLY_CONVOLUTIONAL = {
    "n_filters": (128, 256, 128), "kernel_size": [8, 5, 3], "pooling": None, "global_pooling": "average", "batch_norm": True,
    "dropout": 0.0, "early_stopping": False,
}  # fmt: skip

#: What the documentation recommends for a kind of data, beside the defaults.
RECOMMENDED = {
    "small digits": {"max_iter": 60, "augment": ImageAugmentation(rotate=10, zoom=0.1)},
    "digits": {"max_iter": 40, "augment": ImageAugmentation(shift=2, rotate=10, zoom=0.1)},
    "two blocks and a dense layer": {
        "n_filters": (32, 64), "hidden_layer_sizes": 128, "dropout": 0.3, "max_iter": 12, "early_stopping": False,
    },
    "clothes": {
        "n_filters": (64, 128), "hidden_layer_sizes": 128, "dropout": 0.4, "max_iter": 30, "early_stopping": False,
        "augment": ImageAugmentation(flip="horizontal"),
    },
    "clothes, in pairs": {
        "n_filters": (32, 32, 64, 64), "pooling": [None, "max", None, "max"], "hidden_layer_sizes": 128, "dropout": 0.4,
        "max_iter": 28, "early_stopping": False, "augment": ImageAugmentation(flip="horizontal"),
    },
    "signals, fully convolutional": {**FULLY_CONVOLUTIONAL, "batch_size": 16, "max_iter": 300},
    "signals, as published": {
        **FULLY_CONVOLUTIONAL, "alpha": 0.0, "batch_size": a_tenth, "learning_rate": "adaptive", "n_iter_no_change": 50,
        "max_iter": 2000,
    },
    "clothes, in three pairs": {
        "n_filters": (32, 32, 64, 64, 128, 128), "pooling": [None, "max"] * 3, "global_pooling": "average", "dropout": 0.3,
        "max_iter": 30, "early_stopping": False, "augment": ImageAugmentation(flip="horizontal", shift=1),
    },
}  # fmt: skip

TWO_BLOCKS = {**RECOMMENDED["two blocks and a dense layer"], "max_iter": 15}


def drawn_flips(images, random_state):
    """Mirror each image with probability one half, as other libraries do."""
    mirrored = random_state.random_sample(len(images)) < 0.5
    images[mirrored] = images[mirrored, :, ::-1]
    return images


#: Whether an image is mirrored in every other epoch, as ``flip="horizontal"`` does, or by chance.
FLIPS = {
    "no flips": TWO_BLOCKS,
    "flips in turns": {**TWO_BLOCKS, "augment": ImageAugmentation(flip="horizontal")},
    "flips drawn": {**TWO_BLOCKS, "augment": drawn_flips},
}

PAIRS = {**RECOMMENDED["clothes, in pairs"], "max_iter": 15}

#: Tiles of Winograd's algorithm, which round differently.
TILES = {"small tiles": PAIRS, "large tiles": {**PAIRS, "winograd_tile": 4}}

SETTINGS = {**STUDY, **RECOMMENDED, **FLIPS, **TILES}
