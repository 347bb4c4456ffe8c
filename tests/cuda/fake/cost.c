#include "tests/cuda/fake/cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/fake/fake.h"

enum { DEPTH = 16, TEXT = 96, KERNEL = 192 };

typedef struct launch {
    char pass[TEXT], kernel[KERNEL];
    int64_t bytes;
    double flops;
} launch;

const fake_tracer *fake_trace;

static char ranges[DEPTH][TEXT];
static int depth;
static int step;    /* depth of the step that is open, 0: none */
static bool traced; /* the one step is over whose own kernels ran */
static launch *launches;
static size_t count, capacity;

static bool is_dry(const char *what) {
    const char *dry = getenv("FAKE_CUDA_DRY");
    return dry && strcmp(dry, what) == 0;
}

bool fake_is_dry(void) {
    return is_dry("all") || is_dry("libraries");
}

bool fake_skips(enum fake_origin origin) {
    const bool skips = is_dry("all") || (is_dry("libraries") && (traced || origin == FAKE_LIBRARY));
    if (skips) fake_clock_advance(1e-6);
    return skips;
}

void fake_skip_result(void *data, size_t bytes) {
    if (!is_dry("all") && !traced) memset(data, 0, bytes);
}

bool fake_wants_cost(void) {
    return step && getenv("FAKE_CUDA_COST");
}

void fake_cost(const char *kernel, int64_t bytes, double flops) {
    if (!fake_wants_cost()) return;
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 64;
        launches = realloc(launches, capacity * sizeof *launches);
        if (!launches) abort();
    }
    launch *l = &launches[count++];
    *l = (launch){.bytes = bytes, .flops = flops};
    snprintf(l->pass, sizeof l->pass, "%s", ranges[depth <= DEPTH ? depth - 1 : DEPTH - 1]);
    snprintf(l->kernel, sizeof l->kernel, "%s", kernel);
}

static void write_step(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        const launch *l = &launches[i];
        fprintf(f, "%s\t%s\t", l->pass, l->kernel);
        if (l->bytes == FAKE_UNKNOWN)
            fprintf(f, "-");
        else
            fprintf(f, "%lld", (long long)l->bytes);
        fprintf(f, "\t%.0f\n", l->flops);
    }
    if (fclose(f) != 0) abort();
}

void fake_cost_push(const char *name) {
    if (depth < DEPTH) snprintf(ranges[depth], TEXT, "%s", name);
    depth++;
    if (step || strcmp(name, "step") != 0) return;
    step = depth;
    count = 0;
}

void fake_cost_pop(void) {
    const char *path = getenv("FAKE_CUDA_COST");
    if (step && step == depth) {
        if (path && !traced) write_step(path);
        traced = is_dry("libraries");
        step = 0;
    }
    if (depth > 0) depth--;
}
