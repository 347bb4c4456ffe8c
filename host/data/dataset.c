#include "host/base/interrupt.h"
#include "host/data/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/image/resize.h"
#include "host/data/source.h"

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

/* Pixels are in memory twice while they are copied to the backend: with a quarter of the free
 * memory per copy, both take half of it. */
size_t mien_dataset_budget(mien_memory memory) {
    if (memory == MIEN_MEMORY_STREAM) return 0;
    return memory == MIEN_MEMORY_RESIDENT ? SIZE_MAX : mien_memory_available() / 4;
}

void mien_dataset_drop_pixels(mien_dataset *set) {
    mien_free(set->pixels);
    set->pixels = NULL;
}

void mien_dataset_release(mien_dataset *set) {
    mien_dataset_drop_pixels(set);
    if (set->def) set->def->close(set);
    mien_free(set->labels);
    mien_free(set->usage);
    mien_free(set->part);
    mien_free(set->group);
    mien_free(set->row);
    mien_free(set->origin);
    mien_free(set->targets);
    mien_free(set->votes);
    mien_free(set->class_names);
    mien_text_release(&set->bad);
    *set = (mien_dataset){0};
}

mien_status mien_dataset_classes(mien_dataset *set, const char *const *names, int count) {
    MIEN_TRY(mien_new(&set->class_names, (size_t)count, MIEN_CLASS_NAME));
    set->classes = count;
    for (int i = 0; i < count; i++)
        snprintf(set->class_names[i], MIEN_CLASS_NAME, "%s", names[i]);
    return MIEN_OK;
}

size_t mien_image_bytes(mien_image_spec spec) {
    return (size_t)spec.height * (size_t)spec.width * (size_t)spec.channels;
}

/* All arrays grow together, only by a quarter at a time because the pixels take most of the
 * memory. */
static mien_status reserve(mien_dataset *set, size_t need) {
    const size_t image = mien_image_bytes(set->spec);
    const bool first = set->capacity == 0;
    if (need > set->budget / image) mien_dataset_drop_pixels(set);
    if (need <= set->capacity) return MIEN_OK;
    const size_t more = set->capacity + set->capacity / 4;
    const size_t items = more > need ? more : need;
#define GROW(array, size)                                                                          \
    do {                                                                                           \
        size_t have = 0;                                                                           \
        MIEN_TRY(mien_grow_to(&set->array, &have, items, size));                                   \
    } while (0)
    if (set->pixels || (first && need <= set->budget / image)) GROW(pixels, image);
    GROW(labels, sizeof *set->labels);
    GROW(usage, 1);
    GROW(part, 1);
    GROW(group, sizeof *set->group);
    GROW(row, sizeof *set->row);
#undef GROW
    set->capacity = items;
    return MIEN_OK;
}

mien_status mien_dataset_extend(mien_dataset *set, size_t count) {
    const size_t from = set->count;
    MIEN_TRY(mien_interrupt_check(set->source));
    if (count == 0) return MIEN_OK;
    if (count > UINT32_MAX - from)
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds more than %u images", set->source, UINT32_MAX);
    MIEN_TRY(reserve(set, from + count));
    memset(set->labels + from, 0, count * sizeof *set->labels);
    memset(set->usage + from, MIEN_NO_PART, count);
    memset(set->part + from, MIEN_TRAIN, count);
    memset(set->group + from, 0, count * sizeof *set->group);
    for (size_t i = from; i < from + count; i++)
        set->row[i] = (uint32_t)i;
    set->count += count;
    return MIEN_OK;
}

mien_status mien_dataset_keep(mien_dataset *set, const bool *keep) {
    const size_t image = mien_image_bytes(set->spec), target = (size_t)set->classes;
    size_t n = 0;
    if (!set->origin) {
        MIEN_TRY(mien_new(&set->origin, set->count, sizeof *set->origin));
        for (size_t i = 0; i < set->count; i++)
            set->origin[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (!keep[i]) continue;
        set->labels[n] = set->labels[i];
        set->usage[n] = set->usage[i];
        set->part[n] = set->part[i];
        set->group[n] = set->group[i];
        set->row[n] = set->row[i];
        set->origin[n] = set->origin[i];
        if (set->pixels && n != i) memcpy(set->pixels + n * image, set->pixels + i * image, image);
        for (size_t k = 0; set->targets && k < target; k++)
            set->targets[n * target + k] = set->targets[i * target + k];
        n++;
    }
    set->count = n;
    return MIEN_OK;
}

void mien_image_shape(mien_image_spec s, const uint8_t *gray, int height, int width, uint8_t *to) {
    mien_resize(gray, height, width, 1, to, s.height, s.width);
    /* spread over the channels from the end, so that no value is overwritten before it is read */
    for (int p = s.height * s.width - 1; s.channels > 1 && p >= 0; p--)
        for (int c = s.channels - 1; c >= 0; c--)
            to[p * s.channels + c] = to[p];
}

mien_status mien_dataset_read(const mien_dataset *set, const uint32_t *samples, size_t count,
                              uint8_t *pixels) {
    const size_t image = mien_image_bytes(set->spec);
    size_t first_failed = count; /* of several failures the first sample's is reported */
    mien_status status = MIEN_OK;
    char message[MIEN_MESSAGE] = "";
#pragma omp parallel
    {
        mien_read_buffer buffer = {0};
#pragma omp for schedule(static)
        for (size_t k = 0; k < count; k++) {
            const mien_status own =
                mien_source_read(set, samples ? samples[k] : k, &buffer, pixels + k * image);
            if (own == MIEN_OK) continue;
#pragma omp critical(mien_dataset_read)
            if (k < first_failed) {
                first_failed = k;
                status = own;
                snprintf(message, sizeof message, "%s", mien_error_message());
            }
        }
        mien_free(buffer.bytes);
    }
    return status == MIEN_OK ? status : mien_fail(status, __FILE__, __LINE__, "%s", message);
}

mien_status mien_dataset_fetch(const mien_dataset *set, const uint32_t *samples, size_t count,
                               uint8_t *pixels) {
    const size_t image = mien_image_bytes(set->spec);
    if (!set->pixels) return mien_dataset_read(set, samples, count, pixels);
    for (size_t i = 0; i < count; i++)
        memcpy(pixels + i * image, mien_dataset_image(set, samples[i]), image);
    return MIEN_OK;
}

mien_status mien_dataset_fill(mien_dataset *set) {
    return set->pixels ? mien_dataset_read(set, NULL, set->count, set->pixels) : MIEN_OK;
}

mien_status mien_dataset_bad(mien_dataset *set, const mien_on_bad *on_bad) {
    if (!on_bad->skip)
        return mien_fail_context(MIEN_FORMAT, "bad data (--on-bad skip leaves it out)");
    set->skipped++;
    if (set->bad.size < MIEN_BAD_BYTES) mien_text_printf(&set->bad, "%s\n", mien_error_message());
    if (set->skipped <= 10) MIEN_WARN("left out: %s", mien_error_message());
    if (on_bad->max >= 0 && set->skipped > on_bad->max)
        return mien_fail_context(MIEN_FORMAT, "more than %lld bad rows or files", on_bad->max);
    return MIEN_OK;
}

size_t mien_dataset_counts(const mien_dataset *set, mien_part part, size_t *by_class) {
    size_t total = 0;
    memset(by_class, 0, sizeof *by_class * (size_t)set->classes);
    for (size_t i = 0; i < set->count; i++)
        if (mien_dataset_belongs(set, i, part)) {
            by_class[set->labels[i]]++;
            total++;
        }
    return total;
}
