/* YAML trees: parsing within limits, and mappings read by tables of fields.
 *
 * Invariant: a value is either taken whole or refused with its line and column; nothing is guessed or dropped. Runs on
 * whichever thread loads a file; owns nothing but the libyaml document. What the values mean is left to the callers. */
#include "config/yaml_doc.h"

#include <math.h>

static const char *file_of(const struct yaml_doc *tree)
{
    return tree->name != NULL ? tree->name : "configuration";
}

int yaml_doc_fail(const struct yaml_doc *tree, const yaml_node_t *node, struct error *err, const char *format, ...)
{
    char where[192], text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (node != NULL)
        snprintf(where, sizeof where, "%s:%zu:%zu", file_of(tree), node->start_mark.line + 1, node->start_mark.column + 1);
    else
        snprintf(where, sizeof where, "%s", file_of(tree));
    return error_set(err, WEIR_E_INVALID, where, "%s", text);
}

/* The loader resolves aliases itself, so anchors are looked for in the event stream first. */
static int refuse_anchors(const char *name, str text, struct error *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.n);
    int status = 0, documents = 0;
    for (bool done = false; !done && status == 0;) {
        yaml_event_t event;
        char where[192];
        if (!yaml_parser_parse(&parser, &event)) {
            snprintf(where, sizeof where, "%s:%zu:%zu", name, parser.problem_mark.line + 1, parser.problem_mark.column + 1);
            if (parser.error == YAML_READER_ERROR)
                snprintf(where, sizeof where, "%s: byte %zu", name, parser.problem_offset);
            status = error_set(err, parser.error == YAML_MEMORY_ERROR ? WEIR_E_MEMORY : WEIR_E_INVALID, where, "%s",
                               parser.problem != NULL ? parser.problem : "not YAML");
            break;
        }
        snprintf(where, sizeof where, "%s:%zu:%zu", name, event.start_mark.line + 1, event.start_mark.column + 1);
        bool anchored = event.type == YAML_ALIAS_EVENT ||
                        (event.type == YAML_SCALAR_EVENT && event.data.scalar.anchor != NULL) ||
                        (event.type == YAML_MAPPING_START_EVENT && event.data.mapping_start.anchor != NULL) ||
                        (event.type == YAML_SEQUENCE_START_EVENT && event.data.sequence_start.anchor != NULL);
        if (anchored)
            status = error_set(err, WEIR_E_INVALID, where, "anchors and aliases (& and *) are not taken here");
        if (event.type == YAML_DOCUMENT_START_EVENT && documents++ > 0)
            status = error_set(err, WEIR_E_INVALID, where, "a second document starts here; one is expected");
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

int yaml_doc_parse(struct yaml_doc *tree, const char *name, const char *folder, str text, struct arena *arena, struct error *err)
{
    memset(tree, 0, sizeof *tree);
    tree->name = name;
    tree->folder = folder;
    tree->arena = arena;
    if (text.n > YAML_MAX_BYTES)
        return error_set(err, WEIR_E_LIMIT, name, "larger than %d bytes", YAML_MAX_BYTES);
    if (text.data == NULL)
        text = STR("");
    int status = refuse_anchors(name, text, err);
    if (status < 0)
        return status;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.n);
    if (!yaml_parser_load(&parser, &tree->document))
        status = error_set(err, WEIR_E_INVALID, name, "%s", parser.problem != NULL ? parser.problem : "not YAML");
    yaml_parser_delete(&parser);
    return status;
}

void yaml_doc_release(struct yaml_doc *tree)
{
    yaml_document_delete(&tree->document);
}

yaml_node_t *yaml_doc_root(struct yaml_doc *tree)
{
    return yaml_document_get_root_node(&tree->document);
}

yaml_node_t *yaml_doc_node(struct yaml_doc *tree, int id)
{
    return yaml_document_get_node(&tree->document, id);
}

static str scalar(const yaml_node_t *node)
{
    return (str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

bool yaml_node_is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    str text = scalar(node);
    return text.n == 0 || str_equal(text, STR("~")) || str_equal_nocase(text, STR("null"));
}

const char *nearest_known(const char *text, const char *const *words, size_t n)
{
    size_t row[80], length = strlen(text), nearest_distance = length / 3 + 1;
    const char *nearest = NULL;
    for (size_t w = 0; w < n; w++) {
        size_t m = strlen(words[w]);
        if (m + 1 > sizeof row / sizeof *row)
            continue;
        for (size_t j = 0; j <= m; j++)
            row[j] = j;
        for (size_t i = 1; i <= length; i++) {
            size_t diagonal = row[0];
            row[0] = i;
            for (size_t j = 1; j <= m; j++) {
                size_t best = diagonal + (text[i - 1] != words[w][j - 1]);
                best = row[j] + 1 < best ? row[j] + 1 : best;
                best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
                diagonal = row[j];
                row[j] = best;
            }
        }
        bool prefix = length >= 3 && (strncmp(text, words[w], length) == 0 || strncmp(text, words[w], m) == 0);
        if (row[m] <= nearest_distance || (prefix && nearest == NULL)) {
            nearest = words[w];
            nearest_distance = row[m] > 0 ? row[m] - 1 : 0;
        }
    }
    return nearest;
}

/* A number and what follows it. */
static bool split_unit(str text, double *number, str *unit)
{
    size_t n = 0;
    while (n < text.n && ((text.data[n] >= '0' && text.data[n] <= '9') || text.data[n] == '.'))
        n++;
    *unit = str_trim((str){text.data + n, text.n - n});
    return n > 0 && parse_f64((str){text.data, n}, number) == 0;
}

int duration_parse(str text, int64_t *out_us)
{
    static const struct {
        const char *unit;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}};
    double number;
    str unit;
    if (!split_unit(text, &number, &unit))
        return WEIR_E_INVALID;
    if (unit.n == 0 && number == 0) {
        *out_us = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_equal(unit, str_of(units[i].unit))) {
            double us = number * units[i].us;
            if (us > 9e15)
                return WEIR_E_INVALID;
            *out_us = (int64_t)llround(us);
            return 0;
        }
    return WEIR_E_INVALID;
}

int bytes_parse(str text, double *out)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1}, {"B", 1}, {"k", 1e3}, {"kB", 1e3}, {"KiB", 1024}, {"MB", 1e6}, {"M", 1e6}, {"MiB", 1048576}, {"GB", 1e9}, {"G", 1e9}, {"GiB", 1073741824}};
    double number;
    str unit;
    if (!split_unit(text, &number, &unit))
        return WEIR_E_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_equal(unit, str_of(units[i].unit))) {
            *out = number * units[i].bytes;
            return 0;
        }
    return WEIR_E_INVALID;
}

int yaml_doc_text(struct yaml_doc *tree, yaml_node_t *node, const char **out, struct error *err)
{
    if (node->type != YAML_SCALAR_NODE)
        return yaml_doc_fail(tree, node, err, "must be a text");
    str text = scalar(node);
    if (text.n == 0)
        return yaml_doc_fail(tree, node, err, "must not be empty");
    if (memchr(text.data, '\0', text.n) != NULL)
        return yaml_doc_fail(tree, node, err, "must not contain a NUL");
    *out = arena_strdup(tree->arena, text);
    return *out != NULL ? 0 : error_set(err, WEIR_E_MEMORY, file_of(tree), "out of memory");
}

int yaml_doc_texts(struct yaml_doc *tree, yaml_node_t *node, int max, const char ***out, int *n, struct error *err)
{
    if (node->type == YAML_MAPPING_NODE)
        return yaml_doc_fail(tree, node, err, "must be a list");
    const bool single = node->type == YAML_SCALAR_NODE;
    yaml_node_item_t *first = single ? NULL : node->data.sequence.items.start;
    size_t count = single ? 1 : (size_t)(node->data.sequence.items.top - first);
    if (count > (size_t)max)
        return yaml_doc_fail(tree, node, err, "has %zu items; at most %d are taken", count, max);
    *out = arena_array(tree->arena, count, sizeof **out);
    if (*out == NULL)
        return error_set(err, WEIR_E_MEMORY, file_of(tree), "out of memory");
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *item = single ? node : yaml_doc_node(tree, first[i]);
        int status = yaml_doc_text(tree, item, &(*out)[i], err);
        if (status < 0)
            return status;
    }
    *n = (int)count;
    return 0;
}

/* A scalar as a number with its bounds checked. */
static int read_number(struct yaml_doc *tree, yaml_node_t *node, const struct yaml_field *field, double *out, struct error *err)
{
    str text = scalar(node);
    int64_t integer = 0, us = 0;
    int status = WEIR_E_INVALID;
    const char *form = "a number";
    double value = 0;
    switch (field->type) {
    case YAML_INT:
        form = "a whole number";
        status = parse_i64(text, &integer);
        value = (double)integer;
        break;
    case YAML_BYTES:
        form = "a size like 8MiB";
        status = bytes_parse(text, &value);
        break;
    case YAML_DURATION:
        form = "a duration like 2s, 500ms or 1m";
        status = duration_parse(text, &us);
        value = (double)us / 1e6;
        break;
    default:
        status = parse_f64(text, &value);
        break;
    }
    if (status < 0 || !isfinite(value))
        return yaml_doc_fail(tree, node, err, "%s: must be %s, not \"%.40s\"", field->name, form, text.data);
    if (value < field->min || value > field->max)
        return yaml_doc_fail(tree, node, err, "%s: must be %.12g to %.12g%s, not \"%.40s\"", field->name, field->min, field->max,
                              field->type == YAML_DURATION ? " seconds" : "", text.data);
    *out = value;
    return 0;
}

static int read_scalar(struct yaml_doc *tree, yaml_node_t *node, const struct yaml_field *field, char *at, struct error *err)
{
    if (node->type != YAML_SCALAR_NODE)
        return yaml_doc_fail(tree, node, err, "%s: must be a single value", field->name);
    str text = scalar(node);
    double number = 0;
    int status = 0;
    switch (field->type) {
    case YAML_TEXT:
    case YAML_PATH:
        if (field->type == YAML_PATH && (str_starts(text, STR("~/")) || str_equal(text, STR("~"))))
            return yaml_doc_fail(tree, node, err, "%s: ~ is not expanded here; write the folder out", field->name);
        status = yaml_doc_text(tree, node, (const char **)(void *)at, err);
        if (status == 0 && field->type == YAML_PATH && text.data[0] != '/' && tree->folder != NULL) {
            char *path = arena_printf(tree->arena, "%s/%s", tree->folder, *(const char **)(void *)at);
            if (path == NULL)
                return error_set(err, WEIR_E_MEMORY, file_of(tree), "out of memory");
            *(const char **)(void *)at = path;
        }
        return status;
    case YAML_BOOL:
        if (str_equal(text, STR("true")) || str_equal(text, STR("false"))) {
            *(bool *)at = text.data[0] == 't';
            return 0;
        }
        return yaml_doc_fail(tree, node, err, "%s: must be true or false, not \"%.40s\"", field->name, text.data);
    case YAML_WORD: {
        char all[200] = "";
        for (int i = 0; field->words[i] != NULL; i++) {
            if (str_equal(text, str_of(field->words[i]))) {
                *(int *)(void *)at = i;
                return 0;
            }
            size_t n = strlen(all);
            snprintf(all + n, sizeof all - n, "%s%s", i > 0 ? ", " : "", field->words[i]);
        }
        return yaml_doc_fail(tree, node, err, "%s: must be one of %s, not \"%.40s\"", field->name, all, text.data);
    }
    default:
        status = read_number(tree, node, field, &number, err);
        if (status < 0)
            return status;
        if (field->type == YAML_INT)
            *(int *)(void *)at = (int)number;
        else if (field->type == YAML_REAL)
            *(double *)(void *)at = number;
        else
            *(int64_t *)(void *)at = (int64_t)llround(field->type == YAML_DURATION ? number * 1e6 : number);
        return 0;
    }
}

static int unknown_key(struct yaml_doc *tree, yaml_node_t *key, const struct yaml_field *fields, const char *what, struct error *err)
{
    const char *names[64] = {NULL};
    size_t n = 0;
    for (; fields[n].name != NULL && n < sizeof names / sizeof *names; n++)
        names[n] = fields[n].name;
    char text[80];
    str_copy(text, sizeof text, scalar(key));
    const char *nearest = nearest_known(text, names, n);
    if (nearest != NULL)
        return yaml_doc_fail(tree, key, err, "unknown key \"%.60s\" in %s; did you mean \"%s\"?", text, what, nearest);
    char all[200] = "";
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return yaml_doc_fail(tree, key, err, "unknown key \"%.60s\" in %s; known are %s", text, what, all);
}

int yaml_doc_read(struct yaml_doc *tree, yaml_node_t *node, const struct yaml_field *fields, void *target, const char *what,
                   struct error *err)
{
    if (node->type != YAML_MAPPING_NODE)
        return yaml_doc_fail(tree, node, err, "%s: must be a mapping (key: value)", what);
    uint64_t seen = 0;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_doc_node(tree, pair->key), *value = yaml_doc_node(tree, pair->value);
        if (key->type != YAML_SCALAR_NODE)
            return yaml_doc_fail(tree, key, err, "%s: a key must be a word", what);
        int index = 0;
        while (fields[index].name != NULL && !str_equal(scalar(key), str_of(fields[index].name)))
            index++;
        const struct yaml_field *field = &fields[index];
        if (field->name == NULL)
            return unknown_key(tree, key, fields, what, err);
        if (seen >> index & 1)
            return yaml_doc_fail(tree, key, err, "%s: \"%s\" stands here twice", what, field->name);
        seen |= (uint64_t)1 << index;
        if (yaml_node_is_null(value) && field->required)
            return yaml_doc_fail(tree, key, err, "%s: \"%s\" is required: it can't be null", what, field->name);
        if (yaml_node_is_null(value))
            continue;
        char *at = (char *)target + field->offset;
        int status = 0;
        if (field->type == YAML_MAP)
            status = yaml_doc_read(tree, value, field->fields, target, field->name, err);
        else if (field->type == YAML_CUSTOM)
            status = field->read(tree, value, at, err);
        else
            status = read_scalar(tree, value, field, at, err);
        if (status < 0)
            return status;
    }
    for (int i = 0; fields[i].name != NULL; i++)
        if (fields[i].required && (seen >> i & 1) == 0)
            return yaml_doc_fail(tree, node, err, "%s: \"%s\" is missing", what, fields[i].name);
    return 0;
}
