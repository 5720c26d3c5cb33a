/* Members of a head file's header that need no array: what must be there is, every number is finite and in order. head_file.c
 * describes the format. */
#include "head_parts.h"

#include <math.h>
#include <stdlib.h>

/* A required finite number. */
int member_number(const json_t *object, const char *name, double *out, struct error *err)
{
    int status = json_member_f64(object, name, out, err);
    if (status == 0 || (status == 1 && !isfinite(*out)))
        return error_set(err, WEIR_E_INVALID, name, "is required and must be finite");
    return status < 0 ? status : 0;
}

int member_integer(const json_t *object, const char *name, int64_t low, int64_t high, int64_t *out, struct error *err)
{
    int status = json_member_i64(object, name, out, err);
    if (status == 0 || (status == 1 && (*out < low || *out > high)))
        return error_set(err, WEIR_E_INVALID, name, "must be in %lld … %lld", (long long)low, (long long)high);
    return status < 0 ? status : 0;
}

int member_platt(const json_t *object, struct platt *out, struct error *err)
{
    int status = member_number(object, "slope", &out->slope, err);
    return status < 0 ? status : member_number(object, "shift", &out->shift, err);
}

int member_word(const json_t *object, const char *name, char *out, size_t n_out, struct error *err)
{
    str word;
    int status = json_member_str(object, name, &word, err);
    if (status == 0 || (status == 1 && (word.n == 0 || memchr(word.data, '\0', word.n) != NULL || !str_copy(out, n_out, word))))
        return error_set(err, WEIR_E_INVALID, name, "is required and has at most %zu bytes", n_out - 1);
    return status < 0 ? status : 0;
}

/* A required array of n finite numbers. */
int member_numbers(const json_t *object, const char *name, float *out, size_t n, struct error *err)
{
    const json_t *array = json_object_get(object, name);
    if (!json_is_array(array) || json_array_size(array) != n)
        return error_set(err, WEIR_E_INVALID, name, "must be an array of %zu numbers", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        out[i] = (float)json_number_value(item);
        if (!json_is_number(item) || !isfinite(out[i]))
            return error_set(err, WEIR_E_INVALID, name, "element %zu is no finite number", i);
    }
    return 0;
}
int head_parse_isotonic(const json_t *object, struct isotonic *out, struct error *err)
{
    json_t *isotonic;
    int status = json_member_object(object, "isotonic", &isotonic, err);
    if (status <= 0)
        return status;
    size_t n = json_array_size(json_object_get(isotonic, "x"));
    if (n == 0 || n > MOST_KNOTS)
        return error_set(err, WEIR_E_INVALID, "isotonic", "must have 1 to %d knots", MOST_KNOTS);
    if (member_numbers(isotonic, "x", out->x, n, err) < 0 || member_numbers(isotonic, "y", out->y, n, err) < 0)
        return error_prefix(err, "isotonic.");
    for (size_t i = 0; i < n; i++)
        if (!(out->y[i] >= 0 && out->y[i] <= 1) || (i > 0 && (!(out->x[i] > out->x[i - 1]) || out->y[i] < out->y[i - 1])))
            return error_set(err, WEIR_E_INVALID, "isotonic", "knot %zu is out of order or not in 0 … 1", i);
    out->n = (int)n;
    return 0;
}

int head_parse_domains(struct head *head, const json_t *header, struct error *err)
{
    json_t *names;
    int status = json_member_array(header, "domains", &names, err);
    if (status <= 0)
        return status;
    size_t n = json_array_size(names);
    if (n > HEAD_MOST_CLASSES)
        return error_set(err, WEIR_E_LIMIT, "domains", "more than %d", HEAD_MOST_CLASSES);
    head->domains = calloc(n + 1, sizeof *head->domains);
    if (head->domains == NULL)
        return error_set(err, WEIR_E_MEMORY, "domains", "out of memory");
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name == NULL)
            return error_set(err, WEIR_E_INVALID, "domains", "element %zu is not a string", i);
        if ((head->domains[i] = strdup(name)) == NULL)
            return error_set(err, WEIR_E_MEMORY, "domains", "out of memory");
        head->n_domains++;
    }
    return 0;
}
int head_parse_promises(struct head *head, const json_t *header, struct error *err)
{
    json_t *object;
    struct head_promises *promises = &head->promises;
    int status = json_member_object(header, "promises", &object, err);
    if (status <= 0)
        return status;
    if (member_number(object, "confidence", &promises->confidence, err) < 0 || member_integer(object, "lines", 1, INT64_MAX, &promises->n_lines, err) < 0 ||
        member_numbers(object, "thresholds", promises->thresholds, N_PROMISES, err) < 0 ||
        member_numbers(object, "local_shares", promises->local_shares, N_PROMISES, err) < 0)
        return error_prefix(err, "promises.");
    if (json_object_get(object, "about") != NULL && (status = member_word(object, "about", promises->terms.about, sizeof promises->terms.about, err)) < 0)
        return error_prefix(err, "promises.");
    promises->terms.remote_always_right = json_is_true(json_object_get(object, "remote_always_right"));
    for (int i = 1; i < N_PROMISES; i++)
        if (promises->thresholds[i] < promises->thresholds[i - 1])
            return error_set(err, WEIR_E_INVALID, "promises.thresholds", "element %d is smaller than the one before", i);
    promises->has_gains = json_object_get(object, "gains") != NULL;
    if (promises->has_gains && member_numbers(object, "gains", promises->gains, N_GAINS, err) < 0)
        return error_prefix(err, "promises.");
    for (int i = 1; i < N_GAINS && promises->has_gains; i++)
        if (promises->gains[i] < promises->gains[i - 1])
            return error_set(err, WEIR_E_INVALID, "promises.gains", "element %d is smaller than the one before", i);
    if (!(promises->confidence > 0 && promises->confidence < 1))
        return error_set(err, WEIR_E_INVALID, "promises.confidence", "must be between 0 and 1");
    promises->present = true;
    return 0;
}

int head_parse_blend(const json_t *object, const char *name, struct blend *blend, struct error *err)
{
    json_t *member, *value;
    const char *key;
    int status = json_member_object(object, name, &member, err);
    if (status <= 0)
        return status;
    if (member_number(member, "bias", &blend->bias, err) < 0)
        return error_prefix(err, "answer.");
    json_object_foreach(member, key, value)
    {
        float numbers[3];
        int i = 0;
        while (i < N_BLEND_INPUTS && strcmp(key, blend_input_names[i]) != 0)
            i++;
        if (strcmp(key, "bias") == 0)
            continue;
        if (i == N_BLEND_INPUTS)
            return error_set(err, WEIR_E_UNSUPPORTED, key, "is no input of an answer's blend that this Weir knows");
        if ((status = member_numbers(member, key, numbers, 3, err)) < 0)
            return status;
        blend->weights[i] = json_number_value(json_array_get(value, 0));
        blend->means[i] = json_number_value(json_array_get(value, 1));
        blend->inverse_sds[i] = json_number_value(json_array_get(value, 2));
    }
    blend->present = true;
    return 0;
}

int head_parse_gain(struct head *head, const json_t *view_json, int view, struct error *err)
{
    json_t *object;
    struct head_gain *gain = &head->gain[view];
    int status = json_member_object(view_json, "gain", &object, err);
    if (status <= 0)
        return status;
    if (!head->linear[view][HEAD_LOCAL].present || !head->linear[view][HEAD_REMOTE].present)
        return error_set(err, WEIR_E_INVALID, "gain", "needs a local and a remote head");
    if ((status = member_number(object, "slope", &gain->slope, err)) < 0 || (status = member_number(object, "shift", &gain->shift, err)) < 0)
        return error_prefix(err, "gain.");
    gain->present = true;
    return 0;
}

int head_parse_rules(struct head *head, const json_t *header, struct error *err)
{
    json_t *rules, *object;
    int status = json_member_object(header, "rules", &rules, err);
    for (int i = 0; status == 1 && i < N_RULES; i++) {
        struct head_rule *rule = &head->rules[i];
        double p[6];
        int64_t domain;
        int found = json_member_object(rules, rule_names[i], &object, err);
        if (found < 0)
            return found;
        if (found == 0)
            continue;
        static const char *const names[6] = {"p_local", "p_remote", "gain", "domain_p", "oos", "output_tokens"};
        for (int k = 0; k < 6; k++) {
            p[k] = NAN;
            if (json_member_f64(object, names[k], &p[k], err) < 0)
                return WEIR_E_INVALID;
        }
        if (isnan(p[2]) || isnan(p[3]) || isnan(p[4]))
            return error_set(err, WEIR_E_INVALID, "rules", "%s: gain, domain_p and oos are required", rule_names[i]);
        if (member_integer(object, "domain", -1, head->n_domains - 1, &domain, err) < 0)
            return WEIR_E_INVALID;
        rule->enough = true;
        rule->domain = (int)domain;
        rule->answer = (struct score){.p_local = (float)p[0], .p_remote = (float)p[1], .gain = (float)p[2], .domain_p = (float)p[3], .oos = (float)p[4],
                                      .output_tokens = (float)p[5]};
    }
    return status < 0 ? status : 0;
}

int head_parse_settle(struct head *head, const json_t *header, struct error *err)
{
    static const struct {
        const char *name;
        enum head_view view;
    } members[] = {{"settle", VIEW_FEATURES}, {"settle_static", VIEW_STATIC}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *settle;
        double low, high, margin = (double)INFINITY;
        struct head_settle *out = &head->settle[members[i].view];
        int status = json_member_object(header, members[i].name, &settle, err);
        if (status == 0)
            continue;
        if (status < 0 || (status = member_number(settle, "low", &low, err)) < 0 || (status = member_number(settle, "high", &high, err)) < 0 ||
            (status = json_member_f64(settle, "margin", &margin, err)) < 0)
            return error_prefix(err, "settle.");
        if (!(margin >= 0))
            return error_set(err, WEIR_E_INVALID, members[i].name, "the margin is negative");
        *out = (struct head_settle){(float)low, (float)high, (float)margin};
    }
    return 0;
}
