"""Who takes part, in which mode, and in what; a contender is a row of one table."""

from dataclasses import dataclass

from benchmarks.limits import FLAGS


@dataclass(frozen=True)
class Contender:
    """One library in one mode.

    `module` is the file in benchmarks/peers, `requires` what has to be importable for it, `environment` pairs of variables and
    values set in its process. `has_common_start` is False for estimators that draw their own weights and order: the loss of all
    others has to agree closely.
    """

    name: str
    module: str
    mode: str
    requires: tuple[str, ...]
    tasks: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    has_common_start: bool = True


OURS = "sklearn_cnn"
_TRAIN_AND_PREDICT = ("train", "predict", "latency")


def _at_level(level):
    """Return our estimator forced to an instruction-set level."""
    forced = (("SKLEARN_CNN_KERNELS", level),)
    return Contender(f"{OURS} {level}", "ours", "estimator", (OURS,), _TRAIN_AND_PREDICT, forced, has_common_start=False)


_TABLE = (
    Contender(OURS, "ours", "estimator", ("sklearn_cnn", "sklearn"), (*_TRAIN_AND_PREDICT, "search"), has_common_start=False),
    # The compiled step with neither checks nor history around it: what the estimator itself costs is the difference.
    Contender("sklearn_cnn trainer", "ours", "trainer", ("sklearn_cnn",), ("train",)),
    # The same without Winograd's algorithm: what it gains is the difference.
    Contender("sklearn_cnn direct", "ours", "direct", ("sklearn_cnn", "sklearn"), _TRAIN_AND_PREDICT, has_common_start=False),
    Contender(
        "sklearn_cnn large tiles", "ours", "large_tiles", ("sklearn_cnn", "sklearn"), _TRAIN_AND_PREDICT, has_common_start=False
    ),
    *(_at_level(level) for level in FLAGS),
    Contender("pytorch", "pytorch", "eager", ("torch",), _TRAIN_AND_PREDICT),
    Contender("pytorch channels_last", "pytorch", "channels_last", ("torch",), _TRAIN_AND_PREDICT),
    Contender("pytorch compiled", "pytorch", "compiled", ("torch",), _TRAIN_AND_PREDICT),
    Contender("keras", "keras_tensorflow", "methods", ("keras", "tensorflow"), _TRAIN_AND_PREDICT),
    Contender("keras graph", "keras_tensorflow", "graph", ("keras", "tensorflow"), _TRAIN_AND_PREDICT),
    Contender("jax", "jax_xla", "convolution", ("jax",), _TRAIN_AND_PREDICT),
    Contender("jax patches", "jax_xla", "patches", ("jax",), ("train",)),
    Contender("onnxruntime", "onnx_runtime", "session", ("onnxruntime", "onnx"), ("predict", "latency")),
    Contender("openvino", "open_vino", "request", ("openvino", "onnx"), ("predict", "latency")),
    Contender("skorch", "skorch_nets", "estimator", ("skorch", "torch", "sklearn"), ("train", "search"), has_common_start=False),
)

CONTENDERS = {contender.name: contender for contender in _TABLE}

PYTORCH = ("pytorch", "pytorch channels_last", "pytorch compiled")
KERAS = ("keras", "keras graph")
JAX = ("jax", "jax patches")
RUNTIMES = ("onnxruntime", "openvino")
FRAMEWORKS = (*PYTORCH, *KERAS, *JAX)
