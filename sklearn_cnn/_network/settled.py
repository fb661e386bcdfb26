"""Vectors of parameters that nobody changes any more.

A prediction would have to read all weights again to find out that they are those of the prediction before. For a single image
of a network with some hundred thousand weights that is up to a third of the time. So what a fit or a file leaves is settled,
until somebody gets to see it: who has a view may write through it at any time.
"""

from weakref import ref

import numpy as np


class Seal:
    """What is known of one vector, for as long as anybody asks.

    Attributes
    ----------
    is_whole : bool
        Whether the vector is the one it was, bit by bit, ever since it has been settled.
    """

    __slots__ = ("is_whole",)

    def __init__(self, is_whole):
        self.is_whole = is_whole


# id of a vector -> a weak reference to it, and its seal. An array has no hash, and its id may be that of another when it is gone.
_SEALS: dict = {}


def _forget(gone, number):
    if _SEALS.get(number, (None, None))[0] is gone:
        del _SEALS[number]


def seal_of(parameters):
    """Return the seal of a vector; None if it was never settled nor shown."""
    reference, seal = _SEALS.get(id(parameters), (None, None))
    return seal if reference is not None and reference() is parameters else None


def settle(parameters):
    """Say that a vector does not change from now on, unless it was shown; memory-mapped ones can be changed by others."""
    if type(parameters) is np.ndarray and seal_of(parameters) is None:
        _put(parameters, Seal(True))


def show(parameters):
    """Say that somebody else has the vector, or views of it, and may change it at any time."""
    seal = seal_of(parameters)
    if seal is not None:
        seal.is_whole = False
    elif isinstance(parameters, np.ndarray):  # a state that was tampered with may hold anything
        _put(parameters, Seal(False))


def _put(parameters, seal):
    number = id(parameters)
    _SEALS[number] = ref(parameters, lambda gone: _forget(gone, number)), seal
