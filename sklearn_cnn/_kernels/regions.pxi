# Work that threads share: a job and its pieces. And what these parallel regions did, so that tests can know that threads ran, and
# benchmarks how much of the time was spent there.

cdef extern from "regions.h" nogil:
    enum:
        PREPARED_LAYERS
        FORWARD_CHUNKS
        FORWARD_BANDS
        BACKWARD_CHUNKS
        CHUNK_SUMS
        LOCAL_WEIGHTS
        DENSE_FORWARD
        DENSE_BACKWARD
        UPDATE_PIECES
        PADDED_IMAGES
        UNPADDED_IMAGES
        PATCHES_OF_IMAGES
        IMAGES_OF_PATCHES
    ctypedef struct RegionRecord:
        int64_t calls
        int64_t pieces
        int64_t threads
        double seconds
    int regions_are_timed
    void record_region(int region, int64_t pieces)
    uint64_t begin_region(int region, int64_t pieces)
    void end_region(uint64_t callers_mode)
    RegionRecord take_region_record(int region)


ctypedef void (*Work)(const void* job, Py_ssize_t piece) noexcept nogil


cdef void alone(int region, Py_ssize_t n_pieces, Work work, const void* job) noexcept nogil:
    # Without OpenMP, which makes a team of one, too, and wakes nobody: 0.2 to 0.4 us, as long as a small layer takes.
    cdef uint64_t mode = begin_region(region, n_pieces)
    cdef Py_ssize_t piece
    for piece in range(n_pieces):
        work(job, piece)
    end_region(mode)


cdef void take_in_turn(int region, int n_threads, Py_ssize_t n_pieces, Work work, const void* job) noexcept nogil:
    """All pieces of a job; a thread that is done with one takes the next."""
    cdef uint64_t mode = 0
    cdef Py_ssize_t piece
    if n_threads <= 1 or n_pieces <= 1:
        alone(region, n_pieces, work, job)
        return
    with parallel(num_threads=n_threads):
        mode = begin_region(region, n_pieces)
        for piece in prange(n_pieces, schedule="dynamic", chunksize=1):
            work(job, piece)
        end_region(mode)


cdef void divide(int region, int n_threads, Py_ssize_t n_pieces, Work work, const void* job) noexcept nogil:
    """The same with pieces of one size: every thread has as many, side by side, and the same ones every time."""
    cdef uint64_t mode = 0
    cdef Py_ssize_t piece
    if n_threads <= 1 or n_pieces <= 1:
        alone(region, n_pieces, work, job)
        return
    with parallel(num_threads=n_threads):
        mode = begin_region(region, n_pieces)
        for piece in prange(n_pieces, schedule="static"):
            work(job, piece)
        end_region(mode)


cdef tuple REGION_NAMES = (
    ("prepared_layers", PREPARED_LAYERS), ("forward_chunks", FORWARD_CHUNKS), ("forward_bands", FORWARD_BANDS),
    ("backward_chunks", BACKWARD_CHUNKS), ("chunk_sums", CHUNK_SUMS),
    ("local_weights", LOCAL_WEIGHTS), ("dense_forward", DENSE_FORWARD), ("dense_backward", DENSE_BACKWARD),
    ("update", UPDATE_PIECES), ("pad_images", PADDED_IMAGES), ("unpad_images", UNPADDED_IMAGES),
    ("patches_of_images", PATCHES_OF_IMAGES), ("images_of_patches", IMAGES_OF_PATCHES))


def take_region_records():
    """Which parallel regions the calling thread's kernels have run since it last asked: {name: (pieces, threads)}.

    pieces: into how many the work of all regions of this name was cut. threads: how many shared them, counted inside the region
    that had most; no more than it had pieces."""
    return {name: (record["pieces"], record["threads"]) for name, record in take_region_times().items() if record["pieces"] > 0}


def take_region_times():
    """The same with more: {name: {"calls", "pieces", "threads", "seconds"}}; there are seconds only after `time_regions`.

    They are those of the calling thread, which does not wait for the others there."""
    records = {}
    for name, region in REGION_NAMES:
        record = take_region_record(region)
        if record.calls > 0:
            records[name] = record
    return records


def time_regions(bint are_timed):
    """Choose whether the parallel regions of all threads are timed."""
    global regions_are_timed
    regions_are_timed = are_timed
