"""In a process of its own: fit or predict many images of one byte per pixel with one call and print how far memory rose.

Arguments: how many images; the method, `fit`, `partial_fit` or `predict`.
"""

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
    n_images, method = int(sys.argv[1]), sys.argv[2]
    images, labels, source = fashion_mnist(n_images)
    images = images.reshape(len(images), -1)
    classifier = ConvNetClassifier(
        **network.parameters, batch_size=128, max_iter=1, random_state=0, n_jobs=len(os.sched_getaffinity(0)),
    )  # fmt: skip
    if method == "predict":
        classifier.fit(images[:500], labels[:500])
    calls = {
        "fit": lambda: classifier.fit(images, labels),
        "partial_fit": lambda: classifier.partial_fit(images, labels, classes=range(10)),
        "predict": lambda: classifier.predict(images),
    }
    forget_peak()
    before_call = memory("VmRSS")
    calls[method]()
    found = {
        "images": source,
        "input_bytes": images.nbytes,
        "bytes_after_imports": after_imports,
        f"bytes_before_{method}": before_call,
        "peak_bytes": memory("VmHWM"),
        "n_threads": classifier.n_jobs,
    }
    print(json.dumps(found))
