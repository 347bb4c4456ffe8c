/* What a file is that is no model Mien reads, in one sentence with the cure. Nothing in it is
 * opened beyond its first bytes: pickles of Python run code when they are read. */
#include <string.h>

#include "host/base/file.h"
#include "host/formats/format.h"

static bool starts(const char *bytes, size_t size, const char *with, size_t length) {
    return size >= length && memcmp(bytes, with, length) == 0;
}

/* A pickle or a zip that holds one, as torch.save writes. */
static bool is_pickle(const char *bytes, size_t size) {
    static const char zip_entry[] = "/data.pkl";
    if (size > 2 && (unsigned char)bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5) return true;
    if (!starts(bytes, size, "PK\3\4", 4)) return false;
    const size_t most = size < 4096 ? size : 4096, length = sizeof zip_entry - 1;
    for (size_t at = 0; at + length <= most; at++)
        if (memcmp(bytes + at, zip_entry, length) == 0) return true;
    return false;
}

static bool is_html(const char *bytes, size_t size) {
    size_t at = 0;
    if (starts(bytes, size, "\xef\xbb\xbf", 3)) at = 3;
    while (at < size && at < 1024 && strchr(" \t\r\n", bytes[at]) && bytes[at])
        at++;
    static const char *const tags[] = {"<!doctype html", "<html", "<head", "<!--", "<?xml"};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        const size_t length = strlen(tags[i]);
        size_t k = 0;
        while (k < length && at + k < size &&
               (bytes[at + k] | ('A' <= bytes[at + k] && bytes[at + k] <= 'Z' ? 0x20 : 0)) ==
                   tags[i][k])
            k++;
        if (k == length) return true;
    }
    return false;
}

const char *mien_foreign_model(const char *path, const char *bytes, size_t size) {
    static const char lfs[] = "version https://git-lfs.github.com/spec/";
    if (size == 0) return "it is empty: download it again";
    if (starts(bytes, size, lfs, sizeof lfs - 1))
        return "it is a pointer of Git LFS, not the file itself: run `git lfs pull`, or download "
               "the "
               "raw file";
    if (is_html(bytes, size))
        return "it is a web page saved under a model's name: download the raw file";
    if (is_pickle(bytes, size))
        return "it is a pickle of PyTorch or Python, which runs code when it is opened: export the "
               "network with torch.onnx.export and give the .onnx file";
    if (size >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
        return "it is a TensorFlow Lite model: give the Keras model that it was made from, or an "
               ".onnx file by tf2onnx";
    if (mien_path_ends(path, "saved_model.pb"))
        return "it is a TensorFlow SavedModel: give the Keras model, or an .onnx file by tf2onnx";
    if (starts(bytes, size, "PK\3\4", 4))
        return "it is a zip archive: unpack it, and give the model in it";
    if (starts(bytes, size, "\x1f\x8b", 2) || starts(bytes, size, "7z\xbc\xaf", 4) ||
        starts(bytes, size, "Rar!", 4))
        return "it is an archive: unpack it, and give the model in it";
    if (starts(bytes, size, "GGUF", 4)) return "it is a language model (GGUF)";
    return NULL;
}
