/* What the network says of a face, as text, JSON and CSV cells. `scores` are [classes]; `label` is
 * the class that is named, verdict_best or a smoothed one. */
#ifndef HOST_CLI_VERDICT_H
#define HOST_CLI_VERDICT_H

#include "host/base/json.h"
#include "host/formats/model.h"
#include "host/image/draw.h"

/* The class of the greatest score; the first of several. */
int verdict_best(const mien_meta *meta, const float *scores);
bool verdict_uncertain(const mien_meta *meta, float confidence);
/* Are the outputs classes, of which one is the answer? Models of other programs may give numbers of
 * another kind; the functions below then show these. */
bool verdict_is_class(const mien_meta *meta);
/* The member values, the network's own outputs, where they are no softmax. */
void verdict_values(const mien_meta *meta, const float *values, mien_json *json);
/* "happy 97 %", "happy 41 %, uncertain" */
void verdict_text(const mien_meta *meta, const float *scores, int label, mien_text *text);
/* The members label, confidence, uncertain and scores. */
void verdict_json(const mien_meta *meta, const float *scores, int label, mien_json *json);
/* The member box. */
void verdict_box(mien_rect box, mien_json *json);
/* Cells and their names: label,confidence,uncertain and a score for each class; `prefix` begins
 * each name. */
void verdict_columns(const mien_meta *meta, const char *prefix, mien_text *csv);
void verdict_cells(const mien_meta *meta, const float *scores, int label, mien_text *csv);

#endif
