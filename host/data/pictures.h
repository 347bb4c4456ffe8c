/* Sources made of picture files. A reader lists them (path, label, part); opening, checking and
 * decoding them is the same for all and is done here, by all threads. */
#ifndef HOST_DATA_PICTURES_H
#define HOST_DATA_PICTURES_H

#include "host/base/text.h"
#include "host/data/source.h"

enum { PICTURE_SIDE_MIN = 8 }; /* a smaller picture shows no face */

typedef struct picture {
    size_t path;    /* place in `paths` */
    uint64_t stamp; /* of size and time of the file as it was checked */
    uint32_t group;
    uint16_t label;
    uint8_t usage;
} picture;

/* set->reader of these sources. Before pictures_load all that were listed, then the good ones:
 * items[i] is sample i. */
typedef struct pictures {
    mien_text paths; /* below set->source, each ends with a zero */
    picture *items;
    size_t count, capacity;
} pictures;

/* An empty list as set->reader. */
mien_status pictures_start(mien_dataset *set);
mien_status pictures_add(mien_dataset *set, const char *path, int label, int usage);
/* Decodes every file that was listed and appends the good ones in the list's order; the pixels stay
 * while the set has room for them. */
mien_status pictures_load(mien_dataset *set, const mien_on_bad *on_bad);
mien_status pictures_read(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                          uint8_t *pixels);
const char *pictures_file(const mien_dataset *set, size_t i);
void pictures_close(mien_dataset *set);

/* Brings [height][width][channels] pixels (1 or 3) to the spec, which wants colour (3) or gray; a
 * gray wish for colour pixels uses them up. */
void pictures_shape(mien_image_spec spec, uint8_t *pixels, int height, int width, int channels,
                    uint8_t *out);

#endif
