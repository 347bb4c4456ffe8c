#include "host/report/report.h"

#include <math.h>
#include <string.h>

#include "host/base/file.h"
#include "host/report/log.h"

enum { MATRIX_MAX = 60 /* classes; a larger matrix is unreadable */ };

static const char head[] =
    "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
    "<meta http-equiv=Content-Security-Policy content=\"default-src 'none';"
    "style-src 'unsafe-inline';img-src data:\">\n"
    "<title>Mien: evaluation</title><style>\n"
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c1c1e;--soft:#6a6a70;--rule:#dcdce0;"
    "--train:#0072b2;--val:#d55e00;--heat:#08519c;--on:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#17171a;--ink:#ececf0;--soft:#a0a0a8;"
    "--rule:#3a3a40;--train:#56b4e9;--val:#e69f00;--heat:#8cc4f5;--on:#10131a}}\n"
    "body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:62rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.55 system-ui,sans-serif}\n"
    "h1{font-size:1.1rem;font-weight:600;margin:0}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}\n"
    ".big{font-size:3rem;font-weight:700;line-height:1.2;margin:.3rem 0}"
    ".big "
    "small{display:inline-block;line-height:1.4;font-size:1.2rem;font-weight:400;color:var(--soft)}"
    "\n"
    "p{max-width:44rem}.soft{color:var(--soft)}.facts{overflow-wrap:anywhere}\n"
    ".warning{border-left:4px solid var(--val);padding:.3rem .9rem;margin:1rem 0}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:1.5rem}\n"
    ".wide{overflow-x:auto}svg{display:block;width:100%;height:auto}\n"
    "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .title{font-weight:600}"
    "svg .on{fill:var(--on)}.grid{stroke:var(--rule)}\n"
    ".line{fill:none;stroke-width:2.2;stroke-linejoin:round}.line.train{stroke:var(--train)}"
    ".line.val{stroke:var(--val);stroke-dasharray:6 3}circle.train{fill:var(--train)}"
    "circle.val{fill:var(--val)}.heat{fill:var(--heat);stroke:var(--rule);stroke-width:.5}\n"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .7rem;text-align:right;"
    "border-bottom:1px solid var(--rule);font-variant-numeric:tabular-nums}"
    "th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere}th{font-weight:600}"
    "th:nth-child(n+3){width:19%}\n"
    /* the bar of 1.000 is narrower than its cell, so that neighbouring bars do not touch */
    "td.bar{background:linear-gradient(color-mix(in srgb,var(--train) 30%,transparent) 0 0) "
    "left .4rem top/calc((100% - .8rem)*var(--share)) 100% no-repeat}\n"
    "</style></head><body>\n";

/* Wilson's confidence interval, which is valid for few pictures and for 0 or 100 % as well. */
static void confidence_interval(const mien_metrics *m, double out[2]) {
    const double z = 1.959964, n = (double)m->n, p = m->accuracy, spread = z * z / n;
    const double middle = (p + spread / 2) / (1 + spread);
    const double half = sqrt(p * (1 - p) * spread + spread * spread / 4) / (1 + spread);
    out[0] = fmax(0, middle - half);
    out[1] = fmin(1, middle + half);
}

static void write_headline(const mien_report *r, mien_text *out) {
    const mien_metrics *m = r->metrics;
    double range[2];
    confidence_interval(m, range);
    mien_text_puts(out, "<h1>How well this model reads faces</h1>\n");
    mien_text_printf(out,
                     "<p class=big>%.1f&nbsp;%% <small>right: %zu of %zu picture%s</small></p>\n",
                     100 * m->accuracy, m->correct, m->n, m->n == 1 ? "" : "s");
    mien_text_printf(out,
                     "<p>Each picture belongs to one of %d classes; random guessing would be "
                     "right in %.1f&nbsp;%% of cases. 95&nbsp;%% confidence interval: <b>%.1f to "
                     "%.1f&nbsp;%%</b> "
                     "(Wilson).</p>\n"
                     "<p class='soft facts'>Model ",
                     m->classes, 100.0 / m->classes, 100 * range[0], 100 * range[1]);
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
    mien_text_printf(out, " · loss %.4f · balanced accuracy %.1f&nbsp;%%</p>\n", m->loss,
                     100 * m->balanced_accuracy);
    for (size_t i = 0; i < r->head->warning_count; i++) {
        mien_text_puts(out, "<p class=warning><b>Note:</b> ");
        mien_html_escape(out, r->head->warnings[i]);
        mien_text_puts(out, ".</p>\n");
    }
}

/* log.csv is in the run directory: the model's path itself, or the folder of its file. */
static void write_curves(const mien_report *r, mien_text *out) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    mien_curves curves = {0};
    if (mien_is_folder(r->head->model))
        mien_path_join(folder, "", r->head->model);
    else
        mien_path_folder(folder, r->head->model);
    mien_status status = mien_path_join(path, folder, "log.csv");
    if (status == MIEN_OK) status = mien_curves_read(path, &curves);
    mien_text_puts(out, "<h2>How it learned</h2>\n");
    if (r->head->models > 1) {
        mien_text_puts(out, "<p class=soft>This report covers several models together; each "
                            "model's own report shows its learning curves.</p>\n");
    } else if (status == MIEN_OK) {
        mien_text_puts(out, "<p>An epoch is one pass over the training pictures. Where training "
                            "keeps improving but validation does not, the model is memorising its "
                            "training pictures (overfitting).</p>\n<div class=pair>");
        mien_svg_curve(out, "accuracy", &curves.accuracy);
        mien_svg_curve(out, "loss", &curves.loss);
        mien_text_puts(out, "</div>\n");
    } else if (status == MIEN_NOT_FOUND) {
        mien_text_puts(out, "<p class=soft>There are no learning curves: there is no log.csv next "
                            "to the model.</p>\n");
    } else {
        mien_text_puts(out, "<p class=soft>There are no learning curves: ");
        mien_html_escape(out, mien_error_message());
        mien_text_puts(out, ".</p>\n");
    }
    mien_curves_release(&curves);
}

static void write_share(mien_text *out, double value) {
    if (isfinite(value))
        mien_text_printf(out, "<td class=bar style='--share:%.3f'>%.3f</td>", value, value);
    else
        mien_text_puts(out, "<td>–</td>");
}

static void write_classes(const mien_report *r, mien_text *out) {
    mien_text_puts(
        out,
        "<h2>Class by class</h2>\n<p>Recall: the share of a class's pictures that were recognised. "
        "Precision: the share of predictions of a class that were "
        "right. F1 combines both; 1 is perfect.</p>\n<div class=wide><table><tr>"
        "<th>class<th>pictures<th>precision<th>recall<th>F1</tr>\n");
    for (int k = 0; k < r->metrics->classes; k++) {
        const mien_class_metrics *c = &r->metrics->by_class[k];
        mien_text_puts(out, "<tr><td>");
        mien_html_escape(out, r->names[k]);
        mien_text_printf(out, "</td><td>%zu</td>", c->support);
        write_share(out, c->precision);
        write_share(out, c->recall);
        write_share(out, c->f1);
        mien_text_puts(out, "</tr>\n");
    }
    mien_text_puts(out, "</table></div>\n");
}

/* Subgroup names are untrusted as well. */
static void write_groups(const mien_report *r, mien_text *out) {
    const mien_subgroups *groups = r->head->groups;
    if (!groups) return;
    mien_text_puts(out, "<h2>Group by group</h2>\n<p>The same pictures, divided into groups. "
                        "The fewer pictures a group has, the less reliable its figures.</p>\n");
    for (int t = 0; t < groups->count; t++) {
        mien_text_puts(out, "<div class=wide><table><tr><th>");
        mien_html_escape(out, groups->tables[t].column);
        mien_text_puts(out, "<th>pictures<th>accuracy<th>macro F1</tr>\n");
        for (int i = 0; i < groups->tables[t].count; i++) {
            const mien_subgroup *row = &groups->tables[t].rows[i];
            mien_text_puts(out, "<tr><td>");
            mien_html_escape(out, row->name);
            mien_text_printf(out, "</td><td>%zu</td>", row->n);
            write_share(out, row->accuracy);
            write_share(out, row->macro_f1);
            mien_text_puts(out, "</tr>\n");
        }
        mien_text_puts(out, "</table></div>\n");
    }
}

static void write_confusion(const mien_report *r, mien_text *out) {
    mien_text_puts(out, "<h2>What it confuses with what</h2>\n");
    if (r->metrics->classes > MATRIX_MAX) {
        mien_text_printf(out, "<p class=soft>The matrix of %d classes is in report.json.</p>\n",
                         r->metrics->classes);
        return;
    }
    mien_text_puts(
        out, "<p>Each row holds the pictures of one class; a cell counts how many of them got the "
             "column's class. The diagonal is right; the stronger the colour, "
             "the larger the share of the row.</p>\n<div class=wide>");
    mien_svg_confusion(out, r->metrics, r->names);
    mien_text_puts(out, "</div>\n");
}

static void write_page(const mien_report *r, mien_text *out) {
    mien_text_puts(out, head);
    write_headline(r, out);
    write_curves(r, out);
    write_confusion(r, out);
    write_classes(r, out);
    write_groups(r, out);
    mien_text_printf(out,
                     "<h2>Can its confidence be trusted?</h2>\n<p>On average the stated "
                     "confidence differs from the share that is right by <b>%.1f</b> percentage "
                     "points (expected calibration error; 0 is perfect).</p>\n"
                     "<p class='soft facts'>The same numbers for programs: report.json. SHA-256 of "
                     "the split: %s</p>\n</body></html>\n",
                     100 * r->metrics->ece, r->head->sha256);
}

static mien_status write_file(const char *folder, const char *name, const mien_text *text) {
    char path[MIEN_PATH];
    MIEN_TRY(text->status);
    MIEN_TRY(mien_path_join(path, folder, name));
    return mien_file_write(path, text->data, text->size);
}

mien_status mien_report_write(const mien_report *report, const char *folder) {
    mien_text page = {0}, numbers = {0};
    mien_status status = mien_make_folders(folder);
    if (status == MIEN_OK) {
        write_page(report, &page);
        mien_metrics_document(report->metrics, report->names, report->head, true, &numbers);
        status = write_file(folder, "report.html", &page);
        if (status == MIEN_OK) status = write_file(folder, "report.json", &numbers);
    }
    mien_text_release(&page);
    mien_text_release(&numbers);
    return status;
}
