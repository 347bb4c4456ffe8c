/* Names of precisions; the GPU module has a copy of its own. */
#include <string.h>

#include "include/mien/backend.h"

static const char *const names[] = {"auto", "f32", "tf32", "bf16", "f16"};

const char *mien_compute_name(mien_compute compute) {
    return names[compute];
}

bool mien_compute_named(const char *name, mien_compute *out) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (mien_compute)i;
        return true;
    }
    return false;
}
