/* The source `sample`: drawn faces, so that the program can run without a download. */
#include <string.h>

#include "host/data/sample_draw.h"
#include "host/data/source.h"

enum { SAMPLE_SEED = 2013 };

static bool accepts(const char *source) {
    return strcmp(source, "sample") == 0;
}

static mien_status open_sample(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    (void)source, (void)on_bad;
    MIEN_TRY(mien_dataset_classes(set, sample_class_names, SAMPLE_CLASSES));
    MIEN_TRY(mien_dataset_extend(set, SAMPLE_COUNT));
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++) {
        int label;
        sample_subject(i, &label, &set->group[i]);
        set->labels[i] = (uint16_t)label;
        set->usage[i] = (uint8_t)sample_split(set->group[i]);
    }
    return mien_dataset_fill(set);
}

/* Draws the image again on every read. */
static mien_status read_sample(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                               uint8_t *pixels) {
    uint8_t gray[SAMPLE_PIXELS];
    int label;
    uint32_t identity;
    (void)buffer;
    sample_draw(SAMPLE_SEED, (uint32_t)i, gray, &label, &identity);
    mien_image_shape(set->spec, gray, SAMPLE_SIDE, SAMPLE_SIDE, pixels);
    return MIEN_OK;
}

static void close_sample(mien_dataset *set) {
    (void)set; /* nothing is open */
}

const mien_source_def mien_source_sample = {
    "'sample' for generated faces", accepts, open_sample, read_sample, close_sample, NULL, NULL};
