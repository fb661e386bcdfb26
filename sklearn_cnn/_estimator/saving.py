"""A fit that is written to a file while it runs, and goes on from there: what belongs to it, and when it is written."""

import hashlib
import os
import re
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import numpy as np

from sklearn_cnn._estimator.fitted import pack_random_state, unpack_random_state
from sklearn_cnn._estimator.parameters import InvalidParameterError, plain
from sklearn_cnn._estimator.state import (
    RUNNING,
    SOLVER_STATE,
    VALUES_OF_SOLVER,
    check_entries,
    check_state,
    instance,
    integer,
)
from sklearn_cnn._estimator.warning import warn
from sklearn_cnn._kernels import ENVIRONMENT_VARIABLE, default_level
from sklearn_cnn._network.words import shown
from sklearn_cnn._training.files import read_whole, write_whole
from sklearn_cnn._training.listeners import Listener
from sklearn_cnn._training.state import restore_solver, solver_state
from sklearn_cnn._version import __version__

# Parameters that have no say in what is learnt.
FREE_PARAMETERS = ("n_jobs", "verbose")
# Values that are read at once for a fingerprint.
CHUNK_VALUES = 1_000_000
# Of objects in objects that a callable holds.
DEPTH = 20
# Where an object stands in memory is another place in every process.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# What a checkpoint is.
CONTENT = {"identity": instance(dict), "level": instance(str), "n_epochs": integer(), "saved": instance(dict)}


class Destination:
    """Where a fit is written, and how often: what a `Checkpoint` is here, told apart from callbacks of others.

    Attributes
    ----------
    path : str
        The file.
    every : int
        Number of epochs between two writes.
    """

    path: str
    every: int


def saving_to(checkpoint, callbacks):
    """Build what writes a fit to a checkpoint.

    Parameters
    ----------
    checkpoint : str, path-like, Checkpoint or None
        What the caller of ``fit`` has passed.
    callbacks : list of objects
        What is set as callbacks of the estimator; a `Checkpoint` may be among them.

    Returns
    -------
    saving : Saving or None
        None for None.

    Raises
    ------
    InvalidParameterError
        If it is neither, if there is no such folder, or if there is more than one.
    """
    chosen = [callback for callback in callbacks if isinstance(callback, Destination)]
    if checkpoint is not None:
        chosen.append(checkpoint)
    if len(chosen) > 1:
        raise InvalidParameterError(
            f"There is more than one checkpoint: {', '.join(map(repr, chosen))}. A fit is written to one file: pass checkpoint "
            "to fit, or set a single Checkpoint as a callback."
        )
    checkpoint = chosen[0] if chosen else None
    if checkpoint is None:
        return None
    path, every = os.fspath(checkpoint) if isinstance(checkpoint, str | os.PathLike) else None, 1
    if isinstance(checkpoint, Destination):
        path, every = checkpoint.path, checkpoint.every
    if not isinstance(path, str) or path == "":
        raise InvalidParameterError(
            f"checkpoint={shown(checkpoint)} is not valid: it must be None, the path of a file or a Checkpoint; for example "
            "checkpoint='fit.checkpoint'."
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or os.path.isdir(path):
        problem = "is a folder" if os.path.isdir(path) else f"stands in the folder {folder}, which does not exist"
        raise InvalidParameterError(f"checkpoint={path!r} {problem}. Name a file in a folder that exists.")
    return Saving(path, every)


class Saving(Listener):
    """Writes a fit to a file, and takes it up again from there. It has to come after the listeners of a `Watch`.

    Parameters
    ----------
    path : str
        The file.
    every : int
        Number of epochs between two writes.
    """

    def __init__(self, path, every):
        self.path, self.every = path, every
        self._identity: dict = {}
        self._saved: dict = {}
        self._run: tuple = ()
        self._trainer = None

    def open(self, identity, of_target):
        """Read the file; refuse one that belongs to another fit, or that no fit has written.

        Parameters
        ----------
        identity : dict
            What `identity_of` says of this fit.
        of_target : dict
            What y says of a fitted state: a table of `state`.

        Returns
        -------
        saved : dict
            Empty, or with the fitted state of a fit that has ended as ``"fitted"``, or with the seed of the split as
            ``"split_seed"`` and the state of the random stream as ``"random_state"``.
        """
        content = read_whole(self.path)
        if content is None:
            self._identity, self._saved = identity, {}
            return self._saved
        check_entries(content, CONTENT, None)
        for name in {**content["identity"], **identity}:
            was, now = (known.get(name, "not passed") for known in (content["identity"], identity))
            if was != now:
                raise ValueError(
                    f"The checkpoint {self.path} belongs to another fit: {name} was {was} there and is {now} here. Fit with what "
                    "it was begun with, or delete the file, or name another one, to begin anew."
                )
        if content["level"] != default_level():
            warn(
                f"The checkpoint {self.path} was written with the kernels for {content['level']}, and those for "
                f"{default_level()} are in use. The fit goes on, but its last bits are not those that it would have had. To keep "
                f"them, set the environment variable {ENVIRONMENT_VARIABLE}={content['level']} before the import, where the "
                "processor allows it."
            )
        self._identity, self._saved = identity, content["saved"]
        if "fitted" in self._saved:
            check_state(self._saved["fitted"], of_target)
        elif self._saved:
            check_entries(self._saved, RUNNING, None)
        return self._saved

    def follow(self, random_state, split_seed, progress, watch):
        """Name what changes in the course of a fit, beside the trainer, and the seed that all else follows from."""
        self._run = random_state, split_seed, progress, watch

    def begin(self, trainer, evaluation):
        """Take up the fit where the file has left it."""
        self._trainer = trainer
        if not self._saved:
            return
        random_state, _, progress, watch = self._run
        check_solver(trainer, self._saved.get("solver"))
        if (best := self._saved["watch"]["best"]["state"]) is not None:
            check_solver(trainer, best)
        restore_solver(trainer, self._saved["solver"])
        random_state.set_state(unpack_random_state(self._saved["random_state"]).get_state())
        progress.n_epochs, progress.largest_loss = (self._saved["progress"][name] for name in ("n_epochs", "largest_loss"))
        watch.continue_from(self._saved["watch"])

    def begin_epoch(self):
        """Write the fit as it stands between two epochs: none follows one at which somebody has asked to stop."""
        random_state, split_seed, progress, watch = self._run
        if progress.n_epochs > 0 and progress.n_epochs % self.every == 0:
            self._write(progress.n_epochs, {
                "solver": solver_state(self._trainer),
                "random_state": pack_random_state(random_state),
                "split_seed": split_seed,
                "progress": {"n_epochs": progress.n_epochs, "largest_loss": progress.largest_loss},
                "watch": watch.in_progress(),
            })  # fmt: skip

    def finish(self, fitted):
        """Write what the fit has led to."""
        self._write(fitted["n_iter_"], {"fitted": fitted})

    def _write(self, n_epochs, saved):
        content = {"identity": self._identity, "level": default_level(), "n_epochs": n_epochs, "saved": saved}
        write_whole(self.path, content)

    def where_to_go_on(self):
        """Say what the file holds of this fit; nothing before it has been opened."""
        if not self._identity:
            return ""
        try:  # an interruption may have come between the write and any note of it
            content = read_whole(self.path)
            n_epochs = None if content is None else content["n_epochs"]
        except Exception as error:  # the interruption is what has to come through
            return f" What had been written of it cannot be read: {error}"
        if n_epochs is None:
            return f" No epoch of it had been written to {self.path} yet."
        return f" {n_epochs} epochs of it are in {self.path}: call fit with the same arguments to go on from there."


def check_solver(trainer, saved):
    """Refuse a state of a solver that does not fit the trainer."""
    state = {**saved, "solver": trainer.solver} if isinstance(saved, dict) else saved
    for table in SOLVER_STATE, VALUES_OF_SOLVER:
        check_entries(state, table, trainer.plan)


def identity_of(estimator, problem, watched, earlier):
    """Say in words what a fit depends on, so that another one is told apart.

    Parameters
    ----------
    estimator : BaseConvNet
        Its parameters count, except those that change no result.
    problem, watched : Problem
        Training and validation data; `watched` is None if none are passed. They are read once, chunk by chunk.
    earlier : dict or None
        The fitted state that the fit goes on from.

    Returns
    -------
    identity : dict
        Name -> words.
    """
    identity = {"sklearn_cnn's version": __version__, "the estimator": type(estimator).__name__}
    parameters = estimator.get_params(deep=False)
    identity |= {name: in_words(value) for name, value in parameters.items() if name not in FREE_PARAMETERS}
    for suffix, data in ("", problem), ("_val", watched):
        if data is not None:
            target = data.target
            of_y = fingerprint(target.values if target.codes is None else target.codes)
            identity |= {
                f"X{suffix}": fingerprint(data.X),
                "the shape of a sample": str(data.input_shape),
                f"y{suffix}": f"{of_y}, {in_words(target.attributes.get('classes_'))}",
                f"sample_weight{suffix}": "None" if data.own_weight is None else fingerprint(data.own_weight),
            }
    identity["the state to go on from"] = "none" if earlier is None else f"{earlier['t']}, {fingerprint(earlier['parameters'])}"
    return identity


def in_words(value):
    """Describe the value of a parameter, the same in every process."""
    value = plain(value)
    if isinstance(value, np.random.RandomState):
        state = pack_random_state(value)
        return f"RandomState at {state['position']} of {fingerprint(state['keys'])}"
    if callable(value):
        return f"{name_of(value)} (digest {hashlib.blake2b(described(value).encode(), digest_size=8).hexdigest()})"
    return repr(value)


def name_of(value):
    """Name a function, a class or a module, and anything else by its class."""
    value = value if hasattr(value, "__qualname__") or isinstance(value, ModuleType) else type(value)
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"


def described(value, inside=()):
    """Describe what a callable is made of, the same in every process: functions by their code, other objects by their state."""
    if id(value) in inside or len(inside) > DEPTH:
        return "..."
    if isinstance(value, np.random.RandomState):
        return in_words(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return fingerprint(np.atleast_1d(value))
    if isinstance(value, type | ModuleType | BuiltinFunctionType):
        return name_of(value)
    parts = parts_of(value)
    if parts is None:
        return repr(value)
    words = [described(part, (*inside, id(value))) for part in parts]
    return f"{name_of(value)}({', '.join(sorted(words) if isinstance(value, dict | set | frozenset) else words)})"


def parts_of(value):
    """Return what an object consists of; None if its representation says it all."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, CodeType):
        return value.co_code.hex(), value.co_consts, value.co_names, value.co_varnames
    if isinstance(value, FunctionType):
        return value.__code__, *settings_of(value)
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    words = ADDRESS.sub("", repr(value))
    if not callable(value) and words == repr(value):
        return None
    try:
        return words, value.__getstate__()
    except Exception:  # files, locks and other things that are no data
        return (words,)


def settings_of(function):
    """Return what a function was made with; of a list or a set only its type: there it may write down what it has seen."""
    of_names = [value for _, value in sorted((function.__kwdefaults__ or {}).items())]
    values = (*(function.__defaults__ or ()), *of_names, *map(content_of, function.__closure__ or ()))
    return [type(value) if isinstance(value, list | set) else value for value in values]


def content_of(cell):
    """Return what a variable of an enclosing function holds; None before anything is assigned to it."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def fingerprint(values):
    """Describe an array by its type, its shape and a digest of all its values."""
    digest = hashlib.blake2b(digest_size=8)
    rows = max(1, CHUNK_VALUES // max(1, values.size // max(1, len(values))))
    for start in range(0, len(values), rows):
        digest.update(np.ascontiguousarray(values[start : start + rows]).tobytes())
    return f"{values.dtype} of shape {values.shape} (digest {digest.hexdigest()})"


@contextmanager
def interruption_explained(estimator, saving=None):
    """Add to Ctrl-C what has become of the estimator, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        note = f"The fit was interrupted, and this {type(estimator).__name__} is what it was before."
        interruption.add_note(note + ("" if saving is None else saving.where_to_go_on()))
        raise
