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
};
/* A look is made of cells of eight numbers. Those of a part follow each other, as bits of `seen`
 * and in `v`. */
typedef struct part {
    int cell, cells; /* the first one, and their number */
    int at, length;  /* where they are in `v`, and the length of each */
} part;
static const part parts[MIEN_LOOK_PARTS] = {
    {0, FACE_CELLS *FACE_CELLS, 0, DIRECTIONS},
    {9, CHEST_CELLS *CHEST_CELLS, 72, DIRECTIONS},
    {13, 3, 104, BINS},
};
_Static_assert((FACE_CELLS * FACE_CELLS + CHEST_CELLS * CHEST_CELLS) * DIRECTIONS + 3 * BINS ==
                   MIEN_LOOK,
               "the parts make up a look");

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

const float mien_look_shares[MIEN_LOOK_PARTS] = {0.2f, 0.25f, 0.55f};
/* Tones count if so much of their region is seen, edges if so much of their cell is. */
static const float least_seen = 0.5f, least_seen_cell = 0.75f;

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

static float seen_of(const bool *hidden, region r) {
    int seen = 0;
    for (int i = r.top; i < r.bottom; i++)
        for (int j = r.left; j < r.right; j++)
            seen += !hidden[i * COLUMNS + j];
    return (float)seen / (float)((r.bottom - r.top) * (r.right - r.left));
}

static bool hides_edge(const bool *hidden, int at) {
    return hidden[at] || hidden[at - 1] || hidden[at + 1] || hidden[at - COLUMNS] ||
           hidden[at + COLUMNS];
}

/* The strengths of edges in side x side cells of a region; returns which cells are seen.
 * `signed_edges`: dark to bright differs from bright to dark. */
static unsigned edges_of(const float *patch, const bool *hidden, region r, int side,
                         bool signed_edges, float *out) {
    const int count = side * side * DIRECTIONS;
    for (int k = 0; k < count; k++)
        out[k] = 0;
    const float per_row = (float)side / (float)(r.bottom - r.top);
    const float per_column = (float)side / (float)(r.right - r.left);
    for (int i = r.top; i < r.bottom; i++) {
        const float row = ((float)(i - r.top) + 0.5f) * per_row - 0.5f;
        for (int j = r.left; j < r.right; j++) {
            const float *const at = patch + i * COLUMNS + j;
            if (hides_edge(hidden, i * COLUMNS + j)) continue;
            const float x = at[1] - at[-1], y = at[COLUMNS] - at[-COLUMNS];
            const float strength = sqrtf(x * x + y * y);
            if (!(strength > 0)) continue;
            float direction = direction_of(x, y);
            if (!signed_edges) direction = 2 * (direction >= 4 ? direction - 4 : direction);
            const float column = ((float)(j - r.left) + 0.5f) * per_column - 0.5f;
            const int first = (int)direction;
            const float rest = direction - (float)first;
            add_to_cells(out, side, row, column, first % DIRECTIONS, (1 - rest) * strength);
            add_to_cells(out, side, row, column, (first + 1) % DIRECTIONS, rest * strength);
        }
    }
    for (int k = 0; k < count; k++)
        out[k] = sqrtf(out[k]);
    unsigned seen = 0;
    for (int k = 0; k < side * side; k++) {
        const int top = r.top + k / side * (r.bottom - r.top) / side;
        const int left = r.left + k % side * (r.right - r.left) / side;
        const region cell = {top, top + (r.bottom - r.top) / side, left,
                             left + (r.right - r.left) / side};
        if (seen_of(hidden, cell) >= least_seen_cell) seen |= 1u << k;
    }
    return seen;
}

static float mean_of(const float *patch, const bool *hidden, region r) {
    float sum = 0;
    int count = 0;
    for (int i = r.top; i < r.bottom; i++)
        for (int j = r.left; j < r.right; j++) {
            if (hidden[i * COLUMNS + j]) continue;
            sum += patch[i * COLUMNS + j];
            count++;
        }
    return count > 0 ? sum / (float)count : 0;
}

/* How often tones are so many times brighter than `middle`: soft bins from e^-1.5 to e^1.5.
 * Returns whether enough of the region is seen. */
static bool histogram_of(const float *patch, const bool *hidden, region r, float middle,
                         float *out) {
    float total = 0;
    for (int k = 0; k < BINS; k++)
        out[k] = 0;
    for (int i = r.top; i < r.bottom; i++)
        for (int j = r.left; j < r.right; j++) {
            if (hidden[i * COLUMNS + j]) continue;
            const float ratio = logf((patch[i * COLUMNS + j] + 10) / (middle + 10));
            float bin = (ratio + 1.5f) * (float)(BINS - 1) / 3;
            bin = bin < 0 ? 0 : bin > BINS - 1 ? BINS - 1 : bin;
            const int first = bin < BINS - 2 ? (int)bin : BINS - 2;
            out[first] += 1 - (bin - (float)first);
            out[first + 1] += bin - (float)first;
            total++;
        }
    for (int k = 0; k < BINS; k++)
        out[k] = total > 0 ? sqrtf(out[k] / total) : 0;
    return seen_of(hidden, r) >= least_seen;
}

/* Makes the seen cells of a part a vector of mean 0 and length 1; the others become 0. */
static void normalize(mien_look *look, part p) {
    float sum = 0, square = 0;
    int count = 0;
    for (int k = 0; k < p.cells * p.length; k++) {
        if (look->seen >> (p.cell + k / p.length) & 1) {
            sum += look->v[p.at + k];
            count++;
        }
    }
    for (int k = 0; k < p.cells * p.length; k++) {
        float *const v = &look->v[p.at + k];
        *v = look->seen >> (p.cell + k / p.length) & 1 ? *v - sum / (float)count : 0;
        square += *v * *v;
    }
    const float scale = square > 0 ? 1 / sqrtf(square) : 0;
    for (int k = 0; k < p.cells * p.length; k++) {
        float *const v = &look->v[p.at + k];
        const int cell = p.cell + k / p.length;
        *v *= scale;
        look->sum[cell] += *v;
        look->square[cell] += *v * *v;
    }
}

/* What lies in `front` is somebody else. */
static void hide(bool *hidden, mien_rect box, mien_rect front) {
    const double cell_x = (double)box.width / BOX, cell_y = (double)box.height / BOX;
    const double x0 = box.x - MARGIN * cell_x, y0 = box.y - MARGIN * cell_y;
    for (int i = 0; i < ROWS; i++) {
        const double y = y0 + (i + 0.5) * cell_y;
        if (y < front.y || y >= front.y + front.height) continue;
        for (int j = 0; j < COLUMNS; j++) {
            const double x = x0 + (j + 0.5) * cell_x;
            if (x >= front.x && x < front.x + front.width) hidden[i * COLUMNS + j] = true;
        }
    }
}

void mien_look_of(const mien_image *gray, mien_rect box, const mien_rect *fronts, int count,
                  mien_look *out) {
    float patch[ROWS * COLUMNS];
    bool hidden[ROWS * COLUMNS] = {false};
    const double cell_x = (double)box.width / BOX, cell_y = (double)box.height / BOX;
    mien_patch(gray, box.x - MARGIN * cell_x, box.y - MARGIN * cell_y, COLUMNS * cell_x,
               ROWS * cell_y, ROWS, COLUMNS, patch);
    for (int k = 0; k < count; k++)
        hide(hidden, box, fronts[k]);
    *out = (mien_look){0};
    out->seen = edges_of(patch, hidden, face_region, FACE_CELLS, true, out->v);
    out->seen |= edges_of(patch, hidden, chest_region, CHEST_CELLS, false, out->v + parts[1].at)
                 << parts[1].cell;
    /* tones are compared with the middle of the face: without it they say nothing */
    const bool lit = seen_of(hidden, middle_region) >= least_seen;
    const float middle = mean_of(patch, hidden, middle_region);
    static const region *const tones[] = {&shirt_region, &hair_region, &head_region};
    for (int k = 0; k < 3; k++) {
        const bool seen =
            histogram_of(patch, hidden, *tones[k], middle, out->v + parts[2].at + k * BINS);
        out->seen |= (unsigned)(seen && lit) << (parts[2].cell + k);
    }
    for (int k = 0; k < MIEN_LOOK_PARTS; k++)
        normalize(out, parts[k]);
}

static float dot(const float *a, const float *b) {
    float sum = 0;
    for (int k = 0; k < DIRECTIONS; k++)
        sum += a[k] * b[k];
    return sum;
}

void mien_look_compare(const mien_look *a, const mien_look *b, float *alike, float *share) {
    const unsigned both = a->seen & b->seen;
    for (int k = 0; k < MIEN_LOOK_PARTS; k++) {
        const part p = parts[k];
        /* the correlation of the cells that are seen in both */
        float product = 0, sum_a = 0, sum_b = 0, square_a = 0, square_b = 0;
        int cells = 0;
        for (int i = 0; i < p.cells; i++) {
            const int cell = p.cell + i;
            if ((both >> cell & 1) == 0) continue;
            product += dot(a->v + p.at + i * p.length, b->v + p.at + i * p.length);
            sum_a += a->sum[cell];
            sum_b += b->sum[cell];
            square_a += a->square[cell];
            square_b += b->square[cell];
            cells++;
        }
        const float count = (float)(cells > 0 ? cells * p.length : 1);
        const float spread =
            (square_a - sum_a * sum_a / count) * (square_b - sum_b * sum_b / count);
        share[k] = (float)cells / (float)p.cells;
        alike[k] = spread > 0 ? (product - sum_a * sum_b / count) / sqrtf(spread) : 0;
    }
}

double mien_look_similarity(const mien_look *a, const mien_look *b) {
    float alike[MIEN_LOOK_PARTS], share[MIEN_LOOK_PARTS], sum = 0, all = 0;
    mien_look_compare(a, b, alike, share);
    for (int k = 0; k < MIEN_LOOK_PARTS; k++) {
        sum += mien_look_shares[k] * share[k] * alike[k];
        all += mien_look_shares[k] * share[k];
    }
    return all > 0 ? sum / all : 0;
}
