"""Print how much of a training step threads cannot share, and what follows for many: `python -m benchmarks.serial_share`.

Networks are trained on one thread, and the kernels time their parallel regions by the clock. What is left of a step is serial:
Python, the boundary, the loss, weights in another order, short sums. A region of p pieces takes n threads as long as one thread
takes for the largest number of pieces that one of them gets, ceil(p / n). So a step on n threads takes

    serial + sum over regions of (seconds on one thread) * ceil(p / n) / p

which leaves out what it takes to start a region and what threads cost each other in caches and memory. p is the mean of all
regions of a kind. With two threads the reckoned speed stands beside the measured one. Nothing else may run.
"""

import argparse
import math
import statistics
import sys
import time
from datetime import date

CASES = ("A", 32), ("A", 128), ("B", 64), ("B", 128), ("C", 32), ("L", 32)
N_IMAGES = 6400


def epoch_of(name, batch_size, n_threads, n_images):
    """Return a function that trains for an epoch on so many threads, and the steps of one."""
    from benchmarks.images import SOURCES, standardised
    from benchmarks.job import Job
    from benchmarks.networks import NETWORKS, initial_weights
    from benchmarks.peers import ours

    network = NETWORKS[name]
    images, labels, _ = SOURCES[name](n_images)
    job = Job("train", "trainer", n_threads, batch_size, network, standardised(images), labels, initial_weights(network), 0)
    return ours.prepare(job), job.n_steps


def timed(epoch, n_steps, kernels):
    """Train for an epoch on one thread; return the seconds of a step, and the regions of one with their seconds and pieces."""
    kernels.time_regions(True)
    kernels.take_region_times()
    started = time.perf_counter()
    epoch()
    seconds = (time.perf_counter() - started) / n_steps
    kernels.time_regions(False)
    regions = kernels.take_region_times()
    return seconds, {
        name: {"seconds": record["seconds"] / n_steps, "pieces": record["pieces"] / record["calls"]}
        for name, record in regions.items()
    }


def reckoned(serial, regions, n_threads):
    """Return the seconds of a step on so many threads, of which some are serial."""
    return serial + sum(
        region["seconds"] * math.ceil(region["pieces"] / n_threads) / max(1.0, region["pieces"]) for region in regions.values()
    )


def measure(name, batch_size, n_images, n_rounds):
    """Return one row: medians of seconds of a step, and how many times as fast threads are, reckoned and measured."""
    from sklearn_cnn import _kernels

    kernels = _kernels.kernels()
    epochs = {n: epoch_of(name, batch_size, n, n_images) for n in (1, 2)}
    rounds, ratios = [], []
    for i in range(1 + n_rounds):
        row, by_clock = timed(*epochs[1], kernels), {}
        for n in (1, 2) if i % 2 == 0 else (2, 1):
            started = time.perf_counter()
            epochs[n][0]()
            by_clock[n] = time.perf_counter() - started
        if i > 0:
            rounds.append(row)
            ratios.append(by_clock[1] / by_clock[2])
    seconds, regions = sorted(rounds, key=lambda row: row[0])[len(rounds) // 2]
    serial = seconds - sum(region["seconds"] for region in regions.values())
    return {
        "seconds": seconds, "serial": serial, "regions": regions, "two": statistics.median(ratios),
        **{n: seconds / reckoned(serial, regions, n) for n in (2, 4, 8, 16)},
    }  # fmt: skip


def main(arguments=None):
    """Measure and print the table."""
    from benchmarks.machine import describe, versions
    from sklearn_cnn import _kernels

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=N_IMAGES, help="images of an epoch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", nargs="+", help="these alone, for example A-128")
    options = parser.parse_args(arguments)
    level, version = _kernels.default_level(), versions()["sklearn_cnn"]
    print(f"{describe()['processor']}, {level}, {date.today():%d %B %Y}, sklearn_cnn {version}")
    print("network, mini-batch   us a step    serial   share  | times as fast on   2 (measured)      4      8     16")
    for name, batch_size in CASES:
        if options.networks is None or f"{name}-{batch_size}" in options.networks:
            row = measure(name, batch_size, options.images, options.rounds)
            microseconds, serial = 1e6 * row["seconds"], 1e6 * row["serial"]
            print(
                f"{name}, {batch_size:<17d} {microseconds:10.1f} {serial:9.1f} {serial / microseconds:7.1%}  |"
                f"                  {row[2]:5.2f} ({row['two']:.2f})   {row[4]:6.2f} {row[8]:6.2f} {row[16]:6.2f}",
                flush=True,
            )
            for region, record in row["regions"].items():
                print(f"    {region:20s} {1e6 * record['seconds']:10.1f} us, {record['pieces']:.1f} pieces", flush=True)


if __name__ == "__main__":
    sys.exit(main())
