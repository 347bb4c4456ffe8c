/* Where the file of votes is that a run was trained with. */
#ifndef HOST_TRAIN_VOTES_H
#define HOST_TRAIN_VOTES_H

#include <stdbool.h>

/* The votes need not be next to the data: the config.yaml of the run that `model`, a run folder or
 * a file in it, belongs to names them. Without a readable one, false. out has MIEN_PATH bytes. */
bool mien_votes_of_run(const char *model, char *out);

#endif
