/* What a process can compute with: threads after a fork, threads at all, and the instructions of its processor. */
#ifndef SKLEARN_CNN_PROCESSOR_H
#define SKLEARN_CNN_PROCESSOR_H

/* libgomp's threads do not survive fork: a child that opens a parallel region after its parent did hangs for ever.
 * So a forked child computes on one thread. */
static volatile int running_in_forked_child = 0;
#if defined(__unix__) || defined(__APPLE__)
#include <ctype.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
static void note_fork(void) { running_in_forked_child = 1; }
static inline int watch_forks(void) { return pthread_atfork(0, 0, note_fork); }
#else
static inline int watch_forks(void) { return 0; }
#endif

/* Where a thread cannot be started (a limit on processes, a container's, or no address space for its stack), OpenMP's libraries end
 * the process. So before a calling thread's team grows, as many threads are started here and ended again; where that fails, the team
 * is as large as it can be. A team of the same size, or a smaller one, needs no threads that are not there already. */
#if defined(__unix__) || defined(__APPLE__)
/* The size of a stack as a variable of OpenMP states it: a number and B, K, M or G, of KiB without a letter. 0 where it states none. */
static size_t stated_size(const char *variable)
{
    const char *text = getenv(variable);
    unsigned long long number;
    char *end;
    int shift = 10;
    while (text != NULL && isspace((unsigned char)*text))
        text++;
    if (text == NULL || !isdigit((unsigned char)*text))
        return 0;
    number = strtoull(text, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    switch (tolower((unsigned char)*end)) {
    case 'b': shift = 0; end++; break;
    case 'k': end++; break;
    case 'm': shift = 20; end++; break;
    case 'g': shift = 30; end++; break;
    }
    while (isspace((unsigned char)*end))
        end++;
    return *end != 0 || number > (SIZE_MAX >> shift) ? 0 : (size_t)number << shift;
}
/* Stacks of OpenMP's threads, 0 where the system's size is theirs. It is read at import, as OpenMP's libraries do: a change afterwards
 * is none to them. */
static size_t stack_size = 0;
static inline void read_stack_size(void)
{
    static const char *variables[] = {"OMP_STACKSIZE", "GOMP_STACKSIZE", "KMP_STACKSIZE"};
    size_t i, size;
    for (i = 0; i < sizeof variables / sizeof *variables; i++) {
        size = stated_size(variables[i]);
        stack_size = size > stack_size ? size : stack_size;
    }
}
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
    pthread_attr_t attributes;
    int started = 0, i;
    if (threads == NULL || pthread_attr_init(&attributes) != 0) {
        free(threads);
        return 0;
    }
    if (stack_size > 0)
        (void)pthread_attr_setstacksize(&attributes, stack_size); /* fails for a size that OpenMP's libraries can't have either */
    while (started < n && pthread_create(&threads[started], &attributes, wait_for_end, &waiting) == 0)
        started++;
    pthread_attr_destroy(&attributes);
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
static inline void read_stack_size(void) {}
static inline int start_team(int n_threads) { return n_threads; }
#endif

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
/* What a processor of x86-64 has, as the instruction cpuid says it: bits of a register, for the number of a question. What compilers
 * offer for it, __builtin_cpu_supports, looks into a library of theirs, which clang-cl does not link. */
enum {
    /* question 1, ecx */
    HAS_FMA = 1u << 12,
    HAS_MOVBE = 1u << 22,
    HAS_XGETBV = 1u << 27, /* OSXSAVE: the system lets programs ask which registers it keeps */
    HAS_AVX = 1u << 28,
    HAS_F16C = 1u << 29,
    /* question 7, ebx */
    HAS_BMI1 = 1u << 3,
    HAS_AVX2 = 1u << 5,
    HAS_BMI2 = 1u << 8,
    HAS_AVX512F = 1u << 16,
    HAS_AVX512DQ = 1u << 17,
    HAS_AVX512CD = 1u << 28,
    HAS_AVX512BW = 1u << 30,
    /* question 0x80000001, ecx */
    HAS_LZCNT = 1u << 5,
    /* xgetbv: which registers of a thread the system keeps while another one runs */
    KEEPS_16_BYTES = 1u << 1,
    KEEPS_32_BYTES = 1u << 2,
    KEEPS_MASKS = 1u << 5,
    KEEPS_64_BYTES = 1u << 6, /* of the first sixteen registers */
    KEEPS_16_MORE = 1u << 7 /* the other sixteen */
};
#define HAS_AVX512VL (1u << 31) /* question 7, ebx; an enumerator is an int, which has no such bit */

typedef struct {
    unsigned basic, extended, more, kept; /* the answers to questions 1, 7 and 0x80000001, and xgetbv's */
} Processor;

/* A level may be taken if all is there that -march=x86-64-v3 or -v4 lets the compiler write. What these need besides is older than
 * AVX2, and every processor with AVX2 has it. */
static inline int level_of(Processor has)
{
    const unsigned basic = HAS_FMA | HAS_MOVBE | HAS_XGETBV | HAS_AVX | HAS_F16C, extended = HAS_BMI1 | HAS_AVX2 | HAS_BMI2,
                   kept = KEEPS_16_BYTES | KEEPS_32_BYTES,
                   extended_512 = HAS_AVX512F | HAS_AVX512DQ | HAS_AVX512CD | HAS_AVX512BW | HAS_AVX512VL,
                   kept_512 = KEEPS_MASKS | KEEPS_64_BYTES | KEEPS_16_MORE;
    if ((has.basic & basic) != basic || (has.extended & extended) != extended || (has.kept & kept) != kept || !(has.more & HAS_LZCNT))
        return 1;
    return (has.extended & extended_512) == extended_512 && (has.kept & kept_512) == kept_512 ? 4 : 3;
}

static inline void ask_processor(unsigned question, unsigned *eax, unsigned *ebx, unsigned *ecx)
{
    unsigned edx;
    __asm__ volatile("cpuid" : "=a"(*eax), "=b"(*ebx), "=c"(*ecx), "=d"(edx) : "a"(question), "c"(0));
}

static inline Processor this_processor(void)
{
    Processor has = {0, 0, 0, 0};
    unsigned last, last_more, eax, ebx, ecx, edx;
    ask_processor(0, &last, &ebx, &ecx); /* a question beyond the last is answered with anything */
    ask_processor(0x80000000u, &last_more, &ebx, &ecx);
    if (last < 7 || last_more < 0x80000001u)
        return has;
    ask_processor(1, &eax, &ebx, &has.basic);
    ask_processor(7, &eax, &has.extended, &ecx);
    ask_processor(0x80000001u, &eax, &ebx, &has.more);
    if (has.basic & HAS_XGETBV)
        __asm__ volatile("xgetbv" : "=a"(has.kept), "=d"(edx) : "c"(0));
#if defined(__APPLE__)
    /* macOS begins to keep the registers of AVX-512 when a thread first uses them, and says so only then. */
    has.kept |= KEEPS_MASKS | KEEPS_64_BYTES | KEEPS_16_MORE;
#endif
    return has;
}
#endif

/* 1: baseline only, 2: NEON (every 64-bit ARM), 3: x86-64-v3 (AVX2, FMA), 4: x86-64-v4 (AVX-512) */
static inline int processor_level(void)
{
#if defined(__aarch64__) || defined(_M_ARM64)
    return 2;
#elif defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    return level_of(this_processor());
#else
    return 1;
#endif
}

#endif
