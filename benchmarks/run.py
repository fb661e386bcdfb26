"""Start a program of this folder from any other folder.

`python benchmarks/run.py` is `python -m benchmarks`, and `python benchmarks/run.py features_cost --rounds 3` is
`python -m benchmarks.features_cost --rounds 3`.
"""

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

if __name__ == "__main__":
    # At the end of the path, and this folder not on it: nothing here may hide an installed package.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != FOLDER]
    sys.path.append(str(FOLDER.parent))
    is_named = len(sys.argv) > 1 and (FOLDER / f"{sys.argv[1].replace('.', '/')}.py").is_file()
    runpy.run_module(f"benchmarks.{sys.argv.pop(1)}" if is_named else "benchmarks", run_name="__main__", alter_sys=True)
