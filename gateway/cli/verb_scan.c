/* weir scan: what the detectors find in texts, one JSON object a line. */
#include "cli/cli.h"

#include "cli/policy_pack.h"

#include <stdlib.h>

static int scan_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    const struct pack *pack = user;
    struct findings found = {0};
    str text;
    int status = json_member_str(line, "text", &text, err);
    if (status == 0)
        status = error_set(err, WEIR_E_INVALID, "text", "is required");
    if (status > 0)
        status = policy_scan(pack, text, (str){NULL, 0}, &found, err);
    if (status < 0) {
        findings_release(&found);
        return status;
    }
    jsonl_begin(line, out);
    jsonl_name(out, "findings");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < found.n; i++) {
        const struct finding *finding = &found.items[i];
        buffer_append_text(out, i > 0 ? ",{" : "{");
        jsonl_name(out, "type");
        buffer_append_json_string(out, str_of(finding->type));
        buffer_printf(out, ",\"start\":%zu,\"end\":%zu,\"score\":", finding->start, finding->end);
        jsonl_float(out, (float)((int)(finding->score * 100 + 0.5f)) / 100);
        jsonl_name(out, "detector");
        buffer_append_json_string(out, str_of(finding->detector));
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
    if (found.truncated)
        buffer_append_text(out, ",\"truncated\":true");
    buffer_append_char(out, '}');
    findings_release(&found);
    return 0;
}

extern const struct verb verb_scan;

static int run(int argc, char **argv)
{
    const char *policy = NULL, *input = NULL;
    bool keep_going = false;
    const struct cli_option options[] = {
        {.name = "policy", .text = &policy}, {.name = "input", .text = &input}, {.name = "keep-going", .flag = &keep_going}, {0}};
    int status = cli_parse(&verb_scan, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct pack *pack = NULL;
    struct error err = {0};
    if (policy != NULL && policy_pack_open(&pack, policy, &err) < 0)
        return cli_fail("scan", &err);
    int code = jsonl_run(input, keep_going, scan_line, pack);
    pack_close(pack);
    return code;
}

const struct verb verb_scan = {
    "scan",
    "find personal data and secrets in texts (JSON Lines)",
    "usage: weir scan [--policy PACK] [--input FILE] [--keep-going] < texts.jsonl\n\n"
    "Reads {\"id\",\"text\"} lines and answers, in order,\n"
    "  {\"id\",\"findings\":[{\"type\",\"start\",\"end\",\"score\",\"detector\"}]}\n"
    "start and end are byte offsets into the UTF-8 text. Nothing of the text is repeated.\n\n"
    "  --policy PACK   the pack whose detectors and threshold count: a file, or a shipped pack's name\n"
    "                  (default, eu-only, air-gapped, source-secrecy, pci-dss, hipaa); without it\n"
    "                  every detector is on and every score is shown\n"
    "  --input FILE    read from FILE instead of standard input\n"
    "  --keep-going    answer {\"id\",\"error\"} for a bad line and go on\n\n"
    "Example:\n"
    "  echo '{\"id\":1,\"text\":\"card 4111 1111 1111 1111\"}' | weir scan\n",
    run,
};
