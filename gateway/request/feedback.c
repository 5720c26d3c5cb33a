/* A rating's way: parsed, looked up on a worker (whose decision is it, how was it rated before), appended, counted when durable.
 *
 * Invariant: at most one rating is between its look-up and its durable row, so that each knows the one it replaces. */
#include "request/feedback.h"

#include "ledger/rated.h"
#include "request/aiming.h"
#include "request/drifting.h"
#include "request/models.h"

#include <math.h>

enum { MAX_WAITING = 256, PPM = 1000000 };

struct rating {
    struct rating *next;
    struct service *service;
    struct reply *reply;      /* NULL: the client has left; the rating counts all the same. */
    uv_work_t work;
    char tenant[64], key_id[KEY_ID_BYTES]; /* "": no key. */
    char decision_id[64];
    int64_t rating_ppm, correct;
    struct rated rated;       /* Worker's, with status and err. */
    int status;
    struct error err;
    unsigned epoch;           /* Of the tests when it was looked up. */
};

struct feedback {
    struct rating *first, **tail; /* The first is being worked on. */
    int n;
    char path[4096];          /* Of the ledger. */
};

int feedback_open(struct service *service, struct error *err)
{
    struct feedback *feedback = service->feedback = calloc(1, sizeof *feedback);
    if (feedback == NULL)
        return error_set(err, WEIR_E_MEMORY, "feedback", "out of memory");
    feedback->tail = &feedback->first;
    snprintf(feedback->path, sizeof feedback->path, "%s/ledger.db", service->snapshot->config->data_dir);
    return 0;
}

void feedback_close(struct service *service)
{
    struct feedback *feedback = service->feedback;
    if (feedback == NULL)
        return;
    for (struct rating *rating = feedback->first, *next; rating != NULL; rating = next) {
        next = rating->next;
        free(rating);
    }
    free(feedback);
    service->feedback = NULL;
}

/* ------------------------------------------------------------------ one rating */

static void begin_next(struct service *service);

static enum metric_route route_of(const char *route)
{
    return strcmp(route, "local") == 0 ? METRIC_LOCAL : strcmp(route, "cache") == 0 ? METRIC_CACHE : strcmp(route, "refuse") == 0 ? METRIC_REFUSED : METRIC_REMOTE;
}

static void count(struct rating *rating)
{
    struct service *service = rating->service;
    struct rated *rated = &rating->rated;
    rated->down = rating_is_down(rating->rating_ppm, rating->correct);
    metrics_feedback(service->metrics, route_of(rated->route), rated->down ? METRIC_DOWN : rating->rating_ppm > 0 ? METRIC_UP : METRIC_NEUTRAL);
    drifting_rated(service, rated, rating->epoch);
    if (drifting_counts(service, rated))
        aiming_rated(service, rated);
}

static void answer(struct rating *rating)
{
    struct buffer body;
    if (rating->reply == NULL)
        return;
    buffer_init(&body, 1024);
    buffer_append_text(&body, "{\"object\":\"feedback\",\"decision_id\":");
    buffer_append_json_string(&body, str_of(rating->decision_id));
    buffer_printf(&body, ",\"rating\":%.9g,\"correct\":%s}", (double)rating->rating_ppm / PPM,
                  rating->correct == LEDGER_NULL ? "null" : rating->correct != 0 ? "true" : "false");
    reply_whole(rating->reply, 200, "application/json", buffer_str(&body));
    buffer_release(&body);
    rating->reply = NULL;
}

static void turn_away(struct service *service, struct reply *reply, const struct api_error *error)
{
    metrics_refused(service->metrics, error->status);
    if (reply != NULL)
        reply_api_error(reply, error);
}

/* The first is done with: the next one's turn. error NULL: it was answered. */
static void finish(struct rating *rating, const struct api_error *error)
{
    struct service *service = rating->service;
    struct feedback *feedback = service->feedback;
    if (error != NULL)
        turn_away(service, rating->reply, error);
    feedback->first = rating->next;
    if (feedback->first == NULL)
        feedback->tail = &feedback->first;
    feedback->n--;
    free(rating);
    begin_next(service);
}

static void on_recorded(void *user, int status)
{
    struct rating *rating = user;
    struct api_error error;
    if (status == 0) {
        count(rating);
        answer(rating);
        finish(rating, NULL);
        return;
    }
    drifting_unsure(rating->service);
    api_error_set(&error, 503, "ledger_unavailable", NULL, "The ledger cannot be written, so the rating is not safe; send it again");
    error.retry_after_s = 5;
    finish(rating, &error);
}

static void look_up(uv_work_t *work)
{
    struct rating *rating = work->data;
    ledger_settle(rating->service->ledger);
    rating->status = rated_find(rating->service->feedback->path, rating->decision_id, &rating->rated, &rating->err);
}

static void looked_up(uv_work_t *work, int cancelled)
{
    struct rating *rating = work->data;
    struct service *service = rating->service;
    struct api_error error;
    if (cancelled < 0)
        look_up(work);
    if (rating->status == 0 && strcmp(rating->rated.tenant, rating->tenant) != 0)
        rating->status = WEIR_E_NOT_FOUND;
    if (rating->status == WEIR_E_NOT_FOUND) {
        api_error_set(&error, 404, "decision_not_found", "decision_id", "decision_id: no decision of yours has this id (it is the answer's x-weir-decision-id)");
        finish(rating, &error);
        return;
    }
    struct ledger_feedback row = {
        .decision_id = rating->decision_id,
        .time_ns = clock_wall_ns(),
        .tenant = rating->tenant[0] != '\0' ? rating->tenant : NULL,
        .key_id = rating->key_id[0] != '\0' ? rating->key_id : NULL,
        .rating_ppm = rating->rating_ppm,
        .correct = rating->correct,
    };
    if (rating->status < 0)
        log_event(LOG_ERROR, "feedback_unread", "%s: %s", rating->err.where, rating->err.text);
    if (rating->status < 0 || ledger_append_feedback(service->ledger, &row, service->port, on_recorded, rating) < 0) {
        api_error_set(&error, 503, "ledger_unavailable", NULL, "The ledger cannot be read or takes no more rows; send the rating again");
        error.retry_after_s = 1;
        finish(rating, &error);
    }
}

static void begin_next(struct service *service)
{
    struct rating *rating = service->feedback->first;
    if (rating == NULL)
        return;
    rating->work.data = rating;
    rating->epoch = drifting_epoch(service);
    if (uv_queue_work(&service->loop, &rating->work, look_up, looked_up) < 0)
        looked_up(&rating->work, -1);
}

/* ------------------------------------------------------------------ the body */

static int parse_rating(const json_t *body, struct rating *out, struct api_error *error)
{
    const json_t *value = json_object_get(body, "rating");
    if (value == NULL || json_is_null(value))
        return api_error_set(error, 400, NULL, "rating", "rating: is missing: \"up\", \"down\", or a number from -1 to 1");
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (json_is_string(value) && strcmp(json_string_value(value), "up") == 0)
        number = 1;
    else if (json_is_string(value) && strcmp(json_string_value(value), "down") == 0)
        number = -1;
    if (!(number >= -1 && number <= 1))
        return api_error_set(error, 400, NULL, "rating", "rating: must be \"up\", \"down\", or a number from -1 to 1");
    out->rating_ppm = llround(number * PPM);
    if (out->rating_ppm == 0 && number < 0)
        out->rating_ppm = -1; /* However little: down stays down. */
    return 0;
}

static int parse(str text, struct rating *out, struct api_error *error)
{
    static const char *const known[] = {"decision_id", "rating", "correct"};
    struct error err = {0};
    json_t *body = text.n > 0 && utf8_first_invalid(text) < 0 ? json_parse(text, &err) : NULL, *value;
    const char *name;
    str id = {NULL, 0};
    bool correct = false;
    int status = 0;
    if (!json_is_object(body)) {
        json_decref(body);
        return api_error_set(error, 400, NULL, NULL, "The body must be a JSON object with decision_id and rating");
    }
    json_object_foreach(body, name, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found && status == 0)
            status = api_error_set(error, 400, "unknown_parameter", name, "%.100s: is not taken: decision_id, rating and correct are, and no text", name);
    }
    if (status == 0) {
        int there = json_member_str(body, "decision_id", &id, &err);
        if (there < 0)
            status = api_error_from_field(error, NULL, &err);
        else if (there == 0 || id.n == 0 || memchr(id.data, '\0', id.n) != NULL || !str_copy(out->decision_id, sizeof out->decision_id, id))
            status = api_error_set(error, 400, NULL, "decision_id", "decision_id: must be the x-weir-decision-id of an answer");
    }
    if (status == 0)
        status = parse_rating(body, out, error);
    if (status == 0) {
        int there = json_member_bool(body, "correct", &correct, &err);
        if (there < 0)
            status = api_error_from_field(error, NULL, &err);
        out->correct = there > 0 ? correct : LEDGER_NULL;
    }
    json_decref(body);
    return status;
}

static void on_gone(void *user)
{
    ((struct rating *)user)->reply = NULL;
}

static const struct reply_owner owner = {.gone = on_gone};

void feedback_post(struct service *service, struct reply *reply, const char *path)
{
    struct feedback *feedback = service->feedback;
    const struct http_request *http = reply_request_peek(reply);
    struct api_error error = {0};
    struct key_info key;
    bool has_key;
    struct rating *rating = NULL;
    int status = request_authenticate(service, service->snapshot, http, &key, &has_key, &error);
    if (status == 0 && (feedback->n >= MAX_WAITING || (rating = calloc(1, sizeof *rating)) == NULL)) {
        status = api_error_set(&error, 503, "overloaded", NULL, "Too many ratings wait; try again shortly");
        error.retry_after_s = 1;
    }
    if (status == 0)
        status = parse(http->body, rating, &error);
    if (status < 0) {
        free(rating);
        turn_away(service, reply, &error);
        return;
    }
    rating->service = service;
    rating->reply = reply;
    if (has_key) {
        str_copy(rating->tenant, sizeof rating->tenant, str_of(key.tenant));
        str_copy(rating->key_id, sizeof rating->key_id, str_of(key.id));
    }
    reply_own(reply, &owner, rating);
    *feedback->tail = rating;
    feedback->tail = &rating->next;
    if (feedback->n++ == 0)
        begin_next(service);
}
