"""What a convolutional classifier and a regressor share: fit, the fitted state, and scores."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.annotations import (
    Auto,
    CheckpointOrPath,
    NameOrNonePerBlock,
    NamePerBlock,
    PaddingPerBlock,
    RandomState,
    Scoring,
    SizePerBlock,
)
from sklearn_cnn._estimator.attributes import FittedAttributes
from sklearn_cnn._estimator.callbacks import CallbackSupportMixin, callback_listeners, callbacks_of, with_callbacks
from sklearn_cnn._estimator.diagram import NetworkDiagram, training_sentence
from sklearn_cnn._estimator.fitted import n_threads_of, refuse_tainted
from sklearn_cnn._estimator.fitting import Problem, fit_network
from sklearn_cnn._estimator.images import declared_shape, resolve_input_shape
from sklearn_cnn._estimator.parameters import check_parameters, is_one_of
from sklearn_cnn._estimator.persistence import FittedState
from sklearn_cnn._estimator.saving import interruption_explained, saving_to
from sklearn_cnn._estimator.state import fitted_plan
from sklearn_cnn._estimator.validation import check_map, check_sample_weight, check_X, check_X_predict, combine_weights
from sklearn_cnn._network.layers import layers_of_map, layers_up_to
from sklearn_cnn._network.summary import layer_table, summary_text
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS

# Above this many samples early_stopping="auto" holds a part out, as in HistGradientBoosting.
MANY_SAMPLES = 10_000


def has_mini_batches(estimator):
    """Say whether an estimator has `partial_fit`; the error says why not."""
    if is_one_of(estimator.solver, FULL_BATCH_SOLVERS):
        raise AttributeError(
            f"partial_fit is for solvers with mini-batches, and solver={estimator.solver!r} trains on all samples at once. Use "
            "solver='adam', or fit with warm_start=True."
        )
    return True


def refuse_with_full_batch(estimator, **arguments):
    """Refuse arguments of `fit` that are for epochs of mini-batches, where there are none."""
    given = [name for name, value in arguments.items() if value is not None]
    if given and estimator.solver in FULL_BATCH_SOLVERS:
        raise ValueError(
            f"{', '.join(given)}: not possible with solver={estimator.solver!r}, which trains in one go until nothing gets "
            "better. Leave this out, or use solver='adam'."
        )


class BaseConvNet(FittedState, FittedAttributes, NetworkDiagram, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Skeleton of an estimator whose model is a convolutional network.

    The fitted model is the dictionary ``_fitted``. Everything public that ends in an underscore is read from it. What is said
    here of parameters and attributes, `completed` says in the docstrings of the estimators, too.

    Parameters
    ----------
    n_filters : int, sequence of int or "auto", default="auto"
        Number of filters of each convolution block. As many blocks as there are entries; an int is one block. "auto" is 32
        filters in the first block and twice as many in each block after it, up to 128. There are blocks until 3 pixels or less
        are left of the shorter side (of a signal: of its length), at most 5: ``(32, 64)`` for 8x8 pixels, ``(32, 64, 128)`` for
        28x28, ``(32, 64, 128, 128)`` for 32x32. Where another parameter of the blocks is a list, "auto" makes as many
        blocks as that has values.
    kernel_size : int, pair of int, or list of those, default=3
        Rows and columns of the kernels. In this and the other parameters of the blocks one value is for all blocks, and a list
        has one value per block. On an input of height one an int applies along the length only.
    stride : int, pair of int, or list of those, default=1
        Step of the kernel. A stride of 2 with ``pooling=None`` halves the map as pooling would.
    padding : {"same", "valid"}, int, pair of int, or list of those, default="same"
        What is put around the map before the convolution: enough to keep its size at stride 1, nothing, or so many rows and
        columns on either side.
    padding_mode : {"zeros", "reflect"} or list of those, default="zeros"
        Pad with zeros, or with the map mirrored at its border; the border itself is not repeated.
    pooling : {"max", "average", None} or list of those, default="max"
        What follows the activation.
    pool_size : int, pair of int, or list of those, default=2
        Rows and columns of the pooling window.
    pool_stride : int, pair of int, None, or list of those, default=None
        Step of the pooling window; None is its size.
    weight_sharing : bool or list of bool, default=True
        Whether a filter has the same weights everywhere. False gives a locally connected block.
    global_pooling : {"max", "average", None} or "auto", default="auto"
        Pooling of whole maps after the last block, whatever their size: one number per filter goes on to the dense layers. It
        is what deep networks and networks on signals usually end with. "auto" is "average" in a classifier whose blocks are
        chosen by ``n_filters="auto"`` and which has no hidden layers, and None in every other network.
    hidden_layer_sizes : int or sequence of int, default=()
        Number of units of the dense layers between the last block and the output.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the blocks and the hidden layers.
    solver : {"sgd", "adam", "adamw", "lbfgs"}, default="adam"
        Stochastic gradient descent with momentum, Adam (Kingma & Ba, 2015), or Adam with decoupled weight decay (Loshchilov &
        Hutter, 2019). "lbfgs" (Zhu et al., 1997) is for small data: each of its steps sees all samples, in double precision, and
        an integer weight is exactly the same as that many equal samples. It has no mini-batches, so it refuses what belongs to
        them: schedules of `learning_rate`, `early_stopping`, validation data, `dropout`, `augment` and `batch_norm`; and there
        is no `partial_fit`. `batch_size` only says how many samples are in memory at a time.
    alpha : float, default=1e-4
        Strength of the L2 penalty on the weights, ``0.5 * alpha * |W|**2`` divided by the weight of the mini-batch. For "adamw"
        the weight decay: every update takes the share ``learning rate * alpha`` of each weight away, whatever the mini-batch;
        values around 0.01 are usual there. Biases are not penalised and do not decay.
    batch_size : int or "auto", default="auto"
        Number of samples of a mini-batch, at most all of them. "auto" is 32 for up to 16,000 samples, then a 500th of the
        samples, up to 200. Thousands of samples are computed in slices whose gradients are added up, so memory is bounded. With
        `batch_norm` memory grows with the mini-batch, because the moments are those of all its samples.
    learning_rate : {"auto", "constant", "invscaling", "adaptive", "cosine", "one_cycle"}, default="auto"
        Schedule of the learning rate, for every solver. "invscaling" is ``learning_rate_init / (t_ + 1) ** power_t``, epoch by
        epoch; "adaptive" divides the rate by 5 whenever training stalls. "cosine" and "one_cycle" change with every mini-batch
        and have an end, which is `max_iter` epochs after the beginning of `fit`: "cosine" falls along half a cosine; "one_cycle"
        rises to ten times the rate in the first fifth of the epochs and then falls in a straight line. Both end at a thousandth
        of the rate. A stall does not stop training before that end. Every `fit` begins a new cycle, also with `warm_start`;
        every `partial_fit` is the next epoch of one, and beyond the end the rate stays where it is. "auto" is "one_cycle", but
        "constant" where the end of training is not known: in `partial_fit`, with `warm_start`, and with
        ``early_stopping=True``.
    learning_rate_init : float, default=1e-3
        Initial step size.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=30
        Largest number of epochs of a fit.
    shuffle : bool, default=True
        Whether each epoch goes through the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Decides the initial parameters, the order of the samples, the held-out part, dropout and augmentation.
    tol : float, default=1e-4
        The least change of the training loss that counts as an improvement; with early stopping, of the validation score or
        the validation loss. Schedules with an end ignore it.
    verbose : bool or int, default=False
        How much to print during training: 1 prints a line per epoch, with loss, validation score, learning rate, duration and
        the time left if no rule stops training before `max_iter`; from 2 on there is a progress bar where ``rich`` or
        ``tqdm`` is installed.
    warm_start : bool, default=False
        Whether `fit` goes on from where the last fit stopped, solver state included: two fits of 5 epochs give the bits of one
        of 10, unless it would have stopped between, or early stopping brings back the best epoch of the first. The split of
        held-out data and the scaling of the input are kept. So is the smallest training loss, which has to be improved on also
        where a call brings other data: if their loss is larger, set ``n_iter_no_change=float("inf")``, or use `partial_fit`.
    momentum : float, default=0.9
        Momentum of "sgd", from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether to use Nesterov's momentum.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when neither score nor loss on validation data improves, and keep the parameters of the best score.
        "auto" does so where validation data are passed or there are more than 10,000 samples; but a `learning_rate` with an end,
        which "auto" is by default, is trained to that end, so that validation data only choose the epoch that is kept. Training
        stops earlier with True, or with another schedule. `partial_fit` never stops early.
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, the mean of the gradients.
    beta_2 : float, default=0.999
        Decay rate of Adam's second moment, the mean of their squares.
    epsilon : float, default=1e-8
        Numerical stability of Adam.
    n_iter_no_change : int, default=10
        Number of epochs without improvement that end training; ``float("inf")`` never does. Schedules with an end ignore it.
    max_fun : int, default=15000
        For "lbfgs" the largest number of times that the loss of all samples is computed, which is at least once per iteration.
    scoring : str, callable or None, default=None
        What validation data are scored with, in `validation_scores_` and for early stopping: the name of a scorer of
        scikit-learn, a function ``scorer(estimator, X, y)`` (with ``sample_weight`` where the validation data have weights),
        which gets the rows of a flat `X` and returns a number that is better the larger it is, or "loss", the negative loss.
        Early stopping then watches this score alone. None is what `score` gives; there a smaller loss counts as an improvement,
        too.
    dropout : float, list of float or "auto", default="auto"
        Probability of setting a value to zero in training (Srivastava et al., 2014); what is kept is divided by the probability
        of being kept. A number is for the inputs of every dense layer, the output layer's included. A list has one number per
        block, for whole maps of its output (Tompson et al., 2015), and then one per dense layer, for its inputs. "auto" is 0.4 in
        a classifier that has ``n_filters="auto"``, the averages of its last maps and no hidden layers. In every other network it
        is 0. What is dropped depends on `random_state`, the number of the update, the place in the mini-batch and the unit
        alone. Predictions and validation drop nothing.
    batch_norm : bool or "auto", default="auto"
        Whether the blocks and the hidden layers are normalised (Ioffe & Szegedy, 2015); "auto" is True, but False for "lbfgs",
        which has no mini-batches. Every filter is brought to mean zero and variance one over the samples of a mini-batch and
        their pixels, then multiplied by gamma and moved by beta, which are learnt and not penalised. It stands before the
        activation: convolution, normalisation, activation, average pooling; but after maximum pooling: convolution, maximum
        pooling, normalisation, activation. The mean takes the bias of a layer away, so it has none, unless it is locally
        connected. Predictions use running means and variances of the mini-batches.
    augment : ImageAugmentation, callable or None, default=None
        How the images of each epoch differ from `X`, in `fit` and `partial_fit` only. An `ImageAugmentation` says what is drawn
        anew for each image and epoch; its parameters are searched as ``augment__shift`` and the like. A callable is called as
        ``augment(batch, random_state)`` with a copy of each mini-batch, of shape (n_samples, rows, columns, channels) and the
        dtype of `X`, and a ``numpy.random.RandomState``. It returns one of the same shape; training waits for it.
    input_shape : tuple of int or None, default=None
        ``(rows, columns)`` or ``(rows, columns, channels)`` of the images that were flattened into `X`, ``(length,)`` of
        signals. None takes the shape of an image array `X`, and reads the rows of a flat one as signals.
    scale_input : bool, default=True
        Whether to bring each channel to mean zero and standard deviation one, learnt from the samples trained on. Every
        `partial_fit` goes on learning them, over all samples that it has been given, as `StandardScaler` does. A channel whose
        standard deviation is less than a ten-millionth of its mean, the resolution of float32, counts as constant and is only
        centred: subtract such a mean, a time stamp's for example, before.
    winograd_tile : {2, 4}, default=2
        Tiles in which Winograd's algorithm may compute 3x3 kernels (Lavin & Gray, 2016). With 2 they round no more than direct
        sums: 2x2 pixels, or 4x4 with 49 multiplications instead of 144 (Barabasz & Gregg, 2019). With 4, tiles of 4x4 pixels
        may have 36. It is worth trying where blocks have at least 16 channels and maps whose sides are multiples of 4. Those
        tiles round more; the user guide says how much. With ``batch_norm``, gradients behind maximum pooling may take them in
        any case; predictions never do.
    n_jobs : int or None, default=None
        Number of threads. None leaves it to OpenMP, within the limits set from outside, such as those of joblib's processes or
        of ``threadpool_limits``. A number does without those limits: -1 is all processors that this process may use, -2 all
        but one, and so on. There are never more threads than pieces of work, than four for each processor, or than the system
        allows. Small mini-batches are timed: they take one thread while that is faster, because other programs want the
        processors for example. The results do not depend on it.

    Attributes
    ----------
    n_features_in_ : int
        Number of values per sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` had string names.
    input_shape_ : tuple of (int, int, int)
        Rows, columns and channels of a sample.
    coefs_, intercepts_ : list of ndarray
        Weights and biases of every layer, stored as (kernel rows, kernel columns, channels, filters) and (inputs, outputs). With
        `batch_norm`, layers that have no bias have an empty one.
    kernels_ : list of ndarray
        Kernels of every block, of shape (n_filters, channels, kernel rows, kernel columns), preceded by the (rows, columns) of
        the output where the block is locally connected. All three are views of the model's parameters: what is written into them
        changes the model.
    n_parameters_ : int
        Number of weights and biases, gamma and beta of `batch_norm` included.
    receptive_field_ : tuple of (int, int)
        Rows and columns of the input that a unit after the last block sees, padding included: it is not cut at the border.
    layer_table_ : list of dict
        One row per layer, pooling and normalisation included, for ``pandas.DataFrame``: ``name``, ``window``,
        ``stride``, ``n_skipped`` (rows and columns of the layer's input that no window covers), ``output_shape``,
        ``n_parameters``, ``n_parameters_unshared`` (with weights of its own at each position), ``n_parameters_dense`` (a dense
        layer from the same input to the same map), ``receptive_field``, ``effective_stride`` (steps of the input between
        neighbouring units) and ``origin`` (first row and column that unit (0, 0) sees; negative ones are padding).
    n_layers_, n_outputs_ : int
        Number of layers that have weights, plus one for the input; number of outputs.
    n_iter_ : int
        Number of epochs of the last call.
    t_ : int
        Number of samples that training has gone through, with repetition, in all calls. With "lbfgs" the number of times that
        the loss was computed, times the number of distinct samples.
    loss_, best_loss_ : float
        Training loss of the last and of the best epoch.
    loss_curve_ : list of float
        Training loss of every epoch of all calls.
    learning_rate_curve_ : list of float
        Step size of the last mini-batch of every epoch.
    validation_scores_, validation_loss_curve_ : list of float or None
        Score (see `scoring`) and loss on the validation data, as long as `loss_curve_`; NaN for an epoch that had no
        validation data, None if none had any. They count samples by `sample_weight_val`, or by `sample_weight` where a part is
        held out, and not by the weights of classes, whatever these are.
    best_validation_score_ : float or None
        Score of the epoch `best_iter_` on the validation data of the last call; None if that call had none.
    best_iter_ : int
        The best epoch, counted from 1 along `loss_curve_`: the one with the best score on the validation data of the last call,
        the smaller loss deciding between equal ones, or, if that call had none, the one with the smallest training loss. Weights
        of classes count here, as in training, unless there is a `scoring`. A call that goes on may begin with its best epoch:
        0 is the state that was imported. Early stopping restores the parameters of this epoch; otherwise those of the last
        epoch are kept.

    References
    ----------
    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    He et al., "Delving deep into rectifiers", ICCV 2015.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.

    Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", ICML 2015.

    Zhu et al., "Algorithm 778: L-BFGS-B", ACM Transactions on Mathematical Software 23, 1997.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Lavin & Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    def __init__(
        self,
        n_filters: int | Sequence[int] | Auto = "auto",
        kernel_size: SizePerBlock = 3,
        *,
        stride: SizePerBlock = 1,
        padding: PaddingPerBlock = "same",
        padding_mode: NamePerBlock = "zeros",
        pooling: NameOrNonePerBlock = "max",
        pool_size: SizePerBlock = 2,
        pool_stride: SizePerBlock | None = None,
        weight_sharing: bool | Sequence[bool] = True,
        global_pooling: str | None = "auto",
        hidden_layer_sizes: int | Sequence[int] = (),
        activation: str = "relu",
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | Auto = "auto",
        learning_rate: str = "auto",
        learning_rate_init: float = 1e-3,
        power_t: float = 0.5,
        max_iter: int = 30,
        shuffle: bool = True,
        random_state: RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | Auto = "auto",
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        scoring: Scoring = None,
        dropout: float | Sequence[float] | Auto = "auto",
        batch_norm: bool | Auto = "auto",
        augment: BaseEstimator | Callable | None = None,
        input_shape: Sequence[int] | None = None,
        scale_input: bool = True,
        winograd_tile: int = 2,
        n_jobs: int | None = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.padding_mode = padding_mode
        self.pooling = pooling
        self.pool_size = pool_size
        self.pool_stride = pool_stride
        self.weight_sharing = weight_sharing
        self.global_pooling = global_pooling
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.scoring = scoring
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.augment = augment
        self.input_shape = input_shape
        self.scale_input = scale_input
        self.winograd_tile = winograd_tile
        self.n_jobs = n_jobs

    @abstractmethod
    def _check_target(self, y, n_samples, attributes=None, classes=None, name="y"):
        """Return the Target for y; `attributes` are those of an earlier one to agree with.

        `classes` are those announced. None says that `y` has every class; none at all, that it has some of them.
        """

    def _weights_of_target(self, target, training, sample_weight):
        """Return the weights of samples that follow from their target, None if there are none.

        They are learnt from the target of the training data and the weights that were passed with it.
        """
        return None

    def _targets_to_learn(self, target):
        """Return the rows of targets that training sees; validation always sees the true ones."""
        return target.values

    def _scale_targets(self, problem, watched, earlier):
        """Return both problems with targets in the scale of the network; it is learnt from the first, or that of `earlier`."""
        return problem, watched

    @abstractmethod
    def _judge(self, scores, target):
        """Return what `_evaluate` wants to know of the scores: arrays with an entry for each sample."""

    @abstractmethod
    def _evaluate(self, judged, target, sample_weight):
        """Return the score and the loss of what has been judged."""

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: CheckpointOrPath = None,
    ) -> Self:
        """Train the network.

        Nothing changes before training has succeeded: after an error or Ctrl-C the estimator is as it was. A note below the
        KeyboardInterrupt says so.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals of any real dtype. ``uint8``, ``float32``, ``float64`` and memory-mapped arrays are read in
            place, one mini-batch at a time.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Targets. Only the indicators of a classifier of several labels may be sparse.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample. A weight of zero is the same as leaving the sample out.
        X_val : array-like of the same form as `X`, default=None
            Data to watch training with; used in place of a part of `X`.
        y_val : array-like, default=None
            Targets of `X_val`.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weights of `X_val`. A weight of zero is the same as leaving the sample out.
        checkpoint : str, path-like, Checkpoint or None, default=None
            File that the fit is written to after every epoch, and goes on from if it is there. See `Checkpoint`, which can
            be a callback, too.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_parameters(self)
        saving = saving_to(checkpoint, callbacks_of(self))
        refuse_with_full_batch(self, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val, checkpoint=saving)
        earlier = self._earlier() if self.warm_start else None
        problem = self._check_problem(X, y, sample_weight, earlier)
        watched = self._check_watched(X_val, y_val, sample_weight_val, problem)
        stops_early = self._stops_early(problem, watched)
        with interruption_explained(self, saving):
            fitted = fit_network(
                self, problem, watched, earlier, n_epochs=self.max_iter, stops_early=stops_early, begins_cycle=True,
                saving=saving, callbacks=partial(callback_listeners, self, X, y, sample_weight),
            )  # fmt: skip
        self._publish(fitted, earlier)
        return self

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """Train for one epoch on the samples given, from where training has stopped."""
        check_parameters(self, begins_cycle=False)
        earlier = self._earlier()
        problem = self._check_problem(X, y, sample_weight, earlier, classes)
        with interruption_explained(self):
            fitted = fit_network(self, problem, None, earlier, n_epochs=1, stops_early=False, begins_cycle=False)
        self._publish(fitted, earlier)
        return self

    def _check_problem(self, X, y, sample_weight, earlier, classes=None):
        """Check the training data, against an earlier fit if that is to be continued."""
        X, image_shape, features = check_X(self, X, earlier)
        if earlier is None:
            input_shape = resolve_input_shape(self.input_shape, image_shape, X.shape[1])
        else:
            input_shape = earlier["input_shape_"]
            if declared_shape(self.input_shape) not in (None, input_shape):
                raise ValueError(
                    f"input_shape={self.input_shape!r} has changed since the fit that is to be continued, which saw {input_shape}"
                    ". Set it back, or start anew with warm_start=False or with clone."
                )
        target = self._check_target(y, len(X), earlier, classes)
        own_weight = check_sample_weight(sample_weight, len(X))
        target = replace(target, weight=self._weights_of_target(target, target, own_weight))
        weight, own_weight = combine_weights(own_weight, target.weight, "sample_weight")
        rows = np.arange(len(X)) if weight is None else np.flatnonzero(weight)
        return Problem(X, target, weight, own_weight, rows, input_shape, features)

    def _check_watched(self, X_val, y_val, sample_weight_val, problem):
        """Check the validation data; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"{missing} is missing: a validation set needs both X_val and y_val.")
        X_val = check_X(self, X_val, {**problem.features, "input_shape_": problem.input_shape})[0]
        target = self._check_target(y_val, len(X_val), problem.target.attributes, (), "y_val")
        own_weight = check_sample_weight(sample_weight_val, len(X_val), "sample_weight_val")
        target = replace(target, weight=self._weights_of_target(target, problem.target, problem.own_weight))
        weight, own_weight = combine_weights(own_weight, target.weight, "sample_weight_val")
        rows = np.arange(len(X_val)) if own_weight is None else np.flatnonzero(own_weight)
        return Problem(X_val, target, weight, own_weight, rows, problem.input_shape, problem.features)

    def _stops_early(self, problem, watched):
        """Resolve ``early_stopping="auto"``."""
        if self.early_stopping == "auto":
            return self.solver not in FULL_BATCH_SOLVERS and (watched is not None or len(problem.rows) > MANY_SAMPLES)
        return bool(self.early_stopping)

    def _scores(self, X):
        """Compute the scores of X; return them and the one state they were computed with."""
        fitted, network, scaling = self._checked_network()
        X = check_X_predict(self, X, fitted)
        scores = network.scores(X, **scaling, n_threads=n_threads_of(self))
        refuse_tainted(scores, fitted, X)
        return scores, fitted

    def feature_maps(self, X: ArrayLike, block: int = 0, stage: str = "conv") -> NDArray[np.floating]:
        """Compute the feature maps of a convolution block.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals, as for `predict`; they are scaled as there.
        block : int, default=0
            Number of the block, counted from 0; -1 is the last.
        stage : {"conv", "pool"}, default="conv"
            "conv" is the map after the activation, "pool" the output of the block, after its pooling if it has one. With
            `batch_norm` and maximum pooling the activation comes last: there "conv" is the bare convolution.

        Returns
        -------
        maps : ndarray of shape (n_samples, rows, columns, n_filters), dtype float32, or float64 with "lbfgs"
            Bright where the kernel matches. A signal's have one row.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_cnn import ConvNetClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=2, random_state=0).fit(X, y)
        >>> network.feature_maps(X[:5]).shape
        (5, 8, 8, 32)
        >>> network.feature_maps(X[:5], block=1, stage="pool").shape
        (5, 2, 2, 64)
        """
        return self._values(X, lambda plan: layers_of_map(plan.layers, check_map(plan, block, stage), stage))

    def _values(self, X, choose_layers):
        """Compute what the last of some layers hands on; the layers are chosen from the fitted plan."""
        fitted, network, scaling = self._checked_network()
        X = check_X_predict(self, X, fitted)
        network = network.up_to(choose_layers(network.plan))
        values = network.scores(X, **scaling, n_threads=n_threads_of(self))
        refuse_tainted(values, fitted, X)
        return values.reshape(len(values), *network.plan.output_shapes[-1])

    def _layer_values(self, X, layer):
        """Compute what comes after one row of the layer table; its number has been checked."""
        return self._values(X, lambda plan: layers_up_to(plan.layers, layer))

    def summary(self) -> str:
        """Describe the fitted network in a table of plain text.

        Returns
        -------
        text : str
            One line per layer: window and its stride, shape of the output, receptive field ("sees"), effective stride
            ("step"), and the parameters as built, without weight sharing, and with a dense layer in its place. See
            `layer_table_` for the same as numbers. The last line names the parameters of training that are at work, with
            what "auto" stood for in the last fit.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_cnn import ConvNetClassifier
        >>> X, y = np.random.RandomState(0).rand(20, 12, 12), [0, 1, 2, 3] * 5
        >>> network = ConvNetClassifier(8, kernel_size=5, padding="valid", batch_norm=False, max_iter=1).fit(X, y)
        >>> print(network.summary())
        ConvNetClassifier
        ---------------------------------------------------------------------------------------------------
        layer                 window              output        sees   step  parameters  unshared  as dense
        ---------------------------------------------------------------------------------------------------
        input                                12 x 12 x 1
        block 0: convolution  5 x 5            8 x 8 x 8       5 x 5  1 x 1         208    13,312    74,240
        block 0: max pooling  2 x 2 / 2 x 2    4 x 4 x 8       6 x 6  2 x 2           -         -         -
        output                                         4  everything                516       516       516
        ---------------------------------------------------------------------------------------------------
        total                                                                       724    13,828    74,756
        ---------------------------------------------------------------------------------------------------
        Without weight sharing there would be 19.1 times as many parameters.
        With a dense layer in place of each convolution there would be 103.3 times as many.
        Parameters of training: solver='adam', learning_rate='one_cycle'.
        """
        fitted = self._check_fitted()
        plan = fitted_plan(fitted)
        return summary_text(type(self).__name__, layer_table(plan), plan.input_shape, [training_sentence(self)])

    def __sklearn_tags__(self):
        """Describe the estimator to scikit-learn's tools."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True  # two_d_array stays: without it the common checks check nothing
        tags.target_tags.required = True
        return tags
