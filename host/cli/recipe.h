/* The config that a command line asks for: train and preview read the same flags the same way. */
#ifndef HOST_CLI_RECIPE_H
#define HOST_CLI_RECIPE_H

#include "host/cli/cli.h"
#include "host/train/config.h"

typedef struct cli_recipe {
    const char *config, *data, *seed, *on_bad; /* as given, NULL: not */
    const cli_list *set;                       /* KEY=VALUE */
    bool deterministic;
} cli_recipe;

/* Config file, then the command line on top. Release the config also after a failure. */
mien_status cli_config(const cli_recipe *args, mien_config *config);
/* Are the data there that a recipe wants and the command line does not name? */
mien_status cli_recipe_data(const cli_recipe *args, const mien_config *config);

#endif
