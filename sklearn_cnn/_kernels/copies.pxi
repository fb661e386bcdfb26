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


def pad_images(Table layers, Table runs, const real[:, ::1] images, real[:, ::1] padded, int n_threads):
    """Copy images into padded frames; what padding does not copy keeps the number it had."""
    cdef Py_ssize_t i
    cdef uint64_t mode = 0
    cdef const Layer* layer = layer_of_images(layers, runs, images, padded, n_threads)
    with nogil, parallel(num_threads=threads_for_images(padded, n_threads)):
        mode = begin_region(PADDED_IMAGES, images.shape[0])
        for i in prange(images.shape[0]):
            pad(runs_in(runs) + layer.first_run, layer.n_runs, &images[i, 0], &padded[i, 0])
        end_region(mode)


def unpad_images(Table layers, Table runs, const real[:, ::1] padded, real[:, ::1] images, int n_threads):
    """The adjoint of `pad_images`: add the pixels of padded frames to those of the images they were copied from."""
    cdef Py_ssize_t i
    cdef uint64_t mode = 0
    cdef const Layer* layer = layer_of_images(layers, runs, images, padded, n_threads)
    with nogil, parallel(num_threads=threads_for_images(padded, n_threads)):
        mode = begin_region(UNPADDED_IMAGES, images.shape[0])
        for i in prange(images.shape[0]):
            pad_backward(runs_in(runs) + layer.first_run, layer.n_runs, &padded[i, 0], &images[i, 0])
        end_region(mode)


def patches_of_images(Table layers, const real[:, ::1] padded, real[:, ::1] columns, int n_threads):
    """Copy the patches of padded images."""
    cdef Py_ssize_t i
    cdef uint64_t mode = 0
    cdef const Layer* layer = layer_of_patches(layers, padded, columns, n_threads)
    with nogil, parallel(num_threads=threads_for_images(columns, n_threads)):
        mode = begin_region(PATCHES_OF_IMAGES, padded.shape[0])
        for i in prange(padded.shape[0]):
            copy_patches(layer, &padded[i, 0], &columns[i, 0])
        end_region(mode)


def images_of_patches(Table layers, const real[:, ::1] columns, real[:, ::1] padded, int n_threads):
    """The adjoint of `patches_of_images`: add patches to padded images."""
    cdef Py_ssize_t i
    cdef uint64_t mode = 0
    cdef const Layer* layer = layer_of_patches(layers, padded, columns, n_threads)
    with nogil, parallel(num_threads=threads_for_images(columns, n_threads)):
        mode = begin_region(IMAGES_OF_PATCHES, padded.shape[0])
        for i in prange(padded.shape[0]):
            add_patches(layer, &columns[i, 0], &padded[i, 0])
        end_region(mode)
