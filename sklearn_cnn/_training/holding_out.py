"""The split of the samples into a part to train on and a part to watch training with."""

import math

import numpy as np


def hold_out(rows, strata, fraction, seed):
    """Split row numbers into a training and a validation part in which every stratum has its share.

    The rows are put in a random order, sorted by stratum, and taken at even distances: that works for strata of any size,
    down to those of a single row, which stay in the training part. So does one row of every other stratum, of which there
    would be nothing to learn otherwise.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), dtype int64
        The row numbers to split.
    strata : ndarray of shape (n_samples,), dtype int
        Stratum of each sample.
    fraction : float
        Share of the rows that goes to the validation part.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    training_rows, validation_rows : ndarray, dtype int64
        Disjoint, in increasing order, and together `rows`.

    Examples
    --------
    >>> import numpy as np
    >>> training_rows, validation_rows = hold_out(np.arange(8), np.repeat([0, 1], 4), 0.25, seed=0)
    >>> len(training_rows), validation_rows // 4
    (6, array([0, 1]))
    """
    order = np.random.RandomState(seed).permutation(rows)
    order = order[np.argsort(strata[order], kind="stable")]
    _, stratum, counts = np.unique(strata[order], return_inverse=True, return_counts=True)
    candidates = order[counts[stratum] > 1]
    n_validation = min(math.ceil(fraction * len(rows)), len(candidates), len(rows) - 1)
    places = (np.arange(n_validation) + 0.5) * (len(candidates) / max(n_validation, 1))
    is_held_out = np.zeros(len(strata), dtype=bool)
    is_held_out[candidates[places.astype(np.int64)]] = True
    is_whole = np.bincount(stratum, is_held_out[order]) == counts
    is_held_out[order[(np.cumsum(counts) - counts)[is_whole]]] = False
    return rows[~is_held_out[rows]], rows[is_held_out[rows]]
