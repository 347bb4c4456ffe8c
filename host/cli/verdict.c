#include "host/cli/verdict.h"

int verdict_best(const mien_meta *meta, const float *scores) {
    return mien_best_class(scores, meta->classes);
}

bool verdict_uncertain(const mien_meta *meta, float confidence) {
    return confidence < meta->uncertain_below;
}

bool verdict_is_class(const mien_meta *meta) {
    return meta->head != MIEN_HEAD_VALUES && meta->classes > 1;
}

void verdict_values(const mien_meta *meta, const float *values, mien_json *json) {
    if (meta->head == MIEN_HEAD_SOFTMAX) return;
    mien_json_open(json, "values", '[');
    for (int k = 0; k < meta->classes; k++)
        mien_json_number(json, NULL, values[k]);
    mien_json_close(json, ']');
}

static void values_text(const mien_meta *meta, const float *values, mien_text *text) {
    enum { SHOWN = 8 };
    for (int k = 0; k < meta->classes && k < SHOWN; k++)
        mien_text_printf(text, "%s%.6g", k ? ", " : "", values[k]);
    if (meta->classes > SHOWN) mien_text_printf(text, ", … (%d numbers)", meta->classes);
}

void verdict_text(const mien_meta *meta, const float *scores, int label, mien_text *text) {
    if (!verdict_is_class(meta)) {
        values_text(meta, scores, text);
        return;
    }
    mien_text_printf(text, "%s %.0f %%%s", meta->class_names[label], 100.0 * scores[label],
                     verdict_uncertain(meta, scores[label]) ? ", uncertain" : "");
}

void verdict_json(const mien_meta *meta, const float *scores, int label, mien_json *json) {
    if (!verdict_is_class(meta)) return;
    mien_json_string(json, "label", meta->class_names[label]);
    mien_json_number(json, "confidence", scores[label]);
    mien_json_bool(json, "uncertain", verdict_uncertain(meta, scores[label]));
    mien_json_open(json, "scores", '{');
    for (int k = 0; k < meta->classes; k++)
        mien_json_number(json, meta->class_names[k], scores[k]);
    mien_json_close(json, '}');
}

void verdict_box(mien_rect box, mien_json *json) {
    mien_json_open(json, "box", '{');
    mien_json_integer(json, "x", box.x);
    mien_json_integer(json, "y", box.y);
    mien_json_integer(json, "w", box.width);
    mien_json_integer(json, "h", box.height);
    mien_json_close(json, '}');
}

void verdict_columns(const mien_meta *meta, const char *prefix, mien_text *csv) {
    mien_text name = {0};
    mien_text_printf(csv, "%slabel,%sconfidence,%suncertain", prefix, prefix, prefix);
    for (int k = 0; k < meta->classes; k++) {
        mien_text_puts(csv, ",");
        name.size = 0;
        mien_text_printf(&name, "%s%s", prefix, meta->class_names[k]);
        mien_text_cell(csv, name.data ? name.data : "");
    }
    if (csv->status == MIEN_OK) csv->status = name.status;
    mien_text_release(&name);
}

void verdict_cells(const mien_meta *meta, const float *scores, int label, mien_text *csv) {
    if (verdict_is_class(meta)) {
        mien_text_cell(csv, meta->class_names[label]);
        mien_text_printf(csv, ",%.9g,%s", scores[label],
                         verdict_uncertain(meta, scores[label]) ? "true" : "false");
    } else {
        mien_text_puts(csv, ",,");
    }
    for (int k = 0; k < meta->classes; k++)
        mien_text_printf(csv, ",%.9g", scores[k]);
}
