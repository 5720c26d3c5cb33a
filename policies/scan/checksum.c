/* The algorithms that many numbers share (Luhn; Verhoeff; ISO 7064), and the two that need tables of their own: IBANs (ISO
 * 13616, registry of national forms) and payment cards (ISO/IEC 7812 issuer prefixes). */
#include "scan/checksum.h"

#include "scan/text.h"

bool digits_only(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.data[i]))
            return false;
    return s.n > 0;
}

bool checksum_luhn(str s)
{
    int sum = 0;
    if (s.n < 2 || !digits_only(s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = s.data[s.n - 1 - i] - '0';
        if (i % 2 == 1)
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return sum % 10 == 0;
}

bool checksum_verhoeff(str s)
{
    /* The dihedral group of order 10: i * j, and the powers of the permutation (1576283094). */
    static const char product[10][11] = {"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
                                         "5987604321", "6598710432", "7659821043", "8765932104", "9876543210"};
    static const char permutation[8][11] = {"0123456789", "1576283094", "5803796142", "8916043527",
                                            "9453126870", "4286573901", "2793806415", "7046913258"};
    int check = 0;
    if (!digits_only(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        check = product[check][permutation[i % 8][s.data[s.n - 1 - i] - '0'] - '0'] - '0';
    return check == 0;
}

bool checksum_mod_97_10(str s)
{
    int rest = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = to_upper(s.data[i]);
        if (is_digit(c))
            rest = (rest * 10 + (c - '0')) % 97;
        else if (is_upper(c))
            rest = (rest * 100 + (c - 'A' + 10)) % 97;
        else
            return false;
    }
    return rest == 1;
}

bool checksum_mod_11_10(str s)
{
    int check = 10;
    if (s.n < 2 || !digits_only(s))
        return false;
    for (size_t i = 0; i + 1 < s.n; i++) {
        int sum = (s.data[i] - '0' + check) % 10;
        check = (sum == 0 ? 10 : sum) * 2 % 11;
    }
    return (check + s.data[s.n - 1] - '0') % 10 == 1;
}

bool checksum_mod_11_2(str s)
{
    int sum = 0;
    if (s.n < 2 || !digits_only((str){s.data, s.n - 1}))
        return false;
    for (size_t i = 0; i + 1 < s.n; i++)
        sum = (sum + s.data[i] - '0') * 2 % 11;
    int check = (12 - sum) % 11;
    char last = to_upper(s.data[s.n - 1]);
    return last == (check == 10 ? 'X' : '0' + check);
}

int64_t weighted_sum(str s, const int *weights, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n && i < s.n; i++)
        sum += (int64_t)(s.data[i] - '0') * weights[i];
    return sum;
}

/* ISO 13616 national forms, after the country code and the two check digits: a count and n (digits), a (capitals) or c (either). */
static const char *const iban_forms[] = {
    "AD8n12c", "AE19n", "AL8n16c", "AT16n", "AZ4a20c", "BA16n", "BE12n", "BG4a6n8c", "BH4a14c", "BI23n", "BR23n1a1c",
    "BY4c4n16c", "CH5n12c", "CR18n", "CY8n16c", "CZ20n", "DE18n", "DJ23n", "DK14n", "DO4c20n", "EE16n", "EG25n",
    "ES20n", "FI14n", "FK2a12n", "FO14n", "FR10n11c2n", "GB4a14n", "GE2a16n", "GI4a15c", "GL14n", "GR7n16c",
    "GT24c", "HN4a20n", "HR17n", "HU24n", "IE4a14n", "IL19n", "IQ4a15n", "IS22n", "IT1a10n12c", "JO4a4n18c", "KW4a22c",
    "KZ3n13c", "LB4n20c", "LC4a24c", "LI5n12c", "LT16n", "LU3n13c", "LV4a13c", "LY21n", "MC10n11c2n", "MD20c", "ME18n",
    "MK3n10c2n", "MN16n", "MR23n", "MT4a5n18c", "MU4a19n3a", "NI4a20n", "NL4a10n", "NO11n", "OM3n16c", "PK4a16c", "PL24n",
    "PS4a21c", "PT21n", "QA4a21c", "RO4a16c", "RS18n", "RU14n15c", "SA2n18c", "SC4a20n3a", "SD14n", "SE20n", "SI15n", "SK20n",
    "SM1a10n12c", "SO19n", "ST21n", "SV4a20n", "TL19n", "TN20n", "TR6n16c", "UA6n19c", "VA18n", "VG4a16n", "XK16n", "YE4a4n18c",
};

static bool form_matches(const char *form, str rest)
{
    size_t at = 0;
    while (*form != '\0') {
        size_t count = 0;
        while (is_digit(*form))
            count = count * 10 + (size_t)(*form++ - '0');
        char kind = *form++;
        for (size_t i = 0; i < count; i++, at++) {
            if (at >= rest.n)
                return false;
            char c = to_upper(rest.data[at]);
            if (kind == 'n' ? !is_digit(c) : kind == 'a' ? !is_upper(c) : !is_digit(c) && !is_upper(c))
                return false;
        }
    }
    return at == rest.n;
}

bool check_iban(str s)
{
    char turned[40];
    if (s.n < 15 || s.n > 34 || !is_digit(s.data[2]) || !is_digit(s.data[3]))
        return false;
    for (size_t i = 0; i < sizeof iban_forms / sizeof *iban_forms; i++) {
        const char *form = iban_forms[i];
        if (to_upper(s.data[0]) != form[0] || to_upper(s.data[1]) != form[1])
            continue;
        if (!form_matches(form + 2, (str){s.data + 4, s.n - 4}))
            return false;
        memcpy(turned, s.data + 4, s.n - 4);
        memcpy(turned + s.n - 4, s.data, 4);
        return checksum_mod_97_10((str){turned, s.n});
    }
    return false;
}

/* First six digits as a range, and the lengths issued, as bits. */
static const struct {
    int low, high;
    uint32_t lengths;
} issuers[] = {
#define LENGTHS(a) (1u << (a))
    {340000, 349999, LENGTHS(15)},                              /* American Express */
    {370000, 379999, LENGTHS(15)},
    {400000, 499999, LENGTHS(13) | LENGTHS(16) | LENGTHS(19)},  /* Visa */
    {510000, 559999, LENGTHS(16)},                              /* Mastercard */
    {222100, 272099, LENGTHS(16)},                              /* Mastercard 2-series */
    {500000, 509999, 0xFFu << 12},                              /* Maestro: 12 to 19 */
    {560000, 589999, 0xFFu << 12},
    {600000, 699999, 0xFFu << 12},                              /* Discover, UnionPay, RuPay, Maestro, InstaPayment */
    {300000, 305999, LENGTHS(14) | LENGTHS(16) | LENGTHS(19)},  /* Diners Club */
    {309500, 309599, LENGTHS(14) | LENGTHS(16) | LENGTHS(19)},
    {360000, 369999, LENGTHS(14) | LENGTHS(16) | LENGTHS(19)},
    {380000, 399999, LENGTHS(14) | LENGTHS(16) | LENGTHS(19)},
    {350000, 359999, LENGTHS(16) | LENGTHS(17) | LENGTHS(18) | LENGTHS(19)}, /* JCB */
    {213100, 213199, LENGTHS(15)},
    {180000, 180099, LENGTHS(15)},
    {100000, 199999, LENGTHS(15)},                              /* UATP */
    {810000, 817199, 0xFu << 16},                               /* UnionPay and RuPay */
    {220000, 220499, 0xFu << 16},                               /* Mir */
    {979200, 979299, LENGTHS(16)},                              /* Troy */
#undef LENGTHS
};

bool check_card(str s)
{
    if (s.n < 12 || s.n > 19 || !checksum_luhn(s))
        return false;
    int prefix = 0;
    for (int i = 0; i < 6; i++)
        prefix = prefix * 10 + (s.data[i] - '0');
    for (size_t i = 0; i < sizeof issuers / sizeof *issuers; i++)
        if (prefix >= issuers[i].low && prefix <= issuers[i].high && issuers[i].lengths >> s.n & 1)
            return true;
    return false;
}
