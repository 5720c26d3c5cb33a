/* libyaml's events to a tree of bounded size. YAML's graph features (anchors, aliases, tags, merge keys) are refused: a
 * policy means what it says where it says it. */
#include "pack/yaml_tree.h"

#include <yaml.h>

enum { LARGEST_YAML = 1 << 20, DEEPEST = 16, MOST_NODES = 1 << 16, LONGEST_WORD = 64 };

struct parse {
    yaml_parser_t parser;
    const char *name;
    struct arena *arena;
    struct error *err;
    int n_nodes;
};

static int error_at(const char *name, size_t line, size_t column, struct error *err, const char *format, va_list args) WEIR_PRINTF(5, 0);
static int error_at(const char *name, size_t line, size_t column, struct error *err, const char *format, va_list args)
{
    char where[192], text[320];
    snprintf(where, sizeof where, "%s:%zu:%zu", name, line, column);
    vsnprintf(text, sizeof text, format, args);
    return error_set(err, WEIR_E_INVALID, where, "%s", text);
}

int yaml_error(const char *name, const struct yaml_tree *node, struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = error_at(name, (size_t)node->line, (size_t)node->column, err, format, args);
    va_end(args);
    return status;
}

static int mark_error(const struct parse *parse, yaml_mark_t mark, const char *format, ...) WEIR_PRINTF(3, 4);
static int mark_error(const struct parse *parse, yaml_mark_t mark, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = error_at(parse->name, mark.line + 1, mark.column + 1, parse->err, format, args);
    va_end(args);
    return status;
}

static int next_event(struct parse *parse, yaml_event_t *event)
{
    if (yaml_parser_parse(&parse->parser, event))
        return 0;
    const yaml_parser_t *parser = &parse->parser;
    return mark_error(parse, parser->problem_mark, "%s", parser->problem != NULL ? parser->problem : "not YAML");
}

static int parse_node(struct parse *parse, yaml_event_t *event, int depth, struct yaml_tree **out);

static int parse_children(struct parse *parse, struct yaml_tree *node, int depth)
{
    struct yaml_tree **tail = &node->first;
    yaml_event_type_t end = node->kind == YAML_LIST ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;
    for (;;) {
        yaml_event_t event;
        int status = next_event(parse, &event);
        if (status < 0)
            return status;
        if (event.type == end) {
            yaml_event_delete(&event);
            return 0;
        }
        const char *key = NULL;
        yaml_mark_t key_mark = event.start_mark;
        if (node->kind == YAML_MAP) {
            struct yaml_tree *key_node;
            status = parse_node(parse, &event, depth, &key_node);
            if (status == 0 && key_node->kind != YAML_SCALAR)
                status = mark_error(parse, key_mark, "a key must be a word");
            if (status == 0 && yaml_member(node, key_node->text) != NULL)
                status = mark_error(parse, key_mark, "\"%s\" stands here twice", key_node->text);
            if (status < 0)
                return status;
            key = key_node->text;
            status = next_event(parse, &event);
            if (status < 0)
                return status;
        }
        struct yaml_tree *child;
        status = parse_node(parse, &event, depth, &child);
        if (status < 0)
            return status;
        child->key_line = (int)key_mark.line + 1;
        child->key_column = (int)key_mark.column + 1;
        child->key = key;
        *tail = child;
        tail = &child->next;
        node->n++;
    }
}

/* Takes over event. */
static int parse_node(struct parse *parse, yaml_event_t *event, int depth, struct yaml_tree **out)
{
    int status = 0;
    bool fancy = false;
    struct yaml_tree *node = arena_alloc(parse->arena, sizeof *node);
    if (node == NULL || ++parse->n_nodes > MOST_NODES)
        status = mark_error(parse, event->start_mark, "the document is too large");
    else if (depth > DEEPEST)
        status = mark_error(parse, event->start_mark, "nested deeper than %d levels", DEEPEST);
    if (status == 0) {
        node->line = (int)event->start_mark.line + 1;
        node->column = (int)event->start_mark.column + 1;
        switch (event->type) {
        case YAML_SCALAR_EVENT:
            fancy = event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
            node->kind = YAML_SCALAR;
            node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
            node->text = arena_strdup(parse->arena, (str){(const char *)event->data.scalar.value, event->data.scalar.length});
            if (node->text == NULL)
                status = mark_error(parse, event->start_mark, "the document is too large");
            else if (strlen(node->text) != event->data.scalar.length)
                status = mark_error(parse, event->start_mark, "contains a NUL character");
            break;
        case YAML_SEQUENCE_START_EVENT:
            fancy = event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
            node->kind = YAML_LIST;
            break;
        case YAML_MAPPING_START_EVENT:
            fancy = event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
            node->kind = YAML_MAP;
            break;
        case YAML_ALIAS_EVENT:
            fancy = true;
            break;
        default:
            status = mark_error(parse, event->start_mark, "unexpected end");
        }
        if (status == 0 && fancy)
            status = mark_error(parse, event->start_mark, "anchors, aliases and tags are not part of the language");
    }
    yaml_event_delete(event);
    if (status == 0 && node->kind != YAML_SCALAR)
        status = parse_children(parse, node, depth + 1);
    *out = node;
    return status;
}

static int parse_document(struct parse *parse, struct yaml_tree **out)
{
    yaml_event_t event;
    for (;;) {
        int status = next_event(parse, &event);
        if (status < 0)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_END_EVENT) {
            status = mark_error(parse, event.start_mark, "the document is empty");
            yaml_event_delete(&event);
            return status;
        }
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            break;
        yaml_event_delete(&event);
    }
    int status = parse_node(parse, &event, 0, out);
    if (status < 0)
        return status;
    for (;;) {
        status = next_event(parse, &event);
        if (status < 0)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT)
            status = mark_error(parse, event.start_mark, "a second document begins here");
        yaml_event_delete(&event);
        if (status < 0 || type == YAML_STREAM_END_EVENT)
            return status;
    }
}

int yaml_tree_parse(struct yaml_tree **out, const char *name, str yaml, struct arena *arena, struct error *err)
{
    if (yaml.n > LARGEST_YAML)
        return error_set(err, WEIR_E_LIMIT, name, "larger than %d bytes", LARGEST_YAML);
    struct parse parse = {.name = name, .arena = arena, .err = err};
    if (!yaml_parser_initialize(&parse.parser))
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    str text = str_after_mark(yaml);
    yaml_parser_set_input_string(&parse.parser, (const unsigned char *)(text.data != NULL ? text.data : ""), text.n);
    yaml_parser_set_encoding(&parse.parser, YAML_UTF8_ENCODING);
    int status = parse_document(&parse, out);
    yaml_parser_delete(&parse.parser);
    return status;
}

const struct yaml_tree *yaml_member(const struct yaml_tree *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (const struct yaml_tree *child = map->first; child != NULL; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST_WORD + 1], n = strlen(b);
    if (n > LONGEST_WORD || strlen(a) > LONGEST_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            best = row[j + 1] + 1 < best ? row[j + 1] + 1 : best;
            best = row[j] + 1 < best ? row[j] + 1 : best;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    size_t nearest_distance = strlen(word) / 2 + 1;
    for (size_t i = 0; i < n; i++) {
        size_t distance = edit_distance(word, words[i]);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = words[i];
        }
    }
    return nearest;
}

int yaml_known_keys(const char *name, const struct yaml_tree *map, const char *const *keys, struct error *err)
{
    if (map->kind != YAML_MAP)
        return yaml_error(name, map, err, "must be a map of keys");
    size_t n = 0;
    while (keys[n] != NULL)
        n++;
    for (const struct yaml_tree *child = map->first; child != NULL; child = child->next) {
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known = known || strcmp(child->key, keys[i]) == 0;
        if (known)
            continue;
        const char *nearest = nearest_word(child->key, keys, n);
        struct yaml_tree place = {.line = child->key_line, .column = child->key_column};
        if (nearest != NULL)
            return yaml_error(name, &place, err, "unknown key \"%s\"; did you mean \"%s\"?", child->key, nearest);
        return yaml_error(name, &place, err, "unknown key \"%s\"", child->key);
    }
    return 0;
}
