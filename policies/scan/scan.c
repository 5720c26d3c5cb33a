/* One scan of one text: normalise, run the detectors, map the finds back to the bytes that were given.
 *
 * Bounded: at most the set's max_bytes are looked at, at most max_findings are kept, and the patterns that confirm a find are tried
 * at most CONFIRMATIONS_PER_BYTE times the text's length (ordinary text needs a tenth of one). Past any of them the result says
 * truncated, which closes the remote path. */
#include "scan/scan.h"

#include "findings.h"
#include "pack/detector_set.h"

enum { MAX_FINDINGS = 16384, MAX_BYTES = 64 << 20, CONFIRMATIONS_PER_BYTE = 4, LEAST_CONFIRMATIONS = 4096 };

void scan_report(struct scan *scan, const struct entity *entity, size_t start, size_t end, float score)
{
    if (scan->full || start >= end)
        return;
    if (scan->set != NULL && !detector_set_wants(scan->set, entity))
        return;
    score = context_weigh(scan, entity, start, end, score);
    if (scan->set != NULL && score < detector_set_threshold(scan->set))
        return;
    str value = {scan->text->data + start, end - start};
    if (scan->set != NULL && detector_set_allows(scan->set, entity->type, value))
        return;
    if (scan->out->n - scan->first >= scan->max_findings) {
        scan->full = true;
        return;
    }
    struct finding finding = {entity->type, entity->detector, scan_text_source_start(scan->text, start),
                              scan_text_source_end(scan->text, end), score};
    if (findings_append(scan->out, finding) < 0)
        scan->full = true;
}

bool scan_confirm(struct scan *scan, struct regex *regex, str subject, size_t at, size_t cost, struct regex_match *match)
{
    if (cost > scan->confirmations_left) {
        scan->full = true;
        return false;
    }
    scan->confirmations_left -= cost;
    int found = regex_exec(regex, &scan->run, subject, at, match);
    if (found < 0)
        scan->status = found;
    return found > 0;
}

bool scan_wants(const struct scan *scan, const struct entity *entity)
{
    return scan->set == NULL || detector_set_wants(scan->set, entity);
}

int scan_text_with(const struct detector_set *set, str text, str field, struct findings *out, struct error *err)
{
    size_t max_bytes = set != NULL ? detector_set_max_bytes(set) : MAX_BYTES;
    if (text.n > max_bytes) {
        out->truncated = true;
        text.n = max_bytes;
        text.n -= utf8_incomplete_tail(text);
    }
    struct scan_text prepared;
    if (scan_text_init(&prepared, text) < 0)
        return error_set(err, WEIR_E_MEMORY, "scan", "out of memory");
    struct scan scan = {.text = &prepared, .set = set, .field = field, .out = out, .max_findings = MAX_FINDINGS, .first = out->n};
    size_t confirmations = LEAST_CONFIRMATIONS + CONFIRMATIONS_PER_BYTE * prepared.n;
    scan.confirmations_left = confirmations;
    int status = regex_run_init(&scan.run);
    if (status < 0) {
        scan_text_release(&prepared);
        return error_set(err, status, "scan", "out of memory");
    }
    static void (*const detectors[])(struct scan *) = {scan_email,   scan_url,     scan_ip,     scan_card,  scan_iban,
                                                       scan_phone, scan_numbers, scan_secrets, scan_credentials, scan_custom};
    for (size_t i = 0; i < sizeof detectors / sizeof *detectors && !scan.full && scan.status == 0; i++)
        detectors[i](&scan);
    out->n_confirmations += confirmations - scan.confirmations_left;
    if (scan.full)
        out->truncated = true;
    findings_settle(out, scan.first);
    status = scan.status;
    regex_run_release(&scan.run);
    scan_text_release(&prepared);
    if (status < 0)
        return error_set(err, status, "scan", "a pattern could not be evaluated on this text");
    return 0;
}
