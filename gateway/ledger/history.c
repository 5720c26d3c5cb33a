/* Queries over decision, outcome, feedback, shadow and threshold. Invariant: rows come in the order in which they were committed. */
#include "ledger/history.h"

#include "decide/decide.h"

struct reading {
    union {
        history_decision_fn *decision;
        history_spent_fn *spent;
        history_threshold_fn *threshold;
        history_label_fn *label;
    } fn;
    void *user;
};

static int decision_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    struct history_decision row = {.tenant = reader_text(reader, 1), .time_ns = reader_integer(reader, 2), .late = reader_integer(reader, 3) != 0,
                                   .left = reader_text(reader, 4)[0] == 'r',
                                   .weighed = decide_weighed(str_of(reader_text(reader, 5))) && !reader_is_null(reader, 6), .gain = reader_number(reader, 6)};
    json_t *goal = row.late ? NULL : json_parse(str_of(reader_text(reader, 7)), NULL);
    row.goal = goal;
    int status = row.late || goal != NULL ? reading->fn.decision(reading->user, &row) : 0;
    json_decref(goal);
    return status;
}

int history_decisions(const char *path, history_decision_fn *fn, void *user, struct error *err)
{
    static const char sql[] =
        "WITH since AS (SELECT coalesce((SELECT max(leaf_index) FROM decision), 0) - ?1 AS leaf)"
        " SELECT leaf_index, coalesce(tenant, ''), time_ns, 0, route, json_extract(reasons, '$[0]'), json_extract(inputs, '$.score.gain'),"
        " json_extract(inputs, '$.goal') FROM decision WHERE leaf_index > (SELECT leaf FROM since) AND json_extract(inputs, '$.goal') IS NOT NULL"
        " AND json_extract(inputs, '$.name') = 'auto' AND (route = 'local' OR route LIKE 'remote:%') AND json_extract(reasons, '$[0]') IS NOT 'tool_loop_kept'"
        " UNION ALL SELECT o.leaf_index, coalesce(o.tenant, ''), o.time_ns, 1, o.route, NULL, NULL, NULL FROM outcome o JOIN decision d USING (decision_id)"
        " WHERE o.leaf_index > (SELECT leaf FROM since) AND d.route = 'local' AND o.route LIKE 'remote:%' AND json_extract(d.inputs, '$.goal') IS NOT NULL"
        " ORDER BY 1";
    struct reader reader;
    struct reading reading = {.fn.decision = fn, .user = user};
    int status = reader_open(&reader, path, "decision", sql, err);
    reader_bind_integer(&reader, 1, HISTORY_ROWS);
    return reader_each(&reader, status, decision_row, &reading);
}

static int spent_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    return reading->fn.spent(reading->user, reader_text(reader, 0), reader_integer(reader, 1));
}

int history_spent(const char *path, int64_t since_ns, history_spent_fn *fn, void *user, struct error *err)
{
    static const char sql[] =
        "SELECT coalesce(o.tenant, ''), sum(coalesce(o.cost_nusd, CASE WHEN o.route LIKE 'remote:%' THEN"
        " (SELECT coalesce(d.reserved_nusd, json_extract(d.inputs, '$.targets[0].worst_nusd')) FROM decision d WHERE d.decision_id = o.decision_id) END, 0))"
        " FROM outcome o WHERE o.time_ns >= ?1 GROUP BY 1";
    struct reader reader;
    struct reading reading = {.fn.spent = fn, .user = user};
    int status = reader_open(&reader, path, "outcome", sql, err);
    reader_bind_integer(&reader, 1, since_ns);
    return reader_each(&reader, status, spent_row, &reading);
}

static int threshold_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    struct history_threshold row = {.leaf_index = reader_integer(reader, 0), .tenant = reader_text(reader, 1), .refuted = strcmp(reader_text(reader, 2), "refuted") == 0,
                                    .max_regret_ppm = reader_integer(reader, 3), .new_ppm = reader_integer(reader, 4), .n_labels = reader_integer(reader, 5)};
    return reading->fn.threshold(reading->user, &row);
}

int history_thresholds(const char *path, const struct ledger_scope *scope, history_threshold_fn *fn, void *user, struct error *err)
{
    static const char sql[] = "SELECT leaf_index, coalesce(tenant, ''), reason, max_regret_ppm, new_ppm, n_labels FROM threshold t"
                              " WHERE " LEDGER_THRESHOLD_IN_SCOPE("t") " ORDER BY leaf_index";
    struct reader reader;
    struct reading reading = {.fn.threshold = fn, .user = user};
    int status = reader_open(&reader, path, "threshold", sql, err);
    reader_bind_scope(&reader, scope);
    return reader_each(&reader, status, threshold_row, &reading);
}

static int label_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    struct history_label row = {.leaf_index = reader_integer(reader, 0), .tenant = reader_text(reader, 1), .decision_id = reader_text(reader, 2),
                                .inputs = reader_text(reader, 3), .worse = reader_integer(reader, 4) != 0, .lost = reader_integer(reader, 5) != 0,
                                .probability_ppm = reader_integer(reader, 6), .other_ppm = reader_integer(reader, 7)};
    return reading->fn.label(reading->user, &row);
}

int history_labels(const char *path, const struct ledger_scope *scope, history_label_fn *fn, void *user, struct error *err)
{
#define OF_A_REGRET LEDGER_IN_SCOPE("d") " AND json_extract(d.inputs, '$.name') = 'auto' AND json_extract(d.inputs, '$.goal') IS NULL"
    static const char sql[] =
        "SELECT f.leaf_index, coalesce(d.tenant, ''), d.decision_id, d.inputs, f.rating_ppm < 0 OR f.correct = 0, 0, 0, 0, f.leaf_index FROM feedback f"
        " JOIN decision d USING (decision_id) LEFT JOIN outcome o USING (decision_id) WHERE " OF_A_REGRET " AND coalesce(o.route, d.route) = 'local'"
        " UNION ALL SELECT s.leaf_index, coalesce(d.tenant, ''), d.decision_id, d.inputs, s.outcome = 'remote_better', s.outcome = 'unjudged', s.probability_ppm,"
        " coalesce(s.other_ppm, 0), coalesce(p.leaf_index, s.leaf_index) FROM shadow s JOIN decision d USING (decision_id) LEFT JOIN shadow_plan p"
        " USING (decision_id) WHERE " OF_A_REGRET " AND (s.outcome <> 'unjudged' OR s.reason IN (" SHADOWED_LOST ")) AND " LEDGER_JUDGED_IN_SCOPE("s")
        " ORDER BY 9";
    struct reader reader;
    struct reading reading = {.fn.label = fn, .user = user};
    int status = reader_open(&reader, path, "threshold", sql, err); /* Of the schema that has all of them. */
    reader_bind_scope(&reader, scope);
    return reader_each(&reader, status, label_row, &reading);
}
