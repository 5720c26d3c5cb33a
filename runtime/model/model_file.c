/* Model file: opens what a path names, a GGUF file (with its other parts when it is split) or a Hugging Face directory
 * (config.json, model.safetensors or the shards that model.safetensors.index.json lists), and finds tensors by name.
 *
 * Invariant: all tensors of all parts are in one table sorted by name, without duplicates; a split or sharded model is
 * whole or an error. A directory without weights opens too (its tokenizer may be wanted alone): what needs a tensor says
 * that it is missing. Immutable once open. A split part is named <prefix>-00001-of-00003.gguf and says split.no,
 * split.count and split.tensors.count (of the whole). */
#include "model/model_file.h"
#include "model/gguf.h"
#include "model/safetensors.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_PARTS = 1024, MAX_CONFIG_BYTES = 16 << 20, MAX_INDEX_BYTES = 64 << 20 };

struct model_file {
    char *path;
    struct gguf **ggufs; /* Parts; NULL for a directory. */
    struct safetensors **shards;
    size_t n_parts;
    json_t *config; /* Of a directory. */
    const struct tensor **tensors; /* In the order of the parts. */
    const struct tensor **by_name;
    size_t n_tensors;
};

bool model_file_is_gguf(const struct model_file *file)
{
    return file->ggufs != NULL;
}

const char *model_file_path(const struct model_file *file)
{
    return file->path;
}

const struct gguf *model_file_gguf(const struct model_file *file)
{
    return file->ggufs != NULL ? file->ggufs[0] : NULL;
}

const json_t *model_file_config(const struct model_file *file)
{
    return file->config;
}

str model_file_architecture(const struct model_file *file)
{
    str architecture = {NULL, 0};
    int found = file->ggufs != NULL ? gguf_str(file, "general.architecture", &architecture, NULL)
                                    : json_member_str(file->config, "model_type", &architecture, NULL);
    return found == 1 ? architecture : (str){NULL, 0};
}

size_t model_file_n_tensors(const struct model_file *file)
{
    return file->n_tensors;
}

const struct tensor *model_file_tensor_at(const struct model_file *file, size_t index)
{
    return index < file->n_tensors ? file->tensors[index] : NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct tensor *const *)a)->name, (*(const struct tensor *const *)b)->name);
}

const struct tensor *model_file_tensor(const struct model_file *file, const char *name)
{
    const struct tensor wanted = {.name = name}, *key = &wanted;
    if (file->n_tensors == 0)
        return NULL;
    const struct tensor **found = bsearch(&key, file->by_name, file->n_tensors, sizeof *file->by_name, compare_names);
    return found != NULL ? *found : NULL;
}

bool model_file_sibling(const struct model_file *file, const char *name, char *out, size_t n_out)
{
    if (file->ggufs != NULL)
        return false;
    int n = snprintf(out, n_out, "%s/%s", file->path, name);
    return n >= 0 && (size_t)n < n_out && file_exists(out);
}

static size_t part_n_tensors(const struct model_file *file, size_t part)
{
    return file->ggufs != NULL ? file->ggufs[part]->n_tensors : safetensors_n(file->shards[part]);
}

static const struct tensor *part_tensor(const struct model_file *file, size_t part, size_t index)
{
    return file->ggufs != NULL ? &file->ggufs[part]->tensors[index] : safetensors_at(file->shards[part], index);
}

/* Fills the two tables from all parts. */
static int index_tensors(struct model_file *file, struct error *err)
{
    size_t n = 0;
    for (size_t part = 0; part < file->n_parts; part++)
        n += part_n_tensors(file, part);
    file->tensors = calloc(n + 1, sizeof *file->tensors);
    file->by_name = calloc(n + 1, sizeof *file->by_name);
    if (file->tensors == NULL || file->by_name == NULL)
        return error_set(err, WEIR_E_MEMORY, file->path, "no memory for %zu tensors", n);
    for (size_t part = 0; part < file->n_parts; part++)
        for (size_t i = 0; i < part_n_tensors(file, part); i++)
            file->tensors[file->n_tensors++] = part_tensor(file, part, i);
    memcpy(file->by_name, file->tensors, n * sizeof *file->by_name);
    qsort(file->by_name, n, sizeof *file->by_name, compare_names);
    for (size_t i = 1; i < n; i++) {
        char where[192];
        if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) != 0)
            continue;
        model_where(where, sizeof where, file->path, "tensor", str_of(file->by_name[i]->name));
        return error_set(err, WEIR_E_INVALID, where, "is in two parts");
    }
    return 0;
}

/* ------------------------------------------------------------------ GGUF */

/* An integer of one part's split.* keys; absent is `otherwise`. */
static int split_number(const struct gguf *part, const char *path, const char *key, int64_t otherwise, int64_t *out, struct error *err)
{
    const struct gguf_value *value = gguf_find(part, str_of(key));
    char where[192];
    *out = otherwise;
    if (value == NULL || (value->type != GGUF_ARRAY && gguf_value_i64(value, 0, out)))
        return 0;
    model_where(where, sizeof where, path, "key", value->key);
    return error_set(err, WEIR_E_INVALID, where, "must be an integer, is %s", gguf_type_name(value->type));
}

static int open_part(struct model_file *file, const char *path, int64_t number, int64_t count, struct error *err)
{
    int64_t its_number, its_count;
    int status = gguf_open(&file->ggufs[number], path, err);
    if (status < 0)
        return status;
    file->n_parts++;
    status = split_number(file->ggufs[number], path, "split.no", -1, &its_number, err);
    if (status == 0)
        status = split_number(file->ggufs[number], path, "split.count", -1, &its_count, err);
    if (status == 0 && (its_number != number || its_count != count))
        status = error_set(err, WEIR_E_INVALID, path, "says it is part %" PRId64 " of %" PRId64 " (counted from 0); part %" PRId64 " of %" PRId64 " is expected here",
                           its_number, its_count, number, count);
    return status;
}

/* The other parts of a split model whose first part is open. */
static int open_other_parts(struct model_file *file, struct error *err)
{
    int64_t count, number, n_tensors;
    int status = split_number(file->ggufs[0], file->path, "split.count", 0, &count, err);
    if (status == 0)
        status = split_number(file->ggufs[0], file->path, "split.no", 0, &number, err);
    if (status == 0)
        status = split_number(file->ggufs[0], file->path, "split.tensors.count", -1, &n_tensors, err);
    if (status < 0 || (count <= 1 && number == 0))
        return status;
    if (count < 1 || count > MAX_PARTS || number < 0 || number >= count)
        return error_set(err, WEIR_E_INVALID, file->path, "says it is part %" PRId64 " of %" PRId64 " (at most %d parts)", number, count, MAX_PARTS);
    if (number != 0)
        return error_set(err, WEIR_E_INVALID, file->path, "is part %" PRId64 " of %" PRId64 ": open the first part", number + 1, count);

    char ending[64], path[PATH_MAX];
    snprintf(ending, sizeof ending, "-00001-of-%05" PRId64 ".gguf", count);
    str whole = str_of(file->path);
    if (!str_ends(whole, str_of(ending)))
        return error_set(err, WEIR_E_INVALID, file->path, "is the first of %" PRId64 " parts, so its name must end in %s", count, ending);
    struct gguf **ggufs = realloc(file->ggufs, (size_t)count * sizeof *ggufs);
    if (ggufs == NULL)
        return error_set(err, WEIR_E_MEMORY, file->path, "no memory");
    file->ggufs = ggufs;
    int n_prefix = (int)(whole.n - strlen(ending));
    for (int64_t part = 1; part < count; part++) {
        if (snprintf(path, sizeof path, "%.*s-%05" PRId64 "-of-%05" PRId64 ".gguf", n_prefix, file->path, part + 1, count) >= (int)sizeof path)
            return error_set(err, WEIR_E_INVALID, file->path, "path too long");
        status = open_part(file, path, part, count, err);
        if (status < 0)
            return status;
    }
    size_t found = 0;
    for (size_t part = 0; part < file->n_parts; part++)
        found += file->ggufs[part]->n_tensors;
    if (n_tensors >= 0 && (size_t)n_tensors != found)
        return error_set(err, WEIR_E_INVALID, file->path, "key split.tensors.count says %" PRId64 " tensors, the parts hold %zu", n_tensors, found);
    return 0;
}

static int open_gguf(struct model_file *file, struct error *err)
{
    file->ggufs = calloc(1, sizeof *file->ggufs);
    if (file->ggufs == NULL)
        return error_set(err, WEIR_E_MEMORY, file->path, "no memory");
    int status = gguf_open(&file->ggufs[0], file->path, err);
    if (status < 0)
        return status;
    file->n_parts = 1;
    return open_other_parts(file, err);
}

/* ------------------------------------------------------------------ Hugging Face directory */

/* Reads and parses one JSON file, which must hold an object. */
static int read_object(const char *path, size_t max_bytes, json_t **out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, max_bytes);
    int status = file_read(path, &text, err);
    if (status == 0) {
        *out = json_parse(str_after_mark(buffer_str(&text)), err);
        if (*out == NULL)
            status = error_prefix(err, path);
        else if (!json_is_object(*out))
            status = error_set(err, WEIR_E_INVALID, path, "must hold a JSON object");
    }
    buffer_release(&text);
    return status < 0 ? status : 0;
}

static int add_shard(struct model_file *file, const char *path, struct error *err)
{
    struct safetensors **shards = realloc(file->shards, (file->n_parts + 1) * sizeof *shards);
    if (shards == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    file->shards = shards;
    int status = safetensors_open(&file->shards[file->n_parts], path, err);
    if (status == 0)
        file->n_parts++;
    return status;
}

/* Opens each file that weight_map names once. Names are checked to be plain: a map never leads out of the directory. */
static int open_shards(struct model_file *file, const char *index_path, const json_t *index, struct error *err)
{
    json_t *map = json_object_get(index, "weight_map"), *name, *opened = json_object();
    const char *tensor;
    char path[PATH_MAX];
    int status = 0;
    if (opened == NULL)
        return error_set(err, WEIR_E_MEMORY, index_path, "no memory");
    if (!json_is_object(map))
        status = error_set(err, WEIR_E_INVALID, index_path, "weight_map: must be an object");
    json_object_foreach(map, tensor, name) {
        const char *shard = json_string_value(name);
        if (status < 0)
            break;
        if (shard == NULL || shard[0] == '.' || shard[0] == '\0' || strchr(shard, '/') != NULL || strlen(shard) != json_string_length(name))
            status = error_set(err, WEIR_E_INVALID, index_path, "weight_map.%.100s: must be the name of a file in this directory", tensor);
        else if (json_object_get(opened, shard) != NULL)
            continue;
        else if (json_object_size(opened) == MAX_PARTS)
            status = error_set(err, WEIR_E_LIMIT, index_path, "names more than %d files", MAX_PARTS);
        else if (!model_file_sibling(file, shard, path, sizeof path))
            status = error_set(err, WEIR_E_NOT_FOUND, index_path, "names %.100s, which is not there", shard);
        else if (json_object_set_new(opened, shard, json_true()) < 0)
            status = error_set(err, WEIR_E_MEMORY, index_path, "no memory");
        else
            status = add_shard(file, path, err);
    }
    if (status == 0)
        status = index_tensors(file, err);
    if (status == 0) {
        json_object_foreach(map, tensor, name) {
            if (model_file_tensor(file, tensor) == NULL && status == 0)
                status = error_set(err, WEIR_E_INVALID, index_path, "weight_map: tensor %.100s is in none of the files", tensor);
        }
    }
    json_decref(opened);
    return status;
}

static int open_weights(struct model_file *file, struct error *err)
{
    char path[PATH_MAX];
    int status = 0;
    if (model_file_sibling(file, "model.safetensors", path, sizeof path)) {
        status = add_shard(file, path, err);
    } else if (model_file_sibling(file, "model.safetensors.index.json", path, sizeof path)) {
        json_t *index = NULL;
        status = read_object(path, MAX_INDEX_BYTES, &index, err);
        if (status == 0)
            status = open_shards(file, path, index, err);
        json_decref(index);
        return status;
    }
    return status < 0 ? status : index_tensors(file, err);
}

static int open_directory(struct model_file *file, struct error *err)
{
    char path[PATH_MAX];
    int status = 0;
    if (model_file_sibling(file, "config.json", path, sizeof path))
        status = read_object(path, MAX_CONFIG_BYTES, &file->config, err);
    else if (model_file_sibling(file, "tokenizer.json", path, sizeof path) || model_file_sibling(file, "vocab.txt", path, sizeof path) ||
             model_file_sibling(file, "tokenizer.model", path, sizeof path))
        file->config = json_object(); /* A vocabulary alone. */
    else
        return error_set(err, WEIR_E_NOT_FOUND, file->path, "a directory without config.json or a tokenizer is no model");
    if (status == 0 && file->config == NULL)
        status = error_set(err, WEIR_E_MEMORY, file->path, "no memory");
    return status < 0 ? status : open_weights(file, err);
}

int model_file_open(struct model_file **out, const char *path, struct error *err)
{
    *out = NULL;
    struct model_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    }
    int status;
    if (file_is_directory(path)) {
        status = open_directory(file, err);
    } else {
        status = open_gguf(file, err);
        if (status == 0)
            status = index_tensors(file, err);
    }
    if (status < 0) {
        model_file_close(file);
        return status;
    }
    *out = file;
    return 0;
}

int model_file_of_gguf(struct model_file **out, struct gguf *gguf_take, const char *name, struct error *err)
{
    *out = NULL;
    struct model_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(name)) == NULL || (file->ggufs = calloc(1, sizeof *file->ggufs)) == NULL) {
        gguf_close(gguf_take);
        model_file_close(file);
        return error_set(err, WEIR_E_MEMORY, name, "no memory");
    }
    file->ggufs[0] = gguf_take;
    file->n_parts = 1;
    int status = index_tensors(file, err);
    if (status < 0) {
        model_file_close(file);
        return status;
    }
    *out = file;
    return 0;
}

void model_file_close(struct model_file *file)
{
    if (file == NULL)
        return;
    for (size_t part = 0; part < file->n_parts; part++) {
        if (file->ggufs != NULL)
            gguf_close(file->ggufs[part]);
        else
            safetensors_close(file->shards[part]);
    }
    free(file->ggufs);
    free(file->shards);
    free(file->tensors);
    free(file->by_name);
    json_decref(file->config);
    free(file->path);
    free(file);
}
