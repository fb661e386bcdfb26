"""How far from each other the processors are: two threads gain little by a small network where it is far.

On a virtual machine this may change from one minute to the next, because its host moves processors about.

    python -m benchmarks.cores
"""

import ctypes
import os
from functools import lru_cache
from statistics import median

from benchmarks.compiled import NoCompiler, compiled

ROUND_TRIPS = 20_000  # at once, some milliseconds


@lru_cache(maxsize=1)
def _library():
    library = compiled("cores.c")
    library.round_trip.argtypes = [ctypes.c_long]
    library.round_trip.restype = ctypes.c_double
    return library


def round_trip_seconds():
    """Return how long a cache line takes from one processor to another and back, the median of five; None if nobody knows."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if processors < 2:
        return None
    try:
        library = _library()
    except NoCompiler:
        return None
    seconds = [library.round_trip(ROUND_TRIPS) for _ in range(5)]
    return median(seconds) if min(seconds) > 0 else None


if __name__ == "__main__":
    found = round_trip_seconds()
    print("there is no C compiler, or only one processor" if found is None else f"{1e9 * found:.0f} ns there and back")
