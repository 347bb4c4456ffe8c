/* Builds the config from a command line; shared by train and preview. */
#ifndef HOST_CLI_RECIPE_H
#define HOST_CLI_RECIPE_H

#include "host/cli/cli.h"
#include "host/formats/model.h"
#include "host/train/config.h"

typedef struct cli_recipe {
    const char *config, *data, *seed, *on_bad, *drop_classes; /* flag values; NULL if not given */
    const char *from;                /* the model to start from; NULL if not given */
    const mien_model_options *model; /* what its file does not say; NULL if the command has none */
    const cli_list *set;             /* KEY=VALUE */
    bool deterministic;
} cli_recipe;

/* Reads the config file and applies the command line on top. Release the config also after a
 * failure. */
mien_status cli_config(const cli_recipe *args, mien_config *config);
/* Applies the command line to a config that was read in another way. */
mien_status cli_recipe_apply(const cli_recipe *args, mien_config *config);
/* NOT_FOUND if a recipe's data are missing and the command line gives no --data. */
mien_status cli_recipe_data(const cli_recipe *args, const mien_config *config);

#endif
