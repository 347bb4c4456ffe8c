/* Subgroups of a data set's people or pictures (age, gender, …), for evaluating a model on each. A
 * csv defines them: the first column is `file` (relative to the folder of pictures) or `row` (of
 * the csv of faces, from 0), every other column a grouping with a short text for each sample. */
#ifndef HOST_DATA_GROUPS_H
#define HOST_DATA_GROUPS_H

#include "host/data/dataset.h"

enum { MIEN_GROUP_COLUMNS = 16, MIEN_GROUP_VALUES = 64, MIEN_GROUP_NAME = 64 };

typedef struct mien_group_column {
    char name[MIEN_GROUP_NAME];
    /* In order of first appearance; 0 is "(none)", for samples without a value. */
    char values[1 + MIEN_GROUP_VALUES][MIEN_GROUP_NAME];
    int count;
    uint8_t *of; /* [samples of the set] the index of each sample's value */
} mien_group_column;

typedef struct mien_groups {
    mien_group_column *columns; /* [count]; NULL: none */
    int count;
} mien_groups;

/* Reads the csv `path` (RFC 4180) for a set from which no more samples will be removed. Rows that
 * name no image of the set are counted in a warning, which names the first. UNSUPPORTED where the
 * set's samples have neither file names nor an order of rows, FORMAT where the file does not have
 * this form or exceeds the limits above, INVALID where it names none of the set's images. Release
 * it even after a failure. */
mien_status mien_groups_read(const mien_dataset *set, const char *path, mien_groups *out);
void mien_groups_release(mien_groups *groups);

#endif
