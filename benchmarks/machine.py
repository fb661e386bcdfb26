"""What the numbers were measured on, without names of hosts or people."""

import os
import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.without_avx512 import is_in_force

INTERESTING_FLAGS = re.compile(r"sse\d|ssse3|avx|fma|f16c|bmi\d|amx|asimd|sve|neon")
PACKAGES = (
    "sklearn_cnn", "numpy", "scipy", "scikit-learn", "threadpoolctl", "torch", "tensorflow-cpu", "tensorflow", "keras", "jax",
    "jaxlib", "onnx", "onnxruntime", "openvino", "skorch",
)  # fmt: skip


def _first(pattern, text, default="unknown"):
    match = re.search(pattern, text, re.MULTILINE)
    return match.group(1).strip() if match else default


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def caches():
    """Return the sizes of the first processor's caches."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    return {
        f"L{_read(folder / 'level').strip()} {_read(folder / 'type').strip().lower()}": _read(folder / "size").strip()
        for folder in folders
    }


def describe():
    """Return processor, caches, memory, operating system and Python."""
    cpu = _read("/proc/cpuinfo")
    flags = _first(r"^(?:flags|Features)\s*:(.*)$", cpu, "").split()
    memory = int(_first(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), "0"))
    return {
        "processor": _first(r"^model name\s*:(.*)$", cpu, platform.processor() or "unknown"),
        "family_model": "/".join(_first(rf"^{name}\s*:(.*)$", cpu) for name in ("cpu family", "model")),
        "flags": sorted(flag for flag in flags if INTERESTING_FLAGS.match(flag) and not (is_in_force() and "avx512" in flag)),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "hypervisor": "hypervisor" in flags,
        "caches": caches(),
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions():
    """Return the versions of everything installed beside the benchmarks; None for what is not."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def busy_processors(seconds=1.0):
    """Return how many processors were at work for the next second, in which nothing of ours runs; None if nobody can tell.

    It should be near nothing before a measurement. (The load average would still count the row before.)
    """

    def idle_and_total():
        ticks = [int(number) for number in _first(r"^cpu\s+(.*)$", _read("/proc/stat"), "").split()]
        return sum(ticks[3:5]), sum(ticks[:8])

    idle, total = idle_and_total()
    time.sleep(seconds)
    idle_later, total_later = idle_and_total()
    if total_later == total:
        return None
    return os.cpu_count() * (1.0 - (idle_later - idle) / (total_later - total))
