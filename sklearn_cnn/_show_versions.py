"""What a bug report needs to know about an installation."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import joblib

from sklearn_cnn import _kernels

DISTRIBUTIONS = ("sklearn_cnn", "numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")

# The instruction sets that tell one level of kernels from another, in /proc/cpuinfo's spelling.
INSTRUCTION_SETS = (
    "sse2",
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "bmi2",
    "avx512f",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512vl",
    "asimd",
)


def show_versions():
    """Print the versions and settings that a bug report needs to know.

    Versions of Python and of the packages that the numbers come from; the level of the compiled kernels in use and the levels
    available; OpenMP, threads and what limits them; the processor and its instruction sets.

    Examples
    --------
    >>> from sklearn_cnn import show_versions
    >>> show_versions()
    Python ...
    """
    for name, value in (*_versions(), *_compiled_kernels(), *_machine()):
        print(f"{name:<22} {value}")


def _versions():
    """Versions of Python and of the packages involved."""
    yield "Python", sys.version.replace("\n", " ")
    for name in DISTRIBUTIONS:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"


def _compiled_kernels():
    """What was built, what of it runs here, and on how many threads."""
    built = _kernels.kernels().describe()
    forced = os.environ.get(_kernels.ENVIRONMENT_VARIABLE)
    in_use = _kernels.default_level()
    yield "kernel level in use", f"{in_use} (forced by {_kernels.ENVIRONMENT_VARIABLE})" if forced else in_use
    yield "kernel levels", ", ".join(_kernels.available_levels())
    yield "vectors", f"{built['vector_bytes']} bytes"
    yield "OpenMP", "yes" if built["openmp"] else "no: one thread"
    yield "threads", f"{_kernels.effective_n_threads()} of {joblib.cpu_count()} processors"
    yield "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "not set")


def _machine():
    """System, processor and those of its instruction sets that matter here."""
    yield "system", platform.platform()
    processor = _processor()
    yield "processor", processor.get("model name", platform.processor() or platform.machine())
    flags = set(processor.get("flags", processor.get("Features", "")).split())
    yield "instruction sets", " ".join(name for name in INSTRUCTION_SETS if name in flags) or "unknown"


def _processor():
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    processor = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            break  # an empty line ends the first processor
        processor[name.strip()] = value.strip()
    return processor
