"""
Equivariance: move the image, and the map moves along
=====================================================

A convolution treats every place alike. So if the image moves, its feature map moves by as much and is otherwise the
same, bit for bit. With a stride, or after pooling, this holds for shifts by whole steps.
"""

# %%
# A photograph and its edges
# --------------------------
# The kernel looks for brightness that falls from left to right.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from sklearn_cnn.functional import conv2d, max_pool2d

photograph = load_sample_image("china.jpg")[80:320, 150:550].mean(axis=-1)
kernel = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])

SHIFT = (30, 60)


def feature_map(image):
    """Return the map of one grey image: rectified, of the image's size."""
    return np.maximum(conv2d(image[None, :, :, None], kernel[None, None], padding=1)[0, :, :, 0], 0)


def move(image, rows, columns):
    """Move an image down and to the right; black comes in."""
    moved = np.zeros_like(image)
    moved[rows:, columns:] = image[: len(image) - rows, : image.shape[1] - columns]
    return moved


map_of_moved = feature_map(move(photograph, *SHIFT))
moved_map = move(feature_map(photograph), *SHIFT)

# Only the pixels next to the border that came in can differ: there the kernel sees black that was not there.
inside = np.s_[SHIFT[0] + 1 : -1, SHIFT[1] + 1 : -1]
print("equal in every bit inside:", np.array_equal(map_of_moved[inside], moved_map[inside]))

figure, axes = plt.subplots(2, 2, figsize=(10, 6.3), layout="constrained")
for line, image, name in zip(axes, (photograph, move(photograph, *SHIFT)), ("image", "moved image"), strict=True):
    line[0].imshow(image, cmap="gray", vmin=0, vmax=255)
    line[0].set_title(name)
    line[1].imshow(feature_map(image), cmap="gray", vmin=0, vmax=400)
    line[1].set_title(f"map of the {name}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# After pooling
# --------------
# Windows of 2x2 halve the map. A shift by two pixels is a shift of the pooled map by one, exactly. A shift by one pixel
# is not a whole step of the pooled map: some windows change, others do not.


def pooled(image):
    return max_pool2d(feature_map(image)[None, :, :, None])[0, :, :, 0]


here = pooled(photograph)
for n_pixels in (2, 4, 6):
    there = pooled(move(photograph, 0, n_pixels))
    same = np.array_equal(there[2:-2, n_pixels // 2 + 1 : -2], here[2:-2, 1 : -2 - n_pixels // 2])
    print(f"image moved by {n_pixels}: pooled map moved by {n_pixels // 2}, equal in every bit: {same}")
there = pooled(move(photograph, 0, 1))
changed = (there != here)[2:-2, 2:-2].mean()
print(f"image moved by 1: {changed:.0%} of the pooled map has changed")
