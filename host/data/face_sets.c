#include "host/data/face_sets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *const rafdb_names[RAFDB_CLASSES] = {"surprise", "fear",  "disgust", "happiness",
                                                "sadness",  "anger", "neutral"};
const char *const affectnet_names[AFFECTNET_CLASSES] = {"neutral", "happy",   "sad",   "surprise",
                                                        "fear",    "disgust", "anger", "contempt"};

/* Are these the digits from `first` on? */
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

static bool all_aligned(const pictures *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!strstr(file_name(list, i), "_aligned.")) return false;
    return true;
}

void face_sets_translate(const pictures *list, const char **names, int count) {
    if (count == AFFECTNET_CLASSES && are_digits(names, count, '0'))
        memcpy(names, affectnet_names, sizeof affectnet_names);
    else if (count == RAFDB_CLASSES && are_digits(names, count, '1') && all_aligned(list))
        memcpy(names, rafdb_names, sizeof rafdb_names);
}

/* "S010_004_00000017": 0 stands for a digit. */
static bool is_ckplus(const char *name) {
    for (const char *form = "S000_000_00000000"; *form; form++, name++)
        if (*form == '0' ? !isdigit((unsigned char)*name) : *name != *form) return false;
    return !isdigit((unsigned char)*name);
}

bool face_sets_subjects(pictures *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!is_ckplus(file_name(list, i))) return false;
    for (size_t i = 0; i < list->count; i++)
        list->items[i].group = (uint32_t)strtoul(file_name(list, i) + 1, NULL, 10);
    return list->count > 0;
}
