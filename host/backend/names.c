/* Names of precisions, passes and algorithms; compiled into the GPU module too. */
#include <string.h>

#include "host/backend/ops.h"

static const char *const precisions[] = {"auto", "f32", "tf32", "bf16", "f16"};

const char *mien_compute_name(mien_compute compute) {
    return precisions[compute];
}

bool mien_compute_named(const char *name, mien_compute *out) {
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++) {
        if (strcmp(precisions[i], name) != 0) continue;
        *out = (mien_compute)i;
        return true;
    }
    return false;
}

const char *mien_direction_name(int direction) {
    static const char *const names[] = {"forward", "data", "filter"};
    return names[direction];
}

const char *mien_algorithm_name(int algorithm) {
    static const char *const names[] = {"automatic", "direct", "winograd"};
    return names[algorithm];
}
