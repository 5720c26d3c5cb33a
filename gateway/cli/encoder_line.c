/* Encoder line: JSON in, encoder input out. */
#include "cli/encoder_line.h"

static int read_types(const json_t *line, struct encoder_line *out, struct error *err)
{
    const json_t *types = json_object_get(line, "token_type_ids");
    if (types == NULL || json_is_null(types))
        return 0;
    int status = jsonl_ids(line, "token_type_ids", &out->types.data, &out->types.n, err);
    if (status == 0 && out->types.n != out->ids.n)
        status = error_set(err, WEIR_E_INVALID, "token_type_ids", "has %zu elements, ids has %zu", out->types.n, out->ids.n);
    return status;
}

int encoder_line_read(const struct model *model, const json_t *line, struct encoder_line *out, struct error *err)
{
    str text, pair;
    *out = (struct encoder_line){0};
    int has_text = json_member_str(line, "text", &text, err);
    int has_pair = json_member_str(line, "pair", &pair, err);
    if (has_text < 0 || has_pair < 0)
        return WEIR_E_INVALID;
    if (has_text == 0) {
        if (json_object_get(line, "ids") == NULL)
            return error_set(err, WEIR_E_INVALID, "text", "a line needs \"text\" or \"ids\"");
        int status = jsonl_ids(line, "ids", &out->ids.data, &out->ids.n, err);
        return status < 0 ? status : read_types(line, out, err);
    }
    if (has_pair == 0)
        return model_text_ids(model, text, &out->ids, err);
    const struct tokenizer *tokenizer = model_tokenizer_peek(model);
    if (tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "pair", "the model has no tokenizer");
    return tokenizer_encode_pair(tokenizer, text, pair, (size_t)model_info_peek(model)->n_context, &out->ids, &out->types, err);
}

void encoder_line_release(struct encoder_line *line)
{
    ids_release(&line->ids);
    ids_release(&line->types);
}

struct encoder_input encoder_line_input(const struct encoder_line *line)
{
    return (struct encoder_input){.ids = line->ids.data, .types = line->types.n > 0 ? line->types.data : NULL, .n = line->ids.n};
}

int encoder_line_open(const char *path, const char *precision, int64_t n_threads, struct model **out, struct error *err)
{
    char whole[4096];
    struct model_options options = {.n_threads = (int)n_threads};
    int status = cli_precision(precision, &options.precision, err);
    if (status == 0)
        status = cli_encoder_model(path, whole, sizeof whole, err);
    if (status == 0)
        status = model_open(out, whole, &options, err);
    if (status < 0)
        return status;
    if (model_info_peek(*out)->kind != MODEL_ENCODER) {
        model_close(*out);
        *out = NULL;
        return error_set(err, WEIR_E_UNSUPPORTED, whole, "is no encoder");
    }
    return 0;
}

void encoder_line_floats(struct buffer *out, const float *values, size_t n)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buffer_append_char(out, ',');
        jsonl_float(out, values[i]);
    }
    buffer_append_char(out, ']');
}
