/* The result of `mien identify` as text and as JSON. */
#include <math.h>
#include <stdio.h>

#include "host/base/json.h"
#include "host/eval/identify.h"

static void classes_text(const mien_identity *o, mien_text *out) {
    for (int i = 0; i < o->data.classes; i++)
        mien_text_printf(out, "%s%s", i ? "," : "", mien_identity_class(o, i));
}

static void scaling_line(const mien_identity *o, mien_text *out) {
    const mien_candidate *best = &o->list[0];
    const mien_normalise *n = &best->normalise;
    mien_text_printf(out, "scaling  %s", best->name);
    if (best->per_image)
        mien_text_puts(out, ": each image by its own mean and std");
    else
        mien_text_printf(out, ": x = (pixel * %.6g - %.6g) / %.6g", n->scale, n->mean[0],
                         n->std[0]);
    if (o->model.meta.input.channels == 3)
        mien_text_puts(out, o->gray     ? ", RGB assumed: gray images do not show it"
                            : best->bgr ? ", BGR"
                                        : ", RGB");
    if (o->decided == MIEN_BY_NORM)
        mien_text_puts(out, "; its first batch normalisation fits no other");
    else if (o->count > 1)
        mien_text_printf(out, "; sure to %.1f %%", 100 * o->sure);
    mien_text_puts(out, "\n");
    if (o->or_own)
        mien_text_puts(out, "         scaling each image by its own mean and std, which a model "
                            "cannot hold, fits as well\n");
}

static void crop_line(const mien_identity *o, mien_text *out) {
    mien_text_puts(out, "crop     ");
    for (int m = 0; m < MIEN_CROPS; m++)
        mien_text_printf(out, "%smargin %+.1f: %.4f", m ? ", " : "", mien_crop_margins[m],
                         o->crop_accuracy[m]);
    for (int m = 0; m < MIEN_CROPS; m++)
        if (o->crop_better[m] >= MIEN_IDENTIFY_SURE)
            mien_text_printf(out, "; it wants these images cropped %s",
                             mien_crop_margins[m] < 0 ? "closer" : "wider");
    mien_text_puts(out, "\n");
}

void mien_identity_table(const mien_identity *o, mien_text *out) {
    const bool colours = o->model.meta.input.channels == 3 && !o->gray;
    bool norm = false;
    for (int i = 0; i < o->count; i++)
        norm |= isfinite(o->list[i].misfit);
    mien_text_printf(out, "%s on %s, split %s: %zu images of %d classes\n\n", o->request.model,
                     o->data.source, mien_part_name(o->part), o->data.count, o->data.classes);
    mien_text_printf(out, "%-13s%s  accuracy  confidence    loss  calibrated   chance%s\n",
                     "scaling", colours ? " colours" : "", norm ? "  misfit" : "");
    for (int i = 0; i < o->count; i++) {
        const mien_candidate *c = &o->list[i];
        mien_text_printf(out, "%-13s%s%10.4f%12.4f%8.4f%12.4f%7.1f %%", c->name,
                         !colours ? ""
                         : c->bgr ? " BGR    "
                                  : " RGB    ",
                         c->fit.accuracy, c->fit.confidence, c->fit.loss, c->fit.calibrated,
                         100 * c->share);
        if (isfinite(c->misfit)) mien_text_printf(out, "%8.3g", c->misfit);
        mien_text_puts(out, "\n");
    }
    mien_text_puts(out, "\n");
    scaling_line(o, out);
    mien_text_puts(out, "classes  ");
    classes_text(o, out);
    if (o->finds_order)
        mien_text_printf(out, " (%s order); sure to %.1f %%", mien_identity_order(o),
                         100 * o->order_share);
    else
        mien_text_puts(out, " (as stored)");
    mien_text_puts(out, "\n");
    crop_line(o, out);
}

static void numbers(mien_json *json, const char *key, const double *values, int count) {
    mien_json_open(json, key, '[');
    for (int i = 0; i < count; i++)
        mien_json_exact(json, NULL, values[i]);
    mien_json_close(json, ']');
}

static void candidate_json(const mien_identity *o, const mien_candidate *c, mien_json *json) {
    const int channels = o->model.meta.input.channels;
    mien_json_open(json, NULL, '{');
    mien_json_string(json, "preprocess", c->name);
    mien_json_string(json, "colours", channels < 3 ? "gray" : c->bgr ? "BGR" : "RGB");
    if (!c->per_image) {
        mien_json_exact(json, "scale", c->normalise.scale);
        numbers(json, "mean", c->normalise.mean, channels);
        numbers(json, "std", c->normalise.std, channels);
    }
    mien_json_number(json, "accuracy", c->fit.accuracy);
    mien_json_number(json, "confidence", c->fit.confidence);
    mien_json_number(json, "loss", c->fit.loss);
    mien_json_number(json, "calibrated_loss", c->fit.calibrated);
    mien_json_number(json, "chance", c->share);
    mien_json_number(json, "misfit", c->misfit);
    mien_json_open(json, "classes", '[');
    for (int i = 0; i < o->data.classes; i++)
        mien_json_string(json, NULL, o->data.class_names[c->order[i]]);
    mien_json_close(json, ']');
    mien_json_close(json, '}');
}

void mien_identity_document(const mien_identity *o, bool pretty, mien_text *out) {
    static const char *const decided[] = {"labels", "batch_normalization"};
    mien_json json = {.text = out, .pretty = pretty};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "model", o->request.model);
    mien_json_string(&json, "data", o->data.source);
    mien_json_string(&json, "split", mien_part_name(o->part));
    mien_json_integer(&json, "images", (long long)o->data.count);
    mien_json_string(&json, "preprocess", o->list[0].name);
    mien_json_open(&json, "classes", '[');
    for (int i = 0; i < o->data.classes; i++)
        mien_json_string(&json, NULL, mien_identity_class(o, i));
    mien_json_close(&json, ']');
    mien_json_string(&json, "order", mien_identity_order(o));
    mien_json_number(&json, "order_share", o->order_share);
    mien_json_string(&json, "decided_by", decided[o->decided]);
    mien_json_number(&json, "scaling_chance", o->sure);
    mien_json_bool(&json, "per_image_fits_too", o->or_own);
    mien_json_bool(&json, "gray_images", o->gray);
    mien_json_bool(&json, "sure", !o->doubt[0]);
    mien_json_string(&json, "doubt", o->doubt[0] ? o->doubt : NULL);
    mien_json_open(&json, "candidates", '[');
    for (int i = 0; i < o->count; i++)
        candidate_json(o, &o->list[i], &json);
    mien_json_close(&json, ']');
    mien_json_open(&json, "crops", '[');
    for (int m = 0; m < MIEN_CROPS; m++) {
        mien_json_open(&json, NULL, '{');
        mien_json_number(&json, "margin", mien_crop_margins[m]);
        mien_json_number(&json, "accuracy", o->crop_accuracy[m]);
        mien_json_number(&json, "better_in", o->crop_better[m]);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
