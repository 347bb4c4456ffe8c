/* Tells what a data set was understood to hold. */
#include "host/base/log.h"
#include "host/base/text.h"
#include "host/data/classes.h"
#include "host/data/dataset.h"

enum { NAMED = 20, NAMED_IN_WARNING = 5, COMPARED = 256 };

void mien_dataset_describe_part(const mien_dataset *set, mien_part part, const char *name) {
    size_t counts[MIEN_CLASSES_MAX];
    mien_text text = {0};
    if (mien_dataset_counts(set, part, counts) == 0) return;
    for (int k = 0; k < set->classes && k < NAMED; k++)
        mien_text_printf(&text, "%s%s %zu", k ? ", " : "", set->class_names[k], counts[k]);
    if (set->classes > NAMED) mien_text_printf(&text, ", … (%d more)", set->classes - NAMED);
    MIEN_INFO("%s, %s: %d classes: %s", set->source, name, set->classes,
              text.data ? text.data : "");
    mien_text_release(&text);
}

void mien_dataset_describe(const mien_dataset *set) {
    for (mien_part part = MIEN_TRAIN; part < MIEN_PARTS; part++)
        mien_dataset_describe_part(set, part, mien_part_name(part));
}

static void warn_of_names(const mien_dataset *set) {
    mien_text names = {0};
    for (int k = 0; k < set->classes && k < NAMED_IN_WARNING; k++)
        mien_text_printf(&names, "%s'%s'", k ? ", " : "", set->class_names[k]);
    MIEN_WARN("%s: none of the %d classes is the name of an emotion: %s%s", set->source,
              set->classes, names.data ? names.data : "",
              set->classes > NAMED_IN_WARNING ? ", …" : "");
    mien_text_release(&names);
}

void mien_dataset_check_names(const mien_dataset *set) {
    bool emotion = set->classes == 0;
    int twice = 0;
    for (int k = 0; k < set->classes; k++) {
        emotion |= mien_class_is_emotion(set->class_names[k]);
        for (int other = 0; other < k && k < COMPARED && twice < NAMED_IN_WARNING; other++) {
            if (!mien_class_same(set->class_names[other], set->class_names[k])) continue;
            MIEN_WARN("%s: the classes '%s' and '%s' are two, though their names mean the same: "
                      "put them together if they are one",
                      set->source, set->class_names[other], set->class_names[k]);
            twice++;
        }
    }
    if (!emotion && set->labelled) warn_of_names(set);
}
