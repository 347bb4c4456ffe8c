/* Everything before the first step: reads, splits and surveys the data; builds or loads the
 * network. */
#ifndef HOST_TRAIN_SETUP_H
#define HOST_TRAIN_SETUP_H

#include "host/data/groups.h"
#include "host/formats/model.h"
#include "host/train/config.h"

typedef struct mien_setup {
    mien_dataset data;
    mien_groups groups; /* subgroups of the samples; empty without data.groups */
    mien_model model;   /* graph and weights to start from; complete meta */
    mien_survey train;  /* of the training part */
    char val_sha256[65];
    char start[MIEN_PATH]; /* the file of the network or of the trained model */
    bool from_scratch;     /* the weights are drawn, not loaded */
    bool new_head;         /* those of a trained model's head are */
} mien_setup;

/* Words for model.file: the shipped model; that for few images, else the network `small`. */
#define MIEN_MODEL_DEFAULT "default"
#define MIEN_MODEL_AUTO    "auto"

/* Reads the data and builds or loads the network. `commit` is recorded in the meta. Release the
 * setup also after a failure. */
mien_status mien_setup_create(const mien_config *config, const char *commit, mien_setup *setup);
void mien_setup_release(mien_setup *setup);

/* The file of a network: a path is kept, a bare name is looked up in configs/models of the source
 * tree or the installation, NOT_FOUND if it is not there. out has MIEN_PATH bytes. (`model.file`
 * may also name a model file of any name or a run folder, which are recognised by their content.)
 */
mien_status mien_network_find(const char *name, char *out);

/* weights[classes]: n / (classes * n_class) over the training part, so that every class has the
 * same total weight; 0 for a class without samples. */
void mien_balanced_weights(const mien_dataset *set, float *weights);

#endif
