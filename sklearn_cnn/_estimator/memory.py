"""Whether this machine has the memory that a network takes, asked before anything of its size is allocated."""

import math
import os

from sklearn_cnn._network.arena import build_arena


def machine_memory():
    """Return the bytes of memory that this machine has; where it does not tell, what no machine has."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**40


def can_predict(plan):
    """Say whether the memory is enough for the prediction of one sample."""
    return 4 * int(build_arena(plan, 1, 1, False)["n_numbers"][0]) <= machine_memory()


def check_memory(plan):
    """Refuse a network that this machine cannot train.

    Parameters
    ----------
    plan : Plan
        The network.

    Raises
    ------
    ValueError
        Naming the largest layer and the bytes.
    """
    n_bytes = 4 * plan.parameter_size * 4  # parameters, gradient and two moments in float32
    if n_bytes > machine_memory():
        largest = max(plan.blocks, key=lambda block: math.prod(block.shape))
        layer = plan.layers[largest.layer]
        raise ValueError(
            f"Training this network takes at least {n_bytes:,} bytes, and this machine has {machine_memory():,}. Layer "
            f"{largest.layer + 1}, {layer}, alone has {math.prod(largest.shape):,} {largest.kind}. Use fewer filters or units, "
            "or more pooling before it."
        )
