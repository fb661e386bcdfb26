"""The layers whose kernels are measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A convolution of one square image with "same" padding, alone or as a block with ReLU and 2x2 max pooling."""

    size: int
    channels: int
    n_filters: int
    kernel_size: int = 3
    stride: int = 1
    is_block: bool = False

    @property
    def name(self):
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        block = " + relu + max pool" if self.is_block else ""
        shape = f"{self.size}x{self.size} {self.channels:3d} -> {self.n_filters:3d} {self.kernel_size}x{self.kernel_size}"
        return shape + stride + block

    @property
    def is_first(self):
        """Whether it is the first layer of a network: nobody wants the gradient of its input."""
        return self.channels <= 3

    @property
    def operations(self):
        """Operations of one direction for one image, padding counted as if it were image."""
        side = -(-self.size // self.stride)
        return 2 * side**2 * self.kernel_size**2 * self.channels * self.n_filters


@dataclass(frozen=True)
class Pooling:
    """A pooling layer alone."""

    size: int
    channels: int
    pooling: str
    pool_size: int = 2

    @property
    def name(self):
        return f"{self.pooling} pool {self.pool_size} of {self.size}x{self.size}x{self.channels}"


#: The one the target is about.
TARGET = Convolution(28, 64, 64)

CONVOLUTIONS = (
    TARGET,
    # first layers
    *(Convolution(28, 1, n_filters) for n_filters in (8, 16, 32, 64)),
    *(Convolution(32, 3, n_filters) for n_filters in (16, 32, 64)),
    Convolution(28, 1, 32, kernel_size=5),
    Convolution(64, 3, 32, kernel_size=7, stride=2),
    # numbers of filters, also such as are no multiple of a vector
    *(Convolution(14, 32, n_filters) for n_filters in (8, 10, 16, 20, 24, 31, 32, 33, 48, 64, 100, 128)),
    Convolution(14, 256, 256),
    # numbers of channels that are no multiple of a vector either
    Convolution(14, 8, 16),
    Convolution(14, 6, 16, kernel_size=5),
    Convolution(14, 10, 20, kernel_size=5),
    # kernels
    *(Convolution(14, 32, 64, kernel_size) for kernel_size in (1, 3, 5, 7)),
    # strides
    *(Convolution(28, 32, 64, kernel_size, stride=2) for kernel_size in (1, 3, 5)),
    # maps
    *(Convolution(size, 32, 64) for size in (4, 7, 8, 16, 28, 32, 64)),
    # blocks of nets A, B and C
    Convolution(28, 1, 32, is_block=True),
    Convolution(14, 32, 64, is_block=True),
    Convolution(32, 3, 32, is_block=True),
    Convolution(16, 32, 64, is_block=True),
    Convolution(8, 64, 128, is_block=True),
    Convolution(8, 1, 16, is_block=True),
    Convolution(4, 16, 32, is_block=True),
)

POOLINGS = tuple(
    Pooling(size, channels, pooling, pool_size)
    for pooling in ("max", "average")
    for size, channels, pool_size in ((28, 32, 2), (14, 64, 2), (32, 64, 3), (28, 5, 2), (32, 3, 2))
)

SMOKE_CONVOLUTIONS = (TARGET, Convolution(8, 1, 10, is_block=True))
SMOKE_POOLINGS = POOLINGS[:1]
