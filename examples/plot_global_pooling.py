"""
What is there, and where it is
==============================

A convolution finds a pattern wherever it is. A dense layer behind it does not: it has a weight of its own for every place of
every map, so it has to learn each pattern again at every place. With ``global_pooling="average"`` only the average of each map
is left: what there is, but not where. Both are tried here on signals whose pattern may be anywhere, and on signals where its
place is the question.
"""

# %%
# One of four patterns in noise
# -----------------------------
# Every signal has 96 values of noise, and one pattern of 16 values that is added at a place drawn at random.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_cnn import ConvNetClassifier

LENGTH, WIDTH = 96, 16
TURN = 2 * np.pi * np.arange(WIDTH) / WIDTH
PATTERNS = np.array([np.sin(TURN), -np.sin(TURN), np.sin(2 * TURN), 0.9 * np.sign(7.5 - np.arange(WIDTH))])
SOMEWHERE = np.arange(LENGTH - WIDTH + 1)
MIDDLE = np.arange(36, 45)


def make_signals(n_signals, places, seed):
    """Draw signals; return them, the pattern of each and where it begins."""
    random = np.random.default_rng(seed)
    signals = 0.35 * random.standard_normal((n_signals, LENGTH))
    kinds, starts = random.integers(len(PATTERNS), size=n_signals), random.choice(places, n_signals)
    for signal, kind, start in zip(signals, kinds, starts, strict=True):
        signal[start : start + WIDTH] += PATTERNS[kind]
    return signals, kinds, starts


signals, kinds, _ = make_signals(60, SOMEWHERE, 0)
figure, axes = plt.subplots(2, len(PATTERNS), figsize=(9, 3), sharex=True, sharey=True, layout="constrained")
for kind in range(len(PATTERNS)):
    for ax, signal in zip(axes[:, kind], signals[kinds == kind], strict=False):
        ax.plot(signal, lw=1)
    axes[0, kind].set_title(f"class {kind}")
plt.show()

# %%
# Trained in the middle, tested everywhere
# ----------------------------------------
# Two networks learn from 400 signals whose pattern is in the middle. They have the same three blocks of convolutions. One
# gives all values of its maps to the output layer, the other their averages.

NETWORKS = {"all places": None, "averages": "average"}
COLOURS = {"all places": "tab:gray", "averages": "tab:blue"}
SEEDS = range(3)


def network(name, seed):
    return ConvNetClassifier(
        n_filters=(16, 32, 32), kernel_size=5, global_pooling=NETWORKS[name], max_iter=20, random_state=seed
    )


PLACES = range(0, LENGTH - WIDTH + 1, 4)
tests = [make_signals(200, [place], seed=100) for place in PLACES]
elsewhere = {}
for name in NETWORKS:
    fitted = [network(name, seed).fit(*make_signals(400, MIDDLE, seed)[:2]) for seed in SEEDS]
    elsewhere[name] = np.array([[one.score(X, y) for one in fitted] for X, y, _ in tests])
    print(f"{name:10s} {fitted[0].n_parameters_:6,d} parameters, accuracy {elsewhere[name].mean():.2f} as a mean over all places")

# %%
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.axvspan(MIDDLE[0], MIDDLE[-1], color="tab:green", alpha=0.2, label="where training had it")
for name, runs in elsewhere.items():
    ax.fill_between(PLACES, runs.min(axis=1), runs.max(axis=1), color=COLOURS[name], alpha=0.2)
    ax.plot(PLACES, runs.mean(axis=1), "o-", ms=4, color=COLOURS[name], label=name)
ax.axhline(1 / len(PATTERNS), color="black", lw=1, ls=":")
ax.set(xlabel="where the pattern begins in the test signals", ylabel="accuracy", ylim=(0, 1.02))
ax.legend(loc="center right")
plt.show()

# %%
# The network without averages knows the patterns only where it has seen them. That with averages knows them everywhere.
#
# More signals instead
# --------------------
# Signals that show every pattern at every place teach the first network what the second one knows from the start.

N_SIGNALS = (50, 100, 200, 400, 800, 1600)
X_test, y_test, start_test = make_signals(1000, SOMEWHERE, seed=100)

accuracy = {name: np.empty((len(N_SIGNALS), len(SEEDS))) for name in NETWORKS}
for name, runs in accuracy.items():
    for i, n_signals in enumerate(N_SIGNALS):
        for j, seed in enumerate(SEEDS):
            X, kinds, _ = make_signals(n_signals, SOMEWHERE, seed)
            runs[i, j] = network(name, seed).fit(X, kinds).score(X_test, y_test)

print("signals   " + "   ".join(f"{name:21s}" for name in NETWORKS))
for i, n_signals in enumerate(N_SIGNALS):
    cells = [f"{runs[i].mean():.3f} ({runs[i].min():.3f}-{runs[i].max():.3f})" for runs in accuracy.values()]
    print(f"{n_signals:7,d}   " + "   ".join(f"{cell:21s}" for cell in cells))

# %%
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for name, runs in accuracy.items():
    ax.fill_between(N_SIGNALS, runs.min(axis=1), runs.max(axis=1), color=COLOURS[name], alpha=0.2)
    ax.plot(N_SIGNALS, runs.mean(axis=1), "o-", color=COLOURS[name], label=name)
ax.axhline(1 / len(PATTERNS), color="black", lw=1, ls=":")
ax.set(xlabel="training signals", ylabel="accuracy on 1,000 test signals", xscale="log", ylim=(0, 1.02))
ax.set_xticks(N_SIGNALS, N_SIGNALS)
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()

# %%
# Where the place is the question
# -------------------------------
# The same signals, but now the class is the quarter in which the pattern begins, whatever the pattern.


def quarter(starts):
    return starts * 4 // len(SOMEWHERE)


for name in NETWORKS:
    runs = []
    for seed in SEEDS:
        X, _, starts = make_signals(400, SOMEWHERE, seed)
        runs.append(network(name, seed).fit(X, quarter(starts)).score(X_test, quarter(start_test)))
    print(f"{name:10s} {np.mean(runs):.2f} ({min(runs):.2f} to {max(runs):.2f})")

# %%
# Now the averages lose what was asked for, and little more than chance is left. So average where a label says what there is.
# ``global_pooling="auto"``, the default, does that in a classifier that chooses its filters itself, and never in a regressor,
# whose numbers often say where something is.
