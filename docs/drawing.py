"""Images as grids of numbers, for the figures of the guide."""

import matplotlib.pyplot as plt
import numpy as np

IMAGE, KERNEL, MAP, SEEN, UNSEEN = "#cfe2f3", "#ffe599", "#d9ead3", "#9fc5e8", "#eeeeee"


def draw_grid(ax, numbers, title="", colour=IMAGE, colours=None, size=4, fontsize=13):
    """Draw an array as cells with numbers in them, in the middle of a square of `size` cells.

    Parameters
    ----------
    ax : Axes
    numbers : array-like of shape (rows, columns)
        NaN leaves a cell empty.
    title : str
    colour : color
        Of all cells that `colours` does not name.
    colours : dict of (row, column) to color
    size : float
        Cells along the square that is shown, so that cells are of one size in neighbouring drawings.
    fontsize : float
    """
    numbers = np.asarray(numbers, dtype=float)
    colours = {} if colours is None else colours
    for (row, column), value in np.ndenumerate(numbers):
        face = colours.get((row, column), colour)
        ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=face, edgecolor="white", lw=2))
        if not np.isnan(value):
            ax.text(column, row, f"{value:g}", ha="center", va="center", fontsize=fontsize)
    middle_row, middle_column = (np.array(numbers.shape) - 1) / 2
    half = size / 2 + 0.1
    ax.set(xlim=(middle_column - half, middle_column + half), ylim=(middle_row + half, middle_row - half), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=13)
