/* Whether cuDNN's installation is whole. cuDNN 9 loads its parts when it needs them; where the
 * precompiled engines or the heuristics are missing, 9.19 reports no error and offers a few engines
 * that it compiles at run time (findings/cudnn-missing-library.sh). */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "host/backend/cuda/cuda.h"
#include "host/base/file.h"

/* Parts that convolutions need, as libcudnn_PART.so.9; the same in 9.0 to 9.28. */
static const char *const parts[] = {"graph", "ops", "heuristic", "engines_precompiled",
                                    "engines_runtime_compiled"};

static bool is_there(const char *folder, const char *part) {
    char path[MIEN_PATH + 64];
    snprintf(path, sizeof path, "%s/libcudnn_%s.so.9", folder, part);
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    if (file) return true;
    snprintf(path, sizeof path, "libcudnn_%s.so.9", part);
    void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (handle) dlclose(handle);
    return handle != NULL;
}

mien_status mien_cuda_cudnn_whole(void) {
    char folder[MIEN_PATH];
    Dl_info info;
    size_t (*const version)(void) = cudnnGetVersion;
    void *address;
    memcpy(&address, &version, sizeof address);
    if (!dladdr(address, &info) || !info.dli_fname) return MIEN_OK;
    const char *slash = strrchr(info.dli_fname, '/');
    if (!slash || strncmp(slash + 1, "libcudnn", 8) != 0) return MIEN_OK; /* linked statically */
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - info.dli_fname), info.dli_fname);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!is_there(folder, parts[i]))
            return MIEN_FAIL(NO_DEVICE,
                             "cuDNN in '%s' is incomplete: libcudnn_%s.so.9 is missing; reinstall "
                             "cuDNN, or use --device cpu",
                             folder, parts[i]);
    return MIEN_OK;
}
