#include "host/train/callbacks.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/log.h"
#include "host/eval/temperature.h"
#include "host/formats/event_file.h"
#include "host/image/draw.h"
#include "host/image/encode.h"
#include "host/train/file_template.h"
#include "host/train/saved_models.h"

static double wall_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- TensorBoard ---- */

/* A square with a row per true class, darker where more of the row's images are predicted so. */
static mien_status draw_confusion(const mien_metrics *m, const char (*names)[MIEN_CLASS_NAME],
                                  mien_image *out) {
    enum { CELL = 36, TEXT = 12, MARGIN = 84 };
    static const mien_color white = {255, 255, 255}, black = {0, 0, 0}, blue = {8, 69, 148};
    const int side = MARGIN + m->classes * CELL;
    char label[64];
    MIEN_TRY(mien_canvas_new(side, side, 3, white, out));
    for (int i = 0; i < m->classes; i++) {
        const int at = MARGIN + i * CELL;
        mien_text_fit(names[i], TEXT, MARGIN - 6, label, sizeof label);
        mien_draw_text(out, 3, at + (CELL - TEXT) / 2, TEXT, black, label);
        mien_text_fit(names[i], TEXT, CELL - 2, label, sizeof label);
        mien_draw_text(out, at + 1, MARGIN - TEXT - 3, TEXT, black, label);
    }
    for (int i = 0; i < m->classes; i++)
        for (int k = 0; k < m->classes; k++) {
            const size_t n = m->confusion[i * m->classes + k], support = m->by_class[i].support;
            const double share = support ? (double)n / (double)support : 0;
            const mien_rect cell = {MARGIN + k * CELL, MARGIN + i * CELL, CELL - 1, CELL - 1};
            mien_draw_shade(out, cell, blue, 0.06 + 0.94 * share);
            snprintf(label, sizeof label, "%zu", n);
            mien_draw_text(out, cell.x + (CELL - mien_text_width(label, TEXT)) / 2,
                           cell.y + (CELL - TEXT) / 2, TEXT, share > 0.5 ? white : black, label);
        }
    return MIEN_OK;
}

static mien_status add_confusion(const mien_trainer *t, mien_text *summary) {
    enum { CLASSES = 60 }; /* more would not be legible */
    mien_image image = {0};
    mien_text png = {0};
    if (t->epoch_metrics.classes > CLASSES) return MIEN_OK;
    mien_status status = draw_confusion(
        &t->epoch_metrics, (const char(*)[MIEN_CLASS_NAME])t->setup.data.class_names, &image);
    if (status == MIEN_OK) status = mien_image_encode_png(&image, &png);
    if (status == MIEN_OK)
        mien_event_image(summary, "confusion_matrix", image.width, image.height, 3, &png);
    mien_image_release(&image);
    mien_text_release(&png);
    return status;
}

static mien_status add_histograms(mien_trainer *t, mien_text *summary) {
    const mien_graph *graph = &t->setup.model.graph;
    char tag[3 * MIEN_NAME];
    MIEN_TRY(mien_plan_store(t->plan, false, &t->setup.model.weights));
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            const float *values = mien_weights_get(&t->setup.model.weights, i, k);
            const size_t count = mien_shape_count(graph->nodes[i].params[k].shape);
            snprintf(tag, sizeof tag, "%s/%s/histogram", graph->nodes[i].name,
                     graph->nodes[i].params[k].name);
            mien_event_histogram(summary, tag, values, count);
        }
    return MIEN_OK;
}

/* Writes an epoch's values into FOLDER/PART/events.out.tfevents.mien at *size, where the events of
 * the epoch before end. */
static mien_status write_events(const mien_trainer *t, const char *part, uint64_t epoch,
                                mien_text *summary, uint64_t *size) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    mien_text events = {0};
    bool shorter = false;
    mien_status status = mien_path_join(folder, t->request->folder, part);
    if (status == MIEN_OK) status = mien_make_folders(folder);
    if (status == MIEN_OK) status = mien_path_join(path, folder, MIEN_RUN_EVENTS);
    if (*size == 0) mien_event_start(&events, wall_time());
    mien_event_write(&events, wall_time(), epoch, summary);
    if (status == MIEN_OK) status = events.status;
    if (status == MIEN_OK)
        status = mien_file_write_at(path, *size, events.data, events.size, &shorter);
    if (status == MIEN_OK && shorter) {
        MIEN_WARN("%s has lost events of earlier epochs; it starts again", path);
        mien_text again = {0};
        mien_event_start(&again, wall_time());
        mien_text_append(&again, events.data, events.size);
        *size = 0;
        status = again.status;
        if (status == MIEN_OK)
            status = mien_file_write_at(path, 0, again.data, again.size, &shorter);
        *size = again.size;
        mien_text_release(&again);
    } else if (status == MIEN_OK) {
        *size += events.size;
    }
    mien_text_release(&events);
    return status;
}

mien_status mien_callbacks_events(mien_trainer *t, const mien_epoch *e) {
    const mien_config *c = t->config;
    const int epoch = e->number - 1; /* as Keras counts */
    const int histograms = c->tensorboard.histogram_freq, images = c->tensorboard.confusion_freq;
    mien_text summary = {0};
    if (!c->tensorboard.enabled) return MIEN_OK;
    mien_event_scalar(&summary, "epoch_loss", (float)e->loss);
    mien_event_scalar(&summary, "epoch_accuracy", (float)e->accuracy);
    mien_event_scalar(&summary, "epoch_learning_rate", (float)e->learning_rate);
    mien_status status =
        histograms && epoch % histograms == 0 ? add_histograms(t, &summary) : MIEN_OK;
    if (status == MIEN_OK) status = write_events(t, "", (uint64_t)epoch, &summary, &t->events[0]);
    mien_text_release(&summary);
    if (status != MIEN_OK || !e->validated) return status;
    mien_text validation = {0};
    mien_event_scalar(&validation, "epoch_loss", (float)e->val_loss);
    mien_event_scalar(&validation, "epoch_accuracy", (float)e->val_accuracy);
    mien_event_scalar(&validation, "epoch_macro_f1", (float)e->val_macro_f1);
    if (images && epoch % images == 0) status = add_confusion(t, &validation);
    if (status == MIEN_OK)
        status = write_events(t, "validation", (uint64_t)epoch, &validation, &t->events[1]);
    mien_text_release(&validation);
    return status;
}

/* ---- model files ---- */

static bool is_wanted(const mien_trainer *t, const mien_epoch *e, const mien_results *results) {
    const mien_number_or *threshold = &t->config->checkpoint.initial_value_threshold;
    const double value = results->of[t->best.what];
    if (strcmp(t->config->checkpoint.file, "none") == 0) return false;
    if (!t->config->checkpoint.save_best_only) return true;
    if (threshold->word == 0) return e->best;
    return e->best && (t->best.falls ? value < threshold->number : value > threshold->number);
}

mien_status mien_callbacks_model(mien_trainer *t, const mien_epoch *e,
                                 const mien_results *results) {
    const mien_template_value values[] = {{"epoch", e->number, true},
                                          {"loss", e->loss, false},
                                          {"accuracy", e->accuracy, false},
                                          {"learning_rate", e->learning_rate, false},
                                          {e->validated ? "val_loss" : NULL, e->val_loss, false},
                                          {"val_accuracy", e->val_accuracy, false},
                                          {"val_macro_f1", e->val_macro_f1, false},
                                          {NULL, 0, false}};
    char name[MIEN_PATH], path[MIEN_PATH], folder[MIEN_PATH];
    mien_model *model = &t->setup.model;
    const double temperature = model->meta.temperature;
    if (!is_wanted(t, e, results)) return MIEN_OK;
    MIEN_TRY(mien_template_expand(t->config->checkpoint.file, values, name));
    MIEN_TRY(mien_path_join(path, t->request->folder, name));
    mien_path_folder(folder, path);
    MIEN_TRY(mien_saved_models_add(t->request->folder, name));
    MIEN_TRY(mien_make_folders(folder));
    MIEN_TRY(mien_trainer_weights(t, true, e->number));
    model->meta.temperature =
        e->validated ? mien_temperature_fit(t->probabilities, t->val_labels,
                                            t->loader.count[MIEN_VAL], t->setup.data.classes)
                     : 1;
    const mien_status status = mien_model_save(model, path);
    model->meta.temperature = temperature;
    return status;
}
