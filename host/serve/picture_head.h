/* What a picture says of itself before it is decoded. */
#ifndef HOST_SERVE_PICTURE_HEAD_H
#define HOST_SERVE_PICTURE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum picture_kind { PICTURE_OTHER, PICTURE_JPEG, PICTURE_PNG, PICTURE_WEBP } picture_kind;

picture_kind picture_kind_of(const uint8_t *bytes, size_t size);
/* Its size in pixels; false if there is none where the format has it. */
bool picture_size_of(const uint8_t *bytes, size_t size, uint32_t *width, uint32_t *height);

#endif
