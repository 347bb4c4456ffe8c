/* The JSON document of a benchmark. */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "host/backend/ops.h"
#include "host/base/json.h"
#include "host/base/threads.h"
#include "host/bench/bench.h"
#include "host/bench/peak.h"
#include "include/mien/mien.h"

/* Values that do not apply or are unknown are 0 here and null in JSON. */
static void positive_or_null(mien_json *json, const char *key, double value) {
    if (value > 0)
        mien_json_number(json, key, value);
    else
        mien_json_null(json, key);
}

static void text_or_null(mien_json *json, const char *key, const char *text) {
    if (text[0])
        mien_json_string(json, key, text);
    else
        mien_json_null(json, key);
}

static double per(double amount, double seconds) {
    return seconds > 0 ? amount / seconds : 0;
}

static double share(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

static void machine(mien_json *json, const mien_backend *backend, const mien_bench_build *build) {
    char cpu[128];
    const char *isa = mien_peak_isa(backend);
    mien_processor_name(cpu, sizeof cpu);
    mien_json_string(json, "version", MIEN_VERSION);
    mien_json_string(json, "commit", build->commit);
    mien_json_string(json, "compiler", build->compiler);
    mien_json_string(json, "flags", build->flags);
    mien_json_string(json, "device", mien_backend_description(backend));
    mien_json_string(json, "isa", isa);
    mien_json_string(json, "cpu", cpu);
    text_or_null(json, "gpu", backend->gpu);
    text_or_null(json, "driver", backend->driver);
    mien_json_open(json, "libraries", '[');
    if (backend->library[0]) mien_json_string(json, NULL, backend->library);
    char libc[32];
    snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
    mien_json_string(json, NULL, libc);
    mien_json_close(json, ']');
    mien_json_integer(json, "threads", mien_threads_count());
}

static void statistics(mien_json *json, const mien_statistics *s) {
    mien_json_integer(json, "n", (long long)s->n);
    mien_json_number(json, "min", s->min);
    mien_json_number(json, "median", s->median);
    mien_json_number(json, "p90", s->p90);
    mien_json_number(json, "p99", s->p99);
    mien_json_number(json, "max", s->max);
    mien_json_number(json, "mean", s->mean);
}

static void pass(mien_json *json, const char *key, const mien_bench_pass *p, double peak) {
    if (p->seconds <= 0) {
        mien_json_null(json, key);
        return;
    }
    mien_json_open(json, key, '{');
    mien_json_number(json, "seconds", p->seconds);
    positive_or_null(json, "flops_per_second", per(p->flops, p->seconds));
    positive_or_null(json, "fraction_of_peak", share(per(p->flops, p->seconds), peak));
    positive_or_null(json, "bytes_per_second", per(p->bytes, p->seconds));
    mien_json_close(json, '}');
}

static void layers(mien_json *json, const mien_bench_result *r) {
    mien_json_open(json, "layers", '[');
    for (int i = 0; i < r->layer_count; i++) {
        const mien_bench_layer *l = &r->layers[i];
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "name", l->name);
        mien_json_string(json, "class", l->class_name);
        mien_json_open(json, "output_shape", '[');
        if (!l->flat) {
            mien_json_integer(json, NULL, l->out.h);
            mien_json_integer(json, NULL, l->out.w);
        }
        mien_json_integer(json, NULL, l->out.c);
        mien_json_close(json, ']');
        pass(json, "forward", &l->forward, r->peak_flops);
        pass(json, "backward", &l->backward, r->peak_flops);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
    mien_json_integer(json, "layer_steps", r->layer_steps);
    mien_json_open(json, "beside_layers", '{');
    positive_or_null(json, "gather", r->gather);
    positive_or_null(json, "loss", r->loss);
    positive_or_null(json, "update", r->update);
    mien_json_close(json, '}');
}

void mien_bench_document(const mien_bench_request *request, const mien_bench_result *r,
                         const mien_bench_build *build, mien_text *out) {
    mien_json json = {.text = out, .pretty = true};
    const double rate = per(r->images, r->time.median);
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "mode", r->mode);
    mien_json_string(&json, "model", r->model);
    machine(&json, request->backend, build);
    mien_json_integer(&json, "seed", r->seed);
    mien_json_integer(&json, "batch", r->batch);
    mien_json_string(&json, "dtype", r->dtype);
    mien_json_integer(&json, "warmup", r->warmup);
    statistics(&json, &r->time);
    positive_or_null(&json, "images_per_second", rate);
    positive_or_null(&json, "flops", r->flops);
    positive_or_null(&json, "flops_per_second", rate * r->flops);
    positive_or_null(&json, "peak_flops", r->peak_flops);
    mien_json_integer(&json, "peak_windows", r->peak_windows);
    positive_or_null(&json, "fraction_of_peak", share(rate * r->flops, r->peak_flops));
    positive_or_null(&json, "peak_memory", r->peak_memory);
    positive_or_null(&json, "device_memory", r->device_memory);
    positive_or_null(&json, "copy_bandwidth", r->copy_bandwidth);
    positive_or_null(&json, "host_seconds", r->host_seconds);
    if (r->file_bytes > 0) {
        mien_json_number(&json, "file_bytes", r->file_bytes);
        mien_json_number(&json, "bytes_per_second", per(r->file_bytes, r->time.median));
    }
    if (r->plain.n) {
        mien_json_open(&json, "plain", '{');
        statistics(&json, &r->plain);
        mien_json_number(&json, "images_per_second", per(r->images, r->plain.median));
        mien_json_close(&json, '}');
    }
    layers(&json, r);
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
