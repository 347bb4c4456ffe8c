/* Not linked into modules, which ask the program that loaded them (services.c). */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/module.h"
#include "host/base/services.h"

const mien_services mien_program_services = {mien_fail, mien_fail_context, mien_error_message,
                                             mien_log, mien_program_folder};

mien_status mien_program_folder(char *out) {
    char path[MIEN_PATH];
    Dl_info info;
    struct link_map *map = NULL;
    /* the main program is the object without a name; any other is libmien.so in somebody's */
    if (dladdr1((const void *)&mien_program_services, &info, (void **)&map, RTLD_DL_LINKMAP) &&
        map && map->l_name[0] && realpath(map->l_name, path)) {
        mien_path_folder(out, path);
        return MIEN_OK;
    }
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) return MIEN_FAIL(IO, "cannot find the program's folder: /proc is not mounted");
    path[length] = 0;
    mien_path_folder(out, path);
    return MIEN_OK;
}
