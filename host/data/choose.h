/* Which classes of the data are learned: fewer, merged, renamed or left out. One mapping from the
 * classes of the data to those of the model, applied after reading, whatever the form of the data.
 * A model file keeps it, so that every command maps other data in the same way. */
#ifndef HOST_DATA_CHOOSE_H
#define HOST_DATA_CHOOSE_H

#include "host/base/keys.h"
#include "host/data/dataset.h"

typedef struct mien_class_rule {
    char from[MIEN_CLASS_NAME], to[MIEN_CLASS_NAME]; /* to "": left out */
} mien_class_rule;

typedef struct mien_class_choice {
    mien_class_rule *rules; /* [rule_count] */
    int rule_count;
    char (*keep)[MIEN_CLASS_NAME]; /* [keep_count] all others are left out, in this order */
    int keep_count;                /* 0: all classes are kept */
} mien_class_choice;

/* From the config keys data.classes, data.merge and data.drop_classes. INVALID for a class that is
 * in two of them, a name that is empty or too long, and a list of one class. Release the choice
 * also after a failure. */
mien_status mien_choice_create(const mien_texts *classes, const mien_lists *merge,
                               const mien_texts *drop, mien_class_choice *out);
/* From the names of classes to leave out, separated by commas. */
mien_status mien_choice_drops(const char *names, mien_class_choice *out);
mien_status mien_choice_add_rule(mien_class_choice *choice, const char *from, const char *to);
mien_status mien_choice_add_kept(mien_class_choice *choice, const char *name);
void mien_choice_release(mien_class_choice *choice);
static inline bool mien_choice_is_empty(const mien_class_choice *choice) {
    return !choice || (choice->rule_count == 0 && choice->keep_count == 0);
}

/* The name that a class has afterwards; "" if it is left out. */
const char *mien_choice_name(const mien_class_choice *choice, const char *name);
/* Adds the counts of merged classes to the first of them, and clears those left out. */
void mien_choice_votes(const mien_class_choice *choice, const char *const *names, int count,
                       int *votes);

/* Applies the choice to classes, labels and targets; images of classes that are left out are
 * removed. Logs what was merged or left out, and how many images. With `strict`, INVALID for a name
 * that is none of the set's classes. INVALID if fewer than two classes are left. */
mien_status mien_choice_apply(const mien_class_choice *choice, bool strict, mien_dataset *set);

#endif
