"""What each display draws, for its page of the reference: one small network that has learnt digits."""

from functools import cache

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cnn import ConvNetClassifier, ImageAugmentation, inspection


@cache
def fitted():
    """Return a network of two blocks, and digits that it has not seen."""
    X, y = load_digits(return_X_y=True)
    X_train, X_new, y_train, _ = train_test_split(X, y, random_state=0)
    X_part, X_val, y_part, y_val = train_test_split(X_train, y_train, test_size=0.2, random_state=0)
    network = ConvNetClassifier(n_filters=(8, 16), input_shape=(8, 8), max_iter=20, random_state=0)
    return network.fit(X_part, y_part, X_val=X_val, y_val=y_val), X_new


PICTURES = {
    "AugmentationDisplay": lambda network, X: inspection.AugmentationDisplay.from_augmentation(
        ImageAugmentation(shift=1, rotate=15, erase=3), X, input_shape=(8, 8)
    ),
    "FeatureMapDisplay": lambda network, X: inspection.FeatureMapDisplay.from_estimator(network, X[0]),
    "KernelDisplay": lambda network, X: inspection.KernelDisplay.from_estimator(network),
    "LossDisplay": lambda network, X: inspection.LossDisplay.from_estimator(network),
    "OcclusionDisplay": lambda network, X: inspection.OcclusionDisplay.from_estimator(network, X[0], window=3, step=1),
    "ReceptiveFieldDisplay": lambda network, X: inspection.ReceptiveFieldDisplay.from_estimator(network, X[0]),
    "SaliencyDisplay": lambda network, X: inspection.SaliencyDisplay.from_estimator(network, X[0], random_state=0),
}


def draw(name):
    """Draw what the page of a display shows."""
    return PICTURES[name](*fitted())
