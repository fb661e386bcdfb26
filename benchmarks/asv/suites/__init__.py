"""What asv runs for each commit. Networks and images are those of the other benchmarks."""

import sys
from pathlib import Path

# At the end of the path: nothing there may hide the package that is installed for a commit.
sys.path.append(str(Path(__file__).resolve().parents[3]))
