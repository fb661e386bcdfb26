"""What children compute in `test_concurrency.py`: a module of its own, for a new process imports it by this name."""

import hashlib

import numpy as np

from sklearn_cnn import ConvNetClassifier, _kernels, functional

IMAGES, CLASSES = np.random.default_rng(0).standard_normal((64, 28, 28)).astype(np.float32), np.arange(64) % 2


def digest(_=0):
    """What a fit on two threads, its predictions and a convolution come to."""
    network = ConvNetClassifier(8, kernel_size=5, batch_size=64, max_iter=1, random_state=0, n_jobs=2).fit(IMAGES, CLASSES)
    maps = functional.conv2d(IMAGES[:8, :, :, None], np.ones((4, 1, 3, 3), np.float32))
    everything = network._fitted["parameters"].tobytes() + network.predict_proba(IMAGES).tobytes() + maps.tobytes()
    return hashlib.sha256(everything).hexdigest()


def digest_on_threads():
    """The same, and proof that two threads computed it, where there are threads."""
    _kernels.kernels().take_region_records()
    found = digest()
    threads = max(threads for _, threads in _kernels.kernels().take_region_records().values())
    assert threads == (2 if _kernels.kernels().describe()["openmp"] else 1)
    return found
