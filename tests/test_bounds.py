"""No kernel reads or writes outside any array it is given: each stands between two pages that nobody may touch, and begins at the
one or ends at the other, by chance."""

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fences import between_fences, fenced
from problems import each_kernel, gaussian_parameters, random_block, random_network, random_pooling, running_statistics
from reference import LAYERS

from sklearn_cnn._network import network as network_module
from sklearn_cnn._network import trainer as trainer_module
from sklearn_cnn._network.augmentation import augmentation_settings
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

TESTS = Path(__file__).resolve().parent
N_NETWORKS = 100


def use_fences(module):
    """Let workspaces, moments and positions stand between fences."""
    initialise = module.Workspace.__init__

    def fenced_workspace(self, *arguments, **options):
        initialise(self, *arguments, **options)
        self.numbers = between_fences(self.numbers.nbytes).view(self.numbers.dtype)
        if self.positions is not None:
            self.positions = between_fences(self.positions.nbytes)

    module.Workspace.__init__ = fenced_workspace
    module.aligned_empty = lambda n, dtype: between_fences(n * np.dtype(dtype).itemsize).view(dtype)
    trainer_module.aligned_copy = fenced


def plans():
    """All layers of the tests' table, random layers of every kind, and random networks."""
    random_state = np.random.default_rng(0)
    layers = [(row.layer, row.input_shape) for row in LAYERS]
    layers += [random_block(random_state) for _ in range(N_NETWORKS)]
    layers += [random_pooling(random_state, largest_channels=20) for _ in range(N_NETWORKS)]
    for layer, input_shape in layers:
        for input_gradient in (False, True):
            try:
                yield build_plan((layer,), input_shape, input_gradient)
            except ValueError:  # what does not fit
                continue
    for _ in range(N_NETWORKS):
        yield random_network(random_state)
        yield random_network(random_state, batch_norm=True)


def augmentations(input_shape):
    """The most that may happen to an image, copied and interpolated."""
    rows, columns, _ = input_shape
    moved = {"shift": (rows - 1, columns - 1), "flip": "both", "erase": max(rows, columns), "padding_mode": "reflect"}
    return moved, {**moved, "rotate": 180, "zoom": 0.9, "brightness": 1, "contrast": 1, "padding_mode": "edge"}


def walk(level, dtype):
    """Forward, backward and a step of training through every plan, for each type of row."""
    use_fences(network_module)
    random_state = np.random.default_rng(1)
    n_plans = 0
    for plan in plans():
        n_plans += 1
        parameters = fenced(gaussian_parameters(plan, random_state, dtype))
        network = Network(plan, parameters, fenced(running_statistics(plan, random_state, dtype)), level=level)
        for number_type in (np.uint8, np.float32, np.float64):
            X = fenced(random_state.integers(0, 5, (3, plan.n_inputs)).astype(number_type))
            network.scores(X)
        network.gradients(X, fenced(np.ones((3, plan.n_outputs), dtype)))
        targets = fenced(np.ones((3, plan.n_outputs), dtype))
        for solver in ("adam", "sgd"):
            trainer = Trainer(plan, parameters, loss="squared", solver=solver, batch_size=3, level=level)
            trainer.step(X, fenced(np.arange(3)), targets, fenced(np.ones(3, dtype)), 0.01)
            trainer.step(X, fenced(np.arange(3)), targets[2:], None, 0.01, codes=fenced(np.zeros(3, np.int32)))
            for changes in augmentations(plan.input_shape):
                settings = augmentation_settings(0, n_plans, **changes)
                trainer.step(X, fenced(np.arange(3)), targets, None, 0.01, augmentation=settings)
    print(n_plans, "plans")


@pytest.mark.skipif(platform.system() != "Linux", reason="pages are protected by mprotect")
@each_kernel
def test_nothing_is_touched_outside_an_array(level, dtype):
    program = f"import faulthandler, test_bounds; faulthandler.enable(); test_bounds.walk({level!r}, {dtype.__name__!r})"
    result = subprocess.run([sys.executable, "-c", program], cwd=TESTS, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[0]) > 3 * N_NETWORKS


@pytest.mark.skipif(platform.system() != "Linux", reason="pages are protected by mprotect")
@pytest.mark.parametrize(("ends_at_one", "first", "n_bytes", "is_inside"),
                         [(True, 0, 10, True), (True, 0, 11, False), (False, 0, 10, True), (False, -1, 11, False)])  # fmt: skip
def test_the_fences_stand(ends_at_one, first, n_bytes, is_inside):
    program = (
        f"import fences, ctypes; a = fences.between_fences(10, {ends_at_one}); "
        f"ctypes.memset(a.ctypes.data + {first}, 0, {n_bytes})"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=TESTS, capture_output=True, check=False)
    assert result.returncode == 0 if is_inside else result.returncode < 0
