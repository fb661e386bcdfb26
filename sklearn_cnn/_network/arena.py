"""How the memory of a mini-batch is divided: one block of numbers, cut up by the `Arena` record."""

from functools import lru_cache

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network.algorithms import ALIGNMENT, aligned
from sklearn_cnn._network.records import dtype_of

MAXIMUM_CHUNKS = 16  # gradient chunks of a mini-batch: enough to share out among threads, few enough to sum
CHUNK_WORK = 2_000_000  # multiply-adds that are worth a chunk
SUM_WORK = 256  # and those that are worth a number of its gradient, which is zeroed, added to and summed up
UNDISPUTED_CHUNKS = 8  # so many are made whatever it costs to sum them up, for as many threads
CHUNK_NUMBERS = 1 << 24  # numbers that all chunk gradients together may have
PREDICTION_CHUNK = 8  # samples of a chunk that only predicts; fewer, where threads would have nothing to do
PREDICTION_SAMPLES, PREDICTION_NUMBERS = 1024, 1 << 22  # of one call that predicts
SLICE_NUMBERS = 1 << 26  # numbers of the samples that are trained on at once: some thousand small images
TOGETHER_SAMPLES, TOGETHER_NUMBERS = 8, 1 << 15  # samples that go from layer to layer together: their values stay in the cache
TOGETHER_LOCAL = 256  # samples for which the weights of a locally connected block are read once


@lru_cache(maxsize=256)
def prediction_capacity(plan, n_samples, n_threads):
    """Return how many samples to run in one call: a power of two.

    Its workspace is a few megabytes, or one or two images for each thread where images are too large for that.
    """
    fitting = min(PREDICTION_SAMPLES, PREDICTION_NUMBERS // max(1, plan.totals["values"] + plan.totals["kept"]))
    largest = max(1 << (max(1, fitting).bit_length() - 1), _power_of_two(n_threads))
    return min(_power_of_two(n_samples), largest)


def _power_of_two(n):
    """Round up to a power of two."""
    return 1 << (max(1, n) - 1).bit_length()


def slice_size(plan, n_samples):
    """Return how many samples to take forward and backward at once, in slices as equal as possible.

    It follows from the network alone, so that a sum over slices has the same bits on every machine. The memory of a slice is
    bounded, unless a single sample takes more.
    """
    totals = plan.totals
    numbers = 2 * totals["values"] + totals["kept"] + totals["kept_gradients"] + totals["positions"] // 4
    n_slices = -(-n_samples // max(1, SLICE_NUMBERS // numbers))
    return -(-n_samples // max(1, n_slices))


def training_capacity(plan, batch_size):
    """Return how many samples of a mini-batch to train on at once; a normalisation needs the moments of all."""
    return batch_size if plan.statistics_size > 0 else slice_size(plan, batch_size)


@lru_cache(maxsize=256)
def build_arena(plan, capacity, n_threads, training):
    """Divide one block of numbers among the areas of a workspace.

    Parameters
    ----------
    plan : Plan

    capacity : int
        Samples there is room for.

    n_threads : int
        Threads that get a scratch of their own.

    training : bool
        Whether there is room for gradients.

    Returns
    -------
    ndarray of one `Arena` record
        ``n_numbers`` is the size of the block, ``n_positions * capacity`` the bytes for positions of maxima.
    """
    totals = plan.totals
    kept_gradients = totals["kept_gradients"] if training else 0
    n_together = _n_together(plan, capacity)
    in_scratch = _areas_of_scratch(plan, training)
    in_scratch["last_call_at"] = in_scratch["in_scratch_at"] + aligned(n_together * totals["in_scratch"])
    arena = np.zeros(1, dtype=dtype_of("arena"))
    fields = {
        "capacity": capacity,
        "n_threads": n_threads,
        "n_chunks": _n_chunks(plan, capacity, training),
        "n_together": n_together,
        "n_layers": len(plan.records),
        "n_shared": totals["shared"],
        "n_parameters": plan.parameter_size,
        "n_statistics": plan.statistics_size,
        "n_values": totals["values"],
        "n_kept": totals["kept"] + kept_gradients,
        "n_positions": totals["positions"],
        "n_scratch": in_scratch["last_call_at"] + ALIGNMENT,
        **in_scratch,
        "n_flipped": totals["flipped"],
        "n_sums": totals["sums"],
        "n_inputs": plan.n_inputs,
        "n_outputs": plan.n_outputs,
        "work": totals["work"],
    }
    at = 0
    for name, size in (
        ("values_at", totals["values"] * capacity),
        ("gradients_at", totals["values"] * capacity if training else 0),
        ("kept_at", totals["kept"] * capacity),
        ("kept_gradients_at", kept_gradients * capacity),
        ("scratch_at", fields["n_scratch"] * n_threads),
        ("flipped_at", totals["flipped"] if training else 0),
        ("transformed_at", totals["transformed"]),
        ("remembered_at", 0 if training else totals["remembered"]),
        ("chunk_gradients_at", totals["shared"] * fields["n_chunks"] if training else 0),
        ("factors_at", totals["factors"]),
        ("sums_at", 2 * totals["sums"] * fields["n_chunks"] if training else 0),  # of eight bytes, whatever a number has
    ):
        fields[name] = at if name != ("remembered_at" if training else "gradients_at") else -1
        at += aligned(size)
    fields["n_numbers"] = at
    for name, value in fields.items():
        arena[name] = value
    arena.flags.writeable = False
    return arena


def training_memory(plan, batch_size, n_threads, itemsize, n_kept=0):
    """Count the bytes that training allocates, with numbers of itemsize bytes.

    Parameters
    ----------
    plan : Plan

    batch_size, n_threads, itemsize : int

    n_kept : int, default=0
        Vectors as long as that of the parameters that whoever trains keeps beside.

    Returns
    -------
    dict
        "parameters": the parameters, their gradient, the solver's moments and what is kept of them; "samples": what the
        backward pass needs of a slice of the mini-batch; "threads": scratch of each thread, and chunks of gradients; "padding":
        the tables of copies.
    """
    capacity = training_capacity(plan, batch_size)
    arena = build_arena(plan, capacity, n_threads, True)[0]
    n_vectors = n_kept + (4 if capacity == batch_size else 5)  # a slice has a gradient of its own
    of_samples = (2 * int(arena["n_values"]) + int(arena["n_kept"])) * capacity
    return {
        "parameters": itemsize * n_vectors * plan.parameter_size,
        "samples": itemsize * of_samples + int(arena["n_positions"]) * capacity,
        "threads": itemsize * (int(arena["n_numbers"]) - of_samples),
        "padding": plan.runs.nbytes,
    }


def _areas_of_scratch(plan, training):
    """Where the areas of one thread's scratch begin, but for the padded images, which are its beginning.

    Forward's maps and backward's frames are never needed at once. The values that go from layer to layer together come last.
    """
    totals = plan.totals
    band_at = frames_at = totals["padded"]
    d_padded_at = frames_at + totals["frames"]
    entries_at = d_padded_at + totals["d_padded"]
    size = band_at + totals["band"]
    if training:
        augmented = 2 * plan.n_inputs + plan.input_shape[2]
        size = max(size, entries_at + totals["entries"], band_at + totals["panel"], band_at + augmented)
    return {
        "band_at": band_at,
        "frames_at": frames_at if training else -1,
        "d_padded_at": d_padded_at if training else -1,
        "entries_at": entries_at if training else -1,
        "in_scratch_at": aligned(size + ALIGNMENT),
    }


def _n_together(plan, capacity):
    if (plan.records["kind"] == _kernels.kernels().LOCAL).any():
        return min(capacity, TOGETHER_LOCAL)  # each position's weights are read once for all samples: the more, the better
    return max(1, min(TOGETHER_SAMPLES, TOGETHER_NUMBERS // plan.n_inputs))


def _n_chunks(plan, capacity, training):
    if not training:
        return -(-capacity // PREDICTION_CHUNK)
    work, shared = capacity * plan.totals["work"], max(1, plan.totals["shared"])
    by_work = 3 * work // CHUNK_WORK
    by_sums = max(UNDISPUTED_CHUNKS, work // (SUM_WORK * shared))
    by_memory = CHUNK_NUMBERS // shared
    n_chunks = max(1, min(MAXIMUM_CHUNKS, by_work, by_sums, by_memory, capacity))
    return 1 << (n_chunks.bit_length() - 1)  # a power of two: two, four or eight threads have as many each
