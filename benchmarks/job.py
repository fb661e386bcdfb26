"""What a contender is given: the problem, read from the file that the supervisor wrote."""

import json
from dataclasses import dataclass, field

import numpy as np

from benchmarks.networks import Network


class NotAvailable(RuntimeError):
    """The contender is installed, but what its mode needs is not there; the message says what."""


@dataclass
class Job:
    """One contender's part in one race.

    Parameters
    ----------
    task : "train", "predict", "latency" or "search"
        What is timed.
    mode : str
        The contender's mode; its module knows what it means.
    n_threads : int
        Number of threads, in a search the number of processes.
    batch_size : int
        Images per step or call.
    network : Network
        Its geometry.
    images : ndarray of shape (n_images, rows, columns, channels), dtype float32
        Standardised images.
    labels : ndarray of shape (n_images,), dtype int64
        Classes from 0 on.
    weights : list of ndarray, dtype float32
        Initial weights and biases by turns, as `networks.initial_weights` makes them.
    search_epochs : int
        Epochs of each fit in a search.
    """

    task: str
    mode: str
    n_threads: int
    batch_size: int
    network: Network
    images: np.ndarray
    labels: np.ndarray
    weights: list
    search_epochs: int
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    @property
    def n_steps(self):
        """Number of full mini-batches in one round."""
        return len(self.images) // self.batch_size

    def order(self):
        """Shuffle: the rows of the next epoch; every contender that asks gets the same orders."""
        return self.random.permutation(len(self.images))

    def batches(self):
        """Shuffle, and iterate over the rows of each mini-batch."""
        order = self.order()
        for step in range(self.n_steps):
            yield order[step * self.batch_size : (step + 1) * self.batch_size]


def write_problem(path, network, images, labels, weights):
    """Store what all contenders of a race share."""
    description = json.dumps({**vars(network)})
    arrays = {f"weights_{number:02d}": array for number, array in enumerate(weights)}
    np.savez(path, description=np.array(description), images=images, labels=labels.astype(np.int64), **arrays)


def read_job(path, *, task, mode, n_threads, batch_size, search_epochs):
    """Read a problem back, as the job of one contender."""
    with np.load(path) as file:
        description = json.loads(str(file["description"]))
        geometry = {name: tuple(value) if isinstance(value, list) else value for name, value in description.items()}
        weights = [file[name] for name in sorted(file.files) if name.startswith("weights_")]
        images, labels = file["images"], file["labels"]
    return Job(task, mode, n_threads, batch_size, Network(**geometry), images, labels, weights, search_epochs)
