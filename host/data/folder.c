/* Image folders: SRC/<class>/picture, or SRC/<part>/<class>/picture with the parts train, val
 * (valid, validation) and test. Classes are sorted by name, as Keras does. Numbered class folders
 * of RAF-DB and AffectNet get those sets' class names; CK+48's file names give the subjects. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/face_sets.h"
#include "host/data/listing.h"
#include "host/data/pictures.h"

/* A folder of a part; `name` is "" when the source has no parts. */
typedef struct part_folder {
    char name[MIEN_CLASS_NAME];
    int usage;
    listing classes;
} part_folder;

typedef struct tree {
    part_folder parts[MIEN_PARTS];
    int count;
    size_t ignored; /* files and folders outside the expected layout */
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

/* The folder of a class or part: relative to the source, and its full path. */
static mien_status paths_of(const char *source, const char *part, const char *class, char *relative,
                            char *full) {
    MIEN_TRY(mien_path_join(relative, part, class));
    return mien_path_join(full, source, *relative ? relative : ".");
}

static mien_status add_part(const char *source, const char *name, int usage, tree *t) {
    for (int i = 0; i < t->count; i++)
        if (t->parts[i].usage == usage)
            return MIEN_FAIL(FORMAT, "'%s' has two folders for one part: '%s' and '%s'", source,
                             t->parts[i].name, name);
    part_folder *part = &t->parts[t->count++];
    snprintf(part->name, sizeof part->name, "%s", name);
    part->usage = usage;
    char relative[MIEN_PATH], full[MIEN_PATH];
    MIEN_TRY(paths_of(source, "", name, relative, full));
    MIEN_TRY(listing_folders(full, &part->classes));
    t->ignored += part->classes.ignored;
    return MIEN_OK;
}

/* Finds the parts. A source without parts becomes a single unnamed one. */
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
            MIEN_WARN("%s: %zu folders other than train, val and test are ignored", source, others);
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
    for (const char *c = name; *c; c++) /* it appears in reports, tables and model files */
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

/* Collects the classes of all parts. A class that a part lacks is most often a wrong name: an
 * error, unless bad data is to be skipped. */
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
                           "'%s': the parts have different classes: %s (--on-bad skip continues "
                           "with the classes of all parts)",
                           source, missing.data);
    else if (missing.size)
        MIEN_WARN("%s: the parts have different classes: %s", source, missing.data);
    mien_text_release(&missing);
    return status;
}

static mien_status list_class(mien_dataset *set, tree *t, const part_folder *part, int class,
                              const mien_on_bad *on_bad) {
    char relative[MIEN_PATH], full[MIEN_PATH], path[MIEN_PATH];
    listing files;
    mien_status status;
    MIEN_TRY(paths_of(set->source, part->name, t->names[class], relative, full));
    status = listing_pictures(full, &files);
    if (status == MIEN_IO) { /* an unreadable folder counts as one bad entry */
        status = mien_dataset_bad(set, on_bad);
        goto out;
    }
    if (status != MIEN_OK) goto out;
    t->ignored += files.ignored;
    for (size_t i = 0; i < files.count; i++) {
        MIEN_GO(mien_path_join(path, relative, files.names[i]));
        MIEN_GO(pictures_add(set, path, class, part->usage));
    }
    if (files.count == 0) MIEN_WARN("%s: no picture of the class '%s'", full, t->names[class]);
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
        return MIEN_FAIL(
            FORMAT,
            "the folder '%s' holds %zu pictures, but none in a class folder (%s/<class>/*.jpg)",
            source, count, source);
    return MIEN_FAIL(
        FORMAT,
        "the folder '%s' holds no image: %s/<class>/* or %s/{train,val,test}/<class>/* "
        "is expected (jpg, png, bmp, pgm or ppm)",
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

const mien_source_def mien_source_folder = {"a folder of pictures", mien_is_folder, open_folder,
                                            pictures_read,          pictures_close, pictures_file};
