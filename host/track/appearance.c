#include "host/track/track.h"

#include <math.h>

#include "host/track/patch.h"

/* A look has three parts, all measured in a patch that holds the face, some hair above it and the
 * chest below: clothes tell people apart better than a small gray face does. None of them changes
 * with the brightness of the light.
 *   - edges of the face: their strength in 3x3 cells and eight directions
 *   - edges of the clothes: 2x2 cells and eight directions, where opposite ones are the same
 *   - how bright clothes, hair and face are compared with the middle of the face, as histograms */
enum {
    ROWS = 60,
    COLUMNS = 36,
    BOX = 24, /* the face's box in the patch: BOX x BOX cells from (MARGIN, MARGIN) */
    MARGIN = 6,
    DIRECTIONS = 8,
    FACE_CELLS = 3,
    CHEST_CELLS = 2,
    BINS = 8,
    FACE_EDGES = FACE_CELLS * FACE_CELLS * DIRECTIONS,
    CHEST_EDGES = CHEST_CELLS * CHEST_CELLS * DIRECTIONS,
    TONES = 3 * BINS,
};
_Static_assert(FACE_EDGES + CHEST_EDGES + TONES == MIEN_LOOK, "the parts make up a look");

/* Rows and columns of the patch from the first to before the last. */
typedef struct region {
    int top, bottom, left, right;
} region;
static const region face_region = {MARGIN, MARGIN + BOX, MARGIN, MARGIN + BOX};
static const region chest_region = {31, 45, MARGIN, MARGIN + BOX};
static const region middle_region = {10, 28, 12, 24};
/* for the histograms: away from what is behind the person */
static const region shirt_region = {33, 43, 9, 27};
static const region hair_region = {2, 8, 12, 24};
static const region head_region = {MARGIN, MARGIN + BOX, 9, 27};

/* Shares of the parts in the similarity. */
static const float share_face = 0.2f, share_chest = 0.25f, share_tones = 0.55f;

static void scale_to(float *v, int count, float length) {
    float square = 0;
    for (int k = 0; k < count; k++)
        square += v[k] * v[k];
    const float scale = square > 0 ? length / sqrtf(square) : 0;
    for (int k = 0; k < count; k++)
        v[k] *= scale;
}

static void subtract_mean(float *v, int count) {
    float mean = 0;
    for (int k = 0; k < count; k++)
        mean += v[k] / (float)count;
    for (int k = 0; k < count; k++)
        v[k] -= mean;
}

/* The direction of an edge as 0 .. DIRECTIONS, from signs and one division: no angle function,
 * whose last bits differ between machines. Exact in multiples of 45 degrees, linear in between. */
static float direction_of(float x, float y) {
    const float ax = fabsf(x), ay = fabsf(y);
    const float eighth = ax > ay ? ay / ax : 2 - ax / ay;
    const float half = x < 0 ? 4 - eighth : eighth;
    return y < 0 ? 8 - half : half;
}

/* Adds to the (at most four) cells around a point, bilinearly. */
static void add_to_cells(float *cells, int side, float row, float column, int direction,
                         float strength) {
    const float top = floorf(row), left = floorf(column);
    for (int k = 0; k < 4; k++) {
        const int i = (int)top + k / 2, j = (int)left + k % 2;
        if (i < 0 || j < 0 || i >= side || j >= side) continue;
        const float weight = (1 - fabsf(row - (float)i)) * (1 - fabsf(column - (float)j));
        cells[(i * side + j) * DIRECTIONS + direction] += weight * strength;
    }
}

/* The strengths of edges in side x side cells of a region. `signed_edges`: dark to bright differs
 * from bright to dark. */
static void edges_of(const float *patch, region r, int side, bool signed_edges, float *out) {
    const int count = side * side * DIRECTIONS;
    for (int k = 0; k < count; k++)
        out[k] = 0;
    const float per_row = (float)side / (float)(r.bottom - r.top);
    const float per_column = (float)side / (float)(r.right - r.left);
    for (int i = r.top; i < r.bottom; i++) {
        const float row = ((float)(i - r.top) + 0.5f) * per_row - 0.5f;
        for (int j = r.left; j < r.right; j++) {
            const float *const at = patch + i * COLUMNS + j;
            const float x = at[1] - at[-1], y = at[COLUMNS] - at[-COLUMNS];
            const float strength = sqrtf(x * x + y * y);
            if (!(strength > 0)) continue;
            float direction = direction_of(x, y);
            if (!signed_edges) direction = 2 * (direction >= 4 ? direction - 4 : direction);
            const float column = ((float)(j - r.left) + 0.5f) * per_column - 0.5f;
            const int first = (int)direction;
            const float part = direction - (float)first;
            add_to_cells(out, side, row, column, first % DIRECTIONS, (1 - part) * strength);
            add_to_cells(out, side, row, column, (first + 1) % DIRECTIONS, part * strength);
        }
    }
    for (int k = 0; k < count; k++)
        out[k] = sqrtf(out[k]);
    subtract_mean(out, count);
}

static float mean_of(const float *patch, region r) {
    float sum = 0;
    for (int i = r.top; i < r.bottom; i++)
        for (int j = r.left; j < r.right; j++)
            sum += patch[i * COLUMNS + j];
    return sum / (float)((r.bottom - r.top) * (r.right - r.left));
}

/* How often tones are so many times brighter than `middle`: soft bins from e^-1.5 to e^1.5. */
static void histogram_of(const float *patch, region r, float middle, float *out) {
    for (int k = 0; k < BINS; k++)
        out[k] = 0;
    for (int i = r.top; i < r.bottom; i++)
        for (int j = r.left; j < r.right; j++) {
            const float ratio = logf((patch[i * COLUMNS + j] + 10) / (middle + 10));
            float bin = (ratio + 1.5f) * (float)(BINS - 1) / 3;
            bin = bin < 0 ? 0 : bin > BINS - 1 ? BINS - 1 : bin;
            const int first = bin < BINS - 2 ? (int)bin : BINS - 2;
            out[first] += 1 - (bin - (float)first);
            out[first + 1] += bin - (float)first;
        }
    const float scale = 1.0f / (float)((r.bottom - r.top) * (r.right - r.left));
    for (int k = 0; k < BINS; k++)
        out[k] = sqrtf(out[k] * scale);
}

void mien_look_of(const mien_image *gray, mien_rect box, mien_look *out) {
    float patch[ROWS * COLUMNS];
    const double cell_x = (double)box.width / BOX, cell_y = (double)box.height / BOX;
    mien_patch(gray, box.x - MARGIN * cell_x, box.y - MARGIN * cell_y, COLUMNS * cell_x,
               ROWS * cell_y, ROWS, COLUMNS, patch);
    float *const chest = out->v + FACE_EDGES;
    float *const tones = chest + CHEST_EDGES;
    edges_of(patch, face_region, FACE_CELLS, true, out->v);
    edges_of(patch, chest_region, CHEST_CELLS, false, chest);
    const float middle = mean_of(patch, middle_region);
    histogram_of(patch, shirt_region, middle, tones);
    histogram_of(patch, hair_region, middle, tones + BINS);
    histogram_of(patch, head_region, middle, tones + 2 * BINS);
    subtract_mean(tones, TONES);
    scale_to(out->v, FACE_EDGES, sqrtf(share_face));
    scale_to(chest, CHEST_EDGES, sqrtf(share_chest));
    scale_to(tones, TONES, sqrtf(share_tones));
    scale_to(out->v, MIEN_LOOK, 1);
}

double mien_look_similarity(const mien_look *a, const mien_look *b) {
    float sums[8] = {0};
    for (int k = 0; k < MIEN_LOOK; k += 8)
        for (int i = 0; i < 8; i++)
            sums[i] += a->v[k + i] * b->v[k + i];
    return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}
