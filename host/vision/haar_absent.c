/* A build without OpenCV: see haar.cc. */
#include "host/vision/haar.h"

mien_status haar_open(const char *file, int threads, void **out) {
    (void)file, (void)threads;
    *out = NULL;
    return MIEN_FAIL(UNSUPPORTED,
                     "this build cannot detect faces (it has no OpenCV): build with OPENCV=1, or "
                     "give pictures of faces with --detector none");
}

void haar_close(void *haar) {
    (void)haar;
}

mien_status haar_run(void *haar, const mien_image *photo, int min_face, double min_score,
                     mien_faces *out) {
    void *none;
    (void)photo, (void)min_face, (void)min_score, (void)out;
    return haar_open(haar, 0, &none);
}

mien_status haar_parse(const char *xml, size_t size, const char *name, int threads, void **out) {
    (void)size, (void)name;
    return haar_open(xml, threads, out);
}
