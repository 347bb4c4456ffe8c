/* Checkpoints of a training, in a safetensors container: the network, its metadata, every array
 * that a step reads and writes, and the state of the training as text. docs/checkpoint.md describes
 * every byte. The content is untrusted, and a checksum covers all of it. */
#ifndef HOST_FORMATS_CHECKPOINT_H
#define HOST_FORMATS_CHECKPOINT_H

#include "host/formats/model.h"
#include "host/formats/safetensors.h"
#include "host/graph/plan.h"

/* What a checkpoint is made of. Arrays that a training does not have are empty: items NULL. */
typedef struct mien_checkpoint {
    const mien_graph *graph;
    const mien_meta *meta;
    mien_weights arrays[MIEN_ARRAYS];
    const mien_st_meta *state; /* of the training; keys other than those of this file */
    size_t state_count;
} mien_checkpoint;

/* Writes the file, and makes `name` a hard link to it (a copy where there are no links). Its bytes
 * are composed in `out`, whose memory may be that of an earlier one. DIVERGED, and no file, if a
 * value is not finite. */
mien_status mien_checkpoint_write(const mien_checkpoint *checkpoint, const char *path,
                                  const char *name, mien_text *out);

/* Parses a file, of which the result borrows `bytes`. FORMAT if it is damaged or cut short,
 * UNSUPPORTED for another version. Release it also after a failure. */
mien_status mien_checkpoint_parse(const char *bytes, size_t size, const char *source,
                                  mien_safetensors *out);
/* Reads its network into a zeroed model; the weights are the averaged ones, if there are any. */
mien_status mien_checkpoint_model(const mien_safetensors *file, const char *source,
                                  mien_model *model);
/* Reads one array for a graph with the same layers, *found false if the file does not have it.
 * Release `out` also after a failure. */
mien_status mien_checkpoint_array(const mien_safetensors *file, const char *source,
                                  const mien_graph *graph, mien_array array, mien_weights *out,
                                  bool *found);

#endif
