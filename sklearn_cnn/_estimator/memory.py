"""Whether this machine has the memory that a network takes, asked before anything of its size is allocated."""

import math
import os

import numpy as np

from sklearn_cnn._network.arena import build_arena, training_memory


def machine_memory():
    """Return the bytes of memory that this machine has; where it does not tell, what no machine has."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**40


def can_predict(plan):
    """Say whether the memory is enough for the prediction of one sample."""
    return 4 * int(build_arena(plan, 1, 1, False)["n_numbers"][0]) + plan.runs.nbytes <= machine_memory()


def check_memory(plan, batch_size, n_threads, dtype, n_kept):
    """Refuse a network that this machine cannot train.

    Parameters
    ----------
    plan : Plan
        The network.
    batch_size : int
        Samples of a mini-batch.
    n_threads : int
        Threads that compute.
    dtype : numpy.float32 or numpy.float64
        Type of all numbers.
    n_kept : int
        Vectors as long as that of the parameters that the fit keeps beside the solver's own.

    Raises
    ------
    ValueError
        Naming the bytes, what takes most of them, and what to do.
    """
    of_what = training_memory(plan, batch_size, n_threads, np.dtype(dtype).itemsize, n_kept)
    n_bytes = sum(of_what.values())
    if n_bytes <= machine_memory():
        return
    most = max(of_what, key=of_what.__getitem__)
    words = {
        "parameters": _of_parameters(plan),
        "samples": _of_samples(plan, batch_size),
        "threads": _of_threads(plan, n_threads),
        "padding": "the tables of the padding. Use a smaller padding, or padding_mode='zeros'.",
    }
    raise ValueError(
        f"Training this network takes {n_bytes:,} bytes, and this machine has {machine_memory():,}. {of_what[most]:,} of them "
        f"are {words[most]}"
    )


def _of_parameters(plan):
    largest = max(plan.blocks, key=lambda block: math.prod(block.shape))
    return (
        f"parameters, their gradient, the solver's moments and copies of them. The largest layer, {plan.layers[largest.layer]}, "
        f"has {math.prod(largest.shape):,} {largest.kind}. Use fewer filters or units, or more pooling before it."
    )


def _of_threads(plan, n_threads):
    largest, _ = max(zip(plan.layers, plan.output_shapes, strict=True), key=lambda pair: math.prod(pair[1]))
    return (
        f"what {n_threads} threads have for themselves. The layer with the largest output is {largest}. Use fewer filters or "
        "units, a smaller n_jobs or smaller images."
    )


def _of_samples(plan, batch_size):
    if plan.statistics_size > 0:
        return (
            f"the values of a mini-batch of {batch_size:,} samples, which batch normalisation needs all at once. Use a smaller "
            "batch_size, or batch_norm=False, which takes up a large mini-batch in slices."
        )
    return "the values of a few samples. Use smaller images, fewer filters or units, or more pooling."
