/* Faces in photos: the crop rule, untrusted cascades, the table of detectors. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/base/threads.h"
#include "host/image/crop.h"
#include "host/vision/vision.h"
#include "tests/support/test.h"

/* ---- the crop rule ---- */

static void rect_is(mien_rect r, int x, int y, int width, int height) {
    assert_int_equal(r.x, x);
    assert_int_equal(r.y, y);
    assert_int_equal(r.width, width);
    assert_int_equal(r.height, height);
}

static void crops_follow_the_rule(void **state) {
    (void)state;
    const mien_rect tall = {10, 20, 40, 60}, even = {0, 0, 50, 50};
    rect_is(mien_crop_rect(tall, (mien_crop){false, 0}), 10, 20, 40, 60);
    rect_is(mien_crop_rect(tall, (mien_crop){true, 0}), 0, 20, 60, 60);
    rect_is(mien_crop_rect(even, (mien_crop){true, 0.2}), -10, -10, 70, 70);
    rect_is(mien_crop_rect(even, (mien_crop){true, -0.1}), 5, 5, 40, 40);
}

/* Columns 0 to 9 with values 10 * x, so that a crop shows its position. */
static mien_image stripes(int channels) {
    mien_image image;
    assert_int_equal(mien_canvas_new(10, 10, channels, (mien_color){0, 0, 0}, &image), MIEN_OK);
    for (int i = 0; i < 100 * channels; i++)
        image.pixels[i] = (uint8_t)(i / channels % 10 * 10);
    return image;
}

static void crops_extend_the_edge(void **state) {
    (void)state;
    mien_image image = stripes(1);
    uint8_t out[16];
    const mien_crop as_it_is = {false, 0};
    assert_int_equal(mien_crop_face(&image, (mien_rect){-2, -2, 4, 4}, as_it_is, 4, 4, 1, out),
                     MIEN_OK);
    for (int i = 0; i < 16; i++)
        assert_int_equal(out[i], i % 4 < 3 ? 0 : 10);
    assert_int_equal(mien_crop_face(&image, (mien_rect){8, 8, 4, 4}, as_it_is, 4, 4, 1, out),
                     MIEN_OK);
    for (int i = 0; i < 16; i++)
        assert_int_equal(out[i], i % 4 ? 90 : 80);
    assert_int_equal(mien_crop_face(&image, (mien_rect){0, 0, 4, 4}, as_it_is, 4, 4, 3, out),
                     MIEN_INVALID);
    mien_image_release(&image);
}

static void crops_of_colour_may_be_gray(void **state) {
    (void)state;
    mien_image image = stripes(3);
    uint8_t gray[16], colour[48];
    const mien_rect box = {2, 2, 8, 8};
    assert_int_equal(mien_crop_face(&image, box, (mien_crop){true, 0}, 4, 4, 1, gray), MIEN_OK);
    assert_int_equal(mien_crop_face(&image, box, (mien_crop){true, 0}, 4, 4, 3, colour), MIEN_OK);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(gray[i], 25 + 20 * (i % 4));
        assert_int_equal(colour[3 * i + 1], gray[i]);
    }
    mien_image_release(&image);
}

static void smallest_faces_grow_with_the_photo(void **state) {
    (void)state;
    assert_int_equal(mien_face_least(512, 512), 24);
    assert_int_equal(mien_face_least(3000, 2171), 76);
    assert_int_equal(mien_face_least(1, 1), 24);
}

/* ---- untrusted cascades ---- */

/* One stage with one stump over one feature; %s: a tree, its leaves, a rectangle. */
static const char cascade[] =
    "<?xml version=\"1.0\"?>\n<opencv_storage>\n<cascade>\n<stageType>BOOST</stageType>\n"
    "<featureType>HAAR</featureType>\n<height>24</height>\n<width>24</width>\n"
    "<stageParams><maxWeakCount>1</maxWeakCount></stageParams>\n"
    "<featureParams><maxCatCount>0</maxCatCount></featureParams>\n<stageNum>1</stageNum>\n"
    "<stages><_><maxWeakCount>1</maxWeakCount><stageThreshold>-1.</stageThreshold>\n"
    "<weakClassifiers><_><internalNodes>%s</internalNodes>\n<leafValues>%s</leafValues></_>"
    "</weakClassifiers></_></stages>\n<features><_><rects><_>%s</_></rects></_></features>"
    "</cascade>\n</opencv_storage>\n";
enum { XML = 2048 };
static char xml_file[] = "/tmp/mien_test_vision_XXXXXX";

static mien_status open_bytes(const char *xml, size_t size, mien_detector **out) {
    const mien_detector_choice choice = {mien_detector_kinds, xml_file, 1};
    assert_int_equal(mien_file_write(xml_file, xml, size), MIEN_OK);
    return mien_detector_open(&choice, out);
}

static mien_status open_text(const char *xml) {
    mien_detector *haar;
    const mien_status status = open_bytes(xml, strlen(xml), &haar);
    mien_detector_close(haar);
    return status;
}

static mien_status open_parts(const char *tree, const char *leaves, const char *rect) {
    char xml[XML];
    snprintf(xml, sizeof xml, cascade, tree, leaves, rect);
    return open_text(xml);
}

static bool without_opencv(void) {
    char path[MIEN_PATH];
    mien_detector *detector;
    if (mien_installed_file("mien-vision.so", path) == MIEN_OK) return false;
    const mien_detector_choice choice = {.kind = mien_detector_kinds};
    assert_int_equal(mien_detector_open(&choice, &detector), MIEN_UNSUPPORTED);
    assert_non_null(strstr(mien_error_message(), "OPENCV=1"));
    assert_non_null(strstr(mien_error_message(), "--detector none"));
    return true;
}

static void cascades_that_point_outside(void **state) {
    (void)state;
    if (without_opencv()) skip();
    static const char tree[] = "0 -1 0 0.5", leaves[] = "-1. 1.", rect[] = "2 3 9 9 -1.";
    assert_int_equal(open_parts(tree, leaves, rect), MIEN_OK);
    static const char *const trees[] = {"0 -1 1 0.5", "0 -1 -1 0.5",  "0 -2 0 0.5",
                                        "0 1 0 0.5",  "0 -1 0",       "0 -1 0 a",
                                        "",           "0 -1 1e9 0.5", "0 -1 0 0.5 0 -1 0 0.5"};
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
        assert_int_equal(open_parts(trees[i], leaves, rect), MIEN_FORMAT);
    static const char *const rects[] = {"-1 3 9 9 -1.",  "16 3 9 9 -1.", "2 16 9 9 -1.",
                                        "2 3 0 9 -1.",   "2 3 9 9",      "2 3 9 2147483647 -1.",
                                        "2 3 9 9 -1. 1", "2 3 9.5 9 -1."};
    for (size_t i = 0; i < sizeof rects / sizeof rects[0]; i++)
        assert_int_equal(open_parts(tree, leaves, rects[i]), MIEN_FORMAT);
    assert_int_equal(open_parts(tree, "1.", rect), MIEN_FORMAT);
    assert_int_equal(open_parts(tree, "1. 2. 3.", rect), MIEN_FORMAT);
}

/* Every prefix, and every byte changed: the file is refused, or it opens and can run. */
static void damaged_cascades(void **state) {
    (void)state;
    if (without_opencv()) skip();
    char xml[XML], bad[XML];
    static uint8_t gray[64 * 64];
    snprintf(xml, sizeof xml, cascade, "0 -1 0 0.5", "-1. 1.", "2 3 9 9 -1.");
    const size_t size = strlen(xml);
    for (size_t cut = 0; cut < size - 1; cut += 3) {
        memcpy(bad, xml, cut);
        bad[cut] = 0;
        assert_int_equal(open_text(bad), MIEN_FORMAT);
    }
    for (size_t at = 0; at < size; at++) {
        mien_detector *haar;
        mien_faces faces;
        strcpy(bad, xml);
        bad[at] = "0<>9-/\"a"[at % 8];
        if (open_bytes(bad, size, &haar) != MIEN_OK) continue;
        mien_detector_run(haar, &(mien_image){64, 64, 1, gray}, NULL, &faces);
        mien_faces_release(&faces);
        mien_detector_close(haar);
    }
}

static void nested_without_end(void **state) {
    (void)state;
    if (without_opencv()) skip();
    static const char head[] = "<?xml version=\"1.0\"?><opencv_storage>";
    const size_t depth = 200000;
    char *xml = malloc(sizeof head + 3 * depth);
    assert_non_null(xml);
    strcpy(xml, head);
    for (size_t i = 0; i < depth; i++)
        memcpy(xml + sizeof head - 1 + 3 * i, "<a>", 4);
    assert_int_equal(open_text(xml), MIEN_FORMAT);
    free(xml);
    assert_int_equal(open_text("<html><opencv_storage></html>"), MIEN_FORMAT);
    assert_int_equal(open_text("hello"), MIEN_FORMAT);
    assert_int_equal(open_text(""), MIEN_FORMAT);
}

/* Threads of this process that may run on several CPUs. */
static int free_threads(void) {
    char path[300], line[256];
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *task; (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (status && fgets(line, sizeof line, status))
            if (strncmp(line, "Cpus_allowed_list:", 18) == 0)
                count += strcspn(line, ",-") < strlen(line);
        if (status) fclose(status);
    }
    closedir(tasks);
    return count;
}

/* A detector that is opened by a pinned thread still gets threads for the other CPUs, and the
 * thread stays pinned. Comes before other tests that open one: OpenCV's threads are started once.
 */
static void detectors_of_pinned_threads(void **state) {
    (void)state;
    mien_detector *detector;
    const mien_detector_choice choice = {.kind = mien_detector_kinds, .threads = 2};
    if (without_opencv() || mien_threads_available() < 2) skip();
    const int size = mien_threads_start(0, true);
    assert_int_equal(free_threads(), 0);
    assert_int_equal(mien_detector_open(&choice, &detector), MIEN_OK);
    assert_true(free_threads() > 0);
    cpu_set_t own;
    assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
    assert_int_equal(CPU_COUNT(&own), 1);
    mien_detector_close(detector);
    mien_threads_start(size, false);
    mien_threads_leave_team();
}

static void faces_have_one_order(void **state) {
    (void)state;
    static const int fields[6][5] = {{1, 9, 9, 9, 9}, {2, 1, 9, 9, 9}, {2, 2, 1, 9, 9},
                                     {2, 2, 2, 1, 9}, {2, 2, 2, 2, 1}, {2, 2, 2, 2, 2}};
    mien_face sorted[6];
    for (int i = 0; i < 6; i++)
        sorted[i] = (mien_face){.box = {fields[i][0], fields[i][1], fields[i][2], fields[i][3]},
                                .score = fields[i][4]};
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++)
            assert_int_equal(mien_face_order(&sorted[i], &sorted[k]), (i > k) - (i < k));
}

/* The portrait has one face at the right position, in gray as well; a plain gray image has none. */
static void portrait_has_one_face(void **state) {
    (void)state;
    mien_detector *detector;
    mien_faces faces;
    if (without_opencv()) skip();
    const mien_detector_choice choice = {.kind = mien_detector_kinds};
    assert_int_equal(mien_detector_open(&choice, &detector), MIEN_OK);
    for (int channels = 1; channels <= 3; channels += 2) {
        mien_image photo;
        assert_int_equal(mien_image_read("datasets/photos/astronaut.png", channels, &photo),
                         MIEN_OK);
        assert_int_equal(mien_detector_run(detector, &photo, NULL, &faces), MIEN_OK);
        assert_int_equal(faces.count, 1);
        const mien_rect b = faces.items[0].box;
        assert_true(b.x < 215 && b.x + b.width > 235 && b.y < 105 && b.y + b.height > 125);
        assert_true(b.width > 70 && b.width < 130 && faces.items[0].score > 3.5);
        mien_faces_release(&faces);
        assert_int_equal(
            mien_detector_run(detector, &photo, &(mien_detect){.min_face = 200}, &faces), MIEN_OK);
        assert_int_equal(faces.count, 0);
        mien_faces_release(&faces);
        memset(photo.pixels, 128, (size_t)channels * 512 * 512);
        assert_int_equal(mien_detector_run(detector, &photo, NULL, &faces), MIEN_OK);
        assert_int_equal(faces.count, 0);
        mien_faces_release(&faces);
        mien_image_release(&photo);
    }
    mien_detector_close(detector);
}

/* ---- the second look ---- */

enum { TEXTURE = 400, GRID = TEXTURE / 2 + 2 };

/* Smooth noise: random values on grids of 8 and 16 pixels, interpolated and summed. */
static void make_texture(unsigned seed, uint8_t *out) {
    static double sum[TEXTURE * TEXTURE], grid[GRID][GRID];
    memset(sum, 0, sizeof sum);
    for (int cell = 8; cell <= 16; cell *= 2) {
        for (int i = 0; i < GRID * GRID; i++) {
            seed = seed * 1664525u + 1013904223u;
            grid[i / GRID][i % GRID] = (seed >> 8) % 1000;
        }
        for (int i = 0; i < TEXTURE * TEXTURE; i++) {
            const int y = i / TEXTURE, x = i % TEXTURE;
            const double *up = &grid[y / cell][x / cell], *down = up + GRID;
            const double v = (double)(y % cell) / cell, u = (double)(x % cell) / cell;
            sum[i] += cell * ((1 - v) * ((1 - u) * up[0] + u * up[1]) +
                              v * ((1 - u) * down[0] + u * down[1]));
        }
    }
    for (int i = 0; i < TEXTURE * TEXTURE; i++) {
        const double value = 0.5 + (sum[i] / 24 / 1000 - 0.5) * 2.5;
        out[i] = (uint8_t)(value < 0 ? 0 : value > 1 ? 255 : value * 255);
    }
}

/* Of textures in which the cascade alone finds a face. */
static int faces_in_textures(mien_detector *detector) {
    static const unsigned seeds[] = {8, 9, 10, 11, 33, 52};
    static uint8_t pixels[TEXTURE * TEXTURE];
    int count = 0;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        mien_faces faces;
        make_texture(seeds[i], pixels);
        const mien_image texture = {TEXTURE, TEXTURE, 1, pixels};
        assert_int_equal(mien_detector_run(detector, &texture, NULL, &faces), MIEN_OK);
        count += faces.count;
        mien_faces_release(&faces);
    }
    return count;
}

/* The same cascade as a user's file has no second look. It finds faces in noise; the second look
 * rejects most of them, and not the portrait's. */
static void noise_is_no_face(void **state) {
    (void)state;
    static const char file[] =
        "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml";
    if (without_opencv() || !mien_file_exists(file)) skip();
    const mien_detector_choice choices[] = {{.kind = mien_detector_kinds},
                                            {.kind = mien_detector_kinds, .file = file}};
    int counts[2];
    mien_faces portraits[2];
    mien_image photo;
    assert_int_equal(mien_image_read("datasets/photos/astronaut.png", 1, &photo), MIEN_OK);
    for (int i = 0; i < 2; i++) {
        mien_detector *detector;
        assert_int_equal(mien_detector_open(&choices[i], &detector), MIEN_OK);
        counts[i] = faces_in_textures(detector);
        assert_int_equal(mien_detector_run(detector, &photo, NULL, &portraits[i]), MIEN_OK);
        mien_detector_close(detector);
    }
    mien_image_release(&photo);
    print_message("faces in noise: %d, without the second look %d\n", counts[0], counts[1]);
    assert_true(counts[1] >= 4);
    assert_true(2 * counts[0] <= counts[1]);
    assert_int_equal(portraits[0].count, 1);
    assert_int_equal(portraits[1].count, 1);
    assert_int_equal(mien_face_order(portraits[0].items, portraits[1].items), 0);
    mien_faces_release(&portraits[0]);
    mien_faces_release(&portraits[1]);
}

/* ---- the choice ---- */

static void detectors_are_chosen_by_name(void **state) {
    (void)state;
    mien_detector_choice choice = {0};
    assert_int_equal(mien_detector_choose("haar", &choice), MIEN_OK);
    assert_ptr_equal(choice.kind, mien_detector_kinds);
    assert_null(choice.file);
    assert_int_equal(mien_detector_choose("haar:a:b.xml", &choice), MIEN_OK);
    assert_string_equal(choice.file, "a:b.xml");
    static const char *const wrong[] = {"", ":", "haar:", "haa", "haarx", "hog", "hog:x", "none"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(mien_detector_choose(wrong[i], &choice), MIEN_INVALID);
        assert_non_null(strstr(mien_error_message(), "haar:FILE.xml"));
    }
}

/* A detector of the test's own: what it gets, and the order of what it finds. */
static int own_closed;
static mien_status own_open(const char *file, int threads, void **state) {
    if (strcmp(file, "good") != 0) return MIEN_FAIL(FORMAT, "not good");
    assert_int_equal(threads, 3);
    *state = &own_closed;
    return MIEN_OK;
}
static mien_status own_run(void *state, const mien_image *photo, int min_face, double min_score,
                           mien_faces *out) {
    assert_ptr_equal(state, &own_closed);
    assert_int_equal(min_face, photo->width == 30 ? 24 : 12);
    MIEN_TRY(mien_new(&out->items, 2, sizeof *out->items));
    out->items[0] = (mien_face){.box = {9, 0, 5, 5}, .score = min_score};
    out->items[1] = (mien_face){.box = {1, 0, 5, 5}, .score = min_score};
    out->count = 2;
    return MIEN_OK;
}
static void own_close(void *state) {
    assert_ptr_equal(state, &own_closed);
    own_closed++;
}

static void a_detector_is_a_table(void **state) {
    (void)state;
    const mien_detector_kind own = {"own",    "own:FILE", true,      false,
                                    own_open, own_run,    own_close, 0.25};
    mien_detector *detector;
    mien_faces faces;
    uint8_t pixels[40 * 40] = {0};
    assert_int_equal(mien_detector_open(&(mien_detector_choice){&own, "bad", 3}, &detector),
                     MIEN_FORMAT);
    assert_null(detector);
    assert_int_equal(mien_detector_open(&(mien_detector_choice){&own, "good", 3}, &detector),
                     MIEN_OK);
    assert_int_equal(mien_detector_run(detector, &(mien_image){30, 40, 1, pixels}, NULL, &faces),
                     MIEN_OK);
    assert_int_equal(faces.count, 2);
    assert_int_equal(faces.items[0].box.x, 1);
    assert_true(faces.items[0].score == 0.25);
    mien_faces_release(&faces);
    assert_int_equal(mien_detector_run(detector, &(mien_image){40, 40, 1, pixels},
                                       &(mien_detect){12, &(double){7}}, &faces),
                     MIEN_OK);
    assert_true(faces.items[1].score == 7);
    mien_faces_release(&faces);
    mien_detector_close(detector);
    assert_int_equal(own_closed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detectors_of_pinned_threads),
        cmocka_unit_test(crops_follow_the_rule),
        cmocka_unit_test(crops_extend_the_edge),
        cmocka_unit_test(crops_of_colour_may_be_gray),
        cmocka_unit_test(smallest_faces_grow_with_the_photo),
        cmocka_unit_test(cascades_that_point_outside),
        cmocka_unit_test(damaged_cascades),
        cmocka_unit_test(nested_without_end),
        cmocka_unit_test(faces_have_one_order),
        cmocka_unit_test(portrait_has_one_face),
        cmocka_unit_test(noise_is_no_face),
        cmocka_unit_test(detectors_are_chosen_by_name),
        cmocka_unit_test(a_detector_is_a_table),
    };
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-vision.so */
    const int file = mkstemp(xml_file);
    if (file < 0) return 1;
    close(file);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(xml_file);
    return failed;
}
