/* Modules: shared objects that are loaded on first use through one versioned function table, so
 * that heavy libraries cost nothing until they are needed. */
#ifndef HOST_BASE_MODULE_H
#define HOST_BASE_MODULE_H

#include <stddef.h>

#include "host/base/status.h"

/* The first members of every table. */
typedef struct mien_module {
    int version;
    const char *name;
} mien_module;

/* Loads NAME.so from $MIEN_MODULES, the program's folder or PREFIX/lib/mien, in this order, and
 * returns its table (the symbol `mien_module_table`). A module stays loaded. NOT_FOUND when there
 * is no such file, UNSUPPORTED when it cannot be loaded or its version differs. */
mien_status mien_module_load(const char *name, int version, const mien_module **out);

/* Loads a shared library that few runs need and writes the addresses of `count` functions to
 * `out`, which has `count` pointers. It stays loaded. UNSUPPORTED, naming the Debian package, when
 * it is not installed or lacks a function. */
mien_status mien_library_load(const char *file, const char *package, const char *const *names,
                              size_t count, void *out);

/* Writes the path of the file `name` in $MIEN_MODULES, mien_program_folder or PREFIX/lib/mien, in
 * this order, to out[MIEN_PATH]; NOT_FOUND when it is in none. */
mien_status mien_installed_file(const char *name, char *out);

/* The folder of the running program, or of libmien.so if another program uses that, in
 * out[MIEN_PATH]. */
mien_status mien_program_folder(char *out);
/* Writes the path of a data file of the program to out[MIEN_PATH]: <folder>/<name> in
 * PREFIX/share/mien, else in the source tree that the program was built in; NOT_FOUND when it is in
 * neither. */
mien_status mien_shared_file(const char *folder, const char *name, char *out);

#endif
