"""What every entry of a fitted state has to be: one row each, beside `fitting.Fit.state`, which makes the state.

A state may come from a file that is damaged or made up, and anybody can change one in memory. So a state from a file is checked
as a whole, and each use checks again what it reads. Shapes and counts follow from the plan of the network, the parts of the
history from what the listeners keep; nothing is listed twice.

A row is a function ``(value, plan, beside)`` that returns None, or what the value has to be, in words. `beside` is the dictionary
that the value stands in; rows above have been checked by then. A row that is a dictionary has rows for the entries of one.
"""

import math
from functools import lru_cache

import numpy as np

from sklearn_cnn._estimator.labels import describe_classes
from sklearn_cnn._estimator.memory import can_predict
from sklearn_cnn._estimator.watching import KEPT, OF_BEST_EPOCH
from sklearn_cnn._kernels import kernels
from sklearn_cnn._network.packing import is_size, unpack_layers
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS, SOLVERS
from sklearn_cnn._network.words import shown
from sklearn_cnn._training.history import FIELDS_OF_EPOCH, has_record_length, is_record
from sklearn_cnn._training.state import ARRAYS, COUNTS

LARGEST_FLOAT32 = np.finfo(np.float32).max
LARGEST_INTEGER = 2**63 - 1
MISSING = object()


def is_finite_float32(values):
    """Say whether all values are finite as float32, without a temporary array of their size."""
    answer = kernels().are_finite(values)
    if answer is not None:
        return answer
    return values.size == 0 or bool(values.min() >= -LARGEST_FLOAT32 and values.max() <= LARGEST_FLOAT32)  # both false for NaN


def number_type(solver):
    """Return the type of the numbers that a solver computes with and that the fitted network then has."""
    return np.float64 if solver in FULL_BATCH_SOLVERS else np.float32


# ------------------------------------------------------------------------------------------------------------- the errors


def damaged(name, allowed, value):
    """Build the error that says that a model is damaged, and where."""
    return ValueError(
        f"The fitted {name} must be {allowed}, but {found(value)}: the model, or the file that it was loaded from, is damaged. "
        "Load a whole copy of the file. Fit the estimator again if there is none."
    )


def found(value):
    """Say in a few words what stands there, whatever it is."""
    if value is MISSING:
        return "it is missing"
    if isinstance(value, np.ndarray):
        return f"it is an array of {value.dtype} and shape {value.shape}"
    if value is None or isinstance(value, bool | float | str) or (type(value) is int and abs(value) <= LARGEST_INTEGER):
        return f"it is {shown(value)}"
    return f"it is another {type(value).__name__}"


# ------------------------------------------------------------------------------------------------------------------- rows


def integer(low=0, high=LARGEST_INTEGER):
    """Build the row for a plain integer."""
    return lambda value, plan, beside: (
        None if type(value) is int and low <= value <= high else f"an integer from {low} to {high}"
    )


def instance(*types):
    """Build the row for a value of just one of these types."""
    words = "of type " + " or ".join("None" if kind is type(None) else kind.__name__ for kind in types)
    return lambda value, plan, beside: None if type(value) in types else words


def one_of(*options):
    """Build the row for one of several strings."""
    words = " or ".join(map(repr, options))
    return lambda value, plan, beside: None if isinstance(value, str) and value in options else words


def follows(expected):
    """Build the row for a value that ``expected(plan, beside)`` tells already."""

    def row(value, plan, beside):
        known = expected(plan, beside)
        return None if type(value) is type(known) and value == known else repr(known)

    return row


def array(shape, dtype=None):
    """Build the row for an array of the shape ``shape(plan)``; without a dtype it is the one that the solver computes with."""

    def row(value, plan, beside):
        expected, kind = shape(plan), np.dtype(number_type(beside["solver"]) if dtype is None else dtype)
        is_right = isinstance(value, np.ndarray) and value.dtype == kind and value.dtype.isnative and value.shape == expected
        return None if is_right else f"an array of {kind} and shape {expected}"

    return row


def numbers(low=-math.inf, above=-math.inf):
    """Build the row for an array, already known to be one, of finite numbers; None has none."""
    bound = f" of at least {low}" if low > -math.inf else f" above {above}" if above > -math.inf else ""

    def row(value, plan, beside):
        if value is None or value.size == 0:
            return None
        return None if is_finite_float32(value) and value.min() >= low and value.min() > above else f"finite numbers{bound}"

    return row


def both(*rows):
    """Build the row for what has to satisfy several."""
    return lambda value, plan, beside: next(filter(None, (row(value, plan, beside) for row in rows)), None)


def none_with(other, row):
    """Build the row for an entry that is None if, and only if, another one is None."""
    return lambda value, plan, beside: (
        (None if value is None else f"None, as {other} is") if beside.get(other) is None else row(value, plan, beside)
    )


def names_of_features(value, plan, beside):
    """Be the row of the names of the features, which are there only if X had names."""
    if value is MISSING:
        return None
    return array(lambda plan: (plan.n_inputs,), object)(value, plan, beside)


def strings(value, plan, beside):
    """Be the row that looks at every one of the names."""
    return None if value is MISSING or all(isinstance(name, str) for name in value) else "strings"


def statistics(value, plan, beside):
    """Be the row of running variances. Infinite ones would not show in the results: so every use looks at all of them."""
    for _, _, variances_at, n_filters in plan.statistics:
        if value[variances_at : variances_at + n_filters].min() < 0:
            return "means and variances, of which these are not negative"
    return None


def moments(value, plan, beside):
    """Be the row of what the scaling of the input has been learnt from. Earlier versions did not keep it."""
    if value is None:
        return None
    per_channel = array(lambda plan: plan.input_shape[2:], np.float64)
    if type(value) is tuple and len(value) == 3 and type(value[0]) is float and 0 < value[0] < math.inf:
        arrays = [part for part in value[1:] if per_channel(part, plan, beside) is None and np.isfinite(part).all()]
        if len(arrays) == 2 and arrays[1].min() >= 0:
            return None
    return "the number of values, and their mean and squared deviation channel by channel"


def classes(value, plan, beside):
    """Be the row of the labels: sorted, each of them once, and as many as there are outputs for."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size and value.dtype.kind in "biufOSU":
        is_sorted = value.dtype.kind != "O" or all(isinstance(label, str) for label in value)
        if is_sorted and (value[:-1] < value[1:]).all() and of_classes("n_outputs_", value, beside) == plan.n_outputs:
            return None
    return f"sorted labels for {plan.n_outputs} outputs, each of them once"


def of_classes(name, value, beside):
    """Return an attribute that follows from the classes."""
    return describe_classes(value, beside["is_multilabel"], beside["is_sparse"])[name]


def record_length(value, plan, beside):
    """Be the row of the record of epochs, as far as going on touches it: the work must not grow with the record."""
    return None if has_record_length(value, beside["n_epochs"]) else "a record of all epochs"


def record(value, plan, beside):
    """Be the row that looks at every entry of the record."""
    return None if is_record(value, beside["n_epochs"]) else f"a record of {FIELDS_OF_EPOCH} numbers, or None, for every epoch"


def merit(value, plan, beside):
    """Be the row of what makes an epoch the best."""
    return None if type(value) is tuple and [type(part) for part in value] == [float, float] else "two floats"


def of_type(annotation):
    """Build the row for a field of a listener, from its annotation."""
    types = getattr(annotation, "__args__", (annotation,))
    return integer() if types == (int,) else instance(*types)


# ----------------------------------------------------------------------------------------------------------------- tables

SIZE_OF_VECTOR = array(lambda plan: (plan.parameter_size,))
ALL_SOLVERS = (*SOLVERS, *FULL_BATCH_SOLVERS)

#: What predictions and attributes read.
READ = {
    "solver": one_of(*ALL_SOLVERS),
    "n_features_in_": follows(lambda plan, beside: plan.n_inputs),
    "feature_names_in_": names_of_features,
    "n_outputs_": follows(lambda plan, beside: plan.n_outputs),
    "parameters": SIZE_OF_VECTOR,
    "statistics": both(array(lambda plan: (plan.statistics_size,)), numbers(), statistics),
    "shift": none_with("factor", array(lambda plan: plan.input_shape[2:], np.float32)),
    "factor": none_with("shift", array(lambda plan: plan.input_shape[2:], np.float32)),
}

#: What y says of a classifier, and of a regressor.
OF_CLASSES = {
    "is_multilabel": instance(bool),
    "is_sparse": instance(bool),
    "classes_": classes,
    "out_activation_": follows(lambda plan, beside: of_classes("out_activation_", beside["classes_"], beside)),
}
OF_NUMBERS = {
    "out_activation_": follows(lambda plan, beside: "identity"),
    "target_mean": both(array(lambda plan: (plan.n_outputs,), np.float64), numbers()),
    "target_deviation": both(array(lambda plan: (plan.n_outputs,), np.float64), numbers(above=0.0)),
}

#: What a random stream is. NumPy itself looks at none of it, and reads where the position says.
RANDOM_STATE = {
    "algorithm": one_of("MT19937"),
    "keys": both(array(lambda plan: (624,), np.uint32), lambda value, *_: None if value.any() else "not all zero"),
    "position": integer(0, 624),
    "has_gauss": integer(0, 1),
    "cached_gaussian": lambda value, *_: None if type(value) is float and math.isfinite(value) else "a finite number",
}
SEED = integer(0, 2**32 - 1)
HISTORY = {**{name: of_type(annotation) for name, annotation in KEPT.items() if name != "epochs"}, "epochs": record_length}

#: What an update depends on.
SOLVER_STATE = {name: READ.get(name, SIZE_OF_VECTOR) for name in ARRAYS} | dict.fromkeys(COUNTS, integer())

#: What going on needs beside.
GOING_ON = {
    **SOLVER_STATE,
    "n_parameters_": follows(lambda plan, beside: int(plan.n_parameters)),
    "n_layers_": follows(lambda plan, beside: n_layers(plan)),
    "input_moments": moments,
    "random_state": RANDOM_STATE,
    "split_seed": SEED,
    "history": HISTORY,
    "n_iter_": integer(),
    "t_": integer(),
    "best_iter_": integer(),
    "loss_": instance(float),
    "best_loss_": instance(float),
    "best_validation_score_": instance(float, type(None)),
}

#: What an exported state does without.
OF_TRAINING = ("first_moment", "second_moment", *COUNTS, "random_state", "split_seed")

#: Values that take a look at every number.
VALUES_OF_SOLVER = {"parameters": numbers(), "first_moment": numbers(), "second_moment": numbers(low=0.0)}
VALUES = {**VALUES_OF_SOLVER, "shift": numbers(), "factor": numbers(), "feature_names_in_": strings}
RECORD = {"history": {"epochs": record}}

#: What a checkpoint holds of a fit that has not ended, beside the state of its solver.
RUNNING = {
    "random_state": RANDOM_STATE,
    "split_seed": SEED,
    "progress": {"n_epochs": integer(), "largest_loss": instance(float, type(None))},
    "watch": {
        "history": {**HISTORY, "epochs": both(record_length, record)},
        "best": {**{name: of_type(annotation) for name, annotation in OF_BEST_EPOCH.items()}, "merit": merit},
    },
}


def n_layers(plan):
    """Return the number of layers that have weights, and one for the input."""
    return 1 + sum(block.kind == "weights" for block in plan.blocks)


# ----------------------------------------------------------------------------------------------------------------- checks


def check_entries(values, table, plan, inside=""):
    """Check entries against the rows of a table.

    Parameters
    ----------
    values : object
        What should be the dictionary.
    table : dict
        Name -> row.
    plan : Plan or None
        The network, for rows that follow from it.
    inside : str, default=""
        Name of the entry that `values` is.

    Raises
    ------
    ValueError
        Naming the first entry that is not what its row says.
    """
    if not isinstance(values, dict):
        raise damaged(inside or "state", "a dictionary", values)
    for name, row in table.items():
        value = values.get(name, MISSING)
        if isinstance(row, dict):
            check_entries(value, row, plan, name_in(inside, name))
        elif (allowed := row(value, plan, values)) is not None:
            raise damaged(name_in(inside, name), allowed, value)


def name_in(inside, name):
    """Say where an entry stands."""
    return f"{inside}[{name!r}]" if inside else name


def names_read(of_target):
    """Return the names of the entries of a state that `check_reading` checks."""
    return (*READ, *of_target, "layers", "input_shape_")


def entries_of(fitted, names):
    """Return entries of a state, None for those that are missing."""
    if not isinstance(fitted, dict):
        raise damaged("state", "a dictionary", fitted)
    return tuple(map(fitted.get, names))


def check_reading(fitted, of_target):
    """Check what predictions and attributes read of a state; `of_target` is what y says of the estimator."""
    plan = fitted_plan(fitted)
    check_entries(fitted, READ, plan)
    check_entries(fitted, of_target, plan)
    return plan


def record_of_epochs(fitted):
    """Return the record of all epochs, checked down to the last number."""
    check_entries(fitted, {"history": {"n_epochs": HISTORY["n_epochs"], "epochs": record}}, None)
    return fitted["history"]["epochs"]


def check_going_on(fitted, of_target, left_out=()):
    """Check everything that a fit goes on from, but for what may be left out; of the record of epochs, what is touched."""
    plan = check_reading(fitted, of_target)
    for table in GOING_ON, VALUES:
        check_entries(fitted, {name: row for name, row in table.items() if name not in left_out}, plan)
    return plan


def is_exported(fitted):
    """Say whether a state is one that `BaseConvNet.export` has made: it predicts, and no fit can go on from it."""
    return isinstance(fitted, dict) and not any(name in fitted for name in OF_TRAINING)


def check_state(fitted, of_target):
    """Check a state as a whole, as one from a file has to be.

    Parameters
    ----------
    fitted : object
        What should be the fitted state.
    of_target : dict
        `OF_CLASSES` or `OF_NUMBERS`.

    Raises
    ------
    ValueError
        Saying that the model is damaged, and where.
    """
    check_layers(fitted.get("layers", MISSING) if isinstance(fitted, dict) else MISSING)
    plan = check_going_on(fitted, of_target, OF_TRAINING if is_exported(fitted) else ())
    check_entries(fitted, RECORD, plan)
    if not can_predict(plan):
        raise damaged("layers", "those of a network that this machine has the memory for", fitted["layers"])


def check_layers(records):
    """Refuse what is no description of layers, before anybody asks for its hash: a deep one has none."""
    try:
        unpack_layers(records)
    except ValueError as error:
        raise damaged(f"layers ({error})".replace(".)", ")"), "what fit has stored", records) from error


@lru_cache(maxsize=128)
def plan_from_records(records, input_shape):
    """Rebuild the plan of a network from what `pack_layers` made of its layers.

    Parameters
    ----------
    records : tuple
        Made by `pack_layers`.
    input_shape : tuple of (int, int, int)
        Rows, columns and channels of the input.

    Returns
    -------
    plan : Plan
        The same for equal arguments.
    """
    return build_plan(unpack_layers(records), input_shape)


def fitted_plan(fitted):
    """Return the plan of the fitted network; refuse what describes none."""
    if not isinstance(fitted, dict):
        raise damaged("state", "a dictionary", fitted)
    records, input_shape = fitted.get("layers", MISSING), fitted.get("input_shape_", MISSING)
    if type(input_shape) is not tuple or len(input_shape) != 3 or not all(map(is_size, input_shape)):
        raise damaged("input_shape_", "rows, columns and channels", input_shape)
    try:
        return plan_from_records(records, input_shape)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:  # the first is what has no hash
        words = f"{error}".rstrip(".")
        raise damaged(f"layers ({words})", "what fit has stored", records) from error
