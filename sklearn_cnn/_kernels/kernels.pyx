# The boundary of the compiled code: arrays in, sizes checked once, one call. Everything below works on pointers, without the
# interpreter. The same file is built once for every number type and instruction set (see meson.build), each time as one
# translation unit, which is why the bodies are included.

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython.parallel cimport parallel, prange, threadid
from libc.float cimport FLT_MAX
from libc.math cimport cos, exp, fabs, floor, floorf, log, log1p, pow, sin, sqrt, tanh
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from sklearn_cnn._kernels.processor cimport is_forked_child, team_of

cdef extern from "vectors.h" nogil:
    ctypedef float real
    # Opaque to Cython, so that they are four different types; the macros work on all of them and change their first argument.
    ctypedef struct vector_wide:
        pass
    ctypedef struct vector_half:
        pass
    ctypedef struct vector_quarter:
        pass
    ctypedef struct vector_one:
        pass
    void MULTIPLY_ADD(...)
    void FORGET_ORIGIN(...)
    void PREFETCH(...)
    void ADD(...)
    void ADD_SQUARE(...)
    void SUM(...)
    void SUBTRACT(...)
    void MULTIPLY(...)
    void SCALE(...)
    void DIVIDE(...)
    void KEEP_MAXIMUM(...)
    void RECTIFY(...)
    void WHERE_POSITION(...)
    void KEEP_WHERE_POSITIVE(...)
    void LOAD_POSITIONS(...)
    void STORE_POSITIONS(...)
    void LOAD_FLOATS(...)
    void LOAD_DOUBLES(...)
    real square_root(real x)
    int is_not_zero(real value)
    void even_and_odd(vector_wide* even, vector_wide* odd, const real* source)
    void transpose_square(const real* source, Py_ssize_t source_row, real* target, Py_ssize_t target_row)
    enum:
        SQUARE_SIDE
        REAL_IS_DOUBLE
        VECTOR_BYTES
        VECTOR_REGISTERS
        LANES_WIDE
        LANES_HALF
        LANES_QUARTER
        USES_HALF
        USES_QUARTER
        TILE_ROWS
        TILE_ROWS_OF_THREE
        TILE_ROWS_OF_TWO
        TILE_ROWS_OF_ONE
        POOLED_WINDOWS
        POOLED_WINDOWS_OF_TWO
        SPARSE_VECTORS
        SHALLOW_TAPS

cdef extern from "powers.h" nogil:
    float power_of_two_float(int32_t exponent)
    double power_of_two_double(double shifted)

cdef extern from "environment.h" nogil:
    uint64_t enter_float_mode()
    void leave_float_mode(uint64_t saved)
    double seconds_now()
    double seconds_roughly()
    int openmp_max_threads()
    int built_with_openmp()

ctypedef fused vector:
    vector_wide
    vector_half
    vector_quarter
    vector_one

cdef enum:
    MAXIMUM_PIECES = 64
    UPDATE_NUMBERS = 1024       # of four arrays at once: penalty and update meet them in the first-level cache
    PORTION_WORK = 1 << 26      # multiply-adds of a pass forward, up to which a thread is left alone with a chunk
    LOSS_SAMPLES = 64           # after which to ask whether to go on
    PREPARED_SHARES = 16        # of the weights that an algorithm wants in another form
    SUMMED_NUMBERS = 4096       # of all chunks: a piece of their sum

cpdef enum:
    N_ZEROS = 1024              # to start sums from
    SERIAL_WORK = 4000000       # multiply-adds below which a parallel region costs more than it saves

cdef real[N_ZEROS] ZEROS

include "records.pxi"
include "areas.pxi"
include "regions.pxi"
include "interruption.pxi"
include "product.pxi"
include "small_maps.pxi"
include "transposition.pxi"
include "padding.pxi"
include "gathering.pxi"
include "random.pxi"
include "augmentation.pxi"
include "pointwise.pxi"
include "pooling.pxi"
include "pooled.pxi"
include "transforms.pxi"
include "tiles.pxi"
include "winograd.pxi"
include "winograd_backward.pxi"
include "planar.pxi"
include "bias.pxi"
include "convolution.pxi"
include "convolution_backward.pxi"
include "sparse.pxi"
include "small_lists.pxi"
include "shallow.pxi"
include "local.pxi"
include "patches.pxi"
include "dense.pxi"
include "loss.pxi"
include "update.pxi"
include "normalisation.pxi"
include "dropout.pxi"
include "network.pxi"
include "forward.pxi"
include "bands.pxi"
include "backward.pxi"
include "step.pxi"

memset(ZEROS, 0, sizeof(ZEROS))


#: What is added to a variance before its square root is taken.
EPSILON_OF_NORMALISATION = NORMALISATION_EPSILON


def describe():
    """What this build is: bytes of a number and of a vector, and whether OpenMP is in it."""
    return {"real_bytes": sizeof(real), "vector_bytes": int(VECTOR_BYTES), "openmp": bool(built_with_openmp())}


def max_threads():
    """Threads OpenMP would use now: OMP_NUM_THREADS and threadpoolctl are in it; 1 in a forked child."""
    return 1 if is_forked_child() else openmp_max_threads()


def layer_format():
    """An empty array whose dtype is that of the `Layer` record."""
    cdef Layer[1] records
    return (<Layer[:1]> records).copy()


def arena_format():
    """An array of one record whose dtype is that of `Arena`."""
    cdef Arena[1] records
    return (<Arena[:1]> records).copy()


def run_format():
    """An array of one record whose dtype is that of `Run`."""
    cdef Run[1] records
    return (<Run[:1]> records).copy()


include "pace.pxi"
include "session.pxi"


def predict(Session session not None, const real[::1] parameters, const real[::1] statistics, Rows X not None,
            const int64_t[::1] order, const real[::1] shift, const real[::1] factor, real[:, ::1] results, int n_threads):
    """Run samples through the network: the rows of X that `order` names, or all of them in their order.

    Their scores go to `results`, and may be more than the workspace has room for; without `results` they stay there."""
    cdef Network network
    cdef Batch batch
    cdef Interruption interruption
    cdef Py_ssize_t n_samples = X.n_rows if order is None else order.shape[0]
    cdef Py_ssize_t n_at_once = n_samples if results is None else min(n_samples, <Py_ssize_t> session.arena.capacity)
    cdef Py_ssize_t n_outputs = <Py_ssize_t> session.arena.n_outputs
    cdef Py_ssize_t first = 0
    connect(&network, &interruption, session, parameters, statistics, n_at_once, n_threads)
    describe_batch(&batch, &network, X, order, shift, factor)
    if results is not None and (results.shape[0] != n_samples or results.shape[1] != n_outputs):
        raise ValueError("results need one row for each sample and one number for each output")
    while first < n_samples:
        if n_samples - first < n_at_once:
            connect(&network, &interruption, session, parameters, statistics, n_samples - first, n_threads)
        with nogil:
            begin_call(&interruption)
            forward(&network, &batch)
            leave_float_mode(interruption.callers_mode)
        end_call(&interruption)
        if results is not None:
            memcpy(&results[first, 0], scores_of(&network, 0), sizeof(real) * <size_t> (network.n_samples * n_outputs))
        skip_samples(&batch, network.n_samples)
        first += network.n_samples
        if first < n_samples:
            PyErr_CheckSignals()    # a block may take less time than there is between two questions of the kernels


def backpropagate(Session session not None, const real[::1] parameters, const real[::1] statistics, Py_ssize_t n_samples,
                  real[::1] gradient, int n_threads):
    """From the gradients of the outputs, already in the workspace, to `gradient` and those of the inputs.

    The workspace must be that of the call of `predict` before."""
    cdef Network network
    cdef Interruption interruption
    cdef real* d_parameters = &gradient[0] if gradient.shape[0] > 0 else NULL
    connect(&network, &interruption, session, parameters, statistics, n_samples, n_threads)
    require_training(&network)
    if gradient.shape[0] != parameters.shape[0]:
        raise ValueError("gradient needs as many numbers as parameters")
    if n_samples == 0:
        gradient[:] = 0
        return
    with nogil:
        begin_call(&interruption)
        backward(&network, d_parameters)
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)


include "training.pxi"


def augment_images(Session session not None, const real[::1] parameters, const real[::1] statistics, Rows X not None,
                   const int64_t[::1] order not None, const real[::1] shift, const real[::1] factor,
                   dict augmentation_settings):
    """Gather the samples X[order] as `train` does; they are in the workspace as the first layer's input."""
    cdef Network network
    cdef Batch batch
    cdef Augmentation augmentation
    cdef Interruption interruption
    cdef Py_ssize_t i
    connect(&network, &interruption, session, parameters, statistics, order.shape[0], 1)
    describe_batch(&batch, &network, X, order, shift, factor)
    require_training(&network)
    describe_augmentation(&augmentation, network.layers, network.n_samples, augmentation_settings)
    batch.augmentation = &augmentation
    with nogil:
        begin_call(&interruption)
        for i in range(order.shape[0]):     # to be looked at: a few images, which need no threads
            gather_sample(&network, &batch, i, scratch_of(&network))
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)


include "copies.pxi"
include "channels.pxi"
