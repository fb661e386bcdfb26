"""
A learning rate that falls, and labels that are less certain
============================================================

With a large learning rate a network gets far in few epochs, and with a small one it settles. A schedule does the one after the
other. ``"cosine"`` begins at ``learning_rate_init`` and falls to nearly nothing in the last epoch; ``"one_cycle"`` rises to ten
times that rate first. Three schedules are compared here at five rates, three times each, on scikit-learn's digits; then two other
settings of training, ``solver="adamw"`` and ``label_smoothing``.
"""

# %%
# What the rate does
# ------------------
# A fitted network has the rate of every epoch in ``learning_rate_curve_``. These three reach the same largest rate.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from sklearn_cnn import ConvNetClassifier

X, y = load_digits(return_X_y=True)
N_TRAIN, SEEDS = 600, range(3)
SCHEDULES = {"constant": "0.4", "cosine": "tab:blue", "one_cycle": "tab:red"}


def network(schedule, largest_rate, **settings):
    """Build a network whose learning rate is never larger than that."""
    rate = largest_rate / 10 if schedule == "one_cycle" else largest_rate
    return ConvNetClassifier(
        n_filters=(16, 32), learning_rate=schedule, learning_rate_init=rate, input_shape=(8, 8), tol=0, n_iter_no_change=100,
        **settings,
    )  # fmt: skip


figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for schedule, colour in SCHEDULES.items():
    fitted = network(schedule, 0.01, max_iter=40, random_state=0).fit(X[:100], y[:100])
    ax.plot(range(1, 41), fitted.learning_rate_curve_, color=colour, label=schedule)
ax.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# Few epochs and many
# -------------------
# A network of two blocks learns from 600 digits for 2, 8 or 32 epochs and is tested on 997 others.

RATES, EPOCHS = (0.001, 0.003, 0.01, 0.03, 0.1), (2, 8, 32)


def test_runs(settings):
    """Train on images drawn anew for each seed; return accuracy, log loss and mean certainty on images that no run has seen."""
    runs = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(X))
        train, test = order[:N_TRAIN], order[800:]
        probabilities = network(random_state=seed, **settings).fit(X[train], y[train]).predict_proba(X[test])
        right = probabilities.argmax(axis=1) == y[test]
        runs.append((right.mean(), log_loss(y[test], probabilities), probabilities.max(axis=1).mean()))
    return np.array(runs)


errors = {
    (schedule, n_epochs): np.array([
        100 - 100 * test_runs({"schedule": schedule, "largest_rate": rate, "max_iter": n_epochs})[:, 0] for rate in RATES
    ])
    for schedule in SCHEDULES
    for n_epochs in EPOCHS
}  # fmt: skip

print("errors in per cent, mean of three runs, at the largest rates", *RATES)
for (schedule, n_epochs), runs in errors.items():
    print(f"{schedule:10s} {n_epochs:3d} epochs  ", "  ".join(f"{mean:4.1f}" for mean in runs.mean(axis=1)))

# %%
figure, axes = plt.subplots(1, len(EPOCHS), figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, n_epochs in zip(axes, EPOCHS, strict=True):
    for schedule, colour in SCHEDULES.items():
        runs = errors[schedule, n_epochs]
        ax.fill_between(RATES, runs.min(axis=1), runs.max(axis=1), color=colour, alpha=0.15)
        ax.plot(RATES, runs.mean(axis=1), "o-", color=colour, label=schedule)
    ax.set(xscale="log", yscale="log", title=f"{n_epochs} epochs", xlabel="largest learning rate")
    ax.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    ax.set_yticks((2, 5, 10, 20, 50), (2, 5, 10, 20, 50))
    ax.minorticks_off()
    ax.grid(alpha=0.3)
axes[0].set_ylabel("errors on test images in per cent")
axes[-1].legend()
plt.show()

# %%
# It is the largest rate that counts. Where that is small, a constant rate gets further, because the others are smaller still most
# of the time. Where it is large, a constant rate leaves the network restless at the end, and a falling one lets it settle. With
# ``"one_cycle"``, whose first steps are small, too, it hardly matters which of the three larger rates it is. That is what a
# schedule is for: it gets no further than the best constant rate does here, but it forgives a rate that is too large.
#
# Decay and smoothing
# -------------------
# Weights that are kept small fit less of what is accidental. ``solver="adamw"`` makes every weight a little smaller in each
# step, whatever its gradient; ``alpha`` says how much, and much larger values than with ``"adam"`` are usual. With
# ``label_smoothing=0.1`` the network learns that an image is what its label says with a probability of 0.91 only.

SETTINGS = {
    "adam": {},
    "adamw, alpha=0.3": {"solver": "adamw", "alpha": 0.3},
    "adamw, alpha=3": {"solver": "adamw", "alpha": 3.0},
    "label_smoothing=0.1": {"label_smoothing": 0.1},
    "adamw, alpha=3, label_smoothing=0.1": {"solver": "adamw", "alpha": 3.0, "label_smoothing": 0.1},
}
CYCLE = {"schedule": "one_cycle", "largest_rate": 0.01, "max_iter": 30}

runs_of = {name: test_runs(CYCLE | settings) for name, settings in SETTINGS.items()}
print("mean of three runs:                   accuracy  certainty  log loss")
for name, runs in runs_of.items():
    accuracy, loss, certainty = runs.mean(axis=0)
    print(f"{name:36s}  {accuracy:.3f}     {certainty:.3f}      {loss:.3f}")

# %%
figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for line, runs in enumerate(runs_of.values()):
    accuracy, _, certainty = runs.T
    ax.plot(accuracy, np.full(len(runs), line), "o", ms=8, color="tab:blue", alpha=0.7, label="accuracy" if line == 0 else None)
    ax.plot(
        certainty, np.full(len(runs), line), "d", ms=8, color="tab:orange", alpha=0.7,
        label="mean probability of the predicted class" if line == 0 else None,
    )  # fmt: skip
ax.set(xlabel="on test images (one mark per run)", ylim=(-0.6, len(runs_of) - 0.4))
ax.set_yticks(range(len(runs_of)), list(runs_of))
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
figure.legend(loc="outside upper center", ncols=2)
plt.show()

# %%
# A strong decay saves the network most of its errors, and costs it some of its certainty. The weak one does little. Smoothing
# takes away much certainty and saves hardly any errors: the labels of digits are right, and the network had been about as certain
# as it was right. So search over ``alpha``, and keep ``label_smoothing`` for labels or networks that are too sure.
