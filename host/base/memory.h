/* Host memory: overflow-checked, counted allocation. The count lets a test prove that a training
 * step allocates nothing. */
#ifndef HOST_BASE_MEMORY_H
#define HOST_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { MIEN_ALIGN = 64 };

/* Zeroed memory for count x size bytes; *out is NULL on failure. Free with mien_free. */
mien_status mien_new(void *out, size_t count, size_t size);
/* Memory aligned to MIEN_ALIGN bytes, contents undefined. Free with mien_free. */
mien_status mien_new_aligned(void *out, size_t bytes);
/* Grows a block so that it holds `need` items of `size` bytes; *capacity is in items. */
mien_status mien_grow(void *block, size_t *capacity, size_t need, size_t size);
/* Resizes a block to exactly `items` items, for callers with their own growth policy. */
mien_status mien_grow_to(void *block, size_t *capacity, size_t items, size_t size);
/* A copy of a string; NULL stays NULL. */
mien_status mien_copy_text(char **out, const char *text);
void mien_free(void *block);

/* Bytes this process may still allocate: the minimum of the machine's available memory, what its
 * cgroup and that cgroup's ancestors have left, and the limit on address space. */
size_t mien_memory_available(void);

/* Allocations made so far by this process through this file. */
uint64_t mien_allocation_count(void);
/* Peak resident memory of this process in bytes; 0 when unknown. */
uint64_t mien_peak_memory(void);

#endif
