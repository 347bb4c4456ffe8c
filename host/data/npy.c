/* NumPy arrays: images with labels, as .npy files in a folder or an .npz archive. The names of a
 * pair of arrays give the part; an optional classes.txt next to them names the classes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes_file.h"
#include "host/data/listing.h"
#include "host/data/npy_names.h"
#include "host/data/npy_pixels.h"
#include "host/data/pictures.h"

typedef struct npy_position {
    uint32_t row;
    uint32_t pair;
} npy_position;

typedef struct npy_reader {
    npy_array images[NPY_PAIRS];
    npy_pixels forms[NPY_PAIRS];
    npy_position *positions; /* [count of the set] */
    size_t capacity;
    size_t rows; /* rows of the pairs so far, good and bad */
    bool wide;   /* one-hot labels tell how many classes there are */
} npy_reader;

/* An archive or a folder, in which arrays are found by name. */
typedef struct array_store {
    char folder[MIEN_PATH];
    npz_file archive; /* its path is NULL for a folder */
    mien_text text;
    const char **names; /* [count] of all arrays, in byte order in a folder */
    size_t count;
} array_store;

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the folder's .npy files, without the suffix. */
static bool is_array(const char *name) {
    const size_t length = strlen(name);
    return length >= 5 && length - 4 < NPY_NAME && mien_path_ends(name, ".npy");
}

static mien_status list_files(array_store *s) {
    listing files;
    const mien_status status = listing_files(s->folder, is_array, &files);
    for (size_t i = 0; status == MIEN_OK && i < files.count; i++) {
        mien_text_append(&s->text, files.names[i], strlen(files.names[i]) - 4);
        mien_text_append(&s->text, "", 1);
        s->count++;
    }
    listing_release(&files);
    return status;
}

static mien_status list_arrays(array_store *s) {
    if (s->archive.path)
        s->count = s->archive.count;
    else
        MIEN_TRY(list_files(s));
    MIEN_TRY(s->text.status);
    MIEN_TRY(mien_new(&s->names, s->count + 1, sizeof *s->names));
    const char *at = s->text.data;
    for (size_t i = 0; i < s->count; i++) {
        s->names[i] = s->archive.path ? s->archive.entries[i].name : at;
        if (!s->archive.path) at += strlen(at) + 1;
    }
    qsort(s->names, s->count, sizeof *s->names, by_bytes);
    return MIEN_OK;
}

static void close_store(array_store *s) {
    npz_close(&s->archive);
    mien_text_release(&s->text);
    mien_free(s->names);
}

static mien_status open_array(const array_store *s, const char *name, npy_array *out) {
    char path[MIEN_PATH], file[NPY_NAME + 8];
    *out = (npy_array){.fd = -1};
    if (s->archive.path) return npz_member(&s->archive, npz_find(&s->archive, name), out);
    snprintf(file, sizeof file, "%s.npy", name);
    MIEN_TRY(mien_path_join(path, s->folder, file));
    return npy_open(path, out);
}

static bool accepts(const char *source) {
    array_store s = {.archive = {.fd = -1}};
    bool images = false;
    if (mien_path_ends(source, ".npy") || mien_path_ends(source, ".npz")) return true;
    if (!mien_is_folder(source)) return false;
    snprintf(s.folder, sizeof s.folder, "%s", source);
    if (list_arrays(&s) == MIEN_OK) images = npy_names_accept(s.names, s.count);
    close_store(&s);
    return images;
}

/* The index of the only 1 among `n` numbers, the others being 0; or -1. */
static long long one_hot(const npy_header *h, const uint8_t *data, size_t from, size_t n) {
    long long found = -1;
    for (size_t k = 0; k < n; k++) {
        double value;
        if (!npy_real(h, data, from + k, &value) || (value < 1 && value > 0) || value < 0 ||
            value > 1)
            return -1;
        if (value < 1) continue;
        if (found >= 0) return -1;
        found = (long long)k;
    }
    return found;
}

/* Labels [N] or [N,1] of whole numbers, or one-hot rows [N,C], as integers. *width: C, else 0. */
static mien_status read_labels(const npy_array *labels, const npy_array *images, long long *out,
                               const uint8_t *data, size_t *width) {
    const npy_header *h = &labels->head;
    *width = h->dims == 2 && h->shape[1] > 1 ? h->shape[1] : 0;
    for (size_t i = 0; i < images->head.shape[0]; i++) {
        double value = -1;
        if (*width) {
            out[i] = one_hot(h, data, i * *width, *width);
            if (out[i] < 0)
                return MIEN_FAIL(FORMAT,
                                 "'%s' is not a list of labels: its shape must be [N], or [N,C] "
                                 "with a single 1 in each row, which row %zu has not",
                                 labels->name, i);
        } else if (h->kind != 'f') {
            if (!npy_integer(h, data, i, &out[i])) out[i] = -1;
        } else if (npy_real(h, data, i, &value) && fabs(value) < 1e9 &&
                   !(fabs(value - floor(value)) > 0)) {
            out[i] = (long long)value;
        } else {
            return MIEN_FAIL(UNSUPPORTED,
                             "'%s' holds elements of type %c%zu: labels must be integers, which "
                             "row %zu is not",
                             labels->name, h->kind, h->item, i);
        }
    }
    if (*width) MIEN_INFO("%s: one-hot labels of %zu classes", labels->name, *width);
    return MIEN_OK;
}

static mien_status check_labels(const npy_array *labels, const npy_array *images) {
    const npy_header *h = &labels->head;
    if (!strchr("uibf", h->kind) || h->item > 8)
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds elements of type %c%zu: labels must be integers",
                         labels->name, h->kind, h->item);
    if (h->dims < 1 || h->dims > 2 || (h->dims == 2 && h->shape[1] > MIEN_CLASSES_MAX))
        return MIEN_FAIL(FORMAT, "'%s' is not a list of labels: its shape must be [N]",
                         labels->name);
    if (h->shape[0] != images->head.shape[0])
        return MIEN_FAIL(FORMAT, "'%s' holds %zu labels for the %zu images of '%s'", labels->name,
                         h->shape[0], images->head.shape[0], images->name);
    return MIEN_OK;
}

/* Rows with a valid label become samples. Labels must be below *classes, which grows if `open`. */
static mien_status add_rows(mien_dataset *set, uint32_t pair, int usage, const npy_array *labels,
                            const long long *values, int *classes, bool open,
                            const mien_on_bad *on_bad) {
    npy_reader *r = set->reader;
    const size_t rows = labels->head.shape[0];
    MIEN_TRY(mien_grow(&r->positions, &r->capacity, set->count + rows, sizeof *r->positions));
    const size_t base = set->count;
    size_t good = base;
    MIEN_TRY(mien_dataset_extend(set, rows));
    for (size_t i = 0; i < rows; i++) {
        const long long label = values[i], most = open ? MIEN_CLASSES_MAX : *classes;
        if (label < 0 || label >= most) {
            MIEN_FAIL(FORMAT, "'%s': row %zu: label %lld; labels are 0 to %lld%s", labels->name, i,
                      label, most - 1, open ? "" : ", for which classes.txt has names");
            MIEN_TRY(mien_dataset_bad(set, on_bad));
            continue;
        }
        if (open && label >= *classes) *classes = (int)label + 1;
        r->positions[good] = (npy_position){(uint32_t)i, pair};
        set->row[good] = (uint32_t)(r->rows + i);
        set->labels[good] = (uint16_t)label;
        set->usage[good++] = (uint8_t)usage;
    }
    set->count = good;
    r->rows += rows;
    return MIEN_OK;
}

/* Opens both arrays. Of two without names, the larger one holds the images. */
static mien_status open_pair(const array_store *s, const npy_pair *pair, npy_array *images,
                             npy_array *labels) {
    MIEN_TRY(open_array(s, pair->images, images));
    if (!pair->unordered) return MIEN_OK;
    MIEN_TRY(open_array(s, pair->labels, labels));
    if (labels->head.count > images->head.count) {
        const npy_array other = *images;
        *images = *labels;
        *labels = other;
    }
    MIEN_INFO("%s is read as the images, %s as the labels", images->name, labels->name);
    return MIEN_OK;
}

static mien_status check_width(const char *name, size_t width, int *classes, bool open) {
    if (width && !open && width != (size_t)*classes)
        return MIEN_FAIL(FORMAT, "'%s' has labels of %zu classes, but classes.txt names %d", name,
                         width, *classes);
    if ((size_t)*classes < width) *classes = (int)width;
    return MIEN_OK;
}

static mien_status add_pair(mien_dataset *set, const array_store *s, const npy_pair *pair,
                            uint32_t at, int *classes, bool open, const mien_on_bad *on_bad) {
    npy_reader *r = set->reader;
    npy_array *images = &r->images[at], labels = {.fd = -1};
    uint8_t *data = NULL;
    long long *values = NULL;
    size_t width = 0;
    mien_status status;
    MIEN_GO(open_pair(s, pair, images, &labels));
    MIEN_GO(npy_pixels_check(images, &r->forms[at]));
    if (!pair->labels && !pair->unordered) { /* an unlabelled set, to be predicted */
        MIEN_GO(mien_new(&values, images->head.shape[0] + 1, sizeof *values));
        status = add_rows(set, at, pair->usage, images, values, classes, open, on_bad);
        goto out;
    }
    if (!labels.name) MIEN_GO(open_array(s, pair->labels, &labels));
    MIEN_GO(check_labels(&labels, images));
    MIEN_GO(mien_new(&data, labels.head.count, labels.head.item));
    MIEN_GO(mien_new(&values, labels.head.count + 1, sizeof *values));
    MIEN_GO(npy_read(&labels, 0, labels.head.count * labels.head.item, data));
    if (images->bytes && set->memory == MIEN_MEMORY_STREAM)
        MIEN_GO(
            MIEN_FAIL(UNSUPPORTED,
                      "'%s' is compressed and cannot be streamed: write it with numpy.savez, or "
                      "set data.memory to resident",
                      set->source));
    MIEN_GO(read_labels(&labels, images, values, data, &width));
    MIEN_GO(check_width(labels.name, width, classes, open));
    r->wide = r->wide || width;
    MIEN_GO(add_rows(set, at, pair->usage, &labels, values, classes, open, on_bad));
out:
    mien_free(values);
    mien_free(data);
    npy_close(&labels);
    return status;
}

static mien_status number_classes(mien_dataset *set, int count) {
    MIEN_TRY(mien_new(&set->class_names, (size_t)count, MIEN_CLASS_NAME));
    set->classes = count;
    for (int k = 0; k < count; k++)
        snprintf(set->class_names[k], MIEN_CLASS_NAME, "%d", k);
    return MIEN_OK;
}

/* A single outlying label would create a class for every number below it. */
static mien_status check_gaps(const mien_dataset *set) {
    bool seen[MIEN_CLASSES_MAX] = {false};
    size_t largest = 0;
    for (size_t i = 0; i < set->count; i++) {
        seen[set->labels[i]] = true;
        if (set->labels[i] > set->labels[largest]) largest = i;
    }
    for (int k = 0; k < set->classes; k++)
        if (!seen[k])
            return MIEN_FAIL(FORMAT,
                             "'%s': row %u has the label %d, but no row has the label %d: if "
                             "that is intended, name all classes in a classes.txt next to it",
                             set->source, set->row[largest], set->labels[largest], k);
    return MIEN_OK;
}

/* Refuses the source with a list of its arrays. */
static mien_status refuse_names(const mien_dataset *set, const array_store *s, const char *what) {
    mien_text list = {0};
    for (size_t i = 0; i < s->count && list.size < 300; i++) {
        npy_array array;
        char text[128] = "?";
        if (open_array(s, s->names[i], &array) == MIEN_OK)
            npy_describe(&array.head, text, sizeof text);
        npy_close(&array);
        mien_text_printf(&list, "%s%s %s", i ? ", " : "", s->names[i], text);
    }
    const mien_status status = MIEN_FAIL(
        FORMAT,
        "'%s' %s: it has %s; arrays called images and labels, x and y, or x_train and y_train "
        "with x_val, y_val, x_test, y_test are expected",
        set->source, what, list.data ? list.data : "no array");
    mien_text_release(&list);
    return status;
}

/* Whether one of the pairs that are read has labels: a set is labelled or not as a whole. */
static bool any_labels(const npy_pair *pairs, int count, const char *only) {
    for (int i = 0; i < count; i++)
        if ((!only || strcmp(only, pairs[i].images) == 0) &&
            (pairs[i].labels || pairs[i].unordered))
            return true;
    return false;
}

static mien_status add_pairs(mien_dataset *set, const array_store *s, const char *only,
                             const mien_on_bad *on_bad) {
    npy_reader *r = set->reader;
    npy_pair pairs[NPY_PAIRS];
    int classes = 0;
    bool found = false;
    MIEN_TRY(classes_file_read(set, s->folder, &classes));
    const bool open = classes == 0;
    const int count = npy_names_pair(s->names, s->count, pairs);
    set->labelled = any_labels(pairs, count, only);
    for (int i = 0; i < count; i++) {
        if (only && strcmp(only, pairs[i].images) != 0) continue;
        found = true;
        if (set->labelled && !pairs[i].labels) {
            char text[160];
            snprintf(text, sizeof text, "holds '%s', but no '%s' with the labels", pairs[i].images,
                     strcmp(pairs[i].images, "images") == 0 ? "labels" : "y");
            return refuse_names(set, s, text);
        }
        MIEN_TRY(add_pair(set, s, &pairs[i], (uint32_t)i, &classes, open, on_bad));
    }
    if (!found) return refuse_names(set, s, "holds no images by their names");
    if (open) MIEN_TRY(number_classes(set, classes));
    if (open && !r->wide) MIEN_TRY(check_gaps(set));
    return mien_dataset_fill(set);
}

static mien_status open_npy(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    array_store s = {.archive = {.fd = -1}};
    char stem[MIEN_PATH];
    const bool archive = mien_path_ends(source, ".npz"), single = mien_path_ends(source, ".npy");
    mien_status status;
    MIEN_TRY(mien_new(&set->reader, 1, sizeof(npy_reader)));
    mien_path_stem(stem, sizeof stem, source);
    if (archive || single)
        mien_path_folder(s.folder, source);
    else
        snprintf(s.folder, sizeof s.folder, "%s", source);
    if (archive) MIEN_GO(npz_open(set->source, &s.archive));
    MIEN_GO(list_arrays(&s));
    MIEN_GO(add_pairs(set, &s, single ? stem : NULL, on_bad));
out:
    close_store(&s);
    return status;
}

/* The buffer holds the 8-bit pixels and, after them, what is stored if that is something else. */
static mien_status read_npy(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                            uint8_t *pixels) {
    const npy_reader *r = set->reader;
    const uint32_t pair = r->positions[i].pair;
    const npy_array *a = &r->images[pair];
    const npy_pixels *form = &r->forms[pair];
    const size_t stored = npy_pixels_stored(a, form), count = npy_pixels_count(form);
    const bool plain = form->bytes && !form->planar;
    MIEN_TRY(mien_grow(&buffer->bytes, &buffer->capacity, plain ? count : count + stored, 1));
    uint8_t *image = (uint8_t *)buffer->bytes, *from = plain ? image : image + count;
    MIEN_TRY(npy_read(a, (uint64_t)r->positions[i].row * stored, stored, from));
    if (!plain) npy_pixels_convert(a, form, from, image);
    pictures_shape(set->spec, image, form->height, form->width, form->channels, pixels);
    return MIEN_OK;
}

static void close_npy(mien_dataset *set) {
    npy_reader *r = set->reader;
    if (!r) return;
    for (int i = 0; i < NPY_PAIRS; i++)
        npy_close(&r->images[i]);
    mien_free(r->positions);
    mien_free(r);
    set->reader = NULL;
}

const mien_source_def mien_source_npy = {
    "a .npy or .npz file", accepts, open_npy, read_npy, close_npy, NULL, NULL};
