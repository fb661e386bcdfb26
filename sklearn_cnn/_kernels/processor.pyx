# What this process can compute with. One module holds it for the kernels of all levels and number types, which are many.

cdef extern from "processor.h" nogil:
    int running_in_forked_child
    int watch_forks()
    void read_stack_size()
    int start_team(int n_threads)
    int processor_level()

if watch_forks() != 0:
    raise ImportError("pthread_atfork failed: a forked child could hang in OpenMP")
read_stack_size()


cdef int is_forked_child() noexcept nogil:
    return running_in_forked_child


cdef int team_of(int n_threads) noexcept nogil:
    """As many threads as can be started, n_threads at most."""
    return start_team(n_threads)


def level():
    """4: x86-64-v4 (AVX-512), 3: x86-64-v3 (AVX2 and FMA), 2: NEON, 1: none of them."""
    return processor_level()
