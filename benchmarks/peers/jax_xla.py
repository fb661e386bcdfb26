"""JAX: one jitted function per step, convolutions by XLA's own operation or as products with shifted copies ("patches")."""

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks import networks


def convolve(images, kernels, bias, border):
    """Convolve by XLA's operation."""
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(images, kernels, (1, 1), [(border, border)] * 2, dimension_numbers=layout) + bias


def convolve_patches(images, kernels, bias, border):
    """Convolve as one matrix product over patches, which XLA differentiates into matrix products again."""
    kernel_rows, kernel_columns = kernels.shape[:2]
    rows, columns = (side + 2 * border - kernel_rows + 1 for side in images.shape[1:3])
    padded = jnp.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))
    shifted = [
        padded[:, row : row + rows, column : column + columns]
        for row in range(kernel_rows)
        for column in range(kernel_columns)
    ]
    return jnp.concatenate(shifted, axis=-1) @ kernels.reshape(-1, kernels.shape[-1]) + bias


def pool_windows(maps):
    """Take the maximum of 2x2 windows by XLA's operation: fast forward, very slow backward."""
    return lax.reduce_window(maps, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def pool_axes(maps):
    """Take the same maximum over two axes of a reshaped array: several times faster backward."""
    n_images, rows, columns, depth = maps.shape
    maps = maps[:, : rows // 2 * 2, : columns // 2 * 2]
    return maps.reshape(n_images, rows // 2, 2, columns // 2, 2, depth).max(axis=(2, 4))


def build_scores(network, convolution, pool):
    """Return the function that computes scores from parameters and images."""
    n_blocks = len(network.n_filters)

    def scores(parameters, images):
        layers = networks.pairs(parameters)
        values = images
        for (kernels, bias), is_pooled in zip(layers, network.are_pooled, strict=False):
            values = jax.nn.relu(convolution(values, kernels, bias, network.border))
            values = pool(values) if is_pooled else values
        values = values.reshape(len(values), -1)
        for number, (matrix, bias) in enumerate(layers[n_blocks:]):
            values = values @ matrix + bias
            if number < len(network.hidden_layer_sizes):
                values = jax.nn.relu(values)
        return values

    return scores


def prepare(job):
    """Return the function that does one round."""
    return prepare_training(job) if job.task == "train" else prepare_prediction(job)


def prepare_training(job):
    """Return a function that trains one epoch, one jitted call per step (a scan over the steps is slower on the CPU)."""
    convolution = {"convolution": convolve, "patches": convolve_patches}[job.mode]
    scores = build_scores(job.network, convolution, pool_axes)

    def loss_function(parameters, images, labels):
        logarithms = jax.nn.log_softmax(scores(parameters, images))
        return -jnp.take_along_axis(logarithms, labels[:, None], axis=1).mean()

    def update(state, total, images, labels):
        parameters, first, second, step = state
        loss, gradients = jax.value_and_grad(loss_function)(parameters, images, labels)
        step = step + 1
        rate = networks.LEARNING_RATE * jnp.sqrt(1 - networks.BETA_2**step) / (1 - networks.BETA_1**step)
        first = [networks.BETA_1 * m + (1 - networks.BETA_1) * g for m, g in zip(first, gradients, strict=True)]
        second = [networks.BETA_2 * v + (1 - networks.BETA_2) * g * g for v, g in zip(second, gradients, strict=True)]
        parameters = [
            p - rate * m / (jnp.sqrt(v) + networks.EPSILON)
            for p, m, v in zip(parameters, first, second, strict=True)
        ]
        return (parameters, first, second, step), total + loss

    jitted = jax.jit(update, donate_argnums=(0, 1))
    parameters = [jnp.array(array) for array in job.weights]
    state = (parameters, [jnp.zeros_like(p) for p in parameters], [jnp.zeros_like(p) for p in parameters], jnp.float32(0))

    def epoch():
        nonlocal state
        total = jnp.float32(0)
        for rows in job.batches():
            state, total = jitted(state, total, job.images[rows], job.labels[rows])
        return float(total) / job.n_steps

    return epoch


def prepare_prediction(job):
    """Return a function that gives the scores of the rows from start to stop."""
    scores = jax.jit(build_scores(job.network, convolve, pool_windows))
    parameters = [jnp.array(array) for array in job.weights]
    return lambda start, stop: jax.device_get(scores(parameters, job.images[start:stop]))
