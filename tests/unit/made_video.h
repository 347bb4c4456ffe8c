/* The clips of tests/golden/video, and the module that reads them. */
#ifndef TESTS_UNIT_MADE_VIDEO_H
#define TESTS_UNIT_MADE_VIDEO_H

#include <stdbool.h>
#include <stddef.h>

#define CLIPS "tests/golden/video/"

/* Lets the program find the module of this build; false, with a line of TAP, if there is none. */
bool made_video_module(void);
/* The path of a clip; the next call overwrites it. */
const char *made_clip(const char *name);
/* The bytes of a clip; free with mien_free. */
char *made_clip_bytes(const char *name, size_t *size);

#endif
