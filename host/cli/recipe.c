#include "host/cli/recipe.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"

mien_status cli_recipe_data(const cli_recipe *args, const mien_config *config) {
    for (size_t i = 0; !args->data && args->config && i < config->data.sources.count; i++) {
        const char *source = config->data.sources.items[i], *slash = strrchr(source, '/');
        if (strcmp(source, "sample") == 0 || mien_file_exists(source)) continue;
        return MIEN_FAIL(NOT_FOUND,
                         "recipe '%s' reads '%s', which is missing: give your data with "
                         "--data SRC (datasets/README.md says where to get them)",
                         args->config, slash ? slash + 1 : source);
    }
    return MIEN_OK;
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
    if (args->data) {
        for (size_t i = 0; i < config->data.sources.count; i++)
            mien_free(config->data.sources.items[i]);
        if (!config->data.sources.items)
            MIEN_TRY(mien_new(&config->data.sources.items, 1, sizeof(char *)));
        config->data.sources.count = 1;
        MIEN_TRY(mien_copy_text(&config->data.sources.items[0], args->data));
    }
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
