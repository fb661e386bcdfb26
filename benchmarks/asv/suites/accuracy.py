"""What the defaults reach on digits that they have not seen."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cnn import ConvNetClassifier


def track_accuracy_on_digits():
    """Return the share of right answers; the same bits on every machine of one instruction-set level."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    return ConvNetClassifier(input_shape=(8, 8), max_iter=10, random_state=0).fit(X_train, y_train).score(X_test, y_test)


track_accuracy_on_digits.unit = "share of right answers"
