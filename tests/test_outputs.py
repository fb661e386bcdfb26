"""From scores to probabilities."""

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss

from sklearn_cnn._estimator.outputs import log_logistic, log_softmax, logistic, sample_losses, softmax

FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax, "logistic": logistic, "log_logistic": log_logistic}


@pytest.fixture
def scores():
    return np.random.RandomState(0).normal(scale=20, size=(203, 11)).astype(np.float32)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name, scores):
    expected = {
        "softmax": lambda scores: special.softmax(scores, axis=1),
        "log_softmax": lambda scores: special.log_softmax(scores, axis=1),
        "logistic": special.expit,
        "log_logistic": special.log_expit,
    }[name](scores.astype(float))
    np.testing.assert_allclose(FUNCTIONS[name](scores), expected, rtol=1e-6, atol=1e-15 if name == "log_softmax" else 1e-37)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 8, 9, 17, 129])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_row_does_not_depend_on_others(name, n_classes):
    scores = np.random.RandomState(0).normal(scale=5, size=(67, n_classes)).astype(np.float32)
    together = FUNCTIONS[name](scores)
    for n_rows in (1, 2, 3, 5, 8, 17, 66):
        pieces = np.concatenate([FUNCTIONS[name](scores[start : start + n_rows]) for start in range(0, 67, n_rows)])
        assert pieces.tobytes() == together.tobytes()


@pytest.mark.parametrize("n_classes", [2, 3, 1000])
def test_rows_sum_to_one(n_classes):
    scores = np.random.RandomState(0).normal(scale=3, size=(50, n_classes)).astype(np.float32)
    np.testing.assert_allclose(softmax(scores).sum(axis=1, dtype=np.float64), 1, atol=1e-6)


def test_extreme_scores():
    largest = np.finfo(np.float32).max
    scores = np.array([[largest, -largest, 0], [-largest, -largest, -largest]], dtype=np.float32)
    np.testing.assert_array_equal(softmax(scores), np.array([[1, 0, 0], [1 / 3] * 3], dtype=np.float32))
    assert np.isfinite(log_softmax(scores)).all()


def test_losses(scores):
    codes = np.arange(len(scores)) % 11
    targets = np.eye(11)[codes]
    assert sample_losses(scores / 20, targets, "softmax").mean() == pytest.approx(log_loss(codes, softmax(scores / 20)), rel=1e-5)
    binary = sample_losses(scores[:, :1] / 20, targets[:, :1], "logistic")
    assert binary.mean() == pytest.approx(log_loss(targets[:, 0], logistic(scores[:, 0] / 20)), rel=1e-5)
    assert sample_losses(scores, targets, "logistic").shape == (len(scores),)
    np.testing.assert_allclose(sample_losses(scores, targets, "identity"), 0.5 * ((scores - targets) ** 2).mean(axis=1))
