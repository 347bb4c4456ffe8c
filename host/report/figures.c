#include "host/report/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/report/heatmap.h"
#include "host/report/plot.h"
#include "host/report/raster.h"

enum { SERIES_MAX = MIEN_COLORS, NAME = 96, BARS_MAX = 40 };
static const double diagonal[] = {0, 1};
static const double png_scale = 2; /* for screens of high resolution */

/* ---- learning curves ---- */

static void draw_epochs(const mien_curve *curve, const char *title, bool percent,
                        mien_svg_kind kind, mien_text *out) {
    double *epochs;
    if (mien_new(&epochs, curve->count, sizeof *epochs) != MIEN_OK) {
        out->status = MIEN_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < curve->count; i++)
        epochs[i] = (double)i + 1;
    bool val = false;
    for (size_t i = 0; i < curve->count; i++)
        val |= isfinite(curve->val[i]) != 0;
    const mien_series series[] = {
        {.name = "training", .x = epochs, .y = curve->train, .count = curve->count, .color = 0},
        {.name = "validation", .x = epochs, .y = curve->val, .count = curve->count, .color = 1}};
    const mien_plot plot = {.title = title,
                            .x = {.label = "epoch", .whole = true},
                            .y = {.percent = percent},
                            .series = series,
                            .count = val ? 2 : 1};
    mien_plot_svg(&plot, kind, out);
    mien_free(epochs);
}

static void draw_accuracy(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    if (r->curves) draw_epochs(&r->curves->accuracy, "accuracy by epoch", true, kind, out);
}

static void draw_loss(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    if (r->curves) draw_epochs(&r->curves->loss, "loss by epoch", false, kind, out);
}

/* ---- by class ---- */

static void draw_confusion(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    if (r->metrics->classes <= MIEN_MATRIX_MAX) mien_heatmap_svg(r->metrics, r->names, kind, out);
}

/* Recall and precision as dots with their intervals. */
static void draw_classes(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    const mien_metrics *m = r->metrics;
    double x[2][BARS_MAX], y[2][BARS_MAX], low[2][BARS_MAX], high[2][BARS_MAX];
    const char *names[BARS_MAX];
    if (m->classes > BARS_MAX) return;
    for (int k = 0; k < m->classes; k++) {
        const mien_interval none = {NAN, NAN};
        const mien_interval range[2] = {r->analysis ? r->analysis->recall[k] : none,
                                        r->analysis ? r->analysis->precision[k] : none};
        names[k] = r->names[k];
        y[0][k] = m->by_class[k].recall;
        y[1][k] = m->by_class[k].precision;
        for (int s = 0; s < 2; s++) {
            x[s][k] = k + (s ? 0.14 : -0.14);
            low[s][k] = range[s].low;
            high[s][k] = range[s].high;
        }
    }
    mien_series series[2];
    for (int s = 0; s < 2; s++)
        series[s] = (mien_series){.name = s ? "precision" : "recall",
                                  .mark = MIEN_MARK_DOTS,
                                  .x = x[s],
                                  .y = y[s],
                                  .low = low[s],
                                  .high = high[s],
                                  .count = (size_t)m->classes,
                                  .color = s};
    const mien_plot plot = {.title = "recall and precision by class",
                            .x = {.names = names, .name_count = m->classes},
                            .y = {.percent = true, .low = 0, .high = 1},
                            .series = series,
                            .count = 2,
                            .width = m->classes > 10 ? 940 : 620};
    mien_plot_svg(&plot, kind, out);
}

static void draw_curves(const mien_report *r, bool roc, mien_svg_kind kind, mien_text *out) {
    int classes[SERIES_MAX];
    char labels[SERIES_MAX][NAME];
    mien_series series[SERIES_MAX + 1];
    int count = 0;
    if (!r->analysis) return;
    if (roc)
        series[count++] =
            (mien_series){.mark = MIEN_MARK_GUIDE, .x = diagonal, .y = diagonal, .count = 2};
    const int shown = mien_metrics_largest(r->metrics, SERIES_MAX, classes);
    for (int i = 0; i < shown; i++) {
        const int k = classes[i];
        const mien_class_metrics *c = &r->metrics->by_class[k];
        const mien_class_curves *curves = &r->analysis->curves[k];
        const mien_points *points = roc ? &curves->roc : &curves->pr;
        const double area = roc ? c->roc_auc : c->average_precision;
        if (!points->count) continue;
        mien_text name = {0};
        mien_text_name(&name, r->names[k], 14);
        snprintf(labels[i], NAME, "%s %.3f", name.data ? name.data : "", area);
        mien_text_release(&name);
        series[count++] = (mien_series){
            .name = labels[i], .x = points->x, .y = points->y, .count = points->count, .color = i};
    }
    const mien_axis share = {.low = 0, .high = 1, .percent = true};
    mien_plot plot = {.title = roc ? "ROC by class, with its area"
                                   : "precision and recall by class, with average precision",
                      .x = share,
                      .y = share,
                      .series = series,
                      .count = count,
                      .height = 400};
    plot.x.label = roc ? "false positive rate" : "recall";
    plot.y.label = roc ? "true positive rate" : "precision";
    mien_plot_svg(&plot, kind, out);
}

static void draw_roc(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    draw_curves(r, true, kind, out);
}

static void draw_precision_recall(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    draw_curves(r, false, kind, out);
}

/* ---- confidence ---- */

static void draw_calibration(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    double x[MIEN_BINS], y[MIEN_BINS], middle[MIEN_BINS];
    if (!r->analysis) return;
    for (int b = 0; b < MIEN_BINS; b++) {
        x[b] = r->analysis->bins[b].confidence;
        y[b] = r->analysis->bins[b].accuracy;
        middle[b] = (b + 0.5) / MIEN_BINS;
    }
    const mien_series series[] = {
        {.name = "right, by confidence",
         .mark = MIEN_MARK_BARS,
         .x = middle,
         .y = y,
         .count = MIEN_BINS,
         .width = 1.0 / MIEN_BINS,
         .color = 5},
        {.name = "mean of a bin", .mark = MIEN_MARK_DOTS, .x = x, .y = y, .count = MIEN_BINS},
        {.name = "perfect calibration",
         .mark = MIEN_MARK_GUIDE,
         .x = diagonal,
         .y = diagonal,
         .count = 2}};
    const mien_axis share = {.low = 0, .high = 1, .percent = true};
    mien_plot plot = {.title = "calibration",
                      .x = share,
                      .y = share,
                      .series = series,
                      .count = 3,
                      .height = 340};
    plot.x.label = "confidence";
    plot.y.label = "share that is right";
    mien_plot_svg(&plot, kind, out);
}

static void draw_confidence(const mien_report *r, mien_svg_kind kind, mien_text *out) {
    double x[MIEN_HISTOGRAM], right[MIEN_HISTOGRAM], all[MIEN_HISTOGRAM];
    if (!r->analysis) return;
    for (int b = 0; b < MIEN_HISTOGRAM; b++) {
        x[b] = (b + 0.5) / MIEN_HISTOGRAM;
        right[b] = (double)r->analysis->right_histogram[b];
        all[b] = right[b] + (double)r->analysis->wrong_histogram[b];
    }
    const mien_series series[] = {{.name = "right",
                                   .mark = MIEN_MARK_BARS,
                                   .x = x,
                                   .y = right,
                                   .count = MIEN_HISTOGRAM,
                                   .width = 1.0 / MIEN_HISTOGRAM,
                                   .color = 0},
                                  {.name = "wrong",
                                   .mark = MIEN_MARK_BARS,
                                   .x = x,
                                   .y = all,
                                   .base = right,
                                   .count = MIEN_HISTOGRAM,
                                   .width = 1.0 / MIEN_HISTOGRAM,
                                   .color = 1}};
    const mien_plot plot = {.title = "how confident the answers are",
                            .x = {.label = "confidence", .low = 0, .high = 1, .percent = true},
                            .y = {.label = "images", .zero = true, .whole = true},
                            .series = series,
                            .count = 2,
                            .height = 340};
    mien_plot_svg(&plot, kind, out);
}

const mien_figure mien_figures[MIEN_FIGURES] = {{"confusion", draw_confusion},
                                                {"classes", draw_classes},
                                                {"roc", draw_roc},
                                                {"precision-recall", draw_precision_recall},
                                                {"calibration", draw_calibration},
                                                {"confidence", draw_confidence},
                                                {"accuracy", draw_accuracy},
                                                {"loss", draw_loss}};

void mien_figure_put(const mien_report *report, const char *name, mien_text *out) {
    for (int i = 0; i < MIEN_FIGURES; i++)
        if (strcmp(mien_figures[i].name, name) == 0)
            mien_figures[i].draw(report, MIEN_SVG_INLINE, out);
}

static mien_status write_figure(const char *folder, const char *name, const mien_text *svg,
                                bool *pixels) {
    char path[MIEN_PATH], file[64];
    snprintf(file, sizeof file, "%s.svg", name);
    MIEN_TRY(mien_path_join(path, folder, file));
    MIEN_TRY(mien_file_write(path, svg->data, svg->size));
    if (!*pixels) return MIEN_OK;
    snprintf(file, sizeof file, "%s.png", name);
    MIEN_TRY(mien_path_join(path, folder, file));
    const mien_status status = mien_svg_write_png(svg, png_scale, path);
    if (status != MIEN_UNSUPPORTED) return status;
    MIEN_WARN("the figures are written as SVG only: %s", mien_error_message());
    *pixels = false;
    return MIEN_OK;
}

/* A figure that an earlier report left in the folder would be taken for this one's. */
static mien_status remove_figure(const char *folder, const char *name) {
    static const char *const suffixes[] = {"svg", "png"};
    for (int i = 0; i < 2; i++) {
        char path[MIEN_PATH], file[64];
        snprintf(file, sizeof file, "%s.%s", name, suffixes[i]);
        MIEN_TRY(mien_path_join(path, folder, file));
        unlink(path);
    }
    return MIEN_OK;
}

mien_status mien_figures_write(const mien_report *report, const char *folder) {
    bool pixels = true;
    MIEN_TRY(mien_make_folders(folder));
    for (int i = 0; i < MIEN_FIGURES; i++) {
        mien_text svg = {0};
        mien_figures[i].draw(report, MIEN_SVG_FILE, &svg);
        mien_status status = svg.status;
        if (status == MIEN_OK)
            status = svg.size ? write_figure(folder, mien_figures[i].name, &svg, &pixels)
                              : remove_figure(folder, mien_figures[i].name);
        mien_text_release(&svg);
        MIEN_TRY(status);
    }
    return MIEN_OK;
}
