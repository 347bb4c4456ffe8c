/* The source `sample`: drawn faces, so that the program runs with nothing downloaded. */
#include <string.h>

#include "host/base/memory.h"
#include "host/data/sample_draw.h"
#include "host/data/source.h"

enum { SAMPLE_SEED = 2013 };

static bool accepts(const char *source) {
    return strcmp(source, "sample") == 0;
}

static mien_status load(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    (void)source, (void)on_bad;
    enum { IMAGE = SAMPLE_SIDE * SAMPLE_SIDE };
    uint8_t *images = NULL;
    int *labels = NULL;
    uint32_t *identities = NULL;
    mien_status status;
    MIEN_GO(mien_dataset_classes(set, sample_class_names, SAMPLE_CLASSES));
    MIEN_GO(mien_new(&images, SAMPLE_COUNT, IMAGE));
    MIEN_GO(mien_new(&labels, SAMPLE_COUNT, sizeof *labels));
    MIEN_GO(mien_new(&identities, SAMPLE_COUNT, sizeof *identities));
#pragma omp parallel for schedule(dynamic, 64)
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++)
        sample_draw(SAMPLE_SEED, i, images + (size_t)i * IMAGE, &labels[i], &identities[i]);
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++)
        MIEN_GO(mien_dataset_append(set, images + (size_t)i * IMAGE, SAMPLE_SIDE, SAMPLE_SIDE,
                                    labels[i], sample_split(identities[i]), identities[i]));
out:
    mien_free(images);
    mien_free(labels);
    mien_free(identities);
    return status;
}

const mien_source_def mien_source_sample = {"sample", accepts, load};
