/* Probabilities for the samples of a split: batches through a plan, views averaged, temperature. */
#ifndef HOST_INFER_SCORE_H
#define HOST_INFER_SCORE_H

#include "host/data/loader.h"
#include "host/graph/plan.h"

/* Views of an image that are averaged; in the order of the config key evaluate.tta. */
typedef enum mien_tta { MIEN_VIEW_ONE, MIEN_VIEW_FLIP, MIEN_VIEW_TENCROP } mien_tta;
#define MIEN_TTA_NONE    "none"
#define MIEN_TTA_FLIP    "flip"
#define MIEN_TTA_TENCROP "tencrop"
#define MIEN_TTA_CHOICES MIEN_TTA_NONE "|" MIEN_TTA_FLIP "|" MIEN_TTA_TENCROP
const char *mien_tta_name(mien_tta tta);

/* Scores a part in the data's order: out[count][classes]. The plan's batch sizes (max_batch and the
 * rest of the last batch) must be prepared: mien_score_prepare. `stop`, when not NULL, is looked at
 * between batches: a set flag ends it with INTERRUPTED. */
mien_status mien_score_part(mien_plan *plan, mien_loader *loader, mien_part part, mien_tta tta,
                            double temperature, const volatile int *stop, float *out);
mien_status mien_score_prepare(mien_plan *plan, size_t count);

/* Probabilities [rows][classes] from logits, in place: softmax of logits / temperature. */
void mien_score_softmax(float *logits, int rows, int classes, double temperature);

#endif
