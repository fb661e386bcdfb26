"""
Forward a cross-correlation, backward a convolution
===================================================

A convolution layer computes a cross-correlation: the kernel is laid on the image as it is. Training needs the gradient
of the image, and that is a true convolution, with the kernel turned by 180 degrees. The same is true the
other way round. All numbers of this page are computed.
"""

# %%
# Forward
# -------
# A 4x4 image and a 2x2 kernel give a 3x3 map.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_cnn.functional import conv2d, conv2d_backward, convolve, cross_correlate, flip_kernel

X = np.array([[1.0, 0, 2, 1], [3, 1, 0, 2], [0, 2, 1, 1], [1, 0, 3, 2]])
K = np.array([[1.0, 2], [3, 4]])

print(cross_correlate(X, K))

# %%
# Backward
# --------
# ``d_out`` is the gradient of the loss with respect to each number of the map. A pixel has taken part in up to four
# numbers of the map, through a different weight each time. Its gradient is the sum over these. Laying out which weight
# met which number shows the kernel running backwards.

d_out = np.array([[1.0, 0, 2], [0, 3, 0], [1, 0, 1]])

d_X, d_kernels, d_bias = conv2d_backward(d_out[None, :, :, None], X[None, :, :, None], K[None, None])
d_X, d_K = d_X[0, :, :, 0], d_kernels[0, 0]

print("gradient by back-propagation\n", d_X)
print("full convolution of d_out with the kernel\n", convolve(d_out, K, mode="full"))
print("the same in every bit:", np.array_equal(d_X, convolve(d_out, K, mode="full")))

# %%
# Pixel (1, 1) by hand: it met weight ``K[1, 1] = 4`` for output (0, 0), ``K[1, 0] = 3`` for output (0, 1),
# ``K[0, 1] = 2`` for (1, 0) and ``K[0, 0] = 1`` for (1, 1). So its gradient is ``4*1 + 3*0 + 2*0 + 1*3 = 7``.

print(d_X[1, 1])

# %%
# The gradient of the kernel is a cross-correlation again, of the image with ``d_out``:

print(np.array_equal(d_K, cross_correlate(X, d_out)), d_bias[0] == d_out.sum())

# %%
# And the other way round
# -----------------------
# If the layer computed a convolution, which is a cross-correlation with the flipped kernel, the gradient would be a
# cross-correlation with the kernel as it is.

d_X_of_convolution = conv2d_backward(d_out[None, :, :, None], X[None, :, :, None], flip_kernel(K)[None, None])[0][0, :, :, 0]
print(np.array_equal(d_X_of_convolution, cross_correlate(d_out, K, padding=1)))

# %%
# As a picture
# ------------


def draw(ax, numbers, title, colour):
    ax.imshow(np.ones((*numbers.shape, 3)))
    for (row, column), value in np.ndenumerate(numbers):
        ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", lw=3))
        ax.text(column, row, f"{value:g}", ha="center", va="center", fontsize=15)
    middle_row, middle_column = (np.array(numbers.shape) - 1) / 2
    ax.set(xlim=(middle_column - 2.1, middle_column + 2.1), ylim=(middle_row + 2.1, middle_row - 2.1), aspect="equal")
    ax.set_title(title, fontsize=13)
    ax.set_axis_off()


IMAGE, KERNEL, MAP = "#cfe2f3", "#ffe599", "#d9ead3"
figure = plt.figure(figsize=(10, 7.4), layout="constrained")
forward, backward = figure.subfigures(2, 1)
forward.suptitle("forward: the kernel as it is", fontsize=15, weight="bold")
backward.suptitle("backward: the kernel turned by 180 degrees", fontsize=15, weight="bold")
axes = forward.subplots(1, 3)
draw(axes[0], X, "image", IMAGE)
draw(axes[1], K, "kernel", KERNEL)
draw(axes[2], cross_correlate(X, K), "map", MAP)
axes = backward.subplots(1, 3)
draw(axes[0], d_out, "gradient of the map", MAP)
draw(axes[1], flip_kernel(K), "kernel, turned", KERNEL)
draw(axes[2], d_X, "gradient of the image", IMAGE)
plt.show()

# %%
# One more check, numerically: moving each pixel a little changes the loss ``(d_out * map).sum()`` by just this much.

numerical = np.empty_like(X)
for index in np.ndindex(X.shape):
    moved = X.copy()
    moved[index] += 1
    change = conv2d(moved[None, :, :, None], K[None, None]) - conv2d(X[None, :, :, None], K[None, None])
    numerical[index] = (d_out * change[0, :, :, 0]).sum()
print(np.array_equal(numerical, d_X))
