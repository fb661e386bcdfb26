"""All rows of the results: the races, then what needs no rival."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import cases, footprint, kernels, race


@dataclass(frozen=True)
class Row:
    """Something to measure; `seconds` is a rough duration with all peers on two cores, for planning."""

    measure: Callable[[], dict]
    seconds: float


# One round of all contenders together plus their start, by the beginning of the row's name; measured, rounded up.
_ROUND_SECONDS = {"train-a": 22, "train-b": 20, "train-c": 8, "train-d": 30, "train-f": 20, "train-l": 15, "train-v": 25,
                  "predict-a": 12, "predict": 4, "latency": 3,
                  "search-c": 60, "levels": 6, "winograd": 4, "scaling": 4}  # fmt: skip
_START_SECONDS = 60
_SAME_WHEN_TINY = ("train-a/batch=128", "levels-a/predict")  # a smoke run has done the same with another row


def _race_row(case, settings):
    round_seconds = next(value for name, value in _ROUND_SECONDS.items() if case.name.startswith(name))
    seconds = _START_SECONDS + round_seconds * (settings.rounds + settings.warm_up_rounds)
    case = cases.tiny(case) if settings.smoke else case
    return Row(lambda: race.run(case, settings), 5 if settings.smoke else seconds)


def all_rows(settings):
    """Return every row by name, in the order in which they are run."""
    rows = {case.name: _race_row(case, settings) for case in cases.all_cases(settings.threads).values()}
    if settings.smoke:
        rows = {name: row for name, row in rows.items() if not name.startswith(_SAME_WHEN_TINY)}
    for level in kernels.LEVELS:
        rows[f"kernels/level={level}"] = Row(lambda level=level: kernels.run(level, settings), 60)
    for method in footprint.METHODS:  # the row of fit is older than the others, and keeps its name
        name = "memory" if method == "fit" else f"memory/{method}"
        rows[name] = Row(lambda method=method: footprint.memory(settings, method), 60)
    rows["import"] = Row(lambda: footprint.import_time(settings), 30)
    rows["wheel"] = Row(lambda: footprint.wheel_size(settings), 1)
    return rows
