/* What a template's renderings show of the model's marks. Each step renders a conversation that differs in one thing from another and
 * looks at what stands around the probe's words.
 *
 * The answer begins where a rendering parts from the prompt for it (the template with add_generation_prompt): what the model would
 * have to say next. Where the prompt holds more than the rendering (an opened reasoning mark), they part earlier. */
#include "chat/lesson.h"

/* ------------------------------------------------------------------ tools */

static void learn_tools_place(struct lesson *lesson)
{
    static const struct {
        enum tools_place place;
        const char *sign; /* In the source of templates that take tools so. */
    } places[] = {{TOOLS_VARIABLE, "tools"}, {TOOLS_XML_VARIABLE, "xml_tools"}, {TOOLS_SYSTEM_MEMBER, "tools"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (str_find(lesson->source, str_of(places[i].sign)) < 0)
            continue;
        lesson->probe.tools_place = places[i].place;
        if (!probe_render(&lesson->probe, PROBE_NO_ANSWER | PROBE_PROMPTS | PROBE_WITH_TOOLS, &lesson->prompt) ||
            str_find(buffer_str(&lesson->prompt), STR(PROBE_NAME_2)) < 0)
            continue;
        lesson->format->tools_place = places[i].place;
        return;
    }
    lesson->probe.tools_place = TOOLS_NOWHERE;
    if (!probe_render(&lesson->probe, PROBE_NO_ANSWER | PROBE_PROMPTS, &lesson->prompt))
        buffer_clear(&lesson->prompt);
}

/* ------------------------------------------------------------------ reasoning */

/* The mark that a stretch ends in, or the whole of it. */
static str last_mark(str s)
{
    for (size_t back = 1; back <= s.n && back <= MARK_TEXT_BYTES; back++)
        if (s.data[s.n - back] == '<' || s.data[s.n - back] == '[')
            return stretch_from(s, s.n - back);
    return s;
}

static str first_mark(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.data[i] == '>' || s.data[i] == ']')
            return stretch_upto(s, i + 1);
    return s;
}

static bool learn_thought(struct lesson *lesson, unsigned what)
{
    if (!probe_render(&lesson->probe, what | PROBE_THINKS | PROBE_WITH_TOOLS, &lesson->text))
        return false;
    str text = buffer_str(&lesson->text);
    ptrdiff_t asked = str_find(text, STR(PROBE_ASKED)), thought = stretch_find(text, PROBE_THOUGHT, asked);
    if (thought < 0)
        return false;
    size_t begin = lesson_answer_begin(lesson, text);
    str open = str_trim(stretch_between(text, (ptrdiff_t)begin, thought));
    if (open.n == 0) /* The prompt has opened it. */
        open = last_mark(str_trim(stretch_between(text, asked + (ptrdiff_t)sizeof PROBE_ASKED - 1, thought)));
    str rest = stretch_from(text, (size_t)thought + sizeof PROBE_THOUGHT - 1);
    ptrdiff_t said = str_find(rest, STR(PROBE_SAID));
    str close = said >= 0 ? stretch_upto(rest, (size_t)said) : first_mark(rest);
    return mark_set(lesson->format->think_open, open) && mark_set(lesson->format->think_close, close) && lesson->format->think_open[0] != '\0' &&
           lesson->format->think_close[0] != '\0';
}

static void learn_reasoning(struct lesson *lesson)
{
    static const char *const keys[] = {"reasoning_content", "thinking", "reasoning", "thought"};
    static const char *const pairs[][2] = {{"<think>", "</think>"}, {"[THINK]", "[/THINK]"}, {"<|START_THINKING|>", "<|END_THINKING|>"}, {"<thinking>", "</thinking>"}};
    struct answer_format *format = lesson->format;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        lesson->probe.reasoning_key = keys[i];
        if (str_find(lesson->source, str_of(keys[i])) < 0)
            continue;
        if (learn_thought(lesson, PROBE_SAYS) || learn_thought(lesson, PROBE_CALLS)) {
            format->reasoning_key = keys[i];
            return;
        }
    }
    lesson->probe.reasoning_key = NULL;
    format->think_open[0] = format->think_close[0] = '\0';
    /* A template that only cuts reasoning out, or opens it in its prompt. */
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (str_find(lesson->source, str_of(pairs[i][1])) < 0)
            continue;
        (void)mark_set(format->think_open, str_of(pairs[i][0]));
        (void)mark_set(format->think_close, str_of(pairs[i][1]));
        return;
    }
}

/* ------------------------------------------------------------------ plain content */

static void learn_content(struct lesson *lesson)
{
    struct answer_format *format = lesson->format;
    if (!probe_render(&lesson->probe, PROBE_SAYS | PROBE_WITH_TOOLS, &lesson->plain)) {
        buffer_clear(&lesson->plain);
        return;
    }
    str text = buffer_str(&lesson->plain);
    size_t begin = lesson_answer_begin(lesson, text);
    ptrdiff_t said = stretch_find(text, PROBE_SAID, (ptrdiff_t)begin);
    if (said < 0)
        return;
    (void)mark_set(format->content_open, lesson_skip_no_thought(format, stretch_between(text, (ptrdiff_t)begin, said)));
    if (!str_ends(buffer_str(&lesson->prompt), STR(">")) && strpbrk(format->content_open, "<[") == NULL)
        format->content_open[0] = '\0'; /* Words of the template's, no mark. */
}

int answer_format_learn(struct answer_format *out, const struct chat_template *template, str source, const json_t *variables, struct error *err)
{
    enum { RENDERING_BYTES = 512 << 10 };
    struct lesson lesson = {.format = out, .probe = {.template = template, .variables = variables, .id = PROBE_ID}, .source = source};
    struct buffer *buffers[] = {&lesson.prompt, &lesson.plain, &lesson.text, &lesson.other};
    *out = (struct answer_format){.form = CALL_NONE};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        buffer_init(buffers[i], RENDERING_BYTES);
    learn_tools_place(&lesson);
    if (lesson.prompt.n > 0) {
        learn_reasoning(&lesson);
        learn_content(&lesson);
        if (str_find(source, STR("tool")) >= 0) {
            lesson_learn_calls(&lesson);
            if (out->form == CALL_NONE)
                lesson_guess_calls(&lesson);
        }
    }
    int status = 0;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        if (buffers[i]->failed)
            status = error_set(err, WEIR_E_LIMIT, "chat template", "renders a short conversation to more than %d bytes", RENDERING_BYTES);
        buffer_release(buffers[i]);
    }
    return status;
}
