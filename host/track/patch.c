#include "host/track/patch.h"

#include <math.h>

enum { TAPS = 3 };

/* Where the cells of one axis are sampled: `taps` pairs of neighbours per cell, and how much of the
 * second one counts. */
typedef struct axis {
    int taps;
    int low[MIEN_PATCH_SIDE * TAPS], high[MIEN_PATCH_SIDE * TAPS];
    float part[MIEN_PATCH_SIDE * TAPS];
} axis;

static int inside(double at, int length) {
    return at < 0 ? 0 : at > length - 1 ? length - 1 : (int)at;
}

/* Small cells interpolate; in larger ones whole pixels are as good and cheaper. */
static void lay_out(axis *line, double from, double extent, int cells, int length) {
    const double cell = extent / cells;
    line->taps = cell < 1.5 ? 1 : cell < 2.5 ? 2 : TAPS;
    for (int i = 0; i < cells * line->taps; i++) {
        const double at = from + extent * (i + 0.5) / (cells * line->taps) - 0.5;
        const double floor_at = floor(at);
        line->low[i] = inside(floor_at, length);
        line->high[i] = inside(floor_at + 1, length);
        line->part[i] = (float)(at - floor_at);
        if (line->taps == 1) continue;
        line->low[i] = inside(floor(at + 0.5), length);
        line->part[i] = 0;
    }
}

static void interpolate(const mien_image *gray, const axis *across, const axis *down, int rows,
                        int columns, float *out) {
    for (int i = 0; i < rows; i++) {
        const uint8_t *const upper = gray->pixels + (size_t)down->low[i] * (size_t)gray->width;
        const uint8_t *const lower = gray->pixels + (size_t)down->high[i] * (size_t)gray->width;
        for (int j = 0; j < columns; j++) {
            const int left = across->low[j], right = across->high[j];
            const float above =
                (float)upper[left] + across->part[j] * ((float)upper[right] - (float)upper[left]);
            const float below =
                (float)lower[left] + across->part[j] * ((float)lower[right] - (float)lower[left]);
            out[i * columns + j] = above + down->part[i] * (below - above);
        }
    }
}

static void average(const mien_image *gray, const axis *across, const axis *down, int rows,
                    int columns, float *out) {
    const float scale = 1.0f / (float)(across->taps * down->taps);
    for (int i = 0; i < rows; i++) {
        int sums[MIEN_PATCH_SIDE] = {0};
        for (int k = 0; k < down->taps; k++) {
            const uint8_t *const row =
                gray->pixels + (size_t)down->low[i * down->taps + k] * (size_t)gray->width;
            for (int j = 0, at = 0; j < columns; j++)
                for (int t = 0; t < across->taps; t++)
                    sums[j] += row[across->low[at++]];
        }
        for (int j = 0; j < columns; j++)
            out[i * columns + j] = (float)sums[j] * scale;
    }
}

void mien_patch(const mien_image *gray, double x, double y, double width, double height, int rows,
                int columns, float *out) {
    axis across, down;
    lay_out(&across, x, width, columns, gray->width);
    lay_out(&down, y, height, rows, gray->height);
    if (across.taps == 1 && down.taps == 1)
        interpolate(gray, &across, &down, rows, columns, out);
    else
        average(gray, &across, &down, rows, columns, out);
}
