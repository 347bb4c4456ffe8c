#include "host/eval/document.h"

void mien_metrics_document(const mien_metrics *metrics, const char (*names)[64],
                           const mien_report_head *head, bool pretty, mien_text *out) {
    mien_json json = {.text = out, .pretty = pretty};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "model", head->model);
    mien_json_string(&json, "data", head->data);
    mien_json_string(&json, "split", head->split);
    mien_json_string(&json, "tta", head->views ? head->views : "none");
    if (head->labels) mien_json_string(&json, "labels", head->labels);
    mien_metrics_json(metrics, names, &json);
    if (head->analysis) mien_analysis_json(head->analysis, names, &json);
    if (head->groups) mien_subgroups_json(head->groups, &json);
    mien_json_open(&json, "fingerprint", '{');
    mien_json_open(&json, "counts", '[');
    for (int k = 0; k < metrics->classes; k++)
        mien_json_integer(&json, NULL, (long long)metrics->by_class[k].support);
    mien_json_close(&json, ']');
    mien_json_string(&json, "sha256", head->sha256);
    mien_json_close(&json, '}');
    mien_json_open(&json, "warnings", '[');
    for (size_t i = 0; i < head->warning_count; i++)
        mien_json_string(&json, NULL, head->warnings[i]);
    mien_json_close(&json, ']');
    mien_json_number(&json, "seconds", head->seconds);
    mien_json_number(&json, "images_per_second",
                     head->seconds > 0 ? (double)metrics->n / head->seconds : 0);
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
