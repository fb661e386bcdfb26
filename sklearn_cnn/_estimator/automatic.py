"""What "auto" stands for where the parameters or the number of samples decide it; `benchmarks/accuracy` has the study behind it.

That of `n_filters` is in `_network/layers.py`, which knows the sizes of the maps. Those of `learning_rate` and `early_stopping`
depend on the call, and stand where it is read.
"""

from sklearn.base import is_classifier

from sklearn_cnn._estimator.parameters import GEOMETRY_RULES, is_one_of, plain
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS

DEFAULT_DROPOUT = 0.4  # of averages of whole maps

# Small batches learn small data in fewer and faster epochs; 500 steps an epoch are enough for large ones, which then take fewer
# rounds through the parameters.
SMALLEST_DEFAULT_BATCH, LARGEST_DEFAULT_BATCH = 32, 200
DEFAULT_STEPS_OF_EPOCH = 500


def plain_geometry(estimator):
    """Collect the parameters that describe the network, as plain Python values that no one else can change.

    Parameters
    ----------
    estimator : estimator instance
        With all the parameters of ``GEOMETRY_RULES``.

    Returns
    -------
    geometry : dict
        Parameter names and values.
    """
    geometry = {name: plain(getattr(estimator, name)) for name in GEOMETRY_RULES}
    if geometry["batch_norm"] == "auto":
        geometry["batch_norm"] = estimator.solver not in FULL_BATCH_SOLVERS
    if geometry["global_pooling"] == "auto":
        geometry["global_pooling"] = "average" if classifies_by_averages(estimator) else None
    return geometry


def classifies_by_averages(estimator):
    """Say whether a network of automatic blocks classifies what the averages of its last maps are, and nothing behind them.

    A label says what there is; a number often says where it is, which an average forgets.
    """
    return (
        is_classifier(estimator)
        and is_one_of(estimator.n_filters, ("auto",))
        and plain(estimator.hidden_layer_sizes) in ((), [])
        and is_one_of(estimator.global_pooling, ("auto", "average"))
    )


def plain_dropout(estimator):
    """Read `dropout` as a plain Python value.

    "auto" is for the network that `n_filters` and `global_pooling` make by default.
    """
    dropout = plain(estimator.dropout)
    if isinstance(dropout, str):
        return DEFAULT_DROPOUT if classifies_by_averages(estimator) and estimator.solver not in FULL_BATCH_SOLVERS else 0.0
    return dropout


def default_batch_size(n_rows):
    """Resolve ``batch_size="auto"``.

    Parameters
    ----------
    n_rows : int
        Number of samples to train on.

    Returns
    -------
    batch_size : int
        32 for small data, growing with them to 200.

    Examples
    --------
    >>> [default_batch_size(n_rows) for n_rows in (1_437, 60_000, 1_000_000)]
    [32, 120, 200]
    """
    return min(max(n_rows // DEFAULT_STEPS_OF_EPOCH, SMALLEST_DEFAULT_BATCH), LARGEST_DEFAULT_BATCH)


def resolve_batch_size(batch_size, n_rows):
    """Return the number of samples of a mini-batch: never more than there are."""
    return min(default_batch_size(n_rows) if batch_size == "auto" else int(batch_size), n_rows)
