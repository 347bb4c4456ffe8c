/* The zip archives that numpy.savez and savez_compressed write: a table at the end lists the
 * members, each stored or deflated. */
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/npy_file.h"

enum {
    END = 22, /* bytes of the record after the table, without its comment */
    END_SEARCH = END + 65535,
    ENTRY = 46,
    LOCAL = 30,
    DEFLATE_MOST = 1032, /* bytes that one deflated byte can become, at most */
    TABLE_MAX = 16 << 20,
    BLOCK = 1 << 16,
};

static uint32_t number(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static mien_status damaged(const char *path) {
    return MIEN_FAIL(FORMAT, "'%s' is not a zip archive of NumPy arrays, or is cut short", path);
}

/* Finds the record that locates the table. */
static mien_status find_end(const npz_file *file, uint8_t end[END]) {
    const size_t capacity = file->size < END_SEARCH ? (size_t)file->size : END_SEARCH;
    uint8_t *tail = NULL;
    mien_status status;
    if (file->size == 0) return MIEN_FAIL(FORMAT, "'%s' is empty (0 bytes)", file->path);
    if (capacity < END) return damaged(file->path);
    MIEN_TRY(mien_new(&tail, capacity, 1));
    MIEN_GO(npy_pread(file->path, file->fd, file->size - capacity, capacity, tail));
    for (size_t at = capacity - END + 1; at-- > 0;)
        if (memcmp(tail + at, "PK\5\6", 4) == 0) {
            memcpy(end, tail + at, END);
            goto out;
        }
    status = damaged(file->path);
out:
    mien_free(tail);
    return status;
}

/* Appends one entry of the table to file->entries; entries that are not .npy are skipped. */
static mien_status read_entry(npz_file *file, const uint8_t *entry) {
    static const char suffix[] = ".npy";
    const size_t length = number(entry + 28, 2), stem = length - 4;
    const uint8_t *name = entry + ENTRY;
    const uint32_t method = number(entry + 10, 2);
    npz_entry *e = &file->entries[file->count];
    if (length < 5 || memcmp(name + stem, suffix, 4) != 0 || stem >= sizeof e->name) return MIEN_OK;
    memcpy(e->name, name, stem);
    e->name[stem] = 0;
    e->crc = number(entry + 16, 4);
    e->packed = number(entry + 20, 4);
    e->size = number(entry + 24, 4);
    e->offset = number(entry + 42, 4);
    e->deflated = method == 8;
    file->count++;
    if (number(entry + 8, 2) & 1 || (method != 0 && method != 8))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s': '%s' is encrypted or compressed with an unsupported method",
                         file->path, e->name);
    /* ZIP64: the size is stored elsewhere; Python's zipfile writes this from 2 GB on */
    if (e->packed == UINT32_MAX || e->size == UINT32_MAX || e->offset == UINT32_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s': '%s' is above 2 GB: save the arrays as separate .npy files",
                         file->path, e->name);
    return MIEN_OK;
}

static mien_status read_table(npz_file *file, const uint8_t *table, size_t size, size_t count) {
    MIEN_TRY(mien_new(&file->entries, count, sizeof *file->entries));
    for (size_t at = 0; count > 0; count--) {
        const uint8_t *entry = table + at;
        if (size - at < ENTRY || memcmp(entry, "PK\1\2", 4) != 0) return damaged(file->path);
        const size_t length =
            (size_t)ENTRY + number(entry + 28, 2) + number(entry + 30, 2) + number(entry + 32, 2);
        if (size - at < length) return damaged(file->path);
        MIEN_TRY(read_entry(file, entry));
        at += length;
    }
    return MIEN_OK;
}

mien_status npz_open(const char *path, npz_file *out) {
    uint8_t end[END], *table = NULL;
    mien_status status;
    *out = (npz_file){.path = path, .fd = -1};
    MIEN_TRY(npy_open_file(path, &out->fd, &out->size));
    MIEN_TRY(find_end(out, end));
    const size_t count = number(end + 10, 2), size = number(end + 12, 4);
    const uint64_t offset = number(end + 16, 4);
    if (offset == UINT32_MAX)
        return MIEN_FAIL(UNSUPPORTED, "'%s' is above 4 GB: save the arrays as .npy files", path);
    if (offset > out->size || size > out->size - offset || size > TABLE_MAX || count > size / ENTRY)
        return damaged(path);
    MIEN_TRY(mien_new(&table, size + 1, 1));
    MIEN_GO(npy_pread(path, out->fd, offset, size, table));
    MIEN_GO(read_table(out, table, size, count));
out:
    mien_free(table);
    return status;
}

void npz_close(npz_file *file) {
    if (file->path && file->fd >= 0) close(file->fd);
    mien_free(file->entries);
    *file = (npz_file){.fd = -1};
}

const npz_entry *npz_find(const npz_file *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

static mien_status inflate_all(const npy_array *a, const uint8_t *packed, const npz_entry *entry) {
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)packed,
                  .avail_in = (uInt)entry->packed,
                  .next_out = a->bytes,
                  .avail_out = (uInt)entry->size};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return MIEN_FAIL(NO_MEMORY, "no memory to unpack '%s'", a->name);
    const int code = inflate(&z, Z_FINISH);
    const uLong got = z.total_out;
    inflateEnd(&z);
    if (code == Z_STREAM_END && got == entry->size &&
        crc32(crc32(0, NULL, 0), a->bytes, (uInt)entry->size) == entry->crc)
        return MIEN_OK;
    return MIEN_FAIL(FORMAT,
                     "'%s' is damaged: its data does not match the archive's size and checksum",
                     a->name);
}

static mien_status unpack(npy_array *a, uint64_t offset, const npz_entry *entry) {
    uint8_t *packed = NULL;
    mien_status status;
    const uint64_t need = entry->packed + entry->size;
    if (entry->size / DEFLATE_MOST > entry->packed)
        return MIEN_FAIL(FORMAT, "'%s' is damaged: %llu bytes cannot become %llu", a->name,
                         (unsigned long long)entry->packed, (unsigned long long)entry->size);
    if (need > mien_memory_available() / 2)
        return MIEN_FAIL(NO_MEMORY,
                         "'%s' takes %llu MB to unpack, more than half of the free memory: write "
                         "it with numpy.savez, so that it can be streamed",
                         a->name, (unsigned long long)need >> 20);
    MIEN_TRY(mien_new(&packed, entry->packed + 1, 1));
    MIEN_GO(npy_pread(a->name, a->fd, offset, entry->packed, packed));
    MIEN_GO(mien_new(&a->bytes, entry->size + 1, 1));
    MIEN_GO(inflate_all(a, packed, entry));
out:
    mien_free(packed);
    return status;
}

/* A stored member is later read from the archive directly: its checksum is verified once, here. */
static mien_status check_stored(const npy_array *a, uint64_t offset, const npz_entry *entry) {
    uint8_t block[BLOCK];
    uLong crc = crc32(0, NULL, 0);
    for (uint64_t used = 0; used < entry->size;) {
        const uint64_t rest = entry->size - used;
        const size_t size = rest < BLOCK ? (size_t)rest : BLOCK;
        MIEN_TRY(npy_pread(a->name, a->fd, offset + used, size, block));
        crc = crc32(crc, block, (uInt)size);
        used += size;
    }
    return crc == entry->crc ? MIEN_OK
                             : MIEN_FAIL(FORMAT,
                                         "'%s' is damaged: its checksum does not match the "
                                         "archive's: copy or write it again",
                                         a->name);
}

static mien_status open_member(const npz_file *file, const npz_entry *entry, npy_array *a) {
    uint8_t local[LOCAL];
    mien_text name = {0};
    mien_text_printf(&name, "%s:%s", file->path, entry->name);
    if (name.status == MIEN_OK) name.status = mien_copy_text(&a->name, name.data);
    const mien_status status = name.status;
    mien_text_release(&name);
    MIEN_TRY(status);
    a->fd = dup(file->fd);
    if (a->fd < 0) return MIEN_FAIL(IO, "too many files are open to read '%s'", a->name);
    if (entry->offset > file->size || file->size - entry->offset < LOCAL)
        return damaged(file->path);
    MIEN_TRY(npy_pread(a->name, a->fd, entry->offset, LOCAL, local));
    if (memcmp(local, "PK\3\4", 4) != 0) return damaged(file->path);
    const uint64_t offset = entry->offset + LOCAL + number(local + 26, 2) + number(local + 28, 2);
    if (offset > file->size || entry->packed > file->size - offset ||
        (!entry->deflated && entry->packed != entry->size))
        return damaged(file->path);
    if (!entry->deflated) {
        MIEN_TRY(check_stored(a, offset, entry));
        return npy_start(a, offset, entry->size);
    }
    MIEN_TRY(unpack(a, offset, entry));
    return npy_start(a, 0, entry->size);
}

mien_status npz_member(const npz_file *file, const npz_entry *entry, npy_array *out) {
    *out = (npy_array){.fd = -1};
    const mien_status status = open_member(file, entry, out);
    if (status != MIEN_OK) npy_close(out);
    return status;
}
