/* The clock of the CUDA emulation. It replaces host/base/clock.c in the module. */
#include "host/base/clock.h"

#include <stdatomic.h>

#include "tests/cuda/fake/fake.h"

static _Atomic double now = 1;

double mien_seconds(void) {
    return now;
}

void fake_clock_advance(double seconds) {
    double before = now;
    while (!atomic_compare_exchange_weak(&now, &before, before + seconds))
        ;
}
