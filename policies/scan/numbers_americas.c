/* United States and Canada. */
#include "scan/number_forms.h"

static bool all_same(str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.data[i] != s.data[0])
            return false;
    return true;
}

/* No area 000, 666 or 9xx, no group 00, no serial 0000; the number printed on sample cards is nobody's. */
static enum verdict_of_check check_ssn(str s, str raw)
{
    if (s.n != 9 || all_same(s) || s.data[0] == '9' || memcmp(s.data, "000", 3) == 0 || memcmp(s.data, "666", 3) == 0 ||
        memcmp(s.data + 3, "00", 2) == 0 || memcmp(s.data + 5, "0000", 4) == 0)
        return CHECK_FAIL;
    static const char *const samples[] = {"123456789", "987654320", "078051120"};
    for (size_t i = 0; i < 3; i++)
        if (memcmp(s.data, samples[i], 9) == 0)
            return CHECK_FAIL;
    return CHECK_UNKNOWN;
}

static enum verdict_of_check check_aba(str s, str raw)
{
    static const int weights[] = {3, 7, 1, 3, 7, 1, 3, 7, 1};
    return pass_or_fail(s.n == 9 && weighted_sum(s, weights, 9) % 10 == 0);
}

/* DEA: two letters, six digits, a check digit. */
static enum verdict_of_check check_dea(str s, str raw)
{
    static const int weights[] = {1, 2, 1, 2, 1, 2};
    str digits = {s.data + 2, 7};
    return pass_or_fail(s.n == 9 && weighted_sum(digits, weights, 6) % 10 == digits.data[6] - '0');
}

static enum verdict_of_check check_npi(str s, str raw)
{
    char with_prefix[16] = "80840";
    if (s.n != 10 || all_same((str){s.data + 1, 9}))
        return CHECK_FAIL;
    memcpy(with_prefix + 5, s.data, 10);
    return pass_or_fail(checksum_luhn((str){with_prefix, 15}));
}

static enum verdict_of_check check_sin(str s, str raw)
{
    return s.n == 9 && !all_same(s) && checksum_luhn(s) ? CHECK_UNKNOWN : CHECK_FAIL;
}

static enum verdict_of_check check_not_uniform(str s, str raw)
{
    return all_same(s) ? CHECK_FAIL : CHECK_UNKNOWN;
}

#define ITIN_GROUP "(?:5\\d|6[0-5]|7\\d|8[0-8]|9[0-24-9])"

#define DRIVER_LICENSE {"US_DRIVER_LICENSE", "us_driver_license", \
    "driver|license|licence|permit|lic|identification|dls|cdls"}

static struct number table[] = {
    {{"US_SSN", "us_ssn", "social|security|ssn|ssns|ss#|ssid"}, check_ssn, N(0), N(3) | N(5) | N(9), 9, false,
     {FORM("\\d{3}([-. ])\\d{2}\\1\\d{4}\\b(?![-.]\\d)", 0.5f), FORM("(?:\\d{3}-\\d{6}|\\d{5}-\\d{4}|\\d{9})\\b(?![-.]\\d)", 0.05f)}},
    {{"US_ITIN", "us_itin", "individual|taxpayer|itin|tax|payer|taxid|tin"}, NULL, N(0), N(3) | N(5) | N(9), 9, false,
     {FORM("9\\d{2}([- ])" ITIN_GROUP "\\1\\d{4}\\b", 0.5f), FORM("9\\d{2}" ITIN_GROUP "\\d{4}\\b", 0.3f),
      FORM("(?:9\\d{2}[- ]" ITIN_GROUP "\\d{4}|9\\d{2}" ITIN_GROUP "[- ]\\d{4})\\b", 0.05f)}},
    {{"US_PASSPORT", "us_passport", "us|united|states|passport|travel|document"}, NULL, N(0) | N(1), N(8) | N(9), 8, false,
     {FORM("\\d{9}\\b", 0.05f), FORM("[a-z]\\d{8}\\b", 0.1f)}},
    {{"US_BANK_NUMBER", "us_bank", "check|account|acct|bank|save|debit|banking"}, check_not_uniform, N(0), FROM_TO(8, 17), 8, false,
     {FORM("\\d{8,17}\\b", 0.05f)}},
    {DRIVER_LICENSE, NULL, N(1) | N(2), FROM_TO(1, 14), 2, false,
     {FORM("(?:[a-z]\\d{3,6}|[a-z]\\d{5,9}|[a-z]\\d{6,8}|[a-z]\\d{4,8}|[a-z]\\d{9,11}|[a-z]{1,2}\\d{5,6}|h\\d{8}|v\\d{6}|x\\d{8}|[a-z]{2}\\d{2,5}|"
           "[a-z]{2}\\d{3,7}|[a-z]\\d{13,14}|[a-z]\\d{18}|[a-z]\\d{6}r|[a-z]\\d{9}|[a-z]\\d{1,12}|[a-z]{2}\\d{6}[a-z]|[a-z]\\d[a-z]\\d[a-z])\\b",
           0.3f)}},
    {DRIVER_LICENSE, NULL, N(0), N(2) | N(3) | N(8) | N(9), 7, false,
     {FORM("(?:\\d{2}[a-z]{3}\\d{5,6}|\\d{9}[a-z]|\\d{8}[a-z]{2}|\\d{3}[a-z]{2}\\d{4})\\b", 0.3f)}, .min_run = 9},
    {DRIVER_LICENSE, NULL, N(0), FROM_TO(6, 14), 6, false, {FORM("\\d{6,14}\\b", 0.01f)}},
    {{"ABA_ROUTING_NUMBER", "us_aba", "aba|routing|abarouting|association|bankrouting"}, check_aba, N(0), N(4) | N(9), 9, false,
     {FORM("[0123678]\\d{8}\\b", 0.05f), FORM("[0123678]\\d{3}-\\d{4}-\\d\\b", 0.3f)}},
    {{"MEDICAL_LICENSE", "us_dea", "medical|certificate|dea"}, check_dea, N(2), N(7), 7, false, {FORM("[abcdefghjklmprstux][a-z]\\d{7}\\b", 0.4f)}},
    {{"US_MBI", "us_mbi", "medicare|mbi|beneficiary|cms|medicaid|hic|hicn"}, NULL, N(0), N(1), 4, false,
     {FORM("[1-9][ac-hjkmnp-rt-y][0-9ac-hjkmnp-rt-y]\\d-[ac-hjkmnp-rt-y][0-9ac-hjkmnp-rt-y]\\d-[ac-hjkmnp-rt-y]{2}\\d{2}\\b", 0.5f),
      FORM("[1-9][ac-hjkmnp-rt-y][0-9ac-hjkmnp-rt-y]\\d[ac-hjkmnp-rt-y][0-9ac-hjkmnp-rt-y]\\d[ac-hjkmnp-rt-y]{2}\\d{2}\\b", 0.3f)}, .min_run = 4},
    {{"US_NPI", "us_npi", "npi|provider|national|identifier|healthcare"}, check_npi, N(0), N(4) | N(10), 10, false,
     {FORM("[12]\\d{9}\\b", 0.1f), FORM("[12]\\d{3}([- ])\\d{3}\\1\\d{3}\\b", 0.4f)}},
    {{"CA_SIN", "ca_sin", "sin|social|insurance|canada|nas"}, check_sin, N(0), N(3) | N(9), 9, false,
     {FORM("[1-79]\\d{2}([- ])\\d{3}\\1\\d{3}\\b", 0.5f), FORM("[1-79]\\d{8}\\b", 0.05f)}},
};

TABLE(numbers_americas, table);
