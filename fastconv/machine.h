/* What the processor, the operating system and the process can do.
 *
 * Compiled without any instruction-set flag, since it runs before the processor has been asked what it has.
 * C11 for GCC and clang; other processors, and builds without OpenMP, get the answer that is always safe.
 */
#ifndef FASTCONV_MACHINE_H
#define FASTCONV_MACHINE_H

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#include <cpuid.h>

/* The registers that the operating system saves when it switches threads (XCR0). */
static inline unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* 0: baseline, 1: AVX2 + FMA, 2: AVX-512 F, DQ, BW and VL as well.
 * The instructions alone are not enough: registers that the system does not save are lost at a switch. */
static int cpu_level(void)
{
    enum { XMM_YMM = 0x6, OPMASK_ZMM = 0xe0 };
    const unsigned need1 = bit_OSXSAVE | bit_AVX | bit_FMA;
    const unsigned need512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    unsigned eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & need1) != need1)
        return 0;
    const unsigned saved = saved_registers();
    if ((saved & XMM_YMM) != XMM_YMM)
        return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & bit_AVX2))
        return 0;
    if ((ebx & need512) != need512 || (saved & OPMASK_ZMM) != OPMASK_ZMM)
        return 1;
    return 2;
}
#else
static int cpu_level(void) { return 0; }
#endif

#ifdef _OPENMP
#define OPENMP_VERSION _OPENMP
#else
#define OPENMP_VERSION 0
#endif

/* More threads than this are never asked for. */
enum { MOST_THREADS = 1024 };

/* Threads do not survive fork, and GCC's OpenMP waits for them for ever (GCC PR60035):
 * a forked child works alone for the rest of its life. */
static int forked;

#if defined(_WIN32)
static int prepare_threads(void) { return 0; }
static int startable_threads(int n) { return OPENMP_VERSION ? n : 1; }
#else
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

static void in_the_child(void) { forked = 1; }

/* The stack that the user asks for each OpenMP thread, in bytes; 0 where the system's default holds.
 * A stack too large for the address space is one reason why a thread cannot start. */
static size_t stack;
static size_t stack_asked_for(void)
{
    const char *text = getenv("OMP_STACKSIZE");
    char *unit;
    int shift = 10;

    if (text == NULL)
        text = getenv("GOMP_STACKSIZE");
    if (text == NULL)
        return 0;
    const unsigned long long size = strtoull(text, &unit, 10);
    while (*unit == ' ')
        unit++;
    switch (*unit) {
    case 'b': case 'B': shift = 0; break;
    case 'm': case 'M': shift = 20; break;
    case 'g': case 'G': shift = 30; break;
    }
    return size > (SIZE_MAX >> shift) ? SIZE_MAX : (size_t)size << shift;
}

/* Once, when the module is imported. OpenMP reads its environment as early. Not 0 where memory ran out. */
static int prepare_threads(void)
{
    stack = stack_asked_for();
    return pthread_atfork(NULL, NULL, in_the_child);
}

static void *wait_at(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many of n threads start. All are alive at once: none passes the gate before the last has come. */
static int started_threads(int n)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[MOST_THREADS];
    pthread_attr_t attributes;
    int started = 0;

    if (pthread_attr_init(&attributes))
        return 0;
    if (stack)
        pthread_attr_setstacksize(&attributes, stack);
    pthread_mutex_lock(&gate);
    while (started < n && !pthread_create(&threads[started], &attributes, wait_at, &gate))
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

/* How many of n threads, the caller among them, the parallel region that follows at once may have.
 *
 * GCC's runtime ends the process when it cannot start a thread, so what it would start is started here first.
 * It keeps its threads for the next region, separately for every thread that calls, but ends those that a
 * smaller region leaves out: `proven` is the size of this thread's last region, and more is proven anew.
 *
 * Where not all start, the process is at a limit. What starts here must start once more in a moment, when
 * something else may have taken its share: half of it is left for that. */
static int startable_threads(int n)
{
    static _Thread_local int proven = 1;

    if (!OPENMP_VERSION || forked || n <= 1)
        return 1;
    if (n > MOST_THREADS)
        n = MOST_THREADS;
    if (n > proven) {
        const int started = started_threads(n - 1);
        if (started < n - 1)
            n = 1 + started / 2;
    }
    proven = n;
    return n;
}
#endif

#endif
