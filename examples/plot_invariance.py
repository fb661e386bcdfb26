"""
Invariance: what pooling forgives
=================================

Pooling keeps the largest value of a window and forgets where in the window it was. A shift inside the window leaves the
result as it is. Larger windows forgive larger shifts; without pooling little is forgiven.
"""

# %%
# One bright pixel
# ----------------
# The maximum of a 2x2 window does not care which of its four pixels is bright. A step across the border of the window
# it does notice.

import matplotlib.pyplot as plt
import numpy as np
from images import draw_samples, load_images

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn.functional import max_pool2d

for column in (2, 3, 4):
    row = np.zeros((1, 2, 6, 1))
    row[0, 0, column] = 1
    print(f"bright pixel in column {column}: pooled {max_pool2d(row)[0, 0, :, 0]}")

# %%
# Whole networks
# --------------
# The same convolution is followed by maximum pooling over windows of several sizes, or by nothing. Each network is
# trained three times on images as they are, and tested on images moved by one pixel, two pixels, and so on, in each of
# the four directions. What enters at a border is what left at the other.

X_all, y_all, X_test, y_test, data = load_images()
X_test, y_test = draw_samples(X_test, y_test, 1000, random_state=0)

POOL_SIZES = (None, 2, 4, 7) if X_test.shape[1] == 28 else (None, 2, 4)
SHIFTS = range(5) if X_test.shape[1] == 28 else range(3)
SEEDS = range(3)


def accuracy_under_shift(network, shift):
    moves = {(shift, 0), (-shift, 0), (0, shift), (0, -shift)}
    return np.mean([network.score(np.roll(X_test, move, axis=(1, 2)), y_test) for move in moves])


accuracy = np.empty((len(POOL_SIZES), len(SEEDS), len(SHIFTS)))
for i, size in enumerate(POOL_SIZES):
    pooling = {"pooling": None} if size is None else {"pooling": "max", "pool_size": size}
    for j, seed in enumerate(SEEDS):
        X, y = draw_samples(X_all, y_all, 2000, random_state=seed)
        settings = {"n_filters": 16, "kernel_size": 5, "batch_norm": False, "learning_rate": "constant", "max_iter": 10}
        network = ConvNetClassifier(**settings, **pooling, random_state=seed).fit(X, y)
        accuracy[i, j] = [accuracy_under_shift(network, shift) for shift in SHIFTS]

names = ["no pooling" if size is None else f"windows {size}x{size}" for size in POOL_SIZES]
print(f"accuracy on {data}, mean of {len(SEEDS)} runs (range), by pixels of shift")
print("shift  " + "".join(f"{name:22s}" for name in names))
for shift, runs in zip(SHIFTS, np.moveaxis(accuracy, -1, 0), strict=True):
    print(f"{shift:5d}  " + "".join(f"{r.mean():.3f} ({r.min():.3f}-{r.max():.3f})".ljust(22) for r in runs))

# %%
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
colours = plt.colormaps["viridis"](np.linspace(0, 0.85, len(POOL_SIZES)))
colours[0] = (0.6, 0.6, 0.6, 1)
for name, runs, colour in zip(names, accuracy, colours, strict=True):
    ax.fill_between(SHIFTS, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.25)
    ax.plot(SHIFTS, runs.mean(axis=0), "o-", color=colour, label=name)
ax.set(xlabel="shift of the test images in pixels", ylabel=f"accuracy on {data}", xticks=list(SHIFTS))
ax.set_title("The larger the window, the larger the shift that is forgiven")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# The network without pooling is hurt most by every shift, though not at once: neighbouring pixels resemble each other, and so do
# the maps of an image and of the same image moved by one pixel.
#
# There is a price: large windows also forget what would have told the classes apart, and on images that stay in place
# they are not the best. And no network here is invariant for good: what windows forgive is a few pixels. To be safe
# against larger shifts, stack blocks (their windows multiply) or train with moved images.
