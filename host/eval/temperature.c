#include "host/eval/temperature.h"

#include <math.h>

static const double least_temperature = 0.05, most_temperature = 20;

/* A logit up to a constant per row. Probabilities are clamped so that the logarithm is finite. */
static double logit(float probability) {
    return log(probability > 1e-30f ? probability : 1e-30);
}

/* The derivative of the summed cross-entropy with respect to 1 / temperature: the sum of (expected
 * logit - the label's logit). It is monotonic, so bisection finds its zero. */
static double slope(const float *p, const uint16_t *labels, size_t n, int classes, double inverse) {
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * (size_t)classes;
        double top = -INFINITY, sum = 0, expected = 0;
        for (int k = 0; k < classes; k++)
            top = fmax(top, logit(row[k]));
        for (int k = 0; k < classes; k++) {
            const double z = logit(row[k]) - top, e = exp(z * inverse);
            sum += e;
            expected += e * z;
        }
        total += expected / sum - (logit(row[labels[i]]) - top);
    }
    return total;
}

double mien_temperature_fit(const float *probabilities, const uint16_t *labels, size_t n,
                            int classes) {
    enum { HALVINGS = 40 };
    double low = 1 / most_temperature, high = 1 / least_temperature;
    if (n < MIEN_TEMPERATURE_LEAST) return 1;
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = sqrt(low * high);
        if (slope(probabilities, labels, n, classes, middle) < 0)
            low = middle;
        else
            high = middle;
    }
    return 1 / sqrt(low * high);
}

void mien_temperature_apply(float *probabilities, size_t n, int classes, double temperature) {
    for (size_t i = 0; i < n; i++) {
        float *row = probabilities + i * (size_t)classes;
        double top = -INFINITY, sum = 0;
        for (int k = 0; k < classes; k++)
            top = fmax(top, logit(row[k]));
        for (int k = 0; k < classes; k++)
            sum += exp((logit(row[k]) - top) / temperature);
        for (int k = 0; k < classes; k++)
            row[k] = (float)(exp((logit(row[k]) - top) / temperature) / sum);
    }
}
