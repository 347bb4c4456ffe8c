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
/* The same to exactly `items`, for arrays whose growth the caller decides. */
mien_status mien_grow_to(void *block, size_t *capacity, size_t items, size_t size);
/* A copy of a string; NULL stays NULL. */
mien_status mien_copy_text(char **out, const char *text);
void mien_free(void *block);

/* Bytes that this process may still take: free memory of the machine, what its cgroup and the
 * groups above allow, its own limit on address space. */
size_t mien_memory_available(void);

/* Allocations made so far by this process through this file. */
uint64_t mien_allocation_count(void);
/* The most memory that this process has held so far, in bytes; 0 when the system does not tell. */
uint64_t mien_peak_memory(void);

#endif
