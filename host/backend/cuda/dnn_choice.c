/* Engine choices: conversion to text, comparison. */
#include "host/backend/cuda/dnn.h"

#include <stdio.h>

void dnn_knobs_text(const dnn_choice *c, char *text, size_t size) {
    int at = snprintf(text, size, "%s", "");
    for (int i = 0; i < c->knobs && at < (int)size; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%lld=%lld", i ? "," : "",
                       (long long)c->knob[i].type, (long long)c->knob[i].value);
}

void dnn_choice_text(const dnn_choice *c, char *text, size_t size) {
    const int at =
        snprintf(text, size, "engine %lld%s", (long long)c->engine, c->knobs ? " knobs " : "");
    if (at < (int)size) dnn_knobs_text(c, text + at, size - (size_t)at);
}

bool dnn_choice_same(const dnn_choice *a, const dnn_choice *b) {
    bool same = a->engine == b->engine && a->knobs == b->knobs;
    for (int i = 0; same && i < a->knobs; i++)
        same = a->knob[i].type == b->knob[i].type && a->knob[i].value == b->knob[i].value;
    return same;
}
