"""In a process of its own: import scikit-learn's network, then time the import of ours."""

import json
import sys
import time


def main():
    from sklearn.neural_network import MLPClassifier  # noqa: F401 (what is imported before the clock starts)

    known = set(sys.modules)
    seconds = -time.perf_counter()
    import sklearn_cnn  # noqa: F401

    seconds += time.perf_counter()
    print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - known)}))
