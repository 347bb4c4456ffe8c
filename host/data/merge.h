/* Several sources as one data set. */
#ifndef HOST_DATA_MERGE_H
#define HOST_DATA_MERGE_H

#include "host/data/dataset.h"

/* Between the names of merged sources in a data set's own name and in a model file. */
#define MIEN_MERGE_SIGN " + "

/* Reads sources one after the other into one set. Its classes are those of the first source and
 * then what the later ones add; alike are words that mien_class_same calls so. Each source keeps
 * the parts that it names itself. Where one of them is streamed, the set is. Release it also after
 * a failure. */
mien_status mien_dataset_merge(const char *const *sources, size_t count, mien_image_spec spec,
                               mien_on_bad on_bad, mien_memory memory, mien_dataset *out);
/* The same of names with MIEN_MERGE_SIGN between them; a file that is called so is one source. */
mien_status mien_dataset_load_all(const char *names, mien_image_spec spec, mien_on_bad on_bad,
                                  mien_memory memory, mien_dataset *out);
/* Would writing to `path` harm the data of these names: is it one of the sources, or a picture that
 * is there in a folder below one? */
bool mien_dataset_reads(const char *names, const char *path);

#endif
