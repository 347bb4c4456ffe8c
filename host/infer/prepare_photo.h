/* One photo or video of mien_prepare_run: read, searched for faces, cropped and encoded. */
#ifndef HOST_INFER_PREPARE_PHOTO_H
#define HOST_INFER_PREPARE_PHOTO_H

#include "host/infer/prepare_records.h"

enum { PREPARE_WARNING = 128 };

/* Size, time and SHA-256 of the file into `out`; the hash only where `hash` is set. */
mien_status prepare_photo_identify(const char *path, bool hash, prepare_photo *out);
/* Fills all members but `source`; the crops have no names yet. A photo that cannot be used is
 * rejected, not a failure. `detector` NULL: the photo is one crop. `warning` [PREPARE_WARNING]
 * becomes what is wrong with the file though it was decoded, or "". */
mien_status prepare_photo_make(const mien_prepare *options, mien_detector *detector,
                               const char *path, prepare_photo *out, char *warning);
/* The same for a video. INTERRUPTED: `stop` of the options was set. */
mien_status prepare_video_make(const mien_prepare *options, mien_detector *detector,
                               const char *path, prepare_photo *out);

#endif
