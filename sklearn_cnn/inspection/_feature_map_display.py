"""Feature maps of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn.inspection._arguments import array_of, check_flags, check_network, one_sample, steps_of_block
from sklearn_cnn.inspection._drawing import (
    GAP,
    INK,
    add_colorbar,
    axes_to_draw_on,
    draw_tiles,
    grid_size,
    is_line,
    picture,
    scale_of,
    size_text,
    tile_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


class FeatureMapDisplay:
    """The feature maps of one block: a map is bright where its kernel matches.

    The image is on the left; all maps share one scale. The title says after which step of the block they are.

    Parameters
    ----------
    maps : ndarray of shape (rows, columns, n_filters)
        What `feature_maps` computes of one image.
    image : ndarray of shape (rows, columns, channels), default=None
        The image, drawn beside the maps.
    title : str, default=None
        Title above the picture.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    images_ : list of AxesImage, or of Line2D for signals
        One per map.
    input_ : AxesImage or Line2D or None
        The image.
    colorbar_ : Colorbar or None
        The scale of the maps.

    See Also
    --------
    KernelDisplay : The kernels of the maps.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import FeatureMapDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
    >>> display = FeatureMapDisplay.from_estimator(network, X[0], stage="pool")
    >>> display.maps.shape
    (4, 4, 32)
    >>> plt.close(display.figure_)
    """

    def __init__(self, maps: NDArray, *, image: NDArray | None = None, title: str | None = None) -> None:
        self.maps = maps
        self.image = image
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        block: int = 0,
        stage: str = "conv",
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Compute and draw the feature maps of one image.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        X : array-like
            One image in any form that `predict` takes, with or without the axis of samples.
        block : int, default=0
            Number of the block; -1 is the last.
        stage : {"conv", "pool"}, default="conv"
            Before or after the pooling, as of `feature_maps`: "conv" is the map after the activation, or the bare convolution
            where the network has `batch_norm` and maximum pooling, because there the activation comes last.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : FeatureMapDisplay
            The display, drawn.
        """
        check_network(estimator, "feature_maps")
        X, image = one_sample(estimator, X)
        maps = estimator.feature_maps(X, block, stage)[0]
        rows, columns, n_filters = maps.shape
        block = block % len(estimator.kernels_)
        step = _last_step(steps_of_block(estimator, block), stage)
        title = f"Block {block}, {step}: {n_filters} maps of {size_text(rows, columns)}"
        return cls(maps, image=image, title=title).plot(ax, **options)

    def plot(
        self, ax: Axes | None = None, *, cmap: str | Colormap = "gray", n_columns: int | None = None, colorbar: bool = True
    ) -> Self:
        """Draw the maps.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        cmap : str or Colormap, default="gray"
            Colours of the maps.
        n_columns : int, default=None
            Maps side by side; None chooses.
        colorbar : bool, default=True
            Whether to draw the scale.

        Returns
        -------
        display : FeatureMapDisplay
            The display itself.
        """
        check_flags(colorbar=colorbar)
        tiles = np.moveaxis(array_of("maps", self.maps, "rows, columns, n_filters"), -1, 0)
        image = None if self.image is None else array_of("image", self.image, "rows, columns, channels")
        limits = scale_of(tiles)
        _, n_rows, width, height = grid_size(len(tiles), tiles.shape[1:], n_columns)
        left = 0.0 if image is None else _input_width(image, n_rows) + 2.5 * GAP
        scale = 1.6 if is_line(tiles.shape[1:]) else 0.8
        self.figure_, self.ax_ = axes_to_draw_on(ax, (scale * (width + left) + 1, max(2.0, scale * height + 0.7)))
        labels = [str(number) for number in range(len(tiles))]
        self.images_ = draw_tiles(self.ax_, tiles, labels, limits=limits, cmap=cmap, n_columns=n_columns, left=left)
        self.input_ = None if image is None else _draw_input(self.ax_, image, n_rows)
        has_bar = colorbar and not is_line(tiles.shape[1:])
        self.colorbar_ = add_colorbar(self.figure_, self.ax_, self.images_[0], "value") if has_bar else None
        if self.title is not None:
            self.ax_.set_title(self.title)
        return self


def _last_step(steps, stage):
    """Say what the last thing is that has happened to the maps of a block."""
    is_pooled = any("pooling" in step for step in steps)
    is_activated_last = "max pooling" in steps and "batch norm" in steps
    if stage == "conv":
        return "the bare convolution" if is_activated_last else "after the activation"
    return "after pooling and activation" if is_activated_last else "after the pooling" if is_pooled else "after the activation"


def _input_width(image, n_rows):
    is_small = n_rows == 1 or image.shape[0] == 1
    return tile_size(image.shape)[0] * (1.0 if is_small else 2.0)


def _draw_input(ax, image, n_rows):
    """Draw the image at the left, twice as large as a map where there is room."""
    view = ax.get_xlim(), ax.get_ylim()
    width = _input_width(image, n_rows)
    if image.shape[0] == 1:
        artist = draw_tiles(ax, image.mean(axis=2)[None], ["input"], limits=scale_of(image), cmap="gray")[0]
    else:
        height = width * image.shape[0] / image.shape[1]
        artist = ax.imshow(picture(image), cmap="gray", extent=(0, width, height, 0), interpolation="nearest")
        ax.text(width / 2, -0.03, "input", ha="center", va="bottom", fontsize=9, color=INK)
        view = (view[0], (max(view[1][0], height + 0.02), view[1][1]))
    ax.set_xlim(view[0])
    ax.set_ylim(view[1])
    return artist
