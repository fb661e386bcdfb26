"""The tests of the kernels, and whole fits, on an emulated 64-bit ARM, whose kernels have the level `neon`.

Debian's Python for that processor, with the libraries' own wheels for it, runs under qemu, one process at a time: nothing of the
system is changed. The kernels come from this processor's cross-compiler. First a mistake is planted where the code of ARM alone
is, and the tests have to notice it. Debian's packages: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user mmdebstrap.

    python tests/emulate.py --build build/emulated
    python tests/emulate.py --build build/emulated --tests tests/test_kernels.py -k pool
"""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from copies import ROOT, SWITCH, Mistake, build, failures_of, output_of, python_in, run_tests, write

#: Debian has one Python in each release, and compiled modules are those of one version.
RELEASES = {"3.11": "bookworm", "3.13": "trixie"}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = ("python3", "libpython3-dev", "libgomp1", "libstdc++6")
LEVELS = ["neon", "baseline"]
#: Its numbers are computed in the mode that the caller has.
STAYS_IN_THE_CALLERS_MODE = Mistake(
    "_kernels/environment.h", '__asm__ volatile("msr fpcr, %0" : : "r"(«FLOAT_MODE»));', "saved"
)
NOTICES = "tests/test_determinism.py", "-k", "rounding_mode or subnormal_numbers_are_zero"
TESTS = [
    f"tests/test_{name}.py"
    for name in ("kernels", "network", "threads", "determinism", "fuzz_geometry", "winograd", "levels")
]
#: How long an emulator takes says nothing about the processor.
NO_TIMES = "--deselect=tests/test_determinism.py::test_subnormal_numbers_take_no_longer_than_others"
RUN_FITS = """
import platform, warnings
warnings.simplefilter("ignore")
import numpy as np
from fits import fits
from images import fitted_arrays
from sklearn_cnn import _kernels
print(platform.machine(), _kernels.default_level(), np.__version__, flush=True)
def bits(fit, n_jobs):
    model = fit.run(n_jobs=n_jobs)
    return fitted_arrays(model), model.predict(fit.X).tobytes()
for name, fit in fits().items():
    print("fit", "same" if bits(fit, 1) == bits(fit, 2) else "OTHER", name, flush=True)
"""


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


def make_root(folder):
    """Make a folder with Debian's Python for 64-bit ARM and the libraries that tests need; returns it."""
    if VERSION not in RELEASES:
        raise SystemExit(f"Debian has Python {' and '.join(RELEASES)} for 64-bit ARM, and this is {VERSION}")
    missing = [name for name in ("aarch64-linux-gnu-gcc", "qemu-aarch64", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; Debian's packages are named in this file")
    root, made = folder / "root", folder / "root.made"
    if not made.exists():
        shutil.rmtree(root, ignore_errors=True)
        print(f"making {root}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        include = f"--include={','.join(PACKAGES)}"
        run("mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64", include, RELEASES[VERSION], root)
        wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={VERSION}"]
        wheels += [f"--platform={name}_aarch64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
        needs = [text for text in importlib.metadata.requires("sklearn_cnn") or [] if "extra ==" not in text]
        target = root / "usr/lib/python3/dist-packages"
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, *wheels, "pytest", *needs)
        ours = importlib.metadata.distribution("sklearn_cnn")
        metadata = target / f"sklearn_cnn-{ours.version}.dist-info/METADATA"
        write(metadata, (ours.read_text("METADATA") or "").encode())
        made.touch()
    return root


def make_python(folder, root):
    """Make a program that is Python on the other processor, for itself and for the processes that it starts; returns it."""
    python = folder / "python"
    interpreter = root / f"usr/bin/python{VERSION}"
    home = f"PYTHONHOME='{root / 'usr'}'"
    script = f"#!/bin/sh\n{home} exec qemu-aarch64 -0 '{python}' -L '{root}' '{interpreter}' \"$@\"\n"
    write(python, script.encode())
    python.chmod(0o755)
    return str(python)


def cross_compile(folder, root):
    """Compile the kernels; returns the copy that has them, under the names that the other Python looks for."""
    # Debian's own Python asks for a header of the other processor, and there it is; another Python takes its own.
    headers = folder / "headers"
    header = f"aarch64-linux-gnu/python{VERSION}/pyconfig.h"
    write(headers / header, (root / "usr/include" / header).read_bytes())
    os.environ["CPATH"] = str(headers)
    options = [f"--cross-file={ROOT / 'tests/aarch64.ini'}", "-Dopenmp=enabled"]
    copy = build(folder, mistakes=[STAYS_IN_THE_CALLERS_MODE], options=options, levels=LEVELS)
    del os.environ["CPATH"]
    for path in (copy / "sklearn_cnn/_kernels").glob("*.so"):
        path.rename(path.with_name(path.name.split(".")[0] + ".so"))
    return copy


def check_that_the_mistake_is_noticed(copy, python):
    test, *options = NOTICES
    status, output = run_tests(copy, [test], python=python, options=options, **{SWITCH: "1"})
    if status != 1:
        raise SystemExit(f"the planted mistake was not noticed (status {status}):\n{output[-3000:]}")
    print(f"planted mistake: noticed, {output.splitlines()[-1]}", flush=True)


def run_fits(copy, python):
    """Run every fit of `fits.py` on one thread and on two; returns what went wrong."""
    status, output = output_of([python, "-P", "-c", RUN_FITS], python_in(copy))
    print(output.splitlines()[0], flush=True)
    n_same, n_other = (output.count(f"\nfit {word} ") for word in ("same", "OTHER"))
    print(f"fits on one thread and on two: {n_same} have the same bits, {n_other} have not, status {status}", flush=True)
    return [] if status == 0 and n_same > 0 and n_other == 0 else [f"fits:\n{output[-6000:]}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder that is built in, and used again the next time")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments, more = parser.parse_known_args()
    folder = arguments.build.resolve()
    root = make_root(folder)
    python = make_python(folder, root)
    copy = cross_compile(folder, root)
    check_that_the_mistake_is_noticed(copy, python)
    failures = run_fits(copy, python)
    failures += failures_of(copy, arguments.tests, options=[NO_TIMES, *more], python=python)
    print("\n\n".join(failures) or "all tests passed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
