/* Identical and nearly identical images. Identical ones are sorted next to each other. For the
 * others every pair of 64-bit perceptual hashes is compared, which takes a second for 30,000
 * images, and pairs that are close are compared by their pixels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/audit/audit.h"
#include "host/base/interrupt.h"
#include "host/base/memory.h"

enum { SIDE = MIEN_AUDIT_SIDE, PIXELS = SIDE * SIDE, SMALL = 16, SMALL_PIXELS = SMALL * SMALL };
enum { HASH_BITS_APART = 7 };
static const float correlation_least = 0.985F; /* of the 16x16 images of a near pair */

typedef struct sorted {
    const uint8_t *pixels;
    uint32_t index;
} sorted;

static int by_pixels(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    const int order = memcmp(x->pixels, y->pixels, PIXELS);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static mien_status find_exact(const uint8_t *pixels, size_t count, uint32_t *first) {
    sorted *list;
    MIEN_TRY(mien_new(&list, count, sizeof *list));
    for (size_t i = 0; i < count; i++)
        list[i] = (sorted){pixels + i * PIXELS, (uint32_t)i};
    qsort(list, count, sizeof *list, by_pixels);
    for (size_t i = 0, start = 0; i < count; i++) {
        if (memcmp(list[i].pixels, list[start].pixels, PIXELS) != 0) start = i;
        first[list[i].index] = list[start].index;
    }
    mien_free(list);
    return MIEN_OK;
}

/* What near pairs are compared by: 16x16 means, shifted and scaled to mean 0 and length 1, so that
 * brightness and contrast do not matter; and which of the lowest 8x8 frequencies are above their
 * median. An image with hardly any contrast is like every other such image, so it gets no hash. */
typedef struct prints {
    float (*small)[SMALL_PIXELS];
    uint64_t *hash;
    bool *plain;
} prints;

static void shrink(const uint8_t *pixels, float *out, bool *plain) {
    enum { CELL = SIDE / SMALL };
    double mean = 0, length = 0;
    for (int y = 0; y < SMALL; y++)
        for (int x = 0; x < SMALL; x++) {
            int sum = 0;
            for (int k = 0; k < CELL * CELL; k++)
                sum += pixels[(y * CELL + k / CELL) * SIDE + x * CELL + k % CELL];
            out[y * SMALL + x] = (float)sum / (CELL * CELL);
            mean += out[y * SMALL + x] / SMALL_PIXELS;
        }
    for (int i = 0; i < SMALL_PIXELS; i++) {
        out[i] -= (float)mean;
        length += (double)out[i] * out[i];
    }
    length = sqrt(length);
    *plain = length < 4 * SMALL; /* a std of 4 */
    for (int i = 0; i < SMALL_PIXELS && !*plain; i++)
        out[i] /= (float)length;
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static uint64_t hash_of(const float *small, float (*cosine)[SMALL]) {
    float rows[SMALL][8], f[64], ordered[64];
    for (int y = 0; y < SMALL; y++)
        for (int u = 0; u < 8; u++) {
            rows[y][u] = 0;
            for (int x = 0; x < SMALL; x++)
                rows[y][u] += small[y * SMALL + x] * cosine[u][x];
        }
    for (int v = 0; v < 8; v++)
        for (int u = 0; u < 8; u++) {
            f[v * 8 + u] = 0;
            for (int y = 0; y < SMALL; y++)
                f[v * 8 + u] += rows[y][u] * cosine[v][y];
        }
    memcpy(ordered, f, sizeof f);
    qsort(ordered, 64, sizeof *ordered, ascending);
    const float median = (ordered[31] + ordered[32]) / 2;
    uint64_t hash = 0;
    for (int i = 0; i < 64; i++)
        hash |= (uint64_t)(f[i] > median) << i;
    return hash;
}

static void make_prints(const uint8_t *pixels, size_t count, prints *p) {
    float cosine[8][SMALL];
    for (int u = 0; u < 8; u++)
        for (int x = 0; x < SMALL; x++)
            cosine[u][x] = (float)cos(M_PI * (u + 0.0) * (x + 0.5) / SMALL);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        shrink(pixels + i * PIXELS, p->small[i], &p->plain[i]);
        p->hash[i] = p->plain[i] ? 0 : hash_of(p->small[i], cosine);
    }
}

static bool is_near(const prints *p, size_t a, size_t b) {
    float sum = 0;
    for (int k = 0; k < SMALL_PIXELS; k++)
        sum += p->small[a][k] * p->small[b][k];
    return sum >= correlation_least;
}

static uint32_t root(uint32_t *first, uint32_t i) {
    while (first[i] != i)
        i = first[i] = first[first[i]];
    return i;
}

static void join(uint32_t *first, uint32_t a, uint32_t b) {
    a = root(first, a);
    b = root(first, b);
    first[a > b ? a : b] = a > b ? b : a; /* the least is the first */
}

/* Adds to `first`, which has the exact groups. Joining does not depend on the order of pairs. */
static mien_status find_near(const mien_dataset *set, const uint8_t *pixels, uint32_t *first) {
    const size_t count = set->count;
    prints p = {0};
    mien_status status;
    MIEN_GO(mien_new(&p.small, count, sizeof *p.small));
    MIEN_GO(mien_new(&p.hash, count, sizeof *p.hash));
    MIEN_GO(mien_new(&p.plain, count, sizeof *p.plain));
    make_prints(pixels, count, &p);
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t a = 0; a < count; a++) {
        if (p.plain[a] || mien_interrupt_check(set->source) != MIEN_OK) continue;
        for (size_t b = a + 1; b < count; b++) {
            if (__builtin_popcountll(p.hash[a] ^ p.hash[b]) > HASH_BITS_APART || p.plain[b])
                continue;
            if (!is_near(&p, a, b)) continue;
#pragma omp critical(mien_alike)
            join(first, (uint32_t)a, (uint32_t)b);
        }
    }
    for (size_t i = 0; i < count; i++)
        first[i] = root(first, (uint32_t)i);
    status = mien_interrupt_check(set->source);
out:
    mien_free(p.small);
    mien_free(p.hash);
    mien_free(p.plain);
    return status;
}

/* seen[group] gets a bit for each part that has it, and one from `BIT` on for a second image. */
enum { BIT = 8, CONFLICT = 128 };
static void count_groups(const mien_dataset *set, mien_alike *alike, uint8_t *seen) {
    for (size_t i = 0; i < set->count; i++) {
        const uint32_t g = alike->first[i];
        const int part = set->part[i];
        const uint8_t bit = (uint8_t)(1 << part), second = (uint8_t)(BIT << part);
        if (seen[g] & bit) {
            alike->surplus[part]++;
            if (!(seen[g] & second)) alike->groups[part]++;
            seen[g] |= second;
        }
        seen[g] |= bit;
        if (g == i) continue;
        alike->surplus[MIEN_PARTS]++;
        if (set->labels[i] != set->labels[g] && !(seen[g] & CONFLICT)) {
            seen[g] |= CONFLICT;
            alike->conflicts++;
        }
    }
    for (size_t i = 0; i < set->count; i++)
        for (int b = 0; b < MIEN_PARTS; b++)
            if (b != set->part[i] && seen[alike->first[i]] >> b & 1)
                alike->leaks[set->part[i]][b]++;
}

static mien_status count_all(const mien_dataset *set, mien_alike *alike) {
    uint8_t *seen;
    MIEN_TRY(mien_new(&seen, set->count, 1));
    count_groups(set, alike, seen);
    memset(seen, 0, set->count);
    for (size_t i = 0; i < set->count; i++)
        if (alike->first[i] != i && !seen[alike->first[i]]) {
            seen[alike->first[i]] = 1;
            alike->groups[MIEN_PARTS]++;
        }
    mien_free(seen);
    return MIEN_OK;
}

mien_status mien_alike_find(const mien_dataset *set, const uint8_t *pixels, mien_alike *exact,
                            mien_alike *near) {
    MIEN_TRY(mien_new(&exact->first, set->count, sizeof *exact->first));
    MIEN_TRY(mien_new(&near->first, set->count, sizeof *near->first));
    MIEN_TRY(find_exact(pixels, set->count, exact->first));
    memcpy(near->first, exact->first, set->count * sizeof *near->first);
    MIEN_TRY(find_near(set, pixels, near->first));
    MIEN_TRY(count_all(set, exact));
    return count_all(set, near);
}
