/* Labels in a table: a csv with a column of file names and one of labels, and perhaps the part and
 * the box of the face. The names are relative to the table's folder, or to a folder in it. A folder
 * is read by its tables if its pictures are in no class folders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/class_words.h"
#include "host/data/csv_rows.h"
#include "host/data/face_sets.h"
#include "host/data/label_columns.h"
#include "host/data/listing.h"
#include "host/data/part_words.h"
#include "host/data/pictures.h"
#include "host/data/records.h"

enum { TABLE_MAX = 1 << 30, TABLES = 8, PROBED = 50 };

typedef struct label_table {
    char folder[MIEN_PATH];          /* of the tables */
    char subfolder[MIEN_CLASS_NAME]; /* of the pictures, in `folder`, with a slash at the end, or ""
                                      */
    char paths[TABLES][MIEN_PATH];
    int count, usage; /* the part that the present table's name tells */
    label_columns columns;
    mien_records csv;
    class_words words; /* all labels as words, numbers included */
    size_t rows, missing, outside, unlabelled;
    char first[256]; /* the first row that is missing or points outside */
    bool affectnet;
} label_table;

static bool is_csv(const char *name) {
    return mien_path_ends(name, ".csv") || mien_path_ends(name, ".tsv");
}

/* ---- which sources are tables ---- */

/* Whether the folder's pictures are in class folders: then these are the labels. */
static bool has_class_folders(const char *folder) {
    listing top = {0};
    int with_pictures = 0;
    bool deeper = false;
    if (listing_folders(folder, &top) == MIEN_OK)
        for (size_t i = 0; i < top.count; i++) {
            char path[MIEN_PATH];
            listing inner = {0}, files = {0};
            const bool part = part_word_of(top.names[i], strlen(top.names[i])) != MIEN_NO_PART;
            if (mien_path_join(path, folder, top.names[i]) == MIEN_OK) {
                if (listing_folders(path, &inner) == MIEN_OK)
                    deeper = deeper || (part && inner.count);
                if (listing_pictures(path, &files) == MIEN_OK)
                    with_pictures += files.count && !part;
            }
            listing_release(&inner);
            listing_release(&files);
        }
    listing_release(&top);
    return deeper || with_pictures > 1;
}

static bool find_tables(const char *source, label_table *t) {
    t->count = 0;
    if (!mien_is_folder(source)) {
        mien_path_folder(t->folder, source);
        snprintf(t->paths[0], MIEN_PATH, "%s", source);
        t->count = is_csv(source) && label_columns_peek(source);
        return t->count > 0;
    }
    listing files;
    snprintf(t->folder, sizeof t->folder, "%s", source);
    if (listing_tables(source, &files) == MIEN_OK)
        for (size_t i = 0; i < files.count && t->count < TABLES; i++)
            if (mien_path_join(t->paths[t->count], source, files.names[i]) == MIEN_OK &&
                label_columns_peek(t->paths[t->count]))
                t->count++;
    listing_release(&files);
    return t->count && !has_class_folders(source);
}

static bool accepts(const char *source) {
    label_table *t;
    if (!is_csv(source) && !mien_is_folder(source)) return false;
    if (mien_new(&t, 1, sizeof *t) != MIEN_OK) return false;
    const bool found = find_tables(source, t);
    mien_free(t);
    return found;
}

/* ---- a row ---- */

/* Whether a name stays inside the folder: not absolute, no drive letter, no "..". */
static bool is_inside(const char *name) {
    if (*name == '/' || (*name && name[1] == ':')) return false;
    for (const char *at = name; *at;) {
        const size_t length = strcspn(at, "/");
        if (length == 2 && memcmp(at, "..", 2) == 0) return false;
        at += length + (at[length] != 0);
    }
    return true;
}

/* The path of a picture, relative to the table's folder; false if there is no such file. */
static bool find_picture(const label_table *t, const char *subfolder, const char *name, char *out) {
    static const char *const suffixes[] = {"", ".jpg", ".png", ".jpeg", ".bmp", ".pgm"};
    char relative[MIEN_PATH], full[MIEN_PATH];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        const int n = snprintf(relative, sizeof relative, "%s%s%s", subfolder, name, suffixes[i]);
        if (n < 0 || (size_t)n >= sizeof relative ||
            mien_path_join(full, t->folder, relative) != MIEN_OK)
            return false;
        if (!mien_file_exists(full) || mien_is_folder(full)) continue;
        strcpy(out, relative);
        return true;
    }
    return false;
}

/* Names may have backslashes and "./". */
static char *clean_name(char *name) {
    for (char *c = name; *c; c++)
        if (*c == '\\') *c = '/';
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    return name;
}

static mien_status row_problem(const label_table *t, const char *format, const char *value) {
    char text[400];
    snprintf(text, sizeof text, format, value);
    return MIEN_FAIL(FORMAT, "'%s': line %lld: %s", t->csv.path, t->csv.line, text);
}

static const char *field(const label_table *t, int column) {
    return column >= 0 && column < t->csv.count ? t->csv.fields[column] : "";
}

static mien_status read_label(label_table *t, int *label) {
    char text[MIEN_CLASS_NAME];
    const char *word = field(t, t->columns.label);
    char *end;
    snprintf(text, sizeof text, "%s", word);
    const long number = strtol(word, &end, 10);
    if (end != word && (*end == 0 || (*end == '.' && strspn(end + 1, "0") == strlen(end + 1))))
        snprintf(text, sizeof text, "%ld", number);
    const mien_status status =
        class_words_index(&t->words, strlen(word) < sizeof text ? text : word, label);
    return status == MIEN_OK
               ? status
               : mien_fail_context(status, "'%s': line %lld", t->csv.path, t->csv.line);
}

static mien_status read_usage(const label_table *t, int *usage) {
    const char *word = field(t, t->columns.usage);
    *usage = t->usage;
    if (t->columns.usage < 0) return MIEN_OK;
    *usage = part_word_of(word, strlen(word));
    return *usage == MIEN_NO_PART
               ? row_problem(t, "the part '%.60s' is none of train, val and test", word)
               : MIEN_OK;
}

static mien_status read_box(const label_table *t, mien_rect *box) {
    int values[4];
    *box = (mien_rect){0};
    if (t->columns.box[0] < 0) return MIEN_OK;
    for (int k = 0; k < 4; k++) {
        char *end;
        const char *text = field(t, t->columns.box[k]);
        const double value = strtod(text, &end);
        if (end == text || *end || !(value >= -1e6 && value <= 1e6))
            return row_problem(t, "its box holds '%.60s', which is not a number", text);
        values[k] = (int)value;
    }
    if (t->columns.corners) {
        values[2] -= values[0];
        values[3] -= values[1];
    }
    if (values[2] < PICTURE_SIDE_MIN || values[3] < PICTURE_SIDE_MIN)
        return row_problem(t, "its box is %s too small for a face", "empty or");
    *box = (mien_rect){values[0], values[1], values[2], values[3]};
    return MIEN_OK;
}

static void count_lost(label_table *t, size_t *which, const char *name) {
    ++*which;
    if (!*t->first) snprintf(t->first, sizeof t->first, "'%.180s' in line %lld", name, t->csv.line);
}

static bool without_emotion(const label_table *t) {
    char *end;
    const long value = strtol(field(t, t->columns.label), &end, 10);
    return t->affectnet && *end == 0 && value >= AFFECTNET_CLASSES && value <= 10;
}

/* Rows whose file is lost are counted, and reported together if the first is to end the reading. */
static mien_status read_row(mien_dataset *set, label_table *t, const mien_on_bad *on_bad) {
    char path[MIEN_PATH];
    char *name = clean_name((char *)(uintptr_t)field(t, t->columns.file));
    int label = 0, usage = 0;
    mien_rect box;
    t->rows++;
    if (without_emotion(t)) {
        t->unlabelled++;
        return MIEN_OK;
    }
    const bool inside = is_inside(name);
    if (!inside || !*name || !find_picture(t, t->subfolder, name, path)) {
        count_lost(t, inside ? &t->missing : &t->outside, name);
        if (!on_bad->skip) return MIEN_OK;
        row_problem(t, inside ? "the file '%.180s' is missing" : "'%.180s' is outside the folder",
                    name);
        return mien_dataset_bad(set, on_bad);
    }
    mien_status status = read_label(t, &label);
    if (status == MIEN_OK) status = read_usage(t, &usage);
    if (status == MIEN_OK) status = read_box(t, &box);
    if (status == MIEN_FORMAT) return mien_dataset_bad(set, on_bad);
    MIEN_TRY(status);
    MIEN_TRY(pictures_add(set, path, label, usage));
    return t->columns.box[0] < 0 ? MIEN_OK : pictures_box(set, box);
}

/* ---- a table ---- */

static mien_status open_table(label_table *t, const char *path) {
    MIEN_TRY(mien_records_open(&t->csv, path, TABLE_MAX));
    return label_columns_read(&t->csv, &t->columns);
}

/* How many of the first rows name files in this subfolder. */
static int count_found(label_table *t, const char *path, const char *subfolder) {
    char found[MIEN_PATH];
    int n = 0;
    if (open_table(t, path) == MIEN_OK)
        for (int i = 0; i < PROBED && mien_records_next(&t->csv) == MIEN_OK && t->csv.count; i++) {
            const char *name = clean_name((char *)(uintptr_t)field(t, t->columns.file));
            n += *name && is_inside(name) && find_picture(t, subfolder, name, found);
        }
    mien_records_release(&t->csv);
    return n;
}

/* The pictures lie beside the table, or in one folder next to it. */
static mien_status find_subfolder(label_table *t, const char *path) {
    listing top;
    mien_status status;
    *t->subfolder = 0;
    int most = count_found(t, path, "");
    MIEN_GO(listing_folders(t->folder, &top));
    for (size_t i = 0; i < top.count && most < PROBED; i++) {
        char name[MIEN_CLASS_NAME];
        if (strlen(top.names[i]) + 2 > sizeof name) continue;
        snprintf(name, sizeof name, "%s/", top.names[i]);
        const int found = count_found(t, path, name);
        if (found <= most) continue;
        most = found;
        strcpy(t->subfolder, name);
    }
out:
    listing_release(&top);
    return status;
}

static mien_status check_lost(mien_dataset *set, const label_table *t, const char *path,
                              const mien_on_bad *on_bad) {
    if (!t->missing && !t->outside) return MIEN_OK;
    char text[200] = "";
    if (t->missing)
        snprintf(text, sizeof text, "%zu of its %zu rows name files that are missing", t->missing,
                 t->rows);
    if (t->outside)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "%s%zu of its %zu rows name files outside its folder, which are never read",
                 t->missing ? ", and " : "", t->outside, t->rows);
    if (on_bad->skip) {
        MIEN_WARN("%s: %s", path, text);
        return MIEN_OK;
    }
    MIEN_FAIL(FORMAT, "'%s': %s; the first is %s", path, text, t->first);
    return mien_dataset_bad(set, on_bad);
}

static mien_status read_table(mien_dataset *set, label_table *t, const char *path,
                              const mien_on_bad *on_bad) {
    char stem[MIEN_PATH];
    mien_status status;
    mien_path_stem(stem, sizeof stem, path);
    t->usage = mien_is_folder(set->source) ? part_word_begins(stem) : MIEN_NO_PART;
    t->rows = t->missing = t->outside = 0;
    *t->first = 0;
    MIEN_TRY(find_subfolder(t, path));
    MIEN_GO(open_table(t, path));
    t->affectnet = t->affectnet || t->columns.affectnet;
    for (;;) {
        MIEN_GO(mien_records_next(&t->csv));
        if (!t->csv.count) break;
        MIEN_GO(read_row(set, t, on_bad));
    }
    MIEN_GO(check_lost(set, t, path, on_bad));
out:
    mien_records_release(&t->csv);
    return status;
}

/* Several tables of a folder must be its parts. */
static mien_status check_tables(const label_table *t) {
    bool seen[MIEN_PARTS + 1] = {false};
    for (int i = 0; i < t->count && t->count > 1; i++) {
        char stem[MIEN_PATH];
        mien_path_stem(stem, sizeof stem, t->paths[i]);
        const int usage = part_word_begins(stem);
        if (usage == MIEN_NO_PART || seen[usage])
            return MIEN_FAIL(FORMAT,
                             "'%s' holds %d tables of labels that are not named train, val and "
                             "test: give one of them, such as '%s'",
                             t->folder, t->count, t->paths[i]);
        seen[usage] = true;
    }
    return MIEN_OK;
}

static mien_status open_label_table(const char *source, const mien_on_bad *on_bad,
                                    mien_dataset *set) {
    label_table *t;
    mien_status status;
    (void)source;
    MIEN_TRY(mien_new(&t, 1, sizeof *t));
    MIEN_GO(pictures_start(set));
    if (!find_tables(set->source, t))
        MIEN_GO(MIEN_FAIL(NOT_FOUND, "'%s' no longer holds a table of labels", set->source));
    MIEN_GO(pictures_root(set, t->folder));
    MIEN_GO(check_tables(t));
    for (int i = 0; i < t->count; i++)
        MIEN_GO(read_table(set, t, t->paths[i], on_bad));
    MIEN_GO(label_classes_name(set, &t->words, t->folder, t->affectnet));
    if (t->unlabelled)
        MIEN_INFO("%s: %zu images without an emotion (none, uncertain, no face) are left out",
                  set->source, t->unlabelled);
    MIEN_GO(pictures_load(set, on_bad));
out:
    class_words_release(&t->words);
    mien_free(t);
    return status;
}

const mien_source_def mien_source_label_table = {
    "a folder of pictures", accepts,       open_label_table, pictures_read,
    pictures_close,         pictures_file, pictures_size};
