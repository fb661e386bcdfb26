"""Mistakes that the tests have to notice: each is planted in a copy of the package, and the tests that ought to notice it are
run.

`planted/floors.py` and `planted/kernels.py` are the tables. A mistake in the Python floors is put into the text of a copy.
Those of the kernels are all built into one copy, each behind a switch that an environment variable sets, so that a compiler
runs once and not a hundred times. Whatever has failed has to pass on the same copy without the mistake, or it has noticed
nothing. A text that the sources no longer have ends the run before it begins: the row of the table has to be looked at again.

    python tests/plant.py --build build/planted
    python tests/plant.py --build build/planted --names "patience ends one epoch late"
    python tests/plant.py --check                                      are all texts still there?
"""

import argparse
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from copies import ROOT, SWITCH, Mistake, build, copy_with_compiled, run_tests
from planted import floors, kernels

SECONDS = 400  # that the tests of one mistake may take; a loop without end is noticed, too


@dataclass(frozen=True)
class Planted(Mistake):
    """A row of a table: a mistake with a name and tests that ought to notice it."""

    name: str
    tests: str

    def test_files(self):
        return [ROOT / f"tests/test_{name}.py" for name in self.tests.split()]


def in_floors():
    return [Planted(file, text, new, name, tests) for name, file, text, new, tests in floors.MISTAKES]


def in_kernels():
    return [Planted(f"_kernels/{file}", text, new, name, tests) for name, file, text, new, tests in kernels.MISTAKES]


def check_texts(mistakes):
    """Refuse a table whose texts are no longer those of the sources."""
    gone = []
    for mistake in mistakes:
        change = mistake.change()
        n = (ROOT / "sklearn_cnn" / change.file).read_text().count(change.old)
        if n != 1:
            gone.append(f"{change.file} has the text of {mistake.name!r} {n} times instead of once:\n{change.old}")
    names = [mistake.name for mistake in mistakes]
    gone += [f"the name {name!r} stands twice" for name in {name for name in names if names.count(name) > 1}]
    changes = [(mistake.name, mistake.switched(number)) for number, mistake in enumerate(in_kernels(), 1)]
    together = {change.file: (ROOT / "sklearn_cnn" / change.file).read_text() for _, change in changes}
    for name, change in changes if not gone else ():
        if together[change.file].count(change.old) == 1:
            together[change.file] = change.apply(together[change.file])
        else:
            gone.append(f"{change.file}: {name!r} stands where another mistake does; all of them are built at once")
    gone += [f"{path} is no file" for mistake in mistakes for path in mistake.test_files() if not path.is_file()]
    if gone:
        raise SystemExit("\n\n".join(gone))


def failed_tests(output):
    return re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", output, flags=re.MULTILINE)


def what_happens(copy, tests, seconds, **environment):
    """Run tests up to the first that fails; return that, or what else has happened, or nothing."""
    try:
        status, output = run_tests(copy, tests, options=["-x", "-rfE"], timeout=seconds, **environment)
    except subprocess.TimeoutExpired:
        return [f"nothing came back within {seconds} s"]
    if status == 0:
        return []
    return failed_tests(output) or [f"the process ended with {status}"]


def noticed_by(copy, mistake, **environment):
    """Return the tests that fail, or what else has happened; nothing if nobody has noticed."""
    return what_happens(copy, mistake.test_files(), SECONDS, **environment)


def failing_without(copy, found, **environment):
    """Return which of the tests that have noticed something fail on a copy without a mistake, too."""
    real = sorted({test for tests in found.values() for test in tests if test.startswith("tests/")})
    failed = []
    for first in range(0, len(real), 200):
        _, output = run_tests(copy, real[first : first + 200], options=["-rfE"], **environment)
        failed += failed_tests(output)
    return set(failed)


def report(name, found):
    print(f"{'noticed ' if found else 'SURVIVED'}  {name}  {found[0] if found else ''}", flush=True)


def plant_in_floors(folder, mistakes):
    found = {}
    for mistake in mistakes:
        copy = copy_with_compiled(folder, [mistake.change()])
        found[mistake.name] = noticed_by(copy, mistake)
        report(mistake.name, found[mistake.name])
    failing = failing_without(copy_with_compiled(folder), found)
    return found, failing


def plant_in_kernels(folder, mistakes):
    """Build all that the table has, whatever is asked for, so that the build is the same every time."""
    numbers = {mistake.name: number for number, mistake in enumerate(in_kernels(), 1)}
    copy = build(folder, mistakes=in_kernels(), levels=["baseline"])
    found = {}
    for mistake in mistakes:
        found[mistake.name] = noticed_by(copy, mistake, **{SWITCH: str(numbers[mistake.name])})
        report(mistake.name, found[mistake.name])
    failing = failing_without(copy, found, **{SWITCH: "0"})
    return found, failing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/planted", help="folder for the copies")
    parser.add_argument("--only", choices=("floors", "kernels"))
    parser.add_argument("--names", nargs="+", help="these mistakes alone")
    parser.add_argument("--check", action="store_true", help="only look whether the sources still have all texts")
    arguments = parser.parse_args()
    check_texts(in_floors() + in_kernels())
    if arguments.check:
        return 0
    started, found, failing = time.monotonic(), {}, set()
    for kind, all_mistakes, plant in (("floors", in_floors(), plant_in_floors), ("kernels", in_kernels(), plant_in_kernels)):
        mistakes = [mistake for mistake in all_mistakes if arguments.names is None or mistake.name in arguments.names]
        if mistakes and arguments.only in (None, kind):
            more, also = plant(arguments.build.resolve() / kind, mistakes)
            found, failing = found | more, failing | also
    survivors = [name for name, tests in found.items() if not set(tests) - failing]
    for test in sorted(failing):
        print(f"fails without a mistake, too: {test}")
    print(f"{len(found)} planted, {len(found) - len(survivors)} noticed, {time.monotonic() - started:.0f} s")
    for name in survivors:
        print(f"survived: {name}")
    return 1 if survivors or failing else 0


if __name__ == "__main__":
    raise SystemExit(main())
