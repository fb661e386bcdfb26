"""Augmentation as an object: what may happen to an image, to be searched, cloned, printed and looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.annotations import RandomState, Size
from sklearn_cnn._estimator.augmented import augmented_versions
from sklearn_cnn._estimator.persistence import with_all_parameters


class ImageAugmentation(BaseEstimator):
    """What may happen to each image in each epoch of training.

    Passed as ``augment`` to `ConvNetClassifier`. Images are changed while they are gathered for training, one by one and again
    in every epoch; predictions and validation data are left alone. What is drawn for an image follows from the
    ``random_state`` of the fit, the number of the epoch and the row of the image in `X`. Neither threads nor mini-batches nor a
    pause change it.

    Changes are made in this order: rotate and zoom, flip, shift, contrast and brightness, erase. Shifts and flips alone copy
    pixels exactly; with `rotate` or `zoom` each pixel is interpolated (bilinear), once.

    Parameters
    ----------
    shift : int or (int, int), default=0
        Largest number of pixels that an image is moved along each axis, in both directions; a pair is for rows and columns. All
        whole numbers of pixels are equally likely. Signals are moved along their length.
    flip : {"horizontal", "vertical", "both"} or None, default=None
        Exchanges left and right, top and bottom, or each of them. An image and its mirror images take turns from epoch to
        epoch; which of them begins is drawn, and drawn again every eight epochs. "horizontal" turns signals back to front.
    rotate : float, default=0.0
        Largest angle in degrees, up to 180, in both directions, about the centre.
    zoom : float, default=0.0
        An image is enlarged by a factor from ``1 - zoom`` to ``1 + zoom``, about its centre. Signals are stretched.
    erase : int, default=0
        Side of a square (of signals, length of a stretch) that is erased: each pixel becomes the mean of its channel in `X`, or
        zero with ``scale_input=False``. Every pixel is equally likely to be its middle, so it may be cut off at the border.
    brightness : float, default=0.0
        Largest number that is added to all pixels of an image, in either direction, in standard deviations of `X` (in units of
        `X` with ``scale_input=False``).
    contrast : float, default=0.0
        The distance of all pixels from the mean of the image is multiplied by a factor from ``1 - contrast`` to ``1 + contrast``.
    padding_mode : {"zeros", "reflect", "edge"}, default="zeros"
        What comes in from beyond the border: zeros of `X`, which are black in most images; the image mirrored, its outermost
        pixels not repeated; or its outermost pixels.

    See Also
    --------
    sklearn_cnn.inspection.AugmentationDisplay : Look at what happens to an image.

    References
    ----------
    DeVries & Taylor, "Improved regularization of convolutional neural networks with cutout", 2017 (`erase`).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_cnn import ConvNetClassifier, ImageAugmentation
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(augment=ImageAugmentation(shift=1), input_shape=(8, 8), max_iter=5, random_state=0)
    >>> search = GridSearchCV(network, {"augment__shift": [0, 1]}, cv=2).fit(X[:300], y[:300])
    >>> search.best_params_.keys()
    dict_keys(['augment__shift'])
    """

    def __init__(
        self,
        shift: Size = 0,
        flip: str | None = None,
        rotate: float = 0.0,
        zoom: float = 0.0,
        erase: int = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        padding_mode: str = "zeros",
    ) -> None:
        self.shift = shift
        self.flip = flip
        self.rotate = rotate
        self.zoom = zoom
        self.erase = erase
        self.brightness = brightness
        self.contrast = contrast
        self.padding_mode = padding_mode

    def preview(
        self,
        X: ArrayLike,
        *,
        input_shape: Sequence[int] | None = None,
        epoch: int = 1,
        random_state: RandomState = None,
        scale_input: bool = True,
    ) -> NDArray[np.float32]:
        """Compute what training sees of images in one epoch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals, as for `fit`.
        input_shape : tuple of int or None, default=None
            As for the estimator: the shape of flat images.
        epoch : int, default=1
            Number of the epoch, counted from 1.
        random_state : int, RandomState instance or None, default=None
            As for the estimator: a network fitted to `X` with the same number sees these very images.
        scale_input : bool, default=True
            As for the estimator: it decides what `brightness` and `erase` mean.

        Returns
        -------
        images : ndarray of the shape of `X`, dtype float32
            In the scale of `X`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_cnn import ImageAugmentation
        >>> X = np.array([[0, 0, 5, 0, 0], [1, 2, 3, 4, 5]])
        >>> ImageAugmentation(shift=2, flip="horizontal").preview(X, epoch=2, random_state=0)
        array([[5., 0., 0., 0., 0.],
               [0., 0., 5., 4., 3.]], dtype=float32)
        """
        _, versions = augmented_versions(
            self, X, input_shape=input_shape, epochs=(epoch,), random_state=random_state, scale_input=scale_input
        )
        return versions[0].astype(np.float32).reshape(np.shape(X))

    def __setstate__(self, state):
        """Restore a pickled augmentation; a parameter that it lacks begins at its default."""
        super().__setstate__(with_all_parameters(self, state))
