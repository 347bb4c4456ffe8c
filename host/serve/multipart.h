/* The field `image` of a multipart/form-data body (RFC 7578), found without copying anything. */
#ifndef HOST_SERVE_MULTIPART_H
#define HOST_SERVE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

enum { MULTIPART_BOUNDARY = 70, MULTIPART_NAME = 128, MULTIPART_PARTS = 32 };

typedef struct multipart_file {
    const char *data; /* points into the body */
    size_t size;
    char name[MULTIPART_NAME]; /* its file name without folders, or "" */
} multipart_file;

/* Whether a Content-Type is multipart/form-data. */
bool multipart_is(const char *type);
/* NULL and *out, or what is wrong with the body, as a static message. */
const char *multipart_find(const char *type, const char *body, size_t size, multipart_file *out);

#endif
