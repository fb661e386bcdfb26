"""Train one network on one thread, over and over, for a profiler: `perf record python -m benchmarks.steps C 32 20`.

The arguments are the network, the batch size and the seconds it is to take. Only the compiled step runs, as in the line
"trainer".
"""

import sys
import time

from benchmarks.images import SOURCES, standardised
from benchmarks.job import Job
from benchmarks.networks import NETWORKS, initial_weights
from benchmarks.peers import ours

N_IMAGES = 6400


def main():
    """Train, and print the mean time of a step."""
    name, batch_size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    network = NETWORKS[name]
    images, labels, _ = SOURCES[name](N_IMAGES)
    job = Job("train", "trainer", 1, batch_size, network, standardised(images), labels, initial_weights(network), 0)
    epoch, n_epochs, started = ours.prepare(job), 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        epoch()
        n_epochs += 1
    print(f"{(time.perf_counter() - started) / (n_epochs * job.n_steps) * 1e6:.1f} us a step")


if __name__ == "__main__":
    main()
