#include "host/train/votes.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/train/config.h"

bool mien_votes_of_run(const char *model, char *out) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    mien_config config;
    bool found = false;
    if (mien_is_folder(model))
        snprintf(folder, sizeof folder, "%s", model);
    else
        mien_path_folder(folder, model);
    if (mien_path_join(path, folder, "config.yaml") != MIEN_OK || !mien_file_exists(path))
        return false;
    if (mien_config_start(&config) == MIEN_OK && mien_config_read(&config, path) == MIEN_OK &&
        strcmp(config.data.soft_labels, "none") != 0) {
        snprintf(out, MIEN_PATH, "%s", config.data.soft_labels);
        found = true;
    }
    mien_config_release(&config);
    return found;
}
