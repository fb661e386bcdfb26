# Matrices with rows and columns exchanged, which the gradients of inputs need.

cdef inline void copy_down(Py_ssize_t n, const real* column, Py_ssize_t row, real* target) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        target[i] = column[i * row]


cdef void transpose(Py_ssize_t n_rows, Py_ssize_t n_columns, const real* source, Py_ssize_t source_row, real* target,
                    Py_ssize_t target_row) noexcept nogil:
    """target[j, i] = source[i, j]; source_row, target_row: numbers from one row to the next. In squares that registers turn."""
    cdef Py_ssize_t i, j, at
    cdef Py_ssize_t whole_rows = n_rows - n_rows % SQUARE_SIDE
    cdef Py_ssize_t whole_columns = n_columns - n_columns % SQUARE_SIDE
    for i in range(n_rows // SQUARE_SIDE):
        at = i * SQUARE_SIDE
        for j in range(n_columns // SQUARE_SIDE):
            transpose_square(source + at * source_row + j * SQUARE_SIDE, source_row, target + j * SQUARE_SIDE * target_row + at,
                             target_row)
        for j in range(whole_columns, n_columns):
            copy_down(SQUARE_SIDE, source + at * source_row + j, source_row, target + j * target_row + at)
    for j in range(n_columns):
        copy_down(n_rows - whole_rows, source + whole_rows * source_row + j, source_row, target + j * target_row + whole_rows)
