#include "host/eval/curves.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/eval/ranking.h"

/* ---- thinning ---- */

/* Finer than a pixel of a plot of 1,000. */
static const double invisible = 0.0005, coarser = 1.5;

/* Drops points that are hardly apart from the last one kept; keeps the last. */
static void merge_near(mien_points *p) {
    size_t kept = 1;
    for (size_t i = 1; i < p->count; i++) {
        const bool near = fabs(p->x[i] - p->x[kept - 1]) < invisible / 2 &&
                          fabs(p->y[i] - p->y[kept - 1]) < invisible / 2;
        if (near && i + 1 < p->count) continue;
        p->x[kept] = p->x[i];
        p->y[kept++] = p->y[i];
    }
    p->count = kept;
}

/* Of point i from the line segment between points a and b. */
static double distance(const mien_points *p, size_t i, size_t a, size_t b) {
    const double dx = p->x[b] - p->x[a], dy = p->y[b] - p->y[a];
    const double x = p->x[i] - p->x[a], y = p->y[i] - p->y[a], length = dx * dx + dy * dy;
    double along = length > 0 ? (x * dx + y * dy) / length : 0;
    along = along < 0 ? 0 : (along > 1 ? 1 : along);
    return hypot(x - along * dx, y - along * dy);
}

/* Marks the points without which the line would move by more than `most` (Ramer, Douglas and
 * Peucker); returns how many. `stack` has as many entries as there are points. */
static size_t mark_needed(const mien_points *p, double most, bool *needed, size_t *stack) {
    size_t depth = 0, from = 0, count = 2;
    for (size_t i = 0; i < p->count; i++)
        needed[i] = i == 0 || i + 1 == p->count;
    stack[depth++] = p->count - 1;
    while (depth) {
        const size_t to = stack[depth - 1];
        size_t worst = from;
        double far = most;
        for (size_t i = from + 1; i < to; i++) {
            const double away = distance(p, i, from, to);
            if (away > far) far = away, worst = i;
        }
        if (worst == from) {
            from = to;
            depth--;
        } else {
            needed[worst] = true;
            count++;
            stack[depth++] = worst;
        }
    }
    return count;
}

mien_status mien_points_thin(mien_points *p, size_t most) {
    bool *needed = NULL;
    size_t *stack = NULL, kept = 0;
    mien_status status;
    if (p->count <= most) return MIEN_OK;
    merge_near(p);
    if (p->count <= most) return MIEN_OK;
    MIEN_GO(mien_new(&needed, p->count, sizeof *needed));
    MIEN_GO(mien_new(&stack, p->count, sizeof *stack));
    for (double error = invisible; mark_needed(p, error, needed, stack) > most;)
        error *= coarser;
    for (size_t i = 0; i < p->count; i++) {
        if (!needed[i]) continue;
        p->x[kept] = p->x[i];
        p->y[kept++] = p->y[i];
    }
    p->count = kept;
out:
    mien_free(needed);
    mien_free(stack);
    return status;
}

/* ---- curves ---- */

static mien_status start(mien_points *p, size_t n, double y) {
    MIEN_TRY(mien_new(&p->x, n + 1, sizeof *p->x));
    MIEN_TRY(mien_new(&p->y, n + 1, sizeof *p->y));
    p->y[p->count++] = y;
    return MIEN_OK;
}

static void put(mien_points *p, double x, double y) {
    if (!p->count) return;
    p->x[p->count] = x;
    p->y[p->count++] = y;
}

static void trace(const mien_scored *rows, size_t n, double positives, mien_class_curves *out) {
    const double negatives = (double)n - positives;
    double tp = 0, fp = 0;
    for (size_t i = 0; i < n;) {
        i = mien_rank_step(rows, n, i, &tp, &fp);
        put(&out->roc, fp / negatives, tp / positives);
        put(&out->pr, tp / positives, tp / (tp + fp));
    }
}

/* Gives back what thinning left over. */
static mien_status shrink(mien_points *p) {
    size_t capacity = 0;
    if (!p->count) return MIEN_OK;
    MIEN_TRY(mien_points_thin(p, MIEN_CURVE_POINTS));
    MIEN_TRY(mien_grow_to(&p->x, &capacity, p->count, sizeof *p->x));
    return mien_grow_to(&p->y, &capacity, p->count, sizeof *p->y);
}

mien_status mien_class_curves_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                      int classes, int k, mien_class_curves *out) {
    mien_scored *rows = NULL;
    mien_status status;
    *out = (mien_class_curves){0};
    MIEN_GO(mien_new(&rows, n, sizeof *rows));
    const size_t positives = mien_rank(probabilities, labels, n, classes, k, rows);
    if (positives > 0 && positives < n) MIEN_GO(start(&out->roc, n, 0));
    if (positives > 0) MIEN_GO(start(&out->pr, n, 1));
    trace(rows, n, (double)positives, out);
    MIEN_GO(shrink(&out->roc));
    MIEN_GO(shrink(&out->pr));
out:
    mien_free(rows);
    return status;
}

void mien_class_curves_release(mien_class_curves *c) {
    mien_free(c->roc.x);
    mien_free(c->roc.y);
    mien_free(c->pr.x);
    mien_free(c->pr.y);
    *c = (mien_class_curves){0};
}
