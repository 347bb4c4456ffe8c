/* mien predict --data: predicts every row of a data set, with or without labels. */
#include "host/base/memory.h"
#include "host/cli/predict.h"
#include "host/data/merge.h"
#include "host/data/source.h"

enum { BATCH = 128 };

static mien_status score_rows(mien_dataset *set, mien_ensemble *models, predict_output *out) {
    const size_t classes = (size_t)models->models[0].meta.classes;
    const size_t image = mien_image_bytes(set->spec);
    uint32_t samples[BATCH];
    uint8_t *pixels = NULL;
    float *scores = NULL, *values = NULL;
    mien_status status;
    MIEN_GO(mien_new(&scores, BATCH * classes, sizeof *scores));
    if (models->count == 1 && models->models[0].meta.head == MIEN_HEAD_LOGITS)
        MIEN_GO(mien_new(&values, BATCH * classes, sizeof *values));
    if (set->streamed) MIEN_GO(mien_new(&pixels, BATCH, image));
    for (size_t at = 0; at < set->count; at += BATCH) {
        const size_t n = set->count - at < BATCH ? set->count - at : BATCH;
        if (cli_stop) {
            status = MIEN_FAIL(INTERRUPTED, "interrupted after %zu of %zu rows", at, set->count);
            goto out;
        }
        for (size_t i = 0; i < n; i++)
            samples[i] = (uint32_t)(at + i);
        if (set->streamed) MIEN_GO(mien_dataset_read(set, samples, n, pixels));
        MIEN_GO(mien_ensemble_outputs(models, set->streamed ? pixels : mien_dataset_image(set, at),
                                      (int)n, scores, values));
        for (size_t i = 0; i < n; i++) {
            out->values = values ? values + i * classes : NULL;
            MIEN_GO(predict_output_row(out, set->row[at + i],
                                       set->def->file ? mien_source_file(set, at + i) : NULL,
                                       scores + i * classes));
        }
    }
out:
    out->values = NULL;
    mien_free(values);
    mien_free(pixels);
    mien_free(scores);
    return status;
}

mien_status predict_data(const predict_args *args, mien_ensemble *models, predict_output *out) {
    mien_dataset set = {0};
    const mien_meta *meta = &models->models[0].meta;
    const mien_label_rules rules = {.choice = &meta->choice, .soft_mode = (int)meta->soft_mode};
    mien_status status = mien_dataset_load_all(args->data, meta->input, args->bad_rows,
                                               MIEN_MEMORY_AUTO, &rules, &set);
    if (status == MIEN_OK) {
        predict_output_start(out, set.def->file != NULL);
        status = score_rows(&set, models, out);
    }
    mien_dataset_release(&set);
    return status;
}
