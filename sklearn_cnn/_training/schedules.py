"""The learning rate in the course of training; the arithmetic of an update belongs to the kernels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

# An adaptive schedule divides its rate by this whenever training stalls, and gives up at the smallest one, as MLPClassifier does.
ADAPTIVE_DIVISOR = 5.0
SMALLEST_ADAPTIVE_RATE = 1e-6

# schedule -> rate(initial rate, power, number of samples seen, number of times that training has stalled)
SCHEDULES: dict[str, Callable[[float, float, int, int], float]] = {
    "constant": lambda initial, power, n_samples_seen, n_stalls: initial,
    "invscaling": lambda initial, power, n_samples_seen, n_stalls: initial / (n_samples_seen + 1) ** power,
    "adaptive": lambda initial, power, n_samples_seen, n_stalls: initial / ADAPTIVE_DIVISOR**n_stalls,
}


@dataclass
class LearningRate:
    """The step size: what it begins with, how it falls, and how far training has come.

    Parameters
    ----------
    schedule : {"constant", "invscaling", "adaptive"}
        ``"invscaling"`` is ``initial / (n_samples_seen + 1) ** power``, ``"adaptive"`` is ``initial / 5 ** n_stalls``.
    initial : float
        The rate at the very beginning.
    power : float
        Exponent of ``"invscaling"``.
    n_samples_seen : int, default=0
        Number of samples, counted with repetition, that training has gone through.
    n_stalls : int, default=0
        How often training has gone ``n_iter_no_change`` epochs without improving.

    Examples
    --------
    >>> LearningRate("invscaling", 0.1, 0.5, n_samples_seen=99).of_epoch()
    0.01
    >>> LearningRate("adaptive", 0.1, 0.5, n_stalls=1).of_epoch()
    0.02
    """

    schedule: str
    initial: float
    power: float
    n_samples_seen: int = 0
    n_stalls: int = 0

    #: What a fit that goes on has to know.
    kept: ClassVar[tuple] = ("n_samples_seen", "n_stalls")

    def of_epoch(self):
        """Return the rate of the epoch that begins now."""
        return SCHEDULES[self.schedule](self.initial, self.power, self.n_samples_seen, self.n_stalls)

    def advance(self, n_samples):
        """Note that training has gone through so many more samples."""
        self.n_samples_seen += n_samples

    def falls_after_stall(self, rate):
        """Answer a stall: an adaptive schedule goes on with a smaller rate, until it is small enough.

        Parameters
        ----------
        rate : float
            The rate of the last epoch.

        Returns
        -------
        goes_on : bool
            Whether training continues.

        Examples
        --------
        >>> [LearningRate("adaptive", 0.1, 0.5).falls_after_stall(rate) for rate in (0.1, 1e-7)]
        [True, False]
        >>> LearningRate("constant", 0.1, 0.5).falls_after_stall(0.1)
        False
        """
        if self.schedule != "adaptive" or rate <= SMALLEST_ADAPTIVE_RATE:
            return False
        self.n_stalls += 1
        return True
