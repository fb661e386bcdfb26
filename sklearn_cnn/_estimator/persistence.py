"""How an estimator keeps its fitted state: checked before it is read, replaced as a whole, pickled and exported."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, signature
from operator import is_not
from typing import ClassVar, NamedTuple, Self
from weakref import ref

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from sklearn_cnn._estimator.callbacks import OF_A_RUNNING_FIT
from sklearn_cnn._estimator.fitted import fitted_network, restored
from sklearn_cnn._estimator.fitting import advance_random_state
from sklearn_cnn._estimator.state import (
    MISSING,
    OF_TRAINING,
    check_going_on,
    check_reading,
    damaged,
    entries_of,
    is_exported,
    names_read,
)
from sklearn_cnn._estimator.validation import unpublished_twin
from sklearn_cnn._estimator.warning import warn
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.settled import settle, show
from sklearn_cnn._version import __version__

# parameter -> what estimators did before it existed, where that is not its default
DEFAULTS_BEFORE = {"batch_norm": False, "global_pooling": None}

# id of an estimator -> the `Checked` that was made of it last, and what takes it away with the estimator. A subclass may say
# what is equal, and then has no hash.
_CHECKED: dict = {}


def with_all_parameters(estimator, state, before=None):
    """Add to a pickled state what was no parameter yet when the estimator was pickled.

    Parameters
    ----------
    estimator : estimator instance
        Its class says what the parameters are.
    state : object
        What should be a dictionary of names.
    before : dict, default=None
        parameter -> what there was before it, where that is not its default

    Returns
    -------
    state : dict
        A new one.

    Raises
    ------
    ValueError
        If the state is no such dictionary, or lacks a parameter that has no default.
    """
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise damaged("state", "a dictionary of names", state)
    defaults = {name: parameter.default for name, parameter in signature(type(estimator).__init__).parameters.items()}
    missing = {name: (before or {}).get(name, defaults[name]) for name in type(estimator)._get_param_names() if name not in state}
    for name, default in missing.items():
        if default is Parameter.empty:
            raise damaged(name, "a parameter of the estimator", MISSING)
    return {**missing, **state}


class Checked(NamedTuple):
    """Entries of a fitted state that have been checked, and the network that they make."""

    names: tuple
    entries: tuple
    network: Network
    scaling: dict

    def are_still_in(self, fitted):
        """Say whether these very objects stand there: the prediction of a single image has no time for more."""
        return isinstance(fitted, dict) and not any(map(is_not, map(fitted.get, self.names), self.entries))


def forget(number, _):
    """Take away what was kept for an estimator that is gone."""
    _CHECKED.pop(number, None)


class FittedState(BaseEstimator):
    """The part of an estimator that holds ``_fitted``, a dictionary of arrays and plain Python."""

    #: What y says of the fitted state: a table of `state`.
    _of_target: ClassVar[dict]

    def _earlier(self):
        """Return the fitted state that training goes on from, checked; None if there is none."""
        earlier = vars(self).get("_fitted")
        if is_exported(earlier):
            raise ValueError(
                f"This {type(self).__name__} was exported: it predicts, but holds nothing that training could go on from. Go on "
                "with the estimator that it was exported from, or start anew with fit and warm_start=False, or with clone."
            )
        if earlier is not None:
            check_going_on(earlier, self._of_target)
        return earlier

    def _publish(self, fitted, earlier):
        """Make a finished fit visible, with one assignment."""
        settle(fitted["parameters"])
        self._fitted = fitted
        _CHECKED.pop(id(self), None)  # what it holds of the earlier state can go
        if earlier is None:
            advance_random_state(self.random_state)

    def export(self) -> Self:
        """Copy the estimator without what only training needs, for files that are a third as large.

        The copy predicts the same bits, and everything about it can be looked at. Training cannot go on from it: `partial_fit`
        and `fit` with `warm_start` say so.

        Returns
        -------
        estimator : object
            To be pickled like any estimator, or given to `ConvNetTransformer`.

        Examples
        --------
        >>> import pickle
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_cnn import ConvNetClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> network = ConvNetClassifier(input_shape=(8, 8), hidden_layer_sizes=128, max_iter=1, random_state=0).fit(X, y)
        >>> round(len(pickle.dumps(network)) / len(pickle.dumps(network.export())), 1)
        3.0
        """
        fitted = self._check_fitted()
        exported = unpublished_twin(self)
        exported._fitted = {name: value for name, value in fitted.items() if name not in OF_TRAINING}
        return exported

    def _check_fitted(self):
        """Return the fitted state, which one call reads only once; what is read of it has been checked."""
        return self._checked_network()[0]

    def _checked_network(self):
        """Return the fitted state likewise, and what `fitted_network` makes of it."""
        fitted = vars(self).get("_fitted")
        if fitted is None:
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' before using it.")
        checked, _ = _CHECKED.get(id(self), (None, None))
        if checked is None or not checked.are_still_in(fitted):
            names = names_read(self._of_target)
            entries = entries_of(fitted, names)
            check_reading(fitted, self._of_target)
            checked = Checked(names, entries, *fitted_network(fitted))
            _CHECKED[id(self)] = checked, ref(self, partial(forget, id(self)))
        return fitted, checked.network, checked.scaling

    def __sklearn_is_fitted__(self):
        """Say whether fit or partial_fit has succeeded."""
        return "_fitted" in vars(self)

    def __getstate__(self):
        """Add the version to what is pickled, and leave out what belongs to a running fit."""
        state = {name: value for name, value in super().__getstate__().items() if name not in OF_A_RUNNING_FIT}
        if "_fitted" in state:
            show(state["_fitted"].get("parameters"))  # a pickle may be made of its memory, without a copy
        return {**state, "_sklearn_cnn_version": __version__}

    def __setstate__(self, state):
        """Restore a pickled estimator, and warn if another version has written it; refuse a damaged state."""
        state = with_all_parameters(self, state, DEFAULTS_BEFORE)
        written_by = state.pop("_sklearn_cnn_version", "an unknown version")
        if written_by != __version__:
            warn(
                f"This {type(self).__name__} was pickled by sklearn_cnn {written_by} and is loaded by {__version__}. It may "
                "fail or give other results; fit it again with this version."
            )
        if "_fitted" in state:
            state["_fitted"] = restored(state["_fitted"], self._of_target)
        super().__setstate__(state)
