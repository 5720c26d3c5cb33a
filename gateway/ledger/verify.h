/* The offline verifier: recomputes every leaf and every tree head of a ledger.db opened read-only. */
#ifndef WEIR_LEDGER_VERIFY_H
#define WEIR_LEDGER_VERIFY_H

#include "weir_base.h"

struct verify_report {
    int64_t n_rows, n_checkpoints;
    uint64_t verified_size;          /* Rows under the last checkpoint. */
    int64_t unread_bytes;            /* Of a -wal file beside it that SQLite cannot read where nothing can be written: its rows are not among these. */
    char root[2 * SHA256_BYTES + 1]; /* Over all rows. */
};

/* 0 and the report, or WEIR_E_INVALID with err naming the row that was changed, dropped or moved. */
int ledger_verify(const char *path, struct verify_report *report, struct error *err) WEIR_CHECKED;

#endif
