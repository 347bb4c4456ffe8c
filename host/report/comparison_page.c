#include "host/report/comparison_page.h"

#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/report/gallery.h"
#include "host/report/log.h"
#include "host/report/page.h"
#include "host/report/plot.h"
#include "host/report/thumb.h"

enum { SHOWN = 12, BARS_MAX = 40, BIN_LEAST = 10 };

static const char *name_of(const mien_comparison *c, int i) {
    return i == c->count - 1 && c->average ? "all averaged" : c->evaluations[i].models.data;
}

/* ---- tables ---- */

static void put_models(const mien_comparison *c, mien_text *out) {
    mien_text_puts(out, "<div class=wide><table><tr><th>model<th>accuracy<th>balanced accuracy"
                        "<th>macro F1<th>loss<th>calibration error<th>images a second</tr>\n");
    for (int i = 0; i < c->count; i++) {
        const mien_metrics *m = &c->evaluations[i].metrics;
        const mien_analysis *a = &c->analyses[i];
        const double seconds = c->evaluations[i].seconds;
        mien_text_puts(out, "<tr><td>");
        mien_html_escape(out, name_of(c, i));
        mien_text_puts(out, "</td>");
        mien_page_share(out, m->accuracy, a->accuracy.low, a->accuracy.high);
        mien_page_share(out, m->balanced_accuracy, a->balanced_accuracy.low,
                        a->balanced_accuracy.high);
        mien_page_share(out, m->macro_f1, a->macro_f1.low, a->macro_f1.high);
        mien_text_printf(out, "<td>%.4f</td><td>%.4f</td><td>%.0f</td></tr>\n", m->loss, m->ece,
                         seconds > 0 ? (double)c->n / seconds : 0);
    }
    mien_text_puts(out, "</table></div>\n");
}

static void put_tests(const mien_comparison *c, mien_text *out) {
    const int pairs = c->count * (c->count - 1) / 2;
    mien_text_puts(out, "<h2>Is the difference chance?</h2>\n<p>McNemar's test looks only at the "
                        "images that one of two models has right and the other wrong. p is the "
                        "probability of a difference at least as large if both were equally good: "
                        "below 0.05 it is usually called significant.");
    if (pairs > 1)
        mien_text_printf(out, " With %d pairs, ask for less than %.3f.", pairs, 0.05 / pairs);
    mien_text_puts(out, "</p>\n<div class=wide><table><tr><th>A<th class=word>B<th>only A right"
                        "<th>only B right<th>p</tr>\n");
    for (int a = 0; a < c->count; a++)
        for (int b = a + 1; b < c->count; b++) {
            const mien_mcnemar test = mien_comparison_test(c, a, b);
            mien_text_puts(out, "<tr><td>");
            mien_html_escape(out, name_of(c, a));
            mien_text_puts(out, "</td><td class=word>");
            mien_html_escape(out, name_of(c, b));
            mien_text_printf(out, "</td><td>%zu</td><td>%zu</td><td>%.2g</td></tr>\n", test.only_a,
                             test.only_b, test.p);
        }
    mien_text_puts(out, "</table></div>\n");
}

/* ---- charts ---- */

/* Recall of each class, one colour per model. */
static void put_recall(const mien_comparison *c, mien_text *out) {
    double x[MIEN_CONTESTANTS_MAX][BARS_MAX], y[MIEN_CONTESTANTS_MAX][BARS_MAX];
    double low[MIEN_CONTESTANTS_MAX][BARS_MAX], high[MIEN_CONTESTANTS_MAX][BARS_MAX];
    mien_series series[MIEN_CONTESTANTS_MAX];
    const char *names[BARS_MAX];
    if (c->classes > BARS_MAX) return;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->classes; k++) {
            const int own = c->class_of[i * c->classes + k];
            names[k] = c->evaluations[0].data.class_names[k];
            x[i][k] = k + 0.7 * ((i + 0.5) / c->count - 0.5);
            y[i][k] = c->evaluations[i].metrics.by_class[own].recall;
            low[i][k] = c->analyses[i].recall[own].low;
            high[i][k] = c->analyses[i].recall[own].high;
        }
        series[i] = (mien_series){.name = name_of(c, i),
                                  .mark = MIEN_MARK_DOTS,
                                  .x = x[i],
                                  .y = y[i],
                                  .low = low[i],
                                  .high = high[i],
                                  .count = (size_t)c->classes,
                                  .color = i};
    }
    const mien_plot plot = {.title = "recall by class, with 95 % intervals",
                            .x = {.names = names, .name_count = c->classes},
                            .y = {.percent = true, .low = 0, .high = 1},
                            .series = series,
                            .count = c->count,
                            .width = 940,
                            .height = 340};
    mien_plot_svg(&plot, MIEN_SVG_INLINE, out);
}

static void put_calibration(const mien_comparison *c, mien_text *out) {
    static const double diagonal[] = {0, 1};
    double x[MIEN_CONTESTANTS_MAX][MIEN_BINS], y[MIEN_CONTESTANTS_MAX][MIEN_BINS];
    mien_series series[MIEN_CONTESTANTS_MAX + 1];
    for (int i = 0; i < c->count; i++) {
        size_t count = 0;
        for (int b = 0; b < MIEN_BINS; b++) { /* a line goes on across bins of few images */
            const mien_bin *bin = &c->analyses[i].bins[b];
            if (bin->n < BIN_LEAST) continue;
            x[i][count] = bin->confidence;
            y[i][count++] = bin->accuracy;
        }
        series[i] =
            (mien_series){.name = name_of(c, i), .x = x[i], .y = y[i], .count = count, .color = i};
    }
    series[c->count] = (mien_series){.name = "perfect calibration",
                                     .mark = MIEN_MARK_GUIDE,
                                     .x = diagonal,
                                     .y = diagonal,
                                     .count = 2};
    const mien_axis share = {.low = 0, .high = 1, .percent = true};
    mien_plot plot = {.title = "calibration",
                      .x = share,
                      .y = share,
                      .series = series,
                      .count = c->count + 1,
                      .height = 360};
    plot.x.label = "confidence";
    plot.y.label = "share that is right";
    mien_plot_svg(&plot, MIEN_SVG_INLINE, out);
}

static void put_learning(const mien_comparison *c, mien_text *out) {
    mien_learning curves[MIEN_CONTESTANTS_MAX];
    mien_series series[MIEN_CONTESTANTS_MAX];
    size_t most = 0;
    int count = 0;
    double *epochs = NULL;
    memset(curves, 0, sizeof curves);
    for (int i = 0; i < c->count - c->average; i++)
        if (mien_learning_of_model(c->evaluations[i].request.models[0], &curves[i]) == MIEN_OK &&
            curves[i].accuracy.count > most)
            most = curves[i].accuracy.count;
    if (most && mien_new(&epochs, most, sizeof *epochs) != MIEN_OK) out->status = MIEN_NO_MEMORY;
    for (size_t i = 0; i < most && epochs; i++)
        epochs[i] = (double)i + 1;
    for (int i = 0; i < c->count - c->average && epochs; i++)
        if (curves[i].accuracy.count)
            series[count++] = (mien_series){.name = name_of(c, i),
                                            .x = epochs,
                                            .y = curves[i].accuracy.val,
                                            .count = curves[i].accuracy.count,
                                            .color = i};
    const mien_plot plot = {.title = "validation accuracy by epoch",
                            .x = {.label = "epoch", .whole = true},
                            .y = {.percent = true},
                            .series = series,
                            .count = count,
                            .height = 360};
    mien_plot_svg(&plot, MIEN_SVG_INLINE, out);
    for (int i = 0; i < c->count; i++)
        mien_learning_release(&curves[i]);
    mien_free(epochs);
}

/* ---- where the first two differ ---- */

/* The images that only contestant `right` of the first two has right, first those that the other
 * is surest of. */
static size_t pick(const mien_comparison *c, int right, size_t at[SHOWN]) {
    const mien_evaluation *wrong = &c->evaluations[!right];
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->right[(size_t)right * c->n + i] || c->right[(size_t)!right * c->n + i]) continue;
        count = mien_gallery_insert(wrong, i, at, count, SHOWN);
    }
    return count;
}

static mien_status put_face(const mien_comparison *c, int right, size_t at, const uint8_t *pixels,
                            mien_text *out) {
    const mien_evaluation *e = &c->evaluations[0], *wrong = &c->evaluations[!right];
    const mien_answer answer = mien_evaluation_answer(wrong, at);
    mien_text_puts(out, "<figure class=single>");
    MIEN_TRY(mien_thumb_put(e->data.spec, pixels, e->data.class_names[e->labels[at]], out));
    mien_text_puts(out, "<figcaption>");
    mien_html_escape(out, e->data.class_names[e->labels[at]]);
    mien_text_puts(out, "<br><span class=soft>not ");
    mien_html_escape(out, wrong->data.class_names[answer.class]);
    mien_text_printf(out, " %.0f&nbsp;%%</span></figcaption></figure>\n",
                     100 * (double)answer.confidence);
    return out->status;
}

static mien_status put_faces(const mien_comparison *c, int right, mien_text *out) {
    const mien_evaluation *e = &c->evaluations[0];
    const size_t image = mien_image_bytes(e->data.spec);
    size_t at[SHOWN];
    uint32_t samples[SHOWN];
    uint8_t *pixels = NULL;
    const size_t count = pick(c, right, at);
    mien_text_puts(out, "<h3>Only right: ");
    mien_html_escape(out, name_of(c, right));
    mien_text_puts(out, "</h3>\n<div class=faces>\n");
    for (size_t i = 0; i < count; i++)
        samples[i] = e->samples[at[i]];
    mien_status status = count ? mien_new(&pixels, count, image) : MIEN_OK;
    if (status == MIEN_OK && count) status = mien_dataset_fetch(&e->data, samples, count, pixels);
    for (size_t i = 0; i < count && status == MIEN_OK; i++)
        status = put_face(c, right, at[i], pixels + i * image, out);
    mien_free(pixels);
    mien_text_puts(out, count ? "</div>\n" : "<span class=soft>none</span></div>\n");
    return status;
}

static mien_status put_page(const mien_comparison *c, mien_text *out) {
    const mien_evaluation *first = &c->evaluations[0];
    mien_page_open(out, "Mien: comparison", "Which model reads these faces better");
    mien_text_printf(out, "<p>%zu images of ", c->n);
    mien_html_escape(out, first->data.source);
    mien_text_printf(
        out, ", split %s. The ranges are 95&nbsp;%% confidence intervals (bootstrap).</p>\n",
        mien_part_name(first->part));
    put_models(c, out);
    put_tests(c, out);
    mien_text_puts(out, "<h2>Class by class</h2>\n<div class=wide>");
    put_recall(c, out);
    mien_text_puts(out, "</div>\n<h2>Confidence and learning</h2>\n<div class=pair>");
    put_calibration(c, out);
    put_learning(c, out);
    mien_text_puts(out, "</div>\n");
    if (mien_thumb_possible(first->data.spec)) {
        mien_text_puts(out, "<h2>Where the first two differ</h2>\n<p>The images that one of them "
                            "has right, first those that the other is surest of.</p>\n");
        MIEN_TRY(put_faces(c, 0, out));
        MIEN_TRY(put_faces(c, 1, out));
    }
    mien_text_printf(out,
                     "<p class='soft facts'>The same numbers for programs: comparison.json. "
                     "SHA-256 of the images: %s</p>\n",
                     first->sha256);
    mien_page_close(out);
    return out->status;
}

mien_status mien_comparison_report(const mien_comparison *c, const char *folder) {
    mien_text page = {0}, document = {0};
    mien_status status = mien_make_folders(folder);
    if (status == MIEN_OK) status = put_page(c, &page);
    if (status == MIEN_OK) status = mien_page_write(folder, "comparison.html", &page);
    mien_comparison_document(c, &document);
    if (status == MIEN_OK) status = mien_page_write(folder, "comparison.json", &document);
    mien_text_release(&page);
    mien_text_release(&document);
    return status;
}
