/* A processor that denies that it has AVX-512: see without_avx512.py.
 *
 * Where a library asks the processor what it has, the instruction cpuid has been replaced by ud2, which is as long. ud2 raises a
 * signal, and the signal's handler asks in its place, and leaves AVX-512 out of the answer. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* Bits of the answer to question 7 that say AVX-512 or one of its extensions, AMX or AVX-VNNI: no processor without AVX-512 that is
 * meant here has them. */
static const unsigned EBX = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const unsigned ECX = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const unsigned EDX = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
static const unsigned EAX_1 = 1u << 4 | 1u << 5 | 1u << 21 | 1u << 22; /* of its second part */
static const unsigned EDX_1 = 1u << 19 | 1u << 21;

static struct sigaction before;

static void answer(int number, siginfo_t *info, void *argument)
{
    greg_t *registers = ((ucontext_t *)argument)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    unsigned question = (unsigned)registers[REG_RAX], part = (unsigned)registers[REG_RCX], a, b, c, d;
    if (instruction[0] != 0x0f || instruction[1] != 0x0b) {
        sigaction(SIGILL, &before, NULL); /* another instruction that the processor lacks: it is executed again, and ends the process */
        return;
    }
    (void)number;
    (void)info;
    __cpuid_count(question, part, a, b, c, d);
    if (question == 7 && part == 0) {
        b &= ~EBX;
        c &= ~ECX;
        d &= ~EDX;
    }
    if (question == 7 && part == 1) {
        a &= ~EAX_1;
        d &= ~EDX_1;
    }
    if (question == 0x24)
        a = b = c = d = 0; /* AVX10 */
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, &before);
}
