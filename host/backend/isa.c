#include "host/backend/isa.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[MIEN_ISA_COUNT] = {"v2", "v3", "v4"};

const char *mien_isa_name(mien_isa isa) {
    return names[isa];
}

bool mien_isa_has(mien_isa isa) {
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    return isa == MIEN_ISA_V2 || (isa == MIEN_ISA_V3 && v3) || (isa == MIEN_ISA_V4 && v4);
}

mien_status mien_isa_choose(mien_isa *out, bool *held_back) {
    const char *wanted = getenv("MIEN_ISA");
    *held_back = wanted && *wanted;
    for (int isa = MIEN_ISA_COUNT - 1; isa >= 0; isa--) {
        *out = (mien_isa)isa;
        if (*held_back && strcmp(wanted, names[isa]) != 0) continue;
        if (mien_isa_has(*out)) return MIEN_OK;
        if (*held_back)
            return MIEN_FAIL(UNSUPPORTED, "MIEN_ISA=%s: this CPU does not support x86-64-%s",
                             wanted, wanted);
    }
    return MIEN_FAIL(INVALID, "MIEN_ISA must be v2, v3 or v4, not '%s'", wanted);
}

bool mien_isa_allows_int8(void) {
    const char *word = getenv("MIEN_INT8");
    return !word || strcmp(word, "0") != 0;
}
