/* The flags --detector, --min-face and --min-score of the commands that look for faces. */
#ifndef HOST_CLI_DETECTOR_FLAGS_H
#define HOST_CLI_DETECTOR_FLAGS_H

#include "host/cli/cli.h"
#include "host/vision/vision.h"

typedef struct detector_flags {
    const char *detector, *min_face_text, *min_score_text;
    /* set by detector_flags_read: */
    bool none; /* each picture is one face */
    mien_detector_choice choice;
    int min_face;            /* 0: depends on the picture's size */
    const double *min_score; /* NULL: the detector's own */
    double min_score_value;
} detector_flags;

/* Rows of a table of flags. `least` describes the default of --min-face. */
#define DETECTOR_FLAGS(flags, least)                                                               \
    {"--detector",                                                                                 \
     "haar[:XML]|yunet:ONNX|none",                                                                 \
     "face detector; none: each picture is one face (default: haar)",                              \
     &(flags)->detector,                                                                           \
     NULL,                                                                                         \
     NULL},                                                                                        \
        {"--min-face",                                                                             \
         "PX",                                                                                     \
         "smallest face in pixels (default: " least ")",                                           \
         &(flags)->min_face_text,                                                                  \
         NULL,                                                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        "--min-score", "X", "lowest detection score of a face (default: haar 3.5, yunet 0.7)",     \
            &(flags)->min_score_text, NULL, NULL                                                   \
    }

/* Whether one of the flags was given. */
bool detector_flags_given(const detector_flags *flags);
/* Parses the flags; prints a usage error and returns false if one is wrong. */
bool detector_flags_read(detector_flags *flags);

#endif
