"""Where the system gives no more threads, or many are asked for, a fit has the same bits and the process goes on."""

import json
import os
import platform

import pytest
from processes import run_python

from sklearn_cnn import _kernels

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="limits and counts of threads as Linux has them"),
    pytest.mark.skipif(not _kernels.kernels().describe()["openmp"], reason="built without OpenMP"),
]

FITS = """
    import json, os, resource
    import numpy as np
    from sklearn_cnn import ConvNetClassifier
    from sklearn_cnn._kernels import kernels

    X, y = np.random.default_rng(0).random((64, 28, 28)).astype(np.float32), np.arange(64) % 2

    def fit(n_jobs):
        kernels().take_region_records()
        network = ConvNetClassifier(16, kernel_size=5, batch_size=64, max_iter=1, random_state=0, n_jobs=n_jobs).fit(X, y)
        threads = max(threads for _, threads in kernels().take_region_records().values())
        return threads, network._fitted["parameters"].tobytes() + network.predict_proba(X).tobytes()

    def of_this_process(what):
        return int(open("/proc/self/status").read().split(what + ":")[1].split()[0])
"""


def starved(preparation, variables=None):
    """The most threads of a fit on all that are allowed, behind a preparation; it has the bits of a fit on one."""
    threads, is_same = json.loads(run_python(f"""
{FITS}
    _, expected = fit(1)
{preparation}
    threads, bits = fit(1024)
    print(json.dumps([threads, bits == expected]))
    """, **variables or {}))
    assert is_same
    return threads


def test_with_no_address_space_for_more_stacks_a_fit_has_fewer_threads():
    limited = """
    limit = of_this_process("VmSize") * 1024 + {megabytes} * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    """
    stack = 8  # megabytes, as most systems have it
    assert 1 <= starved(limited.format(megabytes=2 * stack + stack // 2)) < _kernels.effective_n_threads(1024)


@pytest.mark.parametrize("size", ["64M", " 65536 ", "65536k", "67108864 B"])
@pytest.mark.parametrize("variable", ["OMP_STACKSIZE", "GOMP_STACKSIZE"])
def test_with_no_address_space_for_stacks_of_a_stated_size_a_fit_has_fewer_threads(variable, size):
    limited = """
    limit = of_this_process("VmSize") * 1024 + 160 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    """
    assert 1 <= starved(limited, {variable: size}) <= 3


@pytest.mark.parametrize("size", ["", "much", "-1", "1.5M", "4 megabytes", "99999999999999999999", "1B"])
def test_a_size_of_stacks_that_is_none_is_that_of_the_system(size):
    assert starved("", {"OMP_STACKSIZE": size}) == min(_kernels.effective_n_threads(1024), 64)


def test_with_stacks_that_no_thread_can_have_a_fit_has_one_thread():
    assert starved("", {"OMP_STACKSIZE": "9999999999G"}) == 1


@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() != 0, reason="only root becomes a user who has no process")
def test_a_user_who_may_have_no_more_processes_fits_on_one_thread():
    limited = """
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    os.setgid(54321)
    os.setuid(54321)
    """
    assert starved(limited) == 1


def test_no_more_threads_are_started_than_four_for_each_processor():
    threads, n_in_process, n_before = json.loads(run_python(f"""
{FITS}
    fit(1)
    before = of_this_process("Threads")
    threads, _ = fit(1024)
    print(json.dumps([threads, of_this_process("Threads"), before]))
    """))
    assert threads == min(_kernels.effective_n_threads(1024), 64)
    assert n_in_process - n_before < _kernels.effective_n_threads(1024)


def test_no_more_threads_are_started_than_there_are_pieces():
    """Two images are two pieces."""
    threads = json.loads(run_python("""
    import json
    import numpy as np
    from sklearn_cnn._kernels import kernels
    from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
    from sklearn_cnn._network.network import Network
    from sklearn_cnn._network.plan import build_plan

    block = ConvolutionBlock(64, (5, 5), pooling="max", pool_size=(60, 60), pool_stride=(60, 60))
    plan = build_plan((block, DenseLayer(2)), (64, 64, 1))
    network = Network(plan, np.zeros(plan.parameter_size, dtype=np.float32))
    before = int(open("/proc/self/status").read().split("Threads:")[1].split()[0])
    network.scores(np.zeros((2, 64 * 64), dtype=np.float32), n_threads=8)
    after = int(open("/proc/self/status").read().split("Threads:")[1].split()[0])
    print(json.dumps([kernels().take_region_records()["forward_chunks"], after - before]))
    """))
    assert threads == [[2, 2], 1]
