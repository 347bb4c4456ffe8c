/* What stands before the first step: data read, split and measured, network built or loaded. */
#ifndef HOST_TRAIN_SETUP_H
#define HOST_TRAIN_SETUP_H

#include "host/data/groups.h"
#include "host/formats/model.h"
#include "host/train/config.h"

typedef struct mien_setup {
    mien_dataset data;
    mien_groups groups; /* of the data; none without data.groups */
    mien_model model;   /* its graph and weights are those to start from; its meta is complete */
    mien_survey train;  /* of the training part */
    char val_sha256[65];
    bool from_scratch; /* the weights are drawn, not loaded */
} mien_setup;

/* Release it also after a failure. */
mien_status mien_setup_create(const mien_config *config, const char *commit, mien_setup *setup);
void mien_setup_release(mien_setup *setup);

/* The file that `model.file` names: a path as it is, a bare name under configs/models of the source
 * tree or the installation. */
mien_status mien_network_find(const char *name, char *out);

/* Weights by class that give every class the same sum: n / (classes * n_class). */
void mien_balanced_weights(const mien_dataset *set, float *weights);

#endif
