/* What surrounds the arithmetic of a kernel: the floating-point mode, the clock, and OpenMP. */
#ifndef SKLEARN_CNN_ENVIRONMENT_H
#define SKLEARN_CNN_ENVIRONMENT_H

#include <stdint.h>

/* The mode that all numbers are computed in: rounding to nearest, no traps, and subnormal numbers flushed to zero where the processor
 * can. It is set as a whole, whatever the caller's mode is, and that (its exception flags too) comes back afterwards. OpenMP's pooled
 * threads inherit nothing, so each region sets it on every thread; otherwise results would depend on who computes them. */
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define FLOAT_MODE 0x9fc0u /* MXCSR: all exceptions masked (0x1f80), flush to zero (0x8000), denormals are zero (0x0040) */
static inline uint64_t enter_float_mode(void)
{
    uint64_t saved = _mm_getcsr();
    _mm_setcsr(FLOAT_MODE);
    return saved;
}
static inline void leave_float_mode(uint64_t saved) { _mm_setcsr((uint32_t)saved); }
#elif defined(__aarch64__) && defined(__GNUC__)
#define FLOAT_MODE ((uint64_t)1 << 24) /* FPCR: flush to zero, and nothing else */
static inline uint64_t enter_float_mode(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(FLOAT_MODE));
    return saved;
}
static inline void leave_float_mode(uint64_t saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }
#else
#include <fenv.h>
static inline uint64_t enter_float_mode(void)
{
    int saved = fegetround();
    fesetround(FE_TONEAREST);
    return (uint64_t)saved;
}
static inline void leave_float_mode(uint64_t saved) { fesetround((int)saved); }
#endif

/* Seconds of a clock that never goes back. `seconds_roughly` is right to some milliseconds, and read in a fifth of the time. */
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
static inline double seconds_now(void)
{
    LARGE_INTEGER ticks, ticks_of_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&ticks_of_second);
    return (double)ticks.QuadPart / (double)ticks_of_second.QuadPart;
}
static inline double seconds_roughly(void) { return 1e-3 * (double)GetTickCount64(); }
#else
#include <time.h>
static inline double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static inline double seconds_now(void) { return seconds_of(CLOCK_MONOTONIC); }
#ifdef CLOCK_MONOTONIC_COARSE
static inline double seconds_roughly(void) { return seconds_of(CLOCK_MONOTONIC_COARSE); }
#else
static inline double seconds_roughly(void) { return seconds_now(); }
#endif
#endif

#ifdef _OPENMP
#include <omp.h>
static inline int openmp_max_threads(void) { return omp_get_max_threads(); }
static inline int built_with_openmp(void) { return 1; }
#else
static inline int openmp_max_threads(void) { return 1; }
static inline int built_with_openmp(void) { return 0; }
#endif

#endif
