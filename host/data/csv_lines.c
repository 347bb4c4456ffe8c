#include "host/data/csv_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/mount.h"

enum { PIECE = 1 << 20 }; /* bytes a thread reads and searches at a time; fits in its cache */

/* A thread's share of a window. */
struct csv_segment {
    size_t got;
    int error;
    uint32_t *ends; /* offsets of newlines in the buffer */
    size_t count, end_capacity;
    mien_status status;
};

/* Opens a regular file; O_NONBLOCK because opening a pipe would wait for a writer. */
static mien_status open_file(const char *path, int *fd) {
    struct stat info;
    if (!mien_mount_open(path, fd)) *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        const int code = errno;
        return mien_fail(code == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                         "cannot open '%s': %s", path, strerror(code));
    }
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) return MIEN_OK;
    close(*fd);
    *fd = -1;
    return MIEN_FAIL(IO, "'%s' is not a regular file; give a .csv or .csv.gz file", path);
}

mien_status csv_lines_open(const char *path, csv_lines *l) {
    unsigned char magic[2] = {0};
    *l = (csv_lines){.path = path, .fd = -1, .threads = omp_get_max_threads()};
    MIEN_TRY(open_file(path, &l->fd));
    MIEN_TRY(mien_new(&l->pieces, (size_t)l->threads, sizeof *l->pieces));
    if (pread(l->fd, magic, sizeof magic, 0) != sizeof magic || magic[0] != 0x1f ||
        magic[1] != 0x8b)
        return MIEN_OK;
    l->file = gzdopen(l->fd, "rb");
    if (!l->file) return MIEN_FAIL(NO_MEMORY, "no memory to read '%s'", path);
    l->fd = -1; /* gzclose closes it */
    gzbuffer(l->file, PIECE);
    return MIEN_OK;
}

void csv_lines_drop(csv_lines *l) {
    for (int i = 0; l->pieces && i < l->threads; i++)
        mien_free(l->pieces[i].ends);
    mien_free(l->pieces);
    mien_free(l->buffer);
    mien_free(l->ends);
    l->pieces = NULL;
    l->buffer = NULL;
    l->ends = NULL;
}

void csv_lines_close(csv_lines *l) {
    csv_lines_drop(l);
    if (l->file) gzclose(l->file);
    if (l->fd >= 0) close(l->fd);
}

mien_status csv_too_long(const csv_lines *l, long long row) {
    return MIEN_FAIL(FORMAT, "'%s': row %lld is longer than %d bytes: this is not a csv of faces",
                     l->path, row, CSV_LINE_MAX);
}

static mien_status broken(const csv_lines *l) {
    int code = Z_ERRNO;
    const char *text = l->file ? gzerror(l->file, &code) : "";
    if (code == Z_BUF_ERROR) text = "the file is cut short";
    return MIEN_FAIL(FORMAT, "'%s': reading failed after row %lld: %s", l->path, l->row,
                     code == Z_ERRNO ? strerror(l->error) : text);
}

static void read_piece(csv_segment *piece, int fd, char *to, uint64_t offset) {
    while (piece->got < PIECE) {
        const ssize_t got =
            pread(fd, to + piece->got, PIECE - piece->got, (off_t)(offset + piece->got));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) piece->error = errno;
        if (got <= 0) return;
        piece->got += (size_t)got;
    }
}

/* Inflates until the pieces are full, in one thread. */
static void inflate_pieces(csv_lines *l) {
    bool more = true;
    for (int i = 0; i < l->threads && more; i++) {
        csv_segment *piece = &l->pieces[i];
        const int got = gzread(l->file, l->buffer + l->used + (size_t)i * PIECE, PIECE);
        int code = Z_OK;
        const int failed = errno;
        gzerror(l->file, &code);
        piece->got = got > 0 ? (size_t)got : 0;
        more = got == PIECE;
        if (!more && code != Z_OK && code != Z_STREAM_END) piece->error = failed ? failed : EIO;
    }
}

static void search_piece(csv_segment *piece, const char *buffer, size_t from) {
    const char *at = buffer + from, *end = at + piece->got;
    while (piece->status == MIEN_OK && at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        piece->status =
            mien_grow(&piece->ends, &piece->end_capacity, piece->count + 1, sizeof(uint32_t));
        if (piece->status == MIEN_OK) piece->ends[piece->count++] = (uint32_t)(at - buffer);
        at++;
    }
}

/* Joins the pieces up to the first one that is not full. */
static mien_status join_pieces(csv_lines *l) {
    for (int i = 0; i < l->threads && !l->finished; i++) {
        const csv_segment *piece = &l->pieces[i];
        if (piece->status != MIEN_OK)
            return MIEN_FAIL(NO_MEMORY, "no memory to read '%s'", l->path);
        MIEN_TRY(
            mien_grow(&l->ends, &l->end_capacity, l->count + piece->count + 1, sizeof *l->ends));
        if (piece->count) memcpy(l->ends + l->count, piece->ends, piece->count * sizeof *l->ends);
        l->count += piece->count;
        l->used += piece->got;
        l->error = piece->error;
        l->finished = piece->got < PIECE;
    }
    return MIEN_OK;
}

static mien_status fill(csv_lines *l) {
    MIEN_TRY(mien_grow(&l->buffer, &l->capacity, l->used + (size_t)l->threads * PIECE + 1, 1));
    for (int i = 0; i < l->threads; i++) {
        l->pieces[i].got = l->pieces[i].count = 0;
        l->pieces[i].error = 0;
    }
    if (l->file) inflate_pieces(l);
#pragma omp parallel for schedule(static, 1) num_threads(l->threads)
    for (int i = 0; i < l->threads; i++) {
        const size_t from = l->used + (size_t)i * PIECE;
        if (!l->file) read_piece(&l->pieces[i], l->fd, l->buffer + from, l->offset + from);
        search_piece(&l->pieces[i], l->buffer, from);
    }
    return join_pieces(l);
}

mien_status csv_lines_next(csv_lines *l) {
    const size_t consumed = l->count ? l->ends[l->count - 1] + (size_t)1 : 0;
    if (consumed < l->used) /* the last line of a file may lack a newline */
        memmove(l->buffer, l->buffer + consumed, l->used - consumed);
    l->used -= consumed < l->used ? consumed : l->used;
    l->offset += consumed;
    l->row += (long long)l->count;
    l->count = 0;
    while (l->count == 0 && !l->finished) {
        if (l->used > CSV_LINE_MAX) return csv_too_long(l, l->row + 1);
        MIEN_TRY(fill(l));
    }
    if (l->error && l->count == 0) return broken(l);
    const size_t whole = l->count ? l->ends[l->count - 1] + (size_t)1 : 0;
    if (l->finished && !l->error && whole < l->used) l->ends[l->count++] = (uint32_t)l->used;
    return MIEN_OK;
}

char *csv_line(const csv_lines *l, size_t i, size_t *length) {
    const size_t from = i ? l->ends[i - 1] + (size_t)1 : 0;
    *length = l->ends[i] - from;
    if (*length && l->buffer[l->ends[i] - 1] == '\r') (*length)--;
    return l->buffer + from;
}
