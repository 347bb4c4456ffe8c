/* The generated faces: the same everywhere, balanced, identities disjoint over the parts, and hard
 * for whatever is no convolutional network: softmax regression on the pixels and the nearest
 * neighbour. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/base/sha256.h"
#include "host/data/dataset.h"
#include "host/data/sample_draw.h"
#include "kernels/body/rng.h"

static mien_dataset faces;

static int load(void **state) {
    (void)state;
    const mien_image_spec spec = {SAMPLE_SIDE, SAMPLE_SIDE, 1};
    const mien_on_bad on_bad = {false, -1};
    if (mien_dataset_load("sample", spec, on_bad, &faces) != MIEN_OK) return 1;
    memcpy(faces.part, faces.usage, faces.count); /* the source's own split */
    return 0;
}

static int release(void **state) {
    (void)state;
    mien_dataset_release(&faces);
    return 0;
}

static const uint8_t *image(size_t i) {
    return faces.pixels + i * SAMPLE_PIXELS;
}

/* Any change of a single pixel of the default set, by compiler, flags or machine, shows here. */
static void same_pixels_everywhere(void **state) {
    (void)state;
    mien_sha256 hash;
    char hex[65];
    mien_sha256_start(&hash);
    mien_sha256_add(&hash, faces.pixels, faces.count * SAMPLE_PIXELS);
    mien_sha256_hex(&hash, hex);
    assert_string_equal(hex, "8c2f60525a63af3048eed2c5ed104ce777d4f2a9ccda13131b7499e6c762bd5f");
}

static void balanced_and_disjoint(void **state) {
    (void)state;
    int part_of[SAMPLE_IDENTITIES];
    size_t counts[SAMPLE_CLASSES];
    memset(part_of, -1, sizeof part_of);
    assert_int_equal(faces.count, SAMPLE_COUNT);
    for (size_t i = 0; i < faces.count; i++) {
        assert_true(faces.group[i] < SAMPLE_IDENTITIES);
        int *part = &part_of[faces.group[i]];
        if (*part < 0) *part = faces.usage[i];
        assert_int_equal(*part, faces.usage[i]);
    }
    const size_t expected[] = {5880, 980, 980};
    for (mien_part part = MIEN_TRAIN; part < MIEN_PARTS; part++) {
        assert_int_equal(mien_dataset_counts(&faces, part, counts), expected[part]);
        for (int k = 0; k < SAMPLE_CLASSES; k++)
            assert_int_equal(counts[k], expected[part] / SAMPLE_CLASSES);
    }
}

/* ---- softmax regression on standardised pixels ---- */

enum { EPOCHS = 24, BATCH = 32 };

typedef struct regression {
    float w[SAMPLE_CLASSES][SAMPLE_PIXELS], b[SAMPLE_CLASSES];
    float velocity[SAMPLE_CLASSES][SAMPLE_PIXELS];
    float mean[SAMPLE_PIXELS], inverse[SAMPLE_PIXELS];
} regression;

static void standardise(regression *r) {
    double sum[SAMPLE_PIXELS] = {0}, squares[SAMPLE_PIXELS] = {0}, n = 0;
    for (size_t i = 0; i < faces.count; i++) {
        if (faces.part[i] != MIEN_TRAIN) continue;
        n++;
        for (int p = 0; p < SAMPLE_PIXELS; p++) {
            sum[p] += image(i)[p];
            squares[p] += (double)image(i)[p] * image(i)[p];
        }
    }
    for (int p = 0; p < SAMPLE_PIXELS; p++) {
        const double m = sum[p] / n;
        r->mean[p] = (float)m;
        r->inverse[p] = (float)(1 / sqrt(squares[p] / n - m * m + 1));
    }
}

static int classify(const regression *r, size_t i, float *x, float *p) {
    int best = 0;
    float top = -1e30f, total = 0;
    for (int k = 0; k < SAMPLE_PIXELS; k++)
        x[k] = ((float)image(i)[k] - r->mean[k]) * r->inverse[k];
    for (int c = 0; c < SAMPLE_CLASSES; c++) {
        float lane[16] = {0}, z = r->b[c];
        for (int k = 0; k < SAMPLE_PIXELS; k += 16)
            for (int j = 0; j < 16; j++)
                lane[j] += r->w[c][k + j] * x[k + j];
        for (int j = 0; j < 16; j++)
            z += lane[j];
        p[c] = z;
        if (z > top) {
            top = z;
            best = c;
        }
    }
    for (int c = 0; c < SAMPLE_CLASSES; c++)
        total += p[c] = expf(p[c] - top);
    for (int c = 0; c < SAMPLE_CLASSES; c++)
        p[c] /= total;
    return best;
}

static void learn_batch(regression *r, const size_t *order, int count, float rate) {
    static float gradient[SAMPLE_CLASSES][SAMPLE_PIXELS];
    float x[SAMPLE_PIXELS], p[SAMPLE_CLASSES];
    memset(gradient, 0, sizeof gradient);
    for (int n = 0; n < count; n++) {
        classify(r, order[n], x, p);
        p[faces.labels[order[n]]] -= 1;
        for (int c = 0; c < SAMPLE_CLASSES; c++) {
            r->b[c] -= rate * p[c] / (float)count;
            for (int k = 0; k < SAMPLE_PIXELS; k++)
                gradient[c][k] += p[c] * x[k];
        }
    }
    for (int c = 0; c < SAMPLE_CLASSES; c++)
        for (int k = 0; k < SAMPLE_PIXELS; k++) {
            float *v = &r->velocity[c][k];
            *v = 0.9f * *v - rate * (gradient[c][k] / (float)count + 1e-3f * r->w[c][k]);
            r->w[c][k] += *v;
        }
}

static double accuracy(const regression *r, mien_part part) {
    size_t n = 0, right = 0;
    float x[SAMPLE_PIXELS], p[SAMPLE_CLASSES];
    for (size_t i = 0; i < faces.count; i++)
        if (faces.part[i] == part) {
            n++;
            right += classify(r, i, x, p) == faces.labels[i];
        }
    return (double)right / (double)n;
}

static void softmax_regression_fails(void **state) {
    (void)state;
    static regression r;
    static size_t order[SAMPLE_COUNT];
    size_t n = 0;
    double best = 0;
    standardise(&r);
    for (size_t i = 0; i < faces.count; i++)
        if (faces.part[i] == MIEN_TRAIN) order[n++] = i;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t i = n - 1; i > 0; i--) {
            const size_t j = rng_word(1, RNG_SHUFFLE, (uint64_t)epoch, i) % (i + 1);
            const size_t t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        for (size_t i = 0; i < n; i += BATCH)
            learn_batch(&r, order + i, n - i < BATCH ? (int)(n - i) : BATCH,
                        0.003f / (1 + 0.3f * (float)epoch));
        const double now = accuracy(&r, MIEN_VAL); /* the best epoch: kind to the regression */
        best = now > best ? now : best;
    }
    const double fitted = accuracy(&r, MIEN_TRAIN);
    print_message("# softmax regression: %.3f on its training data, at best %.3f on validation\n",
                  fitted, best);
    assert_true(fitted > 0.4); /* it did learn what it can */
    assert_true(best <= 0.55);
}

/* ---- nearest neighbour ---- */

static int nearest_label(size_t query) {
    uint32_t least = UINT32_MAX;
    int label = -1;
    for (size_t i = 0; i < faces.count; i++) {
        if (faces.part[i] != MIEN_TRAIN) continue;
        const uint8_t *a = image(query), *b = image(i);
        uint32_t distance = 0;
        for (int p = 0; p < SAMPLE_PIXELS; p++) {
            const int d = a[p] - b[p];
            distance += (uint32_t)(d * d);
        }
        if (distance < least) {
            least = distance;
            label = faces.labels[i];
        }
    }
    return label;
}

static void nearest_neighbour_fails(void **state) {
    (void)state;
    int n = 0, right = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : n, right)
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        if (faces.part[i] != MIEN_VAL) continue;
        n++;
        right += nearest_label(i) == faces.labels[i];
    }
    print_message("# nearest neighbour: %.3f on %d validation images\n", (double)right / n, n);
    assert_int_equal(n, 980);
    assert_true((double)right / n <= 0.75);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pixels_everywhere), cmocka_unit_test(balanced_and_disjoint),
        cmocka_unit_test(softmax_regression_fails), cmocka_unit_test(nearest_neighbour_fails)};
    return cmocka_run_group_tests(tests, load, release);
}
