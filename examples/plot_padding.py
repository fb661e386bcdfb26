"""
What is outside the image: zeros or a mirror
============================================

At the border a kernel reaches beyond the image, and something has to be there. Zeros are black: an edge detector then sees
a frame around every image. Reflection continues the image by its own mirror image, and there is no frame to detect.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from sklearn_cnn.functional import conv2d, pad

photograph = load_sample_image("china.jpg")[40:160, 60:240].mean(axis=-1)[None, :, :, None]

# %%
# Twenty-four pixels of padding
# -----------------------------
# "reflect" does not repeat the border itself: ``... c b | a b c ...`` becomes ``c b a b c``.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, mode in zip(axes, ("zeros", "reflect"), strict=True):
    ax.imshow(pad(photograph, 24, mode=mode)[0, :, :, 0], cmap="gray", vmin=0, vmax=255)
    ax.add_patch(plt.Rectangle((23.5, 23.5), 180, 120, fill=False, color="tab:orange", lw=2))
    ax.set(title=mode, xticks=[], yticks=[])
plt.show()

# %%
# Edges and means
# ---------------
# A detector of horizontal edges, and a mean over 25x25 pixels, each with both kinds of padding. Outputs keep the size of
# the image. Edges are drawn dark on white: look at the top and the bottom of the first picture, where zeros have left a
# line.

edges = np.array([[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]])
mean = np.full((25, 25), 1 / 625)

figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
responses = {}
for line, (name, kernel) in zip(axes, {"edges": edges, "mean": mean}.items(), strict=True):
    for ax, mode in zip(line, ("zeros", "reflect"), strict=True):
        output = conv2d(photograph, kernel[None, None], padding="same", padding_mode=mode)[0, :, :, 0]
        responses[name, mode] = output
        if name == "edges":
            ax.imshow(np.abs(output), cmap="gray_r", vmin=0, vmax=500)
        else:
            ax.imshow(output, cmap="gray", vmin=0, vmax=255)
        ax.set(title=f"{name}, padding_mode={mode!r}", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)  # a drawn border would hide the line that zeros leave
plt.show()

# %%
# In numbers: the mean strength of edges in the top row of the image, in the row below and in all of it; and the mean
# brightness of the top row.

for mode in ("zeros", "reflect"):
    strength = np.abs(responses["edges", mode])
    print(
        f"{mode:8s} edges: top row {strength[0].mean():6.1f}, next row {strength[1].mean():6.1f}, whole image "
        f"{strength.mean():5.1f};  brightness of the top row {responses['mean', mode][0].mean():5.1f}"
    )
print(f"brightness of the photograph's own top 13 rows {photograph[0, :13].mean():.1f}")

# %%
# In the top row the mirrored detector gives exactly nothing: what is above the row equals what is below it. The zeros
# make an edge where there is none, several times stronger than those of the picture. In the estimator both are
# ``padding_mode``, one for all blocks or one for each.
