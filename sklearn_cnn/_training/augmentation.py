"""Augmentation in training: what the kernels are told in each epoch, and what a function of the caller's makes of a mini-batch.

Whatever is drawn follows from a seed, the number of the epoch over all calls, and the row in X or the number of the mini-batch.
There is no state to keep: a fit that goes on draws what it would have drawn without a pause.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklearn_cnn._network.augmentation import augmentation_settings, augmented_images
from sklearn_cnn._network.layers import DenseLayer
from sklearn_cnn._network.plan import build_plan

LARGEST_NUMBER = float(np.finfo(np.float32).max)
NO_IMAGE = "the samples are signals, which have one row"


@dataclass(frozen=True)
class CompiledAugmentation:
    """Changes that the kernels make while they gather images.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        Rows, columns and channels.
    seed : int
        What all draws follow from, with the epoch and the row.
    changes : dict
        The most that may happen, in the words of `augmentation_settings`.
    """

    input_shape: tuple
    seed: int
    changes: dict

    def settings(self, epoch):
        """Describe one epoch, counted from 1 over all calls, to ``Trainer.step``."""
        return augmentation_settings(self.seed, epoch, **self.changes)

    def versions(self, X, rows, epoch, shift, factor):
        """Return what training sees of some rows in one epoch, brought back to the scale of X.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Of any real dtype.
        rows : ndarray of shape (n_rows,), dtype int64
            The samples.
        epoch : int
            Counted from 1.
        shift, factor : ndarray of shape (channels,), or None
            Scaling of the input.

        Returns
        -------
        images : ndarray of shape (n_rows, rows, columns, channels), dtype float64
            Computed in double precision, by the kernels that training uses.
        """
        plan = build_plan((DenseLayer(1),), self.input_shape)  # any layer that takes images without padding
        images = augmented_images(plan, X, rows, self.settings(epoch), shift=shift, factor=factor, dtype=np.float64)
        return images if shift is None else images / factor.astype(np.float64) + shift


@dataclass(frozen=True)
class FunctionAugmentation:
    """Changes that a Python function makes to each mini-batch.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        Rows, columns and channels.
    seed : int
        What the random state of each mini-batch follows from, with the epoch and the number of the mini-batch.
    function : callable
        ``function(batch, random_state) -> batch``.
    """

    input_shape: tuple
    seed: int
    function: Callable

    def versions(self, X, rows, epoch, shift, factor):
        """Return what becomes of some rows as the first mini-batch of an epoch; `shift` and `factor` do not matter."""
        return self.mini_batch(X, rows, epoch, 1).reshape(-1, *self.input_shape)

    def mini_batch(self, X, rows, epoch, number):
        """Return what the function makes of a copy of some rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Flattened images.
        rows : ndarray of shape (n_rows,), dtype int64
            The mini-batch.
        epoch, number : int
            Of the epoch over all calls and of the mini-batch in it, both counted from 1.

        Returns
        -------
        images : ndarray of shape (n_rows, n_features)
            Checked.

        Raises
        ------
        ValueError
            If the function returns something else than a batch of finite numbers of the same shape.
        """
        batch = np.array(X[rows]).reshape(-1, *self.input_shape)
        random_state = np.random.RandomState([self.seed, epoch % 2**32, number])
        result = self.function(batch, random_state)
        return checked_images(result, batch.shape).reshape(len(rows), -1)


def checked_images(images, shape):
    """Refuse what a function has made of a mini-batch if it is not a batch of numbers of the same shape."""
    name = "augment(batch, random_state)"
    images = images if isinstance(images, np.ndarray) else np.asarray(images)
    if images.shape != shape:
        found = f"an array of shape {images.shape}" if images.ndim else f"{type(images.item()).__name__}"
        raise ValueError(f"{name} has to return a batch of the shape it was given, {shape}, but it returned {found}.")
    if images.dtype.kind not in "biuf":
        raise ValueError(f"{name} has to return real numbers, but it returned an array of dtype {images.dtype}.")
    if images.dtype.kind == "f" and not np.all(np.abs(images) <= LARGEST_NUMBER):
        raise ValueError(f"{name} has returned NaN, infinity or a value too large for float32.")
    return np.ascontiguousarray(images)


def build_augmentation(augment, input_shape, seed):
    """Prepare what the parameter ``augment`` asks for.

    Parameters
    ----------
    augment : None, dict or callable
        A dict holds the parameters of an `ImageAugmentation`, as plain Python values.
    input_shape : tuple of (int, int, int)
        Rows, columns and channels.
    seed : int
        What all draws follow from.

    Returns
    -------
    augmentation : CompiledAugmentation, FunctionAugmentation or None
        For `Examples`.

    Raises
    ------
    ValueError
        If the changes have no meaning for images of this shape, or leave nothing of them.

    Examples
    --------
    >>> build_augmentation({"shift": 2, "erase": 0, "rotate": 0.0, "flip": "horizontal"}, (1, 40, 1), 0).changes["shift"]
    (0, 2)
    """
    if augment is None:
        return None
    if callable(augment):
        return FunctionAugmentation(input_shape, seed, augment)
    changes = {**augment, "shift": resolve_shift(augment["shift"], input_shape)}
    if input_shape[0] == 1 and input_shape[1] > 1:
        refuse_for_signals(augment)
    largest = max(input_shape[:2])
    if changes["erase"] >= largest > 1:
        raise ValueError(
            f"augment__erase={changes['erase']} can erase all of {size_words(input_shape)}. Use less than {largest}."
        )
    if largest == 1:
        changes["erase"] = 0  # what has one value keeps it
    return CompiledAugmentation(input_shape, seed, changes)


def resolve_shift(shift, input_shape):
    """Return the largest shift in rows and columns; a number is for both axes, but one pixel has nowhere to go."""
    shape = input_shape[:2]
    pair = tuple(min(shift, n - 1) if n == 1 else shift for n in shape) if isinstance(shift, int) else tuple(shift)
    if any(most >= n for most, n in zip(pair, shape, strict=True)):
        raise ValueError(
            f"augment__shift={shift!r} can leave nothing of {size_words(input_shape)}. Each axis has to be longer than its shift."
        )
    return pair


def refuse_for_signals(augment):
    """Refuse changes that signals cannot have."""
    if augment["rotate"] > 0:
        raise ValueError(f"augment__rotate={augment['rotate']!r} has no meaning: {NO_IMAGE}. Use rotate=0.")
    if augment["flip"] not in (None, "horizontal"):
        raise ValueError(f"augment__flip={augment['flip']!r} has no meaning: {NO_IMAGE}. Use flip='horizontal' or None.")


def size_words(input_shape):
    """Say how large samples are."""
    rows, columns, _ = input_shape
    return f"signals of length {columns}" if rows == 1 else f"images of {rows} x {columns} pixels"
