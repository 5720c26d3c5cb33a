/* Queries over decision, outcome and feedback. The decision's kind and max_regret are read from its recorded inputs.
 *
 * Invariant: what rated_each gives for a rating is what rated_find gave before that rating was appended, but for an outcome that
 * came after it. */
#include "ledger/rated.h"

#include "decide/decide.h"

#define RATED_COLUMNS \
    "d.tenant, coalesce(o.route, d.route), d.config_sha256, d.head_id, json_extract(d.inputs, '$.name') IS 'auto'" \
    " AND json_extract(d.inputs, '$.goal') IS NULL, json_extract(d.inputs, '$.max_regret'), d.decision_id, json_extract(d.reasons, '$[0]')," \
    " d.inputs, d.answers_id"
enum { TENANT, ROUTE, CONFIG, HEAD, IS_AUTO, MAX_REGRET, DECISION, REASON, INPUTS, ANSWERS, BEFORE_RATING, BEFORE_CORRECT, RATING, CORRECT };

struct reading {
    rated_fn *fn;
    void *user;
};

static bool column_down(struct reader *reader, int rating, int correct)
{
    return rating_is_down(reader_integer(reader, rating), reader_is_null(reader, correct) ? LEDGER_NULL : reader_integer(reader, correct));
}

/* What decide() weighed: asked again, as it is a function of the recorded inputs. */
static void read_weights(struct reader *reader, struct rated *out)
{
    if (!out->is_auto || !decide_weighed(str_of(reader_text(reader, REASON))))
        return;
    struct decide_inputs *inputs = malloc(sizeof *inputs);
    json_t *json = json_parse(str_of(reader_text(reader, INPUTS)), NULL);
    if (inputs != NULL && json != NULL && decide_inputs_parse(json, inputs, NULL) == 0) {
        struct decision decision;
        decide(inputs, &decision);
        out->weighed = decision.weighed;
        out->gain = (double)inputs->gain;
        out->threshold = decision.threshold;
    }
    json_decref(json);
    free(inputs);
}

static void read_row(struct reader *reader, struct rated *out)
{
    *out = (struct rated){.is_auto = reader_integer(reader, IS_AUTO) != 0, .max_regret = reader_number(reader, MAX_REGRET)};
    reader_copy(reader, TENANT, out->tenant, sizeof out->tenant);
    reader_copy(reader, ROUTE, out->route, sizeof out->route);
    reader_copy(reader, CONFIG, out->config_sha256, sizeof out->config_sha256);
    reader_copy(reader, HEAD, out->head_id, sizeof out->head_id);
    reader_copy(reader, ANSWERS, out->answers_id, sizeof out->answers_id);
    reader_copy(reader, DECISION, out->decision_id, sizeof out->decision_id);
    read_weights(reader, out);
    out->rated_before = !reader_is_null(reader, BEFORE_RATING);
    out->was_down = out->rated_before && column_down(reader, BEFORE_RATING, BEFORE_CORRECT);
}

int rated_find(const char *path, const char *decision_id, struct rated *out, struct error *err)
{
    static const char sql[] = "SELECT " RATED_COLUMNS ", f.rating_ppm, f.correct FROM decision d LEFT JOIN outcome o USING (decision_id)"
                              " LEFT JOIN feedback f ON f.leaf_index = (SELECT max(leaf_index) FROM feedback WHERE decision_id = ?1)"
                              " WHERE d.decision_id = ?1";
    struct reader reader;
    int status = reader_open(&reader, path, "feedback", sql, err);
    reader_bind_text(&reader, 1, decision_id);
    if (status == 0 && (status = reader_next(&reader)) == 0)
        status = error_set(err, WEIR_E_NOT_FOUND, path, "no such decision");
    if (status > 0)
        read_row(&reader, out);
    reader_close(&reader);
    return status < 0 ? status : 0;
}

static int rating_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    struct rated rated;
    read_row(reader, &rated);
    rated.down = column_down(reader, RATING, CORRECT);
    return reading->fn(reading->user, &rated);
}

int rated_each(const char *path, const struct ledger_scope *scope, rated_fn *fn, void *user, struct error *err)
{
    /* The window is over all ratings of a decision, so that each knows the one it replaces. */
    static const char sql[] = "SELECT " RATED_COLUMNS ", f.before_rating, f.before_correct, f.rating_ppm, f.correct FROM (SELECT leaf_index, decision_id,"
                              " rating_ppm, correct, lag(rating_ppm) OVER one AS before_rating, lag(correct) OVER one AS before_correct"
                              " FROM feedback WINDOW one AS (PARTITION BY decision_id ORDER BY leaf_index)) f JOIN decision d USING (decision_id)"
                              " LEFT JOIN outcome o USING (decision_id) WHERE " LEDGER_IN_SCOPE("d") " AND json_extract(d.inputs, '$.name') = 'auto'"
                              " AND coalesce(o.route, d.route) = 'local' ORDER BY f.leaf_index";
    struct reader reader;
    struct reading reading = {fn, user};
    int status = reader_open(&reader, path, "feedback", sql, err);
    reader_bind_scope(&reader, scope);
    return reader_each(&reader, status, rating_row, &reading);
}
