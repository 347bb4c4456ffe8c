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

/* What the host keeps between two epochs. */
static void take_progress(mien_trainer *t, const mien_progress *p, mien_train_result *result) {
    t->step = p->epochs * t->per_epoch;
    t->plateau = p->plateau;
    mien_monitor_take(&t->best, &p->best);
    mien_monitor_take(&t->patience, &p->patience);
    t->stops = p->stops;
    memcpy(t->events, p->events, sizeof t->events);
    result->epochs = p->epochs;
    result->best_epoch = p->best.epoch;
}

mien_status mien_trainer_restore(mien_trainer *t, const mien_good *from,
                                 mien_train_result *result) {
    for (mien_array array = 0; array < MIEN_ARRAYS; array++)
        if (mien_plan_has(t->plan, array))
            MIEN_TRY(mien_plan_set(t->plan, array, &from->arrays[array]));
    MIEN_TRY(mien_plan_write(t->plan, &from->progress.device));
    take_progress(t, &from->progress, result);
    t->within_epoch = false;
    return MIEN_OK;
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
    t->nan_count = p->nan_count;
    t->rate_factor = p->rate_factor;
    t->seconds_before = p->seconds;
    take_progress(t, p, result);
    mien_text_puts(&t->log, from->texts.log);
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

mien_status mien_trainer_catch_up(mien_trainer *t) {
    char path[MIEN_PATH];
    mien_model *model = &t->setup.model;
    if (t->best_unwritten) {
        model->meta.step = t->best_step;
        model->meta.epoch = t->best.epoch;
        MIEN_TRY(mien_path_join(path, t->request->folder, MIEN_RUN_BEST));
        MIEN_TRY(mien_model_save(model, path));
        if (t->metrics_text.size)
            MIEN_TRY(mien_runlog_write(t->request->folder, "metrics.json", &t->metrics_text));
        t->best_unwritten = false;
    }
    if (t->log_unwritten) MIEN_TRY(mien_runlog_write(t->request->folder, "log.csv", &t->log));
    t->log_unwritten = false;
    return MIEN_OK;
}

/* What may be over the next time. */
static bool may_pass(mien_status status) {
    return status == MIEN_IO || status == MIEN_NO_MEMORY;
}

mien_status mien_trainer_try_files(mien_trainer *t) {
    mien_status status = mien_trainer_catch_up(t);
    if (may_pass(status)) status = mien_trainer_catch_up(t);
    if (!may_pass(status)) return status;
    MIEN_WARN("%s; it is tried again later", mien_error_message());
    return MIEN_OK;
}

mien_status mien_trainer_tolerate(mien_status status) {
    if (!may_pass(status)) return status;
    MIEN_WARN("%s; the training goes on", mien_error_message());
    return MIEN_OK;
}

mien_status mien_trainer_capture(mien_trainer *t, const mien_train_result *result,
                                 mien_progress *out) {
    *out = (mien_progress){.epochs = result->epochs,
                           .seconds = t->seconds_before + mien_trainer_now(t) - t->began,
                           .plateau = t->plateau,
                           .best = t->best,
                           .patience = t->patience,
                           .stops = t->stops,
                           .events = {t->events[0], t->events[1]},
                           .best_loss = result->metrics.loss,
                           .best_accuracy = result->metrics.accuracy,
                           .best_macro_f1 = result->metrics.macro_f1,
                           .nan_count = t->nan_count,
                           .rate_factor = t->rate_factor,
                           .good_step = t->good.progress.device.step};
    MIEN_TRY(mien_plan_read(t->plan, &out->device));
    if (!t->within_epoch) { /* the next epoch starts with these */
        out->device.cursor = out->device.tick = out->device.rows = out->device.correct = 0;
        out->device.loss_sum = 0;
    }
    return fetch_arrays(t);
}

mien_status mien_trainer_weights(mien_trainer *t, bool averaged, int epoch) {
    mien_model *model = &t->setup.model;
    MIEN_TRY(mien_trainer_catch_up(t)); /* the best model is in the same memory */
    MIEN_TRY(mien_plan_store(t->plan, averaged, &model->weights));
    MIEN_TRY(mien_weights_check(&model->graph, &model->weights));
    model->meta.step = t->step;
    model->meta.epoch = epoch;
    return MIEN_OK;
}

mien_status mien_trainer_save(mien_trainer *t, mien_train_result *result, bool finished) {
    mien_progress p;
    MIEN_TRY(mien_trainer_catch_up(t));
    MIEN_TRY(mien_trainer_capture(t, result, &p));
    p.finished = finished;
    mien_model *model = &t->setup.model;
    model->meta.step = t->step;
    model->meta.epoch = result->epochs;
    mien_checkpoint c = {.graph = &model->graph, .meta = &model->meta};
    memcpy(c.arrays, t->arrays, sizeof c.arrays);
    const mien_run_texts texts = {t->config_text.data, t->config->path, t->plan_text.data,
                                  t->data_sha256, t->log.data};
    const bool returns = t->config->train.on_nan == MIEN_ON_NAN_ROLLBACK;
    const mien_keep keep = {t->config->checkpoint.keep,
                            {returns ? (long long)p.good_step : -1, t->good_before}};
    MIEN_TRY(mien_checkpoints_save(t->request->folder, &c, &p, &texts, keep, &t->checkpoint_bytes));
    t->checkpointed = mien_trainer_now(t);
    result->saved_step = t->step;
    return MIEN_OK;
}

mien_status mien_trainer_checkpoint(mien_trainer *t, mien_train_result *result) {
    mien_status status = mien_trainer_save(t, result, false);
    if (may_pass(status)) status = mien_trainer_save(t, result, false);
    if (!may_pass(status)) return status;
    MIEN_WARN("no checkpoint of step %lld: %s", t->step, mien_error_message());
    return MIEN_OK;
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
