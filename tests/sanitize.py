"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, at every level that the processor runs.

They are built from a copy of the sources, in a folder of their own; then every fit of `fits.py` runs at every level, random
geometries, and the tests of the kernels. First a mistake is planted, and it has to be reported: a run that could not find it
would prove nothing.

    python tests/sanitize.py --build build/sanitize
    python tests/sanitize.py --build build/sanitize --tests tests/test_kernels.py -k pool
"""

import argparse
import subprocess
import sys
from pathlib import Path

from copies import LITTLE_OPTIMISED, ROOT, SWITCH, Mistake, build, failures_of, output_of, python_in

from sklearn_cnn import _kernels

TESTS = [
    f"tests/test_{name}.py"
    for name in ("functional", "gathering", "winograd", "dropout", "augmentation", "normalisation", "network", "kernels")
]
#: A pixel too much is read of every image that is copied into its padding.
READS_TOO_FAR = Mistake(
    "_kernels/padding.pxi",
    "memcpy(padded + runs[i].target, image + runs[i].source, <size_t> «runs[i].length» * sizeof(real))",
    "runs[i].length + 64",
)
RUN_FITS = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from fits import fits
from sklearn_cnn import _kernels
for name, fit in fits().items():
    fit.run(n_jobs=2).predict(fit.X)
    print(_kernels.default_level(), name, flush=True)
"""
READ_TOO_FAR = """
import numpy as np
from sklearn_cnn.functional import pad
for n in range(1, 40):
    pad(np.ones((1, 3, n, 1), np.float32), 1)
"""


def library(name):
    """Return the path of a library of the compiler."""
    return subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()


def sanitizers():
    """Return the environment of a process that sanitized modules are loaded into."""
    return {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "OMP_NUM_THREADS": "2",
    }


def check_that_the_mistake_is_reported(copy):
    status, output = output_of([sys.executable, "-P", "-c", READ_TOO_FAR], python_in(copy, **sanitizers(), **{SWITCH: "1"}))
    if status == 0 or "AddressSanitizer" not in output:
        raise SystemExit(f"the planted mistake was not reported (status {status}):\n{output[-3000:]}")
    print("planted mistake: reported", flush=True)


def run_geometries(copy, seed, n_cases):
    """Run cases of `fuzz_geometry.py`, which has its levels from the copy; returns (its last line, failures)."""
    program = ROOT / "tests/fuzz_geometry.py"
    command = [sys.executable, str(program), "--seed", str(seed), "--cases", str(n_cases)]
    status, output = output_of(command, python_in(copy, **sanitizers()))
    last = (output.strip().splitlines() or [""])[-1]
    return last, [] if status == 0 else [f"geometries:\n{output[-6000:]}"]


def sanitize(folder, levels, seed, n_cases, tests, more):
    options = ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
    copy = build(folder, mistakes=[READS_TOO_FAR], changes=[LITTLE_OPTIMISED], options=options, levels=levels)
    check_that_the_mistake_is_reported(copy)
    failures = []
    for level in levels:
        environment = python_in(copy, SKLEARN_CNN_KERNELS=level, **sanitizers())
        status, output = output_of([sys.executable, "-P", "-c", RUN_FITS], environment)
        print(f"{level}: {len(output.splitlines())} fits, status {status}", flush=True)
        if status != 0:
            failures.append(f"fits at level {level}:\n{output[-6000:]}")
    counts, failed = run_geometries(copy, seed, n_cases)
    print(f"geometries, seed {seed}: {counts}", flush=True)
    return failures + failed + failures_of(copy, tests, options=more, **sanitizers())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder that is built in, and used again the next time")
    parser.add_argument("--levels", nargs="+", default=_kernels.available_levels())
    parser.add_argument("--cases", type=int, default=1000, help="of random geometry")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments, more = parser.parse_known_args()
    failures = sanitize(arguments.build.resolve(), arguments.levels, arguments.seed, arguments.cases, arguments.tests, more)
    print("\n\n".join(failures) or "nothing was reported")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
