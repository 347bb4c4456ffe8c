#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "include/mien/mien.h"

static const cli_command *const commands[] = {
    &cmd_train,   &cmd_evaluate, &cmd_predict, &cmd_video,   &cmd_realtime,
    &cmd_serve,   &cmd_prepare,  &cmd_preview, &cmd_convert, &cmd_identify,
    &cmd_inspect, &cmd_bench,    &cmd_tune,    &cmd_parity,  &cmd_devices,
    &cmd_runs,    &cmd_sweep,    &cmd_audit,   &cmd_compare, &cmd_report};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(void) {
    printf(
        "usage: mien COMMAND [ARGUMENTS]\n\n"
        "Trains, evaluates and runs convolutional networks that recognise emotions in faces.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf("\nSee mien COMMAND --help for the flags of a command.\n\n"
           "examples:\n"
           "  mien train sample                       train on generated faces\n"
           "  mien train fer2013-classic --data fer2013.csv\n"
           "  mien evaluate --model runs/sample-1 --data sample\n"
           "  mien predict photo.jpg --annotate annotated\n");
}

static int run_command(int argc, char **argv) {
    char help[] = "--help", *command_help[] = {argv[0], argv[argc - 1], help};
    if (argc == 3 && strcmp(argv[1], "help") == 0) argv = command_help; /* mien help COMMAND */
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--version") == 0) {
        cli_print_version();
        return EXIT_DONE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        return argc > 1 ? EXIT_DONE : EXIT_USAGE;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(word, commands[i]->name) == 0)
            return commands[i]->run(argc - 2, argv + 2, commands[i]);
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    cli_unknown("command", word, names, COMMANDS);
    fprintf(stderr, "see mien --help\n");
    return EXIT_USAGE;
}

/* Failing to write results to stdout (a full disk) is an error as well. */
int main(int argc, char **argv) {
    const int status = run_command(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "mien: cannot write to the standard output: %s\n", strerror(errno));
    return status == EXIT_DONE ? EXIT_FAILED : status;
}
