/* Looking up in sorted arrays. */
#ifndef HOST_BASE_SEARCH_H
#define HOST_BASE_SEARCH_H

#include <stddef.h>

/* The index of the first of `count` sorted items of `size` bytes that does not come before `key`;
 * `count` if all do. `order` compares the key with an item, as for bsearch, which finds any of
 * several equal items. */
size_t mien_search(const void *key, const void *items, size_t count, size_t size,
                   int (*order)(const void *key, const void *item));

#endif
