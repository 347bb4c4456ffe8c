#include "host/report/gallery.h"

#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/source.h"
#include "host/infer/gradcam.h"
#include "host/report/svg.h"
#include "host/report/thumb.h"

enum { SHOWN = 4 /* of a kind and class */, CLASSES_SHOWN = 12, KINDS = 2 };
enum { MISTAKE, HIT };

/* The most confident samples of a class, first the most confident; positions in the evaluation. */
typedef struct picks {
    size_t count, at[SHOWN];
} picks;

typedef struct gallery {
    const mien_evaluation *e;
    picks (*by_class)[KINDS]; /* [classes] */
    int classes[CLASSES_SHOWN], class_count;
    /* the picked samples, one after the other */
    size_t count;
    size_t *at;
    uint16_t *predicted; /* classes of the data */
    uint8_t *pixels;
    float *heat; /* NULL: no Grad-CAM */
    char no_heat[512];
} gallery;

size_t mien_gallery_insert(const mien_evaluation *e, size_t at, size_t *list, size_t count,
                           size_t most) {
    const float own = mien_evaluation_answer(e, at).confidence;
    size_t place = count;
    while (place > 0 && mien_evaluation_answer(e, list[place - 1]).confidence < own)
        place--;
    if (place == most) return count;
    if (count < most) count++;
    memmove(list + place + 1, list + place, sizeof *list * (count - place - 1));
    list[place] = at;
    return count;
}

static mien_status pick(gallery *g) {
    const mien_evaluation *e = g->e;
    MIEN_TRY(mien_new(&g->by_class, (size_t)e->data.classes, sizeof *g->by_class));
    for (size_t at = 0; at < e->n; at++) {
        const bool hit = mien_evaluation_answer(e, at).class == e->labels[at];
        picks *p = &g->by_class[e->labels[at]][hit ? HIT : MISTAKE];
        p->count = mien_gallery_insert(e, at, p->at, p->count, SHOWN);
    }
    g->class_count = mien_metrics_largest(&e->metrics, CLASSES_SHOWN, g->classes);
    const size_t most = (size_t)g->class_count * KINDS * SHOWN;
    MIEN_TRY(mien_new(&g->at, most, sizeof *g->at));
    MIEN_TRY(mien_new(&g->predicted, most, sizeof *g->predicted));
    for (int c = 0; c < g->class_count; c++)
        for (int kind = 0; kind < KINDS; kind++) {
            const picks *p = &g->by_class[g->classes[c]][kind];
            for (size_t i = 0; i < p->count; i++) {
                g->predicted[g->count] = (uint16_t)mien_evaluation_answer(e, p->at[i]).class;
                g->at[g->count++] = p->at[i];
            }
        }
    return MIEN_OK;
}

static mien_status fetch(gallery *g) {
    uint32_t *samples;
    MIEN_TRY(mien_new(&samples, g->count, sizeof *samples));
    for (size_t i = 0; i < g->count; i++)
        samples[i] = g->e->samples[g->at[i]];
    mien_status status = mien_new(&g->pixels, g->count, mien_image_bytes(g->e->data.spec));
    if (status == MIEN_OK) status = mien_dataset_fetch(&g->e->data, samples, g->count, g->pixels);
    mien_free(samples);
    return status;
}

/* ---- Grad-CAM ---- */

/* One image at a time: those of a large network would fill hundreds of megabytes. */
static mien_status explain(gallery *g, const mien_model *model, mien_gradcam *cam) {
    const mien_image_spec spec = g->e->data.spec;
    const size_t numbers = mien_image_bytes(spec), pixels = numbers / (size_t)spec.channels;
    const mien_normalise *rule = &model->meta.normalise;
    float *input = NULL;
    mien_status status = mien_new(&input, numbers, sizeof *input);
    for (size_t i = 0; i < g->count && status == MIEN_OK; i++) {
        uint16_t output = 0; /* the model's number for the predicted class */
        for (int k = 0; k < g->e->data.classes; k++)
            if (g->e->index[k] == g->predicted[i]) output = (uint16_t)k;
        for (size_t j = 0; j < numbers; j++) {
            const size_t c = j % (size_t)spec.channels;
            input[j] =
                (float)((g->pixels[i * numbers + j] * rule->scale - rule->mean[c]) / rule->std[c]);
        }
        status = mien_gradcam_maps(cam, input, &output, 1, g->heat + i * pixels);
    }
    mien_free(input);
    return status;
}

/* A network without Grad-CAM is shown without. */
static mien_status find_heat(gallery *g, const mien_model *model, mien_backend *backend) {
    const mien_image_spec spec = g->e->data.spec;
    mien_gradcam *cam = NULL;
    mien_status status;
    if (!model) {
        snprintf(g->no_heat, sizeof g->no_heat, "it explains one model, and several were averaged");
        return MIEN_OK;
    }
    MIEN_GO(mien_gradcam_create(model, backend, &cam));
    MIEN_GO(
        mien_new(&g->heat, g->count * (size_t)spec.height * (size_t)spec.width, sizeof *g->heat));
    MIEN_GO(explain(g, model, cam));
out:
    mien_gradcam_free(cam);
    if (status != MIEN_UNSUPPORTED) return status;
    mien_free(g->heat);
    g->heat = NULL;
    snprintf(g->no_heat, sizeof g->no_heat, "%s", mien_error_message());
    return MIEN_OK;
}

/* ---- the section ---- */

static mien_status put_face(const gallery *g, size_t i, mien_text *out) {
    const mien_evaluation *e = g->e;
    const mien_image_spec spec = e->data.spec;
    const uint8_t *pixels = g->pixels + i * mien_image_bytes(spec);
    const char *label = e->data.class_names[e->labels[g->at[i]]];
    const char *answer = e->data.class_names[g->predicted[i]];
    char alt[256];
    snprintf(alt, sizeof alt, "%s, answered %s", label, answer);
    mien_text_puts(out, g->heat ? "<figure>" : "<figure class=single>");
    MIEN_TRY(mien_thumb_put(spec, pixels, alt, out));
    if (g->heat)
        MIEN_TRY(mien_thumb_put_heat(spec, pixels,
                                     g->heat + i * (size_t)spec.height * (size_t)spec.width,
                                     "what spoke for this answer", out));
    mien_text_puts(out, "<figcaption>");
    if (g->predicted[i] != e->labels[g->at[i]]) {
        mien_text_puts(out, "<b>");
        mien_html_escape(out, answer);
        mien_text_puts(out, "</b> ");
    }
    mien_text_printf(out, "%.0f&nbsp;%%<br><span class=soft>",
                     100 * (double)mien_evaluation_answer(e, g->at[i]).confidence);
    const uint32_t sample = e->samples[g->at[i]];
    if (e->data.def && e->data.def->file && e->data.reader)
        mien_html_name(out, mien_source_file(&e->data, sample), 36);
    else
        mien_text_printf(out, "row %u", e->data.row[sample]);
    mien_text_puts(out, "</span></figcaption></figure>\n");
    return out->status;
}

static mien_status put_class(const gallery *g, int k, size_t *next, mien_text *out) {
    static const char *const titles[KINDS] = {"most confident mistakes", "most confident hits"};
    mien_text_puts(out, "<h3>");
    mien_html_escape(out, g->e->data.class_names[k]);
    mien_text_puts(out, "</h3>\n<div class=pair>\n");
    for (int kind = 0; kind < KINDS; kind++) {
        mien_text_printf(out, "<div><span class=soft>%s</span>\n<div class=faces>\n",
                         g->by_class[k][kind].count ? titles[kind]
                         : kind == MISTAKE          ? "no mistakes"
                                                    : "no hits");
        for (size_t i = 0; i < g->by_class[k][kind].count; i++)
            MIEN_TRY(put_face(g, (*next)++, out));
        mien_text_puts(out, "</div></div>\n");
    }
    mien_text_puts(out, "</div>\n");
    return out->status;
}

static mien_status put_section(const gallery *g, mien_text *out) {
    mien_text_puts(out, "<h2>What it sees</h2>\n<p>For each class the mistakes and the hits that "
                        "the model was most sure of.");
    if (g->heat)
        mien_text_puts(out, " Beside each face, Grad-CAM shows which parts spoke for the answer: "
                            "the brighter, the more.");
    if (g->class_count < g->e->data.classes)
        mien_text_printf(out, " The %d classes with the most images are shown.", g->class_count);
    mien_text_puts(out, " The pictures are of people: keep this page as you keep the data.</p>\n");
    if (g->no_heat[0]) {
        mien_text_puts(out, "<p class=soft>There is no Grad-CAM: ");
        mien_html_escape(out, g->no_heat);
        mien_text_puts(out, ".</p>\n");
    }
    size_t next = 0;
    for (int c = 0; c < g->class_count; c++)
        MIEN_TRY(put_class(g, g->classes[c], &next, out));
    return out->status;
}

mien_status mien_gallery_section(const mien_evaluation *e, const mien_model *model,
                                 mien_backend *backend, mien_text *out) {
    gallery g = {.e = e};
    mien_status status = MIEN_OK;
    if (!mien_thumb_possible(e->data.spec)) return MIEN_OK;
    MIEN_GO(pick(&g));
    MIEN_GO(fetch(&g));
    MIEN_GO(find_heat(&g, model, backend));
    MIEN_GO(put_section(&g, out));
out:
    mien_free(g.by_class);
    mien_free(g.at);
    mien_free(g.predicted);
    mien_free(g.pixels);
    mien_free(g.heat);
    return status;
}
