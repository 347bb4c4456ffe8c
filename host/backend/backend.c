#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "host/backend/cuda_module.h"
#include "host/base/log.h"
#include "host/base/module.h"

/* Fails if a slot is missing. From `close` on the struct holds nothing but function pointers. */
static mien_status check_slots(const mien_ops *ops) {
    const size_t start = offsetof(mien_ops, close);
    const size_t count = (sizeof(mien_ops) - start) / sizeof(void (*)(void));
    void (*const *slots)(void) = (void (*const *)(void))((const char *)ops + start);
    for (size_t i = 0; i < count; i++)
        if (!slots[i])
            return MIEN_FAIL(UNSUPPORTED, "backend '%s' lacks slot number %zu of ops.h", ops->name,
                             i);
    return MIEN_OK;
}

static mien_status load_cuda(const mien_cuda_module **out) {
    const mien_module *module;
    const mien_status status = mien_module_load("mien-cuda", MIEN_CUDA_MODULE_VERSION, &module);
    if (status == MIEN_NOT_FOUND)
        return MIEN_FAIL(NO_DEVICE, "this build has no GPU module (mien-cuda.so): build it with "
                                    "CUDA=1 where the CUDA toolkit is, or use --device cpu");
    if (status != MIEN_OK) return mien_fail_context(MIEN_NO_DEVICE, "no GPU");
    *out = (const mien_cuda_module *)module;
    return MIEN_OK;
}

static mien_status open_cuda(int device, const mien_backend_options *options, mien_backend **out) {
    const mien_cuda_module *module;
    MIEN_TRY(load_cuda(&module));
    return module->open(&mien_program_services, device, options, out);
}

mien_status mien_backend_gpus(int *out) {
    const mien_cuda_module *module;
    *out = 0;
    MIEN_TRY(load_cuda(&module));
    return module->count(&mien_program_services, out);
}

/* "cuda" or "cuda:N" → N; -1 for anything else. */
static int cuda_number(const char *device) {
    if (strncmp(device, "cuda", 4) != 0) return -1;
    if (!device[4]) return 0;
    char *end;
    const long n = device[4] == ':' && device[5] ? strtol(device + 5, &end, 10) : -1;
    return n >= 0 && n < 1024 && *end == 0 ? (int)n : -1;
}

mien_status mien_backend_open(const char *device, const mien_backend_options *options,
                              mien_backend **out) {
    mien_status status;
    *out = NULL;
    const bool automatic = !device || strcmp(device, "auto") == 0;
    if (automatic) {
        status = open_cuda(0, options, out);
        if (status != MIEN_OK) {
            mien_log(MIEN_LOG_DEBUG, "--device auto takes the CPU: %s", mien_error_message());
            status = mien_cpu_open(options, out);
        }
    } else if (strcmp(device, "cpu") == 0) {
        status = mien_cpu_open(options, out);
    } else if (cuda_number(device) >= 0) {
        status = open_cuda(cuda_number(device), options, out);
    } else {
        return MIEN_FAIL(INVALID, "unknown device '%s': use auto, cpu, cuda or cuda:N", device);
    }
    if (status == MIEN_OK) {
        status = check_slots((*out)->ops);
        if (status != MIEN_OK) {
            mien_backend_close(*out);
            *out = NULL;
        }
    }
    return status;
}

void mien_backend_close(mien_backend *backend) {
    if (backend) backend->ops->close(backend);
}

const char *mien_backend_description(const mien_backend *backend) {
    return backend->description;
}

mien_compute mien_backend_compute(const mien_backend *backend) {
    return backend->compute;
}
