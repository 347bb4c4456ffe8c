#include "host/infer/prepare_records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/data/listing.h"

enum { LINE_FIELDS = 8, CROP_FIELDS = 7 };
static const size_t FILE_MAX = (size_t)4 << 30;

void prepare_photo_release(prepare_photo *photo) {
    for (int i = 0; i < photo->count; i++) {
        mien_free(photo->crops[i].file);
        mien_text_release(&photo->crops[i].png);
    }
    mien_free(photo->crops);
    mien_free(photo->source);
    mien_free(photo->message);
    *photo = (prepare_photo){0};
}

void prepare_records_release(prepare_records *records) {
    for (size_t i = 0; i < records->count; i++)
        prepare_photo_release(&records->items[i]);
    mien_free(records->items);
    *records = (prepare_records){0};
}

/* ---- a line ---- */

/* File names may contain anything: what separates fields and lines becomes %XX. */
static void put_field(mien_text *text, const char *field) {
    for (; *field; field++)
        if ((unsigned char)*field < ' ' || *field == 0x7f || *field == '%')
            mien_text_printf(text, "%%%02X", (unsigned char)*field);
        else
            mien_text_append(text, field, 1);
    mien_text_puts(text, "\t");
}

void prepare_records_line(mien_text *text, const prepare_photo *photo) {
    put_field(text, photo->source);
    mien_text_printf(text, "%lld\t%lld\t%s\t%d\t%d\t%d\t", photo->size, photo->time_ns,
                     photo->sha256, photo->width, photo->height, (int)photo->reject);
    put_field(text, photo->message ? photo->message : "");
    for (int i = 0; i < photo->count; i++) {
        const prepare_crop *crop = &photo->crops[i];
        put_field(text, crop->file);
        mien_text_printf(text, "%d\t%d\t%d\t%d\t", crop->box.x, crop->box.y, crop->box.width,
                         crop->box.height);
        if (crop->detected) mien_text_printf(text, "%.6g", crop->score);
        mien_text_printf(text, "\t%.3f\t", crop->time);
    }
    mien_text_puts(text, "\n");
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Cuts off the next field; NULL after the last. */
static char *next_field(char **line) {
    char *field = *line, *end = strchr(field, '\t'), *to = field;
    if (!end) return NULL;
    *end = 0;
    *line = end + 1;
    for (const char *from = field; *from; to++) {
        const int high = *from == '%' ? hex_digit(from[1]) : -1;
        const int low = high >= 0 ? hex_digit(from[2]) : -1;
        *to = low >= 0 ? (char)(high * 16 + low) : *from;
        from += low >= 0 ? 3 : 1;
    }
    *to = 0;
    return field;
}

static bool read_number(const char *field, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    *out = strtoll(field, &end, 10);
    return *field && !*end && !errno && *out >= low && *out <= high;
}

static bool read_int(const char *field, int *out) {
    long long number;
    if (!read_number(field, 0, 1 << 30, &number)) return false;
    *out = (int)number;
    return true;
}

/* Whether a name stays in the folder: the file decides what is deleted. */
static bool is_inside(const char *name) {
    if (*name == '/' || !*name) return false;
    for (const char *at = name; *at;) {
        const size_t length = strcspn(at, "/");
        if (length == 2 && memcmp(at, "..", 2) == 0) return false;
        at += length + (at[length] != 0);
    }
    return true;
}

static mien_status read_crop(char *const *fields, prepare_photo *photo, bool *good) {
    mien_rect box;
    char *end;
    *good = is_inside(fields[0]) && read_int(fields[1], &box.x) && read_int(fields[2], &box.y) &&
            read_int(fields[3], &box.width) && read_int(fields[4], &box.height);
    if (!*good) return MIEN_OK;
    MIEN_TRY(
        mien_grow(&photo->crops, &photo->capacity, (size_t)photo->count + 1, sizeof *photo->crops));
    prepare_crop *crop = &photo->crops[photo->count++];
    *crop = (prepare_crop){.box = box, .detected = *fields[5] != 0};
    crop->score = strtod(fields[5], &end);
    *good = *end == 0;
    crop->time = strtod(fields[6], &end);
    *good = *good && *end == 0;
    return mien_copy_text(&crop->file, fields[0]);
}

/* *good false: the line is damaged. */
static mien_status read_line(char *line, prepare_photo *photo, bool *good) {
    char *fields[LINE_FIELDS], *crop[CROP_FIELDS];
    long long reject;
    *photo = (prepare_photo){0};
    *good = false;
    for (int i = 0; i < LINE_FIELDS; i++)
        if (!(fields[i] = next_field(&line))) return MIEN_OK;
    if (!*fields[0] || !read_number(fields[1], 0, INT64_MAX, &photo->size) ||
        !read_number(fields[2], INT64_MIN, INT64_MAX, &photo->time_ns) || strlen(fields[3]) > 64 ||
        !read_int(fields[4], &photo->width) || !read_int(fields[5], &photo->height) ||
        !read_number(fields[6], 0, MIEN_REJECTS - 1, &reject))
        return MIEN_OK;
    strcpy(photo->sha256, fields[3]);
    photo->reject = (mien_reject)reject;
    photo->video = listing_is_video(fields[0]);
    MIEN_TRY(mien_copy_text(&photo->source, fields[0]));
    if (*fields[7]) MIEN_TRY(mien_copy_text(&photo->message, fields[7]));
    for (*good = true; *good && *line;) {
        for (int i = 0; i < CROP_FIELDS; i++)
            if (!(crop[i] = next_field(&line))) return *good = false, MIEN_OK;
        MIEN_TRY(read_crop(crop, photo, good));
    }
    return MIEN_OK;
}

/* ---- the file ---- */

mien_status prepare_records_read(const char *path, prepare_records *out) {
    char *bytes = NULL, *at;
    size_t size;
    bool good = true;
    mien_status status;
    *out = (prepare_records){0};
    if (!mien_file_exists(path)) return MIEN_OK;
    MIEN_TRY(mien_file_read(path, FILE_MAX, &bytes, &size));
    for (at = bytes; good;) {
        char *const end = strchr(at, '\n'); /* none after a NUL, which a power failure may leave */
        if (!end) break;
        *end = 0;
        char *const line = at;
        at = end + 1;
        if (strcmp(line, ".") == 0) {
            out->committed = out->count;
            out->bytes = (size_t)(at - bytes);
            continue;
        }
        MIEN_GO(mien_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items));
        status = read_line(line, &out->items[out->count], &good);
        if (!good || status != MIEN_OK) prepare_photo_release(&out->items[out->count]);
        if (status != MIEN_OK) goto out;
        out->count += good;
    }
    status = MIEN_OK;
out:
    mien_free(bytes);
    return status;
}

/* ---- tables ---- */

const char *const mien_prepare_faces_names[MIEN_FACES_CHOICES] = {"largest", "one", "all"};
const char *const mien_reject_names[MIEN_REJECTS] = {"", "no face", "several faces", "too small",
                                                     "unreadable"};

static void put_class(mien_text *text, const mien_dataset *set, size_t i) {
    mien_text_puts(text, ",");
    mien_text_cell(text, set->class_names[set->labels[i]]);
    mien_text_printf(text, ",%s,",
                     set->usage[i] == MIEN_NO_PART ? "" : mien_part_name(set->usage[i]));
}

static void put_crops(mien_text *text, const mien_dataset *set, size_t i,
                      const prepare_photo *photo) {
    for (int k = 0; k < photo->count; k++) {
        const prepare_crop *crop = &photo->crops[k];
        mien_text_cell(text, crop->file);
        mien_text_puts(text, ",");
        mien_text_cell(text, photo->source);
        put_class(text, set, i);
        mien_text_printf(text, "%d,%d,%d,%d,", crop->box.x, crop->box.y, crop->box.width,
                         crop->box.height);
        if (crop->detected) mien_text_printf(text, "%.6g", crop->score);
        mien_text_printf(text, ",%d,%d,%s,", photo->width, photo->height, photo->sha256);
        if (photo->video) mien_text_printf(text, "%.3f", crop->time);
        mien_text_puts(text, "\n");
    }
}

static mien_status write_table(const char *folder, const char *name, const mien_text *text) {
    char path[MIEN_PATH];
    MIEN_TRY(text->status);
    MIEN_TRY(mien_path_join(path, folder, name));
    return mien_file_write(path, text->data, text->size);
}

mien_status prepare_write_tables(const char *folder, const mien_dataset *set,
                                 const prepare_photo *photos, const bool *done) {
    mien_text manifest = {0}, rejected = {0};
    /* not "file": a table with that column would be read as labels of the pictures beside it */
    mien_text_puts(&manifest,
                   "crop,source,class,part,x,y,w,h,detection_score,width,height,sha256,time\n");
    mien_text_puts(&rejected, "source,class,part,reason,message\n");
    for (size_t i = 0; i < set->count; i++) {
        if (!done[i]) continue;
        put_crops(&manifest, set, i, &photos[i]);
        if (photos[i].reject == MIEN_REJECT_NONE) continue;
        mien_text_cell(&rejected, photos[i].source);
        put_class(&rejected, set, i);
        mien_text_printf(&rejected, "%s,", mien_reject_names[photos[i].reject]);
        mien_text_cell(&rejected, photos[i].message ? photos[i].message : "");
        mien_text_puts(&rejected, "\n");
    }
    mien_status status = write_table(folder, "manifest.csv", &manifest);
    if (status == MIEN_OK) status = write_table(folder, "rejected.csv", &rejected);
    mien_text_release(&manifest);
    mien_text_release(&rejected);
    return status;
}

static void count_photo(mien_prepare_count *count, const prepare_photo *photo) {
    *(photo->video ? &count->videos : &count->photos) += 1;
    count->faces += (size_t)photo->count;
    count->rejected[photo->reject] += photo->reject != MIEN_REJECT_NONE;
}

mien_status prepare_count(const mien_dataset *set, const prepare_photo *photos, const bool *done,
                          mien_prepare_result *result) {
    MIEN_TRY(mien_new(&result->classes, (size_t)set->classes, sizeof *result->classes));
    result->class_count = set->classes;
    for (int k = 0; k < set->classes; k++)
        strcpy(result->classes[k].name, set->class_names[k]);
    for (size_t i = 0; i < set->count; i++) {
        if (!done[i]) continue;
        count_photo(&result->classes[set->labels[i]], &photos[i]);
        count_photo(&result->total, &photos[i]);
    }
    return MIEN_OK;
}

void mien_prepare_release(mien_prepare_result *result) {
    mien_free(result->classes);
    *result = (mien_prepare_result){0};
}
