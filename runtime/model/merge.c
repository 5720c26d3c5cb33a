/* model_merge: a LoRA adapter added to the weights, W' = W + s B A. A directory is converted with the adapter in place. A GGUF file is
 * copied key by key and tensor by tensor, but for the matrices that the adapter changes: these are worked out row by row, from
 * the file's own order of rows, and written as floats, since rounding the sum to few bits again would take away most of a change
 * that is small beside the weights. */
#include "decoder/adapter.h"
#include "decoder/convert.h"
#include "model/convert.h"
#include "weir_runtime.h"

/* A tensor that the adapter changes: one delta for each of its matrices, NULL where it leaves one as it is. */
struct changed {
    const struct tensor *tensor;
    struct part {
        struct adapter_delta delta;
        int64_t first_row, n_rows; /* Of the tensor. */
        int delta_row;             /* Of the adapter, at first_row. */
        struct part *next;
    } *parts;
    struct changed *next;
};

struct merge {
    const char *in;
    const char *format; /* NULL: as they are where these are floats, else F16. */
    struct model_file *file;
    struct decoder *decoder;
    struct adapter *adapter;
    struct changed *changed;
    struct gguf_builder builder;
};

static int merged_row(void *user, int64_t row, float *out)
{
    const struct changed *changed = user;
    const struct tensor *tensor = changed->tensor;
    size_t row_bytes = tensor_row_bytes(tensor->type, tensor->ne[0]);
    dequantize_row(tensor->type, (const uint8_t *)tensor->data + (size_t)row * row_bytes, out, tensor->ne[0]);
    for (const struct part *part = changed->parts; part != NULL; part = part->next)
        if (row >= part->first_row && row < part->first_row + part->n_rows)
            return adapter_add(&part->delta, part->delta_row + (int)(row - part->first_row), 1, out);
    return 0;
}

static struct changed *changed_of(const struct merge *merge, const struct tensor *tensor)
{
    for (struct changed *changed = merge->changed; changed != NULL; changed = changed->next)
        if (changed->tensor == tensor)
            return changed;
    return NULL;
}

static int add_part(struct merge *merge, const struct matrix *matrix, const struct adapter_delta *delta, struct error *err)
{
    struct arena *arena = &merge->builder.arena;
    const struct loader *loader = &merge->decoder->loader;
    const struct tensor *tensor = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".weight");
    if (tensor == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, merge->in, "the adapter changes a matrix that has been factorised or packed as int4; merge first");
    if (matrix->weight == W_TOKEN_EMBD)
        return error_set(err, WEIR_E_UNSUPPORTED, merge->in, "the adapter changes the embedding, which can't be merged");
    if (loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".scale") != NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, merge->in, "tensor %s has a scale beside it: its change can't be merged", tensor->name);
    struct changed *changed = changed_of(merge, tensor);
    struct part *part = arena_alloc(arena, sizeof *part);
    if (changed == NULL && (changed = arena_alloc(arena, sizeof *changed)) != NULL) {
        *changed = (struct changed){.tensor = tensor, .next = merge->changed};
        merge->changed = changed;
    }
    if (changed == NULL || part == NULL)
        return error_set(err, WEIR_E_MEMORY, merge->in, "no memory");
    int64_t first = matrix->expert >= 0 && tensor->n_dims == 3 ? matrix->expert * tensor->ne[1] : 0;
    *part = (struct part){*delta, first + matrix->first_row, matrix->n_out, matrix->first_row, changed->parts};
    changed->parts = part;
    return 0;
}

static int find_changes(struct merge *merge, const char *adapter, struct error *err)
{
    int status = adapter_open(&merge->adapter, adapter, err);
    for (size_t i = 0; i < merge->decoder->loader.n_linears && status == 0; i++) {
        const struct matrix *matrix = &merge->decoder->loader.matrices[i];
        struct adapter_delta delta;
        int found = loader_adapter(&merge->decoder->loader, matrix, merge->adapter, &delta, err);
        status = found > 0 ? add_part(merge, matrix, &delta, err) : found;
    }
    return status < 0 ? status : adapter_check_used(merge->adapter, err);
}

static enum tensor_type type_after(const struct merge *merge, const struct tensor *tensor, enum tensor_type wanted)
{
    if (merge->format != NULL)
        return wanted;
    return tensor->type == TENSOR_F32 || tensor->type == TENSOR_BF16 ? tensor->type : TENSOR_F16;
}

static int check(void *user, const char *path, struct error *err)
{
    const struct merge *merge = user;
    return decoder_check_same(merge->decoder, path, err);
}

static int merge_gguf(struct merge *merge, const char *adapter, const char *out, struct error *err)
{
    enum tensor_type wanted = TENSOR_F16;
    struct gguf_builder *builder = &merge->builder;
    int status = merge->format != NULL ? convert_type(merge->format, &wanted, err) : 0;
    if (status == 0)
        status = decoder_open(&merge->decoder, merge->file, &(struct model_options){.precision = PRECISION_EXACT}, err);
    if (status == 0)
        status = find_changes(merge, adapter, err);
    if (status < 0)
        return status;
    gguf_keys_copy(builder, model_file_gguf(merge->file), NULL, 0);
    for (size_t i = 0; i < model_file_n_tensors(merge->file); i++) {
        const struct tensor *tensor = model_file_tensor_at(merge->file, i);
        struct changed *changed = changed_of(merge, tensor);
        if (changed != NULL)
            gguf_add_rows(builder, tensor->name, type_after(merge, tensor, wanted), tensor->n_dims, tensor->ne, merged_row, changed);
        else
            gguf_add_copy(builder, tensor);
    }
    return gguf_builder_write(builder, out, check, merge);
}

int model_merge(const char *in, const char *adapter, const char *out, const char *format, struct error *err)
{
    enum tensor_type type;
    if (file_is_directory(in)) {
        int status = convert_type(format != NULL ? format : "F16", &type, err);
        return status < 0 ? status : convert_directory(in, adapter, out, type, false, err);
    }
    struct merge merge = {.in = in, .format = format};
    gguf_builder_init(&merge.builder, err);
    int status = model_file_open(&merge.file, in, err);
    if (status == 0)
        status = merge_gguf(&merge, adapter, out, err);
    gguf_builder_release(&merge.builder);
    adapter_close(merge.adapter);
    decoder_close(merge.decoder);
    model_file_close(merge.file);
    return status;
}
