"""
What batch normalisation and dropout buy
========================================

Two settings that many networks have, for two different reasons. ``batch_norm`` makes a deep network easier to train.
``dropout`` keeps a network with many weights from learning its few training images by heart. Neither is free, and where
the reason is missing, neither helps. Both are measured here, three times each, on scikit-learn's digits.
"""

# %%
# A deep network in five epochs
# -----------------------------
# Eight convolutions, one after the other, learn from 600 digits for five epochs, with and without normalisation, at three
# learning rates. Accuracy is that on 997 other digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier

X, y = load_digits(return_X_y=True)
SEEDS = range(3)


def accuracies(n_images, **settings):
    """Train on images drawn anew for each seed; return the accuracy of each run on images that no run has trained on."""
    runs = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(X))
        train, test = order[:n_images], order[800:]
        network = ConvNetClassifier(input_shape=(8, 8), learning_rate="one_cycle", random_state=seed, **settings)
        runs.append(network.fit(X[train], y[train]).score(X[test], y[test]))
    return np.array(runs)


def show(name, runs):
    print(f"{name:24s} {runs.mean():.3f} ({runs.min():.3f} to {runs.max():.3f})")


DEEP = {"n_filters": (16,) * 8, "pooling": ["max", *[None] * 3] * 2, "global_pooling": "average", "max_iter": 5}
RATES = (0.0001, 0.001, 0.003)

normalised = {
    name: np.array([accuracies(600, batch_norm=batch_norm, learning_rate_init=rate, **DEEP) for rate in RATES])
    for name, batch_norm in (("without batch_norm", False), ("with batch_norm", True))
}
for name, by_rate in normalised.items():
    for rate, runs in zip(RATES, by_rate, strict=True):
        show(f"{name}, {rate:g}", runs)

# %%
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for (name, runs), colour in zip(normalised.items(), ("tab:gray", "tab:blue"), strict=True):
    ax.fill_between(RATES, runs.min(axis=1), runs.max(axis=1), color=colour, alpha=0.2)
    ax.plot(RATES, runs.mean(axis=1), "o-", color=colour, label=name)
ax.set(xscale="log", xlabel="learning_rate_init", ylabel="accuracy on test images", ylim=(0, 1))
ax.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
ax.minorticks_off()
ax.set_title("Eight convolutions after five epochs; bands are the range of three runs")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()

# %%
# With small steps normalisation gains nothing: it is even a little worse. But it tolerates steps that are too large for the plain
# network, and with these it gets further in five epochs than the plain network at any of the three rates.
#
# Many weights and few images
# ---------------------------
# A network of two blocks with 128 dense units after them learns from 500 digits for 60 epochs, long after it knows them
# all. With ``dropout=0.3`` every input of a dense layer is set to zero with a probability of 0.3, different ones in every
# update.

WIDE = {"n_filters": (16, 32), "hidden_layer_sizes": 128, "max_iter": 60, "learning_rate_init": 0.0003, "batch_norm": False}

dropped = {f"dropout={rate}": accuracies(500, dropout=rate, **WIDE) for rate in (0, 0.3)}
for name, runs in dropped.items():
    show(name, runs)

# %%
figure, ax = plt.subplots(figsize=(7, 2.2), layout="constrained")
for line, runs in enumerate(dropped.values()):
    ax.plot(100 * (1 - runs), np.full(len(runs), line), "o", ms=9, color=f"C{line}", alpha=0.7)
    ax.plot(100 * (1 - runs.mean()), line, "|", ms=30, mew=2, color=f"C{line}")
ax.set(xlabel="errors on test images in per cent (one point per run, a bar for the mean)", ylim=(-0.6, 1.6), xlim=(0, None))
ax.set_yticks(range(len(dropped)), list(dropped))
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# Dropout saves the network about a fifth of its errors. That is little in accuracy, because there is little left to save,
# and not much more than what separates two runs. With other numbers of images, units or epochs it may be nothing. So
# search over ``dropout`` rather than trust it.
