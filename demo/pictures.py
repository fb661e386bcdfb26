"""The demonstration's two pictures: what the first block has learned, and what the network makes of unseen images."""

import matplotlib

matplotlib.use("agg")  # write files; a demonstration must not need a screen

import matplotlib.pyplot as plt
import numpy as np

RIGHT, WRONG, INK, PAPER = "#1a7f4b", "#b3261e", "#222222", "#ffffff"


def draw_kernels(path, kernels, title):
    """Draw the kernels of the first block, one picture each, grey: white pulls the output up, black pulls it down.

    Parameters
    ----------
    path : path-like
        The PNG file to write.
    kernels : ndarray of shape (n_filters, channels, rows, columns)
        ``kernels_[0]`` of a fitted network; the first channel is drawn.
    title : str
        Stands above the picture.
    """
    n_columns = 8 if len(kernels) > 8 else len(kernels)
    n_rows = -(-len(kernels) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(1.1 * n_columns, 1.3 * n_rows + 0.8),
        squeeze=False,
        layout="constrained",
        facecolor=PAPER,
    )
    # One scale for all, symmetric around zero: the same grey means the same weight in every kernel.
    limit = float(np.abs(kernels[:, 0]).max())
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, kernel) in enumerate(zip(axes.flat, kernels[:, 0], strict=False), start=1):
        image = ax.imshow(kernel, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
        ax.set_title(str(number), fontsize=9, color=INK, pad=3)
    bar = figure.colorbar(image, ax=axes, aspect=16, pad=0.03)
    bar.set_label("weight", color=INK)
    bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=13, color=INK)
    figure.supxlabel("what is large in a patch under white weights raises the output, under black ones it lowers it", fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_predictions(path, images, labels, probabilities, class_names, title):
    """Draw unseen images with what the network says: a row taken as they come, then its most confident mistakes.

    Parameters
    ----------
    path : path-like
        The PNG file to write.
    images : ndarray of shape (n, rows, columns)
        Images that were not trained on.
    labels : ndarray of shape (n,)
        Their classes, numbered from 0.
    probabilities : ndarray of shape (n, n_classes)
        What ``predict_proba`` says of them.
    class_names : sequence of str
        The names of the classes.
    title : str
        Stands above the picture.
    """
    n_columns = 8
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    mistakes = np.flatnonzero(predicted != labels)
    worst = mistakes[np.argsort(-confidence[mistakes], kind="stable")][:n_columns]
    rows = [("The first unseen images, as they come", np.arange(min(n_columns, len(images))))]
    if len(worst):
        share = f"{len(mistakes):,} of {len(images):,} are wrong"
        rows.append((f"The mistakes it is surest of ({share})", worst))

    figure = plt.figure(figsize=(1.5 * n_columns, 2.25 * len(rows) + 0.5), layout="constrained", facecolor=PAPER)
    for panel, (heading, chosen) in zip(np.atleast_1d(figure.subfigures(len(rows), 1)), rows, strict=True):
        panel.suptitle(heading, x=0.008, ha="left", fontsize=11, color=INK)
        axes = panel.subplots(1, n_columns)
        for ax in axes:
            ax.set_axis_off()
        for ax, index in zip(axes, chosen, strict=False):
            ax.imshow(images[index], cmap="gray_r", interpolation="nearest")
            right = predicted[index] == labels[index]
            says = f"{class_names[predicted[index]]}  {confidence[index]:.0%}"
            truth = "" if right else f"\nis: {class_names[labels[index]]}"
            ax.text(
                0.5,
                -0.06,
                says + truth,
                transform=ax.transAxes,
                ha="center",
                va="top",
                fontsize=9.5,
                color=RIGHT if right else WRONG,
            )
    figure.suptitle(title, fontsize=13, color=INK)
    figure.savefig(path, dpi=150)
    plt.close(figure)
