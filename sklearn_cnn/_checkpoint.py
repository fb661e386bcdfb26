"""A checkpoint as an object: where a fit is written, and how often."""

from __future__ import annotations

import os

from sklearn_cnn._estimator.base import BaseConvNet
from sklearn_cnn._estimator.parameters import InvalidParameterError, is_integer, shown
from sklearn_cnn._estimator.saving import Destination


class Checkpoint(Destination):
    """A file that a fit is written to while it runs, and goes on from.

    Passed as ``fit(X, y, checkpoint=Checkpoint(path))``, or set as a callback with ``set_callbacks(Checkpoint(path))``, which
    needs scikit-learn 1.9 and reaches a step of a Pipeline. If the file is there, the fit goes on from it, to the same bits
    as without a pause: parameters, curves and random state. If the fit has ended, the file contains its result, and the same
    call returns it at once. If there is no file, the fit begins. Delete the file when you no longer need it.

    A file is replaced as a whole, so a process that is killed at any moment leaves one that can be read. It belongs to one fit:
    other data, other parameters or another state to go on from are refused, by digests of everything that is passed; `n_jobs`
    and `verbose` may change. Where other kernels are in use, on an older processor say, the fit goes on with a
    warning: its last bits differ then. Two fits must not write to one file, as those of a search would.

    As with every pickle, use only files that you trust.

    Parameters
    ----------
    path : str or path-like
        The file. While it is written, ``path + ".tmp"`` is beside it.
    every : int, default=1
        Number of epochs between two writes. The result is always written.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError, if a parameter is neither.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_cnn import Checkpoint, ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ConvNetClassifier(8, input_shape=(8, 8), max_iter=4, random_state=0)
    >>> checkpoint = Checkpoint("digits.checkpoint", every=2)
    >>> n_epochs = network.fit(X, y, checkpoint=checkpoint).n_iter_
    >>> again = ConvNetClassifier(8, input_shape=(8, 8), max_iter=4, random_state=0)
    >>> again.fit(X, y, checkpoint=checkpoint).loss_curve_ == network.loss_curve_  # read from the file
    True
    """

    def __init__(self, path: str | os.PathLike, every: int = 1) -> None:
        if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or os.fspath(path) == "":
            raise InvalidParameterError(
                f"path={shown(path)} is not valid for Checkpoint: it must be the path of a file; for example "
                "path='fit.checkpoint'."
            )
        if not is_integer(every, 1):
            raise InvalidParameterError(
                f"every={shown(every)} is not valid for Checkpoint: it must be an integer of at least 1; for example every=1."
            )
        self.path = os.fspath(path)
        self.every = every

    def __repr__(self):
        """Show how to make another one."""
        return f"Checkpoint({self.path!r}, every={self.every})"

    def setup(self, estimator: object, context: object) -> None:
        """Begin a fit that has this as a callback; its estimator looks for checkpoints among its callbacks by itself.

        Parameters
        ----------
        estimator : estimator instance
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Its root task.

        Raises
        ------
        TypeError
            If it is not an estimator of this package: nothing would be written.
        """
        if not isinstance(estimator, BaseConvNet):
            raise TypeError(
                f"{self!r} is set as a callback of {type(estimator).__name__}, whose fit it cannot write. Set it on a "
                "ConvNetClassifier or a ConvNetRegressor, also as a step of a Pipeline."
            )

    def on_fit_task_begin(self, estimator: object, context: object) -> None:
        """Do nothing: the fit itself goes on from the file, before its first task begins."""

    def on_fit_task_end(self, estimator: object, context: object) -> None:
        """Do nothing: the fit itself writes the file, after its other listeners have seen the epoch."""

    def teardown(self, estimator: object, context: object) -> None:
        """Do nothing: no file is left open."""
