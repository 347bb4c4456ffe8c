/* Libraries of formats that few runs need. They are loaded when the first such file is decoded, so
 * that a run without one starts as fast and as small as if they did not exist. */
#include <dlfcn.h>
#include <string.h>

#include "host/image/formats.h"

mien_status image_library(const char *file, const char *package, const char *const *names,
                          void *functions) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL); /* counted and cheap from the second on */
    if (!handle)
        return MIEN_FAIL(UNSUPPORTED, "%s is missing: install the Debian package %s", file,
                         package);
    for (size_t i = 0; names[i]; i++) {
        void *function = dlsym(handle, names[i]);
        if (!function)
            return MIEN_FAIL(UNSUPPORTED, "%s lacks %s: install a newer package %s", file, names[i],
                             package);
        memcpy((char *)functions + i * sizeof function, &function, sizeof function);
    }
    return MIEN_OK;
}
