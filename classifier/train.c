/* Training: a file of lines to a head file, by way of features, embeddings, linear heads, domain heads and rules. The same
 * lines, encoder, seed and CPU give the same file, bit for bit. */
#include "train.h"

#include <math.h>
#include <stdlib.h>

enum { RULE_LEAST = 15 };
static const float RULE_SPREAD = 0.12F; /* Standard error of the mean score that a rule may have. */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static uint64_t line_key(const struct training *training, size_t i)
{
    return mix(str_hash(training->examples->lines.items[i].text) + 0x9e3779b97f4a7c15ULL * (training->seed + 1));
}

struct keyed {
    uint64_t key;
    size_t place;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* The landmarks by their static vectors. */
static int choose_static(struct training *training)
{
    struct head *head = training->head;
    struct map *map = &head->static_map;
    const struct examples *examples = training->examples;
    size_t n = examples->lines.n, width = (size_t)head->table.n_dims;
    int status = head_static_init(head);
    if (status < 0)
        return status;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++)
            map->center[k] += examples->statics[i * width + k] / (float)n;
    for (int k = 0; k < map->n_landmarks; k++)
        map_set_landmark(map, k, examples->surfaces + training->landmarks[k] * N_SURFACE, examples->statics + training->landmarks[k] * width);
    return 0;
}

/* Folds by text; the lines with the smallest keys among those with scores, no text twice, become landmarks. */
static int choose(struct training *training)
{
    struct examples *examples = training->examples;
    struct head *head = training->head;
    size_t n = examples->lines.n, n_keyed = 0, n_landmarks = 0, width = (size_t)examples->n_embd;
    struct keyed *keyed = malloc(n * sizeof *keyed);
    training->folds = malloc(n * sizeof *training->folds);
    training->unseen_local = malloc(n * sizeof *training->unseen_local);
    training->landmarks = malloc(MOST_LANDMARKS * sizeof *training->landmarks);
    training->settled = calloc(n, sizeof *training->settled);
    int status = keyed == NULL || training->folds == NULL || training->landmarks == NULL || training->settled == NULL || training->unseen_local == NULL ? WEIR_E_MEMORY : 0;
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        if ((training->gains[view] = malloc(n * sizeof **training->gains)) == NULL)
            status = WEIR_E_MEMORY;
    for (size_t i = 0; i < n && status == 0; i++) {
        const struct line *line = &examples->lines.items[i];
        uint64_t key = line_key(training, i);
        training->folds[i] = (int)(key % N_FOLDS);
        training->unseen_local[i] = NAN;
        if (!isnan(line->local) || !isnan(line->remote) || !isnan(line->output_tokens))
            keyed[n_keyed++] = (struct keyed){mix(key), i};
    }
    if (status == 0 && n_keyed > 0)
        qsort(keyed, n_keyed, sizeof *keyed, compare_keyed);
    for (size_t i = 0; i < n_keyed && n_landmarks < training->most_landmarks && status == 0; i++)
        if (i == 0 || keyed[i].key != keyed[i - 1].key)
            training->landmarks[n_landmarks++] = keyed[i].place;
    free(keyed);
    if (status == 0)
        status = map_init(&head->map, MAP_QUESTIONS, (int)width, (int)n_landmarks);
    if (status == 0)
        status = map_fit(&head->map, examples->surfaces, examples->inners, examples->grams, n);
    for (size_t k = 0; k < n_landmarks && status == 0; k++)
        map_set_landmark(&head->map, (int)k, examples->surfaces + training->landmarks[k] * N_SURFACE,
                         width > 0 ? examples->inners + training->landmarks[k] * width : NULL);
    if (status == 0 && head->table.n_tokens > 0)
        status = choose_static(training);
    for (size_t i = 0; i < n && status == 0; i++)
        map_weigh(&head->map, &examples->grams[i]);
    return status;
}

void train_rules(struct training *training)
{
    struct head *head = training->head;
    const struct lines *lines = &training->examples->lines;
    for (int rule = 0; rule < N_RULES; rule++) {
        double local = 0, remote = 0, squares = 0, n = 0, tokens = 0, n_tokens = 0, n_remote = 0, n_oos = 0, n_domain = 0, most = 0;
        int best = -1;
        for (size_t i = 0; i < lines->n; i++) {
            const struct line *line = &lines->items[i];
            if (rule_match(line->text) != rule)
                continue;
            n_tokens += !isnan(line->output_tokens);
            tokens += isnan(line->output_tokens) ? 0 : (double)line->output_tokens;
            if (isnan(line->local))
                continue;
            n++;
            local += (double)line->local;
            squares += (double)line->local * (double)line->local;
            n_remote += !isnan(line->remote);
            remote += isnan(line->remote) ? 0 : (double)line->remote;
            n_oos += line->domain == DOMAIN_OOS;
            n_domain += line->domain != DOMAIN_ABSENT;
        }
        for (int c = 0; c < head->n_domains; c++) {
            double count = 0;
            for (size_t i = 0; i < lines->n; i++)
                count += lines->items[i].domain == c && !isnan(lines->items[i].local) && rule_match(lines->items[i].text) == rule;
            if (count > most) {
                most = count;
                best = c;
            }
        }
        double mean = (local + 0.5) / (n + 1), variance = n > 1 ? fmax(squares / n - local / n * (local / n), 0) : 1;
        if (n < RULE_LEAST || sqrt(variance / n) > (double)RULE_SPREAD || (head->n_domains > 0 && best < 0))
            continue;
        double p_remote = n_remote > 0 ? (remote + 0.5) / (n_remote + 1) : NAN;
        head->rules[rule] = (struct head_rule){
            .enough = true,
            .domain = best,
            .answer = {.p_local = (float)mean,
                       .p_remote = (float)p_remote,
                       .gain = (float)((n_remote > 0 ? p_remote : 1) - mean),
                       .domain_p = (float)(n_domain > 0 ? most / n_domain : 0),
                       .oos = (float)(n_domain > 0 ? n_oos / n_domain : 0),
                       .output_tokens = (float)(n_tokens > 0 ? tokens / n_tokens : NAN)},
        };
    }
}

static int describe(struct training *training, const char *name, struct model *encoder, struct error *err)
{
    struct head *head = training->head;
    const struct lines *lines = &training->examples->lines;
    if (!str_copy(head->name, sizeof head->name, str_of(name != NULL ? name : "head")) || head->name[0] == '\0')
        return error_set(err, WEIR_E_INVALID, "name", "a head's name has 1 to %zu bytes", sizeof head->name - 1);
    if (encoder != NULL && !str_copy(head->encoder, sizeof head->encoder, str_of(model_info_peek(encoder)->name)))
        head->encoder[sizeof head->encoder - 1] = '\0';
    memcpy(head->data_sha256, lines->sha256, sizeof head->data_sha256);
    head->n_lines = (int64_t)lines->n;
    head->metrics = json_object();
    head->domains = calloc((size_t)lines->n_names + 1, sizeof *head->domains);
    if (head->metrics == NULL || head->domains == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    for (int i = 0; i < lines->n_names; i++) {
        if ((head->domains[i] = strdup(lines->names[i])) == NULL)
            return error_set(err, WEIR_E_MEMORY, "", "out of memory");
        head->n_domains++;
    }
    return 0;
}

/* The head gets the table, which must be of the encoder's vocabulary. */
static int take_table(struct training *training, const char *path, struct model *encoder, struct error *err)
{
    struct static_table *table = &training->head->table;
    char vocabulary[2 * SHA256_BYTES + 1];
    if (encoder == NULL)
        return error_set(err, WEIR_E_INVALID, path, "a static table is of use only with an encoder");
    int status = static_table_open(table, path, err);
    if (status == 0 && model_tokenizer_peek(encoder) == NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, model_info_peek(encoder)->path, "has no tokenizer");
    if (status == 0)
        status = static_vocabulary(model_tokenizer_peek(encoder), vocabulary, err);
    if (status == 0 && strcmp(vocabulary, table->vocabulary) != 0)
        status = error_set(err, WEIR_E_INVALID, path, "was distilled from %s, whose tokenizer the encoder %s does not have", table->encoder,
                           model_info_peek(encoder)->name);
    training->table = table;
    return status;
}

int head_train(const char *data_path, const char *out_path, struct model *encoder, const struct train_options *options, struct error *err)
{
    static const struct train_options defaults;
    struct examples examples = {0};
    struct training training = {.examples = &examples};
    if (options == NULL)
        options = &defaults;
    training.seed = options->seed;
    training.quiet = options->quiet;
    training.kind = options->kind;
    training.balanced = options->balanced;
    training.most_landmarks = options->n_landmarks > 0 && options->n_landmarks < MOST_LANDMARKS ? (size_t)options->n_landmarks : MOST_LANDMARKS;
    training.pool = pool_new(0);
    training.head = head_new();
    int status = training.pool == NULL || training.head == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
    if (status == 0 && options->static_path != NULL)
        status = take_table(&training, options->static_path, encoder, err);
    if (status == 0)
        status = examples_read(&examples, data_path, encoder, training.table, training.pool, training.quiet, err);
    if (status == 0)
        status = describe(&training, options->name, encoder, err);
    if (status == 0 && training.kind != TRAIN_KERNEL && examples.n_embd == 0)
        status = error_set(err, WEIR_E_INVALID, "kind", "only a head with an encoder can be of another kind than kernel");
    if (status == 0 && choose(&training) < 0)
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
    if (status == 0)
        status = train_linear(&training, err);
    if (status == 0)
        status = train_answer(&training, err);
    if (status == 0)
        status = train_domains(&training, err);
    if (status == 0) {
        const struct head *head = training.head;
        bool any = head->domain[VIEW_FEATURES].present;
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            any = any || head->linear[VIEW_FEATURES][target].present;
        if (!any)
            status = error_set(err, WEIR_E_INVALID, data_path, "nothing to learn: fewer than %d lines have a label or scores, and none a domain", LEAST_LINES);
    }
    if (status == 0) {
        train_rules(&training);
        status = head_write(training.head, out_path, err);
    }
    free(training.folds);
    free(training.unseen_local);
    free(training.landmarks);
    free(training.settled);
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        free(training.gains[view]);
    examples_release(&examples);
    head_close(training.head);
    pool_free(training.pool);
    return status;
}
