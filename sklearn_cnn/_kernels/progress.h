/* Places in a line of work that threads take in turn. Whoever has one may wait until all of the first n have been left.
 *
 * A place is left after its results have been written, and who waited for it reads them. OpenMP's loops and barriers would make
 * every thread wait for every other, also for one that has had no processor yet; here it is waited for at the end alone. */
#ifndef SKLEARN_CNN_PROGRESS_H
#define SKLEARN_CNN_PROGRESS_H

#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define FETCH_AND_ADD(number, more) _InterlockedExchangeAdd64(number, more)
#define READ(number) _InterlockedExchangeAdd64(number, 0)
#else
#define FETCH_AND_ADD(number, more) __atomic_fetch_add(number, more, __ATOMIC_ACQ_REL)
#define READ(number) __atomic_load_n(number, __ATOMIC_ACQUIRE)
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#else
#define PAUSE() ((void)0)
#endif

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#define LET_OTHERS_RUN() SwitchToThread()
#else
#include <sched.h>
#define LET_OTHERS_RUN() sched_yield()
#endif

#define ROUNDS_OF_WAITING 200 /* some microseconds, then others may have the processor */

typedef struct {
    int64_t taken;
    int64_t apart[15]; /* who takes a place does not take the other number's cache line */
    int64_t left;
} Progress;

static inline void begin_progress(Progress *progress) { progress->taken = progress->left = 0; }
static inline int64_t take_place(Progress *progress) { return FETCH_AND_ADD(&progress->taken, 1); }
static inline void leave_place(Progress *progress) { FETCH_AND_ADD(&progress->left, 1); }
static inline void wait_for_places(Progress *progress, int64_t n)
{
    int rounds = 0;
    while (READ(&progress->left) < n) {
        if (rounds < ROUNDS_OF_WAITING) {
            rounds++;
            PAUSE();
        } else {
            LET_OTHERS_RUN();
        }
    }
}

#endif
