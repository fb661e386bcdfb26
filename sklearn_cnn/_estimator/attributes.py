"""The public attributes of a fitted estimator, read from its fitted state.

What they are is said once, in the docstring of the estimator's class. Most are entries of the fitted state, put there under
their public name; those that follow from others are rows of the table `DERIVED`.
"""

from sklearn_cnn._estimator.fitted import kernel_views, parameter_views
from sklearn_cnn._estimator.state import fitted_plan, record_of_epochs
from sklearn_cnn._network.summary import block_receptive_field, layer_table
from sklearn_cnn._training.history import LEARNING_RATE, LOSS, SCORE, VALIDATION_LOSS, curve

#: Attribute -> function of the fitted state.
DERIVED = {
    "coefs_": lambda fitted: parameter_views(fitted, "weights"),
    "intercepts_": lambda fitted: parameter_views(fitted, "bias"),
    "kernels_": kernel_views,
    "layer_table_": lambda fitted: layer_table(fitted_plan(fitted)),
    "receptive_field_": lambda fitted: block_receptive_field(layer_table(fitted_plan(fitted))),
    "loss_curve_": lambda fitted: curve(record_of_epochs(fitted), LOSS),
    "learning_rate_curve_": lambda fitted: curve(record_of_epochs(fitted), LEARNING_RATE),
    "validation_scores_": lambda fitted: curve(record_of_epochs(fitted), SCORE),
    "validation_loss_curve_": lambda fitted: curve(record_of_epochs(fitted), VALIDATION_LOSS),
}


def is_public(name):
    """Say whether a name has the form of a fitted attribute: it ends in one underscore and begins with none."""
    return name.endswith("_") and not name.startswith("_")


class FittedAttributes:
    """Reads the fitted attributes of an estimator from the dictionary ``_fitted``, and keeps others from covering them."""

    def __getattr__(self, name):
        """Return a fitted attribute; everything else has been looked for before, in vain."""
        fitted = vars(self).get("_fitted")
        if fitted is not None and is_public(name):
            if name in DERIVED:
                return DERIVED[name](self._check_fitted())
            if name in fitted:
                return fitted[name]
        if hasattr(type(self), name):  # a method that these parameters do not have, which says so itself
            return object.__getattribute__(self, name)
        when = " before it is fitted" if fitted is None and is_public(name) else ""
        raise AttributeError(f"This {type(self).__name__} has no attribute {name!r}{when}.")

    def __setattr__(self, name, value):
        """Set a parameter; what has been learnt cannot be replaced attribute by attribute."""
        if is_public(name) and name in fitted_names(self):
            raise AttributeError(
                f"{name} is part of what this {type(self).__name__} has learnt and cannot be assigned. Fit it again, or keep the "
                "value elsewhere."
            )
        super().__setattr__(name, value)

    def __dir__(self):
        """List the fitted attributes too."""
        return sorted({*super().__dir__(), *fitted_names(self)})


def fitted_names(estimator):
    """Return the names of the public attributes that an estimator has learnt; none before it is fitted."""
    fitted = vars(estimator).get("_fitted")
    return [] if fitted is None else [*DERIVED, *filter(is_public, fitted)]
