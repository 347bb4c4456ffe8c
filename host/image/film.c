/* Recognises videos, sound and the pictures of the ISO container by their first bytes, so that a
 * message can say what a file is: MP4, MOV, HEIC, AVIF and CR3 share one container, whose brands
 * tell them apart. */
#include <string.h>

#include "host/image/formats.h"

enum { BRANDS_MAX = 32 };

static bool has(const uint8_t *bytes, size_t size, size_t at, const char *magic, size_t length) {
    return size >= at + length && memcmp(bytes + at, magic, length) == 0;
}

static bool is_one_of(const uint8_t *brand, const char *brands) {
    for (; *brands; brands += 4)
        if (memcmp(brand, brands, 4) == 0) return true;
    return false;
}

/* The kind of picture that a brand stands for. */
static image_container_kind kind_of_brand(const uint8_t *brand) {
    if (is_one_of(brand, "crx ")) return IMAGE_CR3;
    if (is_one_of(brand, "avifavis")) return IMAGE_AVIF;
    if (is_one_of(brand, "heicheixhevchevxheimheishevmhevsheifmif1msf1")) return IMAGE_HEIC;
    if (is_one_of(brand, "jp2 jpx jpm mjp2")) return IMAGE_JPEG_2000;
    if (is_one_of(brand, "jxl ")) return IMAGE_JPEG_XL;
    return IMAGE_NO_CONTAINER;
}

/* "ftyp": the main brand, a version, then all brands that the file conforms to. An AVIF names the
 * general brand of HEIF too, a raw file that of videos: the most special one counts. */
image_container_kind image_container(const uint8_t *bytes, size_t size) {
    image_container_kind found = IMAGE_NO_CONTAINER;
    if (!has(bytes, size, 4, "ftyp", 4)) return found;
    const size_t length =
        (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | (size_t)bytes[3];
    for (size_t i = 0; i < BRANDS_MAX; i++) {
        const size_t at = i ? 12 + 4 * i : 8;
        if (at + 4 > size || at + 4 > length) break;
        const image_container_kind kind = kind_of_brand(bytes + at);
        if (kind > found) found = kind;
    }
    return found;
}

static const char *film_in_container(const uint8_t *bytes, size_t size) {
    if (image_container(bytes, size) != IMAGE_NO_CONTAINER) return NULL;
    if (size >= 12 && is_one_of(bytes + 8, "M4A M4B M4P F4A F4B ")) return "an MP4 sound file";
    if (has(bytes, size, 8, "qt  ", 4)) return "a QuickTime video (MOV)";
    return "a video (MP4, MOV or 3GP)";
}

const char *image_film(const uint8_t *bytes, size_t size) {
    static const struct {
        const char *kind, *magic;
        size_t at, length;
    } films[] = {{"a QuickTime video (MOV)", "moov", 4, 4},
                 {"a QuickTime video (MOV)", "mdat", 4, 4},
                 {"a QuickTime video (MOV)", "wide", 4, 4},
                 {"a video (MKV or WebM)", "\x1a\x45\xdf\xa3", 0, 4},
                 {"an AVI video", "AVI ", 8, 4},
                 {"a sound file (WAV)", "WAVE", 8, 4},
                 {"a Windows Media file (WMV)", "\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, 8},
                 {"an MPEG video", "\0\0\1\xba", 0, 4},
                 {"an MPEG video", "\0\0\1\xb3", 0, 4},
                 {"a Flash video (FLV)", "FLV\1", 0, 4},
                 {"an Ogg file", "OggS", 0, 4},
                 {"a sound file (MP3)", "ID3", 0, 3}};
    if (has(bytes, size, 4, "ftyp", 4)) return film_in_container(bytes, size);
    for (size_t i = 0; i < sizeof films / sizeof films[0]; i++)
        if (has(bytes, size, films[i].at, films[i].magic, films[i].length)) return films[i].kind;
    /* a transport stream repeats its mark every 188 bytes */
    if (size > 376 && bytes[0] == 0x47 && bytes[188] == 0x47 && bytes[376] == 0x47)
        return "an MPEG video (TS)";
    return NULL;
}
