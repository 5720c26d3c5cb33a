/* weir render: chat templates over JSON Lines. A template sees its line's context and nothing else; one that fails to
 * render is an answer with its kind. */
#include "cli/cli.h"
#include "weir_runtime.h"

#include <stdio.h>

enum { LARGEST_TEMPLATE = 4 << 20, LONGEST_MESSAGE = 16 << 20 };

static int render_run(int argc, char **argv);

const struct verb verb_render = {
    .name = "render",
    .summary = "render chat templates",
    .help = "usage: weir render [--template FILE] [--now ISO] [--keep-going] [FILE]\n\n"
            "Renders a chat template (Jinja2, as Hugging Face's apply_chat_template does) for each line of FILE or standard\n"
            "input:\n\n"
            "  {\"id\", \"context\": {variables}, \"template\"?}  ->  {\"id\", \"text\"}\n"
            "                                              or  {\"id\", \"error\", \"kind\"}\n\n"
            "kind is `raised` (the template called raise_exception), `failed` (a type error, an undefined value used),\n"
            "`syntax`, or `limit` (steps, depth, memory, output). The context is all a template sees.\n\n"
            "  --template FILE   the template of lines that bring none\n"
            "  --now ISO         what strftime_now shows (2026-01-02T03:04:05); default: the clock, in UTC\n"
            "  --keep-going      a bad line becomes an answer with an error instead of ending the run\n",
    .run = render_run,
};

struct render {
    struct chat_template *shared; /* Of --template. */
    struct chat_template *last;   /* Of the last line that brought its own. */
    char *last_source;
    size_t n_last_source;
    struct template_limits limits;
    struct buffer text;
    struct buffer message;
};

static void answer(const json_t *line, struct buffer *out, const char *name, str value, const char *kind)
{
    jsonl_begin(line, out);
    jsonl_name(out, name);
    buffer_append_json_string(out, value);
    if (kind != NULL) {
        jsonl_name(out, "kind");
        buffer_append_json_string(out, str_of(kind));
    }
    buffer_append_char(out, '}');
}

/* The line's own template, compiled; kept for the next line, which often brings the same. */
static int own_template(struct render *render, str source, struct error *err)
{
    if (render->last != NULL && render->n_last_source == source.n && memcmp(render->last_source, source.data, source.n) == 0)
        return 0;
    template_free(render->last);
    free(render->last_source);
    render->last = NULL;
    render->last_source = malloc(source.n + 1);
    if (render->last_source == NULL)
        return error_set(err, WEIR_E_MEMORY, "template", "out of memory");
    memcpy(render->last_source, source.data, source.n);
    render->n_last_source = source.n;
    return template_compile(&render->last, source, err);
}

static int render_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    struct render *render = user;
    struct error failed = {0};
    str source;
    char text[600];
    json_t *context = NULL;
    int status = json_member_object(line, "context", &context, err);
    if (status < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, "context", "is required");
    const struct chat_template *template = render->shared;
    status = json_member_str(line, "template", &source, err);
    if (status < 0)
        return status;
    if (status == 0 && template == NULL)
        return error_set(err, WEIR_E_INVALID, "template", "is required where no --template is given");
    if (status > 0) {
        status = own_template(render, source, &failed);
        if (status < 0) {
            answer(line, out, "error", str_of(error_format(&failed, text, sizeof text)), status == WEIR_E_LIMIT ? "limit" : "syntax");
            return 0;
        }
        template = render->last;
    }
    static const char *const kinds[] = {[TEMPLATE_NO_FAILURE] = "failed", [TEMPLATE_RAISED] = "raised", [TEMPLATE_FAILED] = "failed",
                                        [TEMPLATE_SYNTAX] = "syntax", [TEMPLATE_LIMIT] = "limit"};
    enum template_failure failure;
    buffer_clear(&render->text);
    if (template_render(template, context, &render->limits, &render->text, &failure, &failed) == 0)
        answer(line, out, "text", buffer_str(&render->text), NULL);
    else if (failure == TEMPLATE_RAISED)
        answer(line, out, "error", buffer_str(&render->message), kinds[failure]);
    else
        answer(line, out, "error", str_of(error_format(&failed, text, sizeof text)), kinds[failure]);
    return 0;
}

/* "2026-01-02T03:04:05", with an optional zone Z or fraction, to seconds since 1970. */
static bool parse_now(const char *text, int64_t *out)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == NULL)
        end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (end == NULL)
        end = strptime(text, "%Y-%m-%d", &tm);
    if (end == NULL)
        return false;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9';)
            end++;
    if (strcmp(end, "") != 0 && strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)
        return false;
    *out = (int64_t)timegm(&tm);
    return true;
}

static int open_template(struct render *render, const char *path, struct error *err)
{
    struct buffer source;
    buffer_init(&source, LARGEST_TEMPLATE);
    int status = file_read(path, &source, err);
    if (status >= 0) {
        status = template_compile(&render->shared, buffer_str(&source), err);
        if (status < 0)
            (void)error_prefix(err, path);
    }
    buffer_release(&source);
    return status;
}

static int render_run(int argc, char **argv)
{
    const char *path = NULL, *now = NULL;
    bool keep_going = false;
    int n_files = 0;
    const struct cli_option options[] = {{.name = "template", .text = &path}, {.name = "now", .text = &now}, {.name = "keep-going", .flag = &keep_going}, {0}};
    int status = cli_parse(&verb_render, argc, argv, options, &n_files);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct render render = {0};
    struct error err = {0};
    if (now != NULL && !parse_now(now, &render.limits.now_unix)) {
        (void)error_set(&err, WEIR_E_INVALID, "--now", "must look like 2026-01-02T03:04:05");
        (void)cli_fail("render", &err);
        return EXIT_USAGE;
    }
    if (n_files > 1) {
        (void)error_set(&err, WEIR_E_INVALID, argv[2], "one file at most");
        (void)cli_fail("render", &err);
        return EXIT_USAGE;
    }
    buffer_init(&render.text, (size_t)1 << 28);
    buffer_init(&render.message, LONGEST_MESSAGE);
    render.limits.message = &render.message;
    int code = EXIT_FAILED;
    if (path != NULL && open_template(&render, path, &err) < 0)
        (void)cli_fail("render", &err);
    else
        code = jsonl_run(n_files > 0 ? argv[1] : NULL, keep_going, render_line, &render);
    template_free(render.shared);
    template_free(render.last);
    free(render.last_source);
    buffer_release(&render.text);
    buffer_release(&render.message);
    return code;
}
