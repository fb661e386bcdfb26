# The boundary of the compiled code: arrays in, sizes checked once, one call. Everything below works on pointers, without the
# interpreter. The same file is built once for every number type and instruction set (see meson.build), each time as one
# translation unit, which is why the bodies are included.

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython.parallel cimport parallel, prange, threadid
from libc.math cimport cos, exp, fabs, floor, floorf, log, log1p, pow, sin, sqrt, tanh
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

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
    float power_of_two_float(int32_t exponent)
    real square_root(real x)
    int is_not_zero(real value)
    void transpose_square(const real* source, Py_ssize_t source_row, real* target, Py_ssize_t target_row)
    enum:
        SQUARE_SIDE
        REAL_IS_DOUBLE
        VECTOR_BYTES
        LANES_WIDE
        LANES_HALF
        LANES_QUARTER
        USES_HALF
        USES_QUARTER
        TILE_ROWS
        TILE_ROWS_OF_TWO
        TILE_ROWS_OF_ONE
        POOLED_WINDOWS
        POOLED_WINDOWS_OF_TWO
        SPARSE_VECTORS
        SHALLOW_TAPS

cdef extern from "environment.h" nogil:
    uint64_t enter_float_mode()
    void leave_float_mode(uint64_t saved)
    double seconds_now()
    int openmp_max_threads()
    int built_with_openmp()

ctypedef fused vector:
    vector_wide
    vector_half
    vector_quarter
    vector_one

cdef enum:
    N_ZEROS = 1024
    MAXIMUM_PIECES = 64
    UPDATE_NUMBERS = 1024       # of four arrays at once: penalty and update meet them in the first-level cache
    PORTION_WORK = 1 << 26      # multiply-adds of a pass forward, up to which a thread is left alone with a chunk
    LOSS_SAMPLES = 64           # after which to ask whether to go on
    PREPARED_SHARES = 16        # of the weights that an algorithm wants in another form
    SUMMED_NUMBERS = 4096       # of all chunks: a piece of their sum

cpdef enum:
    SERIAL_WORK = 4000000       # multiply-adds below which a parallel region costs more than it saves

cdef real[N_ZEROS] ZEROS

include "records.pxi"
include "areas.pxi"
include "regions.pxi"
include "interruption.pxi"
include "product.pxi"
include "transposition.pxi"
include "padding.pxi"
include "gathering.pxi"
include "random.pxi"
include "augmentation.pxi"
include "pointwise.pxi"
include "pooling.pxi"
include "pooled.pxi"
include "winograd.pxi"
include "planar.pxi"
include "convolution.pxi"
include "sparse.pxi"
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


# Records come as rows of 64-bit integers, which all their fields are: to compare the formats of structs in every call would take
# longer than a small network.
ctypedef const int64_t[:, ::1] Table


cdef inline const Layer* layers_in(Table table) noexcept nogil:
    return <const Layer*> &table[0, 0]


cdef inline const Run* runs_in(Table table) noexcept nogil:
    return <const Run*> &table[0, 0] if table.shape[0] > 0 else NULL


cdef inline bint holds(Table table, size_t record_size) noexcept nogil:
    return table.shape[1] * sizeof(int64_t) == record_size


cdef const Arena* arena_in(Table table) except NULL:
    if table.shape[0] != 1 or not holds(table, sizeof(Arena)):
        raise ValueError("the arena is one record")
    return <const Arena*> &table[0, 0]


cdef int connect(Network* network, Interruption* interruption, Table layers, Table arena, Table runs,
                 const real[::1] parameters, const real[::1] statistics, real[::1] workspace, uint8_t[::1] positions,
                 Py_ssize_t n_samples, int n_threads) except -1:
    """Check the sizes of the blocks against the plan and take their addresses."""
    cdef const Arena* sizes
    sizes = arena_in(arena)
    if (layers.shape[0] != sizes.n_layers or layers.shape[0] < 1 or not holds(layers, sizeof(Layer))
            or not holds(runs, sizeof(Run))):
        raise ValueError("the arena does not belong to these layers and runs")
    if parameters.shape[0] != sizes.n_parameters:
        raise ValueError(f"parameters has {parameters.shape[0]} numbers, the network has {sizes.n_parameters}")
    if statistics.shape[0] != sizes.n_statistics:
        raise ValueError(f"statistics has {statistics.shape[0]} numbers, the network has {sizes.n_statistics}")
    if workspace.shape[0] < sizes.n_numbers or n_samples > sizes.capacity or n_samples < 0:
        raise ValueError(f"the workspace has room for {sizes.capacity} samples, not {n_samples}")
    if positions is not None and positions.shape[0] < sizes.n_positions * sizes.capacity:
        raise ValueError("the workspace has no room for the positions of the maxima")
    if n_threads < 1 or sizes.n_threads < 1:
        raise ValueError(f"{n_threads} threads were asked for, the workspace has scratch for {sizes.n_threads}; one at least")
    network.interruption = interruption
    network.layers = layers_in(layers)
    network.arena = sizes
    network.runs = runs_in(runs)
    network.parameters = &parameters[0] if parameters.shape[0] > 0 else NULL
    network.workspace = &workspace[0]
    network.positions = <char*> &positions[0] if positions is not None and positions.shape[0] > 0 else NULL
    network.n_samples = n_samples
    network.n_threads = min(n_threads, <int> sizes.n_threads)
    network.first_dense, network.direction = 0, -1
    while network.first_dense < sizes.n_layers and network.layers[network.first_dense].kind != DENSE:
        network.first_dense += 1
    network.statistics = <real*> &statistics[0] if statistics.shape[0] > 0 else NULL
    network.order, network.sample_weight = NULL, NULL
    network.weight_sum = 0.0
    network.statistics_steps = network.first_place = 0
    network.seed, network.step = 0, 0
    network.is_training = False
    network.n_threads = team_of(1 if is_forked_child() else useful_threads(network))
    network.n_chunks = cut_into_chunks(network)
    return 0


cdef int check_rows(const int64_t[::1] order, Py_ssize_t n_rows) except -1:
    cdef Py_ssize_t i
    for i in range(order.shape[0]):
        if order[i] < 0 or order[i] >= n_rows:
            raise ValueError(f"row {order[i]} was asked for, there are {n_rows}")
    return 0


cdef int describe_batch(Batch* batch, const Network* network, const uint8_t[:, ::1] X, int64_t number_type,
                        const int64_t[::1] order, const real[::1] shift, const real[::1] factor) except -1:
    """Check the mini-batch's rows and take their addresses. X: the bytes of the rows."""
    cdef int64_t size = 1 if number_type == 0 else 4 if number_type == 1 else 8
    cdef Py_ssize_t n_inputs = network.arena.n_inputs
    if number_type < 0 or number_type > 2 or X.shape[1] != n_inputs * size:
        raise ValueError(f"a row of X has {X.shape[1]} bytes, {n_inputs} numbers of {size} bytes were expected")
    if n_inputs != input_size(network.layers):
        raise ValueError("the arena does not belong to these layers")
    if shift.shape[0] != factor.shape[0] or shift.shape[0] != 1 and shift.shape[0] != network.layers.channels:
        raise ValueError("shift and factor need one number per channel, or one for all")
    check_rows(order, X.shape[0])
    batch.rows = <const char*> &X[0, 0] if X.shape[0] > 0 else NULL
    batch.order = &order[0] if order.shape[0] > 0 else NULL
    batch.row_bytes = X.shape[1]
    batch.number_type = number_type
    batch.augmentation = NULL
    set_scaling(batch, &shift[0], &factor[0], shift.shape[0])
    return 0


def predict(Table layers, Table arena, Table runs, const real[::1] parameters, const real[::1] statistics, real[::1] workspace,
            uint8_t[::1] positions, const uint8_t[:, ::1] X, int64_t number_type, const int64_t[::1] order,
            const real[::1] shift, const real[::1] factor, int n_threads):
    """Run the samples X[order] through the network; results are in the workspace."""
    cdef Network network
    cdef Batch batch
    cdef Interruption interruption
    connect(&network, &interruption, layers, arena, runs, parameters, statistics, workspace, positions, order.shape[0], n_threads)
    describe_batch(&batch, &network, X, number_type, order, shift, factor)
    if order.shape[0] == 0:
        return
    with nogil:
        begin_call(&interruption)
        forward(&network, &batch)
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)


def backpropagate(Table layers, Table arena, Table runs, const real[::1] parameters, const real[::1] statistics,
                  real[::1] workspace, uint8_t[::1] positions, Py_ssize_t n_samples, real[::1] gradient, int n_threads):
    """From the gradients of the outputs, already in the workspace, to `gradient` and those of the inputs.

    The workspace must be that of the call of `predict` before."""
    cdef Network network
    cdef Interruption interruption
    cdef real* d_parameters = &gradient[0] if gradient.shape[0] > 0 else NULL
    connect(&network, &interruption, layers, arena, runs, parameters, statistics, workspace, positions, n_samples, n_threads)
    if gradient.shape[0] != parameters.shape[0] or network.arena.gradients_at < 0:
        raise ValueError("gradient needs as many numbers as parameters, and a workspace made for training")
    if network.positions == NULL and network.arena.n_positions > 0:
        raise ValueError("the positions of the maxima are needed to go backward")
    if n_samples == 0:
        gradient[:] = 0
        return
    with nogil:
        begin_call(&interruption)
        backward(&network, d_parameters)
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)


include "training.pxi"


def augment_images(Table layers, Table arena, Table runs, const real[::1] parameters, const real[::1] statistics,
                   real[::1] workspace, const uint8_t[:, ::1] X, int64_t number_type, const int64_t[::1] order,
                   const real[::1] shift, const real[::1] factor, dict augmentation_settings):
    """Gather the samples X[order] as `train` does; they are in the workspace as the first layer's input."""
    cdef Network network
    cdef Batch batch
    cdef Augmentation augmentation
    cdef Interruption interruption
    cdef Py_ssize_t i
    connect(&network, &interruption, layers, arena, runs, parameters, statistics, workspace, None, order.shape[0], 1)
    describe_batch(&batch, &network, X, number_type, order, shift, factor)
    if network.arena.gradients_at < 0:
        raise ValueError("this workspace was made for prediction only")
    describe_augmentation(&augmentation, network.layers, network.n_samples, augmentation_settings)
    batch.augmentation = &augmentation
    with nogil:
        begin_call(&interruption)
        for i in range(order.shape[0]):     # to be looked at: a few images, which need no threads
            gather_sample(&network, &batch, i, scratch_of(&network))
        leave_float_mode(interruption.callers_mode)
    end_call(&interruption)


include "copies.pxi"
