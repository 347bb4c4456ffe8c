/* Faces of an evaluation: the most confident mistakes and hits of each class, with Grad-CAM. */
#ifndef HOST_REPORT_GALLERY_H
#define HOST_REPORT_GALLERY_H

#include "include/mien/backend.h"
#include "host/eval/evaluate.h"

/* Inserts sample `at` into list[count], at most `most` samples, the surest answer first; returns
 * the new count. */
size_t mien_gallery_insert(const mien_evaluation *evaluation, size_t at, size_t *list, size_t count,
                           size_t most);
/* Appends the section of a page. `model` is the one that was evaluated, whose Grad-CAM is drawn;
 * NULL: several were averaged, and there is none. */
mien_status mien_gallery_section(const mien_evaluation *evaluation, const mien_model *model,
                                 mien_backend *backend, mien_text *out);

#endif
