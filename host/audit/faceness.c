/* Tells images without a face: an image is described by its local patterns (LBP), the strength of
 * its edges, its gray values, where its edges are and in which direction (as in HOG), and the
 * entropy of its gray values; a weighted sum says whether such an image is a face. The weights were
 * fitted once (bench/faceness.py); an audit learns nothing and reads no votes. */
#include <math.h>
#include <string.h>

#include "host/audit/audit.h"
#include "host/audit/faceness_weights.h"

enum { SIDE = MIEN_AUDIT_SIDE, PIXELS = SIDE * SIDE, INNER = SIDE - 2 };
enum { PATTERNS = 59, STRENGTHS = 10, GRAYS = 16, CELLS = 4, ANGLES = 8 };
enum { EDGES = CELLS * CELLS * ANGLES, FEATURES = PATTERNS + STRENGTHS + GRAYS + EDGES + 1 };
_Static_assert(sizeof faceness_weights == FEATURES * sizeof(float), "one weight a feature");

/* Uniform patterns, with at most two changes around the circle, have their own bin; all others
 * share the last one. */
static void pattern_bins(uint8_t *bins) {
    int next = 0;
    for (int v = 0; v < 256; v++) {
        const int turned = (v >> 1) | (v & 1) << 7;
        bins[v] =
            (uint8_t)(__builtin_popcount((unsigned)(v ^ turned)) <= 2 ? next++ : PATTERNS - 1);
    }
}

static int strength_bin(float magnitude) {
    int bin = 0;
    for (float limit = 1; bin < STRENGTHS - 1 && magnitude >= limit; limit *= 2)
        bin++;
    return bin;
}

static void describe(const uint8_t *image, const uint8_t *bins, float *out) {
    static const int dy[8] = {-1, -1, -1, 0, 1, 1, 1, 0}, dx[8] = {-1, 0, 1, 1, 1, 0, -1, -1};
    float *patterns = out, *strengths = patterns + PATTERNS, *grays = strengths + STRENGTHS;
    float *edges = grays + GRAYS, *entropy = edges + EDGES;
    int gray[256] = {0};
    float total = 0;
    memset(out, 0, FEATURES * sizeof *out);
    for (int y = 1; y <= INNER; y++)
        for (int x = 1; x <= INNER; x++) {
            const uint8_t *p = image + y * SIDE + x;
            int code = 0;
            for (int b = 0; b < 8; b++)
                code |= (p[dy[b] * SIDE + dx[b]] >= *p) << b;
            patterns[bins[code]]++;
            const float gx = (float)(p[1] - p[-1]), gy = (float)(p[SIDE] - p[-SIDE]);
            const float magnitude = sqrtf(gx * gx + gy * gy);
            strengths[strength_bin(magnitude)]++;
            float angle = atan2f(gy, gx);
            if (angle < 0) angle += (float)M_PI;
            int direction = (int)(angle / (float)M_PI * ANGLES);
            if (direction >= ANGLES) direction = 0;
            const int cell = (y - 1) * CELLS / INNER * CELLS + (x - 1) * CELLS / INNER;
            edges[cell * ANGLES + direction] += magnitude;
            total += magnitude;
        }
    for (int i = 0; i < PATTERNS + STRENGTHS; i++)
        out[i] = sqrtf(out[i] / (INNER * INNER));
    for (int i = 0; i < EDGES; i++)
        edges[i] = sqrtf(edges[i] / fmaxf(total, 1));
    for (int i = 0; i < PIXELS; i++)
        gray[image[i]]++;
    for (int v = 0; v < 256; v++) {
        const float share = (float)gray[v] / PIXELS;
        grays[v / 16] += share;
        if (gray[v]) *entropy -= share * log2f(share);
    }
    for (int i = 0; i < GRAYS; i++)
        grays[i] = sqrtf(grays[i]);
}

void mien_faceness(const uint8_t *pixels, size_t count, float *out) {
    uint8_t bins[256];
    pattern_bins(bins);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        float features[FEATURES], sum = faceness_bias;
        describe(pixels + i * PIXELS, bins, features);
        for (int k = 0; k < FEATURES; k++)
            sum += faceness_weights[k] * features[k];
        out[i] = sum;
    }
}
