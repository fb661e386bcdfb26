"""What the displays share: an axes to draw on, pictures in rows and columns, and heat maps over a picture."""

import math

import numpy as np

from sklearn_cnn._estimator.parameters import shown
from sklearn_cnn.inspection._arguments import check_integer

INK = "#333333"
LABEL_ROOM = 0.24  # above each tile, in tile widths
GAP = 0.12


def import_pyplot():
    """Import matplotlib, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("The displays need matplotlib: pip install 'sklearn_cnn[plot]'") from error
    return plt


def axes_to_draw_on(ax, figsize):
    """Return the figure and the axes to draw on, new ones if none are passed."""
    plt = import_pyplot()
    from matplotlib.axes import Axes

    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")
    if not isinstance(ax, Axes):
        raise TypeError(f"ax={shown(ax)} must be one Axes of matplotlib, such as axes[0] of several, or None for a new figure.")
    return ax.figure, ax


def picture(image):
    """Turn an image into what imshow takes: grey levels, or colours from 0 to 1."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 3:
        if image.dtype == np.uint8:
            return image
        image = image.astype(float)
        low, high = scale_of(image)
        return (image - low) / (high - low) if low < 0 or image.max() > 1 else image
    return image.mean(axis=2) if image.ndim == 3 else image


def scale_of(values):
    """Return the smallest and the largest value; where there is but one, a larger one beside it, so that it is drawn dark."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + max(1.0, 1e-6 * abs(low)))


def draw_sample(ax, image, **options):
    """Draw one sample: an image, or a signal as a line.

    Returns
    -------
    artist : AxesImage or list of Line2D
        What has been drawn. Pixel (i, j) is centred at (j, i).
    """
    if image.shape[0] == 1:
        ax.set_xlim(-0.5, image.shape[1] - 0.5)
        return ax.plot(image[0], color=INK, linewidth=1.6)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax.imshow(picture(image), **({"cmap": "gray", "interpolation": "nearest"} | options))


def draw_heat(ax, image, heat, limits, cmap):
    """Draw a heat map over a sample: transparent where it is zero. Of a signal it is the background of the line.

    Returns
    -------
    artist, heat : AxesImage or list of Line2D, and AxesImage
        The sample and the heat map.
    """
    is_signal = image.shape[0] == 1
    artist = draw_sample(ax, image)
    rows, columns = image.shape[:2]
    view = ax.get_ylim() if is_signal else (rows - 0.5, -0.5)
    drawn = ax.imshow(
        heat, cmap=cmap, vmin=limits[0], vmax=limits[1], alpha=0.9 * (np.abs(heat) / limits[1]) ** 0.75,
        extent=(-0.5, columns - 0.5, *view), aspect="auto" if is_signal else "equal",
        interpolation="nearest", zorder=0 if is_signal else 2,
    )  # fmt: skip
    ax.set_ylim(view)
    return artist, drawn


def opaque(heat):
    """Return the colours and the scale of a heat map, without its transparency."""
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm=heat.norm, cmap=heat.cmap)


def columns_for(n_tiles, width, height):
    """Choose a number of columns that fills a picture wider than it is high, with full rows where that can be had.

    Examples
    --------
    >>> columns_for(8, 1, 1), columns_for(16, 1, 1), columns_for(64, 1, 1), columns_for(7, 1, 1)
    (4, 4, 8, 4)
    """
    ideal = math.sqrt(1.6 * n_tiles * (height + LABEL_ROOM) / (width + GAP))
    full = [n for n in range(1, n_tiles + 1) if n_tiles % n == 0 and 0.65 * ideal <= n <= 1.5 * ideal]
    if full:
        return min(full, key=lambda n: abs(n - ideal))
    n_rows = math.ceil(n_tiles / math.ceil(ideal))
    return math.ceil(n_tiles / n_rows)


def is_line(shape):
    """Say whether a tile of so many rows and columns is drawn as a line."""
    return shape[0] == 1 and shape[1] > 1


def size_text(rows, columns, is_signal=None):
    """Say how large something is; of a signal, which is what has one row unless said otherwise, the columns alone."""
    is_signal = rows == 1 if is_signal is None else is_signal
    return f"{columns}" if is_signal else f"{rows} x {columns}"


def tile_size(shape):
    """Return width and height of a tile whose longer side is one; a signal gets room for a line."""
    rows, columns = shape[:2]
    return (1.0, 0.5) if is_line(shape) else (columns / max(rows, columns), rows / max(rows, columns))


def grid_size(n_tiles, shape, n_columns=None):
    """Return columns, rows, and the width and height that they take in tile widths."""
    width, height = tile_size(shape)
    if n_columns is None:
        n_columns = columns_for(n_tiles, width, height)
    n_columns = min(n_tiles, check_integer("n_columns", n_columns, 1, words=", or None"))
    n_rows = math.ceil(n_tiles / n_columns)
    return n_columns, n_rows, n_columns * (width + GAP), n_rows * (height + LABEL_ROOM)


def draw_tiles(ax, tiles, labels, *, limits, cmap, n_columns=None, left=0.0):
    """Draw pictures in rows and columns on one axes, all with the same scale.

    Parameters
    ----------
    ax : Axes
        Its coordinates become widths of a tile.
    tiles : ndarray of shape (n_tiles, rows, columns) or (n_tiles, rows, columns, 3)
        Tiles of one row, if it has more than one pixel, are drawn as lines.
    labels : sequence of str
        Titles above the tiles.
    limits : (float, float)
        Values that are black and white.
    cmap : str or Colormap
        For tiles without colours.
    n_columns : int, default=None
        None chooses one.
    left : float, default=0
        Where the first column begins.

    Returns
    -------
    artists : list of AxesImage or Line2D
        One per tile.
    """
    n_columns, _, total_width, total_height = grid_size(len(tiles), tiles.shape[1:], n_columns)
    width, height = tile_size(tiles.shape[1:])
    artists = []
    for number, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        row, column = divmod(number, n_columns)
        x, y = left + column * (width + GAP), row * (height + LABEL_ROOM)
        if is_line(tile.shape):
            artists.append(_draw_line(ax, tile[0], x, y, width, height, limits))
        else:
            extent = (x, x + width, y + height, y)
            artists.append(
                ax.imshow(tile, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=extent, interpolation="nearest")
            )
        size = 9 if len(tiles) <= 36 else 7.5
        ax.text(x + width / 2, y - 0.03, label, ha="center", va="bottom", fontsize=size, color=INK)
    ax.set_xlim(min(left, 0) - 0.02, left + total_width - GAP + 0.02)
    ax.set_ylim(total_height - LABEL_ROOM + 0.02, -LABEL_ROOM)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return artists


def _draw_line(ax, values, x, y, width, height, limits):
    low, high = limits
    bottom = y + height

    def level(value):
        return bottom - (value - low) / (high - low) * height

    ax.plot([x, x + width, x + width, x, x], [y, y, bottom, bottom, y], color="#cccccc", linewidth=0.8)
    if low < 0 < high:
        ax.plot([x, x + width], [level(0)] * 2, color="#cccccc", linewidth=0.8)
    places = x + (np.arange(len(values)) + 0.5) / len(values) * width
    return ax.plot(places, level(values), color=INK, linewidth=1.2, marker="." if len(values) <= 12 else None)[0]


def add_colorbar(figure, ax, artist, label):
    """Add a slim colour bar beside an axes."""
    bar = figure.colorbar(artist, ax=ax, shrink=0.75, aspect=22, pad=0.03)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
    return bar
