"""A short form of `python tests/bounds.py`, and that it finds what it is for."""

import platform
import subprocess
import sys
from pathlib import Path

import bounds
import pytest
from problems import each_kernel
from processes import run_python

TESTS = Path(__file__).resolve().parent
SEED, N_CASES = 0, 300

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="pages are protected by mprotect")


@each_kernel
def test_nothing_is_touched_outside_an_array(level, dtype):
    found = bounds.run(level, dtype, SEED, 0, N_CASES)
    assert not isinstance(found, str), found
    n_plans, n_copied = found
    assert n_plans > N_CASES
    assert n_copied > N_CASES / 4


def test_the_kernels_use_the_blocks_that_stand_between_fences():
    """A copy of the process that forbids a block, too, ends in the kernels."""
    printed = run_python("""
        import bounds, fences, os, numpy as np
        from problems import network_problem
        from sklearn_cnn._network import network as networks
        from sklearn_cnn._network.layers import ConvolutionBlock

        bounds.use_fences()
        initialise = networks.Workspace.__init__
        plan, parameters, X = network_problem((ConvolutionBlock(3, (3, 3), pooling="max"),), (6, 6, 1), 2, np.float32)

        def run(name):
            def forbidden(self, *arguments):
                initialise(self, *arguments)
                if name:
                    fences.forbid(getattr(self, name).ctypes.data)

            networks.Workspace.__init__ = forbidden
            networks.Network(plan, parameters).gradients(X, np.ones((2, plan.n_outputs), np.float32))

        for name in (None, "numbers", "positions"):
            child = os.fork()
            if child == 0:
                run(name)
                os._exit(0)
            print(name, os.waitpid(child, 0)[1] == 0, flush=True)
    """)
    assert printed.split() == ["None", "True", "numbers", "False", "positions", "False"]


@pytest.mark.parametrize(("ends_at_one", "first", "n_bytes", "is_inside"),
                         [(True, 0, 10, True), (True, 0, 11, False), (False, 0, 10, True), (False, -1, 11, False)])  # fmt: skip
def test_the_fences_stand(ends_at_one, first, n_bytes, is_inside):
    program = (
        f"import fences, ctypes; a = fences.between_fences(10, {ends_at_one}); "
        f"ctypes.memset(a.ctypes.data + {first}, 0, {n_bytes})"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=TESTS, capture_output=True, check=False)
    assert result.returncode == 0 if is_inside else result.returncode < 0
