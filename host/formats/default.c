/* The model that is used when nobody names one. */
#include <stdlib.h>

#include "host/base/file.h"
#include "host/base/module.h"
#include "host/formats/model.h"

mien_status mien_model_default(char *out) {
    static const char *const places[] = {"../share/mien/models", "../../models"};
    char folder[MIEN_PATH], path[MIEN_PATH];
    const char *wanted = getenv("MIEN_MODEL");
    if (wanted && *wanted) return mien_path_join(out, "", wanted);
    MIEN_TRY(mien_program_folder(folder));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        MIEN_TRY(mien_path_join(path, folder, places[i]));
        MIEN_TRY(mien_path_join(out, path, MIEN_MODEL_NAME));
        if (mien_file_exists(out)) return MIEN_OK;
    }
    return MIEN_FAIL(NOT_FOUND,
                     "there is no model: give one with --model or in MIEN_MODEL ('%s' lies neither "
                     "in share/mien/models beside the program nor in models/ of the source tree)",
                     MIEN_MODEL_NAME);
}
