/* The report of an evaluation that ran: analysis, gallery, model card and learning curves, all in
 * one folder. */
#ifndef HOST_REPORT_EVALUATION_REPORT_H
#define HOST_REPORT_EVALUATION_REPORT_H

#include "include/mien/backend.h"
#include "host/eval/evaluate.h"

/* Creates `folder` if it is missing; writes what mien_report_write does, and predictions.csv. */
mien_status mien_evaluation_report(const mien_evaluation *evaluation, mien_backend *backend,
                                   const char *folder);

#endif
