/* What a process can compute with: threads after a fork, threads at all, and the instructions of its processor. */
#ifndef SKLEARN_CNN_PROCESSOR_H
#define SKLEARN_CNN_PROCESSOR_H

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

/* Where a thread cannot be started (a limit on processes, a container's, or no address space for its stack), OpenMP's libraries end
 * the process. So before a calling thread's team grows, as many threads are started here and ended again; where that fails, the team
 * is as large as it can be. A team of the same size, or a smaller one, needs no threads that are not there already. */
#if defined(__unix__) || defined(__APPLE__)
#include <stdlib.h>
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t end;
    int may_end;
} Waiting;
static void *wait_for_end(void *argument)
{
    Waiting *waiting = (Waiting *)argument;
    pthread_mutex_lock(&waiting->mutex);
    while (!waiting->may_end)
        pthread_cond_wait(&waiting->end, &waiting->mutex);
    pthread_mutex_unlock(&waiting->mutex);
    return NULL;
}
static int start_threads(int n)
{
    Waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    pthread_t *threads = (pthread_t *)malloc((size_t)n * sizeof(pthread_t));
    int started = 0, i;
    while (threads != NULL && started < n && pthread_create(&threads[started], NULL, wait_for_end, &waiting) == 0)
        started++;
    pthread_mutex_lock(&waiting.mutex);
    waiting.may_end = 1;
    pthread_cond_broadcast(&waiting.end);
    pthread_mutex_unlock(&waiting.mutex);
    for (i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    return started;
}
static inline int start_team(int n_threads)
{
    static __thread int size_of_team = 1;
    if (n_threads > size_of_team)
        n_threads = 1 + start_threads(n_threads - 1);
    if (n_threads > 1)
        size_of_team = n_threads;
    return n_threads;
}
#else
static inline int start_team(int n_threads) { return n_threads; }
#endif

/* 1: baseline only, 2: NEON (every 64-bit ARM), 3: x86-64-v3 (AVX2, FMA), 4: x86-64-v4 (AVX-512) */
static inline int processor_level(void)
{
#if defined(__aarch64__) || defined(_M_ARM64)
    return 2;
#elif defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
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
