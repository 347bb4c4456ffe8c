/* The order in which blocks and threads run: see harness.h. */
#ifndef TESTS_CUDA_HARNESS_ORDER_H
#define TESTS_CUDA_HARNESS_ORDER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct order {
    bool reverse, drawn;
    uint64_t seed;

    void read() {
        const char *wanted = getenv("FAKE_CUDA_ORDER");
        if (!wanted) wanted = "forward";
        reverse = strcmp(wanted, "reverse") == 0;
        drawn = !reverse && strcmp(wanted, "forward") != 0;
        seed = drawn ? strtoull(wanted, NULL, 10) : 0;
    }
    /* The i-th of n. */
    uint64_t at(uint64_t i, uint64_t n) const {
        static const uint64_t primes[] = {1000003, 15485863, 32452843, 49979687};
        if (reverse) return n - 1 - i;
        return drawn ? (i * primes[seed % 4] + seed) % n : i;
    }
    /* Does a thread that has not started run before those that are waiting to resume? */
    bool starts_fresh(uint64_t turn) const {
        return drawn ? (turn * 2654435761u + seed) >> 7 & 1 : !reverse;
    }
};

#endif
