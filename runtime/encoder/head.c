/* Head. All of them are one form: some rows, perhaps a dense layer with an activation and a norm, then the labels' matrix. */
#include "encoder/head.h"

/* The class named by config.json: 1 per token, 0 per text, -1 none, -2 the file doesn't say. */
static int class_of(struct weights *weights)
{
    const json_t *classes = json_object_get(model_file_config(weights->file), "architectures");
    const char *name = json_string_value(json_array_get(classes, 0));
    if (name == NULL)
        return -2;
    if (str_ends(str_of(name), STR("ForTokenClassification")))
        return 1;
    return str_ends(str_of(name), STR("ForSequenceClassification")) ? 0 : -1;
}

void task_head_open(struct weights *weights, const struct architecture *architecture, const struct body *body, struct head *head)
{
    *head = (struct head){.rows = HEAD_NONE};
    int class = class_of(weights);
    if (model_file_is_gguf(weights->file))
        class = weights_has(weights, "cls.output") || weights_has(weights, "cls") ? 0 : -1;
    else if (class == -2)
        class = weights_has(weights, "classifier") || weights_has(weights, "classifier.out_proj") ? 0 : -1;
    if (class < 0)
        return;
    enum precision precision = weights->precision;
    head->rows = class == 1 ? HEAD_EACH : HEAD_FIRST;
    weights->precision = PRECISION_EXACT; /* A head's share of the work is too small to round for. */
    architecture->open_head(weights, body, class == 1, head);
    weights->precision = precision;
}

const char *const *head_labels(struct weights *weights, int n_labels)
{
    const char **labels = weights_alloc(weights, (size_t)n_labels, sizeof *labels);
    json_t *names = NULL;
    struct error err = {0};
    if (labels == NULL)
        return NULL;
    if (!model_file_is_gguf(weights->file) && json_member_object(model_file_config(weights->file), "id2label", &names, &err) < 0)
        weights_fail(weights, err.status, err.where, "%s", err.text);
    for (int i = 0; i < n_labels; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        const json_t *name = json_object_get(names, key);
        str own;
        if (model_file_is_gguf(weights->file) && gguf_array_str(weights->file, "bert.classifier.output_labels", (size_t)i, &own) > 0)
            labels[i] = arena_strdup(&weights->arena, own);
        else
            labels[i] = json_is_string(name) ? arena_strdup(&weights->arena, str_of(json_string_value(name)))
                                             : arena_printf(&weights->arena, "LABEL_%d", i);
        if (labels[i] == NULL) {
            weights_fail(weights, WEIR_E_MEMORY, "id2label", "out of memory");
            return NULL;
        }
    }
    return labels;
}

size_t head_floats(const struct head *head, int n_rows, int width)
{
    return 2 * (size_t)(head->rows == HEAD_EACH ? n_rows : 1) * (size_t)width;
}

void head_apply(const struct head *head, struct pool *pool, const float *x, int n_rows, int width, float *scratch, float *out)
{
    int n = head->rows == HEAD_EACH ? n_rows : 1;
    float *pooled = scratch, *dense = scratch + (size_t)n * (size_t)width;
    const float *in = x;
    if (head->rows == HEAD_MEAN) {
        for (int d = 0; d < width; d++) {
            double sum = 0;
            for (int i = 0; i < n_rows; i++)
                sum += (double)x[(size_t)i * (size_t)width + (size_t)d];
            pooled[d] = (float)(sum / n_rows);
        }
        in = pooled;
    }
    if (head->dense != NULL) {
        linear_apply(head->dense, pool, in, n, dense);
        if (head->activated)
            activate(head->activation, dense, (int64_t)n * width);
        for (int i = 0; head->norm.w != NULL && i < n; i++)
            norm_apply(&head->norm, dense + (size_t)i * (size_t)width, dense + (size_t)i * (size_t)width);
        in = dense;
    }
    linear_apply(head->out, pool, in, n, out);
}
