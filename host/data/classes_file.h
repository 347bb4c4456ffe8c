/* classes.txt: the names of numbered classes. */
#ifndef HOST_DATA_CLASSES_FILE_H
#define HOST_DATA_CLASSES_FILE_H

#include "host/data/dataset.h"

/* Reads classes.txt in the folder, one class per line from label 0 on; *count stays 0 if there is
 * no such file. */
mien_status classes_file_read(mien_dataset *set, const char *folder, int *count);

#endif
