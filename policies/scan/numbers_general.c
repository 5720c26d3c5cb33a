/* Numbers without a country: hardware addresses, wallets, dates. */
#include "scan/number_forms.h"

#define MONTH "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
#define MONTH_LONG "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
#define DAY "(?:0?[1-9]|[12]\\d|3[01])"
#define MONTH_NUMBER "(?:0?[1-9]|1[0-2])"

/* All zeros and all ones are no device's address. */
static enum verdict_of_check check_mac(str compact, str raw)
{
    for (size_t i = 1; i < compact.n; i++)
        if (compact.data[i] != compact.data[0])
            return CHECK_UNKNOWN;
    return compact.data[0] == '0' || compact.data[0] == 'F' ? CHECK_FAIL : CHECK_UNKNOWN;
}

/* Base58Check: 25 bytes, the last four of which begin the double SHA-256 of the others. */
static bool base58_is_sound(str s)
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t bytes[25] = {0}, digest[SHA256_BYTES];
    for (size_t i = 0; i < s.n; i++) {
        const char *at = strchr(alphabet, s.data[i]);
        if (at == NULL || *at == '\0')
            return false;
        unsigned carry = (unsigned)(at - alphabet);
        for (int k = 24; k >= 0; k--) {
            carry += 58u * bytes[k];
            bytes[k] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0)
            return false;
    }
    sha256(bytes, 21, digest);
    sha256(digest, sizeof digest, digest);
    return memcmp(digest, bytes + 21, 4) == 0;
}

/* BIP-173 (bech32, witness version 0) and BIP-350 (bech32m, later ones). */
static bool bech32_is_sound(str s)
{
    static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    static const uint32_t generator[] = {0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3};
    static const uint8_t prefix[] = {3, 3, 0, 'b' & 31, 'c' & 31};
    uint32_t check = 1, first = 0;
    for (size_t i = 0; i < sizeof prefix + s.n - 3; i++) {
        uint32_t value;
        if (i < sizeof prefix) {
            value = prefix[i];
        } else {
            const char *at = strchr(alphabet, to_lower(s.data[i - sizeof prefix + 3]));
            if (at == NULL || *at == '\0')
                return false;
            value = (uint32_t)(at - alphabet);
            if (i == sizeof prefix)
                first = value;
        }
        uint32_t top = check >> 25;
        check = (check & 0x1FFFFFF) << 5 ^ value;
        for (int k = 0; k < 5; k++)
            check ^= top >> k & 1 ? generator[k] : 0;
    }
    return check == (first == 0 ? 1 : 0x2BC830A3);
}

static enum verdict_of_check check_wallet(str compact, str raw)
{
    bool segwit = to_lower(raw.data[0]) == 'b';
    if (raw.data[0] == '0')
        return CHECK_UNKNOWN; /* Ethereum: the case check needs Keccak; the form alone is rare enough. */
    return pass_or_fail(segwit ? bech32_is_sound(raw) : base58_is_sound(raw));
}

#define DATE {"DATE_TIME", "date", "date|birthday|born|dob|birth"}

static struct number table[] = {
    {{"MAC_ADDRESS", "mac", "mac|ethernet|hardware|physical|wifi|interface"}, check_mac, FROM_TO(0, 6), FROM_TO(0, 12), 0, false,
     {FORM("[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\\1[0-9a-f]{2}){4}\\b(?!\\1[0-9a-f])", 0.6f), FORM("[0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4}\\b", 0.6f)}, START_MAC},
    {{"CRYPTO", "crypto", "wallet|btc|bitcoin|crypto|ethereum|eth"}, check_wallet, FROM_TO(0, 3), FROM_TO(0, 31), 1, false,
     {{{.pattern = "(?:bc1[a-z0-9]{39,59}|BC1[A-Z0-9]{39,59}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})\\b", .anchored = true}, 0.5f},
      FORM("0x[0-9a-f]{40}\\b", 0.5f)}, .min_run = 26},
    {DATE, NULL, N(0), N(4), 6, false,
     {FORM("\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])(?:[T ][0-2]\\d:[0-5]\\d(?::[0-5]\\d(?:\\.\\d{1,9})?)?(?:Z|[+-][01]\\d:?[0-5]\\d)?)?\\b(?!\\d)", 0.8f)},
     .after = "-"},
    {DATE, NULL, N(0), N(4), 8, false, {FORM("\\d{4}/(?:0[1-9]|1[0-2])/(?:0[1-9]|[12]\\d|3[01])\\b", 0.6f)}, .after = "/"},
    {DATE, NULL, N(0), N(1) | N(2), 3, false,
     {FORM("(?:" MONTH_NUMBER "([-/.])" DAY "\\1|" DAY "([-/.])" MONTH_NUMBER "\\2)(?:\\d{4}|\\d{2})\\b", 0.6f), FORM(MONTH_NUMBER "/(?:\\d{4}|\\d{2})\\b(?!/)", 0.2f)},
     .after = "-/."},
    {DATE, NULL, N(0), N(1) | N(2), 3, false,
     {FORM("(?:" DAY "[- /.]" MONTH_LONG "[- /.,]{1,2}(?:\\d{4}|\\d{2})|" DAY "(?:st|nd|rd|th)? (?:of )?" MONTH_LONG ",? \\d{4})\\b", 0.8f)}, .after = "- /.SNRTsnrt"},
    {DATE, NULL, FROM_TO(3, 9), N(0), 2, false,
     {FORM(MONTH_LONG "\\.? " DAY "(?:st|nd|rd|th)?,? \\d{4}\\b", 0.8f), FORM("(?:" MONTH "[-/](?:\\d{4}|\\d{2})|" MONTH_LONG " \\d{4})\\b", 0.6f)}, START_MONTH, .after = "-/. "},
};

TABLE(numbers_general, table);
