#include "host/api/common.h"

#include <string.h>

#include "host/base/file.h"
#include "include/mien/mien.h"

mien_status api_open_model(const char *path, mien_backend *backend, int batch, mien_ensemble *out) {
    char found[MIEN_PATH];
    if (!path) {
        MIEN_TRY(mien_model_default(found));
        path = found;
    }
    return mien_ensemble_open(&path, 1, backend, batch, out);
}

mien_status api_choose_detector(const char *text, mien_detector_choice *out, bool *none) {
    *none = text && strcmp(text, "none") == 0;
    return *none ? MIEN_OK : mien_detector_choose(text ? text : "haar", out);
}

const char *mien_version(void) {
    return MIEN_VERSION;
}
