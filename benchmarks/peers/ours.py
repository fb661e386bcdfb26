"""sklearn_cnn: the estimator as users call it, and the compiled trainer inside it."""

import os
import pickle
import warnings

import numpy as np

from benchmarks import networks
from benchmarks.job import NotAvailable
from benchmarks.searching import GRID, N_FOLDS
from benchmarks.without_avx512 import is_in_force


def details(job):
    """Say which kernels were measured."""
    from sklearn_cnn import _kernels

    return {"level": _kernels.default_level()}


def build_classifier(job, **arguments):
    """Build the estimator for the job's network; input scaling is off because the images are standardised already."""
    from sklearn_cnn import ConvNetClassifier

    return ConvNetClassifier(
        **job.network.parameters,
        learning_rate="constant",
        alpha=0.0,
        batch_size=job.batch_size,
        learning_rate_init=networks.LEARNING_RATE,
        random_state=0,
        early_stopping=False,
        scale_input=False,
        winograd_tile=4 if job.mode == "large_tiles" else 2,
        **arguments,
    )


def prepare(job):
    """Return the function that does one round."""
    try:
        import sklearn_cnn  # noqa: F401
    except ImportError as error:
        if "SKLEARN_CNN_KERNELS" in os.environ:  # a level that was not built, or that this processor cannot run
            raise NotAvailable(str(error)) from None
        raise
    if is_in_force() and details(job)["level"] == "x86-64-v4":
        raise NotAvailable("this is not the package of the environment without AVX-512, but another one on the path")
    mode = "estimator" if job.mode == "large_tiles" else job.mode
    if mode == "direct":
        from sklearn_cnn._network import algorithms

        mode, algorithms.IS_WINOGRAD_USED = "estimator", False
    build = {
        ("train", "estimator"): prepare_training,
        ("train", "trainer"): prepare_trainer,
        ("predict", "estimator"): prepare_prediction,
        ("latency", "estimator"): prepare_prediction,
        ("search", "estimator"): prepare_search,
    }
    return build[job.task, mode](job)


def flat_images(job):
    """Return the images as the table (n_images, n_features) that scikit-learn's tools expect."""
    return job.images.reshape(len(job.images), -1)


def prepare_training(job):
    """Return a function that trains one epoch by partial_fit."""
    classifier = build_classifier(job, n_jobs=job.n_threads)
    images, classes = flat_images(job), np.unique(job.labels)

    def epoch():
        return classifier.partial_fit(images, job.labels, classes=classes).loss_

    return epoch


def build_plan_of(job):
    """Build the plan of the job's network from its layers."""
    from sklearn_cnn._network.layers import build_layers
    from sklearn_cnn._network.plan import build_plan

    layers = build_layers(
        job.network.input_shape,
        job.network.n_outputs,
        n_filters=job.network.n_filters,
        kernel_size=job.network.kernel_size,
        stride=1,
        padding=job.network.padding,
        padding_mode="zeros",
        pooling=job.network.parameters["pooling"],
        pool_size=2,
        pool_stride=None,
        weight_sharing=True,
        hidden_layer_sizes=job.network.hidden_layer_sizes,
        activation="relu",
        global_pooling=None,
        batch_norm=False,
    )
    return build_plan(layers, job.network.input_shape)


def prepare_trainer(job):
    """Return a function that trains one epoch from the common weights, in the common order."""
    from sklearn_cnn._network.trainer import Trainer

    plan = build_plan_of(job)
    parameters = np.zeros(plan.parameter_size, dtype=np.float32)
    for block, array in zip(plan.blocks, job.weights, strict=True):
        parameters[block.offset : block.offset + array.size] = array.ravel()
    trainer = Trainer(
        plan,
        parameters,
        loss="softmax",
        solver="adam",
        batch_size=job.batch_size,
        n_threads=job.n_threads,
        alpha=0.0,
        beta_1=networks.BETA_1,
        beta_2=networks.BETA_2,
        epsilon=networks.EPSILON,
    )
    images = flat_images(job)
    targets = np.eye(job.network.n_outputs, dtype=np.float32)[job.labels]

    def epoch():
        rows, rates = job.order()[: job.n_steps * job.batch_size], [networks.LEARNING_RATE] * job.n_steps
        return float(trainer.steps(images, rows, job.batch_size, targets, None, rates).mean())

    return epoch


def prepare_prediction(job):
    """Return a function that calls predict for the rows from start to stop, with the common weights in the model."""
    classifier = build_classifier(job, n_jobs=job.n_threads)
    images = flat_images(job)
    n_rows = min(len(images), 100)
    classifier.partial_fit(images[:n_rows], job.labels[:n_rows], classes=np.arange(job.network.n_outputs))
    for (matrix, bias), own_matrix, own_bias in zip(
        networks.pairs(job.weights), classifier.coefs_, classifier.intercepts_, strict=True
    ):
        own_matrix[...], own_bias[...] = matrix, bias  # views of the fitted parameters
    classifier = pickle.loads(pickle.dumps(classifier))  # as a service has it: nobody has views of these
    return lambda start, stop: classifier.predict(images[start:stop])


def prepare_search(job):
    """Return a function that searches the grid; n_threads processes share the fits, one thread each."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    epochs = job.search_epochs
    classifier = build_classifier(job, max_iter=epochs, n_iter_no_change=epochs + 1, n_jobs=1)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    images = flat_images(job)

    def search():
        searcher = GridSearchCV(classifier, GRID, cv=folds, n_jobs=job.n_threads, refit=False, error_score="raise")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return searcher.fit(images, job.labels).best_score_

    return search
