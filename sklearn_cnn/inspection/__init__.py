"""Displays of what a network has learned, after scikit-learn's convention.

Each has a class method ``from_estimator`` that computes what is shown and draws it, and a method ``plot`` that draws it
again, on axes of your own if you pass them. What has been drawn is kept in ``figure_``, ``ax_`` and further attributes that
end in an underscore. matplotlib is imported when something is drawn.
"""

from sklearn_cnn.inspection._augmentation_display import AugmentationDisplay
from sklearn_cnn.inspection._feature_map_display import FeatureMapDisplay
from sklearn_cnn.inspection._kernel_display import KernelDisplay
from sklearn_cnn.inspection._loss_display import LossDisplay
from sklearn_cnn.inspection._occlusion_display import OcclusionDisplay
from sklearn_cnn.inspection._receptive_field_display import ReceptiveFieldDisplay
from sklearn_cnn.inspection._saliency_display import SaliencyDisplay

__all__ = [
    "AugmentationDisplay",
    "FeatureMapDisplay",
    "KernelDisplay",
    "LossDisplay",
    "OcclusionDisplay",
    "ReceptiveFieldDisplay",
    "SaliencyDisplay",
]
