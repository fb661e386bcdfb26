"""
A network before a support vector machine
=========================================

A support vector machine on pixels compares images place by place; a network learns what to compare. With
``ConvNetTransformer`` the machine gets the output of a layer of the network. Is the pair better than either part alone when
there are few images?
"""

import matplotlib.pyplot as plt
import numpy as np
from images import draw_samples, load_images
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_cnn import ConvNetClassifier, ConvNetTransformer

X_all, y_all, X_test, y_test, data = load_images()
X_test, y_test = draw_samples(X_test, y_test, 500, random_state=0)

N_IMAGES = 300
SEEDS = range(5)


def flat(images):
    return images.reshape(len(images), -1)


def models(seed):
    network = ConvNetClassifier(
        n_filters=(16, 32), max_iter=20, batch_norm=False, learning_rate="one_cycle", learning_rate_init=3e-3, random_state=seed
    )
    return {
        "machine on pixels": make_pipeline(FunctionTransformer(flat), StandardScaler(with_std=False), SVC(C=10)),
        "network": network,
        "machine on its features": make_pipeline(ConvNetTransformer(network), SVC(C=10)),
    }


# %%
# Five times
# ----------
# Each time with other images and other initial weights. The network inside the pair is trained like the network alone.

accuracy = {}
for seed in SEEDS:
    X, y = draw_samples(X_all, y_all, N_IMAGES, random_state=seed)
    for name, model in models(seed).items():
        accuracy.setdefault(name, []).append(model.fit(X, y).score(X_test, y_test))

print(f"{data}, {N_IMAGES} training images: mean of {len(SEEDS)} runs, standard deviation, range")
for name, runs in accuracy.items():
    print(f"{name:24s} {np.mean(runs):.3f} +- {np.std(runs):.3f} ({min(runs):.3f} to {max(runs):.3f})")
gains = np.subtract(accuracy["machine on its features"], accuracy["network"])
print("gain of the pair over its network, run by run:", " ".join(f"{gain:+.3f}" for gain in gains))

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for place, runs in enumerate(accuracy.values()):
    ax.plot(runs, np.full(len(runs), place), "o", color="tab:blue", alpha=0.5)
    ax.plot(np.mean(runs), place, "|", color="black", markersize=22, markeredgewidth=2)
ax.set_yticks(range(len(accuracy)), list(accuracy))
ax.set_ylim(len(accuracy) - 0.5, -0.5)
ax.set(xlabel=f"accuracy on {data}", title="Every run is a point, their mean a line")
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# On Fashion-MNIST the pair is better than both on average: clearly better than the machine on pixels, and by about 0.01 better
# than its own network, which is never ahead in these five runs. That is less than the runs differ among themselves. With a
# network that is trained differently the gain may vanish: its own output layer then reads the features as well as the machine
# does. The pair also does what a network cannot do by itself: novelty detection, a projection to two dimensions, or a new
# task for features that have been learnt for an old one (``prefit=True``).
