"""No kernel decides by numbers that nobody has written: fits and random geometries under valgrind's memcheck.

Python, NumPy and SciPy have reports of their own there; what counts is a report with one of our compiled modules in its stack.
First a fit on memory that nobody has written has to be reported, or silence would prove nothing. valgrind knows no AVX-512, so
the levels below it are run. Debian's package: valgrind.

    python tests/memcheck.py --cases 200 --seed 7
"""

import argparse
import shutil
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from copies import output_of, python_in

import sklearn_cnn

FOLDER = Path(sklearn_cnn.__file__).parent
FITS = """
import warnings
warnings.simplefilter("ignore")
from fits import fits
for name, fit in fits().items():
    fit.run(n_jobs=1).predict(fit.X)
    print("ran", name, flush=True)
"""
GEOMETRY = """
from fuzz_geometry import run_case
for number in range({first}, {last}):
    run_case({seed}, number)
    print("ran", number, flush=True)
"""
UNWRITTEN = """
import numpy as np
from sklearn_cnn import ConvNetClassifier
X = np.empty((40, 8, 8), np.uint8)
ConvNetClassifier(3, max_iter=1, n_jobs=1).fit(X, np.arange(40) % 3)
print("ran", flush=True)
"""


def run(program, **environment):
    """Run a program under memcheck; returns (lines that it has printed, reports with our modules in their stacks)."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.xml")
        command = ["valgrind", "--tool=memcheck", "--xml=yes", f"--xml-file={log}", "--error-limit=no", "--num-callers=16",
                   sys.executable, "-P", "-c", program]  # fmt: skip
        status, output = output_of(command, python_in(FOLDER.parent, PYTHONMALLOC="malloc", **environment))
        lines = [line for line in output.splitlines() if line.startswith("ran")]
        if status != 0:
            raise SystemExit(f"the program itself failed:\n{output[-3000:]}")
        return lines, reports(log)


def reports(log):
    """Yield what memcheck says of our modules, as words."""
    ours = str(FOLDER / "_kernels")
    found = []
    for error in xml.parse(log).iter("error"):
        frames = [(frame.findtext("obj", ""), frame.findtext("fn", "?")) for frame in error.find("stack")]
        if error.findtext("kind").startswith("Leak") or not any(module.startswith(ours) for module, _ in frames[:4]):
            continue
        what = error.findtext("what") or error.findtext("xwhat/text")
        found.append(f"{what}: {' < '.join(f'{name} ({Path(module).name})' for module, name in frames[:6])}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100, help="of random geometry")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("there is no valgrind; on Debian: apt-get install valgrind")
    if not run(UNWRITTEN)[1]:
        raise SystemExit("a fit on memory that nobody has written was not reported")
    print("memory that nobody has written: reported", flush=True)
    found = []
    for level in ("baseline", "x86-64-v3"):
        lines, more = run(FITS, SKLEARN_CNN_KERNELS=level)
        print(f"{level}: {len(lines)} fits, {len(more)} reports", flush=True)
        found += more
    lines, more = run(GEOMETRY.format(first=arguments.first, last=arguments.first + arguments.cases, seed=arguments.seed))
    print(f"seed {arguments.seed}: {len(lines)} geometries, {len(more)} reports")
    print("\n".join(found + more))
    return 1 if found + more else 0


if __name__ == "__main__":
    raise SystemExit(main())
