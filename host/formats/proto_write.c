#include "host/formats/proto_write.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void varint(mien_text *out, unsigned long long value) {
    char bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (char)(value | 0x80);
    bytes[size++] = (char)value;
    mien_text_append(out, bytes, size);
}

static void tag(mien_text *out, unsigned field, unsigned wire) {
    varint(out, field << 3 | wire);
}

void mien_proto_number(mien_text *out, unsigned field, unsigned long long value) {
    tag(out, field, VARINT);
    varint(out, value);
}

void mien_proto_float(mien_text *out, unsigned field, float value) {
    tag(out, field, FIXED32);
    mien_text_append(out, &value, sizeof value);
}

void mien_proto_double(mien_text *out, unsigned field, double value) {
    tag(out, field, FIXED64);
    mien_text_append(out, &value, sizeof value);
}

void mien_proto_bytes(mien_text *out, unsigned field, const void *bytes, size_t size) {
    tag(out, field, BYTES);
    varint(out, size);
    if (size) mien_text_append(out, bytes, size);
}

void mien_proto_text(mien_text *out, unsigned field, const char *value) {
    mien_proto_bytes(out, field, value, strlen(value));
}

void mien_proto_message(mien_text *out, unsigned field, mien_text *message) {
    if (message->status != MIEN_OK) out->status = message->status;
    mien_proto_bytes(out, field, message->data, message->size);
    mien_text_release(message);
    *message = (mien_text){0};
}
