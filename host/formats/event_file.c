#include "host/formats/event_file.h"

#include <string.h>

#include "host/formats/proto_write.h"

/* fields of Event, Summary.Value, Image and HistogramProto in TensorFlow's event.proto,
 * summary.proto and histogram.proto */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_IMAGE = 4, VALUE_HISTOGRAM = 5 };
enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH, IMAGE_CHANNELS, IMAGE_BYTES };
enum { HISTOGRAM_MIN = 1, HISTOGRAM_MAX, HISTOGRAM_COUNT, HISTOGRAM_SUM, HISTOGRAM_SQUARES };
enum { HISTOGRAM_LIMITS = 6, HISTOGRAM_BUCKETS = 7, BUCKETS = 30 };

uint32_t mien_crc32c(const void *bytes, size_t size) {
    uint32_t table[256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78u : 0);
    }
    for (const uint8_t *at = bytes; size > 0; at++, size--)
        crc = table[(crc ^ *at) & 255] ^ crc >> 8;
    return ~crc;
}

/* TFRecord masks its checksums, so that those of data that hold checksums are good ones, too. */
static uint32_t masked(const void *bytes, size_t size) {
    const uint32_t crc = mien_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void little(mien_text *out, uint64_t value, int bytes) {
    char text[8];
    for (int i = 0; i < bytes; i++)
        text[i] = (char)(value >> 8 * i);
    mien_text_append(out, text, (size_t)bytes);
}

static void record(mien_text *file, mien_text *event) {
    mien_text head = {0};
    if (event->status != MIEN_OK) file->status = event->status;
    little(&head, event->size, 8);
    if (head.status != MIEN_OK || file->status != MIEN_OK || event->status != MIEN_OK) {
        if (head.status != MIEN_OK) file->status = head.status;
    } else {
        mien_text_append(file, head.data, head.size);
        little(file, masked(head.data, head.size), 4);
        mien_text_append(file, event->data, event->size);
        little(file, masked(event->data, event->size), 4);
    }
    mien_text_release(&head);
    mien_text_release(event);
}

void mien_event_start(mien_text *file, double time) {
    mien_text event = {0};
    mien_proto_double(&event, EVENT_TIME, time);
    mien_proto_text(&event, EVENT_VERSION, "brain.Event:2");
    record(file, &event);
}

void mien_event_write(mien_text *file, double time, uint64_t step, mien_text *summary) {
    mien_text event = {0};
    mien_proto_double(&event, EVENT_TIME, time);
    mien_proto_number(&event, EVENT_STEP, step);
    mien_proto_message(&event, EVENT_SUMMARY, summary);
    record(file, &event);
}

void mien_event_scalar(mien_text *summary, const char *tag, float value) {
    mien_text v = {0};
    mien_proto_text(&v, VALUE_TAG, tag);
    mien_proto_float(&v, VALUE_SIMPLE, value);
    mien_proto_message(summary, SUMMARY_VALUE, &v);
}

void mien_event_image(mien_text *summary, const char *tag, int width, int height, int channels,
                      const mien_text *png) {
    mien_text v = {0}, image = {0};
    mien_proto_number(&image, IMAGE_HEIGHT, (unsigned long long)height);
    mien_proto_number(&image, IMAGE_WIDTH, (unsigned long long)width);
    mien_proto_number(&image, IMAGE_CHANNELS, (unsigned long long)channels);
    mien_proto_bytes(&image, IMAGE_BYTES, png->data, png->size);
    mien_proto_text(&v, VALUE_TAG, tag);
    mien_proto_message(&v, VALUE_IMAGE, &image);
    mien_proto_message(summary, SUMMARY_VALUE, &v);
}

/* Equal values have one bucket of width 1 around them, as in tf.summary.histogram. */
static int fill_buckets(const float *values, size_t count, double low, double high, double *limits,
                        double *buckets) {
    if (high <= low) {
        limits[0] = low + 0.5;
        buckets[0] = (double)count;
        return 1;
    }
    const double width = (high - low) / BUCKETS;
    for (int i = 0; i < BUCKETS; i++) {
        limits[i] = i + 1 < BUCKETS ? low + width * (i + 1) : high;
        buckets[i] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        const int at = (int)(((double)values[i] - low) / width);
        buckets[at < BUCKETS ? at : BUCKETS - 1]++;
    }
    return BUCKETS;
}

void mien_event_histogram(mien_text *summary, const char *tag, const float *values, size_t count) {
    double limits[BUCKETS], buckets[BUCKETS], sum = 0, squares = 0;
    double low = count ? (double)values[0] : 0, high = low;
    for (size_t i = 0; i < count; i++) {
        const double x = (double)values[i];
        low = x < low ? x : low;
        high = x > high ? x : high;
        sum += x;
        squares += x * x;
    }
    const size_t used = (size_t)fill_buckets(values, count, low, high, limits, buckets);
    mien_text v = {0}, h = {0};
    mien_proto_double(&h, HISTOGRAM_MIN, low);
    mien_proto_double(&h, HISTOGRAM_MAX, high);
    mien_proto_double(&h, HISTOGRAM_COUNT, (double)count);
    mien_proto_double(&h, HISTOGRAM_SUM, sum);
    mien_proto_double(&h, HISTOGRAM_SQUARES, squares);
    mien_proto_bytes(&h, HISTOGRAM_LIMITS, limits, used * sizeof *limits);
    mien_proto_bytes(&h, HISTOGRAM_BUCKETS, buckets, used * sizeof *buckets);
    mien_proto_text(&v, VALUE_TAG, tag);
    mien_proto_message(&v, VALUE_HISTOGRAM, &h);
    mien_proto_message(summary, SUMMARY_VALUE, &v);
}
