"""Python in a process of its own, on a machine that is another or says so."""

import os
import subprocess
import sys
import textwrap


def run_python(code, timeout=120, **environment):
    """Run a script in a process of its own; returns what it prints."""
    path = [os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])]
    result = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def pretend_processors(n, set_attribute=setattr):
    """Whoever asks for the number of processors is told n; before the package is imported, it cannot know better."""
    set_attribute(os, "cpu_count", lambda: n)
    set_attribute(os, "process_cpu_count", lambda: n)
    set_attribute(os, "sched_getaffinity", lambda _: set(range(n)))
    import joblib

    set_attribute(joblib, "cpu_count", lambda *_, **__: n)


def keep_one_processor():
    """Leave this process one processor only, where the system can; then OpenMP and everybody else sees one."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    else:
        pretend_processors(1)
