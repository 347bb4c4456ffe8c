#include "host/cli/detector_flags.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool detector_flags_given(const detector_flags *flags) {
    return flags->detector || flags->min_face_text || flags->min_score_text;
}

static bool read_detector(detector_flags *flags) {
    const char *word = flags->detector ? flags->detector : "haar";
    flags->none = strcmp(word, "none") == 0;
    if (flags->none || mien_detector_choose(word, &flags->choice) == MIEN_OK) return true;
    fprintf(stderr, "mien: --detector: %s, none\n", mien_error_message());
    return false;
}

static bool read_score(detector_flags *flags) {
    char *end;
    if (!flags->min_score_text) return true;
    flags->min_score_value = strtod(flags->min_score_text, &end);
    flags->min_score = &flags->min_score_value;
    if (end != flags->min_score_text && *end == 0 && isfinite(flags->min_score_value)) return true;
    fprintf(stderr, "mien: --min-score must be a number, such as 5, not '%s'\n",
            flags->min_score_text);
    return false;
}

bool detector_flags_read(detector_flags *flags) {
    long long pixels = 0;
    if (!read_detector(flags)) return false;
    if (flags->min_face_text && !cli_number("--min-face", flags->min_face_text, 1, 65536, &pixels))
        return false;
    flags->min_face = (int)pixels;
    if (!read_score(flags)) return false;
    if (!flags->none || (!flags->min_face_text && !flags->min_score_text)) return true;
    fprintf(stderr, "mien: --min-face and --min-score need a detector, not --detector none\n");
    return false;
}
