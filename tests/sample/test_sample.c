/* The drawn faces: the same bits on every machine, balanced, split by identity, and too hard for
 * pixel-wise classifiers. */
#include "host/data/sample_draw.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/test.h"

enum { SEED = 2013, LANES = 8, EPOCHS = 10, BATCH = 32, PROBE_STEP = 8 };

/* The set of the source `sample` (its seed is SEED), drawn once for all tests. */
typedef struct data_set {
    uint8_t pixels[SAMPLE_COUNT][SAMPLE_PIXELS];
    int label[SAMPLE_COUNT];
    uint32_t identity[SAMPLE_COUNT];
    int part[SAMPLE_COUNT];
} data_set;

/* Softmax regression on standardised pixels. A pixel's weights for all classes are contiguous and
 * padded by one unused lane, so that the inner loops vectorise. */
typedef struct softmax {
    float mean[SAMPLE_PIXELS];
    float per_std[SAMPLE_PIXELS];
    float weight[SAMPLE_PIXELS + 1][LANES]; /* the last row: biases */
    float speed[SAMPLE_PIXELS + 1][LANES];
    float slope[SAMPLE_PIXELS + 1][LANES];
    float input[SAMPLE_PIXELS + 1];
} softmax;

static int draw_all(void **state) {
    data_set *const set = malloc(sizeof *set);
    if (set == NULL) return -1;
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++) {
        sample_draw(SEED, i, set->pixels[i], &set->label[i], &set->identity[i]);
        set->part[i] = sample_split(set->identity[i]);
    }
    *state = set;
    return 0;
}

static int free_all(void **state) {
    free(*state);
    return 0;
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

/* Any change to the drawing changes these hashes; then the project's published figures must be
 * measured again. They hold for every compiler and machine. */
static void test_golden_bits(void **state) {
    const data_set *const set = *state;
    const uint64_t start = 0xCBF29CE484222325u;
    const uint64_t first = fnv1a(start, set->pixels[0], (size_t)70 * SAMPLE_PIXELS);
    const uint64_t all = fnv1a(start, set->pixels[0], sizeof set->pixels);
    uint8_t far[SAMPLE_PIXELS];
    int label;
    uint32_t identity;
    sample_draw(0xFFFFFFFFu, 0xFFFFFFFFu, far, &label, &identity);
    const uint64_t last = fnv1a(start, far, sizeof far);
    assert_int_equal(first, 0x0ECE8AC8B073760Eu);
    assert_int_equal(all, 0x3DC107F097698C9Cu);
    assert_int_equal(last, 0xF814F7FC8AE31B94u);
}

static void test_draws_do_not_depend_on_order(void **state) {
    const data_set *const set = *state;
    uint8_t again[SAMPLE_PIXELS];
    int label;
    uint32_t identity;
    for (uint32_t i = SAMPLE_COUNT; i-- > SAMPLE_COUNT - 50;) {
        sample_draw(SEED, i, again, &label, &identity);
        assert_memory_equal(again, set->pixels[i], SAMPLE_PIXELS);
        assert_int_equal(label, set->label[i]);
        assert_int_equal(identity, set->identity[i]);
    }
    sample_draw(SEED + 1, 0, again, &label, &identity);
    assert_memory_not_equal(again, set->pixels[0], SAMPLE_PIXELS);
}

static void test_classes_are_balanced_in_every_part(void **state) {
    const data_set *const set = *state;
    int count[3][SAMPLE_CLASSES] = {{0}};
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        assert_in_range(set->label[i], 0, SAMPLE_CLASSES - 1);
        assert_in_range(set->part[i], SAMPLE_TRAIN, SAMPLE_TEST);
        count[set->part[i]][set->label[i]]++;
    }
    for (int label = 0; label < SAMPLE_CLASSES; label++) {
        assert_int_equal(count[SAMPLE_TRAIN][label], SAMPLE_IDENTITIES / 8 * 6);
        assert_int_equal(count[SAMPLE_VAL][label], SAMPLE_IDENTITIES / 8);
        assert_int_equal(count[SAMPLE_TEST][label], SAMPLE_IDENTITIES / 8);
    }
}

static void test_parts_share_no_identity(void **state) {
    const data_set *const set = *state;
    static int part_of[SAMPLE_IDENTITIES];
    for (int k = 0; k < SAMPLE_IDENTITIES; k++)
        part_of[k] = -1;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        assert_in_range(set->identity[i], 0, SAMPLE_IDENTITIES - 1);
        int *const part = &part_of[set->identity[i]];
        assert_true(*part == -1 || *part == set->part[i]);
        *part = set->part[i];
    }
}

static void test_images_use_the_gray_range(void **state) {
    const data_set *const set = *state;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        int low = 255;
        int high = 0;
        for (int k = 0; k < SAMPLE_PIXELS; k++) {
            low = set->pixels[i][k] < low ? set->pixels[i][k] : low;
            high = set->pixels[i][k] > high ? set->pixels[i][k] : high;
        }
        assert_true(high - low >= 60);
    }
}

static void standardise(softmax *model, const data_set *set) {
    static int64_t sum[SAMPLE_PIXELS];
    static int64_t square[SAMPLE_PIXELS];
    int count = 0;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        if (set->part[i] != SAMPLE_TRAIN) continue;
        count++;
        for (int k = 0; k < SAMPLE_PIXELS; k++) {
            sum[k] += set->pixels[i][k];
            square[k] += set->pixels[i][k] * set->pixels[i][k];
        }
    }
    for (int k = 0; k < SAMPLE_PIXELS; k++) {
        const double mean = (double)sum[k] / count;
        const double variance = (double)square[k] / count - mean * mean;
        model->mean[k] = (float)mean;
        model->per_std[k] = (float)(1.0 / sqrt(variance + 1.0));
    }
}

static void predict(softmax *model, const uint8_t *pixels, float chance[LANES]) {
    float logit[LANES] = {0};
    for (int k = 0; k < SAMPLE_PIXELS; k++)
        model->input[k] = ((float)pixels[k] - model->mean[k]) * model->per_std[k];
    model->input[SAMPLE_PIXELS] = 1.0f;
    for (int k = 0; k <= SAMPLE_PIXELS; k++)
        for (int c = 0; c < LANES; c++)
            logit[c] += model->input[k] * model->weight[k][c];
    float top = logit[0];
    for (int c = 1; c < SAMPLE_CLASSES; c++)
        top = logit[c] > top ? logit[c] : top;
    float sum = 0.0f;
    for (int c = 0; c < SAMPLE_CLASSES; c++)
        sum += chance[c] = expf(logit[c] - top);
    for (int c = 0; c < SAMPLE_CLASSES; c++)
        chance[c] /= sum;
    chance[LANES - 1] = 0.0f;
}

static void learn(softmax *model, const uint8_t *pixels, int label) {
    float error[LANES];
    predict(model, pixels, error);
    error[label] -= 1.0f;
    for (int k = 0; k <= SAMPLE_PIXELS; k++)
        for (int c = 0; c < LANES; c++)
            model->slope[k][c] += model->input[k] * error[c];
}

/* Momentum 0.9, and a weight decay chosen for the best validation accuracy. */
static void descend(softmax *model, float rate) {
    for (int k = 0; k <= SAMPLE_PIXELS; k++) {
        for (int c = 0; c < LANES; c++) {
            const float pull = model->slope[k][c] / BATCH + 0.05f * model->weight[k][c];
            model->speed[k][c] = 0.9f * model->speed[k][c] - rate * pull;
            model->weight[k][c] += model->speed[k][c];
            model->slope[k][c] = 0.0f;
        }
    }
}

/* One epoch over the training part, shuffled by a stride coprime to the count. */
static void train_epoch(softmax *model, const data_set *set, int epoch) {
    const float rate = 0.0015f * (1.0f - (float)epoch / EPOCHS);
    const int64_t stride = 3571 + 2 * epoch * SAMPLE_CLASSES * 5;
    int held = 0;
    for (int64_t i = 0; i < SAMPLE_COUNT; i++) {
        const int at = (int)(i * stride % SAMPLE_COUNT);
        if (set->part[at] != SAMPLE_TRAIN) continue;
        learn(model, set->pixels[at], set->label[at]);
        if (++held % BATCH == 0) descend(model, rate);
    }
}

static double accuracy(softmax *model, const data_set *set, int part) {
    int right = 0;
    int count = 0;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        if (set->part[i] != part) continue;
        float chance[LANES];
        predict(model, set->pixels[i], chance);
        int best = 0;
        for (int c = 1; c < SAMPLE_CLASSES; c++)
            best = chance[c] > chance[best] ? c : best;
        right += best == set->label[i];
        count++;
    }
    return (double)right / count;
}

static void test_softmax_regression_is_not_enough(void **state) {
    const data_set *const set = *state;
    static softmax model;
    standardise(&model, set);
    double best = 0.0;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        train_epoch(&model, set, epoch);
        const double now = accuracy(&model, set, SAMPLE_VAL);
        best = now > best ? now : best;
    }
    const double seen = accuracy(&model, set, SAMPLE_TRAIN);
    print_message("softmax regression: train %.3f, best val %.3f\n", seen, best);
    assert_true(seen >= 0.5); /* it has learned something */
    assert_true(best <= 0.55);
}

/* Squared distance of two images; stops early at any value of at least `limit`. */
static int64_t squared_distance(const uint8_t *a, const uint8_t *b, int64_t limit) {
    int64_t total = 0;
    for (int row = 0; row < SAMPLE_PIXELS && total < limit; row += SAMPLE_SIDE) {
        int sum = 0;
        for (int k = row; k < row + SAMPLE_SIDE; k++)
            sum += (a[k] - b[k]) * (a[k] - b[k]);
        total += sum;
    }
    return total;
}

static void test_nearest_neighbour_is_not_enough(void **state) {
    const data_set *const set = *state;
    int right = 0;
    int count = 0;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        /* 7 and 8 are coprime, so every class is probed. */
        if (set->part[i] != SAMPLE_VAL || i % PROBE_STEP != 0) continue;
        int64_t least = INT64_MAX;
        int guess = -1;
        for (int k = 0; k < SAMPLE_COUNT; k++) {
            if (set->part[k] != SAMPLE_TRAIN) continue;
            const int64_t here = squared_distance(set->pixels[i], set->pixels[k], least);
            if (here >= least) continue;
            least = here;
            guess = set->label[k];
        }
        right += guess == set->label[i];
        count++;
    }
    print_message("nearest neighbour: val %.3f of %d\n", (double)right / count, count);
    assert_true(count >= 120);
    assert_true((double)right / count <= 0.75);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bits),
        cmocka_unit_test(test_draws_do_not_depend_on_order),
        cmocka_unit_test(test_classes_are_balanced_in_every_part),
        cmocka_unit_test(test_parts_share_no_identity),
        cmocka_unit_test(test_images_use_the_gray_range),
        cmocka_unit_test(test_softmax_regression_is_not_enough),
        cmocka_unit_test(test_nearest_neighbour_is_not_enough),
    };
    return cmocka_run_group_tests(tests, draw_all, free_all);
}
