"""Fits on two threads under ThreadSanitizer: no number is written by one thread while another reads or writes it.

GCC's OpenMP hides its barriers from the sanitizer, so the kernels are built with clang, whose OpenMP tells it (libarcher). In
the copy that is built every parallel region takes threads, however small. Every fit of `fits.py` and concurrent predictions
have to run without a report; then a race is planted, and it has to be reported. Debian's packages: clang libomp-dev libclang-
rt-dev, and `--clang clang-14` for those of one version.

    python tests/races.py --build build/races
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from copies import LITTLE_OPTIMISED, SWITCH, Change, Mistake, build, output_of, python_in

#: So that threads have a part in fits of milliseconds.
THREADS_FOR_ALL = [
    Change("_kernels/kernels.pyx", "SERIAL_WORK = 4000000 ", "SERIAL_WORK = 1 "),
    Change("_kernels/pace.pxi", "LEAST_WORK_TO_TRY = 500000 ", "LEAST_WORK_TO_TRY = 1 "),
    Change("_kernels/bands.pxi", "SHARE_WORK = 100000 ", "SHARE_WORK = 1 "),
    Change("_kernels/bands.pxi", "THREAD_WORK = 1000000 ", "THREAD_WORK = 1 "),
]
#: All chunks add to the gradient of the first.
RACE = Mistake(
    "_kernels/backward.pxi",
    "cdef real* gradient = network.workspace + network.arena.chunk_gradients_at + «chunk» * network.arena.n_shared",
    "0",
)
LAUNCHER = "int Py_BytesMain(int, char **);\nint main(int count, char **arguments) { return Py_BytesMain(count, arguments); }\n"
REPORTED = 66
PROGRAM = """
import sys, threading, warnings
warnings.simplefilter("ignore")
import numpy as np
from fits import fits
from sklearn_cnn import _kernels

reached = set()
for name, fit in fits().items():
    for _ in range(3):
        network = fit.run(n_jobs=2)
        network.predict(fit.X)
        network.predict(fit.X[:1])
    for number_type in (np.float32, np.float64):
        records = _kernels.kernels(number_type).take_region_records()
        reached |= {region for region, (_, threads) in records.items() if threads == 2}
    print("fitted", name, flush=True)
print("regions", *sorted(reached), flush=True)
fit = fits()["normalised blocks"]
network = fit.run(n_jobs=2)
callers = [threading.Thread(target=lambda: [network.predict_proba(fit.X) for _ in range(20)]) for _ in range(4)]
for caller in callers:
    caller.start()
network.fit(fit.X, fit.y)
for caller in callers:
    caller.join()
print("predicted while it was fitted again", flush=True)
"""
REGIONS = {"forward_chunks", "forward_bands", "backward_chunks", "local_weights", "dense_forward", "dense_backward", "update"}


def launcher(folder, clang):
    """Compile a Python whose first library is the sanitizer's: loaded later, it would come too late."""
    source, target = folder / "launcher.c", folder / "launcher"
    folder.mkdir(parents=True, exist_ok=True)
    source.write_text(LAUNCHER)
    library, version = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDVERSION")
    subprocess.run([clang, "-fsanitize=thread", "-fopenmp", "-rdynamic", str(source), "-o", str(target), f"-L{library}",
                    f"-Wl,-rpath,{library}", f"-lpython{version}"], check=True)  # fmt: skip
    return target


def run(python, copy, program, level, **more):
    """Run a program under the sanitizer; returns (status, output)."""
    packages = sysconfig.get_path("purelib")
    environment = python_in(
        copy, SKLEARN_CNN_KERNELS=level, OMP_NUM_THREADS="2", PYTHONHOME=sys.base_prefix, OMP_TOOL_LIBRARIES="libarcher.so",
        TSAN_OPTIONS=f"ignore_noninstrumented_modules=1:exitcode={REPORTED}", **more,
    )  # fmt: skip
    environment["PYTHONPATH"] += os.pathsep + packages
    return output_of([str(python), "-P", "-c", program], environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder that is built in, and used again the next time")
    parser.add_argument("--clang", default="clang")
    parser.add_argument("--levels", nargs="+", default=["baseline"], help="all share work in the same way")
    arguments = parser.parse_args()
    if shutil.which(arguments.clang) is None:
        packages = "clang libomp-dev libclang-rt-dev"
        raise SystemExit(f"there is no {arguments.clang}; on Debian: apt-get install {packages}, or name one: --clang")
    folder = arguments.build.resolve()
    options = ["-Db_sanitize=thread", "-Db_lundef=false"]
    python = launcher(folder, arguments.clang)
    copy = build(folder, mistakes=[RACE], changes=[LITTLE_OPTIMISED, *THREADS_FOR_ALL], options=options,
                 levels=arguments.levels, compiler=arguments.clang)  # fmt: skip
    for level in arguments.levels:
        status, output = run(python, copy, PROGRAM, level)
        reached = {name for line in output.splitlines() if line.startswith("regions ") for name in line.split()[1:]}
        if status != 0:
            raise SystemExit(f"level {level}, status {status}:\n{output[-8000:]}")
        if not reached >= REGIONS:
            raise SystemExit(f"level {level}: two threads never met in {REGIONS - reached}")
        n_fits = sum(line.startswith("fitted ") for line in output.splitlines())
        print(f"{level}: {n_fits} fits three times on two threads, in {', '.join(sorted(reached))}: no report", flush=True)
    status, output = run(python, copy, PROGRAM, arguments.levels[0], **{SWITCH: "1"})
    if status != REPORTED or "data race" not in output:
        raise SystemExit(f"the planted race was not reported (status {status}):\n{output[-3000:]}")
    print("planted race: reported", flush=True)


if __name__ == "__main__":
    main()
