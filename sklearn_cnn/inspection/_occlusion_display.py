"""Occlusion sensitivity: which region of an image decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier

from sklearn_cnn._estimator.annotations import Size
from sklearn_cnn._estimator.scoring import without_feature_names
from sklearn_cnn.inspection._arguments import (
    check_fill,
    check_flags,
    check_integer,
    check_network,
    check_window,
    heat_and_image,
    number_of,
    one_sample,
    refuse_overflow,
)
from sklearn_cnn.inspection._drawing import add_colorbar, axes_to_draw_on, draw_heat, opaque, size_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

IMAGES_AT_A_TIME = 256
SMALLEST_SCALE = 0.05  # of probability; smaller drops look as small as they are


class OcclusionDisplay:
    """How much the probability of a class drops when a patch of the image is covered.

    Red regions speak for the class: without them it is less probable. Blue ones speak against it.

    Parameters
    ----------
    drops : ndarray of shape (rows, columns)
        For each pixel the drop of the probability, averaged over the patches that cover it.
    image : ndarray of shape (rows, columns, channels)
        The image.
    label : object
        The class, or the number of the output of a regressor.
    probability : float, default=None
        What a classifier says of the whole image.
    window : (int, int), default=None
        Rows and columns of the patch.
    prediction : float, default=None
        What a regressor says of the whole image; with it `drops` are those of the prediction.

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

    References
    ----------
    M. Zeiler and R. Fergus (2014). Visualizing and understanding convolutional networks. ECCV.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import ConvNetClassifier
    >>> from sklearn_cnn.inspection import OcclusionDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=5, random_state=0).fit(X, y)
    >>> display = OcclusionDisplay.from_estimator(network, X[0])
    >>> display.drops.shape, int(display.label)
    ((8, 8), 0)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        drops: NDArray,
        *,
        image: NDArray,
        label: Any,
        probability: float | None = None,
        window: tuple[int, int] | None = None,
        prediction: float | None = None,
    ) -> None:
        self.drops = drops
        self.image = image
        self.label = label
        self.probability = probability
        self.window = window
        self.prediction = prediction

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        target: Any = None,
        window: Size | None = None,
        step: int | None = None,
        fill: ArrayLike | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Cover one patch of an image after the other, and draw what that does to the probability of a class, or to a prediction.

        Parameters
        ----------
        estimator : ConvNetClassifier or ConvNetRegressor
            A fitted network.
        X : array-like
            One image in any form that `predict` takes, with or without the axis of samples.
        target : label or int, default=None
            The class; None is the one the network finds most probable. Of a regressor the number of the output, None being 0.
        window : int or (int, int), default=None
            Rows and columns of the patch; None is a quarter of the image, at least 3. A patch at the border is cut off.
        step : int, default=None
            Pixels from one patch to the next; None is a quarter of the patch.
        fill : float or array-like of shape (channels,), default=None
            What the patch is covered with; None is the mean of the image in each channel.
        ax : Axes, default=None
            What to draw on; None makes a figure.
        **options
            Passed to `plot`.

        Returns
        -------
        display : OcclusionDisplay
            The display, drawn.
        """
        check_network(estimator, "input_shape_")
        X, image = one_sample(estimator, X)
        answers = refuse_overflow(_answers_of(estimator)(X)[0])
        labels = getattr(estimator, "classes_", np.arange(len(answers)))
        if target is None:
            number = int(answers.argmax()) if is_classifier(estimator) else 0
        else:
            number = number_of(target, labels)
        patch = check_window(window, *image.shape[:2])
        shorter = min(patch) if image.shape[0] > 1 else patch[1]
        step = max(1, shorter // 4) if step is None else check_integer("step", step, 1, shorter, words=", the size of the patch")
        answer = float(answers[number])
        answer_to = _answers_of(without_feature_names(estimator))  # covered images are arrays
        drops = refuse_overflow(_drops(answer_to, image, number, answer, patch, step, check_fill(fill, image)))
        what = {"probability" if is_classifier(estimator) else "prediction": answer}
        return cls(drops, image=image, label=labels[number], window=patch, **what).plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "bwr", colorbar: bool = True) -> Self:
        """Draw the heat map over the image.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on; None makes a figure.
        cmap : str or Colormap, default="bwr"
            Diverging; its middle is no drop.
        colorbar : bool, default=True
            Whether to draw the scale.

        Returns
        -------
        display : OcclusionDisplay
            The display itself.
        """
        check_flags(colorbar=colorbar)
        drops, image = heat_and_image("drops", self.drops, self.image)
        self.figure_, self.ax_ = axes_to_draw_on(ax, (5.4, 4.4))
        limit = max(float(np.abs(drops).max()), SMALLEST_SCALE)
        self.image_, self.heat_ = draw_heat(self.ax_, image, drops, (-limit, limit), cmap)
        label = f"drop of {self._quantity()} when covered"
        self.colorbar_ = add_colorbar(self.figure_, self.ax_, opaque(self.heat_), label) if colorbar else None
        self.ax_.set_title(self._title())
        return self

    def _quantity(self):
        return f"P({self.label})" if self.prediction is None else f"output {self.label}"

    def _title(self):
        if self.prediction is None:
            title = f"Which region decides for {self.label}?"
        else:
            title = f"Which region decides {self._quantity()}?  {self.prediction:.3g}"
        if self.probability is not None:
            title += f"  P = {self.probability:.2f}"
        if self.window is not None:
            rows, columns = self.window
            title += f"\npatch of {size_text(rows, columns, len(self.image) == 1)}"
        return title


def _answers_of(estimator):
    """Return the function from images to probabilities or predictions, with one column for each class or output."""
    if is_classifier(estimator):
        return estimator.predict_proba
    return lambda X: estimator.predict(X).reshape(len(X), -1)


def _drops(answer_to, image, number, answer, window, step, fill):
    """Average the drop of an answer over the patches that cover a pixel; patches may stick out, so that all count."""
    rows, columns, _ = image.shape
    places = [
        (slice(max(row, 0), row + window[0]), slice(max(column, 0), column + window[1]))
        for row in _starts(rows, window[0], step)
        for column in _starts(columns, window[1], step)
    ]
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns))
    for start in range(0, len(places), IMAGES_AT_A_TIME):
        some = places[start : start + IMAGES_AT_A_TIME]
        covered = np.repeat(image[None].astype(np.result_type(image, np.float32)), len(some), axis=0)
        for copy, place in zip(covered, some, strict=True):
            copy[place] = fill
        answers = answer_to(covered)[:, number]
        for place, answer_to_covered in zip(some, answers, strict=True):
            total[place] += answer - float(answer_to_covered)
            count[place] += 1
    return total / count


def _starts(length, window, step):
    """Return where patches begin: every pixel is covered, those at the border by as many as those inside."""
    if window >= length:
        return [0]
    return [*range(1 - window, length, step)]
