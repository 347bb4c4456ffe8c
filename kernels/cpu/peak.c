/* Peak rates of this machine, the reference for `mien bench`; not part of any network. */
#include "kernels/cpu/cpu.h"

#include <omp.h>
#include <string.h>

/* As wide as the registers of this build's ISA. Twelve chains hide the latency of two FMA units of
 * all CPUs so far and, with their two constants, fit the 16 registers of AVX2 and SSE. */
typedef real lane __attribute__((vector_size(__BIGGEST_ALIGNMENT__)));
enum { CHAINS = 12, LANES = __BIGGEST_ALIGNMENT__ / sizeof(real) };

/* Twelve chains of x = x * factor + term, which the Makefile lets the compiler fuse here. */
static real chains(long long rounds, real factor, real term) {
    lane x[CHAINS];
    for (int k = 0; k < CHAINS; k++)
        x[k] = (lane){0} + (real)k;
    for (long long i = 0; i < rounds; i++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            x[k] = x[k] * factor + term;
    lane sum = {0};
    real total = 0;
    for (int k = 0; k < CHAINS; k++)
        sum += x[k];
    for (size_t i = 0; i < LANES; i++)
        total += sum[i];
    return total;
}

/* Every thread computes `rounds` rounds; *flops receives the total number of operations. *sink
 * receives the sum, without which the compiler would drop the work. */
void CPU(peak_multiply_add)(real *sink, long long rounds, double *flops) {
    real total = 0;
    int threads = 0;
    const real factor = *sink; /* from memory: a known factor could be folded */
#pragma omp parallel reduction(+ : total, threads)
    {
        total = chains(rounds, factor, 1 - factor);
        threads = 1;
    }
    *sink = total;
    *flops = 2.0 * CHAINS * (double)LANES * (double)rounds * threads;
}

void CPU(peak_copy)(real *dst, const real *src, size_t count) {
#pragma omp parallel
    {
        const size_t of = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
        const size_t from = count * me / of, to = count * (me + 1) / of;
        memcpy(dst + from, src + from, (to - from) * sizeof(real));
    }
}
