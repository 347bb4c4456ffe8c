#include "host/data/label_columns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/classes_file.h"
#include "host/data/csv_rows.h"
#include "host/data/face_sets.h"
#include "host/data/pictures.h"

/* The column of the first of these names that the record has, or -1. */
static int find_column(const mien_records *csv, const char *const *names) {
    for (; *names; names++)
        for (int i = 0; i < csv->count; i++) {
            const char *field = csv->fields[i] + strspn(csv->fields[i], " ");
            const size_t length = strlen(*names);
            if (strncasecmp(field, *names, length) == 0 &&
                field[length + strspn(field + length, " ")] == 0)
                return i;
        }
    return -1;
}

static void find_box(const mien_records *csv, label_columns *c) {
    static const char *const names[][4] = {{"face_x", "face_y", "face_width", "face_height"},
                                           {"x", "y", "w", "h"},
                                           {"x", "y", "width", "height"},
                                           {"xmin", "ymin", "xmax", "ymax"},
                                           {"x_min", "y_min", "x_max", "y_max"},
                                           {"x1", "y1", "x2", "y2"},
                                           {"left", "top", "right", "bottom"}};
    c->box[0] = -1;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && c->box[0] < 0; i++) {
        c->corners = i >= 3;
        for (int k = 3; k >= 0; k--) { /* x last: it says whether all four were found */
            c->box[k] = find_column(csv, (const char *const[]){names[i][k], NULL});
            if (c->box[k] >= 0) continue;
            c->box[0] = -1;
            break;
        }
    }
}

static bool find_columns(const mien_records *csv, label_columns *c) {
    static const char *const files[] = {"subDirectory_filePath",
                                        "image",
                                        "file",
                                        "path",
                                        "filename",
                                        "file_name",
                                        "image_name",
                                        "image_path",
                                        "img",
                                        "pth",
                                        "filepath",
                                        "file_path",
                                        "image_id",
                                        NULL};
    static const char *const labels[] = {"label",  "emotion", "expression", "class",
                                         "labels", "target",  "class_name", NULL};
    static const char *const usages[] = {"usage", "split", "part", "set", "subset", NULL};
    static const char *const own[] = {"subDirectory_filePath", NULL}, *const pixels[] = {"pixels",
                                                                                         NULL};
    c->file = find_column(csv, files);
    c->label = find_column(csv, labels);
    c->usage = find_column(csv, usages);
    find_box(csv, c);
    c->affectnet = find_column(csv, own) >= 0;
    return c->file >= 0 && c->label >= 0 && find_column(csv, pixels) < 0;
}

bool label_columns_peek(const char *path) {
    static const char mark[] = "\xef\xbb\xbf";
    char line[4096];
    mien_records csv = {.path = path, .text = line, .at = line, .next_line = 1};
    label_columns columns;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t got = fd < 0 ? 0 : pread(fd, line, sizeof line - 1, 0);
    if (fd >= 0) close(fd);
    if (got <= 0 || memchr(line, 0, (size_t)got)) return false;
    line[got] = 0;
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, mark, 3) == 0) csv.at += 3;
    csv.separator = csv_separator(csv.at);
    return mien_records_next(&csv) == MIEN_OK && find_columns(&csv, &columns);
}

mien_status label_columns_read(mien_records *csv, label_columns *columns) {
    char *end = csv->at + strcspn(csv->at, "\n");
    const char after = *end;
    *end = 0;
    csv->separator = csv_separator(csv->at);
    *end = after;
    MIEN_TRY(mien_records_next(csv));
    return find_columns(csv, columns)
               ? MIEN_OK
               : MIEN_FAIL(FORMAT, "'%s' names no column of files and one of labels", csv->path);
}

/* The words as numbers, or false if one is not. */
static bool all_numbers(const class_words *words, long *numbers) {
    for (int k = 0; k < words->count; k++) {
        char *end;
        numbers[k] = strtol(words->names[k], &end, 10);
        if (*end || end == words->names[k]) return false;
    }
    return words->count > 0;
}

/* Numbers count from 0 or from 1, without gaps unless the classes have names. */
static mien_status number_classes(mien_dataset *set, const long *numbers, int count, int named,
                                  uint16_t *to) {
    long least = numbers[0], most = numbers[0];
    for (int k = 1; k < count; k++) {
        if (numbers[k] < least) least = numbers[k];
        if (numbers[k] > most) most = numbers[k];
    }
    if (least < 0)
        return MIEN_FAIL(FORMAT, "'%s' has the label %ld; labels are 0 or more", set->source,
                         least);
    const long first = named ? most == named && least > 0 : least == 1;
    if (named && most - first >= named)
        return MIEN_FAIL(FORMAT,
                         "'%s' has labels up to %ld, but classes.txt names %d classes (from label "
                         "0 on): give it a line for each",
                         set->source, most, named);
    if (!named && most - first + 1 != count)
        return MIEN_FAIL(FORMAT,
                         "'%s' has %d different labels, but the largest is %ld: if that is "
                         "intended, name all classes in a classes.txt next to it",
                         set->source, count, most);
    if (named && most - first + 1 < named)
        MIEN_WARN("%s: classes.txt names %d classes, but the largest label is %ld", set->source,
                  named, most);
    if (named && first) MIEN_INFO("%s: labels count from 1", set->source);
    for (int k = 0; k < count; k++)
        to[k] = (uint16_t)(numbers[k] - first);
    if (named) return MIEN_OK;
    set->classes = count;
    MIEN_TRY(mien_new(&set->class_names, (size_t)count, MIEN_CLASS_NAME));
    for (int k = 0; k < count; k++)
        snprintf(set->class_names[k], MIEN_CLASS_NAME, "%ld", k + first);
    return MIEN_OK;
}

static mien_status match_words(const mien_dataset *set, const class_words *words, uint16_t *to) {
    for (int k = 0; k < words->count; k++) {
        const int at = mien_class_find((const char(*)[MIEN_CLASS_NAME])set->class_names,
                                       set->classes, words->names[k]);
        if (at < 0)
            return MIEN_FAIL(FORMAT, "'%s' has the label '%s', which classes.txt does not name",
                             set->source, words->names[k]);
        to[k] = (uint16_t)at;
    }
    return MIEN_OK;
}

static mien_status choose_classes(mien_dataset *set, class_words *words, const char *folder,
                                  bool affectnet, uint16_t *to) {
    long *numbers;
    int named = 0;
    mien_status status;
    MIEN_TRY(mien_new(&numbers, (size_t)words->count + 1, sizeof *numbers));
    MIEN_GO(classes_file_read(set, folder, &named));
    const bool are_numbers = all_numbers(words, numbers);
    if (affectnet && are_numbers && !named) {
        named = AFFECTNET_CLASSES;
        MIEN_INFO("%s: labels are AffectNet's: 0 is neutral, 1 happy, … 7 contempt", set->source);
        MIEN_GO(mien_dataset_classes(set, affectnet_names, named));
    }
    if (are_numbers) {
        MIEN_GO(number_classes(set, numbers, words->count, named, to));
    } else if (named) {
        MIEN_GO(match_words(set, words, to));
    } else {
        MIEN_GO(class_words_order(words, to));
        set->class_names = words->names;
        set->classes = words->count;
        *words = (class_words){0};
    }
out:
    mien_free(numbers);
    return status;
}

mien_status label_classes_name(mien_dataset *set, class_words *words, const char *folder,
                               bool affectnet) {
    pictures *list = set->reader;
    uint16_t to[MIEN_CLASSES_MAX];
    if (list->count == 0) return MIEN_OK;
    MIEN_TRY(choose_classes(set, words, folder, affectnet, to));
    for (size_t i = 0; i < list->count; i++)
        list->items[i].label = to[list->items[i].label];
    return MIEN_OK;
}
