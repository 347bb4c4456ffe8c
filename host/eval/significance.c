#include "host/eval/significance.h"

#include <math.h>

static const double normal_95 = 1.959963984540054;

mien_interval mien_wilson(size_t hits, size_t n) {
    const double z2 = normal_95 * normal_95, count = (double)n, share = (double)hits / count;
    if (n == 0) return (mien_interval){NAN, NAN};
    const double centre = (share + z2 / (2 * count)) / (1 + z2 / count);
    const double half =
        normal_95 / (1 + z2 / count) * sqrt(share * (1 - share) / count + z2 / (4 * count * count));
    return (mien_interval){fmax(0, centre - half), fmin(1, centre + half)};
}

double mien_two_proportions(size_t hits_a, size_t a, size_t hits_b, size_t b) {
    if (a == 0 || b == 0) return NAN;
    const double share_a = (double)hits_a / (double)a, share_b = (double)hits_b / (double)b;
    const double both = (double)(hits_a + hits_b) / (double)(a + b);
    const double variance = both * (1 - both) * (1 / (double)a + 1 / (double)b);
    return variance > 0 ? erfc(fabs(share_a - share_b) / sqrt(2 * variance)) : 1;
}

/* Twice the chance of at most `least` heads in n throws of a coin. */
static double binomial_p(size_t least, size_t n) {
    double term = pow(0.5, (double)n), sum = 0;
    for (size_t k = 0; k <= least; k++) {
        sum += term;
        term *= (double)(n - k) / (double)(k + 1);
    }
    return fmin(1, 2 * sum);
}

mien_mcnemar mien_mcnemar_test(const uint8_t *a_right, const uint8_t *b_right, size_t n) {
    enum { EXACT_BELOW = 25 };
    mien_mcnemar m = {0, 0, 1};
    for (size_t i = 0; i < n; i++) {
        m.only_a += a_right[i] && !b_right[i];
        m.only_b += b_right[i] && !a_right[i];
    }
    const size_t most = m.only_a > m.only_b ? m.only_a : m.only_b, both = m.only_a + m.only_b;
    if (both < EXACT_BELOW) {
        m.p = binomial_p(both - most, both);
    } else {
        const double apart = fmax(0, (double)(2 * most - both) - 1);
        m.p = erfc(sqrt(apart * apart / (double)both / 2)); /* chi-squared, one degree of freedom */
    }
    return m;
}
