"""Mutation testing of the Python floors: do the tests notice a change that nobody has chosen?

`plant.py` plants mistakes that somebody thought of. Here Cosmic Ray proposes them: every operator, comparison, number, loop and
decorator of the package, replaced by another. There are thousands, so a sample is drawn with a seed, and the share that the
tests notice comes with its interval of 95 % (Wilson 1927, "Probable inference, the law of succession, and statistical
inference").

A change that Python can't compile is none. First all tests run once while coverage.py writes down which test reaches which line.
A change is then shown to the tests that reach its line, quick ones first, until they have taken ``--seconds``; the n-th case of a
function counts as n times as slow, so that many functions have their say. A line that is run at import is shown to all tests
that reach its module. Whatever has failed has to pass on the same copy without the change, or it has noticed nothing.
Annotations are left out: nothing computes with them.

    python tests/mutate.py --build build/mutants --sample 300 --seed 7
    python tests/mutate.py --build build/mutants --only _training/epochs.py:core/NumberReplacer:12        replays one, as printed
"""

import argparse
import ast
import difflib
import json
import math
import os
import random
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from copies import ROOT, Change, copy_with_compiled, run_tests
from plant import failed_tests, failing_without, what_happens

PACKAGE = ROOT / "sklearn_cnn"
JOBS = int(os.environ.get("JOBS", "2"))
#: Files of tests that are shown nothing: the first takes the trace function from coverage.py, the others work in child processes.
LEFT_OUT = (
    "faults", "bounds", "build", "clusters", "endurance", "fuzz_arguments", "fuzz_geometry", "fuzz_onnx", "plant", "starvation",
)  # fmt: skip
LIMIT = 16 * 2**30  # bytes of address space, for changes that ask for more memory than there is


# ----------------------------------------------------------------------------------------------------------------- mutants


@dataclass(frozen=True)
class Mutant:
    """What Cosmic Ray's operator makes of its n-th place in a module."""

    module: str
    operator: str
    occurrence: int
    line: int

    @property
    def name(self):
        return f"{self.module}:{self.operator}:{self.occurrence}"

    def change(self):
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        source = (PACKAGE / self.module).read_text()
        return Change(self.module, source, mutate_code(source, get_operator(self.operator)(), self.occurrence))

    def compiles(self):
        try:
            compile(self.change().new, self.module, "exec")
        except SyntaxError:
            return False
        return True

    def difference(self):
        change = self.change()
        lines = difflib.unified_diff(change.old.splitlines(), change.new.splitlines(), lineterm="", n=0)
        return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def modules():
    return [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]


def annotations(source):
    """Where annotations begin and end, as ((line, column), (line, column))."""
    places = []
    for node in ast.walk(ast.parse(source)):
        for kind in ("annotation", "returns"):
            annotation = getattr(node, kind, None)
            if isinstance(annotation, ast.AST):
                places.append(((annotation.lineno, annotation.col_offset), (annotation.end_lineno, annotation.end_col_offset)))
    return places


def mutants_of(module):
    """All changes that Cosmic Ray knows for a module, but those of annotations."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    source = (PACKAGE / module).read_text()
    left_out, nodes, found = annotations(source), list(ast_nodes(get_ast(source))), []
    for name in sorted(operator_names()):
        operator = get_operator(name)
        if operator.arguments():
            continue  # replaces a variable that its argument names
        places = (place for node in nodes for place in operator().mutation_positions(node))
        for occurrence, (start, _) in enumerate(places):
            if not any(first <= start < last for first, last in left_out):
                found.append(Mutant(module, name, occurrence, start[0]))
    return found


def draw(everything, n, seed):
    """n of these changes, of which Python can compile each; the first of a larger sample are a smaller one."""
    order = random.Random(seed).sample(everything, len(everything))
    return list(islice((mutant for mutant in order if mutant.compiles()), n))


# -------------------------------------------------------------------------------------------------------- who reaches what


class Reach:
    """Which tests reach which line, and how long each takes."""

    def __init__(self, seconds, contexts):
        self.seconds, self.contexts = seconds, contexts

    @classmethod
    def measure(cls, folder):
        """Run all tests under coverage.py; what has been measured of the same sources is read again."""
        import coverage

        copy, data, report = copy_with_compiled(folder / "reach"), folder / "coverage", folder / "tests.xml"
        sources = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").glob("test_*.py")]
        if not data.exists() or data.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            print("which test reaches which line: running all of them under coverage.py", flush=True)
            options = ["--numprocesses", str(JOBS), "-rfE", f"--junitxml={report}"]
            options += ["--cov", str(copy / "sklearn_cnn"), "--cov-context=test", "--cov-report="]
            options += [f"--ignore={ROOT / f'tests/test_{name}.py'}" for name in LEFT_OUT]
            status, output = run_tests(copy, [ROOT / "tests"], options=options, COVERAGE_FILE=str(data))
            failed = failed_tests(output)
            if status not in (0, 1) or any("::" not in name for name in failed):  # not a test: a file, or a whole process
                data.unlink(missing_ok=True)
                raise SystemExit(output[-3000:])
            for test in failed:
                print(f"fails under coverage.py, and is shown nothing: {test}")
        seconds = {}
        for case in xml.parse(report).iter("testcase"):
            if case.find("failure") is None and case.find("error") is None and case.find("skipped") is None:
                seconds[f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"] = float(case.get("time"))
        read = coverage.CoverageData(str(data))
        read.read()
        contexts = {module: read.contexts_by_lineno(str(copy / "sklearn_cnn" / module)) for module in modules()}
        return cls(seconds, contexts)

    def tests_of(self, mutant, budget):
        """The tests to show a change to, in this order."""
        lines = self.contexts[mutant.module]
        reached = {context.split("|")[0] for context in lines.get(mutant.line, []) if context}
        if not reached:  # run at import, if at all
            reached = {context.split("|")[0] for contexts in lines.values() for context in contexts if context}
        of_function = {}
        for test in sorted(reached & self.seconds.keys(), key=lambda test: (self.seconds[test], test)):
            of_function.setdefault(test.split("[")[0], []).append(test)
        turns = [(n * self.seconds[test], test) for tests in of_function.values() for n, test in enumerate(tests, 1)]
        chosen, total = [], 0.0
        for _, test in sorted(turns):
            total += self.seconds[test]
            if chosen and total > budget:
                break
            chosen.append(test)
        return chosen


# -------------------------------------------------------------------------------------------------------------------- runs


def judge(folder, mutants, reach, budget):
    """Show every change to its tests, several at a time, each in a copy of its own; returns who has noticed what."""
    copies = SimpleQueue()
    for number in range(JOBS):
        copies.put(folder / f"copy{number}")

    def judged(mutant):
        own = copies.get()
        try:
            copy, tests = copy_with_compiled(own, [mutant.change()]), reach.tests_of(mutant, budget)
            found = what_happens(copy, tests, 60 + 5 * budget) if tests else []  # without a name pytest would run them all
        finally:
            copies.put(own)
        head = f"{'noticed ' if found else 'SURVIVED'}  {mutant.name}  line {mutant.line}  {(found or [''])[0]}"
        print("\n    ".join([head, *([] if found else mutant.difference())]), flush=True)
        return found

    with ThreadPoolExecutor(JOBS) as pool:
        return dict(zip(mutants, pool.map(judged, mutants), strict=True))


def interval(n_noticed, n):
    """Wilson's interval of 95 % for a share."""
    z, share = 1.959964, n_noticed / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/mutants", help="folder for copies and coverage")
    parser.add_argument("--sample", type=int, default=300, help="how many changes are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60, help="of tests that a change is shown to")
    parser.add_argument("--only", nargs="+", help="these changes alone")
    arguments = parser.parse_args()
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, resource.getrlimit(resource.RLIMIT_AS)[1]))
    folder, started = arguments.build.resolve(), time.monotonic()
    everything = [mutant for module in modules() for mutant in mutants_of(module)]
    if arguments.only:
        mutants = [mutant for mutant in everything if mutant.name in arguments.only]
    else:
        mutants = draw(everything, arguments.sample, arguments.seed)
    if not mutants:
        raise SystemExit(f"no change has the name {arguments.only}")
    print(f"{len(mutants)} of {len(everything)} changes, seed {arguments.seed}", flush=True)
    found = judge(folder, mutants, Reach.measure(folder), arguments.seconds)
    failing = failing_without(copy_with_compiled(folder / "reach"), found)
    for test in sorted(failing):
        print(f"fails without a change, too: {test}")
    survivors = [mutant for mutant, tests in found.items() if not set(tests) - failing]
    (folder / "survivors.json").write_text(json.dumps([mutant.name for mutant in survivors], indent=1))
    n_noticed = len(found) - len(survivors)
    low, high = interval(n_noticed, len(found))
    print(f"{len(found)} changes, {n_noticed} noticed: {n_noticed / len(found):.1%} ({low:.1%} to {high:.1%}), "
          f"{time.monotonic() - started:.0f} s")  # fmt: skip
    for mutant in survivors:
        print(f"survived: {mutant.name}, line {mutant.line}")
    return 1 if failing else 0


if __name__ == "__main__":
    raise SystemExit(main())
