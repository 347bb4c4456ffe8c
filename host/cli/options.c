#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/interrupt.h"
#include "host/base/log.h"
#include "host/base/text.h"
#include "host/base/threads.h"
#include "host/cli/cli.h"

volatile int cli_stop;
static bool verbose; /* -v: failures also show their source file and line */

/* A second Ctrl-C ends the program at once; but timeout(1), for one, sends the same signal twice,
 * to the process and to its group. */
static void on_signal(int number) {
    static volatile double first;
    if (!cli_stop) first = mien_seconds();
    if (cli_stop && number == SIGINT && mien_seconds() - first > 0.3) _exit(EXIT_INTERRUPT);
    cli_stop = 1;
}

void cli_catch_signals(void) {
    mien_interrupt_watch(&cli_stop);
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i] != SIGHUP || sigaction(SIGHUP, NULL, &old) != 0 ||
            old.sa_handler != SIG_IGN) /* nohup: stays ignored */
            sigaction(numbers[i], &action, NULL);
}

void cli_outlive_readers(void) {
    signal(SIGPIPE, SIG_IGN);
}

/* Messages may quote untrusted text, so control characters are replaced. */
static void print_clean(const char *text) {
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
}

static void print_line(void *context, mien_log_level level, const char *line) {
    const cli_common *common = context;
    if (level == MIEN_LOG_DEBUG && !common->verbose) return;
    if (level == MIEN_LOG_INFO && common->quiet) return;
    fputs(level == MIEN_LOG_WARNING ? "warning: " : "", stderr);
    print_clean(line);
    fputc('\n', stderr);
}

int cli_fail(mien_status status) {
    fputs("mien: ", stderr);
    print_clean(mien_error_message());
    fputc('\n', stderr);
    if (verbose) fprintf(stderr, "(%s)\n", mien_error_location());
    if (status == MIEN_DEVICE) return EXIT_DEVICE;
    return status == MIEN_INTERRUPTED ? EXIT_INTERRUPT : EXIT_FAILED;
}

mien_status cli_print(mien_text *text) {
    const mien_status status = text->status;
    if (status == MIEN_OK && text->data) fputs(text->data, stdout);
    mien_text_release(text);
    return status == MIEN_OK ? MIEN_OK : MIEN_FAIL(NO_MEMORY, "out of memory for the output");
}

void cli_unknown(const char *what, const char *word, const char *const *known, size_t count) {
    const char *near = mien_nearest(word, known, count);
    fprintf(stderr, "mien: unknown %s '%s'", what, word);
    if (near) fprintf(stderr, "; did you mean '%s'?", near);
    fprintf(stderr, "\n");
}

bool cli_number(const char *flag, const char *text, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (end != text && *end == 0 && errno == 0 && *out >= low && *out <= high) return true;
    fprintf(stderr, "mien: %s must be a whole number from %lld to %lld, not '%s'\n", flag, low,
            high, text);
    return false;
}

bool cli_on_bad(const char *text, mien_on_bad *out) {
    if (mien_on_bad_parse(text ? text : "fail", out) == MIEN_OK) return true;
    fprintf(stderr, "mien: --%s\n", mien_error_message());
    return false;
}

static const char common_help[] =
    "common flags:\n"
    "  --device auto|cpu|cuda[:N]  device to compute on (default: auto)\n"
    "  --threads N                 CPU threads (default: all available to this process)\n"
    "  --pin                       one CPU for each thread, if all are used: where nothing else "
    "runs\n"
    "  --deterministic             use only deterministic algorithms\n"
    "  --json                      print results as JSON on stdout\n"
    "  -v, -q                      more messages, fewer messages\n"
    "  -h, --help, --version\n";

static void print_help(const cli_command *self, const cli_flag *flags, size_t count) {
    printf("usage: mien %s %s\n\n%s\n\n", self->name, self->arguments, self->summary);
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", flags[i].name, flags[i].value ? " " : "",
                 flags[i].value ? flags[i].value : "");
        printf("  %-27s %s\n", left, flags[i].help);
    }
    printf("\n%s\nexamples:\n%s", common_help, self->examples);
}

/* Flags planned for later versions. */
static bool refused_later(const char *word) {
    static const char *const later[] = {"--resume", "--resume-anyway"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (strcmp(word, later[i]) == 0) {
            fprintf(stderr, "mien: %s is not in this version\n", word);
            return true;
        }
    return false;
}

typedef struct parser {
    const cli_command *self;
    const cli_flag *flags;
    size_t count;
    int argc, at;
    char **argv;
} parser;

/* The value of a flag: --flag=value or the next word. If missing, prints an error and returns NULL.
 */
static const char *take_value(parser *p, const char *inline_value, const char *name) {
    if (inline_value) return inline_value;
    if (p->at + 1 < p->argc) return p->argv[++p->at];
    fprintf(stderr, "mien: %s needs a value; see mien %s --help\n", name, p->self->name);
    return NULL;
}

static bool store(parser *p, const cli_flag *flag, const char *inline_value) {
    if (flag->on) {
        if (inline_value) {
            fprintf(stderr, "mien: %s takes no value\n", flag->name);
            return false;
        }
        *flag->on = true;
        return true;
    }
    const char *value = take_value(p, inline_value, flag->name);
    if (!value) return false;
    if (flag->many) {
        if (flag->many->count == CLI_LIST_MAX) {
            fprintf(stderr, "mien: %s is given more than %d times\n", flag->name, CLI_LIST_MAX);
            return false;
        }
        flag->many->items[flag->many->count++] = value;
        return true;
    }
    if (*flag->one) {
        fprintf(stderr, "mien: %s is given twice\n", flag->name);
        return false;
    }
    *flag->one = value;
    return true;
}

static bool parse_word(parser *p, const char *word) {
    char name[64];
    const char *equal = strchr(word, '=');
    snprintf(name, sizeof name, "%.*s", equal ? (int)(equal - word) : (int)strlen(word), word);
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->flags[i].name, name) == 0)
            return store(p, &p->flags[i], equal ? equal + 1 : NULL);
    if (refused_later(name)) return false;
    const char *names[64];
    size_t n = 0;
    for (; n < p->count && n < 64; n++)
        names[n] = p->flags[n].name;
    cli_unknown("flag", name, names, n);
    fprintf(stderr, "see mien %s --help\n", p->self->name);
    return false;
}

static bool known_device(const char *device) {
    static const char *const names[] = {"auto", "cpu", "cuda"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(device, names[i]) == 0) return true;
    if (strncmp(device, "cuda:", 5) == 0) return true;
    cli_unknown("device", device, names, sizeof names / sizeof names[0]);
    return false;
}

/* The number type of --dtype; prints a usage error and returns false if it is none. */
static bool read_dtype(cli_common *common) {
    static const char *const names[] = {"auto", "f32", "bf16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(common->dtype, names[i]) == 0)
            return mien_compute_named(common->dtype, &common->compute);
    fprintf(stderr, "mien: --dtype must be auto, f32 or bf16, not '%s'\n", common->dtype);
    return false;
}

bool cli_parse(const cli_command *self, int argc, char **argv, const cli_flag *own, size_t count,
               cli_list *rest, int most_rest, cli_common *common, int *exit_status) {
    const cli_flag shared[] = {{"--device", "D", "", &common->device, NULL, NULL},
                               {"--threads", "N", "", &common->threads, NULL, NULL},
                               {"--pin", NULL, "", NULL, NULL, &common->pin},
                               {"--deterministic", NULL, "", NULL, NULL, &common->deterministic},
                               {"--json", NULL, "", NULL, NULL, &common->json},
                               {"-v", NULL, "", NULL, NULL, &common->verbose},
                               {"-q", NULL, "", NULL, NULL, &common->quiet},
                               {"--version", NULL, "", NULL, NULL, &common->version},
                               {"--help", NULL, "", NULL, NULL, &common->help},
                               {"-h", NULL, "", NULL, NULL, &common->help}};
    enum { SHARED = sizeof shared / sizeof shared[0] };
    cli_flag flags[64];
    if (count) memcpy(flags, own, count * sizeof *own);
    memcpy(flags + count, shared, sizeof shared);
    parser p = {.self = self, .flags = flags, .count = count + SHARED, .argc = argc, .argv = argv};
    *exit_status = EXIT_USAGE;
    bool flags_over = false;
    for (; p.at < argc; p.at++) {
        const char *word = argv[p.at];
        if (!flags_over && strcmp(word, "--") == 0) {
            flags_over = true;
        } else if (!flags_over && word[0] == '-' && word[1]) {
            if (!parse_word(&p, word)) return false;
        } else if (rest->count == most_rest) {
            fprintf(stderr, "mien: unexpected argument '%s'; see mien %s --help\n", word,
                    self->name);
            return false;
        } else {
            rest->items[rest->count++] = word;
        }
    }
    if (common->help) {
        print_help(self, own, count);
        *exit_status = EXIT_DONE;
        return false;
    }
    if (common->version) {
        cli_print_version();
        *exit_status = EXIT_DONE;
        return false;
    }
    long long n;
    if (common->threads && !cli_number("--threads", common->threads, 1, 1024, &n)) return false;
    if (common->device && !known_device(common->device)) return false;
    if (common->dtype && !read_dtype(common)) return false;
    verbose = common->verbose;
    mien_log_sink(print_line, common);
    return true;
}

int cli_threads(const cli_common *common) {
    return common->threads ? atoi(common->threads) : 0;
}

void cli_leave_a_cpu(cli_common *common, bool detecting) {
    static char fewer[16];
    const int cpus = mien_threads_available();
    if (common->threads || !detecting || cpus < 2) return;
    snprintf(fewer, sizeof fewer, "%d", cpus - 1);
    common->threads = fewer;
}

mien_status cli_backend(const cli_common *common, mien_backend **out) {
    const mien_backend_options options = {.threads = cli_threads(common),
                                          .pin = common->pin,
                                          .deterministic = common->deterministic,
                                          .compute = common->compute,
                                          .training = common->training};
    return mien_backend_open(common->device ? common->device : "auto", &options, out);
}
