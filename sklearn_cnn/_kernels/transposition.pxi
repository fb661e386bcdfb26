# Matrices with rows and columns exchanged, which the gradients of inputs need.

cdef inline void copy_down(Py_ssize_t n, const real* column, Py_ssize_t row, real* target) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        target[i] = column[i * row]


cdef void transpose(Py_ssize_t n_rows, Py_ssize_t n_columns, const real* source, Py_ssize_t source_row, real* target,
                    Py_ssize_t target_row) noexcept nogil:
    """target[j, i] = source[i, j]; source_row, target_row: numbers from one row to the next. In squares that registers turn; the
    last ones may overlap those before, which writes some numbers twice."""
    cdef Py_ssize_t j, i = 0
    if n_columns == 1 and source_row == 1:
        memcpy(target, source, <size_t> n_rows * sizeof(real))
        return
    if n_rows < SQUARE_SIDE or n_columns < SQUARE_SIDE:
        for j in range(n_columns):
            copy_down(n_rows, source + j, source_row, target + j * target_row)
        return
    while i < n_rows:
        i = min(i, n_rows - SQUARE_SIDE)
        j = 0
        while j < n_columns:
            j = min(j, n_columns - SQUARE_SIDE)
            transpose_square(source + i * source_row + j, source_row, target + j * target_row + i, target_row)
            j += SQUARE_SIDE
        i += SQUARE_SIDE
