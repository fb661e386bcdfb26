"""The races: which contenders run what, how much of it, and what is to be reached."""

from dataclasses import dataclass, replace

from benchmarks.contenders import CONTENDERS, FRAMEWORKS, JAX, KERAS, OURS, PYTORCH, RUNTIMES
from benchmarks.limits import FLAGS

# Images of net C in a round: the digits eight times over, because one epoch of them is over sooner than a frozen process is
# awake, and because checking X and y once for 56 steps is no part of a step.
_DIGITS = 8 * 1792


@dataclass(frozen=True)
class Entrant:
    """A contender with a number of threads."""

    contender: str
    n_threads: int

    @property
    def key(self):
        """The entrant's name in tables and results."""
        return f"{self.contender}, {self.n_threads} thread{'s' * (self.n_threads > 1)}"


@dataclass(frozen=True)
class Target:
    """`statement`: the time of the fastest of `against` divided by the time of `entrant` is at least `at_least`."""

    statement: str
    at_least: float
    entrant: Entrant
    against: tuple[Entrant, ...]


@dataclass(frozen=True)
class Case:
    """One race.

    `n_images` are trained on or predicted in one round, in batches of `batch_size`; for the task "latency" they are the
    calls of one round, one image each. `unit` says what a round is divided into when a time is printed.
    """

    name: str
    task: str
    network: str
    n_images: int
    batch_size: int
    unit: str
    entrants: tuple[Entrant, ...]
    targets: tuple[Target, ...]
    search_epochs: int = 20


def _entrants(names, task, n_threads):
    return tuple(Entrant(name, n_threads) for name in names if task in CONTENDERS[name].tasks)


def _race(name, task, network, n_images, batch_size, n_threads, unit, rivals, goals):
    """Build a case in which all run with the same number of threads; goals are (statement, ratio, rivals' names)."""
    own = [OURS, "sklearn_cnn trainer"] if task == "train" else [OURS]
    targets = tuple(
        Target(statement, ratio, Entrant(OURS, n_threads), _entrants(names, task, n_threads))
        for statement, ratio, names in goals
    )
    entrants = _entrants((*own, *rivals), task, n_threads)
    return Case(f"{name}/threads={n_threads}", task, network, n_images, batch_size, unit, entrants, targets)


def _train_cases(n_threads):
    best = "the best of PyTorch, Keras and JAX"
    for batch_size, ratio in ((32, 3.0), (128, 2.5)):
        goal = (f"train net A, batch {batch_size}, against {best}", ratio, FRAMEWORKS)
        yield _race(f"train-a/batch={batch_size}", "train", "A", 6400, batch_size, n_threads, "image", FRAMEWORKS, [goal])
    goal = (f"train net B, batch 64, against {best}", 2.0, FRAMEWORKS)
    yield _race("train-b/batch=64", "train", "B", 2560, 64, n_threads, "image", FRAMEWORKS, [goal])
    for network, n_images, ratio in (("F", 2560, 3.0), ("L", 6400, 4.0), ("V", 2560, 3.0)):
        goal = (f"train net {network}, batch 32, against {best}", ratio, FRAMEWORKS)
        yield _race(f"train-{network.lower()}/batch=32", "train", network, n_images, 32, n_threads, "image", FRAMEWORKS, [goal])
    goal = ("train net D, 224x224x3 images, batch 32, against the best of PyTorch", 1.0, PYTORCH)
    yield _race("train-d/batch=32", "train", "D", 128, 32, n_threads, "image", PYTORCH, [goal])
    goals = [
        ("one step of net C, batch 32, against a plain PyTorch loop", 20.0, ("pytorch",)),
        ("one step of net C, batch 32, against skorch", 30.0, ("skorch",)),
    ]
    rivals = (*FRAMEWORKS, "skorch")
    yield _race("train-c/batch=32", "train", "C", _DIGITS, 32, n_threads, "step", rivals, goals)


def _predict_cases(n_threads):
    rivals = (*RUNTIMES, *JAX, *PYTORCH, *KERAS)
    best = "the best of ONNX Runtime, OpenVINO, JAX, PyTorch and Keras"
    goal = (f"predict net A, batches of 1,024, against {best}", 1.5, rivals)
    yield _race("predict-a/batch=1024", "predict", "A", 10240, 1024, n_threads, "image", rivals, [goal])
    best = "the best of ONNX Runtime and OpenVINO"
    others = ("pytorch", "pytorch channels_last", "pytorch compiled", "keras graph", "jax")
    rivals = (*RUNTIMES, *(others if n_threads == 1 else ()))
    goal = (f"predict one image of net A through the estimator, against a bare call of {best}", 1.0, RUNTIMES)
    yield _race("latency-a", "latency", "A", 500, 1, n_threads, "call", rivals, [goal])
    # What these two are made for, on networks of other shapes.
    shapes = ("B", 5120, 1024), ("C", 10240, 1024), ("L", 10240, 1024), ("E", 1024, 128), ("F", 5120, 512)
    for network, n_images, batch_size in shapes:
        goal = (f"predict net {network}, batches of {batch_size:,}, against {best}", 1.5, RUNTIMES)
        name = f"predict-{network.lower()}/batch={batch_size}"
        yield _race(name, "predict", network, n_images, batch_size, n_threads, "image", RUNTIMES, [goal])
        goal = (f"predict one image of net {network}, against a bare call of {best}", 1.0, RUNTIMES)
        yield _race(f"latency-{network.lower()}", "latency", network, 500, 1, n_threads, "call", RUNTIMES, [goal])


def _search_cases(n_threads):
    goal = ("GridSearchCV, 8 settings x 3 folds x 20 epochs, against skorch", 25.0, ("skorch",))
    yield _race("search-c", "search", "C", 1797, 32, n_threads, "search", ("skorch",), [goal])


def _scaling_cases():
    """Two threads against one, ours only."""
    one, two = Entrant(OURS, 1), Entrant(OURS, 2)
    for name, network, n_images, batch_size, ratio, statement in (
        ("scaling-a", "A", 6400, 128, 1.85, "net A, batch 128, 2 threads against 1"),
        ("scaling-c", "C", _DIGITS, 32, 1 / 1.05, "net C, batch 32, 2 threads against 1 (at most 1.05 times the time)"),
    ):
        target = Target(statement, ratio, two, (one,))
        unit = "step" if network == "C" else "image"
        yield Case(name, "train", network, n_images, batch_size, unit, (two, one), (target,))


def _winograd_cases():
    """Nets B and V with Winograd's algorithm, in small and large tiles, and without, ours only."""
    own, large, direct = (Entrant(name, 1) for name in (OURS, f"{OURS} large tiles", f"{OURS} direct"))
    for network in ("B", "V"):
        for task, n_images, batch_size in (("train", 2560, 64), ("predict", 5120, 1024)):
            of_task = f"{task} net {network}"
            targets = (
                Target(f"{of_task} with Winograd's algorithm, against the direct product", 1.3, own, (direct,)),
                Target(f"{of_task} in large tiles, against small ones", 1.2, large, (own,)),
            )
            name = f"winograd-{network.lower()}/{task}"
            yield Case(name, task, network, n_images, batch_size, "image", (own, large, direct), targets)


def _level_cases():
    """Every instruction-set level, ours only."""
    entrants = tuple(Entrant(f"{OURS} {level}", 1) for level in reversed(FLAGS))
    for task, n_images, batch_size in (("train", 6400, 128), ("predict", 10240, 1024)):
        yield Case(f"levels-a/{task}", task, "A", n_images, batch_size, "image", entrants, ())


def all_cases(threads=(1, 2)):
    """Return every race, by name, in the order in which they are run."""
    cases = [
        case
        for build in (_train_cases, _predict_cases, _search_cases)
        for n_threads in threads
        for case in build(n_threads)
    ]
    cases += [*_level_cases(), *_winograd_cases()]
    if 1 in threads and 2 in threads:
        cases += _scaling_cases()
    return {case.name: case for case in cases}


_SMOKE = {"train": {"n_images": 64, "batch_size": 32}, "predict": {"n_images": 64, "batch_size": 32},
          "latency": {"n_images": 10}, "search": {"n_images": 120, "search_epochs": 1}}


def tiny(case):
    """Return the same case on a problem that is over in a moment."""
    return replace(case, **_SMOKE[case.task])
