#include "host/cli/recipe.h"

#include <stdio.h>

mien_status cli_recipe_data(const cli_recipe *args, const mien_config *config) {
    return args->data || !args->config ? MIEN_OK : mien_config_data_exist(config, args->config);
}

/* A path, which needs no quotes as YAML would. */
static mien_status set_path(const char *flag, const char *value, char *out) {
    if (!value) return MIEN_OK;
    if (!*value) return MIEN_FAIL(INVALID, "%s needs a name", flag);
    return mien_path_join(out, "", value);
}

/* Sets a key by its text in YAML; not if that is NULL. */
static mien_status set_key(mien_config *config, const char *key, const char *open,
                           const char *value, const char *close) {
    mien_text text = {0};
    if (!value) return MIEN_OK;
    mien_text_printf(&text, "%s=%s%s%s", key, open, value, close);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_keys_set(mien_config_keys(), config, text.data);
    mien_text_release(&text);
    return status;
}

static mien_status apply_model(const cli_recipe *args, mien_config *config) {
    const mien_model_options *o = args->model;
    MIEN_TRY(set_path("--from", args->from, config->model.file));
    if (!o) return MIEN_OK;
    MIEN_TRY(set_path("--architecture", o->architecture, config->model.architecture));
    MIEN_TRY(set_key(config, "model.preprocess", "", o->preprocess, ""));
    MIEN_TRY(set_key(config, "model.classes", "[", o->classes, "]"));
    return set_key(config, "model.output", "\"", o->output, "\"");
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
    MIEN_TRY(apply_model(args, config));
    for (int i = 0; i < args->set->count; i++)
        MIEN_TRY(mien_keys_set(keys, config, args->set->items[i]));
    if (args->deterministic) config->train.deterministic = true;
    return mien_config_check(config);
}
