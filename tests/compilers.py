"""The tests of the kernels, with kernels that another compiler has made, and with kernels that know no vector types.

Each build is made from a copy of the sources, in a folder of its own. "plain" stands for compilers that have not the vector types
of GCC and Clang: one number is computed at a time.

    python tests/compilers.py --build build/compilers
    python tests/compilers.py --build build/compilers --only plain --tests tests/test_kernels.py -k pool
"""

import argparse
import sys
from pathlib import Path

from copies import build, failures_of, output_of, python_in

from sklearn_cnn import _kernels

#: Compiler, and the levels that it has
BUILDS = {"clang": ("clang", _kernels.available_levels()), "plain": ("gcc -DSKLEARN_CNN_PLAIN", ["baseline"])}
TESTS = [
    f"tests/test_{name}.py"
    for name in ("kernels", "network", "threads", "determinism", "fuzz_geometry", "winograd")
]
OF_ALL_LEVELS = "tests/test_levels.py"
DESCRIBE = """
from sklearn_cnn import _kernels
print(*(f"{level} {_kernels.kernels(level=level).describe()['openmp']}" for level in _kernels.available_levels()), sep="; ")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder that is built in, and used again the next time")
    parser.add_argument("--only", choices=BUILDS, nargs="+", default=list(BUILDS))
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments, more = parser.parse_known_args()
    failures = []
    for name in arguments.only:
        compiler, levels = BUILDS[name]
        copy = build(arguments.build.resolve() / name, levels=levels, compiler=compiler)
        _, description = output_of([sys.executable, "-P", "-c", DESCRIBE], python_in(copy))
        print(f"{name}: levels, and whether they have OpenMP: {description.strip()}", flush=True)
        tests = [*arguments.tests, OF_ALL_LEVELS] if levels == _kernels.available_levels() else arguments.tests
        failures += failures_of(copy, tests, label=f"{name}, ", options=more)
    print("\n\n".join(failures) or "all tests passed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
