/* Recognises videos and sound by their first bytes, so that a message can say what the file is:
 * MP4, MOV and HEIC share one container, whose brands tell them apart. */
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

/* "ftyp": the main brand, a version, then all brands that the file conforms to. */
static const char *container_kind(const uint8_t *bytes, size_t size) {
    static const char still[] = "heicheixhevcheimheishevmhevsheifmif1msf1avifavisjp2 jxl crx ";
    const size_t length =
        (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | (size_t)bytes[3];
    for (size_t i = 0; i < BRANDS_MAX; i++) {
        const size_t at = i ? 12 + 4 * i : 8;
        if (at + 4 > size || at + 4 > length) break;
        if (is_one_of(bytes + at, still)) return NULL;
    }
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
    if (has(bytes, size, 4, "ftyp", 4)) return container_kind(bytes, size);
    for (size_t i = 0; i < sizeof films / sizeof films[0]; i++)
        if (has(bytes, size, films[i].at, films[i].magic, films[i].length)) return films[i].kind;
    /* a transport stream repeats its mark every 188 bytes */
    if (size > 376 && bytes[0] == 0x47 && bytes[188] == 0x47 && bytes[376] == 0x47)
        return "an MPEG video (TS)";
    return NULL;
}
