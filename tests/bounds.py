"""No kernel reads or writes outside any array it is given: each stands between two pages that nobody may touch, and begins at the
one or ends at the other, by chance. A process that touches one ends.

Forward, backward, training with every augmentation, and the kernels that `functional` alone calls, on layers of every kind and on
networks; with every compiled module, each in a process of its own.

    python tests/bounds.py --cases 2000 --seed 7
    python tests/bounds.py --seed 7 --first 123 --cases 1             replays one, as printed with a failure
"""

import argparse
import faulthandler
import math
import subprocess
import sys

import fences
import numpy as np
from fences import between_fences, fenced
from problems import KERNELS, choose, gaussian_parameters, random_block, random_network, random_pooling, running_statistics
from reference import LAYERS

from sklearn_cnn import _kernels
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network import trainer as trainer_module
from sklearn_cnn._network.arena import build_arena
from sklearn_cnn._network.augmentation import augmentation_settings, augmented_images
from sklearn_cnn._network.layers import ConvolutionBlock
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan, table
from sklearn_cnn._network.trainer import Trainer


class FencedNumPy:
    """NumPy, whose new arrays stand between fences."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype=float):
        shape = np.atleast_1d(shape)
        return between_fences(math.prod(map(int, shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)

    @staticmethod
    def zeros(shape, dtype=float):
        array = FencedNumPy.empty(shape, dtype)
        array[...] = 0
        return array


def use_fences():
    """Let everything that kernels are given by the package stand between fences: tables, workspaces, moments and results."""
    initialise = network_module.Workspace.__init__

    def fenced_workspace(self, plan, capacity, n_threads, training, dtype, level):
        initialise(self, plan, capacity, n_threads, training, dtype, level)
        self.numbers = between_fences(self.numbers.nbytes).view(self.numbers.dtype)
        if self.positions is not None:
            self.positions = between_fences(self.positions.nbytes)
        tables = table(plan.records), table(build_arena(plan, capacity, n_threads, training)), table(plan.runs)
        self.session = self.kernels.Session(*map(fenced, tables), self.numbers, self.positions)  # with a pace of its own

    network_module.Workspace.__init__ = fenced_workspace
    network_module.np = trainer_module.np = FencedNumPy()
    trainer_module.aligned_copy = fenced


def plans(seed, number):
    """Layers of all tables of the tests first, then random ones of every kind, and random networks."""
    random_state = np.random.default_rng([seed, number])
    if number < len(LAYERS):
        layer, input_shape = LAYERS[number].layer, LAYERS[number].input_shape
    else:
        kind = number % 4
        if kind > 1:
            return [random_network(random_state, batch_norm=kind == 3)]
        layer, input_shape = random_block(random_state) if kind == 0 else random_pooling(random_state, largest_channels=20)
    found = []
    for input_gradient in (False, True):
        try:
            found.append(build_plan((layer,), input_shape, input_gradient))
        except ValueError:  # what does not fit
            continue
    return found


def augmentations(input_shape):
    """The most that may happen to an image, copied and interpolated."""
    rows, columns, _ = input_shape
    moved = {"shift": (rows - 1, columns - 1), "flip": "both", "erase": max(rows, columns), "padding_mode": "reflect"}
    return moved, {**moved, "rotate": 180, "zoom": 0.9, "brightness": 1, "contrast": 1, "padding_mode": "edge"}


def train_between_fences(plan, random_state, dtype, level):
    """Forward, backward and steps of training, for each type of row."""
    parameters = fenced(gaussian_parameters(plan, random_state, dtype))
    network = Network(plan, parameters, fenced(running_statistics(plan, random_state, dtype)), level=level)
    order = fenced(np.arange(3))
    for number_type in (np.uint8, np.float32, np.float64):
        X = fenced(random_state.integers(0, 5, (3, plan.n_inputs)).astype(number_type))
        network.scores(X)
        _kernels.kernels(dtype, level).are_finite(X)
    network.gradients(X, fenced(np.ones((3, plan.n_outputs), dtype)))
    targets, weight = (fenced(np.ones(shape, dtype)) for shape in ((3, plan.n_outputs), 3))
    _kernels.kernels(dtype, level).sum_of_weights(weight, order)
    for solver in ("adam", "sgd"):
        trainer = Trainer(plan, parameters, loss="squared", solver=solver, batch_size=3, level=level)
        trainer.step(X, order, targets, weight, 0.01)
        trainer.step(X, order, targets[2:], None, 0.01, codes=fenced(np.zeros(3, np.int32)))
        for changes in augmentations(plan.input_shape):
            settings = augmentation_settings(0, int(random_state.integers(100)), **changes)
            trainer.step(X, order, targets, None, 0.01, augmentation=settings)
            augmented_images(plan, X, order, settings, dtype=dtype, level=level)


def copy_between_fences(plan, random_state, dtype, level):
    """Pad images, cut them into patches, and back: what `functional` offers alone."""
    block = plan.layers[0]
    if not isinstance(block, ConvolutionBlock):
        return 0
    kernels, n_channels = _kernels.kernels(dtype, level), plan.input_shape[2]
    one = ConvolutionBlock(1, block.kernel_size, block.stride, block.padding, block.padding_mode)
    plan = build_plan((one,), plan.input_shape)
    record, layers, runs = plan.records[0], fenced(table(plan.records)), fenced(table(plan.runs))
    n_samples = choose(random_state, 0, 1, 3)
    n_padded = int(record["padded_rows"]) * int(record["padded_columns"]) * n_channels
    n_columns = math.prod(plan.map_shapes[0][:2]) * math.prod(one.kernel_size) * n_channels
    images, padded, columns = (fenced(np.ones((n_samples, n), dtype)) for n in (plan.n_inputs, n_padded, n_columns))
    kernels.pad_images(layers, runs, images, padded, 1)
    kernels.patches_of_images(layers, padded, columns, 1)
    kernels.images_of_patches(layers, columns, padded, 1)
    kernels.unpad_images(layers, runs, padded, images, 1)
    return 1


def walk(level, dtype, seed, first, last):
    """Everything that kernels do with the plans of so many cases; says which case comes, for whoever reads why it ended."""
    faulthandler.enable()
    use_fences()
    n_plans = n_copied = 0
    for number in range(first, last):
        print("case", number, flush=True)
        fences.SIDES = random_state = np.random.default_rng([seed, number, 1])
        for plan in plans(seed, number):
            train_between_fences(plan, random_state, dtype, level)
            n_copied += copy_between_fences(plan, random_state, dtype, level)
            n_plans += 1
    print(n_plans, "plans", n_copied, "copied")


def run(level, dtype, seed, first, n_cases):
    """Run cases in a process of its own; returns (plans, plans that were copied), or words about what went wrong."""
    name = np.dtype(dtype).name
    numbers = map(str, (seed, first, n_cases))
    command = [sys.executable, __file__, "--child", level, name, *numbers]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = child.stdout.split("\n")
    if child.returncode == 0:
        words = lines[-2].split()
        return int(words[0]), int(words[2])
    number = next((line.split()[1] for line in reversed(lines) if line.startswith("case ")), first)
    replay = f"python tests/bounds.py --seed {seed} --first {number} --cases 1 --level {level} --dtype {name}"
    return f"the process ended with {child.returncode}: {child.stderr[-3000:]}\n    {replay}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", help="this one alone")
    parser.add_argument("--dtype", help="this one alone")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        level, name, *numbers = options.child
        seed, first, n_cases = map(int, numbers)
        walk(level, np.dtype(name).type, seed, first, first + n_cases)
        return 0
    failures = []
    for dtype, level in KERNELS:
        name = np.dtype(dtype).name
        if options.level in (None, level) and options.dtype in (None, name):
            found = run(level, dtype, options.seed, options.first, options.cases)
            if isinstance(found, str):
                failures.append(found)
            else:
                print(f"{level}, {name}: {found[0]} plans, {found[1]} copied, inside of all arrays", flush=True)
    print(f"seed {options.seed}, {len(failures)} modules failed", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
