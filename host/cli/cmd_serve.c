/* mien serve: a web page and an HTTP API for faces in pictures. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/cli/detector_flags.h"
#include "host/cli/photo_json.h"
#include "host/serve/serve.h"
#include "include/mien/mien.h"

/* TOKEN_MIN: a shorter one can be guessed. */
enum { BATCH = BATCH_FACES, QUEUE = 64, TOKEN_MIN = 16, FILE_LIMIT = 1 << 20 };

typedef struct serve_args {
    cli_common common;
    cli_list models, allowed, rest;
    detector_flags faces;
    const char *host, *port, *queue_text, *certificate, *key, *token, *drop_classes;
    bool no_auth;
    int queue, workers; /* workers: threads that decode and detect */
} serve_args;

/* ---- the command line ---- */

static bool usage(const char *message) {
    fprintf(stderr, "mien: %s\n", message);
    return false;
}

static bool check_hosts(const serve_args *args) {
    for (int i = 0; i < args->allowed.count; i++) {
        if (limits_host_name(args->allowed.items[i])) continue;
        fprintf(stderr,
                "mien: --allow-host takes a name or address without scheme, port and path, not "
                "'%s'\n",
                args->allowed.items[i]);
        return false;
    }
    return true;
}

static bool check_values(serve_args *args) {
    long long n = QUEUE;
    if (!detector_flags_read(&args->faces)) return false;
    if (!args->host) args->host = "127.0.0.1";
    if (!args->port) args->port = "8080";
    if (!cli_number("--port", args->port, 0, 65535, &n)) return false;
    n = QUEUE;
    if (args->queue_text && !cli_number("--max-queue", args->queue_text, 1, 10000, &n))
        return false;
    args->queue = (int)n;
    if (!args->certificate != !args->key) return usage("--tls-cert and --tls-key need each other");
    if (args->token && args->no_auth) return usage("--token-file and --no-auth exclude each other");
    if (!args->token && !args->no_auth && !serve_is_local(args->host)) {
        fprintf(stderr,
                "mien: --host %s lets other machines in: give --token-file FILE, or --no-auth if "
                "everybody who reaches this port may use it\n",
                args->host);
        return false;
    }
    return check_hosts(args);
}

/* ---- secrets ---- */

static mien_status read_token(const char *path, char **out) {
    size_t size;
    MIEN_TRY(mien_file_read(path, FILE_LIMIT, out, &size));
    char *token = *out;
    while (size && (token[size - 1] == '\n' || token[size - 1] == '\r'))
        token[--size] = 0;
    for (size_t i = 0; i < size; i++)
        if (token[i] <= ' ' || token[i] == 0x7f)
            return MIEN_FAIL(FORMAT,
                             "'%s' must hold one token, a line without spaces and of ASCII "
                             "characters",
                             path);
    if (size < TOKEN_MIN)
        return MIEN_FAIL(FORMAT,
                         "the token in '%s' has %zu characters, at least %d are needed: make one "
                         "with `openssl rand -hex 32`",
                         path, size, TOKEN_MIN);
    return MIEN_OK;
}

/* The pages of a memory that is given back may end in a file. */
static void forget(char *secret) {
    if (secret) explicit_bzero(secret, strlen(secret));
    mien_free(secret);
}

typedef struct secrets {
    char *certificate, *key, *token;
} secrets;

static mien_status read_secrets(const serve_args *args, secrets *out) {
    size_t size;
    if (args->certificate)
        MIEN_TRY(mien_file_read(args->certificate, FILE_LIMIT, &out->certificate, &size));
    if (args->key) MIEN_TRY(mien_file_read(args->key, FILE_LIMIT, &out->key, &size));
    if (args->token) MIEN_TRY(read_token(args->token, &out->token));
    return MIEN_OK;
}

/* ---- the run ---- */

static void job_json(const mien_meta *meta, const batch_job *job, mien_text *out) {
    const photo_result result = {.file = job->name,
                                 .width = job->width,
                                 .height = job->height,
                                 .faces = job->faces,
                                 .scores = job->scores,
                                 .count = job->count};
    photo_json(meta, &result, out);
}

static bool write_log(const char *lines, size_t size) {
    while (size) {
        const ssize_t put = write(STDERR_FILENO, lines, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        lines += put;
        size -= (size_t)put;
    }
    return true;
}

static void tell_started(const char *url) {
    MIEN_INFO("serving on %s (Ctrl-C stops)", url);
}

/* Models are named by their file or run folder: paths are nobody's business. */
static const char *short_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The networks that work side by side, each with its backend. */
typedef struct networks {
    mien_backend **backends;
    mien_ensemble *models;
    int count;
} networks;

static mien_status run_server(const serve_args *args, const secrets *s, const networks *n) {
    const char *names[CLI_LIST_MAX];
    const char *hosts[CLI_LIST_MAX + 1];
    int host_count = 0;
    for (int i = 0; i < args->models.count; i++)
        names[i] = short_name(args->models.items[i]);
    for (; host_count < args->allowed.count; host_count++)
        hosts[host_count] = args->allowed.items[host_count];
    hosts[host_count++] = args->host;
    const serve_options options = {
        .host = args->host,
        .port = args->port,
        .limits = {hosts, host_count},
        .queue = args->queue,
        .threads = args->workers,
        .certificate = s->certificate,
        .key = s->key,
        .token = s->token,
        .models = n->models,
        .model_count = n->count,
        .model_names = names,
        .detector = args->faces.none ? NULL : &args->faces.choice,
        .photos = {.min_face = args->faces.min_face, .min_score = args->faces.min_score},
        .version = MIEN_VERSION,
        .commit = cli_commit(),
        .log = args->common.quiet ? NULL : write_log,
        .stop = &cli_stop,
        .photo_json = job_json,
        .started = tell_started};
    return serve_run(&options);
}

static mien_status open_network(const serve_args *args, networks *n) {
    mien_ensemble *models = &n->models[n->count];
    MIEN_TRY(cli_backend(&args->common, &n->backends[n->count]));
    n->count++;
    MIEN_TRY(mien_ensemble_open(args->models.items, args->models.count, n->backends[n->count - 1],
                                BATCH, models));
    if (args->drop_classes) MIEN_TRY(mien_ensemble_drop(models, args->drop_classes));
    return mien_photos_supported(models);
}

/* On a CPU each network has one thread: threads of one network wait for each other, which takes
 * long where decoding and detection want the CPUs as well. */
static mien_status open_networks(serve_args *args, networks *n) {
    static const char *const one = "1";
    const int given = cli_threads(&args->common);
    args->workers = given ? given : mien_threads_available();
    args->common.threads = one;
    MIEN_TRY(mien_new(&n->backends, (size_t)args->workers, sizeof *n->backends));
    MIEN_TRY(mien_new(&n->models, (size_t)args->workers, sizeof *n->models));
    MIEN_TRY(open_network(args, n));
    const bool cpu = strncmp(mien_backend_description(n->backends[0]), "cpu", 3) == 0;
    while (cpu && n->count < args->workers)
        MIEN_TRY(open_network(args, n));
    return MIEN_OK;
}

static void close_networks(networks *n) {
    for (int i = 0; i < n->count; i++) {
        mien_ensemble_release(&n->models[i]);
        mien_backend_close(n->backends[i]);
    }
    mien_free(n->models);
    mien_free(n->backends);
}

static mien_status serve(serve_args *args) {
    char found[MIEN_PATH]; /* must outlive the list of models */
    networks n = {0};
    secrets s = {0};
    mien_status status;
    MIEN_GO(read_secrets(args, &s));
    MIEN_GO(cli_default_model(&args->models, found));
    cli_catch_signals();
    signal(SIGPIPE, SIG_IGN);
    MIEN_GO(open_networks(args, &n));
    status = run_server(args, &s, &n);
out:
    close_networks(&n);
    forget(s.token);
    forget(s.key);
    mien_free(s.certificate);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    serve_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        {"--host", "NAME", "address to listen on (default: 127.0.0.1, this machine only)",
         &args.host, NULL, NULL},
        {"--port", "N", "port to listen on; 0: any free one (default: 8080)", &args.port, NULL,
         NULL},
        {"--allow-host", "NAME", "a name under which browsers may reach the server; repeatable",
         NULL, &args.allowed, NULL},
        {"--token-file", "FILE", "clients must send the token in this file", &args.token, NULL,
         NULL},
        {"--no-auth", NULL, "listen beyond this machine without a token", NULL, NULL,
         &args.no_auth},
        {"--tls-cert", "FILE", "certificate chain (PEM): HTTPS instead of HTTP", &args.certificate,
         NULL, NULL},
        {"--tls-key", "FILE", "its private key (PEM)", &args.key, NULL, NULL},
        {"--max-queue", "N", "requests that may wait or be worked on; more get 503 (default: 64)",
         &args.queue_text, NULL, NULL},
        DETECTOR_FLAGS(&args.faces, "24, at least 3.5 % of the shorter side"),
        {"--drop-classes", "A,B", "never answer these classes", &args.drop_classes, NULL, NULL},
        CLI_DTYPE_FLAG(args.common)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = serve(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_serve = {
    "serve", "[--model M] [--port N]", "serves a web page and an HTTP API for faces in pictures",
    "  mien serve\n"
    "  mien serve --port 9000 --model best.h5 --max-queue 16\n"
    "  mien serve --host 0.0.0.0 --allow-host faces.example.org --token-file token --tls-cert "
    "cert.pem --tls-key key.pem\n",
    run};
