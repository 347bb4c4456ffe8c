#include "host/base/interrupt.h"
#include "host/data/pictures.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/memory.h"
#include "host/image/image.h"
#include "host/image/resize.h"

enum { GROUP = 256 }; /* files decoded at a time, to bound memory */

typedef struct decode_result {
    mien_status status;
    char message[MIEN_MESSAGE];
} decode_result;

mien_status pictures_start(mien_dataset *set) {
    return mien_new(&set->reader, 1, sizeof(pictures));
}

void pictures_close(mien_dataset *set) {
    pictures *p = set->reader;
    if (!p) return;
    mien_text_release(&p->paths);
    mien_free(p->items);
    mien_free(p->boxes);
    mien_free(p->root);
    mien_free(p);
    set->reader = NULL;
}

mien_status pictures_add(mien_dataset *set, const char *path, int label, int usage) {
    pictures *p = set->reader;
    const size_t need = p->count + 1;
    if (need > p->capacity) /* grow in large steps: a set may have hundreds of thousands of files */
        MIEN_TRY(mien_grow(&p->items, &p->capacity, need + p->count, sizeof *p->items));
    p->items[p->count++] =
        (picture){.path = p->paths.size, .label = (uint16_t)label, .usage = (uint8_t)usage};
    mien_text_append(&p->paths, path, strlen(path) + 1);
    return p->paths.status;
}

mien_status pictures_root(mien_dataset *set, const char *folder) {
    pictures *p = set->reader;
    return mien_copy_text(&p->root, folder);
}

mien_status pictures_box(mien_dataset *set, mien_rect box) {
    pictures *p = set->reader;
    if (p->count > p->box_capacity)
        MIEN_TRY(mien_grow(&p->boxes, &p->box_capacity, 2 * p->count, sizeof *p->boxes));
    p->boxes[p->count - 1] = box;
    return MIEN_OK;
}

void pictures_shape(mien_image_spec spec, uint8_t *pixels, int height, int width, int channels,
                    uint8_t *out) {
    if (channels == 3 && spec.channels == 3) {
        mien_resize(pixels, height, width, 3, out, spec.height, spec.width);
        return;
    }
    if (channels == 3) mien_image_to_gray(pixels, (size_t)height * (size_t)width, pixels);
    mien_image_shape(spec, pixels, height, width, out);
}

/* Size and modification time of a file in one number, to notice changes while it is in use. */
static uint64_t stamp_of(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) return 0;
    return (uint64_t)info.st_size * 0x9e3779b97f4a7c15u ^
           ((uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec);
}

void pictures_size(const mien_dataset *set, size_t i, int *width, int *height) {
    const pictures *p = set->reader;
    *width = p->items[i].width;
    *height = p->items[i].height;
}

const char *pictures_file(const mien_dataset *set, size_t i) {
    const pictures *p = set->reader;
    return p->paths.data + p->items[i].path;
}

mien_status pictures_path(const mien_dataset *set, size_t i, char *path) {
    const pictures *p = set->reader;
    return mien_path_join(path, p->root ? p->root : set->source, pictures_file(set, i));
}

/* Cuts the box to the picture, and the picture to the box. */
static mien_status shape_box(const mien_dataset *set, const char *path, const mien_image *image,
                             mien_rect box, uint8_t *pixels) {
    static const mien_crop rule = {.square = true};
    const mien_image_spec spec = set->spec;
    const int x = box.x > 0 ? box.x : 0, y = box.y > 0 ? box.y : 0;
    const int right = box.x + box.width, bottom = box.y + box.height;
    const mien_rect cut = {x, y, (right < image->width ? right : image->width) - x,
                           (bottom < image->height ? bottom : image->height) - y};
    if (cut.width < PICTURE_SIDE_MIN || cut.height < PICTURE_SIDE_MIN)
        return MIEN_FAIL(FORMAT,
                         "'%s': the box at %d,%d of %dx%d pixels is outside the picture of %dx%d",
                         path, box.x, box.y, box.width, box.height, image->width, image->height);
    const int channels = image->channels == 3 && spec.channels == 3 ? 3 : 1;
    MIEN_TRY(mien_crop_face(image, cut, rule, spec.height, spec.width, channels, pixels));
    if (channels == 1) mien_image_shape(spec, pixels, spec.height, spec.width, pixels);
    return MIEN_OK;
}

static mien_status decode(const mien_dataset *set, size_t i, uint8_t *pixels, uint64_t *stamp) {
    const pictures *p = set->reader;
    char path[MIEN_PATH];
    mien_image image;
    mien_status status = MIEN_OK;
    MIEN_TRY(pictures_path(set, i, path));
    *stamp = stamp_of(path);
    MIEN_TRY(mien_image_read(path, set->spec.channels == 3 ? 3 : 1, &image));
    p->items[i].width = (uint16_t)(image.width < UINT16_MAX ? image.width : UINT16_MAX);
    p->items[i].height = (uint16_t)(image.height < UINT16_MAX ? image.height : UINT16_MAX);
    if (image.width < PICTURE_SIDE_MIN || image.height < PICTURE_SIDE_MIN)
        status = MIEN_FAIL(FORMAT, "'%s' has %dx%d pixels: too small for a face (at least %dx%d)",
                           path, image.width, image.height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
    else if (p->boxes)
        status = shape_box(set, path, &image, p->boxes[i], pixels);
    else
        pictures_shape(set->spec, image.pixels, image.height, image.width, image.channels, pixels);
    mien_image_release(&image);
    return status;
}

/* Decodes items first .. first + count - 1 into `pixels`. */
static void decode_group(mien_dataset *set, size_t first, size_t count, uint8_t *pixels,
                         decode_result *results) {
    const pictures *p = set->reader;
    const size_t image = mien_image_bytes(set->spec);
#pragma omp parallel for schedule(dynamic, 4)
    for (size_t k = 0; k < count; k++) {
        decode_result *v = &results[k];
        v->status = mien_interrupt_check(set->source);
        if (v->status == MIEN_OK)
            v->status = decode(set, first + k, pixels + k * image, &p->items[first + k].stamp);
        if (v->status != MIEN_OK)
            snprintf(v->message, sizeof v->message, "%s", mien_error_message());
    }
}

/* In list order: good pictures become the next samples, bad ones are reported. */
static mien_status append_group(mien_dataset *set, size_t first, size_t count,
                                const uint8_t *pixels, const decode_result *results,
                                const mien_on_bad *on_bad) {
    pictures *p = set->reader;
    const size_t image = mien_image_bytes(set->spec), base = set->count;
    size_t good = 0;
    for (size_t k = 0; k < count; k++)
        good += results[k].status == MIEN_OK;
    MIEN_TRY(mien_dataset_extend(set, good));
    for (size_t k = 0, to = base; k < count; k++) {
        if (results[k].status != MIEN_OK) {
            const decode_result *v = &results[k];
            mien_fail(v->status, __FILE__, __LINE__, "%s", v->message);
            if (v->status == MIEN_NO_MEMORY || v->status == MIEN_INTERRUPTED)
                return v->status; /* not the file's fault */
            MIEN_TRY(mien_dataset_bad(set, on_bad));
            continue;
        }
        const picture item = p->items[first + k];
        p->items[to] = item;
        if (p->boxes) p->boxes[to] = p->boxes[first + k];
        set->labels[to] = item.label;
        set->usage[to] = item.usage;
        set->group[to] = item.group;
        set->row[to] = (uint32_t)(first + k);
        if (set->pixels) memcpy(mien_dataset_image(set, to), pixels + k * image, image);
        to++;
    }
    return MIEN_OK;
}

/* All listed files become samples, unread. */
static mien_status take_all(mien_dataset *set) {
    const pictures *p = set->reader;
    MIEN_TRY(mien_dataset_extend(set, p->count));
    for (size_t i = 0; i < p->count; i++) {
        set->labels[i] = p->items[i].label;
        set->usage[i] = p->items[i].usage;
        set->group[i] = p->items[i].group;
    }
    return MIEN_OK;
}

mien_status pictures_load(mien_dataset *set, const mien_on_bad *on_bad) {
    pictures *p = set->reader;
    if (set->listed) return take_all(set);
    uint8_t *pixels = NULL;
    decode_result *results = NULL;
    mien_status status;
    MIEN_GO(mien_new(&pixels, GROUP, mien_image_bytes(set->spec)));
    MIEN_GO(mien_new(&results, GROUP, sizeof *results));
    for (size_t first = 0; first < p->count; first += GROUP) {
        const size_t rest = p->count - first, count = rest < GROUP ? rest : GROUP;
        decode_group(set, first, count, pixels, results);
        MIEN_GO(append_group(set, first, count, pixels, results, on_bad));
    }
    p->count = set->count;
out:
    mien_free(results);
    mien_free(pixels);
    return status;
}

mien_status pictures_read(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                          uint8_t *pixels) {
    const pictures *p = set->reader;
    uint64_t stamp;
    (void)buffer;
    const mien_status status = decode(set, i, pixels, &stamp);
    if (status != MIEN_OK) return mien_fail_context(status, "the data changed while in use");
    if (stamp == p->items[i].stamp) return MIEN_OK;
    return MIEN_FAIL(IO, "'%s/%s' was changed while in use: start again",
                     p->root ? p->root : set->source, p->paths.data + p->items[i].path);
}
