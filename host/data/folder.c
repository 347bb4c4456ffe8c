/* Image folders: SRC/<class>/picture, or SRC/<part>/<class>/picture with the parts train, val
 * (valid, validation) and test. Classes are sorted by name, as Keras does. Folders of numbers that
 * are known from RAF-DB and AffectNet get these sets' class names; of CK+48's files the names tell
 * the subjects. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/face_sets.h"
#include "host/data/listing.h"
#include "host/data/pictures.h"

/* A part of the folder: `name` is "" where there are none. */
typedef struct part_folder {
    char name[MIEN_CLASS_NAME];
    int usage;
    listing classes;
} part_folder;

typedef struct tree {
    part_folder parts[MIEN_PARTS];
    int count;
    size_t ignored; /* files and folders that are no part of the form */
    char (*names)[MIEN_CLASS_NAME];
    int classes;
} tree;

static int part_of(const char *name) {
    static const struct {
        const char *name;
        int usage;
    } known[] = {{"train", MIEN_TRAIN},
                 {"val", MIEN_VAL},
                 {"valid", MIEN_VAL},
                 {"validation", MIEN_VAL},
                 {"test", MIEN_TEST}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcasecmp(name, known[i].name) == 0) return known[i].usage;
    return MIEN_NO_PART;
}

/* The folder of a class or part: below the source, and as a whole. */
static mien_status paths_of(const char *source, const char *part, const char *class, char *below,
                            char *whole) {
    MIEN_TRY(mien_path_join(below, part, class));
    return mien_path_join(whole, source, *below ? below : ".");
}

static mien_status add_part(const char *source, const char *name, int usage, tree *t) {
    for (int i = 0; i < t->count; i++)
        if (t->parts[i].usage == usage)
            return MIEN_FAIL(FORMAT, "'%s' has two folders for one part: '%s' and '%s'", source,
                             t->parts[i].name, name);
    part_folder *part = &t->parts[t->count++];
    snprintf(part->name, sizeof part->name, "%s", name);
    part->usage = usage;
    char below[MIEN_PATH], whole[MIEN_PATH];
    MIEN_TRY(paths_of(source, "", name, below, whole));
    MIEN_TRY(listing_folders(whole, &part->classes));
    t->ignored += part->classes.ignored;
    return MIEN_OK;
}

/* Finds the parts; a folder without any is one part that names none. */
static mien_status find_parts(const char *source, tree *t) {
    listing top;
    mien_status status;
    size_t others = 0;
    MIEN_GO(listing_folders(source, &top));
    for (size_t i = 0; i < top.count; i++) {
        const int usage = part_of(top.names[i]);
        if (usage == MIEN_NO_PART)
            others++;
        else
            MIEN_GO(add_part(source, top.names[i], usage, t));
    }
    if (t->count == 0) {
        MIEN_GO(add_part(source, "", MIEN_NO_PART, t));
    } else {
        t->ignored += top.ignored;
        if (others)
            MIEN_WARN("%s: %zu folders beside train, val and test are left out", source, others);
    }
out:
    listing_release(&top);
    return status;
}

static int class_at(const tree *t, const char *name) {
    for (int i = 0; i < t->classes; i++)
        if (strcmp(t->names[i], name) == 0) return i;
    return -1;
}

static bool has_class(const part_folder *part, const char *name) {
    for (size_t i = 0; i < part->classes.count; i++)
        if (strcmp(part->classes.names[i], name) == 0) return true;
    return false;
}

static mien_status add_class(const char *source, const char *name, tree *t) {
    if (class_at(t, name) >= 0) return MIEN_OK;
    if (strlen(name) >= MIEN_CLASS_NAME)
        return MIEN_FAIL(FORMAT, "'%s': the class name '%.40s…' is longer than %d bytes", source,
                         name, MIEN_CLASS_NAME - 1);
    for (const char *c = name; *c; c++) /* it stands in reports, tables and model files */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return MIEN_FAIL(FORMAT, "'%s': the name of a class folder holds a control character",
                             source);
    if (t->classes == MIEN_CLASSES_MAX)
        return MIEN_FAIL(UNSUPPORTED, "'%s' has more than %d class folders", source,
                         MIEN_CLASSES_MAX);
    int at = t->classes++;
    for (; at > 0 && strcmp(t->names[at - 1], name) > 0; at--)
        memcpy(t->names[at], t->names[at - 1], MIEN_CLASS_NAME);
    snprintf(t->names[at], MIEN_CLASS_NAME, "%s", name);
    return MIEN_OK;
}

/* The classes of all parts. One that a part lacks is most often a wrong name: an error, unless bad
 * data are to be passed over. */
static mien_status find_classes(const char *source, const mien_on_bad *on_bad, tree *t) {
    mien_text missing = {0};
    MIEN_TRY(mien_new(&t->names, MIEN_CLASSES_MAX, MIEN_CLASS_NAME));
    for (int p = 0; p < t->count; p++)
        for (size_t i = 0; i < t->parts[p].classes.count; i++)
            MIEN_TRY(add_class(source, t->parts[p].classes.names[i], t));
    for (int p = 0; p < t->count; p++)
        for (int k = 0; k < t->classes && missing.size < 400; k++)
            if (!has_class(&t->parts[p], t->names[k]))
                mien_text_printf(&missing, "%s'%s' is not in %s", missing.size ? ", " : "",
                                 t->names[k], t->parts[p].name);
    mien_status status = missing.status;
    if (status == MIEN_OK && missing.size && !on_bad->skip)
        status = MIEN_FAIL(FORMAT,
                           "'%s': the parts have different classes: %s (--on-bad skip goes on with "
                           "the classes of all)",
                           source, missing.data);
    else if (missing.size)
        MIEN_WARN("%s: the parts have different classes: %s", source, missing.data);
    mien_text_release(&missing);
    return status;
}

static mien_status list_class(mien_dataset *set, tree *t, const part_folder *part, int class,
                              const mien_on_bad *on_bad) {
    char below[MIEN_PATH], whole[MIEN_PATH], path[MIEN_PATH];
    listing files;
    mien_status status;
    MIEN_TRY(paths_of(set->source, part->name, t->names[class], below, whole));
    status = listing_pictures(whole, &files);
    if (status == MIEN_IO) { /* a folder that may not be read is one bad entry */
        status = mien_dataset_bad(set, on_bad);
        goto out;
    }
    if (status != MIEN_OK) goto out;
    t->ignored += files.ignored;
    for (size_t i = 0; i < files.count; i++) {
        MIEN_GO(mien_path_join(path, below, files.names[i]));
        MIEN_GO(pictures_add(set, path, class, part->usage));
    }
    if (files.count == 0) MIEN_WARN("%s: no picture of the class '%s'", whole, t->names[class]);
out:
    listing_release(&files);
    return status;
}

static mien_status no_pictures(const char *source) {
    listing loose;
    const mien_status status = listing_pictures(source, &loose);
    const size_t count = loose.count;
    listing_release(&loose);
    MIEN_TRY(status);
    if (count)
        return MIEN_FAIL(FORMAT,
                         "the folder '%s' holds %zu pictures, but none in a folder of its class: "
                         "%s/<class>/*.jpg",
                         source, count, source);
    return MIEN_FAIL(
        FORMAT,
        "the folder '%s' holds no image: %s/<class>/* or %s/{train,val,test}/<class>/* "
        "is expected, jpg, png, bmp, pgm or ppm",
        source, source, source);
}

static mien_status name_classes(mien_dataset *set, const tree *t) {
    const char *names[MIEN_CLASSES_MAX];
    for (int k = 0; k < t->classes; k++)
        names[k] = t->names[k];
    face_sets_translate(set->reader, names, t->classes);
    return mien_dataset_classes(set, names, t->classes);
}

static mien_status list_tree(mien_dataset *set, const mien_on_bad *on_bad, tree *t) {
    MIEN_TRY(find_parts(set->source, t));
    MIEN_TRY(find_classes(set->source, on_bad, t));
    for (int p = 0; p < t->count; p++)
        for (int k = 0; k < t->classes; k++)
            if (has_class(&t->parts[p], t->names[k]))
                MIEN_TRY(list_class(set, t, &t->parts[p], k, on_bad));
    const pictures *list = set->reader;
    if (list->count == 0) return set->skipped ? MIEN_OK : no_pictures(set->source);
    if (t->ignored)
        MIEN_INFO("%s: %zu other files and folders are ignored", set->source, t->ignored);
    set->grouped = face_sets_subjects(set->reader);
    return name_classes(set, t);
}

static mien_status open_folder(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    tree t = {0};
    (void)source;
    mien_status status = pictures_start(set);
    if (status == MIEN_OK) status = list_tree(set, on_bad, &t);
    for (int p = 0; p < t.count; p++)
        listing_release(&t.parts[p].classes);
    mien_free(t.names);
    return status == MIEN_OK ? pictures_load(set, on_bad) : status;
}

const mien_source_def mien_source_folder = {mien_is_folder, open_folder, pictures_read,
                                            pictures_close, pictures_file};
