/* Recipes and networks that ship with the program, found by bare name. */
#ifndef HOST_TRAIN_SHIPPED_H
#define HOST_TRAIN_SHIPPED_H

#include "host/base/file.h"

/* Finds configs/<folder>/<name>.yaml in the current folder, the installation or the source tree;
 * out has MIEN_PATH bytes. NOT_FOUND if none of them has it: the message calls the file a <what>
 * and lists the available names. */
mien_status mien_shipped_find(const char *what, const char *folder, const char *name, char *out);

#endif
