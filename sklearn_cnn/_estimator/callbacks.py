"""scikit-learn's callbacks, which are experimental and came with its version 1.9: they see a fit and each of its epochs."""

import copy
import functools

import sklearn

from sklearn_cnn._training.listeners import Listener

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as with_teardown
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """What stands in for scikit-learn's mixin where there is none."""

        def set_callbacks(self, *callbacks):
            """Refuse callbacks.

            Parameters
            ----------
            *callbacks : callback instances
                For scikit-learn 1.9 and later.

            Raises
            ------
            NotImplementedError
                Always.
            """
            raise NotImplementedError(
                f"set_callbacks needs scikit-learn 1.9 or newer, and this is {sklearn.__version__}. Update scikit-learn, or use "
                "verbose to see how training goes."
            )

    def with_teardown(method):
        """Leave a method as it is."""
        return method


#: What scikit-learn hangs on an estimator and takes off again while it is fitted.
OF_ITS_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")
#: The same with what a meta-estimator hangs on it; no copy of an estimator has a use for any of it.
OF_A_RUNNING_FIT = (*OF_ITS_FIT, "_parent_callback_ctx")


def with_callbacks(method):
    """Let a fit tear its callbacks down at its end, and leave nothing else on the estimator, whenever Ctrl-C comes.

    scikit-learn's own decorator does the first. Where it finds a context, it looks for the list of what is to be torn down, which
    is made a moment later. An interrupt between the two would end in an AttributeError. So would the next fit that fails before
    it has a context of its own.

    Parameters
    ----------
    method : callable
        The method ``fit`` of an estimator.

    Returns
    -------
    fit : callable
        The same with teardown; before scikit-learn 1.9 without.
    """
    method = with_teardown(method)

    @functools.wraps(method)
    def fit(estimator, *args, **kwargs):
        _forget_fit(estimator)
        try:
            estimator._skl_callbacks_to_teardown = []
            return method(estimator, *args, **kwargs)
        finally:
            _forget_fit(estimator)

    return fit


def _forget_fit(estimator):
    """Take off an estimator what scikit-learn has hung on it for a fit."""
    for name in OF_ITS_FIT:
        vars(estimator).pop(name, None)


def callbacks_of(estimator):
    """Return the callbacks that are set on an estimator, as a list.

    Parameters
    ----------
    estimator : BaseConvNet
        With or without callbacks.

    Returns
    -------
    callbacks : list of objects
        Empty before scikit-learn 1.9.
    """
    return list(vars(estimator).get("_skl_callbacks", ()))


def callback_listeners(estimator, X, y, sample_weight, fitted_state):
    """Return the listeners through which scikit-learn's callbacks see a fit; `with_callbacks` has to be around it.

    Parameters
    ----------
    estimator : BaseConvNet
        With the callbacks.
    X, y, sample_weight
        As they were passed to ``fit``.
    fitted_state : callable
        Returns the fitted state as it is now.

    Returns
    -------
    listeners : list of Listener
        One, or none before scikit-learn 1.9.
    """
    if not hasattr(estimator, "_init_callback_context"):
        return []
    return [Callbacks(estimator, X, y, sample_weight, fitted_state)]


class Callbacks(Listener):
    """Passes on to scikit-learn's callbacks what training does: one task for the fit, one for each epoch, none for mini-batches.

    Parameters
    ----------
    estimator, X, y, sample_weight, fitted_state
        As for `callback_listeners`.
    """

    def __init__(self, estimator, X, y, sample_weight, fitted_state):
        self._passed = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
            # Called only where a callback wants to see the model; a copy, because training goes on and the callback keeps it.
            "reconstruction_attributes": lambda: {"_fitted": copy.deepcopy(fitted_state())},
        }
        self._fit = estimator._init_callback_context(max_subtasks=int(estimator.max_iter))
        self._epoch = self._fit  # until the first epoch begins

    def begin(self, trainer, evaluation):
        """Begin the task of the fit."""
        self._fit.call_on_fit_task_begin(**self._passed)

    def begin_epoch(self):
        """Begin the task of an epoch."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._passed)

    def see(self, epoch):
        """End the task of an epoch; a callback may ask to stop."""
        wants_to_stop = self._epoch.call_on_fit_task_end(**self._passed)
        return "a callback has asked for it" if wants_to_stop else None

    def end(self, trainer, reason):
        """End the task of the fit, before its result can be seen from outside."""
        self._fit.call_on_fit_task_end(**self._passed)
