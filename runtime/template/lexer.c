/* Cuts a template into tokens: text outside tags, and inside them names, literals and operators.
 *
 * White space is settled here, so that nothing later knows of it: the newline after a block tag or comment goes
 * (trim_blocks), blanks before one go when nothing else precedes them on the line (lstrip_blocks), `-` takes all white
 * space on its side, `+` keeps it, one final newline of the source goes, and every line end is LF. */
#include "template/ast.h"

struct lexer {
    struct arena *arena;
    struct tokens *tokens;
    struct error *err;
    str source;
    size_t at;
    int line;
    bool line_starts; /* The last tag ended with a newline, or nothing was read yet. */
};

static int lexer_fail(const struct lexer *lexer, const char *what)
{
    return error_set(lexer->err, WEIR_E_INVALID, "", "line %d: %s", lexer->line, what);
}

static int push(struct lexer *lexer, struct token token)
{
    struct tokens *tokens = lexer->tokens;
    if (tokens->n == tokens->capacity) {
        size_t capacity = tokens->capacity > 0 ? tokens->capacity * 2 : 256;
        struct token *items = arena_array(lexer->arena, capacity, sizeof *items);
        if (items == NULL)
            return error_set(lexer->err, WEIR_E_MEMORY, "", "out of memory");
        if (tokens->n > 0)
            memcpy(items, tokens->items, tokens->n * sizeof *items);
        tokens->items = items;
        tokens->capacity = capacity;
    }
    token.line = lexer->line;
    tokens->items[tokens->n++] = token;
    return 0;
}

static bool at_text(const struct lexer *lexer, size_t at, const char *text)
{
    size_t n = strlen(text);
    return lexer->source.n - at >= n && memcmp(lexer->source.data + at, text, n) == 0;
}

static size_t skip_space(str s, size_t at)
{
    while (at < s.n) {
        size_t next = at;
        if (!char_is_space(utf8_next(s, &next)))
            break;
        at = next;
    }
    return at;
}

static void advance(struct lexer *lexer, size_t to)
{
    for (size_t i = lexer->at; i < to; i++)
        lexer->line += lexer->source.data[i] == '\n';
    lexer->at = to;
}

/* The text before a tag, as the sign after the tag's opening and lstrip_blocks leave it. */
static str text_before(const struct lexer *lexer, size_t from, size_t to, char sign, bool lstrip)
{
    str text = {lexer->source.data + from, to - from};
    if (sign == '-') {
        size_t kept = 0;
        for (size_t at = 0; at < text.n;) {
            if (!char_is_space(utf8_next(text, &at)))
                kept = at;
        }
        text.n = kept;
    } else if (sign != '+' && lstrip) {
        size_t line = text.n;
        while (line > 0 && text.data[line - 1] != '\n')
            line--;
        if ((line > 0 || lexer->line_starts) && skip_space(text, line) == text.n)
            text.n = line;
    }
    return text;
}

/* The end of a comment or block at `at`: "#}" or "%}", with its sign. Sets *end past what it swallows. */
static bool tag_end(const struct lexer *lexer, size_t at, const char *closing, bool keeps_newline, size_t *end)
{
    bool plus = at_text(lexer, at, "+"), minus = at_text(lexer, at, "-");
    size_t close = at + (plus || minus);
    if ((plus && keeps_newline) || !at_text(lexer, close, closing))
        return false;
    close += 2;
    if (minus)
        close = skip_space(lexer->source, close);
    else if (!plus && !keeps_newline && close < lexer->source.n && lexer->source.data[close] == '\n')
        close++;
    *end = close;
    return true;
}

static int lex_comment(struct lexer *lexer)
{
    size_t end;
    for (size_t at = lexer->at; at < lexer->source.n; at++)
        if (tag_end(lexer, at, "#}", false, &end)) {
            advance(lexer, end);
            lexer->line_starts = end > 0 && lexer->source.data[end - 1] == '\n';
            return 0;
        }
    return lexer_fail(lexer, "missing end of a comment");
}

/* Is there a raw tag at the block that opens at `at`? Sets *end past it. */
static bool raw_begins(const struct lexer *lexer, size_t at, size_t *end)
{
    at += 2;
    if (at_text(lexer, at, "-") || at_text(lexer, at, "+"))
        at++;
    at = skip_space(lexer->source, at);
    if (!at_text(lexer, at, "raw"))
        return false;
    at = skip_space(lexer->source, at + 3);
    return tag_end(lexer, at, "%}", true, end);
}

static int lex_raw(struct lexer *lexer)
{
    for (size_t at = lexer->at; at < lexer->source.n; at++) {
        if (!at_text(lexer, at, "{%"))
            continue;
        size_t name = at + 2, end;
        char sign = name < lexer->source.n ? lexer->source.data[name] : 0;
        name = skip_space(lexer->source, name + (sign == '-' || sign == '+'));
        if (!at_text(lexer, name, "endraw"))
            continue;
        if (!tag_end(lexer, skip_space(lexer->source, name + 6), "%}", false, &end))
            continue;
        str text = text_before(lexer, lexer->at, at, sign, true);
        if (text.n > 0 && push(lexer, (struct token){.type = TOKEN_TEXT, .text = text}) < 0)
            return WEIR_E_MEMORY;
        advance(lexer, end);
        lexer->line_starts = lexer->source.data[end - 1] == '\n';
        return 0;
    }
    return lexer_fail(lexer, "missing end of raw");
}

static bool is_name_char(str s, size_t at, size_t *next)
{
    *next = at;
    uint32_t c = utf8_next(s, next);
    return c == '_' || char_is_alpha(c) || char_is_numeric(c);
}

static int lex_name(struct lexer *lexer)
{
    size_t end = lexer->at, next;
    while (end < lexer->source.n && is_name_char(lexer->source, end, &next))
        end = next;
    str name = {lexer->source.data + lexer->at, end - lexer->at};
    if (utf8_first_invalid(name) >= 0)
        return lexer_fail(lexer, "invalid character in a name");
    lexer->at = end;
    return push(lexer, (struct token){.type = TOKEN_NAME, .text = name});
}

static int lex_quoted(struct lexer *lexer)
{
    char quote = lexer->source.data[lexer->at];
    size_t end = lexer->at + 1;
    while (end < lexer->source.n && lexer->source.data[end] != quote)
        end += lexer->source.data[end] == '\\' ? 2 : 1;
    if (end >= lexer->source.n)
        return lexer_fail(lexer, "a string without its end");
    struct token token = {.type = TOKEN_STRING};
    int status = lexer_string(lexer->arena, (str){lexer->source.data + lexer->at + 1, end - lexer->at - 1}, lexer->line, &token.text, lexer->err);
    if (status < 0)
        return status;
    advance(lexer, end + 1);
    return push(lexer, token);
}

static int lex_operator(struct lexer *lexer, char *stack, size_t n_stack, size_t *depth)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<=", NULL};
    struct token token = {.type = TOKEN_OPERATOR};
    for (const char *const *op = two; *op != NULL; op++)
        if (at_text(lexer, lexer->at, *op)) {
            memcpy(token.op, *op, 3);
            lexer->at += 2;
            return push(lexer, token);
        }
    char c = lexer->source.data[lexer->at];
    if (c == '\0' || strchr("+-/*%~[](){}><=.:|,;", c) == NULL)
        return lexer_fail(lexer, "unexpected character");
    if (strchr("([{", c) != NULL) {
        if (*depth == n_stack)
            return error_set(lexer->err, WEIR_E_LIMIT, "", "line %d: brackets nest deeper than %zu", lexer->line, n_stack);
        stack[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr(")]}", c) != NULL && (*depth == 0 || stack[--*depth] != c)) {
        return lexer_fail(lexer, "a closing bracket that does not match");
    }
    token.op[0] = c;
    lexer->at++;
    return push(lexer, token);
}

/* The tokens of one tag up to its end. */
static int lex_tag(struct lexer *lexer, bool output)
{
    char stack[TEMPLATE_MAX_NESTING];
    size_t depth = 0;
    while (lexer->at < lexer->source.n) {
        size_t end;
        bool ends = false;
        if (depth == 0 && output) {
            ends = at_text(lexer, lexer->at, "-}}") || at_text(lexer, lexer->at, "}}");
            end = lexer->at + 2;
            if (at_text(lexer, lexer->at, "-}}"))
                end = skip_space(lexer->source, lexer->at + 3);
        } else if (depth == 0) {
            ends = tag_end(lexer, lexer->at, "%}", false, &end);
        }
        if (ends) {
            int status = push(lexer, (struct token){.type = output ? TOKEN_OUTPUT_END : TOKEN_BLOCK_END});
            advance(lexer, end);
            lexer->line_starts = lexer->source.data[end - 1] == '\n';
            return status;
        }
        size_t next = skip_space(lexer->source, lexer->at);
        if (next > lexer->at) {
            advance(lexer, next);
            continue;
        }
        struct token token = {0};
        int status = lexer_number(lexer->source, &lexer->at, &token, lexer->line, lexer->err);
        char c = lexer->source.data[lexer->at < lexer->source.n ? lexer->at : lexer->source.n - 1];
        if (status == 1)
            status = push(lexer, token);
        else if (status == 0 && is_name_char(lexer->source, lexer->at, &next))
            status = lex_name(lexer);
        else if (status == 0 && (c == '\'' || c == '"'))
            status = lex_quoted(lexer);
        else if (status == 0)
            status = lex_operator(lexer, stack, sizeof stack, &depth);
        if (status < 0)
            return status;
    }
    return 0; /* The parser says what is missing. */
}

/* Line ends become LF and one final one goes. */
static int normalise(struct lexer *lexer, str source)
{
    char *data = arena_alloc(lexer->arena, source.n + 1);
    if (data == NULL)
        return error_set(lexer->err, WEIR_E_MEMORY, "", "out of memory");
    size_t n = 0;
    for (size_t i = 0; i < source.n; i++) {
        if (source.data[i] == '\r') {
            data[n++] = '\n';
            i += i + 1 < source.n && source.data[i + 1] == '\n';
        } else {
            data[n++] = source.data[i];
        }
    }
    if (n > 0 && data[n - 1] == '\n')
        n--;
    lexer->source = (str){data, n};
    return 0;
}

int lexer_run(struct arena *arena, str source, struct tokens *out, struct error *err)
{
    struct lexer lexer = {.arena = arena, .tokens = out, .err = err, .line = 1, .line_starts = true};
    int status = normalise(&lexer, source);
    while (status >= 0 && lexer.at < lexer.source.n) {
        size_t open = lexer.at;
        while (open < lexer.source.n && !at_text(&lexer, open, "{{") && !at_text(&lexer, open, "{%") && !at_text(&lexer, open, "{#"))
            open++;
        char kind = open < lexer.source.n ? lexer.source.data[open + 1] : 0;
        char sign = kind != 0 && open + 2 < lexer.source.n ? lexer.source.data[open + 2] : 0;
        str text = kind != 0 ? text_before(&lexer, lexer.at, open, sign, kind != '{') : (str){lexer.source.data + lexer.at, open - lexer.at};
        if (text.n > 0)
            status = push(&lexer, (struct token){.type = TOKEN_TEXT, .text = text});
        if (status < 0 || kind == 0)
            break;
        size_t raw_end;
        if (kind == '%' && raw_begins(&lexer, open, &raw_end)) {
            advance(&lexer, raw_end);
            lexer.line_starts = lexer.source.data[raw_end - 1] == '\n';
            status = lex_raw(&lexer);
            continue;
        }
        advance(&lexer, open + 2 + (sign == '-' || sign == '+'));
        if (kind == '#') {
            status = lex_comment(&lexer);
            continue;
        }
        status = push(&lexer, (struct token){.type = kind == '{' ? TOKEN_OUTPUT_BEGIN : TOKEN_BLOCK_BEGIN});
        if (status >= 0)
            status = lex_tag(&lexer, kind == '{');
    }
    return status < 0 ? status : push(&lexer, (struct token){.type = TOKEN_END});
}
