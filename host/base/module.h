/* Modules: shared objects that are loaded on first use through one versioned function table, so
 * that heavy libraries cost nothing until somebody asks for them. */
#ifndef HOST_BASE_MODULE_H
#define HOST_BASE_MODULE_H

#include "host/base/status.h"

/* Every table begins with this. */
typedef struct mien_module {
    int version;
    const char *name;
} mien_module;

/* Loads NAME.so from $MIEN_MODULES, the program's folder or PREFIX/lib/mien, in this order, and
 * returns its table (the symbol `mien_module_table`). A module stays loaded. NOT_FOUND when there
 * is no such file, UNSUPPORTED when its version is another one or it cannot be loaded. */
mien_status mien_module_load(const char *name, int version, const mien_module **out);

/* The path of a file that is installed beside the program or in PREFIX/lib/mien; NOT_FOUND else. */
mien_status mien_installed_file(const char *name, char *out);

/* The folder of the running program. */
mien_status mien_program_folder(char *out);
/* The path of what the program brings along besides libraries: <folder>/<name> in
 * PREFIX/share/mien, else in the source tree that the program was built in; NOT_FOUND else. */
mien_status mien_shared_file(const char *folder, const char *name, char *out);

#endif
