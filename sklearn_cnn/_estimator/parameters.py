"""What each parameter of an estimator may be: one row of a table each, checked before anything is computed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import get_config
from sklearn.metrics import get_scorer_names

from sklearn_cnn._estimator.warning import warn
from sklearn_cnn._estimator.watching import schedule_of
from sklearn_cnn._network.activations import ACTIVATIONS
from sklearn_cnn._network.augmentation import OUTSIDE
from sklearn_cnn._network.geometry import PADDING_MODES
from sklearn_cnn._network.packing import LARGEST_SIZE
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS, SOLVERS
from sklearn_cnn._network.words import shown
from sklearn_cnn._training.schedules import LARGEST_SHARES, SCHEDULES

LARGEST_INTEGER = 2**1000  # larger ones are no floats
LARGEST_NUMBER = float(np.finfo(np.float32).max)
MOST_BLOCKS = 1000
DEPTH = 3  # of lists in lists that a parameter may be: whatever is deeper, or holds itself, is left to its rule
MOST_THREADS = 1024

# Parameters that may be a pair (rows, columns).
PAIRS = ("kernel_size", "stride", "padding", "pool_size", "pool_stride")

# Parameters whose value is itself a lower bound on the number of float32 values the network needs.
SIZES_IN_MEMORY = ("n_filters", "kernel_size", "padding", "hidden_layer_sizes")


class InvalidParameterError(ValueError, TypeError):
    """A parameter of an estimator has a value or a type that is not allowed."""


@dataclass(frozen=True)
class Rule:
    """What a parameter may be: a predicate, the same in words, and an example of a valid value."""

    accepts: Callable
    allowed: str
    example: str


def plain(value, depth=DEPTH):
    """Turn NumPy scalars and arrays, also inside lists and tuples, into plain Python; leave everything else alone."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), depth)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple) and len(value) <= MOST_BLOCKS and depth > 0:
        entries = [plain(entry, depth - 1) for entry in value]
        return entries if type(value) is list else tuple(entries)
    return value


def is_integer(value, low=-math.inf):
    """Say whether a value is an integer of at least `low` that a float can hold; a bool is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and low <= value <= LARGEST_INTEGER


def is_real(value, low, high=LARGEST_NUMBER, *, above_low=False, below_high=False):
    """Say whether a value is a finite number within bounds that belong to the range unless said otherwise."""
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        return False
    if isinstance(value, np.floating):
        value = float(value)  # a bound that is rounded to float16 is infinite
    if not low <= value <= high:
        return False
    return not ((above_low and value == low) or (below_high and value == high))


def integer(low, example):
    """Build the rule for an integer of at least `low`."""
    return Rule(lambda value: is_integer(value, low), f"an integer of at least {low}", example)


def real(allowed, example, *bounds, **open_ends):
    """Build the rule for a finite number."""
    return Rule(lambda value: is_real(value, *bounds, **open_ends), allowed, example)


def choice(*options, example=None):
    """Build the rule for one of several values."""
    words = " or ".join(map(repr, options))
    return Rule(lambda value: is_one_of(value, options), words, repr(example or options[0]))


def is_boolean(value):
    """Say whether a value is True or False, NumPy's included."""
    return isinstance(value, bool | np.bool_)


def boolean():
    """Build the rule for True or False."""
    return Rule(is_boolean, "True or False", "True")


def per_block(accepts_one, allowed, example, *, may_be_empty=False, each="block", kind="sequence"):
    """Build the rule for a value, or a sequence with one value per block; `each` says what else the sequence is for."""

    def accepts(value):
        if isinstance(value, list | tuple):
            return (may_be_empty or len(value) > 0) and len(value) <= MOST_BLOCKS and all(map(accepts_one, value))
        return accepts_one(value)

    return Rule(lambda value: accepts(plain(value)), f"{allowed}, or a {kind} of those with one per {each}", example)


def is_size_or_pair(value, low):
    """Say whether a value is an integer of at least `low` or two of them, for rows and columns."""
    if isinstance(value, list | tuple):
        return len(value) == 2 and all(is_integer(entry, low) for entry in value)
    return is_integer(value, low)


def sizes(low, example, also=(), words=""):
    """Build the rule for an integer or a pair of them per block; `also` lists strings that are allowed, in `words`."""
    return per_block(
        lambda value: is_one_of(value, also) or is_size_or_pair(value, low),
        f"{words}an integer of at least {low}, a pair (rows, columns) of them",
        example,
        kind="list",  # a tuple of two integers is a pair
    )


def none_or(rule):
    """Build the rule that allows None in place of everything."""
    return Rule(lambda value: value is None or rule.accepts(value), f"None, {rule.allowed}", rule.example)


def or_auto(rule):
    """Build the rule that allows "auto" in place of everything."""
    return Rule(lambda value: is_one_of(value, ("auto",)) or rule.accepts(value), f"'auto', {rule.allowed}", rule.example)


def is_input_shape(value):
    """Say whether a value is None or one to three positive integers."""
    value = plain(value)
    return value is None or (isinstance(value, list | tuple) and 1 <= len(value) <= 3 and all(is_integer(n, 1) for n in value))


def is_random_state(value):
    """Say whether a value is what ``sklearn.utils.check_random_state`` takes."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return True
    return is_integer(value, 0) and value < 2**32


def is_n_jobs(value):
    """Say whether a value is None or a number of threads that a machine could have; negative ones count from all of them."""
    return value is None or (is_integer(value, -MOST_THREADS) and value <= MOST_THREADS and value != 0)


def is_class_weight(value):
    """Say whether a value has the form of class weights; what the classes are, only y tells."""
    if isinstance(value, list):
        return all(isinstance(entry, dict) for entry in value)
    return value is None or isinstance(value, dict) or is_one_of(value, ("balanced",))


def is_scoring(value):
    """Say whether a value is None, "loss", the name of a scorer or something to call."""
    if isinstance(value, str):
        return value == "loss" or value in get_scorer_names()
    return value is None or (callable(value) and not isinstance(value, type))


def is_one_of(value, words):
    """Say whether a value is one of some strings; an array compares with none of them."""
    return isinstance(value, str) and value in words


def is_augmentation(value):
    """Say whether a value is an object with all that an `ImageAugmentation` has; a subclass may have other parameters."""
    is_object = hasattr(value, "get_params") and not isinstance(value, type)
    return is_object and all(hasattr(value, name) for name in AUGMENTATION_RULES)


def is_augment(value):
    """Say whether a value is a way to augment images, or None for none."""
    return value is None or is_augmentation(value) or (callable(value) and not isinstance(value, type))


GEOMETRY_RULES = {
    "n_filters": or_auto(
        per_block(lambda value: is_integer(value, 1), "an integer of at least 1", "(16, 32)", may_be_empty=True)
    ),
    "kernel_size": sizes(1, "3"),
    "stride": sizes(1, "1"),
    "padding": sizes(0, "'same'", ("same", "valid"), "'same', 'valid', "),
    "padding_mode": per_block(lambda value: is_one_of(value, PADDING_MODES), " or ".join(map(repr, PADDING_MODES)), "'reflect'"),
    "pooling": per_block(
        lambda value: value is None or is_one_of(value, ("max", "average")), "'max', 'average' or None", "'max'"
    ),
    "pool_size": sizes(1, "2"),
    "pool_stride": none_or(sizes(1, "2")),
    "weight_sharing": per_block(lambda value: isinstance(value, bool), "True or False", "True"),
    "global_pooling": or_auto(none_or(choice("max", "average"))),
    "hidden_layer_sizes": per_block(
        lambda value: is_integer(value, 1), "an integer of at least 1", "(128,)", may_be_empty=True, each="hidden layer"
    ),
    "activation": choice(*ACTIVATIONS, example="relu"),
    "batch_norm": or_auto(boolean()),
    "winograd_tile": Rule(lambda value: is_integer(value) and value in (2, 4), "2 or 4", "4"),
}

SOLVER_RULES = {
    "solver": choice(*SOLVERS, *FULL_BATCH_SOLVERS, example="adam"),
    "alpha": real("a number of at least 0", "1e-4", 0),
    "batch_size": or_auto(integer(1, "128")),
    "learning_rate": choice("auto", *SCHEDULES),
    "learning_rate_init": real("a number above 0", "1e-3", 0, above_low=True),
    "power_t": real("a number of at least 0", "0.5", 0),
    "max_iter": integer(1, "200"),
    "shuffle": boolean(),
    "random_state": Rule(is_random_state, "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState", "0"),
    "tol": real("a number of at least 0", "1e-4", 0),
    "verbose": Rule(lambda value: is_boolean(value) or is_integer(value, 0), "a bool or an integer of at least 0", "True"),
    "warm_start": boolean(),
    "momentum": real("a number from 0 to 1", "0.9", 0, 1),
    "nesterovs_momentum": boolean(),
    "early_stopping": or_auto(boolean()),
    "validation_fraction": real("a number between 0 and 1, both excluded", "0.1", 0, 1, above_low=True, below_high=True),
    "beta_1": real("a number from 0 to below 1", "0.9", 0, 1, below_high=True),
    "beta_2": real("a number from 0 to below 1", "0.999", 0, 1, below_high=True),
    "epsilon": real("a number above 0", "1e-8", 0, above_low=True),
    "n_iter_no_change": Rule(
        lambda value: is_integer(value, 1) or (isinstance(value, float) and value == math.inf),
        "an integer of at least 1 or infinity",
        "10",
    ),
    "max_fun": integer(1, "15000"),
    "scoring": Rule(
        is_scoring,
        "None, 'loss', a name from sklearn.metrics.get_scorer_names() or a function (estimator, X, y) that returns a number",
        "'neg_log_loss'",
    ),
    "class_weight": Rule(
        is_class_weight, "None, 'balanced', a dict {class: weight}, or a list of dicts for multilabel targets", "'balanced'"
    ),
}

AUGMENTATION_RULES = {
    "shift": Rule(
        lambda value: is_size_or_pair(plain(value), 0), "an integer of at least 0 or a pair (rows, columns) of them", "2"
    ),
    "flip": none_or(choice("horizontal", "vertical", "both")),
    "rotate": real("a number of degrees from 0 to 180", "10.0", 0, 180),
    "zoom": real("a number from 0 to 0.9", "0.1", 0, 0.9),
    "erase": integer(0, "8"),
    "brightness": real("a number of at least 0", "0.2", 0),
    "contrast": real("a number from 0 to 1", "0.2", 0, 1),
    "padding_mode": choice(*OUTSIDE),
}

LOSS_RULES = {
    "dropout": or_auto(
        per_block(  # how long a sequence has to be, only the network can tell
            lambda value: is_real(value, 0, 1, below_high=True),
            "a number from 0 to below 1",
            "0.5",
            may_be_empty=True,
            each="block and then one per dense layer",
        )
    ),
    "augment": Rule(
        is_augment,
        "None, an ImageAugmentation or a function (batch, random_state) that returns a batch",
        "ImageAugmentation(shift=2)",
    ),
    "label_smoothing": real("a number from 0 to below 1", "0.1", 0, 1, below_high=True),
}

INPUT_RULES = {
    "input_shape": Rule(is_input_shape, "None, (length,), (rows, columns) or (rows, columns, channels)", "(28, 28)"),
    "scale_input": boolean(),
    "n_jobs": Rule(is_n_jobs, f"None or an integer from -{MOST_THREADS} to {MOST_THREADS} other than 0", "2"),
}

# What only mini-batches have: a parameter, what says that it is off, and what switches it off.
NEEDS_MINI_BATCHES = (
    ("learning_rate", lambda value: value in ("auto", "constant"), "'auto'"),
    ("early_stopping", lambda value: value in ("auto", False), "False"),
    ("dropout", lambda value: value == "auto" or not np.any(value), "'auto'"),
    ("batch_norm", lambda value: value in ("auto", False), "'auto'"),
    ("augment", lambda value: value is None, "None"),
)

RULES = {**GEOMETRY_RULES, **SOLVER_RULES, **LOSS_RULES, **INPUT_RULES}

# What scikit-learn's skip_parameter_validation leaves unchecked; the other parameters decide what the kernels read and write.
NEVER_SIZES = ({*SOLVER_RULES} - {"batch_size"}) | {"label_smoothing"}
PROTECTING_RULES = {name: rule for name, rule in RULES.items() if name not in NEVER_SIZES}


def check_parameters(estimator, begins_cycle=True):
    """Check every parameter of an estimator against its rule, and those of the augmentation in it.

    Where scikit-learn is configured with ``skip_parameter_validation``, those that no size follows from are not checked.

    Parameters
    ----------
    estimator : estimator instance
        Its parameters are read as its attributes.
    begins_cycle : bool, default=True
        Whether a learning rate that falls towards an end begins anew, as in every `fit`, or goes on.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError, naming the parameter, what it is, what it may be and an example.

    Examples
    --------
    >>> from sklearn_cnn import ConvNetClassifier
    >>> check_parameters(ConvNetClassifier(pool_size=0))
    Traceback (most recent call last):
        ...
    sklearn_cnn._estimator.parameters.InvalidParameterError: pool_size=0 is not valid for ConvNetClassifier: it must be an \
integer of at least 1, a pair (rows, columns) of them, or a list of those with one per block; for example pool_size=2.
    """
    unchecked = get_config()["skip_parameter_validation"]
    check_rules(estimator, PROTECTING_RULES if unchecked else RULES)
    for name in GEOMETRY_RULES:
        check_sizes(name, plain(getattr(estimator, name)))
    if is_augmentation(estimator.augment):
        check_rules(estimator.augment, AUGMENTATION_RULES)
    if estimator.solver in FULL_BATCH_SOLVERS:
        check_full_batch(estimator)
    if not unchecked and estimator.solver == "adamw":
        check_decay(estimator, schedule_of(estimator, begins_cycle))


def check_decay(estimator, schedule):
    """Refuse a decay of the weights that would take more than all of them away where the rate is largest."""
    share = LARGEST_SHARES.get(schedule, 1.0)
    if share * estimator.alpha * estimator.learning_rate_init >= 1:
        rises = f", which schedule {schedule!r} multiplies by up to {share:g}," if share > 1 else ""
        raise InvalidParameterError(
            f"alpha={estimator.alpha} with learning_rate_init={estimator.learning_rate_init}{rises} and solver='adamw' would "
            f"take more than all of each weight away in one update: their product must be below {1 / share:g}; for example "
            "alpha=0.01."
        )


def check_full_batch(estimator):
    """Refuse what has no meaning, or no end, where every step sees all samples as they are."""
    for name, is_off, off in NEEDS_MINI_BATCHES:
        value = getattr(estimator, name)
        if not is_off(plain(value)):
            raise InvalidParameterError(
                f"{name}={shown(value)} is not possible with solver={estimator.solver!r}, which trains on all samples at "
                f"once, as they are, until nothing gets better. Set {name}={off}, or use solver='adam'."
            )


def check_rules(estimator, rules):
    """Check every parameter of a network or an `ImageAugmentation` against its rule, and raise what `check_parameters` does."""
    for name, rule in rules.items():
        if not hasattr(estimator, name):  # a regressor has fewer; those that a subclass adds are its own affair
            continue
        value = getattr(estimator, name)
        if not rule.accepts(value):
            kind = "" if isinstance(value, str | bool | int | float | list | tuple | None) else f" of type {type(value).__name__}"
            raise InvalidParameterError(what_breaks(rule, name, f"{shown(value)}{kind}", f" for {type(estimator).__name__}"))


def what_breaks(rule, name, value, who=""):
    """Say what is wrong with a value, given in words, that breaks its rule."""
    return f"{name}={value} is not valid{who}: it must be {rule.allowed}; for example {name}={rule.example}."


def warn_of_pairs(estimator):
    """Warn of tuples that are read as rows and columns where there are two blocks, for each of which they might be meant."""
    n_filters = plain(estimator.n_filters)
    if not isinstance(n_filters, list | tuple) or len(n_filters) != 2:
        return
    for name in PAIRS:
        value = plain(getattr(estimator, name))
        if isinstance(value, tuple) and is_size_or_pair(value, 0) and value[0] != value[1]:
            warn(
                f"{name}={value} is a pair (rows, columns), the same for both blocks. If it is meant as one value per block, "
                f"write a list, {name}={list(value)}; {name}={[value, value]} silences this."
            )


def check_sizes(name, value):
    """Refuse sizes that no machine could hold, before anything is computed from them."""
    entries = value if isinstance(value, list | tuple) else (value,)
    for block, entry in enumerate(entries, 1):
        for size in entry if isinstance(entry, list | tuple) else (entry,):
            if isinstance(size, int) and size > LARGEST_SIZE:
                needs = f" alone would need at least {4 * size:,} bytes;" if name in SIZES_IN_MEMORY else " is out of range;"
                raise InvalidParameterError(
                    f"{name}={shown(value)}: {size} in block {block}{needs} choose at most {LARGEST_SIZE}."
                )


def plain_augmentation(augment):
    """Read the parameters of an `ImageAugmentation` as plain Python values; None and functions stay what they are."""
    if not is_augmentation(augment):
        return augment
    return {name: plain(getattr(augment, name)) for name in AUGMENTATION_RULES}
