/* The module's table. */
#include "host/backend/cuda/cuda.h"
#include "host/backend/cuda_module.h"

static mien_status open_device(const mien_services *services, int device,
                               const mien_backend_options *options, mien_backend **out) {
    mien_services_use(services);
    return mien_cuda_open(device, options, out);
}

static mien_status count_devices(const mien_services *services, int *out) {
    mien_services_use(services);
    return mien_cuda_count(out);
}

__attribute__((visibility("default"))) extern const mien_cuda_module mien_module_table;
const mien_cuda_module mien_module_table = {
    {MIEN_CUDA_MODULE_VERSION, "mien-cuda"}, open_device, count_devices};
