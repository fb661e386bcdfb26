"""The compiled levels: a module per instruction set and number type (AVX-512 borrows float64), and the choice among them.

``SKLEARN_CNN_KERNELS=<level>`` forces a level, for instance to compare two or to rule one out.
"""

import importlib.util
import os
from contextlib import contextmanager
from functools import cache, lru_cache

import joblib
import numpy as np

from sklearn_cnn._kernels import processor

#: Level name -> (suffix of its modules, what `processor.level()` must at least say); from narrow to wide.
LEVELS = {
    "baseline": ("baseline", 1),
    "neon": ("neon", 2),
    "x86-64-v3": ("x86_64_v3", 3),
    "x86-64-v4": ("x86_64_v4", 4),
}

#: Levels whose double precision is another's: only `lbfgs` and `functional` use it, and a module takes half a minute to build.
DOUBLE_PRECISION = {"x86-64-v4": "x86-64-v3"}

ENVIRONMENT_VARIABLE = "SKLEARN_CNN_KERNELS"

THREADS_PER_PROCESSOR = 4  # the most that are started: more only wait for each other, and each takes address space

SPIN_COUNT = 20_000  # rounds a waiting thread spins before it sleeps: some tens of microseconds, longer than a balanced wait


def available_levels():
    """Return the names of the levels that were built and that this processor can run, from narrow to wide.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sklearn_cnn._kernels import available_levels
    >>> available_levels()[0]
    'baseline'
    """
    built = {suffix for suffix, _ in LEVELS.values() if _is_built(suffix)}
    return [name for name, (suffix, needed) in LEVELS.items() if suffix in built and needed <= processor.level()]


def module_name(dtype, level):
    """Return the name of the module of a number type at a level, in this package."""
    number_type = np.dtype(dtype).name
    owner = DOUBLE_PRECISION.get(level, level) if number_type == "float64" else level
    return f"{number_type}_{LEVELS[owner][0]}"


def _is_built(suffix):
    return importlib.util.find_spec(f"sklearn_cnn._kernels.float32_{suffix}") is not None


@lru_cache(maxsize=1)
def default_level():
    """Return the level in use: the one the environment variable names, else the widest available.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If ``SKLEARN_CNN_KERNELS`` names a level that does not exist or that this processor cannot run.
    """
    forced = os.environ.get(ENVIRONMENT_VARIABLE)
    available = available_levels()
    if not forced:
        return available[-1]
    if forced not in LEVELS:
        raise ImportError(
            f"{ENVIRONMENT_VARIABLE}={forced!r} names no level. The levels are {', '.join(LEVELS)}; "
            f"this processor runs {', '.join(available)}. Unset the variable to use the widest."
        )
    if forced not in available:
        raise ImportError(
            f"{ENVIRONMENT_VARIABLE}={forced!r} cannot be used here: "
            + ("this processor lacks its instructions" if _is_built(LEVELS[forced][0]) else "it was not built")
            + f". Available: {', '.join(available)}. Unset the variable to use the widest."
        )
    return forced


@cache
def kernels(dtype=np.float32, level=None):
    """Return the compiled module for a number type.

    Parameters
    ----------
    dtype : numpy.float32 or numpy.float64
        The type all arithmetic is done in.

    level : str, default=None
        A name of `available_levels()`; None is the level in use.

    Returns
    -------
    module
        With the functions of ``kernels.pyi``. A module that fails to load is an error, never a silent change of level.
    """
    level = default_level() if level is None else level
    if level not in available_levels():
        raise ImportError(f"level {level!r} is not available. Available: {', '.join(available_levels())}.")
    with _short_waits():
        return importlib.import_module(f"sklearn_cnn._kernels.{module_name(dtype, level)}")


@contextmanager
def _short_waits():
    """Have GCC's OpenMP sleep soon where a thread waits for another, if it is loaded meanwhile and nobody chose otherwise.

    By default a waiting thread spins for milliseconds. Where another program holds one of the cores, the thread it waits for
    then cannot move to the core that does nothing but spin, and training takes several times as long. The variable is read
    once, when the library is loaded.
    """
    if any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]


@lru_cache(maxsize=1)
def _processors():
    # The affinity mask, the container's quota and LOKY_MAX_CPU_COUNT; reading them takes too long for every call.
    return joblib.cpu_count()


def effective_n_threads(n_jobs=None):
    """Return the number of threads to compute on.

    Parameters
    ----------
    n_jobs : int or None
        None: what OpenMP would use (``OMP_NUM_THREADS``, threadpoolctl's limits, the limits joblib sets in its workers),
        at most the processors this process may use. A positive integer is taken as it is, up to four for each processor;
        -1 means all processors, -2 all but one, and so on.

    Returns
    -------
    int
        At least 1. Results never depend on it.

    Raises
    ------
    ValueError
        If n_jobs is 0, which means nothing.
    """
    if n_jobs is None:
        return max(1, min(kernels().max_threads(), _processors()))
    if n_jobs == 0:
        raise ValueError("n_jobs=0 means nothing. Use None for all processors OpenMP may use, or a number of threads.")
    if n_jobs < 0:
        return max(1, _processors() + 1 + n_jobs)
    return min(int(n_jobs), THREADS_PER_PROCESSOR * _processors())


# Fail at import, not at the first fit, when the level that is asked for cannot be used.
kernels()
