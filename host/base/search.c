#include "host/base/search.h"

size_t mien_search(const void *key, const void *items, size_t count, size_t size,
                   int (*order)(const void *key, const void *item)) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (order(key, (const char *)items + middle * size) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
