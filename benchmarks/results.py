"""The stored results: one JSON file, row by row, so that a run can be split or interrupted."""

import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.contenders import OURS

FOLDER = Path(__file__).resolve().parent / "results"
DEFAULT = FOLDER / "local" / "results.json"
SMOKE = FOLDER / "local" / "smoke.json"
FORMAT = 1


def now():
    """Return the time in UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def read(path):
    """Read stored results; none if there is no such file."""
    if not path.exists():
        return {"format": FORMAT, "rows": {}}
    return json.loads(path.read_text())


def store(path, stored, name, record):
    """Add one row and write the file; every row keeps the machine and the versions it was measured with."""
    record = {**record, "machine": machine.describe(), "versions": machine.versions()}
    stored = {**stored, "rows": {**stored["rows"], name: record}}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(stored, indent=1) + "\n")
    partial.replace(path)
    return stored


def append(path, row):
    """Append a row to a file with one JSON object a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def all_of_ours_ran(records, names):
    """Say whether nothing of our own was missing or failed; a peer may be."""
    for name in names:
        record = records[name]
        if "failed" in record:
            return False
        for entrant in record.get("entrants", {}).values():
            if entrant["contender"].startswith(OURS) and "seconds" not in entrant:
                return False
    return True
