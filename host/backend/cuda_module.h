/* The function table of the GPU module mien-cuda.so (see host/base/module.h). */
#ifndef HOST_BACKEND_CUDA_MODULE_H
#define HOST_BACKEND_CUDA_MODULE_H

#include "host/base/module.h"
#include "include/mien/backend.h"

enum { MIEN_CUDA_MODULE_VERSION = 1 };

typedef struct mien_cuda_module {
    mien_module head;
    mien_status (*open)(int device, const mien_backend_options *options, mien_backend **out);
} mien_cuda_module;

#endif
