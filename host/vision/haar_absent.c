/* A build without OpenCV: see haar.cc. */
#include "host/vision/haar.h"

mien_status haar_available(void) {
    return MIEN_FAIL(UNSUPPORTED,
                     "this build cannot detect faces (it has no OpenCV): build with OPENCV=1, or "
                     "give pictures of faces with --detector none");
}

mien_status haar_open(const char *xml, size_t size, const char *name, int threads, void **out) {
    (void)xml, (void)size, (void)name, (void)threads;
    *out = NULL;
    return haar_available();
}

void haar_close(void *haar) {
    (void)haar;
}

mien_status haar_run(void *haar, const uint8_t *gray, int width, int height, int least, double sure,
                     mien_face **out, int *count) {
    (void)haar, (void)gray, (void)width, (void)height, (void)least, (void)sure;
    *out = NULL;
    *count = 0;
    return haar_available();
}
