"""Medians, and ratios of medians with their spread."""

from statistics import median


def ratio(numerators, denominators):
    """Compare two contenders that took turns.

    Parameters
    ----------
    numerators, denominators : list of float
        Times of the same rounds.

    Returns
    -------
    dict
        `ratio` of the medians, and the smallest (`low`) and largest (`high`) ratio within one round: the machine's speed
        drifts, but two neighbours in one round see nearly the same machine.
    """
    each = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return {"ratio": median(numerators) / median(denominators), "low": min(each), "high": max(each)}
