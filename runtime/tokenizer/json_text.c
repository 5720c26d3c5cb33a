/* tokenizer.json: "normalizer" and "pre_tokenizer". */
#include "tokenizer/characters.h"
#include "tokenizer/tokenizer_json.h"

static int add_normalize(const struct json_source *source, enum normalize_kind kind, struct normalize_step **out)
{
    *out = normalizer_add(&source->tokenizer->normalizer, kind);
    return *out != NULL ? 0 : json_fail(source, WEIR_E_LIMIT, NULL, "more than %d steps", NORMALIZER_MAX_STEPS);
}

static int read_bert_normalizer(const struct json_source *source, const json_t *component)
{
    bool clean = true, ideographs = true, lower = true;
    int status = json_read_bool(source, component, "clean_text", &clean);
    if (status == 0)
        status = json_read_bool(source, component, "handle_chinese_chars", &ideographs);
    if (status == 0)
        status = json_read_bool(source, component, "lowercase", &lower);
    bool strip = lower; /* Where strip_accents is null. */
    if (status == 0)
        status = json_read_bool(source, component, "strip_accents", &strip);
    struct normalize_step *step;
    if (status == 0 && clean)
        status = add_normalize(source, NORMALIZE_BERT_CLEAN, &step);
    if (status == 0 && ideographs)
        status = add_normalize(source, NORMALIZE_BERT_IDEOGRAPHS, &step);
    if (status == 0 && strip && (status = add_normalize(source, NORMALIZE_NFD, &step)) == 0 &&
        (status = add_normalize(source, NORMALIZE_STRIP_MARKS, &step)) == 0)
        step->nonspacing = true;
    if (status == 0 && lower)
        status = add_normalize(source, NORMALIZE_LOWER, &step);
    return status;
}

static int read_precompiled(const struct json_source *source, const json_t *component)
{
    str encoded = {NULL, 0};
    struct normalize_step *step;
    struct buffer blob;
    if (json_member_str(component, "precompiled_charsmap", &encoded, NULL) < 0)
        return json_fail(source, WEIR_E_INVALID, "precompiled_charsmap", "must be a string");
    int status = add_normalize(source, NORMALIZE_CHARSMAP, &step);
    if (status < 0)
        return status;
    buffer_init(&blob, TOKENIZER_MAX_FILE_BYTES);
    str kept = {NULL, 0};
    if (base64_append(&blob, encoded) < 0)
        status = json_fail(source, WEIR_E_INVALID, "precompiled_charsmap", "is not base64");
    else if (blob.n > 0)
        status = tokenizer_keep(source->tokenizer, buffer_str(&blob), &kept, source->err);
    buffer_release(&blob);
    if (status == 0 && (status = charsmap_init(&step->charsmap, kept, source->err)) < 0) {
        struct error inner = source->err != NULL ? *source->err : (struct error){0};
        json_fail(source, (enum weir_status)status, "precompiled_charsmap", "%.200s", inner.text);
    }
    return status;
}

int json_read_normalizer(struct json_source *source, const json_t *component, int depth)
{
    static const struct {
        str type;
        enum normalize_kind kind;
    } plain[] = {{STR("NFC"), NORMALIZE_NFC},   {STR("NFD"), NORMALIZE_NFD},
                 {STR("NFKC"), NORMALIZE_NFKC}, {STR("NFKD"), NORMALIZE_NFKD},
                 {STR("Lowercase"), NORMALIZE_LOWER}, {STR("StripAccents"), NORMALIZE_STRIP_MARKS},
                 {STR("Nmt"), NORMALIZE_NMT},   {STR("ByteLevel"), NORMALIZE_BYTES}};
    if (json_is_null(component))
        return 0;
    str type;
    struct normalize_step *step;
    int status = json_component_type(source, component, &type);
    if (status < 0)
        return status;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (str_equal(type, plain[i].type))
            return add_normalize(source, plain[i].kind, &step);
    if (str_equal(type, STR("Sequence")))
        return json_each(source, component, "normalizers", depth, json_read_normalizer);
    if (str_equal(type, STR("BertNormalizer")))
        return read_bert_normalizer(source, component);
    if (str_equal(type, STR("Precompiled")))
        return read_precompiled(source, component);
    if (str_equal(type, STR("Replace"))) {
        if ((status = add_normalize(source, NORMALIZE_REPLACE, &step)) < 0 ||
            (status = json_read_pattern(source, component, &step->text, &step->regex)) < 0)
            return status;
        return json_read_text(source, component, "content", &step->content);
    }
    if (str_equal(type, STR("Prepend"))) {
        status = add_normalize(source, NORMALIZE_PREPEND, &step);
        return status < 0 ? status : json_read_text(source, component, "prepend", &step->content);
    }
    if (str_equal(type, STR("Strip"))) {
        if ((status = add_normalize(source, NORMALIZE_STRIP, &step)) < 0)
            return status;
        step->left = step->right = true;
        status = json_read_bool(source, component, "strip_left", &step->left);
        return status < 0 ? status : json_read_bool(source, component, "strip_right", &step->right);
    }
    return json_fail(source, WEIR_E_UNSUPPORTED, "type", "normalizer \"%.40s\" is not known", type.data);
}

static int add_split(const struct json_source *source, enum split_kind kind, struct split_step **out)
{
    *out = pretokenizer_add(&source->tokenizer->pretokenizer, kind);
    return *out != NULL ? 0 : json_fail(source, WEIR_E_LIMIT, NULL, "more than %d steps", PRETOKENIZER_MAX_STEPS);
}

static int read_behaviour(const struct json_source *source, const json_t *component, enum split_behaviour *out)
{
    static const str names[] = {[SPLIT_REMOVED] = STR("Removed"), [SPLIT_ISOLATED] = STR("Isolated"),
                                [SPLIT_WITH_PREVIOUS] = STR("MergedWithPrevious"), [SPLIT_WITH_NEXT] = STR("MergedWithNext"),
                                [SPLIT_CONTIGUOUS] = STR("Contiguous")};
    str name;
    if (json_member_str(component, "behavior", &name, NULL) != 1)
        return json_fail(source, WEIR_E_INVALID, "behavior", "must be a string");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal(name, names[i])) {
            *out = (enum split_behaviour)i;
            return 0;
        }
    }
    return json_fail(source, WEIR_E_INVALID, "behavior", "is none of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

/* The patterns that are scanned by hand, spelled as the published files spell them. */
static bool known_pattern(const json_t *component, struct split_step *step)
{
    static const struct {
        str pattern;
        enum split_kind kind;
        int number;
    } known[] = {
        {STR("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), SPLIT_GPT4, 3},
        {STR("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), SPLIT_GPT4, 1},
        {STR("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"), SPLIT_GPT2, 0},
        {STR("\\p{N}"), SPLIT_CLASS, CLASS_NUMBER},
    };
    str pattern;
    if (json_member_str(json_object_get(component, "pattern"), "Regex", &pattern, NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_equal(pattern, known[i].pattern)) {
            step->kind = known[i].kind;
            step->number = known[i].number;
            return true;
        }
    }
    return false;
}

static int read_split(const struct json_source *source, const json_t *component)
{
    struct split_step *step;
    int status = add_split(source, SPLIT_TEXT, &step);
    if (status == 0)
        status = read_behaviour(source, component, &step->behaviour);
    if (status == 0)
        status = json_read_bool(source, component, "invert", &step->invert);
    if (status < 0 || known_pattern(component, step))
        return status;
    status = json_read_pattern(source, component, &step->text, &step->regex);
    if (status == 0 && step->regex != NULL)
        step->kind = SPLIT_REGEX;
    return status;
}

static int read_byte_level(const struct json_source *source, const json_t *component)
{
    bool front = true, pattern = true;
    struct split_step *step;
    int status = json_read_bool(source, component, "add_prefix_space", &front);
    if (status == 0)
        status = json_read_bool(source, component, "use_regex", &pattern);
    if (status == 0 && front)
        status = add_split(source, MAP_FRONT, &step);
    if (status == 0 && pattern)
        status = add_split(source, SPLIT_GPT2, &step);
    return status < 0 ? status : add_split(source, MAP_BYTES, &step);
}

/* "prepend_scheme", or in older files "add_prefix_space". */
static int read_prepend(const struct json_source *source, const json_t *component, enum split_prefix *out)
{
    str scheme;
    bool front = true;
    int status = json_member_str(component, "prepend_scheme", &scheme, NULL);
    if (status == 0) {
        status = json_read_bool(source, component, "add_prefix_space", &front);
        *out = front ? PREFIX_ALWAYS : PREFIX_NEVER;
        return status;
    }
    if (status > 0 && str_equal(scheme, STR("always")))
        *out = PREFIX_ALWAYS;
    else if (status > 0 && str_equal(scheme, STR("first")))
        *out = PREFIX_FIRST;
    else if (status > 0 && str_equal(scheme, STR("never")))
        *out = PREFIX_NEVER;
    else
        return json_fail(source, WEIR_E_INVALID, "prepend_scheme", "is none of always, first, never");
    return 0;
}

static int read_metaspace(const struct json_source *source, const json_t *component)
{
    struct split_step *step, *cut;
    bool split = true;
    int status = add_split(source, MAP_METASPACE, &step);
    if (status < 0)
        return status;
    step->text = STR("\xE2\x96\x81");
    if ((status = json_read_text(source, component, "replacement", &step->text)) < 0 ||
        (status = read_prepend(source, component, &step->prefix)) < 0 ||
        (status = json_read_bool(source, component, "split", &split)) < 0 || !split)
        return status;
    if (step->text.n == 0)
        return json_fail(source, WEIR_E_INVALID, "replacement", "is empty");
    if ((status = add_split(source, SPLIT_TEXT, &cut)) < 0)
        return status;
    cut->text = step->text;
    cut->behaviour = SPLIT_WITH_NEXT;
    return 0;
}

int json_read_pretokenizer(struct json_source *source, const json_t *component, int depth)
{
    if (json_is_null(component))
        return 0;
    str type;
    struct split_step *step;
    int status = json_component_type(source, component, &type);
    if (status < 0)
        return status;
    if (str_equal(type, STR("Sequence")))
        return json_each(source, component, "pretokenizers", depth, json_read_pretokenizer);
    if (str_equal(type, STR("ByteLevel")))
        return read_byte_level(source, component);
    if (str_equal(type, STR("Split")))
        return read_split(source, component);
    if (str_equal(type, STR("Metaspace")))
        return read_metaspace(source, component);
    if (str_equal(type, STR("BertPreTokenizer")))
        return add_split(source, SPLIT_BERT, &step);
    if (str_equal(type, STR("Whitespace"))) {
        if ((status = add_split(source, SPLIT_WORDS, &step)) == 0) {
            step->behaviour = SPLIT_REMOVED;
            step->invert = true;
        }
        return status;
    }
    if (str_equal(type, STR("WhitespaceSplit"))) {
        if ((status = add_split(source, SPLIT_CLASS, &step)) == 0) {
            step->number = CLASS_SPACE;
            step->behaviour = SPLIT_REMOVED;
        }
        return status;
    }
    if (str_equal(type, STR("Punctuation"))) {
        if ((status = add_split(source, SPLIT_PUNCTUATION, &step)) < 0 || json_object_get(component, "behavior") == NULL)
            return status;
        return read_behaviour(source, component, &step->behaviour);
    }
    if (str_equal(type, STR("Digits"))) {
        bool individual = false;
        if ((status = json_read_bool(source, component, "individual_digits", &individual)) < 0 ||
            (status = add_split(source, SPLIT_CLASS, &step)) < 0)
            return status;
        step->number = CLASS_NUMBER;
        step->behaviour = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
        return 0;
    }
    if (str_equal(type, STR("CharDelimiterSplit"))) {
        if ((status = add_split(source, SPLIT_TEXT, &step)) < 0)
            return status;
        step->behaviour = SPLIT_REMOVED;
        return json_read_text(source, component, "delimiter", &step->text);
    }
    if (str_equal(type, STR("FixedLength"))) {
        if ((status = add_split(source, SPLIT_FIXED, &step)) < 0)
            return status;
        step->number = 5;
        status = json_read_int(source, component, "length", &step->number);
        return status == 0 && step->number <= 0 ? json_fail(source, WEIR_E_INVALID, "length", "must be positive") : status;
    }
    return json_fail(source, WEIR_E_UNSUPPORTED, "type", "pre-tokenizer \"%.40s\" is not known", type.data);
}
