/* Choices of an answer, and the bytes of a streamed one. The head of a stream goes out with its first event and not before,
 * so that x-weir-route can name who answers. Loop thread. */
#include "request/request.h"

enum { CHOICE_TEXT_BYTES = 16 << 20 };

int choices_open(struct request *request, int n)
{
    request->choices = arena_array(&request->arena, (size_t)n, sizeof *request->choices);
    if (request->choices == NULL)
        return WEIR_E_MEMORY;
    request->n_choices = n;
    for (int i = 0; i < n; i++) {
        buffer_init(&request->choices[i].text, CHOICE_TEXT_BYTES);
        logprob_lists_init(&request->choices[i].logprobs);
        restorer_init(&request->choices[i].restorer, request->redaction, false);
    }
    return 0;
}

void stream_begin(struct request *request)
{
    if (request->streaming)
        return;
    request->streaming = true;
    request_headers(request, !str_starts(str_of(request->route), STR("remote:")));
    reply_header(request->reply, "Cache-Control", STR("no-cache"));
    reply_begin(request->reply, 200, "text/event-stream; charset=utf-8");
}

void stream_roles(struct request *request)
{
    for (int i = 0; i < request->n_choices && request->api.kind == API_CHAT; i++) {
        if (!request->choices[i].role_sent)
            chunk_role(&request->head, i, &request->out);
        request->choices[i].role_sent = true;
    }
}

bool stream_flush(struct request *request)
{
    if (request->out.n > 0) {
        reply_write(request->reply, buffer_str(&request->out));
        buffer_clear(&request->out);
    }
    request->paused = !reply_writable(request->reply);
    return !request->paused;
}

void stream_finish(struct request *request, const char *finish_reason)
{
    if (request->head.include_usage && request->usage_known)
        chunk_usage(&request->head, &request->usage, &request->out);
    chunk_done(&request->out);
    (void)stream_flush(request);
    reply_end(request->reply);
    request->reply = NULL;
    request_end(request, "ok", 200, finish_reason, NULL);
}
