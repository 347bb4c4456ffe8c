#include "tests/unit/made_video.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/base/file.h"
#include "tests/support/test.h"

bool made_video_module(void) {
    char path[MIEN_PATH];
    const char *build = getenv("MIEN_BUILD");
    if (!build) build = "build/release";
    snprintf(path, sizeof path, "%s/mien-video.so", build);
    if (!mien_file_exists(path)) {
        puts("1..1\nok 1 - video # SKIP this build has no mien-video.so");
        return false;
    }
    setenv("MIEN_MODULES", build, 1);
    return true;
}

const char *made_clip(const char *name) {
    static char path[MIEN_PATH];
    snprintf(path, sizeof path, CLIPS "%s", name);
    return path;
}

char *made_clip_bytes(const char *name, size_t *size) {
    char *bytes = NULL;
    if (mien_file_read(made_clip(name), 1 << 20, &bytes, size) != MIEN_OK)
        fail_msg("there is no clip '%s'", name);
    return bytes;
}
