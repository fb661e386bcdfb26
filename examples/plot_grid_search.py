"""
Which geometry? A grid search
=============================

Kernel size and number of filters are parameters like any other, so scikit-learn's ``GridSearchCV`` can search them.
Every parameter of the geometry takes a scalar, or one value per block.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_cnn import ConvNetClassifier

X, y = load_digits(return_X_y=True)

KERNEL_SIZES = [1, 2, 3, 5]
N_FILTERS = [4, 16, (4, 8), (16, 32)]

search = GridSearchCV(
    ConvNetClassifier(input_shape=(8, 8), max_iter=15, batch_norm=False, learning_rate="constant", random_state=0),
    {"kernel_size": KERNEL_SIZES, "n_filters": N_FILTERS},
    cv=3,
).fit(X, y)
print("best:", search.best_params_, f"accuracy {search.best_score_:.3f}")

# %%
# The heat map
# ------------
# ``cv_results_`` has one entry for each pair; the last parameter (in alphabetical order) changes fastest. Below the mean
# of the three folds is their standard deviation: differences of that size mean little.

shape = len(KERNEL_SIZES), len(N_FILTERS)
mean = search.cv_results_["mean_test_score"].reshape(shape)
deviation = search.cv_results_["std_test_score"].reshape(shape)

figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
picture = ax.imshow(mean, cmap="viridis", aspect="auto")
middle = (mean.min() + mean.max()) / 2
for row, column in np.ndindex(shape):
    ax.text(
        column, row, f"{mean[row, column]:.3f}\n$\\pm$ {deviation[row, column]:.3f}", ha="center", va="center",
        color="black" if mean[row, column] > middle else "white", fontsize=12,
    )  # fmt: skip
ax.set_xticks(range(shape[1]), [str(filters) for filters in N_FILTERS])
ax.set_yticks(range(shape[0]), [f"{size}x{size}" for size in KERNEL_SIZES])
ax.set(xlabel="n_filters", ylabel="kernel_size", title="digits: accuracy of cross-validation")
figure.colorbar(picture, label="accuracy")
plt.show()

# %%
# Kernels of a single pixel are much worse than all others. They see no neighbours, so shapes are left to the pooling and to the
# dense layer after them. Fifteen epochs are few: the table shows in part how fast a geometry learns, and not only how good it
# becomes. With sixty epochs, networks with few filters gain most, and single pixels are still the worst.
