"""What the package costs besides time in its kernels: peak memory of a fit, import time, size of the wheel."""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.supervisor import ROOT, run_module

MEGABYTE = 1e6


#: Methods whose memory is measured, and what a call is in words
METHODS = {"fit": "fitting", "partial_fit": "one partial_fit of", "predict": "predicting"}


def memory(settings, method):
    """Measure the peak memory of one call with 60,000 images of one byte per pixel."""
    n_images = 500 if settings.smoke else 60000
    record = run_module(settings, "benchmarks.memory_of_fit", str(n_images), method)
    if "failed" in record:
        return record
    above = (record["peak_bytes"] - record["bytes_after_imports"] - record["input_bytes"]) / MEGABYTE
    call = f"{METHODS[method]} {n_images:,} uint8 images"
    target = {
        "statement": f"peak memory of {call}: MB beyond the imported libraries and the input",
        "at_most": 150.0, "value": above, "met": above <= 150.0,
    }  # fmt: skip
    return {**record, "targets": [target]}


def import_time(settings):
    """Measure what importing the package adds to a process that has imported scikit-learn's own network."""
    runs = [run_module(settings, "benchmarks.import_cost") for _ in range(3 if settings.smoke else 11)]
    failed = next((run for run in runs if "failed" in run), None)
    if failed:
        return failed
    milliseconds = [1000 * run["seconds"] for run in runs[1:]]  # the first one reads the files from disk
    target = {
        "statement": "import sklearn_cnn on top of scikit-learn: milliseconds",
        "at_most": 30.0, "value": median(milliseconds), "low": min(milliseconds), "high": max(milliseconds),
        "met": median(milliseconds) <= 30.0,
    }  # fmt: skip
    return {"milliseconds": milliseconds, "modules": runs[-1]["modules"], "targets": [target]}


def wheel_size(settings):
    """Weigh the wheel: the one named, the newest in dist/, or one built for the purpose."""
    if settings.wheel:
        return _weigh(Path(settings.wheel))
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if wheels:
        return _weigh(wheels[-1])
    if settings.smoke:
        return {"missing": "no wheel in dist/ (make wheel), and a smoke run builds none"}
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)]
        done = subprocess.run(build, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"failed": f"the wheel could not be built: {done.stderr.strip().splitlines()[-1]}"}
        return _weigh(next(Path(folder).glob("*.whl")))


def _weigh(wheel):
    megabytes = wheel.stat().st_size / MEGABYTE
    target = {"statement": "size of the wheel: MB", "at_most": 3.0, "value": megabytes, "met": megabytes <= 3.0}
    return {"wheel": wheel.name, "targets": [target]}
