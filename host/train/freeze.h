/* Which layers are trained: the config key model.freeze. */
#ifndef HOST_TRAIN_FREEZE_H
#define HOST_TRAIN_FREEZE_H

#include "host/base/keys.h"
#include "host/formats/model.h"

/* Applies the rules in order to the layers of the model: names, patterns with * and ?, or `base`
 * (everything before the head); with ! in front they train layers instead. `head`: the first node
 * of the head if that is known, else 0. NOT_FOUND, with the names, for a rule that no layer fits.
 */
mien_status mien_freeze(const mien_texts *rules, const char *path, int head, mien_model *model);

#endif
