"""Random cases in child processes: each ends as it may, or is a failure with the command that replays it.

A case may end its process, hang, or ask for more memory than there is. So children print the number of every case before it
begins and what became of it, and behind one that has ended before its time the next child goes on.
"""

import argparse
import faulthandler
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

SECONDS_OF_CASE, SECONDS_OF_SILENCE = 10, 240
MOST_MEMORY = 1 << 30  # more than a process has before its first case


def frames_of(error):
    names, trace = [], error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return names


@contextmanager
def alarm(seconds):
    """End a case that takes so much time of the processor; one that waits for ever is silent, and its process ends."""
    def ring(*_):
        raise TimeoutError(f"more than {seconds} s")

    if not hasattr(signal, "SIGPROF"):
        yield
        return
    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def run_cases(draw_case, seed, first, last):
    """Run cases, in this process. draw_case: gets a random stream; returns words for the case, and a call that says what it led
    to."""
    warnings.simplefilter("ignore")
    faulthandler.enable()
    limit_memory()
    for number in range(first, last):
        what, call = draw_case(np.random.default_rng([seed, number]))
        print("case", number, flush=True)
        try:
            with alarm(SECONDS_OF_CASE):
                print("result", call(), flush=True)
        except Exception as error:
            where = frames_of(error)[-1].rsplit("/", 2)[-2:]
            text = f"{what}: {type(error).__name__}: {error!s:.200} in {'/'.join(where)}"
            print("failure", text.replace("\n", " "), flush=True)


def limit_memory():
    """Let allocations that no machine should try fail at once."""
    try:
        import resource
    except ImportError:
        return
    status = Path("/proc/self/status")  # of Linux; elsewhere nobody says it, and a process may have that and 7 GiB
    now = int(status.read_text().split("VmSize:")[1].split()[0]) * 1024 if status.exists() else 7 << 30
    with suppress(ValueError, OSError):  # macOS takes no limit below what a process has mapped already
        resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, now + MOST_MEMORY))


def fuzz(program, seed, n_cases, first=0):
    """Run cases of a program, the path of a file that calls `main`, in child processes.

    Returns
    -------
    counts : Counter
        What became of the cases.
    failures : list of str
        With the command that replays each.
    """
    def replay():
        return f"\n    python tests/{Path(program).name} --seed {seed} --first {number} --cases 1"

    counts, failures, last = Counter(), [], first + n_cases
    while first < last:
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            command = [sys.executable, str(program), "--child", str(seed), str(first), str(last)]
            child = subprocess.Popen(command, stdout=output, stderr=errors)
            code = None
            seen, changed = 0, time.monotonic()
            while code is None:
                try:
                    code = child.wait(1)
                except subprocess.TimeoutExpired:
                    size = output.seek(0, 2)
                    if size != seen:
                        seen, changed = size, time.monotonic()
                    elif time.monotonic() - changed > SECONDS_OF_SILENCE:
                        child.kill()
            output.seek(0)
            number = first - 1
            for line in output.read().splitlines():
                kind, _, text = line.partition(" ")
                if kind == "case":
                    number = int(text)
                elif kind == "result":
                    counts[text] += 1
                elif kind == "failure":
                    failures.append(text + replay())
            if code != 0:
                errors.seek(0)
                failures.append(f"the process ended with {code} in case {number}: {errors.read()[-1500:]}{replay()}")
            first = number + 1 if number >= first else last
    return counts, failures


def all_hold(program, seed, n_cases):
    """Run cases none of which may fail; return what became of them."""
    counts, failures = fuzz(program, seed, n_cases)
    assert not failures, "\n".join(failures)
    assert counts.total() == n_cases
    return counts


def main(program, description, prepare, n_cases=20_000):
    """The command line of a program. prepare: returns `draw_case`; only children call it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=n_cases)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_cases(prepare(), *options.child)
        return
    counts, failures = fuzz(program, options.seed, options.cases, options.first)
    print(f"seed {options.seed}, {options.cases} cases: {dict(counts)}, {len(failures)} failures")
    print(*failures, sep="\n")
    sys.exit(bool(failures))
