/* Writing protobuf messages: fields are appended to a text, which remembers failures. */
#ifndef HOST_FORMATS_PROTO_WRITE_H
#define HOST_FORMATS_PROTO_WRITE_H

#include "host/base/text.h"

void mien_proto_number(mien_text *out, unsigned field, unsigned long long value);
void mien_proto_float(mien_text *out, unsigned field, float value);
void mien_proto_double(mien_text *out, unsigned field, double value);
/* Also packed repeated numbers of a fixed width. */
void mien_proto_bytes(mien_text *out, unsigned field, const void *bytes, size_t size);
void mien_proto_text(mien_text *out, unsigned field, const char *value);
/* Appends a message as a field and releases it. */
void mien_proto_message(mien_text *out, unsigned field, mien_text *message);

#endif
