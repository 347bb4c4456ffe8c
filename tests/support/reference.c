#include "tests/support/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/base/memory.h"

/* The operations of the double build: the same struct, but its functions take double for `real`.
 * Only the double build may call them. */
extern const cpu_kernels cpu_kernels_f64;

static void reference_close(mien_backend *b) {
    mien_free(b->impl);
    mien_free(b);
}

const cpu_kernels *reference_isa(int index, const char **name) {
    static const cpu_kernels *const builds[MIEN_ISA_COUNT] = {&cpu_kernels_v2, &cpu_kernels_v3,
                                                              &cpu_kernels_v4};
    *name = mien_isa_name((mien_isa)index);
    return mien_isa_has((mien_isa)index) ? builds[index] : NULL;
}

mien_status reference_open(bool f64, mien_backend **out) {
    mien_backend *b;
    const char *name;
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    const mien_status status = mien_new(&b->impl, 1, sizeof(mien_cpu));
    if (status != MIEN_OK) {
        mien_free(b);
        return status;
    }
    mien_ops *ops = &cpu_of(b)->ops;
    *ops = (mien_ops){.name = f64 ? "reference f64" : "reference f32", .close = reference_close};
    if (f64) {
        mien_cpu_glue_f64(ops);
        mien_plain_linear_f64(ops);
    } else {
        mien_cpu_glue_f32(ops);
        mien_plain_linear_f32(ops);
    }
    b->ops = ops;
    b->dtype = b->param_dtype = f64 ? MIEN_F64 : MIEN_F32;
    const cpu_kernels *best = reference_isa(0, &name);
    for (int i = 1; i < 3; i++)
        if (reference_isa(i, &name)) best = reference_isa(i, &name);
    cpu_of(b)->kernels = f64 ? &cpu_kernels_f64 : best;
    snprintf(b->description, sizeof b->description, "%s", b->ops->name);
    *out = b;
    return MIEN_OK;
}

void reference_wait_passively(char **argv) {
    if (getenv("OMP_WAIT_POLICY")) return;
    setenv("OMP_WAIT_POLICY", "passive", 1); /* read once, before main */
    execv("/proc/self/exe", argv);
}

bool reference_has_int8(const mien_backend *cpu) {
    if (cpu->ops->int8->available(cpu)) return true;
    printf("# int8 is switched off\n");
    return false;
}
