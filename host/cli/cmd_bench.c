/* mien bench: measures the speed of training, inference, augmentation and data loading. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "host/bench/bench.h"
#include "host/bench/peak.h"
#include "host/cli/model_flags.h"

typedef struct bench_args {
    cli_common common;
    cli_list rest;
    const char *batch, *dtype, *seconds, *size, *rows;
    mien_model_options options;
} bench_args;

static const char *const dtypes[] = {"auto", "f32", "tf32", "bf16", "f16", "int8"};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0], BATCH_MOST = 4096, SIDE_MOST = 1024 };

static bool known(const char *what, const char *word, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return true;
    cli_unknown(what, word, words, count);
    return false;
}

static bool read_seconds(const char *text, double *out) {
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end != text && *end == 0 && errno == 0 && *out > 0 && *out <= 3600) return true;
    fprintf(stderr, "mien: --seconds must be a number above 0 and at most 3600, not '%s'\n", text);
    return false;
}

static bool read_mode(const bench_args *args) {
    size_t count = 0;
    while (mien_bench_modes[count])
        count++;
    if (args->rest.count) return known("measurement", args->rest.items[0], mien_bench_modes, count);
    fprintf(stderr,
            "mien: bench needs a measurement: train, infer, augment, load or op; see mien bench "
            "--help\n");
    return false;
}

/* Turns the command line into a request; prints a usage error and returns false if it is wrong. */
static bool read_request(const bench_args *args, mien_bench_request *r) {
    long long batch = 64, size = 0, rows = 10000;
    *r = (mien_bench_request){.dtype = args->dtype, .seconds = 5, .stop = &cli_stop};
    if (!read_mode(args)) return false;
    if (args->batch && !cli_number("--batch", args->batch, 1, BATCH_MOST, &batch)) return false;
    if (args->size && !cli_number("--size", args->size, 1, SIDE_MOST, &size)) return false;
    if (args->rows && !cli_number("--rows", args->rows, 1, 10000000, &rows)) return false;
    if (args->seconds && !read_seconds(args->seconds, &r->seconds)) return false;
    if (args->dtype && !known("dtype", args->dtype, dtypes, DTYPES)) return false;
    const char *name = args->rest.count > 1 ? args->rest.items[1] : NULL;
    if (strcmp(args->rest.items[0], "load") == 0) {
        r->file = name;
        if (name && args->rows) {
            fprintf(
                stderr,
                "mien: --rows is for generated data and cannot be combined with the file '%s'\n",
                name);
            return false;
        }
    } else {
        r->model = name;
    }
    r->batch = (int)batch;
    r->size = (int)size;
    r->rows = rows;
    r->layers = args->common.json;
    return true;
}

/* Formats seconds with a suitable unit. */
static const char *pretty(double seconds, char out[16]) {
    if (seconds < 1e-3)
        snprintf(out, 16, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(out, 16, "%.*f ms", seconds < 0.1 ? 2 : 1, seconds * 1e3);
    else
        snprintf(out, 16, "%.2f s", seconds);
    return out;
}

static void print_times(const char *what, const mien_statistics *s) {
    char a[16], b[16], c[16], d[16], e[16];
    printf("  %-18s %-10s median   min %s   p90 %s   p99 %s   max %s   (n %zu)\n", what,
           pretty(s->median, a), pretty(s->min, b), pretty(s->p90, c), pretty(s->p99, d),
           pretty(s->max, e), s->n);
}

static void print_pass(const mien_bench_pass *p, double peak) {
    char time[16];
    if (p->seconds <= 0) {
        printf("%12s %10s %6s", "-", "", "");
    } else if (p->flops > 0) {
        const double rate = p->flops / p->seconds;
        char share[8] = "";
        if (peak > 0) snprintf(share, sizeof share, "%.0f %%", 100 * rate / peak);
        printf("%12s %10.1f %6s", pretty(p->seconds, time), rate / 1e9, share);
    } else {
        printf("%12s %7.1f GB %5s", pretty(p->seconds, time), p->bytes / p->seconds / 1e9, "");
    }
}

static void print_layers(const mien_bench_result *r) {
    double sum = r->gather + r->loss + r->update;
    char text[40], time[16];
    printf("\n  %-26s %-12s %12s %10s %6s %12s %10s %6s\n", "layer", "output", "forward", "GFLOP/s",
           "peak", "backward", "GFLOP/s", "peak");
    for (int i = 0; i < r->layer_count; i++) {
        const mien_bench_layer *l = &r->layers[i];
        if (l->flat)
            snprintf(text, sizeof text, "%d", l->out.c);
        else
            snprintf(text, sizeof text, "%dx%dx%d", l->out.h, l->out.w, l->out.c);
        printf("  %-26.26s %-12s ", l->name, text);
        print_pass(&l->forward, r->peak_flops);
        printf(" ");
        print_pass(&l->backward, r->peak_flops);
        printf("\n");
        sum += l->forward.seconds + l->backward.seconds;
    }
    const struct {
        const char *name;
        double seconds;
    } rest[] = {{"gather, augmentation", r->gather},
                {"loss and its gradient", r->loss},
                {"optimizer", r->update},
                {"together", sum}};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        if (rest[i].seconds > 0)
            printf("  %-39s %12s\n", rest[i].name, pretty(rest[i].seconds, time));
    printf("  (GFLOP/s count the operations of direct convolution; GB: GB/s of other layers; means "
           "of %d steps)\n",
           r->layer_steps);
}

/* What the peak was measured with: the CPU's instruction set, or the device's number type. */
static const char *peak_of(const mien_backend *backend) {
    static const struct {
        const char *isa, *text;
    } names[] = {{"v2", "x86-64-v2"}, {"v3", "x86-64-v3"}, {"v4", "x86-64-v4"}};
    const char *isa = mien_peak_isa(backend);
    for (size_t i = 0; isa && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].isa, isa) == 0) return names[i].text;
    return mien_compute_name(mien_backend_compute(backend));
}

static void print_result(const mien_bench_request *request, const mien_bench_result *r) {
    const double rate = r->images / r->time.median;
    const bool load = r->file_bytes > 0;
    printf("%s %s", r->mode, r->model);
    if (!load) printf(", batch %d, %s", r->batch, r->dtype);
    printf(": %s\n", mien_backend_description(request->backend));
    print_times(load ? "one pass" : "one step", &r->time);
    printf("  %-18s %.*f\n", load ? "rows/s" : "images/s", rate < 100 ? 1 : 0, rate);
    if (r->plain.n) {
        print_times("not augmented", &r->plain);
        printf("  %-18s %.0f\n", "images/s", r->images / r->plain.median);
    }
    if (load)
        printf("  %-18s %.3f of %.1f MB\n", "GB/s", r->file_bytes / r->time.median / 1e9,
               r->file_bytes / 1e6);
    if (r->flops > 0) {
        printf("  %-18s %.1f", "GFLOP/s", rate * r->flops / 1e9);
        if (r->peak_flops > 0)
            printf(", %.0f %% of the measured peak of %.1f (%s, best of %d windows)",
                   100 * rate * r->flops / r->peak_flops, r->peak_flops / 1e9,
                   peak_of(request->backend), r->peak_windows);
        printf("\n");
    }
    printf("  %-18s %.0f MB\n", "peak memory", r->peak_memory / 1e6);
    if (r->copy_bandwidth > 0)
        printf("  %-18s %.1f GB/s\n", "memory copies", r->copy_bandwidth / 1e9);
    if (r->host_seconds > 0) {
        char text[16];
        printf("  %-18s %s per step\n", "host", pretty(r->host_seconds, text));
    }
    if (r->layer_count) print_layers(r);
}

/* `infer` without a model measures the one that the other commands use without one; a size asks for
 * the classic network, because that model has its own. */
static mien_status name_model(const bench_args *args, char *found, mien_bench_request *r) {
    cli_list models = {0};
    if (strcmp(args->rest.items[0], "infer") != 0 || r->model || r->size) return MIEN_OK;
    MIEN_TRY(cli_default_model(&models, found));
    r->model = models.items[0];
    return MIEN_OK;
}

static int run(int argc, char **argv, const cli_command *self) {
    char found[MIEN_PATH];
    bench_args args = {0};
    const cli_flag flags[] = {
        {"--batch", "N", "batch size, 1 to 4096 (default: 64)", &args.batch, NULL, NULL},
        {"--dtype", "T", "auto, f32, tf32, bf16, f16 or int8, if device and model support it",
         &args.dtype, NULL, NULL},
        {"--seconds", "S", "how long to measure (default: 5)", &args.seconds, NULL, NULL},
        {"--size", "N", "image side in pixels for a network without weights (default: 48)",
         &args.size, NULL, NULL},
        {"--rows", "N", "load: rows of the generated file (default: 10000)", &args.rows, NULL,
         NULL},
        CLI_MODEL_FLAGS(args.options)};
    int exit_status;
    mien_bench_request request;
    mien_bench_result result = {0};
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 2,
                   &args.common, &exit_status))
        return exit_status;
    if (!read_request(&args, &request) || !cli_model_flags(&args.options, 1)) return EXIT_USAGE;
    request.options = args.options;
    cli_catch_signals();
    if (args.dtype) mien_compute_named(args.dtype, &args.common.compute);
    args.common.training = strcmp(args.rest.items[0], "infer") != 0;
    mien_status status = name_model(&args, found, &request);
    if (status == MIEN_OK) status = cli_backend(&args.common, &request.backend);
    if (status == MIEN_OK) status = mien_bench_run(args.rest.items[0], &request, &result);
    if (status == MIEN_OK && args.common.json) {
        const mien_bench_build build = {cli_commit(), __VERSION__, MIEN_FLAGS};
        mien_text text = {0};
        mien_bench_document(&request, &result, &build, &text);
        status = cli_print(&text);
    } else if (status == MIEN_OK) {
        print_result(&request, &result);
    }
    mien_bench_release(&result);
    mien_backend_close(request.backend);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_bench = {
    "bench", "train|infer|augment|load|op [MODEL] [--batch N] [--seconds S]",
    "measures the speed of training, inference, augmentation and data loading",
    "  mien bench train                      the network `classic`, exactly as `train` runs it\n"
    "  mien bench infer                      the model that predict uses by default\n"
    "  mien bench infer vgg --batch 1        latency from pixels to probabilities\n"
    "  mien bench op classic --batch 64      forward and backward time of each layer\n"
    "  mien bench load fer2013.csv           reading a data set\n"
    "  mien bench load --rows 100000         the same with generated data\n"
    "  mien bench train --threads 1 --json   all results, with times per layer\n",
    run};
