# What the parallel regions did, so that tests can know that threads ran.

cdef extern from "regions.h" nogil:
    enum:
        FORWARD_CHUNKS
        FORWARD_BANDS
        BACKWARD_CHUNKS
        LOCAL_WEIGHTS
        DENSE_FORWARD
        DENSE_BACKWARD
        UPDATE_PIECES
        PADDED_IMAGES
        UNPADDED_IMAGES
        PATCHES_OF_IMAGES
        IMAGES_OF_PATCHES
    ctypedef struct RegionRecord:
        int64_t pieces
        int64_t threads
    void record_region(int region, int64_t pieces)
    uint64_t begin_region(int region, int64_t pieces)
    void end_region(uint64_t callers_mode)
    RegionRecord take_region_record(int region)


def take_region_records():
    """Which parallel regions the calling thread's kernels have run since it last asked: {name: (pieces, threads)}.

    pieces: into how many the work of all regions of this name was cut. threads: how many shared them, counted inside the region
    that had most; no more than it had pieces."""
    records = {}
    for name, region in (
            ("forward_chunks", FORWARD_CHUNKS), ("forward_bands", FORWARD_BANDS), ("backward_chunks", BACKWARD_CHUNKS),
            ("local_weights", LOCAL_WEIGHTS), ("dense_forward", DENSE_FORWARD), ("dense_backward", DENSE_BACKWARD),
            ("update", UPDATE_PIECES), ("pad_images", PADDED_IMAGES), ("unpad_images", UNPADDED_IMAGES),
            ("patches_of_images", PATCHES_OF_IMAGES), ("images_of_patches", IMAGES_OF_PATCHES)):
        record = take_region_record(region)
        if record.pieces > 0:
            records[name] = record.pieces, record.threads
    return records
