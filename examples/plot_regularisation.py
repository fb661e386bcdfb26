"""
Batch normalisation and dropout: what they buy
==============================================

``batch_norm`` brings every filter to mean zero and variance one over a mini-batch; ``dropout`` hides inputs of the dense layers
from them while they learn. Both are said to help. Here the same network learns from the same few digits with either, with both
and with none.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier

X, y = load_digits(return_X_y=True)

VARIANTS = {
    "neither": {"batch_norm": False},
    "batch_norm": {"batch_norm": True},
    "dropout": {"batch_norm": False, "dropout": 0.3},
    "both": {"batch_norm": True, "dropout": 0.3},
}
EPOCHS = (2, 10, 40)
SEEDS = range(3)

# %%
# Few epochs and many
# -------------------
# 400 digits to learn from, 1,000 held out, three times with other images and other initial weights.

accuracy = {name: np.empty((len(EPOCHS), len(SEEDS))) for name in VARIANTS}
for j, seed in enumerate(SEEDS):
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:400], order[400:1400]
    for i, n_epochs in enumerate(EPOCHS):
        for name, settings in VARIANTS.items():
            network = ConvNetClassifier(
                n_filters=(16, 32), hidden_layer_sizes=64, max_iter=n_epochs, n_iter_no_change=n_epochs, input_shape=(8, 8),
                random_state=seed, **settings,
            )  # fmt: skip
            accuracy[name][i, j] = network.fit(X[train], y[train]).score(X[test], y[test])

print(f"digits: accuracy on 1,000 held-out images, mean +- standard deviation of {len(SEEDS)} runs")
print("epochs  " + "".join(f"{name:18s}" for name in VARIANTS))
for i, n_epochs in enumerate(EPOCHS):
    cells = [f"{runs[i].mean():.3f} +- {runs[i].std():.3f}" for runs in accuracy.values()]
    print(f"{n_epochs:6d}  " + "".join(f"{cell:18s}" for cell in cells))

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, runs in accuracy.items():
    ax.errorbar(EPOCHS, runs.mean(axis=1), yerr=runs.std(axis=1), fmt="o-", capsize=4, label=name)
ax.set_xscale("log")
ax.set_xticks(EPOCHS, EPOCHS)
ax.minorticks_off()
ax.set(xlabel="epochs", ylabel="accuracy on held-out digits", title="Means of three runs; bars are their standard deviation")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# Normalisation helps at the beginning: after two epochs a network with it is clearly ahead, after forty it no longer is.
# Dropout costs epochs first: what is hidden is learnt later. After forty epochs the two networks with dropout are the best.
# Where training is short, or networks are deep, normalise; where training is long and images are few, drop out.
