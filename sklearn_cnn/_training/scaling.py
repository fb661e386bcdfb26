"""Mean and scale of each input channel and of each output, learnt without ever converting the images as a whole."""

import numpy as np

# Values per chunk: small enough that a chunk in float64 stays in cache, and a constant, so that the sums have one order.
CHUNK_VALUES = 32_768


def channel_moments(X, rows, sample_weight, n_channels):
    """Compute the weighted mean and variance of each channel.

    Chunks of rows are converted to float64 one at a time, and their moments merged with the formula of Chan, Golub and
    LeVeque (1979), which does not cancel.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_pixels * n_channels)
        Flattened images, channels last, of any real dtype.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows that count.
    sample_weight : ndarray of shape (n_samples,) or None
        Weight of each row of `X`.
    n_channels : int
        Number of channels.

    Returns
    -------
    mean, variance : ndarray of shape (n_channels,), dtype float64
        Moments over all pixels of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 10, 2, 10], [4, 10, 6, 10]], dtype=np.uint8)  # two images of two pixels, two channels
    >>> channel_moments(X, np.arange(2), None, 2)
    (array([ 3., 10.]), array([5., 0.]))
    """
    chunk = max(1, CHUNK_VALUES // X.shape[1])
    mass, mean, spread = 0.0, np.zeros(n_channels), np.zeros(n_channels)
    for start in range(0, len(rows), chunk):
        numbers = rows[start : start + chunk]
        values = np.asarray(X[numbers], dtype=np.float64).reshape(len(numbers), -1, n_channels)
        weight = np.ones(len(numbers)) if sample_weight is None else sample_weight[numbers].astype(np.float64)
        chunk_mass = weight.sum() * values.shape[1]
        if chunk_mass == 0.0:
            continue
        weight = weight.reshape(-1, 1)
        chunk_mean = (weight * values.sum(axis=1)).sum(axis=0) / chunk_mass
        values -= chunk_mean
        np.square(values, out=values)
        difference = chunk_mean - mean
        spread += (weight * values.sum(axis=1)).sum(axis=0) + difference**2 * (mass * chunk_mass / (mass + chunk_mass))
        mass += chunk_mass
        mean += difference * (chunk_mass / mass)
    return mean, spread / mass


def channel_scaling(X, rows, sample_weight, n_channels):
    """Learn what brings each channel to mean zero and standard deviation one.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_pixels * n_channels)
        Flattened images, channels last, of any real dtype.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows to learn from.
    sample_weight : ndarray of shape (n_samples,) or None
        Weight of each row of `X`.
    n_channels : int
        Number of channels.

    Returns
    -------
    shift, factor : ndarray of shape (n_channels,), dtype float32
        ``(x - shift) * factor`` is what the network sees. The factor of a constant channel is 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 10, 2, 10], [4, 10, 6, 10]], dtype=np.uint8)
    >>> channel_scaling(X, np.arange(2), None, 2)
    (array([ 3., 10.], dtype=float32), array([0.4472136, 1.       ], dtype=float32))
    """
    mean, variance = channel_moments(X, rows, sample_weight, n_channels)
    deviation = np.sqrt(variance)
    # Below the resolution of float32 a deviation is rounding, and dividing by it would blow rounding up to signal.
    resolution = np.finfo(np.float32)
    is_constant = (deviation <= resolution.eps * np.abs(mean)) | (deviation <= resolution.tiny)
    factor = 1.0 / np.where(is_constant, 1.0, deviation)
    return mean.astype(np.float32), factor.astype(np.float32)


def target_scaling(y, rows, sample_weight):
    """Learn what brings each output to mean zero and standard deviation one.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_outputs), dtype float64
        Real targets.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows to learn from.
    sample_weight : ndarray of shape (n_samples,) or None
        Weight of each row of `y`.

    Returns
    -------
    mean, deviation : ndarray of shape (n_outputs,), dtype float64
        ``(y - mean) / deviation`` is what the network learns. The deviation of a constant output is 1, its mean the constant.

    Examples
    --------
    >>> import numpy as np
    >>> target_scaling(np.array([[1.0, 7.0], [5.0, 7.0]]), np.arange(2), None)
    (array([3., 7.]), array([2., 1.]))
    """
    mean, variance = channel_moments(y, rows, sample_weight, y.shape[1])
    learnt_from = y[rows]
    is_constant = (np.ptp(learnt_from, axis=0) == 0.0) | (variance == 0.0)  # rounding gives a constant some variance
    return np.where(is_constant, learnt_from[0], mean), np.where(is_constant, 1.0, np.sqrt(variance))
