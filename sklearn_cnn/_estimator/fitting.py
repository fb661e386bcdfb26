"""From checked data to a fitted state: the parts of a fit, each a function that leaves the estimator alone."""

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_cnn._estimator.automatic import plain_dropout, plain_geometry, resolve_batch_size
from sklearn_cnn._estimator.fitted import n_threads_of, pack_random_state, unpack_random_state
from sklearn_cnn._estimator.memory import check_memory
from sklearn_cnn._estimator.parameters import plain_augmentation, warn_of_pairs
from sklearn_cnn._estimator.saving import identity_of
from sklearn_cnn._estimator.scoring import build_score
from sklearn_cnn._estimator.state import fitted_plan, n_layers, number_type, plan_from_records
from sklearn_cnn._estimator.warning import warn
from sklearn_cnn._estimator.watching import Watch
from sklearn_cnn._network.layers import build_layers, with_dropout
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.packing import pack_layers
from sklearn_cnn._network.plan import Plan, build_plan
from sklearn_cnn._network.summary import geometry_warnings
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS, Trainer, targets_of_rows
from sklearn_cnn._training.augmentation import build_augmentation
from sklearn_cnn._training.epochs import Evaluation, Examples, Progress, check_end, train
from sklearn_cnn._training.holding_out import hold_out
from sklearn_cnn._training.initializers import initial_parameters
from sklearn_cnn._training.lbfgs import VECTORS_OF_OPTIMISER, FullBatch, distinct_rows
from sklearn_cnn._training.listeners import listen
from sklearn_cnn._training.scaling import channel_moments, channel_scaling, merged
from sklearn_cnn._training.state import restore_solver, solver_state

LARGEST_SEED = 2**31 - 1
VECTORS_OF_STATE = 3  # the parameters and both moments of the solver
NUMBERS_JUDGED = 1 << 17  # scores that are compared with their targets at once, which takes some dozen bytes for each

LOSSES = {"softmax": "softmax", "logistic": "logistic", "identity": "squared"}


@dataclass(frozen=True)
class Target:
    """What is to be learnt.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_outputs) or (n_classes, n_outputs), dtype float32 or float64
        Targets of every sample, 0-1 or real; with `codes`, the one-hot targets of every class.
    codes : ndarray of shape (n_samples,), dtype int32, or None
        The class of each sample, which is its row of `values`. A split keeps classes in proportion. None if every sample has its
        own row.
    weight : ndarray of shape (n_samples,) or None
        Weights that follow from the target, as those of classes do.
    attributes : dict
        What y says of the fitted estimator, ``n_outputs_`` and ``out_activation_`` among it.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The checked target itself, for scorers and callbacks.
    """

    values: np.ndarray
    codes: np.ndarray | None
    weight: np.ndarray | None
    attributes: dict
    y: np.ndarray

    def matrix(self):
        """Return one row for each sample: as much memory as their scores."""
        return self.values if self.codes is None else self.values[self.codes]


@dataclass(frozen=True)
class Problem:
    """Checked data to learn from or to validate on.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        As it came, only flattened.
    target : Target
        What is to be learnt.
    sample_weight : ndarray of shape (n_samples,), dtype float32, or None
        Weights to train with, those that follow from y included.
    own_weight : ndarray of shape (n_samples,), dtype float32, or None
        Weights as they were passed, for the scores and losses on validation data.
    rows : ndarray of shape (n_rows,), dtype int64
        The rows whose weight is not zero; of validation data that were passed, the weight of their own.
    input_shape : tuple of (int, int, int)
        Rows, columns and channels.
    features : dict
        ``n_features_in_`` and, where X has names, ``feature_names_in_``.
    """

    X: np.ndarray
    target: Target
    sample_weight: np.ndarray | None
    own_weight: np.ndarray | None
    rows: np.ndarray
    input_shape: tuple
    features: dict


@dataclass(frozen=True)
class Fit:
    """A fit that is prepared, or under way.

    Parameters
    ----------
    estimator : BaseConvNet
        Only its parameters are read.
    layers : tuple
        Records of the layers, as they are kept.
    plan : Plan
        The network, without dropout.
    problem, watched : Problem
        Training and validation data, in the scale that the network learns; `watched` is None if there are none.
    moments : tuple or None
        What the scaling of the input has been learnt from.
    scaling : dict
        ``shift`` and ``factor`` of the input.
    examples : Examples
        What an epoch runs over.
    batch_size : int
        Samples of a mini-batch.
    trainer : Trainer
        The network and its solver.
    random_state : numpy.random.RandomState
        Source of the order of the samples.
    split_seed : int
        What the split, dropout and augmentation follow from.
    watch : Watch
        Who watches.
    progress : Progress
        How far the call has come.
    """

    estimator: Any
    layers: tuple
    plan: Plan
    problem: Problem
    watched: Problem | None
    moments: tuple | None
    scaling: dict
    examples: Examples
    batch_size: int
    trainer: Trainer
    random_state: np.random.RandomState
    split_seed: int
    watch: Watch
    progress: Progress

    def state(self):
        """Describe the fit as it stands; nothing of it changes when training goes on."""
        return {
            **self.problem.features,
            **self.problem.target.attributes,
            **self.watch.attributes(),
            "input_shape_": self.problem.input_shape,
            "n_layers_": n_layers(self.plan),
            "n_parameters_": int(self.plan.n_parameters),
            "layers": self.layers,
            "input_moments": self.moments,
            **self.scaling,
            **solver_state(self.trainer),
            "solver": self.estimator.solver,
            "random_state": pack_random_state(self.random_state),
            "split_seed": self.split_seed,
        }


def no_callbacks(fitted_state):
    """Be what `fit_network` asks for listeners where there are no callbacks."""
    return []


def fit_network(
    estimator, problem, watched, earlier, *, n_epochs, stops_early, begins_cycle, saving=None, callbacks=no_callbacks
):
    """Train a network, in local objects only.

    Parameters
    ----------
    estimator : BaseConvNet
        Only its parameters are read.
    problem : Problem
        The training data.
    watched : Problem or None
        The validation data.
    earlier : dict or None
        Fitted state to go on from.
    n_epochs : int
        Largest number of epochs.
    stops_early : bool
        Whether the score on validation data decides when to stop; if there are none, a part of `problem` is held out.
    begins_cycle : bool
        Whether a learning rate that falls towards an end begins anew or goes on.
    saving : Saving, default=None
        Where the fit is written, and taken up from.
    callbacks : callable
        Called with a function that returns the fitted state as it is then; returns more listeners.

    Returns
    -------
    fitted : dict
        The new fitted state, of arrays and plain Python.
    """
    saved = {} if saving is None else saving.open(identity_of(estimator, problem, watched, earlier), estimator._of_target)
    if "fitted" in saved:
        return shown(saved["fitted"], callbacks)
    n_kept = vectors_kept(estimator.solver, stops_early, saving is not None)
    streams = random_streams(estimator, saved or earlier)
    fit = prepare_fit(estimator, problem, watched, earlier, streams, stops_early, begins_cycle, n_kept)
    listeners = [*fit.watch.listeners]
    if saving is not None:
        saving.follow(*streams, fit.progress, fit.watch)
        listeners.append(saving)
    listeners += callbacks(fit.state)  # the last, so that they see what the others have made of a fit that goes on
    run_fit(fit, listeners, n_epochs, begins_cycle, goes_on=earlier is not None)
    fitted = fit.state()
    if saving is not None:
        saving.finish(fitted)
    return fitted


def vectors_kept(solver, stops_early, is_saved):
    """Count the vectors as long as that of the parameters that a fit takes beside its trainer."""
    if solver in FULL_BATCH_SOLVERS:
        return VECTORS_OF_OPTIMISER
    n_states = 2 if stops_early else 1  # of the result and of the best epoch
    return VECTORS_OF_STATE * n_states * (3 if is_saved else 1)  # a checkpoint is a copy, and a pickle that grows on its way


def prepare_fit(estimator, problem, watched, earlier, streams, stops_early, begins_cycle, n_kept):
    """Build everything that a fit needs, for `fit_network`, from data that have been checked; nothing is trained yet.

    Beside the arguments of `fit_network`, `streams` is what `random_streams` returns, and `n_kept` what `vectors_kept` does.
    """
    layers, plan = describe_network(estimator, problem, earlier)
    random_state, split_seed = streams
    if stops_early and watched is None:
        problem, watched = split_problem(estimator, problem, split_seed)
    if estimator.solver in FULL_BATCH_SOLVERS:
        problem = with_distinct_rows(problem)
    problem, watched = estimator._scale_targets(problem, watched, earlier)
    moments, scaling = learn_scaling(estimator, problem, earlier, goes_on=not begins_cycle)
    batch_size = resolve_batch_size(estimator.batch_size, len(problem.rows))
    return Fit(
        estimator=estimator, layers=layers, plan=plan, problem=problem, watched=watched, moments=moments, scaling=scaling,
        examples=prepare_examples(estimator, problem, scaling, split_seed), batch_size=batch_size,
        trainer=build_trainer(estimator, plan, problem, batch_size, streams, earlier, n_kept), random_state=random_state,
        split_seed=split_seed, watch=Watch(estimator, earlier, stops_early, begins_cycle), progress=Progress(),
    )  # fmt: skip


def run_fit(fit, listeners, n_epochs, begins_cycle, goes_on):
    """Train until it ends; `goes_on` says whether the state that it begins with has been trained, here or elsewhere."""
    estimator, trainer, examples, watch, progress = fit.estimator, fit.trainer, fit.examples, fit.watch, fit.progress
    call = {
        "n_epochs": n_epochs,
        "n_epochs_before": watch.n_epochs_before,
        "batch_size": fit.batch_size,
        "announce": partial(announce_epoch, listeners),
    }
    if estimator.solver in FULL_BATCH_SOLVERS:
        listen_to_full_batch(estimator, trainer, examples, watch.learning_rate, listeners, call)
        return
    evaluate = None if fit.watched is None else build_evaluate(fit)
    call |= {"shuffle": bool(estimator.shuffle), "evaluate": evaluate, "progress": progress}
    start = evaluate(trainer) if evaluate is not None and goes_on else None
    listen(train(trainer, examples, watch.learning_rate, fit.random_state, **call), listeners, trainer, start)
    if begins_cycle:  # what another call goes on from shows in its first loss
        check_end(trainer, examples, fit.batch_size, watch.learning_rate.initial, progress.n_epochs, progress.largest_loss)


def announce_epoch(listeners):
    """Tell listeners that an epoch begins."""
    for listener in listeners:
        listener.begin_epoch()


def shown(fitted, callbacks):
    """Let callbacks see a fit without epochs, which has ended before."""
    for listener in callbacks(lambda: fitted):
        listener.begin(None, None)
        listener.end(None, None)
    return fitted


def listen_to_full_batch(estimator, trainer, examples, learning_rate, listeners, call):
    """Train on all samples at once; warn where that ends too soon."""
    full_batch = FullBatch(
        trainer, examples, learning_rate, tol=float(estimator.tol), max_fun=int(estimator.max_fun), **call
    )
    listen(full_batch.run, listeners, trainer)
    if full_batch.failure is not None:
        warn(
            f"{full_batch.failure}. Raise max_iter={estimator.max_iter} or max_fun={estimator.max_fun}, or bring X to a common "
            "scale.",
            ConvergenceWarning,
        )


def describe_network(estimator, problem, earlier):
    """Build the layers, as records, and the plan of the network; they have to be those of an earlier fit."""
    n_outputs = problem.target.attributes["n_outputs_"]
    fitted = None if earlier is None else fitted_plan(earlier)
    layers = build_layers(problem.input_shape, n_outputs, **plain_geometry(estimator))
    plan = fitted or plan_from_records(pack_layers(layers), problem.input_shape)
    if plan.layers != layers:  # compared as layers: records of an earlier version may lack what is new
        raise ValueError(
            "The network's layers have changed since the fit that is to be continued. Set the parameters back, or start anew "
            "with warm_start=False or with clone."
        )
    if earlier is None:
        warn_of_pairs(estimator)
        for message in geometry_warnings(plan):
            warn(message)
    return pack_layers(layers), plan


def random_streams(estimator, earlier):
    """Return this fit's own random stream and the seed of its split, both going on where an earlier fit stopped."""
    if earlier is not None:
        return unpack_random_state(earlier["random_state"]), earlier["split_seed"]
    return new_random_streams(estimator.random_state)


def new_random_streams(random_state):
    """Return the random stream of a fit that begins with ``random_state``, and the seed of split, augmentation and dropout."""
    source = check_random_state(random_state)
    if isinstance(random_state, np.random.RandomState):
        source = copy.deepcopy(source)  # the caller's own moves on only after the fit has succeeded
    stream = np.random.RandomState(source.randint(LARGEST_SEED))
    return stream, int(stream.randint(LARGEST_SEED))


def advance_random_state(random_state):
    """Move the caller's ``RandomState`` on, as if the fit had drawn its seed from it."""
    if isinstance(random_state, np.random.RandomState):
        random_state.randint(LARGEST_SEED)


def split_problem(estimator, problem, seed):
    """Hold a part of the rows out, by their numbers; return the problem to train on and the one to watch training with."""
    codes = problem.target.codes
    strata = np.zeros(len(problem.X), dtype=np.int32) if codes is None else codes
    rows, held_out = hold_out(problem.rows, strata, estimator.validation_fraction, seed)
    if len(held_out) == 0:
        raise ValueError(
            f"early_stopping={estimator.early_stopping!r} with n_samples={len(problem.rows)} leaves no validation set. Use "
            "early_stopping=False, or pass X_val and y_val."
        )
    return replace(problem, rows=rows), replace(problem, rows=held_out)


def with_distinct_rows(problem):
    """Return a problem whose rows that are the same are one, with the sum of their weights."""
    target = problem.target
    rows, weight = distinct_rows(problem.X, target.values, problem.rows, problem.sample_weight, target.codes)
    return replace(problem, rows=rows, sample_weight=weight)


def of_rows(problem):
    """Return a problem whose targets and weights are those of its rows alone; the images stay where they are."""
    target, rows = problem.target, problem.rows
    if len(rows) == len(problem.X):
        return problem
    values, codes = targets_of_rows(target.values, target.codes, rows)
    target = replace(target, values=values, codes=codes, y=target.y[rows])
    weights = {name: getattr(problem, name) for name in ("sample_weight", "own_weight")}
    weights = {name: None if weight is None else weight[rows] for name, weight in weights.items()}
    return replace(problem, target=target, **weights)


def learn_scaling(estimator, problem, earlier, goes_on):
    """Learn how the input is scaled: in the first fit, and on and on where calls are given one stream of samples.

    Parameters
    ----------
    estimator : BaseConvNet
        Only its parameters are read.
    problem : Problem
        The samples to learn from: the rows to train on, as they are.
    earlier : dict or None
        Fitted state to go on from.
    goes_on : bool
        Whether these samples add to those of earlier calls, as in `partial_fit`; otherwise an earlier scaling is kept.

    Returns
    -------
    moments : tuple of (float, ndarray, ndarray) or None
        Of all samples learnt from. None where nothing is scaled, and after a fit of a version that did not keep them.
    scaling : dict
        ``shift`` and ``factor``, None where nothing is scaled.
    """
    moments, scaling = None, {"shift": None, "factor": None}
    if earlier is not None:
        moments, scaling = earlier["input_moments"], {name: earlier[name] for name in scaling}
    if bool(estimator.scale_input) if earlier is None else goes_on and moments is not None:
        these = channel_moments(problem.X, problem.rows, problem.sample_weight, problem.input_shape[2])
        moments = merged(moments, these)
        return moments, dict(zip(("shift", "factor"), channel_scaling(moments), strict=True))
    return moments, scaling


def prepare_examples(estimator, problem, scaling, seed):
    """Put together what an epoch reads."""
    augmentation = build_augmentation(plain_augmentation(estimator.augment), problem.input_shape, seed)
    targets = np.ascontiguousarray(estimator._targets_to_learn(problem.target), dtype=number_type(estimator.solver))
    options = {**scaling, "augmentation": augmentation, "codes": problem.target.codes}
    return Examples(problem.X, targets, problem.sample_weight, problem.rows, **options)


def build_trainer(estimator, plan, problem, batch_size, streams, earlier, n_kept):
    """Build the trainer, with new parameters or with those, and the moments, of an earlier fit; it alone knows of dropout."""
    (random_state, seed), dtype = streams, number_type(estimator.solver)
    n_shares = -(-len(problem.rows) // batch_size) if estimator.solver in FULL_BATCH_SOLVERS else 1
    n_threads = n_threads_of(estimator)
    trained = build_plan(with_dropout(plan.layers, plain_dropout(estimator)), plan.input_shape)
    check_memory(trained, batch_size, n_threads, dtype, n_kept)
    trainer = Trainer(
        trained,
        (initial_parameters(plan, random_state) if earlier is None else earlier["parameters"]).astype(dtype, copy=False),
        loss=LOSSES[problem.target.attributes["out_activation_"]],
        solver=estimator.solver,
        batch_size=batch_size,
        statistics=None if earlier is None else earlier["statistics"].astype(dtype, copy=False),
        seed=seed,
        n_threads=n_threads,
        alpha=float(estimator.alpha) / n_shares,
        momentum=float(estimator.momentum),
        nesterov=bool(estimator.nesterovs_momentum),
        beta_1=float(estimator.beta_1),
        beta_2=float(estimator.beta_2),
        epsilon=float(estimator.epsilon),
    )
    if earlier is not None:
        # whatever becomes of the solver, the running statistics stay; those of an import have been counted nowhere
        n_batches_tracked = earlier["n_batches_tracked"] or trainer.n_batches_tracked
        if earlier["solver"] == estimator.solver:
            restore_solver(trainer, earlier)
        trainer.n_batches_tracked = n_batches_tracked
    return trainer


def build_evaluate(fit):
    """Build the function that computes score and loss on the validation set from what a trainer has learnt so far."""
    estimator, watched, n_threads = fit.estimator, of_rows(fit.watched), n_threads_of(fit.estimator)
    score_of = build_score(estimator, watched)
    n_rows = max(1, NUMBERS_JUDGED // fit.plan.n_outputs)

    def judge(network):
        """Compare scores and targets block by block: of many classes, all of them would take more than the images."""
        blocks = []
        for start in range(0, len(watched.rows), n_rows):
            rows = slice(start, start + n_rows)
            scores = network.scores(watched.X, watched.rows[rows], **fit.scaling, n_threads=n_threads)
            values, codes = targets_of_rows(watched.target.values, watched.target.codes, rows)
            blocks.append(estimator._judge(scores, replace(watched.target, values=values, codes=codes)))
        return [np.concatenate(part) for part in zip(*blocks, strict=True)]

    def evaluate(trainer):
        judged = judge(Network(fit.plan, trainer.parameters, trainer.statistics))
        merit = estimator._evaluate(judged, watched.target, watched.sample_weight)
        score, loss = estimator._evaluate(judged, watched.target, watched.own_weight)
        if estimator.scoring is None:
            return Evaluation(score, loss, merit)
        score = -loss if score_of is None else score_of(fit.state())
        return Evaluation(score, loss, (score, loss))

    return evaluate
