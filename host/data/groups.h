/* Subgroups of a data set's people or pictures (age, gender, …), for judging a model on each. A csv
 * names them: the first column is `file` (below the folder of pictures) or `row` (of the csv of
 * faces, from 0), every further one a grouping with a short text for each sample. */
#ifndef HOST_DATA_GROUPS_H
#define HOST_DATA_GROUPS_H

#include "host/data/dataset.h"

enum { MIEN_GROUP_COLUMNS = 16, MIEN_GROUP_VALUES = 64, MIEN_GROUP_NAME = 64 };

typedef struct mien_group_column {
    char name[MIEN_GROUP_NAME];
    /* In the order in which the file brings them; 0 is "(none)", of samples without a value. */
    char values[1 + MIEN_GROUP_VALUES][MIEN_GROUP_NAME];
    int count;
    uint8_t *of; /* [samples of the set] the value of each */
} mien_group_column;

typedef struct mien_groups {
    mien_group_column *columns; /* [count]; NULL: none */
    int count;
} mien_groups;

/* Reads the csv `path` (RFC 4180) for a set that loses no sample any more. Rows of it that name no
 * image of the set are counted in a warning, which names the first. UNSUPPORTED where the set's
 * samples have neither file names nor an order of rows, FORMAT where the file is none of this form
 * or holds more or longer names than the bounds above, INVALID where it names none of the set's
 * images. Release it also after a failure. */
mien_status mien_groups_read(const mien_dataset *set, const char *path, mien_groups *out);
void mien_groups_release(mien_groups *groups);

#endif
