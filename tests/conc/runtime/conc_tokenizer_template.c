/* A tokenizer and a compiled template are immutable: several threads use the same ones at once and each gets what one
 * thread alone gets. For ThreadSanitizer. */
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_THREADS = 4, N_ROUNDS = 40 };

static const str texts[] = {STR("Hello  world's 123 \xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\n\t"), STR("def f(x):\n    return x ** 2  # <s> </s>\n"), STR("aaaaaaaaaaaaaaaaaaaaaaaa"), STR("")};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static const char source[] = "{%- macro show(m) -%}<{{ m.role | upper }}>{{ m['content'] | trim }}{%- endmacro -%}"
                             "{%- set ns = namespace(n=0) -%}"
                             "{%- for m in messages if m.content -%}{%- set ns.n = ns.n + 1 -%}{{ show(m) }}{{ loop.index }}{{ m | tojson }}{%- endfor -%}"
                             "{{ ns.n }}{{ strftime_now('%Y-%m-%d') }}{{ (messages | map(attribute='role') | join(',')).split(',')[-1:] }}";

struct expected {
    struct ids ids[N_TEXTS];
    struct buffer rendered;
};

static const struct tokenizer *tokenizer;
static struct chat_template *template;
static const struct template_limits limits = {.now_unix = 1767322800};

static _Noreturn void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, err->where, err->text);
    exit(1);
}

/* One thread's work: every text there and back, one conversation rendered. */
static void work(struct expected *out)
{
    struct error err = {0};
    for (int i = 0; i < N_TEXTS; i++) {
        struct buffer back;
        buffer_init(&back, 1 << 16);
        out->ids[i] = (struct ids){0};
        if (tokenizer_encode(tokenizer, texts[i], TOKENIZE_SPECIAL, &out->ids[i], &err) < 0)
            die("encode", &err);
        struct detokenizer detokenizer;
        detokenizer_init(&detokenizer, tokenizer);
        for (size_t k = 0; k < out->ids[i].n; k++)
            if (detokenizer_push(&detokenizer, out->ids[i].data[k], &back) < 0)
                die("detokenize", &err);
        buffer_release(&back);
    }
    json_t *context = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "system", "content", " Be brief. ", "role", "user", "content", "Gr\xc3\xbc\xc3\x9f dich");
    enum template_failure failure;
    buffer_init(&out->rendered, 1 << 16);
    if (template_render(template, context, &limits, &out->rendered, &failure, &err) < 0)
        die("render", &err);
    json_decref(context);
}

static void release(struct expected *expected)
{
    for (int i = 0; i < N_TEXTS; i++)
        ids_release(&expected->ids[i]);
    buffer_release(&expected->rendered);
}

static void *owner(void *arg)
{
    const struct expected *alone = arg;
    for (int round = 0; round < N_ROUNDS; round++) {
        struct expected mine;
        struct chat_template *own;
        struct error err = {0};
        work(&mine);
        for (int i = 0; i < N_TEXTS; i++)
            if (mine.ids[i].n != alone->ids[i].n || (mine.ids[i].n > 0 && memcmp(mine.ids[i].data, alone->ids[i].data, mine.ids[i].n * sizeof *mine.ids[i].data) != 0)) {
                fprintf(stderr, "text %d: other ids than alone\n", i);
                exit(1);
            }
        if (!str_equal(buffer_str(&mine.rendered), buffer_str(&alone->rendered))) {
            fprintf(stderr, "another text than alone: %.*s\n", (int)mine.rendered.n, mine.rendered.data);
            exit(1);
        }
        if (template_compile(&own, str_of(source), &err) < 0) /* Others compile beside those who render. */
            die("compile", &err);
        template_free(own);
        release(&mine);
    }
    return NULL;
}

int main(void)
{
    static const char *const files[] = {"gpt-2.gguf", "llama-spm.gguf", "bert-bge.gguf"};
    struct error err = {0};
    if (template_compile(&template, str_of(source), &err) < 0)
        die("compile", &err);
    for (size_t file = 0; file < sizeof files / sizeof *files; file++) {
        char path[512];
        struct model_file *opened;
        struct tokenizer *shared;
        struct expected alone;
        pthread_t threads[N_THREADS];
        snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/tokenizers/%s", files[file]);
        if (model_file_open(&opened, path, &err) < 0 || tokenizer_open(&shared, opened, &err) < 0)
            die(path, &err);
        tokenizer = shared;
        work(&alone);
        for (int i = 0; i < N_THREADS; i++)
            pthread_create(&threads[i], NULL, owner, &alone);
        for (int i = 0; i < N_THREADS; i++)
            pthread_join(threads[i], NULL);
        release(&alone);
        tokenizer_close(shared);
        model_file_close(opened);
    }
    template_free(template);
    printf("%d rounds on %d threads for each of 3 tokenizers\n", N_ROUNDS, N_THREADS);
    return 0;
}
