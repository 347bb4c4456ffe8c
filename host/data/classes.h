/* Matching classes by name: sources use different words and orders for the same emotions. */
#ifndef HOST_DATA_CLASSES_H
#define HOST_DATA_CLASSES_H

#include "host/data/dataset.h"

/* Whether both words name the same class: equal ignoring case, or synonyms (happy, happiness, joy),
 * also as in "0_happy" and "happy_faces". */
bool mien_class_same(const char *a, const char *b);
/* Whether it is one of the seven emotions, neutral included, or contempt, under any of its words.
 */
bool mien_class_is_emotion(const char *name);
/* The index of a class among `count` names, or -1. */
int mien_class_find(const char (*names)[MIEN_CLASS_NAME], int count, const char *name);

enum { MIEN_CLASS_LIST = 256 };
/* "angry, disgust, fear", shortened where it would not fit. */
void mien_class_list(const char (*names)[MIEN_CLASS_NAME], int count, char out[MIEN_CLASS_LIST]);

/* The index among `names` of each of `count` classes `own`, which must be the same classes in any
 * order; else false. */
bool mien_class_match(const char (*own)[MIEN_CLASS_NAME], const char (*names)[MIEN_CLASS_NAME],
                      int count, int *index);

/* The classes of a model, and what messages call it. */
typedef struct mien_class_owner {
    const char *name;
    const char (*classes)[MIEN_CLASS_NAME];
    int count;
} mien_class_owner;
/* The same for models whose probabilities are averaged: INVALID, with both lists, if their classes
 * differ. */
mien_status mien_class_average(mien_class_owner own, mien_class_owner first, int *index);

/* Replaces the set's classes with `names`, in this order, and remaps its labels and targets. `of`
 * says whose classes they are, for messages. INVALID when one of the set's classes matches none of
 * them, or two match the same one. */
mien_status mien_dataset_map(mien_dataset *set, const char (*names)[MIEN_CLASS_NAME], int count,
                             const char *of);

#endif
