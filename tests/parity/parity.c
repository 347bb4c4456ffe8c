#include "tests/parity/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

double *integers(size_t count, int range, uint32_t seed) {
    double *out = numbers(count);
    for (size_t i = 0; i < count; i++)
        out[i] = floor(noise(seed, i) * (range + 0.5) + 0.5);
    return out;
}

float *mild_floats(size_t count, float scale, uint32_t seed) {
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)noise(seed, i) * scale;
    return out;
}

float *wild_floats(size_t count, uint32_t seed) {
    static const float special[] = {0.0f,      -0.0f,   1e-40f,    -1e-42f,  INFINITY,
                                    -INFINITY, NAN,     3.4e38f,   -3.4e38f, 1.17549435e-38f,
                                    6.0f,      -1e-30f, 88.7f,     -87.3f,   0.1f,
                                    3.0f,      -3.0f,   5.9604e-8f};
    enum { SPECIAL = sizeof special / sizeof special[0] };
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = i % 3 == 0 && i / 3 < 40 * SPECIAL
                     ? special[i / 3 % SPECIAL]
                     : (float)(noise(seed, 2 * i) * exp(12 * noise(seed, 2 * i + 1)));
    return out;
}

void expect_same_floats(const float *got, const float *want, size_t count, const char *what,
                        const char *isa) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(&got[i], &want[i], sizeof got[i]) != 0 && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s, %s: element %zu of %zu is %.9g (%a), not %.9g (%a)", what, isa, i, count,
                     (double)got[i], (double)got[i], (double)want[i], (double)want[i]);
}
