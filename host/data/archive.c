#include "host/base/interrupt.h"
#include "host/data/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/base/search.h"

enum {
    HEADERS_MAX = 4000000, /* members of any kind */
    NAME_MAX_BYTES = 1000,
    BLOCK = 1 << 16,
    DESCRIPTORS_MAX = 64,
    RATIO_MAX = 200 /* an archive that unpacks to so many times its size is a bomb, …*/
};
static const size_t RATIO_FROM = (size_t)1 << 30; /* … if that is more than this */

/* What is used of libarchive's stable interface, in the order of `names`. */
enum { READ_OK = 0, READ_EOF = 1, READ_WARN = -20, TYPE_FILE = 0100000 };
typedef struct library {
    void *(*read_new)(void);
    int (*read_free)(void *archive);
    int (*zip)(void *archive);
    int (*tar)(void *archive);
    int (*gzip)(void *archive);
    int (*bzip2)(void *archive);
    int (*xz)(void *archive);
    int (*open_fd)(void *archive, int fd, size_t block);
    int (*next_header)(void *archive, void **entry);
    ssize_t (*data)(void *archive, void *to, size_t size);
    const char *(*error)(void *archive);
    const char *(*name_utf8)(void *entry);
    const char *(*name)(void *entry);
    const char *(*hardlink)(void *entry);
    unsigned (*type)(void *entry);
    int64_t (*size)(void *entry);
} library;

static const char *const names[] = {"archive_read_new",
                                    "archive_read_free",
                                    "archive_read_support_format_zip",
                                    "archive_read_support_format_tar",
                                    "archive_read_support_filter_gzip",
                                    "archive_read_support_filter_bzip2",
                                    "archive_read_support_filter_xz",
                                    "archive_read_open_fd",
                                    "archive_read_next_header",
                                    "archive_read_data",
                                    "archive_error_string",
                                    "archive_entry_pathname_utf8",
                                    "archive_entry_pathname",
                                    "archive_entry_hardlink",
                                    "archive_entry_filetype",
                                    "archive_entry_size"};
enum { FUNCTIONS = sizeof names / sizeof names[0] };
_Static_assert(sizeof(library) == FUNCTIONS * sizeof(void *), "one name for each function");

typedef struct unpacking {
    library lib;
    const char *path;
    void *archive, *entry;
    size_t budget, used; /* bytes */
    archive_files *out;
} unpacking;

bool archive_is(const char *path) {
    static const char *const suffixes[] = {".zip",     ".tar", ".tar.gz", ".tgz",
                                           ".tar.bz2", ".tbz", ".tar.xz", ".txz"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(path, suffixes[i])) return true;
    return false;
}

static mien_status damaged(const unpacking *u) {
    const char *text = u->lib.error(u->archive);
    return MIEN_FAIL(FORMAT, "the archive '%s' cannot be read: %.200s", u->path,
                     text ? text : "it is damaged");
}

static mien_status too_large(const unpacking *u) {
    return MIEN_FAIL(NO_MEMORY,
                     "'%s' unpacks to more than %.1f GB, too much to read it as an archive: unpack "
                     "it, and give the folder",
                     u->path, (double)u->budget / 1e9);
}

/* Copies the name without "." and empty parts; false if it is hidden, leads outside or is too
 * long. */
static bool clean_name(const char *name, char *out) {
    size_t used = 0;
    if (!name || *name == '/' || strlen(name) >= NAME_MAX_BYTES) return false;
    while (*name) {
        const size_t length = strcspn(name, "/\\"); /* some programs write backslashes */
        const bool same = length == 0 || (length == 1 && name[0] == '.');
        if (!same && (name[0] == '.' || strncmp(name, "__MACOSX", 8) == 0)) return false;
        if (!same) {
            if (used) out[used++] = '/';
            memcpy(out + used, name, length);
            used += length;
        }
        name += length + (name[length] != 0);
    }
    out[used] = 0;
    return used > 0;
}

/* Reads the current member to its end: its header may not tell the size, or lie about it. */
static mien_status read_bytes(unpacking *u, archive_file *file) {
    const int64_t declared = u->lib.size(u->entry);
    const size_t most = u->budget - u->used;
    size_t capacity = 0;
    if (declared > 0 && (uint64_t)declared > most) return too_large(u);
    MIEN_TRY(mien_grow_to(&file->bytes, &capacity, (declared > 0 ? (size_t)declared : 0) + 1, 1));
    for (;;) {
        if (file->size + 1 == capacity) {
            const size_t larger = capacity + capacity / 2 + BLOCK;
            if (file->size > most) return too_large(u);
            char probe; /* most members end where their header says */
            const ssize_t more = u->lib.data(u->archive, &probe, 1);
            if (more == 0) break;
            if (more < 0) return damaged(u);
            MIEN_TRY(mien_grow_to(&file->bytes, &capacity, larger, 1));
            file->bytes[file->size++] = probe;
        }
        const ssize_t got =
            u->lib.data(u->archive, file->bytes + file->size, capacity - 1 - file->size);
        if (got < 0) return damaged(u);
        if (got == 0) break;
        file->size += (size_t)got;
        if (file->size > most) return too_large(u);
    }
    file->bytes[file->size] = 0;
    u->used += file->size;
    return MIEN_OK;
}

/* Whether the file's reader opens it: it must not be copied for that, because it may be most of the
 * archive. */
static bool is_opened(const char *name) {
    static const char *const suffixes[] = {".csv", ".tsv", ".csv.gz", ".tsv.gz", ".npy", ".npz"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(name, suffixes[i])) return true;
    return false;
}

static mien_status write_block(const unpacking *u, int fd, const char *block, size_t size) {
    for (size_t used = 0; used < size;) {
        const ssize_t put = write(fd, block + used, size - used);
        if (put < 0 && errno != EINTR)
            return MIEN_FAIL(NO_MEMORY, "no memory to unpack '%s': %s", u->path, strerror(errno));
        if (put > 0) used += (size_t)put;
    }
    return MIEN_OK;
}

/* Reads the current member into a file in memory, and maps it. */
static mien_status read_to_descriptor(unpacking *u, archive_file *file) {
    const size_t most = u->budget - u->used;
    char block[BLOCK];
    for (;;) {
        const ssize_t got = u->lib.data(u->archive, block, sizeof block);
        if (got < 0) return damaged(u);
        if (got == 0) break;
        if ((size_t)got > most - file->size) return too_large(u);
        MIEN_TRY(write_block(u, file->fd, block, (size_t)got));
        file->size += (size_t)got;
    }
    u->used += file->size;
    if (!file->size) { /* nothing to map */
        close(file->fd);
        file->fd = -1;
        return mien_copy_text(&file->bytes, "");
    }
    void *bytes = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (bytes == MAP_FAILED) return MIEN_FAIL(NO_MEMORY, "no memory to unpack '%s'", u->path);
    file->bytes = bytes;
    u->out->descriptors++;
    return MIEN_OK;
}

static mien_status read_member(unpacking *u) {
    archive_files *out = u->out;
    char name[NAME_MAX_BYTES + 1];
    const char *given = u->lib.name_utf8(u->entry);
    if (!given) given = u->lib.name(u->entry); /* not UTF-8 */
    const unsigned type = u->lib.type(u->entry);
    if (type == 0040000) return MIEN_OK; /* folders are known from their files */
    if (type != TYPE_FILE || u->lib.hardlink(u->entry) || !clean_name(given, name)) {
        out->left_out++;
        return MIEN_OK;
    }
    if (out->count == out->capacity)
        MIEN_TRY(mien_grow(&out->items, &out->capacity, out->count * 2 + 64, sizeof *out->items));
    archive_file *file = &out->items[out->count++];
    *file = (archive_file){.fd = -1};
    MIEN_TRY(mien_copy_text(&file->name, name));
    if (is_opened(name) && out->descriptors < DESCRIPTORS_MAX)
        file->fd = memfd_create("mien", MFD_CLOEXEC);
    return file->fd >= 0 ? read_to_descriptor(u, file) : read_bytes(u, file);
}

static mien_status read_members(unpacking *u) {
    for (size_t headers = 0;; headers++) {
        const int code = u->lib.next_header(u->archive, &u->entry);
        if (code == READ_EOF) return MIEN_OK;
        if (code != READ_OK && code != READ_WARN) return damaged(u);
        if (headers == HEADERS_MAX)
            return MIEN_FAIL(UNSUPPORTED, "'%s' holds more than %d files: unpack it first", u->path,
                             HEADERS_MAX);
        MIEN_TRY(mien_interrupt_check(u->path));
        MIEN_TRY(read_member(u));
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const archive_file *)a)->name, ((const archive_file *)b)->name);
}

static void free_file(archive_file *file) {
    mien_free(file->name);
    if (file->fd < 0) {
        mien_free(file->bytes);
        return;
    }
    if (file->bytes) munmap(file->bytes, file->size);
    close(file->fd);
}

/* Sorts; of files of one name, one remains. */
static void sort_files(archive_files *files) {
    size_t kept = 0;
    if (files->count) qsort(files->items, files->count, sizeof *files->items, by_name);
    for (size_t i = 0; i < files->count; i++) {
        if (kept && strcmp(files->items[kept - 1].name, files->items[i].name) == 0) {
            free_file(&files->items[i]);
            files->left_out++;
        } else {
            files->items[kept++] = files->items[i];
        }
    }
    files->count = kept;
}

static mien_status open_file(const char *path, int *fd, size_t *size) {
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for a writer */
    if (*fd < 0)
        return mien_fail(errno == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                         "cannot open '%s': %s", path, strerror(errno));
    if (fstat(*fd, &info) != 0 || !S_ISREG(info.st_mode))
        return MIEN_FAIL(IO, "'%s' is not a regular file", path);
    *size = (size_t)info.st_size;
    return MIEN_OK;
}

static mien_status start(unpacking *u, int fd) {
    u->archive = u->lib.read_new();
    if (!u->archive) return MIEN_FAIL(NO_MEMORY, "no memory to read '%s'", u->path);
    u->lib.zip(u->archive);
    u->lib.tar(u->archive);
    u->lib.gzip(u->archive);
    u->lib.bzip2(u->archive);
    u->lib.xz(u->archive);
    return u->lib.open_fd(u->archive, fd, BLOCK) == READ_OK ? MIEN_OK : damaged(u);
}

/* libarchive converts names to the thread's character set, which must have all letters. */
static mien_status unpack(unpacking *u, int fd) {
    const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    const locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    mien_status status = start(u, fd);
    if (status == MIEN_OK) status = read_members(u);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    return status;
}

mien_status archive_read(const char *path, size_t budget, archive_files *out) {
    unpacking u = {.path = path, .budget = budget, .out = out};
    size_t size = 0;
    int fd = -1;
    mien_status status;
    *out = (archive_files){0};
    MIEN_GO(open_file(path, &fd, &size));
    status = mien_library_load("libarchive.so.13", "libarchive13", names, FUNCTIONS, &u.lib);
    if (status != MIEN_OK) status = mien_fail_context(status, "'%s' cannot be read", path);
    MIEN_GO(status);
    size_t most = size > SIZE_MAX / RATIO_MAX ? SIZE_MAX : size * RATIO_MAX;
    if (most < RATIO_FROM) most = RATIO_FROM;
    if (u.budget > most) u.budget = most;
    MIEN_GO(unpack(&u, fd));
    sort_files(out);
out:
    if (u.archive) u.lib.read_free(u.archive);
    if (fd >= 0) close(fd);
    return status;
}

void archive_release(archive_files *files) {
    for (size_t i = 0; i < files->count; i++)
        free_file(&files->items[i]);
    mien_free(files->items);
    *files = (archive_files){0};
}

/* ---- looking up ---- */

static int name_of_file(const void *name, const void *file) {
    return strcmp(name, ((const archive_file *)file)->name);
}

/* The index of the first name that is not before `name`. */
static size_t first_from(const archive_files *files, const char *name) {
    return mien_search(name, files->items, files->count, sizeof *files->items, name_of_file);
}

static const archive_file *find(const archive_files *files, const char *name) {
    const size_t i = first_from(files, name);
    return i < files->count && strcmp(files->items[i].name, name) == 0 ? &files->items[i] : NULL;
}

const char *archive_bytes(const void *files, const char *name, size_t *size) {
    const archive_file *file = find(files, name);
    if (!file) return NULL;
    *size = file->size;
    return file->bytes;
}

int archive_open(const void *files, const char *name) {
    const archive_file *file = find(files, name);
    char path[64];
    if (!file || file->fd < 0) return -1;
    /* not dup, which would share the position in the file */
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The names in a folder begin with `out`, "folder/"; returns its length. */
static size_t begin_of(const char *folder, char out[NAME_MAX_BYTES + 2]) {
    const int length = *folder ? snprintf(out, NAME_MAX_BYTES + 2, "%s/", folder) : 0;
    out[length ? NAME_MAX_BYTES + 1 : 0] = 0;
    return (size_t)length;
}

bool archive_has_folder(const void *context, const char *name) {
    const archive_files *files = context;
    char begin[NAME_MAX_BYTES + 2];
    const size_t length = begin_of(name, begin);
    if (!length || length > NAME_MAX_BYTES) return !length;
    const size_t i = first_from(files, begin);
    return i < files->count && strncmp(files->items[i].name, begin, length) == 0;
}

void archive_list(const void *context, const char *folder,
                  void (*visit)(void *to, const char *name, bool folder), void *to) {
    const archive_files *files = context;
    char begin[NAME_MAX_BYTES + 2], part[NAME_MAX_BYTES + 1], last[NAME_MAX_BYTES + 1] = "";
    const size_t length = begin_of(folder, begin);
    if (length > NAME_MAX_BYTES) return;
    for (size_t i = first_from(files, begin); i < files->count; i++) {
        const char *name = files->items[i].name;
        if (strncmp(name, begin, length) != 0) break;
        const size_t size = strcspn(name + length, "/");
        const bool is_folder = name[length + size] == '/';
        snprintf(part, sizeof part, "%.*s", (int)size, name + length);
        if (is_folder && strcmp(part, last) == 0) continue; /* a folder's files are neighbours */
        if (is_folder) strcpy(last, part);
        visit(to, part, is_folder);
    }
}
