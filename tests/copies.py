"""Copies of the package: with a mistake in them, or with kernels that are built in another way.

A copy is a folder to put in front of PYTHONPATH. What is installed and what is checked out stay as they are.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import sklearn_cnn
from sklearn_cnn import _kernels

ROOT = Path(__file__).resolve().parent.parent
#: Modules of the kernels that every build needs, whatever its levels.
COMMON = ("_cyutility", "processor")


@dataclass(frozen=True)
class Change:
    """A text of a source file and what stands in its place; the file has the text exactly once, or nothing is changed at all."""

    file: str  # below sklearn_cnn
    old: str
    new: str

    def apply(self, text):
        n = text.count(self.old)
        if n != 1:
            raise SystemExit(f"{self.file} has this text {n} times instead of once; look at it again:\n{self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mistake:
    """A text of a source file, of which the part between « and » is replaced: an expression, or a whole line."""

    file: str  # below sklearn_cnn
    text: str
    new: str

    def _parts(self):
        before, rest = self.text.split("«")
        old, after = rest.split("»")
        if old.endswith("\n"):
            return before, old[:-1], "\n" + after, self.new.removesuffix("\n")
        return before, old, after, self.new

    def change(self):
        """The mistake as it is."""
        before, old, after, new = self._parts()
        return Change(self.file, before + old + after, before + new + after)

    def switched(self, number):
        """The mistake of a kernel, made only where the environment asks for this number, from 1 on."""
        before, old, after, new = self._parts()
        head, newline, indent = before.rpartition("\n")
        if self.file.endswith(".h"):
            both = f"{before}(planted == {number} ? ({new}) : ({old}))"
        elif indent.isspace() and after[:1] in ("", "\n"):
            choice = f"if planted == {number}:", f"    {new}", "else:", f"    {old}"
            both = head + newline + "\n".join(indent + line for line in choice)
        elif re.search(r"\w [-+*]?= ", old):
            raise SystemExit(f"{self.file}: a statement begins its line, and its indentation is part of the text:\n{old}")
        else:
            both = f"{before}(({new}) if planted == {number} else ({old}))"
        return Change(self.file, before + old + after, both + after)


#: Which mistake is made, 0 for none: an environment variable, read when a module is loaded.
SWITCH = "PLANTED"
HEADER = f"""#include <stdlib.h>
static int planted;
__attribute__((constructor)) static void choose_planted(void)
{{
    const char *number = getenv("{SWITCH}");
    planted = number == NULL ? 0 : atoi(number);
}}
"""
KNOWN_TO_CYTHON = Change(
    "_kernels/kernels.pyx",
    'cdef extern from "vectors.h" nogil:\n    ctypedef float real\n',
    'cdef extern from *:\n    int planted\ncdef extern from "vectors.h" nogil:\n    ctypedef float real\n',
)
#: For sanitizers, whose code a compiler that does its utmost takes very long for.
LITTLE_OPTIMISED = Change("_kernels/meson.build", "'-O3', ", "'-O1', ")


def write(path, content):
    """Write a file where its content is another: the time of a file that stays the same says so to ninja."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copy_sources(folder, changes=()):
    """Bring a folder to the state of the sources, with these changes."""
    package = ROOT / "sklearn_cnn"
    ours = [ROOT / "meson.build", ROOT / "meson.options"]
    ours += [path for path in package.rglob("*") if path.is_file() and path.suffix not in {".so", ".pyc"}]
    contents = {path.relative_to(ROOT): path.read_bytes() for path in ours}
    for change in changes:
        path = Path("sklearn_cnn", change.file)
        contents[path] = change.apply(contents[path].decode()).encode()
    for path, content in contents.items():
        write(folder / path, content)
    for path in (folder / "sklearn_cnn").rglob("*"):
        if path.is_file() and path.suffix not in {".so", ".pyc"} and path.relative_to(folder) not in contents:
            path.unlink()


def copy_with_compiled(folder, changes=()):
    """Like `copy_sources`, with the compiled modules of the installation that runs this."""
    copy_sources(folder, changes)
    for path in Path(sklearn_cnn.__file__).parent.glob("_kernels/*.so"):
        target = folder / "sklearn_cnn/_kernels" / path.name
        if not target.exists() or target.stat().st_mtime_ns != path.stat().st_mtime_ns:
            shutil.copy2(path, target)
    return folder


def build(folder, *, mistakes=(), changes=(), options=(), levels, compiler=None):
    """Build kernels from a copy of the sources; what has not changed since the last time is not built again.

    All mistakes are built in, each behind its switch, from number 1 on. The environment variable JOBS says how many compilers may
    run at once.

    Returns
    -------
    Path
        The copy, with those compiled modules and no others.
    """
    source, objects, header = folder / "source", folder / "objects", folder / "planted.h"
    switched = [mistake.switched(number) for number, mistake in enumerate(mistakes, 1)]
    copy_sources(source, [*changes, KNOWN_TO_CYTHON, *switched])
    write(header, HEADER.encode())
    tools = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    environment = {**os.environ, **tools, **({"CC": compiler} if compiler else {})}
    if not (objects / "build.ninja").exists():
        command = ["meson", "setup", str(objects), str(source), "--buildtype=release", f"-Dc_args=-include {header}", *options]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    modules = [*COMMON, *sorted({_kernels.module_name(dtype, level) for dtype in ("float32", "float64") for level in levels})]
    targets = subprocess.run(["ninja", "-C", str(objects), "-t", "targets", "all"],
                             env=environment, check=True, capture_output=True, text=True).stdout.splitlines()  # fmt: skip
    names = [line.split(":")[0] for line in targets]
    wanted = [name for name in names if name.endswith(".so") and Path(name).name.split(".")[0] in modules]
    if len(wanted) != len(modules):
        raise SystemExit(f"the build knows {wanted}, and {modules} were asked for")
    print(f"building {', '.join(modules)} in {folder}", flush=True)
    jobs = ["-j", os.environ["JOBS"]] if "JOBS" in os.environ else []
    built = subprocess.run(["ninja", "-C", str(objects), *jobs, *wanted],
                           env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    if built.returncode != 0:
        raise SystemExit(f"the kernels could not be built:\n{built.stdout}")
    for path in (source / "sklearn_cnn/_kernels").glob("*.so"):
        path.unlink()
    for name in wanted:
        shutil.copy2(objects / name, source / "sklearn_cnn/_kernels")
    return source


def python_in(folder, **more):
    """Return the environment of a process that imports a copy."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "tests")]), **more}


def output_of(command, environment, **options):
    """Run a program; returns (status, all that it says)."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    finished = subprocess.run(command, env=environment, check=False, **pipes, **options)
    return finished.returncode, finished.stdout


def run_tests(folder, tests, *, options=(), python=sys.executable, timeout=None, **environment):
    """Run pytest on a copy; returns (status, output). Status 1 is that of tests that failed."""
    command = [python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *options, *map(str, tests)]
    return output_of(command, python_in(folder, **environment), cwd=ROOT, timeout=timeout)


def failures_of(folder, tests, *, label="", options=(), **environment):
    """Run files of tests one after another, each with a line that says how it went; returns what those that failed have said."""
    failures = []
    for test in tests:
        status, output = run_tests(folder, [test], options=options, **environment)
        print(f"{label}{test}: {(output.splitlines() or [''])[-1]}", flush=True)
        if status != 0:
            failures.append(f"{label}{test}:\n{output[-6000:]}")
    return failures
