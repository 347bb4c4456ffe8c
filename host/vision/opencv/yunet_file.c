/* What an ONNX file must be before OpenCV reads it: a YuNet. Its importer was written for files
 * that are meant well, so that this reader checks the parts that lead it astray: lengths that leave
 * their message, tensors whose data are not as long as their dimensions say, data in other files,
 * operators that hold graphs. ONNX is a Protocol Buffers message: fields of a number, a kind and a
 * value, nested. */
#include <string.h>

#include "host/vision/opencv/yunet.h"

enum { NODES_MAX = 2000, DIMS_MAX = 6, VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
static const uint64_t ELEMENTS_MAX = 4 << 20;

typedef struct span {
    const uint8_t *at, *end;
} span;

typedef struct field {
    uint64_t number, value; /* value: of a varint, or the length */
    int kind;
    span bytes;
} field;

static bool read_varint(span *in, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        const uint8_t byte = *in->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* The next field of a message; false at its end, and with *ok false if it is damaged. */
static bool next_field(span *in, field *out, bool *ok) {
    uint64_t key;
    if (in->at == in->end) return false;
    *ok = false;
    if (!read_varint(in, &key)) return false;
    *out = (field){.number = key >> 3, .kind = (int)(key & 7)};
    uint64_t size = out->kind == FIXED64 ? 8 : out->kind == FIXED32 ? 4 : 0;
    if (out->kind == VARINT || out->kind == BYTES) {
        if (!read_varint(in, &out->value)) return false;
        if (out->kind == BYTES) size = out->value;
    } else if (!size)
        return false;
    if (size > (uint64_t)(in->end - in->at)) return false;
    out->bytes = (span){in->at, in->at + size};
    in->at += size;
    return *ok = true;
}

static bool is_text(span bytes, const char *text) {
    const size_t length = strlen(text);
    return (size_t)(bytes.end - bytes.at) == length && memcmp(bytes.at, text, length) == 0;
}

static bool is_one_of(span bytes, const char *const *names) {
    for (; *names; names++)
        if (is_text(bytes, *names)) return true;
    return false;
}

static bool add_dimension(uint64_t value, uint64_t *elements, int *count) {
    if (value > ELEMENTS_MAX || ++*count > DIMS_MAX) return false;
    *elements *= value;
    return *elements <= ELEMENTS_MAX;
}

/* TensorProto: floats or integers of 64 bits, as many as its dimensions say. */
static bool good_tensor(span tensor) {
    uint64_t elements = 1, type = 0, raw = 0, packed = 0;
    bool ok = true, has_raw = false;
    int dims = 0;
    for (field f; next_field(&tensor, &f, &ok);) {
        if (f.number == 1 && f.kind == VARINT) {
            if (!add_dimension(f.value, &elements, &dims)) return false;
        } else if (f.number == 1 && f.kind == BYTES) {
            for (uint64_t value; f.bytes.at < f.bytes.end;)
                if (!read_varint(&f.bytes, &value) || !add_dimension(value, &elements, &dims))
                    return false;
        } else if (f.number == 2)
            type = f.value;
        else if (f.number == 4 && f.kind == BYTES)
            packed += f.value / 4;
        else if (f.number == 7 && f.kind == BYTES) {
            for (uint64_t value; f.bytes.at < f.bytes.end; packed++)
                if (!read_varint(&f.bytes, &value)) return false;
        } else if (f.number == 8)
            ; /* its name */
        else if (f.number == 9 && f.kind == BYTES) {
            has_raw = true;
            raw = f.value;
        } else if (f.number != 12) /* not its description: strings, or data in another file */
            return false;
    }
    if (!ok || (type != 1 && type != 7)) return false;
    return has_raw ? !packed && raw == elements * (type == 1 ? 4 : 8) : packed == elements;
}

/* NodeProto: an operator that YuNet has, without graphs in its attributes. */
static bool good_node(span node) {
    static const char *const known[] = {
        "Conv",    "Relu",    "MaxPool", "Add",      "Resize",   "Upsample", "Concat", "Transpose",
        "Reshape", "Softmax", "Sigmoid", "Constant", "Identity", "Flatten",  "Clip",   NULL};
    bool ok = true, has_kind = false;
    for (field f; next_field(&node, &f, &ok);) {
        if (f.number == 4) {
            if (!is_one_of(f.bytes, known)) return false;
            has_kind = true;
        }
        if (f.number != 5) continue;
        bool attribute_ok = true;
        for (field a; next_field(&f.bytes, &a, &attribute_ok);) {
            if (a.number == 5 && (a.kind != BYTES || !good_tensor(a.bytes))) return false;
            if (a.number == 6 || (a.number >= 10 && a.number <= 12) || a.number == 22) return false;
        }
        if (!attribute_ok) return false;
    }
    return ok && has_kind;
}

static const char *const outputs_2022[] = {"loc", "conf", "iou", NULL};
static const char *const outputs_2023[] = {"cls_8",  "cls_16", "cls_32",  "obj_8",   "obj_16",
                                           "obj_32", "bbox_8", "bbox_16", "bbox_32", "kps_8",
                                           "kps_16", "kps_32", NULL};

/* Counts an output of the graph by its name (ValueInfoProto). */
static bool count_output(span value, int *count_2022, int *count_2023) {
    bool ok = true;
    for (field f; next_field(&value, &f, &ok);) {
        if (f.number != 1) continue;
        *count_2022 += is_one_of(f.bytes, outputs_2022);
        *count_2023 += is_one_of(f.bytes, outputs_2023);
    }
    return ok;
}

static const char *check_graph(span graph, yunet_layout *layout) {
    bool ok = true;
    int nodes = 0, outputs = 0, count_2022 = 0, count_2023 = 0;
    for (field f; next_field(&graph, &f, &ok);) {
        if (f.kind != BYTES) continue;
        if (f.number == 1 && (++nodes > NODES_MAX || !good_node(f.bytes)))
            return "it has operators that a YuNet does not have";
        if (f.number == 5 && !good_tensor(f.bytes)) return "a tensor is damaged";
        if (f.number == 15) return "it has sparse tensors";
        if (f.number != 12) continue;
        outputs++;
        if (!count_output(f.bytes, &count_2022, &count_2023)) return "it is damaged";
    }
    if (!ok) return "it is damaged";
    *layout = count_2022 == 3 ? YUNET_2022 : YUNET_2023;
    if ((count_2022 != 3 || outputs != 3) && (count_2023 != 12 || outputs != 12))
        return "its outputs are not those of a YuNet (loc, conf, iou; or cls_8 to kps_32)";
    return NULL;
}

const char *yunet_check(const uint8_t *data, size_t size, yunet_layout *layout) {
    static const char pointer[] = "version https://git-lfs";
    span model = {data, data + size};
    const char *wrong = "it is not an ONNX model";
    bool ok = true;
    if (size > sizeof pointer && memcmp(data, pointer, sizeof pointer - 1) == 0)
        return "it only names a file of Git LFS: download that file itself";
    for (field f; next_field(&model, &f, &ok);) {
        if (f.number == 20 || f.number == 25) return "it has functions or training data";
        if (f.number != 7 || f.kind != BYTES) continue;
        if ((wrong = check_graph(f.bytes, layout))) return wrong;
    }
    return ok ? wrong : "it is not an ONNX model";
}
