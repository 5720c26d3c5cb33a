/* Head: making and freeing, and what a domain head sees of a text. */
#include "head.h"

#include <stdlib.h>

static const float EMBEDDING_SCALE = 6, SKETCH_BESIDE = 3, SKETCH_ALONE = 6;

const char *const head_target_names[N_HEAD_TARGETS] = {"local", "remote"};
const char *const head_view_names[N_HEAD_VIEWS] = {"features", "encoder"};

struct head *head_new(void)
{
    struct head *head = calloc(1, sizeof *head);
    if (head == NULL)
        return NULL;
    head->settle_low = -1;
    head->settle_high = 2;
    return head;
}

void head_close(struct head *head)
{
    if (head == NULL)
        return;
    json_decref(head->metrics);
    map_release(&head->map);
    map_release(&head->answer.map);
    linear_release(&head->answer.local.weights);
    for (int view = 0; view < N_HEAD_VIEWS; view++) {
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            linear_release(&head->linear[view][target].weights);
        softmax_release(&head->domain[view].weights);
    }
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

int head_domain_inputs(const struct head *head, enum head_view view)
{
    return N_SKETCH + (view == VIEW_ENCODER ? head->map.n_embd : 0);
}

void head_domain_input(const struct head *head, enum head_view view, const float *sketch, const float *embedding, float *out)
{
    float scale = view == VIEW_ENCODER ? SKETCH_BESIDE : SKETCH_ALONE;
    for (int i = 0; i < N_SKETCH; i++)
        out[i] = scale * sketch[i] * 0.70710678F; /* The sketch's two halves have length 1 each. */
    if (view == VIEW_ENCODER)
        for (int i = 0; i < head->map.n_embd; i++)
            out[N_SKETCH + i] = EMBEDDING_SCALE * embedding[i];
}
