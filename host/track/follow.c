#include "host/track/track.h"

#include <math.h>

#include "host/base/memory.h"
#include "host/track/patch.h"

/* Normalised cross-correlation, coarse to fine: the face at COARSE x COARSE is tried at all shifts
 * of up to half a face, then at FINE x FINE at a few shifts and sizes around the best. The frame is
 * resampled so that a face always has that size: the cost is the same for each face. */
enum {
    COARSE = 12,
    REACH = 6, /* shifts, in coarse cells */
    FINE = 24,
    SLACK = 2, /* shifts, in fine cells */
    COARSE_FIELD = COARSE + 2 * REACH,
    FINE_FIELD = FINE + 2 * SLACK,
};
static const double sizes[] = {0.94, 1, 1.06};

struct mien_follower {
    bool set;
    double width, height;
    float coarse[COARSE * COARSE], fine[FINE * FINE]; /* of mean 0 and length 1 */
};

typedef struct spot {
    double x, y, width, height; /* of a box; x and y of its centre */
    double likeness;
} spot;

mien_status mien_follower_create(mien_follower **out) {
    return mien_new(out, 1, sizeof **out);
}

void mien_follower_free(mien_follower *follower) {
    mien_free(follower);
}

static void normalise(float *v, int count) {
    float mean = 0, square = 0;
    for (int k = 0; k < count; k++)
        mean += v[k];
    mean /= (float)count;
    for (int k = 0; k < count; k++) {
        v[k] -= mean;
        square += v[k] * v[k];
    }
    const float scale = square > 0 ? 1 / sqrtf(square) : 0;
    for (int k = 0; k < count; k++)
        v[k] *= scale;
}

void mien_follower_set(mien_follower *f, const mien_image *gray, mien_rect box) {
    f->set = true;
    f->width = box.width;
    f->height = box.height;
    mien_patch(gray, box.x, box.y, box.width, box.height, COARSE, COARSE, f->coarse);
    mien_patch(gray, box.x, box.y, box.width, box.height, FINE, FINE, f->fine);
    normalise(f->coarse, COARSE * COARSE);
    normalise(f->fine, FINE * FINE);
}

/* The likeness of a face [side][side] to the part of a field that starts at `at`. */
static float likeness(const float *face, int side, const float *at, int stride) {
    float sums[4] = {0}, squares[4] = {0}, both[4] = {0};
    for (int i = 0; i < side; i++, at += stride, face += side)
        for (int j = 0; j < side; j += 4)
            for (int k = 0; k < 4; k++) {
                sums[k] += at[j + k];
                squares[k] += at[j + k] * at[j + k];
                both[k] += at[j + k] * face[j + k];
            }
    const float count = (float)(side * side);
    const float sum = sums[0] + sums[1] + sums[2] + sums[3];
    const float square = squares[0] + squares[1] + squares[2] + squares[3];
    const float spread = square - sum * sum / count;
    /* the face's own mean is 0 and its length 1; less than a level of contrast is none */
    if (spread < count) return 0;
    return (both[0] + both[1] + both[2] + both[3]) / sqrtf(spread);
}

/* Between two cells: the top of the parabola through three likenesses, -0.5 .. 0.5. */
static double between(float before, float here, float after) {
    const float bend = before - 2 * here + after;
    if (!(bend < 0)) return 0;
    const double top = 0.5 * (before - after) / bend;
    return top < -0.5 ? -0.5 : top > 0.5 ? 0.5 : top;
}

/* Tries all shifts of up to `reach` cells around `guess` and moves it to the best. */
static void search(const float *face, int side, int reach, const mien_image *gray, spot *guess) {
    float field[FINE_FIELD * FINE_FIELD];
    float found[2 * REACH + 1][2 * REACH + 1];
    _Static_assert(FINE_FIELD >= COARSE_FIELD && REACH >= SLACK, "the larger of both");
    const int wide = side + 2 * reach, shifts = 2 * reach + 1;
    const double cell_x = guess->width / side, cell_y = guess->height / side;
    mien_patch(gray, guess->x - 0.5 * wide * cell_x, guess->y - 0.5 * wide * cell_y, wide * cell_x,
               wide * cell_y, wide, wide, field);
    int row = reach, column = reach;
    for (int i = 0; i < shifts; i++)
        for (int j = 0; j < shifts; j++) {
            found[i][j] = likeness(face, side, field + i * wide + j, wide);
            if (found[i][j] > found[row][column]) {
                row = i;
                column = j;
            }
        }
    double x = column - reach, y = row - reach;
    if (column > 0 && column < shifts - 1)
        x += between(found[row][column - 1], found[row][column], found[row][column + 1]);
    if (row > 0 && row < shifts - 1)
        y += between(found[row - 1][column], found[row][column], found[row + 1][column]);
    guess->x += x * cell_x;
    guess->y += y * cell_y;
    guess->likeness = found[row][column];
}

double mien_follower_find(mien_follower *f, const mien_image *gray, mien_rect guess,
                          mien_rect *box) {
    *box = guess;
    if (!f->set || guess.width < 1 || guess.height < 1) return -1;
    spot coarse = {guess.x + 0.5 * guess.width, guess.y + 0.5 * guess.height, guess.width,
                   guess.height, 0};
    search(f->coarse, COARSE, REACH, gray, &coarse);
    spot best = {.likeness = -2};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        spot fine = coarse;
        fine.width *= sizes[k];
        fine.height *= sizes[k];
        search(f->fine, FINE, SLACK, gray, &fine);
        if (fine.likeness > best.likeness) best = fine;
    }
    /* a face whose middle left the picture is not there */
    if (best.x < 0 || best.y < 0 || best.x >= gray->width || best.y >= gray->height) return -1;
    *box =
        (mien_rect){(int)lrint(best.x - 0.5 * best.width), (int)lrint(best.y - 0.5 * best.height),
                    (int)lrint(best.width), (int)lrint(best.height)};
    return best.likeness;
}
