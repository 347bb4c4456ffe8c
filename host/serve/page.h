/* The files of the page and the description of the API, which are part of the program. */
#ifndef HOST_SERVE_PAGE_H
#define HOST_SERVE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct page_file {
    const char *type;
    const void *data;
    size_t size;
} page_file;

/* False: there is no such file. */
bool page_find(const char *path, size_t length, page_file *out);

#endif
