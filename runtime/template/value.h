/* The values a chat template computes with: Python's, as far as templates can tell the difference.
 *
 * A struct value is small and passed by value; what it points to lives in the rendering's arena (or, for literals, in the
 * template's) and is immutable once built, except namespaces, iterators, cyclers and joiners. Integers have 64 bits: a
 * result that needs more is a limit. Text is UTF-8; indices of the language count code points. */
#ifndef WEIR_TEMPLATE_VALUE_H
#define WEIR_TEMPLATE_VALUE_H

#include "weir_runtime.h"

struct rendering;

enum value_kind {
    VALUE_MISSING = 0, /* No value at all: an argument not given. Never seen by a template. */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_VIEW,      /* keys(), values(), items() of a dict; mark says which. */
    VALUE_RANGE,
    VALUE_ITER,      /* A generator: consumed once. */
    VALUE_NAMESPACE,
    VALUE_NATIVE,    /* A global function. */
    VALUE_METHOD,    /* A native function bound to its object. */
    VALUE_MACRO,
    VALUE_LOOP,
    VALUE_CYCLER,
    VALUE_JOINER,
    VALUE_SELF,      /* The template's blocks: self.name(). */
    VALUE_BLOCK,
};

enum { TEXT_MARKUP = 1 };  /* mark of a text that escape or safe made. */
enum { TUPLE_GROUP = 1 };  /* mark of a groupby pair: has .grouper and .list. */
enum { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };
enum { UNDEFINED_NAME, UNDEFINED_MEMBER, UNDEFINED_UNSAFE, UNDEFINED_ELSE, UNDEFINED_PARAMETER, UNDEFINED_EMPTY };

struct text {
    const char *data;
    size_t n;
    size_t n_chars; /* Code points; SIZE_MAX: not counted yet. */
};

struct value {
    uint8_t kind;
    uint8_t mark;
    union {
        bool truth;
        int64_t integer;
        double real;
        const struct text *text; /* Of an undefined: the name it was looked up by, or NULL. */
        struct list *list;       /* List, tuple. */
        struct dict *dict;       /* Dict, view, namespace. */
        struct range *range;
        struct iter *iter;
        const struct native *native;
        struct method *method;
        struct macro *macro;
        struct loop *loop;
        struct cycler *cycler;
        struct joiner *joiner;
        const struct node *block;
        const void *pointer;
    };
};

struct list {
    struct value *items;
    size_t n;
};

struct dict_entry {
    struct value key;
    struct value value;
    uint64_t hash;
};

/* Keeps the order of insertion. Small ones are searched in line, larger ones through an open-addressed index. */
struct dict {
    struct dict_entry *entries;
    size_t n;
    size_t capacity;
    int32_t *index; /* n_index slots, -1: empty. NULL while small. */
    size_t n_index;
};

struct range {
    int64_t start, stop, step;
    int64_t n;
};

struct cycler {
    struct list items;
    size_t at;
};

struct joiner {
    struct value separator;
    bool used;
};

static inline struct value value_none(void)
{
    return (struct value){.kind = VALUE_NONE};
}

static inline struct value value_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .truth = truth};
}

static inline struct value value_int(int64_t integer)
{
    return (struct value){.kind = VALUE_INT, .integer = integer};
}

static inline struct value value_float(double real)
{
    return (struct value){.kind = VALUE_FLOAT, .real = real};
}

static inline struct value value_text(const struct text *text)
{
    return (struct value){.kind = VALUE_TEXT, .text = text};
}

static inline bool value_is(struct value value, enum value_kind kind)
{
    return value.kind == kind;
}

static inline str value_bytes(struct value text)
{
    return (str){text.text->data, text.text->n};
}

/* ---- value.c */
struct value value_text_copy(struct rendering *r, str s);
struct value value_text_borrow(struct rendering *r, str s); /* s outlives the rendering. */
struct value value_marked(struct value text, uint8_t mark); /* The same text, as markup or not. */
struct value value_list_new(struct rendering *r, enum value_kind kind, size_t n); /* n items, to be filled. */
struct value value_undefined(struct rendering *r, uint8_t why, str name);
struct value value_from_json(struct rendering *r, const json_t *json);
bool value_truth(struct value value);
const char *value_type(struct value value); /* Python's name for its type. */
/* The number in an int or bool; false for others. */
bool value_as_int(struct value value, int64_t *out);
bool value_as_real(struct value value, double *out);
/* As an index or count: fails with Python's message for what is no integer. */
int64_t value_need_int(struct rendering *r, struct value value);
/* Python's str(): the value as text, markup staying markup. */
struct value value_str(struct rendering *r, struct value value);

/* ---- text.c: code points */
size_t text_length(const struct text *text);
/* Byte offset of code point `at` (at most the length). */
size_t text_offset(const struct text *text, size_t at);
/* items[start], start + step, … n of them. */
struct value text_slice(struct rendering *r, struct value text, int64_t start, int64_t step, int64_t n);
bool char_is_space(uint32_t c);
bool char_is_printable(uint32_t c);
bool char_is_alpha(uint32_t c);
bool char_is_decimal(uint32_t c);
bool char_is_digit(uint32_t c);
bool char_is_numeric(uint32_t c);
bool char_is_upper(uint32_t c);
bool char_is_lower(uint32_t c);
bool char_is_title(uint32_t c);
/* Full case mapping (Unicode's SpecialCasing too): up to 3 code points. Returns how many. */
int char_upper(uint32_t c, uint32_t out[3]);
int char_lower(uint32_t c, uint32_t out[3]);
int char_title(uint32_t c, uint32_t out[3]);
enum text_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITALIZE, CASE_SWAP, CASE_FOLD };
struct value text_recase(struct rendering *r, struct value text, enum text_case how);
/* Without leading (sides & 1) and trailing (sides & 2) members of set, or white space when set is NULL. */
struct value text_strip(struct rendering *r, struct value text, const struct text *set, int sides);
struct value text_replace(struct rendering *r, struct value text, str from, str to, int64_t count);
/* HTML escaping; markup is left alone. */
struct value text_escape(struct rendering *r, struct value value);

/* ---- dict.c */
struct value dict_new(struct rendering *r, enum value_kind kind);
void dict_set(struct rendering *r, struct dict *dict, struct value key, struct value value);
/* NULL: absent. Fails for keys that Python can't hash. */
const struct value *dict_get(struct rendering *r, const struct dict *dict, struct value key);
const struct value *dict_get_text(const struct dict *dict, str key);

/* ---- compare.c */
bool value_equal(struct rendering *r, struct value a, struct value b);
/* -1, 0, 1; fails where Python can't order. operator: for the message. */
int value_order(struct rendering *r, struct value a, struct value b, const char *operator);
uint64_t value_hash(struct rendering *r, struct value value);
bool value_contains(struct rendering *r, struct value container, struct value item);

/* ---- iter.c */
struct iter {
    bool (*next)(struct rendering *r, struct iter *iter, struct value *out);
    struct value source; /* What it walks. */
    struct iter *inner;  /* Of filters over another iterator. */
    void *state;
    size_t at;
};
/* Fails for what is not iterable. */
struct iter *iter_new(struct rendering *r, struct value value);
bool iter_next(struct rendering *r, struct iter *iter, struct value *out);
bool value_is_iterable(struct value value);
/* The rest of an iterator as a list or tuple. */
struct value iter_collect(struct rendering *r, struct iter *iter, enum value_kind kind);
struct value value_collect(struct rendering *r, struct value value, enum value_kind kind);
/* Python's len(): -1 when it has none. */
int64_t value_length(struct value value);
/* An iterator made of a function. */
struct value iter_value(struct rendering *r, bool (*next)(struct rendering *, struct iter *, struct value *), struct value source,
                        void *state);

/* ---- print.c */
void value_print(struct rendering *r, struct value value); /* str() to the output. */
void value_repr(struct rendering *r, struct value value);
void real_format(double real, char out[32]); /* Python's repr of a float. */

/* ---- tojson.c */
struct json_style {
    bool ensure_ascii;
    bool sort_keys;
    bool pretty;          /* indent given. */
    str indent;           /* Of one level. */
    str item_separator;
    str key_separator;
};
void value_tojson(struct rendering *r, struct value value, const struct json_style *style);

/* ---- arith.c */
enum operator {
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN,
    OP_NEG, OP_POS,
};
struct value value_binary(struct rendering *r, enum operator op, struct value a, struct value b);
struct value value_unary(struct rendering *r, enum operator op, struct value a);
bool value_compare(struct rendering *r, enum operator op, struct value a, struct value b);

/* ---- percent.c, brace.c: '%' formatting and str.format */
struct value text_percent(struct rendering *r, struct value format, struct value arguments);
struct args;
struct value text_format(struct rendering *r, struct value format, const struct args *args);
/* format(value, spec) of numbers and text. */
void value_format(struct rendering *r, struct value value, str spec);

/* ---- member.c */
struct value value_attribute(struct rendering *r, struct value object, str name, const struct text *name_text);
struct value value_item(struct rendering *r, struct value object, struct value key);
/* The attribute alone (no items): MISSING when there is none. */
struct value value_attribute_only(struct rendering *r, struct value object, str name);
/* Resolved slice of a sequence of n: first index and count. step is not 0. */
int64_t slice_resolve(int64_t n, bool has_start, int64_t *start, bool has_stop, int64_t stop, int64_t step);
struct value value_slice(struct rendering *r, struct value object, struct value start, struct value stop, struct value step);

#endif
