/* Between detections: following a face, scene cuts, steady labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/base/memory.h"
#include "host/track/track.h"
#include "kernels/body/rng.h"
#include "tests/support/test.h"

enum { WIDTH = 640, HEIGHT = 360 };
static uint8_t pixels[WIDTH * HEIGHT];
static mien_image frame = {WIDTH, HEIGHT, 1, pixels};

/* Smooth noise between 0 and 1, a function of the place. */
static float texture(uint32_t seed, float x, float y) {
    const float fx = floorf(x), fy = floorf(y);
    float corner[4];
    for (int k = 0; k < 4; k++) {
        const uint32_t cell =
            (uint32_t)((int)fx + k % 2 + 4096) * 8192u + (uint32_t)((int)fy + k / 2 + 4096);
        corner[k] = (float)(rng_word(seed, 1, 0, cell) >> 8) / (1 << 24);
    }
    const float u = x - fx, v = y - fy;
    const float above = corner[0] + u * (corner[1] - corner[0]);
    const float below = corner[2] + u * (corner[3] - corner[2]);
    return above + v * (below - above);
}

/* A frame: a background that has panned by `pan` pixels, in light of `gain` and `lift`. */
static void draw_scene(uint32_t seed, float pan, float gain, float lift) {
    for (int i = 0; i < HEIGHT; i++)
        for (int j = 0; j < WIDTH; j++) {
            const float tone = 200 * texture(seed, ((float)j + pan) / 47, (float)i / 47) + 20;
            const float value = tone * gain + lift;
            pixels[i * WIDTH + j] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
}

static void draw_face(mien_rect box, uint32_t seed, float gain) {
    for (int i = box.y < 0 ? 0 : box.y; i < box.y + box.height && i < HEIGHT; i++)
        for (int j = box.x < 0 ? 0 : box.x; j < box.x + box.width && j < WIDTH; j++) {
            const float u = (float)(j - box.x) / (float)box.width;
            const float v = (float)(i - box.y) / (float)box.height;
            const float tone = 180 * texture(seed, 7 * u, 7 * v) + 30;
            pixels[i * WIDTH + j] = (uint8_t)(tone * gain > 255 ? 255 : tone * gain);
        }
}

/* A face that moves, grows or shrinks and is lit otherwise is found near a guess that is off. */
static void a_face_is_followed(void **state) {
    (void)state;
    mien_follower *f;
    assert_int_equal(mien_follower_create(&f), MIEN_OK);
    static const int sides[] = {24, 60, 100, 300};
    for (size_t s = 0; s < 4; s++) {
        const int side = sides[s];
        const mien_rect start = {20, 25, side, side};
        draw_scene(1, 0, 1, 0);
        draw_face(start, 9, 1);
        mien_follower_set(f, &frame, start);
        static const double moved[][3] = {
            {0, 0, 1}, {0.4, 0.1, 1}, {-0.2, 0.3, 1}, {0.1, 0.1, 1.06}, {0.2, 0, 0.95}};
        for (size_t k = 0; k < 5; k++) {
            const mien_rect now = {start.x + (int)(moved[k][0] * side),
                                   start.y + (int)(moved[k][1] * side), (int)(moved[k][2] * side),
                                   (int)(moved[k][2] * side)};
            draw_scene(1, 0, 0.6f, 10);
            draw_face(now, 9, k % 2 == 0 ? 0.6f : 1.1f);
            mien_rect found;
            const double likeness = mien_follower_find(f, &frame, start, &found);
            if (likeness < 0.7 || mien_rect_overlap(found, now) < 0.85)
                fail_msg("side %d, move %zu: likeness %g, IoU %g", side, k, likeness,
                         mien_rect_overlap(found, now));
        }
    }
    mien_follower_free(f);
}

/* Covered by something else, or gone out of the picture: not there. */
static void a_lost_face_is_said_to_be_lost(void **state) {
    (void)state;
    mien_follower *f;
    assert_int_equal(mien_follower_create(&f), MIEN_OK);
    mien_rect found;
    int mistaken = 0;
    const mien_rect at = {300, 100, 100, 100};
    assert_true(mien_follower_find(f, &frame, at, &found) < MIEN_FOLLOW_LEAST);
    for (uint32_t seed = 10; seed < 40; seed++) {
        draw_scene(seed, 0, 1, 0);
        draw_face(at, seed + 100, 1);
        mien_follower_set(f, &frame, at);
        draw_scene(seed, 0, 1, 0);
        mistaken += mien_follower_find(f, &frame, at, &found) >= MIEN_FOLLOW_LEAST;
        draw_face(at, seed + 200, 1);
        mistaken += mien_follower_find(f, &frame, at, &found) >= MIEN_FOLLOW_LEAST;
    }
    assert_true(mistaken <= 3); /* of 60: by chance something looks alike */
    /* most of it outside on the left */
    draw_face((mien_rect){-70, 100, 100, 100}, 139, 1);
    assert_true(mien_follower_find(f, &frame, (mien_rect){-70, 100, 100, 100}, &found) <
                MIEN_FOLLOW_LEAST);
    memset(pixels, 128, sizeof pixels);
    assert_true(mien_follower_find(f, &frame, at, &found) < MIEN_FOLLOW_LEAST);
    mien_follower_free(f);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The cost does not grow with the face. Generous: sanitizers are slow. */
static void following_costs_the_same_for_any_face(void **state) {
    (void)state;
    mien_follower *f;
    assert_int_equal(mien_follower_create(&f), MIEN_OK);
    draw_scene(1, 0, 1, 0);
    double took[2];
    for (int k = 0; k < 2; k++) {
        const int side = k == 0 ? 100 : 340;
        const mien_rect box = {100, 10, side, side};
        mien_follower_set(f, &frame, box);
        const double start = seconds();
        mien_rect found;
        for (int i = 0; i < 200; i++)
            mien_follower_find(f, &frame, box, &found);
        took[k] = (seconds() - start) / 200;
    }
    print_message("# following a face of 100 px: %.3f ms, of 340 px: %.3f ms\n", 1e3 * took[0],
                  1e3 * took[1]);
    assert_true(took[1] < 3 * took[0]);
    assert_true(took[0] < 0.01);
    mien_follower_free(f);
}

static void only_another_scene_is_a_cut(void **state) {
    (void)state;
    mien_scene scene = {.set = false};
    for (uint32_t seed = 1; seed <= 12; seed++) {
        draw_scene(seed, 0, 0.7f, 0);
        assert_int_equal(mien_scene_cut(&scene, &frame), seed > 1);
        assert_false(mien_scene_cut(&scene, &frame));
        for (int k = 1; k <= 4; k++) { /* a fast pan */
            draw_scene(seed, 40 * (float)k, 0.7f, 0);
            assert_false(mien_scene_cut(&scene, &frame));
        }
        draw_scene(seed, 160, 1.2f, 40); /* a flash, then darkness */
        assert_false(mien_scene_cut(&scene, &frame));
        draw_scene(seed, 160, 0.2f, 0);
        assert_false(mien_scene_cut(&scene, &frame));
        memset(pixels, 255, sizeof pixels); /* a white frame, then the same scene */
        assert_false(mien_scene_cut(&scene, &frame));
        draw_scene(seed, 160, 0.7f, 0);
        draw_face((mien_rect){200, 50, 200, 200}, 77, 1); /* someone comes near */
        assert_false(mien_scene_cut(&scene, &frame));
        memset(pixels, 0, sizeof pixels); /* black between two scenes */
        assert_false(mien_scene_cut(&scene, &frame));
    }
}

static mien_smoother *smoother(double tau, double lead) {
    mien_smoother *s;
    const mien_smoother_options options = {tau, lead};
    assert_int_equal(mien_smoother_create(2, &options, &s), MIEN_OK);
    return s;
}

/* The same signal at 10 and 240 frames per second gives the same smoothed scores. */
static void smoothing_does_not_depend_on_the_rate(void **state) {
    (void)state;
    float at[2][2];
    for (int k = 0; k < 2; k++) {
        const int rate = k == 0 ? 10 : 240;
        mien_smoother *const s = smoother(0.5, 0.1);
        int label;
        for (int n = 0; n <= 3 * rate; n++) {
            const bool late = n > 2 * rate;
            const float scores[2] = {late ? 0.1f : 0.8f, late ? 0.9f : 0.2f};
            assert_int_equal(mien_smoother_add(s, 1, (double)n / rate, scores, at[k], &label),
                             MIEN_OK);
            assert_true(fabsf(at[k][0] + at[k][1] - 1) < 1e-5f);
        }
        mien_smoother_free(s);
    }
    /* one second after the change: exp(-2) of the old scores is left */
    assert_true(fabs(at[0][0] - (0.1 + 0.7 * exp(-2))) < 0.005);
    assert_true(fabsf(at[0][0] - at[1][0]) < 0.005f);
}

/* Scores that lead by less than `lead` change no label. */
static void labels_have_hysteresis(void **state) {
    (void)state;
    mien_smoother *const s = smoother(0.05, 0.2);
    float out[2];
    int label, changes = 0, before = 0;
    for (int n = 0; n < 200; n++) {
        const float up = n % 20 < 10 ? 0.55f : 0.45f;
        const float scores[2] = {up, 1 - up};
        assert_int_equal(mien_smoother_add(s, 1, 0.04 * n, scores, out, &label), MIEN_OK);
        changes += label != before;
        before = label;
    }
    assert_int_equal(changes, 0);
    for (int n = 200; n < 220; n++)
        assert_int_equal(
            mien_smoother_add(s, 1, 0.04 * n, (const float[]){0.3f, 0.7f}, out, &label), MIEN_OK);
    assert_int_equal(label, 1);
    mien_smoother_free(s);
}

/* Persons are apart from each other; one gone for 20 time constants starts anew; memory is flat. */
static void persons_are_forgotten(void **state) {
    (void)state;
    mien_smoother *const s = smoother(0.5, 0.1);
    const float first[2] = {1, 0}, second[2] = {0, 1};
    float out[2];
    int label;
    assert_int_equal(mien_smoother_add(s, 1, 0, first, out, &label), MIEN_OK);
    assert_int_equal(mien_smoother_add(s, 2, 0, second, out, &label), MIEN_OK);
    assert_true(out[1] == 1 && label == 1);
    assert_int_equal(mien_smoother_add(s, 1, 0.01, first, out, &label), MIEN_OK);
    assert_true(out[0] == 1 && label == 0);
    /* gone for long: not even the old label is left to be led */
    const float even[2] = {0.49f, 0.51f};
    assert_int_equal(mien_smoother_add(s, 1, 11, even, out, &label), MIEN_OK);
    assert_int_equal(label, 1);
    uint64_t warm = 0;
    for (int n = 0; n < 100000; n++) {
        assert_int_equal(mien_smoother_add(s, 10 + n, 11 + 0.04 * n, first, out, &label), MIEN_OK);
        if (n == 2000) warm = mien_allocation_count();
    }
    assert_true(mien_allocation_count() == warm);
    const float bad[2] = {NAN, 1}, none[2] = {0, 0};
    assert_int_equal(mien_smoother_add(s, 1, 9999, bad, out, &label), MIEN_INVALID);
    assert_int_equal(mien_smoother_add(s, 1, 9999, none, out, &label), MIEN_INVALID);
    assert_int_equal(mien_smoother_add(s, 1, NAN, first, out, &label), MIEN_INVALID);
    mien_smoother_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_face_is_followed),
        cmocka_unit_test(a_lost_face_is_said_to_be_lost),
        cmocka_unit_test(following_costs_the_same_for_any_face),
        cmocka_unit_test(only_another_scene_is_a_cut),
        cmocka_unit_test(smoothing_does_not_depend_on_the_rate),
        cmocka_unit_test(labels_have_hysteresis),
        cmocka_unit_test(persons_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
