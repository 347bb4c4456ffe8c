/* The vtable of a data source: one room a form of data, one line in dataset.c. */
#ifndef HOST_DATA_SOURCE_H
#define HOST_DATA_SOURCE_H

#include "host/data/dataset.h"

typedef struct mien_source_def {
    const char *name; /* for messages: "fer2013 csv" */
    /* Is the source of this form? Judged by name and folder listing, not by content. */
    bool (*accepts)(const char *source);
    mien_status (*load)(const char *source, const mien_on_bad *on_bad, mien_dataset *set);
} mien_source_def;

extern const mien_source_def mien_source_sample, mien_source_csv;

#endif
