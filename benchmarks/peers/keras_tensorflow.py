"""Keras on TensorFlow: by its own methods, and by functions compiled to one graph per epoch or call."""

import keras
import tensorflow as tf
from keras import layers

from benchmarks import networks

POOLINGS = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


def build_model(network, weights):
    """Build the network and give it the common initial weights, whose layout is Keras' own."""
    model = keras.Sequential([keras.Input(network.input_shape)])
    for filters, is_pooled in zip(network.n_filters, network.are_pooled, strict=True):
        model.add(layers.Conv2D(filters, network.kernel_size, padding=network.padding, activation="relu"))
        if is_pooled:
            model.add(POOLINGS[network.pooling](2))
    model.add(layers.Flatten())
    for units in network.hidden_layer_sizes:
        model.add(layers.Dense(units, activation="relu"))
    model.add(layers.Dense(network.n_outputs))
    model.set_weights(weights)
    return model


def prepare(job):
    """Return the function that does one round."""
    tf.config.threading.set_intra_op_parallelism_threads(job.n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(job.n_threads)
    model = build_model(job.network, job.weights)
    build = {
        ("train", "methods"): training_by_fit,
        ("train", "graph"): training_by_graph,
        ("predict", "methods"): prediction_by_method,
        ("predict", "graph"): prediction_by_graph,
        ("latency", "methods"): prediction_by_method,
        ("latency", "graph"): prediction_by_graph,
    }
    return build[job.task, job.mode](job, model)


def _optimiser_and_loss():
    optimiser = keras.optimizers.Adam(
        networks.LEARNING_RATE, beta_1=networks.BETA_1, beta_2=networks.BETA_2, epsilon=networks.EPSILON
    )
    return optimiser, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def training_by_fit(job, model):
    """Train by `fit`, all steps of an epoch in one execution: measured to be its fastest way."""
    optimiser, loss = _optimiser_and_loss()
    # Compilation by XLA halves the speed of convolutions on the CPU.
    model.compile(optimiser, loss, jit_compile=False, steps_per_execution=job.n_steps)

    def epoch():
        order = job.order()[: job.n_steps * job.batch_size]
        history = model.fit(
            job.images[order], job.labels[order], batch_size=job.batch_size, epochs=1, shuffle=False, verbose=0
        )
        return history.history["loss"][0]

    return epoch


def training_by_graph(job, model):
    """Train by a function that is one graph for a whole epoch."""
    optimiser, loss_function = _optimiser_and_loss()
    optimiser.build(model.trainable_variables)
    images, labels = tf.constant(job.images), tf.constant(job.labels)

    @tf.function
    def train(order):
        total = 0.0
        for step in tf.range(job.n_steps):
            rows = order[step * job.batch_size : (step + 1) * job.batch_size]
            with tf.GradientTape() as tape:
                scores = model(tf.gather(images, rows), training=True)
                loss = loss_function(tf.gather(labels, rows), scores)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimiser.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            total += loss
        return total

    return lambda: float(train(tf.constant(job.order()))) / job.n_steps


def prediction_by_method(job, model):
    """Predict by `predict_on_batch`, which has less around it than `predict`."""
    model.compile(jit_compile=False)
    return lambda start, stop: model.predict_on_batch(job.images[start:stop])


def prediction_by_graph(job, model):
    """Predict by a compiled graph."""
    graph = tf.function(lambda images: model(images, training=False))
    return lambda start, stop: graph(tf.constant(job.images[start:stop])).numpy()
