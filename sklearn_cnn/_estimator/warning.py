"""Warnings that point at the line of the user that caused them."""

import os
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

#: Where the code of others stands that calls an estimator for the user: searches, pipelines, loading from files.
FOREIGN = (*(str(Path(module.__file__).parent) + os.sep for module in (sklearn, joblib)), pickle.__file__)
OWN = str(Path(__file__).parents[1]) + os.sep


def warn(message, category=UserWarning):
    """Warn, at the innermost line that belongs neither to this package nor to scikit-learn, joblib or pickle.

    Parameters
    ----------
    message : str
        What to say.
    category : type, default=UserWarning
        Class of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith((OWN, *FOREIGN)):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
