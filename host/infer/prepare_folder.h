/* The output folder of mien_prepare_run: whether it may be used, the options it was begun with, and
 * what earlier runs did. */
#ifndef HOST_INFER_PREPARE_FOLDER_H
#define HOST_INFER_PREPARE_FOLDER_H

#include "host/infer/prepare_records.h"

typedef struct prepare_folder {
    const char *path;
    int lock, log;        /* -1: not open; `log` appends to .progress */
    prepare_records done; /* by earlier runs */
} prepare_folder;

/* INVALID: one of the two folders is in the other. Creates nothing. */
mien_status prepare_folder_apart(const char *source, const char *out);
/* Locks the folder, which is created; checks or writes its options, and begins anew with `force`.
 * Close it even after a failure. */
mien_status prepare_folder_open(const mien_prepare *options, prepare_folder *out);
void prepare_folder_close(prepare_folder *folder);
/* Appends to .progress. */
mien_status prepare_folder_log(const prepare_folder *folder, const mien_text *text);
/* Replaces .progress. */
mien_status prepare_folder_replace_log(prepare_folder *folder, const mien_text *text);

#endif
