/* TensorBoard's event files: TFRecords of Event messages. The functions append to texts, which
 * remember failures. */
#ifndef HOST_FORMATS_EVENT_FILE_H
#define HOST_FORMATS_EVENT_FILE_H

#include <stdint.h>

#include "host/base/text.h"

/* Values of one step, appended to a summary. */
void mien_event_scalar(mien_text *summary, const char *tag, float value);
/* `png`: an encoded picture; channels: 1 gray, 3 colour. */
void mien_event_image(mien_text *summary, const char *tag, int width, int height, int channels,
                      const mien_text *png);
/* 30 buckets of equal width, as tf.summary.histogram has them. The values must be finite. */
void mien_event_histogram(mien_text *summary, const char *tag, const float *values, size_t count);

/* The record that a file begins with. `time`: seconds since 1970. */
void mien_event_start(mien_text *file, double time);
/* Appends the record of a step and releases the summary. */
void mien_event_write(mien_text *file, double time, uint64_t step, mien_text *summary);

/* CRC-32C (Castagnoli). */
uint32_t mien_crc32c(const void *bytes, size_t size);

#endif
