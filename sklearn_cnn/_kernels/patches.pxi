# Patches laid out one after another, in the order of a kernel as users see it: channel, kernel row, kernel column. The products
# above read patches where they stand; this is for those who want to see them.

cdef void copy_patches(const Layer* layer, const real* padded, real* columns) noexcept nogil:
    """Every patch of a padded image, position by position."""
    cdef Py_ssize_t r, q, c, i, j
    cdef Py_ssize_t row_size = padded_row_size(layer)
    cdef const real* patch
    for r in range(layer.map.rows):
        for q in range(layer.map.columns):
            patch = padded + r * layer.stride.rows * row_size + q * layer.stride.columns * layer.channels
            for c in range(layer.channels):
                for i in range(layer.kernel.rows):
                    for j in range(layer.kernel.columns):
                        columns[0] = patch[i * row_size + j * layer.channels + c]
                        columns += 1


cdef void add_patches(const Layer* layer, const real* columns, real* padded) noexcept nogil:
    """The adjoint: add every patch to the pixels it was copied from."""
    cdef Py_ssize_t r, q, c, i, j
    cdef Py_ssize_t row_size = padded_row_size(layer)
    cdef real* patch
    for r in range(layer.map.rows):
        for q in range(layer.map.columns):
            patch = padded + r * layer.stride.rows * row_size + q * layer.stride.columns * layer.channels
            for c in range(layer.channels):
                for i in range(layer.kernel.rows):
                    for j in range(layer.kernel.columns):
                        patch[i * row_size + j * layer.channels + c] += columns[0]
                        columns += 1
