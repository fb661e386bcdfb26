"""Many threads and many processes at once: every call has the bits of a call alone, and none hangs.

Children here are made in every way that Python and joblib have, from a process whose threads have computed already.
"""

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
import pytest
from digests import digest, digest_on_threads
from images import bars, small_network
from processes import run_python

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer

N_THREADS, N_CALLS = 8, 500
SECONDS = 60  # a child or a thread that takes longer hangs


# ------------------------------------------------------------------------------------------------------------- processes


def of_pool(method, n_children=1):
    """Digests of children that multiprocessing starts, each of them new."""
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["digests"])
    with context.Pool(2 if n_children > 1 else 1, maxtasksperchild=1 if n_children > 1 else None) as pool:
        return pool.map_async(digest, range(max(3, n_children)), chunksize=1).get(SECONDS)


def of_executor():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        return list(pool.map(digest, range(6), timeout=SECONDS))


def of_joblib(backend):
    return joblib.Parallel(2, backend=backend, timeout=SECONDS)(joblib.delayed(digest)(i) for i in range(6))


def of_forks(n_children):
    """Digests of children of os.fork, while another thread fits."""
    is_done = threading.Event()

    def compute():
        while not is_done.is_set():
            digest()

    thread = threading.Thread(target=compute)
    thread.start()
    found = []
    for _ in range(n_children):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            os.write(writer, digest().encode())
            os._exit(0)
        os.close(writer)
        found.append(os.read(reader, 100).decode() if os.waitpid(child, 0)[1] == 0 else "hung")
        os.close(reader)
    is_done.set()
    thread.join()
    return found


#: Ways that copy a process, whose threads the copy does not have
COPIES = {
    "os.fork during a fit": lambda: of_forks(20),
    "multiprocessing": lambda: of_pool("fork", 20),
    "ProcessPoolExecutor": of_executor,
    "joblib's multiprocessing": lambda: of_joblib("multiprocessing"),
}
#: Ways that begin with a new one
FRESH = {
    "spawn": lambda: of_pool("spawn"),
    "forkserver": lambda: of_pool("forkserver", 20),
    "loky": lambda: of_joblib("loky"),
    "threads": lambda: of_joblib("threading"),
}


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere a copy of a process with threads is not for use")
def test_copies_of_a_process_compute_the_same_and_do_not_hang():
    printed = run_python("""
        from digests import digest_on_threads
        from test_concurrency import COPIES
        expected = digest_on_threads()
        for name, way in COPIES.items():
            print(name, set(way()) == {expected}, flush=True)
        print("afterwards", digest_on_threads() == expected)
    """)
    assert printed.splitlines() == [f"{name} True" for name in (*COPIES, "afterwards")]


@pytest.mark.parametrize("way", FRESH)
def test_children_compute_the_same_and_do_not_hang(way):
    if way == "forkserver" and platform.system() != "Linux":
        pytest.skip("copies of a process are not for use there")
    assert {*FRESH[way]()} == {digest_on_threads()}


# --------------------------------------------------------------------------------------------------------------- threads


def of_kind(kind):
    """A fitted estimator, its data, and the name of what answers."""
    X, y = bars()
    if kind is ConvNetTransformer:
        return ConvNetTransformer(small_network()).fit(X, y), X, y, "transform"
    if kind is ConvNetRegressor:
        return ConvNetRegressor(3, max_iter=2, random_state=0).fit(X, X[:, 0, :2]), X, X[:, 0, :2], "predict"
    return small_network().fit(X, y), X, y, "predict_proba"


@pytest.fixture
def hasty():
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


each_kind = pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor, ConvNetTransformer])


@each_kind
@pytest.mark.usefixtures("hasty")
def test_many_threads_predict_with_one_estimator(kind):
    """Each in batches of its own size, so that they take turns with workspaces of several sizes."""
    estimator, X, _, method = of_kind(kind)
    answer = getattr(estimator, method)
    everything, all_there = answer(X), threading.Barrier(N_THREADS)

    def predict(number):
        all_there.wait(SECONDS)
        rows = X[number : 2 * number + 1]
        expected = everything[number : 2 * number + 1].tobytes()
        return sum(answer(rows).tobytes() == expected for _ in range(N_CALLS))

    with ThreadPoolExecutor(N_THREADS) as pool:
        assert list(pool.map(predict, range(1, N_THREADS + 1), timeout=SECONDS)) == N_THREADS * [N_CALLS]


@each_kind
@pytest.mark.usefixtures("hasty")
def test_an_answer_during_a_fit_is_of_the_old_model_or_of_the_new_one(kind):
    estimator, X, y, method = of_kind(kind)
    answer = getattr(estimator, method)
    answers, is_done = [], threading.Event()

    def predict():
        while not is_done.is_set():
            answers.append(answer(X).tobytes())

    threads = [threading.Thread(target=predict) for _ in range(2)]
    models = [answer(X).tobytes()]
    for thread in threads:
        thread.start()
    name = "estimator__random_state" if kind is ConvNetTransformer else "random_state"
    for seed in range(1, 8):
        estimator.set_params(**{name: seed}).fit(X, y)
        models.append(answer(X).tobytes())
        n_answers = len(answers)
        while len(answers) < n_answers + 3 and all(thread.is_alive() for thread in threads):
            time.sleep(1e-4)
    is_done.set()
    for thread in threads:
        thread.join()
    assert len(set(models)) == 8
    assert {*answers} == {*models}
