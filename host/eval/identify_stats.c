#include "host/eval/identify_stats.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/eval/temperature.h"
#include "host/track/assign.h"
#include "kernels/body/rng.h"

/* Below this a probability says "no", however sure: one image must not outvote many. */
static const double least = 1e-4;
static const uint32_t seed = 17;

/* ---- the order ---- */

/* Buffers of a search for the order of one set of answers. */
typedef struct order_search {
    const mien_answers *answers;
    double *logs;       /* [n][classes] */
    double *sums;       /* [class][output] of the logs */
    size_t *count;      /* [class] */
    float *score;       /* [class][output] */
    int *match;         /* [class] */
    uint32_t *by_class; /* [n] images, class by class */
    size_t *first;      /* [class + 1] into by_class */
    uint16_t *labels;   /* [n] shuffled */
    void *workspace;
} order_search;

static void search_end(order_search *s) {
    mien_free(s->logs);
    mien_free(s->sums);
    mien_free(s->count);
    mien_free(s->score);
    mien_free(s->match);
    mien_free(s->by_class);
    mien_free(s->first);
    mien_free(s->labels);
    mien_free(s->workspace);
}

static mien_status search_start(order_search *s, const mien_answers *a) {
    const size_t k = (size_t)a->classes;
    *s = (order_search){.answers = a};
    MIEN_TRY(mien_new(&s->logs, a->n * k, sizeof *s->logs));
    MIEN_TRY(mien_new(&s->sums, k * k, sizeof *s->sums));
    MIEN_TRY(mien_new(&s->count, k, sizeof *s->count));
    MIEN_TRY(mien_new(&s->score, k * k, sizeof *s->score));
    MIEN_TRY(mien_new(&s->match, k, sizeof *s->match));
    MIEN_TRY(mien_new(&s->by_class, a->n, sizeof *s->by_class));
    MIEN_TRY(mien_new(&s->first, k + 1, sizeof *s->first));
    MIEN_TRY(mien_new(&s->labels, a->n, sizeof *s->labels));
    MIEN_TRY(mien_new(&s->workspace, mien_assign_workspace(a->classes, a->classes), 1));
    for (size_t i = 0; i < a->n * k; i++)
        s->logs[i] = log(fmax(a->p[i], least));
    for (size_t i = 0; i < a->n; i++)
        s->first[a->labels[i] + 1]++;
    for (size_t c = 0; c < k; c++)
        s->first[c + 1] += s->first[c];
    for (size_t i = 0; i < a->n; i++)
        s->by_class[s->first[a->labels[i]] + s->count[a->labels[i]]++] = (uint32_t)i;
    return MIEN_OK;
}

static void sums_clear(order_search *s) {
    const size_t k = (size_t)s->answers->classes;
    memset(s->sums, 0, k * k * sizeof *s->sums);
    memset(s->count, 0, k * sizeof *s->count);
}

static void sums_add(order_search *s, size_t image, size_t label) {
    const size_t k = (size_t)s->answers->classes;
    for (size_t o = 0; o < k; o++)
        s->sums[label * k + o] += s->logs[image * k + o];
    s->count[label]++;
}

/* The best assignment for the sums; returns its total, and the class of each output in `order`. An
 * output's mean over the classes is taken off first, which removes its preference. */
static double assign(order_search *s, int *order) {
    const size_t k = (size_t)s->answers->classes;
    double lowest = 0, total = 0;
    for (size_t o = 0; o < k; o++) {
        double mean = 0;
        size_t present = 0;
        for (size_t c = 0; c < k; c++) {
            if (!s->count[c]) continue;
            mean += s->sums[c * k + o] / (double)s->count[c];
            present++;
        }
        mean /= present ? (double)present : 1;
        for (size_t c = 0; c < k; c++) {
            const double value = s->sums[c * k + o] - (double)s->count[c] * mean;
            s->score[c * k + o] = (float)value;
            lowest = fmin(lowest, value);
        }
    }
    for (size_t i = 0; i < k * k; i++)
        s->score[i] += (float)(1 - lowest); /* only pairs above 0 are matched */
    mien_assign(s->score, (int)k, (int)k, s->workspace, s->match);
    for (size_t c = 0; c < k; c++) {
        order[s->match[c]] = (int)c;
        total += s->score[c * k + (size_t)s->match[c]] + lowest - 1;
    }
    return total;
}

mien_status mien_order_find(const mien_answers *a, int *order) {
    order_search s;
    mien_status status = search_start(&s, a);
    if (status == MIEN_OK) {
        sums_clear(&s);
        for (size_t i = 0; i < a->n; i++)
            sums_add(&s, i, a->labels[i]);
        assign(&s, order);
    }
    search_end(&s);
    return status;
}

mien_status mien_order_share(const mien_answers *a, const int *order, int draws, double *share) {
    const size_t k = (size_t)a->classes;
    order_search s;
    int *drawn = NULL, same = 0;
    mien_status status;
    MIEN_GO(search_start(&s, a));
    MIEN_GO(mien_new(&drawn, k, sizeof *drawn));
    for (int d = 0; d < draws; d++) {
        sums_clear(&s);
        for (size_t c = 0; c < k; c++) {
            const size_t first = s.first[c], count = s.first[c + 1] - first;
            for (size_t i = 0; i < count; i++) {
                const double u = rng_unit(rng_word(seed, (uint32_t)d, 1, (uint32_t)(first + i)));
                sums_add(&s, s.by_class[first + (size_t)(u * (double)count)], c);
            }
        }
        assign(&s, drawn);
        same += memcmp(drawn, order, k * sizeof *drawn) == 0;
    }
    *share = (double)same / draws;
out:
    search_end(&s);
    mien_free(drawn);
    return status;
}

mien_status mien_order_chance(const mien_answers *a, int draws, double *chance) {
    order_search s;
    int *drawn = NULL, as_good = 0;
    double true_total = 0;
    mien_status status;
    MIEN_GO(search_start(&s, a));
    MIEN_GO(mien_new(&drawn, (size_t)a->classes, sizeof *drawn));
    memcpy(s.labels, a->labels, a->n * sizeof *s.labels);
    for (int d = 0; d <= draws; d++) { /* the first round has the labels as they are */
        sums_clear(&s);
        for (size_t i = 0; i < a->n; i++)
            sums_add(&s, i, s.labels[i]);
        const double total = assign(&s, drawn);
        if (d == 0)
            true_total = total;
        else
            as_good += total >= true_total;
        for (size_t i = a->n; i > 1; i--) {
            const double u = rng_unit(rng_word(seed, (uint32_t)d, 2, (uint32_t)i));
            const size_t other = (size_t)(u * (double)i);
            const uint16_t kept = s.labels[i - 1];
            s.labels[i - 1] = s.labels[other];
            s.labels[other] = kept;
        }
    }
    *chance = (1.0 + as_good) / (1.0 + draws);
out:
    search_end(&s);
    mien_free(drawn);
    return status;
}

/* ---- the fit ---- */

mien_status mien_fit_measure(const mien_answers *a, const int *order, mien_fit *fit, double *loss,
                             double *calibrated) {
    const size_t k = (size_t)a->classes;
    float *p = NULL;
    uint16_t *output = NULL, *labels = NULL;
    mien_status status;
    *fit = (mien_fit){0};
    MIEN_GO(mien_new(&p, a->n * k, sizeof *p));
    MIEN_GO(mien_new(&output, k, sizeof *output));
    MIEN_GO(mien_new(&labels, a->n, sizeof *labels));
    memcpy(p, a->p, a->n * k * sizeof *p);
    for (size_t o = 0; o < k; o++)
        output[order[o]] = (uint16_t)o;
    for (size_t i = 0; i < a->n; i++) {
        const float *row = p + i * k;
        size_t best = 0;
        for (size_t o = 1; o < k; o++)
            if (row[o] > row[best]) best = o;
        labels[i] = output[a->labels[i]];
        fit->accuracy += (double)(best == labels[i]) / (double)a->n;
        fit->confidence += (double)row[best] / (double)a->n;
    }
    for (size_t i = 0; i < a->n; i++) {
        loss[i] = -log(fmax(p[i * k + labels[i]], 1e-9));
        fit->loss += loss[i] / (double)a->n;
    }
    fit->temperature = mien_temperature_fit(p, labels, a->n, a->classes);
    mien_temperature_apply(p, a->n, a->classes, fit->temperature);
    for (size_t i = 0; i < a->n; i++) {
        calibrated[i] = -log(fmax(p[i * k + labels[i]], 1e-9));
        fit->calibrated += calibrated[i] / (double)a->n;
    }
out:
    mien_free(p);
    mien_free(output);
    mien_free(labels);
    return status;
}

void mien_fit_shares(const double *const *losses, int count, size_t n, int draws, double *shares) {
    double sums[MIEN_FIT_CANDIDATES];
    for (int c = 0; c < count; c++)
        shares[c] = 0;
    for (int d = 0; d < draws; d++) {
        int best = 0;
        for (int c = 0; c < count; c++)
            sums[c] = 0;
        for (size_t i = 0; i < n; i++) {
            const double u = rng_unit(rng_word(seed, (uint32_t)d, 3, (uint32_t)i));
            const size_t drawn = (size_t)(u * (double)n);
            for (int c = 0; c < count; c++)
                sums[c] += losses[c][drawn];
        }
        for (int c = 1; c < count; c++)
            if (sums[c] < sums[best]) best = c;
        shares[best] += 1.0 / draws;
    }
}
