/* What a model is, as rows of a page's table: file and its SHA-256, network, input, training. */
#ifndef HOST_REPORT_CARD_H
#define HOST_REPORT_CARD_H

#include "host/base/text.h"
#include "host/formats/model.h"

/* `path` is the model's file or run folder. */
mien_status mien_card_rows(const mien_model *model, const char *path, mien_text *out);

#endif
