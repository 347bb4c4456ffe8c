#include "host/serve/picture_head.h"

#include <string.h>

static uint32_t big(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static uint32_t little(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

picture_kind picture_kind_of(const uint8_t *bytes, size_t size) {
    if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) return PICTURE_JPEG;
    if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) return PICTURE_PNG;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return PICTURE_WEBP;
    return PICTURE_OTHER;
}

/* The largest frame: a second one would make the decoder allocate for it. */
static bool jpeg_size(const uint8_t *b, size_t size, uint32_t *width, uint32_t *height) {
    bool found = false;
    for (size_t at = 2; at + 4 <= size;) {
        if (b[at] != 0xff) return found;
        const uint8_t marker = b[at + 1];
        if (marker == 0xff || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
            at += marker == 0xff ? 1 : 2;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) return found;
        const bool frame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame && at + 9 <= size) {
            const uint32_t h = big(b + at + 5, 2), w = big(b + at + 7, 2);
            if (!found || w > *width) *width = w;
            if (!found || h > *height) *height = h;
            found = true;
        }
        at += 2 + big(b + at + 2, 2);
    }
    return found;
}

static bool webp_size(const uint8_t *b, size_t size, uint32_t *width, uint32_t *height) {
    if (size < 30) return false;
    if (memcmp(b + 12, "VP8X", 4) == 0) {
        *width = 1 + little(b + 24, 3);
        *height = 1 + little(b + 27, 3);
        return true;
    }
    if (memcmp(b + 12, "VP8L", 4) == 0) {
        const uint32_t bits = little(b + 21, 4);
        *width = 1 + (bits & 0x3fff);
        *height = 1 + (bits >> 14 & 0x3fff);
        return b[20] == 0x2f;
    }
    if (memcmp(b + 12, "VP8 ", 4) != 0 || memcmp(b + 23, "\x9d\x01\x2a", 3) != 0) return false;
    *width = little(b + 26, 2) & 0x3fff;
    *height = little(b + 28, 2) & 0x3fff;
    return true;
}

bool picture_size_of(const uint8_t *bytes, size_t size, uint32_t *width, uint32_t *height) {
    *width = *height = 0;
    switch (picture_kind_of(bytes, size)) {
    case PICTURE_JPEG:
        return jpeg_size(bytes, size, width, height);
    case PICTURE_WEBP:
        return webp_size(bytes, size, width, height);
    case PICTURE_PNG:
        if (size < 24 || memcmp(bytes + 12, "IHDR", 4) != 0) return false;
        *width = big(bytes + 16, 4);
        *height = big(bytes + 20, 4);
        return true;
    case PICTURE_OTHER:
        break;
    }
    return false;
}
