/* The names of crops: each is given once. */
#ifndef HOST_INFER_PREPARE_NAMES_H
#define HOST_INFER_PREPARE_NAMES_H

#include "host/base/text.h"

typedef struct prepare_names {
    mien_text text; /* all names, zero-terminated */
    size_t *slots;  /* [capacity] offset + 1 of a name, or 0: a hash table */
    size_t count, capacity;
} prepare_names;

/* *added false: the name was given before. */
mien_status prepare_names_add(prepare_names *names, const char *name, bool *added);
/* folder/<stem of file>.png in out[MIEN_PATH]; a second one of that name becomes <stem>-2.png. */
mien_status prepare_names_next(prepare_names *names, const char *folder, const char *file,
                               char *out);
/* Appends the stem of a video's name to a folder [MIEN_PATH]. */
mien_status prepare_names_folder(char *folder, const char *video);
void prepare_names_release(prepare_names *names);

#endif
