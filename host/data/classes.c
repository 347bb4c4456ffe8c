#include "host/data/classes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/base/memory.h"

/* One row per class; a name in no row matches only itself. */
static const char *const synonyms[][5] = {
    {"anger", "angry"},
    {"disgust", "disgusted"},
    {"fear", "fearful", "afraid"},
    {"happy", "happiness", "joy"},
    {"sad", "sadness"},
    {"surprise", "surprised", "suprise"}, /* a common misspelling */
    {"contempt", "contemptuous"},
    {"neutral", "neutrality"},
};

/* Whether what follows a word only says what it is a name of: "_faces", " images", … */
static bool is_ending(const char *text) {
    static const char *const words[] = {"face",     "faces",   "image",      "images",
                                        "img",      "imgs",    "photos",     "pics",
                                        "pictures", "emotion", "expression", "expressions"};
    if (!*text) return true;
    if (!strchr("_- .", *text++)) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0) return true;
    return false;
}

/* The row of a name, also of "0_angry" or "sadness_faces"; -1 for other names. */
static int row_of(const char *name) {
    const size_t digits = strspn(name, "0123456789"), sign = strspn(name + digits, "_- .");
    if (digits && sign) name += digits + sign;
    for (int r = 0; r < (int)(sizeof synonyms / sizeof synonyms[0]); r++)
        for (int i = 0; i < 5 && synonyms[r][i]; i++) {
            const size_t length = strlen(synonyms[r][i]);
            if (strncasecmp(name, synonyms[r][i], length) == 0 && is_ending(name + length))
                return r;
        }
    return -1;
}

bool mien_class_is_emotion(const char *name) {
    return row_of(name) >= 0;
}

bool mien_class_same(const char *a, const char *b) {
    if (strcasecmp(a, b) == 0) return true;
    const int row = row_of(a);
    return row >= 0 && row == row_of(b);
}

int mien_class_find(const char (*names)[MIEN_CLASS_NAME], int count, const char *name) {
    for (int k = 0; k < count; k++)
        if (strcmp(names[k], name) == 0) return k;
    for (int k = 0; k < count; k++)
        if (strcasecmp(names[k], name) == 0) return k;
    for (int k = 0; k < count; k++)
        if (mien_class_same(names[k], name)) return k;
    return -1;
}

bool mien_class_match(const char (*own)[MIEN_CLASS_NAME], const char (*names)[MIEN_CLASS_NAME],
                      int count, int *index) {
    bool taken[MIEN_CLASSES_MAX] = {false};
    for (int k = 0; k < count; k++) {
        index[k] = mien_class_find(names, count, own[k]);
        if (index[k] < 0 || taken[index[k]]) return false;
        taken[index[k]] = true;
    }
    return true;
}

void mien_class_list(const char (*names)[MIEN_CLASS_NAME], int count, char out[MIEN_CLASS_LIST]) {
    size_t used = 0;
    out[0] = 0;
    for (int k = 0; k < count; k++) {
        if (used + strlen(names[k]) + sizeof ", , …" > MIEN_CLASS_LIST) {
            strcpy(out + used, ", …");
            return;
        }
        used +=
            (size_t)snprintf(out + used, MIEN_CLASS_LIST - used, "%s%s", k ? ", " : "", names[k]);
    }
}

mien_status mien_class_average(mien_class_owner own, mien_class_owner first, int *index) {
    char list[MIEN_CLASS_LIST], first_list[MIEN_CLASS_LIST];
    if (own.count == first.count && mien_class_match(own.classes, first.classes, own.count, index))
        return MIEN_OK;
    mien_class_list(own.classes, own.count, list);
    mien_class_list(first.classes, first.count, first_list);
    return MIEN_FAIL(INVALID,
                     "models that are averaged need the same classes, in any order: '%s' has %d "
                     "(%s), but '%s' has %d (%s)",
                     own.name, own.count, list, first.name, first.count, first_list);
}

static mien_status match_classes(const mien_dataset *set, const char (*names)[MIEN_CLASS_NAME],
                                 int count, const char *of, int *index) {
    for (int k = 0; k < set->classes; k++) {
        index[k] = mien_class_find(names, count, set->class_names[k]);
        if (index[k] < 0) {
            char known[MIEN_CLASS_LIST];
            mien_class_list(names, count, known);
            return MIEN_FAIL(
                INVALID,
                "the class '%s' of '%s' is not one of the %d classes of %s, nor a synonym of one: "
                "%s; leave it out with --drop-classes",
                set->class_names[k], set->source, count, of, known);
        }
        for (int other = 0; other < k; other++)
            if (index[other] == index[k])
                return MIEN_FAIL(INVALID, "the classes '%s' and '%s' of '%s' both match '%s' of %s",
                                 set->class_names[other], set->class_names[k], set->source,
                                 names[index[k]], of);
    }
    return MIEN_OK;
}

static mien_status remap_targets(mien_dataset *set, int count, const int *index) {
    const size_t from = (size_t)set->classes, to = (size_t)count;
    float *targets;
    if (!set->targets) return MIEN_OK;
    MIEN_TRY(mien_new(&targets, set->count * to, sizeof *targets));
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < from; k++)
            targets[i * to + (size_t)index[k]] = set->targets[i * from + k];
    mien_free(set->targets);
    set->targets = targets;
    return MIEN_OK;
}

mien_status mien_dataset_map(mien_dataset *set, const char (*names)[MIEN_CLASS_NAME], int count,
                             const char *of) {
    int index[MIEN_CLASSES_MAX];
    char(*copy)[MIEN_CLASS_NAME];
    MIEN_TRY(match_classes(set, names, count, of, index));
    MIEN_TRY(remap_targets(set, count, index));
    MIEN_TRY(mien_new(&copy, (size_t)count, MIEN_CLASS_NAME));
    memcpy(copy, names, (size_t)count * MIEN_CLASS_NAME);
    for (size_t i = 0; i < set->count; i++)
        set->labels[i] = (uint16_t)index[set->labels[i]];
    mien_free(set->class_names);
    set->class_names = copy;
    set->classes = count;
    return MIEN_OK;
}
