/* See rewrite.h. */
#include "model/rewrite.h"
#include "model/convert.h"
#include "model/model.h"

#include <stdlib.h>
#include <unistd.h>

int rewrite_layer_of(const char *name, const char **rest)
{
    *rest = name;
    if (strncmp(name, "blk.", 4) != 0)
        return -1;
    char *end;
    long layer = strtol(name + 4, &end, 10);
    if (end == name + 4 || *end != '.' || layer < 0 || layer >= DECODER_MAX_LAYERS)
        return -1;
    *rest = end + 1;
    return (int)layer;
}

/* GGUF beside the file to come, for a directory. */
static int convert_first(struct rewrite *rewrite, const char *out, struct error *err)
{
    size_t n = strlen(out) + sizeof ".source";
    rewrite->made = malloc(n);
    if (rewrite->made == NULL)
        return error_set(err, WEIR_E_MEMORY, out, "no memory");
    snprintf(rewrite->made, n, "%s.source", out);
    return convert_directory(rewrite->in, NULL, rewrite->made, TENSOR_F16, false, err);
}

int rewrite_open(struct rewrite *rewrite, const char *in, const char *out, str text, double *perplexity, struct error *err)
{
    size_t n_tokens;
    *rewrite = (struct rewrite){.in = in};
    gguf_builder_init(&rewrite->builder, err);
    int status = file_is_directory(in) ? convert_first(rewrite, out, err) : 0;
    if (status == 0)
        status = model_open(&rewrite->model, rewrite->made != NULL ? rewrite->made : in, &(struct model_options){.precision = PRECISION_EXACT}, err);
    if (status == 0 && (rewrite->decoder = model_decoder(rewrite->model)) == NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, in, "is no generating model");
    if (status == 0 && decoder_gguf_name(rewrite->decoder) == NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, in, "GGUF has no architecture for it");
    if (status < 0)
        return status;
    rewrite->file = rewrite->decoder->loader.file;
    status = activity_start(&rewrite->activity, rewrite->decoder, err);
    if (status == 0)
        status = model_perplexity(rewrite->model, text, perplexity, &n_tokens, err);
    int stopped = status == 0 ? activity_stop(&rewrite->activity, err) : activity_stop(&rewrite->activity, NULL);
    rewrite->edited = *rewrite->decoder;
    return status < 0 ? status : stopped;
}

void rewrite_add_keys(struct rewrite *rewrite)
{
    const char *name = decoder_gguf_name(&rewrite->edited);
    str old = model_file_architecture(rewrite->file);
    char prefix[96], older[96];
    snprintf(prefix, sizeof prefix, "%s.", name);
    snprintf(older, sizeof older, "%.*s.", (int)(old.n < 80 ? old.n : 80), old.data);
    const char *const but[] = {"general.architecture", prefix, older, "weir.norm_topk_prob", "weir.router_jitter_noise", "weir.rope_layers"};
    gguf_key_str(&rewrite->builder, "general.architecture", str_of(name));
    gguf_keys_copy(&rewrite->builder, model_file_gguf(rewrite->file), but, sizeof but / sizeof *but);
    decoder_add_keys(&rewrite->edited, &rewrite->builder);
}

static int check(void *user, const char *path, struct error *err)
{
    const struct rewrite *rewrite = user;
    return decoder_check_same(&rewrite->edited, path, err);
}

int rewrite_write(struct rewrite *rewrite, const char *out, struct error *err)
{
    return gguf_builder_write(&rewrite->builder, out, check, rewrite);
}

void rewrite_close(struct rewrite *rewrite)
{
    activity_release(&rewrite->activity);
    gguf_builder_release(&rewrite->builder);
    model_close(rewrite->model);
    if (rewrite->made != NULL)
        unlink(rewrite->made);
    free(rewrite->made);
}
