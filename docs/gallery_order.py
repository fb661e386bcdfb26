"""How the gallery runs: examples in the order of the guide, not of the alphabet, each with the memory of a new process."""

import ctypes
import gc
from pathlib import Path

ORDER = (
    "weight_sharing",
    "duality",
    "padding",
    "stride",
    "equivariance",
    "invariance",
    "learned_filters",
    "augmentation",
    "normalisation_and_dropout",
    "mnist1d",
    "regression",
    "features",
    "grid_search",
    "halving",
    "larger_than_memory",
    "serving",
    "clusters",
)


class TeachingOrder:
    """Sort key of a file name; Sphinx-Gallery makes one of these per folder."""

    def __init__(self, source_folder):
        self.source_folder = source_folder

    def __call__(self, name):
        """Return the place of plot_<word>.py or <word>.py; new examples stand at the end."""
        word = name.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(word) if word in ORDER else len(ORDER), name)

    def __repr__(self):
        """Stand in Sphinx's record of the configuration, which must not change from run to run."""
        return "TeachingOrder"


def forget_memory(gallery_conf, name):
    """Give back what the example before has left, and forget its peak, where the system can: one example measures its own."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if Path("/proc/self/clear_refs").exists() else None
    if trim is not None:  # Linux with the GNU C library
        trim(0)
        Path("/proc/self/clear_refs").write_text("5")
