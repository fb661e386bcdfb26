"""
Signals, and what is left when they are shuffled
================================================

MNIST-1D [1]_ is ten classes of signals of length 40: a template per class, moved, stretched, tilted and overlaid with
noise. A convolution sees a few neighbouring samples at a time, so it should profit from their being neighbours. The test
is to put the samples of all signals into the same random order: the information is still there, the
neighbourhood is not.

The data come from the generator of its authors, ``pip install mnist1d``.
"""

import warnings
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
from mnist1d.data import get_dataset_args, make_dataset
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sklearn_cnn import ConvNetClassifier

ordered = make_dataset(SimpleNamespace(**get_dataset_args(as_dict=True)))
places = np.random.default_rng(0).permutation(ordered["x"].shape[1])
shuffled = ordered | {name: ordered[name][:, places] for name in ("x", "x_test")}
print(len(ordered["x"]), "signals to train on,", len(ordered["x_test"]), "to test, length", ordered["x"].shape[1])

figure, axes = plt.subplots(2, 5, figsize=(11, 3.4), sharex=True, sharey=True, layout="constrained")
for line, signals, name in zip(axes, (ordered, shuffled), ("ordered", "shuffled"), strict=True):
    for digit, ax in enumerate(line):
        ax.plot(signals["x"][signals["y"] == digit][0], ".-", color="tab:blue" if name == "ordered" else "tab:red", lw=1)
        ax.set(xticks=[], yticks=[])
        if name == "ordered":
            ax.set_title(f"class {digit}")
    line[0].set_ylabel(name)
plt.show()

# %%
# A convolutional and a dense network
# -----------------------------------
# Rows of features without an ``input_shape`` are signals of one channel: nothing has to be declared. The convolutional
# network has its defaults, except for fewer epochs. Both networks are trained three times on each kind of signal, from
# different initial weights.

SEEDS = range(3)


def networks(seed):
    return {
        "convolutional": ConvNetClassifier(max_iter=6, random_state=seed),
        "dense": MLPClassifier((100, 100), learning_rate_init=3e-3, max_iter=30, random_state=seed),
    }


scores = {}
for kind, signals in (("ordered", ordered), ("shuffled", shuffled)):
    for seed in SEEDS:
        for name, network in networks(seed).items():
            with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
                network.fit(signals["x"], signals["y"])
            scores.setdefault((name, kind), []).append(network.score(signals["x_test"], signals["y_test"]))

for (name, kind), runs in scores.items():
    print(f"{name:14s} {kind:9s} {np.mean(runs):.3f} ({min(runs):.3f} to {max(runs):.3f})")

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for offset, kind, colour in ((-0.18, "ordered", "tab:blue"), (0.18, "shuffled", "tab:red")):
    runs = np.array([scores[name, kind] for name in networks(0)])
    mean = runs.mean(axis=1)
    spread = np.abs(np.stack([runs.min(axis=1), runs.max(axis=1)]) - mean)
    bars = ax.bar(np.arange(2) + offset, mean, 0.34, yerr=spread, capsize=4, color=colour, label=kind)
    ax.bar_label(bars, [f"{value:.2f}" for value in mean], label_type="center", color="white", fontsize=13)
ax.axhline(0.1, color="black", lw=1, ls=":")
ax.text(0.5, 0.115, "chance", ha="center")
ax.set_xticks([0, 1], list(networks(0)))
ax.set(ylabel="accuracy on test signals", ylim=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="upper right")
plt.show()

# %%
# For the dense network the two kinds are the same, except for chance: the order of its inputs means nothing to it. The
# convolutional network is far ahead on signals in order and loses most of its lead when they are shuffled. So the lead came
# from the neighbourhood.
#
# .. [1] Greydanus, S. and Kobak, D. (2024). Scaling down deep learning with MNIST-1D. ICML.
