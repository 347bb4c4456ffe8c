/* The module's table, and the program's sentences and log lines as the module's own: the files of
 * host/base that are linked into both must not keep a message each. */
#include <stdarg.h>
#include <stdio.h>

#include "host/backend/cuda/cuda.h"
#include "host/backend/cuda_module.h"

static _Atomic(const mien_services *) program; /* the same at every call, of any thread */

mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...) {
    char text[MIEN_MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return program->fail(code, file, line, "%s", text);
}

mien_status mien_fail_context(mien_status code, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return program->fail_context(code, "%s", text);
}

const char *mien_error_message(void) {
    return program->error_message();
}

void mien_log(mien_log_level level, const char *format, ...) {
    char text[MIEN_MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    program->log(level, "%s", text);
}

static mien_status open_device(const mien_services *services, int device,
                               const mien_backend_options *options, mien_backend **out) {
    program = services;
    return mien_cuda_open(device, options, out);
}

static mien_status count_devices(const mien_services *services, int *out) {
    program = services;
    return mien_cuda_count(out);
}

__attribute__((visibility("default"))) extern const mien_cuda_module mien_module_table;
const mien_cuda_module mien_module_table = {
    {MIEN_CUDA_MODULE_VERSION, "mien-cuda"}, open_device, count_devices};
