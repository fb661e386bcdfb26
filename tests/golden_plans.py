"""The plans of many networks: algorithms, sizes and offsets, so that no change moves one unnoticed.

Another algorithm or another place in memory gives the same results, so no other test sees a wrong choice: it only costs time.

    python tests/golden_plans.py            compare
    python tests/golden_plans.py --write    write them down anew after a change that is meant
"""

from pathlib import Path

import numpy as np
from golden import main, plain
from reference import LAYERS

from sklearn_cnn._network.arena import build_arena, prediction_capacity, training_capacity, training_memory
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.plan import build_plan

FILE = Path(__file__).with_name("golden_plans.json")


def chain(*n_filters, units=(10,), **options):
    """Blocks with maximum pooling and dense layers, as an estimator makes them."""
    blocks = [ConvolutionBlock(n, padding="same", pooling="max", activation="relu", **options) for n in n_filters]
    return (*blocks, *(DenseLayer(n) for n in units))


#: Name -> (layers, shape of an image, whether the gradient of the image is wanted)
CASES = {
    **{row.name: ((row.layer,), row.input_shape, True) for row in LAYERS[::3]},
    **{f"{row.name}, first": ((row.layer,), row.input_shape, False) for row in LAYERS[1::6]},
    "A": (chain(32, 64, units=(128, 10)), (28, 28, 1), False),
    "B": (chain(32, 64, 128, units=(128, 10)), (32, 32, 3), False),
    "B, normalised": (chain(32, 64, 128, units=(128, 10), batch_norm=True), (32, 32, 3), False),
    "C": (chain(16, 32), (8, 8, 1), False),
    "224 x 224": (chain(16, 32, 64, 128, 128), (224, 224, 3), False),
    "kernels of 5 x 5": (chain(24, 48, 96, kernel_size=(5, 5), units=(100, 10)), (28, 28, 1), False),
    "few filters": (chain(6, 20, 33), (14, 14, 3), True),
    "signals": (chain(32, 64, kernel_size=(1, 5), pool_size=(1, 2)), (1, 100, 1), False),
    "unshared": (chain(8, 16, weight_sharing=False), (12, 12, 1), False),
    "large windows": (chain(8, pool_size=(7, 9)), (70, 90, 3), True),
    **{f"windows of {n} x {n}": (chain(24, 17, pool_size=(n, n)), (48, 48, 16), True) for n in (1, 2, 3, 4, 6, 8)},
    **{f"{n} channels": (chain(16, kernel_size=(3, n)), (12, 12, n), n % 2 == 0) for n in range(1, 12)},
    "two in a row": (
        (ConvolutionBlock(32, padding="same"), ConvolutionBlock(48, padding="same"), ConvolutionBlock(16, (5, 5)), DenseLayer(3)),
        (28, 28, 16), False,
    ),
    "large tiles": ((ConvolutionBlock(32, padding="same", winograd_tile=4),), (32, 30, 16), True),
    "averages": ((ConvolutionBlock(20, pooling="average", stride=(2, 1)), DenseLayer(3)), (16, 16, 2), False),
}  # fmt: skip
#: (samples of a mini-batch, threads)
SIZES = ((1, 1), (32, 1), (100, 2), (1000, 16))


def of_record(record):
    """Name -> value of the fields that are not zero."""
    values = {name: np.atleast_1d(record[name]).ravel().tolist() for name in record.dtype.names}
    return {name: value for name, value in values.items() if any(value)}


def described(layers, input_shape, input_gradient):
    """All numbers of a plan, and how it divides memory."""
    plan = build_plan(layers, input_shape, input_gradient)
    runs = plan.runs.view(np.int64).ravel()
    return plain({
        "records": [of_record(record) for record in plan.records],
        "runs": [len(runs), int(runs @ np.arange(len(runs)))],
        "blocks": [[block.layer, block.kind, block.offset, *block.shape, block.fan_in, block.fan_out] for block in plan.blocks],
        "statistics": [list(map(int, row)) for row in plan.statistics],
        "sizes": [plan.n_inputs, plan.n_outputs, plan.n_parameters, plan.parameter_size, plan.statistics_size],
        "totals": plan.totals,
        "capacities": [[prediction_capacity(plan, n, threads), training_capacity(plan, n * n)] for n, threads in SIZES],
        "memory": [list(training_memory(plan, n, threads, 4).values()) for n, threads in SIZES],
        "arenas": [of_record(build_arena(plan, n, threads, n > 1)[0]) for n, threads in SIZES[:3]],
    })  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main(__doc__, FILE, {name: described(*network) for name, network in CASES.items()}))
