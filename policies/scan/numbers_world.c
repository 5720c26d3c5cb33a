/* Identity, tax and object numbers by check digit alone: their forms are bare digit strings, so that a number which fails is none. */
#include "scan/number_forms.h"

static int digit_at(str s, size_t i)
{
    return s.data[i] - '0';
}

/* Whether the digits' weighted sum, modulo `modulus`, is `rest`. */
static bool sums_to(str s, const int *weights, size_t n, int modulus, int rest)
{
    return s.n >= n && weighted_sum(s, weights, n) % modulus == rest;
}

/* One number in ten or eleven passes by chance: without words around it such a number keeps its form's score. */
static enum verdict_of_check weak_or_fail(bool passes)
{
    return passes ? CHECK_UNKNOWN : CHECK_FAIL;
}

static int64_t value_of(str s)
{
    int64_t value = 0;
    for (size_t i = 0; i < s.n; i++)
        value = value * 10 + digit_at(s, i);
    return value;
}

static bool is_uniform(str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.data[i] != s.data[0])
            return false;
    return true;
}

/* 97 less the first thirteen places modulo 97; Corsica's 2A and 2B count as 19 and 18. */
static enum verdict_of_check check_fr_nir(str s, str raw)
{
    char digits[15];
    memcpy(digits, s.data, sizeof digits);
    if (!is_digit(digits[6])) {
        digits[5] = '1';
        digits[6] = s.data[6] == 'A' ? '9' : '8';
    }
    return pass_or_fail(97 - value_of((str){digits, 13}) % 97 == value_of((str){digits + 13, 2}));
}

static enum verdict_of_check check_nl_bsn(str s, str raw)
{
    static const int weights[] = {9, 8, 7, 6, 5, 4, 3, 2, -1};
    return weak_or_fail(sums_to(s, weights, 9, 11, 0) && !is_uniform(s));
}

/* Those born from 2000 on count with a 2 before. */
static enum verdict_of_check check_be_nn(str s, str raw)
{
    int64_t first = value_of((str){s.data, 9}), key = value_of((str){s.data + 9, 2});
    return pass_or_fail(97 - first % 97 == key || 97 - (first + 2000000000) % 97 == key);
}

static enum verdict_of_check check_pt_nif(str s, str raw)
{
    static const int weights[] = {9, 8, 7, 6, 5, 4, 3, 2};
    int rest = (int)(11 - weighted_sum(s, weights, 8) % 11) % 11 % 10;
    return weak_or_fail(rest == digit_at(s, 8));
}

/* Two digits, each from the sum of those before it. */
static enum verdict_of_check check_br_cpf(str s, str raw)
{
    for (int place = 9; place <= 10; place++) {
        int sum = 0;
        for (int i = 0; i < place; i++)
            sum += digit_at(s, (size_t)i) * (place + 1 - i);
        if (sum * 10 % 11 % 10 != digit_at(s, (size_t)place))
            return CHECK_FAIL;
    }
    return pass_or_fail(!is_uniform(s));
}

static enum verdict_of_check check_br_cnpj(str s, str raw)
{
    static const int weights[] = {6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2};
    for (size_t place = 12; place <= 13; place++) {
        int rest = (int)(weighted_sum(s, weights + 13 - place, place) % 11);
        if ((rest < 2 ? 0 : 11 - rest) != digit_at(s, place))
            return CHECK_FAIL;
    }
    return pass_or_fail(!is_uniform(s));
}

/* EAN-13. */
static enum verdict_of_check check_ch_ahv(str s, str raw)
{
    static const int weights[] = {1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1};
    return pass_or_fail(sums_to(s, weights, 13, 10, 0));
}

static enum verdict_of_check check_at_svnr(str s, str raw)
{
    static const int weights[] = {3, 7, 9, 0, 5, 8, 4, 2, 1, 6};
    return pass_or_fail(weighted_sum(s, weights, 10) % 11 == digit_at(s, 3) && s.data[0] != '0');
}

static enum verdict_of_check check_no_fnr(str s, str raw)
{
    static const int first[] = {3, 7, 6, 1, 8, 9, 4, 5, 2, 1}, second[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1};
    int day = digit_at(s, 0) % 4 * 10 + digit_at(s, 1), month = digit_at(s, 2) * 10 + digit_at(s, 3);
    month -= month > 80 ? 80 : month > 40 ? 40 : 0;
    return pass_or_fail(day >= 1 && day <= 31 && month >= 1 && month <= 12 && sums_to(s, first, 10, 11, 0) && sums_to(s, second, 11, 11, 0));
}

static enum verdict_of_check check_ie_pps(str s, str raw)
{
    static const int weights[] = {8, 7, 6, 5, 4, 3, 2};
    int64_t sum = weighted_sum(s, weights, 7);
    if (s.n == 9 && s.data[8] != 'W' && s.data[8] != 'T' && s.data[8] != 'X')
        sum += (s.data[8] - 'A' + 1) * 9;
    return pass_or_fail("WABCDEFGHIJKLMNOPQRSTUV"[sum % 23] == s.data[7]);
}

static enum verdict_of_check check_mod_11_10(str s, str raw)
{
    return weak_or_fail(checksum_mod_11_10(s));
}

static enum verdict_of_check check_ro_cnp(str s, str raw)
{
    static const int weights[] = {2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9};
    int rest = (int)(weighted_sum(s, weights, 12) % 11);
    return pass_or_fail((rest == 10 ? 1 : rest) == digit_at(s, 12));
}

static enum verdict_of_check check_cn_ric(str s, str raw)
{
    return pass_or_fail(checksum_mod_11_2(s));
}

static enum verdict_of_check check_mx_curp(str s, str raw)
{
    /* The alphabet has Ñ between N and O. */
    int sum = 0;
    for (size_t i = 0; i < 17; i++) {
        char c = s.data[i];
        int value = is_digit(c) ? c - '0' : c - 'A' + 10 + (c > 'N');
        sum += value * (18 - (int)i);
    }
    return pass_or_fail((10 - sum % 10) % 10 == s.data[17] - '0');
}

static enum verdict_of_check check_ar_cuit(str s, str raw)
{
    static const int weights[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2};
    return weak_or_fail("012345678990"[11 - weighted_sum(s, weights, 10) % 11] == s.data[10] || (weighted_sum(s, weights, 10) % 11 == 0 && s.data[10] == '0'));
}

static enum verdict_of_check check_cl_rut(str s, str raw)
{
    int sum = 0, weight = 2;
    for (size_t i = s.n - 1; i-- > 0; weight = weight == 7 ? 2 : weight + 1)
        sum += digit_at(s, i) * weight;
    return pass_or_fail("0K987654321"[sum % 11] == s.data[s.n - 1]);
}

static enum verdict_of_check check_luhn(str s, str raw)
{
    return weak_or_fail(checksum_luhn(s) && !is_uniform(s));
}

static enum verdict_of_check check_lei(str s, str raw)
{
    return pass_or_fail(checksum_mod_97_10(s));
}

/* Luhn over the letters written as two digits. */
static enum verdict_of_check check_isin(str s, str raw)
{
    char digits[24];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int value = is_digit(s.data[i]) ? s.data[i] - '0' : s.data[i] - 'A' + 10;
        if (value >= 10)
            digits[n++] = (char)('0' + value / 10);
        digits[n++] = (char)('0' + value % 10);
    }
    return weak_or_fail(checksum_luhn((str){digits, n}));
}

/* ISO 3779 with the North American check digit; elsewhere the ninth place is free, and the number keeps its form's score. */
static enum verdict_of_check check_vin(str s, str raw)
{
    static const int weights[] = {8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
    static const char letters[] = "12345678012345070923456789"; /* A to Z; I, O and Q are none. */
    int sum = 0, n_digits = 0;
    for (size_t i = 0; i < 17; i++) {
        n_digits += is_digit(s.data[i]);
        sum += weights[i] * (is_digit(s.data[i]) ? s.data[i] - '0' : letters[s.data[i] - 'A'] - '0');
    }
    if (n_digits == 17 || n_digits < 4)
        return CHECK_FAIL;
    return "0123456789X"[sum % 11] == s.data[8] ? CHECK_PASS : CHECK_UNKNOWN;
}

static struct number table[] = {
    {{"FR_NIR", "fr_nir", "nir|insee|s\303\251curit\303\251|securite|sociale"}, check_fr_nir, N(0), N(1) | N(6) | N(13) | N(15), 14, false,
     {FORM("[12]([ .]?)\\d{2}\\1(?:0[1-9]|[1-9]\\d)\\1(?:\\d{2}|2[ab])\\1\\d{3}\\1\\d{3}[ .]?\\d{2}\\b", 0.4f)}},
    {{"NL_BSN", "nl_bsn", "bsn|burgerservicenummer|sofinummer"}, check_nl_bsn, N(0), N(4) | N(9), 9, false, {FORM("\\d{4}([. ]?)\\d{2}\\1\\d{3}\\b", 0.1f)}},
    {{"BE_NN", "be_nn", "rijksregister|registre|niss|insz"}, check_be_nn, N(0), N(2) | N(6) | N(11), 11, false,
     {FORM("\\d{2}\\.?[0-5]\\d\\.?\\d{2}[- ]?\\d{3}[. ]?\\d{2}\\b", 0.3f)}},
    {{"PT_NIF", "pt_nif", "nif|contribuinte|nipc"}, check_pt_nif, N(0), N(3) | N(9), 9, false, {FORM("[1-9]\\d{2}( ?)\\d{3}\\1\\d{3}\\b", 0.1f)}},
    {{"BR_CPF", "br_cpf", "cpf|contribuinte"}, check_br_cpf, N(0), N(3) | N(9) | N(11), 11, false, {FORM("\\d{3}(\\.?)\\d{3}\\1\\d{3}-?\\d{2}\\b", 0.4f)}},
    {{"BR_CNPJ", "br_cnpj", "cnpj|empresa"}, check_br_cnpj, N(0), N(2) | N(8) | N(14), 14, false, {FORM("\\d{2}(\\.?)\\d{3}\\1\\d{3}/?\\d{4}-?\\d{2}\\b", 0.4f)}},
    {{"CH_AHV", "ch_ahv", "ahv|avs|sozialversicherung"}, check_ch_ahv, N(0), N(3) | N(13), 13, false, {FORM("756([. ]?)\\d{4}\\1\\d{4}\\1\\d{2}\\b", 0.5f)}},
    {{"AT_SVNR", "at_svnr", "svnr|sozialversicherung|versicherungsnummer"}, check_at_svnr, N(0), N(4) | N(10), 10, false,
     {FORM("[1-9]\\d{3} ?(?:0[1-9]|[12]\\d|3[01])(?:0[1-9]|1[0-5])\\d{2}\\b", 0.3f)}},
    {{"NO_FODSELSNUMMER", "no_fnr", "f\303\270dselsnummer|personnummer"}, check_no_fnr, N(0), N(6) | N(11), 11, false, {FORM("\\d{6} ?\\d{5}\\b", 0.3f)}},
    {{"DK_CPR", "dk_cpr", "cpr|personnummer"}, NULL, N(0), N(6), 10, false, {FORM("(?:0[1-9]|[12]\\d|3[01])(?:0[1-9]|1[0-2])\\d{2}-\\d{4}\\b", 0.4f)}, .after = "-"},
    {{"IE_PPSN", "ie_ppsn", "pps|ppsn"}, check_ie_pps, N(0), N(7), 7, false, {FORM("\\d{7}[a-w][ahwtx]?\\b", 0.4f)}, .min_run = 8},
    {{"HR_OIB", "hr_oib", "oib"}, check_mod_11_10, N(0), N(11), 11, false, {FORM("\\d{11}\\b", 0.1f)}},
    {{"RO_CNP", "ro_cnp", "cnp"}, check_ro_cnp, N(0), N(13), 13, false,
     {FORM("[1-9]\\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])\\d{6}\\b", 0.3f)}},
    {{"CN_RIC", "cn_ric", "resident|identity"}, check_cn_ric, N(0), N(17) | N(18), 17, false,
     {FORM("[1-9]\\d{5}(?:19|20)\\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])\\d{3}[\\dx]\\b", 0.5f)}},
    {{"MX_CURP", "mx_curp", "curp"}, check_mx_curp, N(4), N(6), 7, false,
     {FORM("[a-z]{4}\\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])[hmx][a-z]{2}[b-df-hj-np-tv-z]{3}[0-9a-z]\\d\\b", 0.5f)}, .min_run = 18},
    {{"AR_CUIT", "ar_cuit", "cuit|cuil"}, check_ar_cuit, N(0), N(2) | N(11), 11, false, {FORM("(?:2[03-7]|3[034])(-?)\\d{8}\\1\\d\\b", 0.4f)}},
    {{"CL_RUT", "cl_rut", "rut|run"}, check_cl_rut, N(0), N(1) | N(2) | N(7) | N(8), 7, false,
     {FORM("\\d{1,2}(?:\\.\\d{3}\\.\\d{3}|\\d{6})-[\\dk]\\b", 0.4f)}, .after = ".-"},
    {{"IMEI", "imei", "imei|device|handset"}, check_luhn, N(0), N(2) | N(15), 15, false, {FORM("\\d{2}([- ]?)\\d{6}\\1\\d{6}\\1\\d\\b", 0.1f)}},
    {{"LEI", "lei", "lei|entity"}, check_lei, FROM_TO(0, 15), FROM_TO(0, 20), 2, false, {FORM("[0-9a-z]{18}\\d{2}\\b", 0.3f)}, .min_run = 20},
    {{"ISIN", "isin", "isin|security"}, check_isin, FROM_TO(2, 11), FROM_TO(0, 10), 1, false, {FORM("[a-z]{2}[0-9a-z]{9}\\d\\b", 0.3f)}, .min_run = 12},
    {{"VIN", "vin", "vin|chassis|vehicle"}, check_vin, FROM_TO(0, 13), FROM_TO(0, 17), 4, false, {FORM("[a-hj-npr-z0-9]{17}\\b", 0.1f)}, .min_run = 17},
};

TABLE(numbers_world, table);
