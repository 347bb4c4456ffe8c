/* Metrics of a classifier by subgroup of a split. */
#ifndef HOST_EVAL_SUBGROUPS_H
#define HOST_EVAL_SUBGROUPS_H

#include "host/base/json.h"
#include "host/data/groups.h"

typedef struct mien_subgroup {
    char name[MIEN_GROUP_NAME];
    size_t n;
    double accuracy, macro_f1; /* over this subgroup alone */
    double low, high;          /* 95 % (Wilson) interval of the accuracy */
    double p; /* of the hypothesis that its accuracy is that of all other rows: two-proportion
                 z-test, two-sided; NaN without other rows */
} mien_subgroup;

typedef struct mien_subgroup_table {
    char column[MIEN_GROUP_NAME];
    mien_subgroup *rows; /* [count]: the values that occur, "(none)" last */
    int count;
} mien_subgroup_table;

typedef struct mien_subgroups {
    mien_subgroup_table *tables; /* [count] */
    int count;
} mien_subgroups;

/* Makes a table for each column of `groups`. samples[n] are indices into the data set that `groups`
 * was read for; labels are [n], probabilities [n][classes]. Release the result also after a
 * failure. */
mien_status mien_subgroups_compute(const mien_groups *groups, const uint32_t *samples,
                                   const float *probabilities, const uint16_t *labels, size_t n,
                                   int classes, mien_subgroups *out);
void mien_subgroups_release(mien_subgroups *subgroups);
/* The member "groups" of metrics.json. */
void mien_subgroups_json(const mien_subgroups *subgroups, mien_json *json);
/* Tables for a terminal. */
void mien_subgroups_table(const mien_subgroups *subgroups, mien_text *out);

#endif
