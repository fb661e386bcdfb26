"""Checks of arguments: what comes out is made of Python integers and of arrays of one float type."""

import operator
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_cnn._network.geometry import resolve_padding
from sklearn_cnn._network.words import shown

#: What the operations take for rows and columns, what may stand around them, and what a backward pass returns.
Size: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Gradients: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]

LARGEST_INTEGER = 1 << 40  # beyond any image; sums and products of a few of them are still far from overflowing Python


def real_arrays(optional: str = "", **arrays: ArrayLike | None) -> list[NDArray[np.floating]]:
    """Return the arguments as C-contiguous arrays of one type, float32 or float64, in the order they came.

    None stays None where the argument is optional. The type is float32 if there is a float argument and none is wider, else
    float64.
    """
    converted = {name: None if array is None else np.asarray(array) for name, array in arrays.items()}
    widths = []
    for name, array in converted.items():
        if array is None and name != optional:
            raise TypeError(f"{name} is None. Give an array of numbers.")
        if array is None:
            continue
        if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
            raise TypeError(
                f"{name} has dtype {array.dtype}, which is not computed with. Give float32 or float64 numbers, for "
                f"instance {name}.astype(np.float64)."
            )
        if array.dtype.kind == "f":
            widths.append(array.dtype.itemsize)
    dtype = np.float32 if widths and max(widths) <= 4 else np.float64
    results = [None if array is None else np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"]) for array in converted.values()]
    return cast("list[NDArray[np.floating]]", results)  # whoever passes None knows that it comes back


def check_axes(name, array, axes, *, first_may_be_empty=True):
    """Raise unless the array has these axes ("n, rows, ...") and each has a length, except perhaps the first."""
    names = axes.split(", ")
    if array.ndim != len(names):
        raise ValueError(
            f"{name} has shape {array.shape}, but ({axes}) is needed: {len(names)} axes, not {array.ndim}."
        )
    for axis, length in zip(names, array.shape, strict=True):
        if length == 0 and not (first_may_be_empty and axis == names[0]):
            raise ValueError(f"{name} has shape {array.shape}: its axis '{axis}' is empty. Give at least one.")


def check_shape(name, array, shape, reason):
    """Raise unless the array has exactly this shape."""
    if array.shape != tuple(shape):
        raise ValueError(f"{name} has shape {array.shape}, but {tuple(shape)} is needed {reason}.")


def integer(name, value, least):
    """Return a Python integer not below `least`."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={shown(value)} is not an integer. Give an integer of at least {least}.") from None
    if not least <= number <= LARGEST_INTEGER:
        raise ValueError(f"{name}={shown(value)} is out of range. Give an integer from {least} to {LARGEST_INTEGER}.")
    return number


def is_sequence(value):
    """Tell a pair, or what should have been one, from a number."""
    return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def pair(name, value, least=1):
    """Return (rows, columns) from one integer or a pair."""
    if is_sequence(value):
        if len(value) != 2:
            raise ValueError(f"{name}={shown(value)} has {len(value)} entries. Give one integer or a pair (rows, columns).")
        return integer(name, value[0], least), integer(name, value[1], least)
    number = integer(name, value, least)
    return number, number


def sides(padding, shape, kernel_size, stride):
    """Return ``((top, bottom), (left, right))`` from any form of padding."""
    if isinstance(padding, str):
        if padding not in {"same", "valid"}:
            raise ValueError(
                f"padding={padding!r} is unknown. Give 'valid', 'same', an integer, (rows, columns) or "
                "((top, bottom), (left, right))."
            )
    elif is_sequence(padding):
        if len(padding) != 2:
            raise ValueError(
                f"padding={shown(padding)} has {len(padding)} entries. Give an integer, (rows, columns) or "
                "((top, bottom), (left, right))."
            )
        padding = tuple(pair("padding", entry, 0) for entry in padding)
    else:
        padding = integer("padding", padding, 0)
    return resolve_padding(padding, shape, kernel_size, stride)


def choice(name, value, options):
    """Return one of a few names."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}={shown(value)} is unknown. Give one of {', '.join(map(repr, options))}.")
    return value


def check_window_fits(name, window, shape, padding=((0, 0), (0, 0))):
    """Raise if a window is larger than the padded image."""
    padded = [length + before + after for length, (before, after) in zip(shape, padding, strict=True)]
    if any(size > length for size, length in zip(window, padded, strict=True)):
        raise ValueError(
            f"{name} of {window[0]} x {window[1]} does not fit an image of {shape[0]} x {shape[1]} pixels with "
            f"padding={padding}; nothing would be left. Use a smaller one, or more padding."
        )
