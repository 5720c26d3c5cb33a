/* Whole answers and stream chunks, written by hand: a chunk costs a few appends and no allocation once its buffer is warm. */
#include "api/answer.h"

void answer_head_init(struct answer_head *head, enum api_kind kind, const char *decision_id, str model, bool include_usage)
{
    *head = (struct answer_head){.kind = kind, .model = model, .include_usage = include_usage};
    snprintf(head->id, sizeof head->id, "%s-%s", kind == API_CHAT ? "chatcmpl" : "cmpl", decision_id);
    head->created_s = clock_wall_ns() / 1000000000;
}

static void write_usage(const struct answer_usage *usage, struct buffer *out)
{
    buffer_printf(out,
                  "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":%lld}",
                  (long long)usage->prompt_tokens, (long long)usage->completion_tokens,
                  (long long)(usage->prompt_tokens + usage->completion_tokens), (long long)usage->cached_tokens);
    if (usage->reasoning_tokens > 0)
        buffer_printf(out, ",\"completion_tokens_details\":{\"reasoning_tokens\":%lld}", (long long)usage->reasoning_tokens);
    if (usage->dropped_tokens > 0)
        buffer_printf(out, ",\"dropped_tokens\":%lld", (long long)usage->dropped_tokens);
    buffer_append_char(out, '}');
}

static void write_envelope(const struct answer_head *head, const char *object, struct buffer *out)
{
    buffer_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", head->id, object, (long long)head->created_s);
    buffer_append_json_string(out, head->model);
}

void answer_begin(const struct answer_head *head, struct buffer *out)
{
    write_envelope(head, head->kind == API_CHAT ? "chat.completion" : "text_completion", out);
    buffer_append_text(out, ",\"choices\":[");
}

static void write_reason(const char *finish_reason, struct buffer *out)
{
    buffer_append_text(out, ",\"finish_reason\":");
    if (finish_reason != NULL)
        buffer_append_json_string(out, str_of(finish_reason));
    else
        buffer_append_text(out, "null");
}

static void write_logprobs(const struct answer_head *head, const struct logprob_lists *logprobs, struct buffer *out)
{
    buffer_append_text(out, ",\"logprobs\":");
    if (logprobs != NULL)
        logprob_lists_write(logprobs, head->kind, out);
    else
        buffer_append_text(out, "null");
}

void answer_call(const char *id, str name, str arguments, struct buffer *out)
{
    buffer_printf(out, "{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", id);
    buffer_append_json_string(out, name);
    buffer_append_text(out, ",\"arguments\":");
    buffer_append_json_string(out, arguments);
    buffer_append_text(out, "}}");
}

static void write_message(const struct answer_message *message, struct buffer *out)
{
    buffer_append_text(out, "\"message\":{\"role\":\"assistant\",\"content\":");
    if (message->calls.n > 0 && message->text.n == 0)
        buffer_append_text(out, "null");
    else
        buffer_append_json_string(out, message->text);
    buffer_append_text(out, ",\"refusal\":null");
    if (message->reasoning.n > 0) {
        buffer_append_text(out, ",\"reasoning_content\":");
        buffer_append_json_string(out, message->reasoning);
    }
    if (message->calls.n > 0) {
        buffer_append_text(out, ",\"tool_calls\":[");
        buffer_append_str(out, message->calls);
        buffer_append_char(out, ']');
    }
    if (message->annotations.n > 0) {
        buffer_append_text(out, ",\"annotations\":");
        buffer_append_str(out, message->annotations);
    }
    buffer_append_char(out, '}');
}

void answer_choice(const struct answer_head *head, int index, const struct answer_message *message, const struct logprob_lists *logprobs,
                   const char *finish_reason, struct buffer *out)
{
    if (out->n > 0 && out->data[out->n - 1] != '[')
        buffer_append_char(out, ',');
    buffer_printf(out, "{\"index\":%d,", index);
    if (head->kind == API_CHAT) {
        write_message(message, out);
    } else {
        buffer_append_text(out, "\"text\":");
        buffer_append_json_string(out, message->text);
    }
    write_logprobs(head, logprobs, out);
    write_reason(finish_reason, out);
    buffer_append_char(out, '}');
}

void answer_end(const struct answer_head *head, const struct answer_usage *usage, struct buffer *out)
{
    buffer_append_text(out, "],\"usage\":");
    write_usage(usage, out);
    buffer_append_char(out, '}');
}

/* ------------------------------------------------------------------ streams */

static void chunk_begin(const struct answer_head *head, int index, struct buffer *out)
{
    buffer_append_text(out, "data: ");
    write_envelope(head, head->kind == API_CHAT ? "chat.completion.chunk" : "text_completion", out);
    buffer_printf(out, ",\"choices\":[{\"index\":%d", index);
}

static void chunk_end(const struct answer_head *head, struct buffer *out)
{
    buffer_append_text(out, head->include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n");
}

void chunk_role(const struct answer_head *head, int index, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_append_text(out, ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null");
    chunk_end(head, out);
}

void chunk_text(const struct answer_head *head, int index, str text, const struct logprob_lists *logprobs, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_append_text(out, head->kind == API_CHAT ? ",\"delta\":{\"content\":" : ",\"text\":");
    buffer_append_json_string(out, text);
    if (head->kind == API_CHAT)
        buffer_append_char(out, '}');
    write_logprobs(head, logprobs, out);
    write_reason(NULL, out);
    chunk_end(head, out);
}

void chunk_reasoning(const struct answer_head *head, int index, str text, const struct logprob_lists *logprobs, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_append_text(out, ",\"delta\":{\"reasoning_content\":");
    buffer_append_json_string(out, text);
    buffer_append_char(out, '}');
    write_logprobs(head, logprobs, out);
    write_reason(NULL, out);
    chunk_end(head, out);
}

void chunk_call(const struct answer_head *head, int index, int call, const char *id, str name, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_printf(out, ",\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", call, id);
    buffer_append_json_string(out, name);
    buffer_append_text(out, ",\"arguments\":\"\"}}]},\"logprobs\":null,\"finish_reason\":null");
    chunk_end(head, out);
}

void chunk_arguments(const struct answer_head *head, int index, int call, str text, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_printf(out, ",\"delta\":{\"tool_calls\":[{\"index\":%d,\"function\":{\"arguments\":", call);
    buffer_append_json_string(out, text);
    buffer_append_text(out, "}}]},\"logprobs\":null,\"finish_reason\":null");
    chunk_end(head, out);
}

void chunk_finish(const struct answer_head *head, int index, const char *finish_reason, struct buffer *out)
{
    chunk_begin(head, index, out);
    buffer_append_text(out, head->kind == API_CHAT ? ",\"delta\":{},\"logprobs\":null" : ",\"text\":\"\",\"logprobs\":null");
    write_reason(finish_reason, out);
    chunk_end(head, out);
}

void chunk_delta(const struct answer_head *head, int index, const json_t *delta, bool has_text, str text, const json_t *logprobs,
                 struct buffer *out)
{
    chunk_begin(head, index, out);
    if (head->kind == API_CHAT) {
        const char *separator = "", *name;
        json_t *value;
        buffer_append_text(out, ",\"delta\":{");
        json_object_foreach((json_t *)(uintptr_t)delta, name, value) {
            if (strcmp(name, "role") == 0 || strcmp(name, "content") == 0)
                continue;
            buffer_append_text(out, separator);
            buffer_append_json_string(out, str_of(name));
            buffer_append_char(out, ':');
            json_write(value, out);
            separator = ",";
        }
        if (has_text) {
            buffer_printf(out, "%s\"content\":", separator);
            buffer_append_json_string(out, text);
        }
        buffer_append_char(out, '}');
    } else {
        buffer_append_text(out, ",\"text\":");
        buffer_append_json_string(out, text);
    }
    buffer_append_text(out, ",\"logprobs\":");
    if (logprobs != NULL)
        json_write(logprobs, out);
    else
        buffer_append_text(out, "null");
    write_reason(NULL, out);
    chunk_end(head, out);
}

void chunk_annotations(const struct answer_head *head, int index, str annotations, struct buffer *out)
{
    if (annotations.n == 0)
        return;
    chunk_begin(head, index, out);
    buffer_printf(out, ",\"delta\":{\"annotations\":" STR_FMT "},\"logprobs\":null,\"finish_reason\":null", STR_ARG(annotations));
    chunk_end(head, out);
}

void chunk_usage(const struct answer_head *head, const struct answer_usage *usage, struct buffer *out)
{
    buffer_append_text(out, "data: ");
    write_envelope(head, head->kind == API_CHAT ? "chat.completion.chunk" : "text_completion", out);
    buffer_append_text(out, ",\"choices\":[],\"usage\":");
    write_usage(usage, out);
    buffer_append_text(out, "}\n\n");
}

void chunk_done(struct buffer *out)
{
    buffer_append_text(out, "data: [DONE]\n\n");
}

void chunk_error(const struct api_error *error, struct buffer *out)
{
    buffer_append_text(out, "data: ");
    api_error_write(error, out);
    buffer_append_text(out, "\n\n");
}
