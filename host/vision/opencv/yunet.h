/* Shared by yunet.cc and yunet_file.c. */
#ifndef HOST_VISION_OPENCV_YUNET_H
#define HOST_VISION_OPENCV_YUNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The outputs of the two YuNets that opencv_zoo has had. */
typedef enum yunet_layout {
    YUNET_2022, /* face_detection_yunet_2021dec and 2022mar: loc, conf, iou over anchors */
    YUNET_2023, /* face_detection_yunet_2023mar: cls, obj, bbox, kps for strides of 8, 16, 32 */
} yunet_layout;

/* What is wrong with an ONNX file, or NULL. */
const char *yunet_check(const uint8_t *data, size_t size, yunet_layout *layout);

#endif
