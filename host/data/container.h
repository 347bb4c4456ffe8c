/* Folders and archives around the data: which file or folder in them is meant. */
#ifndef HOST_DATA_CONTAINER_H
#define HOST_DATA_CONTAINER_H

#include "host/base/status.h"

/* If `source` [MIEN_PATH] is a folder without pictures that holds a csv of faces, appends the csv's
 * name. FORMAT if it holds several and none of them is known to be the whole set, or only an
 * archive. */
mien_status container_table(char *source);
/* Writes the folder of a mounted archive that holds the data to out[MIEN_PATH]: folders that only
 * hold another folder are skipped. */
mien_status container_root(const char *archive, char *out);

#endif
