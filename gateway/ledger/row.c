/* Rows: the public structs into values in the order of each table's columns, and their canonical form for the leaf hash.
 *
 * Invariant: the order of values here, of row_tables' columns and of the schema's are one and the same; the canonical form
 * depends on nothing else. Made on the caller's thread, read by the writer. */
#include "ledger/row.h"

const struct table_spec row_tables[ROW_TABLES] = {
    [ROW_DECISION] = {"decision",
                      "decision_id,time_ns,request_id,tenant,key_id,endpoint,stream,model,route,provider,provider_model,reasons,inputs,"
                      "verdict,data_class,effect,pack_sha256,head_id,config_sha256,price_version,prompt_tokens,reserved_nusd,policy_us,"
                      "score_us,decide_us,answers_id",
                      true, 1},
    [ROW_ATTEMPT] = {"attempt",
                     "decision_id,n,time_ns,provider,provider_model,region,body_sha256,request_bytes,result,status,connect_us,"
                     "first_byte_us,total_us,prompt_tokens,cached_tokens,completion_tokens,cost_nusd,price_version,bad_events,resumed",
                     true, 0},
    [ROW_OUTCOME] = {"outcome",
                     "decision_id,time_ns,tenant,key_id,route,result,status,finish_reason,error_code,prompt_tokens,cached_tokens,"
                     "completion_tokens,cost_nusd,counterfactual_nusd,price_version,first_token_us,total_us,seams",
                     true, 0},
    [ROW_FEEDBACK] = {"feedback", "decision_id,time_ns,tenant,key_id,rating_ppm,correct", true, 0},
    [ROW_SHADOW_PLAN] = {"shadow_plan",
                         "decision_id,time_ns,tenant,probability_ppm,provider,provider_model,judge_provider,judge_provider_model,effect,"
                         "reserved_nusd,price_version,other_ppm",
                         true, 1},
    [ROW_SHADOW] = {"shadow",
                    "decision_id,time_ns,tenant,probability_ppm,outcome,reason,provider,provider_model,judge_provider,judge_provider_model,"
                    "prompt_tokens,completion_tokens,judge_prompt_tokens,judge_completion_tokens,judge_calls,reserved_nusd,cost_nusd,"
                    "price_version,remote_us,judge_us,total_us,other_ppm",
                    true, 1},
    [ROW_JUDGEMENT] = {"judgement", "decision_id,time_ns,escalated,reason,inputs,reserved_nusd", true, 0},
    [ROW_THRESHOLD] = {"threshold", "time_ns,tenant,reason,max_regret_ppm,old_ppm,new_ppm,n_labels,regret_ppm,confidence_ppm,config_sha256,head_id,answers_id",
                       true, 1},
    [ROW_PACK] = {"pack", "pack_sha256,name,version,time_ns", false, 0},
    [ROW_PRICE] = {"price", "price_version,model,provider,input_nusd,cached_input_nusd,output_nusd", false, 0},
};

/* Values on the stack first; row_make copies them with their texts into one block. */
struct draft {
    struct row_value values[ROW_MAX_VALUES];
    int n;
    size_t text_bytes;
};

static void put_text(struct draft *draft, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    draft->values[draft->n++] = (struct row_value){text, text != NULL ? (int64_t)n : LEDGER_NULL};
    draft->text_bytes += text != NULL ? n + 1 : 0;
}

static void put_integer(struct draft *draft, int64_t integer)
{
    draft->values[draft->n++] = (struct row_value){NULL, integer};
}

static struct ledger_row *row_make(enum row_table table, const struct draft *draft)
{
    struct ledger_row *row = malloc(sizeof *row + (size_t)draft->n * sizeof *row->values + draft->text_bytes);
    if (row == NULL)
        return NULL;
    *row = (struct ledger_row){.table = table, .n_values = draft->n};
    char *text = (char *)&row->values[draft->n];
    for (int i = 0; i < draft->n; i++) {
        row->values[i] = draft->values[i];
        if (draft->values[i].text != NULL) {
            size_t n = (size_t)draft->values[i].integer + 1;
            memcpy(text, draft->values[i].text, n);
            row->values[i].text = text;
            text += n;
        }
    }
    return row;
}

struct ledger_row *row_of_decision(const struct ledger_decision *d)
{
    struct draft draft = {.n = 0};
    put_text(&draft, d->decision_id);
    put_integer(&draft, d->time_ns);
    put_text(&draft, d->request_id);
    put_text(&draft, d->tenant);
    put_text(&draft, d->key_id);
    put_text(&draft, d->endpoint);
    put_integer(&draft, d->stream);
    put_text(&draft, d->model);
    put_text(&draft, d->route);
    put_text(&draft, d->provider);
    put_text(&draft, d->provider_model);
    put_text(&draft, d->reasons);
    put_text(&draft, d->inputs);
    put_text(&draft, d->verdict);
    put_text(&draft, d->data_class);
    put_text(&draft, d->effect);
    put_text(&draft, d->pack_sha256);
    put_text(&draft, d->head_id);
    put_text(&draft, d->config_sha256);
    put_text(&draft, d->prices_version);
    put_integer(&draft, d->prompt_tokens);
    put_integer(&draft, d->reserved_nusd);
    put_integer(&draft, d->policy_us);
    put_integer(&draft, d->score_us);
    put_integer(&draft, d->decide_us);
    put_text(&draft, d->answers_id);
    return row_make(ROW_DECISION, &draft);
}

struct ledger_row *row_of_attempt(const struct ledger_attempt *a)
{
    struct draft draft = {.n = 0};
    put_text(&draft, a->decision_id);
    put_integer(&draft, a->n);
    put_integer(&draft, a->time_ns);
    put_text(&draft, a->provider);
    put_text(&draft, a->provider_model);
    put_text(&draft, a->region);
    put_text(&draft, a->body_sha256);
    put_integer(&draft, a->request_bytes);
    put_text(&draft, a->result);
    put_integer(&draft, a->status);
    put_integer(&draft, a->connect_us);
    put_integer(&draft, a->first_byte_us);
    put_integer(&draft, a->total_us);
    put_integer(&draft, a->prompt_tokens);
    put_integer(&draft, a->cached_tokens);
    put_integer(&draft, a->completion_tokens);
    put_integer(&draft, a->cost_nusd);
    put_text(&draft, a->price_version);
    put_integer(&draft, a->bad_events);
    put_integer(&draft, a->resumed);
    return row_make(ROW_ATTEMPT, &draft);
}

struct ledger_row *row_of_outcome(const struct ledger_outcome *o)
{
    struct draft draft = {.n = 0};
    put_text(&draft, o->decision_id);
    put_integer(&draft, o->time_ns);
    put_text(&draft, o->tenant);
    put_text(&draft, o->key_id);
    put_text(&draft, o->route);
    put_text(&draft, o->result);
    put_integer(&draft, o->status);
    put_text(&draft, o->finish_reason);
    put_text(&draft, o->error_code);
    put_integer(&draft, o->prompt_tokens);
    put_integer(&draft, o->cached_tokens);
    put_integer(&draft, o->completion_tokens);
    put_integer(&draft, o->cost_nusd);
    put_integer(&draft, o->counterfactual_nusd);
    put_text(&draft, o->price_version);
    put_integer(&draft, o->first_token_us);
    put_integer(&draft, o->total_us);
    put_integer(&draft, o->seams);
    return row_make(ROW_OUTCOME, &draft);
}

struct ledger_row *row_of_feedback(const struct ledger_feedback *f)
{
    struct draft draft = {.n = 0};
    put_text(&draft, f->decision_id);
    put_integer(&draft, f->time_ns);
    put_text(&draft, f->tenant);
    put_text(&draft, f->key_id);
    put_integer(&draft, f->rating_ppm);
    put_integer(&draft, f->correct);
    return row_make(ROW_FEEDBACK, &draft);
}

struct ledger_row *row_of_shadow_plan(const struct ledger_shadow_plan *p)
{
    struct draft draft = {.n = 0};
    put_text(&draft, p->decision_id);
    put_integer(&draft, p->time_ns);
    put_text(&draft, p->tenant);
    put_integer(&draft, p->probability_ppm);
    put_text(&draft, p->provider);
    put_text(&draft, p->provider_model);
    put_text(&draft, p->judge_provider);
    put_text(&draft, p->judge_provider_model);
    put_text(&draft, p->effect);
    put_integer(&draft, p->reserved_nusd);
    put_text(&draft, p->price_version);
    put_integer(&draft, p->other_ppm > 0 ? p->other_ppm : LEDGER_NULL);
    return row_make(ROW_SHADOW_PLAN, &draft);
}

struct ledger_row *row_of_shadow(const struct ledger_shadow *s)
{
    struct draft draft = {.n = 0};
    put_text(&draft, s->decision_id);
    put_integer(&draft, s->time_ns);
    put_text(&draft, s->tenant);
    put_integer(&draft, s->probability_ppm);
    put_text(&draft, s->outcome);
    put_text(&draft, s->reason);
    put_text(&draft, s->provider);
    put_text(&draft, s->provider_model);
    put_text(&draft, s->judge_provider);
    put_text(&draft, s->judge_provider_model);
    put_integer(&draft, s->prompt_tokens);
    put_integer(&draft, s->completion_tokens);
    put_integer(&draft, s->judge_prompt_tokens);
    put_integer(&draft, s->judge_completion_tokens);
    put_integer(&draft, s->judge_calls);
    put_integer(&draft, s->reserved_nusd);
    put_integer(&draft, s->cost_nusd);
    put_text(&draft, s->price_version);
    put_integer(&draft, s->remote_us);
    put_integer(&draft, s->judge_us);
    put_integer(&draft, s->total_us);
    put_integer(&draft, s->other_ppm > 0 ? s->other_ppm : LEDGER_NULL);
    return row_make(ROW_SHADOW, &draft);
}

struct ledger_row *row_of_judgement(const struct ledger_judgement *j)
{
    struct draft draft = {.n = 0};
    put_text(&draft, j->decision_id);
    put_integer(&draft, j->time_ns);
    put_integer(&draft, j->escalated);
    put_text(&draft, j->reason);
    put_text(&draft, j->inputs);
    put_integer(&draft, j->reserved_nusd);
    return row_make(ROW_JUDGEMENT, &draft);
}

struct ledger_row *row_of_threshold(const struct ledger_threshold *t)
{
    struct draft draft = {.n = 0};
    put_integer(&draft, t->time_ns);
    put_text(&draft, t->tenant);
    put_text(&draft, t->reason);
    put_integer(&draft, t->max_regret_ppm);
    put_integer(&draft, t->old_ppm);
    put_integer(&draft, t->new_ppm);
    put_integer(&draft, t->n_labels);
    put_integer(&draft, t->regret_ppm);
    put_integer(&draft, t->confidence_ppm);
    put_text(&draft, t->config_sha256);
    put_text(&draft, t->head_id);
    put_text(&draft, t->answers_id);
    return row_make(ROW_THRESHOLD, &draft);
}

struct ledger_row *row_of_pack(const char *sha256_hex, const char *name, const char *version)
{
    struct draft draft = {.n = 0};
    put_text(&draft, sha256_hex);
    put_text(&draft, name);
    put_text(&draft, version);
    put_integer(&draft, clock_wall_ns());
    return row_make(ROW_PACK, &draft);
}

struct ledger_row *row_of_price(const char *version, const struct price *price)
{
    struct draft draft = {.n = 0};
    put_text(&draft, version);
    put_text(&draft, price->model);
    put_text(&draft, price->provider != NULL ? price->provider : "");
    put_integer(&draft, price->input_nusd);
    put_integer(&draft, price->cached_input_nusd);
    put_integer(&draft, price->output_nusd);
    return row_make(ROW_PRICE, &draft);
}

static void canonical_begin(enum row_table table, struct buffer *out)
{
    buffer_clear(out);
    buffer_append_char(out, '[');
    buffer_append_json_string(out, str_of(row_tables[table].name));
}

void row_canonical(const struct ledger_row *row, struct buffer *out)
{
    int n = row->n_values, n_first = n - row_tables[row->table].n_later;
    while (n > n_first && row->values[n - 1].text == NULL && row->values[n - 1].integer == LEDGER_NULL)
        n--;
    canonical_begin(row->table, out);
    for (int i = 0; i < n; i++) {
        const struct row_value *value = &row->values[i];
        buffer_append_char(out, ',');
        if (value->text != NULL)
            buffer_append_json_string(out, (str){value->text, (size_t)value->integer});
        else if (value->integer == LEDGER_NULL)
            buffer_append_text(out, "null");
        else
            buffer_printf(out, "%lld", (long long)value->integer);
    }
    buffer_append_char(out, ']');
}

static int n_columns(enum row_table table)
{
    int n = 1;
    for (const char *at = row_tables[table].columns; *at != '\0'; at++)
        n += *at == ',';
    return n;
}

void row_canonical_statement(enum row_table table, sqlite3_stmt *statement, int first, struct buffer *out)
{
    int n = sqlite3_column_count(statement), n_first = first + n_columns(table) - row_tables[table].n_later;
    while (n > n_first && sqlite3_column_type(statement, n - 1) == SQLITE_NULL)
        n--;
    canonical_begin(table, out);
    for (int i = first; i < n; i++) {
        buffer_append_char(out, ',');
        switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
            buffer_printf(out, "%lld", (long long)sqlite3_column_int64(statement, i));
            break;
        case SQLITE_NULL:
            buffer_append_text(out, "null");
            break;
        default: {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            buffer_append_json_string(out, (str){text, (size_t)sqlite3_column_bytes(statement, i)});
        }
        }
    }
    buffer_append_char(out, ']');
}
