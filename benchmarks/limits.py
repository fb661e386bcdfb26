"""The processor's limits for one instruction set, measured in the process that measures the kernels."""

import ctypes
import time

import numpy as np

from benchmarks.compiled import compiled

#: Level -> (compiler flags, bytes of a vector, chains that fit into its registers and hide the latency).
FLAGS = {
    "baseline": ((), 16, 12),
    "x86-64-v3": (("-march=x86-64-v3",), 32, 12),
    "x86-64-v4": (("-march=x86-64-v4", "-mprefer-vector-width=512"), 64, 24),
}
MULTIPLY_ADD_SECONDS = 0.005  # as long as a kernel is timed
COPIED_NUMBERS = 16 << 20  # 64 MiB each way: beyond every cache


class Limits:
    """Times the two loops of limits.c; the process must be able to run the level."""

    def __init__(self, level):
        flags, vector_bytes, chains = FLAGS[level]
        self._library = compiled("limits.c", *flags, f"-DVECTOR_BYTES={vector_bytes}", f"-DCHAINS={chains}")
        self._library.multiply_add.argtypes = [ctypes.c_long, ctypes.c_float, ctypes.c_float]
        self._library.multiply_add.restype = ctypes.c_float
        self._library.copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
        self._operations = 2 * chains * vector_bytes // 4
        self._vector_bytes = vector_bytes
        self._repetitions = 100_000
        self._repetitions = int(MULTIPLY_ADD_SECONDS * self.multiply_add() / self._operations)

    def multiply_add(self):
        """Return floating-point operations per second in registers; takes some milliseconds."""
        seconds = -time.thread_time()
        self._library.multiply_add(self._repetitions, 0.999, 0.001)
        seconds += time.thread_time()
        return self._repetitions * self._operations / seconds

    def copy(self, n_numbers=COPIED_NUMBERS, repetitions=5):
        """Return bytes per second, those read and those written together."""
        n_vectors = 4 * n_numbers // self._vector_bytes
        room = np.ones(2 * n_numbers + 64, dtype=np.float32)
        start = -room.ctypes.data % 64 // 4
        source, target = room[start : start + n_numbers], room[start + n_numbers : start + 2 * n_numbers]
        best = 0.0
        for _ in range(repetitions):
            seconds = -time.thread_time()
            self._library.copy(source.ctypes.data, target.ctypes.data, n_vectors)
            seconds += time.thread_time()
            best = max(best, 8 * n_numbers / seconds)
        return best
