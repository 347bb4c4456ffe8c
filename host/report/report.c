#include "host/report/report.h"

#include <math.h>

#include "host/base/file.h"
#include "host/report/figures.h"
#include "host/report/page.h"

/* A number of a table; empty where it is undefined. */
static void put_number(mien_text *out, double value) {
    mien_text_puts(out, ",");
    if (isfinite(value)) mien_text_printf(out, "%.9g", value);
}

static void put_interval(mien_text *out, const mien_interval *range, int k) {
    put_number(out, range ? range[k].low : NAN);
    put_number(out, range ? range[k].high : NAN);
}

static void put_classes(const mien_report *r, mien_text *out) {
    const mien_analysis *a = r->analysis;
    mien_text_puts(out, "class,support,precision,precision_low,precision_high,recall,recall_low,"
                        "recall_high,f1,f1_low,f1_high,roc_auc,average_precision\n");
    for (int k = 0; k < r->metrics->classes; k++) {
        const mien_class_metrics *c = &r->metrics->by_class[k];
        mien_text_cell(out, r->names[k]);
        mien_text_printf(out, ",%zu", c->support);
        put_number(out, c->precision);
        put_interval(out, a ? a->precision : NULL, k);
        put_number(out, c->recall);
        put_interval(out, a ? a->recall : NULL, k);
        put_number(out, c->f1);
        put_interval(out, a ? a->f1 : NULL, k);
        put_number(out, a ? c->roc_auc : NAN);
        put_number(out, a ? c->average_precision : NAN);
        mien_text_puts(out, "\n");
    }
}

static void put_confusion(const mien_report *r, mien_text *out) {
    const int classes = r->metrics->classes;
    mien_text_puts(out, "label");
    for (int k = 0; k < classes; k++) {
        mien_text_puts(out, ",");
        mien_text_cell(out, r->names[k]);
    }
    mien_text_puts(out, "\n");
    for (int row = 0; row < classes; row++) {
        mien_text_cell(out, r->names[row]);
        for (int k = 0; k < classes; k++)
            mien_text_printf(out, ",%zu", r->metrics->confusion[row * classes + k]);
        mien_text_puts(out, "\n");
    }
}

static void put_metrics(const mien_report *r, mien_text *out) {
    mien_report_head head = *r->head;
    head.analysis = r->analysis;
    mien_metrics_document(r->metrics, r->names, &head, true, out);
}

mien_status mien_report_write(const mien_report *report, const char *folder) {
    static const struct {
        const char *file;
        void (*put)(const mien_report *, mien_text *);
    } files[] = {{"report.html", mien_report_page},
                 {"metrics.json", put_metrics},
                 {"per_class.csv", put_classes},
                 {"confusion.csv", put_confusion}};
    char figures[MIEN_PATH];
    MIEN_TRY(mien_make_folders(folder));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        mien_text text = {0};
        files[i].put(report, &text);
        const mien_status status = mien_page_write(folder, files[i].file, &text);
        mien_text_release(&text);
        MIEN_TRY(status);
    }
    MIEN_TRY(mien_path_join(figures, folder, "figures"));
    return mien_figures_write(report, figures);
}
