"""Convolutional networks as scikit-learn estimators, compiled for the CPU."""

from sklearn_cnn._augmentation import ImageAugmentation
from sklearn_cnn._checkpoint import Checkpoint
from sklearn_cnn._classifier import ConvNetClassifier
from sklearn_cnn._regressor import ConvNetRegressor
from sklearn_cnn._show_versions import show_versions
from sklearn_cnn._transformer import ConvNetTransformer
from sklearn_cnn._version import __version__

__all__ = [
    "Checkpoint",
    "ConvNetClassifier",
    "ConvNetRegressor",
    "ConvNetTransformer",
    "ImageAugmentation",
    "__version__",
    "show_versions",
]

# The names that pickles, skops and mlflow write down. Modules may be cut anew; these names stay.
for _public in (Checkpoint, ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation):
    _public.__module__ = __name__
