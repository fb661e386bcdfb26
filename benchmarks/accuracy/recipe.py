"""One recipe, written for each contender as its users would: two blocks and a dense layer with batch normalisation, one cycle.

Each function trains on ``X`` (n, rows, columns) of bytes and classes ``y``, and returns the classes it predicts for ``X_test``.
"""

import numpy as np

N_FILTERS, N_UNITS, DROPOUT = (32, 64), 128, 0.3
LEARNING_RATE = 1e-3
# The cycle: from LEARNING_RATE up to ten times it in a fifth of all steps, then down to nearly nothing.
RISE, FALL, PART = 10.0, 1e-3, 0.2


def rate_of(progress):
    """Return the learning rate after that part of the training."""
    if progress < PART:
        return LEARNING_RATE * (1.0 + (RISE - 1.0) * progress / PART)
    return LEARNING_RATE * (FALL + (RISE - FALL) * (1.0 - progress) / (1.0 - PART))


def standardised(images, of):
    """Return float32 images with the mean and the deviation of the training images taken out."""
    mean, deviation = of.mean(), of.std()
    return ((images - mean) / deviation).astype(np.float32)


def ours(X, y, X_test, n_epochs, batch_size, seed, n_threads):
    """Train a `ConvNetClassifier`."""
    from sklearn_cnn import ConvNetClassifier

    network = ConvNetClassifier(
        N_FILTERS, hidden_layer_sizes=N_UNITS, dropout=DROPOUT, batch_norm=True, learning_rate="one_cycle", alpha=0.0,
        learning_rate_init=LEARNING_RATE, batch_size=batch_size, max_iter=n_epochs, early_stopping=False, random_state=seed,
        n_jobs=n_threads,
    )  # fmt: skip
    return network.fit(X, y).predict(X_test)


def pytorch(X, y, X_test, n_epochs, batch_size, seed, n_threads):
    """Train a module of PyTorch: channels last and the fused Adam, its fastest way without compiling."""
    import torch
    from torch import nn

    torch.set_num_threads(n_threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(seed)
    rows, columns = X.shape[1] // 4, X.shape[2] // 4
    module = nn.Sequential(
        nn.Conv2d(1, N_FILTERS[0], 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(N_FILTERS[0]), nn.ReLU(),
        nn.Conv2d(*N_FILTERS, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(N_FILTERS[1]), nn.ReLU(),
        nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(rows * columns * N_FILTERS[1], N_UNITS, bias=False),
        nn.BatchNorm1d(N_UNITS), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(N_UNITS, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    images, tests = (torch.from_numpy(standardised(part, X))[:, None] for part in (X, X_test))
    labels = torch.from_numpy(y)
    optimiser = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=True)
    loss_function = nn.CrossEntropyLoss()
    n_steps = -(-len(X) // batch_size)
    for epoch in range(n_epochs):
        for step, batch in enumerate(torch.randperm(len(X)).split(batch_size)):
            optimiser.param_groups[0]["lr"] = rate_of((epoch + (step + 0.5) / n_steps) / n_epochs)
            loss = loss_function(module(images.index_select(0, batch)), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    module.eval()
    with torch.inference_mode():
        return torch.cat([module(part).argmax(1) for part in tests.split(1024)]).numpy()


def keras_tensorflow(X, y, X_test, n_epochs, batch_size, seed, n_threads):
    """Train a model of Keras by `fit`, all steps of an epoch in one execution, without XLA: its fastest way on the CPU."""
    import keras
    import tensorflow as tf
    from keras import layers

    tf.config.threading.set_intra_op_parallelism_threads(n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    keras.utils.set_random_seed(seed)
    n_steps = -(-len(X) // batch_size)

    class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            progress = (tf.cast(step, tf.float32) + 0.5) / (n_steps * n_epochs)
            return tf.where(
                progress < PART,
                LEARNING_RATE * (1.0 + (RISE - 1.0) * progress / PART),
                LEARNING_RATE * (FALL + (RISE - FALL) * (1.0 - progress) / (1.0 - PART)),
            )

    blocks = [
        layer
        for n_filters in N_FILTERS
        for layer in (
            layers.Conv2D(n_filters, 3, padding="same", use_bias=False), layers.MaxPooling2D(2), layers.BatchNormalization(),
            layers.ReLU(),
        )
    ]  # fmt: skip
    model = keras.Sequential([
        keras.Input((*X.shape[1:], 1)), *blocks, layers.Flatten(), layers.Dropout(DROPOUT),
        layers.Dense(N_UNITS, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(DROPOUT),
        layers.Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(OneCycle()), loss, jit_compile=False, steps_per_execution=n_steps)
    images, tests = (standardised(part, X)[..., None] for part in (X, X_test))
    model.fit(images, y, batch_size=batch_size, epochs=n_epochs, verbose=0)
    return model.predict(tests, batch_size=1024, verbose=0).argmax(1)


CONTENDERS = {"sklearn_cnn": ours, "PyTorch": pytorch, "Keras": keras_tensorflow}
