/* The default model. */
#include <stdlib.h>

#include "host/base/file.h"
#include "host/base/module.h"
#include "host/formats/model.h"

mien_status mien_model_default(char *out) {
    const char *wanted = getenv("MIEN_MODEL");
    if (wanted && *wanted) return mien_path_join(out, "", wanted);
    if (mien_shared_file("models", MIEN_MODEL_NAME, out) == MIEN_OK) return MIEN_OK;
    return MIEN_FAIL(
        NOT_FOUND,
        "there is no default model: give one with --model or in MIEN_MODEL ('%s' is neither "
        "in share/mien/models of the installation nor in models/ of the source tree)",
        MIEN_MODEL_NAME);
}
