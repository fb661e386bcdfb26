"""Mean and scale of each input channel and of each output, learnt without ever converting the images as a whole."""

import numpy as np

from sklearn_cnn._network.network import readable_rows, sum_channels

# Values per chunk: small enough that a chunk stays in cache, and a constant, so that the sums have one order.
CHUNK_VALUES = 32_768


def channel_moments(X, rows, sample_weight, n_channels):
    """Compute the weighted moments of each channel.

    They are sums in double precision over chunks of rows, whose moments are merged.

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
    mass : float
        Sum of the weights of all pixels.
    mean, spread : ndarray of shape (n_channels,), dtype float64
        Mean of all pixels, and the weighted sum of their squared distances from it: ``spread / mass`` is the variance.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 10, 2, 10], [4, 10, 6, 10]], dtype=np.uint8)  # two images of two pixels, two channels
    >>> channel_moments(X, np.arange(2), None, 2)
    (4.0, array([ 3., 10.]), array([20.,  0.]))
    """
    chunk = max(1, CHUNK_VALUES // X.shape[1])
    moments = None
    for start in range(0, len(rows), chunk):
        numbers = rows[start : start + chunk]
        weight = None if sample_weight is None else sample_weight[numbers].astype(np.float64)
        mass = float(len(numbers) if weight is None else weight.sum()) * (X.shape[1] // n_channels)
        if mass == 0.0:
            continue
        readable, places = readable_rows(X, numbers)
        mean = sum_channels(readable, places, weight, n_channels=n_channels) / mass
        moments = merged(moments, (mass, mean, sum_channels(readable, places, weight, mean, n_channels)))
    return moments


def merged(moments, others):
    """Put the moments of two groups of rows together, with the formula of Chan, Golub and LeVeque (1979), which does not cancel.

    Parameters
    ----------
    moments : tuple of (float, ndarray, ndarray) or None
        Made by `channel_moments`; None is a group of no rows.
    others : tuple of (float, ndarray, ndarray)
        Those of the other group.

    Returns
    -------
    moments : tuple of (float, ndarray, ndarray)
        Of all rows. Of the same group twice, mean and variance stay what they are.

    Examples
    --------
    >>> import numpy as np
    >>> merged((1.0, np.array([2.0]), np.array([0.0])), (1.0, np.array([4.0]), np.array([0.0])))
    (2.0, array([3.]), array([2.]))
    """
    if moments is None:
        return others
    (mass, mean, spread), (other_mass, other_mean, other_spread) = moments, others
    both, difference = mass + other_mass, other_mean - mean
    return (
        both,
        mean + difference * (other_mass / both),
        spread + (other_spread + difference**2 * (mass * other_mass / both)),
    )


def channel_scaling(moments):
    """Return what brings each channel to mean zero and standard deviation one.

    Parameters
    ----------
    moments : tuple of (float, ndarray, ndarray)
        Made by `channel_moments`.

    Returns
    -------
    shift, factor : ndarray of shape (n_channels,), dtype float32
        ``(x - shift) * factor`` is what the network sees. The factor of a constant channel is 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 10, 2, 10], [4, 10, 6, 10]], dtype=np.uint8)
    >>> channel_scaling(channel_moments(X, np.arange(2), None, 2))
    (array([ 3., 10.], dtype=float32), array([0.4472136, 1.       ], dtype=float32))
    """
    mass, mean, spread = moments
    deviation = np.sqrt(spread / mass)
    # Below the resolution of float32 a deviation is rounding, and dividing by it would blow rounding up to signal.
    resolution = np.finfo(np.float32)
    is_constant = (deviation <= resolution.eps * np.abs(mean)) | (deviation <= resolution.tiny)
    factor = 1.0 / np.where(is_constant, 1.0, deviation)
    with np.errstate(under="ignore"):  # a mean too small for float32 is zero
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
    mass, mean, spread = channel_moments(y, rows, sample_weight, y.shape[1])
    variance = spread / mass
    learnt_from = y[rows]
    is_constant = (np.ptp(learnt_from, axis=0) == 0.0) | (variance == 0.0)  # rounding gives a constant some variance
    return np.where(is_constant, learnt_from[0], mean), np.where(is_constant, 1.0, np.sqrt(variance))
