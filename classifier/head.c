/* Head: making and freeing, and what a domain head sees of a text. */
#include "head.h"

#include <math.h>
#include <stdlib.h>

static const float EMBEDDING_SCALE = 6, SKETCH_BESIDE = 3, SKETCH_ALONE = 6;

const char *const head_target_names[N_HEAD_TARGETS] = {"local", "remote", "tokens"};
const char *const head_view_names[N_HEAD_VIEWS] = {"features", "static", "encoder"};

struct head *head_new(void)
{
    struct head *head = calloc(1, sizeof *head);
    if (head == NULL)
        return NULL;
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        head->settle[view] = (struct head_settle){-1, 2, INFINITY};
    return head;
}

void head_close(struct head *head)
{
    if (head == NULL)
        return;
    json_decref(head->metrics);
    map_release(&head->map);
    map_release(&head->static_map);
    static_table_release(&head->table);
    map_release(&head->answer.map);
    linear_release(&head->answer.local.weights);
    for (int view = 0; view < N_HEAD_VIEWS; view++) {
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            linear_release(&head->linear[view][target].weights);
        softmax_release(&head->domain[view].weights);
    }
    network_release(&head->network);
    for (int i = 0; i < head->n_domains; i++)
        free(head->domains[i]);
    free(head->domains);
    free(head);
}

const char *head_id(const struct head *head)
{
    return head->id;
}

bool head_judges_text(const struct head *head)
{
    return head->answer.present;
}

bool head_judges_confidence(const struct head *head)
{
    return head->answer.by_confidence.present;
}

bool head_judges_probe(const struct head *head)
{
    return head->answer.by_probe.present;
}

bool head_has_view(const struct head *head, enum head_view view)
{
    return view == VIEW_FEATURES || (head->map.n_embd > 0 && (view == VIEW_ENCODER || head->table.n_tokens > 0));
}

const struct map *head_map(const struct head *head, enum head_view view)
{
    return view == VIEW_STATIC ? &head->static_map : &head->map;
}

int head_static_init(struct head *head)
{
    const struct map *map = &head->map;
    struct map *out = &head->static_map;
    int status = map_init(out, map->kind, head->table.n_dims, map->n_landmarks);
    if (status < 0)
        return status;
    memcpy(out->mean, map->mean, sizeof out->mean);
    memcpy(out->inverse_sd, map->inverse_sd, sizeof out->inverse_sd);
    memcpy(out->idf, map->idf, N_BUCKETS * sizeof *out->idf);
    memcpy(out->forms, map->forms, (size_t)map->n_landmarks * (size_t)map->n_form * sizeof *out->forms);
    return 0;
}

int head_domain_inputs(const struct head *head, enum head_view view)
{
    return N_SKETCH + (view == VIEW_FEATURES ? 0 : head_map(head, view)->n_embd);
}

void head_domain_input(const struct head *head, enum head_view view, const float *sketch, const float *embedding, float *out)
{
    float scale = view == VIEW_FEATURES ? SKETCH_ALONE : SKETCH_BESIDE;
    int width = head_domain_inputs(head, view) - N_SKETCH;
    for (int i = 0; i < N_SKETCH; i++)
        out[i] = scale * sketch[i] * 0.70710678F; /* The sketch's two halves have length 1 each. */
    for (int i = 0; i < width; i++)
        out[N_SKETCH + i] = EMBEDDING_SCALE * embedding[i];
}
