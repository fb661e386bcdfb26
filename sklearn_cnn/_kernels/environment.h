/* What surrounds the arithmetic: the floating-point mode, forked children and the processor's instruction set. */
#ifndef SKLEARN_CNN_ENVIRONMENT_H
#define SKLEARN_CNN_ENVIRONMENT_H

#include <stdint.h>

/* Subnormal numbers are flushed to zero inside a kernel, on every thread, and the caller's mode (its exception flags too)
 * comes back afterwards. OpenMP's pooled threads do not inherit the mode, so each region sets it itself; otherwise results
 * would depend on which thread a chunk fell to. */
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
static inline uint64_t enter_flush_to_zero(void)
{
    uint64_t saved = _mm_getcsr();
    _mm_setcsr((uint32_t)saved | 0x8040u);
    return saved;
}
static inline void leave_flush_to_zero(uint64_t saved) { _mm_setcsr((uint32_t)saved); }
#elif defined(__aarch64__) && defined(__GNUC__)
static inline uint64_t enter_flush_to_zero(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved | (1u << 24)));
    return saved;
}
static inline void leave_flush_to_zero(uint64_t saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }
#else
static inline uint64_t enter_flush_to_zero(void) { return 0; }
static inline void leave_flush_to_zero(uint64_t saved) { (void)saved; }
#endif

/* libgomp's threads do not survive fork: a child that opens a parallel region after its parent did hangs for ever.
 * So a forked child computes on one thread. */
static volatile int running_in_forked_child = 0;
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
static void note_fork(void) { running_in_forked_child = 1; }
static inline int watch_forks(void) { return pthread_atfork(0, 0, note_fork); }
#else
static inline int watch_forks(void) { return 0; }
#endif
static inline int is_forked_child(void) { return running_in_forked_child; }

#ifdef _OPENMP
#include <omp.h>
static inline int openmp_max_threads(void) { return omp_get_max_threads(); }
static inline int built_with_openmp(void) { return 1; }
#else
static inline int openmp_max_threads(void) { return 1; }
static inline int built_with_openmp(void) { return 0; }
#endif

/* 1: baseline only, 3: x86-64-v3 (AVX2, FMA), 4: x86-64-v4 (AVX-512) */
static inline int processor_level(void)
{
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")))
        return 1;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 4;
    return 3;
#else
    return 1;
#endif
}

#endif
