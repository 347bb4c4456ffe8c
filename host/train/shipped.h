/* Recipes and networks that come with the program, found by their bare names. */
#ifndef HOST_TRAIN_SHIPPED_H
#define HOST_TRAIN_SHIPPED_H

#include "host/base/file.h"

/* The path of configs/<folder>/<name>.yaml in the current folder, where the program is installed or
 * in its source tree; out has MIEN_PATH bytes. NOT_FOUND, with the names that there are, when none
 * of them has it: "there is no <what> '<name>'". */
mien_status mien_shipped_find(const char *what, const char *folder, const char *name, char *out);

#endif
