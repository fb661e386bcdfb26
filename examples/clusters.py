"""
A search on a cluster: Dask or Ray
==================================

The fits of a search are independent, so they may run on as many machines as there are. scikit-learn hands them to
joblib, and joblib to a cluster. This program starts a cluster of two workers on this machine and compares its results with
those of the same search without a cluster: every score, and every bit of the network.

It is started as ``python clusters.py dask`` or ``python clusters.py ray``, and needs ``distributed`` or ``ray`` to be installed.
:doc:`/guide/clusters` says what is sent, how much memory it takes, and when more machines no longer help.
"""

import argparse
import time
from contextlib import contextmanager

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_cnn import ConvNetClassifier

N_WORKERS = 2


@contextmanager
def dask_workers(*data):
    """Send what joblib runs to workers of Dask. For a real cluster, `Client` takes the address of its scheduler."""
    from distributed import Client, LocalCluster

    workers = LocalCluster(n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=None)
    with workers as cluster, Client(cluster), joblib.parallel_config("dask", scatter=list(data)):
        yield


@contextmanager
def ray_workers(*data):
    """Send what joblib runs to workers of Ray, which stores arrays once on each machine by itself.

    For a real cluster, `ray.init` takes ``address="auto"``.
    """
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=N_WORKERS, include_dashboard=False)
    register_ray()
    try:
        with joblib.parallel_config("ray", n_jobs=N_WORKERS):
            yield
    finally:
        ray.shutdown()


def search(X, y):
    """Try four geometries in three folds, and fit the best again."""
    network = ConvNetClassifier(8, input_shape=(8, 8), max_iter=5, random_state=0)
    return GridSearchCV(network, {"kernel_size": [1, 3], "pooling": ["max", "average"]}, cv=3).fit(X, y)


def what_was_found(fitted):
    """Return all that must not depend on where the fits ran."""
    scores = [fitted.cv_results_[name].tolist() for name in sorted(fitted.cv_results_) if name.endswith("_test_score")]
    network = fitted.best_estimator_
    return scores, fitted.best_params_, [array.tobytes() for array in (*network.coefs_, *network.intercepts_)]


def threads_of_slot():
    """Return how many threads OpenMP would use, in the process that this runs in."""
    from threadpoolctl import threadpool_info

    import sklearn_cnn  # noqa: F401  (it loads OpenMP)

    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp")


def main():
    """Search alone and on a cluster, and compare."""
    parser = argparse.ArgumentParser(description="A search on a cluster of two local workers.")
    parser.add_argument("library", choices=["dask", "ray"])
    workers = {"dask": dask_workers, "ray": ray_workers}[parser.parse_args().library]

    X, y = load_digits(return_X_y=True)
    alone = search(X, y)
    with workers(X, y):
        threads = joblib.Parallel(n_jobs=N_WORKERS)(joblib.delayed(threads_of_slot)() for _ in range(N_WORKERS))
        start = time.perf_counter()
        together = search(X, y)
        seconds = time.perf_counter() - start

    is_same = what_was_found(together) == what_was_found(alone)
    print("threads of the two slots:", threads)
    print(f"best: {together.best_params_}, accuracy {together.best_score_:.3f}, after {seconds:.1f} s")
    print("the same scores and bits as alone:", is_same)
    if not is_same:
        raise SystemExit("the cluster has found something else")


if __name__ == "__main__":  # workers of Dask begin by importing the program that has started them
    main()
