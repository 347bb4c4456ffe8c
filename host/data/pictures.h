/* Sources made of picture files. A source lists its files (path, label, part); this module opens,
 * checks and decodes them, with all threads. */
#ifndef HOST_DATA_PICTURES_H
#define HOST_DATA_PICTURES_H

#include "host/base/text.h"
#include "host/data/source.h"
#include "host/image/crop.h"

enum { PICTURE_SIDE_MIN = 8 }; /* a smaller picture cannot show a face */

typedef struct picture {
    size_t path;    /* offset in `paths` */
    uint64_t stamp; /* of the file's size and time when it was checked */
    uint32_t group;
    uint16_t label;
    uint16_t width, height; /* of the whole picture, at most 65535 */
    uint8_t usage;
} picture;

/* set->reader of these sources: all listed files before pictures_load, the good ones after it, when
 * items[i] is sample i. */
typedef struct pictures {
    mien_text paths; /* relative to `root`, zero-terminated */
    char *root;      /* NULL: set->source */
    picture *items;
    size_t count, capacity;
    mien_rect *boxes; /* [count] the part of each file that is the sample; NULL: all of it */
    size_t box_capacity;
} pictures;

/* Sets set->reader to an empty list. */
mien_status pictures_start(mien_dataset *set);
mien_status pictures_add(mien_dataset *set, const char *path, int label, int usage);
/* The folder of the files, where it is not set->source. */
mien_status pictures_root(mien_dataset *set, const char *folder);
/* Sets the box of the picture added last; either all pictures have one or none. It is cut to the
 * picture and extended to a square, as in prediction. */
mien_status pictures_box(mien_dataset *set, mien_rect box);
/* Decodes every listed file and appends the good ones in list order; pixels are kept within the
 * set's budget. Of a set that is only listed, all files are appended without reading them. */
mien_status pictures_load(mien_dataset *set, const mien_on_bad *on_bad);
mien_status pictures_read(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                          uint8_t *pixels);
/* The size of its picture as it was decoded. */
void pictures_size(const mien_dataset *set, size_t i, int *width, int *height);
const char *pictures_file(const mien_dataset *set, size_t i);
/* Its path, in path[MIEN_PATH]. */
mien_status pictures_path(const mien_dataset *set, size_t i, char *path);
void pictures_close(mien_dataset *set);

/* Converts [height][width][channels] pixels (1 or 3) to the spec's size and channels, 3 (colour) or
 * gray. Conversion from colour to gray overwrites `pixels`. */
void pictures_shape(mien_image_spec spec, uint8_t *pixels, int height, int width, int channels,
                    uint8_t *out);

#endif
