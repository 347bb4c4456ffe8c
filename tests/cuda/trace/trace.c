/* Counts the bytes of device memory that a kernel touches. Its module has the kernels compiled with
 * -fsanitize=thread, which calls a function before every access; here these functions are not the
 * race detector's but mark the bytes, so that one read by many threads counts once. Partial sums in
 * the workspace of own kernels are left out: some hundred KB that a second kernel reads at once,
 * from the cache. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/launch.h"
#include "tests/cuda/fake/cost.h"
#include "tests/cuda/fake/runtime.h"

enum { READ, WRITTEN, WAYS, AREAS = 256, HINTS = 64, WORD = 64, STRIDE = 32 };

/* A block of device memory with a bit for each of its bytes. */
typedef struct area {
    uintptr_t begin;
    size_t bytes;
    uint64_t *marks[WAYS];
    size_t low, high; /* words that have marks: low … high - 1 */
} area;

static area areas[AREAS]; /* in the order of their addresses */
static area *hints[HINTS];
static int count;
static uint64_t changes; /* allocations when the areas were made */
static bool tracing;

static void *zeros(size_t words) {
    void *made = calloc(words, sizeof(uint64_t));
    if (!made) abort();
    return made;
}

static void add_area(void *context, const void *data, size_t bytes) {
    (void)context;
    if (bytes == CUDA_WORKSPACE_TOTAL) return;
    if (count == AREAS) abort();
    const size_t words = bytes / WORD + 2; /* an access may reach into the next word */
    areas[count++] =
        (area){(uintptr_t)data, bytes, {zeros(words), zeros(words)}, .low = SIZE_MAX, .high = 0};
}

static void begin(void) {
    const uint64_t now = fake_counters()->mallocs + fake_counters()->frees;
    if (now != changes) {
        for (; count > 0; count--)
            for (int way = 0; way < WAYS; way++)
                free(areas[count - 1].marks[way]);
        memset(hints, 0, sizeof hints);
        fake_each_block(add_area, NULL);
        changes = now;
    }
    tracing = true;
}

static int64_t end(void) {
    int64_t bytes = 0;
    tracing = false;
    for (area *a = areas; a < areas + count; a++) {
        for (int way = 0; way < WAYS; way++)
            for (size_t i = a->low; i < a->high; i++) {
                bytes += __builtin_popcountll(a->marks[way][i]);
                a->marks[way][i] = 0;
            }
        a->low = SIZE_MAX;
        a->high = 0;
    }
    return bytes;
}

static const fake_tracer tracer = {begin, end};

__attribute__((constructor)) static void install(void) {
    fake_trace = &tracer;
}

static area *search(uintptr_t at) {
    int low = 0, high = count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (areas[middle].begin <= at)
            low = middle + 1;
        else
            high = middle;
    }
    area *a = low > 0 ? &areas[low - 1] : NULL;
    return a && at - a->begin < a->bytes ? a : NULL;
}

/* The area of an address; most are found where one of the same megabyte was. */
static inline area *area_of(uintptr_t at) {
    area **hint = &hints[(at >> 20) % HINTS];
    if (*hint && at - (*hint)->begin < (*hint)->bytes) return *hint;
    area *a = search(at);
    if (a) *hint = a;
    return a;
}

/* At most STRIDE bytes. */
static inline void mark(const void *data, size_t bytes, int way) {
    area *a = area_of((uintptr_t)data);
    if (!a) return; /* a stack, shared memory, the workspace */
    const size_t from = (uintptr_t)data - a->begin, word = from / WORD, shift = from % WORD;
    const uint64_t bits = ((uint64_t)1 << bytes) - 1;
    a->marks[way][word] |= bits << shift;
    if (shift + bytes > WORD) a->marks[way][word + 1] |= bits >> (WORD - shift);
    if (word < a->low) a->low = word;
    if (word + 2 > a->high) a->high = word + 2;
}

static void mark_range(const void *data, size_t bytes, int way) {
    for (size_t i = 0; tracing && i < bytes; i += STRIDE)
        mark((const char *)data + i, bytes - i < STRIDE ? bytes - i : STRIDE, way);
}

/* ---- what the compiler calls ---- */

#define ACCESS(name, bytes)                                                                        \
    void __tsan_read##name(void *at);                                                              \
    void __tsan_write##name(void *at);                                                             \
    void __tsan_read##name(void *at) {                                                             \
        if (tracing) mark(at, bytes, READ);                                                        \
    }                                                                                              \
    void __tsan_write##name(void *at) {                                                            \
        if (tracing) mark(at, bytes, WRITTEN);                                                     \
    }
ACCESS(1, 1)
ACCESS(2, 2)
ACCESS(4, 4)
ACCESS(8, 8)
ACCESS(16, 16)

void __tsan_read_range(void *at, size_t bytes);
void __tsan_write_range(void *at, size_t bytes);
void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *at, size_t bytes) {
    mark_range(at, bytes, READ);
}
void __tsan_write_range(void *at, size_t bytes) {
    mark_range(at, bytes, WRITTEN);
}
void __tsan_init(void) {}
void __tsan_func_entry(void *caller) {
    (void)caller;
}
void __tsan_func_exit(void) {}
