"""
What the first layer learns, and when that looks like edges
===========================================================

A network starts from random kernels, a different one for each filter, so that each can become something else; back-propagation
does the rest. In large networks the first kernels end up as edge detectors. Here are the kernels of a small one before and
after training, as grey images, and their maps of a picture: edges appear only where large weights are penalised strongly.
"""

# %%
# Eight kernels of 5x5 pixels, three times
# ----------------------------------------
# Before training, after training as usual, and after training with a strong penalty on large weights. (One epoch with a
# vanishing learning rate is as good as none: it shows where training begins.)

import matplotlib.pyplot as plt
import numpy as np
from images import draw_samples, load_images

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn.inspection import FeatureMapDisplay

X_all, y_all, X_test, y_test, data = load_images()
X, y = draw_samples(X_all, y_all, 6000, random_state=0)

VARIANTS = {
    "before training": {"max_iter": 1, "learning_rate_init": 1e-12},
    "alpha=0.0001": {"max_iter": 8, "learning_rate_init": 0.003},
    "alpha=1": {"max_iter": 8, "learning_rate_init": 0.003, "alpha": 1},
}
networks = {
    name: ConvNetClassifier(8, 5, batch_norm=False, learning_rate="constant", random_state=3, **settings).fit(X, y)
    for name, settings in VARIANTS.items()
}

# %%
# An edge, put in numbers
# -----------------------
# The simplest edge detector rises steadily from one side of the window to the other: a tilted plane. How much of a
# kernel, once its mean is taken away, is such a plane? Of pure noise, two parts in twenty-four: a plane has two
# directions, and a window of 5x5 has 24 once its mean is gone.

rows, columns = np.meshgrid(np.arange(5) - 2.0, np.arange(5) - 2.0, indexing="ij")
planes = np.stack([rows.ravel(), columns.ravel()]) / np.linalg.norm(rows)


def share_of_edge(kernels):
    centred = kernels.reshape(len(kernels), -1)
    centred = centred - centred.mean(axis=1, keepdims=True)
    return ((centred @ planes.T) ** 2).sum(axis=1) / (centred**2).sum(axis=1)


print(f"{data}: mean share of a tilted plane; of noise, {2 / 24:.2f} is expected")
for name, network in networks.items():
    share = share_of_edge(network.kernels_[0][:, 0]).mean()
    print(f"{name:16s} {share:.2f}, accuracy on test images {network.score(X_test, y_test):.3f}")

# %%
# White weights raise the output, black ones lower it. Each row has one scale of grey.

figure, axes = plt.subplots(3, 8, figsize=(10, 4.6), layout="constrained")
for line, (name, network) in zip(axes, networks.items(), strict=True):
    kernels = network.kernels_[0][:, 0]
    limit = np.abs(kernels).max()
    for ax, kernel, share in zip(line, kernels, share_of_edge(kernels), strict=True):
        ax.imshow(kernel, cmap="gray", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{share:.0%}", fontsize=10)
    line[0].set_ylabel(name)
figure.suptitle("How much of each kernel is an edge")
plt.show()

# %%
# With the usual penalty, training leaves most of the initial noise where it was: the network does well with kernels that look
# like nothing, because the layers after them make up for it. With a strong penalty, a kernel keeps only what it needs. On
# Fashion-MNIST some fade away, and most of the others become edges: vertical, horizontal and oblique ones. That costs a
# little accuracy here.
#
# A map is bright where its kernel matches
# ----------------------------------------

FeatureMapDisplay.from_estimator(networks["alpha=1"], X_test[0], block=0)
plt.show()
