"""What a task costs that does nothing, through joblib on a local Dask cluster.

Two workers of one thread each take the tasks as fast as the scheduler hands them out, and joblib sends every task alone. The
scheduler runs in this process, beside joblib and the client. Its processor time says how many it can hand out; the clock also
waits for the workers, which share the processors. For comparison with the time of a fit: `docs/guide/clusters.rst`.

    python benchmarks/run.py scheduler_cost --tasks 1000
"""

import argparse
import time
from statistics import median

import joblib


def nothing():
    """Do what costs no time, so that what is left is the scheduler's, the workers' and joblib's."""


def milliseconds_of(n_tasks):
    """Time a call of joblib with empty tasks; returns for each milliseconds on the clock, and of this process's processors."""
    begin = time.perf_counter(), time.process_time()
    # without batch_size=1, joblib sends empty tasks together
    joblib.Parallel(batch_size=1)(joblib.delayed(nothing)() for _ in range(n_tasks))
    end = time.perf_counter(), time.process_time()
    return [1000 * (after - before) / n_tasks for before, after in zip(begin, end, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="after one of warming up")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    import distributed

    options = {"n_workers": arguments.workers, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        milliseconds_of(min(arguments.tasks, 100))
        clock, processor = zip(*(milliseconds_of(arguments.tasks) for _ in range(arguments.rounds)), strict=True)
    versions = f"Dask {distributed.__version__}, joblib {joblib.__version__}"
    print(f"{versions}, {arguments.workers} workers, {arguments.tasks} empty tasks")
    for what, values in (("on the clock", clock), ("of the processor", processor)):
        print(f"{median(values):.2f} ms each {what} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
