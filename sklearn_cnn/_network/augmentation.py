"""Augmentation as the kernels take it: settings in plain numbers, and the images that come of them."""

import math

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network.network import Workspace, scaling_arrays

IMAGES_AT_ONCE = 256
N_EPOCHS = 1 << 32  # that have draws of their own

_names = _kernels.kernels()
FLIPS = {
    None: 0,
    "horizontal": _names.FLIP_HORIZONTAL,
    "vertical": _names.FLIP_VERTICAL,
    "both": _names.FLIP_HORIZONTAL | _names.FLIP_VERTICAL,
}
OUTSIDE = {"zeros": _names.OUTSIDE_ZEROS, "reflect": _names.OUTSIDE_REFLECT, "edge": _names.OUTSIDE_EDGE}


def augmentation_settings(seed, epoch, *, shift=(0, 0), flip=None, rotate=0.0, zoom=0.0, erase=0, brightness=0.0, contrast=0.0,
                          padding_mode="zeros"):  # fmt: skip
    """Describe the augmentation of one epoch to the kernels.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1. What happens to an image is a function of the seed, the epoch and the image's row in X.

    epoch : int
        Counted over all calls.

    shift : (int, int)
        Most rows and columns that an image is moved; fewer than it has.

    flip : {None, "horizontal", "vertical", "both"}

    rotate : float
        Largest angle, in degrees.

    zoom, contrast : float
        An image is enlarged by 1 - zoom to 1 + zoom, and its distance from its mean multiplied by 1 - contrast to 1 + contrast.

    erase : int
        Side of the square that becomes zero, after the scaling.

    brightness : float
        Most that is added, after the scaling.

    padding_mode : {"zeros", "reflect", "edge"}

    Returns
    -------
    dict
        For `Trainer.step` and `augmented_images`.
    """
    return {
        "seed": int(seed),
        "epoch": epoch % N_EPOCHS,
        "shift_rows": int(shift[0]),
        "shift_columns": int(shift[1]),
        "flip": FLIPS[flip],
        "rotate": math.radians(rotate),
        "zoom": float(zoom),
        "erase": int(erase),
        "brightness": float(brightness),
        "contrast": float(contrast),
        "outside": OUTSIDE[padding_mode],
    }


def augmented_images(plan, X, rows, settings, *, shift=None, factor=None, dtype=np.float32, level=None):
    """Return what training with a plan would see of some rows of X.

    Parameters
    ----------
    plan : Plan
        Its first layer says how the images are padded.

    X : ndarray of shape (n_samples, n_inputs)
        Of any real type.

    rows : ndarray of shape (n_rows,), int64

    settings : dict
        Made by `augmentation_settings`.

    shift, factor : ndarray of shape (channels,), default=None

    dtype : numpy.float32 or numpy.float64, default=float32

    level : str, default=None

    Returns
    -------
    ndarray of shape (n_rows, rows, columns, channels)
        Scaled, and padded if the first layer takes its images so.
    """
    record = plan.records[0]
    names = ("padded_rows", "padded_columns") if record["input_is_padded"] else ("rows", "columns")
    shape = tuple(int(record[name]) for name in (*names, "channels"))
    capacity = max(1, min(len(rows), IMAGES_AT_ONCE))
    workspace = Workspace(plan, capacity, 1, True, dtype, level)
    kernels = workspace.kernels
    readable = kernels.rows_of(X) or kernels.rows_of(np.ascontiguousarray(X, dtype=np.float64))
    numbers = (np.zeros(n, dtype=dtype) for n in (plan.parameter_size, plan.statistics_size))  # no weight is looked at
    arguments = workspace.session, *numbers, readable
    shift, factor = scaling_arrays(shift, factor, np.dtype(dtype))
    images = np.empty((len(rows), math.prod(shape)), dtype=dtype)
    for start in range(0, len(rows), capacity):
        order = rows[start : start + capacity]
        own_settings = {**settings, "rows": order}
        kernels.augment_images(*arguments, order, shift, factor, own_settings)
        images[start : start + len(order)] = workspace.area("values_at", 0, len(order), math.prod(shape))
    return images.reshape(len(rows), *shape)
