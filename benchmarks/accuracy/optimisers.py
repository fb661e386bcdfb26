"""Compare ways to train one network: those that `ConvNetClassifier` has, and others that are tried here before they may come in.

    python -m benchmarks.accuracy.optimisers --data mnist-5k --epochs 1 2 3 4 6 8

The others are written in NumPy on top of the compiled gradient, and take the place of the trainer inside a fit, so that
everything else stays what it is: data, initial weights, order of the samples, schedule, dropout, normalisation.

Muon: the weights of every layer but the last, each as one matrix, are moved by their Nesterov momentum made orthogonal (five
steps of a Newton-Schulz iteration; Jordan et al. 2024); everything else by Adam. "Average": Adam at a constant rate, and in the
end an average of the weights of the last steps (Polyak and Juditsky 1992), and of the running moments.

The table tells the accuracy on a fifth of the training part, held out with the seed, after training that was planned for so many
epochs. The rates are chosen on the same held-out samples, for every number of epochs, which favours all ways alike.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np

from benchmarks.accuracy.data import DATA
from benchmarks.results import append
from sklearn_cnn import ConvNetClassifier
from sklearn_cnn._estimator import fitting
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.trainer import Trainer

NETWORK = {
    "n_filters": (32, 64), "hidden_layer_sizes": 128, "dropout": 0.3, "batch_norm": True, "batch_size": 64,
    "early_stopping": False, "alpha": 0.0, "n_jobs": 1,
}  # fmt: skip
#: What is compared: parameters, rates to choose from, and what takes the place of the trainer.
WAYS: dict = {}


def way(name, rates, **parameters):
    """Register a way to train."""

    def register(trainer):
        WAYS[name] = parameters, rates, trainer
        return trainer

    return register


class StepByStep(Trainer):
    """A trainer that has something to do behind every step."""

    def steps(self, X, rows, batch_size, targets, sample_weight, rates, **settings):
        """Train on mini-batches one by one."""
        parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        return np.array(
            [self.step(X, part, targets, sample_weight, rate, **settings) for part, rate in zip(parts, rates, strict=True)]
        )


class OfOurOwn(StepByStep):
    """A trainer that updates its parameters here."""

    def step(self, X, rows, targets, sample_weight, learning_rate, **settings):
        """Compute the gradient of a mini-batch and the moments of Adam, compiled, and update."""
        loss = super().step(X, rows, targets, sample_weight, 0.0, **settings)
        self.update(self.gradient, learning_rate)
        return loss

    def adam(self, learning_rate):
        """Return the step of Adam."""
        first, second = self.first_moment / (1 - 0.9**self.t), self.second_moment / (1 - 0.999**self.t)
        return learning_rate * first / (np.sqrt(second) + 1e-8)


def orthogonal(matrix):
    """Bring the singular values of a matrix near one."""
    x = matrix if len(matrix) <= len(matrix.T) else matrix.T
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if x.shape == matrix.shape else x.T


@way("Muon, one cycle", (2e-3, 4e-3, 8e-3, 1.6e-2), learning_rate="one_cycle")
class Muon(OfOurOwn):
    """Orthogonal momentum for weights, Adam for the rest."""

    MOMENTUM = 0.95
    OF_ADAM = 0.25  # the rate of everything else, in parts of that of the weights

    def update(self, gradient, learning_rate):
        """Do one step."""
        views = [Network(self.plan, array) for array in (self.parameters, gradient)]
        *blocks, _ = [block for block in self.plan.blocks if block.kind == "weights"]
        if self.t == 1:
            self.velocities = [np.zeros(block.shape, self.dtype) for block in blocks]
        step = self.adam(self.OF_ADAM * learning_rate)
        of_adam = Network(self.plan, step)
        for block, velocity in zip(blocks, self.velocities, strict=True):
            parameters, of_block = (view.weights(block.layer) for view in views)
            velocity *= self.MOMENTUM
            velocity += of_block
            move = (of_block + self.MOMENTUM * velocity).reshape(-1, block.shape[-1])
            scale = max(1.0, move.shape[1] / move.shape[0]) ** 0.5
            parameters -= learning_rate * scale * orthogonal(move).reshape(block.shape)
            of_adam.weights(block.layer)[...] = 0.0
        self.parameters -= step


@way("Adam, constant rate, average", (5e-4, 1e-3, 2e-3, 4e-3), learning_rate="constant")
class Average(StepByStep):
    """Adam, and an average of the weights beside it."""

    def step(self, *arguments, **settings):
        """Do one step, and add its weights to the average."""
        loss = super().step(*arguments, **settings)
        if self.t == 1:
            self.average = self.parameters.copy(), self.statistics.copy()
        # As long as a tenth of the steps so far, so that what was learnt first is forgotten.
        part = max(0.002, min(1.0, 10 / self.t))
        for average, now in zip(self.average, (self.parameters, self.statistics), strict=True):
            average += part * (now - average)
        return loss


way("Adam, one cycle", (5e-4, 1e-3, 2e-3), learning_rate="one_cycle")(Trainer)
way("Adam, constant rate", (5e-4, 1e-3, 2e-3, 4e-3), learning_rate="constant")(Trainer)
way("Nesterov, one cycle", (5e-3, 1e-2, 2e-2, 4e-2), learning_rate="one_cycle", solver="sgd")(Trainer)


def accuracy_of(name, rate, data, n_epochs, seed):
    """Train one network in one way; return its accuracy on what is held out."""
    from sklearn.model_selection import train_test_split

    parameters, _, trainer_class = WAYS[name]
    X, X_held_out, y, y_held_out = train_test_split(data.X, data.y, test_size=0.2, stratify=data.y, random_state=seed)
    made = []

    def make(*arguments, **settings):
        made.append(trainer_class(*arguments, **settings))
        return made[-1]

    network = ConvNetClassifier(**NETWORK | parameters, learning_rate_init=rate, max_iter=n_epochs, random_state=seed)
    ours, fitting.Trainer = fitting.Trainer, make
    try:
        network.fit(X, y)
    finally:
        fitting.Trainer = ours
    if hasattr(made[-1], "average"):
        fitted = dict(vars(network)["_fitted"])
        fitted["parameters"], fitted["statistics"] = made[-1].average
        network._fitted = fitted
    return float(network.score(X_held_out, y_held_out))


def main():
    """Read the command line, run, and append the rows to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=["mnist-5k"], choices=DATA)
    parser.add_argument("--way", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samples", type=int, help="use no more than so many samples")
    parser.add_argument("--output", type=Path, help="append the rows to this file, one JSON object a line")
    arguments = parser.parse_args()
    for name in arguments.data:
        data = DATA[name]()
        if arguments.samples:
            data = type(data)(data.X[: arguments.samples], data.y[: arguments.samples], data.X_test, data.y_test)
        for way_name in arguments.way:
            for n_epochs in arguments.epochs:
                of_rates = {
                    rate: [accuracy_of(way_name, rate, data, n_epochs, seed) for seed in range(arguments.seeds)]
                    for rate in WAYS[way_name][1]
                }
                rate = max(of_rates, key=lambda rate: statistics.mean(of_rates[rate]))
                print(
                    f"{name:10s} {way_name:30s} {n_epochs:3d} epochs  {statistics.mean(of_rates[rate]):.4f} at {rate:g}   "
                    + "  ".join(f"{r:g}: {statistics.mean(a):.4f}" for r, a in of_rates.items()),
                    flush=True,
                )
                if arguments.output:
                    append(arguments.output, {
                        "data": name, "samples": len(data.X), "way": way_name, "epochs": n_epochs,
                        "accuracy": {str(rate): values for rate, values in of_rates.items()},
                    })  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
