/* Temperature calibration. */
#include <math.h>

#include "host/eval/temperature.h"
#include "kernels/body/rng.h"
#include "tests/support/test.h"

enum { ROWS = 6000, CLASSES = 4 };
static float predicted[ROWS * CLASSES];
static uint16_t labels[ROWS];

/* Draws labels from probabilities, then sharpens the probabilities to the power of `factor`. */
static void draw(double factor) {
    for (uint32_t i = 0; i < ROWS; i++) {
        double p[CLASSES], sum = 0, powered = 0, u = rng_unit(rng_word(5, 1, 0, i));
        for (uint32_t k = 0; k < CLASSES; k++)
            sum += p[k] = exp(2 * rng_unit(rng_word(6, 1, k, i)));
        labels[i] = CLASSES - 1;
        for (uint16_t k = CLASSES; k-- > 0;) {
            p[k] /= sum;
            powered += pow(p[k], factor);
        }
        for (uint16_t k = 0; k < CLASSES; k++) {
            if (u >= 0 && u < p[k]) labels[i] = k;
            u -= p[k];
            predicted[i * CLASSES + k] = (float)(pow(p[k], factor) / powered);
        }
    }
}

static double cross_entropy(void) {
    double loss = 0;
    for (size_t i = 0; i < ROWS; i++)
        loss -= log(predicted[i * CLASSES + labels[i]]);
    return loss / ROWS;
}

/* The fit on 6,000 rows recovers the factor within its statistical error. */
static void fit_recovers_the_factor(void **state) {
    (void)state;
    static const double factors[] = {1, 3, 0.4};
    for (size_t f = 0; f < sizeof factors / sizeof factors[0]; f++) {
        draw(factors[f]);
        const double t = mien_temperature_fit(predicted, labels, ROWS, CLASSES);
        if (fabs(t / factors[f] - 1) > 0.1) fail_msg("%g, not %g", t, factors[f]);
    }
}

/* The fitted temperature minimises the loss; applying it keeps row sums and predictions. */
static void fit_minimises_the_loss(void **state) {
    (void)state;
    double loss[3];
    for (int i = 0; i < 3; i++) {
        draw(3);
        const double t = mien_temperature_fit(predicted, labels, ROWS, CLASSES);
        static const double around[] = {0.97, 1, 1.03};
        const float before = predicted[0] - predicted[1];
        mien_temperature_apply(predicted, ROWS, CLASSES, t * around[i]);
        assert_true((predicted[0] - predicted[1]) * before > 0);
        double sum = 0;
        for (int k = 0; k < CLASSES; k++)
            sum += predicted[k];
        assert_true(fabs(sum - 1) < 1e-6);
        loss[i] = cross_entropy();
    }
    assert_true(loss[1] < loss[0] && loss[1] < loss[2]);
}

/* Too few rows, and classifiers that are always right, or certain and wrong. */
static void stays_in_its_range(void **state) {
    (void)state;
    static const float right[] = {1, 0}, wrong[] = {0, 1};
    float rows[2 * MIEN_TEMPERATURE_LEAST];
    uint16_t zeros[MIEN_TEMPERATURE_LEAST] = {0};
    assert_true(mien_temperature_fit(right, zeros, 1, 2) == 1);
    for (int i = 0; i < MIEN_TEMPERATURE_LEAST; i++)
        rows[2 * i] = right[0], rows[2 * i + 1] = right[1];
    const double cold = mien_temperature_fit(rows, zeros, MIEN_TEMPERATURE_LEAST, 2);
    for (int i = 0; i < MIEN_TEMPERATURE_LEAST; i++)
        rows[2 * i] = wrong[0], rows[2 * i + 1] = wrong[1];
    const double hot = mien_temperature_fit(rows, zeros, MIEN_TEMPERATURE_LEAST, 2);
    assert_true(cold >= 0.049 && cold < 1 && hot > 1 && hot <= 20.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fit_recovers_the_factor),
                                       cmocka_unit_test(fit_minimises_the_loss),
                                       cmocka_unit_test(stays_in_its_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
