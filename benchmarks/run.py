"""Start the benchmarks from any folder: `python benchmarks/run.py` is `python -m benchmarks`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # At the end of the path, and this folder not on it: nothing here may hide an installed package.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from benchmarks.__main__ import main

    sys.exit(main())
