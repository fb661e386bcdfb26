"""
Successive halving that goes on instead of beginning again
==========================================================

Successive halving gives all settings a few epochs, keeps the better half, gives those twice as many, and so on. scikit-learn's
``HalvingGridSearchCV`` can do that with ``resource="max_iter"``. But it clones an estimator for every fit, so each round begins
at the first epoch, and ``warm_start`` does not help. With a loop of your own the networks go on: the same scores in every bit,
for fewer epochs.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, ParameterGrid, train_test_split

from sklearn_cnn import ConvNetClassifier

X, y = load_digits(return_X_y=True)
train, watched = train_test_split(np.arange(len(X)), test_size=0.3, random_state=0)

GRID = {"n_filters": [4, 16], "kernel_size": [1, 3], "learning_rate_init": [1e-3, 1e-2]}
ROUNDS = [2, 4, 8, 16]  # epochs that a network has had after each round

# %%
# scikit-learn's search
# ---------------------
# ``warm_start=True`` has one effect here: the learning rate is constant, because the end of training is not known in advance.
# A cycle of ``"one_cycle"`` with two epochs differs from one with four, so training could not go on from it.

network = ConvNetClassifier(input_shape=(8, 8), warm_start=True, random_state=0)
search = HalvingGridSearchCV(
    network, GRID, resource="max_iter", min_resources=ROUNDS[0], max_resources=ROUNDS[-1], factor=2, cv=[(train, watched)],
    refit=False,
).fit(X, y)  # fmt: skip
begun_again = sum(n_candidates * n_epochs for n_candidates, n_epochs in zip(search.n_candidates_, ROUNDS, strict=True))
print(f"scikit-learn: {begun_again} epochs, best {search.best_params_}, accuracy {search.best_score_:.3f}")

# %%
# A loop that goes on
# -------------------
# ``fit`` with ``warm_start`` goes on from where the network is, with the state of its solver, for ``max_iter`` more epochs.
# So every network is kept, and each round trains only what is new.

candidates = [(parameters, clone(network).set_params(**parameters)) for parameters in ParameterGrid(GRID)]
went_on, done, curves = 0, 0, {}
for n_epochs in ROUNDS:
    scores = []
    for parameters, candidate in candidates:
        candidate.set_params(max_iter=n_epochs - done).fit(X[train], y[train])
        went_on += candidate.n_iter_
        scores.append(candidate.score(X[watched], y[watched]))
        curves.setdefault(str(parameters), []).append((n_epochs, scores[-1]))
    best_last = np.argsort(scores, kind="stable")
    best_parameters, best_score = candidates[best_last[-1]][0], max(scores)
    candidates = [candidates[place] for place in best_last[len(candidates) // 2 :]]
    done = n_epochs
print(f"going on:     {went_on} epochs, best {best_parameters}, accuracy {best_score:.3f}")

expected = {}
for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    n_epochs = parameters.pop("max_iter")
    expected.setdefault(str(parameters), []).append((n_epochs, score))
print("the same scores:", curves == expected)
assert curves == expected

# %%
# What was saved
# --------------

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for curve in curves.values():
    n_epochs, scores = zip(*curve, strict=True)
    ax.plot(n_epochs, scores, "o-", markersize=4)
ax.set(xlabel="epochs", ylabel="accuracy on watched images", xscale="log")
ax.set_title(f"{begun_again} epochs, or {went_on} if networks go on")
ax.set_xticks(ROUNDS, map(str, ROUNDS))
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# With more rounds, the search that begins again trains twice as much as the one that goes on; with ``factor=3``, half as much
# again. Going on costs memory: every network that is still in the race keeps its parameters and two numbers more for each of
# them. And these networks have learnt at a constant rate. When the settings are found, fit once more with
# ``warm_start=False``, and the learning rate falls to its end.
#
# A hopeless setting can also be dropped in the middle of a fit: "Tools of others" in the :doc:`/user_guide` shows it with Optuna.
