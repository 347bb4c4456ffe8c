/* The model that is used when nobody names one. */
#include <stdlib.h>

#include "host/base/file.h"
#include "host/base/module.h"
#include "host/formats/model.h"

mien_status mien_model_default(char *out) {
    const char *wanted = getenv("MIEN_MODEL");
    if (wanted && *wanted) return mien_path_join(out, "", wanted);
    if (mien_shared_file("models", MIEN_MODEL_NAME, out) == MIEN_OK) return MIEN_OK;
    return MIEN_FAIL(NOT_FOUND,
                     "there is no model: give one with --model or in MIEN_MODEL ('%s' lies neither "
                     "in share/mien/models beside the program nor in models/ of the source tree)",
                     MIEN_MODEL_NAME);
}
