/* The members of a zip archive in memory, such as a .keras file. The archive is untrusted: sizes
 * are capped, and names are only compared, never used as paths. */
#ifndef HOST_FORMATS_ZIP_MEMBERS_H
#define HOST_FORMATS_ZIP_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"

/* Does the archive begin like a zip file and list a member of this name? */
bool mien_zip_has(const char *bytes, size_t size, const char *name);
/* Unpacks the member `name`, at most `limit` bytes of it; the caller frees *out with mien_free.
 * NOT_FOUND if there is none, FORMAT if the archive is damaged or lists the name twice, UNSUPPORTED
 * if it is encrypted or compressed in another way than by deflate. */
mien_status mien_zip_member(const char *bytes, size_t size, const char *source, const char *name,
                            size_t limit, char **out, size_t *out_size);

#endif
