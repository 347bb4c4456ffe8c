/* Classes by name: different sources write the same emotion in different words and orders. */
#ifndef HOST_DATA_CLASSES_H
#define HOST_DATA_CLASSES_H

#include "host/data/dataset.h"

/* Do both words name the same class: alike without case, or synonyms (happy, happiness, joy)? */
bool mien_class_same(const char *a, const char *b);
/* The place of a class among `count` names, or -1. */
int mien_class_find(const char (*names)[MIEN_CLASS_NAME], int count, const char *name);

/* Gives the set these classes, in this order, in place of its own: its labels and targets move.
 * `of` says whose they are, for messages. Fails where one of the set's classes is none of them, or
 * two of them are the same. */
mien_status mien_dataset_map(mien_dataset *set, const char (*names)[MIEN_CLASS_NAME], int count,
                             const char *of);

#endif
