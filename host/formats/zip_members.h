/* The members of a zip archive in memory, such as a .keras file. The archive is untrusted: sizes
 * are capped, and names are only compared, never used as paths. */
#ifndef HOST_FORMATS_ZIP_MEMBERS_H
#define HOST_FORMATS_ZIP_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/text.h"

/* Does the archive begin like a zip file and list a member of this name? */
bool mien_zip_has(const char *bytes, size_t size, const char *name);
/* Unpacks the member `name`, at most `limit` bytes of it; the caller frees *out with mien_free.
 * NOT_FOUND if there is none, FORMAT if the archive is damaged or lists the name twice, UNSUPPORTED
 * if it is encrypted or compressed in another way than by deflate. */
mien_status mien_zip_member(const char *bytes, size_t size, const char *source, const char *name,
                            size_t limit, char **out, size_t *out_size);

/* Writing: members are stored in order; mien_zip_end writes the table. At most MIEN_ZIP_WRITTEN. */
enum { MIEN_ZIP_WRITTEN = 4 };
typedef struct mien_zip_writer {
    mien_text *out;
    int count;
    struct mien_zip_written {
        const char *name; /* must outlive the writer */
        unsigned crc;
        size_t size, offset;
    } members[MIEN_ZIP_WRITTEN];
} mien_zip_writer;
/* INVALID for more than 4 GB in all. */
mien_status mien_zip_add(mien_zip_writer *zip, const char *name, const void *bytes, size_t size);
mien_status mien_zip_end(mien_zip_writer *zip);

#endif
