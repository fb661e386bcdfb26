# What the kernels ask of it, without the interpreter.

cdef int is_forked_child() noexcept nogil
cdef int team_of(int n_threads) noexcept nogil
