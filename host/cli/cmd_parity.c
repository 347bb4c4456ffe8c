/* mien parity: compares a device with the CPU, layer by layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/bench/parity.h"
#include "host/cli/cli.h"

enum { BATCH_MOST = 4096, SIDE_MOST = 1024 };

typedef struct parity_args {
    cli_common common;
    cli_list rest;
    const char *model, *data, *dtype, *batch, *size;
} parity_args;

static const char *const dtypes[] = {"f32", "tf32", "bf16", "f16"};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

static bool read_request(const parity_args *args, mien_parity_request *r) {
    static const mien_compute computes[] = {MIEN_COMPUTE_F32, MIEN_COMPUTE_TF32, MIEN_COMPUTE_BF16,
                                            MIEN_COMPUTE_F16};
    const char *dtype = args->dtype ? args->dtype : "f32";
    long long batch = 16, size = 0;
    int k = 0;
    if (!args->model) {
        fprintf(stderr, "mien: parity needs --model: a model file, a run directory or the name of "
                        "a network\n");
        return false;
    }
    while (k < DTYPES && strcmp(dtypes[k], dtype) != 0)
        k++;
    if (k == DTYPES) {
        cli_unknown("dtype", dtype, dtypes, DTYPES);
        return false;
    }
    if (args->batch && !cli_number("--batch", args->batch, 1, BATCH_MOST, &batch)) return false;
    if (args->size && !cli_number("--size", args->size, 1, SIDE_MOST, &size)) return false;
    *r = (mien_parity_request){.compute = computes[k],
                               .model = args->model,
                               .data = args->data,
                               .batch = (int)batch,
                               .size = (int)size,
                               .stop = &cli_stop};
    return true;
}

/* The CPU reference uses deterministic algorithms: otherwise Winograd may be chosen, whose error
 * exceeds the f32 bound. */
static mien_status open_backends(const parity_args *args, mien_parity_request *r) {
    const cli_common *common = &args->common;
    const mien_backend_options reference = {.threads = common->threads ? atoi(common->threads) : 0,
                                            .deterministic = true};
    const mien_backend_options options = {.threads = reference.threads,
                                          .deterministic = common->deterministic,
                                          .compute = r->compute,
                                          .training = true};
    MIEN_TRY(mien_backend_open("cpu", &reference, &r->cpu));
    return mien_backend_open(common->device ? common->device : "cuda", &options, &r->device);
}

static void print_table(const mien_parity_request *request, const mien_parity_result *r,
                        mien_text *out) {
    char shape[40];
    mien_text_printf(out, "%s, batch %d: %s against %s\n\n", r->model, r->batch,
                     mien_backend_description(request->device),
                     mien_backend_description(request->cpu));
    mien_text_printf(out, "  %-22s %-24s %-12s %-16s %10s %10s %9s\n", "layer", "class", "output",
                     "", "largest", "relative", "bound");
    for (int i = 0; i < r->layer_count; i++) {
        const mien_parity_layer *l = &r->layers[i];
        if (l->flat)
            snprintf(shape, sizeof shape, "%d", l->out.c);
        else
            snprintf(shape, sizeof shape, "%dx%dx%d", l->out.h, l->out.w, l->out.c);
        for (int k = 0; k < MIEN_PARITY_KINDS; k++) {
            const mien_parity_difference *d = &l->of[k];
            if (!d->measured) continue;
            mien_text_printf(out, "  %-22.22s %-24.24s %-12s %-16s %10.3g %10.3g %9.2g  %s\n",
                             l->name, l->class_name, shape, mien_parity_kind_name(k), d->largest,
                             d->relative, r->bound, d->holds ? "ok" : "FAIL");
        }
    }
    mien_text_printf(out, "\n%s\n",
                     r->holds ? "every layer is within its bound" : "a layer exceeds its bound");
}

static void write_difference(mien_json *json, const char *key, const mien_parity_difference *d) {
    if (!d->measured) return;
    mien_json_open(json, key, '{');
    mien_json_number(json, "largest", d->largest);
    mien_json_number(json, "relative", d->relative);
    mien_json_bool(json, "ok", d->holds);
    mien_json_close(json, '}');
}

static void print_json(const parity_args *args, const mien_parity_request *request,
                       const mien_parity_result *r, mien_text *out) {
    static const char *const keys[] = {"value", "input_gradient", "weight_gradient"};
    mien_json json = {.text = out, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "model", r->model);
    mien_json_string(&json, "device", mien_backend_description(request->device));
    mien_json_string(&json, "cpu", mien_backend_description(request->cpu));
    mien_json_string(&json, "dtype", args->dtype ? args->dtype : "f32");
    mien_json_integer(&json, "batch", r->batch);
    mien_json_number(&json, "bound", r->bound);
    mien_json_bool(&json, "ok", r->holds);
    mien_json_open(&json, "layers", '[');
    for (int i = 0; i < r->layer_count; i++) {
        const mien_parity_layer *l = &r->layers[i];
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "name", l->name);
        mien_json_string(&json, "class", l->class_name);
        mien_json_open(&json, "output_shape", '[');
        if (!l->flat) mien_json_integer(&json, NULL, l->out.h);
        if (!l->flat) mien_json_integer(&json, NULL, l->out.w);
        mien_json_integer(&json, NULL, l->out.c);
        mien_json_close(&json, ']');
        for (int k = 0; k < MIEN_PARITY_KINDS; k++)
            write_difference(&json, keys[k], &l->of[k]);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}

static int run(int argc, char **argv, const cli_command *self) {
    parity_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M", "model file, run directory or name of a network", &args.model, NULL, NULL},
        {"--data", "SRC", "compare on the first images of these data (default: generated images)",
         &args.data, NULL, NULL},
        {"--dtype", "T", "number type on the device: f32, tf32, bf16 or f16 (default: f32)",
         &args.dtype, NULL, NULL},
        {"--batch", "N", "batch size, 1 to 4096 (default: 16)", &args.batch, NULL, NULL},
        {"--size", "N", "image side in pixels for a network without weights (default: 48)",
         &args.size, NULL, NULL}};
    mien_parity_request request;
    mien_parity_result result = {0};
    mien_text text = {0};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!read_request(&args, &request)) return EXIT_USAGE;
    cli_catch_signals();
    mien_status status = open_backends(&args, &request);
    if (status == MIEN_OK) status = mien_parity_run(&request, &result);
    if (status == MIEN_OK && args.common.json)
        print_json(&args, &request, &result, &text);
    else if (status == MIEN_OK)
        print_table(&request, &result, &text);
    if (status == MIEN_OK) status = text.status;
    if (status == MIEN_OK) fputs(text.data, stdout);
    const bool holds = result.holds;
    mien_text_release(&text);
    mien_parity_release(&result);
    mien_backend_close(request.device);
    mien_backend_close(request.cpu);
    if (status != MIEN_OK) return cli_fail(status);
    return holds ? EXIT_DONE : EXIT_FAILED;
}

const cli_command cmd_parity = {
    "parity", "--model M [--data SRC] [--dtype T] [--batch N]",
    "compares a device's results with the CPU's, layer by layer",
    "  mien parity --model classic                        the GPU in f32, random weights\n"
    "  mien parity --model runs/sample-1 --dtype bf16\n"
    "  mien parity --model best.h5 --data fer2013.csv --batch 64 --json\n",
    run};
