"""The grid of the search: the same settings, folds and epochs for everyone."""

GRID = {"kernel_size": [3, 5], "n_filters": [(8, 16), (16, 32)], "pooling": ["max", "average"]}
N_FOLDS = 3
