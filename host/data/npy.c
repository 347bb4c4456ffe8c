/* NumPy arrays: uint8 images [N,H,W] or [N,H,W,C] with labels [N], as .npy files in a folder or an
 * .npz archive. The names of a pair of arrays give the part; an optional classes.txt next to them
 * names the classes. */
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/npy_file.h"
#include "host/data/pictures.h"
#include "host/image/image.h"

enum { CLASSES_FILE_MAX = 1 << 20 };

static const struct pair {
    const char *images, *labels;
    int usage;
} pairs[] = {
    {"images", "labels", MIEN_NO_PART},     {"x", "y", MIEN_NO_PART},
    {"x_train", "y_train", MIEN_TRAIN},     {"x_val", "y_val", MIEN_VAL},
    {"x_test", "y_test", MIEN_TEST},        {"train_images", "train_labels", MIEN_TRAIN},
    {"val_images", "val_labels", MIEN_VAL}, {"test_images", "test_labels", MIEN_TEST},
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

typedef struct npy_position {
    uint32_t row;
    uint32_t pair;
} npy_position;

typedef struct npy_reader {
    npy_array images[PAIRS];
    npy_position *positions; /* [count of the set] */
    size_t capacity;
    size_t rows; /* rows of the pairs so far, good and bad */
} npy_reader;

/* An archive or a folder, in which arrays are found by name. */
typedef struct array_store {
    char folder[MIEN_PATH];
    npz_file archive; /* its path is NULL for a folder */
} array_store;

static bool find_file(const char *folder, const char *name, char *path) {
    char file[MIEN_CLASS_NAME];
    snprintf(file, sizeof file, "%s.npy", name);
    return mien_path_join(path, folder, file) == MIEN_OK && mien_file_exists(path);
}

static bool has_array(const array_store *s, const char *name) {
    char path[MIEN_PATH];
    return s->archive.path ? npz_find(&s->archive, name) != NULL : find_file(s->folder, name, path);
}

static mien_status open_array(const array_store *s, const char *name, npy_array *out) {
    char path[MIEN_PATH];
    *out = (npy_array){.fd = -1};
    if (s->archive.path) return npz_member(&s->archive, npz_find(&s->archive, name), out);
    find_file(s->folder, name, path);
    return npy_open(path, out);
}

static bool accepts(const char *source) {
    char path[MIEN_PATH];
    if (mien_path_ends(source, ".npy") || mien_path_ends(source, ".npz")) return true;
    for (int i = 0; i < PAIRS; i++)
        if (mien_is_folder(source) && find_file(source, pairs[i].images, path)) return true;
    return false;
}

static mien_status check_images(const npy_array *a) {
    const npy_header *h = &a->head;
    const bool is_uint8 = h->kind == 'u' && h->item == 1;
    if (!is_uint8)
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds elements of type %c%zu: images must be uint8",
                         a->name, h->kind, h->item);
    if ((h->dims != 3 && h->dims != 4) || (h->dims == 4 && h->shape[3] != 1 && h->shape[3] != 3))
        return MIEN_FAIL(FORMAT,
                         "'%s' is not an array of images: its shape must be [N,H,W], "
                         "[N,H,W,1] or [N,H,W,3]",
                         a->name);
    const size_t height = h->shape[1], width = h->shape[2];
    if (height < PICTURE_SIDE_MIN || width < PICTURE_SIDE_MIN)
        return MIEN_FAIL(FORMAT, "'%s' has images of %zux%zu pixels: too small for a face", a->name,
                         width, height);
    if (height > MIEN_IMAGE_PIXELS_MAX / width)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' has images of %zux%zu pixels; the limit is %d megapixels", a->name,
                         width, height, MIEN_IMAGE_PIXELS_MAX / 1000000);
    return MIEN_OK;
}

static mien_status check_labels(const npy_array *labels, const npy_array *images) {
    const npy_header *h = &labels->head;
    if (!strchr("uib", h->kind))
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds elements of type %c%zu: labels must be integers",
                         labels->name, h->kind, h->item);
    if (h->dims != 1 && !(h->dims == 2 && h->shape[1] == 1))
        return MIEN_FAIL(FORMAT, "'%s' is not a list of labels: its shape must be [N]",
                         labels->name);
    if (h->shape[0] != images->head.shape[0])
        return MIEN_FAIL(FORMAT, "'%s' holds %zu labels for the %zu images of '%s'", labels->name,
                         h->shape[0], images->head.shape[0], images->name);
    return MIEN_OK;
}

/* Rows with a valid label become samples. Labels must be below *classes, which grows if `open`. */
static mien_status add_rows(mien_dataset *set, uint32_t pair, const npy_array *labels,
                            const uint8_t *data, int *classes, bool open,
                            const mien_on_bad *on_bad) {
    npy_reader *r = set->reader;
    const size_t rows = labels->head.shape[0];
    MIEN_TRY(mien_grow(&r->positions, &r->capacity, set->count + rows, sizeof *r->positions));
    const size_t base = set->count;
    size_t good = base;
    MIEN_TRY(mien_dataset_extend(set, rows));
    for (size_t i = 0; i < rows; i++) {
        long long label = -1;
        const long long most = open ? MIEN_CLASSES_MAX : *classes;
        if (!npy_integer(&labels->head, data, i, &label) || label < 0 || label >= most) {
            MIEN_FAIL(FORMAT, "'%s': row %zu: label %lld; labels are 0 to %lld", labels->name, i,
                      label, most - 1);
            MIEN_TRY(mien_dataset_bad(set, on_bad));
            continue;
        }
        if (open && label >= *classes) *classes = (int)label + 1;
        r->positions[good] = (npy_position){(uint32_t)i, pair};
        set->row[good] = (uint32_t)(r->rows + i);
        set->labels[good] = (uint16_t)label;
        set->usage[good++] = (uint8_t)pairs[pair].usage;
    }
    set->count = good;
    r->rows += rows;
    return MIEN_OK;
}

static mien_status add_pair(mien_dataset *set, const array_store *s, uint32_t pair, int *classes,
                            bool open, const mien_on_bad *on_bad) {
    npy_reader *r = set->reader;
    npy_array *images = &r->images[pair], labels = {.fd = -1};
    uint8_t *data = NULL;
    mien_status status;
    if (!has_array(s, pairs[pair].labels))
        return MIEN_FAIL(NOT_FOUND, "'%s' holds '%s', but no '%s' with the labels", set->source,
                         pairs[pair].images, pairs[pair].labels);
    MIEN_GO(open_array(s, pairs[pair].images, images));
    MIEN_GO(check_images(images));
    MIEN_GO(open_array(s, pairs[pair].labels, &labels));
    MIEN_GO(check_labels(&labels, images));
    MIEN_GO(mien_new(&data, labels.head.count, labels.head.item));
    MIEN_GO(npy_read(&labels, 0, labels.head.count * labels.head.item, data));
    if (images->bytes && set->memory == MIEN_MEMORY_STREAM)
        MIEN_GO(
            MIEN_FAIL(UNSUPPORTED,
                      "'%s' is compressed and cannot be streamed: write it with numpy.savez, or "
                      "set data.memory to resident",
                      set->source));
    MIEN_GO(add_rows(set, pair, &labels, data, classes, open, on_bad));
out:
    mien_free(data);
    npy_close(&labels);
    return status;
}

mien_status mien_classes_read(mien_dataset *set, const char *folder, int *count) {
    char path[MIEN_PATH], *text, *names[MIEN_CLASSES_MAX];
    size_t size;
    MIEN_TRY(mien_path_join(path, folder, "classes.txt"));
    if (!mien_file_exists(path)) return MIEN_OK;
    MIEN_TRY(mien_file_read(path, CLASSES_FILE_MAX, &text, &size));
    mien_status status = MIEN_OK;
    if (strlen(text) != size)
        status = MIEN_FAIL(FORMAT, "'%s' contains NUL bytes: it is damaged", path);
    for (char *line = text; *line && status == MIEN_OK;) {
        char *end = line + strcspn(line, "\r\n");
        char *next = end + strspn(end, "\r\n");
        *end = 0;
        if (*count == MIEN_CLASSES_MAX || end - line >= MIEN_CLASS_NAME)
            status = MIEN_FAIL(FORMAT, "'%s': more than %d classes, or a name longer than %d bytes",
                               path, MIEN_CLASSES_MAX, MIEN_CLASS_NAME - 1);
        else if (*line)
            names[(*count)++] = line;
        line = next;
    }
    if (status == MIEN_OK && *count == 0) status = MIEN_FAIL(FORMAT, "'%s' names no class", path);
    if (status == MIEN_OK) status = mien_dataset_classes(set, (const char *const *)names, *count);
    mien_free(text);
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

static mien_status add_pairs(mien_dataset *set, const array_store *s, const char *only,
                             const mien_on_bad *on_bad) {
    int classes = 0;
    bool found = false;
    MIEN_TRY(mien_classes_read(set, s->folder, &classes));
    const bool open = classes == 0;
    for (uint32_t i = 0; i < PAIRS; i++) {
        if ((only && strcmp(only, pairs[i].images) != 0) || !has_array(s, pairs[i].images))
            continue;
        MIEN_TRY(add_pair(set, s, i, &classes, open, on_bad));
        found = true;
    }
    if (!found)
        return MIEN_FAIL(
            FORMAT,
            "'%s' holds no images: arrays called images and labels, x and y, or x_train "
            "and y_train with x_val, y_val, x_test, y_test are expected",
            set->source);
    if (open) MIEN_TRY(number_classes(set, classes));
    if (open) MIEN_TRY(check_gaps(set));
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
    MIEN_GO(add_pairs(set, &s, single ? stem : NULL, on_bad));
out:
    npz_close(&s.archive);
    return status;
}

static mien_status read_npy(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                            uint8_t *pixels) {
    const npy_reader *r = set->reader;
    const npy_array *a = &r->images[r->positions[i].pair];
    const int channels = a->head.dims == 4 ? (int)a->head.shape[3] : 1;
    const size_t bytes = a->head.shape[1] * a->head.shape[2] * (size_t)channels;
    MIEN_TRY(mien_grow(&buffer->bytes, &buffer->capacity, bytes, 1));
    uint8_t *image = (uint8_t *)buffer->bytes;
    MIEN_TRY(npy_read(a, (uint64_t)r->positions[i].row * bytes, bytes, image));
    pictures_shape(set->spec, image, (int)a->head.shape[1], (int)a->head.shape[2], channels,
                   pixels);
    return MIEN_OK;
}

static void close_npy(mien_dataset *set) {
    npy_reader *r = set->reader;
    if (!r) return;
    for (int i = 0; i < PAIRS; i++)
        npy_close(&r->images[i]);
    mien_free(r->positions);
    mien_free(r);
    set->reader = NULL;
}

const mien_source_def mien_source_npy = {
    "a .npy or .npz file", accepts, open_npy, read_npy, close_npy, NULL};
