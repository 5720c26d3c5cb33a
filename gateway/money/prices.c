/* The price list: prices.yaml into a sorted table, and exact arithmetic on it.
 *
 *   version: "2026-11-01"
 *   prices:
 *     - {model: gpt-4o-mini, input: 0.15, cached_input: 0.075, output: 0.60}
 *     - {provider: azure-eu, model: gpt-4o-mini, input: 0.165, output: 0.66}
 *
 * in US dollars per million tokens, as decimals with at most nine places: exact in nano-USD. Invariant: no floating-point
 * number ever holds money. Immutable after opening; any thread. Reservations are budget.c's. */
#include "money/prices.h"

#include "config/yaml_doc.h"

#include <stdatomic.h>

enum { PRICES_MAX = 10000 };

struct prices {
    atomic_int refs;
    struct arena arena;
    const char *version;
    struct price *rows; /* By model, then provider (NULL first). */
    size_t n;
};

int money_parse_usd(str text, int64_t *out)
{
    int64_t whole = 0, part = 0;
    int places = 0;
    size_t i = 0;
    for (; i < text.n && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        whole = whole * 10 + (text.data[i] - '0');
        if (whole > 9000000000)
            return WEIR_E_INVALID;
    }
    if (i == 0)
        return WEIR_E_INVALID;
    if (i < text.n && text.data[i] == '.') {
        for (i++; i < text.n && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
            if (places < 9)
                part = part * 10 + (text.data[i] - '0');
            else if (text.data[i] != '0')
                return WEIR_E_INVALID;
            places++;
        }
        if (places == 0)
            return WEIR_E_INVALID;
    }
    if (i != text.n)
        return WEIR_E_INVALID;
    for (; places < 9; places++)
        part *= 10;
    *out = whole * 1000000000 + part;
    return 0;
}

const char *money_format_usd(int64_t nusd, char out[32])
{
    uint64_t amount = nusd < 0 ? 0 - (uint64_t)nusd : (uint64_t)nusd;
    snprintf(out, 32, "%s%llu.%09llu", nusd < 0 ? "-" : "", (unsigned long long)(amount / 1000000000), (unsigned long long)(amount % 1000000000));
    size_t n = strlen(out);
    while (out[n - 1] == '0')
        out[--n] = '\0';
    if (out[n - 1] == '.')
        out[n - 1] = '\0';
    return out;
}

int64_t price_cost_nusd(const struct price *price, const struct token_usage *usage)
{
    if (price == NULL)
        return MONEY_UNKNOWN;
    __extension__ typedef unsigned __int128 wide;
    int64_t prompt = usage->prompt_tokens > 0 ? usage->prompt_tokens : 0;
    int64_t cached = usage->cached_tokens > 0 ? usage->cached_tokens : 0;
    int64_t completion = usage->completion_tokens > 0 ? usage->completion_tokens : 0;
    if (cached > prompt)
        cached = prompt;
    int64_t cached_price = price->cached_input_nusd != MONEY_UNKNOWN ? price->cached_input_nusd : price->input_nusd;
    wide sum = (wide)(uint64_t)(prompt - cached) * (uint64_t)price->input_nusd + (wide)(uint64_t)cached * (uint64_t)cached_price +
               (wide)(uint64_t)completion * (uint64_t)price->output_nusd;
    wide cost = (sum + 500000) / 1000000;
    return cost > (wide)INT64_MAX ? INT64_MAX : (int64_t)cost;
}

/* ------------------------------------------------------------------ the file */

/* A row as read: amounts are texts until they are parsed exactly. */
struct row_texts {
    const char *model, *provider, *input, *cached_input, *output, *source;
};

static const struct yaml_field row_fields[] = {
    {"model", YAML_TEXT, offsetof(struct row_texts, model), .required = true},
    {"provider", YAML_TEXT, offsetof(struct row_texts, provider)},
    {"input", YAML_TEXT, offsetof(struct row_texts, input), .required = true},
    {"cached_input", YAML_TEXT, offsetof(struct row_texts, cached_input)},
    {"output", YAML_TEXT, offsetof(struct row_texts, output), .required = true},
    {"source", YAML_TEXT, offsetof(struct row_texts, source)},
    {NULL},
};

static int read_amount(struct yaml_doc *tree, yaml_node_t *node, const char *name, const char *text, int64_t *out, struct error *err)
{
    *out = MONEY_UNKNOWN;
    if (text != NULL && (money_parse_usd(str_of(text), out) < 0 || *out > 1000000000000000))
        return yaml_doc_fail(tree, node, err, "%s: \"%.40s\" is not an amount in USD with at most nine decimals", name, text);
    return 0;
}

static int read_rows(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct prices *prices = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_doc_fail(tree, node, err, "prices: must be a list");
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (n > PRICES_MAX)
        return yaml_doc_fail(tree, node, err, "prices: at most %d rows are taken", PRICES_MAX);
    prices->rows = arena_array(&prices->arena, n, sizeof *prices->rows);
    if (prices->rows == NULL)
        return error_set(err, WEIR_E_MEMORY, tree->name, "out of memory");
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *entry = yaml_doc_node(tree, node->data.sequence.items.start[i]);
        struct row_texts texts = {0};
        struct price *row = &prices->rows[i];
        char what[32];
        snprintf(what, sizeof what, "prices[%zu]", i);
        int status = yaml_doc_read(tree, entry, row_fields, &texts, what, err);
        if (status == 0)
            status = read_amount(tree, entry, "input", texts.input, &row->input_nusd, err);
        if (status == 0)
            status = read_amount(tree, entry, "cached_input", texts.cached_input, &row->cached_input_nusd, err);
        if (status == 0)
            status = read_amount(tree, entry, "output", texts.output, &row->output_nusd, err);
        if (status < 0)
            return status;
        row->model = texts.model;
        row->provider = texts.provider;
        row->line = (int)entry->start_mark.line + 1;
        prices->n++;
    }
    return 0;
}

static const struct yaml_field file_fields[] = {
    {"version", YAML_TEXT, offsetof(struct prices, version), .required = true},
    {"prices", YAML_CUSTOM, 0, .read = read_rows},
    {NULL},
};

static int compare_rows(const void *a, const void *b)
{
    const struct price *x = a, *y = b;
    int order = strcmp(x->model, y->model);
    return order != 0 ? order : strcmp(x->provider != NULL ? x->provider : "", y->provider != NULL ? y->provider : "");
}

int prices_parse(const struct prices **out, const char *name, str yaml, struct error *err)
{
    struct prices *prices = calloc(1, sizeof *prices);
    if (prices == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    atomic_init(&prices->refs, 1);
    arena_init(&prices->arena, 32 << 20);
    struct yaml_doc tree;
    int status = yaml_doc_parse(&tree, name, NULL, yaml, &prices->arena, err);
    if (status == 0) {
        yaml_node_t *root = yaml_doc_root(&tree);
        status = root == NULL ? error_set(err, WEIR_E_INVALID, name, "is empty")
                              : yaml_doc_read(&tree, root, file_fields, prices, "the price list", err);
        yaml_doc_release(&tree);
    }
    if (status == 0 && prices->n > 0)
        qsort(prices->rows, prices->n, sizeof *prices->rows, compare_rows);
    for (size_t i = 1; i < prices->n && status == 0; i++)
        if (compare_rows(&prices->rows[i - 1], &prices->rows[i]) == 0)
            status = error_set(err, WEIR_E_INVALID, name, "line %d: a second price for the model \"%.100s\"", prices->rows[i].line, prices->rows[i].model);
    if (status < 0) {
        prices_drop(prices);
        return status;
    }
    *out = prices;
    return 0;
}

int prices_open(const struct prices **out, const char *path, struct error *err)
{
    struct buffer text;
    buffer_init(&text, YAML_MAX_BYTES + 1);
    int status = file_read(path, &text, err);
    if (status == 0)
        status = prices_parse(out, path, buffer_str(&text), err);
    buffer_release(&text);
    return status;
}

const struct prices *prices_hold(const struct prices *prices)
{
    atomic_fetch_add_explicit(&((struct prices *)(uintptr_t)prices)->refs, 1, memory_order_relaxed);
    return prices;
}

void prices_drop(const struct prices *prices)
{
    struct prices *own = (struct prices *)(uintptr_t)prices;
    if (own == NULL || atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_release(&own->arena);
    free(own);
}

const char *prices_version(const struct prices *prices)
{
    return prices->version;
}

size_t prices_count(const struct prices *prices)
{
    return prices->n;
}

const struct price *prices_at(const struct prices *prices, size_t index)
{
    return index < prices->n ? &prices->rows[index] : NULL;
}

static const struct price *find_exact(const struct prices *prices, const char *provider, const char *model)
{
    struct price wanted = {.model = model, .provider = provider};
    return prices->n > 0 ? bsearch(&wanted, prices->rows, prices->n, sizeof wanted, compare_rows) : NULL;
}

/* Length of the name without a date at its end ("-2024-07-18" or "-20241022"), 0: it has none. */
static size_t undated(const char *model)
{
    static const char *const forms[] = {"-dddd-dd-dd", "-dddddddd"};
    size_t n = strlen(model);
    for (size_t f = 0; f < 2; f++) {
        size_t length = strlen(forms[f]);
        bool fits = n > length;
        for (size_t i = 0; fits && i < length; i++) {
            char c = model[n - length + i];
            fits = forms[f][i] == 'd' ? c >= '0' && c <= '9' : c == forms[f][i];
        }
        if (fits)
            return n - length;
    }
    return 0;
}

const struct price *prices_find(const struct prices *prices, const char *provider, const char *model)
{
    if (prices == NULL || model == NULL)
        return NULL;
    char base[200];
    for (int dated = 0; dated < 2; dated++) {
        if (dated == 1) {
            size_t n = undated(model);
            if (n == 0 || !str_copy(base, sizeof base, (str){model, n}))
                return NULL;
            model = base;
        }
        const struct price *row = provider != NULL ? find_exact(prices, provider, model) : NULL;
        if (row == NULL)
            row = find_exact(prices, NULL, model);
        if (row != NULL)
            return row;
    }
    return NULL;
}
