/* Tracking: identities on made clips, beside a tracker that knows overlap only; looks, assignment.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/track/assign.h"
#include "host/track/track.h"
#include "kernels/body/rng.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"

enum { FACES = CLIP_PEOPLE, SEEN_MAX = CLIP_FRAMES * FACES, IDS = 2048 };

static uint8_t pixels[CLIP_WIDTH * CLIP_HEIGHT];
static mien_image frame = {CLIP_WIDTH, CLIP_HEIGHT, 1, pixels};

/* ---- a plain tracker: the box that overlaps most keeps the id, for two seconds ---- */

typedef struct plain {
    mien_rect boxes[IDS];
    double seen[IDS];
    int count;
} plain;

static void plain_step(plain *t, double now, const mien_rect *boxes, int count, long long *ids) {
    bool used[IDS] = {false};
    for (int i = 0; i < count; i++)
        ids[i] = 0;
    for (;;) {
        double best = 0.3;
        int face = -1, track = -1;
        for (int i = 0; i < count; i++)
            for (int j = 0; ids[i] == 0 && j < t->count; j++)
                if (!used[j] && now - t->seen[j] <= 2 &&
                    mien_rect_overlap(boxes[i], t->boxes[j]) > best) {
                    best = mien_rect_overlap(boxes[i], t->boxes[j]);
                    face = i;
                    track = j;
                }
        if (face < 0) break;
        used[track] = true;
        ids[face] = track + 1;
    }
    for (int i = 0; i < count; i++) {
        if (ids[i] == 0 && t->count < IDS) ids[i] = ++t->count;
        t->boxes[ids[i] - 1] = boxes[i];
        t->seen[ids[i] - 1] = now;
    }
}

/* ---- what is right ---- */

typedef struct tally {
    int seen;
    int who[SEEN_MAX];
    int scenes[SEEN_MAX];
    long long ids[SEEN_MAX];
    int people, whole; /* identities, and those with one id that was nobody else's before */
    int parts, steady; /* people in a scene, and those with one id there */
    double agreed, all;
} tally;

static void evaluate(tally *t) {
    for (int p = 0; p < FACES; p++) {
        long long id = 0;
        bool whole = true;
        for (int i = 0; i < t->seen; i++) {
            if (t->who[i] != p) continue;
            for (int q = 0; id == 0 && q < i; q++)
                whole &= t->ids[q] != t->ids[i];
            whole &= id == 0 || id == t->ids[i];
            id = t->ids[i];
        }
        t->people += id != 0;
        t->whole += id != 0 && whole;
    }
    for (int k = 0; k < FACES * CLIP_SCENES; k++) {
        long long id = 0;
        bool steady = true;
        for (int i = 0; i < t->seen; i++) {
            if (t->who[i] != k % FACES || t->scenes[i] != k / FACES) continue;
            steady &= id == 0 || id == t->ids[i];
            id = t->ids[i];
        }
        t->parts += id != 0;
        t->steady += id != 0 && steady;
    }
    /* IDF1: with one id for each person and one person for each id, the share of faces that agree
     */
    static float together[FACES * IDS];
    memset(together, 0, sizeof together);
    for (int i = 0; i < t->seen; i++) {
        assert_in_range(t->ids[i], 1, IDS - 1);
        together[t->who[i] * IDS + t->ids[i]]++;
    }
    void *const workspace = malloc(mien_assign_workspace(FACES, IDS));
    int match[FACES];
    mien_assign(together, FACES, IDS, workspace, match);
    for (int p = 0; p < FACES; p++)
        if (match[p] >= 0) t->agreed += together[p * IDS + match[p]];
    t->all += t->seen;
    t->seen = 0;
    free(workspace);
}

static void note(tally *t, int scene, const int *who, const long long *ids, int count) {
    for (int i = 0; i < count; i++) {
        t->who[t->seen] = who[i];
        t->scenes[t->seen] = scene;
        t->ids[t->seen++] = ids[i];
    }
}

typedef struct run {
    int every, scene;
    mien_tracker *tracker;
    plain overlap;
    bool cut;
    tally mine, baseline;
} run;

static void run_frame(run *r, int n, const mien_rect *boxes, const int *who, int count) {
    r->cut |= clip_cut(n);
    r->scene = n == 0 ? 0 : r->scene + clip_cut(n);
    if (n % r->every != 0) return;
    mien_track out[FACES];
    long long ids[FACES];
    const double now = (double)n / CLIP_RATE;
    assert_int_equal(mien_tracker_step(r->tracker, &frame, now, r->cut, boxes, NULL, count, out),
                     MIEN_OK);
    for (int i = 0; i < count; i++)
        ids[i] = out[i].id;
    note(&r->mine, r->scene, who, ids, count);
    if (r->cut) memset(r->overlap.seen, 0xC0, sizeof r->overlap.seen);
    plain_step(&r->overlap, now, boxes, count, ids);
    note(&r->baseline, r->scene, who, ids, count);
    r->cut = false;
}

static void run_clips(const clip_options *options, int clips, run runs[2]) {
    for (int seed = 1; seed <= clips; seed++) {
        clip *const made = clip_new((uint32_t)seed, options);
        assert_true(clip_crossings(made) >= 10);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(mien_tracker_create(NULL, &runs[k].tracker), MIEN_OK);
            runs[k].overlap.count = 0;
        }
        for (int n = 0; n < CLIP_FRAMES; n++) {
            clip_face faces[FACES];
            mien_rect boxes[FACES];
            int who[FACES];
            int count = clip_frame(made, n, &frame, faces);
            assert_true(count >= 6);
            count = clip_detect(made, n, faces, count, boxes, who);
            for (int k = 0; k < 2; k++)
                run_frame(&runs[k], n, boxes, who, count);
        }
        for (int k = 0; k < 2; k++) {
            evaluate(&runs[k].mine);
            evaluate(&runs[k].baseline);
            mien_tracker_free(runs[k].tracker);
        }
        clip_free(made);
    }
}

static int clips_wanted(void) {
    const char *const text = getenv("MIEN_TRACK_CLIPS");
    return text != NULL ? atoi(text) : 3;
}

static void people_keep_their_ids(void **state) {
    (void)state;
    static run runs[2] = {{.every = 1}, {.every = 5}};
    const clip_options options = {.difference = 1, .missed = 0.2, .jitter = 0.05};
    run_clips(&options, clips_wanted(), runs);
    for (int k = 0; k < 2; k++) {
        const tally *const mine = &runs[k].mine, *const baseline = &runs[k].baseline;
        const double idf1 = mine->agreed / mine->all, other = baseline->agreed / baseline->all;
        const double whole = (double)mine->whole / mine->people;
        print_message("# every %d: %d of %d people without a switch (overlap only: %d), IDF1 %.3f "
                      "(%.3f); within scenes %d of %d (%d)\n",
                      runs[k].every, mine->whole, mine->people, baseline->whole, idf1, other,
                      mine->steady, mine->parts, baseline->steady);
        const double steady = (double)mine->steady / mine->parts;
        /* a little less than is reached on 20 clips; a few clips vary more */
        const double margin = clips_wanted() >= 20 ? 0 : 0.07;
        assert_true(whole >= (k == 0 ? 0.86 : 0.80) - margin);
        assert_true(steady >= (k == 0 ? 0.96 : 0.945) - margin);
        assert_true(idf1 >= (k == 0 ? 0.975 : 0.965) - margin);
        assert_true(idf1 >= other + 0.5);
    }
}

/* ---- small scenes on a gray frame with drawn faces ---- */

static void paint(mien_rect box, uint32_t who, int gain) {
    for (int i = 0; i < 2 * box.height; i++)
        for (int j = 0; j < box.width; j++) {
            const int x = box.x + j, y = box.y + i;
            if (x < 0 || y < 0 || x >= CLIP_WIDTH || y >= CLIP_HEIGHT) continue;
            const uint32_t cell = (uint32_t)(i * 6 / box.height * 8 + j * 6 / box.width);
            int tone = (int)(rng_word(who, 1, 0, cell) >> 25) * gain / 100;
            /* clothes: bright with upright stripes, or dark with level ones */
            if (i >= box.height) tone = who % 2 == 1 ? 130 + j / 6 % 2 * 50 : i / 6 % 2 * 40 - 50;
            pixels[y * CLIP_WIDTH + x] = (uint8_t)(tone + 60);
        }
}

static long long step_one(mien_tracker *t, double time, bool cut, mien_rect box, uint32_t who) {
    mien_track out;
    memset(pixels, 90, sizeof pixels);
    paint(box, who, 100);
    const double score = 5;
    assert_int_equal(mien_tracker_step(t, &frame, time, cut, &box, &score, 1, &out), MIEN_OK);
    assert_int_equal(out.face, 0);
    assert_true(out.score == 5);
    return out.id;
}

/* After a cut only appearance counts: a person returns anywhere, a stranger is new anywhere. */
static void cut_keeps_people_and_not_places(void **state) {
    (void)state;
    mien_tracker *t;
    assert_int_equal(mien_tracker_create(NULL, &t), MIEN_OK);
    const mien_rect left = {50, 80, 60, 60}, right = {500, 150, 60, 60};
    for (int k = 0; k < 40; k++)
        assert_int_equal(step_one(t, 0.04 * k, false, left, 7), 1);
    assert_int_equal(step_one(t, 1.6, true, left, 8), 2);
    for (int k = 1; k < 40; k++)
        assert_int_equal(step_one(t, 1.6 + 0.04 * k, false, left, 8), 2);
    assert_int_equal(step_one(t, 3.2, true, right, 7), 1);
    /* forgotten after the memory of ten seconds, and the id is not used again */
    assert_int_equal(step_one(t, 14.2, true, right, 8), 3);
    mien_tracker_free(t);
}

/* Two who look much alike change places in a cut: only there does position say nothing. */
static void cut_swaps_places(void **state) {
    (void)state;
    mien_tracker *t;
    assert_int_equal(mien_tracker_create(NULL, &t), MIEN_OK);
    const mien_rect boxes[2] = {{50, 80, 60, 60}, {500, 150, 60, 60}};
    for (int k = 0; k <= 40; k++) {
        const bool cut = k == 40;
        mien_track out[2];
        memset(pixels, 90, sizeof pixels);
        paint(boxes[cut], 7, 100);
        paint(boxes[!cut], 9, 100);
        assert_int_equal(mien_tracker_step(t, &frame, 0.04 * k, cut, boxes, NULL, 2, out), MIEN_OK);
        for (int i = 0; i < 2; i++)
            assert_int_equal(out[i].id, cut ? 2 - i : 1 + i);
    }
    mien_tracker_free(t);
}

/* Two who look the same: only motion says who is who. */
static void motion_carries_through_a_crossing(void **state) {
    (void)state;
    mien_tracker *t;
    assert_int_equal(mien_tracker_create(NULL, &t), MIEN_OK);
    for (int k = 0; k <= 50; k++) {
        mien_rect boxes[2] = {{50 + 10 * k, 80, 60, 60}, {550 - 10 * k, 95, 60, 60}};
        mien_track out[2];
        memset(pixels, 90, sizeof pixels);
        paint(boxes[0], 7, 100);
        paint(boxes[1], 7, 100);
        const bool hidden = k >= 22 && k <= 28;
        const int count = hidden ? 1 : 2;
        assert_int_equal(mien_tracker_step(t, &frame, 0.04 * k, false, boxes + (hidden ? 1 : 0),
                                           NULL, count, out),
                         MIEN_OK);
        if (hidden)
            assert_int_equal(out[0].id, 2);
        else
            for (int i = 0; i < 2; i++)
                assert_int_equal(out[i].id, i + 1);
    }
    mien_tracker_free(t);
}

/* Time that stands still or goes back is not an error; one that is no number is. */
static void odd_times(void **state) {
    (void)state;
    mien_tracker *t;
    assert_int_equal(mien_tracker_create(NULL, &t), MIEN_OK);
    const mien_rect box = {50, 80, 60, 60};
    static const double times[] = {0, 0, 5, 1, -3, 5, 5.04, 6, 9};
    for (size_t k = 0; k < sizeof times / sizeof times[0]; k++)
        assert_int_equal(step_one(t, times[k], false, box, 7), 1);
    mien_track out;
    assert_int_equal(mien_tracker_step(t, &frame, NAN, false, &box, NULL, 1, &out), MIEN_INVALID);
    mien_tracker_free(t);
}

/* No face, 200 faces, faces at and over the border; once warm, nothing is allocated. */
static void many_faces_and_none(void **state) {
    (void)state;
    mien_tracker *t;
    assert_int_equal(mien_tracker_create(NULL, &t), MIEN_OK);
    static mien_rect boxes[200];
    static mien_track out[200];
    uint64_t warm = 0;
    for (int k = 0; k < 30; k++) {
        for (int i = 0; i < 200; i++)
            boxes[i] = (mien_rect){i % 20 * 32 - 4 + k % 3, i / 20 * 36 - 4, 24, 24};
        const int count = k % 7 == 3 ? 0 : 200;
        assert_int_equal(
            mien_tracker_step(t, &frame, 0.2 * k, k % 10 == 9, boxes, NULL, count, out), MIEN_OK);
        for (int i = 0; i < count; i++)
            for (int j = 0; j < i; j++)
                assert_true(out[i].id != out[j].id);
        if (k == 20) warm = mien_allocation_count();
    }
    assert_true(mien_allocation_count() == warm);
    mien_tracker_free(t);
}

/* A million steps, with new people all the time: no allocation after the first thousands, and ids
 * only grow. */
static void memory_stays_flat(void **state) {
    (void)state;
    enum { SIDE = 64 };
    static uint8_t small[SIDE * SIDE];
    const mien_image little = {SIDE, SIDE, 1, small};
    for (int k = 0; k < SIDE * SIDE; k++)
        small[k] = (uint8_t)(k * 37);
    const int steps = getenv("MIEN_TRACK_CLIPS") != NULL ? 1000000 : 20000;
    mien_tracker *t;
    const mien_tracker_options options = {.memory = 1};
    assert_int_equal(mien_tracker_create(&options, &t), MIEN_OK);
    uint64_t warm = 0;
    long long last = 0;
    for (int k = 0; k < steps; k++) {
        mien_track out;
        const mien_rect box = {k * 7 % 40, k * 11 % 40, 24, 24};
        const int count = k % 3 != 0;
        assert_int_equal(
            mien_tracker_step(t, &little, 0.04 * k, k % 50 == 0, &box, NULL, count, &out), MIEN_OK);
        if (count > 0 && out.first) {
            assert_true(out.id == last + 1);
            last = out.id;
        }
        if (k == 5000) warm = mien_allocation_count();
    }
    assert_true(mien_allocation_count() == warm);
    mien_tracker_free(t);
}

/* Neither brightness nor contrast changes a look much, and others look different. */
static void looks_resist_light(void **state) {
    (void)state;
    const mien_rect box = {100, 80, 80, 80};
    mien_look bright, dark, other;
    memset(pixels, 90, sizeof pixels);
    paint(box, 7, 100);
    mien_look_of(&frame, box, NULL, 0, &bright);
    for (size_t k = 0; k < sizeof pixels; k++)
        pixels[k] = (uint8_t)(pixels[k] / 2);
    mien_look_of(&frame, box, NULL, 0, &dark);
    paint(box, 8, 100);
    mien_look_of(&frame, box, NULL, 0, &other);
    assert_true(fabs(mien_look_similarity(&bright, &bright) - 1) < 1e-4);
    assert_true(mien_look_similarity(&bright, &dark) > 0.9);
    assert_true(mien_look_similarity(&bright, &other) < 0.75);
}

/* What another person covers does not count, if it is known. */
static void covered_parts_do_not_count(void **state) {
    (void)state;
    const mien_rect box = {100, 80, 80, 80}, front = {150, 110, 60, 130};
    mien_look whole, covered, bare, blind;
    memset(pixels, 90, sizeof pixels);
    paint(box, 7, 100);
    mien_look_of(&frame, box, NULL, 0, &whole);
    for (int i = front.y; i < front.y + front.height; i++)
        for (int j = front.x; j < front.x + front.width; j++)
            pixels[i * CLIP_WIDTH + j] =
                (uint8_t)(rng_word(9, 1, 0, (uint32_t)(i / 9 * 90 + j / 9)) >> 24);
    mien_look_of(&frame, box, NULL, 0, &covered);
    mien_look_of(&frame, box, &front, 1, &bare);
    mien_look_of(&frame, box, &(mien_rect){0, 0, CLIP_WIDTH, CLIP_HEIGHT}, 1, &blind);
    float alike[MIEN_LOOK_PARTS], share[MIEN_LOOK_PARTS];
    mien_look_compare(&whole, &bare, alike, share);
    for (int k = 0; k < MIEN_LOOK_PARTS; k++)
        assert_true(share[k] > 0.2 && alike[k] > 0.8);
    assert_true(share[0] < 1 && share[1] < 1);
    assert_true(mien_look_similarity(&whole, &bare) > mien_look_similarity(&whole, &covered) + 0.1);
    assert_true(mien_look_similarity(&whole, &blind) == 0);
    mien_look_compare(&whole, &blind, alike, share);
    for (int k = 0; k < MIEN_LOOK_PARTS; k++)
        assert_true(share[k] == 0 && alike[k] == 0);
}

/* ---- assignment against all permutations ---- */

static double best_sum(const float *score, int rows, int columns, int row, unsigned used) {
    if (row == rows) return 0;
    double best = best_sum(score, rows, columns, row + 1, used);
    for (int j = 0; j < columns; j++) {
        const float s = score[row * columns + j];
        if ((used >> j & 1) != 0 || !(s > 0)) continue;
        const double sum = s + best_sum(score, rows, columns, row + 1, used | 1u << j);
        if (sum > best) best = sum;
    }
    return best;
}

static void assignment_is_the_best(void **state) {
    (void)state;
    char workspace[4096];
    for (uint32_t trial = 0; trial < 400; trial++) {
        const int rows = (int)(trial % 6), columns = (int)(trial / 6 % 6);
        float score[36] = {0};
        int match[6];
        for (uint32_t k = 0; k < 36; k++)
            score[k] = (float)((int)(rng_word(trial, 2, 0, k) >> 28) - 5);
        assert_true(mien_assign_workspace(rows, columns) <= sizeof workspace);
        mien_assign(score, rows, columns, workspace, match);
        double sum = 0;
        unsigned used = 0;
        for (int i = 0; i < rows; i++) {
            if (match[i] < 0) continue;
            assert_true(match[i] < columns && (used >> match[i] & 1) == 0);
            assert_true(score[i * columns + match[i]] > 0);
            used |= 1u << match[i];
            sum += score[i * columns + match[i]];
        }
        assert_true(fabs(sum - best_sum(score, rows, columns, 0, 0)) < 1e-6);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_keep_their_ids),
        cmocka_unit_test(cut_keeps_people_and_not_places),
        cmocka_unit_test(cut_swaps_places),
        cmocka_unit_test(motion_carries_through_a_crossing),
        cmocka_unit_test(odd_times),
        cmocka_unit_test(many_faces_and_none),
        cmocka_unit_test(memory_stays_flat),
        cmocka_unit_test(looks_resist_light),
        cmocka_unit_test(covered_parts_do_not_count),
        cmocka_unit_test(assignment_is_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
