"""Random networks, and ONNX Runtime to compare them with.

SKLEARN_CNN_ONNX_NETWORKS=3000 makes that many of them.
"""

import os

import numpy as np

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor
from sklearn_cnn._estimator.fitted import fitted_plan

N_NETWORKS = int(os.environ.get("SKLEARN_CNN_ONNX_NETWORKS", 300))
# of numbers that are about as large as one; larger ones round off in proportion
BOUND = 1e-5


def run(model, X):
    """The outputs of a model by name."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options)
    return dict(
        zip([entry.name for entry in session.get_outputs()], session.run(None, {session.get_inputs()[0].name: X}), strict=True)
    )


def error(found, own):
    return np.max(np.abs(np.asarray(found, dtype=np.float64) - own)) / max(1.0, np.max(np.abs(own)))


def random_geometry(random, n_blocks):
    def each(*values):
        return [values[random.randint(len(values))] for _ in range(n_blocks)]

    return {
        "n_filters": [int(n) for n in random.randint(1, 6, n_blocks)],
        "kernel_size": each(1, 2, 3, (3, 1), (2, 3), 5),
        "stride": each(1, 1, 2, (1, 2)),
        "padding": each("same", "same", "valid", 1, (0, 2), 9),
        "padding_mode": each("zeros", "reflect"),
        "pooling": each("max", "average", None),
        "pool_size": each(2, 3, (1, 2)),
        "pool_stride": each(1, 2, 3),
        "weight_sharing": each(True, True, False),
        "global_pooling": [None, "max", "average"][random.randint(3)],
        "hidden_layer_sizes": ((), (4,), (5, 3))[random.randint(3)],
        "activation": ("relu", "tanh", "logistic", "identity")[random.randint(4)],
    }


def random_target(random, kind, X):
    n = len(X)
    targets = {
        "two classes": np.array(["no", "yes"])[np.arange(n) % 2],
        "classes": np.arange(n) % 4 - 1,
        "names": np.array(["ant", "bee", "cat"])[np.arange(n) % 3],
        "labels": random.randint(0, 2, (n, 3)),
        "one number": 1000.0 + random.normal(size=n),
        "numbers": random.normal(size=(n, 2)) * [1.0, 50.0],
    }
    return targets[kind]


KINDS = ("two classes", "classes", "names", "labels", "one number", "numbers")


def random_network(seed):
    """A fitted estimator of a random architecture and the X it was fitted on."""
    random = np.random.RandomState(seed)
    kind = KINDS[seed % len(KINDS)]
    while True:
        shape = [(7, 6), (8, 5, 3), (12,)][random.randint(3)]
        X = random.randint(0, 256, (24, *shape)).astype([np.uint8, np.float32, np.float64][random.randint(3)])
        y = random_target(random, kind, X)
        is_flat = len(shape) == 1 or random.randint(2)
        settings = random_geometry(random, random.randint(4))
        settings |= {"solver": "lbfgs"} if random.randint(4) == 0 else {"batch_norm": bool(random.randint(2))}
        Estimator = ConvNetClassifier if KINDS.index(kind) < 4 else ConvNetRegressor
        estimator = Estimator(
            **settings, max_iter=2, batch_size=12, random_state=0, scale_input=bool(random.randint(4)),
            input_shape=shape if is_flat else None,
        )  # fmt: skip
        X = X.reshape(len(X), -1) if is_flat else X
        try:
            estimator.fit(X, y)
        except ValueError:  # nothing is left of the map
            continue
        for block in fitted_plan(estimator._fitted).blocks:
            if block.kind in {"gamma", "beta"}:  # else they are about one and zero
                values = random.normal(size=block.shape)
                estimator._fitted["parameters"][block.offset : block.offset + block.shape[0]] = values
        return estimator, X
