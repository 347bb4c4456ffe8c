#include "host/eval/temperature.h"

#include <math.h>

#include "host/base/memory.h"

static const double least_temperature = 0.05, most_temperature = 20;

/* A logit up to a constant per row. Probabilities are clamped so that the logarithm is finite. */
static double logit(float probability) {
    return log(probability > 1e-30f ? probability : 1e-30);
}

/* The largest logit of a row. */
static double top_of(const float *row, int classes) {
    double top = -INFINITY;
    for (int k = 0; k < classes; k++)
        top = fmax(top, logit(row[k]));
    return top;
}

/* All logits less the largest of their row. NULL without memory for them: then they are computed
 * anew in every round. */
static double *shift_all(const float *p, size_t n, int classes) {
    double *z;
    if (mien_new(&z, n * (size_t)classes, sizeof *z) != MIEN_OK) return NULL;
    for (size_t i = 0; i < n * (size_t)classes; i += (size_t)classes) {
        const double top = top_of(p + i, classes);
        for (int k = 0; k < classes; k++)
            z[i + (size_t)k] = logit(p[i + (size_t)k]) - top;
    }
    return z;
}

/* The derivative of the summed cross-entropy with respect to 1 / temperature: the sum of (expected
 * logit - the label's logit). It is monotonic, so bisection finds its zero. `shifted`: of
 * shift_all. */
static double slope(const float *p, const double *shifted, const uint16_t *labels, size_t n,
                    int classes, double inverse) {
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * (size_t)classes;
        const double *known = shifted ? shifted + i * (size_t)classes : NULL;
        const double top = known ? 0 : top_of(row, classes);
        double sum = 0, expected = 0;
        for (int k = 0; k < classes; k++) {
            const double z = known ? known[k] : logit(row[k]) - top, e = exp(z * inverse);
            sum += e;
            expected += e * z;
        }
        const int label = labels[i];
        total += expected / sum - (known ? known[label] : logit(row[label]) - top);
    }
    return total;
}

double mien_temperature_fit(const float *probabilities, const uint16_t *labels, size_t n,
                            int classes) {
    enum { HALVINGS = 40 };
    double low = 1 / most_temperature, high = 1 / least_temperature;
    if (n < MIEN_TEMPERATURE_LEAST) return 1;
    double *shifted = shift_all(probabilities, n, classes);
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = sqrt(low * high);
        if (slope(probabilities, shifted, labels, n, classes, middle) < 0)
            low = middle;
        else
            high = middle;
    }
    mien_free(shifted);
    return 1 / sqrt(low * high);
}

void mien_temperature_apply(float *probabilities, size_t n, int classes, double temperature) {
    for (size_t i = 0; i < n; i++) {
        float *row = probabilities + i * (size_t)classes;
        const double top = top_of(row, classes);
        double sum = 0;
        for (int k = 0; k < classes; k++)
            sum += exp((logit(row[k]) - top) / temperature);
        for (int k = 0; k < classes; k++)
            row[k] = (float)(exp((logit(row[k]) - top) / temperature) / sum);
    }
}
