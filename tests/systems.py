"""Every C source of the package, compiled for systems that are not at hand: macOS on both of its processors, and Windows.

The compiler is Zig's, which brings the headers of all of them (`pip install ziglang`). Meson sets up the build as it would
there; then each of its commands makes an object. Nothing is linked and nothing runs. Python's headers are this system's. For
Windows what `pyconfig.h` says there of sizes, and of what there is, is included first, and this system's file then leaves itself
out.

    python tests/systems.py --build build/systems
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AS_COMPILER = "--as-compiler"
#: Zig's name of a target -> Meson's of the system and of the processor
TARGETS = {
    "x86_64-macos": ("darwin", "x86_64"),
    "aarch64-macos": ("darwin", "aarch64"),
    "x86_64-windows-gnu": ("windows", "x86_64"),
}
CROSS_FILE = """[binaries]
c = {compiler}
cython = {cython!r}

[host_machine]
system = {system!r}
cpu_family = {processor!r}
cpu = {processor!r}
endian = 'little'
"""
WINDOWS = """#define Py_PYCONFIG_H
#define MS_WIN32
#define MS_WIN64
#define MS_WINDOWS
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_FPOS_T 8
#define SIZEOF_PID_T 4
#define SIZEOF_HKEY 8
#define SIZEOF_WCHAR_T 2
#define ALIGNOF_MAX_ALIGN_T 8
#define ALIGNOF_SIZE_T 8
#define HAVE_STDDEF_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_WCHAR_H 1
#define HAVE_DECL_ISFINITE 1
#define HAVE_DECL_ISINF 1
#define HAVE_DECL_ISNAN 1
#define PY_SUPPORT_TIER 1
#define Py_NO_ENABLE_SHARED 1
#define WITH_THREAD 1
#define WITH_DOC_STRINGS 1
#define NT_THREADS 1
"""


def compile_one(arguments):
    """Be the compiler: Zig's, which writes the levels of x86-64 in its own way."""
    arguments = [argument.replace("-march=x86-64-", "-march=x86_64_") for argument in arguments]
    return subprocess.run([sys.executable, "-m", "ziglang", "cc", *arguments], check=False).returncode


def set_up(folder, target):
    """Have Meson write the commands of a build for a target, and have the C sources made; returns its folder."""
    system, processor = TARGETS[target]
    folder.mkdir(parents=True, exist_ok=True)
    cython = str(Path(sys.executable).parent / "cython")
    cross_file, objects = folder / "zig.ini", folder / "objects"
    (folder / "windows.h").write_text(WINDOWS)
    compiler = [sys.executable, str(Path(__file__).resolve()), AS_COMPILER, "-target", target]
    compiler += ["-include", str(folder / "windows.h")] if system == "windows" else []
    cross_file.write_text(CROSS_FILE.format(compiler=compiler, cython=cython, system=system, processor=processor))
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    run = {"env": environment, "cwd": folder, "check": True, "capture_output": True, "text": True}
    if not (objects / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(objects), str(ROOT), "--buildtype=release", f"--cross-file={cross_file}"], **run)
    known = subprocess.run(["ninja", "-C", str(objects), "-t", "targets", "all"], **run).stdout.splitlines()
    sources = [line.split(":")[0] for line in known if line.split(":")[0].endswith(".c")]
    subprocess.run(["ninja", "-C", str(objects), *sources], **run)
    return objects


def compile_all(folder, target, optimisation):
    """Run the command of every object, little optimised; returns how many there are."""
    objects = set_up(folder, target)
    commands = json.loads((objects / "compile_commands.json").read_text())
    commands = [entry for entry in commands if entry["file"].endswith(".c")]
    for entry in commands:
        command = [*shlex.split(entry["command"]), optimisation]
        Path(entry["directory"], entry["output"]).parent.mkdir(parents=True, exist_ok=True)
        finished = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            raise SystemExit(f"{target}: {entry['output']}\n{finished.stderr[-6000:]}")
        print(f"{target}: {Path(entry['output']).parent.name}", flush=True)
    return len(commands)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder that is built in")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--optimisation", default="-O1", help="after the build's own, which takes several times as long")
    arguments = parser.parse_args()
    for target in arguments.targets:
        n_objects = compile_all(arguments.build.resolve() / target, target, arguments.optimisation)
        print(f"{target}: {n_objects} objects", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_COMPILER]:
        raise SystemExit(compile_one(sys.argv[2:]))
    main()
