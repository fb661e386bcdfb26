"""Types of what the estimators take, for the signatures that users see."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Protocol, TypeAlias

import numpy as np

#: Rows and columns, and what a block or every block takes.
Size: TypeAlias = int | tuple[int, int]
SizePerBlock: TypeAlias = Size | Sequence[Size]
Padding: TypeAlias = str | int | tuple[int, int]
PaddingPerBlock: TypeAlias = Padding | Sequence[Padding]
NamePerBlock: TypeAlias = str | Sequence[str]
NameOrNonePerBlock: TypeAlias = str | Sequence[str | None] | None

Auto: TypeAlias = str  # "auto"
RandomState: TypeAlias = int | np.random.RandomState | None
ClassWeight: TypeAlias = Mapping | Sequence[Mapping] | str | None
Scoring: TypeAlias = str | Callable | None


class CheckpointLike(Protocol):
    """What a ``Checkpoint`` has."""

    path: str
    every: int


CheckpointOrPath: TypeAlias = str | PathLike | CheckpointLike | None
