/* tokenizer.model: SentencePiece's ModelProto in Protocol Buffers' wire format, read by hand.
 *
 * A message is a run of fields: a varint (number << 3 | wire type), then a varint (0), eight bytes (1), a varint length and
 * so many bytes (2), or four bytes (5). Read are: pieces (1: text 1, score 2, type 3), the trainer's settings (2: model type
 * 3, byte fallback 35, ids of unknown, begin and end 40 to 42) and the normalizer's (3: character map 2, dummy prefix 3,
 * collapse of blanks 4). Unknown fields are passed over. Every length is checked against what is left. */
#include "tokenizer/parts.h"

enum { MODEL_UNIGRAM = 1, MODEL_BPE = 2 };

struct wire_field {
    uint64_t number;
    int type;
    uint64_t value; /* Of a varint, or the bits of a fixed one. */
    str bytes;      /* Of a length-delimited one. */
};

static bool wire_varint(str *in, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && in->n > 0; shift += 7) {
        uint8_t byte = (uint8_t)in->data[0];
        in->data++;
        in->n--;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* 1: a field, 0: the end, -1: broken. */
static int wire_next(str *in, struct wire_field *field)
{
    uint64_t tag, n;
    *field = (struct wire_field){0};
    if (in->n == 0)
        return 0;
    if (!wire_varint(in, &tag))
        return -1;
    field->number = tag >> 3;
    field->type = (int)(tag & 7);
    if (field->type == 0)
        return wire_varint(in, &field->value) ? 1 : -1;
    if (field->type == 2) {
        if (!wire_varint(in, &n) || n > in->n)
            return -1;
    } else if (field->type == 1 || field->type == 5) {
        n = field->type == 1 ? 8 : 4;
        if (n > in->n)
            return -1;
        memcpy(&field->value, in->data, n);
    } else {
        return -1;
    }
    field->bytes = (str){in->data, n};
    in->data += n;
    in->n -= n;
    return 1;
}

struct settings {
    int64_t model, unknown, bos, eos;
    bool byte_fallback, prefix, collapse;
    str charsmap;
};

static bool read_settings(str message, bool trainer, struct settings *out)
{
    struct wire_field field;
    int got;
    while ((got = wire_next(&message, &field)) > 0) {
        if (trainer && field.type == 0) {
            switch (field.number) {
            case 3:
                out->model = (int64_t)field.value;
                break;
            case 35:
                out->byte_fallback = field.value != 0;
                break;
            case 40:
                out->unknown = (int32_t)field.value;
                break;
            case 41:
                out->bos = (int32_t)field.value;
                break;
            case 42:
                out->eos = (int32_t)field.value;
                break;
            }
        } else if (!trainer && field.type == 0 && field.number == 3) {
            out->prefix = field.value != 0;
        } else if (!trainer && field.type == 0 && field.number == 4) {
            out->collapse = field.value != 0;
        } else if (!trainer && field.type == 2 && field.number == 2) {
            out->charsmap = field.bytes;
        }
    }
    return got == 0;
}

static bool read_piece(str message, str *text, float *score, int64_t *kind)
{
    struct wire_field field;
    int got;
    *text = (str){0};
    *score = 0;
    *kind = TOKEN_NORMAL;
    while ((got = wire_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == 2) {
            *text = field.bytes;
        } else if (field.number == 2 && field.type == 5) {
            uint32_t bits = (uint32_t)field.value;
            memcpy(score, &bits, sizeof *score);
        } else if (field.number == 3 && field.type == 0) {
            *kind = (int64_t)field.value;
        }
    }
    return got == 0 && *score == *score && *kind >= TOKEN_NORMAL && *kind <= TOKEN_BYTE && text->n <= VOCABULARY_MAX_TOKEN_BYTES;
}

static int read_pieces(struct tokenizer *tokenizer, str bytes, size_t n, struct error *err)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    int status = vocabulary_init(vocabulary, &tokenizer->arena, n, true, err);
    struct wire_field field;
    for (size_t id = 0; status == 0 && wire_next(&bytes, &field) > 0;) {
        if (field.number != 1 || field.type != 2)
            continue;
        str text;
        int64_t kind;
        float score;
        if (!read_piece(field.bytes, &text, &score, &kind))
            return error_set(err, WEIR_E_INVALID, "pieces", "piece %zu is broken", id);
        vocabulary_set(vocabulary, (int32_t)id, text, (enum token_kind)kind);
        vocabulary->scores[id++] = score;
    }
    if (status == 0)
        vocabulary_find_bytes(vocabulary);
    return status;
}

static int set_model(struct tokenizer *tokenizer, const struct settings *settings, struct error *err)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    if (settings->model == MODEL_BPE) {
        tokenizer->algorithm = ALGORITHM_BPE;
        int status = bpe_init(&tokenizer->bpe, vocabulary, BPE_BY_SCORE, 0, &tokenizer->arena, err);
        tokenizer->bpe.unknown = tokenizer->unknown;
        tokenizer->bpe.byte_fallback = settings->byte_fallback;
        tokenizer->bpe.fuse_unknown = true;
        return status;
    }
    double *scores = arena_array(&tokenizer->arena, vocabulary->n, sizeof *scores);
    if (scores == NULL)
        return error_set(err, WEIR_E_MEMORY, "pieces", "out of memory");
    for (size_t i = 0; i < vocabulary->n; i++)
        scores[i] = vocabulary->kinds[i] == TOKEN_USER_DEFINED ? 0 : (double)vocabulary->scores[i];
    tokenizer->algorithm = ALGORITHM_UNIGRAM;
    int status = unigram_init(&tokenizer->unigram, vocabulary, scores, false, &tokenizer->arena, err);
    tokenizer->unigram.unknown = tokenizer->unknown;
    tokenizer->unigram.byte_fallback = settings->byte_fallback;
    return status;
}

static int32_t id_in_range(const struct tokenizer *tokenizer, int64_t id)
{
    return vocabulary_has(&tokenizer->vocabulary, id) ? (int32_t)id : -1;
}

int tokenizer_read_sentencepiece(struct tokenizer *tokenizer, str bytes, struct error *err)
{
    struct settings settings = {.model = MODEL_UNIGRAM, .unknown = 0, .bos = 1, .eos = 2, .prefix = true, .collapse = true};
    struct wire_field field;
    size_t n = 0;
    int got;
    for (str rest = bytes; (got = wire_next(&rest, &field)) != 0; n += field.number == 1) {
        bool settings_field = field.type == 2 && (field.number == 2 || field.number == 3);
        if (got < 0 || (settings_field && !read_settings(field.bytes, field.number == 2, &settings)))
            return error_set(err, WEIR_E_INVALID, "", "byte %zu: broken field", bytes.n - rest.n);
    }
    if (n == 0)
        return error_set(err, WEIR_E_INVALID, "pieces", "there are none");
    if (settings.model != MODEL_UNIGRAM && settings.model != MODEL_BPE)
        return error_set(err, WEIR_E_UNSUPPORTED, "trainer_spec.model_type", "%lld is neither unigram nor BPE", (long long)settings.model);
    int status = read_pieces(tokenizer, bytes, n, err);
    if (status < 0)
        return status;
    tokenizer->unknown = id_in_range(tokenizer, settings.unknown);
    tokenizer->bos = id_in_range(tokenizer, settings.bos);
    tokenizer->eos = id_in_range(tokenizer, settings.eos);
    if ((status = set_model(tokenizer, &settings, err)) < 0)
        return status;
    struct normalize_step *step = normalizer_add(&tokenizer->normalizer, NORMALIZE_SENTENCEPIECE);
    if (step == NULL)
        return error_set(err, WEIR_E_LIMIT, "normalizer_spec", "too many steps");
    step->left = settings.collapse;
    step->right = settings.prefix;
    step->content = STR("\xE2\x96\x81");
    if ((status = charsmap_init(&step->charsmap, settings.charsmap, err)) < 0 ||
        (status = tokenizer_add_from_kinds(tokenizer, err)) < 0)
        return status;
    tokenizer_set_frame(tokenizer, -1, -1, false);
    return tokenizer_set_sentencepiece_decoding(tokenizer, settings.prefix, err);
}
