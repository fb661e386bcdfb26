"""The functions every compiled module has (``float32_x86_64_v4`` and its siblings); `real` is its number type.

It has constants, too: the members of every ``cpdef enum``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Reals = NDArray[np.floating[Any]]
_Table = NDArray[np.int64]
_Order = NDArray[np.int64]

class Session:
    knows_weights: bool
    def __init__(
        self,
        layers: _Table,
        arena: _Table,
        runs: _Table,
        workspace: _Reals,
        positions: NDArray[np.uint8] | None,
        pace: Pace | None = None,
    ) -> None: ...

class Pace:
    def __init__(self, work: int) -> None: ...
    def takes_all(self, work: int) -> bool: ...
    def see(self, n_samples: int, work: int, seconds: float) -> None: ...

class Rows:
    n_rows: int

class Optimizer:
    def __init__(
        self,
        parameters: _Reals,
        statistics: _Reals,
        gradient: _Reals,
        gradient_of_slice: _Reals | None,
        first_moment: _Reals,
        second_moment: _Reals | None,
        loss: int,
        alpha: float,
        settings: dict[str, float] | None,
        seed: int,
    ) -> None: ...
    t: int
    n_batches_tracked: int
    seed: int

class Examples:
    def __init__(
        self,
        X: Rows,
        shift: _Reals,
        factor: _Reals,
        targets: _Reals,
        codes: NDArray[np.int32] | None,
        sample_weight: _Reals | None,
    ) -> None: ...

def describe() -> dict[str, int | bool]: ...
def max_threads() -> int: ...
def take_region_records() -> dict[str, tuple[int, int]]: ...
def take_region_times() -> dict[str, dict[str, float]]: ...
def time_regions(are_timed: bool) -> None: ...
def layer_format() -> memoryview: ...
def arena_format() -> memoryview: ...
def run_format() -> memoryview: ...
def rows_of(X: NDArray[Any]) -> Rows | None: ...
def are_finite(X: NDArray[Any]) -> bool | None: ...
def channel_lanes(n_channels: int) -> int: ...
def sum_channels(
    X: Rows,
    rows: _Order,
    weight: NDArray[np.float64] | None,
    mean: NDArray[np.float64] | None,
    lanes: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None: ...
def predict(
    session: Session,
    parameters: _Reals,
    statistics: _Reals,
    X: Rows,
    order: _Order | None,
    shift: _Reals,
    factor: _Reals,
    results: _Reals | None,
    n_threads: int,
) -> None: ...
def backpropagate(
    session: Session,
    parameters: _Reals,
    statistics: _Reals,
    n_samples: int,
    gradient: _Reals,
    n_threads: int,
) -> None: ...
def train(
    session: Session,
    optimizer: Optimizer,
    examples: Examples,
    order: _Order,
    batch_size: int,
    rates: NDArray[np.float64],
    augmentation_settings: dict[str, Any] | None,
    n_threads: int,
    losses: NDArray[np.float64],
) -> None: ...
def loss_gradient(session: Session, optimizer: Optimizer, examples: Examples, order: _Order, n_threads: int) -> float: ...
def train_slice(
    session: Session,
    optimizer: Optimizer,
    examples: Examples,
    order: _Order,
    augmentation_settings: dict[str, Any] | None,
    n_threads: int,
    weight_sum: float,
    first_place: int,
) -> float: ...
def update(
    session: Session,
    optimizer: Optimizer,
    losses: NDArray[np.float64],
    weight_sum: float,
    learning_rate: float | None,
    n_threads: int,
) -> float: ...
def sum_of_weights(sample_weight: _Reals, order: _Order) -> float: ...
def augment_images(
    session: Session,
    parameters: _Reals,
    statistics: _Reals,
    X: Rows,
    order: _Order,
    shift: _Reals,
    factor: _Reals,
    augmentation_settings: dict[str, Any],
) -> None: ...
def pad_images(layers: _Table, runs: _Table, images: _Reals, padded: _Reals, n_threads: int) -> None: ...
def unpad_images(layers: _Table, runs: _Table, padded: _Reals, images: _Reals, n_threads: int) -> None: ...
def patches_of_images(layers: _Table, padded: _Reals, columns: _Reals, n_threads: int) -> None: ...
def images_of_patches(layers: _Table, columns: _Reals, padded: _Reals, n_threads: int) -> None: ...
