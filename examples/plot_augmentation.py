"""
More images from few
====================

A five that leans a little more to the left is still a five. Where the training images do not show it, a network can be
told: with ``augment`` it sees a slightly changed copy of each image in every epoch. What that buys depends on how many images
there are, and on whether the changes are those that real images show.
"""

# %%
# What training sees
# ------------------
# One of scikit-learn's digits, turned by up to ten degrees and enlarged or shrunk by up to a tenth, drawn again in every
# epoch; moved by up to one of its eight pixels as well; and mirrored.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_cnn import ConvNetClassifier, ImageAugmentation
from sklearn_cnn.inspection import AugmentationDisplay

X, y = load_digits(return_X_y=True)
AUGMENTATIONS = {
    "as they are": None,
    "turned, enlarged": ImageAugmentation(rotate=10, zoom=0.1),
    "turned, enlarged, moved": ImageAugmentation(rotate=10, zoom=0.1, shift=1),
    "mirrored": ImageAugmentation(flip="horizontal"),
}

figure, axes = plt.subplots(3, 1, figsize=(8, 5), layout="constrained")
for ax, augmentation in zip(axes, list(AUGMENTATIONS.values())[1:], strict=True):
    AugmentationDisplay.from_augmentation(
        augmentation, X, sample=5, input_shape=(8, 8), n_versions=9, ax=ax, n_columns=10
    )
plt.show()

# %%
# Fifty images, and more
# ----------------------
# The same network learns from 50 to 400 images for 150 epochs, three times from other images and other initial weights,
# and is tested on the remaining 997 images, which are not changed.

N_IMAGES = (50, 100, 200, 400)
SEEDS = range(3)

accuracy = {name: np.empty((len(N_IMAGES), len(SEEDS))) for name in AUGMENTATIONS}
for j, seed in enumerate(SEEDS):
    order = np.random.default_rng(seed).permutation(len(X))
    test = order[800:]
    for i, n_images in enumerate(N_IMAGES):
        train = order[:n_images]
        for name, augmentation in AUGMENTATIONS.items():
            network = ConvNetClassifier(
                n_filters=(16, 32), batch_norm=False, augment=augmentation, max_iter=150, learning_rate="cosine",
                learning_rate_init=2e-3, input_shape=(8, 8), random_state=seed,
            )  # fmt: skip
            accuracy[name][i, j] = network.fit(X[train], y[train]).score(X[test], y[test])

print("accuracy on test images, mean of three runs (range)")
print("images  " + "".join(f"{name:25s}" for name in AUGMENTATIONS))
for i, n_images in enumerate(N_IMAGES):
    cells = [f"{runs[i].mean():.3f} ({runs[i].min():.3f}-{runs[i].max():.3f})" for runs in accuracy.values()]
    print(f"{n_images:6d}  " + "".join(f"{cell:25s}" for cell in cells))

# %%
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
colours = ("0.4", "tab:blue", "tab:green", "tab:red")
for (name, runs), colour in zip(accuracy.items(), colours, strict=True):
    errors = 100 * (1 - runs)
    ax.fill_between(N_IMAGES, errors.min(axis=1), errors.max(axis=1), color=colour, alpha=0.2)
    ax.plot(N_IMAGES, errors.mean(axis=1), "o-", color=colour, label=name)
ax.set(xlabel="training images", ylabel="errors on test images in per cent", xscale="log", yscale="log")
ax.set_xticks(N_IMAGES, N_IMAGES)
ax.set_yticks((1, 2, 5, 10, 20), (1, 2, 5, 10, 20))
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# Turned and enlarged digits save the network some of its errors at every number of images. Twice as many images would save
# more, but these are free. Moving the digits as well loses that gain: they stand in the middle of their images, one pixel
# of eight is a long way, and no test image is moved. Mirrored digits do harm, however many images there are: a mirrored
# digit is no digit. So vary what does vary; a search over ``augment__rotate`` or ``augment__shift`` finds out how far.
