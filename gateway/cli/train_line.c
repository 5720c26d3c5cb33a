/* See train_line.h. Numbers that are not there are left out. */
#include "cli/train_line.h"

#include "cli/cli.h"

#include <math.h>

void confidence_add(struct confidence *confidence, const struct token_logprob *token)
{
    confidence->logprob_min = confidence->n++ == 0 || token->logprob < confidence->logprob_min ? token->logprob : confidence->logprob_min;
    confidence->logprob += (double)token->logprob;
    confidence->entropy += (double)token->entropy;
    confidence->margin += (double)token->margin;
}

static void put_number(struct buffer *out, const char *name, double value)
{
    if (isfinite(value)) {
        jsonl_name(out, name);
        buffer_printf(out, "%.6g", value);
    }
}

void train_line_print(const json_t *line, const struct train_line *answer, struct buffer *out)
{
    static const char *const passed[] = {"text", "label", "scores", "domain"};
    const struct confidence *confidence = &answer->confidence;
    double n = confidence->n;
    jsonl_begin(line, out);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        const json_t *member = json_object_get(line, passed[i]);
        if (member == NULL)
            continue;
        jsonl_name(out, passed[i]);
        json_write(member, out);
    }
    jsonl_name(out, "answer");
    buffer_append_text(out, "{\"text\":");
    buffer_append_json_string(out, answer->text);
    put_number(out, "logprob_mean", confidence->logprob / n);
    put_number(out, "logprob_min", n > 0 ? (double)confidence->logprob_min : NAN);
    put_number(out, "entropy_mean", confidence->entropy / n);
    put_number(out, "margin_mean", confidence->margin / n);
    put_number(out, "self_check", (double)answer->self_check);
    put_number(out, "probe", (double)answer->probe);
    buffer_append_text(out, "}}");
}
