"""The classifier: labels, probabilities and scikit-learn's conventions, and nothing about networks."""

import reprlib

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import unique_labels

from sklearn_cnn._estimator.base import BaseConvNet
from sklearn_cnn._estimator.fitting import Target
from sklearn_cnn._estimator.labels import describe_classes, encode_labels, find_classes, one_hot, predicted_codes, smoothed
from sklearn_cnn._estimator.outputs import log_logistic, log_of_probabilities, log_softmax, logistic, sample_losses, softmax
from sklearn_cnn._estimator.validation import check_labels


class ConvNetClassifier(ClassifierMixin, BaseConvNet):
    """Convolutional network for classification.

    Blocks of convolution, activation and pooling, then dense layers, trained by mini-batches on the cross-entropy. The input
    may be images or signals as they are, or flattened to rows of features with `input_shape`, which works with every
    scikit-learn tool.

    Parameters
    ----------
    n_filters : int or sequence of int, default=(16, 32)
        Number of filters of each convolution block. As many blocks as there are entries; an int is one block.
    kernel_size : int, pair of int, or list of those, default=3
        Rows and columns of the kernels. In this and the other parameters of the blocks one value is for all blocks, and a list
        has one value per block. On an input of height one an int applies along the length only.
    stride : int, pair of int, or list of those, default=1
        Step of the kernel. A stride of 2 with ``pooling=None`` halves the map as pooling would.
    padding : {"same", "valid"}, int, pair of int, or list of those, default="same"
        What is put around the map before the convolution: enough to keep its size at stride 1, nothing, or so many rows and
        columns on either side.
    padding_mode : {"zeros", "reflect"}, default="zeros"
        Pad with zeros, or with the map mirrored at its border; the border itself is not repeated.
    pooling : {"max", "average", None} or list of those, default="max"
        What follows the activation.
    pool_size : int, pair of int, or list of those, default=2
        Rows and columns of the pooling window.
    pool_stride : int, pair of int, None, or list of those, default=None
        Step of the pooling window; None is its size.
    weight_sharing : bool or list of bool, default=True
        Whether a filter has the same weights everywhere. False gives a locally connected block.
    global_pooling : {"max", "average", None}, default=None
        Pooling of whole maps behind the last block, whatever their size: one number per filter goes on to the dense layers. It
        is what deep networks and networks on signals usually end with.
    hidden_layer_sizes : int or sequence of int, default=()
        Number of units of the dense layers between the last block and the output.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the blocks and the hidden layers.
    solver : {"sgd", "adam", "adamw"}, default="adam"
        Stochastic gradient descent with momentum, Adam (Kingma & Ba, 2015), or Adam with decoupled weight decay (Loshchilov &
        Hutter, 2019).
    alpha : float, default=1e-4
        Strength of the L2 penalty on the weights, ``0.5 * alpha * |W|**2`` divided by the weight of the mini-batch. For "adamw"
        the weight decay: every update takes the share ``learning rate * alpha`` of each weight away, whatever the mini-batch;
        values around 0.01 are usual there. Biases are not penalised and do not decay.
    batch_size : int or "auto", default="auto"
        Number of samples of a mini-batch; larger than the data means all of it. "auto" is 32 for up to 16,000 samples, then a
        500th of them, up to 200.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine", "one_cycle"}, default="constant"
        Schedule of the learning rate, for every solver. "invscaling" is ``learning_rate_init / (t_ + 1) ** power_t``, epoch by
        epoch; "adaptive" divides the rate by 5 whenever training stalls. The last two change with every mini-batch and have an
        end, which is `max_iter` epochs after the beginning of `fit`: "cosine" falls along half a cosine, "one_cycle" rises from
        a twentieth of the rate for a fifth of the epochs and then falls in a straight line; both end at a thousandth. A stall
        does not stop training before that end. Every `fit` begins a new cycle, also with `warm_start`; every `partial_fit` is
        the next epoch of one, and beyond the end the rate stays where it is.
    learning_rate_init : float, default=1e-3
        Initial step size; for "one_cycle" the largest.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Largest number of epochs of a fit.
    shuffle : bool, default=True
        Whether each epoch goes through the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Decides the initial parameters, the order of the samples and the held-out part.
    tol : float, default=1e-4
        The least change of the training loss that counts as an improvement; with early stopping, of the validation score or
        the validation loss.
    verbose : bool or int, default=False
        Whether to print a line per epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from where the last fit stopped, solver state included: two fits of 5 epochs give the bits of one
        of 10, unless it would have stopped between. The split of held-out data and the scaling of the input are kept.
    momentum : float, default=0.9
        Momentum of "sgd", from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether it is Nesterov's.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when neither score nor loss on validation data improves, and keep the parameters of the best score.
        "auto" does so where validation data are passed or there are more than 10,000 samples. `partial_fit` never does.
    validation_fraction : float, default=0.1
        Share of the samples to hold out, stratified, if early stopping is on and no validation data are passed.
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, the mean of the gradients.
    beta_2 : float, default=0.999
        Decay rate of Adam's second moment, the mean of their squares.
    epsilon : float, default=1e-8
        Numerical stability of Adam.
    n_iter_no_change : int, default=10
        Number of epochs without improvement that end training; ``float("inf")`` never does.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, ``{class: weight}``; multiplied into `sample_weight`. "balanced" weighs inversely to frequency, in
        `partial_fit` that of the samples passed.
    dropout : float or list of float, default=0.0
        Probability of setting a value to zero in training (Srivastava et al., 2014); what is kept is divided by the probability
        of being kept. A number is for the inputs of every dense layer, the output layer's included. A list has one number per
        block, for whole maps of its output (Tompson et al., 2015), and then one per dense layer, for its inputs. What is dropped
        depends on `random_state`, the number of the update, the place in the mini-batch and the unit alone. Predictions and
        validation drop nothing.
    batch_norm : bool, default=False
        Whether the blocks and the hidden layers are normalised (Ioffe & Szegedy, 2015): every filter to mean zero and variance
        one over the samples of a mini-batch and their pixels, then multiplied by gamma and moved by beta, which are learnt and
        not penalised. It stands in front of the activation: convolution, normalisation, activation, average pooling; but behind
        maximum pooling: convolution, maximum pooling, normalisation, activation. The mean takes the bias of a layer away, so it
        has none, unless it is locally connected. Predictions use running means and variances of the mini-batches.
    augment : ImageAugmentation, callable or None, default=None
        How the images of each epoch differ from `X`, in `fit` and `partial_fit` only. An `ImageAugmentation` says what is drawn
        anew for each image and epoch; its parameters are searched as ``augment__shift`` and the like. A callable is called as
        ``augment(batch, random_state)`` with a copy of each mini-batch, of shape (n_samples, rows, columns, channels) and the
        dtype of `X`, and a ``numpy.random.RandomState``. It returns one of the same shape; training waits for it.
    label_smoothing : float, default=0.0
        Share of each target that is spread evenly over all classes (Szegedy et al., 2016): of K classes the true one gets
        ``1 - label_smoothing + label_smoothing / K``. With two classes, and for each label of a multilabel target, K is 2. The
        training loss is that of the smoothed targets; validation loss and scores are those of the true ones.
    input_shape : tuple of int or None, default=None
        ``(rows, columns)`` or ``(rows, columns, channels)`` of the images that were flattened into `X`, ``(length,)`` of
        signals. None takes the shape of an image array `X`, and reads the rows of a flat one as signals.
    scale_input : bool, default=True
        Whether to bring each channel to mean zero and standard deviation one, learnt from the samples trained on.
    n_jobs : int or None, default=None
        Number of threads. None leaves it to OpenMP within the limits set from outside. The results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
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
        the output where the block is locally connected. All three are views of the model's parameters.
    n_parameters_ : int
        Number of weights and biases, gamma and beta of `batch_norm` included.
    receptive_field_ : tuple of (int, int)
        Rows and columns of the input that a unit after the last block sees, padding included: it is not cut at the border.
    layer_table_ : list of dict
        One row per layer, a pooling or normalisation being one, and made for ``pandas.DataFrame``: ``name``, ``window``,
        ``stride``, ``n_skipped`` (rows and columns of the layer's input that no window covers), ``output_shape``,
        ``n_parameters``, ``n_parameters_unshared`` (with weights of its own at each position), ``n_parameters_dense`` (a dense
        layer from the same input to the same map), ``receptive_field``, ``effective_stride`` (steps of the input between
        neighbouring units) and ``origin`` (first row and column that unit (0, 0) sees; negative ones are padding).
    n_layers_, n_outputs_ : int
        Number of layers that have weights, plus one for the input; number of outputs.
    out_activation_ : str
        "softmax", or "logistic" for two classes and for multilabel targets.
    n_iter_ : int
        Number of epochs of the last call.
    t_ : int
        Number of samples that training has gone through, with repetition, in all calls.
    loss_, best_loss_ : float
        Training loss of the last and of the best epoch.
    loss_curve_ : list of float
        Training loss of every epoch of all calls.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and loss on the validation data after every epoch that had some.
    best_validation_score_ : float or None
        Largest of the scores.
    best_iter_ : int
        The best epoch, counted from 1 along `loss_curve_`.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Fully connected network.

    References
    ----------
    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    He et al., "Delving deep into rectifiers", ICCV 2015.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.

    Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", ICML 2015.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_cnn import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = ConvNetClassifier(input_shape=(8, 8), max_iter=30, random_state=0).fit(X_train, y_train)
    >>> network.predict(X_test[:5])
    array([2, 8, 2, 6, 6])
    >>> network.score(X_test, y_test) > 0.97
    True
    """

    def __init__(
        self,
        n_filters=(16, 32),
        kernel_size=3,
        *,
        stride=1,
        padding="same",
        padding_mode="zeros",
        pooling="max",
        pool_size=2,
        pool_stride=None,
        weight_sharing=True,
        global_pooling=None,
        hidden_layer_sizes=(),
        activation="relu",
        solver="adam",
        alpha=1e-4,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=1e-3,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        class_weight=None,
        dropout=0.0,
        batch_norm=False,
        augment=None,
        label_smoothing=0.0,
        input_shape=None,
        scale_input=True,
        n_jobs=None,
    ):
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
        self.class_weight = class_weight
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.augment = augment
        self.label_smoothing = label_smoothing
        self.input_shape = input_shape
        self.scale_input = scale_input
        self.n_jobs = n_jobs

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on the samples given, from where training has stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals. The scaling of the input is learnt in the first call.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or a multilabel indicator matrix.
        classes : array-like of shape (n_classes,), default=None
            All labels there will ever be; needed in the first call, unless `y` is multilabel.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        return self._partial_fit(X, y, sample_weight, () if classes is None else classes)

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample; for multilabel targets 1 where the probability exceeds one half.
        """
        scores, fitted = self._scores(X)
        if fitted["is_multilabel"]:
            return (scores > 0).astype(np.int64)
        return fitted["classes_"][predicted_codes(scores, len(fitted["classes_"]))]

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            In the order of `classes_`. A sample's are bitwise the same whatever other samples are passed with it.
        """
        return self._probabilities(*self._scores(X))

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of each class, finite also where the probability underflows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            In the order of `classes_`.
        """
        scores, fitted = self._scores(X)
        if len(fitted["classes_"]) == 1 and not fitted["is_multilabel"]:
            return np.zeros_like(scores)
        if fitted["out_activation_"] == "softmax":
            logarithms = log_softmax(scores)
        else:
            logarithms = log_logistic(scores if fitted["is_multilabel"] else np.hstack([-scores, scores]))
        return log_of_probabilities(self._probabilities(scores, fitted), logarithms)

    def decision_function(self, X):
        """Compute the scores before the output activation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, rows, columns) or (n_samples, rows, columns, channels)
            Images or signals.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), dtype float32
            One per class; of two classes only that of the second, which is positive where it is predicted.
        """
        scores, fitted = self._scores(X)
        return scores if fitted["is_multilabel"] or fitted["out_activation_"] == "softmax" else scores.ravel()

    def _scores(self, X):
        """Compute scores, and refuse a fitted state whose classes are not theirs."""
        scores, fitted = super()._scores(X)
        classes = fitted["classes_"]
        n_outputs = scores.shape[1]
        n_classes = (n_outputs,) if n_outputs > 1 else (1, 2)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) not in n_classes:
            raise ValueError(f"The fitted classes_ do not fit the network's {n_outputs} outputs. Fit the estimator again.")
        return scores, fitted

    def _probabilities(self, scores, fitted):
        """Turn scores into probabilities: exclusive ones, or independent ones of labels, or of two classes."""
        if fitted["out_activation_"] == "softmax":
            return softmax(scores)
        if fitted["is_multilabel"]:
            return logistic(scores)
        return logistic(np.hstack([-scores, scores])) if len(fitted["classes_"]) == 2 else np.ones_like(scores)

    def _check_target(self, y, n_samples, attributes=None, classes=None, name="y"):
        """Encode labels; the classes are those of earlier attributes, those passed, or those found in y."""
        y = check_labels(self, y, n_samples, name)
        is_multilabel = y.ndim == 2
        if attributes is None:
            attributes = describe_classes(y, find_classes(y, classes), is_multilabel)
        elif attributes["is_multilabel"] != is_multilabel or (is_multilabel and y.shape[1] != attributes["n_outputs_"]):
            raise ValueError(f"{name} is not of the kind seen before: multilabel or not, and of how many labels.")
        elif classes is not None and len(classes) > 0 and not np.array_equal(unique_labels(classes), attributes["classes_"]):
            raise ValueError(f"classes={reprlib.repr(classes)} is not the same as on the last call, {attributes['classes_']}.")
        attributes = {key: attributes[key] for key in ("classes_", "n_outputs_", "out_activation_", "is_multilabel")}
        weight = None if self.class_weight is None else compute_sample_weight(self.class_weight, y)
        if is_multilabel:
            return Target(y.astype(np.float32), np.zeros(n_samples, dtype=np.int64), weight, attributes)
        codes = encode_labels(y, attributes["classes_"], name)
        return Target(one_hot(codes, attributes["n_outputs_"]), codes, weight, attributes)

    def _targets_to_learn(self, target):
        """Smooth the labels."""
        n_classes = target.attributes["n_outputs_"] if target.attributes["out_activation_"] == "softmax" else 2
        return smoothed(target.matrix, float(self.label_smoothing), n_classes)

    def _evaluate(self, scores, target, sample_weight):
        """Compute accuracy and mean cross-entropy."""
        if target.attributes["is_multilabel"]:
            is_right = ((scores > 0) == (target.matrix > 0)).all(axis=1)
        else:
            is_right = predicted_codes(scores, len(target.attributes["classes_"])) == target.strata
        losses = sample_losses(scores, target.matrix, target.attributes["out_activation_"])
        return float(np.average(is_right, weights=sample_weight)), float(np.average(losses, weights=sample_weight))

    def __sklearn_tags__(self):
        """Describe the estimator to scikit-learn's tools."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True  # two_d_array stays: without it the common checks check nothing
        tags.classifier_tags.multi_label = True
        tags.target_tags.required = True
        return tags
