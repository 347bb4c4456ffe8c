#include "host/infer/clip.h"

#include <math.h>

const char *mien_clip_name(mien_clip clip) {
    static const char *const names[] = {"max", "percentile", "mse", "kl"};
    return names[clip];
}

static double total_of(const mien_histogram *h) {
    double sum = 0;
    for (int i = 0; i < MIEN_HISTOGRAM; i++)
        sum += h->bins[i];
    return sum;
}

static int percentile(const mien_histogram *h, double share) {
    const double wanted = total_of(h) * share;
    double sum = 0;
    for (int i = 0; i < MIEN_HISTOGRAM; i++)
        if ((sum += h->bins[i]) >= wanted) return i + 1;
    return MIEN_HISTOGRAM;
}

/* In units of bins: the rounding error inside the range, the distance to its end outside. */
static double squared_error(const mien_histogram *h, int cut, int levels) {
    const double step = (double)cut / levels;
    double sum = 0;
    for (int i = 0; i < MIEN_HISTOGRAM; i++) {
        const double over = i + 0.5 - cut;
        sum += h->bins[i] * (over > 0 ? over * over : step * step / 12);
    }
    return sum;
}

/* Kullback-Leibler divergence of the distribution clipped at `cut` (values beyond it count in the
 * last bin) from its version quantised to `levels` steps. */
static double divergence(const mien_histogram *h, int cut, int levels) {
    double beyond = 0, sum = 0, total = 0;
    for (int i = cut; i < MIEN_HISTOGRAM; i++)
        beyond += h->bins[i];
    for (int level = 0, i = 0; level < levels; level++) {
        const int end = (int)((long long)(level + 1) * cut / levels);
        double mass = 0;
        int used = 0;
        for (int k = i; k < end; k++) {
            mass += h->bins[k];
            used += h->bins[k] > 0;
        }
        for (; i < end; i++) {
            const double p = h->bins[i] + (i == cut - 1 ? beyond : 0);
            /* an empty bin under clipped outliers: avoids log(p / 0) */
            const double q = h->bins[i] > 0 ? mass / used : 1e-6;
            if (p > 0) sum += p * log(p / q);
            total += p;
        }
    }
    return total > 0 ? sum / total : 0;
}

static int least(const mien_histogram *h, int levels, int from,
                 double (*error)(const mien_histogram *, int, int)) {
    int best = MIEN_HISTOGRAM;
    double low = error(h, best, levels);
    for (int cut = from; cut < MIEN_HISTOGRAM; cut += 8) {
        const double e = error(h, cut, levels);
        if (e >= low) continue;
        low = e;
        best = cut;
    }
    return best;
}

float mien_clip_find(const mien_histogram *h, mien_clip clip, int levels) {
    int cut = MIEN_HISTOGRAM;
    if (!(total_of(h) > 0)) return 0;
    if (clip == MIEN_CLIP_PERCENTILE) cut = percentile(h, 0.9999);
    if (clip == MIEN_CLIP_MSE) cut = least(h, levels, 16, squared_error);
    if (clip == MIEN_CLIP_KL) cut = least(h, levels, levels, divergence);
    return h->most * (float)cut / MIEN_HISTOGRAM;
}
