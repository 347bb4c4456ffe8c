#include "host/base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static atomic_uint_fast64_t allocations;

uint64_t mien_allocation_count(void) {
    return atomic_load(&allocations);
}

static mien_status out_of_memory(size_t count, size_t size) {
    return MIEN_FAIL(NO_MEMORY, "out of memory: cannot allocate %zu x %zu bytes", count, size);
}

mien_status mien_new(void *out, size_t count, size_t size) {
    void *block = calloc(count ? count : 1, size ? size : 1);
    atomic_fetch_add(&allocations, 1);
    memcpy(out, &block, sizeof block);
    return block ? MIEN_OK : out_of_memory(count, size);
}

/* Large blocks request huge pages: convolutions walk dozens of planes at once, more than the TLB
 * covers with small pages. Linux grants huge pages only on request (madvise). */
enum { HUGE_PAGE = 2 << 20, LARGE = 4 << 20 };

mien_status mien_new_aligned(void *out, size_t bytes) {
    void *block = NULL;
    const size_t align = bytes >= LARGE ? HUGE_PAGE : MIEN_ALIGN;
    const size_t capacity = bytes > SIZE_MAX - align ? 0 : (bytes + align - 1) / align;
    atomic_fetch_add(&allocations, 1);
    if (bytes == 0 || capacity) block = aligned_alloc(align, capacity ? capacity * align : align);
    if (block && align == HUGE_PAGE) madvise(block, capacity * align, MADV_HUGEPAGE);
    memcpy(out, &block, sizeof block);
    return block ? MIEN_OK : out_of_memory(1, bytes);
}

mien_status mien_grow(void *block, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return MIEN_OK;
    size_t items = *capacity ? *capacity : 16;
    while (items < need) {
        if (items > SIZE_MAX / 2) return out_of_memory(need, size);
        items *= 2;
    }
    return mien_grow_to(block, capacity, items, size);
}

mien_status mien_grow_to(void *block, size_t *capacity, size_t items, size_t size) {
    if (items > SIZE_MAX / size) return out_of_memory(items, size);
    void *old;
    memcpy(&old, block, sizeof old);
    void *grown = realloc(old, items * size);
    atomic_fetch_add(&allocations, 1);
    if (!grown) return out_of_memory(items, size);
    memcpy(block, &grown, sizeof grown);
    *capacity = items;
    return MIEN_OK;
}

mien_status mien_copy_text(char **out, const char *text) {
    *out = NULL;
    if (!text) return MIEN_OK;
    const size_t bytes = strlen(text) + 1;
    MIEN_TRY(mien_new(out, bytes, 1));
    memcpy(*out, text, bytes);
    return MIEN_OK;
}

void mien_free(void *block) {
    free(block);
}

uint64_t mien_peak_memory(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
