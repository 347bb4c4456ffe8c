/* The training loop: set up data and network, then run epochs of steps (step.c). A step allocates
 * nothing, and its random numbers depend only on (seed, step). */
#include "host/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/eval/document.h"
#include "host/eval/temperature.h"
#include "host/infer/score.h"
#include "host/train/callbacks.h"
#include "host/train/divergence.h"
#include "host/train/runlog.h"
#include "host/train/trainer_state.h"

static bool stopped(const mien_trainer *t) {
    return t->request->stop && *t->request->stop;
}

static mien_status upload_class_weights(mien_trainer *t) {
    float weights[MIEN_CLASSES_MAX];
    const mien_dataset *set = &t->setup.data;
    if (t->config->loss.class_weight == MIEN_CLASS_WEIGHT_NONE) return MIEN_OK;
    mien_balanced_weights(set, weights);
    mien_backend *b = t->request->backend;
    MIEN_TRY(b->ops->alloc(b, (size_t)set->classes * mien_dtype_bytes(b->param_dtype),
                           &t->class_weight));
    const mien_tensor to = {{1, 1, 1, set->classes}, b->param_dtype, set->classes, t->class_weight};
    return b->ops->upload(b, &to, weights);
}

static mien_status keep_val_labels(mien_trainer *t) {
    const mien_dataset *set = &t->setup.data;
    const size_t n = t->loader.count[MIEN_VAL];
    MIEN_TRY(mien_new(&t->val_labels, n, sizeof *t->val_labels));
    MIEN_TRY(mien_new(&t->probabilities, n * (size_t)set->classes, sizeof *t->probabilities));
    for (size_t i = 0; i < n; i++)
        t->val_labels[i] = set->labels[t->loader.index[MIEN_VAL][i]];
    return MIEN_OK;
}

static bool validates(const mien_trainer *t) {
    return t->loader.count[MIEN_VAL] > 0;
}

static mien_status start(mien_trainer *t, mien_train_result *result) {
    const mien_config *c = t->config;
    mien_model *model = &t->setup.model;
    MIEN_TRY(mien_setup_create(c, t->request->commit, &t->setup));
    if (!t->setup.from_scratch) strcpy(result->started_from, t->setup.start);
    const body_rule rule = mien_step_rule(c, t->setup.from_scratch || t->setup.new_head);
    model->meta.warm_averages = rule.warm_averages;
    MIEN_TRY(mien_h5_available()); /* fail now rather than after the first epoch */
    const size_t train = model->meta.part_count[MIEN_TRAIN];
    const int batch = train < (size_t)c->train.batch_size ? (int)train : c->train.batch_size;
    if (batch < c->train.batch_size)
        MIEN_WARN("train.batch_size %d is larger than the %zu training images; using %d",
                  c->train.batch_size, train, batch);
    MIEN_TRY(mien_loader_create(&t->setup.data, &model->meta.normalise, t->request->backend, batch,
                                t->request->loader_threads, &t->loader));
    mien_dataset_drop_pixels(&t->setup.data);
    mien_plan_options options = mien_step_options(c, &rule, batch);
    options.keeps_norms = !t->setup.from_scratch;
    MIEN_TRY(mien_plan_create(&model->graph, t->request->backend, &options, &t->plan));
    MIEN_TRY(mien_plan_load(t->plan, &model->weights));
    MIEN_TRY(mien_score_prepare(t->plan, t->loader.count[MIEN_TRAIN]));
    result->validated = validates(t);
    if (validates(t)) MIEN_TRY(mien_score_prepare(t->plan, t->loader.count[MIEN_VAL]));
    MIEN_TRY(upload_class_weights(t));
    if (validates(t)) MIEN_TRY(keep_val_labels(t));
    t->per_epoch = (long long)((train + (size_t)batch - 1) / (size_t)batch);
    t->total = t->per_epoch * c->train.epochs;
    mien_plateau_start(&t->plateau, c);
    mien_monitor_start(&t->best, c->checkpoint.monitor, c->checkpoint.mode, 0);
    mien_monitor_start(&t->patience, c->early_stopping.monitor, c->early_stopping.mode,
                       c->early_stopping.min_delta);
    MIEN_TRY(mien_new(&t->speeds, (size_t)c->train.epochs, sizeof *t->speeds));
    MIEN_TRY(mien_new(&t->rates, (size_t)t->per_epoch, sizeof *t->rates));
    t->work = (mien_step){.plan = t->plan,
                          .loader = &t->loader,
                          .class_weight = t->class_weight,
                          .label_smoothing = (float)c->loss.label_smoothing};
    MIEN_TRY(mien_trainer_describe(t));
    if (t->request->resume) {
        MIEN_TRY(mien_trainer_resume(t, result));
    } else {
        MIEN_TRY(mien_checkpoints_clear(t->request->folder));
    }
    result->left_out = t->setup.data.skipped;
    MIEN_TRY(mien_runlog_bad(t->request->folder, &t->setup.data));
    MIEN_TRY(mien_runlog_config(t->request, t->plan));
    MIEN_TRY(mien_runlog_start(t->request, validates(t), &t->log));
    t->checkpointed = mien_trainer_now(t);
    return stopped(t) ? MIEN_FAIL(INTERRUPTED, "interrupted before the first step") : MIEN_OK;
}

static void release(mien_trainer *t) {
    if (t->class_weight) t->request->backend->ops->free(t->request->backend, t->class_weight);
    mien_step_release(&t->work);
    mien_plan_free(t->plan);
    mien_loader_release(&t->loader);
    mien_setup_release(&t->setup);
    mien_metrics_release(&t->epoch_metrics);
    mien_text_release(&t->log);
    mien_text_release(&t->metrics_text);
    mien_free(t->probabilities);
    mien_free(t->val_labels);
    for (int i = 0; i < MIEN_ARRAYS; i++)
        mien_weights_release(&t->arrays[i]);
    for (int i = 0; i < MIEN_ARRAYS; i++)
        mien_weights_release(&t->good.arrays[i]);
    mien_text_release(&t->checkpoint_bytes);
    mien_text_release(&t->config_text);
    mien_text_release(&t->plan_text);
    mien_free(t->speeds);
    mien_free(t->rates);
}

enum { CHECK_EVERY = 50 }; /* steps between checks of the flag; each check waits for the device */
static const double report_seconds =
    0.1; /* between progress reports, each of which reads the loss */

static mien_status report_progress(mien_trainer *t, int epoch, size_t done) {
    body_step state;
    const double now = mien_seconds();
    if (!t->request->observer.step || now - t->reported < report_seconds) return MIEN_OK;
    MIEN_TRY(mien_plan_read(t->plan, &state));
    t->request->observer.step(t->request->observer.context, epoch, done,
                              t->loader.count[MIEN_TRAIN],
                              state.rows ? state.loss_sum / (double)state.rows : 0);
    t->reported = now;
    return MIEN_OK;
}

/* Sets the order, learning rates and sums of an epoch. Its steps then need no data from the host.
 */
static mien_status begin_epoch(mien_trainer *t, int epoch) {
    const mien_config *c = t->config;
    for (long long i = 0; i < t->per_epoch; i++)
        t->rates[i] = t->rate_factor *
                      mien_schedule_rate(c, &t->plateau, t->step + i, t->total, t->per_epoch);
    MIEN_TRY(mien_plan_epoch(t->plan, t->rates, (size_t)t->per_epoch));
    t->work.ranges = mien_step_ranges(c, epoch);
    return mien_loader_order(&t->loader, MIEN_TRAIN, true, (uint32_t)c->train.seed,
                             (uint64_t)epoch);
}

/* A checkpoint within or after an epoch; never of weights that are not finite. */
static mien_status checkpoint(mien_trainer *t, mien_train_result *result, int epoch) {
    MIEN_TRY(mien_divergence_check(t, epoch));
    return mien_trainer_checkpoint(t, result);
}

static mien_status train_epoch(mien_trainer *t, int epoch, mien_train_result *result) {
    const size_t n = t->loader.count[MIEN_TRAIN], most = (size_t)t->plan->max_batch;
    const bool check_always = t->config->train.on_nan == MIEN_ON_NAN_SKIP;
    const int every = t->config->checkpoint.every_steps;
    size_t start;
    MIEN_TRY(begin_epoch(t, epoch));
    MIEN_TRY(mien_trainer_first_row(t, &start));
    t->within_epoch = true;
    for (; start < n; start += most) {
        const int rows = (int)(n - start < most ? n - start : most);
        MIEN_TRY(mien_step_run(&t->work, start, rows));
        t->step++;
        if (t->step % CHECK_EVERY == 0 || check_always) MIEN_TRY(mien_divergence_check(t, epoch));
        if (stopped(t)) return MIEN_FAIL(INTERRUPTED, "interrupted in epoch %d", epoch);
        if (every && t->step % every == 0) MIEN_TRY(checkpoint(t, result, epoch));
        MIEN_TRY(report_progress(t, epoch, start));
    }
    return mien_divergence_check(t, epoch);
}

/* Validates with the averaged weights if there are any, because those are saved. */
static mien_status validate(mien_trainer *t, int epoch) {
    mien_plan *plan = t->plan;
    if (!validates(t)) return MIEN_OK;
    if (plan->average) MIEN_TRY(mien_plan_use(plan, true));
    const mien_status status =
        mien_score_part(plan, &t->loader, MIEN_VAL, (mien_tta)t->config->evaluate.tta, 1,
                        t->request->stop, t->probabilities);
    MIEN_TRY(status);
    if (plan->average) MIEN_TRY(mien_plan_use(plan, false));
    mien_metrics_release(&t->epoch_metrics);
    const mien_status computed =
        mien_metrics_compute(t->probabilities, t->val_labels, t->loader.count[MIEN_VAL],
                             t->setup.data.classes, &t->epoch_metrics);
    return computed == MIEN_DIVERGED
               ? mien_divergence_fail(t, epoch, "the output for the validation part")
               : computed;
}

/* Writes the host's model to a file. */
static mien_status write_model(mien_trainer *t, const char *name) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, t->request->folder, name));
    return mien_model_save(&t->setup.model, path);
}

static mien_status save(mien_trainer *t, const char *name, bool averaged, int epoch) {
    MIEN_TRY(mien_trainer_weights(t, averaged, epoch));
    return write_model(t, name);
}

/* The warning of a best epoch whose model has collapsed; "" for any other. */
static void describe_collapse(const mien_trainer *t, mien_train_result *result) {
    const int k = mien_metrics_collapsed(&t->epoch_metrics);
    *result->collapsed = 0;
    if (k >= 0)
        snprintf(result->collapsed, sizeof result->collapsed,
                 "nearly all answers for the validation part are '%s', but its images are not: the "
                 "model has collapsed; " MIEN_COLLAPSED_CURE,
                 t->setup.data.class_names[k]);
}

static mien_status describe_metrics(mien_trainer *t, double seconds,
                                    const mien_train_result *result) {
    const char *const warning = result->collapsed;
    mien_subgroups groups;
    mien_status status = mien_subgroups_compute(
        &t->setup.groups, t->loader.index[MIEN_VAL], t->probabilities, t->val_labels,
        t->loader.count[MIEN_VAL], t->setup.data.classes, &groups);
    const mien_report_head head = {.model = MIEN_RUN_BEST,
                                   .data = t->setup.data.source,
                                   .split = "val",
                                   .sha256 = t->setup.val_sha256,
                                   .warnings = &warning,
                                   .warning_count = *warning != 0,
                                   .seconds = seconds,
                                   .groups = groups.count ? &groups : NULL};
    mien_text_release(&t->metrics_text);
    if (status == MIEN_OK) {
        mien_metrics_document(&t->epoch_metrics, (const char(*)[64])t->setup.data.class_names,
                              &head, true, &t->metrics_text);
        status = t->metrics_text.status;
    }
    mien_subgroups_release(&groups);
    return status;
}

/* Fits the temperature on the validation part and recomputes the metrics with it. */
static mien_status fit_temperature(mien_trainer *t) {
    const size_t n = t->loader.count[MIEN_VAL];
    const int classes = t->setup.data.classes;
    const double fitted = mien_temperature_fit(t->probabilities, t->val_labels, n, classes);
    t->setup.model.meta.temperature = fitted;
    mien_temperature_apply(t->probabilities, n, classes, fitted);
    mien_metrics_release(&t->epoch_metrics);
    return mien_metrics_compute(t->probabilities, t->val_labels, n, classes, &t->epoch_metrics);
}

/* Keeps the model and metrics of a best epoch, to be written, and moves the metrics to the result.
 */
static mien_status keep_best(mien_trainer *t, int epoch, double val_seconds,
                             mien_train_result *result) {
    t->setup.model.meta.temperature = 1; /* without validation an older model's would not fit */
    if (validates(t)) MIEN_TRY(fit_temperature(t));
    t->best_unwritten = false; /* an older one need not be written any more */
    MIEN_TRY(mien_trainer_weights(t, true, epoch));
    t->best_step = t->step;
    t->best_unwritten = true;
    if (validates(t)) {
        describe_collapse(t, result);
        MIEN_TRY(describe_metrics(t, val_seconds, result));
    }
    mien_metrics_release(&result->metrics);
    result->metrics = t->epoch_metrics;
    t->epoch_metrics = (mien_metrics){0};
    result->best_epoch = epoch;
    return MIEN_OK;
}

/* Begins a named range, shown by profilers. */
static void begin_part(const mien_trainer *t, const char *name) {
    t->request->backend->ops->range_push(t->request->backend, name, NULL);
}

static mien_status end_part(const mien_trainer *t, mien_status status) {
    t->request->backend->ops->range_pop(t->request->backend);
    return status;
}

/* Guessing has a loss of log(classes); one that is 1000 times as large does not come back. */
static mien_status check_loss(const mien_trainer *t, int epoch, double loss) {
    const double guessing = log((double)t->setup.data.classes);
    if (loss <= 1000 * guessing) return MIEN_OK;
    return MIEN_FAIL(DIVERGED,
                     "epoch %d: the loss %.3g is beyond reason (guessing has %.2f), so the "
                     "training has diverged; try a smaller optimizer.learning_rate (now %g) or "
                     "optimizer.clip_norm",
                     epoch, loss, guessing, t->config->optimizer.learning_rate);
}

/* Writes what an epoch calls for: events, a model by its template, best.h5 and log.csv. The events
 * come first, because the best model takes the metrics. */
static mien_status save_epoch(mien_trainer *t, const mien_epoch *e, const mien_results *results,
                              double val_seconds, mien_train_result *result) {
    MIEN_TRY(mien_trainer_tolerate(mien_callbacks_events(t, e)));
    MIEN_TRY(mien_trainer_tolerate(mien_callbacks_model(t, e, results)));
    if (e->best) MIEN_TRY(keep_best(t, e->number, val_seconds, result));
    mien_runlog_epoch(e, &t->log);
    t->log_unwritten = true;
    return mien_trainer_try_files(t);
}

static mien_results results_of(const mien_epoch *e) {
    const double none = NAN;
    return (mien_results){{e->validated ? e->val_loss : none, e->validated ? e->val_accuracy : none,
                           e->validated ? e->val_macro_f1 : none, e->loss, e->accuracy}};
}

/* What an epoch's results decide; returns whether it is the best so far. */
static bool judge_epoch(mien_trainer *t, int epoch, const mien_results *results) {
    t->stops = mien_early_stop(&t->patience, t->config, epoch, results);
    if (validates(t) || !mien_monitor_validates(t->best.what))
        return mien_monitor_update(&t->best, epoch, results);
    t->best.epoch = epoch; /* without validation the last epoch is kept */
    return true;
}

static mien_status run_epoch(mien_trainer *t, int number, mien_train_result *result) {
    body_step state;
    const double begin = mien_seconds();
    begin_part(t, "epoch");
    MIEN_TRY(end_part(t, train_epoch(t, number, result)));
    const double seconds = mien_seconds() - begin;
    MIEN_TRY(mien_plan_read(t->plan, &state));
    begin_part(t, "eval");
    MIEN_TRY(end_part(t, validate(t, number)));
    const double val_seconds = mien_seconds() - begin - seconds;
    const mien_metrics *m = &t->epoch_metrics;
    mien_epoch e = {.number = number,
                    .of = t->config->train.epochs,
                    .loss = state.loss_sum / (double)state.rows,
                    .accuracy = (double)state.correct / (double)state.rows,
                    .validated = validates(t),
                    .val_loss = m->loss,
                    .val_accuracy = m->accuracy,
                    .val_macro_f1 = m->macro_f1,
                    .learning_rate = state.learning_rate,
                    .seconds = seconds,
                    .images_per_second = (double)state.rows / seconds};
    MIEN_TRY(check_loss(t, number, e.loss));
    const mien_results results = results_of(&e);
    e.best = judge_epoch(t, number, &results);
    result->epochs = number;
    result->steps = t->step;
    begin_part(t, "checkpoint");
    MIEN_TRY(end_part(t, save_epoch(t, &e, &results, val_seconds, result)));
    t->within_epoch = false;
    if (mien_plateau_update(&t->plateau, t->config, &results))
        MIEN_INFO("%s plateaued; reducing the learning rate to %g times its initial value",
                  mien_monitor_name(t->config->schedule.monitor), t->plateau.factor);
    t->speeds[t->speed_count++] = e.images_per_second;
    if (t->request->observer.epoch) t->request->observer.epoch(t->request->observer.context, &e);
    return MIEN_OK;
}

/* Seconds from a checkpoint to one at the end of an epoch: an epoch may take less time than a
 * checkpoint. */
static const double checkpoint_seconds = 5;

static bool is_due(const mien_trainer *t, int epoch) {
    if (t->config->train.on_nan == MIEN_ON_NAN_ROLLBACK)
        return false; /* the next epoch writes one */
    const int every = t->config->checkpoint.every_epochs;
    return every && epoch % every == 0 &&
           mien_trainer_now(t) - t->checkpointed >= checkpoint_seconds;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool is_patience_over(const mien_trainer *t) {
    return t->config->early_stopping.enabled && t->stops &&
           t->patience.waited >= t->config->early_stopping.patience;
}

static mien_status run_epochs(mien_trainer *t, mien_train_result *result) {
    for (int epoch = result->epochs + 1; epoch <= t->config->train.epochs; epoch++) {
        if (is_patience_over(t)) {
            MIEN_INFO("no improvement for %d epochs: stopping early", t->patience.waited);
            break;
        }
        mien_status status = mien_divergence_keep(t, result);
        if (status == MIEN_OK) status = run_epoch(t, epoch, result);
        if (status == MIEN_DIVERGED) {
            MIEN_TRY(mien_divergence_return(t, status, result));
            epoch = result->epochs; /* and once more */
            continue;
        }
        MIEN_TRY(status);
        if (stopped(t)) return MIEN_FAIL(INTERRUPTED, "interrupted after epoch %d", epoch);
        if (is_due(t, epoch)) MIEN_TRY(checkpoint(t, result, epoch));
    }
    if (t->best.epoch == 0) return MIEN_FAIL(DIVERGED, "no epoch had a finite validation result");
    return MIEN_OK;
}

/* After a device fault nothing can be read from the device. */
static void tell_after_fault(const mien_train_result *result) {
    char message[512];
    snprintf(message, sizeof message, "%s", mien_error_message());
    if (result->saved_step)
        mien_fail(MIEN_DEVICE, __FILE__, __LINE__,
                  "%s; step %lld is saved in %s: continue with --resume, or use another device if "
                  "it happens again",
                  message, result->saved_step, MIEN_RUN_LAST);
    else
        mien_fail(MIEN_DEVICE, __FILE__, __LINE__, "%s; no checkpoint had been written", message);
}

/* Saves what the outcome of the training calls for; returns the run's final status. */
static mien_status save_last(mien_trainer *t, mien_status status, mien_train_result *result) {
    const mien_config *c = t->config;
    if (status == MIEN_DEVICE) tell_after_fault(result);
    if (status == MIEN_INTERRUPTED && t->step > 0) {
        char message[512];
        snprintf(message, sizeof message, "%s", mien_error_message());
        mien_status saved = mien_trainer_save(t, result, false);
        if (saved == MIEN_DIVERGED) {
            MIEN_TRY(mien_divergence_return(t, saved, result));
            saved = mien_trainer_save(t, result, false);
        }
        MIEN_TRY(saved);
        return mien_fail(MIEN_INTERRUPTED, __FILE__, __LINE__, "%s", message);
    }
    if (status != MIEN_OK) return status;
    if (c->early_stopping.enabled && !c->early_stopping.restore_best_weights)
        MIEN_TRY(save(t, "last.h5", false, result->epochs));
    return mien_trainer_save(t, result, true);
}

/* Writes the outcome to run.json; an earlier failure is the one to report. */
static mien_status record_end(const mien_trainer *t, mien_status status,
                              const mien_train_result *result, const char *started) {
    char message[512];
    snprintf(message, sizeof message, "%s", mien_error_message());
    const char *state = status == MIEN_OK            ? "finished"
                        : status == MIEN_INTERRUPTED ? "interrupted"
                                                     : "failed";
    const bool failed = status != MIEN_OK && status != MIEN_INTERRUPTED;
    const mien_status writing =
        mien_runlog_run(t->request, state, result, started, failed ? message : NULL);
    if (status == MIEN_OK) return writing;
    return writing == MIEN_OK ? status : mien_fail(status, __FILE__, __LINE__, "%s", message);
}

mien_status mien_train(const mien_train_request *request, mien_train_result *result) {
    mien_trainer t = {
        .request = request, .config = request->config, .rate_factor = 1, .good_before = -1};
    char started[32];
    *result = (mien_train_result){0};
    mien_timestamp(started);
    const double begin = mien_seconds();
    const unsigned mode = mien_float_enter();
    t.began = mien_trainer_now(&t);
    mien_status status = start(&t, result);
    if (status == MIEN_OK) status = mien_runlog_run(request, "running", result, started, NULL);
    if (status == MIEN_OK) {
        status = run_epochs(&t, result);
        result->seconds = t.seconds_before + mien_seconds() - begin;
        result->steps = t.step;
        if (t.speed_count) {
            qsort(t.speeds, (size_t)t.speed_count, sizeof *t.speeds, ascending);
            result->images_per_second = t.speeds[t.speed_count / 2];
        }
        if (status == MIEN_OK && *result->collapsed) MIEN_WARN("%s", result->collapsed);
        status = save_last(&t, status, result);
        status = record_end(&t, status, result, started);
    }
    mien_float_leave(mode);
    release(&t);
    return status;
}
