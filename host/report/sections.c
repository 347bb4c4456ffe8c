/* The page of a report, section by section. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/eval/significance.h"
#include "host/report/figures.h"
#include "host/report/heatmap.h"
#include "host/report/page.h"

enum { CONFUSIONS = 8 };

/* ---- headline ---- */

static void put_percent(mien_text *out, const char *name, double value, mien_interval range) {
    char text[32], interval[64] = "";
    snprintf(text, sizeof text, "%.1f&nbsp;%%", 100 * value);
    if (isfinite(range.low))
        snprintf(interval, sizeof interval, "%.1f to %.1f&nbsp;%%", 100 * range.low,
                 100 * range.high);
    mien_page_figure(out, name, text, interval);
}

static void put_figures(const mien_report *r, mien_text *out) {
    const mien_metrics *m = r->metrics;
    const mien_analysis *a = r->analysis;
    const mien_interval none = {NAN, NAN};
    char text[32], interval[64] = "";
    mien_text_puts(out, "<dl class=figures>\n");
    put_percent(out, "accuracy", m->accuracy, a ? a->accuracy : mien_wilson(m->correct, m->n));
    put_percent(out, "balanced accuracy", m->balanced_accuracy, a ? a->balanced_accuracy : none);
    snprintf(text, sizeof text, "%.3f", m->macro_f1);
    if (a && isfinite(a->macro_f1.low))
        snprintf(interval, sizeof interval, "%.3f to %.3f", a->macro_f1.low, a->macro_f1.high);
    mien_page_figure(out, "macro F1", text, interval);
    if (a) {
        put_percent(out, "right within two answers", m->top2, none);
        snprintf(text, sizeof text, "%.3f", m->loss);
        interval[0] = 0;
        if (isfinite(a->loss.low))
            snprintf(interval, sizeof interval, "%.3f to %.3f", a->loss.low, a->loss.high);
        mien_page_figure(out, "loss (cross-entropy)", text, interval);
        put_percent(out, "calibration error", m->ece, none);
    }
    mien_text_puts(out, "</dl>\n");
}

static void put_head(const mien_report *r, mien_text *out) {
    const mien_metrics *m = r->metrics;
    mien_text_printf(out,
                     "<p>%zu of %zu image%s right. Each belongs to one of %d classes; random "
                     "guessing would be right in %.1f&nbsp;%% of cases. The ranges are 95&nbsp;%% "
                     "confidence intervals (%s): other images of the same kind would give figures "
                     "within them.</p>\n<p class='soft facts'>Model ",
                     m->correct, m->n, m->n == 1 ? "" : "s", m->classes, 100.0 / m->classes,
                     r->analysis && m->n >= MIEN_BOOTSTRAP_LEAST
                         ? "bootstrap"
                         : "Wilson for the accuracy, bootstrap for the rest");
    mien_html_escape(out, r->head->model);
    mien_text_puts(out, " · data ");
    mien_html_escape(out, r->head->data);
    mien_text_puts(out, " · split ");
    mien_html_escape(out, r->head->split);
    if (r->head->views && strcmp(r->head->views, "none") != 0)
        mien_text_printf(out, " · test-time augmentation: %s", r->head->views);
    if (r->head->labels) {
        mien_text_puts(out, " · labels: ");
        mien_html_escape(out, r->head->labels);
    }
    mien_text_puts(out, "</p>\n");
    for (size_t i = 0; i < r->head->warning_count; i++) {
        mien_text_puts(out, "<p class=warning><b>Note:</b> ");
        mien_html_escape(out, r->head->warnings[i]);
        mien_text_puts(out, ".</p>\n");
    }
}

/* ---- classes ---- */

static void put_confusion(const mien_report *r, mien_text *out) {
    mien_text_puts(out, "<h2>What it confuses with what</h2>\n");
    if (r->metrics->classes > MIEN_MATRIX_MAX) {
        mien_text_printf(out, "<p class=soft>The matrix of %d classes is in confusion.csv.</p>\n",
                         r->metrics->classes);
        return;
    }
    mien_text_puts(
        out, "<p>Each row holds the images of one class; a cell counts how many of them got the "
             "column's class. The diagonal is right; the stronger the colour, "
             "the larger the share of the row.</p>\n<div class=wide>");
    mien_figure_put(r, "confusion", out);
    mien_text_puts(out, "</div>\n");
}

/* The cells off the diagonal with the most images, largest first. */
static void put_top_confusions(const mien_report *r, mien_text *out) {
    const mien_metrics *m = r->metrics;
    size_t last = SIZE_MAX, last_at = 0;
    bool any = false;
    for (int shown = 0; shown < CONFUSIONS; shown++) {
        size_t best = 0, best_at = 0;
        for (size_t at = 0; at < (size_t)m->classes * (size_t)m->classes; at++) {
            const size_t n = m->confusion[at];
            const bool after = n < last || (n == last && at > last_at);
            if (at / (size_t)m->classes != at % (size_t)m->classes && after && n > best) {
                best = n;
                best_at = at;
            }
        }
        if (!best) break;
        if (!any)
            mien_text_puts(out, "<h3>Most frequent confusions</h3>\n<div class=wide><table>"
                                "<tr><th>true class<th class=word>predicted<th>images<th>share of "
                                "the class</tr>\n");
        any = true;
        const size_t row = best_at / (size_t)m->classes, column = best_at % (size_t)m->classes;
        mien_text_puts(out, "<tr><td>");
        mien_html_escape(out, r->names[row]);
        mien_text_puts(out, "</td><td class=word>");
        mien_html_escape(out, r->names[column]);
        mien_text_printf(out, "</td><td>%zu</td>", best);
        mien_page_share(out, (double)best / (double)m->by_class[row].support, 0, 0);
        mien_text_puts(out, "</tr>\n");
        last = best;
        last_at = best_at;
    }
    if (any) mien_text_puts(out, "</table></div>\n");
}

static void put_ranged(const mien_interval *range, int k, double value, mien_text *out) {
    mien_page_share(out, value, range ? range[k].low : 0, range ? range[k].high : 0);
}

static void put_classes(const mien_report *r, mien_text *out) {
    const mien_analysis *a = r->analysis;
    mien_text_puts(
        out,
        "<h2>Class by class</h2>\n<p>Recall: the share of a class's images that were recognised. "
        "Precision: the share of predictions of a class that were "
        "right. F1 combines both; 1 is perfect.</p>\n<div class=wide><table><tr>"
        "<th>class<th>images<th>precision<th>recall<th>F1");
    if (a) mien_text_puts(out, "<th>ROC area<th>average precision");
    mien_text_puts(out, "</tr>\n");
    for (int k = 0; k < r->metrics->classes; k++) {
        const mien_class_metrics *c = &r->metrics->by_class[k];
        mien_text_puts(out, "<tr><td>");
        mien_html_escape(out, r->names[k]);
        mien_text_printf(out, "</td><td>%zu</td>", c->support);
        put_ranged(a ? a->precision : NULL, k, c->precision, out);
        put_ranged(a ? a->recall : NULL, k, c->recall, out);
        put_ranged(a ? a->f1 : NULL, k, c->f1, out);
        if (a) mien_page_share(out, c->roc_auc, 0, 0);
        if (a) mien_page_share(out, c->average_precision, 0, 0);
        mien_text_puts(out, "</tr>\n");
    }
    mien_text_puts(out, "</table></div>\n<div class=wide>");
    mien_figure_put(r, "classes", out);
    mien_text_puts(out, "</div>\n");
}

static void put_curves(const mien_report *r, mien_text *out) {
    if (!r->analysis) return;
    mien_text_printf(out,
                     "<h2>How well the probabilities separate the classes</h2>\n<p>Each class "
                     "against all others. ROC: an area of 0.5 is guessing, 1 is perfect. The "
                     "curve of precision and recall shows more where a class is rare.%s</p>\n"
                     "<div class=pair>",
                     r->metrics->classes > MIEN_COLORS
                         ? " The eight classes with the most images are drawn."
                         : "");
    mien_figure_put(r, "roc", out);
    mien_figure_put(r, "precision-recall", out);
    mien_text_puts(out, "</div>\n");
}

static void put_calibration(const mien_report *r, mien_text *out) {
    const mien_analysis *a = r->analysis;
    if (!a) {
        mien_text_puts(out, "<p class=soft>The scores name only the predicted class: there are no "
                            "probabilities, so no curves and no calibration.</p>\n");
        return;
    }
    mien_text_printf(out,
                     "<h2>Can its confidence be trusted?</h2>\n<p>On average the stated "
                     "confidence differs from the share that is right by <b>%.1f</b> percentage "
                     "points (expected calibration error; 0 is perfect). ",
                     100 * r->metrics->ece);
    if (isfinite(a->temperature))
        mien_text_printf(out,
                         "A temperature of %.2f, fitted to these images, would make it %.1f points "
                         "and the loss %.3f.",
                         a->temperature, 100 * a->ece_after, a->loss_after);
    mien_text_puts(out, "</p>\n<div class=pair>");
    mien_figure_put(r, "calibration", out);
    mien_figure_put(r, "confidence", out);
    mien_text_puts(out, "</div>\n");
}

/* ---- groups, training, facts ---- */

static void put_groups(const mien_report *r, mien_text *out) {
    const mien_subgroups *groups = r->head->groups;
    if (!groups) return;
    mien_text_puts(out,
                   "<h2>Group by group</h2>\n<p>The same images, divided into groups. "
                   "The fewer images a group has, the wider the interval of its accuracy. p is the "
                   "probability that chance alone makes it differ at least as much from "
                   "the other groups.</p>\n");
    for (int t = 0; t < groups->count; t++) {
        mien_text_puts(out, "<div class=wide><table><tr><th>");
        mien_html_escape(out, groups->tables[t].column);
        mien_text_puts(out, "<th>images<th>accuracy<th>macro F1<th>p</tr>\n");
        for (int i = 0; i < groups->tables[t].count; i++) {
            const mien_subgroup *row = &groups->tables[t].rows[i];
            mien_text_puts(out, "<tr><td>");
            mien_html_escape(out, row->name);
            mien_text_printf(out, "</td><td>%zu</td>", row->n);
            mien_page_share(out, row->accuracy, row->low, row->high);
            mien_page_share(out, row->macro_f1, 0, 0);
            if (isfinite(row->p))
                mien_text_printf(out, "<td>%.2g</td></tr>\n", row->p);
            else
                mien_text_puts(out, "<td>–</td></tr>\n");
        }
        mien_text_puts(out, "</table></div>\n");
    }
}

static void put_training(const mien_report *r, mien_text *out) {
    if (!r->curves && !r->no_curves) return;
    mien_text_puts(out, "<h2>How it learned</h2>\n");
    if (!r->curves) {
        mien_text_puts(out, "<p class=soft>There are no learning curves: ");
        mien_html_escape(out, r->no_curves);
        mien_text_puts(out, ".</p>\n");
        return;
    }
    mien_text_puts(out, "<p>An epoch is one pass over the training images. Where training "
                        "keeps improving but validation does not, the model is memorising its "
                        "training images (overfitting).</p>\n<div class=pair>");
    mien_figure_put(r, "accuracy", out);
    mien_figure_put(r, "loss", out);
    mien_text_puts(out, "</div>\n");
}

static void put_facts(const mien_report *r, mien_text *out) {
    mien_text_puts(out, "<h2>What was measured</h2>\n<div class=wide><table class=facts-table>\n");
    if (r->card) mien_text_append(out, r->card->data, r->card->size);
    mien_text_printf(out, "<tr><td>images</td><td>%zu: ", r->metrics->n);
    for (int k = 0; k < r->metrics->classes; k++) {
        mien_text_puts(out, k ? ", " : "");
        mien_html_escape(out, r->names[k]);
        mien_text_printf(out, " %zu", r->metrics->by_class[k].support);
    }
    mien_text_puts(out, "</td></tr>\n<tr><td>SHA-256 of the images</td><td>");
    mien_html_escape(out, r->head->sha256);
    mien_text_puts(out, "</td></tr>\n");
    if (r->head->seconds > 0)
        mien_text_printf(out,
                         "<tr><td>speed</td><td>%.0f images a second (%.2f s, without reading the "
                         "data)</td></tr>\n",
                         (double)r->metrics->n / r->head->seconds, r->head->seconds);
    mien_text_puts(out, "</table></div>\n<p class='soft facts'>The same numbers for programs: "
                        "metrics.json, per_class.csv, confusion.csv; the charts for slides: "
                        "figures/.</p>\n");
}

void mien_report_page(const mien_report *r, mien_text *out) {
    mien_page_open(out, "Mien: evaluation",
                   r->card ? "How well this model reads faces" : "How good these predictions are");
    put_figures(r, out);
    put_head(r, out);
    put_confusion(r, out);
    put_top_confusions(r, out);
    put_classes(r, out);
    put_curves(r, out);
    put_calibration(r, out);
    if (r->gallery) mien_text_append(out, r->gallery->data, r->gallery->size);
    put_groups(r, out);
    put_training(r, out);
    put_facts(r, out);
    mien_page_close(out);
}
