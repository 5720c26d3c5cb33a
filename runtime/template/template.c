/* Compiling and rendering: the public functions, and the ground of a rendering.
 *
 * A compiled template is immutable: any number of threads may render it at a time, each with a struct rendering of its
 * own. A rendering ends by itself within its bounds of steps, depth, memory and output. */
#include "template/rendering.h"

enum { DEFAULT_STEPS = 10000000, DEFAULT_OUTPUT = 16 << 20, DEFAULT_MEMORY = 256 << 20, DEFAULT_DEPTH = 200, FRAMES_PER_DEPTH = 16,
       SOURCE_MEMORY = 64 };

int template_compile(struct chat_template **out, str source, struct error *err)
{
    if (source.n > TEMPLATE_MAX_SOURCE)
        return error_set(err, WEIR_E_LIMIT, "", "the template is larger than %d bytes", TEMPLATE_MAX_SOURCE);
    ptrdiff_t invalid = utf8_first_invalid(source);
    if (invalid >= 0)
        return error_set(err, WEIR_E_INVALID, "", "the template is not UTF-8 at byte %td", invalid);
    struct chat_template *t = calloc(1, sizeof *t);
    if (t == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    arena_init(&t->arena, ((size_t)source.n + 4096) * SOURCE_MEMORY * 8);
    struct parser parser = {.template = t, .err = err};
    jmp_buf failure;
    parser.failure = &failure;
    struct error own = {0};
    if (parser.err == NULL)
        parser.err = &own;
    int status = lexer_run(&t->arena, source, &parser.tokens, parser.err);
    if (status < 0) {
        template_free(t);
        return status;
    }
    if (setjmp(failure) != 0) {
        int failed = parser.err->status;
        template_free(t);
        return failed;
    }
    t->name_loop = parser_name(&parser, STR("loop"));
    t->name_caller = parser_name(&parser, STR("caller"));
    t->name_kwargs = parser_name(&parser, STR("kwargs"));
    t->name_varargs = parser_name(&parser, STR("varargs"));
    t->name_self = parser_name(&parser, STR("self"));
    t->name_super = parser_name(&parser, STR("super"));
    parse_template(&parser);
    *out = t;
    return 0;
}

void template_free(struct chat_template *template)
{
    if (template == NULL)
        return;
    arena_release(&template->arena);
    free(template);
}

void rendering_fail(struct rendering *r, enum template_failure failure, const char *format, ...)
{
    va_list args;
    char text[256];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->failure = failure;
    (void)error_set(&r->error, failure == TEMPLATE_LIMIT ? WEIR_E_LIMIT : WEIR_E_INVALID, "", "%s", text);
    longjmp(r->escape, 1);
}

void rendering_raise(struct rendering *r, str message)
{
    r->failure = TEMPLATE_RAISED;
    (void)error_set(&r->error, WEIR_E_INVALID, "", STR_FMT, STR_ARG(message));
    if (r->message != NULL) {
        buffer_clear(r->message);
        buffer_append_str(r->message, message);
    }
    longjmp(r->escape, 1);
}

void *rendering_alloc(struct rendering *r, size_t n_bytes)
{
    void *memory = arena_alloc(&r->arena, n_bytes);
    if (memory == NULL)
        rendering_fail(r, TEMPLATE_LIMIT, "the template needs more than %zu bytes of memory", r->arena.max_bytes);
    return memory;
}

void *rendering_array(struct rendering *r, size_t n, size_t size)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, size, &n_bytes))
        rendering_fail(r, TEMPLATE_LIMIT, "the template needs more than %zu bytes of memory", r->arena.max_bytes);
    return rendering_alloc(r, n_bytes);
}

void rendering_emit(struct rendering *r, str s)
{
    if (s.n == 0)
        return;
    rendering_step(r, s.n / 64);
    if (buffer_append(&r->out, s.data, s.n) < 0)
        rendering_fail(r, TEMPLATE_LIMIT, "the template writes more than %zu bytes", r->out.max_bytes);
}

void rendering_emit_char(struct rendering *r, uint32_t code_point)
{
    char bytes[4];
    int n = utf8_encode(code_point, bytes);
    if (n == 0)
        rendering_fail(r, TEMPLATE_FAILED, "a character that UTF-8 can't hold");
    rendering_emit(r, (str){bytes, (size_t)n});
}

void rendering_emit_fill(struct rendering *r, str pattern, int64_t count)
{
    size_t n;
    if (count <= 0 || pattern.n == 0)
        return;
    if (__builtin_mul_overflow(pattern.n, (size_t)count, &n) || n > r->out.max_bytes)
        rendering_fail(r, TEMPLATE_LIMIT, "the template writes more than %zu bytes", r->out.max_bytes);
    rendering_step(r, (size_t)count / 4);
    for (int64_t i = 0; i < count; i++)
        rendering_emit(r, pattern);
}

struct value rendering_take(struct rendering *r, size_t mark)
{
    struct value text = value_text_copy(r, (str){r->out.data != NULL ? r->out.data + mark : "", r->out.n - mark});
    r->out.n = mark;
    if (r->out.data != NULL)
        r->out.data[mark] = '\0';
    return text;
}

static void rendering_run(struct rendering *r)
{
    r->context_values = rendering_array(r, r->template->n_names, sizeof *r->context_values);
    r->root = r->scope = scope_push(r, NULL);
    if (r->template->refusal != NULL)
        rendering_fail(r, TEMPLATE_FAILED, "%s", r->template->refusal);
    (void)exec_body(r, &r->template->body);
}

int template_render(const struct chat_template *template, const json_t *context, const struct template_limits *limits,
                    struct buffer *out, enum template_failure *failure, struct error *err)
{
    static const struct template_limits defaults;
    struct rendering r = {.template = template, .context = context};
    if (limits == NULL)
        limits = &defaults;
    if (!json_is_object(context))
        return error_set(err, WEIR_E_INVALID, "context", "must be an object");
    r.max_steps = limits->max_steps > 0 ? limits->max_steps : DEFAULT_STEPS;
    r.max_depth = limits->max_depth > 0 ? limits->max_depth : DEFAULT_DEPTH;
    r.max_frames = r.max_depth < 1000 ? r.max_depth * FRAMES_PER_DEPTH : 1000 * FRAMES_PER_DEPTH;
    r.now_unix = limits->now_unix != 0 ? limits->now_unix : clock_wall_ns() / 1000000000;
    r.message = limits->message;
    arena_init(&r.arena, limits->max_memory_bytes > 0 ? limits->max_memory_bytes : DEFAULT_MEMORY);
    buffer_init(&r.out, limits->max_output_bytes > 0 ? limits->max_output_bytes : DEFAULT_OUTPUT);
    int status = 0;
    if (setjmp(r.escape) == 0) {
        rendering_run(&r);
        status = buffer_append(out, r.out.data, r.out.n);
        if (status < 0)
            (void)error_set(err, (enum weir_status)status, "", "the rendering does not fit its buffer");
    } else {
        status = r.error.status;
        if (err != NULL)
            *err = r.error;
    }
    if (failure != NULL)
        *failure = r.failure;
    arena_release(&r.arena);
    buffer_release(&r.out);
    return status < 0 ? status : 0;
}
