#include "host/data/face_sets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"

const char *const rafdb_names[RAFDB_CLASSES] = {"surprise", "fear",  "disgust", "happiness",
                                                "sadness",  "anger", "neutral"};
const char *const affectnet_names[AFFECTNET_CLASSES] = {"neutral", "happy",   "sad",   "surprise",
                                                        "fear",    "disgust", "anger", "contempt"};

/* Whether the names are the digits from `first` on. */
static bool are_digits(const char *const *names, int count, char first) {
    for (int i = 0; i < count; i++)
        if (names[i][0] != first + i || names[i][1] != 0) return false;
    return true;
}

static const char *file_name(const pictures *list, size_t i) {
    const char *path = list->paths.data + list->items[i].path;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_aligned(const char *name) {
    return strstr(name, "_aligned.") != NULL;
}

/* Whether a name begins like "S010_004_00000017"; a 0 in the form is any digit. */
static bool is_ckplus(const char *name) {
    for (const char *form = "S000_000_00000000"; *form; form++, name++)
        if (*form == '0' ? !isdigit((unsigned char)*name) : *name != *form) return false;
    return !isdigit((unsigned char)*name);
}

static bool all_are(const pictures *list, bool (*is)(const char *name)) {
    for (size_t i = 0; i < list->count; i++)
        if (!is(file_name(list, i))) return false;
    return list->count > 0;
}

void face_sets_translate(const pictures *list, const char **names, int count) {
    if (count == AFFECTNET_CLASSES && are_digits(names, count, '0') && !all_are(list, is_ckplus)) {
        memcpy(names, affectnet_names, sizeof affectnet_names);
        MIEN_INFO("the folders 0 to 7 are read as AffectNet's classes: 0 is neutral, 1 happy, … 7 "
                  "contempt");
    } else if (count == RAFDB_CLASSES && are_digits(names, count, '1') &&
               all_are(list, is_aligned)) {
        memcpy(names, rafdb_names, sizeof rafdb_names);
        MIEN_INFO(
            "the folders 1 to 7 are read as RAF-DB's classes: 1 is surprise, 2 fear, … 7 neutral");
    }
}

bool face_sets_subjects(pictures *list) {
    if (!all_are(list, is_ckplus)) return false;
    for (size_t i = 0; i < list->count; i++)
        list->items[i].group = (uint32_t)strtoul(file_name(list, i) + 1, NULL, 10);
    return true;
}
