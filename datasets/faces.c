/* Writes the generated faces as PNG files: faces FOLDER PEOPLE. Built and run by datasets/faces.sh.
 *
 * Each person is drawn once with each of the seven expressions, into FOLDER/<part>/<class>/. No
 * person is in two parts. */
#include <stdio.h>
#include <stdlib.h>

#include "host/base/file.h"
#include "host/data/sample_draw.h"
#include "host/image/encode.h"

enum { SEED = 2013 }; /* as in the data set `sample` */

static mien_status write_face(const char *folder, uint32_t index) {
    static const char *const parts[] = {"train", "val", "test"};
    uint8_t pixels[SAMPLE_PIXELS];
    int label;
    uint32_t identity;
    char path[MIEN_PATH];
    sample_draw(SEED, index, pixels, &label, &identity);
    snprintf(path, sizeof path, "%s/%s/%s", folder, parts[sample_split(identity)],
             sample_class_names[label]);
    MIEN_TRY(mien_make_folders(path));
    snprintf(path, sizeof path, "%s/%s/%s/%04u.png", folder, parts[sample_split(identity)],
             sample_class_names[label], (unsigned)identity);
    const mien_image image = {
        .width = SAMPLE_SIDE, .height = SAMPLE_SIDE, .channels = 1, .pixels = pixels};
    return mien_image_write_png(&image, path);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    const long people = strtol(argv[2], NULL, 10);
    if (people < 1 || people > SAMPLE_IDENTITIES) {
        fprintf(stderr, "faces: PEOPLE must be 1 to %d\n", SAMPLE_IDENTITIES);
        return 2;
    }
    for (long i = 0; i < people * SAMPLE_CLASSES; i++)
        if (write_face(argv[1], (uint32_t)i) != MIEN_OK) {
            fprintf(stderr, "faces: %s\n", mien_error_message());
            return 1;
        }
    printf("%ld images of %ld people in %s\n", people * SAMPLE_CLASSES, people, argv[1]);
    return 0;
}
