# What the processor can do: asked once, before any module with wider instructions is loaded.

cdef extern from "environment.h" nogil:
    int processor_level()


def level():
    """4: x86-64-v4 (AVX-512), 3: x86-64-v3 (AVX2 and FMA), 1: neither, or another architecture."""
    return processor_level()
