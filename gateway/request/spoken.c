/* Spoken: a local chat answer's reasoning, content and tool calls, told apart as its model marks them, into chunks of a stream or
 * parts of a message. Ids of calls say that they were made here, so that a tool loop is known to be local. Loop thread. */
#include "request/caching.h"
#include "request/knowing.h"

#include <stdlib.h>

enum { PART_BYTES = 16 << 20 };

struct spoken {
    struct request *request;
    int index;
    struct answer_reader *reader;
    struct detokenizer detokenizer; /* Counts each token where its text is. */
    struct buffer piece;
    struct buffer reasoning, calls, arguments;
    char name[130], id[48];
    bool failed;
};

/* Log-probabilities gathered go with the next text. */
static const struct logprob_lists *take_logprobs(const struct request *request, const struct choice *choice)
{
    return request->api.logprobs ? &choice->logprobs : NULL;
}

static void stream_part(struct spoken *spoken, enum answer_part part, str text)
{
    struct request *request = spoken->request;
    struct choice *choice = &request->choices[spoken->index];
    int call = answer_reader_calls(spoken->reader) - 1;
    switch (part) {
    case ANSWER_CONTENT:
        if (caching_gathers(request) || knowing_used(request) || request->shadow != NULL)
            buffer_append_str(&choice->text, text);
        chunk_text(&request->head, spoken->index, text, take_logprobs(request, choice), &request->out);
        logprob_lists_clear(&choice->logprobs);
        break;
    case ANSWER_REASONING:
        chunk_reasoning(&request->head, spoken->index, text, take_logprobs(request, choice), &request->out);
        logprob_lists_clear(&choice->logprobs);
        break;
    case ANSWER_CALL:
        chunk_call(&request->head, spoken->index, call, spoken->id, text, &request->out);
        break;
    case ANSWER_ARGUMENTS:
        chunk_arguments(&request->head, spoken->index, call, text, &request->out);
        break;
    case ANSWER_CALL_END:
        break;
    }
}

static void keep_part(struct spoken *spoken, enum answer_part part, str text)
{
    struct choice *choice = &spoken->request->choices[spoken->index];
    switch (part) {
    case ANSWER_CONTENT:
        buffer_append_str(&choice->text, text);
        break;
    case ANSWER_REASONING:
        buffer_append_str(&spoken->reasoning, text);
        break;
    case ANSWER_CALL:
        spoken->failed |= !str_copy(spoken->name, sizeof spoken->name, text);
        buffer_clear(&spoken->arguments);
        break;
    case ANSWER_ARGUMENTS:
        buffer_append_str(&spoken->arguments, text);
        break;
    case ANSWER_CALL_END:
        if (spoken->calls.n > 0)
            buffer_append_char(&spoken->calls, ',');
        answer_call(spoken->id, str_of(spoken->name), buffer_str(&spoken->arguments), &spoken->calls);
        break;
    }
    spoken->failed |= choice->text.failed || spoken->reasoning.failed || spoken->calls.failed || spoken->arguments.failed;
}

static void on_part(void *user, enum answer_part part, str text)
{
    struct spoken *spoken = user;
    const char *decision = spoken->request->decision_id;
    if (part != ANSWER_CONTENT)
        caching_spoil(spoken->request);
    if (part == ANSWER_CALL) /* The random end of the decision's id, and which call of which choice. */
        snprintf(spoken->id, sizeof spoken->id, API_LOCAL_CALL "%s_%d_%d", decision + 24, spoken->index, answer_reader_calls(spoken->reader) - 1);
    if (spoken->request->api.stream)
        stream_part(spoken, part, text);
    else
        keep_part(spoken, part, text);
}

static int open_one(struct request *request, int index, bool resumed)
{
    struct spoken *spoken = calloc(1, sizeof *spoken);
    if (spoken == NULL)
        return WEIR_E_MEMORY;
    request->choices[index].spoken = spoken;
    spoken->request = request;
    spoken->index = index;
    detokenizer_init(&spoken->detokenizer, model_tokenizer_peek(request->chat->model));
    struct buffer *buffers[] = {&spoken->piece, &spoken->reasoning, &spoken->calls, &spoken->arguments};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        buffer_init(buffers[i], PART_BYTES);
    struct answer_reading reading = {.tools = request->api.tools, .one_call = request->api.one_call, .part = on_part, .user = spoken};
    int status = answer_reader_new(&spoken->reader, model_answer_format_peek(request->chat->model), &reading);
    return status < 0 || resumed ? status : answer_reader_push(spoken->reader, buffer_str(&request->begun.text));
}

int spoken_open(struct request *request, bool resumed)
{
    const struct answer_format *format = request->api.kind == API_CHAT ? model_answer_format_peek(request->chat->model) : NULL;
    int status = 0;
    if (!answer_format_has_reasoning(format) && !(request->api.tools != NULL && answer_format_has_tools(format)))
        return 0;
    for (int i = 0; i < request->n_choices && status == 0; i++)
        status = open_one(request, i, resumed);
    return status;
}

void spoken_close(struct choice *choice)
{
    struct spoken *spoken = choice->spoken;
    choice->spoken = NULL;
    if (spoken == NULL)
        return;
    answer_reader_free(spoken->reader);
    buffer_release(&spoken->piece);
    buffer_release(&spoken->reasoning);
    buffer_release(&spoken->calls);
    buffer_release(&spoken->arguments);
    free(spoken);
}

/* One token's text. */
static int push_piece(struct spoken *spoken, str text, bool counts)
{
    bool before = answer_reader_in_reasoning(spoken->reader);
    int status = answer_reader_push(spoken->reader, text);
    if (counts && (before || answer_reader_in_reasoning(spoken->reader))) /* The marks' own tokens too. */
        spoken->request->usage.reasoning_tokens++;
    return status;
}

int spoken_push(struct request *request, int index, str text, const int32_t *tokens, int n_tokens)
{
    struct spoken *spoken = request->choices[index].spoken;
    int status = 0;
    for (int i = 0; i < n_tokens && status == 0; i++) {
        buffer_clear(&spoken->piece);
        status = detokenizer_push(&spoken->detokenizer, tokens[i], &spoken->piece);
        size_t n = spoken->piece.n < text.n && i < n_tokens - 1 ? spoken->piece.n : text.n;
        if (status == 0)
            status = push_piece(spoken, (str){text.data, n}, true);
        text = (str){text.data + n, text.n - n};
    }
    if (status == 0 && text.n > 0)
        status = push_piece(spoken, text, false);
    return spoken->failed ? WEIR_E_LIMIT : status;
}

int spoken_finish(struct request *request, int index, bool whole)
{
    struct choice *choice = &request->choices[index];
    int status = 0;
    if (whole && request->begun.grammar != NULL)
        status = answer_reader_push(choice->spoken->reader, buffer_str(&request->begun.closing));
    if (status == 0)
        status = answer_reader_finish(choice->spoken->reader);
    if (request->api.stream && request->api.logprobs && choice->logprobs.n > 0) { /* Of tokens that no text was told of. */
        chunk_text(&request->head, index, (str){"", 0}, &choice->logprobs, &request->out);
        logprob_lists_clear(&choice->logprobs);
    }
    return choice->spoken->failed ? WEIR_E_LIMIT : status;
}

struct answer_message spoken_message(const struct choice *choice)
{
    const struct spoken *spoken = choice->spoken;
    struct answer_message message = {.text = buffer_str(&choice->text)};
    if (spoken != NULL) {
        message.reasoning = buffer_str(&spoken->reasoning);
        message.calls = buffer_str(&spoken->calls);
    }
    return message;
}

bool spoken_has_calls(const struct choice *choice)
{
    return choice->spoken != NULL && answer_reader_calls(choice->spoken->reader) > 0;
}

bool spoken_is_done(const struct choice *choice)
{
    return choice->spoken != NULL && answer_reader_is_done(choice->spoken->reader);
}

bool spoken_opened_reasoning(const struct request *request, struct buffer *closing)
{
    return answer_format_close_reasoning(model_answer_format_peek(request->chat->model), buffer_str(&request->begun.text), closing);
}
