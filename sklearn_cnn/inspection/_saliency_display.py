"""Saliency: which pixels a score depends on, by its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_random_state

from sklearn_cnn._estimator.annotations import RandomState
from sklearn_cnn._estimator.parameters import InvalidParameterError, is_one_of, is_real, shown
from sklearn_cnn._estimator.saliency import class_activation_map, score_gradient
from sklearn_cnn._estimator.scoring import without_feature_names
from sklearn_cnn._estimator.validation import check_X_predict
from sklearn_cnn.inspection._arguments import (
    check_flags,
    check_integer,
    check_network,
    heat_and_image,
    number_of,
    one_sample,
    refuse_overflow,
    steps_of_block,
)
from sklearn_cnn.inspection._drawing import add_colorbar, axes_to_draw_on, draw_heat, opaque

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


class SaliencyDisplay:
    """Which pixels the score of a class depends on, by a gradient.

    Two pictures of the same question. ``method="gradient"`` is the gradient of the score with respect to the image: how much the
    score changes with each pixel. One gradient is noisy; the mean over noisy copies of the image is clearer (SmoothGrad).
    ``method="grad_cam"`` adds up the maps of a block, each weighted by the mean gradient of the score with respect to it, and
    drops what speaks against the class: coarse, but about things rather than pixels. The maps are those after the activation and
    before the pooling; with `batch_norm` and maximum pooling, where the activation comes last, they are those of the bare
    convolution, which may be negative. It is meant for networks with
    `global_pooling`. Without, places in the map have weights of their own, their mean may say little, and where all sums are
    negative nothing is left to draw; the title says so.

    Neither covers anything, so neither needs one prediction per patch as `OcclusionDisplay` does. The price is that a gradient
    tells of small changes only.

    Parameters
    ----------
    saliency : ndarray of shape (rows, columns)
        For each pixel; not negative.
    image : ndarray of shape (rows, columns, channels)
        The image.
    label : object
        The class, or the number of a regressor's output.
    method : {"gradient", "grad_cam"}, default="gradient"
        How it was computed.
    block : int, default=None
        The block whose maps were added up.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    image_ : AxesImage or list of Line2D
        The image.
    heat_ : AxesImage
        The heat map over it.
    colorbar_ : Colorbar or None
        Its scale.

    See Also
    --------
    OcclusionDisplay : The same question, answered by covering patches of the image.

    References
    ----------
    K. Simonyan, A. Vedaldi and A. Zisserman (2014). Deep inside convolutional networks: visualising image classification models
    and saliency maps. ICLR workshop.

    D. Smilkov, N. Thorat, B. Kim, F. Viegas and M. Wattenberg (2017). SmoothGrad: removing noise by adding noise.
    arXiv:1706.03825.

    R. Selvaraju et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import SaliencyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=5, random_state=0).fit(X, y)
    >>> display = SaliencyDisplay.from_estimator(network, X[0], random_state=0)
    >>> display.saliency.shape, int(display.label)
    ((8, 8), 0)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, saliency: NDArray, *, image: NDArray, label: Any, method: str = "gradient", block: int | None = None
    ) -> None:
        self.saliency = saliency
        self.image = image
        self.label = label
        self.method = method
        self.block = block

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        method: str = "gradient",
        target: Any = None,
        block: int = -1,
        noise: float = 0.15,
        n_samples: int = 50,
        random_state: RandomState = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Compute and draw what the score of one image depends on.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        X : array-like
            One image in any form that `predict` takes, with or without the axis of samples.
        method : {"gradient", "grad_cam"}, default="gradient"
            The gradient with respect to the pixels, its largest magnitude over the channels; or the weighted maps of a block,
            interpolated between the middles of what their units see.
        target : label or int, default=None
            The class; None is the one the network finds most probable. Of a regressor the number of the output, None being 0.
            The score is what stands before the output activation (of a regressor, the prediction as the network scales it).
        block : int, default=-1
            Number of the block for "grad_cam"; -1 is the last. Its maps are those before pooling, as of `feature_maps`.
        noise : float, default=0.15
            Standard deviation of the noise for "gradient", as a share of the image's range; 0 is the gradient at the image.
        n_samples : int, default=50
            Number of noisy copies for "gradient".
        random_state : int, RandomState instance or None, default=None
            Decides the noise.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : SaliencyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `method`, `target`, `block`, `noise` or `n_samples` is none of what is allowed.
        """
        check_network(estimator, "input_shape_")
        if not is_one_of(method, ("gradient", "grad_cam")):
            raise InvalidParameterError(f"method={shown(method)} must be 'gradient' or 'grad_cam'.")
        if not is_real(noise, 0):
            raise InvalidParameterError(
                f"noise={shown(noise)} must be a number of at least 0, a share of the image's range; for example 0.15."
            )
        n_samples = check_integer("n_samples", n_samples, 1)
        X, image = one_sample(estimator, X)
        X = check_X_predict(estimator, X, estimator._check_fitted())
        estimator = without_feature_names(estimator)  # X has none any longer
        direction, label = _direction(estimator, X, target)
        if method == "gradient":
            gradient = score_gradient(estimator, X, direction, noise, n_samples, check_random_state(random_state))
            saliency = refuse_overflow(np.abs(gradient).max(axis=-1))
            return cls(saliency, image=image, label=label).plot(ax, **options)
        activation, block = class_activation_map(estimator, X, direction, block)
        row = steps_of_block(estimator, block)["convolution"]
        saliency = _spread(refuse_overflow(activation), row, image.shape)
        return cls(saliency, image=image, label=label, method=method, block=block).plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "Reds", colorbar: bool = True) -> Self:
        """Draw the heat map over the image.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        cmap : str or Colormap, default="Reds"
            Sequential; its beginning is no influence.
        colorbar : bool, default=True
            Whether to draw the scale.

        Returns
        -------
        display : SaliencyDisplay
            The display itself.
        """
        check_flags(colorbar=colorbar)
        saliency, image = heat_and_image("saliency", self.saliency, self.image)
        self.figure_, self.ax_ = axes_to_draw_on(ax, (5.4, 4.4))
        limit = float(saliency.max()) or 1.0
        self.image_, self.heat_ = draw_heat(self.ax_, image, saliency, (0.0, limit), cmap)
        if self.method == "gradient":
            label, how = "change of the score per unit of a pixel", "gradient"
        else:
            label, how = "weighted sum of the maps", f"Grad-CAM, block {self.block}"
            how += "" if saliency.any() else ": nothing speaks for it"
        self.colorbar_ = add_colorbar(self.figure_, self.ax_, opaque(self.heat_), label) if colorbar else None
        self.ax_.set_title(f"What does the score of {self.label} depend on?\n{how}")
        return self


def _direction(estimator, X, target):
    """Return the weights of the network's outputs in the score of a class or an output, and its label."""
    scores = refuse_overflow(estimator._scores(X)[0][0])
    if not is_classifier(estimator):
        labels = np.arange(len(scores))
        number = 0 if target is None else number_of(target, labels)
        return np.eye(len(scores))[number], labels[number]
    labels = estimator.classes_
    number = int(estimator.predict_proba(X)[0].argmax()) if target is None else number_of(target, labels)
    if len(scores) == 1:  # the one score of two classes is that of the second
        return np.array([1.0 if number == 1 or len(labels) == 1 else -1.0]), labels[number]
    return np.eye(len(scores))[number], labels[number]


def _spread(activation, row, shape):
    """Interpolate a map to the pixels of the image; a unit stands in the middle of what it sees."""
    for axis in range(2):
        start, step = row["origin"][axis] + (row["receptive_field"][axis] - 1) / 2, row["effective_stride"][axis]
        places = start + step * np.arange(activation.shape[axis])
        lines = np.moveaxis(activation, axis, -1)
        activation = np.stack([np.interp(np.arange(shape[axis]), places, line) for line in lines], axis=1 - axis)
    return activation
