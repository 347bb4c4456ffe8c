/* Assigns each sample to training, validation or test. The rule is stored in the model file, so
 * that `evaluate` applies the same one. */
#ifndef HOST_DATA_SPLIT_H
#define HOST_DATA_SPLIT_H

#include "host/data/dataset.h"

/* In the order of the choices of data.split.by. AUTO: by the parts that the source names, else by
 * its groups, else stratified. */
typedef enum mien_split_by {
    MIEN_BY_AUTO,
    MIEN_BY_USAGE,
    MIEN_BY_STRATIFIED,
    MIEN_BY_GROUP
} mien_split_by;
#define MIEN_SPLIT_CHOICES "auto|usage|stratified|group"

typedef struct mien_split {
    double val, test; /* shares, where the source does not name parts; val 0: no validation */
    int by;           /* mien_split_by */
    int seed;
} mien_split;

/* Fills set->part. AUTO in `split->by` is replaced by the rule that was applied. */
mien_status mien_split_apply(mien_dataset *set, mien_split *split);
/* Whether the source names the part of any sample. */
bool mien_split_named(const mien_dataset *set);
/* INVALID for data that cannot be trained on: an empty train part, an empty val part although
 * `split` asks for one, or a single class. Warns of classes without training samples. */
mien_status mien_split_check(const mien_dataset *set, const mien_split *split);

#endif
