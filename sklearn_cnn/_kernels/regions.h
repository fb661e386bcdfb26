/* What the parallel regions did: into how many pieces their work was cut, and how many threads shared these.
 *
 * A thread that calls kernels has a record of its own. In a region only the first thread writes, and that is the thread that
 * called, so calls from several threads at once never meet. The size of the team is asked for inside the region: OpenMP may give
 * fewer threads than it was asked for. */
#ifndef SKLEARN_CNN_REGIONS_H
#define SKLEARN_CNN_REGIONS_H

#include <stdint.h>
#include "environment.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif

enum region {
    FORWARD_CHUNKS, FORWARD_BANDS, BACKWARD_CHUNKS, LOCAL_WEIGHTS, DENSE_FORWARD, DENSE_BACKWARD, UPDATE_PIECES,
    PADDED_IMAGES, UNPADDED_IMAGES, PATCHES_OF_IMAGES, IMAGES_OF_PATCHES, N_REGIONS
};
typedef struct {
    int64_t pieces;  /* of all regions of this kind */
    int64_t threads; /* of the region that had most */
} RegionRecord;
static THREAD_LOCAL RegionRecord region_records[N_REGIONS];

static inline void record_region(int region, int64_t pieces)
{
    int64_t threads = 1;
#ifdef _OPENMP
    if (omp_get_thread_num() != 0)
        return;
    threads = omp_get_num_threads();
#endif
    if (threads > pieces)
        threads = pieces;
    region_records[region].pieces += pieces;
    if (region_records[region].threads < threads)
        region_records[region].threads = threads;
}

/* What every thread of a region does first and last: it has the floating-point mode that all numbers are computed in. */
static inline uint64_t begin_region(int region, int64_t pieces)
{
    record_region(region, pieces);
    return enter_float_mode();
}
static inline void end_region(uint64_t callers_mode) { leave_float_mode(callers_mode); }

static inline RegionRecord take_region_record(int region)
{
    RegionRecord taken = region_records[region];
    region_records[region].pieces = region_records[region].threads = 0;
    return taken;
}

#endif
