"""
Stride instead of pooling
=========================

There are two ways to make a map smaller: compute all of it and keep the largest value of each window, or compute only
every other position. The second costs a quarter of the products. What does it cost in accuracy?
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from images import draw_samples, load_images

from sklearn_cnn import ConvNetClassifier
from sklearn_cnn.functional import output_shape

X_all, y_all, X_test, y_test, data = load_images()
X_test, y_test = draw_samples(X_test, y_test, 4000, random_state=0)
SEEDS = range(3)

VARIANTS = {
    "maximum pooling": {"pooling": "max"},
    "average pooling": {"pooling": "average"},
    "stride 2": {"pooling": None, "stride": 2},
    "neither": {"pooling": None},
}

TRAINING = {"batch_norm": False, "learning_rate": "constant", "max_iter": 12}

accuracy = {name: [] for name in VARIANTS}
seconds = {name: [] for name in VARIANTS}
n_parameters = {}
for seed in SEEDS:
    X, y = draw_samples(X_all, y_all, 1000, random_state=seed)
    for name, settings in VARIANTS.items():
        network = ConvNetClassifier(n_filters=(16, 32), random_state=seed, n_jobs=1, **TRAINING, **settings)
        start = time.perf_counter()
        network.fit(X, y)
        seconds[name].append(time.perf_counter() - start)
        accuracy[name].append(network.score(X_test, y_test))
        n_parameters[name] = network.n_parameters_

print(f"{data}: mean of {len(SEEDS)} runs (range)")
for name, runs in accuracy.items():
    print(
        f"{name:16s} accuracy {np.mean(runs):.3f} ({min(runs):.3f} to {max(runs):.3f}), {n_parameters[name]:7,} parameters, "
        f"{min(seconds[name]):.2f} s to train"
    )

# %%
figure, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
colours = {"maximum pooling": "tab:blue", "average pooling": "tab:cyan", "stride 2": "tab:orange", "neither": "tab:gray"}
for name, runs in accuracy.items():
    mean = np.mean(runs)
    spread = [[mean - min(runs)], [max(runs) - mean]]
    ax.errorbar(min(seconds[name]), mean, yerr=spread, fmt="o", ms=9, capsize=5, color=colours[name])
    ax.annotate(
        name, (min(seconds[name]), mean), xytext=(10, -4), textcoords="offset points", color=colours[name],
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # the bars of other variants may pass behind a name
    )  # fmt: skip
ax.set(xlabel="seconds to train (fastest of the runs)", ylabel=f"accuracy on {data}", xlim=(0, 1.3 * min(seconds["neither"])))
ax.set_title("Accuracy and time; bars are the range of the runs")
ax.grid(alpha=0.3)
plt.show()

# %%
# Times are those of one thread of the machine that built this page. On Fashion-MNIST the stride is the fastest way and
# loses some accuracy compared with maximum pooling. Keeping the whole map is the slowest, with by far the most parameters in
# the dense layer after it.
#
# Steps that skip pixels
# ----------------------
# A stride need not fit the image. A 3x3 kernel with stride 3 has one position only in a 5x5 image; two rows and two columns
# are never seen. The library warns of that.

shape, skipped = output_shape((5, 5), 3, stride=3)
print(f"map {shape}, rows and columns never seen: {skipped}")
