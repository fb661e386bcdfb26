"""Small C files of this folder, compiled when they are wanted."""

import ctypes
import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path


class NoCompiler(RuntimeError):
    """A C file could not be compiled."""


def compiled(name, *options):
    """Compile a C file of this folder with the options of a compiler; return the loaded library."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "loops.so"
        command = [compiler, "-std=gnu11", "-O3", *options, "-shared", "-fPIC", "-pthread", str(Path(__file__).with_name(name)),
                   "-o", str(library)]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise NoCompiler(f"no C compiler for {name}: {error}") from None
        if done.returncode:
            raise NoCompiler(f"{name} could not be compiled: {done.stderr.strip().splitlines()[-1]}")
        return ctypes.CDLL(str(library))
