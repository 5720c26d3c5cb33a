/* tokenizer.json: "post_processor" and "decoder". */
#include "tokenizer/tokenizer_json.h"

static int frame_push(const struct json_source *source, struct frame *frame, struct frame_part part)
{
    if (frame->n == TOKENIZER_MAX_FRAME)
        return json_fail(source, WEIR_E_LIMIT, NULL, "more than %d parts", TOKENIZER_MAX_FRAME);
    frame->parts[frame->n++] = part;
    return 0;
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}}: the ids are in special_tokens. */
static int template_token(const struct json_source *source, const json_t *component, const json_t *token, int type, struct frame *frame)
{
    str name;
    if (json_member_str(token, "id", &name, NULL) != 1)
        return json_fail(source, WEIR_E_INVALID, "id", "must be a string");
    const json_t *ids = json_object_get(json_object_get(json_object_get(component, "special_tokens"), name.data), "ids");
    if (!json_is_array(ids))
        return json_fail(source, WEIR_E_INVALID, "special_tokens", "has no ids for a token of the template");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || !vocabulary_has(&source->tokenizer->vocabulary, json_integer_value(id)))
            return json_fail(source, WEIR_E_INVALID, "special_tokens", "an id is out of range");
        int status = frame_push(source, frame, (struct frame_part){FRAME_TOKEN, (int32_t)json_integer_value(id), type});
        if (status < 0)
            return status;
    }
    return 0;
}

static int read_template(const struct json_source *source, const json_t *component, const char *name, struct frame *frame)
{
    const json_t *list = json_object_get(component, name);
    if (!json_is_array(list))
        return json_fail(source, WEIR_E_INVALID, name, "must be an array");
    frame->n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i), *token = json_object_get(item, "SpecialToken"),
                     *sequence = json_object_get(item, "Sequence");
        int type = 0, status;
        str which;
        if ((status = json_read_int(source, token != NULL ? token : sequence, "type_id", &type)) < 0)
            return status;
        if (token != NULL)
            status = template_token(source, component, token, type, frame);
        else if (json_member_str(sequence, "id", &which, NULL) == 1)
            status = frame_push(source, frame, (struct frame_part){str_equal(which, STR("B")) ? FRAME_B : FRAME_A, -1, type});
        else
            status = json_fail(source, WEIR_E_INVALID, name, "element %zu is neither SpecialToken nor Sequence", i);
        if (status < 0)
            return status;
    }
    return 0;
}

/* "sep": ["[SEP]", 102] */
static int read_named_id(const struct json_source *source, const json_t *component, const char *name, int32_t *out)
{
    const json_t *id = json_array_get(json_object_get(component, name), 1);
    if (!json_is_integer(id) || !vocabulary_has(&source->tokenizer->vocabulary, json_integer_value(id)))
        return json_fail(source, WEIR_E_INVALID, name, "must be [text, id] with an id of the vocabulary");
    *out = (int32_t)json_integer_value(id);
    return 0;
}

int json_read_processor(struct json_source *source, const json_t *component, int depth)
{
    struct tokenizer *tokenizer = source->tokenizer;
    if (json_is_null(component))
        return 0;
    str type;
    int status = json_component_type(source, component, &type);
    if (status < 0 || str_equal(type, STR("ByteLevel")))
        return status;
    if (str_equal(type, STR("Sequence")))
        return json_each(source, component, "processors", depth, json_read_processor);
    if (str_equal(type, STR("TemplateProcessing"))) {
        status = read_template(source, component, "single", &tokenizer->single);
        return status < 0 ? status : read_template(source, component, "pair", &tokenizer->pair);
    }
    bool roberta = str_equal(type, STR("RobertaProcessing"));
    if (!roberta && !str_equal(type, STR("BertProcessing")))
        return json_fail(source, WEIR_E_UNSUPPORTED, "type", "post-processor \"%.40s\" is not known", type.data);
    int32_t start = -1, end = -1;
    if ((status = read_named_id(source, component, "cls", &start)) < 0 ||
        (status = read_named_id(source, component, "sep", &end)) < 0)
        return status;
    tokenizer_set_frame(tokenizer, start, end, !roberta);
    if (roberta) { /* Two separators between the texts of a pair. */
        struct frame *pair = &tokenizer->pair;
        memmove(&pair->parts[4], &pair->parts[3], 2 * sizeof *pair->parts);
        pair->parts[3] = pair->parts[2];
        pair->n = 6;
    }
    return 0;
}

static int add_decode(const struct json_source *source, enum decode_kind kind, struct decode_step **out)
{
    *out = decoding_add(&source->tokenizer->decoding, kind);
    return *out != NULL ? 0 : json_fail(source, WEIR_E_LIMIT, NULL, "more than %d steps", DECODING_MAX_STEPS);
}

static int read_strip(const struct json_source *source, const json_t *component)
{
    struct decode_step *step;
    int status = add_decode(source, DECODE_STRIP, &step);
    if (status < 0)
        return status;
    step->text = STR(" ");
    step->whole = source->fused;
    if ((status = json_read_text(source, component, "content", &step->text)) < 0 ||
        (status = json_read_int(source, component, "start", &step->left)) < 0)
        return status;
    return json_read_int(source, component, "stop", &step->right);
}

int json_read_decoder(struct json_source *source, const json_t *component, int depth)
{
    if (json_is_null(component))
        return 0;
    str type;
    struct decode_step *step;
    int status = json_component_type(source, component, &type);
    if (status < 0)
        return status;
    if (str_equal(type, STR("Sequence")))
        return json_each(source, component, "decoders", depth, json_read_decoder);
    if (str_equal(type, STR("ByteLevel")))
        return add_decode(source, DECODE_BYTES, &step);
    if (str_equal(type, STR("ByteFallback")))
        return add_decode(source, DECODE_FALLBACK, &step);
    if (str_equal(type, STR("Fuse"))) {
        source->fused = true;
        return 0;
    }
    if (str_equal(type, STR("Strip")))
        return read_strip(source, component);
    if (str_equal(type, STR("Replace"))) {
        if ((status = add_decode(source, DECODE_REPLACE, &step)) < 0 ||
            (status = json_read_pattern(source, component, &step->text, &step->regex)) < 0)
            return status;
        return json_read_text(source, component, "content", &step->content);
    }
    if (str_equal(type, STR("Metaspace"))) {
        str scheme = STR("always");
        bool front = true;
        if ((status = add_decode(source, DECODE_METASPACE, &step)) < 0)
            return status;
        step->text = STR("\xE2\x96\x81");
        if ((status = json_read_text(source, component, "replacement", &step->text)) < 0 ||
            (status = json_read_text(source, component, "prepend_scheme", &scheme)) < 0 ||
            (status = json_read_bool(source, component, "add_prefix_space", &front)) < 0)
            return status;
        step->first = front && !str_equal(scheme, STR("never"));
        return 0;
    }
    if (str_equal(type, STR("WordPiece"))) {
        if ((status = add_decode(source, DECODE_WORDPIECE, &step)) < 0)
            return status;
        step->text = STR("##");
        step->clean = true;
        status = json_read_text(source, component, "prefix", &step->text);
        return status < 0 ? status : json_read_bool(source, component, "cleanup", &step->clean);
    }
    if (str_equal(type, STR("BPEDecoder"))) {
        if ((status = add_decode(source, DECODE_SUFFIX, &step)) < 0)
            return status;
        step->text = STR("</w>");
        return json_read_text(source, component, "suffix", &step->text);
    }
    return json_fail(source, WEIR_E_UNSUPPORTED, "type", "decoder \"%.40s\" is not known", type.data);
}
