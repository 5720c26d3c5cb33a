/* What the detectors share: the entities they find, the state of one scan, and how a detector reports. */
#ifndef WEIR_POLICIES_SCAN_SCAN_H
#define WEIR_POLICIES_SCAN_SCAN_H

#include "scan/regex.h"
#include "scan/text.h"
#include "weir_policies.h"

/* A type of data that Weir can find. Context words (lower case, separated by '|') beside a find raise its score. */
struct entity {
    const char *type;
    const char *detector;
    const char *context;
};

struct detector_set;

struct scan {
    const struct scan_text *text;
    const struct detector_set *set; /* NULL: every detector, no threshold. */
    str field;
    struct findings *out;
    size_t max_findings;
    size_t first; /* Findings that were in out before this scan. */
    struct regex_run run;
    size_t confirmations_left;
    bool full;  /* max_findings was reached or no confirmations are left: the scan stops, and its result says truncated. */
    int status; /* The first failure of a pattern: the text counts as not scanned. */
};

/* Whether the set in force looks for this entity. */
bool scan_wants(const struct scan *scan, const struct entity *entity);
/* regex_exec that counts: every try of a pattern takes `cost` confirmations of those the text has (4 a byte); when they are used up
 * the scan is full and nothing matches. A broken pattern or a reached limit is kept in scan->status. */
bool scan_confirm(struct scan *scan, struct regex *regex, str subject, size_t at, size_t cost, struct regex_match *match);
/* Reports data[start, end) as an entity. Context is weighed here unless score is 1. */
void scan_report(struct scan *scan, const struct entity *entity, size_t start, size_t end, float score);

/* The detectors. Each walks the whole text once and is linear in it. */
void scan_email(struct scan *scan);
void scan_phone(struct scan *scan);
void scan_card(struct scan *scan);
void scan_iban(struct scan *scan);
void scan_ip(struct scan *scan);
void scan_url(struct scan *scan);
void scan_numbers(struct scan *scan);
void scan_secrets(struct scan *scan);
void scan_credentials(struct scan *scan);
void scan_custom(struct scan *scan);

const struct entity *phone_entity(size_t index);
extern const struct entity entity_email, entity_card, entity_iban, entity_ip, entity_url;

/* Every entity of Weir's own detectors: index from 0; NULL past the end. */
const struct entity *entity_at(size_t index);
/* The index of one of these, -1 for a pack's own. */
ptrdiff_t entity_index(const struct entity *entity);
/* NULL when no detector finds the type. */
const struct entity *entity_find(str type);
/* '*' stands for any run of characters; "detector/glob" asks for the detector too. */
bool entity_matches(const char *type, const char *detector, const char *glob);

/* Context: how much the words around data[start, end) raise (+) or lower (-) a score. */
float context_weigh(const struct scan *scan, const struct entity *entity, size_t start, size_t end, float score);

#endif
