"""
Regression: by how much is an image turned?
===========================================

A network can predict a number as well as a class. Here images are turned by a random angle, and the network predicts it. With
the prediction they are turned back.
"""

# %%
# Images with an angle
# --------------------
# Nothing has to be labelled by hand: the program that turns the image knows the angle.

import matplotlib.pyplot as plt
import numpy as np
from images import draw_samples, load_images
from scipy.ndimage import rotate

from sklearn_cnn import ConvNetRegressor

LARGEST_ANGLE = 45.0


def turned(images, angles):
    """Turn each image by its angle, in degrees."""
    pairs = zip(images.astype(np.float32), angles, strict=True)
    return np.stack([rotate(image, angle, reshape=False, order=1) for image, angle in pairs])


X, y, X_test, y_test, data = load_images()
X, _ = draw_samples(X, y, 1000, random_state=0)
X_test, _ = draw_samples(X_test, y_test, 300, random_state=0)

random_state = np.random.RandomState(0)
angles = random_state.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, size=(3, len(X)))  # every image three times
X = np.concatenate([turned(X, some) for some in angles])
angles = angles.ravel()
angles_test = random_state.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, size=len(X_test))
X_test = turned(X_test, angles_test)

# %%
# The network
# -----------
# It is the network of a classifier with one output and the squared error. The angles go in as they are: the network
# learns them in units of their standard deviation, and answers in degrees.

network = ConvNetRegressor(
    n_filters=(16, 32), hidden_layer_sizes=64, max_iter=20, batch_norm=False, learning_rate_init=4e-4, random_state=0
)
network.fit(X, angles)
predictions = network.predict(X_test)

print(f"{data}, {len(X_test)} test images turned by up to {LARGEST_ANGLE:g} degrees")
print(f"R2:                                {network.score(X_test, angles_test):.3f}")
print(f"mean error of the network:         {np.abs(predictions - angles_test).mean():.1f} degrees")
print(f"mean error of a constant answer:   {np.abs(angles.mean() - angles_test).mean():.1f} degrees")

# %%
# Turned back
# -----------

figure, axes = plt.subplots(2, 8, figsize=(9, 2.7), layout="constrained")
shown = X_test[:8]
for column, (image, upright) in enumerate(zip(shown, turned(shown, -predictions[:8]), strict=True)):
    axes[0, column].imshow(image, cmap="gray_r")
    axes[0, column].set_title(f"{angles_test[column]:.0f}°, said {predictions[column]:.0f}°", fontsize=8)
    axes[1, column].imshow(upright, cmap="gray_r")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("turned")
axes[1, 0].set_ylabel("turned back")
plt.show()

# %%
figure, ax = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
ax.plot(angles_test, predictions, ".", markersize=4)
ax.plot([-LARGEST_ANGLE, LARGEST_ANGLE], [-LARGEST_ANGLE, LARGEST_ANGLE], color="0.4", linewidth=1)
ax.set(xlabel="angle in degrees", ylabel="prediction in degrees", title="Every test image is a point")
plt.show()

# %%
# Images differ in how upright they are to begin with, and those that look the same turned by a little more cannot be told
# apart: no network can be perfect here.
