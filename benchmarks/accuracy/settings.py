"""Named settings of `ConvNetClassifier`: what was compared, and what the tables call it."""

# What the estimator did by default until the study; each setting of it differs from the defaults of today in what it names.
EARLIER_DEFAULTS = {
    "n_filters": (16, 32), "batch_norm": False, "learning_rate": "constant", "learning_rate_init": 1e-3, "max_iter": 200,
}  # fmt: skip

#: The study of the defaults.
STUDY = {
    "defaults": {},
    "earlier defaults": EARLIER_DEFAULTS,
    "two blocks": {"n_filters": (16, 32)},
    "global pooling": {"global_pooling": "average"},
    "dense layer of 128": {"hidden_layer_sizes": 128},
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
