/* How long a cache line takes to another processor and back: two threads answer each other through two of them. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

static _Alignas(128) atomic_long asked;
static _Alignas(128) atomic_long answered;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

/* Who waits for a thread that has no processor makes room for it. */
static void wait_for(atomic_long *number, long value) {
    for (long rounds = 1; atomic_load_explicit(number, memory_order_acquire) != value; rounds++)
        if (rounds % 10000 == 0)
            sched_yield();
}

static void *answer(void *count) {
    for (long number = 1; number <= *(long *) count; number++) {
        wait_for(&asked, number);
        atomic_store_explicit(&answered, number, memory_order_release);
    }
    return 0;
}

/* Seconds of a round trip, of the second half of so many; below zero where there is no second thread. */
double round_trip(long count) {
    pthread_t thread;
    double began = 0.0, seconds;
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    if (pthread_create(&thread, 0, answer, &count) != 0)
        return -1.0;
    for (long number = 1; number <= count; number++) {
        if (number == count / 2 + 1) /* in the first half the thread may still be on its way to a processor of its own */
            began = now();
        atomic_store_explicit(&asked, number, memory_order_release);
        wait_for(&answered, number);
    }
    seconds = now() - began;
    pthread_join(thread, 0);
    return seconds / (double) (count - count / 2);
}
