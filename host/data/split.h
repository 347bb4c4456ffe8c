/* Which samples train, validate and test. The rule is stored in the model file, so that `evaluate`
 * applies the same one again. */
#ifndef HOST_DATA_SPLIT_H
#define HOST_DATA_SPLIT_H

#include "host/data/dataset.h"

/* In the order of the config key data.split.by. AUTO: what the data themselves say,
 * their parts or else their groups; else stratified. */
typedef enum mien_split_by {
    MIEN_BY_AUTO,
    MIEN_BY_USAGE,
    MIEN_BY_STRATIFIED,
    MIEN_BY_GROUP
} mien_split_by;
#define MIEN_SPLIT_CHOICES "auto|usage|stratified|group"

typedef struct mien_split {
    double val, test; /* shares, for what the data do not say */
    int by;           /* mien_split_by */
    int seed;
} mien_split;

/* Fills set->part. `split->by` becomes the rule that AUTO stood for. */
mien_status mien_split_apply(mien_dataset *set, mien_split *split);
/* Do the data themselves name the part of some sample? */
bool mien_split_named(const mien_dataset *set);
/* Refuses what cannot be trained on: an empty part, one class only. */
mien_status mien_split_check(const mien_dataset *set);

#endif
