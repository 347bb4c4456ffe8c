/* The module's table. */
#include "host/vision/opencv/detectors.h"

static const mien_vision_detector detectors[] = {
    {"haar", haar_open, haar_run, haar_close},
    {"yunet", yunet_open, yunet_run, yunet_close},
    {0},
};

__attribute__((visibility("default"))) extern const mien_vision_module mien_module_table;
const mien_vision_module mien_module_table = {
    {MIEN_VISION_MODULE_VERSION, "mien-vision"}, mien_services_use, detectors};
