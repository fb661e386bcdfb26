"""The record of training, from the first epoch of the first call on."""

import math
from dataclasses import dataclass
from typing import ClassVar

from sklearn_cnn._training.listeners import Listener

# Entries of a block: small enough that copying one is nothing, large enough that a million epochs are four levels.
WIDTH = 32

#: What is written down of an epoch, in this order. Score and loss on validation data are None where there were none.
FIELDS_OF_EPOCH = 4
LOSS, LEARNING_RATE, SCORE, VALIDATION_LOSS = range(FIELDS_OF_EPOCH)


def appended(levels, entry):
    """Append to a sequence that never changes, at a cost that does not grow with it.

    The sequence is counted like a number: a full block of entries becomes one entry of the next level, as ten ones become a
    ten. So a longer sequence shares all its full blocks with the shorter one.

    Parameters
    ----------
    levels : tuple of tuple
        The sequence: entries, blocks of entries, blocks of blocks and so on.
    entry : object
        What comes last.

    Returns
    -------
    levels : tuple of tuple
        The longer sequence; the one passed stays as it is.

    Examples
    --------
    >>> levels = ()
    >>> for number in range(33):
    ...     levels = appended(levels, number)
    >>> levels[0], [len(block) for block in levels[1]]
    ((32,), [32])
    """
    emptied: tuple = ()
    for place, level in enumerate(levels):
        longer = (*level, entry)
        if len(longer) < WIDTH:
            return (*emptied, longer, *levels[place + 1 :])
        emptied, entry = (*emptied, ()), longer
    return (*emptied, (entry,))


def lengths_of_levels(n_entries):
    """Return how long the levels of a sequence are that `appended` has built.

    Examples
    --------
    >>> lengths_of_levels(33), lengths_of_levels(0)
    ([1, 1], [])
    """
    lengths = []
    while n_entries > 0:
        n_entries, length = divmod(n_entries, WIDTH)
        lengths.append(length)
    return lengths


def has_record_length(levels, n_entries):
    """Say whether levels have the lengths of so many entries, without a look into full blocks."""
    if type(levels) is not tuple or not all(type(level) is tuple for level in levels):
        return False
    return list(map(len, levels)) == lengths_of_levels(n_entries)


def is_record(levels, n_epochs):
    """Say whether levels are what `History` makes of so many epochs, down to the last number.

    Examples
    --------
    >>> levels = appended((), (3.0, 0.1, None, None))
    >>> is_record(levels, 1), is_record(levels, 2), is_record(((3.0,),), 1)
    (True, False, False)
    """
    if not has_record_length(levels, n_epochs):
        return False
    for height, level in enumerate(levels):
        parts = level
        for _ in range(height):
            if not all(type(block) is tuple and len(block) == WIDTH for block in parts):
                return False
            parts = [part for block in parts for part in block]
        if not all(map(is_entry, parts)):
            return False
    return True


def is_entry(entry):
    """Say whether something is what `History` writes down of one epoch."""
    if type(entry) is not tuple or len(entry) != FIELDS_OF_EPOCH or type(entry[LOSS]) is not float:
        return False
    return all(value is None or type(value) is float for value in entry)


def entries(levels):
    """Return all entries of what `appended` has built, from the first to the last.

    Examples
    --------
    >>> entries(appended(appended((), "first"), "second"))
    ['first', 'second']
    """
    found: list = []
    for level in reversed(levels):
        found = [entry for block in found for entry in block] + list(level)
    return found


def curve(levels, place):
    """Return one thing of every epoch.

    Parameters
    ----------
    levels : tuple of tuple
        `History.epochs`.
    place : {LOSS, LEARNING_RATE, SCORE, VALIDATION_LOSS}
        Which.

    Returns
    -------
    values : list of float, or None
        As many as there were epochs, NaN for those that had none; None if no epoch had one.

    Examples
    --------
    >>> levels = appended(appended((), (3.0, 0.1, None, None)), (2.0, 0.1, 0.5, 2.5))
    >>> curve(levels, LOSS), curve(levels, SCORE)
    ([3.0, 2.0], [nan, 0.5])
    """
    values = [entry[place] for entry in entries(levels)]
    if all(value is None for value in values):
        return None
    return [math.nan if value is None else value for value in values]


@dataclass
class History(Listener):
    """What every epoch was; it decides nothing.

    Parameters
    ----------
    epochs : tuple of tuple
        What `appended` has built of one tuple for each epoch of all calls.
    n_epochs : int
        Their number.
    best_loss : float
        Smallest training loss.
    best_loss_epoch : int
        The epoch that had it, counted from 1.
    loss : float
        Training loss of the last epoch.
    """

    epochs: tuple = ()
    n_epochs: int = 0
    best_loss: float = math.inf
    best_loss_epoch: int = 0
    loss: float = math.nan

    kept: ClassVar[tuple] = ("epochs", "n_epochs", "best_loss", "best_loss_epoch")

    def see(self, epoch):
        """Write one epoch down."""
        self.epochs = appended(self.epochs, (epoch.loss, epoch.learning_rate, *(epoch.evaluation or (None, None))[:2]))
        self.n_epochs, self.loss = epoch.total_number, epoch.loss
        if epoch.loss < self.best_loss:
            self.best_loss, self.best_loss_epoch = epoch.loss, epoch.total_number
