/* A goal's JSON. Invariant: goal_parse gives back what goal_json was given, bit for bit. */
#include "decide/goal.h"

#include "money/prices.h"

const char *goal_kind_name(enum goal_kind kind)
{
    static const char *const names[] = {"max_regret", "max_remote_share", "budget_usd_per_month"};
    return names[kind];
}

const char *goal_source_name(enum goal_source source)
{
    static const char *const names[] = {"default", "calibration", "traffic"};
    return names[source];
}

json_t *goal_json(const struct decide_goal *g)
{
    if (g->kind == GOAL_MAX_REGRET)
        return json_null();
    json_t *out = json_pack("{s:s, s:b, s:f, s:s, s:I, s:f}", "kind", goal_kind_name(g->kind), "regret_named", g->regret_named, "threshold", g->threshold, "source",
                            goal_source_name(g->source), "lines", (json_int_t)g->lines, "level", g->level);
    json_t *more = g->kind == GOAL_REMOTE_SHARE
                       ? json_pack("{s:f, s:I, s:b}", "max_remote_share", g->max_remote_share, "credit_ppm", (json_int_t)g->credit_ppm, "open", g->open)
                       : json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:f, s:f, s:f, s:I, s:I}", "budget_nusd", (json_int_t)g->budget_nusd, "spent_nusd",
                                   (json_int_t)g->spent_nusd, "left_nusd", (json_int_t)g->left_nusd, "month_left_nusd", (json_int_t)g->month_left_nusd,
                                   "expected_nusd", g->expected_nusd == MONEY_UNKNOWN ? json_null() : json_integer(g->expected_nusd), "month",
                                   (json_int_t)g->month, "queries", g->queries, "mean_cost_nusd", g->mean_cost_nusd, "mean_tokens", g->mean_tokens,
                                   "since_ns", (json_int_t)g->since_ns, "n_settled", (json_int_t)g->n_settled);
    if (out != NULL && more != NULL)
        json_object_update(out, more);
    json_decref(more);
    return out;
}

struct reader {
    const json_t *object;
    struct error *err;
    int status;
};

static void missing(struct reader *r, const char *name, const char *what)
{
    if (r->status == 0)
        r->status = error_set(r->err, WEIR_E_INVALID, name, "must be %s", what);
}

static double real(struct reader *r, const char *name)
{
    double value = 0;
    if (r->status == 0 && json_member_f64(r->object, name, &value, r->err) <= 0)
        missing(r, name, "a number");
    return value;
}

static int64_t integer(struct reader *r, const char *name)
{
    int64_t value = 0;
    if (r->status == 0 && json_member_i64(r->object, name, &value, r->err) <= 0)
        missing(r, name, "an integer");
    return value;
}

static bool truth(struct reader *r, const char *name)
{
    bool value = false;
    if (r->status == 0 && json_member_bool(r->object, name, &value, r->err) <= 0)
        missing(r, name, "true or false");
    return value;
}

static int word(struct reader *r, const char *name, int first, int n, const char *(*name_of)(int))
{
    str text = {NULL, 0};
    if (r->status == 0 && json_member_str(r->object, name, &text, r->err) > 0)
        for (int i = first; i < n; i++)
            if (str_equal(text, str_of(name_of(i))))
                return i;
    missing(r, name, "a known word");
    return first;
}

static const char *kind_word(int i)
{
    return goal_kind_name((enum goal_kind)i);
}

static const char *source_word(int i)
{
    return goal_source_name((enum goal_source)i);
}

static void read_budget(struct reader *r, struct decide_goal *out)
{
    out->budget_nusd = integer(r, "budget_nusd");
    out->spent_nusd = integer(r, "spent_nusd");
    out->left_nusd = integer(r, "left_nusd");
    out->month_left_nusd = integer(r, "month_left_nusd");
    out->expected_nusd = json_is_null(json_object_get(r->object, "expected_nusd")) ? MONEY_UNKNOWN : integer(r, "expected_nusd");
    out->month = integer(r, "month");
    out->queries = real(r, "queries");
    out->mean_cost_nusd = real(r, "mean_cost_nusd");
    out->mean_tokens = real(r, "mean_tokens");
    out->since_ns = integer(r, "since_ns");
    out->n_settled = integer(r, "n_settled");
}

int goal_parse(const json_t *json, struct decide_goal *out, struct error *err)
{
    struct reader r = {.object = json, .err = err};
    *out = (struct decide_goal){.kind = GOAL_MAX_REGRET};
    if (json == NULL || json_is_null(json))
        return 0;
    out->kind = (enum goal_kind)word(&r, "kind", GOAL_REMOTE_SHARE, GOAL_BUDGET + 1, kind_word);
    out->regret_named = truth(&r, "regret_named");
    out->threshold = real(&r, "threshold");
    out->source = (enum goal_source)word(&r, "source", 0, GOAL_SOURCES, source_word);
    out->lines = integer(&r, "lines");
    out->level = real(&r, "level");
    if (out->kind == GOAL_REMOTE_SHARE) {
        out->max_remote_share = real(&r, "max_remote_share");
        out->credit_ppm = integer(&r, "credit_ppm");
        out->open = truth(&r, "open");
    } else {
        read_budget(&r, out);
    }
    return r.status;
}
