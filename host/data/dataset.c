#include "host/data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/sha256.h"
#include "host/data/resize.h"
#include "host/data/source.h"

static const mien_source_def *const sources[] = {&mien_source_sample, &mien_source_csv};

const char *mien_part_name(mien_part part) {
    static const char *const names[] = {"train", "val", "test", "all"};
    return names[part];
}

mien_status mien_on_bad_parse(const char *text, mien_on_bad *out) {
    *out = (mien_on_bad){false, -1};
    if (strcmp(text, "fail") == 0) return MIEN_OK;
    out->skip = true;
    if (strcmp(text, "skip") == 0) return MIEN_OK;
    if (strncmp(text, "skip:", 5) == 0) {
        char *end;
        out->max = strtoll(text + 5, &end, 10);
        if (end != text + 5 && *end == 0 && out->max >= 0) return MIEN_OK;
    }
    return MIEN_FAIL(INVALID, "on-bad must be fail, skip or skip:MAX, not '%s'", text);
}

mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_dataset *out) {
    *out = (mien_dataset){.spec = spec, .labelled = true};
    snprintf(out->source, sizeof out->source, "%s", source);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (!sources[i]->accepts(source)) continue;
        MIEN_TRY(sources[i]->load(source, &on_bad, out));
        if (out->count == 0) return MIEN_FAIL(FORMAT, "'%s' holds no usable image", source);
        if (out->skipped) MIEN_WARN("%s: %lld bad rows were left out", source, out->skipped);
        return MIEN_OK;
    }
    if (!mien_file_exists(source))
        return MIEN_FAIL(NOT_FOUND,
                         "there is no data '%s': give a .csv or .csv.gz file, or 'sample' "
                         "for generated faces",
                         source);
    if (mien_is_folder(source))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a folder: image folders are not in this version; give "
                         "a .csv or .csv.gz file",
                         source);
    return MIEN_FAIL(UNSUPPORTED,
                     "'%s' is of no known form: give a .csv or .csv.gz file, or 'sample'", source);
}

void mien_dataset_drop_pixels(mien_dataset *set) {
    mien_free(set->pixels);
    set->pixels = NULL;
}

void mien_dataset_release(mien_dataset *set) {
    mien_dataset_drop_pixels(set);
    mien_free(set->labels);
    mien_free(set->usage);
    mien_free(set->part);
    mien_free(set->group);
    mien_free(set->class_names);
    *set = (mien_dataset){0};
}

mien_status mien_dataset_classes(mien_dataset *set, const char *const *names, int count) {
    MIEN_TRY(mien_new(&set->class_names, (size_t)count, MIEN_CLASS_NAME));
    set->classes = count;
    for (int i = 0; i < count; i++)
        snprintf(set->class_names[i], MIEN_CLASS_NAME, "%s", names[i]);
    return MIEN_OK;
}

static size_t image_bytes(const mien_dataset *set) {
    return (size_t)set->spec.height * (size_t)set->spec.width * (size_t)set->spec.channels;
}

/* All arrays grow together, by a quarter at a time: the pixels are most of the memory. */
static mien_status reserve(mien_dataset *set) {
    if (set->count < set->capacity) return MIEN_OK;
    const size_t items = set->capacity ? set->capacity + set->capacity / 4 : 4096;
    const size_t image = image_bytes(set);
    size_t have;
#define GROW(array, size)                                                                          \
    have = 0;                                                                                      \
    MIEN_TRY(mien_grow_to(&set->array, &have, items, size))
    GROW(pixels, image);
    GROW(labels, sizeof *set->labels);
    GROW(usage, 1);
    GROW(part, 1);
    GROW(group, sizeof *set->group);
#undef GROW
    set->capacity = items;
    return MIEN_OK;
}

mien_status mien_dataset_append(mien_dataset *set, const uint8_t *gray, int height, int width,
                                int label, int usage, uint32_t group) {
    MIEN_TRY(reserve(set));
    const mien_image_spec s = set->spec;
    uint8_t *to = set->pixels + set->count * image_bytes(set);
    if (height == s.height && width == s.width)
        memcpy(to, gray, (size_t)(height * width));
    else
        mien_resize_gray(gray, height, width, to, s.height, s.width);
    /* spread over the channels from the back, so that nothing is read after it was overwritten */
    for (int p = s.height * s.width - 1; s.channels > 1 && p >= 0; p--)
        for (int c = s.channels - 1; c >= 0; c--)
            to[p * s.channels + c] = to[p];
    set->labels[set->count] = (uint16_t)label;
    set->usage[set->count] = (uint8_t)usage;
    set->part[set->count] = MIEN_TRAIN;
    set->group[set->count] = group;
    set->count++;
    return MIEN_OK;
}

mien_status mien_dataset_bad(mien_dataset *set, const mien_on_bad *on_bad) {
    if (!on_bad->skip)
        return mien_fail_context(MIEN_FORMAT, "bad data (--on-bad skip leaves such rows out)");
    set->skipped++;
    if (set->skipped <= 10) MIEN_WARN("left out: %s", mien_error_message());
    if (on_bad->max >= 0 && set->skipped > on_bad->max)
        return mien_fail_context(MIEN_FORMAT, "more than %lld bad rows", on_bad->max);
    return MIEN_OK;
}

static bool belongs(const mien_dataset *set, size_t i, mien_part part) {
    return part == MIEN_NO_PART || set->part[i] == part;
}

size_t mien_dataset_counts(const mien_dataset *set, mien_part part, size_t *by_class) {
    size_t total = 0;
    memset(by_class, 0, sizeof *by_class * (size_t)set->classes);
    for (size_t i = 0; i < set->count; i++)
        if (belongs(set, i, part)) {
            by_class[set->labels[i]]++;
            total++;
        }
    return total;
}

void mien_dataset_fingerprint(const mien_dataset *set, mien_part part, char out[65]) {
    mien_sha256 hash;
    const size_t image = image_bytes(set);
    mien_sha256_start(&hash);
    for (size_t i = 0; i < set->count; i++) {
        if (!belongs(set, i, part)) continue;
        const unsigned char label[2] = {(unsigned char)(set->labels[i] & 255),
                                        (unsigned char)(set->labels[i] >> 8)};
        mien_sha256_add(&hash, label, sizeof label);
        mien_sha256_add(&hash, set->pixels + i * image, image);
    }
    mien_sha256_hex(&hash, out);
}

void mien_dataset_statistics(const mien_dataset *set, mien_part part, double scale, double *mean,
                             double *deviation) {
    const size_t image = image_bytes(set), channels = (size_t)set->spec.channels;
    for (size_t c = 0; c < channels; c++) {
        uint64_t sum = 0, squares = 0, n = 0; /* whole numbers: no rounding, any order */
        for (size_t i = 0; i < set->count; i++) {
            if (!belongs(set, i, part)) continue;
            for (size_t p = c; p < image; p += channels) {
                const uint64_t v = set->pixels[i * image + p];
                sum += v;
                squares += v * v;
            }
            n += image / channels;
        }
        const double m = n ? (double)sum / (double)n : 0;
        const double variance = n ? (double)squares / (double)n - m * m : 0;
        mean[c] = m * scale;
        deviation[c] = sqrt(variance > 0 ? variance : 0) * scale;
    }
}
