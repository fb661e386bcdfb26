# Padding is data: a list of runs says which numbers of the padded image copy which numbers of the image. Zeros, reflection
# and any later mode differ in that list only.

cdef void pad(const Run* runs, Py_ssize_t n_runs, const real* image, real* padded) noexcept nogil:
    """Copy an image into its padded frame; what no run covers keeps the zeros it had."""
    cdef Py_ssize_t i
    for i in range(n_runs):
        memcpy(padded + runs[i].target, image + runs[i].source, <size_t> runs[i].length * sizeof(real))


cdef void pad_part(const Run* runs, Py_ssize_t n_runs, const real* image, Py_ssize_t begin, Py_ssize_t end,
                   real* part) noexcept nogil:
    """The same for numbers begin to end - 1 of the padded frame alone."""
    cdef Py_ssize_t i, first, n
    for i in range(n_runs):
        first = max(runs[i].target, begin)
        n = min(runs[i].target + runs[i].length, end) - first
        if n > 0:
            memcpy(part + first - begin, image + runs[i].source + first - runs[i].target, <size_t> n * sizeof(real))


cdef void pad_backward(const Run* runs, Py_ssize_t n_runs, const real* d_padded, real* d_image) noexcept nogil:
    """Add every padded pixel's gradient to the pixel it copied; d_image starts at zero."""
    cdef Py_ssize_t i, k
    cdef const real* source
    cdef real* target
    for i in range(n_runs):
        source = d_padded + runs[i].target
        target = d_image + runs[i].source
        for k in range(runs[i].length):
            target[k] += source[k]


cdef inline bint copies_pixels(const Layer* layer) noexcept nogil:
    # Padding with zeros wants the gradient of the image inside the frame only, other modes that of the whole frame.
    return layer.crop.rows != layer.rows or layer.crop.columns != layer.columns


cdef void unpad(const Layer* layer, const Run* runs, const real* d_padded, real* d_image) noexcept nogil:
    """d_image <- the gradient of the image inside the padded image, and of its copies."""
    cdef Py_ssize_t i
    cdef const Run* run = runs + layer.first_run
    if copies_pixels(layer):
        memset(d_image, 0, <size_t> input_size(layer) * sizeof(real))
        pad_backward(run, layer.n_runs, d_padded, d_image)
        return
    for i in range(layer.n_runs):
        memcpy(d_image + run[i].source, d_padded + run[i].target, <size_t> run[i].length * sizeof(real))


cdef inline bint is_padded(const Layer* layer) noexcept nogil:
    return layer.padded.rows != layer.rows or layer.padded.columns != layer.columns


cdef inline const real* padded_images(const Layer* layer, const Run* runs, const Areas* areas) noexcept nogil:
    """Images as the kernels read them: padded, in the scratch, or where they stand if they are padded or need not be."""
    cdef Py_ssize_t i
    if layer.input_is_padded or not is_padded(layer):
        return areas.images
    for i in range(areas.n_samples):
        pad(runs + layer.first_run, layer.n_runs, areas.images + i * input_size(layer), areas.padded + i * padded_size(layer))
    return areas.padded


cdef inline const real* unpadded(const Layer* layer, const real* images) noexcept nogil:
    """The first pixel of the first image, in or without its border."""
    if not layer.input_is_padded:
        return images
    return images + layer.crop.row * padded_row_size(layer) + layer.crop.column * layer.channels


cdef inline Py_ssize_t unpadded_row(const Layer* layer) noexcept nogil:
    return (layer.padded.columns if layer.input_is_padded else layer.columns) * layer.channels


cdef inline Py_ssize_t unpadded_size(const Layer* layer) noexcept nogil:
    # Numbers from one image to the next.
    return padded_size(layer) if layer.input_is_padded else input_size(layer)
