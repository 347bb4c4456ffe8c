/* Class probabilities for one part of a split: runs it through a plan in batches, averages TTA
 * views and applies the temperature. */
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

/* Computes out[count][classes] for a part, in the data's order. Call mien_score_prepare first,
 * which prepares the plan for max_batch and for the size of the last batch. `stop`, if not NULL, is
 * checked between batches; if set, returns INTERRUPTED. */
mien_status mien_score_part(mien_plan *plan, mien_loader *loader, mien_part part, mien_tta tta,
                            double temperature, const volatile int *stop, float *out);
mien_status mien_score_prepare(mien_plan *plan, size_t count);

/* Turns logits [rows][classes] into probabilities in place: softmax(logits / temperature). */
void mien_score_softmax(float *logits, int rows, int classes, double temperature);

/* Marks the classes of `names` (separated by commas) that are among `classes`. INVALID for a name
 * that is not, if `strict`, and if fewer than two classes are left. */
mien_status mien_score_choose_dropped(const char *names, const char (*classes)[MIEN_CLASS_NAME],
                                      int count, bool strict, bool *dropped);
/* Sets the probabilities [n][classes] of dropped classes to 0; the others again sum to 1. */
void mien_score_drop(const bool *dropped, int classes, size_t n, float *probabilities);

#endif
