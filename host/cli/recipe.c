#include "host/cli/recipe.h"

#include <stdio.h>

mien_status cli_recipe_data(const cli_recipe *args, const mien_config *config) {
    return args->data || !args->config ? MIEN_OK : mien_config_data_exist(config, args->config);
}

mien_status cli_config(const cli_recipe *args, mien_config *config) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_config_start(config));
    if (args->config) {
        MIEN_TRY(mien_config_find(args->config, path));
        MIEN_TRY(mien_config_read(config, path));
    }
    return cli_recipe_apply(args, config);
}

mien_status cli_recipe_apply(const cli_recipe *args, mien_config *config) {
    char text[MIEN_PATH + 64];
    const mien_keys keys = mien_config_keys();
    if (args->data) MIEN_TRY(mien_config_data(config, args->data));
    if (args->seed) {
        snprintf(text, sizeof text, "train.seed=%s", args->seed);
        MIEN_TRY(mien_keys_set(keys, config, text));
    }
    if (args->on_bad) snprintf(config->data.on_bad, sizeof config->data.on_bad, "%s", args->on_bad);
    if (args->drop_classes) {
        snprintf(text, sizeof text, "data.drop_classes=[%s]", args->drop_classes);
        MIEN_TRY(mien_keys_set(keys, config, text));
    }
    for (int i = 0; i < args->set->count; i++)
        MIEN_TRY(mien_keys_set(keys, config, args->set->items[i]));
    if (args->deterministic) config->train.deterministic = true;
    return mien_config_check(config);
}
