#include "host/data/face_sets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"

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

static bool is_number(const char *name) {
    const size_t digits = strspn(name, "0123456789");
    return digits && name[digits] == '.';
}

/* As in AffectNet: 123.jpg, a hash of 56 hex digits, image0000123.jpg. */
static bool is_affectnet(const char *name) {
    const size_t hex = strspn(name, "0123456789abcdef");
    if (is_number(name) || (hex >= 32 && name[hex] == '.')) return true;
    return strncmp(name, "image", 5) == 0 && is_number(name + 5) &&
           strspn(name + 5, "0123456789") == 7;
}

typedef struct numbered_file {
    const char *name;
    int usage;
} numbered_file;

static int by_usage_and_name(const void *a, const void *b) {
    const numbered_file *x = a, *y = b;
    return x->usage != y->usage ? x->usage - y->usage : strcmp(x->name, y->name);
}

/* Whether no name occurs twice in a part: in AffectNet a name is one image's, but people who number
 * the pictures of each class begin again in every folder. */
static bool are_unique(const pictures *list) {
    numbered_file *names;
    bool unique = true;
    if (mien_new(&names, list->count, sizeof *names) != MIEN_OK) return false;
    for (size_t i = 0; i < list->count; i++)
        names[i] = (numbered_file){file_name(list, i), list->items[i].usage};
    qsort(names, list->count, sizeof *names, by_usage_and_name);
    for (size_t i = 1; i < list->count; i++)
        unique &= by_usage_and_name(&names[i - 1], &names[i]) != 0;
    mien_free(names);
    return unique;
}

static void replace(const char *source, const char *set, const char **names, const char *const *by,
                    int count) {
    mien_text mapping = {0};
    for (int k = 0; k < count; k++) {
        mien_text_printf(&mapping, "%s%s is %s", k ? ", " : "", names[k], by[k]);
        names[k] = by[k];
    }
    MIEN_WARN(
        "%s: the numbered folders are read as %s's classes, by the names of the files: %s; if "
        "that is wrong, name the classes in a classes.txt beside the folders",
        source, set, mapping.data ? mapping.data : "");
    mien_text_release(&mapping);
}

void face_sets_translate(const pictures *list, const char *source, const char **names, int count) {
    if (count == AFFECTNET_CLASSES && are_digits(names, count, '0') &&
        all_are(list, is_affectnet) && are_unique(list))
        replace(source, "AffectNet", names, affectnet_names, count);
    else if (count == RAFDB_CLASSES && are_digits(names, count, '1') && all_are(list, is_aligned))
        replace(source, "RAF-DB", names, rafdb_names, count);
}

static bool one_of(char letter, const char *letters) {
    return letter && strchr(letters, letter);
}

/* The emotion of two letters, as both sets use them. */
static const char *emotion_of(const char *code) {
    static const char *const codes[][2] = {{"AF", "fear"}, {"AN", "angry"},   {"DI", "disgust"},
                                           {"FE", "fear"}, {"HA", "happy"},   {"NE", "neutral"},
                                           {"SA", "sad"},  {"SU", "surprise"}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strncasecmp(code, codes[i][0], 2) == 0) return codes[i][1];
    return NULL;
}

/* KDEF: session A or B, F or M with the person's number, the emotion, the angle. */
static const char *kdef_emotion(const char *name, uint32_t *person) {
    if (strlen(name) < 8 || !one_of(name[0], "ABab") || !one_of(name[1], "FMfm") ||
        !isdigit((unsigned char)name[2]) || !isdigit((unsigned char)name[3]))
        return NULL;
    const size_t angle = strcspn(name + 6, "._- ");
    if (angle < 1 || angle > 2 || strspn(name + 6, "SHFLRshflr") < angle) return NULL;
    *person =
        (uint32_t)(toupper((unsigned char)name[1]) * 100 + (name[2] - '0') * 10 + name[3] - '0');
    return emotion_of(name + 4);
}

/* JAFFE: the person's initials, the emotion with a number, the picture's number. */
static const char *jaffe_emotion(const char *name, uint32_t *person) {
    if (!isalpha((unsigned char)name[0]) || !isalpha((unsigned char)name[1]) ||
        !one_of(name[2], ".-_"))
        return NULL;
    const char *emotion = emotion_of(name + 3);
    if (!emotion || !isdigit((unsigned char)name[5]) || !one_of(name[6], ".-_") ||
        !isdigit((unsigned char)name[7]))
        return NULL;
    *person = (uint32_t)(toupper((unsigned char)name[0]) << 8 | toupper((unsigned char)name[1]));
    return emotion;
}

const char *face_sets_emotion(const char *name, uint32_t *person) {
    const char *emotion = kdef_emotion(name, person);
    return emotion ? emotion : jaffe_emotion(name, person);
}

static bool tells_person(const char *name) {
    uint32_t person;
    return face_sets_emotion(name, &person) != NULL;
}

bool face_sets_subjects(pictures *list) {
    const bool ckplus = all_are(list, is_ckplus);
    if (!ckplus && !all_are(list, tells_person)) return false;
    for (size_t i = 0; i < list->count; i++) {
        picture *item = &list->items[i];
        if (ckplus)
            item->group = (uint32_t)strtoul(file_name(list, i) + 1, NULL, 10);
        else
            face_sets_emotion(file_name(list, i), &item->group);
    }
    return true;
}
