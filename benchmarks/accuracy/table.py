"""Turn stored rows into the tables of the README: one column for each data set, one line for each setting.

    python -m benchmarks.accuracy.table benchmarks/results/accuracy-2026-11-28.jsonl
    python -m benchmarks.accuracy.table rows.jsonl --part test

Where a setting has been run twice on the same data, the later row counts.
"""

import argparse
import json
import sys
from pathlib import Path


def read_rows(files, part):
    """Return the rows of one part by (data, setting)."""
    lines = (json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return {(row["data"], row["setting"]): row for row in lines if row["part"] == part}


def written(row):
    """Write accuracy and spread, and the seconds of the processors for one fit where they were measured."""
    if row is None:
        return ""
    seconds = f", {row['cpu_seconds']:.1f} s" if "cpu_seconds" in row else ""
    return f"{row['mean']:.3f} ± {row['spread']:.3f}{seconds}"


def table(rows):
    """Return the lines of a table in Markdown."""
    data, settings = (list(dict.fromkeys(key[place] for key in rows)) for place in (0, 1))
    yield f"| setting | {' | '.join(data)} |"
    yield "|---" * (1 + len(data)) + "|"
    for setting in settings:
        yield f"| {setting} | {' | '.join(written(rows.get((name, setting))) for name in data)} |"


def main():
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--part", default="held out", help='"held out" (default), "test" or "10 folds"')
    arguments = parser.parse_args()
    print(*table(read_rows(arguments.files, arguments.part)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
