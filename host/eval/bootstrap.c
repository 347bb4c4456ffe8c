#include "host/eval/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "kernels/body/rng.h"

enum { LOSS_ROWS = 20000 }; /* with more, the mean loss counts as normal */
static const uint32_t seed = 1993;
static const double normal_95 = 1.959963984540054;

/* ---- random numbers ---- */

enum { STREAM_COUNTS = 1, STREAM_LOSS = 2 };

typedef struct stream {
    uint32_t number;
    uint64_t index;
} stream;

/* Uniform in (0, 1), from two words. */
static double uniform(void *context) {
    stream *s = context;
    const rng_block b = rng_at(seed, s->number, 0, s->index / 2);
    const uint32_t *word = &b.word[s->index++ % 2 * 2];
    return (((double)word[0] * 0x1p32 + (double)word[1]) + 0.5) * 0x1p-64;
}

/* By counting up from 0; for a small mean. p is at most 1/2. */
static size_t draw_by_inversion(size_t n, double p, double (*next)(void *), void *context) {
    const double odds = p / (1 - p);
    double left = next(context), chance = pow(1 - p, (double)n);
    size_t k = 0;
    for (; left > chance && k < n; k++) {
        left -= chance;
        chance *= odds * (double)(n - k) / (double)(k + 1);
    }
    return k;
}

/* Transformed rejection (BTRS, Hoermann 1993, "The generation of binomial random variates"); for
 * p of at most 1/2 and a mean of at least 10. */
static size_t draw_by_rejection(size_t n, double p, double (*next)(void *), void *context) {
    const double count = (double)n, spread = sqrt(count * p * (1 - p));
    const double b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
    const double centre = count * p + 0.5, inside = 0.92 - 4.2 / b;
    const double alpha = (2.83 + 5.1 / b) * spread, mode = floor((count + 1) * p);
    const double odds = log(p / (1 - p)), top = lgamma(mode + 1) + lgamma(count - mode + 1);
    for (;;) {
        const double u = next(context) - 0.5, v = next(context), us = 0.5 - fabs(u);
        const double k = floor((2 * a / us + b) * u + centre);
        if (k < 0 || k > count) continue;
        if (us >= 0.07 && v <= inside) return (size_t)k;
        if (log(v * alpha / (a / (us * us) + b)) <=
            top - lgamma(k + 1) - lgamma(count - k + 1) + (k - mode) * odds)
            return (size_t)k;
    }
}

size_t mien_draw_binomial(size_t n, double p, double (*next)(void *), void *context) {
    if (n == 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - mien_draw_binomial(n, 1 - p, next, context);
    return (double)n * p < 10 ? draw_by_inversion(n, p, next, context)
                              : draw_by_rejection(n, p, next, context);
}

/* ---- percentiles ---- */

static int ascending(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile(const double *sorted, size_t n, double share) {
    const double at = share * (double)(n - 1);
    const size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

/* Of the values that are defined: a rate that the rows do not define has none. Sorts them. */
static mien_interval middle(double *values, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i])) values[n++] = values[i];
    if (n == 0) return (mien_interval){NAN, NAN};
    qsort(values, n, sizeof *values, ascending);
    return (mien_interval){percentile(values, n, 0.025), percentile(values, n, 0.975)};
}

/* ---- rates ---- */

typedef struct cell {
    int actual, predicted;
    size_t count;
} cell;

typedef struct resampling {
    const mien_metrics *metrics;
    cell *cells; /* of the confusion matrix that are not 0 */
    size_t cell_count;
    size_t *hits, *predicted; /* [classes] of one resample */
    mien_metrics drawn;
    double *values; /* [rates][MIEN_RESAMPLES] */
} resampling;

enum { ACCURACY, BALANCED, MACRO_F1, BY_CLASS, RATES_OF_CLASS = 3 };

static mien_status prepare(resampling *r) {
    const size_t classes = (size_t)r->metrics->classes;
    const size_t *confusion = r->metrics->confusion;
    size_t filled = 0;
    for (size_t i = 0; i < classes * classes; i++)
        filled += confusion[i] > 0;
    MIEN_TRY(mien_new(&r->cells, filled, sizeof *r->cells));
    for (size_t i = 0; i < classes * classes; i++)
        if (confusion[i])
            r->cells[r->cell_count++] =
                (cell){(int)(i / classes), (int)(i % classes), confusion[i]};
    r->drawn = (mien_metrics){.classes = r->metrics->classes, .n = r->metrics->n};
    MIEN_TRY(mien_new(&r->drawn.by_class, classes, sizeof *r->drawn.by_class));
    MIEN_TRY(mien_new(&r->hits, classes, sizeof *r->hits));
    MIEN_TRY(mien_new(&r->predicted, classes, sizeof *r->predicted));
    return mien_new(&r->values, (BY_CLASS + RATES_OF_CLASS * classes) * MIEN_RESAMPLES,
                    sizeof *r->values);
}

/* Draws counts of the cells, multinomial, one binomial after the other. */
static void draw_counts(resampling *r, stream *random) {
    size_t rows = r->metrics->n, left = rows;
    for (int k = 0; k < r->drawn.classes; k++)
        r->hits[k] = r->predicted[k] = r->drawn.by_class[k].support = 0;
    for (size_t i = 0; i < r->cell_count; i++) {
        const cell *c = &r->cells[i];
        const size_t drawn =
            mien_draw_binomial(left, (double)c->count / (double)rows, uniform, random);
        rows -= c->count;
        left -= drawn;
        r->drawn.by_class[c->actual].support += drawn;
        r->predicted[c->predicted] += drawn;
        if (c->actual == c->predicted) r->hits[c->actual] += drawn;
    }
    mien_metrics_rates(&r->drawn, r->hits, r->predicted);
}

static void store(resampling *r, size_t round) {
    double *to = r->values + round;
    size_t correct = 0;
    for (int k = 0; k < r->drawn.classes; k++)
        correct += r->hits[k];
    to[ACCURACY * MIEN_RESAMPLES] = (double)correct / (double)r->drawn.n;
    to[BALANCED * MIEN_RESAMPLES] = r->drawn.balanced_accuracy;
    to[MACRO_F1 * MIEN_RESAMPLES] = r->drawn.macro_f1;
    to += BY_CLASS * MIEN_RESAMPLES;
    for (int k = 0; k < r->drawn.classes; k++, to += RATES_OF_CLASS * MIEN_RESAMPLES) {
        const mien_class_metrics *c = &r->drawn.by_class[k];
        to[0] = c->precision;
        to[MIEN_RESAMPLES] = c->recall;
        to[2 * MIEN_RESAMPLES] = c->f1;
    }
}

static void take_intervals(resampling *r, mien_analysis *out) {
    double *values = r->values;
    out->accuracy = middle(values + ACCURACY * MIEN_RESAMPLES, MIEN_RESAMPLES);
    out->balanced_accuracy = middle(values + BALANCED * MIEN_RESAMPLES, MIEN_RESAMPLES);
    out->macro_f1 = middle(values + MACRO_F1 * MIEN_RESAMPLES, MIEN_RESAMPLES);
    values += BY_CLASS * MIEN_RESAMPLES;
    for (int k = 0; k < r->drawn.classes; k++, values += RATES_OF_CLASS * MIEN_RESAMPLES) {
        out->precision[k] = middle(values, MIEN_RESAMPLES);
        out->recall[k] = middle(values + MIEN_RESAMPLES, MIEN_RESAMPLES);
        out->f1[k] = middle(values + 2 * MIEN_RESAMPLES, MIEN_RESAMPLES);
    }
}

static mien_status resample_rates(const mien_metrics *metrics, mien_analysis *out) {
    resampling r = {.metrics = metrics};
    stream random = {STREAM_COUNTS, 0};
    const mien_status status = prepare(&r);
    if (status == MIEN_OK) {
        for (size_t round = 0; round < MIEN_RESAMPLES; round++) {
            draw_counts(&r, &random);
            store(&r, round);
        }
        take_intervals(&r, out);
    }
    mien_free(r.cells);
    mien_free(r.drawn.by_class);
    mien_free(r.hits);
    mien_free(r.predicted);
    mien_free(r.values);
    return status;
}

/* ---- loss ---- */

static mien_status resample_loss(const float *probabilities, const uint16_t *labels, size_t n,
                                 int classes, mien_interval *out) {
    double *losses = NULL, means[MIEN_RESAMPLES];
    MIEN_TRY(mien_new(&losses, n, sizeof *losses));
    for (size_t i = 0; i < n; i++)
        losses[i] = mien_row_loss(probabilities[i * (size_t)classes + labels[i]]);
    for (uint64_t round = 0; round < MIEN_RESAMPLES; round++) {
        double sum = 0;
        for (size_t i = 0; i < n; i += 4) {
            const rng_block b = rng_at(seed, STREAM_LOSS, round, i / 4);
            for (size_t k = 0; k < 4 && i + k < n; k++) /* n is far below 2^32 */
                sum += losses[(uint64_t)b.word[k] * n >> 32];
        }
        means[round] = sum / (double)n;
    }
    *out = middle(means, MIEN_RESAMPLES);
    mien_free(losses);
    return MIEN_OK;
}

static void normal_loss(const float *probabilities, const uint16_t *labels, size_t n, int classes,
                        double mean, mien_interval *out) {
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = mien_row_loss(probabilities[i * (size_t)classes + labels[i]]) - mean;
        squares += d * d;
    }
    const double half = normal_95 * sqrt(squares) / (double)n;
    *out = (mien_interval){mean - half, mean + half};
}

mien_status mien_bootstrap(const float *probabilities, const uint16_t *labels,
                           const mien_metrics *metrics, mien_analysis *out) {
    const size_t n = metrics->n;
    MIEN_TRY(resample_rates(metrics, out));
    if (n <= LOSS_ROWS)
        return resample_loss(probabilities, labels, n, metrics->classes, &out->loss);
    normal_loss(probabilities, labels, n, metrics->classes, metrics->loss, &out->loss);
    return MIEN_OK;
}
