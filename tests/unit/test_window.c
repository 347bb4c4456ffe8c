/* The window by SDL2, on SDL's driver without a screen; and what is said where there is no
 * display. tests/gate/test_window.sh looks at a real one. */
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/image/draw.h"
#include "host/window/window.h"
#include "host/window/window_module.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static bool have_module(void) {
    const mien_module *module;
    return mien_module_load("mien-window", MIEN_WINDOW_VERSION, &module) == MIEN_OK;
}

static void no_display(void) {
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
}

static void without_a_display(void **state) {
    (void)state;
    mien_window *window;
    no_display();
    assert_int_equal(mien_window_check(), MIEN_UNSUPPORTED);
    expect_in_message("there is no display");
    assert_int_equal(mien_window_open("test", 320, 240, &window), MIEN_UNSUPPORTED);
    assert_null(window);
}

/* Here SDL succeeds with a driver that draws nowhere. */
static void a_display_that_does_not_answer(void **state) {
    (void)state;
    mien_window *window;
    no_display();
    if (!have_module()) skip();
    setenv("DISPLAY", ":9753", 1);
    assert_int_equal(mien_window_check(), MIEN_OK);
    assert_int_equal(mien_window_open("test", 320, 240, &window), MIEN_UNSUPPORTED);
    expect_in_message("':9753' does not answer");
    assert_null(window);
}

static void pictures_of_any_size(void **state) {
    (void)state;
    static const int sizes[][2] = {{320, 240}, {1, 1}, {640, 360}, {3, 2000}, {320, 240}};
    mien_window *window;
    mien_image picture;
    no_display();
    if (!have_module()) skip();
    setenv("SDL_VIDEODRIVER", "dummy", 1);
    assert_int_equal(mien_window_open("test", 320, 240, &window), MIEN_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(
            mien_canvas_new(sizes[i][0], sizes[i][1], 3, (mien_color){200, 10, 90}, &picture),
            MIEN_OK);
        assert_int_equal(mien_window_show(window, &picture), MIEN_OK);
        assert_int_equal(mien_window_key(window), 0);
        mien_image_release(&picture);
    }
    assert_int_equal(mien_canvas_new(4, 4, 1, (mien_color){0}, &picture), MIEN_OK);
    assert_int_equal(mien_window_show(window, &picture), MIEN_INVALID);
    mien_image_release(&picture);
    mien_window_close(window);
    assert_int_equal(mien_window_open("again", 320, 240, &window), MIEN_OK);
    mien_window_close(window);
    mien_window_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_display),
        cmocka_unit_test(a_display_that_does_not_answer),
        cmocka_unit_test(pictures_of_any_size),
    };
    if (getenv("MIEN_BUILD")) setenv("MIEN_MODULES", getenv("MIEN_BUILD"), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
