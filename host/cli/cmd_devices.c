/* mien devices: lists the devices and features that this machine and build support. */
#include <stdio.h>

#include "host/backend/ops.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/cli/cli.h"
#include "include/mien/mien.h"

enum { GPUS_MOST = 64 };

typedef struct found {
    char name[32];
    bool usable, int8;
    char text[512];
} found;

static void probe(const char *device, const cli_common *common, found *f) {
    cli_common with = *common;
    mien_backend *backend = NULL;
    f->int8 = false;
    with.device = device;
    snprintf(f->name, sizeof f->name, "%s", device);
    f->usable = cli_backend(&with, &backend) == MIEN_OK;
    snprintf(f->text, sizeof f->text, "%s",
             f->usable ? mien_backend_description(backend) : mien_error_message());
    if (f->usable) f->int8 = backend->ops->int8 && backend->ops->int8->available(backend);
    mien_backend_close(backend);
}

/* Probes the CPU and every GPU; without GPUs, an entry that says why. Returns the number of
 * entries. */
static int probe_all(const cli_common *common, found *devices) {
    char name[32];
    int gpus;
    probe("cpu", common, &devices[0]);
    if (mien_backend_gpus(&gpus) != MIEN_OK || gpus == 0) {
        probe("cuda", common, &devices[1]);
        return 2;
    }
    for (int i = 0; i < gpus && i < GPUS_MOST; i++) {
        snprintf(name, sizeof name, "cuda:%d", i);
        probe(name, common, &devices[1 + i]);
    }
    return 1 + (gpus < GPUS_MOST ? gpus : GPUS_MOST);
}

static int run(int argc, char **argv, const cli_command *self) {
    cli_common common = {0};
    cli_list rest = {0};
    int status;
    char path[4096];
    if (!cli_parse(self, argc, argv, NULL, 0, &rest, 0, &common, &status)) return status;
    found devices[1 + GPUS_MOST];
    const int count = probe_all(&common, devices);
    const bool h5 = mien_installed_file("mien-h5", path) == MIEN_OK;
    const bool video = mien_installed_file("mien-video.so", path) == MIEN_OK;
    mien_text text = {0};
    if (common.json) {
        mien_json json = {.text = &text, .pretty = true};
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_string(&json, "version", MIEN_VERSION);
        mien_json_string(&json, "commit", MIEN_COMMIT);
        mien_json_string(&json, "compiler", __VERSION__);
        mien_json_string(&json, "flags", MIEN_FLAGS);
        mien_json_open(&json, "devices", '[');
        for (int i = 0; i < count; i++) {
            mien_json_open(&json, NULL, '{');
            mien_json_string(&json, "name", devices[i].name);
            mien_json_bool(&json, "usable", devices[i].usable);
            mien_json_string(&json, "description", devices[i].text);
            mien_json_bool(&json, "int8", devices[i].int8);
            mien_json_close(&json, '}');
        }
        mien_json_close(&json, ']');
        mien_json_bool(&json, "hdf5", h5);
        mien_json_bool(&json, "video", video);
        mien_json_close(&json, '}');
        mien_text_puts(&text, "\n");
    } else {
        for (int i = 0; i < count; i++)
            mien_text_printf(&text, "%-7s %-4s %s\n", devices[i].name,
                             devices[i].usable ? "yes" : "no", devices[i].text);
        mien_text_printf(&text, "%-7s %-4s %s\n", "int8", devices[0].int8 ? "yes" : "no",
                         devices[0].int8 ? "models in int8 compute in int8"
                                         : "switched off by MIEN_INT8: int8 models run in f32");
        mien_text_printf(&text, "%-7s %-4s %s\n", "h5", h5 ? "yes" : "no",
                         h5 ? "reads and writes Keras .h5 files"
                            : "not in this build: build with HDF5=1");
        mien_text_printf(&text, "%-7s %-4s %s\n", "video", video ? "yes" : "no",
                         video ? "reads and writes video with FFmpeg's libraries"
                               : "not in this build: build with VIDEO=1");
    }
    const mien_status printed = cli_print(&text);
    if (printed != MIEN_OK) return cli_fail(printed);
    return devices[0].usable ? EXIT_DONE : EXIT_FAILED;
}

const cli_command cmd_devices = {
    "devices", "[--json]", "lists the devices and features that this machine and build support",
    "  mien devices\n  mien devices --json\n", run};
