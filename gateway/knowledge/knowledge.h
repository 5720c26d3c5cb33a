/* Knowledge: passages of the indexed documents that bear on a question, and how well they cover it.
 *
 * Two searches are joined by their ranks (reciprocal rank fusion, Cormack et al. 2009): cosines of the encoder's embeddings over all
 * passages, held in memory, and BM25 over FTS5. Given are the first and those nearly as alike as the most alike one. Two numbers say how well the question is covered: `likeness`, the best cosine among
 * the passages given, and `terms`, the share of the question's content words that stand in them. What follows from the numbers is
 * decide()'s.
 *
 * The index may be written by another process meanwhile: a new state is noticed at the next search. Thread-safe (one lock). */
#ifndef WEIR_KNOWLEDGE_KNOWLEDGE_H
#define WEIR_KNOWLEDGE_KNOWLEDGE_H

#include "knowledge/index.h"

enum { KNOWLEDGE_MOST_HITS = 16 };

struct knowledge_hit {
    str path;      /* Of the document, below the folder. */
    str heading, text;
    int first_line, last_line;
    float likeness;
};

struct knowledge_found {
    struct knowledge_hit items[KNOWLEDGE_MOST_HITS]; /* Best first. */
    int n;
    float likeness, terms;
    char state[KNOWLEDGE_STATE_BYTES]; /* Of the index that was searched; empty: there is none yet. */
};

/* Do the passages cover the question? The same rule as decide()'s, on the same numbers. */
#define KNOWLEDGE_LEAST_TERMS 0.6f
static inline bool knowledge_covers(const struct knowledge_found *found, double least_likeness)
{
    return found->n > 0 && (double)found->likeness >= least_likeness && found->terms >= KNOWLEDGE_LEAST_TERMS;
}

struct knowledge;
/* path: of knowledge.db, which need not exist yet. */
int knowledge_open(struct knowledge **out, const char *path, struct error *err) WEIR_CHECKED;
void knowledge_close(struct knowledge *knowledge);
/* The state now; empty when there is no index. */
void knowledge_state(struct knowledge *knowledge, char out[KNOWLEDGE_STATE_BYTES]);
/* At most `most` passages for a question and its embedding, into the arena. Without an index *out is empty. */
int knowledge_search(struct knowledge *knowledge, str question, const float *embedding, int n_embd, int most, struct arena *arena,
                     struct knowledge_found *out, struct error *err) WEIR_CHECKED;

/* terms.c: content words of a question. Calls each(user, word) with lower-case words that are no stop words. */
typedef void terms_fn(void *user, str word);
void terms_each(str text, terms_fn *each, void *user);
/* The share of the question's content words that begin a word of one of the texts (by at most their first six letters, so that
 * inflections count); 0 where it has none. */
float terms_share(str question, const str *texts, size_t n);
/* The share of the content words of `text` that stand in `source`: how far it leans on it. */
float terms_support(str text, str source);

#endif
