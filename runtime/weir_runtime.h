/* weir_runtime: the on-device transformer. Opens model files (GGUF, or a Hugging Face directory), turns text into ids and
 * back, renders chat templates, runs decoders and encoders, and serves many generating sessions at a time.
 *
 * Threads: a struct model, tokenizer or chat_template is immutable once opened and may be used by any number of threads;
 * functions that run a forward pass on a model outside an engine (model_logits, model_embed, model_classify) serialise on
 * the model's own lock. A struct engine is thread-safe; a struct session belongs to the one thread that submitted it. */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include "weir_base.h"

/* ------------------------------------------------------------------ models */

enum precision {
    PRECISION_FAST = 0, /* Whatever kernels are fastest within the stated error budgets. */
    PRECISION_EXACT,    /* f32 arithmetic on the file's own weights, f32 KV cache. */
};

enum kv_type { KV_DEFAULT = 0, KV_F32, KV_F16, KV_Q8_0 }; /* Default: F32 when exact, F16 when fast. */

struct model_options {
    enum precision precision;
    int n_threads;            /* 0: one per core. */
    const char *adapter;      /* LoRA adapter (GGUF file or PEFT directory), NULL: none. */
    enum kv_type kv_type;
    size_t kv_budget_bytes;   /* Memory for all KV pages of an engine; 0: a quarter of the machine's, at most 2 GiB. */
    bool vocabulary_only;     /* Tokenizer and template, no weights: for tokenizing. */
};

enum model_kind { MODEL_DECODER, MODEL_ENCODER, MODEL_VOCABULARY };

struct model_info {
    enum model_kind kind;
    const char *path;         /* As opened. */
    const char *name;         /* The file's own name for it, or the last part of the path. */
    const char *architecture; /* GGUF's word: "llama", "gemma3", "bert", … */
    int n_vocab;
    int n_layers;
    int n_embd;               /* Width; of an encoder also the embedding's length. */
    int n_context;            /* Positions it can take (trained, with RoPE scaling as the file sets it). */
    int64_t n_parameters;
    size_t weight_bytes;      /* Held in memory for weights: mapped, or repacked, whichever is used. */
    size_t kv_token_bytes;    /* Of cache for one position of a session; 0 of an encoder. */
    size_t row_bytes;         /* Of the arena of activations, for each row computed in one pass (a decoding session's next position, or
                                 one of a prompt); the arena keeps the size of the largest pass. */
    int n_labels;             /* Of a classification head; 0: none. */
    const char *const *labels; /* n_labels names, "LABEL_0" … where the file has none. */
    bool labels_per_token;
    bool has_tokenizer;
    bool has_chat_template;
};

struct model;

/* Opens a GGUF file (v2, v3, split files by their first part) or a Hugging Face directory. Every offset, count and size in
 * it is checked before use; errors name the file and the tensor, key or byte. */
int model_open(struct model **out, const char *path, const struct model_options *options, struct error *err) WEIR_CHECKED;
void model_close(struct model *model); /* NULL is fine. No session or engine may still use it. */
const struct model_info *model_info_peek(const struct model *model);

/* Opens a LoRA adapter (Hu et al. 2021; GGUF file or PEFT directory) beside a decoder's own weights, for sessions that name it
 * (sampling.adapter): at most 64, before any engine starts. Changes of experts, routers and embeddings are refused: only
 * model_options.adapter, which merges, takes those. WEIR_E_INVALID: the name is taken or no plain word. */
int model_adapter_open(struct model *model, const char *name, const char *path, struct error *err) WEIR_CHECKED;
bool model_has_adapter(const struct model *model, const char *name);

/* Writes GGUF file `in` anew as `out` with its matrices in another format: "Q8_0" and the like for all of them, bit by bit as
 * llama-quantize --pure packs the formats in blocks of 32, or a mix such as "Q4_K_M". imatrix: a file of llama-imatrix, NULL for
 * none. From F32, F16 and BF16 only. out is replaced whole or left as it was. */
int model_quantize(const char *in, const char *out, const char *format, const char *imatrix, struct error *err) WEIR_CHECKED;

/* Writes a Hugging Face directory (floats, GPTQ or AWQ int4; every decoder that GGUF has an architecture for; BERT, RoBERTa and
 * DistilBERT) as GGUF file `out`, matrices as "F32", "F16" or "BF16", with its tokenizer and chat template unless weights_only. What
 * GGUF can't say of a model is WEIR_E_UNSUPPORTED; what llama.cpp computes otherwise is logged. */
int model_convert(const char *in, const char *out, const char *format, bool weights_only, struct error *err) WEIR_CHECKED;

/* Writes a decoder (GGUF file or Hugging Face directory) as GGUF file `out` with a LoRA adapter (GGUF file or PEFT directory) merged into
 * its weights. format: of the matrices that change ("F32", "F16", "BF16"), of a directory all; NULL: as they are where these are
 * floats, else F16. A change of a tied embedding is WEIR_E_UNSUPPORTED. */
int model_merge(const char *in, const char *adapter, const char *out, const char *format, struct error *err) WEIR_CHECKED;

/* What is to go: the parts that do least on a text. Zero: nothing. */
struct prune_options {
    int n_layers;   /* So many layers. */
    double heads;   /* This share of each layer's heads, in the groups that share keys and values. */
    double columns; /* This share of each MLP's columns. */
};
/* Writes a decoder (GGUF file or Hugging Face directory) as GGUF file `out` without these parts, measured by running it over the text.
 * *report, the caller's: {"perplexity" (of the text, before), "layer_influence", "layers_removed", "layers", "heads", "columns"
 * (that stay)}. Heads and columns of packed formats, and columns of experts, are WEIR_E_UNSUPPORTED. */
int model_prune(const char *in, const char *out, str text, const struct prune_options *options, json_t **report, struct error *err) WEIR_CHECKED;

struct factorise_options {
    const char *matrices; /* Names in layers with commas between: attn_q, attn_k, attn_v, attn_qkv, attn_output, ffn_gate, ffn_up,
                             ffn_down; NULL: those of the MLP. */
    int rank;             /* Of each; 0: the multiple of 32 that keeps at most this share of its weights: */
    double keep;
    int first_layer, end_layer; /* Those from the first one to before the other; 0: to the last. */
};
/* Writes a decoder (GGUF file or Hugging Face directory) as GGUF file `out` with these matrices as products of two thinner ones, chosen so
 * that little is lost on the text. *report, the caller's: {"perplexity" (of the text, before), "matrices" (how many), "weights_before",
 * "weights_after" (of these), "lost" (mean share of what they give, squared)}. Only Weir runs such files. */
int model_factorise(const char *in, const char *out, str text, const struct factorise_options *options, json_t **report, struct error *err) WEIR_CHECKED;

/* ------------------------------------------------------------------ tokens */

/* A growing list of token ids. Zero is an empty list. */
struct ids {
    int32_t *data;
    size_t n;
    size_t capacity;
};
int ids_append(struct ids *ids, int32_t id) WEIR_CHECKED;
void ids_release(struct ids *ids);

struct tokenizer;
const struct tokenizer *model_tokenizer_peek(const struct model *model); /* NULL: the model has none. */

enum {
    TOKENIZE_BARE = 1,    /* No BOS/EOS or [CLS]/[SEP], whatever the file says. */
    TOKENIZE_SPECIAL = 2, /* Text spelled like a special token becomes it. Never set for text from outside. */
};

/* Appends the ids of UTF-8 text (invalid bytes are taken as the vocabulary's byte fallback or unknown token has them). */
int tokenizer_encode(const struct tokenizer *tokenizer, str text, unsigned flags, struct ids *out, struct error *err) WEIR_CHECKED;
/* [CLS] a [SEP] b [SEP] and the like, as the file's post-processor says, with the type of each token into types (may be
 * NULL; same length as out). Truncated to max_tokens, longest first; 0: no limit. */
int tokenizer_encode_pair(const struct tokenizer *tokenizer, str a, str b, size_t max_tokens, struct ids *out,
                          struct ids *types, struct error *err) WEIR_CHECKED;
/* Appends the text of ids. keep_special: special tokens appear as their text, otherwise as nothing. */
int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t n, bool keep_special, struct buffer *out) WEIR_CHECKED;
int tokenizer_size(const struct tokenizer *tokenizer);
/* Ids with a role, -1 where the file has none. */
int32_t tokenizer_bos(const struct tokenizer *tokenizer);
int32_t tokenizer_eos(const struct tokenizer *tokenizer);
/* Does the id end an answer (EOS, end of turn, and what the file lists)? */
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id);
bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id);
/* The text of one special token ("<|im_start|>") to its id, -1 when there is none. */
int32_t tokenizer_special_id(const struct tokenizer *tokenizer, str text);

/* Streaming detokenizer: gives out only whole UTF-8 sequences. Caller's storage. */
struct detokenizer {
    const struct tokenizer *tokenizer;
    char held[16]; /* Bytes of a sequence still incomplete. */
    int n_held;
    bool started;  /* SentencePiece drops the first token's leading blank. */
};
void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer);
/* Appends the text that `id` completes; with id -1 flushes what is held as U+FFFD. */
int detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buffer *out) WEIR_CHECKED;

/* ------------------------------------------------------------------ chat templates */

struct chat_template;

/* Bounds of one rendering. Zero fields mean the defaults in brackets. */
struct template_limits {
    size_t max_steps;        /* Statements and expressions evaluated [10 M]. */
    size_t max_output_bytes; /* [16 MiB] */
    size_t max_memory_bytes; /* Of all values alive [256 MiB]. */
    int max_depth;           /* Nesting of expressions, blocks, macro calls, values [200]. */
    int64_t now_unix;        /* What strftime_now shows; 0: the clock. */
    struct buffer *message;  /* If set, gets the whole text of raise_exception, which err may have to cut. */
};

enum template_failure { TEMPLATE_NO_FAILURE, TEMPLATE_RAISED, TEMPLATE_FAILED, TEMPLATE_SYNTAX, TEMPLATE_LIMIT };

/* Compiles Jinja2 source (trim_blocks, lstrip_blocks, loopcontrols, generation), as transformers does. A syntax error is
 * WEIR_E_INVALID with the line. */
int template_compile(struct chat_template **out, str source, struct error *err) WEIR_CHECKED;
void template_free(struct chat_template *template);
/* Appends the text for a context object (its members are the template's variables). On failure nothing is appended,
 * *failure says which kind and err has the message (of raise_exception: its text alone, where is empty). Thread-safe. */
int template_render(const struct chat_template *template, const json_t *context, const struct template_limits *limits,
                    struct buffer *out, enum template_failure *failure, struct error *err) WEIR_CHECKED;
/* The model's own template, NULL when it has none. */
const struct chat_template *model_template_peek(const struct model *model);
/* Renders an OpenAI message list with the model's template and the generation prompt into ids: text between the
 * template's own special tokens never becomes a special token. tools may be NULL. */
int model_chat_ids(const struct model *model, const json_t *messages, const json_t *tools, struct ids *out, struct error *err) WEIR_CHECKED;

/* ------------------------------------------------------------------ answers: reasoning and tool calls in what a model says */

/* What a rendering takes besides messages. Zero: nothing. */
struct chat_settings {
    const json_t *tools;   /* An API request's, NULL: none. WEIR_E_UNSUPPORTED (where "tools"): the template shows none. */
    bool must_call;        /* The answer is begun as a call: what is sampled can only go on with it. WEIR_E_UNSUPPORTED: no such
                              beginning is known (where "tool_choice"). */
    const char *call_name; /* With must_call: of this tool, NULL: of any. */
    bool by_schema;        /* With must_call: WEIR_E_UNSUPPORTED (where "tools") unless arguments can be held to their schema. */
    bool at_once;          /* Without reasoning: what the prompt opens of it is closed. */
    const json_t *variables; /* Further variables of the template (enable_thinking and the like), an object; NULL: none.
                              WEIR_E_UNSUPPORTED (where "chat_template_kwargs.NAME"): the template does not know it. */
};
/* Does the model's template name this variable? */
bool model_template_knows(const struct model *model, const char *variable);

/* What a prompt's end has begun of the answer: an opened reasoning mark, a call that must be. */
struct grammar;
struct chat_begun {
    struct buffer text;      /* An answer_reader must read it first. */
    struct grammar *grammar; /* A begun call's arguments by their schema, for sampling.grammar; NULL: nothing holds the answer. */
    struct buffer closing;   /* With grammar: what the reader reads when the answer has ended by itself. */
};
void chat_begun_init(struct chat_begun *begun);
void chat_begun_release(struct chat_begun *begun);
/* As model_chat_ids; begun may be NULL. Messages may hold tool_calls and reasoning_content as the API has them, and results with the
 * role tool. WEIR_E_UNSUPPORTED (where "messages[i].tool_calls"): the template shows none. */
int model_chat_prompt(const struct model *model, const json_t *messages, const struct chat_settings *settings, struct ids *out,
                      struct chat_begun *begun, struct error *err) WEIR_CHECKED;

/* How a model marks reasoning and calls, learnt from its template when it was opened (chat/answer_format.h). Lives as long as it. */
struct answer_format;
const struct answer_format *model_answer_format_peek(const struct model *model); /* NULL: it has no template. */
bool answer_format_has_tools(const struct answer_format *format);     /* Tools can be given and calls told. NULL: false. */
bool answer_format_has_reasoning(const struct answer_format *format);
/* Does text (a prompt's end) open reasoning? Then what closes it is appended, for an answer that is to go on without. */
bool answer_format_close_reasoning(const struct answer_format *format, str text, struct buffer *out);

/* What an answer is made of: text of its content or its reasoning; a call's name, then pieces of its arguments (JSON text), then its end. */
enum answer_part { ANSWER_CONTENT, ANSWER_REASONING, ANSWER_CALL, ANSWER_ARGUMENTS, ANSWER_CALL_END };
typedef void answer_part_fn(void *user, enum answer_part part, str text);

struct answer_reading {
    const json_t *tools;   /* The request's, borrowed for the reader's life; NULL: calls stay text. */
    bool one_call;         /* Whatever comes after a first call is dropped. */
    answer_part_fn *part;
    void *user;
};

/* Tells the parts of a model's text apart as it comes. However the text is cut into pieces, the parts put together are the same.
 * Held back: what may yet be the beginning of a mark (at most 512 bytes); and a call until it is whole, so that a malformed one is
 * content as it was written. Of a call in JSON at most 1 KiB: then (its name must be known) its arguments are handed on as they come,
 * and where they go wrong the call ends. Of other forms at most 64 KiB: then it is content. One thread at a time. */
struct answer_reader;
int answer_reader_new(struct answer_reader **out, const struct answer_format *format, const struct answer_reading *reading) WEIR_CHECKED;
void answer_reader_free(struct answer_reader *reader); /* NULL is fine. */
int answer_reader_push(struct answer_reader *reader, str text) WEIR_CHECKED;
/* No more text comes. */
int answer_reader_finish(struct answer_reader *reader) WEIR_CHECKED;
bool answer_reader_in_reasoning(const struct answer_reader *reader);
int answer_reader_calls(const struct answer_reader *reader); /* Calls so far. */
bool answer_reader_is_done(const struct answer_reader *reader); /* one_call: it has come. */

/* ------------------------------------------------------------------ one forward pass */

/* Calls row(user, position, logits) for each position of a causal pass over ids from an empty cache, in order; logits has
 * n_vocab floats, valid during the call. A negative return of row stops with it. */
typedef int logits_fn(void *user, size_t position, const float *logits);
int model_logits(struct model *model, const int32_t *ids, size_t n, logits_fn *row, void *user, struct error *err) WEIR_CHECKED;

/* How well a decoder foresees a text: exp of the mean negative log-likelihood of each token given those before it, in pieces of
 * at most 512 tokens (or the context), each with the file's BOS where it has one and the first token of each not counted.
 * *n_tokens: how many were. WEIR_E_INVALID: no tokenizer, or a text of fewer than two tokens. */
int model_perplexity(struct model *model, str text, double *perplexity, size_t *n_tokens, struct error *err) WEIR_CHECKED;

/* One text for an encoder: n ids, token types or NULL (all 0). */
struct encoder_input {
    const int32_t *ids;
    const int32_t *types;
    size_t n;
};
/* Appends the ids of a text as the model's encoder takes them: with the file's special tokens around it, cut between them to
 * n_context. WEIR_E_UNSUPPORTED when the model has no tokenizer. */
int model_text_ids(const struct model *model, str text, struct ids *out, struct error *err) WEIR_CHECKED;
/* Sentence embeddings, pooled and normalised as the directory says (mean and L2 where it is silent): out has n_inputs ×
 * n_embd floats. Inputs need no padding and are batched inside. */
int model_embed(struct model *model, const struct encoder_input *inputs, size_t n_inputs, float *out, struct error *err) WEIR_CHECKED;
/* The same with, for each input, the mean over its positions of the hidden states before the last layer (BERT's kind and
 * DistilBERT; of the last ones elsewhere), not normalised: inner has n_inputs × n_embd floats. They say more of a text's form. */
int model_embed_inner(struct model *model, const struct encoder_input *inputs, size_t n_inputs, float *out, float *inner,
                      struct error *err) WEIR_CHECKED;
/* Every position's last hidden state: out has n × n_embd floats. */
int model_hidden(struct model *model, const struct encoder_input *input, float *out, struct error *err) WEIR_CHECKED;
/* Logits of the classification head: n_labels floats, or n × n_labels when labels_per_token. */
int model_classify(struct model *model, const struct encoder_input *input, float *out, struct error *err) WEIR_CHECKED;

/* ------------------------------------------------------------------ grammars: what an answer may look like */

/* A language of texts that an answer is held to, token by token: no token is chosen that no text of the language goes on with,
 * and none ends an answer that is not whole. A model that stops at max_tokens leaves a beginning of such a text. Immutable,
 * counted; any number of sessions and threads may use one. */
struct grammar;

/* JSON texts (RFC 8259) that a JSON Schema (2020-12) accepts; NULL: any object. A grammar may hold fewer texts than the schema:
 * properties come in the schema's order, those not named in it only where additionalProperties is true or a schema, blanks between
 * tokens are one blank or a line's beginning, numbers have at most 15 digits. Never more: a keyword that a grammar can't
 * express (not, if, uniqueItems, multipleOf, …) is WEIR_E_UNSUPPORTED with its path in err's where, a malformed schema
 * WEIR_E_INVALID. Formats known: date, time, date-time, uuid, ipv4, email; others are notes, as the specification has them. */
int grammar_of_schema(struct grammar **out, const json_t *schema, struct error *err) WEIR_CHECKED;
/* GBNF, as llama.cpp's users write it: rules `name ::= …` of "text", [a-z], ., names, ( ), |, and * + ? {m,n} behind them; `root`
 * is where a text begins. WEIR_E_INVALID names the line. */
int grammar_of_gbnf(struct grammar **out, str source, struct error *err) WEIR_CHECKED;
/* A regular expression (ECMA-262's without look-around and back references) that the whole answer matches. */
int grammar_of_regex(struct grammar **out, str pattern, struct error *err) WEIR_CHECKED;
/* One of the texts. */
int grammar_of_choice(struct grammar **out, const str *texts, size_t n, struct error *err) WEIR_CHECKED;
struct grammar *grammar_share(struct grammar *grammar); /* Thread-safe. */
void grammar_free(struct grammar *grammar);             /* Gives back one share. NULL is fine. Thread-safe. */

/* ------------------------------------------------------------------ engine: many sessions on one model */

enum { SAMPLING_MAX_STOPS = 16, SAMPLING_MAX_TOP_LOGPROBS = 20, SAMPLING_MAX_BIAS = 300, SAMPLING_MAX_LABELS = 4 };

struct logit_bias {
    int32_t id;
    float bias;
};

/* Zero value: greedy, 16 tokens. */
struct sampling {
    float temperature;        /* 0: greedy. */
    int top_k;                /* 0: off. */
    float top_p;              /* 0 or 1: off. */
    float min_p;              /* 0: off. */
    float repetition_penalty; /* 0 or 1: off; over the last 256 tokens, prompt included (CTRL, Keskar et al. 2019). */
    float presence_penalty;   /* OpenAI's, over generated tokens. */
    float frequency_penalty;
    bool seeded;              /* seed is meant; otherwise the operating system draws one. */
    uint64_t seed;
    int max_tokens;           /* 0: 16; negative: as far as the context goes. */
    bool ignore_end;          /* Goes on past end tokens (benchmarks, fixtures). */
    int n_top_logprobs;       /* Alternatives reported a token, at most 20. */
    bool logprobs;
    int n_confidence;         /* With logprobs: so many tokens from the beginning have entropy and margin too. */
    int32_t labels[SAMPLING_MAX_LABELS]; /* With logprobs: the alternatives reported are these, in this order, in place of the */
    int n_labels;             /* likeliest; n_top_logprobs is n_labels then. */
    const struct logit_bias *bias; /* Copied. */
    size_t n_bias;
    const str *stops;         /* Copied. The text ends before the first of them. */
    size_t n_stops;
    const char *adapter;      /* One of model_adapter_open's names, NULL: none. */
    struct grammar *grammar;  /* What the answer is held to, NULL: nothing. Shared, not taken. Needs a tokenizer. */
    str begun;                /* Of the answer: what the prompt ends in already; text and grammar go on from there. Borrowed for the call. */
    bool context_shift;       /* At the end of the context the older half of what follows the first n_keep positions is dropped and
                                 the rest computed anew at its new positions, as if the talk had begun so; also of a prompt that
                                 is too long. Otherwise the answer ends there (FINISH_LENGTH), and such a prompt is refused. */
    int n_keep;               /* Positions at the beginning that stay: at most three quarters of the context. */
    bool background;          /* Work that nobody waits for, one session at a time (another is WEIR_E_FULL): it computes only while no other session
                                 is there and the engine is not held, gives back its memory and its place to any that wants them, and a step of its
                                 is broken off when one is submitted. */
};

struct token_logprob {
    int32_t id;
    float logprob; /* Natural logarithm, of the distribution before temperature and truncation. */
    float entropy; /* Of that distribution, in nats, and its likeliest token's log-probability less the second's: of the first */
    float margin;  /* n_confidence chosen tokens, else 0. */
};

enum finish_reason { FINISH_NONE = 0, FINISH_STOP, FINISH_LENGTH, FINISH_CANCELLED, FINISH_ERROR };

struct usage {
    int prompt_tokens;
    int cached_tokens;     /* Of the prompt, found in the prefix cache. */
    int completion_tokens; /* The end token included. */
    int dropped_tokens;    /* Of prompt and answer, by context_shift. */
};

/* What a session yields. Pointers are valid until the next session_next or session_free. */
struct session_event {
    enum { SESSION_TOKEN, SESSION_END } kind;
    /* SESSION_TOKEN: text that became certain (whole UTF-8, no part of a stop string), possibly of several tokens, possibly
     * empty when logprobs are asked for; tokens: those it is made of. */
    str text;
    const int32_t *tokens;
    const struct token_logprob *logprobs; /* n_tokens chosen ones, NULL unless asked. */
    const struct token_logprob *top;      /* n_tokens × n_top, sorted, NULL unless asked. */
    int n_tokens;
    int n_top;
    /* SESSION_END */
    enum finish_reason reason;
    struct usage usage;
    const struct error *error; /* FINISH_ERROR only. */
};

struct engine;
struct session;

/* Tokens are guessed cheaply and checked several at a time (Leviathan et al. 2023, Chen et al. 2023). A guess is one token, not a
 * distribution, so their rejection rule becomes: draw from the model as without guesses, and go on while the draw is the guess.
 * Answers are thus the same, token by token, drawn ones with a seed too. */
enum speculation { SPECULATE_LOOKUP = 0, SPECULATE_OFF, SPECULATE_DRAFT };

struct engine_options {
    int max_sessions;      /* Decoding side by side [64]. */
    int max_waiting;       /* Submitted beyond that [256]; then WEIR_E_FULL. */
    int step_prompt_tokens; /* Prompt tokens computed in one step beside the decoding sessions [64]. */
    enum speculation speculation; /* [LOOKUP]: what followed the same tokens before (Saxena 2023), as far as that pays. DRAFT: a smaller model's choice. */
    struct model *draft;   /* Of the same vocabulary; outlives the engine. */
};

/* Starts the engine's thread on a decoder. The model outlives it. */
int engine_start(struct engine **out, struct model *model, const struct engine_options *options, struct error *err) WEIR_CHECKED;
/* Cancels what runs, joins the thread, frees. Sessions must have been freed. */
void engine_stop(struct engine *engine);

/* Called from the engine's thread when session_next would have something new: must only wake the owner. */
typedef void session_notify_fn(void *user);

/* Queues a generation. prompt and sampling are copied. Errors: WEIR_E_LIMIT (prompt past the context, with both counts in
 * err), WEIR_E_INVALID (a token id or sampling value out of range, by name), WEIR_E_FULL, WEIR_E_STATE. */
int engine_submit(struct engine *engine, const int32_t *prompt, size_t n_prompt, const struct sampling *sampling,
                  session_notify_fn *notify, void *user, struct session **out, struct error *err) WEIR_CHECKED;
/* 1 and *event, or 0 when nothing is there yet. After SESSION_END always 0. A reader that stays away pauses only its own
 * session, once 64 tokens wait. */
int session_next(struct session *session, struct session_event *event);
/* As session_next, but waits up to timeout_us (negative: for ever). For threads that own nothing else. */
int session_wait(struct session *session, struct session_event *event, int64_t timeout_us);
/* Stops the work within one step; SESSION_END with FINISH_CANCELLED follows. From any thread. */
void session_cancel(struct session *session);
void session_free(struct session *session); /* Cancels if it runs. */

/* held: the background session rests, from its next layer on, until it is no longer. From any thread. */
void engine_hold(struct engine *engine, bool held);

struct engine_stats {
    int n_running;             /* Without the background one, as the next. */
    int n_waiting;
    int64_t n_steps;
    int64_t n_prompt_tokens;
    int64_t n_cached_tokens;
    int64_t n_generated_tokens;
    int64_t n_background_tokens; /* Of them, by background sessions. */
    int64_t n_drafted_tokens;  /* Guessed, and those of them that the model chose too. */
    int64_t n_accepted_tokens;
    int64_t n_context_shifts;
    size_t kv_used_bytes;
    size_t kv_budget_bytes;
};
void engine_stats(struct engine *engine, struct engine_stats *out);

/* ------------------------------------------------------------------ the machine */

/* What the kernels use on this CPU: "scalar", "avx2", "avx512-vnni", "neon". WEIR_KERNELS=scalar|avx2 forbids the faster. */
const char *runtime_kernels(void);

#endif
