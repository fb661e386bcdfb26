"""Naive NumPy twins of the compiled kernels: one loop over positions, no trick, in whatever type the data has.

Images are (n, rows, columns, channels). Kernels are (kernel rows, kernel columns, channels, filters); those of a
locally connected block have the map's rows and columns in front. Forward and backward stand side by side; ``d_x`` is
the gradient of ``x``. `LAYERS` is the table that the tests of shapes, values and gradients walk.
"""

import math
from dataclasses import dataclass

import numpy as np

from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, DropoutLayer, PoolingLayer, parts_of

# -------------------------------------------------------------------------------------------------------------- padding


def sides(padding, shape, kernel_size, stride):
    """``((top, bottom), (left, right))`` for "same", "valid", a pair or a pair of pairs."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [
            max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(shape, kernel_size, stride, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((side, side) if isinstance(side, int) else side for side in padding)


def pad(X, padding, mode="zeros"):
    widths = ((0, 0), *padding, (0, 0))
    return np.pad(X, widths, mode="reflect") if mode == "reflect" else np.pad(X, widths)


def pad_backward(d_padded, shape, padding, mode="zeros"):
    """Each padded pixel gives its gradient to the pixel it copied. shape: rows and columns of the image."""
    copied = np.arange(1, 1 + math.prod(shape)).reshape(1, *shape, 1)
    copied = pad(copied, padding, mode).ravel()  # 0: a zero
    n, channels = d_padded.shape[0], d_padded.shape[-1]
    d_X = np.zeros((n, 1 + math.prod(shape), channels), dtype=d_padded.dtype)
    for position, pixel in enumerate(copied):
        d_X[:, pixel] += d_padded.reshape(n, copied.size, channels)[:, position]
    return d_X[:, 1:].reshape(n, *shape, channels)


# ---------------------------------------------------------------------------------------------------------- convolution


def n_positions(length, window, stride):
    return len(range(0, length - window + 1, stride))


def windows(padded, size, stride):
    """Row, column and slice of every window position."""
    for r in range(n_positions(padded.shape[1], size[0], stride[0])):
        for c in range(n_positions(padded.shape[2], size[1], stride[1])):
            top, left = r * stride[0], c * stride[1]
            yield r, c, np.s_[:, top : top + size[0], left : left + size[1], :]


def map_shape(padded, size, stride):
    return tuple(n_positions(n, k, s) for n, k, s in zip(padded.shape[1:3], size, stride, strict=True))


def convolution(X, weights, bias, stride, padding, mode="zeros"):
    """Cross-correlation with one kernel for all positions (4 axes) or one per position (6 axes)."""
    padded = pad(X, padding, mode)
    size, shared = weights.shape[-4:-2], weights.ndim == 4
    outputs = np.empty((len(X), *map_shape(padded, size, stride), weights.shape[-1]), dtype=X.dtype)
    for r, c, window in windows(padded, size, stride):
        kernel, start = (weights, bias) if shared else (weights[r, c], bias[r, c])
        outputs[:, r, c] = np.tensordot(padded[window], kernel, 3) + start
    return outputs


def convolution_backward(d_outputs, X, weights, stride, padding, mode="zeros"):
    """-> d_X, d_weights, d_bias"""
    padded = pad(X, padding, mode)
    size, shared = weights.shape[-4:-2], weights.ndim == 4
    d_padded, d_weights = np.zeros_like(padded), np.zeros_like(weights)
    d_bias = d_outputs.sum(axis=(0, 1, 2) if shared else 0)
    for r, c, window in windows(padded, size, stride):
        kernel, d_kernel = (weights, d_weights) if shared else (weights[r, c], d_weights[r, c])
        d_padded[window] += np.tensordot(d_outputs[:, r, c], kernel, (1, 3))
        d_kernel += np.tensordot(padded[window], d_outputs[:, r, c], (0, 0))
    return pad_backward(d_padded, X.shape[1:3], padding, mode), d_weights, d_bias


# -------------------------------------------------------------------------------------------------------------- pooling


def maximum_positions(X, size, stride):
    """Where in its window (counted row by row) each maximum stands: the last NaN, else the first of equal values."""
    positions = np.zeros((len(X), *map_shape(X, size, stride), X.shape[-1]), dtype=int)
    for r, c, window in windows(X, size, stride):
        pixels = X[window].reshape(len(X), math.prod(size), X.shape[-1])
        best = pixels[:, 0].copy()
        for k in range(1, pixels.shape[1]):
            better = (pixels[:, k] > best) | np.isnan(pixels[:, k])
            best[better] = pixels[:, k][better]
            positions[:, r, c][better] = k
    return positions


def max_pool(X, size, stride):
    outputs = np.empty((len(X), *map_shape(X, size, stride), X.shape[-1]), dtype=X.dtype)
    for r, c, window in windows(X, size, stride):
        outputs[:, r, c] = X[window].max(axis=(1, 2))  # NumPy's maximum of a NaN is NaN
    return outputs


def max_pool_backward(d_outputs, X, size, stride):
    positions, d_X = maximum_positions(X, size, stride), np.zeros_like(X)
    for n, r, c, f in np.ndindex(d_outputs.shape):
        row, column = divmod(positions[n, r, c, f], size[1])
        d_X[n, r * stride[0] + row, c * stride[1] + column, f] += d_outputs[n, r, c, f]
    return d_X


def average_pool(X, size, stride):
    outputs = np.empty((len(X), *map_shape(X, size, stride), X.shape[-1]), dtype=X.dtype)
    for r, c, window in windows(X, size, stride):
        outputs[:, r, c] = X[window].mean(axis=(1, 2))
    return outputs


def average_pool_backward(d_outputs, X, size, stride):
    d_X = np.zeros_like(X)
    for r, c, window in windows(X, size, stride):
        d_X[window] += d_outputs[:, r, c][:, None, None] / math.prod(size)
    return d_X


#: Pooling -> (forward, backward)
POOLINGS = {"max": (max_pool, max_pool_backward), "average": (average_pool, average_pool_backward)}


# ------------------------------------------------------------------------------------------- activations, dense, losses

#: Activation -> (function, derivative as a function of its own output)
ACTIVATIONS = {
    "identity": (lambda x: x, lambda y: np.ones_like(y)),
    "relu": (lambda x: np.where(x < 0, 0, x), lambda y: (y > 0).astype(y.dtype)),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), lambda y: y * (1 - y)),
    "tanh": (np.tanh, lambda y: 1 - y * y),
}


def flat(X):
    return X.reshape(len(X), math.prod(X.shape[1:]))


def dense(X, weights, bias):
    return flat(X) @ weights + bias


def dense_backward(d_outputs, X, weights):
    """-> d_X, d_weights, d_bias"""
    return (d_outputs @ weights.T).reshape(X.shape), flat(X).T @ d_outputs, d_outputs.sum(axis=0)


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def softmax_cross_entropy(scores, targets):
    """Loss of each sample."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return -(targets * (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))).sum(axis=1)


def softmax_cross_entropy_backward(scores, targets):
    return softmax(scores) * targets.sum(axis=1, keepdims=True) - targets


def logistic_cross_entropy(scores, targets):
    return (np.logaddexp(0, scores) - scores * targets).sum(axis=1)


def logistic_cross_entropy_backward(scores, targets):
    return np.exp(-np.logaddexp(0, -scores)) - targets


def squared_error(scores, targets):
    return 0.5 * ((scores - targets) ** 2).mean(axis=1)


def squared_error_backward(scores, targets):
    return (scores - targets) / scores.shape[1]


#: Loss -> (loss of each sample, gradient of its scores)
LOSSES = {
    "softmax": (softmax_cross_entropy, softmax_cross_entropy_backward),
    "logistic": (logistic_cross_entropy, logistic_cross_entropy_backward),
    "squared": (squared_error, squared_error_backward),
}


# -------------------------------------------------------------------------------------------------------------- updates


def sgd(parameters, gradient, velocity, learning_rate, momentum, nesterov):
    """-> parameters, velocity. Sutskever et al. (2013)."""
    velocity = momentum * velocity - learning_rate * gradient
    change = momentum * velocity - learning_rate * gradient if nesterov else velocity
    return parameters + change, velocity


def decay(plan, parameters, share):
    """-> parameters whose weights have lost a share of themselves. Loshchilov and Hutter (2019), algorithm 2."""
    parameters = parameters.copy()
    for block in plan.blocks:
        if block.kind == "weights":
            parameters[block.offset : block.offset + math.prod(block.shape)] *= 1 - share
    return parameters


def adam(parameters, gradient, first_moment, second_moment, t, learning_rate, beta_1, beta_2, epsilon):
    """-> parameters, first_moment, second_moment. Kingma and Ba (2014), in the order of their section 2."""
    first_moment = beta_1 * first_moment + (1 - beta_1) * gradient
    second_moment = beta_2 * second_moment + (1 - beta_2) * gradient**2
    rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return parameters - rate * first_moment / (np.sqrt(second_moment) + epsilon), first_moment, second_moment


#: Schedule -> rate(initial rate, steps before, steps of the whole cycle, samples seen when the epoch begins, power_t)
RATES = {
    "constant": lambda initial, k, n_steps, n_seen, power: initial,
    "invscaling": lambda initial, k, n_steps, n_seen, power: initial / (n_seen + 1) ** power,
    "cosine": lambda initial, k, n_steps, n_seen, power: (
        initial * (0.001 + 0.999 * (1 + math.cos(math.pi * (k + 0.5) / n_steps)) / 2) if k < n_steps else 0.001 * initial
    ),
    "one_cycle": lambda initial, k, n_steps, n_seen, power: (
        initial * np.interp((k + 0.5) / n_steps, (0, 0.2, 1), (1, 10, 0.001))
    ),
}


def rates(schedule, initial, n_samples, batch_size, n_epochs, power=0.5, n_extra=0):
    """The rate of every step of `n_epochs`, which are one cycle, and of so many epochs more."""
    n_steps = math.ceil(n_samples / batch_size)
    return [
        RATES[schedule](initial, k, n_steps * n_epochs, k // n_steps * n_samples, power)
        for k in range(n_steps * (n_epochs + n_extra))
    ]


def adaptive_rates(initial, losses, tol, patience):
    """The rate of each epoch with these losses, and of one more; None where training has ended.

    MLPClassifier's rule: an epoch has to be better by `tol` than every epoch before. After so many in a row that are not, the
    rate is divided by five, unless it is 1e-6 or less already.
    """
    used = [initial]
    n_without = 0
    for epoch, loss in enumerate(losses):
        is_better = all(loss < earlier and loss <= earlier - tol for earlier in losses[:epoch])
        n_without = 0 if is_better else n_without + 1
        used.append(used[-1])
        if n_without == patience:
            n_without = 0
            used[-1] = used[-1] / 5 if used[-1] > 1e-6 else None
    return used


def smoothed(targets, share, n_classes):
    """Labels of which a share is spread evenly over all classes. Szegedy et al. (2016), section 7."""
    result = np.empty(targets.shape)
    for place in np.ndindex(targets.shape):
        result[place] = (1 - share) * float(targets[place]) + share / n_classes
    return result


# --------------------------------------------------------------------------------------- random numbers, augmentation

#: Draws by name, as in `random.pxi`.
DRAWS = {"shift": 0, "flip": 1, "rotate": 2, "zoom": 3, "erase": 4, "brightness": 5, "contrast": 6, "dropout": 7}


def draw_words(seed, place, time, name):
    """Four words of Philox 4x32 with ten rounds, Salmon et al. (2011)."""
    word = 2**32
    key = [seed % word, seed // word]
    counter = [place % word, place // word, time, name]
    for _ in range(10):
        (high_0, low_0), (high_2, low_2) = divmod(counter[0] * 0xD2511F53, word), divmod(counter[2] * 0xCD9E8D57, word)
        counter = [high_2 ^ counter[1] ^ key[0], low_2, high_0 ^ counter[3] ^ key[1], low_0]
        key = [(key[0] + 0x9E3779B9) % word, (key[1] + 0xBB67AE85) % word]
    return counter


def moved(image, zeros, change, padding_mode):
    """Mirrored, continued on all sides, and cut out again."""
    (down, right), (mirrored_rows, mirrored_columns) = change["shift"], change["flip"]
    image = image[:: -1 if mirrored_rows else 1, :: -1 if mirrored_columns else 1]
    rows, columns, _ = image.shape
    continued = continue_image(image, zeros, abs(down), abs(right), padding_mode)
    top, left = abs(down) - down, abs(right) - right
    return continued[top : top + rows, left : left + columns]


def continue_image(image, zeros, rows, columns, padding_mode):
    """So many pixels on each side."""
    widths = ((rows, rows), (columns, columns))
    if padding_mode == "zeros":
        return np.stack(
            [np.pad(image[..., k], widths, constant_values=zero) for k, zero in enumerate(zeros)], axis=-1
        )
    return np.pad(image, (*widths, (0, 0)), mode=padding_mode)


def turned(image, zeros, change, padding_mode):
    """Every pixel a bilinear mean at the place it comes from: back by the shift, by the flip, by angle and zoom."""
    rows, columns, _ = image.shape
    middle = (rows - 1) / 2, (columns - 1) / 2
    places = np.empty((rows, columns, 2))
    for r, c in np.ndindex(rows, columns):
        down, right = r - change["shift"][0] - middle[0], c - change["shift"][1] - middle[1]
        down, right = (-down if change["flip"][0] else down), (-right if change["flip"][1] else right)
        cosine, sine = math.cos(change["angle"]) / change["zoom"], math.sin(change["angle"]) / change["zoom"]
        places[r, c] = middle[0] + (cosine * down + sine * right), middle[1] + (cosine * right - sine * down)
    margins = [int(np.abs(places[..., axis]).max()) + 2 for axis in range(2)]
    continued = continue_image(image, zeros, *margins, padding_mode)
    result = np.empty_like(image)
    for r, c in np.ndindex(rows, columns):
        row, column = places[r, c] + margins
        top, left = math.floor(row), math.floor(column)
        down, right = image.dtype.type(row - top), image.dtype.type(column - left)
        a, b, d, e = (continued[top + i, left + j] for i in range(2) for j in range(2))
        a, d = a + right * (b - a), d + right * (e - d)
        result[r, c] = a + down * (d - a)
    return result


def drawn_change(shape, seed, epoch, row, *, shift=(0, 0), flip=None, rotate=0.0, zoom=0.0, erase=0, brightness=0.0,
                 contrast=0.0):  # fmt: skip
    """What happens to the image in a row of X, in one epoch."""
    times = {"flip": epoch // 8}
    words = {name: draw_words(seed, row, times.get(name, epoch), number) for name, number in DRAWS.items()}
    flip_rows, flip_columns = (words["flip"][1] >> 31) ^ (epoch // 2 % 2), (words["flip"][0] >> 31) ^ (epoch % 2)
    around_zero = {name: word[0] / 2**31 - 1 for name, word in words.items()}
    return {
        "shift": [(words["shift"][k] * (2 * shift[k] + 1) >> 32) - shift[k] for k in range(2)],
        "flip": (
            flip in ("vertical", "both") and flip_rows == 1,
            flip in ("horizontal", "both") and flip_columns == 1,
        ),
        "angle": math.radians(rotate) * around_zero["rotate"],
        "zoom": 1 + zoom * around_zero["zoom"],
        "square": [(words["erase"][k] * shape[k] >> 32) - erase // 2 for k in range(2)],
        "brightness": brightness * around_zero["brightness"],
        "gain": 1 + contrast * around_zero["contrast"],
    }


def augment(image, zeros, seed, epoch, row, *, padding_mode="zeros", **settings):
    """image: (rows, columns, channels), scaled; zeros: what X's own zero has become in each channel."""
    change = drawn_change(image.shape, seed, epoch, row, **settings)
    change_place = turned if settings.get("rotate") or settings.get("zoom") else moved
    image = change_place(image, zeros, change, padding_mode)
    if settings.get("contrast") or settings.get("brightness"):
        offset = change["brightness"] + (1 - change["gain"]) * image.astype(np.float64).mean()
        image = image.dtype.type(change["gain"]) * image + image.dtype.type(offset)
    image, side = image.copy(), settings.get("erase", 0)
    top, left = change["square"]
    image[max(top, 0) : top + side, max(left, 0) : left + side] = 0
    return image

# -------------------------------------------------------------------------------------------------- batch normalisation

EPSILON = 1e-5


def moments(X, sample_weight=None):
    """Weighted mean and variance of each filter, over samples and pixels."""
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (X.ndim - 1)), (*X.shape[:-1], 1))
    axes = tuple(range(X.ndim - 1))
    mean = (weight * X).sum(axis=axes) / weight.sum()
    return mean, (weight * (X - mean) ** 2).sum(axis=axes) / weight.sum()


def normalise(X, gamma, beta, mean, variance):
    return gamma * (X - mean) / np.sqrt(variance + EPSILON) + beta


def normalise_backward(d_outputs, X, gamma, mean, variance, sample_weight=None, constant_moments=False):
    """-> d_X, d_gamma, d_beta. By way of mean and variance, which are functions of X unless they are constants."""
    axes, n_pixels = tuple(range(X.ndim - 1)), np.prod(X.shape[1:-1])
    deviation = np.sqrt(variance + EPSILON)
    d_gamma, d_beta = (d_outputs * (X - mean) / deviation).sum(axis=axes), d_outputs.sum(axis=axes)
    d_X = gamma * d_outputs / deviation
    if not constant_moments:
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        share = (weight / (weight.sum() * n_pixels)).reshape(-1, *[1] * (X.ndim - 1))
        d_variance = (gamma * d_outputs * (X - mean)).sum(axis=axes) * -0.5 / deviation**3
        d_mean = -(gamma * d_outputs).sum(axis=axes) / deviation
        d_X = d_X + share * (d_mean + 2 * d_variance * (X - mean))
    return d_X, d_gamma, d_beta


# -------------------------------------------------------------------------------------------------------------- dropout


def scramble(x):
    """Wellons (2018), "lowbias32"."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def dropout_factors(rate, whole_maps, shape, place, seed, step, number):
    """What one sample, of shape (rows, columns, channels), is multiplied by. number: that of the layer among the records."""
    first, second, *_ = draw_words(seed, place, step, DRAWS["dropout"] + 256 * number)
    threshold = min(round(rate * 2**32), 2**32 - 1)
    units = np.arange(shape[-1] if whole_maps else math.prod(shape))
    words = np.array([scramble(scramble((int(unit) + first) % 2**32) ^ second) for unit in units])
    factors = np.where(words >= threshold, 1 / (1 - threshold * 2.0**-32), 0.0)
    return np.broadcast_to(factors if whole_maps else factors.reshape(shape), shape)


# ------------------------------------------------------------------------------------------------------- whole networks


# The transforms of Winograd's F(2, 3), and below them those for two taps more, of pixels three places on: F(2, 2).
WINOGRAD_3 = (
    np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=float),
    np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    np.array([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=float),
)
WINOGRAD_5 = (
    np.vstack([np.pad(WINOGRAD_3[0], ((0, 0), (0, 2))), np.pad([[1, -1, 0], [0, 1, 0], [0, 1, -1]], ((0, 0), (3, 0)))]),
    np.vstack([np.pad(WINOGRAD_3[1], ((0, 0), (0, 2))), np.pad([[1, 0], [1, 1], [0, 1]], ((0, 0), (3, 0)))]),
    np.hstack([WINOGRAD_3[2], [[1, 1, 0], [0, 1, -1]]]),
)
# F(4, 3) with as few products as can be, and with seven whose factors are powers of two.
WINOGRAD_4 = (
    np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
              [0, 4, 0, -5, 0, 1]], dtype=float),
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
    np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=float),
)  # fmt: skip
WINOGRAD_CIRCLE = (
    np.array([[0, 1, 1, 1, 1, 0], [0, 1, -1, 1, -1, 0], [0, 1, 1, -1, -1, 0], [0, 0, 1, 0, -1, 0], [0, 1, 0, -1, 0, 0],
              [1, 0, 0, 0, -1, 0], [0, -1, 0, 0, 0, 1]], dtype=float),
    np.array([[1, 1, 1], [-1, 1, -1], [0, 2, 0], [-2, -2, 2], [-2, 2, 2], [4, 0, 0], [0, 0, 4]]) / 4,
    np.array([[1, 1, 1, 1, 0, 1, 0], [1, -1, 1, 0, -1, 0, 0], [1, 1, -1, -1, 0, 0, 0], [1, -1, -1, 0, 1, 0, 1]], dtype=float),
)  # fmt: skip
# F(4, 5) on the same circle.
WINOGRAD_ELEVEN = (
    np.array([[0, 0, 1, 1, 1, 1, 0, 0], [0, 0, -1, 1, -1, 1, 0, 0], [0, 0, 1, -1, -1, 1, 0, 0], [0, 0, 1, 0, -1, 0, 0, 0],
              [0, 0, 0, -1, 0, 1, 0, 0], [1, 0, 0, 0, -1, 0, 0, 0], [0, 1, 0, 0, 0, -1, 0, 0], [0, 1, 0, 0, 0, -1, 0, 0],
              [0, 0, -1, 0, 0, 0, 1, 0], [0, 0, -1, 0, 0, 0, 1, 0], [0, 0, 0, -1, 0, 0, 0, 1]], dtype=float),
    np.array([[1, 1, 1, 1, 1], [-1, 1, -1, 1, -1], [0, 2, 0, -2, 0], [-2, -2, 2, 2, -2], [-2, 2, 2, -2, -2], [4, 0, 0, 0, 0],
              [0, 4, 0, 0, 0], [4, 0, 0, 0, 0], [0, 0, 0, 4, 0], [0, 0, 0, 0, 4], [0, 0, 0, 0, 4]]) / 4,
    np.array([[1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0], [1, -1, 1, 0, -1, 0, 0, 1, 0, 0, 0], [1, 1, -1, -1, 0, 0, 0, 0, 0, 1, 0],
              [1, -1, -1, 0, 1, 0, 0, 0, 1, 0, 1]], dtype=float),
)  # fmt: skip
# A whole map of four pixels, behind two zeros and before two more.
WINOGRAD_WHOLE = (
    np.pad([[1, -1, -1, 1], [0, 1, 0, -1], [1, 0, -1, 0], [0, 0, 1, -1], [0, 0, 0, 1], [0, 0, 1, 0], [1, -1, 0, 0], [0, 1, 0, 0],
            [1, 0, 0, 0]], ((0, 0), (2, 2))).astype(float),
    np.array([[0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 1, 1, 1], [0, 1, 1, 1, 1],
              [1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], dtype=float),
    np.array([[1, 1, 0, 1, 1, 0, 0, 0, 0], [-1, 0, 1, -1, 0, 1, 0, 0, 0], [-1, -1, 0, 0, 0, 0, 1, 1, 0],
              [1, 0, -1, 0, 0, 0, -1, 0, 1]], dtype=float),
)  # fmt: skip
#: Side of a tile, side of the kernels, products of a row -> B^T, G and A^T.
WINOGRAD = {
    (2, 3, 4): WINOGRAD_3, (2, 5, 7): WINOGRAD_5, (4, 3, 7): WINOGRAD_CIRCLE, (4, 3, 6): WINOGRAD_4, (4, 5, 11): WINOGRAD_ELEVEN,
    (4, 5, 9): WINOGRAD_WHOLE,
}  # fmt: skip
#: Likewise the roundings that a term goes through, beside one for each channel: in the transform of the image and that of the
#: kernel, on the way back, and for the bias. Six products have three sums of the kernel and a factor that rounds.
WINOGRAD_ROUNDINGS = {
    (2, 3, 4): 2 + 4 + 4 + 1, (2, 5, 7): 2 + 4 + 8 + 1, (4, 3, 7): 4 + 4 + 6 + 1, (4, 3, 6): 6 + 8 + 6 + 1,
    (4, 5, 11): 4 + 6 + 6 + 1, (4, 5, 9): 4 + 4 + 4 + 1,
}  # fmt: skip


def winograd(X, weights, bias, tile, absolute=False):
    """A "same" convolution by Winograd's algorithm, tile by tile; `absolute` takes all its factors without signs. tile: pixels of
    its side and products of its row."""
    n, rows, columns, _ = X.shape
    b_t, g, a_t = map(np.abs if absolute else np.asarray, WINOGRAD[tile[0], len(weights), tile[1]])
    tile = tile[0]
    border, seen = len(weights) // 2, len(weights) + tile - 1
    padded = np.pad(X, ((0, 0), (border, border + -rows % tile), (border, border + -columns % tile), (0, 0)))
    kernels = np.einsum("ai,ijcf,bj->abcf", g, weights, g)
    maps = np.empty((n, rows + -rows % tile, columns + -columns % tile, weights.shape[3]))
    for r in range(0, rows, tile):
        for c in range(0, columns, tile):
            image = np.einsum("ai,nijc,bj->nabc", b_t, padded[:, r : r + seen, c : c + seen], b_t)
            product = np.einsum("nabc,abcf->nabf", image, kernels)
            maps[:, r : r + tile, c : c + tile] = np.einsum("ia,nabf,jb->nijf", a_t, product, a_t)
    return maps[:, :rows, :columns] + bias


#: Roundings of a term of the weight gradient, beside one for each tile of the mini-batch and one for each chunk: in the transform
#: of the image, in that of the map's gradient, and on the way back.
WINOGRAD_ROUNDINGS_OF_WEIGHTS = 2 + 2 + 4


def winograd_input_gradient(d_maps, weights, tile, absolute=False):
    """The gradient of the input of a "same" convolution: one of the map's gradient with the kernels turned round."""
    return winograd(d_maps, weights[::-1, ::-1].transpose(0, 1, 3, 2), 0.0, tile, absolute)


def winograd_weight_gradient(X, d_maps, side, absolute=False):
    """The gradient of the weights of a "same" convolution of even maps, in tiles of 2 x 2 pixels."""
    b_t, g, a_t = map(np.abs if absolute else np.asarray, WINOGRAD[2, side, 7 if side == 5 else 4])
    border, seen = side // 2, side + 1
    padded = np.pad(X, ((0, 0), (border, border), (border, border), (0, 0)))
    sums = np.zeros((len(g), len(g), X.shape[3], d_maps.shape[3]))
    for r in range(0, X.shape[1], 2):
        for c in range(0, X.shape[2], 2):
            image = np.einsum("ai,nijc,bj->nabc", b_t, padded[:, r : r + seen, c : c + seen], b_t)
            gradient = np.einsum("ia,nijf,jb->nabf", a_t, d_maps[:, r : r + 2, c : c + 2], a_t)
            sums += np.einsum("nabc,nabf->abcf", image, gradient)
    return np.einsum("ai,abcf,bj->ijcf", g, sums, g)


def layer_forward(layer, weights, bias, X):
    """-> outputs, and what backward needs. Dropout has a part in training only, see `dropout_of_batch`."""
    if isinstance(layer, DropoutLayer):
        return X, None
    if isinstance(layer, PoolingLayer):
        return POOLINGS[layer.pooling][0](X, layer.pool_size, layer.pool_stride), None
    function, _ = ACTIVATIONS[layer.activation]
    if isinstance(layer, DenseLayer):
        outputs = function(dense(X, weights, bias))
        return outputs, outputs
    padding = sides(layer.padding, X.shape[1:3], layer.kernel_size, layer.stride)
    maps = function(convolution(X, weights, bias, layer.stride, padding, layer.padding_mode))
    if layer.pooling is None:
        return maps, maps
    return POOLINGS[layer.pooling][0](maps, layer.pool_size, layer.pool_stride), maps


def layer_backward(layer, weights, X, kept, d_outputs):
    """-> d_X, d_weights, d_bias (None where there are none)"""
    if isinstance(layer, DropoutLayer):
        return d_outputs, None, None
    if isinstance(layer, PoolingLayer):
        return POOLINGS[layer.pooling][1](d_outputs, X, layer.pool_size, layer.pool_stride), None, None
    _, derivative = ACTIVATIONS[layer.activation]
    if isinstance(layer, DenseLayer):
        return dense_backward(d_outputs * derivative(kept), X, weights)
    if layer.pooling is not None:
        d_outputs = POOLINGS[layer.pooling][1](d_outputs, kept, layer.pool_size, layer.pool_stride)
    padding = sides(layer.padding, X.shape[1:3], layer.kernel_size, layer.stride)
    d_maps = d_outputs * derivative(kept)
    return convolution_backward(d_maps, X, weights, layer.stride, padding, layer.padding_mode)


def no_bias_is_zero(weights, bias):
    return bias if bias.size else np.zeros(weights.shape[-1])


def linear_forward(layer, weights, bias, X):
    """What batch normalisation gets: a dense layer or a convolution, behind maximum pooling if there is any."""
    bias = no_bias_is_zero(weights, bias)
    if isinstance(layer, DenseLayer):
        return dense(X, weights, bias)
    padding = sides(layer.padding, X.shape[1:3], layer.kernel_size, layer.stride)
    maps = convolution(X, weights, bias, layer.stride, padding, layer.padding_mode)
    return max_pool(maps, layer.pool_size, layer.pool_stride) if layer.pooling == "max" else maps


def linear_backward(layer, weights, bias, X, d_outputs):
    """-> d_X, d_weights, d_bias"""
    if isinstance(layer, DenseLayer):
        return dense_backward(d_outputs, X, weights)
    padding = sides(layer.padding, X.shape[1:3], layer.kernel_size, layer.stride)
    if layer.pooling == "max":
        maps = convolution(X, weights, no_bias_is_zero(weights, bias), layer.stride, padding, layer.padding_mode)
        d_outputs = max_pool_backward(d_outputs, maps, layer.pool_size, layer.pool_stride)
    return convolution_backward(d_outputs, X, weights, layer.stride, padding, layer.padding_mode)


def normalised_forward(layer, weights, bias, normalisation, X):
    """-> outputs, and what backward needs. normalisation: gamma, beta, mean, variance (None: of the batch), sample_weight."""
    gamma, beta, mean, variance, sample_weight = normalisation
    values = linear_forward(layer, weights, bias, X)
    constant_moments = mean is not None
    if not constant_moments:
        mean, variance = moments(values, sample_weight)
    outputs = ACTIVATIONS[layer.activation][0](normalise(values, gamma, beta, mean, variance))
    kept = values, outputs, gamma, mean, variance, sample_weight, constant_moments
    if getattr(layer, "pooling", None) == "average":
        outputs = average_pool(outputs, layer.pool_size, layer.pool_stride)
    return outputs, kept


def normalised_backward(layer, weights, bias, X, kept, d_outputs):
    """-> d_X, (d_weights, d_bias, d_gamma, d_beta)"""
    values, outputs, gamma, mean, variance, sample_weight, constant_moments = kept
    if getattr(layer, "pooling", None) == "average":
        d_outputs = average_pool_backward(d_outputs, outputs, layer.pool_size, layer.pool_stride)
    d_outputs = d_outputs * ACTIVATIONS[layer.activation][1](outputs)
    d_values, *d_normalisation = normalise_backward(d_outputs, values, gamma, mean, variance, sample_weight, constant_moments)
    d_X, d_weights, d_bias = linear_backward(layer, weights, bias, X, d_values)
    return d_X, (d_weights, d_bias if bias.size else bias, *d_normalisation)


#: What a layer may have, in the order of the flat vector.
KINDS = ("weights", "bias", "gamma", "beta")


def unpack_all(plan, vector):
    """The flat vector as one list of `KINDS` for each layer; None is what it has not."""
    parameters = [{} for _ in plan.layers]
    for block in plan.blocks:
        values = vector[block.offset : block.offset + math.prod(block.shape)]
        parameters[block.layer][block.kind] = values.reshape(block.shape)
    return [[entry.get(kind) for kind in KINDS] for entry in parameters]


def unpack(plan, vector):
    """The flat vector as one (weights, bias) for each layer. A bias that normalisation takes away has no numbers."""
    return [tuple(entry[:2]) for entry in unpack_all(plan, vector)]


def pack(plan, parameters):
    """The flat vector of one (weights, bias), or as many of `KINDS` as there are, for each layer; gaps zero."""
    vector = np.zeros(plan.parameter_size)
    for target, source in zip(unpack_all(plan, vector), parameters, strict=True):
        for view, values in zip(target, source, strict=False):
            if view is not None:
                view[...] = values
    return vector


def running_moments(plan, statistics):
    """Layer -> (mean, variance)"""
    return {
        layer: (statistics[mean_at : mean_at + n], statistics[variance_at : variance_at + n])
        for layer, mean_at, variance_at, n in plan.statistics
    }


def layer_with_moments(layer, parameters, X, running, sample_weight):
    """Any layer: -> outputs, and what backward needs. running: (mean, variance) or None for those of the batch."""
    weights, bias, gamma, beta = parameters
    if gamma is None:
        return layer_forward(layer, weights, bias, X)
    normalisation = gamma, beta, *(running or (None, None)), sample_weight
    return normalised_forward(layer, weights, bias, normalisation, X)


def network_forward(plan, vector, X, statistics=None, sample_weight=None, draws=None):
    """X: (n, n_inputs) -> outputs of the last layer (n, n_outputs), and the trace that backward needs.

    statistics: running means and variances to normalise with, as in prediction; None takes those of the batch, weighted.
    draws: (seed, step) of dropout; None drops nothing."""
    X = X.reshape(len(X), *plan.input_shape)
    trace = []
    running = {} if statistics is None else running_moments(plan, statistics)
    for k, (layer, parameters) in enumerate(zip(plan.layers, unpack_all(plan, vector), strict=True)):
        if isinstance(layer, DropoutLayer):
            kept = dropout_of_batch(plan, k, X.shape, draws)
            outputs = X * kept
        else:
            outputs, kept = layer_with_moments(layer, parameters, X, running.get(k), sample_weight)
        trace.append((X, kept))
        X = outputs
    return flat(X), trace


def dropout_of_batch(plan, k, shape, draws):
    """What a whole mini-batch is multiplied by in layer k."""
    if draws is None:
        return np.ones(shape)
    number = sum(len(parts_of(layer)) for layer in plan.layers[:k])
    layer = plan.layers[k]
    sizes = (1, 1, shape[1]) if len(shape) == 2 else shape[1:]
    rows = [dropout_factors(layer.rate, layer.whole_maps, sizes, place, *draws, number) for place in range(shape[0])]
    return np.array(rows).reshape(shape)


def network_backward(plan, vector, trace, d_outputs):
    """-> d_X (n, n_inputs), d_parameters (flat)"""
    gradients = []
    d_X = d_outputs.reshape(len(d_outputs), *plan.output_shapes[-1])
    for k in reversed(range(len(plan.layers))):
        layer, (weights, bias, gamma, _), (X, kept) = plan.layers[k], unpack_all(plan, vector)[k], trace[k]
        d_X = flat(d_X) if isinstance(layer, DenseLayer) else d_X.reshape(len(d_X), *plan.output_shapes[k])
        if isinstance(layer, DropoutLayer):
            d_X, gradient = d_X.reshape(kept.shape) * kept, ()
        elif gamma is None:
            d_X, *gradient = layer_backward(layer, weights, X, kept, d_X)
        else:
            d_X, gradient = normalised_backward(layer, weights, bias, X, kept, d_X)
        gradients.insert(0, gradient)
    return flat(d_X), pack(plan, gradients)


def network_loss(plan, vector, X, targets, sample_weight, loss, alpha, draws=None):
    """Weighted mean loss plus the L2 penalty of the weights -> loss, its gradient (flat). draws: (seed, step) of dropout."""
    scores, trace = network_forward(plan, vector, X, None, sample_weight, draws)
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    value, backward = LOSSES[loss]
    d_scores = backward(scores, targets) * weights[:, None] / weights.sum()
    _, gradient = network_backward(plan, vector, trace, d_scores)
    strength = alpha / weights.sum()
    only_weights = pack(plan, [(w,) for w, _ in unpack(plan, vector)])
    total = (weights * value(scores, targets)).sum() / weights.sum() + 0.5 * strength * (only_weights**2).sum()
    return total, gradient + strength * only_weights


# -------------------------------------------------------------------------------------------------- the table of layers


@dataclass(frozen=True)
class Row:
    """A layer, the images it gets and the shape it gives."""

    name: str
    layer: object
    input_shape: tuple
    output_shape: tuple


Block = ConvolutionBlock

LAYERS = [
    Row("convolution", Block(4, (3, 3)), (6, 5, 2), (4, 3, 4)),
    Row("convolution of one pixel", Block(3, (1, 1)), (1, 1, 1), (1, 1, 3)),
    Row("convolution 1x1", Block(20, (1, 1)), (4, 3, 5), (4, 3, 20)),
    Row("convolution over everything", Block(33, (5, 4)), (5, 4, 3), (1, 1, 33)),
    Row("convolution of a signal", Block(5, (1, 4), padding="same"), (1, 11, 2), (1, 11, 5)),
    Row("convolution with one filter", Block(1, (3, 2)), (5, 6, 1), (3, 5, 1)),
    Row("convolution with 17 filters", Block(17, (2, 3)), (5, 7, 3), (4, 5, 17)),
    Row("convolution with 64 filters", Block(64, (3, 3), padding="same"), (4, 5, 8), (4, 5, 64)),
    Row("convolution by Winograd's algorithm", Block(32, (3, 3), padding="same"), (6, 4, 16), (6, 4, 32)),
    Row("convolution by Winograd's algorithm, exact tiles", Block(16, (3, 3), padding="same"), (9, 12, 24), (9, 12, 16)),
    Row("convolution 5x5 by Winograd's algorithm", Block(16, (5, 5), padding="same"), (6, 8, 24), (6, 8, 16)),
    Row("maximum pooling of odd sides after Winograd's algorithm", Block(16, (5, 5), padding="same", pooling="max"),
        (7, 7, 16), (3, 3, 16)),
    Row("maximum pooling after Winograd's algorithm", Block(16, (3, 3), padding="same", pooling="max"), (4, 6, 32), (2, 3, 16)),
    Row("maximum pooling after Winograd's algorithm, exact tiles", Block(32, (3, 3), padding="same", pooling="max"),
        (8, 5, 16), (4, 2, 32)),
    Row("average pooling after Winograd's algorithm, exact tiles", Block(32, (3, 3), padding="same", pooling="average"),
        (4, 8, 16), (2, 4, 32)),
    Row("convolution, stride 2", Block(6, (3, 3), stride=(2, 2)), (8, 7, 2), (3, 3, 6)),
    Row("convolution, stride longer than the kernel", Block(3, (2, 1), stride=(3, 2)), (8, 6, 2), (3, 3, 3)),
    Row("convolution, padding same", Block(4, (3, 5), padding="same"), (5, 6, 2), (5, 6, 4)),
    Row("convolution, padding same, even", Block(4, (2, 4), padding="same", stride=(2, 1)), (5, 6, 2), (3, 6, 4)),
    Row("convolution, padding of four sides", Block(4, (3, 3), padding=((2, 0), (1, 3))), (4, 4, 2), (4, 6, 4)),
    Row("convolution, more padding than kernel", Block(4, (2, 2), padding=(3, 3)), (3, 3, 2), (8, 8, 4)),
    Row("convolution, mirrored", Block(5, (3, 3), padding=(2, 1), padding_mode="reflect"), (5, 4, 3), (7, 4, 5)),
    Row("convolution, mirrored, one row", Block(5, (3, 3), (1, 1), "same", "reflect"), (1, 4, 3), (1, 4, 5)),
    Row("convolution, mirrored, stride", Block(3, (3, 3), (2, 3), ((0, 2), (1, 1)), "reflect"), (6, 7, 2), (3, 3, 3)),
    Row("convolution, relu", Block(7, (3, 3), activation="relu"), (6, 5, 2), (4, 3, 7)),
    Row("convolution, logistic", Block(7, (3, 3), activation="logistic"), (6, 5, 2), (4, 3, 7)),
    Row("convolution, tanh", Block(7, (3, 3), activation="tanh"), (6, 5, 2), (4, 3, 7)),
    Row("block, maximum", Block(9, (3, 3), padding="same", pooling="max", activation="relu"), (6, 7, 2), (3, 3, 9)),
    Row("block, overlapping maxima", Block(4, (3, 3), pooling="max", pool_size=(3, 2), pool_stride=(1, 1),
        activation="tanh"), (7, 7, 2), (3, 4, 4)),
    Row("block, average", Block(5, (2, 2), pooling="average", pool_size=(3, 2), pool_stride=(2, 3), activation="relu"),
        (8, 8, 2), (3, 2, 5)),
    Row("block, average, identity", Block(18, (3, 3), padding="same", pooling="average"), (6, 6, 2), (3, 3, 18)),
    Row("block, average, logistic", Block(3, (3, 3), pooling="average", activation="logistic"), (6, 6, 2), (2, 2, 3)),
    Row("local", Block(3, (3, 2), weight_sharing=False), (5, 5, 2), (3, 4, 3)),
    Row("local with 19 filters", Block(19, (2, 2), weight_sharing=False, activation="relu"), (3, 4, 3), (2, 3, 19)),
    Row("local signal", Block(3, (1, 3), padding="same", weight_sharing=False), (1, 7, 2), (1, 7, 3)),
    Row("local, stride and padding", Block(2, (3, 3), (2, 2), "same", weight_sharing=False), (5, 6, 1), (3, 3, 2)),
    Row("local, mirrored", Block(2, (3, 3), (1, 1), "same", "reflect", weight_sharing=False), (4, 3, 2), (4, 3, 2)),
    Row("local, maximum", Block(4, (3, 3), padding="same", pooling="max", weight_sharing=False, activation="tanh"),
        (5, 4, 2), (2, 2, 4)),
    Row("local, average", Block(4, (2, 2), pooling="average", weight_sharing=False, activation="relu"),
        (5, 5, 2), (2, 2, 4)),
    Row("local, average, identity", Block(4, (2, 2), pooling="average", weight_sharing=False), (5, 5, 2), (2, 2, 4)),
    Row("maximum", PoolingLayer("max", (2, 2), (2, 2)), (6, 5, 3), (3, 2, 3)),
    Row("maximum, overlapping", PoolingLayer("max", (3, 2), (1, 2)), (6, 5, 17), (4, 2, 17)),
    Row("maximum of 300 pixels", PoolingLayer("max", (20, 15), (3, 2)), (24, 20, 5), (2, 3, 5)),
    Row("maximum of a whole map", PoolingLayer("max", (8, 8), (8, 8)), (8, 8, 20), (1, 1, 20)),
    Row("maximum of a whole signal", PoolingLayer("max", (1, 300), (1, 300)), (1, 300, 9), (1, 1, 9)),
    Row("average of a whole map", PoolingLayer("average", (7, 9), (7, 9)), (7, 9, 33), (1, 1, 33)),
    Row("average of a whole signal", PoolingLayer("average", (1, 140), (1, 140)), (1, 140, 5), (1, 1, 5)),
    Row("average of windows", PoolingLayer("average", (2, 3), (2, 1)), (6, 5, 9), (3, 3, 9)),
    Row("average, gaps", PoolingLayer("average", (1, 2), (2, 3)), (6, 7, 35), (3, 2, 35)),
    Row("dense", DenseLayer(5), (2, 3, 2), (1, 1, 5)),
    Row("dense, one unit", DenseLayer(1, "logistic"), (1, 7, 1), (1, 1, 1)),
    Row("dense, 150 inputs, 67 units", DenseLayer(67, "relu"), (10, 5, 3), (1, 1, 67)),
    Row("dense, 70 inputs, 130 units", DenseLayer(130, "tanh"), (1, 70, 1), (1, 1, 130)),
    Row("normalised convolution", Block(5, (3, 3), activation="tanh", batch_norm=True), (6, 5, 2), (4, 3, 5)),
    Row("normalised convolution with one filter", Block(1, (2, 2), activation="relu", batch_norm=True), (5, 5, 3), (4, 4, 1)),
    Row("normalised convolution of one pixel", Block(7, (1, 1), activation="tanh", batch_norm=True), (1, 1, 3), (1, 1, 7)),
    Row("normalised convolution, many pixels", Block(24, (1, 1), activation="relu", batch_norm=True), (16, 16, 2), (16, 16, 24)),
    Row("normalised convolution by Winograd's algorithm", Block(16, (3, 3), padding="same", batch_norm=True),
        (6, 4, 16), (6, 4, 16)),
    Row("normalised maximum", Block(21, (3, 3), padding="same", pooling="max", activation="relu", batch_norm=True),
        (6, 7, 4), (3, 3, 21)),
    Row("normalised maximum, overlapping", Block(4, (3, 3), pooling="max", pool_size=(3, 2), pool_stride=(1, 1),
        activation="logistic", batch_norm=True), (7, 7, 2), (3, 4, 4)),
    Row("normalised maximum after Winograd's algorithm", Block(32, (3, 3), padding="same", pooling="max", activation="relu",
        batch_norm=True), (4, 6, 16), (2, 3, 32)),
    Row("normalised maximum, weights beyond the cache", Block(224, (3, 3), padding="same", pooling="max", activation="relu",
        batch_norm=True), (4, 4, 16), (2, 2, 224)),
    Row("normalised average", Block(10, (2, 2), pooling="average", pool_size=(3, 2), pool_stride=(2, 3), activation="relu",
        batch_norm=True), (8, 8, 2), (3, 2, 10)),
    Row("normalised local", Block(3, (3, 2), weight_sharing=False, activation="tanh", batch_norm=True), (5, 5, 2), (3, 4, 3)),
    Row("normalised local, maximum", Block(4, (3, 3), padding="same", pooling="max", weight_sharing=False, activation="relu",
        batch_norm=True), (5, 4, 2), (2, 2, 4)),
    Row("normalised local, average", Block(4, (2, 2), pooling="average", weight_sharing=False, activation="tanh",
        batch_norm=True), (5, 5, 2), (2, 2, 4)),
    Row("normalised dense", DenseLayer(37, "relu", batch_norm=True), (1, 70, 1), (1, 1, 37)),
    Row("dropout of values", DropoutLayer(0.3), (5, 4, 3), (5, 4, 3)),
    Row("dropout of maps", DropoutLayer(0.6, whole_maps=True), (4, 3, 19), (4, 3, 19)),
]  # fmt: skip
