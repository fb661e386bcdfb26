# The boundary of the copies that `functional` offers alone: padding and patches, with their adjoints.

cdef const Layer* layer_of_images(Table layers, Table runs, const real[:, ::1] images, const real[:, ::1] padded,
                                  int n_threads) except NULL:
    """Check images and padded images against one convolution layer, and return it; they may be empty together."""
    cdef const Layer* layer = layer_of_rows(layers, images.shape[0], padded.shape[0], n_threads)
    if (images.shape[1] != input_size(layer) or padded.shape[1] != padded_size(layer)
            or not holds(runs, sizeof(Run)) or runs.shape[0] < layer.first_run + layer.n_runs):
        raise ValueError(f"images of {images.shape[1]} and {padded.shape[1]} numbers, or the runs, do not fit the layer")
    return layer


cdef const Layer* layer_of_patches(Table layers, const real[:, ::1] padded, const real[:, ::1] columns,
                                   int n_threads) except NULL:
    """Check padded images and their patches against one convolution layer, and return it; they may be empty together."""
    cdef const Layer* layer = layer_of_rows(layers, padded.shape[0], columns.shape[0], n_threads)
    cdef Py_ssize_t n_patch = layer.kernel.rows * layer.kernel.columns * layer.channels
    if padded.shape[1] != padded_size(layer) or columns.shape[1] != layer.map.rows * layer.map.columns * n_patch:
        raise ValueError(f"images of {padded.shape[1]} numbers with patches of {columns.shape[1]} do not fit the layer")
    return layer


cdef const Layer* layer_of_rows(Table layers, Py_ssize_t n_before, Py_ssize_t n_after, int n_threads) except NULL:
    """Check that there is one layer, and as many samples before it as after; return the layer."""
    if layers.shape[0] != 1 or not holds(layers, sizeof(Layer)) or n_before != n_after or n_threads < 1:
        raise ValueError(f"{layers.shape[0]} layers, {n_before} and {n_after} images, {n_threads} threads")
    return layers_in(layers)


cdef inline int threads_for_images(const real[:, ::1] numbers, int n_threads) noexcept nogil:
    if is_forked_child() or numbers.shape[0] * numbers.shape[1] < SERIAL_WORK:
        return 1
    return team_of(<int> min(n_threads, numbers.shape[0]))


# Rows of numbers that become others, image by image.
ctypedef struct Copies:
    const Layer* layer
    const Run* runs             # of a padding
    const real* sources
    Py_ssize_t source_size
    real* targets
    Py_ssize_t target_size


cdef int share_copies(int region, Work copy, const Layer* layer, const Run* runs, const real[:, ::1] sources,
                      real[:, ::1] targets, int n_threads) except -1:
    cdef Copies copies
    if sources.shape[0] == 0:
        return 0
    copies.layer, copies.runs = layer, runs
    copies.sources, copies.source_size = &sources[0, 0], sources.shape[1]
    copies.targets, copies.target_size = &targets[0, 0], targets.shape[1]
    with nogil:
        divide(region, n_threads, sources.shape[0], copy, &copies)
    return 0


cdef void pad_image(const void* job, Py_ssize_t i) noexcept nogil:
    cdef const Copies* copies = <const Copies*> job
    pad(copies.runs + copies.layer.first_run, copies.layer.n_runs, copies.sources + i * copies.source_size,
        copies.targets + i * copies.target_size)


cdef void unpad_image(const void* job, Py_ssize_t i) noexcept nogil:
    cdef const Copies* copies = <const Copies*> job
    pad_backward(copies.runs + copies.layer.first_run, copies.layer.n_runs, copies.sources + i * copies.source_size,
                 copies.targets + i * copies.target_size)


cdef void patches_of_image(const void* job, Py_ssize_t i) noexcept nogil:
    cdef const Copies* copies = <const Copies*> job
    copy_patches(copies.layer, copies.sources + i * copies.source_size, copies.targets + i * copies.target_size)


cdef void image_of_patches(const void* job, Py_ssize_t i) noexcept nogil:
    cdef const Copies* copies = <const Copies*> job
    add_patches(copies.layer, copies.sources + i * copies.source_size, copies.targets + i * copies.target_size)


def pad_images(Table layers, Table runs, const real[:, ::1] images, real[:, ::1] padded, int n_threads):
    """Copy images into padded frames; what padding does not copy keeps the number it had."""
    cdef const Layer* layer = layer_of_images(layers, runs, images, padded, n_threads)
    share_copies(PADDED_IMAGES, pad_image, layer, runs_in(runs), images, padded, threads_for_images(padded, n_threads))


def unpad_images(Table layers, Table runs, const real[:, ::1] padded, real[:, ::1] images, int n_threads):
    """The adjoint of `pad_images`: add the pixels of padded frames to those of the images they were copied from."""
    cdef const Layer* layer = layer_of_images(layers, runs, images, padded, n_threads)
    share_copies(UNPADDED_IMAGES, unpad_image, layer, runs_in(runs), padded, images, threads_for_images(padded, n_threads))


def patches_of_images(Table layers, const real[:, ::1] padded, real[:, ::1] columns, int n_threads):
    """Copy the patches of padded images."""
    cdef const Layer* layer = layer_of_patches(layers, padded, columns, n_threads)
    share_copies(PATCHES_OF_IMAGES, patches_of_image, layer, NULL, padded, columns, threads_for_images(columns, n_threads))


def images_of_patches(Table layers, const real[:, ::1] columns, real[:, ::1] padded, int n_threads):
    """The adjoint of `patches_of_images`: add patches to padded images."""
    cdef const Layer* layer = layer_of_patches(layers, padded, columns, n_threads)
    share_copies(IMAGES_OF_PATCHES, image_of_patches, layer, NULL, columns, padded, threads_for_images(columns, n_threads))
