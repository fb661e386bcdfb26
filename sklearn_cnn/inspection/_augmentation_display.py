"""One image beside what training sees of it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.annotations import RandomState
from sklearn_cnn._estimator.augmented import augmented_versions, versions_in_fit
from sklearn_cnn._estimator.parameters import InvalidParameterError, is_augmentation, is_integer, shown
from sklearn_cnn._estimator.validation import check_X
from sklearn_cnn.inspection._arguments import array_of, check_flags, check_integer, check_network, one_sample
from sklearn_cnn.inspection._drawing import axes_to_draw_on, draw_tiles, grid_size, is_line, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


MOST_VERSIONS = 1000  # more would be pictures that nobody can see, and take as long as epochs do


class AugmentationDisplay:
    """An image, and what augmentation makes of it in one epoch after another.

    All pictures share one scale.

    Parameters
    ----------
    image : ndarray of shape (rows, columns, channels)
        As it is.
    versions : ndarray of shape (n_versions, rows, columns, channels)
        What training sees, epoch by epoch.
    title : str, default=None
        Title above the picture.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    images_ : list of AxesImage, or of Line2D for signals
        The image, then its versions.

    See Also
    --------
    sklearn_cnn.ImageAugmentation : What may happen to an image.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ImageAugmentation
    >>> from sklearn_cnn.inspection import AugmentationDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = AugmentationDisplay.from_augmentation(ImageAugmentation(shift=1, rotate=15), X, input_shape=(8, 8))
    >>> display.versions.shape
    (11, 8, 8, 1)
    >>> plt.close(display.figure_)
    """

    def __init__(self, image: NDArray, versions: NDArray, *, title: str | None = None) -> None:
        self.image = image
        self.versions = versions
        self.title = title

    @classmethod
    def from_augmentation(
        cls,
        augmentation: Any,
        X: ArrayLike,
        *,
        sample: int = 0,
        n_versions: int = 11,
        input_shape: Sequence[int] | None = None,
        random_state: RandomState = 0,
        scale_input: bool = True,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Augment one of several images, and draw it.

        Parameters
        ----------
        augmentation : ImageAugmentation
            What may happen.
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals. All of them tell what a standard deviation is, which brightness is counted in.
        sample : int, default=0
            Number of the image to draw.
        n_versions : int, default=11
            Number of epochs, at most 1000.
        input_shape : tuple of int, default=None
            As for the estimator: the shape of flat images.
        random_state : None, int or RandomState, default=0
            As for the estimator: a fit to X with the same number sees the same.
        scale_input : bool, default=True
            As for the estimator.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : AugmentationDisplay
            The display, drawn.
        """
        if not is_augmentation(augmentation):
            raise InvalidParameterError(
                f"augmentation={shown(augmentation)} must be an ImageAugmentation; for example ImageAugmentation(shift=2)."
            )
        n_versions = check_integer("n_versions", n_versions, 1, MOST_VERSIONS)
        check_flags(scale_input=scale_input)
        n_samples = len(check_X(augmentation, X)[0])
        if not is_integer(sample, -n_samples) or sample >= n_samples:
            raise InvalidParameterError(
                f"sample={shown(sample)} must be the number of one of the {n_samples} samples in X: an integer from {-n_samples} "
                f"to {n_samples - 1}."
            )
        images, versions = augmented_versions(
            augmentation, X, input_shape=input_shape, rows=np.array([sample % n_samples]), epochs=range(1, n_versions + 1),
            random_state=random_state, scale_input=scale_input,
        )  # fmt: skip
        return cls(images[0], versions[:, 0], title=_in_lines(augmentation)).plot(ax, **options)

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, X: ArrayLike, *, n_versions: int = 11, ax: Axes | None = None, **options: Any
    ) -> Self:
        """Draw what the fit of a network makes of one image.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            Fitted. Its parameter ``augment`` is an `ImageAugmentation` or a function; scaling and draws are those of its fit, for
            an image that is the first row there.
        X : array-like
            One image in any form that `predict` takes, with or without the axis of samples.
        n_versions : int, default=11
            Number of epochs, at most 1000.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : AugmentationDisplay
            The display, drawn.
        """
        check_network(estimator, "augment")
        n_versions = check_integer("n_versions", n_versions, 1, MOST_VERSIONS)
        if estimator.augment is None:
            raise ValueError("augment=None: training sees images as they are. Set augment, for example to an ImageAugmentation.")
        _, image = one_sample(estimator, X)
        versions = versions_in_fit(estimator, image.reshape(1, -1), range(1, n_versions + 1))
        return cls(image, versions, title=_in_lines(estimator.augment)).plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray", n_columns: int | None = None) -> Self:
        """Draw the image and its versions.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        cmap : str or Colormap, default="gray"
            Colours of images that have none.
        n_columns : int, default=None
            Pictures side by side; None chooses.

        Returns
        -------
        display : AugmentationDisplay
            The display itself.
        """
        image = array_of("image", self.image, "rows, columns, channels")
        versions = array_of("versions", self.versions, "n_versions, rows, columns, channels")
        if versions.shape[1:] != image.shape:
            raise InvalidParameterError(
                f"versions has shape {versions.shape}, but image has {image.shape}. Each version must have that shape."
            )
        tiles = np.concatenate([image[None].astype(np.float64), versions])
        low, high = _limits(image, tiles)
        if tiles.shape[-1] == 3 and not is_line(tiles.shape[1:]):
            tiles = np.clip((tiles - low) / (high - low), 0, 1)
        else:
            tiles = tiles.mean(axis=-1)
        _, _, width, height = grid_size(len(tiles), tiles.shape[1:], n_columns)
        scale = 1.6 if is_line(tiles.shape[1:]) else 1.0
        self.figure_, self.ax_ = axes_to_draw_on(ax, (max(4.2, scale * width + 0.3), scale * height + 0.6))
        labels = ["the image", *(f"epoch {number}" for number in range(1, len(tiles)))]
        self.images_ = draw_tiles(self.ax_, tiles, labels, limits=(low, high), cmap=cmap, n_columns=n_columns)
        if self.title is not None:
            self.ax_.set_title(self.title, fontsize=10)
        return self


def _in_lines(augment):
    """Write an augmentation in lines that are not wider than the pictures."""
    name = augment.__name__ if callable(augment) and hasattr(augment, "__name__") else " ".join(repr(augment).split())
    return textwrap.fill(name, 46)


def _limits(image, tiles):
    """Choose what is black and what is white: of bytes and of shares of one that is known."""
    if image.dtype == np.uint8:
        return 0.0, 255.0
    return scale_of(tiles) if image.min() < 0 or image.max() > 1 else (0.0, 1.0)
