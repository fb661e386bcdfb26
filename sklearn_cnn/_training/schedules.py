"""The learning rate in the course of training; the arithmetic of an update belongs to the kernels."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

# An adaptive schedule divides its rate by this whenever training stalls, and gives up at the smallest one, as MLPClassifier does.
ADAPTIVE_DIVISOR = 5.0
SMALLEST_ADAPTIVE_RATE = 1e-6

# A cycle ends at this share of the initial rate: nearly nothing, but not nothing, so that training beyond it still learns.
FINAL_SHARE = 1e-3
# One cycle rises to this multiple of the initial rate, in this part of the cycle.
LARGEST_SHARE, WARM_UP_PART = 10.0, 0.2


def power_of(number, power):
    """Return a power; what no float holds is infinite."""
    try:
        return float(number) ** power
    except OverflowError:
        return math.inf


# schedule -> rate(initial rate, power, number of samples seen, number of times that training has stalled), for whole epochs
RATES_OF_EPOCH: dict[str, Callable[[float, float, int, int], float]] = {
    "constant": lambda initial, power, n_samples_seen, n_stalls: initial,
    "invscaling": lambda initial, power, n_samples_seen, n_stalls: initial / power_of(n_samples_seen + 1, power),
    "adaptive": lambda initial, power, n_samples_seen, n_stalls: initial / ADAPTIVE_DIVISOR**n_stalls,
}


def cosine_share(progress):
    """Return the share of the initial rate after that part of a cycle: half a cosine (Loshchilov & Hutter, 2017, eq. 5)."""
    return FINAL_SHARE + (1.0 - FINAL_SHARE) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def one_cycle_share(progress):
    """Return the share of the initial rate after that part of a cycle: up, then down to nearly nothing (Smith & Topin, 2018)."""
    if progress < WARM_UP_PART:
        return 1.0 + (LARGEST_SHARE - 1.0) * progress / WARM_UP_PART
    return FINAL_SHARE + (LARGEST_SHARE - FINAL_SHARE) * (1.0 - min(progress, 1.0)) / (1.0 - WARM_UP_PART)


# schedule with an end -> share(part of the cycle that is over), asked for every mini-batch
SHARES_OF_CYCLE: dict[str, Callable[[float], float]] = {"cosine": cosine_share, "one_cycle": one_cycle_share}

#: Schedule -> the largest multiple of the initial rate that it comes to, where that is not one.
LARGEST_SHARES = {"one_cycle": LARGEST_SHARE}

#: Names of the schedules.
SCHEDULES = (*RATES_OF_EPOCH, *SHARES_OF_CYCLE)


def resolve_schedule(schedule, end_is_known):
    """Resolve ``learning_rate="auto"``.

    Parameters
    ----------
    schedule : str
        "auto" or the name of a schedule.
    end_is_known : bool
        Whether training lasts a known number of epochs: nothing stops it before, and no later fit goes on from it.

    Returns
    -------
    str
        The name of a schedule.

    Examples
    --------
    >>> resolve_schedule("auto", True), resolve_schedule("auto", False), resolve_schedule("cosine", False)
    ('one_cycle', 'constant', 'cosine')
    """
    if schedule != "auto":
        return schedule
    return "one_cycle" if end_is_known else "constant"


@dataclass
class LearningRate:
    """The step size: what it begins with, how it changes, and how far training has come.

    Parameters
    ----------
    schedule : {"constant", "invscaling", "adaptive", "cosine", "one_cycle"}
        ``"invscaling"`` is ``initial / (n_samples_seen + 1) ** power``, ``"adaptive"`` is ``initial / 5 ** n_stalls``. The
        last two change with every mini-batch, see `cosine_share` and `one_cycle_share`.
    initial : float
        The rate that all others are shares of.
    power : float
        Exponent of ``"invscaling"``.
    n_epochs_of_cycle : int, default=1
        Length of the cycle of a schedule that has an end.
    n_samples_seen : int, default=0
        Number of samples, counted with repetition, that training has gone through.
    n_stalls : int, default=0
        How often training has gone ``n_iter_no_change`` epochs without improving.
    epoch_of_cycle : int, default=0
        Number of epochs of the cycle that are over; beyond its end the rate stays what it is there.

    Examples
    --------
    >>> list(LearningRate("invscaling", 0.1, 0.5, n_samples_seen=99).of_steps(2))
    [0.01, 0.01]
    >>> list(LearningRate("adaptive", 0.1, 0.5, n_stalls=1).of_steps(1))
    [0.02]
    >>> [round(rate, 4) for rate in LearningRate("cosine", 0.1, 0.5).of_steps(5)]
    [0.0976, 0.0794, 0.05, 0.0207, 0.0025]
    """

    schedule: str
    initial: float
    power: float
    n_epochs_of_cycle: int = 1
    n_samples_seen: int = 0
    n_stalls: int = 0
    epoch_of_cycle: int = 0

    #: What a fit that goes on has to know.
    kept: ClassVar[tuple] = ("n_samples_seen", "n_stalls", "epoch_of_cycle")

    def of_steps(self, n_steps) -> Iterator[float]:
        """Yield the rate of every mini-batch of the epoch that begins now; in a cycle that of the middle of the step."""
        if self.schedule in RATES_OF_EPOCH:
            rate = RATES_OF_EPOCH[self.schedule](self.initial, self.power, self.n_samples_seen, self.n_stalls)
            return repeat(rate, n_steps)
        share, n_done = SHARES_OF_CYCLE[self.schedule], self.epoch_of_cycle
        return (
            self.initial * share((n_done + (step + 0.5) / n_steps) / self.n_epochs_of_cycle) for step in range(n_steps)
        )

    def advance(self, n_samples):
        """Note that an epoch with so many samples is over."""
        self.n_samples_seen += n_samples
        if self.schedule in SHARES_OF_CYCLE:
            self.epoch_of_cycle += 1

    def outlives_stall(self, rate):
        """Answer a stall: say whether training goes on, in an adaptive schedule with a smaller rate.

        Parameters
        ----------
        rate : float
            The rate of the last epoch.

        Returns
        -------
        goes_on : bool
            A schedule with an end is followed to its end, an adaptive one until its rate is small enough.

        Examples
        --------
        >>> [LearningRate("adaptive", 0.1, 0.5).outlives_stall(rate) for rate in (0.1, 1e-7)]
        [True, False]
        >>> LearningRate("constant", 0.1, 0.5).outlives_stall(0.1), LearningRate("cosine", 0.1, 0.5).outlives_stall(0.1)
        (False, True)
        """
        if self.schedule in SHARES_OF_CYCLE:
            return True
        if self.schedule != "adaptive" or rate <= SMALLEST_ADAPTIVE_RATE:
            return False
        self.n_stalls += 1
        return True
