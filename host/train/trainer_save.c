/* Checkpoints of a training: what they hold is the complete state of `mien_trainer`. */
#include <stdio.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/train/runlog.h"
#include "host/train/trainer_state.h"

double mien_trainer_now(const mien_trainer *t) {
    return t->request->seconds ? t->request->seconds() : mien_seconds();
}

mien_status mien_trainer_describe(mien_trainer *t) {
    snprintf(t->data_sha256, sizeof t->data_sha256, "%s %s", t->setup.model.meta.train_sha256,
             t->setup.val_sha256);
    mien_runlog_plan(t->request, t->plan, "", &t->plan_text);
    MIEN_TRY(t->plan_text.status);
    return mien_config_print_absolute(t->config, &t->config_text);
}

static mien_status load_array(mien_trainer *t, const mien_resume *from, mien_array array) {
    mien_weights values;
    bool found;
    mien_status status = mien_checkpoint_array(&from->file, from->path, &t->setup.model.graph,
                                               array, &values, &found);
    if (status == MIEN_OK && found != mien_plan_has(t->plan, array))
        status = MIEN_FAIL(INVALID, "%s is of a training with another optimizer", from->path);
    if (status == MIEN_OK && found) status = mien_plan_set(t->plan, array, &values);
    mien_weights_release(&values);
    return status;
}

mien_status mien_trainer_resume(mien_trainer *t, mien_train_result *result) {
    const mien_resume *from = t->request->resume;
    const mien_progress *p = &from->progress;
    if (!t->request->resume_anyway)
        MIEN_TRY(mien_resume_check(from, t->data_sha256, t->plan_text.data));
    for (mien_array array = 0; array < MIEN_ARRAYS; array++)
        MIEN_TRY(load_array(t, from, array));
    if (p->device.cursor > t->loader.count[MIEN_TRAIN] || p->epochs > t->config->train.epochs ||
        p->device.tick > (uint64_t)t->per_epoch)
        return MIEN_FAIL(INVALID, "%s is from after the last step of this training", from->path);
    MIEN_TRY(mien_plan_write(t->plan, &p->device));
    t->resumed = p->device;
    t->step = p->epochs * t->per_epoch;
    t->plateau = p->plateau;
    t->seconds_before = p->seconds;
    const int monitors[] = {t->best.what, t->patience.what};
    const double delta = t->patience.min_delta;
    t->best = p->best, t->patience = p->patience;
    t->best.what = monitors[0], t->patience.what = monitors[1], t->patience.min_delta = delta;
    mien_text_puts(&t->log, from->texts.log);
    result->epochs = p->epochs;
    result->best_epoch = p->best.epoch;
    result->metrics.loss = p->best_loss;
    result->metrics.accuracy = p->best_accuracy;
    result->metrics.macro_f1 = p->best_macro_f1;
    MIEN_INFO("continuing after step %llu from %s", (unsigned long long)p->device.step, from->path);
    return MIEN_OK;
}

/* The buffers that a checkpoint is composed from; made once. */
static mien_status fetch_arrays(mien_trainer *t) {
    for (mien_array array = 0; array < MIEN_ARRAYS; array++) {
        if (!mien_plan_has(t->plan, array)) continue;
        if (!t->arrays[array].items)
            MIEN_TRY(mien_weights_zeros(&t->setup.model.graph, &t->arrays[array]));
        MIEN_TRY(mien_plan_get(t->plan, array, &t->arrays[array]));
    }
    return MIEN_OK;
}

mien_status mien_trainer_save(mien_trainer *t, mien_train_result *result, bool finished) {
    mien_progress p = {.epochs = result->epochs,
                       .finished = finished,
                       .seconds = t->seconds_before + mien_trainer_now(t) - t->began,
                       .plateau = t->plateau,
                       .best = t->best,
                       .patience = t->patience,
                       .best_loss = result->metrics.loss,
                       .best_accuracy = result->metrics.accuracy,
                       .best_macro_f1 = result->metrics.macro_f1};
    MIEN_TRY(mien_plan_read(t->plan, &p.device));
    if (!t->within_epoch) { /* the next epoch starts with these */
        p.device.cursor = p.device.tick = p.device.rows = p.device.correct = 0;
        p.device.loss_sum = 0;
    }
    MIEN_TRY(fetch_arrays(t));
    mien_model *model = &t->setup.model;
    model->meta.step = t->step;
    model->meta.epoch = result->epochs;
    mien_checkpoint c = {.graph = &model->graph, .meta = &model->meta};
    memcpy(c.arrays, t->arrays, sizeof c.arrays);
    const mien_run_texts texts = {t->config_text.data, t->config->path, t->plan_text.data,
                                  t->data_sha256, t->log.data};
    MIEN_TRY(mien_checkpoints_save(t->request->folder, &c, &p, &texts, t->config->checkpoint.keep));
    t->checkpointed = mien_trainer_now(t);
    result->saved_step = t->step;
    return MIEN_OK;
}

mien_status mien_trainer_checkpoint(mien_trainer *t, mien_train_result *result) {
    mien_status status = mien_trainer_save(t, result, false);
    if (status == MIEN_IO) status = mien_trainer_save(t, result, false);
    if (status == MIEN_IO)
        MIEN_WARN("no checkpoint of step %lld: %s", t->step, mien_error_message());
    return status == MIEN_IO ? MIEN_OK : status;
}

mien_status mien_trainer_first_row(mien_trainer *t, size_t *out) {
    *out = 0;
    if (t->resumed.tick == 0) return MIEN_OK;
    *out = t->resumed.cursor;
    t->step += (long long)t->resumed.tick;
    const mien_status status = mien_plan_write(t->plan, &t->resumed);
    t->resumed.tick = 0; /* of one epoch only */
    return status;
}
