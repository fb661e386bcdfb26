"""The outside of a contender's process: starts it, stops its clockwork between its rounds, and ends it."""

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@lru_cache(maxsize=1)
def _folder_of_this_package():
    """Return a folder that holds a link to this package and nothing else.

    Where the package lies, the sources of sklearn_cnn lie too, without their compiled modules: they must not be found.
    """
    folder = tempfile.TemporaryDirectory(prefix="benchmarks-")
    atexit.register(folder.cleanup)
    os.symlink(ROOT / "benchmarks", Path(folder.name) / "benchmarks")
    return folder.name


class ContenderFailed(RuntimeError):
    """A contender's process ended, raised or took too long; the message is for the table."""


def command(python, module, *arguments):
    """Return the command that runs `main` of a module of this package in another interpreter."""
    code = f"import sys; sys.path.append({_folder_of_this_package()!r}); from {module} import main; main()"
    return [python, "-P", "-c", code, *arguments]


def python_for(module, interpreters):
    """Return the interpreter for a peer's module: its own, the one for all (key ""), or this one."""
    return interpreters.get(module) or interpreters.get("") or sys.executable


def run_module(settings, module, *arguments):
    """Run a module of this package in a fresh process of our own interpreter; return what it prints last, read as JSON."""
    python = python_for("ours", settings.interpreters)
    done = subprocess.run(command(python, module, *arguments), capture_output=True, text=True, check=False)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode:
        return {"failed": lines[-1] if lines else f"ended with code {done.returncode}"}
    return json.loads(lines[-1])


class Worker:
    """One contender in its own process, in a process group of its own, frozen unless it is asked for something."""

    def __init__(self, python):
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            command(python, "benchmarks.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
        )
        self.received = b""

    def send(self, request):
        """Send one line."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ContenderFailed(self._last_words()) from None

    def receive(self, timeout):
        """Wait for one line; a contender that is late or has ended has failed."""
        stream = self.process.stdout.fileno()
        while b"\n" not in self.received:
            ready, _, _ = select.select([stream], [], [], timeout)
            if not ready:
                raise ContenderFailed(f"no answer within {timeout:.0f} s")
            block = os.read(stream, 1 << 20)
            if not block:
                raise ContenderFailed(self._last_words())
            self.received += block
        line, self.received = self.received.split(b"\n", 1)
        return json.loads(line)

    def round(self, timeout):
        """Let the contender do one round while all others stand still."""
        self._signal(signal.SIGCONT)
        self.send({"command": "round"})
        answer = self.receive(timeout)
        self.freeze()
        return answer

    def freeze(self):
        """Stop every thread of the process: waiting threads of some libraries spin, and would take time from the others."""
        self._signal(signal.SIGSTOP)

    def close(self):
        """End the process and all it started."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _last_words(self):
        self.process.wait()
        self.log.seek(0)
        lines = [line for line in self.log.read().decode(errors="replace").splitlines() if line.strip()]
        return f"ended with code {self.process.returncode}: {lines[-1] if lines else 'nothing said'}"
