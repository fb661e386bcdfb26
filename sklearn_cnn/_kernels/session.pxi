# What calls begin with: the buffers of a caller, acquired once and held, because that took a third of a call for a small network.

# Records come as rows of 64-bit integers, which all their fields are.
ctypedef const int64_t[:, ::1] Table


cdef inline const Layer* layers_in(Table table) noexcept nogil:
    return <const Layer*> &table[0, 0]


cdef inline const Run* runs_in(Table table) noexcept nogil:
    return <const Run*> &table[0, 0] if table.shape[0] > 0 else NULL


cdef inline bint holds(Table table, size_t record_size) noexcept nogil:
    return table.shape[1] * sizeof(int64_t) == record_size


@cython.final
cdef class Session:
    """The tables of a plan and the memory that its mini-batches are computed in.

    `positions` are those of the maxima; None is for a workspace that nothing goes backward in. `pace` is for sessions that train:
    what others have seen, or None."""
    cdef Table layers, runs, arena_table
    cdef real[::1] workspace
    cdef uint8_t[::1] positions
    cdef const Arena* arena
    cdef Pace pace                      # of its steps of training
    cdef public bint knows_weights      # those of the next prediction are those of the one before: they are not compared

    def __cinit__(self, Table layers, Table arena, Table runs, real[::1] workspace, uint8_t[::1] positions, Pace pace=None):
        cdef Py_ssize_t thread
        if arena.shape[0] != 1 or not holds(arena, sizeof(Arena)):
            raise ValueError("the arena is one record")
        self.arena_table = arena
        self.arena = <const Arena*> &arena[0, 0]
        if (layers.shape[0] != self.arena.n_layers or layers.shape[0] < 1 or not holds(layers, sizeof(Layer))
                or not holds(runs, sizeof(Run)) or self.arena.n_inputs != input_size(layers_in(layers))):
            raise ValueError("the arena does not belong to these layers and runs")
        if workspace.shape[0] < self.arena.n_numbers:
            raise ValueError(f"the workspace needs {self.arena.n_numbers} numbers, it has {workspace.shape[0]}")
        if positions is not None and positions.shape[0] < self.arena.n_positions * self.arena.capacity:
            raise ValueError("the workspace has no room for the positions of the maxima")
        if self.arena.n_threads < 1:
            raise ValueError("the workspace needs scratch for one thread at least")
        self.layers, self.runs, self.workspace, self.positions = layers, runs, workspace, positions
        for thread in range(self.arena.n_threads):      # no call has been there
            memset(&workspace[self.arena.scratch_at + thread * self.arena.n_scratch + self.arena.last_call_at], 0,
                   sizeof(int64_t))
        self.pace = Pace(self.arena.capacity * self.arena.work) if pace is None else pace
        if self.arena.remembered_at >= 0 and self.arena.n_numbers > 0:  # weights of zero, which zeros are the transformed ones of
            memset(&workspace[self.arena.transformed_at], 0,
                   <size_t> (self.arena.n_numbers - self.arena.transformed_at) * sizeof(real))


@cython.final
cdef class Rows:
    """Rows of numbers that the kernels read where they are; made by `rows_of`."""
    cdef Py_buffer buffer
    cdef bint is_held
    cdef int64_t number_type            # BYTES, FLOATS or DOUBLES
    cdef readonly Py_ssize_t n_rows
    cdef Py_ssize_t row_bytes

    def __dealloc__(self):
        if self.is_held:
            PyBuffer_Release(&self.buffer)


cdef int64_t number_type_of(const Py_buffer* buffer) noexcept:
    """What the format of a buffer says, -1 for what the kernels don't read: other numbers, foreign byte orders."""
    if buffer.format == NULL or buffer.format[0] == 0 or buffer.format[1] != 0:
        return -1
    if buffer.format[0] == c"B" or buffer.format[0] == c"?":
        return BYTES
    return FLOATS if buffer.format[0] == c"f" else DOUBLES if buffer.format[0] == c"d" else -1


cpdef rows_of(X):
    """The rows of an array of two dimensions and more, or None where they can't be read in place."""
    cdef Rows rows = Rows.__new__(Rows)
    cdef Py_ssize_t i
    try:
        PyObject_GetBuffer(X, &rows.buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    except (BufferError, ValueError):       # not contiguous; a type that no buffer has, as dates
        return None
    rows.is_held = True
    rows.number_type = number_type_of(&rows.buffer)
    if rows.number_type < 0 or rows.buffer.ndim < 2 or <size_t> rows.buffer.buf % <size_t> rows.buffer.itemsize != 0:
        return None
    rows.n_rows, rows.row_bytes = rows.buffer.shape[0], rows.buffer.itemsize
    for i in range(1, rows.buffer.ndim):
        rows.row_bytes *= rows.buffer.shape[i]
    return rows


cdef bint all_finite(const cython.floating* numbers, Py_ssize_t n) noexcept nogil:
    """As 32-bit floats."""
    cdef int n_others = 0
    cdef Py_ssize_t i
    for i in range(n):
        n_others |= not (numbers[i] >= -FLT_MAX and numbers[i] <= FLT_MAX)      # also NaN
    return n_others == 0


def are_finite(X):
    """Whether all numbers are finite as 32-bit floats; None for arrays that `rows_of` does not take."""
    cdef Rows rows = rows_of(X)
    cdef Py_ssize_t n
    cdef bint is_finite
    if rows is None:
        return None
    n = rows.buffer.len // rows.buffer.itemsize
    with nogil:
        if rows.number_type == FLOATS:
            is_finite = all_finite(<const float*> rows.buffer.buf, n)
        else:
            is_finite = rows.number_type == BYTES or all_finite(<const double*> rows.buffer.buf, n)
    return is_finite


cdef int64_t N_CALLS = 0    # of all sessions, counted where there is one thread


cdef int connect(Network* network, Interruption* interruption, Session session, const real[::1] parameters,
                 const real[::1] statistics, Py_ssize_t n_samples, int n_threads) except -1:
    """Check what a call brings against the plan, and take the addresses."""
    cdef const Arena* arena = session.arena
    global N_CALLS
    N_CALLS += 1
    network.call = N_CALLS
    if parameters.shape[0] != arena.n_parameters:
        raise ValueError(f"parameters has {parameters.shape[0]} numbers, the network has {arena.n_parameters}")
    if statistics.shape[0] != arena.n_statistics:
        raise ValueError(f"statistics has {statistics.shape[0]} numbers, the network has {arena.n_statistics}")
    if n_samples > arena.capacity or n_samples < 0:
        raise ValueError(f"the workspace has room for {arena.capacity} samples, not {n_samples}")
    if n_threads < 1:
        raise ValueError(f"{n_threads} threads were asked for; one at least")
    network.interruption = interruption
    network.layers = layers_in(session.layers)
    network.arena = arena
    network.runs = runs_in(session.runs)
    network.parameters = &parameters[0] if parameters.shape[0] > 0 else NULL
    network.workspace = &session.workspace[0]
    network.positions = NULL
    if session.positions is not None and session.positions.shape[0] > 0:
        network.positions = <char*> &session.positions[0]
    network.n_samples = n_samples
    network.n_threads = min(n_threads, <int> arena.n_threads)
    network.first_dense, network.direction = 0, -1
    while network.first_dense < arena.n_layers and network.layers[network.first_dense].kind != DENSE:
        network.first_dense += 1
    network.statistics = <real*> &statistics[0] if statistics.shape[0] > 0 else NULL
    network.order, network.sample_weight = NULL, NULL
    network.weight_sum = 0.0
    network.statistics_steps = network.first_place = 0
    network.seed, network.step = 0, 0
    network.is_training = False
    network.knows_weights = session.knows_weights and arena.remembered_at >= 0
    network.n_threads = team_of(1 if is_forked_child() else useful_threads(network))
    network.n_chunks = cut_into_chunks(network)
    return 0


cdef int require_training(const Network* network) except -1:
    """Refuse a workspace that nothing can go backward in."""
    if network.arena.gradients_at < 0 or network.positions == NULL and network.arena.n_positions > 0:
        raise ValueError("this workspace was made for prediction only")
    return 0


cdef int check_rows(const int64_t[::1] order, Py_ssize_t n_rows) except -1:
    cdef Py_ssize_t i
    for i in range(order.shape[0]):
        if order[i] < 0 or order[i] >= n_rows:
            raise ValueError(f"row {order[i]} was asked for, there are {n_rows}")
    return 0


cdef int describe_batch(Batch* batch, const Network* network, Rows X, const int64_t[::1] order, const real[::1] shift,
                        const real[::1] factor) except -1:
    """Check the rows and take their addresses; without `order` they are all rows of X."""
    cdef Py_ssize_t n_inputs = network.arena.n_inputs
    if not X.is_held or X.row_bytes != n_inputs * X.buffer.itemsize:
        raise ValueError(f"a row of X has {X.row_bytes} bytes, {n_inputs} numbers of {X.buffer.itemsize} bytes were expected")
    if shift.shape[0] != factor.shape[0] or shift.shape[0] != 1 and shift.shape[0] != network.layers.channels:
        raise ValueError("shift and factor need one number per channel, or one for all")
    batch.rows, batch.order, batch.n_ordered = <const char*> X.buffer.buf, NULL, 0
    if order is not None:
        check_rows(order, X.n_rows)
        batch.order, batch.n_ordered = &order[0] if order.shape[0] > 0 else NULL, order.shape[0]
    batch.row_bytes = X.row_bytes
    batch.number_type = X.number_type
    batch.augmentation = NULL
    set_scaling(batch, &shift[0], &factor[0], shift.shape[0])
    return 0
