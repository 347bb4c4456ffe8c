#include "host/base/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/services.h"

mien_status mien_installed_file(const char *name, char *out) {
    char folder[MIEN_PATH], relative[256];
    const char *wanted = getenv("MIEN_MODULES");
    if (wanted && *wanted) {
        MIEN_TRY(mien_path_join(out, wanted, name));
        if (mien_file_exists(out)) return MIEN_OK;
    }
    MIEN_TRY(mien_program_folder(folder));
    MIEN_TRY(mien_path_join(out, folder, name));
    if (mien_file_exists(out)) return MIEN_OK;
    static const char *const installed[] = {"../lib/mien", "mien"}; /* from bin, from lib */
    for (size_t i = 0; i < sizeof installed / sizeof installed[0]; i++) {
        snprintf(relative, sizeof relative, "%s/%s", installed[i], name);
        MIEN_TRY(mien_path_join(out, folder, relative));
        if (mien_file_exists(out)) return MIEN_OK;
    }
    return MIEN_FAIL(NOT_FOUND, "'%s' is not installed next to the program (%s)", name, folder);
}

mien_status mien_module_load(const char *name, int version, const mien_module **out) {
    char file[128], path[MIEN_PATH];
    snprintf(file, sizeof file, "%s.so", name);
    MIEN_TRY(mien_installed_file(file, path));
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return MIEN_FAIL(UNSUPPORTED, "cannot load the module: %s", dlerror());
    const mien_module *table = dlsym(handle, "mien_module_table");
    if (!table || table->version != version) {
        const mien_status status =
            table ? MIEN_FAIL(
                        UNSUPPORTED,
                        "'%s' has version %d, this program needs %d; install both from one build",
                        path, table->version, version)
                  : MIEN_FAIL(UNSUPPORTED, "'%s' is not a module of this program", path);
        dlclose(handle);
        return status;
    }
    *out = table;
    return MIEN_OK;
}

/* It is not there, or the loader's message tells what is wrong with it. */
static mien_status refuse_library(const char *file, const char *package, const char *why) {
    const bool missing = strncmp(why, file, strlen(file)) == 0 && strstr(why, "No such file");
    if (missing)
        return MIEN_FAIL(UNSUPPORTED, "%s is not installed: install Debian's package %s", file,
                         package);
    return MIEN_FAIL(UNSUPPORTED, "%s cannot be loaded: install Debian's package %s again (%s)",
                     file, package, why);
}

mien_status mien_library_load(const char *file, const char *package, const char *const *names,
                              size_t count, void *out) {
    char *to = out;
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return refuse_library(file, package, dlerror());
    for (size_t i = 0; i < count; i++, to += sizeof(void *)) {
        void *function = dlsym(handle, names[i]);
        if (!function)
            return MIEN_FAIL(UNSUPPORTED, "%s has no function '%s': install Debian's package %s",
                             file, names[i], package);
        memcpy(to, &function, sizeof function);
    }
    return MIEN_OK;
}

mien_status mien_shared_file(const char *folder, const char *name, char *out) {
    static const char *const roots[] = {"../share/mien", "../.."};
    char program[MIEN_PATH], path[MIEN_PATH];
    MIEN_TRY(mien_program_folder(program));
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        MIEN_TRY(mien_path_join(out, program, roots[i]));
        MIEN_TRY(mien_path_join(path, out, folder));
        MIEN_TRY(mien_path_join(out, path, name));
        if (mien_file_exists(out))
            return realpath(out, path) ? mien_path_join(out, "", path) : MIEN_OK;
    }
    return MIEN_FAIL(NOT_FOUND, "'%s/%s' is not installed with the program", folder, name);
}
