/* Several sources as one data set. */
#ifndef HOST_DATA_MERGE_H
#define HOST_DATA_MERGE_H

#include "host/data/dataset.h"

/* The separator between the names of merged sources, in a data set's name and in a model file. */
#define MIEN_MERGE_SIGN " + "

/* Reads several sources into one set, with `rules` (or NULL) for the labels. Its classes are those
 * of the first source followed by those that later sources add; names are compared with
 * mien_class_same. Each source keeps its own parts. If one source is streamed, the whole set is. Of
 * a source that holds votes, rules->soft_mode makes the labels; the other sources' are then targets
 * with a single class. Release it even after a failure. */
mien_status mien_dataset_merge(const char *const *sources, size_t count, mien_image_spec spec,
                               mien_on_bad on_bad, mien_memory memory,
                               const mien_label_rules *rules, mien_dataset *out);
/* The same for names joined by MIEN_MERGE_SIGN; if a file has the whole text as its name, it is the
 * only source. */
mien_status mien_dataset_load_all(const char *names, mien_image_spec spec, mien_on_bad on_bad,
                                  mien_memory memory, const mien_label_rules *rules,
                                  mien_dataset *out);
/* Whether writing to `path` would harm the data of these names: `path` is one of the sources, or an
 * existing picture in a subfolder of one. */
bool mien_dataset_reads(const char *names, const char *path);

#endif
