"""The receptive field of a unit, drawn on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.parameters import InvalidParameterError
from sklearn_cnn._estimator.validation import check_block, check_stage
from sklearn_cnn.inspection._arguments import array_of, check_flags, check_network, check_place, one_sample
from sklearn_cnn.inspection._drawing import INK, axes_to_draw_on, draw_sample, size_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#e6a700", "#d1495b", "#2a9d8f", "#3d6fd9", "#9b5de5", "#f3722c", "#00a6d6", "#7a9e1f")


class ReceptiveFieldDisplay:
    """What one unit sees of the image: its receptive field, and those of the units before it that lie in its middle.

    Each layer adds to what a unit sees. Where a field reaches beyond the image, the unit sees padding there; it is drawn in
    grey.

    Parameters
    ----------
    image : ndarray of shape (rows, columns, channels)
        The image.
    names : sequence of str
        Names of the layers, first to last.
    origins : sequence of (int, int)
        First row and column of each field; negative ones are padding.
    fields : sequence of (int, int)
        Rows and columns of each field.
    title : str, default=None
        Title above the picture.

    Attributes
    ----------
    figure_, ax_ : Figure, Axes
        What it is drawn on.
    image_ : AxesImage or list of Line2D
        The image, or the lines of a signal.
    patches_ : list of Rectangle
        One per layer.

    See Also
    --------
    OcclusionDisplay : Which region decides.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import ReceptiveFieldDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, batch_norm=False, random_state=0).fit(X, y)
    >>> display = ReceptiveFieldDisplay.from_estimator(network, X[0], unit=(0, 1))
    >>> display.names[-1], display.origins[-1], display.fields[-1]
    ('block 1: max pooling', (-3, 1), (10, 10))
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        image: NDArray,
        *,
        names: Sequence[str],
        origins: Sequence[tuple[int, int]],
        fields: Sequence[tuple[int, int]],
        title: str | None = None,
    ) -> None:
        self.image = image
        self.names = names
        self.origins = origins
        self.fields = fields
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        block: int = -1,
        stage: str = "pool",
        unit: tuple[int, int] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Draw the receptive field of a unit of a fitted network.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        X : array-like
            One image in any form that `predict` takes, with or without the axis of samples.
        block : int, default=-1
            Number of the block; -1 is the last.
        stage : {"conv", "pool"}, default="pool"
            Whether the unit belongs to the map or to what pooling leaves of it.
        unit : (int, int), default=None
            Row and column of the unit in its map; None is the middle one.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : ReceptiveFieldDisplay
            The display, drawn.
        """
        check_network(estimator, "layer_table_")
        image = one_sample(estimator, X)[1]
        table = _rows_up_to(estimator, block, stage)
        rows, columns = table[-1]["output_shape"][:2]
        row_of_unit, column_of_unit = rows // 2, columns // 2
        if unit is not None:
            row_of_unit, column_of_unit = check_place("unit", unit, (rows, columns), f"the map of {table[-1]['name']}")
        origins = [_origin(table[-1], (row_of_unit, column_of_unit))]
        for row, following in zip(table[-2::-1], table[:0:-1], strict=True):
            middle = np.add(origins[0], np.subtract(following["receptive_field"], 1) / 2)
            origins.insert(0, _origin(row, _unit_nearest(row, middle)))
        place = f"{column_of_unit}" if image.shape[0] == 1 else f"({row_of_unit}, {column_of_unit})"
        display = cls(
            image,
            names=[row["name"] for row in table],
            origins=origins,
            fields=[row["receptive_field"] for row in table],
            title=f"What unit {place} of {table[-1]['name'].replace(': ', ' (')}) sees",
        )
        return display.plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, nested: bool = True) -> Self:
        """Draw the image and the fields on it.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        nested : bool, default=True
            Whether to draw the fields of the layers before, too.

        Returns
        -------
        display : ReceptiveFieldDisplay
            The display itself.
        """
        from matplotlib.patches import Rectangle
        from matplotlib.patheffects import withStroke

        check_flags(nested=nested)
        image = array_of("image", self.image, "rows, columns, channels")
        lengths = len(self.names), len(self.origins), len(self.fields)
        if len(set(lengths)) != 1:
            raise InvalidParameterError(f"names, origins and fields have {lengths} entries. Pass one of each for a layer.")
        self.figure_, self.ax_ = axes_to_draw_on(ax, (6, 5.6))
        ax = self.ax_
        is_signal = image.shape[0] == 1
        self.image_ = draw_sample(ax, image)
        first = 0 if nested else len(self.names) - 1
        patches = []
        bottom, top = sorted(ax.get_ylim())
        for number in range(len(self.names) - 1, first - 1, -1):
            (row, column), (rows, columns) = self.origins[number], self.fields[number]
            size = size_text(rows, columns, is_signal)
            if is_signal:  # a bar for each layer above the signal
                row, rows = top + (top - bottom) * (0.04 + 0.09 * number) + 0.5, (top - bottom) * 0.06
            patch = Rectangle(
                (column - 0.5, row - 0.5), columns, rows, edgecolor=COLOURS[number % len(COLOURS)], linewidth=3,
                facecolor=COLOURS[number % len(COLOURS)] if is_signal else "none", label=f"{self.names[number]}, {size}",
            )  # fmt: skip
            if not is_signal:  # between white lines a frame stands out from an image of any colour
                patch.set_path_effects([withStroke(linewidth=6, foreground="white")])
            ax.add_patch(patch)
            patches.append(patch)
        self.patches_ = patches[::-1]
        if is_signal:
            ax.set_ylim(bottom, top + (top - bottom) * (0.08 + 0.09 * len(self.names)))
        self._show_padding(image.shape)
        ax.legend(
            handles=self.patches_, loc="upper center", bbox_to_anchor=(0.5, -0.07 if is_signal else -0.01), frameon=False,
            labelcolor=INK, ncols=2, handlelength=1.2, handleheight=1.2,
        )  # fmt: skip
        if self.title is not None:
            ax.set_title(self.title)
        return self

    def _show_padding(self, shape):
        """Make room for what the fields see beyond the image, and make it grey."""
        low = np.min([*self.origins, (0, 0)], axis=0)
        high = np.max([np.add(self.origins, self.fields).max(axis=0), shape[:2]], axis=0)
        is_padding_seen = bool((low < 0).any() or (high > shape[:2]).any())
        margin = 0.02 * max(high - low)
        self.ax_.set_xlim(low[1] - 0.5 - margin, high[1] - 0.5 + margin)
        if shape[0] == 1:
            return
        self.ax_.set_ylim(high[0] - 0.5 + margin, low[0] - 0.5 - margin)
        self.ax_.set_facecolor("#e9e9e9" if is_padding_seen else "none")
        for spine in self.ax_.spines.values():
            spine.set_visible(False)


def _rows_up_to(estimator, block, stage):
    """Return the rows of the layer table up to one block's map or pooling."""
    block = check_block(block, len(estimator.kernels_))
    check_stage(stage)
    table = estimator.layer_table_
    of_block = [number for number, row in enumerate(table) if row["name"].startswith(f"block {block}:")]
    return table[: of_block[0 if stage == "conv" else -1] + 1]


def _origin(row, unit):
    return tuple(o + u * s for o, u, s in zip(row["origin"], unit, row["effective_stride"], strict=True))


def _unit_nearest(row, middle):
    """Return the unit whose field lies nearest to a point of the image."""
    sizes = zip(row["origin"], row["receptive_field"], row["effective_stride"], row["output_shape"], middle, strict=False)
    return tuple(int(np.clip(round((m - o - (field - 1) / 2) / s), 0, n - 1)) for o, field, s, n, m in sizes)
