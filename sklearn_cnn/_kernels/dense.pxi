# Dense layers, over the whole mini-batch: rows of the product are samples (inputs, for the weight gradient). The work is cut
# into blocks of rows and columns whose size depends on the problem alone; threads take blocks.

cpdef enum:
    DENSE_ROWS = 112            # samples of a block: eight tiles of 14, and enough to read a panel of weights for
    DENSE_COLUMNS = 64          # columns of a block
    FORWARD_ROWS = 42           # forward blocks are small, since there are few: three tiles of samples, and columns of one
    FORWARD_COLUMNS = 32


cdef inline Py_ssize_t n_blocks(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1) // size


cdef inline Py_ssize_t forward_columns(Py_ssize_t n_samples) noexcept nogil:
    # The time of a few samples is that of reading the weights: a block is what one tile of one row reads.
    return 8 * LANES_WIDE if n_samples < 4 else FORWARD_COLUMNS


cdef inline Py_ssize_t dense_forward_blocks(const Layer* layer, Py_ssize_t n_samples, Py_ssize_t columns) noexcept nogil:
    return n_blocks(n_samples, FORWARD_ROWS) * n_blocks(layer.filters, columns)


cdef inline Py_ssize_t dense_weight_blocks(const Layer* layer) noexcept nogil:
    return n_blocks(input_size(layer), DENSE_ROWS)


cdef inline Py_ssize_t dense_input_blocks(const Layer* layer) noexcept nogil:
    return n_blocks(input_size(layer), DENSE_COLUMNS) if layer.input_gradient_wanted else 0


cdef inline Py_ssize_t dense_backward_samples(const Layer* layer) noexcept nogil:
    """Samples that go backward between two barriers: a block of them is little work."""
    return max(1, 4 * PORTION_WORK // (DENSE_ROWS * layer.filters))


cdef void dense_forward_block(const Layer* layer, const real* parameters, const real* inputs, real* outputs,
                              Py_ssize_t n_samples, Py_ssize_t block) noexcept nogil:
    cdef Product shape
    cdef Py_ssize_t n_inputs = input_size(layer)
    cdef Py_ssize_t block_columns = forward_columns(n_samples)
    # Blocks of the same columns follow each other, so that a panel of weights comes from memory once for all rows.
    cdef Py_ssize_t row_blocks = n_blocks(n_samples, FORWARD_ROWS)
    cdef Py_ssize_t row = (block % row_blocks) * n_samples // row_blocks
    cdef Py_ssize_t column = (block // row_blocks) * block_columns
    cdef Py_ssize_t n_rows = (block % row_blocks + 1) * n_samples // row_blocks - row
    cdef Py_ssize_t n_columns = min(block_columns, layer.filters - column)
    cdef Py_ssize_t i
    cdef real* target = outputs + row * layer.filters + column
    shape.n_outer = 1
    shape.n_inner = n_inputs
    shape.a_row = n_inputs
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    shape.start_row = 0
    product(n_rows, n_columns, &shape, inputs + row * n_inputs, parameters + layer.weights_at + column,
            parameters + layer.bias_at + column, target)
    if layer.activation != IDENTITY:
        for i in range(n_rows):
            activate(layer.activation, target + i * layer.filters, n_columns)


cdef void dense_input_gradient_block(const Layer* layer, const real* weights, const real* d_outputs, real* d_inputs,
                                     Py_ssize_t n_samples, Py_ssize_t block, real* panel) noexcept nogil:
    """d_inputs[:, block of columns] = d_outputs weights^T; the panel of weights^T is laid out once per block."""
    cdef Product shape
    cdef Py_ssize_t n_inputs = input_size(layer)
    cdef Py_ssize_t column = block * DENSE_COLUMNS
    cdef Py_ssize_t n_columns = min(DENSE_COLUMNS, n_inputs - column)
    transpose(n_columns, layer.filters, weights + column * layer.filters, layer.filters, panel, n_columns)
    shape.n_outer = 1
    shape.n_inner = layer.filters
    shape.a_row = layer.filters
    shape.a_outer = 0
    shape.a_inner = 1
    shape.b_outer = 0
    shape.b_inner = n_columns
    shape.c_row = n_inputs
    shape.start_row = 0
    product_from_zero(n_samples, n_columns, &shape, d_outputs, panel, d_inputs + column)


cdef void dense_weight_gradient_block(const Layer* layer, const real* inputs, const real* d_outputs, real* d_weights,
                                      Py_ssize_t n_samples, Py_ssize_t block, bint goes_on) noexcept nogil:
    """d_weights[block of rows] = inputs^T d_outputs, a sum over samples in their order; goes_on: from the sum there is."""
    cdef Product shape
    cdef Py_ssize_t n_inputs = input_size(layer)
    cdef Py_ssize_t row = block * DENSE_ROWS
    cdef Py_ssize_t n_rows = min(DENSE_ROWS, n_inputs - row)
    cdef real* target = d_weights + row * layer.filters
    shape.n_outer = 1
    shape.n_inner = n_samples
    shape.a_row = 1
    shape.a_outer = 0
    shape.a_inner = n_inputs
    shape.b_outer = 0
    shape.b_inner = layer.filters
    shape.c_row = layer.filters
    shape.start_row = layer.filters if goes_on else 0
    if goes_on:
        product(n_rows, layer.filters, &shape, inputs + row, d_outputs, target, target)
    else:
        product_from_zero(n_rows, layer.filters, &shape, inputs + row, d_outputs, target)
