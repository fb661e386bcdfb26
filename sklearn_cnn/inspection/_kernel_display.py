"""Learned kernels as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.parameters import InvalidParameterError, is_integer, is_one_of, shown
from sklearn_cnn._estimator.validation import check_block
from sklearn_cnn.inspection._arguments import array_of, check_flags, check_network, check_place
from sklearn_cnn.inspection._drawing import add_colorbar, axes_to_draw_on, draw_tiles, grid_size, is_line, size_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


class KernelDisplay:
    """The kernels of one block: grey, or in colour where they look at a colour image.

    A kernel is bright where it wants the image to be bright and dark where it wants it dark; medium grey is zero. All kernels
    share one scale. Kernels of signals are drawn as lines.

    Parameters
    ----------
    kernels : ndarray of shape (n_filters, rows, columns) or (n_filters, rows, columns, 3)
        What to draw; three channels are red, green and blue.
    title : str, default=None
        Title above the picture.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    images_ : list of AxesImage, or of Line2D for signals
        One per kernel.
    colorbar_ : Colorbar or None
        None in colour.

    See Also
    --------
    FeatureMapDisplay : What the kernels find in an image.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import KernelDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
    >>> display = KernelDisplay.from_estimator(network)
    >>> display.kernels.shape
    (32, 3, 3)
    >>> plt.close(display.figure_)
    """

    def __init__(self, kernels: NDArray, *, title: str | None = None) -> None:
        self.kernels = kernels
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        block: int = 0,
        channel: int | str | None = None,
        position: tuple[int, int] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Draw the kernels of a fitted network.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        block : int, default=0
            Number of the block; -1 is the last.
        channel : int or "mean", default=None
            Which channel of its input to show the kernels of, or their mean. None shows all three in colour where the first
            block looks at three channels, the only one where there is one, and the mean otherwise.
        position : (int, int), default=None
            Row and column of the map, for a locally connected block; None is the middle.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : KernelDisplay
            The display, drawn.
        """
        check_network(estimator, "kernels_")
        kernels = estimator.kernels_
        block = check_block(block, len(kernels))
        kernels, where = _at_position(kernels[block], position)
        n_filters, n_channels, rows, columns = kernels.shape
        if channel is None and block == 0 and n_channels == 3 and rows > 1:
            kernels, what = np.moveaxis(kernels, 1, -1), "\nred, green and blue; medium grey is zero"
        else:
            kernels, what = _of_channel(kernels, channel)
        title = f"Block {block}: {n_filters} kernels of {size_text(rows, columns)}{where}{what}"
        return cls(kernels, title=title).plot(ax, **options)

    def plot(
        self, ax: Axes | None = None, *, cmap: str | Colormap = "gray", n_columns: int | None = None, colorbar: bool = True
    ) -> Self:
        """Draw the kernels.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        cmap : str or Colormap, default="gray"
            Colours of kernels that have none; its middle is zero.
        n_columns : int, default=None
            Kernels side by side; None chooses.
        colorbar : bool, default=True
            Whether to draw the scale.

        Returns
        -------
        display : KernelDisplay
            The display itself.
        """
        check_flags(colorbar=colorbar)
        kernels = array_of("kernels", self.kernels, "n_filters, rows, columns", "n_filters, rows, columns, 3")
        if kernels.ndim == 4 and kernels.shape[3] != 3:
            raise InvalidParameterError(f"kernels has {kernels.shape[3]} channels, but can be drawn with 3. Pass one of them.")
        limit = float(np.abs(kernels).max(initial=0)) or 1.0
        _, _, width, height = grid_size(len(kernels), kernels.shape[1:], n_columns)
        scale = 1.4 if is_line(kernels.shape[1:]) else 0.85
        self.figure_, self.ax_ = axes_to_draw_on(ax, (max(4.2, scale * width + 1), scale * height + 0.6))
        is_coloured = kernels.ndim == 4
        tiles = np.clip(0.5 + kernels / (2 * limit), 0, 1) if is_coloured else kernels
        labels = [str(number) for number in range(len(kernels))]
        self.images_ = draw_tiles(self.ax_, tiles, labels, limits=(-limit, limit), cmap=cmap, n_columns=n_columns)
        has_bar = colorbar and not is_coloured and not is_line(kernels.shape[1:])
        self.colorbar_ = add_colorbar(self.figure_, self.ax_, self.images_[0], "weight") if has_bar else None
        if self.title is not None:
            self.ax_.set_title(self.title)
        return self


def _at_position(kernels, position):
    """Take the kernels of one position where each has its own."""
    if kernels.ndim == 4:
        if position is not None:
            raise InvalidParameterError(
                f"position={shown(position)} is for locally connected blocks, but the kernels of this one are the same "
                "everywhere. Leave it out."
            )
        return kernels, ""
    rows, columns = kernels.shape[:2]
    row, column = (rows // 2, columns // 2)
    if position is not None:
        row, column = check_place("position", position, (rows, columns), "the map")
    return kernels[row, column], f", at row {row}, column {column}"


def _of_channel(kernels, channel):
    n_channels = kernels.shape[1]
    if channel is None:
        channel = "mean" if n_channels > 1 else 0
    if is_one_of(channel, ("mean",)):
        return kernels.mean(axis=1), f" (mean of {n_channels} channels)"
    if not is_integer(channel, 0) or channel >= n_channels:
        raise InvalidParameterError(f"channel={shown(channel)} must be 'mean' or a number from 0 to {n_channels - 1}.")
    return kernels[:, channel], f" (channel {channel} of {n_channels})" if n_channels > 1 else ""
