/* The function table of the GPU module mien-cuda.so (see host/base/module.h). */
#ifndef HOST_BACKEND_CUDA_MODULE_H
#define HOST_BACKEND_CUDA_MODULE_H

#include "host/backend/ops.h"
#include "host/base/module.h"
#include "host/base/services.h"
#include "include/mien/backend.h"

/* Program and module share the types of this file and those of ops.h. Either may change, so one
 * number names both, and the loader compares it before it calls anything in the module. */
enum {
    MIEN_CUDA_TABLE_VERSION = 2,
    MIEN_CUDA_MODULE_VERSION = 100 * MIEN_CUDA_TABLE_VERSION + MIEN_OPS_VERSION
};

typedef struct mien_cuda_module {
    mien_module head;
    /* `services` must outlive the module. */
    mien_status (*open)(const mien_services *services, int device,
                        const mien_backend_options *options, mien_backend **out);
    /* The number of devices; NO_DEVICE with a message when none can be used. */
    mien_status (*count)(const mien_services *services, int *out);
} mien_cuda_module;

#endif
