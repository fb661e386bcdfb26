/* What the parallel regions did: into how many pieces their work was cut, how many threads shared these, and how long it took.
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
    PREPARED_LAYERS, FORWARD_CHUNKS, FORWARD_BANDS, BACKWARD_CHUNKS, CHUNK_SUMS, LOCAL_WEIGHTS, DENSE_FORWARD, DENSE_BACKWARD,
    UPDATE_PIECES,
    PADDED_IMAGES, UNPADDED_IMAGES, PATCHES_OF_IMAGES, IMAGES_OF_PATCHES, N_REGIONS
};
typedef struct {
    int64_t calls;
    int64_t pieces;  /* of all regions of this kind */
    int64_t threads; /* of the region that had most */
    double seconds;  /* of the first thread, where regions are timed */
} RegionRecord;
static THREAD_LOCAL RegionRecord region_records[N_REGIONS];

/* To ask the clock twice in every region would take a share of a small network's time, so a benchmark has to ask for it. */
static int regions_are_timed;
static THREAD_LOCAL int region_at_hand;
static THREAD_LOCAL double region_began;

static inline int is_first_thread(void)
{
#ifdef _OPENMP
    return omp_get_thread_num() == 0;
#else
    return 1;
#endif
}

static inline void record_region(int region, int64_t pieces)
{
    int64_t threads = 1;
    if (!is_first_thread())
        return;
#ifdef _OPENMP
    threads = omp_get_num_threads();
#endif
    region_records[region].calls += 1;
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
    if (regions_are_timed && is_first_thread()) {
        region_at_hand = region;
        region_began = seconds_now();
    }
    return enter_float_mode();
}
static inline void end_region(uint64_t callers_mode)
{
    leave_float_mode(callers_mode);
    if (regions_are_timed && is_first_thread())
        region_records[region_at_hand].seconds += seconds_now() - region_began;
}

static inline RegionRecord take_region_record(int region)
{
    RegionRecord taken = region_records[region];
    region_records[region] = (RegionRecord){0};
    return taken;
}

#endif
