#include "host/serve/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/serve/multipart.h"
#include "host/serve/page.h"
#include "host/serve/picture_head.h"

static const char json_type[] = "application/json";

const serve_field routes_fields[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
     "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Permissions-Policy", "camera=(self), microphone=(), geolocation=()"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
    {0}};

/* ---- answers ---- */

static void text_response(mien_text *text, int status, const char *type, serve_response *out) {
    *out = (serve_response){.status = status, .type = type};
    if (text->status == MIEN_OK) {
        out->body = text->data;
        out->size = text->size;
    } else { /* no memory for the text */
        mien_text_release(text);
        out->status = 503;
        out->fixed = "";
    }
}

static void problem_response(const serve_routes *r, const serve_problem *problem,
                             serve_response *out) {
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_json_open(&json, "error", '{');
    mien_json_string(&json, "code", problem->code);
    mien_json_string(&json, "message", problem->message);
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    text_response(&text, problem->status, json_type, out);
    out->close = problem->close || atomic_load(&r->draining);
    out->challenge = problem->status == 401;
    if (problem->status == 503) out->retry_after = 1;
}

/* ---- GET ---- */

static void plain(const char *text, int status, serve_response *out) {
    *out = (serve_response){
        .status = status, .type = "text/plain", .fixed = text, .size = strlen(text)};
}

static void get_health(const serve_routes *r, serve_response *out) {
    (void)r;
    plain("ok\n", 200, out);
}

static void get_ready(const serve_routes *r, serve_response *out) {
    if (!atomic_load(&r->draining)) {
        plain("ready\n", 200, out);
        return;
    }
    plain("draining\n", 503, out);
    out->retry_after = 1;
}

static void get_metrics(const serve_routes *r, serve_response *out) {
    mien_text text = {0};
    const serve_gauges gauges = {.queue = batch_length(r->batch),
                                 .queue_capacity = r->options->queue,
                                 .connections = r->http ? r->module->connections(r->http) : 0,
                                 .ready = !atomic_load(&r->draining),
                                 .version = r->options->version,
                                 .commit = r->options->commit};
    metrics_text(r->metrics, &gauges, &text);
    text_response(&text, 200, "text/plain; version=0.0.4; charset=utf-8", out);
}

static void models_json(const serve_options *o, mien_json *json) {
    mien_json_open(json, "models", '[');
    for (int i = 0; i < o->models->count; i++)
        mien_json_string(json, NULL, o->model_names[i]);
    mien_json_close(json, ']');
}

static void get_model(const serve_routes *r, serve_response *out) {
    const serve_options *o = r->options;
    const mien_meta *meta = &o->models->models[0].meta;
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "version", o->version);
    models_json(o, &json);
    mien_json_open(&json, "classes", '[');
    for (int k = 0; k < meta->classes; k++)
        if (!o->models->dropped || !o->models->dropped[k])
            mien_json_string(&json, NULL, meta->class_names[k]);
    mien_json_close(&json, ']');
    mien_json_open(&json, "input", '{');
    mien_json_integer(&json, "height", meta->input.height);
    mien_json_integer(&json, "width", meta->input.width);
    mien_json_integer(&json, "channels", meta->input.channels);
    mien_json_close(&json, '}');
    mien_json_string(&json, "detector", o->detector ? o->detector->kind->name : "none");
    mien_json_number(&json, "uncertain_below", meta->uncertain_below);
    mien_json_open(&json, "limits", '{');
    mien_json_integer(&json, "body_bytes", SERVE_BODY_MAX);
    mien_json_integer(&json, "pixels", SERVE_PIXELS_MAX);
    mien_json_integer(&json, "queue", o->queue);
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    text_response(&text, 200, json_type, out);
}

/* ---- the table ---- */

typedef struct route {
    const char *path;
    bool post;
    bool protected; /* needs the token */
    void (*get)(const serve_routes *routes, serve_response *out);
} route;

static const route routes[] = {
    {"/v1/predict", true, true, NULL},      {"/v1/model", false, true, get_model},
    {"/healthz", false, false, get_health}, {"/readyz", false, false, get_ready},
    {"/metrics", false, true, get_metrics},
};

static const route *find(const char *target, size_t length) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strlen(routes[i].path) == length && memcmp(routes[i].path, target, length) == 0)
            return &routes[i];
    return NULL;
}

/* Takes the same time wherever two tokens differ. */
static bool same_token(const char *a, const char *b) {
    const size_t n = strlen(a), m = strlen(b);
    unsigned char differ = n != m;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ (m ? b[i % m] : 1));
    return !differ;
}

static bool is_authorised(const serve_routes *r, const serve_request *request) {
    static const char scheme[] = "Bearer ";
    const char *given = serve_field_of(request, "Authorization");
    if (!r->options->token) return true;
    return given && strncasecmp(given, scheme, sizeof scheme - 1) == 0 &&
           same_token(given + sizeof scheme - 1, r->options->token);
}

/* "image/jpeg" of "image/jpeg; charset=x" */
static bool is_type(const char *type, const char *wanted) {
    const size_t length = strlen(wanted);
    return strncasecmp(type, wanted, length) == 0 &&
           (!type[length] || strchr("; \t", type[length]));
}

static bool check_type(const serve_request *request, serve_problem *out) {
    const char *type = serve_field_of(request, "Content-Type");
    if (type && (is_type(type, "image/jpeg") || is_type(type, "image/png") ||
                 is_type(type, "image/webp") || multipart_is(type)))
        return true;
    return serve_refuse(out, 415, "wrong_type",
                        "the body must be image/jpeg, image/png, image/webp, or "
                        "multipart/form-data with a field 'image'");
}

/* ---- requests ---- */

static bool answer_problem(const serve_routes *r, const serve_problem *problem,
                           serve_response *out) {
    problem_response(r, problem, out);
    return false;
}

static bool refuse_method(const serve_routes *r, const char *allow, serve_response *out) {
    serve_problem problem;
    serve_refuse(&problem, 405, "wrong_method", "this address takes %s", allow);
    answer_problem(r, &problem, out);
    out->allow = allow;
    return false;
}

static bool begin(void *context, const serve_request *request, size_t *most, serve_response *out) {
    serve_routes *r = context;
    const char *target = request->target;
    const size_t length = strcspn(target, "?");
    serve_problem problem;
    page_file file;
    bool live;
    if (!limits_check(&r->options->limits, request, &problem))
        return answer_problem(r, &problem, out);
    const bool get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (page_find(target, length, &file)) {
        if (!get) return refuse_method(r, "GET, HEAD", out);
        if (!limits_no_body(request, &problem)) return answer_problem(r, &problem, out);
        *out = (serve_response){
            .status = 200, .type = file.type, .fixed = file.data, .size = file.size};
        out->close = atomic_load(&r->draining);
        return false;
    }
    const route *found = find(target, length);
    if (!found) {
        serve_refuse(&problem, 404, "not_found",
                     "there is nothing at this address; see /openapi.json");
        return answer_problem(r, &problem, out);
    }
    if (found->protected && !is_authorised(r, request)) {
        serve_refuse(&problem, 401, "token_required",
                     "this server wants 'Authorization: Bearer TOKEN'");
        return answer_problem(r, &problem, out);
    }
    if (!found->post) {
        if (!get) return refuse_method(r, "GET, HEAD", out);
        if (!limits_no_body(request, &problem)) return answer_problem(r, &problem, out);
        found->get(r, out);
        out->close = atomic_load(&r->draining);
        return false;
    }
    if (strcmp(request->method, "POST") != 0) return refuse_method(r, "POST", out);
    if (!limits_live(target, &live, &problem) || !check_type(request, &problem))
        return answer_problem(r, &problem, out);
    *most = SERVE_BODY_MAX;
    return true;
}

static void refuse(void *context, int status, serve_response *out) {
    const serve_routes *r = context;
    serve_problem problem;
    if (status == 413)
        serve_refuse(&problem, 413, "body_too_large", "the body may have %d MiB at most",
                     SERVE_BODY_MAX >> 20);
    else
        serve_refuse(&problem, 503, "overloaded", "too many bodies arrive at once: try again");
    problem_response(r, &problem, out);
}

/* Finds the picture in the body and checks what it says of itself, before anything is decoded. */
static bool check_picture(const serve_request *request, batch_job *job, serve_problem *out) {
    const char *type = serve_field_of(request, "Content-Type");
    uint32_t width, height;
    snprintf(job->name, sizeof job->name, "image");
    job->picture = job->body;
    job->size = request->body_size;
    if (multipart_is(type)) {
        multipart_file file;
        const char *problem =
            multipart_find(type, (const char *)job->body, request->body_size, &file);
        if (problem) return serve_refuse(out, 400, "bad_multipart", "%s", problem);
        job->picture = (const uint8_t *)file.data;
        job->size = file.size;
        if (*file.name) snprintf(job->name, sizeof job->name, "%s", file.name);
    }
    if (job->size == 0) return serve_refuse(out, 400, "empty", "there is no picture in the body");
    if (picture_kind_of(job->picture, job->size) == PICTURE_OTHER)
        return serve_refuse(out, 415, "wrong_type",
                            "the picture is not a JPEG, PNG or WebP file by its first bytes");
    if (!picture_size_of(job->picture, job->size, &width, &height))
        return serve_refuse(out, 422, "bad_picture", "the picture has no size: it is damaged");
    if (width && height > SERVE_PIXELS_MAX / width)
        return serve_refuse(out, 413, "picture_too_large",
                            "the picture has %ux%u pixels; the limit is %d megapixels", width,
                            height, SERVE_PIXELS_MAX / 1000000);
    return true;
}

/* A live frame, of a webcam, is of no use later: it is refused rather than kept waiting. */
static void finish_request(void *context, serve_request *request, void *exchange) {
    serve_routes *r = context;
    serve_problem problem = {0};
    serve_response response;
    batch_job *job = NULL;
    bool live;
    limits_live(request->target, &live, &problem); /* checked by begin */
    if (mien_new(&job, 1, sizeof *job) != MIEN_OK) {
        serve_refuse(&problem, 503, "overloaded", "there is no memory left: try again");
    } else {
        job->exchange = exchange;
        job->start = mien_seconds();
        job->body = request->body;
        request->body = NULL;
        if (check_picture(request, job, &problem) && !batch_add(r->batch, job, live)) {
            if (live) atomic_fetch_add(&r->metrics->frames_dropped, 1);
            serve_refuse(&problem, 503, live ? "frame_dropped" : "overloaded",
                         live ? "the server is busy: the frame is dropped"
                              : "the server has as much to do as it can hold: try again");
        }
    }
    if (!problem.status) return;
    problem_response(r, &problem, &response);
    batch_job_free(job);
    r->module->answer(exchange, &response);
}

void routes_finished(void *context, batch_job *job) {
    serve_routes *r = context;
    serve_response response;
    mien_text text = {0};
    if (job->problem.status) {
        problem_response(r, &job->problem, &response);
    } else {
        r->options->photo_json(&r->options->models->models[0].meta, job, &text);
        text_response(&text, 200, json_type, &response);
        response.close = atomic_load(&r->draining);
    }
    r->module->answer(job->exchange, &response);
}

static void done(void *context, const serve_request *request, int status, size_t bytes,
                 double seconds) {
    serve_routes *r = context;
    metrics_response(r->metrics, status);
    access_log_add(r->log, request, status, bytes, seconds);
}

serve_handler routes_handler(serve_routes *r) {
    return (serve_handler){
        .context = r, .begin = begin, .finish = finish_request, .refuse = refuse, .done = done};
}
