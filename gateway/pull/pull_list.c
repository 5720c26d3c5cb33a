/* deploy/models.yaml: the models known by name. Paths in it must stay below the cache; digests must be whole. */
#include "pull/pull.h"

#include "config/yaml_doc.h"

static const struct yaml_field file_fields[] = {
    {"from", YAML_TEXT, offsetof(struct pull_file, from), .required = true},
    {"to", YAML_TEXT, offsetof(struct pull_file, to)},
    {"bytes", YAML_BYTES, offsetof(struct pull_file, bytes), .min = 0, .max = 1e13, .required = true},
    {"sha256", YAML_TEXT, offsetof(struct pull_file, sha256), .required = true},
    {NULL},
};

/* Relative, without "..": what is written stays where it belongs. */
static bool path_stays_inside(const char *path)
{
    str rest = str_of(path), part;
    if (path[0] == '/' || path[0] == '\0')
        return false;
    while (str_split(&rest, '/', &part))
        if (part.n == 0 || str_equal(part, STR("..")) || str_equal(part, STR(".")))
            return false;
    return true;
}

static int read_files(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct pull_model *model = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_doc_fail(tree, node, err, "files: must be a list");
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_doc_node(tree, *item);
        uint8_t digest[SHA256_BYTES];
        if (model->n_files == PULL_MAX_FILES)
            return yaml_doc_fail(tree, entry, err, "files: at most %d are taken", PULL_MAX_FILES);
        struct pull_file *file = &model->files[model->n_files++];
        int status = yaml_doc_read(tree, entry, file_fields, file, "a file", err);
        if (status < 0)
            return status;
        if (file->to == NULL)
            file->to = file->from;
        if (!path_stays_inside(file->from) || !path_stays_inside(file->to))
            return yaml_doc_fail(tree, entry, err, "from and to must be relative paths without \"..\"");
        if (hex_decode(str_of(file->sha256), digest, sizeof digest) < 0)
            return yaml_doc_fail(tree, entry, err, "sha256: must be 64 hex digits");
    }
    return 0;
}

static const struct yaml_field model_fields[] = {
    {"name", YAML_TEXT, offsetof(struct pull_model, name), .required = true},
    {"role", YAML_TEXT, offsetof(struct pull_model, role), .required = true},
    {"licence", YAML_TEXT, offsetof(struct pull_model, licence), .required = true},
    {"package", YAML_TEXT, offsetof(struct pull_model, package), .required = true},
    {"version", YAML_TEXT, offsetof(struct pull_model, version), .required = true},
    {"archive", YAML_TEXT, offsetof(struct pull_model, archive)},
    {"folder", YAML_TEXT, offsetof(struct pull_model, folder), .required = true},
    {"files", YAML_CUSTOM, 0, .read = read_files, .required = true},
    {NULL},
};

/* A package's name or version goes to a command line: plain characters, no leading dash. */
static bool word_is_plain(const char *word)
{
    for (const char *c = word; *c != '\0'; c++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c) == NULL)
            return false;
    return word[0] != '-' && word[0] != '\0';
}

static int read_models(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct pull_list *list = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_doc_fail(tree, node, err, "models: must be a list");
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_doc_node(tree, *item);
        if (list->n_models == PULL_MAX_MODELS)
            return yaml_doc_fail(tree, entry, err, "models: at most %d are taken", PULL_MAX_MODELS);
        struct pull_model *model = &list->models[list->n_models++];
        int status = yaml_doc_read(tree, entry, model_fields, model, "a model", err);
        if (status < 0)
            return status;
        if (!path_stays_inside(model->folder) || (model->archive != NULL && !path_stays_inside(model->archive)))
            return yaml_doc_fail(tree, entry, err, "folder and archive must be relative paths without \"..\"");
        if (!word_is_plain(model->package) || !word_is_plain(model->version))
            return yaml_doc_fail(tree, entry, err, "package and version must be plain words");
    }
    return 0;
}

static const struct yaml_field list_fields[] = {{"models", YAML_CUSTOM, 0, .read = read_models, .required = true}, {NULL}};

int pull_list_open(struct pull_list *list, const char *path, struct error *err)
{
    struct buffer text;
    struct yaml_doc tree;
    memset(list, 0, sizeof *list);
    arena_init(&list->arena, 8 << 20);
    buffer_init(&text, YAML_MAX_BYTES + 1);
    int status = file_read(path, &text, err);
    if (status == 0)
        status = yaml_doc_parse(&tree, path, NULL, buffer_str(&text), &list->arena, err);
    if (status == 0) {
        yaml_node_t *root = yaml_doc_root(&tree);
        status = root == NULL ? error_set(err, WEIR_E_INVALID, path, "is empty") : yaml_doc_read(&tree, root, list_fields, list, "the list of models", err);
        yaml_doc_release(&tree);
    }
    buffer_release(&text);
    if (status < 0)
        pull_list_release(list);
    return status;
}

void pull_list_release(struct pull_list *list)
{
    arena_release(&list->arena);
}
