/* Image folders: SRC/<class>/picture, or SRC/<part>/<class>/picture. Classes are sorted by name, as
 * Keras does. Pictures deeper in a class folder belong to the class; the subfolder is a person or
 * session. Numbered class folders get names by classes.txt or, for RAF-DB and AffectNet, by their
 * files; CK+48's, KDEF's and JAFFE's file names give the subjects, the latter two the classes too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/classes_file.h"
#include "host/data/face_sets.h"
#include "host/data/folder_layout.h"
#include "host/data/part_words.h"
#include "host/image/image.h"

/* A set has so many persons or sessions at least, if its subfolders are to decide the split. */
enum { GROUPS_MIN = 10 };

typedef struct reading {
    mien_dataset *set;
    const mien_on_bad *on_bad;
    folder_tree tree;
    folder_layout layout;
    bool parts_inside; /* SRC/<class>/<part>/picture */
    size_t nested;     /* pictures in subfolders of a class */
} reading;

/* FNV-1a: an identity for a folder's or file's name. */
static uint32_t identity_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

static mien_status add_picture(reading *r, size_t folder, size_t index, int label, int usage,
                               uint32_t group) {
    char path[MIEN_PATH];
    MIEN_TRY(tree_picture(&r->tree, folder, index, path));
    MIEN_TRY(pictures_add(r->set, path, label, usage));
    pictures *list = r->set->reader;
    list->items[list->count - 1].group = group;
    return MIEN_OK;
}

/* ---- classes by folder ---- */

/* An unreadable folder counts as one bad entry; reading it again gives the message, unless it can
 * be read by now. */
static mien_status report_unreadable(reading *r, size_t folder) {
    char full[MIEN_PATH];
    listing none;
    MIEN_TRY(mien_path_join(full, r->set->source, tree_path(&r->tree, folder)));
    const mien_status status = listing_pictures(full, &none);
    listing_release(&none);
    if (status != MIEN_OK && status != MIEN_IO) return status;
    if (status == MIEN_OK) MIEN_FAIL(IO, "the folder '%s' could not be read at first", full);
    return mien_dataset_bad(r->set, r->on_bad);
}

/* Lists the pictures of a class folder and below. */
static mien_status list_class(reading *r, int label, size_t class, int usage) {
    const folder_tree *t = &r->tree;
    size_t child = 0; /* the subfolder of the class that `i` is in */
    for (size_t i = class; i < t->folders[class].end; i++) {
        const tree_folder *f = &t->folders[i];
        if (f->depth == t->folders[class].depth + 1) child = i;
        if (f->unreadable) MIEN_TRY(report_unreadable(r, i));
        const int own = r->parts_inside && child
                            ? part_word_of(tree_name(t, child), strlen(tree_name(t, child)))
                            : usage;
        for (size_t k = 0; k < f->pictures.count; k++)
            MIEN_TRY(add_picture(r, i, k, label, own,
                                 identity_of(child ? tree_name(t, child) : f->pictures.names[k])));
        if (child) r->nested += f->pictures.count;
    }
    return MIEN_OK;
}

/* Whether every picture of every class is in a subfolder whose name is a part's. */
static bool has_parts_inside(const reading *r) {
    const folder_tree *t = &r->tree;
    bool seen[MIEN_PARTS] = {false};
    if (r->layout.parts[0].usage != MIEN_NO_PART) return false;
    for (int k = 0; k < r->layout.class_count; k++) {
        const size_t class = r->layout.classes[k].folder[0];
        if (t->folders[class].pictures.count) return false;
        for (size_t i = tree_first(t, class); i; i = tree_next(t, class, i)) {
            const int usage = part_word_of(tree_name(t, i), strlen(tree_name(t, i)));
            if (usage == MIEN_NO_PART) return false;
            seen[usage] = true;
        }
    }
    return seen[MIEN_TRAIN] + seen[MIEN_VAL] + seen[MIEN_TEST] >= 2;
}

static int by_value(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t count_groups(const pictures *list) {
    uint32_t *all;
    size_t different = 0;
    if (mien_new(&all, list->count, sizeof *all) != MIEN_OK) return 0;
    for (size_t i = 0; i < list->count; i++)
        all[i] = list->items[i].group;
    qsort(all, list->count, sizeof *all, by_value);
    for (size_t i = 0; i < list->count; i++)
        different += i == 0 || all[i] != all[i - 1];
    mien_free(all);
    return different;
}

/* Subfolders are persons or sessions. They decide the split if all pictures are in one and there
 * are enough of them; else the user may say so. */
static void find_groups(reading *r) {
    pictures *list = r->set->reader;
    if (r->parts_inside || !r->nested) return;
    const size_t groups = count_groups(list);
    r->set->grouped = r->nested == list->count && groups >= GROUPS_MIN;
    if (r->set->grouped)
        MIEN_INFO(
            "%s: the classes have subfolders of %zu names: each is a person or session, which "
            "stays in one part (data.split.by)",
            r->set->source, groups);
    else
        MIEN_INFO("%s: %zu pictures are in subfolders of the classes; if these are persons or "
                  "sessions, data.split.by=group keeps each in one part",
                  r->set->source, r->nested);
}

/* ---- names ---- */

static bool all_numbers(const folder_layout *l) {
    for (int k = 0; k < l->class_count; k++) {
        const char *name = l->classes[k].name;
        if (!*name || strlen(name) > 4 || name[strspn(name, "0123456789")]) return false;
    }
    return l->class_count > 0;
}

/* Labels by classes.txt: folder 0 is its first line; if there is no folder 0 but one for the number
 * of lines, folder 1 is. */
static mien_status use_class_list(reading *r, const char *folder, int lines) {
    folder_layout *l = &r->layout;
    int largest = 0, smallest = MIEN_CLASSES_MAX;
    for (int k = 0; k < l->class_count; k++) {
        const int number = atoi(l->classes[k].name);
        largest = number > largest ? number : largest;
        smallest = number < smallest ? number : smallest;
    }
    const int first = smallest == 1 && largest == lines ? 1 : 0;
    if (largest - first >= lines)
        return MIEN_FAIL(FORMAT,
                         "'%s/classes.txt' names %d classes, but there is a folder '%d': it must "
                         "have a line for every number from 0 (or 1) on",
                         folder, lines, largest);
    pictures *list = r->set->reader;
    uint16_t to[MIEN_CLASSES_MAX];
    mien_text mapping = {0};
    for (int k = 0; k < l->class_count; k++) {
        to[k] = (uint16_t)(atoi(l->classes[k].name) - first);
        if (k < 20)
            mien_text_printf(&mapping, "%s%s is %s", k ? ", " : "", l->classes[k].name,
                             r->set->class_names[to[k]]);
    }
    for (size_t i = 0; i < list->count; i++)
        list->items[i].label = to[list->items[i].label];
    MIEN_INFO("%s/classes.txt names the folders: %s%s", folder, mapping.data ? mapping.data : "",
              l->class_count > 20 ? ", …" : "");
    mien_text_release(&mapping);
    return MIEN_OK;
}

static mien_status name_classes(reading *r) {
    const char *names[MIEN_CLASSES_MAX];
    const folder_layout *l = &r->layout;
    if (all_numbers(l)) {
        char folder[MIEN_PATH];
        int lines = 0;
        snprintf(folder, sizeof folder, "%s", r->set->source);
        if (l->root) MIEN_TRY(mien_path_join(folder, r->set->source, tree_path(&r->tree, l->root)));
        MIEN_TRY(classes_file_read(r->set, folder, &lines));
        if (!lines && l->root) {
            snprintf(folder, sizeof folder, "%s", r->set->source);
            MIEN_TRY(classes_file_read(r->set, folder, &lines));
        }
        if (lines) return use_class_list(r, folder, lines);
    }
    for (int k = 0; k < l->class_count; k++)
        names[k] = l->classes[k].name;
    face_sets_translate(r->set->reader, r->set->source, names, l->class_count);
    return mien_dataset_classes(r->set, names, l->class_count);
}

/* ---- classes by file name ---- */

enum { NAMED_CLASSES = 7 };
static const char *const named_classes[NAMED_CLASSES] = {"angry",   "disgust", "fear",    "happy",
                                                         "neutral", "sad",     "surprise"};

static int label_of(const char *file, uint32_t *person) {
    const char *emotion = face_sets_emotion(file, person);
    for (int k = 0; emotion && k < NAMED_CLASSES; k++)
        if (strcmp(emotion, named_classes[k]) == 0) return k;
    return -1;
}

/* Whether nearly all pictures carry the emotion in their names and no folder does: KDEF itself has
 * a few misspelt names. */
static bool is_named_by_files(const reading *r) {
    const folder_tree *t = &r->tree;
    size_t named = 0;
    uint32_t person;
    for (size_t i = 0; i < t->count; i++) {
        if (t->folders[i].pictures.count && mien_class_is_emotion(tree_name(t, i))) return false;
        for (size_t k = 0; k < t->folders[i].pictures.count; k++)
            named += label_of(t->folders[i].pictures.names[k], &person) >= 0;
        if (named == 0 && t->folders[i].pictures.count)
            return false; /* the usual case ends early */
    }
    return named && named * 20 >= t->folders[0].total * 19;
}

/* The part whose folder holds folder `i`. */
static int usage_of(const reading *r, size_t i) {
    for (int p = 0; p < r->layout.part_count; p++) {
        const size_t part = r->layout.parts[p].folder;
        if (i >= part && i < r->tree.folders[part].end) return r->layout.parts[p].usage;
    }
    return MIEN_NO_PART;
}

static mien_status list_named(reading *r) {
    const folder_tree *t = &r->tree;
    size_t unnamed = 0;
    for (size_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < t->folders[i].pictures.count; k++) {
            uint32_t person = 0;
            const int label = label_of(t->folders[i].pictures.names[k], &person);
            unnamed += label < 0;
            if (label >= 0) MIEN_TRY(add_picture(r, i, k, label, usage_of(r, i), person));
        }
    if (unnamed)
        MIEN_WARN("%s: %zu pictures whose names do not tell the emotion are left out",
                  r->set->source, unnamed);
    MIEN_INFO("%s: the names of the files tell emotion and person, as in KDEF and JAFFE; the "
              "pictures of a person stay in one part",
              r->set->source);
    r->set->grouped = true;
    return mien_dataset_classes(r->set, named_classes, NAMED_CLASSES);
}

/* ---- what is refused ---- */

static mien_status refuse_table(const reading *r, size_t folder) {
    const folder_tree *t = &r->tree;
    const char *path = tree_path(t, folder);
    return MIEN_FAIL(FORMAT,
                     "'%s/%s%s%s' seems to hold the labels of the pictures beside it, but has no "
                     "form that is read: sort the pictures into one folder per class",
                     r->set->source, path, *path ? "/" : "",
                     t->text.data + t->folders[folder].table);
}

/* The folder of a table that labels the pictures instead of the folders' names, or -1: every folder
 * of pictures has one, or there are fewer than two classes and one lies above or beside them. */
static long long table_of_labels(const reading *r) {
    const folder_tree *t = &r->tree;
    long long first = -1, any = -1;
    bool all = true;
    for (size_t i = 0; i < t->count; i++) {
        const bool table = t->text.data[t->folders[i].table] != 0;
        if (table && any < 0) any = (long long)i;
        if (!t->folders[i].pictures.count) continue;
        all &= table;
        if (table && first < 0) first = (long long)i;
    }
    for (int k = 0; k < r->layout.class_count; k++)
        if (mien_class_is_emotion(r->layout.classes[k].name)) return -1;
    if (all && first >= 0) return first;
    return r->layout.class_count < 2 ? any : -1;
}

static size_t first_folder(const folder_layout *l, int class) {
    for (int p = 0; p < l->part_count; p++)
        if (l->classes[class].folder[p]) return l->classes[class].folder[p];
    return 0;
}

/* Several folders that each hold class folders: their names are no classes. */
static mien_status refuse_sets(const reading *r) {
    const folder_tree *t = &r->tree;
    for (int k = 0; k < r->layout.class_count; k++)
        if (mien_class_is_emotion(r->layout.classes[k].name)) return MIEN_OK;
    for (int k = 0; k < r->layout.class_count; k++) {
        const size_t class = first_folder(&r->layout, k);
        size_t emotions = 0, others = t->folders[class].pictures.count;
        for (size_t i = tree_first(t, class); i; i = tree_next(t, class, i))
            *(mien_class_is_emotion(tree_name(t, i)) ? &emotions : &others) += 1;
        if (emotions < 2 || others) return MIEN_OK;
    }
    if (!r->layout.class_count) return MIEN_OK;
    return MIEN_FAIL(FORMAT,
                     "'%s' holds %d folders that each have class folders of their own, such as "
                     "'%s': give one of these folders, or several as data.sources",
                     r->set->source, r->layout.class_count,
                     tree_path(t, first_folder(&r->layout, 0)));
}

static mien_status no_pictures(const reading *r) {
    const char *source = r->set->source;
    size_t count = r->tree.folders[0].total;
    if (count)
        return MIEN_FAIL(
            FORMAT,
            "the folder '%s' holds %zu pictures, but none in a class folder (%s/<class>/*.jpg)",
            source, count, source);
    char suffixes[MIEN_IMAGE_SUFFIXES];
    return MIEN_FAIL(
        FORMAT,
        "the folder '%s' holds no image: %s/<class>/* or %s/{train,val,test}/<class>/* "
        "is expected (%s)",
        source, source, source, mien_image_suffixes(suffixes));
}

static mien_status list_folders(reading *r) {
    folder_layout *l = &r->layout;
    MIEN_TRY(layout_find_classes(r->set->source, &r->tree, r->on_bad, r->set->rules, l));
    const long long table = table_of_labels(r);
    if (table >= 0) return refuse_table(r, (size_t)table);
    MIEN_TRY(refuse_sets(r));
    r->parts_inside = has_parts_inside(r);
    for (int p = 0; p < l->part_count; p++)
        for (int k = 0; k < l->class_count; k++)
            if (l->classes[k].folder[p]) /* 0: a class that is left out or merged can lack a part */
                MIEN_TRY(list_class(r, k, l->classes[k].folder[p], l->parts[p].usage));
    const pictures *list = r->set->reader;
    if (list->count == 0) return r->set->skipped ? MIEN_OK : no_pictures(r);
    r->set->grouped = face_sets_subjects(r->set->reader);
    if (!r->set->grouped) find_groups(r);
    return name_classes(r);
}

static mien_status open_folder(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    reading r = {.set = set, .on_bad = on_bad};
    mien_status status;
    (void)source;
    MIEN_GO(pictures_start(set));
    MIEN_GO(folder_tree_read(set->source, set->videos, &r.tree));
    listing_warn_unread(set->source, &r.tree.unread);
    MIEN_GO(layout_find_parts(set->source, &r.tree, &r.layout));
    if (is_named_by_files(&r))
        MIEN_GO(list_named(&r));
    else
        MIEN_GO(list_folders(&r));
    const size_t ignored = r.tree.ignored + r.layout.ignored;
    if (ignored) MIEN_INFO("%s: %zu other files and folders are ignored", set->source, ignored);
out:
    layout_release(&r.layout);
    folder_tree_release(&r.tree);
    return status == MIEN_OK ? pictures_load(set, on_bad) : status;
}

const mien_source_def mien_source_folder = {"a folder of pictures", mien_is_folder, open_folder,
                                            pictures_read,          pictures_close, pictures_file,
                                            pictures_size};
