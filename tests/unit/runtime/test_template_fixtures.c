/* The reference's renderings: every template with every conversation, every snippet, every hostile template. */
#include "weir_runtime.h"

#include <criterion/criterion.h>

#define FOLDER WEIR_SHARED_DIR "/fixtures/templates"
enum { NOW = 1767323045 }; /* 2026-01-02T03:04:05Z */

struct result {
    struct buffer text, message;
    enum template_failure failure;
    struct error err;
};

static json_t *load(const char *path)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 64 << 20);
    cr_assert_eq(file_read(path, &text, &err), 0, "%s is needed: %s", path, err.text);
    json_t *value = json_parse(buffer_str(&text), &err);
    buffer_release(&text);
    cr_assert_not_null(value, "%s: %s: %s", path, err.where, err.text);
    return value;
}

static void render(str source, const json_t *context, struct result *out)
{
    struct template_limits limits = {.now_unix = NOW};
    struct chat_template *template = NULL;
    *out = (struct result){0};
    buffer_init(&out->text, 64 << 20);
    buffer_init(&out->message, 1 << 20);
    limits.message = &out->message;
    int status = template_compile(&template, source, &out->err);
    if (status < 0)
        out->failure = status == WEIR_E_LIMIT ? TEMPLATE_LIMIT : TEMPLATE_SYNTAX;
    else if (template_render(template, context, &limits, &out->text, &out->failure, &out->err) == 0)
        cr_assert_eq(out->failure, TEMPLATE_NO_FAILURE);
    template_free(template);
}

static void result_release(struct result *result)
{
    buffer_release(&result->text);
    buffer_release(&result->message);
}

static str member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value != NULL ? (str){json_string_value(value), json_string_length(value)} : (str){NULL, 0};
}

/* Does the result answer the expectation? */
static bool matches(const struct result *got, const json_t *expected)
{
    static const char *const kinds[] = {"", "raised", "failed", "syntax", "limit"};
    if (json_object_get(expected, "text") != NULL)
        return got->failure == TEMPLATE_NO_FAILURE && str_equal(buffer_str(&got->text), member(expected, "text"));
    if (got->text.n > 0 || !str_equal(str_of(kinds[got->failure]), member(expected, "kind")))
        return false;
    return got->failure != TEMPLATE_RAISED || str_equal(buffer_str(&got->message), member(expected, "error"));
}

Test(template, snippets_give_the_references_text_or_failure)
{
    json_t *language = load(FOLDER "/language.json"), *snippet;
    size_t i, bad = 0;
    json_array_foreach(json_object_get(language, "snippets"), i, snippet)
    {
        struct result got;
        render(member(snippet, "template"), json_object_get(snippet, "context"), &got);
        if (!matches(&got, snippet)) {
            bad++;
            fprintf(stderr, "%s: \"%s\" (%s)\n", member(snippet, "id").data, got.text.data != NULL ? got.text.data : "", got.err.text);
        }
        result_release(&got);
    }
    cr_assert_gt(i, 0u);
    cr_assert_eq(bad, 0u, "%zu of %zu snippets differ", bad, i);
    json_decref(language);
}

static json_t *conversation_context(const json_t *conversation, const json_t *tokens)
{
    json_t *context = json_object();
    json_t *tools = json_object_get(conversation, "tools"), *more = json_object_get(conversation, "kwargs");
    json_object_set(context, "messages", json_object_get(conversation, "messages"));
    json_object_set_new(context, "tools", tools != NULL ? json_incref(tools) : json_null());
    json_object_set_new(context, "documents", json_null());
    json_object_set(context, "add_generation_prompt", json_object_get(conversation, "add_generation_prompt"));
    json_object_update(context, (json_t *)tokens);
    if (more != NULL)
        json_object_update(context, more);
    return context;
}

/* Renders one template with all conversations; returns how many differ. */
static size_t check_template(const char *name, const json_t *cases)
{
    char path[512];
    struct buffer source;
    size_t bad = 0, i;
    json_t *conversation;
    snprintf(path, sizeof path, FOLDER "/expected/%s.json", name);
    json_t *expected = load(path);
    snprintf(path, sizeof path, FOLDER "/models/%s.jinja", name);
    buffer_init(&source, 4 << 20);
    cr_assert_eq(file_read(path, &source, NULL), 0, "%s", path);
    json_array_foreach((json_t *)cases, i, conversation)
    {
        struct result got;
        const char *id = json_string_value(json_object_get(conversation, "id"));
        json_t *context = conversation_context(conversation, json_object_get(expected, "tokens"));
        render(buffer_str(&source), context, &got);
        if (!matches(&got, json_object_get(json_object_get(expected, "cases"), id))) {
            bad++;
            fprintf(stderr, "%s with %s: %s\n", name, id, got.failure != TEMPLATE_NO_FAILURE ? got.err.text : "another text");
        }
        result_release(&got);
        json_decref(context);
    }
    json_decref(expected);
    buffer_release(&source);
    return bad;
}

Test(template, real_templates_give_the_references_text_or_failure)
{
    static const char *const names[] = {
        "ChatML", "Command-R-plus-tools", "Command-R7B-tools", "DeepSeek-R1-Distill-Llama-8B", "DeepSeek-V3.1", "EXAONE-4", "Firefunction-v2",
        "Functionary-medium-v3.2", "GLM-4.6", "Gemma-2-2b-it", "Gemma-3", "Gemma-4-31B-it", "Granite-3.3-2B-Instruct", "Hermes-3-tools",
        "Kimi-K2-Instruct", "LFM2.5-8B-A1B", "Llama-2-chat", "Llama-3-8B-Instruct", "Llama-3.1-8B-Instruct", "Llama-3.2-3B-Instruct",
        "MiniCPM3-4B", "Mistral-7B-v0.2-Mixtral-8x7B", "Mistral-7B-v0.3-tools", "Mistral-Nemo-Instruct-2407", "Mistral-Small-3.2-24B",
        "Nemotron-3-Nano-30B", "OpenChat-3.5", "Phi-3-mini", "Phi-3.5-mini", "Phi-4-mini", "Phi-4", "Qwen2.5-7B-Instruct", "Qwen3-0.6B",
        "Qwen3-Coder", "Qwen3-training", "Qwen3.5-4B", "SmolLM2-135M-Instruct", "SmolLM3-3B", "Vicuna", "Zephyr-TinyLlama", "gpt-oss-120b"};
    json_t *cases = load(FOLDER "/cases.json");
    size_t bad = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        bad += check_template(names[i], json_object_get(cases, "cases"));
    cr_assert_eq(bad, 0u, "%zu renderings differ", bad);
    json_decref(cases);
}

Test(template, hostile_templates_end_by_themselves)
{
    json_t *language = load(FOLDER "/language.json"), *hostile;
    size_t i, bad = 0;
    json_array_foreach(json_object_get(language, "hostile"), i, hostile)
    {
        struct result got;
        str category = member(hostile, "category");
        render(member(hostile, "template"), json_object_get(hostile, "context"), &got);
        bool same = got.failure == TEMPLATE_NO_FAILURE && str_equal(buffer_str(&got.text), member(hostile, "text"));
        bool good = str_equal(category, STR("text_or_limit")) ? same || got.failure == TEMPLATE_LIMIT : got.failure != TEMPLATE_NO_FAILURE && got.text.n == 0;
        if (!good) {
            bad++;
            fprintf(stderr, "%s: failure %d\n", member(hostile, "id").data, (int)got.failure);
        }
        result_release(&got);
    }
    cr_assert_gt(i, 0u);
    cr_assert_eq(bad, 0u, "%zu of %zu", bad, i);
    json_decref(language);
}
