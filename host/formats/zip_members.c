#include "host/formats/zip_members.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "host/base/memory.h"

enum {
    END = 22, /* bytes of the record after the table, without its comment */
    END_SEARCH = END + 65535,
    ENTRY = 46,
    LOCAL = 30,
    DEFLATE_MOST = 1032, /* bytes that one deflated byte can become, at most */
    ENCRYPTED = 1,
    STORED = 0,
    DEFLATED = 8,
};

typedef struct archive {
    const uint8_t *bytes;
    size_t size;
    size_t at; /* of the next entry of the table */
    unsigned left;
} archive;

typedef struct member {
    const uint8_t *name;
    size_t length;
    uint32_t flags, method, crc, packed, size, offset;
} member;

static uint32_t number(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* Finds the table; false if there is none. */
static bool open_table(const char *bytes, size_t size, archive *a) {
    const uint8_t *const from = (const uint8_t *)bytes;
    const size_t first = size > END_SEARCH ? size - END_SEARCH : 0;
    if (size < END || memcmp(from, "PK\3\4", 4) != 0) return false;
    for (size_t at = size - END + 1; at-- > first;) {
        if (memcmp(from + at, "PK\5\6", 4) != 0) continue;
        *a = (archive){from, size, number(from + at + 16, 4), number(from + at + 10, 2)};
        return true;
    }
    return false;
}

/* False at the end of the table, and, with *damaged set, where it is damaged. */
static bool next_member(archive *a, member *m, bool *damaged) {
    *damaged = false;
    if (a->left == 0) return false;
    *damaged = true;
    if (a->at > a->size || a->size - a->at < ENTRY) return false;
    const uint8_t *const e = a->bytes + a->at;
    const size_t length = number(e + 28, 2);
    const size_t all = ENTRY + length + number(e + 30, 2) + number(e + 32, 2);
    if (memcmp(e, "PK\1\2", 4) != 0 || a->size - a->at < all) return false;
    *m = (member){e + ENTRY,         length,
                  number(e + 8, 2),  number(e + 10, 2),
                  number(e + 16, 4), number(e + 20, 4),
                  number(e + 24, 4), number(e + 42, 4)};
    a->at += all;
    a->left--;
    *damaged = false;
    return true;
}

static bool is_named(const member *m, const char *name) {
    return m->length == strlen(name) && memcmp(m->name, name, m->length) == 0;
}

bool mien_zip_has(const char *bytes, size_t size, const char *name) {
    archive a;
    member m;
    bool damaged;
    if (!open_table(bytes, size, &a)) return false;
    while (next_member(&a, &m, &damaged))
        if (is_named(&m, name)) return true;
    return false;
}

static mien_status bad(const char *source, const char *name, const char *what) {
    return MIEN_FAIL(FORMAT, "%s: its part '%s' %s", source, name, what);
}

static mien_status inflate_all(const uint8_t *packed, const member *m, char *out, bool *good) {
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)packed,
                  .avail_in = m->packed,
                  .next_out = (uint8_t *)out,
                  .avail_out = m->size};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return MIEN_FAIL(NO_MEMORY, "no memory to unpack");
    *good = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == m->size;
    inflateEnd(&z);
    return MIEN_OK;
}

static mien_status unpack(const archive *a, const member *m, const char *source, const char *name,
                          size_t limit, char **out) {
    if (m->flags & ENCRYPTED || (m->method != STORED && m->method != DEFLATED))
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: its part '%s' is encrypted or compressed in an unknown way", source,
                         name);
    if (m->size > limit) return bad(source, name, "is larger than any real one");
    if (m->offset > a->size || a->size - m->offset < LOCAL ||
        memcmp(a->bytes + m->offset, "PK\3\4", 4) != 0)
        return bad(source, name, "is cut short or damaged");
    const uint8_t *const local = a->bytes + m->offset;
    const size_t at = m->offset + LOCAL + number(local + 26, 2) + number(local + 28, 2);
    if (at > a->size || m->packed > a->size - at || m->size / DEFLATE_MOST > m->packed ||
        (m->method == STORED && m->packed != m->size))
        return bad(source, name, "is cut short or damaged");
    bool good = true;
    MIEN_TRY(mien_new(out, (size_t)m->size + 1, 1));
    if (m->method == STORED)
        memcpy(*out, a->bytes + at, m->size);
    else
        MIEN_TRY(inflate_all(a->bytes + at, m, *out, &good));
    if (good && crc32(crc32(0, NULL, 0), (const uint8_t *)*out, m->size) == m->crc) return MIEN_OK;
    return bad(source, name, "does not match its size and checksum");
}

mien_status mien_zip_member(const char *bytes, size_t size, const char *source, const char *name,
                            size_t limit, char **out, size_t *out_size) {
    archive a;
    member m, found = {0};
    bool damaged;
    *out = NULL;
    if (!open_table(bytes, size, &a))
        return MIEN_FAIL(FORMAT, "%s: the zip archive is cut short or damaged", source);
    while (next_member(&a, &m, &damaged)) {
        if (!is_named(&m, name)) continue;
        if (found.name) return bad(source, name, "exists twice");
        found = m;
    }
    if (damaged) return MIEN_FAIL(FORMAT, "%s: the zip archive's table is damaged", source);
    if (!found.name) return MIEN_FAIL(NOT_FOUND, "%s: its part '%s' is missing", source, name);
    const mien_status status = unpack(&a, &found, source, name, limit, out);
    *out_size = found.size;
    if (status == MIEN_OK) return status;
    mien_free(*out);
    *out = NULL;
    return status;
}

/* ---- writing ---- */

static void put(mien_text *out, uint32_t value, int bytes) {
    for (; bytes > 0; bytes--, value >>= 8) {
        const char byte = (char)(value & 0xff);
        mien_text_append(out, &byte, 1);
    }
}

/* The fields that a member's header and its entry in the table share: version 2.0, stored, no
 * flags, the first day of 1980, so that equal models give equal files. */
static void put_fields(mien_text *out, const struct mien_zip_written *m) {
    enum { VERSION = 20, DAY = 0x21 };
    put(out, VERSION, 2);
    put(out, 0, 2);
    put(out, STORED, 2);
    put(out, 0, 2);
    put(out, DAY, 2);
    put(out, m->crc, 4);
    put(out, (uint32_t)m->size, 4);
    put(out, (uint32_t)m->size, 4);
    put(out, (uint32_t)strlen(m->name), 2);
    put(out, 0, 2);
}

mien_status mien_zip_add(mien_zip_writer *zip, const char *name, const void *bytes, size_t size) {
    if (size >= INT32_MAX || zip->out->size >= INT32_MAX || zip->count == MIEN_ZIP_WRITTEN)
        return MIEN_FAIL(INVALID, "the model is too large for a zip archive: write it as .h5");
    struct mien_zip_written *m = &zip->members[zip->count++];
    *m = (struct mien_zip_written){name, (unsigned)crc32(crc32(0, NULL, 0), bytes, (uInt)size),
                                   size, zip->out->size};
    mien_text_append(zip->out, "PK\3\4", 4);
    put_fields(zip->out, m);
    mien_text_puts(zip->out, name);
    mien_text_append(zip->out, bytes, size);
    return zip->out->status;
}

mien_status mien_zip_end(mien_zip_writer *zip) {
    mien_text *out = zip->out;
    const size_t start = out->size;
    for (int i = 0; i < zip->count; i++) {
        mien_text_append(out, "PK\1\2", 4);
        put(out, 20, 2);
        put_fields(out, &zip->members[i]);
        put(out, 0, 4); /* no comment, disk 0 */
        put(out, 0, 2);
        put(out, 0, 4);
        put(out, (uint32_t)zip->members[i].offset, 4);
        mien_text_puts(out, zip->members[i].name);
    }
    const size_t size = out->size - start;
    mien_text_append(out, "PK\5\6", 4);
    put(out, 0, 4);
    put(out, (uint32_t)zip->count, 2);
    put(out, (uint32_t)zip->count, 2);
    put(out, (uint32_t)size, 4);
    put(out, (uint32_t)start, 4);
    put(out, 0, 2);
    return out->status;
}
