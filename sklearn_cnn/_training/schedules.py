"""Learning-rate schedules; the arithmetic of an update belongs to the kernels."""

# An adaptive schedule divides its rate by this whenever training stalls, and gives up at the smallest one, as MLPClassifier does.
ADAPTIVE_DIVISOR = 5.0
SMALLEST_ADAPTIVE_RATE = 1e-6

# schedule -> rate(initial rate, power, number of samples seen, number of times that training has stalled)
SCHEDULES = {
    "constant": lambda initial, power, n_samples_seen, n_stalls: initial,
    "invscaling": lambda initial, power, n_samples_seen, n_stalls: initial / (n_samples_seen + 1) ** power,
    "adaptive": lambda initial, power, n_samples_seen, n_stalls: initial / ADAPTIVE_DIVISOR**n_stalls,
}


def learning_rate_of_epoch(schedule, initial, power, n_samples_seen, n_stalls):
    """Return the learning rate of the epoch that starts now.

    Parameters
    ----------
    schedule : {"constant", "invscaling", "adaptive"}
        ``"invscaling"`` is ``initial / (n_samples_seen + 1) ** power``, ``"adaptive"`` is ``initial / 5 ** n_stalls``.
    initial : float
        The learning rate at the very beginning.
    power : float
        Exponent of ``"invscaling"``.
    n_samples_seen : int
        Number of samples, counted with repetition, that training has gone through.
    n_stalls : int
        How often training has gone ``n_iter_no_change`` epochs without improving.

    Returns
    -------
    learning_rate : float
        The step size.

    Examples
    --------
    >>> learning_rate_of_epoch("invscaling", 0.1, 0.5, n_samples_seen=99, n_stalls=0)
    0.01
    >>> learning_rate_of_epoch("adaptive", 0.1, 0.5, n_samples_seen=99, n_stalls=1)
    0.02
    """
    return SCHEDULES[schedule](initial, power, n_samples_seen, n_stalls)


def stops_when_stalled(schedule, learning_rate):
    """Say whether training is over once it no longer improves; an adaptive schedule goes on with a smaller rate.

    Parameters
    ----------
    schedule : {"constant", "invscaling", "adaptive"}
        The learning-rate schedule.
    learning_rate : float
        The rate of the last epoch.

    Returns
    -------
    stops : bool
        Whether to stop.

    Examples
    --------
    >>> stops_when_stalled("constant", 0.1), stops_when_stalled("adaptive", 0.1), stops_when_stalled("adaptive", 1e-7)
    (True, False, True)
    """
    return schedule != "adaptive" or learning_rate <= SMALLEST_ADAPTIVE_RATE
