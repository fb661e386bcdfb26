"""What the displays draw, in numbers: sizes, places, colours and words, so that no change moves a line unnoticed.

Nothing is rendered. What is written down is what this package tells matplotlib, which any version of it does the same with.

    python tests/golden_drawings.py            compare
    python tests/golden_drawings.py --write    write them down anew; look at the figures of a change first
"""

import math
from pathlib import Path

import matplotlib
from golden import main, plain

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from sklearn_cnn.inspection import (
    AugmentationDisplay,
    FeatureMapDisplay,
    KernelDisplay,
    LossDisplay,
    OcclusionDisplay,
    ReceptiveFieldDisplay,
    SaliencyDisplay,
)

FILE = Path(__file__).with_name("golden_drawings.json")


def numbers(*shape):
    """Numbers from -1 to 1 that no generator has to draw."""
    return np.cos(np.arange(math.prod(shape)) ** 2).reshape(shape)


def positive(*shape):
    return np.abs(numbers(*shape))


LOSSES = [2.0, 1.0, 0.6, 0.5, 0.45]
FIELDS = {"names": ["convolution", "max pooling"], "origins": [(1, 2), (-1, 1)], "fields": [(3, 3), (6, 4)]}
NINE = {
    "names": [f"layer {n}" for n in range(9)],
    "origins": [(9 - n, 8 - n) for n in range(9)],
    "fields": [(n, n + 1) for n in range(1, 10)],
}
SIGNAL = {**FIELDS, "origins": [(0, 2), (0, -1)], "fields": [(1, 3), (1, 6)]}
#: Name -> (display, how it is drawn)
CASES = {
    "four kernels": (KernelDisplay(numbers(4, 3, 3), title="kernels"), {}),
    "one kernel": (KernelDisplay(numbers(1, 5, 2)), {"colorbar": False}),
    "36 kernels": (KernelDisplay(numbers(36, 3, 3)), {}),
    "37 kernels in 10 columns": (KernelDisplay(numbers(37, 2, 3)), {"n_columns": 10, "cmap": "viridis"}),
    "kernels in colour": (KernelDisplay(numbers(6, 3, 3, 3)), {}),
    "kernels of signals": (KernelDisplay(numbers(5, 1, 12)), {}),
    "long kernels of signals": (KernelDisplay(positive(3, 1, 13)), {}),
    "kernels that are zero": (KernelDisplay(np.zeros((2, 3, 3))), {}),
    "maps beside their image": (FeatureMapDisplay(numbers(4, 6, 8), image=positive(8, 12, 1), title="maps"), {}),
    "maps of one row": (FeatureMapDisplay(numbers(4, 4, 2), image=positive(9, 6, 3)), {}),
    "maps alone": (FeatureMapDisplay(positive(4, 6, 5)), {"n_columns": 2, "colorbar": False}),
    "maps that are the same everywhere": (FeatureMapDisplay(np.ones((3, 3, 2))), {}),
    "maps of a signal": (FeatureMapDisplay(numbers(1, 9, 4), image=numbers(1, 20, 2)), {}),
    "curves": (
        LossDisplay(LOSSES, validation_loss_curve=LOSSES[:3], validation_scores=[0.1, 0.4, 0.3], best_iter=4, title="losses",
                    learning_rate_curve=[1e-3, 2e-3, 1e-3, 5e-4, 1e-5]), {}),
    "curves on a logarithmic scale": (LossDisplay(LOSSES * 6, validation_scores=LOSSES), {"log_scale": True}),
    "a curve alone": (LossDisplay(LOSSES * 5, validation_scores=LOSSES, learning_rate_curve=LOSSES),
                      {"scores": False, "learning_rate": False}),
    "receptive fields": (ReceptiveFieldDisplay(positive(7, 9, 1), **FIELDS, title="fields"), {}),
    "a receptive field within the image": (
        ReceptiveFieldDisplay(positive(9, 9, 3), **{**FIELDS, "origins": [(4, 3), (1, 2)]}), {}),
    "nine receptive fields": (ReceptiveFieldDisplay(positive(9, 9, 1), **NINE), {}),
    "the last receptive field": (ReceptiveFieldDisplay(positive(7, 9, 1), **FIELDS), {"nested": False}),
    "receptive fields of a signal": (ReceptiveFieldDisplay(numbers(1, 20, 1), **SIGNAL), {}),
    "occlusion": (OcclusionDisplay(numbers(6, 7), image=positive(6, 7, 1), label="cat", probability=0.873, window=(2, 3)), {}),
    "occlusion without effect": (OcclusionDisplay(np.zeros((6, 7)), image=positive(6, 7, 1), label=3), {"colorbar": False}),
    "occlusion of a signal": (
        OcclusionDisplay(numbers(1, 9), image=numbers(1, 9, 1), label=1, prediction=2.5, window=(1, 3)), {}),
    "saliency": (SaliencyDisplay(positive(6, 7), image=positive(6, 7, 3), label="cat"), {}),
    "saliency of a block": (SaliencyDisplay(np.zeros((6, 7)), image=positive(6, 7, 1), label=0, method="grad_cam", block=1),
                            {"cmap": "Blues", "colorbar": False}),
    "saliency of an image of one colour": (
        SaliencyDisplay(positive(6, 7), image=np.full((6, 7, 3), 200.0), label=0), {}),
    "saliency of a signal": (SaliencyDisplay(positive(1, 9), image=numbers(1, 9, 1), label=0), {}),
    "versions of an image": (AugmentationDisplay(positive(6, 7, 1), positive(5, 6, 7, 1), title="versions"), {}),
    "versions of bytes": (AugmentationDisplay((255 * positive(6, 7, 3)).astype(np.uint8), 255 * positive(3, 6, 7, 3)), {}),
    "versions of numbers": (AugmentationDisplay(3 * numbers(6, 7, 3), 3 * numbers(3, 6, 7, 3)), {"n_columns": 2}),
    "versions that are the same everywhere": (AugmentationDisplay(np.full((4, 4, 1), 2.0), np.full((2, 4, 4, 1), 2.0)), {}),
    "versions of a signal": (AugmentationDisplay(numbers(1, 20, 1), numbers(2, 1, 20, 1)), {}),
}  # fmt: skip


def colour_of(colour):
    return None if isinstance(colour, str) and colour == "none" else to_hex(colour, keep_alpha=True)


def sums(values):
    """A few numbers that a change of any value changes."""
    values = np.ma.filled(np.ma.asarray(values, dtype=float), 0.0).ravel()
    return [float(values.sum()), float(values @ np.arange(1, len(values) + 1)), float(values.min()), float(values.max())]


def described_text(text):
    return [text.get_text(), *text.get_position(), text.get_fontsize(), colour_of(text.get_color()), text.get_ha(), text.get_va()]


def described_artist(artist):
    if isinstance(artist, AxesImage):
        values = artist.get_array()
        alpha = artist.get_alpha()
        return {
            "image": list(values.shape), "sums": sums(values), "extent": artist.get_extent(), "scale": artist.get_clim(),
            "colours": artist.get_cmap().name, "alpha": alpha if alpha is None else sums(alpha), "zorder": artist.get_zorder(),
            "interpolation": artist.get_interpolation(),
        }  # fmt: skip
    if isinstance(artist, Line2D):
        return {
            "line": [sums(artist.get_xdata()), sums(artist.get_ydata())], "colour": colour_of(artist.get_color()),
            "width": artist.get_linewidth(), "style": artist.get_linestyle(), "marker": str(artist.get_marker()),
            "size": artist.get_markersize(), "label": artist.get_label(),
        }  # fmt: skip
    return {
        "rectangle": [*artist.get_xy(), artist.get_width(), artist.get_height()], "edge": colour_of(artist.get_edgecolor()),
        "face": colour_of(artist.get_facecolor()), "width": artist.get_linewidth(), "label": artist.get_label(),
        "effects": len(artist.get_path_effects()),
    }  # fmt: skip


def described_axes(ax):
    kinds = (AxesImage, Line2D, Rectangle)
    legend = ax.get_legend()
    return {
        "words": [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()],
        "title": [ax.title.get_fontsize(), colour_of(ax.title.get_color())],
        "limits": [*ax.get_xlim(), *ax.get_ylim()] if not ax.get_autoscale_on() or ax.images else None,
        "scales": [ax.get_xscale(), ax.get_yscale()],
        "aspect": ax.get_aspect(),
        "is on": ax.axison,
        "ground": colour_of(ax.get_facecolor()),
        "spines": [[name, spine.get_visible(), colour_of(spine.get_edgecolor())] for name, spine in ax.spines.items()],
        "texts": [described_text(text) for text in ax.texts],
        "artists": [described_artist(artist) for artist in (*ax.images, *ax.lines, *ax.patches) if isinstance(artist, kinds)],
        "legend": legend and [
            [described_text(text)[0] for text in legend.get_texts()], legend._ncols, legend.get_frame_on(),
            list(legend.get_bbox_to_anchor().transformed(ax.transAxes.inverted()).p0),
        ],
    }  # fmt: skip


def described(display, options):
    """All of a figure that this package decides on, as lists, numbers and words."""
    display.plot(**options)
    figure = display.figure_
    bars = [bar for bar in [getattr(display, "colorbar_", None)] if bar is not None]
    axes = [ax for ax in figure.axes if ax not in [bar.ax for bar in bars]]
    whole = {
        "size": list(figure.get_size_inches()),
        "axes": [described_axes(ax) for ax in axes],
        "bars": [[bar.ax.get_ylabel(), colour_of(bar.ax.yaxis.label.get_color()), list(bar.mappable.get_clim()),
                  bar.mappable.get_cmap().name, bar.outline.get_visible()] for bar in bars],
    }  # fmt: skip
    plt.close(figure)
    return plain(whole)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, FILE, {name: described(*drawing) for name, drawing in CASES.items()}))
