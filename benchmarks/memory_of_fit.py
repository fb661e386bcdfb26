"""In a process of its own: fit many images of one byte per pixel and print how far memory rose."""

import json
import os
import re
import sys
import warnings
from pathlib import Path


def memory(field):
    """Return an entry of the process's status in bytes: VmRSS is what it holds now, VmHWM the most it has held."""
    return 1024 * int(re.search(rf"^{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE).group(1))


def forget_peak():
    """Let the peak begin again at what is held now: reading the images must not count."""
    Path("/proc/self/clear_refs").write_text("5")


def main():
    from sklearn.exceptions import ConvergenceWarning

    from benchmarks.images import fashion_mnist
    from benchmarks.networks import NETWORKS
    from sklearn_cnn import ConvNetClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    network = NETWORKS["A"]
    after_imports = memory("VmRSS")
    images, labels, source = fashion_mnist(int(sys.argv[1]))
    images = images.reshape(len(images), -1)
    classifier = ConvNetClassifier(
        **network.parameters, batch_size=128, max_iter=1, random_state=0, n_jobs=len(os.sched_getaffinity(0)),
    )  # fmt: skip
    forget_peak()
    before_fit = memory("VmRSS")
    classifier.fit(images, labels)
    found = {
        "images": source,
        "input_bytes": images.nbytes,
        "bytes_after_imports": after_imports,
        "bytes_before_fit": before_fit,
        "peak_bytes": memory("VmHWM"),
        "n_threads": classifier.n_jobs,
    }
    print(json.dumps(found))
