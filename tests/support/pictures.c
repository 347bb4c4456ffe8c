#include "tests/support/pictures.h"

#include <stdio.h>

#include "host/base/file.h"
#include "host/image/image.h"

const char *picture_path(const char *name, const char *suffix) {
    static char path[256];
    snprintf(path, sizeof path, "tests/golden/pictures/%s%s", name, suffix);
    return path;
}

char *picture_bytes(const char *name, size_t *size) {
    enum { MOST = 1 << 20 };
    char *bytes;
    if (mien_file_read(picture_path(name, ""), MOST, &bytes, size) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return bytes;
}

static bool decodes(const char *name, const char *bytes, size_t size) {
    mien_image image;
    const bool good = mien_image_decode(bytes, size, name, 0, &image) == MIEN_OK;
    if (!good && image.pixels) fail_msg("%s leaves a picture after a failure", name);
    mien_image_release(&image);
    return good;
}

int picture_damage(const char *name, char *bytes, size_t size, size_t step) {
    int whole = 0;
    for (size_t cut = 0; cut < size; cut += step)
        whole += decodes(name, bytes, cut);
    for (size_t at = 0; at < 2 * size; at++) {
        const char kept = bytes[at / 2];
        bytes[at / 2] = (char)(kept ^ (at & 1 ? 0xff : 0x11));
        decodes(name, bytes, size);
        bytes[at / 2] = kept;
    }
    return whole;
}
