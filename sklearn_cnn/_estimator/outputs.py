"""From scores to probabilities, row by row.

A row's bits must not depend on the rows beside it. NumPy picks loops by memory layout, so every transcendental function below
sees a contiguous array whatever the number of rows, and sums along a row run strictly from left to right (``accumulate``)
instead of pairwise. All of it is done in float64 and rounded once, to the type of the scores.
"""

import numpy as np
from scipy.special import expit, log_expit

# A probability that is too small for its type is zero, also where the caller has told NumPy to raise.
may_underflow = np.errstate(under="ignore")


def shifted_scores(scores):
    """Subtract each row's maximum, so that no exponential overflows."""
    scores = np.ascontiguousarray(scores, dtype=np.float64)
    return scores - scores.max(axis=1, keepdims=True)


def row_sums(values):
    """Sum each row from left to right."""
    return np.ascontiguousarray(np.add.accumulate(values, axis=1)[:, -1:])


@may_underflow
def softmax(scores):
    """Turn scores into probabilities of exclusive classes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Unbounded scores.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes)
        In the type of the scores. Each row sums to 1.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.log([[1.0, 3.0]]))
    array([[0.25, 0.75]])
    """
    exponentials = np.exp(shifted_scores(scores))
    return (exponentials / row_sums(exponentials)).astype(scores.dtype)


@may_underflow
def log_softmax(scores):
    """Turn scores into logarithms of probabilities of exclusive classes, also where the probability underflows.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Unbounded scores.

    Returns
    -------
    log_probabilities : ndarray of shape (n_samples, n_classes), dtype float64
        Never minus infinity for finite scores.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    shifted = shifted_scores(scores)
    return shifted - np.log(row_sums(np.exp(shifted)))


@may_underflow
def logistic(scores):
    """Turn scores into probabilities of independent events, in the type of the scores."""
    return expit(np.ascontiguousarray(scores, dtype=np.float64)).astype(scores.dtype)


@may_underflow
def log_logistic(scores):
    """Turn scores into logarithms of probabilities of independent events, in float64."""
    return log_expit(np.ascontiguousarray(scores, dtype=np.float64))


@may_underflow
def log_of_probabilities(probabilities, log_probabilities):
    """Return what ``log(predict_proba(X))`` would be if no probability underflowed.

    Parameters
    ----------
    probabilities : ndarray, dtype float32 or float64
        What predict_proba returns.
    log_probabilities : ndarray of the same shape, dtype float64
        Their exact logarithms, which next to 0 tell apart what probabilities next to 1 do not.

    Returns
    -------
    logarithms : ndarray of the same shape and dtype
        Consistent with `probabilities`, and finite.

    Examples
    --------
    >>> import numpy as np
    >>> log_of_probabilities(np.array([1.0, 0.0], dtype=np.float32), np.array([-1e-9, -200.0]))
    array([   0., -200.], dtype=float32)
    """
    large = np.log(np.maximum(probabilities, 0.5, dtype=np.float64))
    return np.where(probabilities > 0.5, large, log_probabilities).astype(probabilities.dtype)


@may_underflow
def sample_losses(scores, targets, out_activation):
    """Compute the loss of every sample, without the penalty.

    Parameters
    ----------
    scores, targets : ndarray of shape (n_samples, n_outputs)
        What the network says and should have said: 0-1 targets, or real ones for ``"identity"``.
    out_activation : {"softmax", "logistic", "identity"}
        Cross-entropy of exclusive classes, of independent events summed over the outputs, or half the squared error averaged
        over the outputs: the definitions that the kernels train with.

    Returns
    -------
    losses : ndarray of shape (n_samples,), dtype float64
        One of each sample.

    Examples
    --------
    >>> import numpy as np
    >>> sample_losses(np.log([[1.0, 3.0]]), np.array([[0, 1]]), "softmax")
    array([0.28768207])
    """
    if out_activation == "identity":
        return 0.5 * np.square(np.asarray(scores, dtype=np.float64) - targets).mean(axis=1)
    if out_activation == "softmax":
        losses = -targets * log_softmax(scores)
    else:
        losses = -targets * log_logistic(scores) - (1.0 - targets) * log_logistic(-scores)
    return losses.sum(axis=1)
