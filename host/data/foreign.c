/* Data sets in formats of other software, which are not read: recognised by their first bytes (or,
 * where these say nothing, by the ending), so that the message can name the format and the cure. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/text.h"
#include "host/data/listing.h"
#include "host/data/npy_file.h"
#include "host/data/source.h"

enum { HEAD = 520 };

static const char arrays[] =
    "load it in Python and write numpy.savez(\"data.npz\", x_train=images, y_train=labels)";
static const char pictures[] = "write its images as files, one folder per class, or as an .npz";
static const char table[] = "save it as csv (in UTF-8)";

static const struct {
    size_t at;
    const char *bytes; /* NULL: the ending alone */
    size_t length;
    const char *ending; /* NULL: any */
    const char *what, *cure;
} formats[] = {
    {0, "MATLAB ", 7, NULL, "a MATLAB .mat file", arrays},
    {0, "\x89HDF\r\n\x1a\n", 8, ".mat", "a MATLAB .mat file", arrays},
    {0, "\x89HDF\r\n\x1a\n", 8, NULL, "an HDF5 file", arrays},
    {512, "\x89HDF\r\n\x1a\n", 8, NULL, "an HDF5 file", arrays},
    {0, "PAR1", 4, NULL, "a Parquet file", pictures},
    {0, "ARROW1", 6, NULL, "an Arrow file", pictures},
    {0, "SQLite format 3", 15, NULL, "an SQLite database", pictures},
    {0, "PK\3\4", 4, ".xlsx", "an Excel file", table},
    {0, "\xd0\xcf\x11\xe0", 4, NULL, "an Excel file of the old format", table},
    {0, "\x80", 1, ".pkl", "a Python pickle", arrays},
    {0, "\x80", 1, ".pickle", "a Python pickle", arrays},
    {0, "PK\3\4", 4, ".pt", "a PyTorch file", arrays},
    {0, "PK\3\4", 4, ".pth", "a PyTorch file", arrays},
    {0, NULL, 0, ".tfrecord", "a TFRecord file", pictures},
    {0, NULL, 0, ".tfrecords", "a TFRecord file", pictures},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

/* The index of the file's format in the table, or -1. */
static int format_of(const char *path) {
    uint8_t head[HEAD];
    uint64_t size = 0;
    int fd = -1;
    if (npy_open_file(path, &fd, &size) != MIEN_OK) return -1;
    const size_t length = size < HEAD ? (size_t)size : HEAD;
    const mien_status status = npy_pread(path, fd, 0, length, head);
    close(fd);
    for (int i = 0; i < FORMATS && status == MIEN_OK; i++)
        if (formats[i].at + formats[i].length <= length &&
            (!formats[i].bytes ||
             memcmp(head + formats[i].at, formats[i].bytes, formats[i].length) == 0) &&
            (!formats[i].ending || mien_path_ends(path, formats[i].ending)))
            return i;
    return -1;
}

/* A file of such a format, in a folder the first one; false if there is none, or if the folder also
 * has folders or pictures, which are read. */
static bool find_foreign(const char *source, char *path, int *format) {
    listing inner = {0};
    bool other;
    if (!mien_is_folder(source)) {
        snprintf(path, MIEN_PATH, "%s", source);
        *format = format_of(path);
        return *format >= 0;
    }
    other = listing_folders(source, &inner) != MIEN_OK || inner.count;
    listing_release(&inner);
    other = other || listing_pictures(source, &inner) != MIEN_OK || inner.count;
    listing_release(&inner);
    *format = -1;
    if (!other && listing_files(source, NULL, &inner) == MIEN_OK)
        for (size_t i = 0; i < inner.count && *format < 0; i++)
            if (mien_path_join(path, source, inner.names[i]) == MIEN_OK) *format = format_of(path);
    listing_release(&inner);
    return *format >= 0;
}

static bool accepts(const char *source) {
    char path[MIEN_PATH];
    int format;
    return find_foreign(source, path, &format);
}

static mien_status open_foreign(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    char path[MIEN_PATH];
    int format;
    (void)on_bad, (void)set;
    if (!find_foreign(source, path, &format))
        return MIEN_FAIL(NOT_FOUND, "'%s' was changed while it was opened", source);
    return MIEN_FAIL(UNSUPPORTED, "'%s' is %s, which is not read as data: %s", path,
                     formats[format].what, formats[format].cure);
}

/* Never called: opening fails. */
static mien_status read_foreign(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                                uint8_t *pixels) {
    (void)i, (void)buffer, (void)pixels;
    return MIEN_FAIL(UNSUPPORTED, "'%s' is not read", set->source);
}

static void close_foreign(mien_dataset *set) {
    (void)set; /* nothing is open */
}

const mien_source_def mien_source_foreign = {
    "a folder of pictures", accepts, open_foreign, read_foreign, close_foreign, NULL, NULL};
