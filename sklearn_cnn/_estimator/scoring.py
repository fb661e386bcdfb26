"""The score that watches training where it is not the estimator's own: a scorer of scikit-learn, or the loss."""

import inspect
import math
from numbers import Real

from sklearn.metrics import check_scoring

from sklearn_cnn._estimator.validation import unpublished_twin
from sklearn_cnn._network.words import shown


def build_score(estimator, watched):
    """Build the function that scores a fitted state on validation data.

    Parameters
    ----------
    estimator : BaseConvNet
        Only its parameters are read.
    watched : Problem
        The validation data, in the scale of the caller; targets and weights are those of its rows.

    Returns
    -------
    score : callable or None
        ``score(fitted) -> float``, the larger the better. None where `scoring` asks for nothing but what the network's scores
        tell anyway.

    Raises
    ------
    ValueError
        If `scoring` is a metric and no scorer, or cannot take the weights of the validation data.
    """
    if estimator.scoring in (None, "loss"):
        return None
    scorer = check_scoring(estimator, scoring=estimator.scoring)
    weights = {} if watched.own_weight is None else {"sample_weight": watched.own_weight}
    if weights and not takes(scorer, "sample_weight"):
        raise ValueError(
            f"scoring={estimator.scoring!r} takes no sample_weight, but the validation data have weights. Give it that parameter "
            "or pass no weights."
        )

    X = watched.X if len(watched.rows) == len(watched.X) else watched.X[watched.rows]  # a scorer wants an array

    def score(fitted):
        found = scorer(fitted_twin(estimator, fitted), X, watched.target.y, **weights)
        if not isinstance(found, Real) or not math.isfinite(found):
            raise ValueError(
                f"scoring={estimator.scoring!r} returned {shown(found)} on the validation data, but it has to be a finite "
                "number. Choose another scorer, or validation data that it is defined for."
            )
        return float(found)

    return score


def takes(function, name):
    """Say whether a function can be called with a keyword argument of that name."""
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.name == name or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def without_feature_names(estimator):
    """Return a copy of a fitted network that takes arrays without a warning; another estimator as it is."""
    fitted = vars(estimator).get("_fitted")
    return estimator if fitted is None else fitted_twin(estimator, fitted)


def fitted_twin(estimator, fitted):
    """Build a copy of an estimator that predicts with another fitted state, on arrays whose features have no names."""
    twin = unpublished_twin(estimator)
    twin.__dict__["_fitted"] = {name: value for name, value in fitted.items() if name != "feature_names_in_"}
    return twin
