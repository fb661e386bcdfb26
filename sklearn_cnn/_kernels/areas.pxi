# Sizes that follow from a layer's record, and where a layer finds what it computes with.

cdef inline Py_ssize_t whole_lines(Py_ssize_t n) noexcept nogil:
    return (n + 15) // 16 * 16


cdef inline Py_ssize_t input_size(const Layer* layer) noexcept nogil:
    return layer.rows * layer.columns * layer.channels


cdef inline Py_ssize_t padded_row_size(const Layer* layer) noexcept nogil:
    return layer.padded.columns * layer.channels


cdef inline Py_ssize_t padded_size(const Layer* layer) noexcept nogil:
    return layer.padded.rows * padded_row_size(layer)


cdef inline Py_ssize_t kernel_row_size(const Layer* layer) noexcept nogil:
    """Taps of a row of a kernel: they are consecutive in the padded image."""
    return layer.kernel.columns * layer.channels


cdef inline Py_ssize_t map_row_size(const Layer* layer) noexcept nogil:
    return layer.map.columns * layer.filters


cdef inline Py_ssize_t map_size(const Layer* layer) noexcept nogil:
    return layer.map.rows * map_row_size(layer)


cdef inline Py_ssize_t output_row_size(const Layer* layer) noexcept nogil:
    return layer.out.columns * layer.filters


cdef inline Py_ssize_t output_size(const Layer* layer) noexcept nogil:
    return layer.out.rows * output_row_size(layer)


cdef inline Py_ssize_t frame_size(const Layer* layer) noexcept nogil:
    """The map's gradient in its frame, in whole lines."""
    return whole_lines(layer.gradient.rows * layer.gradient.columns * layer.filters)


cdef inline bint has_wide_positions(const Layer* layer) noexcept nogil:
    return layer.pool.rows * layer.pool.columns > 256


cdef inline Py_ssize_t position_bytes(const Layer* layer) noexcept nogil:
    """Bytes of the positions of one sample's maxima."""
    return output_size(layer) * (4 if has_wide_positions(layer) else 1)


# What a layer computes with, for samples that it takes up together and in one thread: the offsets of the records as pointers.
# Samples of one kind stand one after another, and a pointer is to the first. `areas_of` in network.pxi fills it in.
ctypedef struct Areas:
    Py_ssize_t n_samples
    const real* images          # the layer's input
    real* maps                  # kept for the backward pass, or NULL
    real* outputs
    char* positions             # of the maxima, for the backward pass, or NULL
    real* d_outputs             # gradients; NULL in a prediction
    real* d_images              # NULL where nobody wants it
    # scratch of the thread
    real* padded                # the padded images; zero wherever no image has been copied to
    real* band                  # maps, or rows of one, until they are pooled, and what the algorithm takes that computes them
    real* frame                 # the gradient of a map in a frame of zeros, and what follows only where there are gradients
    real* d_padded
    real* entries               # lists of a LISTED backward pass, planes of an input gradient
