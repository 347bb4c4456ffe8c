#include "host/report/evaluation_report.h"

#include <stdio.h>
#include <string.h>

#include "host/report/card.h"
#include "host/report/gallery.h"
#include "host/report/page.h"
#include "host/report/report.h"

typedef struct parts {
    mien_analysis analysis;
    mien_learning curves;
    mien_text gallery, card, predictions;
    char no_curves[512];
} parts;

static mien_status read_curves(const mien_evaluation *e, parts *p) {
    if (e->request.model_count > 1) {
        strcpy(p->no_curves,
               "this report is of several models together; each one's own shows them");
        return MIEN_OK;
    }
    const mien_status status = mien_learning_of_model(e->request.models[0], &p->curves);
    if (status == MIEN_NO_MEMORY) return status;
    if (status == MIEN_NOT_FOUND)
        strcpy(p->no_curves, "there is no log.csv next to the model");
    else if (status != MIEN_OK)
        snprintf(p->no_curves, sizeof p->no_curves, "%s", mien_error_message());
    return MIEN_OK;
}

static mien_status add_model(const mien_evaluation *e, mien_backend *backend, parts *p) {
    const bool single = e->request.model_count == 1;
    mien_model model = {0};
    mien_status status = MIEN_OK;
    for (int i = 0; i < e->request.model_count && status == MIEN_OK; i++) {
        mien_model_release(&model);
        status = mien_model_open_with(e->request.models[i], &e->request.options, &model);
        if (status == MIEN_OK) status = mien_card_rows(&model, e->request.models[i], &p->card);
    }
    if (status == MIEN_OK)
        status = mien_gallery_section(e, single ? &model : NULL, backend, &p->gallery);
    mien_model_release(&model);
    return status;
}

static mien_status write_all(const mien_evaluation *e, parts *p, const char *folder) {
    mien_report_head head = mien_evaluation_head(e);
    const mien_report report = {.metrics = &e->metrics,
                                .analysis = &p->analysis,
                                .names = (const char(*)[64])e->data.class_names,
                                .head = &head,
                                .curves = p->no_curves[0] ? NULL : &p->curves,
                                .no_curves = p->no_curves,
                                .gallery = &p->gallery,
                                .card = &p->card};
    MIEN_TRY(mien_report_write(&report, folder));
    mien_evaluation_predictions(e, &p->predictions);
    return mien_page_write(folder, "predictions.csv", &p->predictions);
}

mien_status mien_evaluation_report(const mien_evaluation *e, mien_backend *backend,
                                   const char *folder) {
    parts p = {0};
    mien_status status;
    MIEN_GO(mien_analysis_compute(e->probabilities, e->labels, e->n, e->data.classes, &e->metrics,
                                  &p.analysis));
    MIEN_GO(read_curves(e, &p));
    MIEN_GO(add_model(e, backend, &p));
    MIEN_GO(write_all(e, &p, folder));
out:
    mien_analysis_release(&p.analysis);
    mien_learning_release(&p.curves);
    mien_text_release(&p.gallery);
    mien_text_release(&p.card);
    mien_text_release(&p.predictions);
    return status;
}
