/* See local_model.h. */
#include "request/local_model.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

/* ".../SmolLM2-135M-Instruct.Q4_1.gguf" is "SmolLM2-135M-Instruct.Q4_1": names inside files are often nobody's choice. */
static void name_by_path(char *out, size_t n_out, const char *path)
{
    str name = str_of(path);
    while (str_ends(name, STR("/")))
        name.n--;
    for (size_t i = name.n; i > 0; i--) {
        if (name.data[i - 1] == '/') {
            name = (str){name.data + i, name.n - i};
            break;
        }
    }
    if (str_ends(name, STR(".gguf")))
        name.n -= 5;
    str_copy(out, n_out, name);
}

static int ignore_logits(void *user, size_t position, const float *logits)
{
    return 0;
}

static int open_parts(struct local_model *local, const char *path, const struct config_serving *serving, const struct config *config, struct error *err)
{
    const int32_t first = 0;
    struct model_options options = {.precision = config->precision, .n_threads = config->threads, .kv_type = serving->kv,
                                    .kv_budget_bytes = (size_t)serving->kv_budget_bytes};
    int status = model_open(&local->model, path, &options, err);
    if (status == 0 && model_info_peek(local->model)->kind != MODEL_DECODER)
        status = error_set(err, WEIR_E_INVALID, path, "must be a decoder: a model that generates");
    for (int i = 0; i < serving->n_adapters && status == 0; i++)
        status = model_adapter_open(local->model, serving->adapters[i].name, serving->adapters[i].path, err);
    struct model_options for_draft = {.precision = config->precision, .n_threads = config->threads};
    if (status == 0 && serving->speculation == SPECULATE_DRAFT)
        status = model_open(&local->draft, serving->draft_path, &for_draft, err);
    if (status == 0)
        status = model_logits(local->model, &first, 1, ignore_logits, NULL, err);
    struct engine_options engine = {.max_sessions = config->limits.max_sessions, .max_waiting = config->limits.max_waiting,
                                    .speculation = serving->speculation, .draft = local->draft};
    return status < 0 ? status : engine_start(&local->engine, local->model, &engine, err);
}

int local_model_open(struct local_model *out, const char *name, const char *path, const struct config_serving *serving, const struct config *config,
                     struct error *err)
{
    int64_t started = clock_now_us();
    *out = (struct local_model){.model = NULL};
    if (name != NULL)
        str_copy(out->name, sizeof out->name, str_of(name));
    else
        name_by_path(out->name, sizeof out->name, path);
    int status = open_parts(out, path, serving, config, err);
    if (status < 0) {
        local_model_close(out);
        return status;
    }
    const struct model_info *info = model_info_peek(out->model);
    log_event(LOG_INFO, "model_open", "%s: %s, %lld parameters, context %d, %lld ms", out->name, info->architecture, (long long)info->n_parameters,
              info->n_context, (long long)((clock_now_us() - started) / 1000));
    return 0;
}

void local_model_close(struct local_model *local)
{
    if (local->engine != NULL)
        engine_stop(local->engine);
    model_close(local->draft);
    model_close(local->model);
    local->engine = NULL;
    local->model = local->draft = NULL;
}

static int64_t file_bytes(const char *path)
{
    struct stat about;
    if (stat(path, &about) < 0)
        return 0;
    if (!S_ISDIR(about.st_mode))
        return about.st_size;
    int64_t n = 0;
    char inside[4096];
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (str_ends(str_of(entry->d_name), STR(".safetensors")) && snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < (int)sizeof inside &&
            stat(inside, &about) == 0)
            n += about.st_size;
    if (dir != NULL)
        closedir(dir);
    return n;
}

int64_t local_model_bytes(const char *path, const struct config_serving *serving)
{
    int64_t n = file_bytes(path) + serving->kv_budget_bytes;
    if (serving->draft_path != NULL)
        n += file_bytes(serving->draft_path);
    for (int i = 0; i < serving->n_adapters; i++)
        n += file_bytes(serving->adapters[i].path);
    return n;
}
